/* What webhooks are sent, when and in which order, whatever receivers, clocks and stores do. */
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/webhook_support.h"
#include <stdio.h>
#include <string.h>

static http_call_t *call_of(hooks_fixture_t *fixture, const char *name, uint64_t sequence)
{
    return http_calls_fake_find(&fixture->http, name, sequence);
}

static void answer(hooks_fixture_t *fixture, const char *name, uint64_t sequence, uint32_t status)
{
    http_calls_fake_answer(&fixture->http, call_of(fixture, name, sequence), status, 10);
}

/* --- Order, and trying again --- */

static void events_of_a_card_leave_one_after_the_other(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 2;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 5);
    hooks_turn(fixture, 1000);
    assert_int_equal(fixture->http.waiting, 2);
    assert_non_null(call_of(fixture, "/crm", 1));
    assert_non_null(call_of(fixture, "/crm", 2));
    answer(fixture, "/crm", 2, 204);
    assert_non_null(call_of(fixture, "/crm", 4));
    assert_null(call_of(fixture, "/crm", 3));
    answer(fixture, "/crm", 1, 200);
    assert_non_null(call_of(fixture, "/crm", 3));
    hooks_turn(fixture, 100);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 2);
    answer(fixture, "/crm", 3, 200);
    answer(fixture, "/crm", 5, 200);
    hooks_turn(fixture, 100);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 3); /* 4 is on its way */
    answer(fixture, "/crm", 4, 200);
    hooks_turn(fixture, 100);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 5);
    assert_string_equal(hooks_log(fixture, "acme", "crm", 5), "delivered 200 1");
}

static void nothing_is_sent_while_another_service_sends(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->has_others = true;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 3);
    hooks_turn(fixture, 5000);
    assert_int_equal(fixture->http.waiting, 0);
    fixture->is_claimed = true; /* the other one is gone */
    hooks_turn(fixture, LIMIT_WEBHOOK_CLAIM_AGAIN_MS + 500);
    answer(fixture, "/crm", 1, 200);
    hooks_turn(fixture, 200);
    assert_non_null(call_of(fixture, "/crm", 2));
    fixture->is_claimed = false; /* and ours is not the one any more */
    hooks_turn(fixture, LIMIT_WEBHOOK_CLAIM_AGAIN_MS + 500);
    assert_int_equal(fixture->http.waiting, 0);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 1);
    /* The other one delivers 2 meanwhile. */
    const webhook_cursor_t cursor = {.tenant = TEXT_LITERAL("acme"),
                                     .name = TEXT_LITERAL("crm"),
                                     .created_at = 500,
                                     .sequence = 2};
    const webhook_progress_t progress = {.cursors = &cursor, .cursor_count = 1};
    assert_int_equal(fixture->functions->record(fixture->store, &progress), RESULT_OK);
    fixture->is_claimed = true;
    hooks_turn(fixture, LIMIT_WEBHOOK_CLAIM_AGAIN_MS + 500);
    assert_null(call_of(fixture, "/crm", 2));
    answer(fixture, "/crm", 3, 200);
    hooks_turn(fixture, 200);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 3);
}

static void failed_event_waits_longer_each_time_and_holds_back_its_card_alone(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 2;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 4);
    hooks_turn(fixture, 500);
    uint32_t pause = WEBHOOK_PAUSE_MS;
    for (uint32_t attempt = 1; attempt <= 4; attempt++) {
        assert_int_equal(call_of(fixture, "/crm", 1)->attempt, attempt);
        answer(fixture, "/crm", 1, 500);
        assert_null(call_of(fixture, "/crm", 3));
        hooks_turn(fixture, pause - 100);
        assert_null(call_of(fixture, "/crm", 1));
        hooks_turn(fixture, 200);
        pause *= 2;
        if (attempt == 2) {
            answer(fixture, "/crm", 2, 200); /* the other card goes on, and so does the breaker */
            answer(fixture, "/crm", 4, 200);
        }
    }
    assert_string_equal(hooks_log(fixture, "acme", "crm", 1), "retrying 500 4");
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 0);
    answer(fixture, "/crm", 1, 200);
    answer(fixture, "/crm", 3, 200);
    hooks_turn(fixture, 100);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 4);
}

