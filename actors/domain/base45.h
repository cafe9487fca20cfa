/* base45 (RFC 9285): two bytes are three characters of the QR alphanumeric set, a last single byte
 * is two. Every byte string has exactly one text, and base45_decode accepts only that one. */
#ifndef ACTORS_DOMAIN_BASE45_H
#define ACTORS_DOMAIN_BASE45_H

#include "messages/text.h"

/* Characters that `size` bytes become. */
static inline size_t base45_text_size(size_t size)
{
    return size / 2 * 3 + size % 2 * 2;
}

/* Writes base45_text_size(size) characters, no NUL. */
void base45_encode(const uint8_t *bytes, size_t size, char *out);

/* Writes exactly `size` bytes, or returns false: a character outside the set, a group beyond 65535
 * (or 255), or a length that is not that of `size` bytes. On false `out` is undefined. */
bool base45_decode(text_t text, uint8_t *out, size_t size);

#endif
