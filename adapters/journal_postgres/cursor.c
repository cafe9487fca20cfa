/* Opaque cursors: kind, version, position. The kind keeps a cursor of one list from being taken for
 * one of another; a position is checked against the data by whoever uses it. */
#include "adapters/journal_postgres/journal_postgres_internal.h"

enum { CURSOR_VERSION = '1' };

text_t page_cursor_format(cursor_kind_t kind, int64_t position, char text[CURSOR_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    text[0] = (char)kind;
    text[1] = CURSOR_VERSION;
    for (unsigned i = 0; i < 16; i++) {
        text[2 + i] = digits[((uint64_t)position >> (60 - 4 * i)) & 0xf];
    }
    return (text_t){.data = text, .size = CURSOR_TEXT_SIZE};
}

bool page_cursor_parse(cursor_kind_t kind, text_t cursor, int64_t *position)
{
    if (cursor.size != CURSOR_TEXT_SIZE || cursor.data[0] != (char)kind ||
        cursor.data[1] != CURSOR_VERSION) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 2; i < CURSOR_TEXT_SIZE; i++) {
        const char c = cursor.data[i];
        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *position = (int64_t)value;
    return value > 0 && value <= INT64_MAX;
}
