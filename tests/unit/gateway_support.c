/* See gateway_support.h. */
#include "tests/unit/gateway_support.h"
#include "actors/domain/card_id.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "tests/unit/gateway_cmocka.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const trace = "11223344556677889900aabbccddeeff";

static result_t fake_verify(tokens_t *tokens, text_t token, int64_t now_ms, token_claims_t *claims,
                            char *detail, size_t detail_size)
{
    (void)tokens;
    (void)now_ms;
    const char *at = memchr(token.data, '@', token.size);
    *claims = (token_claims_t){0};
    if (at == NULL) {
        (void)snprintf(detail, detail_size, "That is no token.");
        return RESULT_UNAUTHENTICATED;
    }
    const size_t role_size = (size_t)(at - token.data);
    if (!enum_parse(&role_enum, (text_t){.data = token.data, .size = role_size}, &claims->role)) {
        (void)snprintf(detail, detail_size, "The token has expired.");
        return RESULT_TOKEN_EXPIRED;
    }
    (void)snprintf(claims->tenant, sizeof(claims->tenant), "%.*s",
                   (int)(token.size - role_size - 1), at + 1);
    (void)snprintf(claims->subject, sizeof(claims->subject), "somebody");
    return RESULT_OK;
}

static gateway_fixture_t *fixture_of_tokens(tokens_t *tokens)
{
    return (gateway_fixture_t *)(void *)((char *)tokens - offsetof(gateway_fixture_t, tokens));
}

static result_t fake_set_keys(tokens_t *tokens, const directory_token_key_t *keys, size_t key_count)
{
    (void)keys;
    fixture_of_tokens(tokens)->set_keys_count += 1;
    fixture_of_tokens(tokens)->key_count = key_count;
    return RESULT_OK;
}

static void record(sent_t *sent, gateway_target_t target, uint32_t index, const uint8_t *envelope,
                   size_t size)
{
    free(sent->bytes);
    sent->target = target;
    sent->index = index;
    sent->bytes = malloc(size);
    assert_non_null(sent->bytes);
    memcpy(sent->bytes, envelope, size);
    envelope_t decoded;
    arena_t arena = {0};
    message_fault_t fault;
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, sent->bytes, size, &arena,
                               &decoded, &fault));
    assert_true(MESSAGE_HAS(envelope, &decoded, request));
    sent->request = decoded.request;
}

static bool is_farewell(const uint8_t *envelope, size_t size)
{
    envelope_t decoded;
    arena_t arena = {0};
    message_fault_t fault;
    return message_unpack(&envelope_message, MESSAGE_KEYS_IDS, envelope, size, &arena, &decoded,
                          &fault) &&
           MESSAGE_HAS(envelope, &decoded, farewell);
}

static result_t fake_send(void *context, gateway_target_t target, uint32_t index,
                          const uint8_t *envelope, size_t size)
{
    gateway_fixture_t *fixture = context;
    if (is_farewell(envelope, size)) {
        fixture->farewell_count += 1;
        fixture->farewell_index = index;
        return RESULT_OK;
    }
    sent_t sent = {0};
    record(&sent, target, index, envelope, size);
    if (sent.request.type == request_type_directory_get) {
        free(fixture->question.bytes);
        fixture->question = sent;
        fixture->question_count += 1;
        return RESULT_OK;
    }
    if (fixture->send_result == RESULT_OK) {
        fixture->send_count += 1;
    }
    if (fixture->send_result != RESULT_OK || fixture->is_silent) {
        free(sent.bytes);
        return fixture->send_result;
    }
    assert_true(fixture->sent_count < SENT_MAX);
    fixture->sent[fixture->sent_count] = sent;
    fixture->sent_count += 1;
    return RESULT_OK;
}

int gateway_setup_bare(void **state)
{
    static const tokens_functions_t functions = {.set_keys = fake_set_keys, .verify = fake_verify};
    loop_fake_reset();
    assert_int_equal(signer_start(), RESULT_OK);
    gateway_fixture_t *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->tokens.functions = &functions;
    fixture->metrics = metrics_create("front-0");
    const gateway_ports_t ports = {.crypto = &signer_functions,
                                   .tokens = &fixture->tokens,
                                   .send = fake_send,
                                   .send_context = fixture,
                                   .shards = SHARDS};
    assert_int_equal(gateway_create(loop_fake(), fixture->metrics, &ports, &fixture->gateway),
                     RESULT_OK);
    *state = fixture;
    return 0;
}

int gateway_setup(void **state)
{
    assert_int_equal(gateway_setup_bare(state), 0);
    gateway_fixture_t *fixture = *state;
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 1);
    gateway_peer_up(fixture->gateway, GATEWAY_RELAY, 0);
    gateway_answer_usual_directory(fixture, 1);
    return 0;
}

int gateway_teardown(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_destroy(&fixture->gateway);
    metrics_destroy(&fixture->metrics);
    for (size_t i = 0; i < fixture->sent_count; i++) {
        free(fixture->sent[i].bytes);
    }
    free(fixture->question.bytes);
    free(fixture);
    assert_int_equal(loop_fake_timer_count(), 0);
    return 0;
}