static void receiver_that_names_a_time_is_not_asked_before(void **state)
{
    hooks_fixture_t *const fixture = *state;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 1);
    hooks_turn(fixture, 500);
    const http_call_answer_t busy = {.end = HTTP_CALL_ANSWERED, .status = 429, .retry_after_s = 30};
    http_calls_fake_end(&fixture->http, call_of(fixture, "/crm", 1), &busy);
    hooks_turn(fixture, 29000);
    assert_int_equal(fixture->http.waiting, 0);
    hooks_turn(fixture, 1200);
    assert_int_equal(fixture->http.waiting, 1);
}

static void silence_redirects_and_late_answers_are_failures(void **state)
{
    hooks_fixture_t *const fixture = *state;
    static const http_call_answer_t answers[] = {
        {.end = HTTP_CALL_TIMED_OUT}, /* what the receiver says after the deadline nobody hears */
        {.end = HTTP_CALL_ANSWERED, .status = 302},
        {.end = HTTP_CALL_TOO_LARGE, .status = 200},
        {.end = HTTP_CALL_ADDRESS_FORBIDDEN},
    };
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 1);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        hooks_turn(fixture, 500U << i);
        http_call_t *const call = call_of(fixture, "/crm", 1);
        assert_non_null(call);
        assert_int_equal(call->deadline_ms, LIMIT_WEBHOOK_DEADLINE_MS);
        assert_int_equal(call->body_size_max, LIMIT_WEBHOOK_ANSWER_SIZE);
        http_calls_fake_end(&fixture->http, call, &answers[i]);
        hooks_turn(fixture, 1000U << i);
    }
    assert_string_equal(hooks_log(fixture, "acme", "crm", 1), "retrying 0 4");
}

static void endpoint_that_fails_is_probed_and_then_served_again(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 64;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 20);
    hooks_turn(fixture, 500);
    while (fixture->http.waiting > 0) {
        http_calls_fake_answer_all(&fixture->http, 503);
    }
    hooks_turn(fixture, 4500);
    assert_int_equal(fixture->http.waiting, 0); /* open for 5 s and more */
    hooks_turn(fixture, 4000);
    assert_int_equal(fixture->http.waiting, 1); /* one probe */
    http_calls_fake_answer_all(&fixture->http, 200);
    assert_int_equal(fixture->http.waiting, LIMIT_WEBHOOK_CALLS);
}

static void clock_that_is_set_back_lengthens_no_pause(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 64;
    hooks_add(fixture, "acme", "crm");
    hooks_add(fixture, "big", "other");
    hooks_commit(fixture, fixture->relay->acme, LIMIT_WEBHOOK_CALLS);
    hooks_commit(fixture, fixture->relay->big, 1);
    hooks_turn(fixture, 500);
    while (fixture->http.waiting > 0) { /* opens the breaker of the first, not of the second */
        http_calls_fake_answer_all(&fixture->http, 503);
    }
    hooks_set_clock(-INT64_C(20) * 3600000);
    hooks_turn(fixture, 1100);
    answer(fixture, "/other", 1, 200);
    hooks_turn(fixture, 7400);
    assert_int_equal(fixture->http.waiting, 1); /* the probe */
    answer(fixture, "/crm", 1, 200);
    assert_int_equal(fixture->http.waiting, LIMIT_WEBHOOK_CALLS - 1);
    /* And set right again, none is cut short. */
    answer(fixture, "/crm", 2, 500);
    hooks_set_clock(INT64_C(20) * 3600000);
    hooks_turn(fixture, 2 * WEBHOOK_PAUSE_MS - 200); /* it was its second failure */
    assert_null(call_of(fixture, "/crm", 2));
    hooks_turn(fixture, 300);
    assert_non_null(call_of(fixture, "/crm", 2));
}

