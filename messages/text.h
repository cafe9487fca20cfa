/* A borrowed run of bytes. It never owns memory and is not NUL-terminated: whoever hands one out
 * says how long it stays valid (by default: for the call). */
#ifndef MESSAGES_TEXT_H
#define MESSAGES_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct text {
    const char *data;
    size_t size; /* bytes */
} text_t;

#define TEXT_LITERAL(literal) ((text_t){.data = (literal), .size = sizeof(literal) - 1})
#define TEXT_NONE ((text_t){.data = NULL, .size = 0})
/* For printf("%.*s", TEXT_PRINT(text)). */
#define TEXT_PRINT(text) (int)(text).size, (text).data

static inline text_t text_from_c(const char *string)
{
    return (text_t){.data = string, .size = string == NULL ? 0 : strlen(string)};
}

static inline bool text_equal(text_t a, text_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool text_starts_with(text_t text, text_t prefix)
{
    return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

/* Letters of ASCII in either case are the same, other bytes are themselves. */
static inline char text_lower_ascii(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool text_starts_with_any_case(text_t text, text_t prefix)
{
    bool starts = text.size >= prefix.size;
    for (size_t i = 0; starts && i < prefix.size; i++) {
        starts = text_lower_ascii(text.data[i]) == text_lower_ascii(prefix.data[i]);
    }
    return starts;
}

static inline bool text_is_empty(text_t text)
{
    return text.size == 0;
}

/* Of a hexadecimal digit of either case: 0 to 15; -1: it is none. */
static inline int text_hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

#endif
