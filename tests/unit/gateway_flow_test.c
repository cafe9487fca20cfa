/* Requests in flight: replies, deadlines, shards that die and come back, drain. */
#include "actors/domain/card_id.h"
#include "runtime/clock.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/gateway_support.h"
#include <stdio.h>

static uint32_t shard_of_acme(void)
{
    return placement_shard(TEXT_LITERAL("acme"), SHARDS);
}

static void down(gateway_fixture_t *fixture)
{
    gateway_peer_down(fixture->gateway, GATEWAY_SHARD, shard_of_acme());
}

static void up(gateway_fixture_t *fixture)
{
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, shard_of_acme());
}

static uint64_t submit_issue(gateway_fixture_t *fixture, const char *key)
{
    gateway_request_t request = gateway_issue_request("acme", "issuer@acme");
    request.key = text_from_c(key);
    return gateway_submit_to(fixture, &request);
}

static uint64_t submit_get(gateway_fixture_t *fixture)
{
    const gateway_request_t request = gateway_get_request("acme", "issuer@acme");
    return gateway_submit_to(fixture, &request);
}

static void reply_reaches_its_request(void **state)
{
    gateway_fixture_t *fixture = *state;
    assert_int_not_equal(submit_issue(fixture, ""), 0);
    gateway_reply_ok(fixture, &gateway_last_sent(fixture)->request);
    const ended_t *ended = gateway_last_ended(fixture);
    assert_int_equal(ended->result, RESULT_OK);
    assert_ptr_equal(ended->document_type, &card_message);
    assert_int_equal(ended->card.version, 7);
    assert_true(ended->created);
    assert_true(ended->has_card);
    assert_int_equal(ended->version, 7);
    assert_string_equal(ended->trace_id, "11223344556677889900aabbccddeeff");
    assert_int_equal(ended->retry_after_s, 0);
    assert_int_equal(fixture->gateway->in_flight_count, 0);
}

static void full_page_is_decoded(void **state)
{
    gateway_fixture_t *fixture = *state;
    const gateway_request_t request = gateway_list_request("acme", "auditor@acme");
    (void)gateway_submit_to(fixture, &request);
    gateway_reply_ok(fixture, &gateway_last_sent(fixture)->request);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OK);
    assert_int_equal(gateway_last_ended(fixture)->page_items, 500);
}

static void refusal_carries_its_reason(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    gateway_reply_refused(fixture, &gateway_last_sent(fixture)->request, reason_revoked);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_REFUSED);
    assert_int_equal(gateway_last_ended(fixture)->reason, reason_revoked);
    assert_string_equal(gateway_last_ended(fixture)->detail, "The card was revoked.");
}

static void unknown_error_numbers_become_internal_errors(void **state)
{
    gateway_fixture_t *fixture = *state;
    static const uint64_t errors[] = {0, 9999, 65535};
    for (size_t i = 0; i < 3; i++) {
        (void)submit_issue(fixture, "");
        gateway_reply_error(fixture, &gateway_last_sent(fixture)->request, errors[i]);
        assert_int_equal(gateway_last_ended(fixture)->result, RESULT_INTERNAL);
    }
    (void)submit_issue(fixture, "");
    gateway_reply_error(fixture, &gateway_last_sent(fixture)->request, RESULT_STORE_FULL);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_STORE_FULL);
    assert_int_equal(gateway_last_ended(fixture)->retry_after_s, 1);
}

static void undecodable_document_is_an_internal_error(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    reply_t reply = {0};
    MESSAGE_SET(reply, &reply, correlation, gateway_last_sent(fixture)->request.correlation);
    MESSAGE_SET(reply, &reply, outcome, outcome_ok);
    MESSAGE_SET(reply, &reply, trace_id, TEXT_LITERAL("11223344556677889900aabbccddeeff"));
    MESSAGE_SET(reply, &reply, body, TEXT_LITERAL("nonsense"));
    gateway_reply_with(fixture, &reply);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_INTERNAL);
    gateway_receive(fixture->gateway, (const uint8_t *)"\xc1", 1);
    gateway_receive(fixture->gateway, (const uint8_t *)"\x80", 1);
    assert_int_equal(gateway_counter(fixture, "digitalcard_replies_undecodable_total"), 3);
}

