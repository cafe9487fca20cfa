/* See percent.h. */
#include "adapters/http/percent.h"

/* Bytes of the UTF-8 sequence that begins here, 0 when it is not valid (RFC 3629). */
static size_t utf8_sequence(const uint8_t *data, size_t size)
{
    const uint8_t lead = data[0];
    if (lead < 0x80) {
        return 1;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (lead == 0xe0 && data[1] < 0xa0) || (lead == 0xf0 && data[1] < 0x90);
    const bool surrogate = lead == 0xed && data[1] > 0x9f;
    const bool beyond = lead == 0xf4 && data[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

static bool is_utf8(const char *text, size_t size)
{
    const uint8_t *data = (const uint8_t *)text;
    size_t i = 0;
    while (i < size) {
        const size_t length = utf8_sequence(data + i, size - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

bool percent_decode(text_t raw, percent_context_t context, char *out, size_t *size)
{
    size_t written = 0;
    for (size_t i = 0; i < raw.size; i++) {
        char character = raw.data[i];
        if (character == '+' && context == PERCENT_QUERY) {
            character = ' ';
        } else if (character == '%') {
            const int high = i + 1 < raw.size ? text_hex_value(raw.data[i + 1]) : -1;
            const int low = i + 2 < raw.size ? text_hex_value(raw.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            character = (char)(uint8_t)(high * 16 + low);
            i += 2;
            if (character == '/' && context == PERCENT_PATH) {
                return false;
            }
        }
        if ((uint8_t)character < 0x20 || (uint8_t)character == 0x7f) {
            return false;
        }
        out[written] = character;
        written++;
    }
    *size = written;
    return context == PERCENT_PATH || is_utf8(out, written);
}

static bool is_unreserved(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '-' || character == '.' ||
           character == '_' || character == '~';
}

size_t percent_encode(text_t text, char *out, size_t capacity)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t needed = 0;
    for (size_t i = 0; i < text.size; i++) {
        needed += is_unreserved(text.data[i]) ? 1 : 3;
    }
    if (needed > capacity) {
        return needed;
    }
    size_t at = 0;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = (uint8_t)text.data[i];
        if (is_unreserved(text.data[i])) {
            out[at] = text.data[i];
            at++;
        } else {
            out[at] = '%';
            out[at + 1] = digits[byte >> 4];
            out[at + 2] = digits[byte & 15];
            at += 3;
        }
    }
    return needed;
}
