/* actors/ports/tokens.h with cjose, and the built-in ES256 issuer that `token mint` uses. */
#ifndef ADAPTERS_TOKEN_TOKEN_H
#define ADAPTERS_TOKEN_TOKEN_H

#include "actors/ports/tokens.h"

MUST_USE result_t token_verifier_create(tokens_t **tokens);
void token_verifier_destroy(tokens_t **tokens);

/* A new P-256 key as JWK texts (malloc, caller frees; wipe the private one), kid = RFC 7638
 * thumbprint, with `alg: ES256` and `use: sig`. */
MUST_USE result_t token_key_generate(char **kid, char **private_jwk, char **public_jwk);

/* iss, aud, typ as in ports/tokens.h; sub, tenant (left out when empty), role, iat, nbf, exp, jti
 * (random). `token` is malloc'ed. `ttl_s` 1 … LIMIT_TOKEN_TTL_S_MAX, else INVALID_ARGUMENT. */
MUST_USE result_t token_mint(const char *private_jwk, const token_claims_t *claims, int64_t now_ms,
                             uint32_t ttl_s, char **token);

#endif
