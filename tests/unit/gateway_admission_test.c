/* Who may ask for what, in which order it is checked, and where requests go. */
#include "actors/domain/card_code.h"
#include "actors/domain/card_id.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/gateway_support.h"
#include <stdio.h>

static result_t submit_and_fail(gateway_fixture_t *fixture, const gateway_request_t *request)
{
    const size_t before = fixture->ended_count;
    assert_int_equal(gateway_submit_to(fixture, request), 0);
    assert_int_equal(fixture->ended_count, before + 1);
    const ended_t *ended = gateway_last_ended(fixture);
    assert_true(strlen(ended->detail) > 10);
    assert_int_equal(strlen(ended->trace_id), 32);
    assert_null(ended->document_type);
    assert_int_equal(fixture->sent_count, 0);
    return ended->result;
}

static result_t validate_as(gateway_fixture_t *fixture, const char *tenant, const char *token)
{
    const gateway_request_t request = gateway_validate_request(tenant, token);
    return submit_and_fail(fixture, &request);
}

static void checks_come_in_their_order(void **state)
{
    gateway_fixture_t *fixture = *state;
    /* Each line is wrong in everything that is checked later, too. */
    assert_int_equal(validate_as(fixture, "../etc", ""), RESULT_UNAUTHENTICATED);
    assert_int_equal(validate_as(fixture, "../etc", "garbage"), RESULT_UNAUTHENTICATED);
    assert_int_equal(validate_as(fixture, "../etc", "nobody@other"), RESULT_TOKEN_EXPIRED);
    assert_int_equal(validate_as(fixture, "../etc", "issuer@other"), RESULT_INVALID_TENANT);
    assert_int_equal(validate_as(fixture, "nowhere", "issuer@other"), RESULT_WRONG_TENANT);
    assert_int_equal(validate_as(fixture, "nowhere", "issuer@nowhere"), RESULT_FORBIDDEN);
    assert_int_equal(validate_as(fixture, "nowhere", "validator@nowhere"), RESULT_TENANT_NOT_FOUND);
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    request.key = TEXT_LITERAL("two words");
    request.has_card = false;
    assert_int_equal(submit_and_fail(fixture, &request), RESULT_INVALID_PARAMETER);
    request.key = TEXT_NONE;
    assert_int_equal(submit_and_fail(fixture, &request), RESULT_INVALID_ID);
}

static void tenant_names_that_cannot_be_are_refused(void **state)
{
    gateway_fixture_t *fixture = *state;
    char longest[301];
    memset(longest, 'a', 300);
    longest[300] = '\0';
    const char *const names[] = {"",    "a",       "Acme", "a/b", "..",
                                 "api", "metrics", "1a",   "a_b", longest};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(validate_as(fixture, names[i], "platform_admin@"), RESULT_INVALID_TENANT);
    }
    gateway_request_t request = gateway_validate_request("acme", "platform_admin@");
    request.tenant = (text_t){.data = "ac\0me", .size = 5};
    assert_int_equal(submit_and_fail(fixture, &request), RESULT_INVALID_TENANT);
}

static void forbidden_names_the_role_and_those_that_may(void **state)
{
    gateway_fixture_t *fixture = *state;
    const gateway_request_t request = gateway_issue_request("acme", "validator@acme");
    assert_int_equal(submit_and_fail(fixture, &request), RESULT_FORBIDDEN);
    const char *detail = gateway_last_ended(fixture)->detail;
    assert_non_null(strstr(detail, "validator"));
    assert_non_null(strstr(detail, "card.issue"));
    assert_non_null(strstr(detail, "tenant_admin, issuer"));
    assert_null(strstr(detail, "auditor"));
}

static void platform_admin_may_enter_every_tenant(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("zeta", "platform_admin@acme");
    assert_int_equal(submit_and_fail(fixture, &request), RESULT_WRONG_TENANT);
    request = gateway_validate_request("zeta", "platform_admin@");
    assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
}

static void idempotency_keys_are_visible_ascii(void **state)
{
    gateway_fixture_t *fixture = *state;
    char key[130];
    memset(key, 'k', sizeof(key));
    gateway_request_t request = gateway_issue_request("acme", "issuer@acme");
    const text_t bad[] = {TEXT_LITERAL(" "),         TEXT_LITERAL("a b"),
                          TEXT_LITERAL("a\tb"),      TEXT_LITERAL("a\x7f"),
                          TEXT_LITERAL("\xc3\xa9"),  {.data = "a\0b", .size = 3},
                          {.data = key, .size = 129}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        request.key = bad[i];
        assert_int_equal(submit_and_fail(fixture, &request), RESULT_INVALID_PARAMETER);
    }
    request.key = (text_t){.data = key, .size = 128};
    assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
}

