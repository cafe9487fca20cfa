/* Cards that leave the memory: with a tail worth it they store a snapshot first, through the
 * ordinary batch, and go once it is durable; not when the budget is used up. */
#include "tests/unit/shard_support.h"

#include "actors/shard/shard_internal.h"

enum { CARDS = 6 };

static uuid_t card_with_tail(fixture_t *fixture, uint32_t validations)
{
    const uuid_t card = issue_active(fixture, "m-1");
    for (uint32_t i = 0; i < validations; i++) {
        assert_verdict(validate(fixture, &card), reason_valid);
    }
    return card;
}

static uint64_t stored_sequence(const fixture_t *fixture, const uuid_t *card)
{
    const size_t count = journal_fake_numbers(fixture->journal, "acme").snapshots;
    for (size_t i = 0; i < count; i++) {
        const journal_snapshot_t *const snapshot =
            journal_fake_snapshot(fixture->journal, "acme", i);
        if (uuid_equal(&snapshot->card, card)) {
            return snapshot->card_sequence;
        }
    }
    return 0;
}

/* Makes the budget so small that what is active is more than comfortable, or more than all of it.
 */
static void leave_room(const fixture_t *fixture, bool is_pressing)
{
    const uint64_t bytes = actor_system_bytes(fixture->shard->system);
    actor_system_configure(
        fixture->shard->system,
        &(actor_system_options_t){.bytes_max = is_pressing ? bytes / 2 : bytes + bytes / 64});
}

static uint64_t passivations(const fixture_t *fixture)
{
    return status_number(fixture, "\"card\"", "passivations");
}

static void a_card_with_a_tail_leaves_a_snapshot_before_it_goes(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = card_with_tail(fixture, LIMIT_PASSIVATION_TAIL_EVENTS);
    assert_int_equal(stored_sequence(fixture, &card), 2);
    journal_fake_hold_appends(fixture->journal, true);
    leave_room(fixture, false);
    settle(fixture);
    assert_int_equal(passivations(fixture), 0); /* its snapshot is not durable yet */
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_int_equal(stored_sequence(fixture, &card), 2 + LIMIT_PASSIVATION_TAIL_EVENTS);
    assert_int_equal(metric_number(fixture, "digitalcard_passivation_snapshots_total"), 1);
    const uuid_t other = issue_active(fixture, "m-2"); /* a turn in which somebody has to go */
    settle(fixture);
    assert_true(passivations(fixture) > 0);
    assert_verdict(validate(fixture, &card), reason_valid);
    assert_verdict(validate(fixture, &other), reason_valid);
}

static void a_short_tail_is_not_worth_a_write(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = card_with_tail(fixture, LIMIT_PASSIVATION_TAIL_EVENTS - 1);
    leave_room(fixture, false);
    settle(fixture);
    assert_int_equal(passivations(fixture), 1);
    assert_int_equal(stored_sequence(fixture, &card), 2);
    assert_int_equal(metric_number(fixture, "digitalcard_passivation_snapshots_total"), 0);
}

static void nothing_is_written_when_the_budget_is_used_up(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = card_with_tail(fixture, LIMIT_PASSIVATION_TAIL_EVENTS + 3);
    leave_room(fixture, true);
    settle(fixture);
    assert_int_equal(passivations(fixture), 1);
    assert_int_equal(stored_sequence(fixture, &card), 2);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void a_failed_snapshot_loses_nothing(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = card_with_tail(fixture, LIMIT_PASSIVATION_TAIL_EVENTS);
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    leave_room(fixture, false);
    settle(fixture);
    assert_int_equal(stored_sequence(fixture, &card), 2);
    actor_system_configure(fixture->shard->system, &(actor_system_options_t){0});
    advance(fixture, 1000);
    const answer_t *const answer = validate(fixture, &card);
    assert_verdict(answer, reason_valid);
    assert_int_equal(answer->verdict.sequence, 3 + LIMIT_PASSIVATION_TAIL_EVENTS);
}

static void a_drain_leaves_snapshots_of_long_tails(void **state)
{
    fixture_t *const fixture = *state;
    uuid_t cards[CARDS];
    for (size_t i = 0; i < CARDS; i++) {
        cards[i] = card_with_tail(fixture, i == 0 ? 1 : LIMIT_PASSIVATION_TAIL_EVENTS);
    }
    fixture_drain(fixture);
    advance(fixture, 10);
    assert_true(fixture->is_drained);
    assert_int_equal(stored_sequence(fixture, &cards[0]), 2);
    for (size_t i = 1; i < CARDS; i++) {
        assert_int_equal(stored_sequence(fixture, &cards[i]), 2 + LIMIT_PASSIVATION_TAIL_EVENTS);
    }
}

/* A stampede after a restart is a queue: no more are loaded at once than the setting says. */
static void no_more_cards_are_loaded_at_once_than_set(void **state)
{
    fixture_t *const fixture = *state;
    uuid_t cards[CARDS];
    uint64_t asked[CARDS];
    for (size_t i = 0; i < CARDS; i++) {
        cards[i] = issue_active(fixture, "m-1");
    }
    fixture->options.activations_max = 2;
    fixture_crash(fixture);
    const ask_t warm = {.type = request_type_card_scan, .qr = "x"};
    (void)ask_now(fixture, &warm); /* opens the tenant */
    journal_fake_hold_loads(fixture->journal, true);
    for (size_t i = 0; i < CARDS; i++) {
        asked[i] = ask(fixture, &(ask_t){.type = request_type_card_get, .card = &cards[i]});
    }
    settle(fixture);
    assert_int_equal(status_number(fixture, "\"tenants\"", "loads_in_flight"), 2);
    assert_int_equal(status_number(fixture, "\"actor_bytes\"", "activations_max"), 2);
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
    for (size_t i = 0; i < CARDS; i++) {
        assert_int_equal(answer_to(fixture, asked[i])->reply.outcome, outcome_ok);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_card_with_a_tail_leaves_a_snapshot_before_it_goes),
        TEST(a_short_tail_is_not_worth_a_write),
        TEST(nothing_is_written_when_the_budget_is_used_up),
        TEST(a_failed_snapshot_loses_nothing),
        TEST(a_drain_leaves_snapshots_of_long_tails),
        TEST(no_more_cards_are_loaded_at_once_than_set),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
