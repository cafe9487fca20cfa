/* What each command does to a card and what its reply shows, seen from a front. */
#include "actors/domain/card_code.h"
#include "actors/domain/card_id.h"
#include "tests/unit/shard_support.h"

#include <stdio.h>

static void issue_answers_with_the_new_card(void **state)
{
    fixture_t *const fixture = *state;
    const answer_t *const answer = ask_now(fixture, &(ask_t){.type = request_type_card_issue,
                                                             .member_id = "m-1",
                                                             .holder_name = "Ada Lovelace",
                                                             .tier = "gold"});
    assert_int_equal(answer->reply.outcome, outcome_ok);
    assert_true(answer->reply.created);
    assert_true(uuid_equal(&answer->reply.card, &answer->card.id));
    assert_int_equal(answer->reply.version, 1);
    assert_int_equal(answer->card.version, 1);
    assert_int_equal(answer->card.status, card_status_issued);
    assert_text(answer->card.tenant, "acme");
    assert_text(answer->card.member_id, "m-1");
    assert_text(answer->card.holder_name, "Ada Lovelace");
    assert_text(answer->card.tier, "gold");
    assert_int_equal(answer->card.valid_from, START);
    assert_int_equal(answer->card.issued_at, START);
    assert_int_equal(answer->card.expires_at, END);
    assert_true(card_id_is_valid(&answer->card.id));
    assert_true(MESSAGE_HAS(card, &answer->card, qr));
    assert_text(answer->card.qr.kid, "1");
    card_code_t code;
    assert_true(card_code_parse(answer->card.qr.text, &code));
    assert_true(uuid_equal(&code.card, &answer->card.id));
}

static void issue_with_activate_makes_two_events_and_an_active_card(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2);
    const event_t *const issued = journal_fake_event(fixture->journal, "acme", 0);
    const event_t *const activated = journal_fake_event(fixture->journal, "acme", 1);
    assert_int_equal(issued->name, event_name_card_issued);
    assert_int_equal(issued->sequence, 1);
    assert_int_equal(issued->card_sequence, 1);
    assert_int_equal(issued->version, 1);
    assert_int_equal(activated->name, event_name_card_activated);
    assert_int_equal(activated->sequence, 2);
    assert_int_equal(activated->card_sequence, 2);
    assert_int_equal(activated->version, 2);
    assert_true(uuid_equal(&activated->card, &card));
    assert_text(issued->traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_text(issued->data.subject, "desk-1");
    assert_int_equal(fixture->event_count, 2);
    assert_int_equal(fixture->events[1].sequence, 2);
}

static void names_are_sealed_in_the_journal_and_open_after_a_restart(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const event_t *const issued = journal_fake_event(fixture->journal, "acme", 0);
    assert_int_equal(issued->data.sealed_name.size, sizeof("Ada Lovelace") - 1 + 40);
    assert_null(memmem(issued->data.sealed_name.data, issued->data.sealed_name.size, "Ada", 3));
    fixture_crash(fixture);
    assert_text(get(fixture, &card)->card.holder_name, "Ada Lovelace");
}

static void card_without_a_name_needs_no_member_key(void **state)
{
    fixture_t *const fixture = *state;
    const answer_t *const answer = ask_now(
        fixture, &(ask_t){.type = request_type_card_issue, .member_id = "m-1", .activate = true});
    assert_int_equal(answer->reply.outcome, outcome_ok);
    assert_false(MESSAGE_HAS(card, &answer->card, holder_name));
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").member_keys, 0);
}

