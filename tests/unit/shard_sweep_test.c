/* Cards expire and old replies go without anybody asking (DESIGN 2.2). */
#include "tests/unit/shard_support.h"
#include <stdio.h>

static size_t count_events(fixture_t *fixture, uint8_t name)
{
    size_t count = 0;
    for (size_t i = 0; i < journal_fake_numbers(fixture->journal, "acme").events; i++) {
        count += journal_fake_event(fixture->journal, "acme", i)->name == name ? 1 : 0;
    }
    return count;
}

static void issue_many(fixture_t *fixture, int count, int64_t expires_at)
{
    for (int i = 0; i < count; i++) {
        char member[16];
        (void)snprintf(member, sizeof(member), "m-%d", i);
        (void)ask(fixture, &(ask_t){.type = request_type_card_issue,
                                    .member_id = member,
                                    .activate = true,
                                    .expires_at = expires_at});
        if (i % 100 == 0) {
            settle(fixture);
        }
    }
    settle(fixture);
}

static void cards_expire_within_a_minute_of_their_end(void **state)
{
    fixture_t *const fixture = *state;
    wall_set(END - 60000);
    fixture_crash(fixture); /* the clock that it starts with is believed */
    const uuid_t card = issue_active(fixture, "m-1");
    wall_set(END - 1000);
    advance(fixture, 500);
    assert_int_equal(count_events(fixture, event_name_card_expired), 0);
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS + 1000);
    assert_int_equal(count_events(fixture, event_name_card_expired), 1);
    const event_t *const event = journal_fake_event(fixture->journal, "acme", 2);
    assert_true(uuid_equal(&event->card, &card));
    assert_int_equal(event->version, 3);
    assert_false(MESSAGE_HAS(event, event, traceparent));
    assert_int_equal(get(fixture, &card)->card.status, card_status_expired);
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(count_events(fixture, event_name_card_expired), 1);
}

static void many_due_cards_expire_in_slices(void **state)
{
    fixture_t *const fixture = *state;
    issue_many(fixture, 2 * LIMIT_SWEEP_SLICE + 30, START + 1000);
    wall_set(START + 2000);
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(count_events(fixture, event_name_card_expired), 2 * LIMIT_SWEEP_SLICE + 30);
    assert_int_equal(metric_number(fixture, "digitalcard_cards_expired_total"),
                     2 * LIMIT_SWEEP_SLICE + 30);
}

static void tenants_nobody_touches_are_swept_after_a_start(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    wall_set(END);
    fixture_crash(fixture);
    advance(fixture, 1000);
    assert_int_equal(count_events(fixture, event_name_card_expired), 1);
}

static void tenants_of_other_shards_are_left_alone(void **state)
{
    fixture_t *const fixture = *state;
    shard_destroy(&fixture->shard);
    fixture->options.shards = 8;
    for (uint32_t index = 0; index < 8; index++) {
        fixture->options.index = index;
        fixture_start_shard(fixture);
        advance(fixture, 1000);
        fixture_drain(fixture);
        settle(fixture);
        assert_true(fixture->is_drained);
        shard_destroy(&fixture->shard);
    }
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").opens, 1);
    fixture_start_shard(fixture);
}

static void rotation_opens_few_tenants_at_a_time(void **state)
{
    fixture_t *const fixture = *state;
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%03d", i);
        control_fake_add_tenant(fixture->control, name, 1);
        journal_fake_add_tenant(fixture->journal, name, 1);
    }
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(status_number(fixture, "\"tenants\"", "open"), LIMIT_SWEEP_OPENS_PER_TICK);
    advance(fixture, 100 * LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(status_number(fixture, "\"tenants\"", "open"), 101);
}

