/* Answers of the relay to fronts. Each ends its read. Must not know what is in a document. */
#include "actors/relay/relay_internal.h"
#include "runtime/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Packs into a buffer that grows to what is needed; 0 when memory is out. */
static size_t pack(relay_buffer_t *buffer, const message_type_t *type, const void *message)
{
    size_t size = message_pack(type, message, MESSAGE_KEYS_IDS, buffer->bytes, buffer->capacity);
    if (size <= buffer->capacity) {
        return size;
    }
    if (size > LIMIT_CHANNEL_ENVELOPE_SIZE) {
        return 0;
    }
    uint8_t *bytes = realloc(buffer->bytes, size);
    if (bytes == NULL) {
        return 0;
    }
    buffer->bytes = bytes;
    buffer->capacity = size;
    return message_pack(type, message, MESSAGE_KEYS_IDS, buffer->bytes, buffer->capacity);
}

static void shrink(relay_buffer_t *buffer)
{
    if (buffer->capacity > LIMIT_PAGE_BUFFER_KEPT_SIZE) {
        free(buffer->bytes);
        *buffer = (relay_buffer_t){0};
    }
}

static void send_reply(relay_t *relay, uint32_t peer, const reply_t *reply)
{
    envelope_t envelope = {.reply = *reply};
    MESSAGE_MARK(envelope, &envelope, reply);
    const size_t size = pack(&relay->envelope_buffer, &envelope_message, &envelope);
    if (size == 0) {
        metric_add(relay->numbers.reads_failed, 1);
        log_error("a reply is too large to be sent: whoever waits for it gets `deadline_exceeded`",
                  LOG_NUMBER("body_size", reply->body.size));
    } else {
        relay->ports.reply(relay->ports.context, peer, relay->envelope_buffer.bytes, size);
    }
    shrink(&relay->envelope_buffer);
}

static void send_error(relay_t *relay, uint32_t peer, uint64_t correlation, const char *trace_id,
                       result_t error, text_t detail, text_t field, uint64_t first_sequence)
{
    reply_t reply = {0};
    if (first_sequence > 0) {
        MESSAGE_SET(reply, &reply, first_sequence, first_sequence);
    }
    MESSAGE_SET(reply, &reply, correlation, correlation);
    MESSAGE_SET(reply, &reply, outcome, outcome_error);
    MESSAGE_SET(reply, &reply, error, (uint64_t)error);
    MESSAGE_SET(reply, &reply, detail, detail);
    if (!text_is_empty(field)) {
        MESSAGE_SET(reply, &reply, field, field);
    }
    MESSAGE_SET(reply, &reply, trace_id, ((text_t){.data = trace_id, .size = RELAY_TRACE_ID_SIZE}));
    metric_add(relay->numbers.reads_failed, 1);
    send_reply(relay, peer, &reply);
}

static void end_read(relay_read_t *read)
{
    relay_t *relay = read->relay;
    relay->read_count -= 1;
    free(read);
    relay_drain_check(relay);
}

void relay_reply_error(relay_read_t *read, result_t error, const char *detail, const char *field)
{
    send_error(read->relay, read->peer, read->correlation, read->trace_id, error,
               text_from_c(detail), text_from_c(field), 0);
    end_read(read);
}

void relay_reply_strange_cursor(relay_read_t *read)
{
    relay_reply_error(read, RESULT_INVALID_CURSOR,
                      "The cursor is none of this list: begin without one, and take the next from "
                      "each page.",
                      "cursor");
}

void relay_reply_archived(relay_read_t *read, uint64_t first_sequence)
{
    char detail[160];
    (void)snprintf(detail, sizeof(detail),
                   "Validations before sequence %" PRIu64 " were archived: read from there on "
                   "(after=%" PRIu64 "), or find the older ones in the archive.",
                   first_sequence, first_sequence - 1);
    send_error(read->relay, read->peer, read->correlation, read->trace_id, RESULT_ARCHIVED,
               text_from_c(detail), TEXT_NONE, first_sequence);
    end_read(read);
}

void relay_reply_refuse(relay_t *relay, uint32_t peer, const request_t *request, result_t error,
                        const char *detail, const char *field)
{
    char trace_id[RELAY_TRACE_ID_SIZE];
    memset(trace_id, '0', sizeof(trace_id));
    if (request->traceparent.size == 55) {
        memcpy(trace_id, request->traceparent.data + 3, sizeof(trace_id));
    }
    send_error(relay, peer, request->correlation, trace_id, error, text_from_c(detail),
               text_from_c(field), 0);
}

void relay_reply_document(relay_read_t *read, const message_type_t *type, const void *document)
{
    relay_t *relay = read->relay;
    const size_t size = pack(&relay->document_buffer, type, document);
    if (size == 0) {
        shrink(&relay->document_buffer);
        relay_reply_error(read, RESULT_NO_MEMORY,
                          "The page is too large: ask for it with a lower limit.", "limit");
        return;
    }
    reply_t reply = {0};
    MESSAGE_SET(reply, &reply, correlation, read->correlation);
    MESSAGE_SET(reply, &reply, outcome, outcome_ok);
    MESSAGE_SET(reply, &reply, body,
                ((text_t){.data = (const char *)relay->document_buffer.bytes, .size = size}));
    MESSAGE_SET(reply, &reply, trace_id,
                ((text_t){.data = read->trace_id, .size = RELAY_TRACE_ID_SIZE}));
    send_reply(relay, read->peer, &reply);
    shrink(&relay->document_buffer);
    end_read(read);
}