static void two_cards_of_a_member_share_one_key(void **state)
{
    fixture_t *const fixture = *state;
    const ask_t issue = {
        .type = request_type_card_issue, .member_id = "m-1", .holder_name = "Ada Lovelace"};
    const uint64_t first = ask(fixture, &issue);
    const uint64_t second = ask(fixture, &issue);
    settle(fixture);
    const uuid_t cards[] = {answer_to(fixture, first)->card.id,
                            answer_to(fixture, second)->card.id};
    assert_false(uuid_equal(&cards[0], &cards[1]));
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").member_keys, 1);
    fixture_crash(fixture);
    const answer_t *const third = ask_now(fixture, &issue);
    assert_int_equal(third->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").member_keys, 1);
    fixture_crash(fixture);
    assert_text(get(fixture, &cards[0])->card.holder_name, "Ada Lovelace");
    assert_text(get(fixture, &cards[1])->card.holder_name, "Ada Lovelace");
    assert_text(get(fixture, &third->card.id)->card.holder_name, "Ada Lovelace");
}

static void issue_refuses_bad_dates_and_leaves_nothing(void **state)
{
    fixture_t *const fixture = *state;
    const answer_t *const answer = ask_now(fixture, &(ask_t){.type = request_type_card_issue,
                                                             .member_id = "m-1",
                                                             .holder_name = "Ada",
                                                             .expires_at = START - 1});
    assert_error(answer, RESULT_INVALID_DATES);
    assert_text(answer->reply.field, "expires_at");
    const journal_fake_numbers_t numbers = journal_fake_numbers(fixture->journal, "acme");
    assert_int_equal(numbers.events, 0);
    assert_int_equal(numbers.member_keys, 0);
    assert_int_equal(status_number(fixture, "\"card\"", "active"), 0);
}

static void rules_are_not_implemented(void **state)
{
    fixture_t *const fixture = *state;
    const answer_t *const answer =
        ask_now(fixture, &(ask_t){.type = request_type_card_issue, .member_id = "m-1", .rules = 2});
    assert_error(answer, RESULT_NOT_IMPLEMENTED);
    assert_text(answer->reply.field, "rules");
}

static void life_of_a_card_shows_in_status_and_version(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const struct {
        uint8_t type;
        uint8_t status;
    } steps[] = {
        {request_type_card_suspend, card_status_suspended},
        {request_type_card_reinstate, card_status_active},
        {request_type_card_revoke, card_status_revoked},
    };
    uint64_t version = 2;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const answer_t *const answer = change(fixture, steps[i].type, &card);
        version++;
        assert_int_equal(answer->reply.outcome, outcome_ok);
        assert_int_equal(answer->card.status, steps[i].status);
        assert_int_equal(answer->card.version, version);
        assert_int_equal(answer->reply.version, version);
        assert_false(MESSAGE_HAS(reply, &answer->reply, created));
    }
    assert_refused(change(fixture, request_type_card_revoke, &card), reason_revoked);
    assert_int_equal(get(fixture, &card)->card.version, version);
    fixture_crash(fixture);
    assert_int_equal(get(fixture, &card)->card.version, version);
    assert_int_equal(get(fixture, &card)->card.status, card_status_revoked);
}

static void renew_moves_the_end_and_needs_one(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const answer_t *const without = change(fixture, request_type_card_renew, &card);
    assert_error(without, RESULT_INVALID_BODY);
    assert_text(without->reply.field, "expires_at");
    const answer_t *const renewed = ask_now(
        fixture,
        &(ask_t){.type = request_type_card_renew, .card = &card, .expires_at = END + DAY_MS});
    assert_int_equal(renewed->card.expires_at, END + DAY_MS);
    const answer_t *const shorter = ask_now(
        fixture, &(ask_t){.type = request_type_card_renew, .card = &card, .expires_at = END});
    assert_refused(shorter, reason_not_extended);
}

static void expires_at_is_refused_where_no_date_belongs(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uint8_t types[] = {request_type_card_activate, request_type_card_suspend,
                             request_type_card_reinstate, request_type_card_revoke};
    for (size_t i = 0; i < sizeof(types); i++) {
        const answer_t *const answer =
            ask_now(fixture, &(ask_t){.type = types[i], .card = &card, .expires_at = END});
        assert_error(answer, RESULT_INVALID_BODY);
        assert_text(answer->reply.field, "expires_at");
    }
}