/* --- Ending --- */

static void gone_disables_and_enabling_begins_where_it_stopped(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 3;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 3);
    hooks_turn(fixture, 500);
    answer(fixture, "/crm", 1, 200);
    answer(fixture, "/crm", 2, 410);
    assert_int_equal(fixture->http.waiting, 0); /* the third one is called off */
    hooks_turn(fixture, 60000);
    assert_string_equal(hooks_disabled(fixture, "acme", "crm"), "gone");
    assert_int_equal(fixture->http.waiting, 0);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 1);
    webhooks_t *const store = fixture->store;
    const text_t acme = TEXT_LITERAL("acme");
    const text_t crm = TEXT_LITERAL("crm");
    assert_int_equal(store->functions->disable(store, acme, crm, TEXT_NONE), RESULT_OK);
    hooks_turn(fixture, 1000);
    assert_int_equal(fixture->http.waiting, 2);
    assert_int_equal(call_of(fixture, "/crm", 2)->attempt, 1);
    /* A change of the store while calls are on their way takes nothing from them. */
    hooks_add(fixture, "big", "other");
    hooks_turn(fixture, 1000);
    assert_int_equal(http_calls_fake_answer_all(&fixture->http, 200), 2);
    hooks_turn(fixture, 100);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 3);
}

static void try_hourly(hooks_fixture_t *fixture, uint64_t sequence, uint32_t attempts)
{
    for (uint32_t i = 0; i < attempts; i++) {
        http_call_t *const call = call_of(fixture, "/crm", sequence);
        assert_non_null(call);
        http_calls_fake_answer(&fixture->http, call, 500, 10);
        hooks_leap(3600000);
        hooks_turn(fixture, 100);
    }
}

static void event_that_is_refused_for_three_days_is_given_up_when_others_are_taken(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 2;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 3);
    hooks_turn(fixture, 500);
    http_call_t *const first = call_of(fixture, "/crm", 1);
    assert_non_null(first);
    try_hourly(fixture, 2, 72);
    http_calls_fake_answer(&fixture->http, first, 200, 10); /* of the other card */
    answer(fixture, "/crm", 2, 500);
    hooks_turn(fixture, 100);
    assert_string_equal(hooks_log(fixture, "acme", "crm", 2), "given_up 500 73");
    assert_string_equal(hooks_disabled(fixture, "acme", "crm"), "");
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 2);
}

static void endpoint_that_took_nothing_for_three_days_is_disabled_and_loses_nothing(void **state)
{
    hooks_fixture_t *const fixture = *state;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 3);
    hooks_turn(fixture, 500);
    try_hourly(fixture, 1, 73);
    hooks_turn(fixture, 100);
    assert_string_equal(hooks_disabled(fixture, "acme", "crm"), "silent_for_3_days");
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 0);
}

static void days_of_downtime_are_nobodys_refusal(void **state)
{
    hooks_fixture_t *const fixture = *state;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 1);
    hooks_turn(fixture, 500);
    answer(fixture, "/crm", 1, 500);
    hooks_turn(fixture, 100);
    hooks_leap(INT64_C(4) * DAY_MS);
    hooks_restart(fixture);
    hooks_turn(fixture, 500);
    answer(fixture, "/crm", 1, 500);
    hooks_turn(fixture, 100);
    assert_string_equal(hooks_disabled(fixture, "acme", "crm"), "");
    assert_string_equal(hooks_log(fixture, "acme", "crm", 1), "retrying 500 2");
}

static void url_that_cannot_be_used_disables_and_want_of_memory_does_not(void **state)
{
    hooks_fixture_t *const fixture = *state;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 1);
    fixture->http.result = RESULT_NO_MEMORY;
    hooks_turn(fixture, 500);
    assert_string_equal(hooks_disabled(fixture, "acme", "crm"), "");
    fixture->http.result = RESULT_INVALID_ARGUMENT;
    hooks_turn(fixture, 500);
    assert_string_equal(hooks_disabled(fixture, "acme", "crm"), "url_cannot_be_used");
}

