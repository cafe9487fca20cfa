/* What PostgreSQL keeps of a role's password: a SCRAM-SHA-256 verifier (RFC 5802, RFC 7677), from
 * which the password cannot be had. For generated passwords only: see scram.c. */
#ifndef ADAPTERS_CONTROL_POSTGRES_SCRAM_H
#define ADAPTERS_CONTROL_POSTGRES_SCRAM_H

#include "messages/text.h"

enum { SCRAM_VERIFIER_SIZE = 160, SCRAM_SALT_SIZE = 16 };

/* In the form that ALTER ROLE … PASSWORD takes as it is. `password` is printable ASCII. */
void scram_verifier(text_t password, const uint8_t salt[SCRAM_SALT_SIZE],
                    char verifier[SCRAM_VERIFIER_SIZE]);

#endif
