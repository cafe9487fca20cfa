/* Durable reminders: a suspension that ends by itself, and the tenant's housekeeping. */
#include "tests/unit/shard_support.h"

#include "actors/shard/shard_internal.h"

#define ENDS "suspension-ends"
#define CLEAN "clean-replies"
#define UNTIL (START + 10 * DAY_MS)

static size_t count_events(const fixture_t *fixture, uint8_t name)
{
    size_t count = 0;
    for (size_t i = 0; i < journal_fake_numbers(fixture->journal, "acme").events; i++) {
        count += journal_fake_event(fixture->journal, "acme", i)->name == name ? 1 : 0;
    }
    return count;
}

static const event_t *last_event(const fixture_t *fixture)
{
    const size_t count = journal_fake_numbers(fixture->journal, "acme").events;
    return journal_fake_event(fixture->journal, "acme", count - 1);
}

static uuid_t suspended(fixture_t *fixture, int64_t until)
{
    const uuid_t card = issue_active(fixture, "m-1");
    const answer_t *const answer = ask_now(
        fixture, &(ask_t){.type = request_type_card_suspend, .card = &card, .until = until});
    assert_int_equal(answer->reply.outcome, outcome_ok);
    assert_int_equal(answer->card.status, card_status_suspended);
    return card;
}

static void go_to(fixture_t *fixture, int64_t wall_ms)
{
    wall_set(wall_ms);
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS + 2 * LIMIT_DIRECTORY_POLL_MS);
}

static void a_suspension_ends_when_it_was_said_to(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = suspended(fixture, UNTIL);
    assert_int_equal(last_event(fixture)->data.until, UNTIL);
    assert_int_equal(journal_fake_reminder_at(fixture->journal, "acme", &card, ENDS), UNTIL);
    go_to(fixture, UNTIL - 3 * LIMIT_SWEEP_INTERVAL_MS);
    assert_verdict(validate(fixture, &card), reason_suspended);
    go_to(fixture, UNTIL + 1);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 1);
    assert_int_equal(last_event(fixture)->data.until, UNTIL);
    assert_false(MESSAGE_HAS(event_data, &last_event(fixture)->data, subject));
    assert_verdict(validate(fixture, &card), reason_valid);
    assert_int_equal(journal_fake_reminder_count(fixture->journal, "acme"), 0);
    assert_int_equal(metric_number(fixture, "digitalcard_reminders_total"), 1);
}

/* While the service is there it takes a tick, not a sweep. */
static void a_reminder_comes_within_a_tick(void **state)
{
    fixture_t *const fixture = *state;
    const int64_t until = wall_now() + 5000;
    const uuid_t card = suspended(fixture, until);
    advance(fixture, 4800);
    assert_verdict(validate(fixture, &card), reason_suspended);
    advance(fixture, 200 + 2 * LIMIT_DIRECTORY_POLL_MS);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void a_passive_card_is_reminded_after_a_restart(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = suspended(fixture, UNTIL);
    fixture_crash(fixture);
    go_to(fixture, UNTIL + 1); /* nobody asks: the rotation opens the tenant */
    advance(fixture, LIMIT_SWEEP_ROTATION_MS);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 1);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void a_crash_before_the_commit_delivers_again_with_one_effect(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = suspended(fixture, UNTIL);
    journal_fake_hold_appends(fixture->journal, true);
    go_to(fixture, UNTIL + 1);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").held, 1);
    journal_fake_crash(fixture->journal);
    settle(fixture);
    journal_fake_hold_appends(fixture->journal, false);
    fixture_crash(fixture);
    go_to(fixture, UNTIL + 1000);
    advance(fixture, LIMIT_SWEEP_ROTATION_MS);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 1);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void a_failed_commit_delivers_again(void **state)
{
    fixture_t *const fixture = *state;
    (void)suspended(fixture, UNTIL);
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    go_to(fixture, UNTIL + 1);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 0);
    advance(fixture, LIMIT_SWEEP_ROTATION_MS + LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 1);
    assert_int_equal(journal_fake_reminder_count(fixture->journal, "acme"), 0);
}

