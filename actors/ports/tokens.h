/* Bearer tokens (JWT, ES256). Implemented by adapters/token with cjose. The algorithm is fixed per
 * key, never taken from the token; jku, x5u, jwk in a header are refused, `kid` only looks up our
 * own keys (RFC 8725). */
#ifndef ACTORS_PORTS_TOKENS_H
#define ACTORS_PORTS_TOKENS_H

#include "messages/messages.h"
#include "runtime/result.h"

#define TOKEN_ISSUER "digitalcard"   /* iss */
#define TOKEN_AUDIENCE "digitalcard" /* aud */
#define TOKEN_TYPE "at+jwt"          /* typ, RFC 9068 */

typedef struct token_claims {
    char subject[129]; /* NUL-terminated; 1 … 128 bytes of UTF-8 without control characters */
    char tenant[40];   /* "" only for platform_admin: all tenants */
    uint8_t role;      /* enum role */
    int64_t expires_at_ms;
    uint8_t hash[32];        /* SHA-256 of the token; set by verify */
    int64_t tenant_since_ms; /* when its tenant was created; 0: the token does not say */
} token_claims_t;

typedef struct token_numbers {
    uint64_t checked;    /* signatures verified or refused */
    uint64_t remembered; /* answered from memory */
} token_numbers_t;

typedef struct tokens tokens_t;
typedef struct tokens_functions {
    /* Replaces the set of public keys. Called when the directory changes; forgets what was
     * remembered. INVALID_ARGUMENT when a key cannot be used: it is left out, the others are in
     * force all the same. */
    result_t (*set_keys)(tokens_t *tokens, const directory_token_key_t *keys, size_t key_count);
    /* UNAUTHENTICATED or TOKEN_EXPIRED with one sentence in `detail`. Checked tokens are remembered
     * by their SHA-256 until they expire, up to LIMIT_TOKENS_CACHED, the oldest going first. */
    result_t (*verify)(tokens_t *tokens, text_t token, int64_t now_ms, token_claims_t *claims,
                       char *detail, size_t detail_size);
    /* Since the start. May be NULL. */
    void (*numbers)(const tokens_t *tokens, token_numbers_t *numbers);
} tokens_functions_t;

struct tokens {
    const tokens_functions_t *functions;
};

#endif
