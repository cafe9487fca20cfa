/* Finds actors by identity. Owns the buckets, not the actors. */
#include "runtime/actor_internal.h"

#include "runtime/limits.h"
#include "runtime/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 1024 };

result_t actor_table_init(actor_table_t *table)
{
    *table = (actor_table_t){.bucket_count = BUCKETS_FIRST};
    random_fill(table->key.bytes, sizeof(table->key.bytes));
    table->buckets = calloc(BUCKETS_FIRST, sizeof(*table->buckets));
    return table->buckets == NULL ? RESULT_NO_MEMORY : RESULT_OK;
}

void actor_table_deinit(actor_table_t *table)
{
    assert(table->actor_count == 0);
    free(table->buckets);
    table->buckets = NULL;
}

uint64_t actor_table_hash(const actor_table_t *table, uint32_t kind,
                          const actor_identity_t *identity)
{
    uint8_t input[sizeof(kind) + sizeof(identity->id) + LIMIT_TENANT_NAME_SIZE];
    assert(identity->tenant_size <= LIMIT_TENANT_NAME_SIZE);
    memcpy(input, &kind, sizeof(kind));
    memcpy(input + sizeof(kind), identity->id, sizeof(identity->id));
    const size_t fixed_size = sizeof(kind) + sizeof(identity->id);
    memcpy(input + fixed_size, identity->tenant, identity->tenant_size);
    return keyed_hash(&table->key, input, fixed_size + identity->tenant_size);
}

static bool actor_is(const actor_t *actor, uint64_t hash, const actor_slot_t *slot,
                     const actor_identity_t *identity)
{
    return actor->hash == hash && actor->slot == slot &&
           actor->identity.tenant_size == identity->tenant_size &&
           memcmp(actor->identity.id, identity->id, sizeof(identity->id)) == 0 &&
           memcmp(actor->identity.tenant, identity->tenant, identity->tenant_size) == 0;
}

actor_t *actor_table_find(const actor_table_t *table, uint64_t hash, const actor_slot_t *slot,
                          const actor_identity_t *identity)
{
    actor_t *actor = table->buckets[hash & (table->bucket_count - 1)].first;
    while (actor != NULL && !actor_is(actor, hash, slot, identity)) {
        actor = actor->table_next;
    }
    return actor;
}

/* Without memory the chains get longer, and nothing else happens. */
static void table_grow(actor_table_t *table)
{
    const uint64_t count = table->bucket_count * 2;
    actor_bucket_t *const buckets = calloc(count, sizeof(*buckets));
    if (buckets == NULL) {
        return;
    }
    for (uint64_t index = 0; index < table->bucket_count; index++) {
        for (actor_t *actor = table->buckets[index].first; actor != NULL;) {
            actor_t *const next = actor->table_next;
            actor_bucket_t *const bucket = &buckets[actor->hash & (count - 1)];
            actor->table_next = bucket->first;
            bucket->first = actor;
            actor = next;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
}

void actor_table_insert(actor_table_t *table, actor_t *actor)
{
    if (table->actor_count == table->bucket_count) {
        table_grow(table);
    }
    actor_bucket_t *const bucket = &table->buckets[actor->hash & (table->bucket_count - 1)];
    actor->table_next = bucket->first;
    bucket->first = actor;
    table->actor_count++;
}

void actor_table_remove(actor_table_t *table, const actor_t *actor)
{
    actor_t **link = &table->buckets[actor->hash & (table->bucket_count - 1)].first;
    while (*link != actor) {
        assert(*link != NULL);
        link = &(*link)->table_next;
    }
    *link = actor->table_next;
    table->actor_count--;
}

actor_t *actor_table_any(const actor_table_t *table, uint64_t *bucket)
{
    while (table->buckets[*bucket].first == NULL) {
        (*bucket)++;
        assert(*bucket < table->bucket_count);
    }
    return table->buckets[*bucket].first;
}
