/* ZMTP 3.0 with the NULL mechanism, from the connecting side. It speaks to any libzmq, and costs a
 * thread less than libzmq would: on two cores that thread would be taken from the service. */
#include "bench/load/wire.h"

#include <string.h>

enum {
    GREETING_SIZE = 64,
    FLAG_MORE = 1,
    FLAG_LONG = 2,
    FLAG_COMMAND = 4,
    SHORT_SIZE_MAX = 255,
    FRAME_SIZE_MAX = LOAD_REPLY_SIZE_MAX,
};

static void write_head(load_buffer_t *out, uint8_t flags, size_t size)
{
    uint8_t head[9] = {flags};
    if (size <= SHORT_SIZE_MAX) {
        head[1] = (uint8_t)size;
        load_buffer_append(out, head, 2);
        return;
    }
    head[0] |= FLAG_LONG;
    for (size_t index = 0; index < 8; index++) {
        head[1 + index] = (uint8_t)((uint64_t)size >> (56 - 8 * index));
    }
    load_buffer_append(out, head, sizeof(head));
}

void load_zmtp_open(load_buffer_t *out, const char *socket_type)
{
    uint8_t greeting[GREETING_SIZE] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0};
    memcpy(greeting + 12, "NULL", 4);
    load_buffer_append(out, greeting, sizeof(greeting));
    const size_t type_size = strlen(socket_type);
    const uint8_t type_head[4] = {0, 0, 0, (uint8_t)type_size};
    write_head(out, FLAG_COMMAND, 6 + 12 + 4 + type_size);
    load_buffer_append(out, "\5READY", 6);
    load_buffer_append(out, "\13Socket-Type", 12);
    load_buffer_append(out, type_head, sizeof(type_head));
    load_buffer_append(out, socket_type, type_size);
}

void load_zmtp_write_frame(load_buffer_t *out, const void *data, size_t size, bool has_more)
{
    write_head(out, has_more ? FLAG_MORE : 0, size);
    load_buffer_append(out, data, size);
}

typedef struct frame {
    uint8_t flags;
    text_t data;
} frame_t;

/* Bytes used, 0 when there are too few, SIZE_MAX when this is no frame. */
static size_t read_frame(const uint8_t *data, size_t size, frame_t *frame)
{
    if (size < 2) {
        return 0;
    }
    frame->flags = data[0];
    const bool is_long = (data[0] & FLAG_LONG) != 0;
    const size_t head = is_long ? 9 : 2;
    if (data[0] > 7 || ((data[0] & FLAG_COMMAND) != 0 && (data[0] & FLAG_MORE) != 0)) {
        return SIZE_MAX;
    }
    if (size < head) {
        return 0;
    }
    uint64_t length = data[1];
    for (size_t index = 1; is_long && index < 8; index++) {
        length = length << 8 | data[1 + index];
    }
    if (length > FRAME_SIZE_MAX) {
        return SIZE_MAX;
    }
    frame->data = (text_t){(const char *)data + head, (size_t)length};
    return size < head + length ? 0 : head + (size_t)length;
}

static load_take_t take_greeting(load_buffer_t *in, bool *is_open, const char **why)
{
    const uint8_t *const data = in->data + in->begin;
    if (load_buffer_size(in) > 0 && data[0] != 0xff) {
        *why = "the other side does not speak ZMTP";
        return LOAD_TAKE_BROKEN;
    }
    if (load_buffer_size(in) < GREETING_SIZE) {
        return LOAD_TAKE_MORE;
    }
    if (data[10] < 3 || memcmp(data + 12, "NULL\0", 5) != 0) {
        *why = "the other side wants another version or security than ZMTP 3 with NULL";
        return LOAD_TAKE_BROKEN;
    }
    frame_t frame;
    const size_t used =
        read_frame(data + GREETING_SIZE, load_buffer_size(in) - GREETING_SIZE, &frame);
    if (used == 0) {
        return LOAD_TAKE_MORE;
    }
    if (used == SIZE_MAX || (frame.flags & FLAG_COMMAND) == 0 || frame.data.size < 6 ||
        memcmp(frame.data.data, "\5READY", 6) != 0) {
        *why = "the other side refused the handshake";
        return LOAD_TAKE_BROKEN;
    }
    in->begin += GREETING_SIZE + used;
    *is_open = true;
    return LOAD_TAKE_READY;
}

load_take_t load_zmtp_take(load_buffer_t *in, bool *is_open, load_zmtp_message_t *message,
                           const char **why)
{
    if (!*is_open) {
        return take_greeting(in, is_open, why);
    }
    size_t at = in->begin;
    message->count = 0;
    for (bool has_more = true; has_more;) {
        frame_t frame;
        const size_t used = read_frame(in->data + at, in->end - at, &frame);
        if (used == 0) {
            return LOAD_TAKE_MORE;
        }
        if (used == SIZE_MAX || message->count == LOAD_ZMTP_PARTS_MAX) {
            *why = "the other side sent something that is no frame";
            return LOAD_TAKE_BROKEN;
        }
        at += used;
        if ((frame.flags & FLAG_COMMAND) != 0) {
            continue; /* none of ours needs an answer: heartbeats are asked for by the client */
        }
        message->parts[message->count++] = frame.data;
        has_more = (frame.flags & FLAG_MORE) != 0;
    }
    in->begin = at;
    return LOAD_TAKE_FRAME;
}
