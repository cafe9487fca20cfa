/* The ROUTER API of DESIGN 3.4 from the side of a DEALER: [header, body], both msgpack maps with
 * names. Any number of requests is under way on a connection; the id brings reply and slot
 * together.
 */
#include "bench/load/wire.h"

#include "messages/msgpack_cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_ROOM = 64 };

static void write_map(load_buffer_t *out, uint8_t pairs)
{
    const uint8_t byte = (uint8_t)(0x80 | pairs); /* up to 15 */
    load_buffer_append(out, &byte, 1);
}

static void write_text(load_buffer_t *out, text_t text)
{
    uint8_t head[3];
    size_t size = 1;
    if (text.size < 32) {
        head[0] = (uint8_t)(0xa0 | text.size);
    } else if (text.size < 256) {
        head[0] = 0xd9;
        head[1] = (uint8_t)text.size;
        size = 2;
    } else {
        head[0] = 0xda;
        head[1] = (uint8_t)(text.size >> 8);
        head[2] = (uint8_t)text.size;
        size = 3;
    }
    load_buffer_append(out, head, size);
    load_buffer_append_text(out, text);
}

static void write_pair(load_buffer_t *out, text_t name, text_t value)
{
    write_text(out, name);
    write_text(out, value);
}

static void write_constant(load_wire_t *wire)
{
    load_buffer_t *const out = &wire->constant;
    write_map(out, wire->options->with_keys ? 6 : 5);
    write_text(out, TEXT_LITERAL("v"));
    load_buffer_append(out, "\1", 1);
    write_pair(out, TEXT_LITERAL("tenant"), text_from_c(wire->options->tenant));
    write_pair(out, TEXT_LITERAL("token"), text_from_c(wire->options->token));
}

static void write_header(load_wire_t *wire, const load_request_t *request, load_buffer_t *out)
{
    if (wire->constant.end == 0) {
        write_constant(wire);
    }
    char text[TEXT_ROOM];
    load_buffer_append(out, wire->constant.data, wire->constant.end);
    int size = snprintf(text, sizeof(text), "card.%s", load_action_names[request->action]);
    write_pair(out, TEXT_LITERAL("type"), (text_t){text, (size_t)size});
    size = snprintf(text, sizeof(text), "%08" PRIx32, request->id);
    write_pair(out, TEXT_LITERAL("id"), (text_t){text, (size_t)size});
    if (wire->options->with_keys) {
        size =
            snprintf(text, sizeof(text), "%" PRIx64 "-%" PRIu64, wire->key_prefix, request->member);
        write_pair(out, TEXT_LITERAL("key"), (text_t){text, (size_t)size});
    }
}

static void write_body(load_wire_t *wire, const load_request_t *request, load_buffer_t *out)
{
    const text_t id = {request->card, LOAD_ID_SIZE};
    char text[TEXT_ROOM];
    char time[LOAD_TIME_SIZE];
    switch (request->action) {
    case LOAD_ISSUE: {
        const int size = snprintf(text, sizeof(text), "b-%" PRIx64 "-%" PRIu64, wire->key_prefix,
                                  request->member);
        write_map(out, request->is_activated ? 3 : 2);
        write_pair(out, TEXT_LITERAL("member_id"), (text_t){text, (size_t)size});
        write_pair(out, TEXT_LITERAL("expires_at"), load_wire_expiry(request, time));
        if (request->is_activated) {
            write_text(out, TEXT_LITERAL("activate"));
            load_buffer_append(out, "\xc3", 1);
        }
        return;
    }
    case LOAD_SCAN:
        write_map(out, 2);
        write_pair(out, TEXT_LITERAL("qr"), (text_t){request->qr, request->qr_size});
        write_pair(out, TEXT_LITERAL("gate"), TEXT_LITERAL("north"));
        return;
    case LOAD_VALIDATE:
        write_map(out, 2);
        write_pair(out, TEXT_LITERAL("id"), id);
        write_pair(out, TEXT_LITERAL("gate"), TEXT_LITERAL("north"));
        return;
    case LOAD_RENEW:
        write_map(out, 2);
        write_pair(out, TEXT_LITERAL("id"), id);
        write_pair(out, TEXT_LITERAL("expires_at"), load_wire_expiry(request, time));
        return;
    default:
        write_map(out, 1);
        write_pair(out, TEXT_LITERAL("id"), id);
        return;
    }
}

void load_router_write(load_wire_t *wire, const load_request_t *request, load_buffer_t *out)
{
    load_buffer_clear(&wire->head);
    load_buffer_clear(&wire->body);
    write_header(wire, request, &wire->head);
    write_body(wire, request, &wire->body);
    load_zmtp_write_frame(out, wire->head.data, wire->head.end, true);
    load_zmtp_write_frame(out, wire->body.data, wire->body.end, false);
}

/* --- Replies --- */

static bool read_hex(text_t text, uint32_t *number)
{
    uint32_t sum = 0;
    for (size_t index = 0; index < text.size; index++) {
        const char digit = text.data[index];
        const bool is_decimal = digit >= '0' && digit <= '9';
        if (!is_decimal && (digit < 'a' || digit > 'f')) {
            return false;
        }
        sum = sum << 4 | (uint32_t)(is_decimal ? digit - '0' : digit - 'a' + 10);
    }
    *number = sum;
    return text.size == 8;
}

static bool ends_with_ok(text_t text)
{
    return text.size > 3 && memcmp(text.data + text.size - 3, ".ok", 3) == 0;
}

static bool read_header(text_t data, load_frame_t *frame)
{
    msgpack_cursor_t cursor = {(const uint8_t *)data.data, (const uint8_t *)data.data + data.size};
    msgpack_value_t map;
    if (!msgpack_read(&cursor, &map) || map.kind != MSGPACK_MAP) {
        return false;
    }
    for (uint64_t pair = 0; pair < map.number; pair++) {
        msgpack_value_t name;
        msgpack_value_t value;
        if (!msgpack_read(&cursor, &name) || !msgpack_read(&cursor, &value)) {
            return false;
        }
        if (text_equal(name.data, TEXT_LITERAL("id")) && value.kind == MSGPACK_TEXT) {
            frame->has_id = read_hex(value.data, &frame->id);
        } else if (text_equal(name.data, TEXT_LITERAL("type")) && value.kind == MSGPACK_TEXT) {
            frame->is_ok = ends_with_ok(value.data);
        }
    }
    return true;
}

load_take_t load_router_take(load_buffer_t *in, load_frame_t *frame, const char **why)
{
    load_zmtp_message_t message;
    bool is_open = true;
    const load_take_t taken = load_zmtp_take(in, &is_open, &message, why);
    if (taken != LOAD_TAKE_FRAME) {
        return taken;
    }
    *frame = (load_frame_t){0};
    if (message.count != 2 || !read_header(message.parts[0], frame)) {
        *why = "the reply is not [header, body]";
        return LOAD_TAKE_BROKEN;
    }
    frame->body = message.parts[1];
    return LOAD_TAKE_FRAME;
}
