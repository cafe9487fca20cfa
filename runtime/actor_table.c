/* Finds actors by identity. Owns the entries, not the actors. Entries are moved up when one before
 * them goes, so that there are no marks of what was. */
#include "runtime/actor_internal.h"

#include "runtime/random.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 1024 };

result_t actor_table_init(actor_table_t *table)
{
    *table = (actor_table_t){.capacity = CAPACITY_FIRST};
    random_fill(table->key.bytes, sizeof(table->key.bytes));
    table->entries = calloc(CAPACITY_FIRST, sizeof(*table->entries));
    return table->entries == NULL ? RESULT_NO_MEMORY : RESULT_OK;
}

void actor_table_deinit(actor_table_t *table)
{
    assert(table->count == 0);
    free(table->entries);
    table->entries = NULL;
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

static bool actor_is(const actor_t *actor, const actor_identity_t *identity)
{
    const scheduler_tenant_t *const tenant = actor->tenant;
    return memcmp(actor_id_inline(actor), identity->id, ACTOR_ID_SIZE) == 0 &&
           tenant->name_size == identity->tenant_size &&
           memcmp(tenant->name, identity->tenant, identity->tenant_size) == 0;
}

actor_t *actor_table_find(const actor_system_t *system, uint64_t hash, uint32_t kind,
                          const actor_identity_t *identity)
{
    const actor_table_t *const table = &system->table;
    const uint64_t mask = table->capacity - 1;
    uint64_t index = (uint32_t)hash & mask;
    while (table->entries[index].place != 0) { /* a quarter of the entries are empty */
        const actor_table_entry_t *const entry = &table->entries[index];
        const uint32_t place = entry->place - 1;
        if (entry->hash == (uint32_t)hash && place >> ACTOR_PLACE_BITS == kind) {
            actor_t *const actor =
                slab_at(&system->slots[kind].slab, place & ((1U << ACTOR_PLACE_BITS) - 1));
            if (actor_is(actor, identity)) {
                return actor;
            }
        }
        index = (index + 1) & mask;
    }
    return NULL;
}

static void entry_put(actor_table_t *table, actor_table_entry_t entry)
{
    const uint64_t mask = table->capacity - 1;
    uint64_t index = entry.hash & mask;
    while (table->entries[index].place != 0) {
        index = (index + 1) & mask;
    }
    table->entries[index] = entry;
}

/* Touches no actor: eight bytes each are moved. */
static result_t table_grow(actor_table_t *table)
{
    actor_table_t grown = *table;
    grown.capacity = table->capacity * 2;
    grown.entries = calloc(grown.capacity, sizeof(*grown.entries));
    if (grown.entries == NULL) {
        return RESULT_NO_MEMORY;
    }
    for (uint64_t index = 0; index < table->capacity; index++) {
        if (table->entries[index].place != 0) {
            entry_put(&grown, table->entries[index]);
        }
    }
    free(table->entries);
    *table = grown;
    return RESULT_OK;
}

result_t actor_table_insert(actor_table_t *table, const actor_t *actor)
{
    if (table->count + 1 > table->capacity / 4 * 3 && table_grow(table) != RESULT_OK) {
        return RESULT_NO_MEMORY;
    }
    entry_put(table, (actor_table_entry_t){actor->hash, actor_ref_inline(actor).index + 1});
    table->count++;
    return RESULT_OK;
}

void actor_table_remove(actor_table_t *table, const actor_t *actor)
{
    const uint64_t mask = table->capacity - 1;
    const uint32_t place = actor_ref_inline(actor).index + 1;
    uint64_t hole = actor->hash & mask;
    while (table->entries[hole].place != place) {
        assert(table->entries[hole].place != 0);
        hole = (hole + 1) & mask;
    }
    for (uint64_t index = (hole + 1) & mask; table->entries[index].place != 0;
         index = (index + 1) & mask) {
        const uint64_t home = table->entries[index].hash & mask;
        const bool may_move = ((index - home) & mask) >= ((index - hole) & mask);
        if (may_move) {
            table->entries[hole] = table->entries[index];
            hole = index;
        }
    }
    table->entries[hole] = (actor_table_entry_t){0, 0};
    table->count--;
}
