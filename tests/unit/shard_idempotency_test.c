/* One effect for each (tenant, key), and each repeat gets the first reply (DESIGN invariant 3). */
#include "tests/unit/shard_support.h"

#include <string.h>

static void assert_same_reply(const answer_t *first, const answer_t *repeat)
{
    assert_int_equal(first->reply.outcome, repeat->reply.outcome);
    assert_int_equal(first->reply.present, repeat->reply.present);
    assert_int_equal(first->reply.version, repeat->reply.version);
    assert_int_equal(first->reply.body.size, repeat->reply.body.size);
    if (first->reply.body.size > 0) {
        assert_memory_equal(first->reply.body.data, repeat->reply.body.data,
                            first->reply.body.size);
    }
}

static const ask_t issue_once = {.type = request_type_card_issue,
                                 .member_id = "m-1",
                                 .holder_name = "Ada Lovelace",
                                 .key = "k-1",
                                 .activate = true};

static void repeat_gets_the_first_reply_and_has_no_effect(void **state)
{
    fixture_t *const fixture = *state;
    const uint64_t first = ask(fixture, &issue_once);
    settle(fixture);
    const size_t events = journal_fake_numbers(fixture->journal, "acme").events;
    wall_set(START + 1000);
    const uint64_t repeat = ask(fixture, &issue_once);
    settle(fixture);
    assert_same_reply(answer_to(fixture, first), answer_to(fixture, repeat));
    assert_true(answer_to(fixture, repeat)->reply.created);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, events);
    assert_int_equal(metric_number(fixture, "digitalcard_idempotent_repeats_total"), 1);
    assert_int_equal(status_number(fixture, "\"card\"", "active"), 1);
}

static void repeat_after_a_restart_gets_the_first_reply(void **state)
{
    fixture_t *const fixture = *state;
    const uint64_t first = ask(fixture, &issue_once);
    settle(fixture);
    fixture_crash(fixture);
    const uint64_t repeat = ask(fixture, &issue_once);
    settle(fixture);
    assert_same_reply(answer_to(fixture, first), answer_to(fixture, repeat));
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2);
}

static void what_a_crash_took_is_done_by_the_repeat(void **state)
{
    fixture_t *const fixture = *state;
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t first = ask(fixture, &issue_once);
    settle(fixture);
    fixture_crash(fixture);
    assert_error(answer_to(fixture, first), RESULT_STORE_UNAVAILABLE);
    journal_fake_hold_appends(fixture->journal, false);
    const answer_t *const repeat = ask_now(fixture, &issue_once);
    assert_int_equal(repeat->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2);
}

static void same_key_for_another_request_is_refused(void **state)
{
    fixture_t *const fixture = *state;
    (void)ask_now(fixture, &issue_once);
    ask_t other = issue_once;
    other.hash = "b";
    assert_error(ask_now(fixture, &other), RESULT_KEY_REUSED);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2);
}

static void repeats_while_the_first_is_in_flight_are_told(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t validation = {.type = request_type_card_validate, .card = &card, .key = "k-1"};
    ask_t other = validation;
    other.hash = "b";
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t first = ask(fixture, &validation);
    settle(fixture);
    assert_error(ask_now(fixture, &validation), RESULT_KEY_IN_FLIGHT);
    assert_error(ask_now(fixture, &other), RESULT_KEY_IN_FLIGHT);
    assert_int_equal(status_number(fixture, "{", "keys_in_flight"), 1);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    const verdict_t verdict = answer_to(fixture, first)->verdict;
    assert_int_equal(status_number(fixture, "{", "keys_in_flight"), 0);
    const answer_t *const repeat = ask_now(fixture, &validation);
    assert_true(uuid_equal(&repeat->verdict.validation_id, &verdict.validation_id));
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 3);
}

