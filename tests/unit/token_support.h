/* Tokens that are wrong in one way each, for the tests of adapters/token. */
#ifndef TESTS_UNIT_TOKEN_SUPPORT_H
#define TESTS_UNIT_TOKEN_SUPPORT_H

#include "adapters/token/token.h"

#define TOKEN_NOW_MS INT64_C(1790000000000)

typedef struct token_fixture {
    tokens_t *tokens;
    char *kid;
    char *private_jwk;
    char *public_jwk;
    char *other_kid;
    char *other_private_jwk;
    char *other_public_jwk;
} token_fixture_t;

/* cmocka set-up and tear-down: a verifier that knows the first key only. */
int token_setup(void **state);
int token_teardown(void **state);

/* The claims that minted tokens carry in these tests. */
token_claims_t token_claims_of(uint8_t role, const char *tenant);
/* malloc; with the fixture's key, 900 s. */
char *token_good(const token_fixture_t *fixture);
/* Signs exactly these texts as header and payload with ES256 (malloc). */
char *token_sign_texts(const char *private_jwk, const char *header, const char *payload);
/* Header for the fixture's key with more members, for example ",\"crit\":[]" (malloc). */
char *token_header(const token_fixture_t *fixture, const char *alg, const char *typ,
                   const char *more);
/* Good claims, with `change` in place of the same member or added (malloc). `change` is JSON of one
 * object whose null members are removed. */
char *token_payload(const char *change);
/* Verifies at TOKEN_NOW_MS. */
result_t token_check(const token_fixture_t *fixture, const char *token);
/* Signs `payload` of token_payload(change) with a good header and verifies. */
result_t token_check_change(const token_fixture_t *fixture, const char *change);

#endif
