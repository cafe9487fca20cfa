/* See gateway_fake.h. */
#include "tests/support/gateway_fake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TRACE_ID "0123456789abcdef0123456789abcdef"
enum { FAKE_PAGE_ITEMS = 500 };

void gateway_fake_init(gateway_t *gateway)
{
    memset(gateway, 0, sizeof(*gateway));
    gateway->version = 7;
    gateway->next_handle = 1;
}

static void copy(char out[GATEWAY_FAKE_TEXT], text_t text)
{
    const size_t size = text.size < GATEWAY_FAKE_TEXT - 1 ? text.size : GATEWAY_FAKE_TEXT - 1;
    if (size > 0) {
        memcpy(out, text.data, size);
    }
    out[size] = '\0';
}

static void remember(const gateway_request_t *request, gateway_fake_request_t *kept)
{
    *kept = (gateway_fake_request_t){.type = request->type,
                                     .has_card = request->has_card,
                                     .card = request->card,
                                     .deadline_ms = request->deadline_ms,
                                     .has_condition = request->has_condition,
                                     .if_version = request->if_version,
                                     .body_size = request->raw_body.size};
    copy(kept->tenant, request->tenant);
    copy(kept->token, request->token);
    copy(kept->key, request->key);
    copy(kept->method_and_path, request->method_and_path);
    copy(kept->traceparent, request->traceparent);
    memcpy(&kept->command, request->command, command_type(request->type)->size);
    if (request->type == request_type_card_issue) {
        copy(kept->member_id, kept->command.card_issue.member_id);
    } else if (request->type == request_type_card_scan) {
        copy(kept->gate, kept->command.card_scan.gate);
    } else if (request->type == request_type_card_validate) {
        copy(kept->gate, kept->command.card_validate.gate);
    }
    kept->has_token_of_auditor = strcmp(kept->token, "auditor") == 0;
}

static result_t access_of(const gateway_request_t *request)
{
    if (text_equal(request->token, TEXT_LITERAL("expired"))) {
        return RESULT_TOKEN_EXPIRED;
    }
    if (!text_equal(request->token, TEXT_LITERAL("good")) &&
        !text_equal(request->token, TEXT_LITERAL("auditor"))) {
        return RESULT_UNAUTHENTICATED;
    }
    for (size_t i = 0; i < request->tenant.size; i++) {
        const char character = request->tenant.data[i];
        if (character < 'a' || character > 'z') {
            return RESULT_INVALID_TENANT;
        }
    }
    if (request->tenant.size < 2 || request->tenant.size > 39) {
        return RESULT_INVALID_TENANT;
    }
    return text_equal(request->tenant, TEXT_LITERAL("acme")) ? RESULT_OK : RESULT_WRONG_TENANT;
}

static gateway_reply_t failure(result_t result, uint8_t reason)
{
    return (gateway_reply_t){.result = result,
                             .reason = reason,
                             .detail = TEXT_LITERAL("said by the fake gateway"),
                             .trace_id = TEXT_LITERAL(TRACE_ID),
                             .retry_after_s = result_http_status(result) == 503 ? 2 : 0};
}

static void fill_card(const gateway_t *gateway, const gateway_fake_request_t *request, card_t *card)
{
    memset(card, 0, sizeof(*card));
    uuid_t id;
    const bool parsed = uuid_parse(TEXT_LITERAL(GATEWAY_FAKE_CARD), &id);
    assert(parsed);
    MESSAGE_SET(card, card, id, request->has_card ? request->card : id);
    MESSAGE_SET(card, card, tenant, TEXT_LITERAL("acme"));
    MESSAGE_SET(card, card, member_id, TEXT_LITERAL("m-1"));
    MESSAGE_SET(card, card, status, card_status_active);
    MESSAGE_SET(card, card, valid_from, INT64_C(1700000000000));
    MESSAGE_SET(card, card, expires_at, INT64_C(1800000000000));
    MESSAGE_SET(card, card, issued_at, INT64_C(1700000000000));
    MESSAGE_SET(card, card, version, gateway->version);
    MESSAGE_SET(card, card, rules, 0);
    if (!request->has_token_of_auditor) {
        card->qr = (card_qr_t){0};
        MESSAGE_SET(card_qr, &card->qr, text, TEXT_LITERAL("DC1:ABC"));
        MESSAGE_SET(card_qr, &card->qr, kid, TEXT_LITERAL("1"));
        MESSAGE_MARK(card, card, qr);
    }
}

