/* UUIDs as 16 bytes in network order (RFC 9562) and their canonical text of 36 characters. */
#ifndef MESSAGES_UUID_H
#define MESSAGES_UUID_H

#include "messages/text.h"

typedef struct uuid {
    uint8_t bytes[16];
} uuid_t;

enum { UUID_TEXT_SIZE = 36 };

/* Accepts exactly 8-4-4-4-12 hexadecimal digits, either case; any version. */
bool uuid_parse(text_t text, uuid_t *uuid);

/* Writes 36 lower-case characters, no NUL. */
void uuid_format(const uuid_t *uuid, char out[UUID_TEXT_SIZE]);

bool uuid_equal(const uuid_t *a, const uuid_t *b);

#endif
