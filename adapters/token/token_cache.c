/* Memory of checked tokens: a chained hash table over a ring of entries. Must not look at a token
 * or a clock: whoever finds claims here checks their expiry. */
#include "adapters/token/token_internal.h"
#include <assert.h>
#include <stdlib.h>

enum {
    ENTRY_NONE = UINT16_MAX,
    BUCKETS = 2 * LIMIT_TOKENS_CACHED, /* a power of two; chains of half an entry on average */
};

_Static_assert(LIMIT_TOKENS_CACHED < UINT16_MAX, "entries are counted in 16 bits");
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "buckets are chosen by a mask");

typedef struct token_cache_entry {
    uint8_t hash[TOKEN_HASH_SIZE];
    uint16_t next; /* of the same bucket */
    token_claims_t claims;
} token_cache_entry_t;

struct token_cache {
    uint16_t buckets[BUCKETS];
    uint32_t used;   /* entries */
    uint32_t oldest; /* of a full ring: the next to go */
    token_cache_entry_t entries[LIMIT_TOKENS_CACHED];
};

/* The hash is SHA-256 of something that only the issuer can make: its first bits are as good as
 * any. */
static uint32_t bucket_of(const uint8_t hash[TOKEN_HASH_SIZE])
{
    uint32_t number = 0;
    memcpy(&number, hash, sizeof(number));
    return number & (BUCKETS - 1U);
}

result_t token_cache_create(token_cache_t **cache)
{
    /* calloc: pages of entries that are never used are never touched. */
    token_cache_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    token_cache_clear(made);
    *cache = made;
    return RESULT_OK;
}

void token_cache_destroy(token_cache_t **cache)
{
    free(*cache);
    *cache = NULL;
}

void token_cache_clear(token_cache_t *cache)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        cache->buckets[i] = ENTRY_NONE;
    }
    cache->used = 0;
    cache->oldest = 0;
}

const token_claims_t *token_cache_find(const token_cache_t *cache,
                                       const uint8_t hash[TOKEN_HASH_SIZE])
{
    uint16_t index = cache->buckets[bucket_of(hash)];
    while (index != ENTRY_NONE) {
        const token_cache_entry_t *entry = &cache->entries[index];
        if (memcmp(entry->hash, hash, TOKEN_HASH_SIZE) == 0) {
            return &entry->claims;
        }
        index = entry->next;
    }
    return NULL;
}

static void unlink_entry(token_cache_t *cache, uint16_t index)
{
    uint16_t *link = &cache->buckets[bucket_of(cache->entries[index].hash)];
    while (*link != index) {
        assert(*link != ENTRY_NONE);
        link = &cache->entries[*link].next;
    }
    *link = cache->entries[index].next;
}

void token_cache_add(token_cache_t *cache, const uint8_t hash[TOKEN_HASH_SIZE],
                     const token_claims_t *claims)
{
    uint16_t index = 0;
    if (cache->used < LIMIT_TOKENS_CACHED) {
        index = (uint16_t)cache->used;
        cache->used += 1;
    } else {
        index = (uint16_t)cache->oldest;
        cache->oldest = (cache->oldest + 1U) % LIMIT_TOKENS_CACHED;
        unlink_entry(cache, index);
    }
    token_cache_entry_t *entry = &cache->entries[index];
    memcpy(entry->hash, hash, TOKEN_HASH_SIZE);
    entry->claims = *claims;
    uint16_t *bucket = &cache->buckets[bucket_of(hash)];
    entry->next = *bucket;
    *bucket = index;
}
