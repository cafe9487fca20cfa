/* Keys in flight: a chained hash through the messages themselves. */
#include "actors/shard/key_table.h"
#include "actors/domain/siphash.h"
#include "actors/shard/shard_internal.h"
#include <assert.h>
#include <stdlib.h>

enum { BUCKETS = LIMIT_KEYS_IN_FLIGHT };
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a mask picks the bucket");

struct key_table {
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    uint32_t count;
    shard_message_t *buckets[BUCKETS];
};

key_table_t *key_table_create(const uint8_t hash_key[16])
{
    key_table_t *table = calloc(1, sizeof(*table));
    assert(table != NULL);
    memcpy(table->hash_key, hash_key, sizeof(table->hash_key));
    return table;
}

void key_table_destroy(key_table_t **table)
{
    free(*table);
    *table = NULL;
}

static bool is_same_key(const shard_message_t *a, const shard_message_t *b)
{
    return a->key_hash == b->key_hash && a->tenant == b->tenant &&
           text_equal(a->request.key, b->request.key);
}

result_t key_table_add(key_table_t *table, shard_message_t *message)
{
    assert(!message->in_key_table);
    const text_t tenant = {.data = (const char *)&message->tenant, .size = sizeof(tenant_t *)};
    message->key_hash =
        siphash(table->hash_key, message->request.key) ^ siphash(table->hash_key, tenant);
    shard_message_t **const bucket = &table->buckets[message->key_hash & (BUCKETS - 1)];
    for (shard_message_t *other = *bucket; other != NULL; other = other->key_chain) {
        if (is_same_key(other, message)) {
            return RESULT_KEY_IN_FLIGHT; /* whose key it is, the store says once that has ended */
        }
    }
    if (table->count >= LIMIT_KEYS_IN_FLIGHT) {
        return RESULT_BUSY;
    }
    message->key_chain = *bucket;
    *bucket = message;
    message->in_key_table = true;
    table->count++;
    return RESULT_OK;
}

void key_table_remove(key_table_t *table, shard_message_t *message)
{
    assert(message->in_key_table);
    shard_message_t **place = &table->buckets[message->key_hash & (BUCKETS - 1)];
    while (*place != message) { /* it is in this chain */
        place = &(*place)->key_chain;
    }
    *place = message->key_chain;
    message->in_key_table = false;
    table->count--;
}

uint32_t key_table_count(const key_table_t *table)
{
    return table->count;
}
