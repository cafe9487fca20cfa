/* A store that stands still makes the service not ready, in a bounded time, and it comes back by
 * itself; one that is only busy does not. */
#include "tests/unit/shard_support.h"

static void advance_in_looks(fixture_t *fixture, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LIMIT_DIRECTORY_POLL_MS) {
        advance(fixture, LIMIT_DIRECTORY_POLL_MS);
        settle(fixture);
    }
}

static uint8_t told(const fixture_t *fixture)
{
    return MESSAGE_HAS(credit, &fixture->credit, store) ? fixture->credit.store
                                                        : (uint8_t)store_state_answers;
}

static void store_that_ends_nothing_is_told_to_the_fronts_until_it_does(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uint32_t credits = fixture->credit_count;
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t asked = ask(fixture, &(ask_t){.tenant = "acme",
                                                 .type = request_type_card_validate,
                                                 .card = &card,
                                                 .gate = "north"});
    advance_in_looks(fixture, LIMIT_STORE_SILENT_MS - 2 * LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(fixture->credit_count, credits);
    advance_in_looks(fixture, 3 * LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(told(fixture), store_state_silent);
    assert_int_equal(fixture->credit_count, credits + 1); /* not with every look, but again: a */
    advance_in_looks(fixture, 60000);                     /* message may be lost */
    assert_int_equal(told(fixture), store_state_silent);
    assert_int_equal(fixture->credit_count, credits + 1 + 60000 / LIMIT_STORE_TELL_MS);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    advance_in_looks(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(told(fixture), store_state_answers);
    assert_non_null(answer_to(fixture, asked));
}

/* One tenant waits for a lock, another goes on. */
static void store_that_ends_something_counts_as_answering(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uuid_t other = issue_active(fixture, "m-2");
    fixture_crash(fixture); /* the cards have to be read again */
    assert_verdict(validate(fixture, &other), reason_valid);
    const uint32_t credits = fixture->credit_count;
    journal_fake_hold_loads(fixture->journal, true);
    (void)ask(fixture, &(ask_t){.tenant = "acme", .type = request_type_card_get, .card = &card});
    for (uint32_t i = 0; i < 20; i++) {
        advance_in_looks(fixture, LIMIT_STORE_SILENT_MS / 4);
        assert_verdict(validate(fixture, &other), reason_valid);
    }
    assert_int_equal(fixture->credit_count, credits);
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
}

static void idle_shard_accuses_nobody(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    const uint32_t credits = fixture->credit_count;
    advance_in_looks(fixture, 10 * (uint64_t)LIMIT_STORE_SILENT_MS);
    assert_int_equal(fixture->credit_count, credits);
}

static void control_store_that_stays_away_is_told_and_one_that_failed_once_is_not(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    const uint32_t credits = fixture->credit_count;
    control_fake_fail(fixture->control, RESULT_UNAVAILABLE);
    advance_in_looks(fixture, LIMIT_CONTROL_FAILING_MS / 2);
    control_fake_fail(fixture->control, RESULT_OK);
    advance_in_looks(fixture, LIMIT_CONTROL_FAILING_MS);
    assert_int_equal(fixture->credit_count, credits);
    control_fake_fail(fixture->control, RESULT_UNAVAILABLE);
    advance_in_looks(fixture, LIMIT_CONTROL_FAILING_MS + 2 * LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(told(fixture), store_state_unreadable);
    control_fake_fail(fixture->control, RESULT_OK);
    advance_in_looks(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(told(fixture), store_state_answers);
}

/* --- A full disk --- */

static void assert_full(fixture_t *fixture, const uuid_t *card)
{
    assert_error(validate(fixture, card), RESULT_STORE_FULL);
}

static void full_disk_is_told_though_nobody_asks_again_and_ends_by_itself(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uint32_t credits = fixture->credit_count;
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, UINT32_MAX);
    journal_fake_fail_opens(fixture->journal, RESULT_STORE_FULL, UINT32_MAX);
    assert_full(fixture, &card);
    advance_in_looks(fixture, LIMIT_STORE_FULL_MS / 2);
    assert_int_equal(fixture->credit_count, credits);
    advance_in_looks(fixture, LIMIT_STORE_FULL_MS);
    assert_int_equal(told(fixture), store_state_full);
    assert_true(fixture->credit_count > credits);
    assert_full(fixture, &card); /* who scans is told exactly, as before */
    advance_in_looks(fixture, 60000);
    assert_int_equal(told(fixture), store_state_full);
    journal_fake_fail_appends(fixture->journal, RESULT_OK, 0);
    journal_fake_fail_opens(fixture->journal, RESULT_OK, 0);
    /* The longest pause of the tenant, and as long as it has to go well. */
    advance_in_looks(fixture, LIMIT_BACKOFF_MS_MAX + LIMIT_STORE_TRY_MS + LIMIT_STORE_FULL_MS);
    assert_int_equal(told(fixture), store_state_answers);
    assert_verdict(validate(fixture, &card), reason_valid);
}

/* Each opening ends well, and each commit behind it does not. */
static void disk_with_room_for_openings_alone_is_full_as_long_as_commits_are_refused(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, UINT32_MAX);
    for (uint64_t passed = 0; passed < 4 * LIMIT_BACKOFF_MS_MAX; passed += 1000) {
        assert_full(fixture, &card);
        advance_in_looks(fixture, 1000);
    }
    assert_int_equal(told(fixture), store_state_full);
    journal_fake_fail_appends(fixture->journal, RESULT_OK, 0);
    advance_in_looks(fixture, LIMIT_BACKOFF_MS_MAX);
    assert_verdict(validate(fixture, &card), reason_valid);
    advance_in_looks(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(told(fixture), store_state_answers); /* a commit that ends well says it */
}

static void one_tenant_without_room_takes_nobody_elses_service_away(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uint32_t credits = fixture->credit_count;
    for (uint32_t i = 0; i < 20; i++) {
        journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, 1);
        assert_full(fixture, &card);
        advance_in_looks(fixture, LIMIT_BACKOFF_MS_MAX);
        assert_verdict(validate(fixture, &card), reason_valid);
    }
    assert_int_equal(fixture->credit_count, credits);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(store_that_ends_nothing_is_told_to_the_fronts_until_it_does),
        TEST(store_that_ends_something_counts_as_answering),
        TEST(idle_shard_accuses_nobody),
        TEST(full_disk_is_told_though_nobody_asks_again_and_ends_by_itself),
        TEST(disk_with_room_for_openings_alone_is_full_as_long_as_commits_are_refused),
        TEST(one_tenant_without_room_takes_nobody_elses_service_away),
        TEST(control_store_that_stays_away_is_told_and_one_that_failed_once_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