static void what_ends_a_suspension_takes_the_reminder_along(void **state)
{
    fixture_t *const fixture = *state;
    static const uint8_t types[] = {request_type_card_reinstate, request_type_card_revoke};
    for (size_t i = 0; i < sizeof(types); i++) {
        const uuid_t card = suspended(fixture, UNTIL);
        assert_int_equal(change(fixture, types[i], &card)->reply.outcome, outcome_ok);
        assert_int_equal(journal_fake_reminder_count(fixture->journal, "acme"), 0);
    }
    /* A second suspension without an end stays, whatever the first one said. */
    const uuid_t card = suspended(fixture, UNTIL);
    (void)change(fixture, request_type_card_reinstate, &card);
    (void)change(fixture, request_type_card_suspend, &card);
    go_to(fixture, UNTIL + 1);
    assert_verdict(validate(fixture, &card), reason_suspended);
}

static void a_suspension_that_ends_after_the_card_ends_with_its_renewal(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = suspended(fixture, END + 1000);
    go_to(fixture, END + 2000);
    assert_int_equal(count_events(fixture, event_name_card_expired), 1);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 0);
    assert_int_equal(journal_fake_reminder_count(fixture->journal, "acme"), 1);
    const answer_t *const renewed = ask_now(
        fixture,
        &(ask_t){.type = request_type_card_renew, .card = &card, .expires_at = END + DAY_MS});
    assert_int_equal(renewed->card.status, card_status_suspended);
    go_to(fixture, END + 3000 + 2 * LIMIT_SUSPENSION_RETRY_MS);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 1);
    assert_verdict(validate(fixture, &card), reason_valid);
}

/* What is read from the store does not show what is decided and not committed yet. */
static void an_uncommitted_change_is_not_overlooked(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = suspended(fixture, UNTIL);
    journal_fake_hold_appends(fixture->journal, true);
    (void)send_validate(fixture, &card); /* on its way: what follows gathers in one batch */
    settle(fixture);
    const uint64_t reinstated = send_change(fixture, request_type_card_reinstate, &card);
    const uint64_t again = send_change(fixture, request_type_card_suspend, &card);
    settle(fixture);
    go_to(fixture, UNTIL + 1); /* the reminder of the first suspension is read */
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_int_equal(answer_to(fixture, reinstated)->reply.outcome, outcome_ok);
    assert_int_equal(answer_to(fixture, again)->reply.outcome, outcome_ok);
    go_to(fixture, UNTIL + 1000);
    assert_int_equal(count_events(fixture, event_name_card_reinstated), 1);
    assert_verdict(validate(fixture, &card), reason_suspended);
}

static void until_is_for_suspensions_and_the_future(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t past = {.type = request_type_card_suspend, .card = &card, .until = wall_now()};
    assert_error(ask_now(fixture, &past), RESULT_INVALID_DATES);
    assert_text(ask_now(fixture, &past)->reply.field, "until");
    const ask_t other = {.type = request_type_card_revoke, .card = &card, .until = UNTIL};
    assert_error(ask_now(fixture, &other), RESULT_INVALID_BODY);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void missed_ticks_come_as_one(void **state)
{
    fixture_t *const fixture = *state;
    static const uuid_t tenant = {0};
    const ask_t keyed = {.type = request_type_card_issue, .member_id = "m-1", .key = "k-1"};
    (void)ask_now(fixture, &keyed);
    settle(fixture);
    const int64_t first = journal_fake_reminder_at(fixture->journal, "acme", &tenant, CLEAN);
    assert_int_equal(first, wall_now() + LIMIT_CLEAN_INTERVAL_MS);
    fixture_crash(fixture);
    wall_set(first + 7 * LIMIT_CLEAN_INTERVAL_MS + 5); /* the service was away */
    advance(fixture, 2 * LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(metric_number(fixture, "digitalcard_reminders_total"), 1);
    assert_int_equal(journal_fake_reminder_at(fixture->journal, "acme", &tenant, CLEAN),
                     first + 8 * LIMIT_CLEAN_INTERVAL_MS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_suspension_ends_when_it_was_said_to),
        TEST(a_reminder_comes_within_a_tick),
        TEST(a_passive_card_is_reminded_after_a_restart),
        TEST(a_crash_before_the_commit_delivers_again_with_one_effect),
        TEST(a_failed_commit_delivers_again),
        TEST(what_ends_a_suspension_takes_the_reminder_along),
        TEST(a_suspension_that_ends_after_the_card_ends_with_its_renewal),
        TEST(an_uncommitted_change_is_not_overlooked),
        TEST(until_is_for_suspensions_and_the_future),
        TEST(missed_ticks_come_as_one),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