static void rules_do_not_exist_yet(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_issue_request("acme", "issuer@acme");
    card_issue_t issue = *(const card_issue_t *)request.command;
    request.command = &issue;
    MESSAGE_SET(card_issue, &issue, rules, 1);
    assert_int_equal(submit_and_fail(fixture, &request), RESULT_NOT_IMPLEMENTED);
    assert_string_equal(gateway_last_ended(fixture)->field, "rules");
    issue.rules = 0;
    assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
}

static void scans_from_the_future_are_refused(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    card_validate_t validate = *(const card_validate_t *)request.command;
    request.command = &validate;
    MESSAGE_SET(card_validate, &validate, at, clock_wall_ms() + LIMIT_SCAN_AHEAD_MS + 1);
    assert_int_equal(submit_and_fail(fixture, &request), RESULT_INVALID_DATES);
    assert_string_equal(gateway_last_ended(fixture)->field, "at");
    validate.at = clock_wall_ms() + LIMIT_SCAN_AHEAD_MS;
    assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
}

static void types_that_clients_cannot_ask_for_are_unknown(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("acme", "platform_admin@");
    const uint8_t types[] = {0, request_type_webhook_log + 1, request_type_directory_get, 255};
    for (size_t i = 0; i < sizeof(types); i++) {
        request.type = types[i];
        assert_int_equal(submit_and_fail(fixture, &request), RESULT_UNKNOWN_TYPE);
    }
}

static void nothing_is_answered_before_the_directory_is_known(void **state)
{
    gateway_fixture_t *fixture = *state;
    assert_int_equal(validate_as(fixture, "acme", "validator@acme"), RESULT_UNAVAILABLE);
    assert_int_equal(gateway_last_ended(fixture)->retry_after_s, 1);
}

static void commands_go_to_the_shard_and_partition_of_their_card(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("big", "validator@big");
    request.card = card_id_make(clock_wall_ms(), 41, (const uint8_t[10]){5});
    request.key = TEXT_LITERAL("key-1");
    assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
    const sent_t *sent = gateway_last_sent(fixture);
    assert_int_equal(sent->target, GATEWAY_SHARD);
    assert_int_equal(sent->index, placement_shard(TEXT_LITERAL("big"), SHARDS));
    assert_int_equal(sent->request.type, request_type_card_validate);
    assert_int_equal(sent->request.partition, 41);
    assert_true(text_equal(sent->request.tenant, TEXT_LITERAL("big")));
    assert_true(text_equal(sent->request.subject, TEXT_LITERAL("somebody")));
    assert_int_equal(sent->request.role, role_validator);
    assert_int_equal(sent->request.deadline_ms, LIMIT_REQUEST_DEADLINE_MS);
    assert_true(uuid_equal(&sent->request.card, &request.card));
    card_validate_t command;
    arena_t arena = {0};
    message_fault_t fault;
    assert_true(message_unpack(&card_validate_message, MESSAGE_KEYS_IDS,
                               (const uint8_t *)sent->request.body.data, sent->request.body.size,
                               &arena, &command, &fault));
    assert_true(text_equal(command.gate, TEXT_LITERAL("north")));
}

static void impossible_ids_go_to_partition_0(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("zeta", "validator@zeta");
    request.card = card_id_make(clock_wall_ms(), 4, (const uint8_t[10]){5}); /* has 0 to 3 */
    (void)gateway_submit_to(fixture, &request);
    assert_int_equal(gateway_last_sent(fixture)->request.partition, 0);
    request.card = (uuid_t){.bytes = {1, 2, 3, 4, 5, 6, 0x40, 8, 0x83}};
    (void)gateway_submit_to(fixture, &request);
    assert_int_equal(gateway_last_sent(fixture)->request.partition, 0);
    assert_true(uuid_equal(&gateway_last_sent(fixture)->request.card, &request.card));
}

