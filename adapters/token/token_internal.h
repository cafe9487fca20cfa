/* Inside of adapters/token: strict pieces of JOSE that the verifier and the issuer share, and the
 * memory of checked tokens. Not for other folders. */
#ifndef ADAPTERS_TOKEN_TOKEN_INTERNAL_H
#define ADAPTERS_TOKEN_TOKEN_INTERNAL_H

#include "adapters/token/token.h"
#include "runtime/limits.h"
#include <jansson.h>

enum {
    TOKEN_HASH_SIZE = 32,
    TOKEN_COORDINATE_SIZE = 32,                       /* of P-256 */
    TOKEN_SIGNATURE_SIZE = 2 * TOKEN_COORDINATE_SIZE, /* r and s, RFC 7518 section 3.4 */
    TOKEN_COORDINATE_TEXT_SIZE = 43,                  /* base64url without padding */
    TOKEN_KID_SIZE_MAX = 64,                          /* directory_token_key.kid */
};

#define TOKEN_ALGORITHM "ES256"
#define TOKEN_CURVE "P-256"

/* --- token_jose.c --- */

/* base64url without padding (RFC 7515 section 2), canonical: one text per value, so that a token
 * cannot be written in two ways. False when it is anything else or does not fit. */
MUST_USE bool token_base64_decode(text_t text, uint8_t *out, size_t capacity, size_t *size);
/* Writes a NUL as well; `capacity` is enough, asserted. Returns the size without the NUL. */
size_t token_base64_encode(const uint8_t *bytes, size_t size, char *out, size_t capacity);

/* One JSON object, no member twice, not deeper than 4; NULL otherwise. The caller decrefs. */
json_t *token_json_object(const uint8_t *bytes, size_t size);
/* The string member `name`; TEXT_NONE (data NULL) when it is missing or no string. */
text_t token_json_text(const json_t *object, const char *name);

/* Whether `jwk` is a P-256 signature key of algorithm ES256, with its private part or without. */
bool token_jwk_is_usable(const json_t *jwk, bool with_private);

/* --- token_cache.c --- */

/* Claims of checked tokens by the SHA-256 of the token: the oldest of LIMIT_TOKENS_CACHED goes
 * first. */
typedef struct token_cache token_cache_t;

MUST_USE result_t token_cache_create(token_cache_t **cache);
void token_cache_destroy(token_cache_t **cache);
void token_cache_clear(token_cache_t *cache);
/* NULL: not there. Valid until the next add or clear. */
const token_claims_t *token_cache_find(const token_cache_t *cache,
                                       const uint8_t hash[TOKEN_HASH_SIZE]);
/* `hash` is not there yet. */
void token_cache_add(token_cache_t *cache, const uint8_t hash[TOKEN_HASH_SIZE],
                     const token_claims_t *claims);

#endif