static void late_reply_to_an_older_use_of_a_slot_is_ignored(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    const request_t first = gateway_last_sent(fixture)->request;
    gateway_reply_ok(fixture, &first);
    (void)submit_issue(fixture, "");
    const request_t second = gateway_last_sent(fixture)->request;
    assert_int_equal(first.correlation & 0xffff, second.correlation & 0xffff);
    gateway_reply_ok(fixture, &first);
    assert_int_equal(fixture->ended_count, 1);
    assert_int_equal(gateway_counter(fixture, "digitalcard_replies_late_total"), 1);
    gateway_reply_ok(fixture, &second);
    gateway_reply_ok(fixture, &second);
    assert_int_equal(fixture->ended_count, 2);
    assert_int_equal(gateway_counter(fixture, "digitalcard_replies_late_total"), 2);
}

static void what_may_be_repeated_goes_to_the_successor_in_order(void **state)
{
    gateway_fixture_t *fixture = *state;
    assert_int_not_equal(submit_issue(fixture, "key-1"), 0);
    assert_int_not_equal(submit_get(fixture), 0);
    assert_int_not_equal(submit_issue(fixture, "key-2"), 0);
    uint64_t correlations[3];
    for (size_t i = 0; i < 3; i++) {
        correlations[i] = fixture->sent[i].request.correlation;
    }
    down(fixture);
    loop_fake_advance(1000);
    assert_int_equal(fixture->ended_count, 0);
    assert_int_equal(fixture->sent_count, 3);
    up(fixture);
    assert_int_equal(fixture->sent_count, 6);
    for (size_t i = 0; i < 3; i++) {
        const request_t *again = &fixture->sent[3 + i].request;
        assert_int_equal(again->correlation, correlations[i]);
        assert_int_equal(again->deadline_ms, LIMIT_REQUEST_DEADLINE_MS - 1000);
        assert_true(text_equal(again->body, fixture->sent[i].request.body));
        assert_true(text_equal(again->key, fixture->sent[i].request.key));
        assert_true(text_equal(again->key_hash, fixture->sent[i].request.key_hash));
        gateway_reply_ok(fixture, again);
    }
    assert_int_equal(fixture->ended_count, 3);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OK);
    assert_int_equal(gateway_counter(fixture, "digitalcard_requests_resent_total"), 3);
}

static void command_without_a_key_ends_at_once_when_its_shard_dies(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    const gateway_request_t validate = gateway_validate_request("acme", "validator@acme");
    (void)gateway_submit_to(fixture, &validate);
    down(fixture);
    assert_int_equal(fixture->ended_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture->ended[i].result, RESULT_OUTCOME_UNKNOWN);
        assert_int_equal(fixture->ended[i].retry_after_s, 1);
        assert_int_equal(strlen(fixture->ended[i].trace_id), 32);
    }
    assert_int_equal(gateway_counter(fixture, "digitalcard_requests_outcome_unknown_total"), 2);
    up(fixture);
    assert_int_equal(fixture->sent_count, 2);
}

static void only_requests_of_the_shard_that_died_are_touched(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    gateway_peer_down(fixture->gateway, GATEWAY_SHARD, 1 - shard_of_acme());
    gateway_peer_down(fixture->gateway, GATEWAY_RELAY, 0);
    assert_int_equal(fixture->ended_count, 0);
}

static void what_was_never_sent_waits_for_the_shard(void **state)
{
    gateway_fixture_t *fixture = *state;
    down(fixture);
    assert_int_not_equal(submit_issue(fixture, ""), 0);
    assert_int_equal(fixture->sent_count, 0);
    loop_fake_advance(300);
    up(fixture);
    assert_int_equal(fixture->sent_count, 1);
    assert_int_equal(gateway_last_sent(fixture)->request.deadline_ms,
                     LIMIT_REQUEST_DEADLINE_MS - 300);
    assert_int_equal(gateway_counter(fixture, "digitalcard_requests_resent_total"), 0);
    gateway_reply_ok(fixture, &gateway_last_sent(fixture)->request);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OK);
}

static void draining_shard_gets_no_new_requests(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    gateway_peer_draining(fixture->gateway, GATEWAY_SHARD, shard_of_acme());
    (void)submit_issue(fixture, "");
    assert_int_equal(fixture->sent_count, 1);
    gateway_reply_ok(fixture, &fixture->sent[0].request);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OK);
    down(fixture);
    assert_int_equal(fixture->ended_count, 1);
    up(fixture);
    assert_int_equal(fixture->sent_count, 2);
}

static void request_that_met_a_draining_shard_goes_to_its_successor(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    gateway_reply_error(fixture, &gateway_last_sent(fixture)->request, RESULT_DRAINING);
    assert_int_equal(fixture->ended_count, 0);
    down(fixture); /* it was never begun: its outcome is known */
    assert_int_equal(fixture->ended_count, 0);
    up(fixture);
    assert_int_equal(fixture->sent_count, 2);
    gateway_reply_ok(fixture, &gateway_last_sent(fixture)->request);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OK);
}