/* The key is that of the first request, even while somebody else tries it. */
static void owner_of_a_key_is_not_refused_because_of_another_attempt(void **state)
{
    fixture_t *const fixture = *state;
    const answer_t *const first = ask_now(fixture, &issue_once);
    const uuid_t card = first->card.id;
    ask_t other = issue_once;
    other.hash = "b";
    journal_fake_hold_loads(fixture->journal, true);
    const uint64_t intruder = ask(fixture, &other);
    settle(fixture);
    assert_error(ask_now(fixture, &issue_once), RESULT_KEY_IN_FLIGHT);
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
    assert_error(answer_to(fixture, intruder), RESULT_KEY_REUSED);
    assert_true(uuid_equal(&ask_now(fixture, &issue_once)->card.id, &card));
}

static void repeats_before_the_tenant_is_open_are_told(void **state)
{
    fixture_t *const fixture = *state;
    const uint64_t first = ask(fixture, &issue_once);
    const uint64_t second = ask(fixture, &issue_once);
    settle(fixture);
    assert_int_equal(answer_to(fixture, first)->reply.outcome, outcome_ok);
    assert_error(answer_to(fixture, second), RESULT_KEY_IN_FLIGHT);
}

static void refusals_and_unknown_cards_are_repeated_too(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t refused = {.type = request_type_card_activate, .card = &card, .key = "k-refused"};
    const uint64_t first = ask(fixture, &refused);
    settle(fixture);
    assert_refused(answer_to(fixture, first), reason_already_active);
    (void)change(fixture, request_type_card_suspend, &card);
    const uint64_t repeat = ask(fixture, &refused);
    settle(fixture);
    assert_same_reply(answer_to(fixture, first), answer_to(fixture, repeat));

    uuid_t unknown = card;
    unknown.bytes[15] ^= 1;
    const ask_t missing = {.type = request_type_card_revoke, .card = &unknown, .key = "k-404"};
    assert_error(ask_now(fixture, &missing), RESULT_CARD_NOT_FOUND);
    assert_error(ask_now(fixture, &missing), RESULT_CARD_NOT_FOUND);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 2);
    assert_int_equal(metric_number(fixture, "digitalcard_idempotent_repeats_total"), 2);
    const ask_t dates = {.type = request_type_card_issue,
                         .member_id = "m-1",
                         .expires_at = START - 1,
                         .key = "k-dates"};
    assert_error(ask_now(fixture, &dates), RESULT_INVALID_DATES);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 3);
}

static void verdicts_without_a_card_are_repeated_too(void **state)
{
    fixture_t *const fixture = *state;
    const ask_t scan = {.type = request_type_card_scan, .qr = "rubbish", .key = "k-1"};
    const uint64_t first = ask(fixture, &scan);
    settle(fixture);
    const uint64_t repeat = ask(fixture, &scan);
    settle(fixture);
    assert_verdict(answer_to(fixture, first), reason_bad_signature);
    assert_same_reply(answer_to(fixture, first), answer_to(fixture, repeat));
    assert_true(uuid_equal(&answer_to(fixture, first)->verdict.validation_id,
                           &answer_to(fixture, repeat)->verdict.validation_id));
}

static void unusable_requests_and_lost_ones_are_not_kept(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t unusable = {
        .type = request_type_card_revoke, .card = &card, .expires_at = END, .key = "k-1"};
    assert_error(ask_now(fixture, &unusable), RESULT_INVALID_BODY);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 0);
    const ask_t usable = {.type = request_type_card_revoke, .card = &card, .key = "k-1"};
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, 1);
    assert_error(ask_now(fixture, &usable), RESULT_STORE_FULL);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 0);
    advance(fixture, 50);
    assert_int_equal(ask_now(fixture, &usable)->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 1);
}

