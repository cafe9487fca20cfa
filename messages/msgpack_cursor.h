/* One msgpack value after the other from bytes that nobody vouches for. Every declared size is held
 * against the bytes that are left before it is believed; nothing is allocated. */
#ifndef MESSAGES_MSGPACK_CURSOR_H
#define MESSAGES_MSGPACK_CURSOR_H

#include "messages/text.h"

typedef struct msgpack_cursor {
    const uint8_t *at;
    const uint8_t *end;
} msgpack_cursor_t;

typedef enum msgpack_kind {
    MSGPACK_NIL,
    MSGPACK_BOOL,     /* `number` is 0 or 1 */
    MSGPACK_UNSIGNED, /* `number`; every integer that is not negative */
    MSGPACK_NEGATIVE, /* `number` is its two's complement */
    MSGPACK_FLOAT,    /* `real` */
    MSGPACK_TEXT,     /* `data`, any bytes */
    MSGPACK_BYTES,    /* `data` */
    MSGPACK_ARRAY,    /* `number` of elements follow */
    MSGPACK_MAP,      /* `number` of pairs follow */
    MSGPACK_EXTENSION,
} msgpack_kind_t;

typedef struct msgpack_value {
    msgpack_kind_t kind;
    uint64_t number;
    double real;
    text_t data; /* borrows from the input */
} msgpack_value_t;

typedef enum msgpack_skipped {
    MSGPACK_SKIPPED,
    MSGPACK_SKIP_MALFORMED,
    MSGPACK_SKIP_TOO_DEEP,
} msgpack_skipped_t;

/* Reads a scalar whole, of an array or map only its head. False when the bytes end too early, claim
 * more than there is, or use the one type byte that msgpack never uses. */
bool msgpack_read_any(msgpack_cursor_t *cursor, msgpack_value_t *value);

/* The same; a small number, which every second value is (the id of a field), without a call. */
static inline bool msgpack_read(msgpack_cursor_t *cursor, msgpack_value_t *value)
{
    if (cursor->at != cursor->end && *cursor->at < 0x80) {
        value->kind = MSGPACK_UNSIGNED;
        value->number = *cursor->at;
        cursor->at++;
        return true;
    }
    return msgpack_read_any(cursor, value);
}

/* Passes over one whole value with at most `depth_max` arrays and maps within each other. */
msgpack_skipped_t msgpack_skip(msgpack_cursor_t *cursor, size_t depth_max);

/* "a text", for people. */
const char *msgpack_kind_name(msgpack_kind_t kind);

#endif