/* --- Signing --- */

static void expect_signature(const http_call_t *call, char first_of_name, bool expected)
{
    char secret[WEBHOOK_SECRET_SIZE];
    char text[2200];
    char hex[2 * WEBHOOK_MAC_SIZE + 1];
    uint8_t mac[WEBHOOK_MAC_SIZE];
    const uint8_t random[32] = {(uint8_t)first_of_name};
    webhook_secret_format(random, secret);
    const size_t digits = strcspn(call->signature + 2, ",");
    const int size =
        snprintf(text, sizeof text, "%.*s.%s", (int)digits, call->signature + 2, call->body);
    signer_functions.hmac((text_t){secret, sizeof secret}, (text_t){text, (size_t)size}, mac);
    for (size_t i = 0; i < sizeof mac; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    }
    assert_int_equal(strstr(call->signature, hex) != NULL, expected);
}

static void both_secrets_sign_until_the_overlap_ends(void **state)
{
    hooks_fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->store;
    char secret[WEBHOOK_SECRET_SIZE];
    uint8_t sealed[WEBHOOK_SECRET_SIZE + CRYPTO_SEAL_OVERHEAD];
    const text_t acme = TEXT_LITERAL("acme");
    const text_t crm = TEXT_LITERAL("crm");
    hooks_add(fixture, "acme", "crm");
    const uint8_t random[32] = {'N'};
    webhook_secret_format(random, secret);
    secret_webhook_seal(&signer_functions, &fixture->relay->master_key, acme, crm,
                        (text_t){secret, sizeof secret}, sealed);
    hooks_commit(fixture, fixture->relay->acme, 2);
    hooks_turn(fixture, 500);
    expect_signature(call_of(fixture, "/crm", 1), 'c', true);
    expect_signature(call_of(fixture, "/crm", 1), 'N', false);
    assert_null(strstr(call_of(fixture, "/crm", 1)->body, "sealed"));
    assert_int_equal(store->functions->rotate(store, acme, crm,
                                              (text_t){(const char *)sealed, sizeof sealed},
                                              loop_fake_wall_ms() + 3600000),
                     RESULT_OK);
    hooks_turn(fixture, 500);
    answer(fixture, "/crm", 1, 200);
    expect_signature(call_of(fixture, "/crm", 2), 'c', true);
    expect_signature(call_of(fixture, "/crm", 2), 'N', true);
    answer(fixture, "/crm", 2, 500);
    hooks_leap(3600000);
    hooks_turn(fixture, 1500);
    expect_signature(call_of(fixture, "/crm", 2), 'c', false);
    expect_signature(call_of(fixture, "/crm", 2), 'N', true);
}

/* --- Beginning, replaying, restarting --- */

static void lane_begins_with_the_first_event_since_the_webhook_was_made(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 64;
    relay_commit_silently(fixture->relay->acme, 0, 40);
    webhook_row_t row = {.tenant = TEXT_LITERAL("acme"),
                         .name = TEXT_LITERAL("late"),
                         .url = TEXT_LITERAL("http://late.example/late"),
                         .created_at = 1030};
    uint8_t sealed[WEBHOOK_SECRET_SIZE + CRYPTO_SEAL_OVERHEAD];
    char secret[WEBHOOK_SECRET_SIZE] = {0};
    secret_webhook_seal(&signer_functions, &fixture->relay->master_key, row.tenant, row.name,
                        (text_t){secret, sizeof secret}, sealed);
    row.sealed_secret = (text_t){(const char *)sealed, sizeof sealed};
    assert_int_equal(fixture->store->functions->add(fixture->store, &row), RESULT_OK);
    hooks_turn(fixture, 60000);
    assert_null(call_of(fixture, "/late", 29));
    assert_non_null(call_of(fixture, "/late", 30)); /* the event that occurred at 1030 */
    assert_int_equal(fixture->http.waiting, LIMIT_WEBHOOK_CALLS);
}