static void issue_goes_to_the_partition_of_its_member(void **state)
{
    gateway_fixture_t *fixture = *state;
    const gateway_request_t request = gateway_issue_request("big", "issuer@big");
    (void)gateway_submit_to(fixture, &request);
    const request_t *sent = &gateway_last_sent(fixture)->request;
    assert_int_equal(sent->partition, placement_partition(TEXT_LITERAL("m-1"), 64));
    assert_false(MESSAGE_HAS(request, sent, card));
    assert_false(MESSAGE_HAS(request, sent, key));
}

static void scan_is_routed_by_the_id_in_its_code(void **state)
{
    gateway_fixture_t *fixture = *state;
    const uuid_t card = card_id_make(clock_wall_ms(), 9, (const uint8_t[10]){5});
    const card_code_t code = {.kid = 1, .card = card};
    char text[CARD_CODE_TEXT_SIZE];
    card_code_format(&code, text);
    card_scan_t scan = {0};
    MESSAGE_SET(card_scan, &scan, gate, TEXT_LITERAL("north"));
    MESSAGE_SET(card_scan, &scan, qr, ((text_t){.data = text, .size = sizeof(text)}));
    gateway_request_t request = gateway_validate_request("big", "validator@big");
    request.type = request_type_card_scan;
    request.has_card = false;
    request.command = &scan;
    (void)gateway_submit_to(fixture, &request);
    assert_int_equal(gateway_last_sent(fixture)->request.partition, 9);
    assert_true(uuid_equal(&gateway_last_sent(fixture)->request.card, &card));
    scan.qr = TEXT_LITERAL("not a code");
    (void)gateway_submit_to(fixture, &request);
    assert_int_equal(gateway_last_sent(fixture)->request.partition, 0);
    assert_false(MESSAGE_HAS(request, &gateway_last_sent(fixture)->request, card));
}

static void reads_of_many_go_to_the_relay(void **state)
{
    gateway_fixture_t *fixture = *state;
    const gateway_request_t list = gateway_list_request("big", "auditor@big");
    (void)gateway_submit_to(fixture, &list);
    assert_int_equal(gateway_last_sent(fixture)->target, GATEWAY_RELAY);
    assert_int_equal(gateway_last_sent(fixture)->index, 0);
    const gateway_request_t get = gateway_get_request("big", "auditor@big");
    (void)gateway_submit_to(fixture, &get);
    assert_int_equal(gateway_last_sent(fixture)->target, GATEWAY_SHARD);
}

static void conditions_belong_to_changes_of_a_card_and_to_their_key(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_issue_request("acme", "issuer@acme");
    request.has_condition = true;
    request.if_version = 7;
    assert_int_equal(gateway_submit_to(fixture, &request), 0);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_INVALID_PARAMETER);
    assert_string_equal(gateway_last_ended(fixture)->field, "if_version");

    const card_change_t change = {0};
    request = gateway_get_request("acme", "tenant_admin@acme");
    request.type = request_type_card_revoke;
    request.command = &change;
    request.key = TEXT_LITERAL("k");
    request.method_and_path = TEXT_LITERAL("POST /x");
    uint8_t hashes[3][32];
    for (uint64_t i = 0; i < 3; i++) {
        request.has_condition = i > 0;
        request.if_version = i + 6;
        assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
        const request_t *sent = &gateway_last_sent(fixture)->request;
        assert_int_equal(MESSAGE_HAS(request, sent, if_version), i > 0);
        assert_true(i == 0 || sent->if_version == i + 6);
        memcpy(hashes[i], sent->key_hash.data, 32);
    }
    assert_memory_not_equal(hashes[0], hashes[1], 32);
    assert_memory_not_equal(hashes[1], hashes[2], 32);
}

static void key_hash_covers_subject_path_and_body(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_issue_request("acme", "issuer@acme");
    request.key = TEXT_LITERAL("k");
    static char large[6000];
    const text_t bodies[] = {TEXT_LITERAL("{\"a\":1}"),
                             TEXT_LITERAL("{\"a\":2}"),
                             {.data = large, .size = sizeof(large)}};
    for (size_t i = 0; i < 3; i++) {
        request.raw_body = bodies[i];
        (void)gateway_submit_to(fixture, &request);
        static uint8_t input[6100];
        size_t size = 0;
        memcpy(input, "somebody\0POST /x", 17);
        size = 17;
        memcpy(input + size, bodies[i].data, bodies[i].size);
        size += bodies[i].size;
        uint8_t hash[32];
        signer_functions.sha256((text_t){.data = (const char *)input, .size = size}, hash);
        const request_t *sent = &gateway_last_sent(fixture)->request;
        assert_int_equal(sent->key_hash.size, 32);
        assert_memory_equal(sent->key_hash.data, hash, 32);
        assert_true(text_equal(sent->key, request.key));
    }
}

