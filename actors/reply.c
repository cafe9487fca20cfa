/* Replies between roles. Must not decide what the answer is. */
#include "actors/reply.h"
#include <assert.h>

text_t reply_trace_id(const request_t *request)
{
    enum { VERSION_SIZE = 3, TRACEPARENT_SIZE = 55 }; /* "00-" before the id; W3C trace context */
    if (request->traceparent.size != TRACEPARENT_SIZE) {
        return TEXT_LITERAL("00000000000000000000000000000000");
    }
    return (text_t){.data = request->traceparent.data + VERSION_SIZE, .size = REPLY_TRACE_ID_SIZE};
}

void reply_begin(const request_t *request, reply_t *reply)
{
    *reply = (reply_t){0};
    MESSAGE_SET(reply, reply, correlation, request->correlation);
    MESSAGE_SET(reply, reply, trace_id, reply_trace_id(request));
}

void reply_succeed(reply_t *reply, text_t body)
{
    MESSAGE_SET(reply, reply, outcome, outcome_ok);
    MESSAGE_SET(reply, reply, body, body);
}

void reply_name_card(reply_t *reply, const uuid_t *card, uint64_t version, bool created)
{
    MESSAGE_SET(reply, reply, card, *card);
    MESSAGE_SET(reply, reply, version, version);
    if (created) {
        MESSAGE_SET(reply, reply, created, true);
    }
}

void reply_refuse(reply_t *reply, uint8_t reason, text_t detail)
{
    MESSAGE_SET(reply, reply, outcome, outcome_refused);
    MESSAGE_SET(reply, reply, reason, reason);
    MESSAGE_SET(reply, reply, detail, detail);
}

typedef struct detail_line {
    result_t result;
    const char *detail;
} detail_line_t;

static const detail_line_t detail_lines[] = {
    {RESULT_BUSY, "Too many requests are waiting for this card or tenant. Nothing was done; send "
                  "the request again after a moment."},
    {RESULT_STORE_UNAVAILABLE, "The store of this tenant takes no changes at the moment. Nothing "
                               "was stored; it is opened again by itself, so try again shortly."},
    {RESULT_STORE_FULL, "The disk that holds the store of this tenant is full. Nothing was stored; "
                        "the operator has to make room."},
    {RESULT_STORE_CORRUPT, "The stored data of this tenant is damaged and is not touched any more. "
                           "The operator has to run `digitalcard store verify` and restore it."},
    {RESULT_FENCED, "Another process has taken over this tenant. Nothing was stored; send the "
                    "request again and it reaches the new owner."},
    {RESULT_DEADLINE_EXCEEDED, "The deadline of the request had passed before it was looked at. "
                               "Nothing was done."},
    {RESULT_DRAINING, "This part of the service is stopping and takes no new requests. Nothing was "
                      "done; send the request again."},
    {RESULT_TENANT_NOT_FOUND, "There is no tenant of this name, or it has been deleted."},
    {RESULT_CARD_NOT_FOUND, "There is no card with this id in this tenant."},
    {RESULT_KEY_IN_FLIGHT, "The first request with this idempotency key has not been answered yet. "
                           "Wait for its answer, or repeat the request after a moment."},
    {RESULT_KEY_REUSED, "This idempotency key was used for another request before. Use a fresh key "
                        "for each request, and the same key only for its repeats."},
    {RESULT_UNAVAILABLE, "This part of the service cannot answer at the moment. Nothing was done; "
                         "send the request again after a moment."},
    {RESULT_NOT_IMPLEMENTED, "This version of the service does not know how to do that."},
    {RESULT_INTERNAL, "The service made a mistake. The log has the details under this trace id."},
};

static text_t default_detail(result_t result)
{
    for (size_t i = 0; i < sizeof(detail_lines) / sizeof(detail_lines[0]); i++) {
        if (detail_lines[i].result == result) {
            return text_from_c(detail_lines[i].detail);
        }
    }
    return text_from_c(result_title(result));
}

void reply_fail(reply_t *reply, result_t result, text_t detail, text_t field)
{
    assert(result != RESULT_OK);
    MESSAGE_SET(reply, reply, outcome, outcome_error);
    MESSAGE_SET(reply, reply, error, (uint64_t)result);
    MESSAGE_SET(reply, reply, detail, text_is_empty(detail) ? default_detail(result) : detail);
    if (!text_is_empty(field)) {
        MESSAGE_SET(reply, reply, field, field);
    }
}

size_t reply_pack(const reply_t *reply, uint8_t *out, size_t capacity)
{
    envelope_t envelope;
    envelope.present = 0;
    envelope.reply = *reply;
    MESSAGE_MARK(envelope, &envelope, reply);
    return message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, out, capacity);
}

size_t reply_pack_stored(const reply_t *reply, uint8_t *out, size_t capacity)
{
    reply_t stored = *reply;
    stored.correlation = 0;
    return message_pack(&reply_message, &stored, MESSAGE_KEYS_IDS, out, capacity);
}

bool reply_unpack_stored(text_t stored, uint64_t correlation, reply_t *reply)
{
    arena_t arena = {0}; /* a reply has no lists: nothing is taken from it */
    message_fault_t fault;
    if (!message_unpack(&reply_message, MESSAGE_KEYS_IDS, (const uint8_t *)stored.data, stored.size,
                        &arena, reply, &fault)) {
        return false;
    }
    MESSAGE_SET(reply, reply, correlation, correlation);
    return true;
}