static void a_card_renewed_meanwhile_does_not_expire(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const answer_t *const renewed = ask_now(
        fixture,
        &(ask_t){.type = request_type_card_renew, .card = &card, .expires_at = END + DAY_MS});
    assert_int_equal(renewed->reply.outcome, outcome_ok);
    wall_set(END + 1000);
    fixture_crash(fixture); /* the clock that it starts with is believed */
    advance(fixture, 2 * LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(count_events(fixture, event_name_card_expired), 0);
}

static void clock_far_ahead_expires_nobody_when_it_comes_back(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    advance(fixture, 1000);
    wall_set(END + 365 * DAY_MS);
    advance(fixture, LIMIT_CLOCK_HOLD_MS - LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(count_events(fixture, event_name_card_expired), 0);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_held"), 1);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_jumps_total"), 1);
    wall_set(START + 2000);
    advance(fixture, 2 * LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_held"), 0);
    assert_int_equal(count_events(fixture, event_name_card_expired), 0);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void clock_that_stays_ahead_expires_cards_in_the_end(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    advance(fixture, 1000);
    wall_set(END);
    advance(fixture, LIMIT_CLOCK_HOLD_MS + LIMIT_SWEEP_INTERVAL_MS + 2000);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_held"), 0);
    assert_int_equal(count_events(fixture, event_name_card_expired), 1);
}

static void sweep_survives_a_failing_store(void **state)
{
    fixture_t *const fixture = *state;
    issue_many(fixture, 10, START + 1000);
    wall_set(START + 2000);
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(count_events(fixture, event_name_card_expired), 0);
    advance(fixture, LIMIT_SWEEP_ROTATION_MS + LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(count_events(fixture, event_name_card_expired), 10);
}

static void replies_older_than_a_day_are_deleted(void **state)
{
    fixture_t *const fixture = *state;
    for (int i = 0; i < LIMIT_IDEMPOTENCY_CLEAN_SLICE + 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k-%d", i);
        (void)ask(fixture,
                  &(ask_t){.type = request_type_card_issue, .member_id = "m-1", .key = key});
        if (i % 100 == 0) {
            settle(fixture);
        }
    }
    settle(fixture);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency,
                     LIMIT_IDEMPOTENCY_CLEAN_SLICE + 100);
    wall_set(START + (int64_t)LIMIT_IDEMPOTENCY_AGE_S * 1000 - 1000);
    loop_fake_advance(fixture->loop, LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency,
                     LIMIT_IDEMPOTENCY_CLEAN_SLICE + 100);
    wall_set(START + (int64_t)LIMIT_IDEMPOTENCY_AGE_S * 1000 + 1000);
    loop_fake_advance(fixture->loop, 2 * LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 0);
}

/* A scan per clock: before, set back by an hour, and right again. */
static void a_clock_that_is_set_back_is_told_and_breaks_no_sequence(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_set_back_total"), 0);
    const int64_t before_ms = wall_now();
    wall_set(before_ms - LIMIT_CLOCK_BACK_MS / 2); /* NTP */
    loop_fake_advance(fixture->loop, LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_set_back_total"), 0);
    wall_set(before_ms - 3600000);
    loop_fake_advance(fixture->loop, LIMIT_DIRECTORY_POLL_MS);
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_set_back_total"), 1);
    (void)issue_active(fixture, "m-2");
    wall_set(before_ms + 2000);
    advance(fixture, LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(metric_number(fixture, "digitalcard_clock_set_back_total"), 1);
    assert_int_equal(get(fixture, &card)->card.status, card_status_active);
    const size_t events = journal_fake_numbers(fixture->journal, "acme").events;
    for (size_t i = 0; i < events; i++) {
        assert_int_equal(journal_fake_event(fixture->journal, "acme", i)->sequence, i + 1);
    }
}

/* Replies are kept for longer by as much, never shorter. */
static void replies_outlive_a_clock_that_is_set_back(void **state)
{
    fixture_t *const fixture = *state;
    (void)ask(fixture, &(ask_t){.type = request_type_card_issue, .member_id = "m-1", .key = "k-1"});
    settle(fixture);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 1);
    const int64_t age_ms = (int64_t)LIMIT_IDEMPOTENCY_AGE_S * 1000;
    wall_set(START - age_ms);
    loop_fake_advance(fixture->loop, 2 * LIMIT_SWEEP_INTERVAL_MS);
    wall_set(START + age_ms - 1000);
    loop_fake_advance(fixture->loop, 2 * LIMIT_SWEEP_INTERVAL_MS);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cards_expire_within_a_minute_of_their_end),
        TEST(many_due_cards_expire_in_slices),
        TEST(tenants_nobody_touches_are_swept_after_a_start),
        TEST(tenants_of_other_shards_are_left_alone),
        TEST(rotation_opens_few_tenants_at_a_time),
        TEST(a_card_renewed_meanwhile_does_not_expire),
        TEST(clock_far_ahead_expires_nobody_when_it_comes_back),
        TEST(clock_that_stays_ahead_expires_cards_in_the_end),
        TEST(sweep_survives_a_failing_store),
        TEST(replies_older_than_a_day_are_deleted),
        TEST(a_clock_that_is_set_back_is_told_and_breaks_no_sequence),
        TEST(replies_outlive_a_clock_that_is_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