static void range_is_sent_again_while_new_events_go_on(void **state)
{
    hooks_fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->store;
    const text_t acme = TEXT_LITERAL("acme");
    const text_t crm = TEXT_LITERAL("crm");
    fixture->relay->acme->cards = 64;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 3);
    hooks_turn(fixture, 500);
    http_calls_fake_answer_all(&fixture->http, 200);
    for (int round = 0; round < 2; round++) {
        const uint64_t next = round == 0 ? 4 : 5;
        const webhook_range_t range = {.next = 2, .last = 900}; /* what is beyond comes anyway */
        assert_int_equal(store->functions->replay(store, acme, crm, &range), RESULT_OK);
        hooks_turn(fixture, 500);
        hooks_commit(fixture, fixture->relay->acme, next);
        hooks_turn(fixture, 500);
        assert_true(call_of(fixture, "/crm", 2)->is_replay);
        assert_true(call_of(fixture, "/crm", 3)->is_replay);
        assert_false(call_of(fixture, "/crm", next)->is_replay);
        assert_true(hooks_replays(fixture, "acme", "crm"));
        http_calls_fake_answer_all(&fixture->http, 200);
        hooks_turn(fixture, 500);
        assert_int_equal(fixture->http.waiting, 0);
        assert_false(hooks_replays(fixture, "acme", "crm"));
        assert_int_equal(hooks_cursor(fixture, "acme", "crm"), next);
    }
    const webhook_range_t beyond = {.next = 900, .last = 901};
    assert_int_equal(store->functions->replay(store, acme, crm, &beyond), RESULT_OK);
    hooks_turn(fixture, 500);
    assert_false(hooks_replays(fixture, "acme", "crm"));
}

static void replay_goes_on_in_the_next_process(void **state)
{
    hooks_fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->store;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 4);
    hooks_turn(fixture, 500);
    while (fixture->http.waiting > 0) {
        http_calls_fake_answer_all(&fixture->http, 200);
    }
    hooks_turn(fixture, 100);
    const webhook_range_t range = {.next = 1, .last = 4};
    assert_int_equal(
        store->functions->replay(store, TEXT_LITERAL("acme"), TEXT_LITERAL("crm"), &range),
        RESULT_OK);
    hooks_turn(fixture, 500);
    answer(fixture, "/crm", 1, 200);
    answer(fixture, "/crm", 2, 200);
    hooks_turn(fixture, 100);
    hooks_restart(fixture);
    hooks_turn(fixture, 500);
    assert_int_equal(fixture->http.waiting, 1);
    assert_true(call_of(fixture, "/crm", 3)->is_replay);
}

static void after_a_crash_what_was_not_stored_comes_again_in_order(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 2;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 4);
    hooks_turn(fixture, 500);
    answer(fixture, "/crm", 1, 500);
    answer(fixture, "/crm", 2, 200);
    hooks_turn(fixture, 100);
    fixture->record_result = RESULT_STORE_UNAVAILABLE; /* the crash comes before the commit */
    answer(fixture, "/crm", 4, 200);
    hooks_restart(fixture);
    fixture->record_result = RESULT_OK;
    hooks_turn(fixture, 500);
    assert_int_equal(call_of(fixture, "/crm", 1)->attempt, 2); /* remembered */
    assert_int_equal(call_of(fixture, "/crm", 2)->attempt, 1); /* behind it: again */
    assert_null(call_of(fixture, "/crm", 3));
    assert_null(call_of(fixture, "/crm", 4));
    answer(fixture, "/crm", 2, 200);
    assert_non_null(call_of(fixture, "/crm", 4)); /* no event is lost */
}

/* --- Bounds --- */