static void replace_answers_with_the_new_card_in_one_batch(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const size_t batches = journal_fake_numbers(fixture->journal, "acme").batches;
    const answer_t *const answer = change(fixture, request_type_card_replace, &card);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").batches, batches + 1);
    assert_int_equal(answer->reply.outcome, outcome_ok);
    assert_false(MESSAGE_HAS(reply, &answer->reply, created));
    assert_false(uuid_equal(&answer->card.id, &card));
    assert_true(uuid_equal(&answer->card.id, &answer->reply.card));
    assert_true(uuid_equal(&answer->card.replaces, &card));
    assert_int_equal(answer->card.status, card_status_active);
    assert_text(answer->card.holder_name, "Ada Lovelace");
    const uuid_t next = answer->card.id;
    const uint64_t version = answer->reply.version;
    assert_verdict(validate(fixture, &card), reason_replaced);
    assert_verdict(validate(fixture, &next), reason_valid);
    fixture_crash(fixture);
    const answer_t *const read = get(fixture, &next);
    assert_text(read->card.holder_name, "Ada Lovelace");
    assert_int_equal(read->card.version, version);
    assert_true(uuid_equal(&get(fixture, &card)->card.replaced_by, &next));
}

static void validation_answers_with_a_verdict_and_an_event(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const answer_t *const answer = ask_now(fixture, &(ask_t){.type = request_type_card_validate,
                                                             .card = &card,
                                                             .gate = "south",
                                                             .at = START - 500});
    assert_verdict(answer, reason_valid);
    assert_int_equal(answer->verdict.sequence, 3);
    assert_int_equal(answer->verdict.at, START - 500);
    assert_int_equal(answer->verdict.recorded_at, START);
    assert_false(answer->verdict.fallback);
    assert_true(MESSAGE_HAS(verdict, &answer->verdict, card));
    assert_text(answer->verdict.card.holder_name, "Ada Lovelace");
    assert_false(MESSAGE_HAS(card, &answer->verdict.card, qr));
    const event_t *const event = journal_fake_event(fixture->journal, "acme", 2);
    assert_int_equal(event->name, event_name_card_validated);
    assert_true(uuid_equal(&event->event_id, &answer->verdict.validation_id));
    assert_text(event->data.gate, "south");
    assert_int_equal(event->version, 2);
    assert_int_equal(metric_number(fixture, "digitalcard_verdicts_total{role=\"shard-0\",reason="
                                            "\"valid\""),
                     1);
}

static void refused_validations_are_events_too(void **state)
{
    fixture_t *const fixture = *state;
    const answer_t *const issued =
        ask_now(fixture, &(ask_t){.type = request_type_card_issue, .member_id = "m-1"});
    const uuid_t card = issued->card.id;
    const answer_t *const answer = validate(fixture, &card);
    assert_verdict(answer, reason_not_active);
    assert_int_equal(answer->verdict.sequence, 2);
    const event_t *const event = journal_fake_event(fixture->journal, "acme", 1);
    assert_int_equal(event->name, event_name_card_validation_refused);
    assert_int_equal(event->data.refused_as, reason_not_active);
}

static void expiry_by_the_clock_is_recorded_with_the_next_command(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    wall_set(END);
    assert_int_equal(get(fixture, &card)->card.status, card_status_expired);
    assert_int_equal(get(fixture, &card)->card.version, 3);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2);
    const answer_t *const answer = validate(fixture, &card);
    assert_verdict(answer, reason_expired);
    assert_int_equal(answer->verdict.sequence, 4);
    const event_t *const expired = journal_fake_event(fixture->journal, "acme", 2);
    assert_int_equal(expired->name, event_name_card_expired);
    const event_t *const refused = journal_fake_event(fixture->journal, "acme", 3);
    assert_true(uuid_equal(&refused->event_id, &answer->verdict.validation_id));
    assert_int_equal(get(fixture, &card)->card.version, 3);
}

