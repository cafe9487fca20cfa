/* What the gateway says, as an answer: documents, codes as pictures, problems (RFC 9457). Decides
 * nothing: statuses and codes come from the result, conditions (RFC 9110 section 13) from versions.
 */
#include "adapters/http/http_internal.h"

#include "adapters/http/percent.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PATH_OF_CARD_SIZE = 128, /* /{tenant}/api/v1/cards/{id} */
    PIXELS_PER_MODULE = 8,   /* a code of 61 modules and its border makes 552 pixels */
    RETRY_AFTER_S = 1,
};

/* Encodes into the server's scratch; empty when it does not fit into LIMIT_HTTP_ANSWER_SIZE. */
static text_t encode(http_server_t *server, const message_type_t *type, const void *document)
{
    http_buffer_t *json = &server->json;
    json->size = 0;
    if (json->capacity > LIMIT_HTTP_SCRATCH_SIZE) { /* left by a page */
        free(json->data);
        *json = (http_buffer_t){0};
    }
    size_t needed = LIMIT_HTTP_SCRATCH_SIZE;
    do {
        if (needed > LIMIT_HTTP_ANSWER_SIZE || !http_buffer_reserve(&server->stock, json, needed)) {
            return TEXT_NONE;
        }
        needed = message_to_json(type, document, json->data, json->capacity);
    } while (needed > json->capacity);
    return (text_t){.data = json->data, .size = needed};
}

/* --- Problems --- */

static void answer_reply_problem(http_slot_t *slot, const gateway_reply_t *reply, text_t allow)
{
    http_server_t *server = slot->connection->server;
    char type_text[128];
    problem_t problem;
    gateway_problem(reply, type_text, &problem);
    const text_t body = encode(server, &problem_message, &problem);
    const http_response_t response = {
        .status = (uint16_t)problem.status,
        .content_type = TEXT_LITERAL("application/problem+json"),
        .body = body,
        .trace_id = reply->trace_id,
        .allow = allow,
        .retry_after_s = reply->retry_after_s,
        .challenge = problem.status != 401 ? HTTP_CHALLENGE_NONE
                     : slot->has_token     ? HTTP_CHALLENGE_INVALID
                                           : HTTP_CHALLENGE_PLAIN,
    };
    http_slot_answer(slot, &response);
}

void http_answer_problem(http_slot_t *slot, result_t result, text_t detail, text_t field,
                         text_t allow)
{
    const gateway_reply_t reply = {
        .result = result,
        .detail = detail,
        .field = field,
        .trace_id = {.data = slot->trace_id, .size = sizeof(slot->trace_id)},
        .retry_after_s = result_http_status(result) == 503 ? RETRY_AFTER_S : 0,
    };
    answer_reply_problem(slot, &reply, allow);
}

/* The gateway said yes, but this front cannot answer so. */
static void answer_instead(http_slot_t *slot, const gateway_reply_t *reply, result_t result,
                           const char *detail)
{
    const gateway_reply_t other = {
        .result = result, .detail = text_from_c(detail), .trace_id = reply->trace_id};
    answer_reply_problem(slot, &other, TEXT_NONE);
}

/* --- Conditions --- */

static bool has_version(const http_versions_t *versions, uint64_t version)
{
    bool found = versions->any;
    for (uint32_t i = 0; i < versions->count; i++) {
        found = found || versions->versions[i] == version;
    }
    return found;
}

/* Answers 304 or 412 to a conditional read; true when it did. */
static bool answer_condition(http_slot_t *slot, const gateway_reply_t *reply)
{
    const bool reads = (slot->route->methods & (1U << HEAD_METHOD_GET)) != 0;
    if (!reads || !reply->has_card) {
        return false;
    }
    if (slot->if_match.present && !has_version(&slot->if_match, reply->version)) {
        answer_instead(slot, reply, RESULT_PRECONDITION_FAILED,
                       "the card has another version than If-Match names");
        return true;
    }
    if (slot->if_none_match.present && has_version(&slot->if_none_match, reply->version)) {
        const http_response_t response = {.status = 304,
                                          .trace_id = reply->trace_id,
                                          .has_version = true,
                                          .version = reply->version};
        http_slot_answer(slot, &response);
        return true;
    }
    return false;
}

/* --- Documents --- */

static text_t next_cursor(const gateway_reply_t *reply)
{
    if (reply->document_type == &card_page_message) {
        return ((const card_page_t *)reply->document)->next_cursor;
    }
    if (reply->document_type == &history_page_message) {
        return ((const history_page_t *)reply->document)->next_cursor;
    }
    if (reply->document_type == &event_page_message) {
        return ((const event_page_t *)reply->document)->next_cursor;
    }
    if (reply->document_type == &rollup_page_message) {
        return ((const rollup_page_t *)reply->document)->next_cursor;
    }
    return TEXT_NONE;
}

