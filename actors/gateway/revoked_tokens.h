/* Which tokens are revoked, as a front knows: those of the directory, which are all there are, and
 * those that other nodes' fronts told of and the directory does not have yet. */
#ifndef ACTORS_REVOKED_TOKENS_H
#define ACTORS_REVOKED_TOKENS_H

#include "actors/ports/cache.h"
#include "messages/messages.h"

enum { REVOKED_HASH_SIZE = 32 };

typedef struct revoked_tokens revoked_tokens_t;

/* `cache` NULL: nobody tells and nobody is told. */
MUST_USE result_t revoked_tokens_create(cache_t *cache, int64_t (*wall_ms)(void),
                                        revoked_tokens_t **revoked);
void revoked_tokens_destroy(revoked_tokens_t **revoked);
/* What the directory says; copied. The others are told of what is new. */
void revoked_tokens_set(revoked_tokens_t *revoked, const directory_revoked_t *tokens, size_t count);
bool revoked_tokens_has(const revoked_tokens_t *revoked, const uint8_t hash[REVOKED_HASH_SIZE]);

#endif
