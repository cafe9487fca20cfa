/* UUIDs: text to bytes and back. Making them needs randomness and a clock and is not done here. */
#include "messages/uuid.h"

/* Number of bytes after which the canonical form has a dash. */
static bool dash_follows(size_t bytes)
{
    return bytes == 4 || bytes == 6 || bytes == 8 || bytes == 10;
}

bool uuid_parse(text_t text, uuid_t *uuid)
{
    if (text.size != UUID_TEXT_SIZE) {
        return false;
    }
    const char *at = text.data;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (dash_follows(i)) {
            if (*at != '-') {
                return false;
            }
            at++;
        }
        const int high = text_hex_value(at[0]);
        const int low = text_hex_value(at[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid->bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

void uuid_format(const uuid_t *uuid, char out[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (dash_follows(i)) {
            *at = '-';
            at++;
        }
        at[0] = digits[uuid->bytes[i] >> 4];
        at[1] = digits[uuid->bytes[i] & 15U];
        at += 2;
    }
}

bool uuid_equal(const uuid_t *a, const uuid_t *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
