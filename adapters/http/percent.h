/* Percent-decoding (RFC 3986 section 2.1), strict: a stray '%', and what decodes to a control
 * character or NUL, is refused. */
#ifndef ADAPTERS_HTTP_PERCENT_H
#define ADAPTERS_HTTP_PERCENT_H

#include "messages/text.h"

typedef enum percent_context {
    PERCENT_PATH,  /* an encoded slash is refused as well: it would change what the path means */
    PERCENT_QUERY, /* '+' is a blank (as HTML forms write it); the result must be UTF-8 */
} percent_context_t;

/* Writes at most raw.size bytes. */
bool percent_decode(text_t raw, percent_context_t context, char *out, size_t *size);

/* Encodes all but unreserved characters; returns the size needed (3 × text.size at worst) and
 * writes nothing when that is more than `capacity`. */
size_t percent_encode(text_t text, char *out, size_t capacity);

#endif