void gateway_reply_with(gateway_fixture_t *fixture, const reply_t *reply)
{
    envelope_t envelope = {.reply = *reply};
    MESSAGE_MARK(envelope, &envelope, reply);
    const size_t size = message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, NULL, 0);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    (void)message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, size);
    gateway_receive(fixture->gateway, bytes, size);
    free(bytes);
}

static reply_t reply_to(const request_t *request, uint8_t outcome)
{
    reply_t reply = {0};
    MESSAGE_SET(reply, &reply, correlation, request->correlation);
    MESSAGE_SET(reply, &reply, outcome, outcome);
    MESSAGE_SET(reply, &reply, trace_id, text_from_c(trace));
    return reply;
}

static void reply_document(gateway_fixture_t *fixture, const request_t *request,
                           const message_type_t *type, const void *document)
{
    const size_t size = message_pack(type, document, MESSAGE_KEYS_IDS, NULL, 0);
    uint8_t *body = malloc(size);
    assert_non_null(body);
    (void)message_pack(type, document, MESSAGE_KEYS_IDS, body, size);
    reply_t reply = reply_to(request, outcome_ok);
    MESSAGE_SET(reply, &reply, body, ((text_t){.data = (const char *)body, .size = size}));
    if (type == &card_message) {
        const card_t *card = document;
        MESSAGE_SET(reply, &reply, created, true);
        MESSAGE_SET(reply, &reply, card, card->id);
        MESSAGE_SET(reply, &reply, version, card->version);
    }
    gateway_reply_with(fixture, &reply);
    free(body);
}

void gateway_answer_directory(gateway_fixture_t *fixture, const directory_t *page)
{
    assert_non_null(fixture->question.bytes);
    const request_t request = fixture->question.request;
    reply_document(fixture, &request, &directory_message, page);
}

void gateway_answer_usual_directory(gateway_fixture_t *fixture, uint64_t version)
{
    directory_tenant_t tenants[3] = {{0}};
    static const char *const names[] = {"acme", "big", "zeta"};
    static const uint64_t partitions[] = {1, 64, 4};
    for (size_t i = 0; i < 3; i++) {
        MESSAGE_SET(directory_tenant, &tenants[i], name, text_from_c(names[i]));
        MESSAGE_SET(directory_tenant, &tenants[i], partitions, partitions[i]);
        if (i > 0) { /* a shard of an earlier version does not say */
            MESSAGE_SET(directory_tenant, &tenants[i], created_at, 1000 * version + i);
        }
    }
    directory_token_key_t key = {0};
    MESSAGE_SET(directory_token_key, &key, kid, TEXT_LITERAL("k1"));
    MESSAGE_SET(directory_token_key, &key, jwk, TEXT_LITERAL("{\"kty\":\"EC\"}"));
    directory_t page = {
        .tenants = tenants, .tenants_count = 3, .token_keys = &key, .token_keys_count = 1};
    MESSAGE_MARK(directory, &page, tenants);
    MESSAGE_MARK(directory, &page, token_keys);
    MESSAGE_SET(directory, &page, version, version);
    MESSAGE_SET(directory, &page, unchanged, false);
    gateway_answer_directory(fixture, &page);
}

static gateway_request_t request_of(uint8_t type, const char *tenant, const char *token)
{
    return (gateway_request_t){.type = type,
                               .tenant = text_from_c(tenant),
                               .token = text_from_c(token),
                               .method_and_path = TEXT_LITERAL("POST /x"),
                               .raw_body = TEXT_LITERAL("{}")};
}

gateway_request_t gateway_validate_request(const char *tenant, const char *token)
{
    static card_validate_t command;
    command = (card_validate_t){0};
    gateway_request_t request = request_of(request_type_card_validate, tenant, token);
    request.has_card = true;
    request.card = card_id_make(clock_wall_ms(), 0, (const uint8_t[10]){1, 2, 3});
    MESSAGE_SET(card_validate, &command, id, request.card);
    MESSAGE_SET(card_validate, &command, gate, TEXT_LITERAL("north"));
    request.command = &command;
    return request;
}

gateway_request_t gateway_issue_request(const char *tenant, const char *token)
{
    static card_issue_t command;
    command = (card_issue_t){0};
    MESSAGE_SET(card_issue, &command, member_id, TEXT_LITERAL("m-1"));
    MESSAGE_SET(card_issue, &command, expires_at, clock_wall_ms() + 1000000);
    gateway_request_t request = request_of(request_type_card_issue, tenant, token);
    request.command = &command;
    return request;
}

gateway_request_t gateway_list_request(const char *tenant, const char *token)
{
    static card_list_t command;
    command = (card_list_t){0};
    gateway_request_t request = request_of(request_type_card_list, tenant, token);
    request.command = &command;
    return request;
}

gateway_request_t gateway_get_request(const char *tenant, const char *token)
{
    static card_get_t command;
    command = (card_get_t){0};
    gateway_request_t request = gateway_validate_request(tenant, token);
    request.type = request_type_card_get;
    MESSAGE_SET(card_get, &command, id, request.card);
    request.command = &command;
    return request;
}