static void auditors_see_no_code(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const answer_t *const answer = ask_now(
        fixture, &(ask_t){.type = request_type_card_get, .card = &card, .role = role_auditor});
    assert_false(MESSAGE_HAS(card, &answer->card, qr));
    assert_true(MESSAGE_HAS(card, &get(fixture, &card)->card, qr));
}

static void members_see_only_their_own_card(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t own = {
        .type = request_type_card_get, .card = &card, .role = role_member, .subject = "m-1"};
    assert_int_equal(ask_now(fixture, &own)->reply.outcome, outcome_ok);
    ask_t other = own;
    other.subject = "m-2";
    assert_error(ask_now(fixture, &other), RESULT_CARD_NOT_FOUND);
}

static void changes_happen_only_at_the_version_they_name(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    ask_t suspend = {.type = request_type_card_suspend,
                     .card = &card,
                     .has_condition = true,
                     .if_version = 1,
                     .key = "k-stale"};
    const size_t events = journal_fake_numbers(fixture->journal, "acme").events;
    assert_error(ask_now(fixture, &suspend), RESULT_PRECONDITION_FAILED);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, events);
    assert_int_equal(get(fixture, &card)->card.status, card_status_active);
    /* What no card has; and the right one. */
    suspend.key = NULL;
    suspend.if_version = 0;
    assert_error(ask_now(fixture, &suspend), RESULT_PRECONDITION_FAILED);
    suspend.if_version = 2;
    const answer_t *const done = ask_now(fixture, &suspend);
    assert_int_equal(done->reply.outcome, outcome_ok);
    assert_int_equal(done->card.version, 3);
    /* A version that fits does not make allowed what the state refuses. */
    suspend.if_version = 3;
    assert_refused(ask_now(fixture, &suspend), reason_suspended);
    /* The repeat of the first gets the first answer, also after a crash. */
    fixture_crash(fixture);
    suspend.key = "k-stale";
    suspend.if_version = 1;
    assert_error(ask_now(fixture, &suspend), RESULT_PRECONDITION_FAILED);
    const uuid_t other = {{1, 2, 3}};
    suspend = (ask_t){.type = request_type_card_suspend, .card = &other, .has_condition = true};
    assert_error(ask_now(fixture, &suspend), RESULT_CARD_NOT_FOUND);
}

/* Nothing is durable yet when the second is decided. */
static void of_two_changes_at_one_version_one_happens(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t suspend = {
        .type = request_type_card_suspend, .card = &card, .has_condition = true, .if_version = 2};
    ask_t revoke = suspend;
    revoke.type = request_type_card_revoke;
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t first = ask(fixture, &suspend);
    const uint64_t second = ask(fixture, &revoke);
    settle(fixture);
    assert_false(is_answered(fixture, second));
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_int_equal(answer_to(fixture, first)->reply.outcome, outcome_ok);
    assert_error(answer_to(fixture, second), RESULT_PRECONDITION_FAILED);
    assert_int_equal(get(fixture, &card)->card.status, card_status_suspended);
}

static uint64_t dead_letters(const fixture_t *fixture, const char *reason)
{
    char series[128];
    (void)snprintf(series, sizeof series,
                   "digitalcard_dead_letters_total{role=\"shard-0\",reason=\"%s\"}", reason);
    return metric_number(fixture, series);
}

static void requests_past_their_deadline_do_nothing(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const answer_t *const answer = ask_now(
        fixture,
        &(ask_t){.type = request_type_card_revoke, .card = &card, .deadline_ms = UINT32_MAX});
    assert_error(answer, RESULT_DEADLINE_EXCEEDED);
    assert_int_equal(get(fixture, &card)->card.status, card_status_active);
    assert_int_equal(dead_letters(fixture, "deadline"), 1);
}

/* After a restart many cards wait for their turn to be read: not those nobody waits for any more.
 */