const char *http_cursor_name(uint8_t request_type)
{
    if (request_type == request_type_events_read) {
        return "after";
    }
    return request_type == request_type_rollup_list ? "from" : "cursor";
}

/* `<target?limit=2&cursor=…>; rel="next"` (RFC 8288); empty on the last page. */
static text_t link_to_next(const http_slot_t *slot, const gateway_reply_t *reply)
{
    http_server_t *server = slot->connection->server;
    char cursor[256];
    const text_t next = next_cursor(reply);
    if (slot->next_page == NULL || text_is_empty(next)) {
        return TEXT_NONE;
    }
    const size_t size = percent_encode(next, cursor, sizeof(cursor));
    if (size > sizeof(cursor)) {
        return TEXT_NONE; /* no cursor of ours: they have 64 bytes at most */
    }
    const char *const name = http_cursor_name(slot->route->type);
    const int written = snprintf(server->link, sizeof(server->link), "<%s%s=%.*s>; rel=\"next\"",
                                 slot->next_page, name, (int)size, cursor);
    return written < 0 || (size_t)written >= sizeof(server->link)
               ? TEXT_NONE
               : (text_t){.data = server->link, .size = (size_t)written};
}

/* Where the card of the document is found; empty when the document is none. */
static text_t path_of_card(const gateway_reply_t *reply, char *out, size_t capacity)
{
    if (reply->document_type != &card_message || !reply->has_card) {
        return TEXT_NONE;
    }
    const card_t *card = reply->document;
    char id[UUID_TEXT_SIZE];
    uuid_format(&reply->card, id);
    const int written = snprintf(out, capacity, "/%.*s/api/v1/cards/%.*s", TEXT_PRINT(card->tenant),
                                 UUID_TEXT_SIZE, id);
    assert(written > 0 && (size_t)written < capacity);
    return (text_t){.data = out, .size = (size_t)written};
}

static void answer_document(http_slot_t *slot, const gateway_reply_t *reply)
{
    char path[PATH_OF_CARD_SIZE];
    const text_t body = encode(slot->connection->server, reply->document_type, reply->document);
    if (body.size == 0) {
        answer_instead(slot, reply, RESULT_NO_MEMORY, "the answer is too large");
        return;
    }
    http_response_t response = {
        .status = reply->created ? 201 : 200,
        .content_type = TEXT_LITERAL("application/json"),
        .body = body,
        .trace_id = reply->trace_id,
        .link = link_to_next(slot, reply),
        .has_version = reply->has_card && reply->document_type == &card_message,
        .version = reply->version,
    };
    if (slot->route->type == request_type_card_replace) {
        /* 200, because the path named a card that was there; the body is the new one. */
        response.status = 200;
        response.location = path_of_card(reply, path, sizeof(path));
        response.content_location = response.location;
    } else if (reply->created) {
        response.location = path_of_card(reply, path, sizeof(path));
    }
    http_slot_answer(slot, &response);
}

/* --- Codes --- */

static void answer_code(http_slot_t *slot, const gateway_reply_t *reply)
{
    const qrcode_functions_t *qrcode = slot->connection->server->ports.qrcode;
    assert(reply->document_type == &card_message);
    const card_t *card = reply->document;
    if (!MESSAGE_HAS(card, card, qr)) {
        answer_instead(slot, reply, RESULT_FORBIDDEN, "this role does not see the code of a card");
        return;
    }
    const bool svg = slot->route->action == ROUTE_ACTION_QR_SVG;
    char *picture = NULL;
    size_t size = 0;
    const result_t result =
        svg ? qrcode->svg(card->qr.text, &picture, &size)
            : qrcode->png(card->qr.text, PIXELS_PER_MODULE, (uint8_t **)(void *)&picture, &size);
    if (result != RESULT_OK) {
        answer_instead(slot, reply, RESULT_INTERNAL, "the code could not be drawn");
        return;
    }
    const http_response_t response = {
        .status = 200,
        .content_type = svg ? TEXT_LITERAL("image/svg+xml") : TEXT_LITERAL("image/png"),
        .body = {.data = picture, .size = size},
        .trace_id = reply->trace_id,
        .has_version = reply->has_card,
        .version = reply->version,
    };
    http_slot_answer(slot, &response);
    free(picture);
}

void http_answer_gateway(void *context, const gateway_reply_t *reply)
{
    http_slot_t *slot = context;
    if (reply->result != RESULT_OK) {
        answer_reply_problem(slot, reply, TEXT_NONE);
    } else if (answer_condition(slot, reply)) {
        return;
    } else if (slot->route->action == ROUTE_ACTION_QR_SVG ||
               slot->route->action == ROUTE_ACTION_QR_PNG) {
        answer_code(slot, reply);
    } else {
        answer_document(slot, reply);
    }
}