static void peer_that_only_seemed_to_drain_is_tried_again(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    gateway_reply_error(fixture, &gateway_last_sent(fixture)->request, RESULT_DRAINING);
    (void)submit_issue(fixture, "");
    loop_fake_advance(LIMIT_DRAINING_HOLD_MS - 1);
    assert_int_equal(fixture->sent_count, 1);
    loop_fake_advance(1 + LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->sent_count, 3);
    assert_int_equal(fixture->sent[1].request.correlation, fixture->sent[0].request.correlation);
}

static void deadline_of_a_sent_command_leaves_the_outcome_open(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_issue_request("acme", "issuer@acme");
    request.deadline_ms = 200;
    (void)gateway_submit_to(fixture, &request);
    loop_fake_advance(199);
    assert_int_equal(fixture->ended_count, 0);
    loop_fake_advance(1 + 2 * LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->ended_count, 1);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OUTCOME_UNKNOWN);
    assert_non_null(strstr(gateway_last_ended(fixture)->detail, "200 ms"));
    gateway_reply_ok(fixture, &gateway_last_sent(fixture)->request);
    assert_int_equal(fixture->ended_count, 1);
}

static void deadline_of_what_had_no_effect_says_so(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_get(fixture);
    down(fixture);
    (void)submit_issue(fixture, "");
    loop_fake_advance(LIMIT_REQUEST_DEADLINE_MS + 2 * LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->ended_count, 2);
    assert_int_equal(fixture->ended[0].result, RESULT_DEADLINE_EXCEEDED);
    assert_int_equal(fixture->ended[1].result, RESULT_DEADLINE_EXCEEDED);
    assert_int_equal(gateway_counter(fixture, "digitalcard_requests_deadline_exceeded_total"), 2);
}

static void deadlines_are_clamped(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_issue_request("acme", "issuer@acme");
    request.deadline_ms = UINT32_MAX;
    (void)gateway_submit_to(fixture, &request);
    assert_int_equal(gateway_last_sent(fixture)->request.deadline_ms,
                     LIMIT_REQUEST_DEADLINE_MS_MAX);
}

static void deadlines_survive_a_stalled_loop(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_get(fixture);
    loop_fake_stall(600000);
    (void)submit_get(fixture);
    loop_fake_advance(2 * LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->ended_count, 1);
    loop_fake_advance(LIMIT_REQUEST_DEADLINE_MS);
    assert_int_equal(fixture->ended_count, 2);
}

static void cancelled_request_is_never_answered(void **state)
{
    gateway_fixture_t *fixture = *state;
    const uint64_t handle = submit_issue(fixture, "");
    gateway_cancel(fixture->gateway, handle);
    gateway_cancel(fixture->gateway, handle);
    gateway_cancel(fixture->gateway, 0);
    gateway_reply_ok(fixture, &gateway_last_sent(fixture)->request);
    down(fixture);
    loop_fake_advance(LIMIT_REQUEST_DEADLINE_MS * 2);
    assert_int_equal(fixture->ended_count, 0);
    assert_int_equal(fixture->gateway->in_flight_count, 0);
}

/* A reader of pages must neither fill the memory nor take the gates' places. */
static void pages_have_a_bound_of_their_own(void **state)
{
    gateway_fixture_t *fixture = *state;
    fixture->is_silent = true;
    const gateway_request_t page = gateway_list_request("acme", "auditor@acme");
    const gateway_request_t other = gateway_list_request("big", "auditor@big");
    const gateway_request_t scan = gateway_validate_request("acme", "validator@acme");
    gateway_peer_up(fixture->gateway, GATEWAY_RELAY, 0);
    for (size_t i = 0; i < 2 * LIMIT_PAGES_IN_FLIGHT; i++) {
        assert_int_not_equal(gateway_submit_to(fixture, &page), 0);
    }
    assert_int_equal(fixture->send_count, LIMIT_RELAY_TENANT_CREDITS);
    for (size_t i = 0; i < LIMIT_PAGES_IN_FLIGHT; i++) {
        assert_int_not_equal(gateway_submit_to(fixture, &other), 0);
    }
    assert_int_equal(fixture->send_count, LIMIT_PAGES_IN_FLIGHT);
    assert_int_not_equal(gateway_submit_to(fixture, &scan), 0);
    assert_int_equal(fixture->send_count, LIMIT_PAGES_IN_FLIGHT + 1);
    loop_fake_advance(LIMIT_REQUEST_DEADLINE_MS * 2);
    assert_int_equal(fixture->gateway->in_flight_count, 0);
    assert_int_not_equal(gateway_submit_to(fixture, &page), 0); /* the places are free again */
}

