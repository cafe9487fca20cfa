/* The msgpack reader. It knows the format (github.com/msgpack/msgpack, spec.md) and no message. */
#include "messages/msgpack_cursor.h"
#include "messages/message.h"

#include <assert.h>

static size_t bytes_left(const msgpack_cursor_t *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static bool take_big_endian(msgpack_cursor_t *cursor, size_t size, uint64_t *value)
{
    if (bytes_left(cursor) < size) {
        return false;
    }
    uint64_t bytes = 0; /* those that follow are shifted out */
    if (bytes_left(cursor) >= sizeof(bytes)) {
        memcpy(&bytes, cursor->at, sizeof(bytes));
    } else {
        memcpy(&bytes, cursor->at, size);
    }
    cursor->at += size;
    *value = __builtin_bswap64(bytes) >> (64 - 8 * size);
    return true;
}

static bool take_data(msgpack_cursor_t *cursor, uint64_t size, msgpack_value_t *value)
{
    if (bytes_left(cursor) < size) {
        return false;
    }
    value->data = (text_t){.data = (const char *)cursor->at, .size = (size_t)size};
    cursor->at += size;
    return true;
}

static bool take_sized_data(msgpack_cursor_t *cursor, size_t header, msgpack_value_t *value)
{
    uint64_t size;
    return take_big_endian(cursor, header, &size) && take_data(cursor, size, value);
}

/* An element takes a byte at least, a pair two: a count beyond that is a lie. */
static bool count_is_possible(const msgpack_cursor_t *cursor, const msgpack_value_t *value)
{
    const uint64_t bytes_min = value->kind == MSGPACK_MAP ? value->number * 2 : value->number;
    return bytes_min <= bytes_left(cursor);
}

static bool take_count(msgpack_cursor_t *cursor, size_t header, msgpack_kind_t kind,
                       msgpack_value_t *value)
{
    value->kind = kind;
    return take_big_endian(cursor, header, &value->number) && count_is_possible(cursor, value);
}

static bool take_float(msgpack_cursor_t *cursor, size_t size, msgpack_value_t *value)
{
    uint64_t bits;
    value->kind = MSGPACK_FLOAT;
    if (!take_big_endian(cursor, size, &bits)) {
        return false;
    }
    if (size == sizeof(float)) {
        const uint32_t narrow = (uint32_t)bits;
        float real;
        memcpy(&real, &narrow, sizeof(real));
        value->real = (double)real;
    } else {
        memcpy(&value->real, &bits, sizeof(value->real));
    }
    return true;
}

static bool take_signed(msgpack_cursor_t *cursor, size_t size, msgpack_value_t *value)
{
    if (!take_big_endian(cursor, size, &value->number)) {
        return false;
    }
    const size_t shift = 64 - 8 * size;
    const bool is_negative = (value->number >> (8 * size - 1) & 1U) != 0;
    if (is_negative && shift > 0) {
        value->number |= ~UINT64_C(0) << (8 * size);
    }
    value->kind = is_negative ? MSGPACK_NEGATIVE : MSGPACK_UNSIGNED;
    return true;
}

/* One type byte, a type of ext, and its data. */
static bool take_extension(msgpack_cursor_t *cursor, uint64_t size, msgpack_value_t *value)
{
    value->kind = MSGPACK_EXTENSION;
    return take_data(cursor, size + 1, value);
}

/* The type bytes from 0xc0 to 0xdf, after the byte itself. */
static bool read_typed(msgpack_cursor_t *cursor, uint8_t type, msgpack_value_t *value)
{
    uint64_t size;
    switch (type) {
    case 0xc0:
        value->kind = MSGPACK_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        value->kind = MSGPACK_BOOL;
        value->number = type & 1U;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        value->kind = MSGPACK_BYTES;
        return take_sized_data(cursor, (size_t)1 << (type - 0xc4), value);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_big_endian(cursor, (size_t)1 << (type - 0xc7), &size) &&
               take_extension(cursor, size, value);
    case 0xca:
        return take_float(cursor, sizeof(float), value);
    case 0xcb:
        return take_float(cursor, sizeof(double), value);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        value->kind = MSGPACK_UNSIGNED;
        return take_big_endian(cursor, (size_t)1 << (type - 0xcc), &value->number);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(cursor, (size_t)1 << (type - 0xd0), value);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_extension(cursor, UINT64_C(1) << (type - 0xd4), value);
    case 0xd9:
    case 0xda:
    case 0xdb:
        value->kind = MSGPACK_TEXT;
        return take_sized_data(cursor, (size_t)1 << (type - 0xd9), value);
    case 0xdc:
    case 0xdd:
        return take_count(cursor, type == 0xdc ? 2 : 4, MSGPACK_ARRAY, value);
    case 0xde:
    case 0xdf:
        return take_count(cursor, type == 0xde ? 2 : 4, MSGPACK_MAP, value);
    default: /* 0xc1 */
        return false;
    }
}

bool msgpack_read_any(msgpack_cursor_t *cursor, msgpack_value_t *value)
{
    if (cursor->at == cursor->end) {
        return false;
    }
    const uint8_t type = *cursor->at;
    cursor->at++;
    if (type < 0x80) {
        value->kind = MSGPACK_UNSIGNED;
        value->number = type;
        return true;
    }
    if (type >= 0xe0) {
        value->kind = MSGPACK_NEGATIVE;
        value->number = ~UINT64_C(0xff) | type;
        return true;
    }
    if (type >= 0xc0) {
        return read_typed(cursor, type, value);
    }
    if (type >= 0xa0) {
        value->kind = MSGPACK_TEXT;
        return take_data(cursor, type & 0x1fU, value);
    }
    value->kind = type >= 0x90 ? MSGPACK_ARRAY : MSGPACK_MAP;
    value->number = type & 0x0fU;
    return count_is_possible(cursor, value);
}

msgpack_skipped_t msgpack_skip(msgpack_cursor_t *cursor, size_t depth_max)
{
    uint64_t left[MESSAGE_DEPTH_MAX]; /* values of each open array or map still to come */
    size_t depth = 0;
    assert(depth_max <= MESSAGE_DEPTH_MAX);
    /* Every turn takes a byte at least, so the input bounds the loop. */
    for (;;) {
        msgpack_value_t value;
        if (!msgpack_read(cursor, &value)) {
            return MSGPACK_SKIP_MALFORMED;
        }
        if (value.kind == MSGPACK_ARRAY || value.kind == MSGPACK_MAP) {
            if (depth == depth_max) {
                return MSGPACK_SKIP_TOO_DEEP;
            }
            if (value.number > 0) {
                left[depth] = value.kind == MSGPACK_MAP ? value.number * 2 : value.number;
                depth++;
                continue;
            }
        }
        while (depth > 0) {
            left[depth - 1]--;
            if (left[depth - 1] > 0) {
                break;
            }
            depth--;
        }
        if (depth == 0) {
            return MSGPACK_SKIPPED;
        }
    }
}

const char *msgpack_kind_name(msgpack_kind_t kind)
{
    static const char *const names[] = {
        [MSGPACK_NIL] = "nil",           [MSGPACK_BOOL] = "a boolean",
        [MSGPACK_UNSIGNED] = "a number", [MSGPACK_NEGATIVE] = "a negative number",
        [MSGPACK_FLOAT] = "a float",     [MSGPACK_TEXT] = "a text",
        [MSGPACK_BYTES] = "binary data", [MSGPACK_ARRAY] = "an array",
        [MSGPACK_MAP] = "a map",         [MSGPACK_EXTENSION] = "an extension type",
    };
    return names[kind];
}