static void access_can_be_asked_for_alone(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    request.command = NULL; /* only type, tenant, token and traceparent count */
    request.has_card = false;
    request.key = TEXT_LITERAL("two words");
    gateway_reply_t why_not = {0};
    assert_true(gateway_authorise(fixture->gateway, &request, &why_not));
    request.tenant = TEXT_LITERAL("zeta");
    request.traceparent = TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_false(gateway_authorise(fixture->gateway, &request, &why_not));
    assert_int_equal(why_not.result, RESULT_WRONG_TENANT);
    assert_true(why_not.detail.size > 10);
    assert_true(text_equal(why_not.trace_id, TEXT_LITERAL("0af7651916cd43dd8448eb211c80319c")));
    request.token = TEXT_NONE;
    assert_false(gateway_authorise(fixture->gateway, &request, &why_not));
    assert_int_equal(why_not.result, RESULT_UNAUTHENTICATED);
    request.type = request_type_directory_get;
    assert_false(gateway_authorise(fixture->gateway, &request, &why_not));
    assert_int_equal(why_not.result, RESULT_UNKNOWN_TYPE);
    assert_int_equal(fixture->ended_count, 0);
    assert_int_equal(fixture->sent_count, 0);
}

static void trace_of_the_client_is_kept(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    request.traceparent = TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    (void)gateway_submit_to(fixture, &request);
    assert_true(text_equal(gateway_last_sent(fixture)->request.traceparent, request.traceparent));
    request.token = TEXT_LITERAL("bad");
    (void)gateway_submit_to(fixture, &request);
    assert_string_equal(gateway_last_ended(fixture)->trace_id, "0af7651916cd43dd8448eb211c80319c");
}

static void malformed_trace_begins_a_new_one(void **state)
{
    gateway_fixture_t *fixture = *state;
    static const char *const bad[] = {"",
                                      "00",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                                      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                      "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
                                      "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01"};
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    char before[56] = "";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        request.traceparent = text_from_c(bad[i]);
        (void)gateway_submit_to(fixture, &request);
        const text_t made = gateway_last_sent(fixture)->request.traceparent;
        assert_true(gateway_traceparent_is_valid(made));
        assert_false(text_equal(made, text_from_c(before)));
        (void)snprintf(before, sizeof(before), "%.*s", TEXT_PRINT(made));
    }
}

static void requests_say_which_tenant_of_that_name_they_mean(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("big", "validator@big");
    assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
    assert_int_equal(gateway_last_sent(fixture)->request.tenant_since, 1001);
    request = gateway_validate_request("acme", "validator@acme");
    assert_int_not_equal(gateway_submit_to(fixture, &request), 0);
    assert_false(MESSAGE_HAS(request, &gateway_last_sent(fixture)->request, tenant_since));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, gateway_setup, gateway_teardown)
    const struct CMUnitTest tests[] = {
        TEST(requests_say_which_tenant_of_that_name_they_mean),
        TEST(checks_come_in_their_order),
        TEST(tenant_names_that_cannot_be_are_refused),
        TEST(forbidden_names_the_role_and_those_that_may),
        TEST(platform_admin_may_enter_every_tenant),
        TEST(idempotency_keys_are_visible_ascii),
        TEST(rules_do_not_exist_yet),
        TEST(scans_from_the_future_are_refused),
        TEST(types_that_clients_cannot_ask_for_are_unknown),
        cmocka_unit_test_setup_teardown(nothing_is_answered_before_the_directory_is_known,
                                        gateway_setup_bare, gateway_teardown),
        TEST(commands_go_to_the_shard_and_partition_of_their_card),
        TEST(impossible_ids_go_to_partition_0),
        TEST(issue_goes_to_the_partition_of_its_member),
        TEST(scan_is_routed_by_the_id_in_its_code),
        TEST(reads_of_many_go_to_the_relay),
        TEST(key_hash_covers_subject_path_and_body),
        TEST(conditions_belong_to_changes_of_a_card_and_to_their_key),
        TEST(access_can_be_asked_for_alone),
        TEST(trace_of_the_client_is_kept),
        TEST(malformed_trace_begins_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
