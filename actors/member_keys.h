/* Opened member keys of one shard, so that a name is sealed or opened without asking the store.
 * Bounded by LIMIT_MEMBER_KEYS_CACHED, least recently used first; an entry whose key is not yet
 * committed is pinned: a second card for the same member must use the same key, and when the commit
 * fails the entry must go, because nothing sealed under it could ever be opened again.
 * Keys are wiped when they leave. Seals and opens nothing itself. */
#ifndef ACTORS_MEMBER_KEYS_H
#define ACTORS_MEMBER_KEYS_H

#include "actors/ports/crypto.h"

typedef struct member_keys member_keys_t;
typedef struct member_key member_key_t;

/* Never NULL. `hash_key` is copied: random, so that nobody chooses ids that meet in one bucket.
 * `entries_max` is at least 1. */
member_keys_t *member_keys_create(const crypto_functions_t *crypto, const uint8_t hash_key[16],
                                  uint32_t entries_max);
void member_keys_destroy(member_keys_t **keys);

/* `tenant` is the identity of a tenant, not its name (tenant_identity): a later one of the same
 * name must not find the keys of a deleted one.
 *
 * NULL when it is not there. The key stays valid until the next call of another function. */
const crypto_key_t *member_keys_find(member_keys_t *keys, text_t tenant, text_t member_id);
/* Replaces an entry of the same member. */
void member_keys_put(member_keys_t *keys, text_t tenant, text_t member_id, const crypto_key_t *key);
/* The same for a key that waits for its commit, which ends with exactly one of the next two. */
member_key_t *member_keys_put_pinned(member_keys_t *keys, text_t tenant, text_t member_id,
                                     const crypto_key_t *key);
void member_keys_committed(member_keys_t *keys, member_key_t *pinned); /* stays, as others do */
void member_keys_failed(member_keys_t *keys, member_key_t *pinned);    /* goes, wiped */
/* For who asks the store whether a member has a key: what it says ("none") is out of date once a
 * key that was made after the question has left this cache again. `moment` was taken with the
 * question.
 */
uint64_t member_keys_moment(const member_keys_t *keys);
bool member_keys_has_forgotten_since(const member_keys_t *keys, uint64_t moment);
/* It was deleted: its keys leave memory. None of its entries may be pinned. */
void member_keys_forget_tenant(member_keys_t *keys, text_t tenant);
uint32_t member_keys_count(const member_keys_t *keys);

#endif