static void transport_at_its_limit_answers_busy(void **state)
{
    gateway_fixture_t *fixture = *state;
    fixture->send_result = RESULT_BUSY;
    assert_int_equal(submit_issue(fixture, "k"), 0);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_BUSY);
    fixture->send_result = RESULT_UNAVAILABLE;
    assert_int_not_equal(submit_issue(fixture, "k"), 0);
    assert_int_equal(fixture->ended_count, 1);
    fixture->send_result = RESULT_OK;
    loop_fake_advance(LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->sent_count, 1); /* the tick tried again */
}

static void later_requests_do_not_overtake_waiting_ones(void **state)
{
    gateway_fixture_t *fixture = *state;
    fixture->send_result = RESULT_UNAVAILABLE;
    (void)submit_issue(fixture, "first");
    fixture->send_result = RESULT_OK;
    (void)submit_issue(fixture, "second");
    assert_int_equal(fixture->sent_count, 2);
    assert_true(text_equal(fixture->sent[0].request.key, TEXT_LITERAL("first")));
    assert_true(text_equal(fixture->sent[1].request.key, TEXT_LITERAL("second")));
}

static void successor_without_a_word_about_the_end_replaces_its_predecessor(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    (void)submit_issue(fixture, "key");
    up(fixture);
    assert_int_equal(fixture->ended_count, 1);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OUTCOME_UNKNOWN);
    assert_int_equal(fixture->sent_count, 3);
}

static void large_command_is_sent_whole_and_again(void **state)
{
    gateway_fixture_t *fixture = *state;
    static char qr[1024];
    memset(qr, 'Q', sizeof(qr));
    card_scan_t scan = {0};
    MESSAGE_SET(card_scan, &scan, qr, ((text_t){.data = qr, .size = sizeof(qr)}));
    MESSAGE_SET(card_scan, &scan, gate, TEXT_LITERAL("north"));
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    request.type = request_type_card_scan;
    request.command = &scan;
    request.key = TEXT_LITERAL("k");
    (void)gateway_submit_to(fixture, &request);
    down(fixture);
    up(fixture);
    assert_int_equal(fixture->sent_count, 2);
    assert_true(fixture->sent[1].request.body.size > sizeof(qr));
    assert_true(text_equal(fixture->sent[0].request.body, fixture->sent[1].request.body));
}

static void drained(void *context)
{
    ((gateway_fixture_t *)context)->drained_count += 1;
}

static void drain_waits_for_what_is_in_flight(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_issue(fixture, "");
    const request_t sent = gateway_last_sent(fixture)->request;
    gateway_drain(fixture->gateway, drained, fixture);
    loop_fake_advance(100);
    assert_int_equal(fixture->drained_count, 0);
    assert_int_equal(submit_issue(fixture, ""), 0);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_DRAINING);
    gateway_reply_ok(fixture, &sent);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_OK);
    loop_fake_advance(2 * LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->drained_count, 1);
    loop_fake_advance(1000);
    assert_int_equal(fixture->drained_count, 1);
}

static void drain_ends_what_waits_for_a_shard(void **state)
{
    gateway_fixture_t *fixture = *state;
    down(fixture);
    (void)submit_issue(fixture, "");
    (void)submit_issue(fixture, "k");
    gateway_drain(fixture->gateway, drained, fixture);
    assert_int_equal(fixture->ended_count, 2);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_DRAINING);
    loop_fake_advance(2 * LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->drained_count, 1);
}

static void idle_gateway_has_no_ticks(void **state)
{
    gateway_fixture_t *fixture = *state;
    (void)submit_get(fixture);
    assert_true(fixture->gateway->is_ticking);
    gateway_reply_ok(fixture, &gateway_last_sent(fixture)->request);
    loop_fake_advance(LIMIT_DEADLINE_TICK_MS);
    assert_false(fixture->gateway->is_ticking);
}