static void store_that_is_away_stops_the_sending_within_its_bound(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->relay->acme->cards = 200;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 1100);
    fixture->record_result = RESULT_STORE_UNAVAILABLE;
    for (uint32_t i = 0; i < 200; i++) {
        hooks_turn(fixture, 100);
        http_calls_fake_answer_all(&fixture->http, 200);
    }
    assert_int_equal(fixture->http.started, LIMIT_WEBHOOK_OUTCOMES);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 0);
    fixture->record_result = RESULT_OK;
    for (uint32_t i = 0; i < 200; i++) {
        hooks_turn(fixture, 100);
        http_calls_fake_answer_all(&fixture->http, 200);
    }
    assert_int_equal(fixture->http.started, 1100);
    hooks_turn(fixture, 100);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 1100);
}

static void silent_endpoints_hold_few_calls_and_a_window_of_events(void **state)
{
    hooks_fixture_t *const fixture = *state;
    char name[8];
    fixture->relay->acme->cards = 200;
    for (int i = 0; i < LIMIT_WEBHOOKS; i++) {
        (void)snprintf(name, sizeof name, "h%d", i);
        hooks_add(fixture, "acme", name);
    }
    hooks_commit(fixture, fixture->relay->acme, 900);
    hooks_turn(fixture, 3000);
    const webhook_sender_t *const sender = fixture->relay->relay->webhooks;
    assert_int_equal(fixture->http.waiting_max, LIMIT_WEBHOOK_CALLS_TENANT);
    assert_int_equal(sender->hook_count, LIMIT_WEBHOOKS);
    assert_int_equal(sender->held, LIMIT_WEBHOOKS * WEBHOOK_WINDOW);
}

/* Five tenants full of endpoints that say nothing; a sixth that answers at once. */
static void slow_tenants_leave_calls_to_a_quick_one(void **state)
{
    hooks_fixture_t *const fixture = *state;
    char name[8];
    fixture->relay->acme->cards = 200;
    hooks_add(fixture, "acme", "quick");
    hooks_commit(fixture, fixture->relay->acme, 1);
    hooks_turn(fixture, 500);
    answer(fixture, "/quick", 1, 200);
    fake_tenant_t *slow[5];
    for (int t = 0; t < 5; t++) {
        (void)snprintf(name, sizeof name, "slow%d", t);
        slow[t] = relay_journal_fake_add(fixture->relay->journal, name, 1, &signer_functions,
                                         &fixture->relay->master_key);
        slow[t]->cards = 200;
        hooks_create_tenant(fixture, slow[t]);
        for (int i = 0; i < 4; i++) {
            (void)snprintf(name, sizeof name, "s%d", i);
            hooks_add(fixture, slow[t]->name, name);
        }
        relay_send_event(fixture->relay, slow[t], 0, 100);
    }
    hooks_turn(fixture, 3000);
    assert_int_equal(fixture->http.waiting, LIMIT_WEBHOOK_CALLS_SLOW);
    hooks_commit(fixture, fixture->relay->acme, 20);
    hooks_turn(fixture, 500);
    assert_int_equal(fixture->http.waiting, LIMIT_WEBHOOK_CALLS_SLOW + LIMIT_WEBHOOK_CALLS);
}

static void webhook_beyond_the_bound_takes_the_place_of_no_other(void **state)
{
    hooks_fixture_t *const fixture = *state;
    fixture->visit_rows = LIMIT_WEBHOOKS_ALL;
    hooks_add(fixture, "acme", "crm"); /* a change */
    hooks_turn(fixture, 500);
    const webhook_sender_t *const sender = fixture->relay->relay->webhooks;
    assert_int_equal(sender->hook_count, LIMIT_WEBHOOKS_ALL);
    fixture->visit_rows = LIMIT_WEBHOOKS_ALL + 1; /* the one more comes first */
    hooks_add(fixture, "acme", "dms");
    hooks_turn(fixture, 500);
    assert_int_equal(sender->hook_count, LIMIT_WEBHOOKS_ALL);
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        assert_false(sender->hooks[i]->is_gone);
    }
    fixture->visit_rows = 0;
}

/* --- Namesakes --- */

