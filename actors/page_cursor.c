/* Kind, version and position as text: see the header. */
#include "actors/page_cursor.h"

enum { CURSOR_VERSION = '1' };

text_t page_cursor_write(page_cursor_kind_t kind, int64_t position, char out[PAGE_CURSOR_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    out[0] = (char)kind;
    out[1] = CURSOR_VERSION;
    for (unsigned i = 0; i < 16; i++) {
        out[2 + i] = digits[((uint64_t)position >> (60 - 4 * i)) & 0xf];
    }
    return (text_t){.data = out, .size = PAGE_CURSOR_SIZE};
}

bool page_cursor_read(page_cursor_kind_t kind, text_t cursor, int64_t *position)
{
    if (cursor.size != PAGE_CURSOR_SIZE || cursor.data[0] != (char)kind ||
        cursor.data[1] != CURSOR_VERSION) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 2; i < PAGE_CURSOR_SIZE; i++) {
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