static void copy_text(text_t text, char *out, size_t capacity)
{
    assert_true(text.size < capacity);
    (void)snprintf(out, capacity, "%.*s", TEXT_PRINT(text));
}

static void request_done(void *context, const gateway_reply_t *reply)
{
    gateway_fixture_t *fixture = context;
    ended_t *ended = &fixture->ended[fixture->ended_count % ENDED_MAX];
    fixture->ended_count += 1;
    *ended = (ended_t){.result = reply->result,
                       .reason = reply->reason,
                       .document_type = reply->document_type,
                       .created = reply->created,
                       .has_card = reply->has_card,
                       .card_id = reply->card,
                       .version = reply->version,
                       .retry_after_s = reply->retry_after_s};
    copy_text(reply->detail, ended->detail, sizeof(ended->detail));
    copy_text(reply->field, ended->field, sizeof(ended->field));
    copy_text(reply->trace_id, ended->trace_id, sizeof(ended->trace_id));
    if (reply->document_type == &card_message) {
        ended->card = *(const card_t *)reply->document;
    } else if (reply->document_type == &card_page_message) {
        ended->page_items = ((const card_page_t *)reply->document)->items_count;
    }
    char type_text[128];
    problem_t problem;
    if (reply->result != RESULT_OK) {
        gateway_problem(reply, type_text, &problem); /* every error makes a whole problem */
        char json[2048];
        assert_true(message_to_json(&problem_message, &problem, json, sizeof(json)) <=
                    sizeof(json));
    }
}

uint64_t gateway_submit_to(gateway_fixture_t *fixture, const gateway_request_t *request)
{
    return gateway_submit(fixture->gateway, request, request_done, fixture);
}

const ended_t *gateway_last_ended(const gateway_fixture_t *fixture)
{
    assert_true(fixture->ended_count > 0);
    return &fixture->ended[(fixture->ended_count - 1) % ENDED_MAX];
}

const sent_t *gateway_last_sent(const gateway_fixture_t *fixture)
{
    assert_true(fixture->sent_count > 0);
    return &fixture->sent[fixture->sent_count - 1];
}

static card_t some_card(void)
{
    card_t card = {0};
    MESSAGE_SET(card, &card, id, ((uuid_t){.bytes = {9, 9}}));
    MESSAGE_SET(card, &card, tenant, TEXT_LITERAL("acme"));
    MESSAGE_SET(card, &card, member_id, TEXT_LITERAL("m-1"));
    MESSAGE_SET(card, &card, status, card_status_active);
    MESSAGE_SET(card, &card, valid_from, 1000);
    MESSAGE_SET(card, &card, expires_at, 2000);
    MESSAGE_SET(card, &card, issued_at, 1000);
    MESSAGE_SET(card, &card, version, 7);
    MESSAGE_SET(card, &card, rules, 0);
    return card;
}

void gateway_reply_ok(gateway_fixture_t *fixture, const request_t *request)
{
    const card_t card = some_card();
    const message_type_t *type = gateway_shape(request->type)->document;
    if (type == &card_message) {
        reply_document(fixture, request, type, &card);
    } else if (type == &verdict_message) {
        verdict_t verdict = {0};
        MESSAGE_SET(verdict, &verdict, result, verdict_result_valid);
        MESSAGE_SET(verdict, &verdict, reason, reason_valid);
        MESSAGE_SET(verdict, &verdict, message, TEXT_LITERAL("Welcome."));
        MESSAGE_SET(verdict, &verdict, validation_id, ((uuid_t){.bytes = {1}}));
        MESSAGE_SET(verdict, &verdict, fallback, false);
        MESSAGE_SET(verdict, &verdict, at, 1000);
        MESSAGE_SET(verdict, &verdict, recorded_at, 1000);
        reply_document(fixture, request, type, &verdict);
    } else {
        static card_t items[500];
        for (size_t i = 0; i < 500; i++) {
            items[i] = card;
        }
        card_page_t page = {.items = items, .items_count = 500};
        MESSAGE_MARK(card_page, &page, items);
        assert_ptr_equal(type, &card_page_message);
        reply_document(fixture, request, type, &page);
    }
}

void gateway_reply_refused(gateway_fixture_t *fixture, const request_t *request, uint8_t reason)
{
    reply_t reply = reply_to(request, outcome_refused);
    MESSAGE_SET(reply, &reply, reason, reason);
    MESSAGE_SET(reply, &reply, detail, TEXT_LITERAL("The card was revoked."));
    gateway_reply_with(fixture, &reply);
}

void gateway_reply_error(gateway_fixture_t *fixture, const request_t *request, uint64_t error)
{
    reply_t reply = reply_to(request, outcome_error);
    MESSAGE_SET(reply, &reply, error, error);
    gateway_reply_with(fixture, &reply);
}

uint64_t gateway_counter(const gateway_fixture_t *fixture, const char *name)
{
    return metric_value(metrics_counter(fixture->metrics, name, "", ""));
}