static void answer_page(const gateway_t *gateway, const gateway_fake_request_t *request)
{
    static card_t items[FAKE_PAGE_ITEMS];
    assert(gateway->page_items <= FAKE_PAGE_ITEMS);
    for (size_t i = 0; i < gateway->page_items; i++) {
        fill_card(gateway, request, &items[i]);
    }
    card_page_t page = {0};
    MESSAGE_MARK(card_page, &page, items);
    page.items = items;
    page.items_count = (uint32_t)gateway->page_items;
    MESSAGE_SET(card_page, &page, next_cursor, TEXT_LITERAL("next/1+2"));
    const gateway_reply_t reply = {.result = RESULT_OK,
                                   .document_type = &card_page_message,
                                   .document = &page,
                                   .trace_id = TEXT_LITERAL(TRACE_ID)};
    request->done(request->context, &reply);
}

static void answer_events(const gateway_fake_request_t *request)
{
    event_page_t page = {0};
    MESSAGE_MARK(event_page, &page, items);
    MESSAGE_SET(event_page, &page, next_cursor, TEXT_LITERAL("42"));
    MESSAGE_SET(event_page, &page, head, 99);
    const gateway_reply_t reply = {.result = RESULT_OK,
                                   .document_type = &event_page_message,
                                   .document = &page,
                                   .trace_id = TEXT_LITERAL(TRACE_ID)};
    request->done(request->context, &reply);
}

static void answer_verdict(const gateway_fake_request_t *request)
{
    verdict_t verdict = {0};
    uuid_t id;
    const bool parsed = uuid_parse(TEXT_LITERAL(GATEWAY_FAKE_CARD), &id);
    assert(parsed);
    MESSAGE_SET(verdict, &verdict, result, verdict_result_valid);
    MESSAGE_SET(verdict, &verdict, reason, reason_valid);
    MESSAGE_SET(verdict, &verdict, message, text_from_c(request->gate));
    MESSAGE_SET(verdict, &verdict, validation_id, id);
    MESSAGE_SET(verdict, &verdict, fallback, false);
    MESSAGE_SET(verdict, &verdict, at, INT64_C(1700000000000));
    MESSAGE_SET(verdict, &verdict, recorded_at, INT64_C(1700000000000));
    const gateway_reply_t reply = {.result = RESULT_OK,
                                   .document_type = &verdict_message,
                                   .document = &verdict,
                                   .trace_id = TEXT_LITERAL(TRACE_ID)};
    request->done(request->context, &reply);
}

static void answer_card(const gateway_t *gateway, const gateway_fake_request_t *request)
{
    card_t card;
    fill_card(gateway, request, &card);
    const bool created =
        request->type == request_type_card_issue || request->type == request_type_card_replace;
    const gateway_reply_t reply = {.result = RESULT_OK,
                                   .document_type = &card_message,
                                   .document = &card,
                                   .created = created,
                                   .has_card = true,
                                   .card = card.id,
                                   .version = card.version,
                                   .trace_id = TEXT_LITERAL(TRACE_ID)};
    request->done(request->context, &reply);
}

