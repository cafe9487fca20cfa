/* The fields of a reply that the load generator checks: whether it is the right verdict about the
 * right card. It reads no more than that, since it shares the machine with what it measures; that
 * whole documents are right is what the end-to-end tests are for. */
#include "bench/load/wire.h"

#include "messages/message.h"
#include "messages/msgpack_cursor.h"

#include <string.h>

/* The text behind the first `"name":"`. None of the fields asked for can hold an escape. */
static text_t json_text(text_t body, text_t name_and_quotes)
{
    const char *const found =
        memmem(body.data, body.size, name_and_quotes.data, name_and_quotes.size);
    if (found == NULL) {
        return TEXT_NONE;
    }
    const char *const begin = found + name_and_quotes.size;
    const size_t left = body.size - (size_t)(begin - body.data);
    const char *const end = memchr(begin, '"', left);
    return end == NULL ? TEXT_NONE : (text_t){begin, (size_t)(end - begin)};
}

bool load_document_read_json(const load_frame_t *frame, load_action_t action, load_reply_t *reply)
{
    const text_t body = frame->body;
    *reply = (load_reply_t){.is_ok = frame->is_ok};
    if (body.size < 2 || body.data[0] != '{' || body.data[body.size - 1] != '}') {
        return false;
    }
    if (!frame->is_ok) {
        reply->code = json_text(body, TEXT_LITERAL("\"code\":\""));
        reply->detail = json_text(body, TEXT_LITERAL("\"detail\":\""));
        return reply->code.size > 0;
    }
    reply->card = json_text(body, TEXT_LITERAL("\"id\":\""));
    if (action == LOAD_VALIDATE || action == LOAD_SCAN) {
        reply->reason = json_text(body, TEXT_LITERAL("\"reason\":\""));
        reply->validation_id = json_text(body, TEXT_LITERAL("\"validation_id\":\""));
        return reply->reason.size > 0 && reply->validation_id.size > 0;
    }
    reply->status = json_text(body, TEXT_LITERAL("\"status\":\""));
    if (action == LOAD_ISSUE) {
        reply->qr = json_text(body, TEXT_LITERAL("\"qr\":{\"text\":\""));
    }
    return reply->card.size > 0 && reply->status.size > 0;
}

typedef struct names {
    text_t name;
    size_t offset; /* in load_reply_t */
} names_t;

static const names_t top[] = {
    {TEXT_LITERAL("id"), offsetof(load_reply_t, card)},
    {TEXT_LITERAL("reason"), offsetof(load_reply_t, reason)},
    {TEXT_LITERAL("status"), offsetof(load_reply_t, status)},
    {TEXT_LITERAL("code"), offsetof(load_reply_t, code)},
    {TEXT_LITERAL("detail"), offsetof(load_reply_t, detail)},
    {TEXT_LITERAL("validation_id"), offsetof(load_reply_t, validation_id)},
};
static const names_t of_card[] = {{TEXT_LITERAL("id"), offsetof(load_reply_t, card)}};
static const names_t of_qr[] = {{TEXT_LITERAL("text"), offsetof(load_reply_t, qr)}};

static bool read_text(msgpack_cursor_t *cursor, const names_t *names, size_t count, text_t name,
                      load_reply_t *reply)
{
    msgpack_cursor_t peek = *cursor;
    msgpack_value_t value;
    if (msgpack_read(&peek, &value) && value.kind == MSGPACK_TEXT) {
        for (size_t index = 0; index < count; index++) {
            if (text_equal(name, names[index].name)) {
                memcpy((char *)reply + names[index].offset, &value.data, sizeof(value.data));
            }
        }
    }
    return msgpack_skip(cursor, MESSAGE_DEPTH_MAX) == MSGPACK_SKIPPED;
}

/* A map within the document: the card of a verdict, the code of a card. */
static bool read_inner(msgpack_cursor_t *cursor, const names_t *names, size_t count,
                       load_reply_t *reply)
{
    msgpack_cursor_t peek = *cursor;
    msgpack_value_t map;
    if (!msgpack_read(&peek, &map)) {
        return false;
    }
    if (map.kind != MSGPACK_MAP) {
        return msgpack_skip(cursor, MESSAGE_DEPTH_MAX) == MSGPACK_SKIPPED; /* null */
    }
    *cursor = peek;
    for (uint64_t pair = 0; pair < map.number; pair++) {
        msgpack_value_t name;
        if (!msgpack_read(cursor, &name) || !read_text(cursor, names, count, name.data, reply)) {
            return false;
        }
    }
    return true;
}

bool load_document_read_msgpack(const load_frame_t *frame, load_reply_t *reply)
{
    msgpack_cursor_t cursor = {(const uint8_t *)frame->body.data,
                               (const uint8_t *)frame->body.data + frame->body.size};
    msgpack_value_t map;
    *reply = (load_reply_t){.is_ok = frame->is_ok};
    if (!msgpack_read(&cursor, &map) || map.kind != MSGPACK_MAP) {
        return false;
    }
    for (uint64_t pair = 0; pair < map.number; pair++) {
        msgpack_value_t name;
        bool is_good = msgpack_read(&cursor, &name);
        if (is_good && text_equal(name.data, TEXT_LITERAL("card"))) {
            is_good = read_inner(&cursor, of_card, 1, reply);
        } else if (is_good && text_equal(name.data, TEXT_LITERAL("qr"))) {
            is_good = read_inner(&cursor, of_qr, 1, reply);
        } else if (is_good) {
            is_good = read_text(&cursor, top, sizeof(top) / sizeof(top[0]), name.data, reply);
        }
        if (!is_good) {
            return false;
        }
    }
    return true;
}