static void nothing_of_a_new_tenant_reaches_the_webhook_of_its_namesake_before(void **state)
{
    hooks_fixture_t *const fixture = *state;
    char kept_as[512];
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 2);
    hooks_turn(fixture, 500);
    answer(fixture, "/crm", 1, 200);
    assert_non_null(call_of(fixture, "/crm", 2));
    /* Deleted, made anew with events and a webhook of that name, before the relay hears of it. */
    assert_int_equal(fixture->control->functions->tenant_delete(
                         fixture->control, TEXT_LITERAL("acme"), 9000, kept_as, sizeof kept_as),
                     RESULT_OK);
    fixture->relay->acme->is_deleted = true;
    fake_tenant_t *const again = relay_journal_fake_add(
        fixture->relay->journal, "acme", 1, &signer_functions, &fixture->relay->master_key);
    hooks_create_tenant(fixture, again);
    fixture->created_at++;
    hooks_add(fixture, "acme", "crm");
    relay_commit_silently(again, 0, 5);
    answer(fixture, "/crm", 2, 200); /* of the old one */
    hooks_turn(fixture, LIMIT_WEBHOOK_TICK_MS);
    assert_int_equal(hooks_cursor(fixture, "acme", "crm"), 0);
    assert_string_equal(hooks_log(fixture, "acme", "crm", 2), "");
    const uint32_t before = fixture->http.started;
    hooks_turn(fixture, 60000);
    assert_int_equal(fixture->http.started, before + 1); /* the new one begins with its first */
    assert_non_null(call_of(fixture, "/crm", 1));
}

static void removed_webhook_is_asked_nothing_any_more(void **state)
{
    hooks_fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->store;
    hooks_add(fixture, "acme", "crm");
    hooks_commit(fixture, fixture->relay->acme, 2);
    hooks_turn(fixture, 500);
    assert_int_equal(store->functions->remove(store, TEXT_LITERAL("acme"), TEXT_LITERAL("crm")),
                     RESULT_OK);
    hooks_turn(fixture, 500);
    assert_int_equal(fixture->http.waiting, 0);
    assert_int_equal(fixture->relay->relay->webhooks->hook_count, 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, hooks_setup, hooks_teardown)
    const struct CMUnitTest tests[] = {
        TEST(events_of_a_card_leave_one_after_the_other),
        TEST(nothing_is_sent_while_another_service_sends),
        TEST(failed_event_waits_longer_each_time_and_holds_back_its_card_alone),
        TEST(receiver_that_names_a_time_is_not_asked_before),
        TEST(silence_redirects_and_late_answers_are_failures),
        TEST(endpoint_that_fails_is_probed_and_then_served_again),
        TEST(clock_that_is_set_back_lengthens_no_pause),
        TEST(gone_disables_and_enabling_begins_where_it_stopped),
        TEST(event_that_is_refused_for_three_days_is_given_up_when_others_are_taken),
        TEST(endpoint_that_took_nothing_for_three_days_is_disabled_and_loses_nothing),
        TEST(days_of_downtime_are_nobodys_refusal),
        TEST(url_that_cannot_be_used_disables_and_want_of_memory_does_not),
        TEST(both_secrets_sign_until_the_overlap_ends),
        TEST(lane_begins_with_the_first_event_since_the_webhook_was_made),
        TEST(range_is_sent_again_while_new_events_go_on),
        TEST(replay_goes_on_in_the_next_process),
        TEST(after_a_crash_what_was_not_stored_comes_again_in_order),
        TEST(store_that_is_away_stops_the_sending_within_its_bound),
        TEST(silent_endpoints_hold_few_calls_and_a_window_of_events),
        TEST(slow_tenants_leave_calls_to_a_quick_one),
        TEST(webhook_beyond_the_bound_takes_the_place_of_no_other),
        TEST(nothing_of_a_new_tenant_reaches_the_webhook_of_its_namesake_before),
        TEST(removed_webhook_is_asked_nothing_any_more),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
