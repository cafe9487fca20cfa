/* See list_cursor.h: "r1", then two numbers of 16 hexadecimal digits. */
#include "actors/list_cursor.h"

#define VERSION "r1" /* read models, first form */
enum { DIGITS = 16, FIRST_AT = 2, SECOND_AT = FIRST_AT + DIGITS };

static void hex_write(uint64_t value, char out[DIGITS])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < DIGITS; i++) {
        out[i] = digits[(value >> (60 - 4 * i)) & 0xf];
    }
}

static bool hex_read(const char text[DIGITS], uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        const char c = text[i];
        if (c >= '0' && c <= '9') {
            *value = *value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            *value = *value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    return *value <= INT64_MAX;
}

void list_cursor_write(const projection_position_t *position, char out[LIST_CURSOR_SIZE])
{
    memcpy(out, VERSION, FIRST_AT);
    hex_write((uint64_t)position->issued_at, out + FIRST_AT);
    hex_write(position->event, out + SECOND_AT);
}

bool list_cursor_read(text_t cursor, projection_position_t *position)
{
    uint64_t issued_at = 0;
    if (cursor.size != LIST_CURSOR_SIZE || memcmp(cursor.data, VERSION, FIRST_AT) != 0 ||
        !hex_read(cursor.data + FIRST_AT, &issued_at) ||
        !hex_read(cursor.data + SECOND_AT, &position->event)) {
        return false;
    }
    position->issued_at = (int64_t)issued_at;
    return true;
}