static void readiness_says_what_is_missing(void **state)
{
    gateway_fixture_t *fixture = *state;
    char detail[100];
    assert_true(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
    assert_string_equal(detail, "");
    gateway_peer_draining(fixture->gateway, GATEWAY_RELAY, 0);
    assert_false(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
    assert_string_equal(detail, "the relay is draining");
    gateway_peer_down(fixture->gateway, GATEWAY_SHARD, 1);
    assert_false(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
    assert_string_equal(detail, "shard-1 is down");
}

static void store_that_does_not_answer_is_not_ready_until_it_does(void **state)
{
    gateway_fixture_t *fixture = *state;
    char detail[200];
    credit_t credit = {0};
    MESSAGE_SET(credit, &credit, shard, 1);
    MESSAGE_SET(credit, &credit, requests, LIMIT_FRONT_CREDITS);
    MESSAGE_SET(credit, &credit, tenant_requests, LIMIT_TENANT_CREDITS);
    MESSAGE_SET(credit, &credit, store, store_state_silent);
    gateway_receive_credit(fixture->gateway, &credit);
    assert_false(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
    assert_non_null(strstr(detail, "shard-1: its store does not answer"));
    MESSAGE_SET(credit, &credit, store, store_state_unreadable);
    gateway_receive_credit(fixture->gateway, &credit);
    assert_false(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
    assert_non_null(strstr(detail, "shard-1: the control store cannot be read"));
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 1); /* its successor said nothing yet */
    assert_true(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
    gateway_receive_credit(fixture->gateway, &credit);
    loop_fake_advance(LIMIT_STORE_TOLD_MS);
    assert_false(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
    loop_fake_advance(1); /* not told again: the word that it is over was lost */
    assert_true(gateway_is_ready(fixture->gateway, detail, sizeof(detail)));
}

static void problem_of_a_refusal_has_its_reason_as_code(void **state)
{
    (void)state;
    gateway_reply_t reply = {.result = RESULT_REFUSED,
                             .reason = reason_revoked,
                             .trace_id = TEXT_LITERAL("11223344556677889900aabbccddeeff")};
    char type_text[128];
    problem_t problem;
    gateway_problem(&reply, type_text, &problem);
    assert_true(text_equal(problem.code, TEXT_LITERAL("revoked")));
    assert_true(text_equal(problem.type, TEXT_LITERAL("https://digitalcard.dev/problems/revoked")));
    assert_true(text_equal(problem.title, text_from_c(result_title(RESULT_REFUSED))));
    assert_int_equal(problem.status, 409);
    assert_true(problem.detail.size > 0);
    assert_false(MESSAGE_HAS(problem, &problem, field));
    reply.result = RESULT_UNKNOWN_FIELD;
    reply.field = TEXT_LITERAL("hodler_name");
    gateway_problem(&reply, type_text, &problem);
    assert_true(text_equal(problem.code, TEXT_LITERAL("unknown_field")));
    assert_true(text_equal(problem.field, reply.field));
    assert_int_equal(problem.status, 400);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, gateway_setup, gateway_teardown)
    const struct CMUnitTest tests[] = {
        TEST(reply_reaches_its_request),
        TEST(full_page_is_decoded),
        TEST(refusal_carries_its_reason),
        TEST(unknown_error_numbers_become_internal_errors),
        TEST(undecodable_document_is_an_internal_error),
        TEST(late_reply_to_an_older_use_of_a_slot_is_ignored),
        TEST(what_may_be_repeated_goes_to_the_successor_in_order),
        TEST(command_without_a_key_ends_at_once_when_its_shard_dies),
        TEST(only_requests_of_the_shard_that_died_are_touched),
        TEST(what_was_never_sent_waits_for_the_shard),
        TEST(draining_shard_gets_no_new_requests),
        TEST(request_that_met_a_draining_shard_goes_to_its_successor),
        TEST(peer_that_only_seemed_to_drain_is_tried_again),
        TEST(deadline_of_a_sent_command_leaves_the_outcome_open),
        TEST(deadline_of_what_had_no_effect_says_so),
        TEST(deadlines_are_clamped),
        TEST(deadlines_survive_a_stalled_loop),
        TEST(cancelled_request_is_never_answered),
        TEST(pages_have_a_bound_of_their_own),
        TEST(transport_at_its_limit_answers_busy),
        TEST(later_requests_do_not_overtake_waiting_ones),
        TEST(successor_without_a_word_about_the_end_replaces_its_predecessor),
        TEST(large_command_is_sent_whole_and_again),
        TEST(drain_waits_for_what_is_in_flight),
        TEST(drain_ends_what_waits_for_a_shard),
        TEST(idle_gateway_has_no_ticks),
        TEST(readiness_says_what_is_missing),
        TEST(store_that_does_not_answer_is_not_ready_until_it_does),
        TEST(problem_of_a_refusal_has_its_reason_as_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
