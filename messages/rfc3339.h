/* RFC 3339 times as milliseconds since 1970-01-01T00:00:00Z, for the years 1970 to 9998
 * (DESIGN 3.3). */
#ifndef MESSAGES_RFC3339_H
#define MESSAGES_RFC3339_H

#include "messages/text.h"

/* "9998-12-31T23:59:59.999Z" */
#define RFC3339_MS_MAX INT64_C(253370764799999)
enum { RFC3339_TEXT_SIZE = 24 };

/* Accepts a full date-time with `Z` or a numeric offset and up to 9 digits of a second, of which
 * three count. Refuses impossible dates, leap seconds (a card has no use for them and POSIX time
 * has no place for them), a blank instead of the T, and years outside 1970 to 9998. */
bool rfc3339_parse(text_t text, int64_t *ms);

/* Writes "2026-11-20T17:56:48.123Z": always 24 characters, no NUL. `ms` in 0 … RFC3339_MS_MAX. */
void rfc3339_format(int64_t ms, char out[RFC3339_TEXT_SIZE]);

#endif