static void failed_lookup_decides_nothing(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t revoke = {.type = request_type_card_revoke, .card = &card, .key = "k-1"};
    journal_fake_fail_loads(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    assert_error(ask_now(fixture, &revoke), RESULT_STORE_UNAVAILABLE);
    assert_int_equal(get(fixture, &card)->card.status, card_status_active);
    assert_int_equal(ask_now(fixture, &revoke)->card.status, card_status_revoked);
}

static void later_requests_do_not_overtake_one_that_looks_up_its_key(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_hold_loads(fixture->journal, true);
    const uint64_t revoke =
        ask(fixture, &(ask_t){.type = request_type_card_revoke, .card = &card, .key = "k-1"});
    const uint64_t after = send_validate(fixture, &card);
    const uint64_t keyed =
        ask(fixture, &(ask_t){.type = request_type_card_validate, .card = &card, .key = "k-2"});
    settle(fixture);
    assert_false(is_answered(fixture, after));
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
    assert_int_equal(answer_to(fixture, revoke)->card.status, card_status_revoked);
    assert_verdict(answer_to(fixture, after), reason_revoked);
    assert_verdict(answer_to(fixture, keyed), reason_revoked);
}

static void held_requests_end_when_the_store_fails(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uuid_t other = issue_active(fixture, "m-2");
    journal_fake_hold_loads(fixture->journal, true);
    const uint64_t keyed =
        ask(fixture, &(ask_t){.type = request_type_card_revoke, .card = &card, .key = "k-1"});
    const uint64_t after = send_validate(fixture, &card);
    settle(fixture);
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, 1);
    assert_error(validate(fixture, &other), RESULT_STORE_FULL);
    assert_error(answer_to(fixture, keyed), RESULT_STORE_FULL);
    assert_error(answer_to(fixture, after), RESULT_STORE_FULL);
    assert_true(journal_fake_numbers(fixture->journal, "acme").is_open); /* a read is under way */
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
    assert_false(journal_fake_numbers(fixture->journal, "acme").is_open);
    advance(fixture, 50);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void cold_card_and_key_are_read_in_one_go(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    fixture_crash(fixture);
    const size_t loads = journal_fake_numbers(fixture->journal, "acme").loads;
    const answer_t *const answer =
        ask_now(fixture, &(ask_t){.type = request_type_card_revoke, .card = &card, .key = "k-1"});
    assert_int_equal(answer->card.status, card_status_revoked);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").loads, loads + 1);
}

static void keys_of_two_tenants_are_two_keys(void **state)
{
    fixture_t *const fixture = *state;
    control_fake_add_tenant(fixture->control, "zeta", 1);
    journal_fake_add_tenant(fixture->journal, "zeta", 1);
    ask_t other = issue_once;
    other.tenant = "zeta";
    other.hash = "b";
    const uint64_t first = ask(fixture, &issue_once);
    const uint64_t second = ask(fixture, &other);
    settle(fixture);
    assert_text(answer_to(fixture, first)->card.tenant, "acme");
    assert_text(answer_to(fixture, second)->card.tenant, "zeta");
}

static void stored_replies_show_neither_name_nor_code(void **state)
{
    fixture_t *const fixture = *state;
    (void)ask_now(fixture, &issue_once);
    const text_t stored = journal_fake_reply(fixture->journal, "acme", 0);
    assert_true(stored.size > 100);
    assert_null(memmem(stored.data, stored.size, "Ada", 3));
    assert_null(memmem(stored.data, stored.size, "DC1:", 4));
}

static void reads_have_no_key(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t read = {.type = request_type_card_get, .card = &card, .key = "k-1"};
    (void)ask_now(fixture, &read);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").idempotency, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(repeat_gets_the_first_reply_and_has_no_effect),
        TEST(repeat_after_a_restart_gets_the_first_reply),
        TEST(what_a_crash_took_is_done_by_the_repeat),
        TEST(same_key_for_another_request_is_refused),
        TEST(repeats_while_the_first_is_in_flight_are_told),
        TEST(owner_of_a_key_is_not_refused_because_of_another_attempt),
        TEST(repeats_before_the_tenant_is_open_are_told),
        TEST(refusals_and_unknown_cards_are_repeated_too),
        TEST(verdicts_without_a_card_are_repeated_too),
        TEST(unusable_requests_and_lost_ones_are_not_kept),
        TEST(failed_lookup_decides_nothing),
        TEST(later_requests_do_not_overtake_one_that_looks_up_its_key),
        TEST(held_requests_end_when_the_store_fails),
        TEST(cold_card_and_key_are_read_in_one_go),
        TEST(keys_of_two_tenants_are_two_keys),
        TEST(stored_replies_show_neither_name_nor_code),
        TEST(reads_have_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