static void answer(const gateway_t *gateway, const gateway_fake_request_t *request)
{
    if (gateway->fails_with != RESULT_OK) {
        const gateway_reply_t reply = failure(gateway->fails_with, gateway->reason);
        request->done(request->context, &reply);
        return;
    }
    switch (request->type) {
    case request_type_card_scan:
    case request_type_card_validate:
        answer_verdict(request);
        return;
    case request_type_card_list:
    case request_type_card_history:
        answer_page(gateway, request);
        return;
    case request_type_events_read:
        answer_events(request);
        return;
    default:
        answer_card(gateway, request);
        return;
    }
}

uint64_t gateway_submit(gateway_t *gateway, const gateway_request_t *request, gateway_done_t *done,
                        void *context)
{
    gateway_fake_request_t kept;
    remember(request, &kept);
    kept.done = done;
    kept.context = context;
    gateway->last = kept;
    gateway->submitted++;
    const result_t access = access_of(request);
    if (access != RESULT_OK) {
        const gateway_reply_t reply = failure(access, 0);
        done(context, &reply);
        return 0;
    }
    if (!gateway->holds) {
        answer(gateway, &kept);
        return 0;
    }
    assert(gateway->held < GATEWAY_FAKE_REQUESTS);
    kept.handle = gateway->next_handle;
    gateway->next_handle++;
    gateway->requests[gateway->held] = kept;
    gateway->held++;
    return kept.handle;
}

static void forget(gateway_t *gateway, uint32_t position)
{
    gateway->held--;
    memmove(&gateway->requests[position], &gateway->requests[position + 1],
            (gateway->held - position) * sizeof(gateway->requests[0]));
}

void gateway_fake_answer(gateway_t *gateway, uint32_t position)
{
    assert(position < gateway->held);
    const gateway_fake_request_t request = gateway->requests[position];
    forget(gateway, position);
    answer(gateway, &request);
}

void gateway_cancel(gateway_t *gateway, uint64_t handle)
{
    for (uint32_t i = 0; i < gateway->held; i++) {
        if (gateway->requests[i].handle == handle) {
            forget(gateway, i);
            gateway->cancelled++;
            return;
        }
    }
}

bool gateway_authorise(gateway_t *gateway, const gateway_request_t *request,
                       gateway_reply_t *why_not)
{
    const result_t access = access_of(request);
    gateway->authorised++;
    if (access != RESULT_OK) {
        *why_not = failure(access, 0);
    }
    return access == RESULT_OK;
}

bool gateway_is_ready(const gateway_t *gateway, char *detail, size_t detail_size)
{
    (void)snprintf(detail, detail_size, "%s", gateway->is_not_ready ? "shard-0 is down" : "");
    return !gateway->is_not_ready;
}

size_t gateway_jwks(const gateway_t *gateway, char *out, size_t capacity)
{
    (void)gateway;
    const text_t keys = TEXT_LITERAL("{\"keys\":[]}");
    if (keys.size <= capacity) {
        memcpy(out, keys.data, keys.size);
    }
    return keys.size;
}

void gateway_problem(const gateway_reply_t *reply, char type_text[128], problem_t *problem)
{
    const text_t code = reply->result == RESULT_REFUSED ? enum_name(&reason_enum, reply->reason)
                                                        : text_from_c(result_code(reply->result));
    const int size =
        snprintf(type_text, 128, "https://digitalcard.dev/problems/%.*s", TEXT_PRINT(code));
    const text_t title = text_from_c(result_title(reply->result));
    *problem = (problem_t){0};
    MESSAGE_SET(problem, problem, type, ((text_t){.data = type_text, .size = (size_t)size}));
    MESSAGE_SET(problem, problem, title, title);
    MESSAGE_SET(problem, problem, status, result_http_status(reply->result));
    MESSAGE_SET(problem, problem, detail, reply->detail.size > 0 ? reply->detail : title);
    MESSAGE_SET(problem, problem, code, code);
    MESSAGE_SET(problem, problem, trace_id, reply->trace_id);
    if (reply->field.size > 0) {
        MESSAGE_SET(problem, problem, field, reply->field);
    }
}