static void nothing_is_read_for_a_request_past_its_deadline(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t first = issue_active(fixture, "m-1");
    const uuid_t second = issue_active(fixture, "m-2");
    fixture->options.activations_max = 1;
    fixture_crash(fixture);
    const ask_t warm = {.type = request_type_card_scan, .qr = "x"};
    (void)ask_now(fixture, &warm); /* opens the tenant */
    journal_fake_hold_loads(fixture->journal, true);
    const uint64_t read = ask(fixture, &(ask_t){.type = request_type_card_get, .card = &first});
    settle(fixture);
    const uint64_t late =
        ask(fixture, &(ask_t){.type = request_type_card_get, .card = &second, .deadline_ms = 1000});
    const uint64_t late_keyed =
        ask(fixture,
            &(ask_t){
                .type = request_type_card_revoke, .card = &first, .key = "k", .deadline_ms = 1000});
    settle(fixture);
    advance(fixture, 2000);
    const size_t loads = journal_fake_numbers(fixture->journal, "acme").loads;
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
    assert_int_equal(answer_to(fixture, read)->reply.outcome, outcome_ok);
    assert_error(answer_to(fixture, late), RESULT_DEADLINE_EXCEEDED);
    assert_error(answer_to(fixture, late_keyed), RESULT_DEADLINE_EXCEEDED);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").loads, loads);
    assert_int_equal(dead_letters(fixture, "deadline"), 2);
    assert_int_equal(dead_letters(fixture, "undeliverable"), 0);
    assert_int_equal(get(fixture, &second)->card.status, card_status_active);
    assert_int_equal(status_number(fixture, "\"tenants\"", "loads_in_flight"), 0);
}

static void what_waits_for_a_card_that_cannot_be_read_is_counted(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    fixture_crash(fixture);
    journal_fake_fail_loads(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    assert_error(get(fixture, &card), RESULT_STORE_UNAVAILABLE);
    assert_int_equal(dead_letters(fixture, "undeliverable"), 1);
}

static void rubbish_is_counted_and_dropped(void **state)
{
    fixture_t *const fixture = *state;
    const uint8_t rubbish[] = {0xc1, 0xff, 0x00};
    shard_receive(fixture->shard, 1, rubbish, sizeof(rubbish));
    shard_receive(fixture->shard, 1, rubbish, 0);
    const uint8_t empty[] = {0x80};
    shard_receive(fixture->shard, 1, empty, sizeof(empty));
    settle(fixture);
    assert_int_equal(fixture->answer_count, 0);
    assert_int_equal(metric_number(fixture, "digitalcard_envelopes_malformed_total"), 3);
}

static void requests_for_the_relay_are_refused(void **state)
{
    fixture_t *const fixture = *state;
    const answer_t *const answer = ask_now(fixture, &(ask_t){.type = request_type_card_list});
    assert_error(answer, RESULT_UNKNOWN_TYPE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(issue_answers_with_the_new_card),
        TEST(issue_with_activate_makes_two_events_and_an_active_card),
        TEST(names_are_sealed_in_the_journal_and_open_after_a_restart),
        TEST(card_without_a_name_needs_no_member_key),
        TEST(two_cards_of_a_member_share_one_key),
        TEST(issue_refuses_bad_dates_and_leaves_nothing),
        TEST(rules_are_not_implemented),
        TEST(life_of_a_card_shows_in_status_and_version),
        TEST(renew_moves_the_end_and_needs_one),
        TEST(expires_at_is_refused_where_no_date_belongs),
        TEST(replace_answers_with_the_new_card_in_one_batch),
        TEST(validation_answers_with_a_verdict_and_an_event),
        TEST(refused_validations_are_events_too),
        TEST(expiry_by_the_clock_is_recorded_with_the_next_command),
        TEST(auditors_see_no_code),
        TEST(members_see_only_their_own_card),
        TEST(changes_happen_only_at_the_version_they_name),
        TEST(of_two_changes_at_one_version_one_happens),
        TEST(requests_past_their_deadline_do_nothing),
        TEST(nothing_is_read_for_a_request_past_its_deadline),
        TEST(what_waits_for_a_card_that_cannot_be_read_is_counted),
        TEST(rubbish_is_counted_and_dropped),
        TEST(requests_for_the_relay_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
