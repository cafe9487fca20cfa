/* The simulated disk: tenants and their rows, which outlive every process. Must not know who asks
 * and when: store_port.c does. */
#include "tests/simulation/store_internal.h"
#include <assert.h>
#include <stdlib.h>

struct store_chunk {
    store_chunk_t *next;
    size_t used;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

void *store_keep(store_t *store, size_t size)
{
    const size_t rounded = (size + 15U) & ~(size_t)15U;
    if (store->chunks == NULL || store->chunks->size - store->chunks->used < rounded) {
        const size_t chunk_size = rounded > STORE_CHUNK_SIZE ? rounded : STORE_CHUNK_SIZE;
        store_chunk_t *chunk = malloc(sizeof(*chunk) + chunk_size);
        assert(chunk != NULL);
        chunk->next = store->chunks;
        chunk->used = 0;
        chunk->size = chunk_size;
        store->chunks = chunk;
    }
    void *const memory = store->chunks->bytes + store->chunks->used;
    store->chunks->used += rounded;
    memset(memory, 0, rounded);
    return memory;
}

text_t store_keep_text(store_t *store, text_t text)
{
    if (text_is_empty(text)) {
        return TEXT_NONE;
    }
    char *const copy = store_keep(store, text.size);
    memcpy(copy, text.data, text.size);
    return (text_t){.data = copy, .size = text.size};
}

store_t *store_create(world_t *world)
{
    store_t *store = calloc(1, sizeof(*store));
    assert(store != NULL);
    store->world = world;
    store->next_operation = 1;
    return store;
}

void store_destroy(store_t **store)
{
    for (uint32_t i = 0; i < (*store)->tenant_count; i++) {
        disk_tenant_t *const tenant = (*store)->tenants[i];
        for (size_t j = 0; j < tenant->card_count; j++) {
            free(tenant->cards[j]->events);
        }
        for (size_t j = 0; j < tenant->partition_count; j++) {
            free(tenant->partitions[j].events);
        }
        free(tenant->cards);
        free(tenant->replies);
        free(tenant->members);
        free(tenant);
    }
    while ((*store)->chunks != NULL) {
        store_chunk_t *const next = (*store)->chunks->next;
        free((*store)->chunks);
        (*store)->chunks = next;
    }
    free(*store);
    *store = NULL;
}

void store_add_tenant(store_t *store, uint32_t index)
{
    const uint32_t partitions = store->world->tenants[index].partitions;
    assert(store->tenant_count == index && partitions <= WORLD_PARTITIONS_MAX);
    disk_tenant_t *tenant = calloc(1, sizeof(*tenant));
    assert(tenant != NULL);
    tenant->index = index;
    tenant->partition_count = partitions;
    tenant->cards = calloc(STORE_CARDS_MAX, sizeof(*tenant->cards));
    tenant->replies = calloc(STORE_ROWS_MAX, sizeof(*tenant->replies));
    tenant->members = calloc(STORE_ROWS_MAX, sizeof(*tenant->members));
    assert(tenant->cards != NULL && tenant->replies != NULL && tenant->members != NULL);
    store->tenants[store->tenant_count] = tenant;
    store->tenant_count++;
}

void store_put_in_place(store_t *store, uint32_t tenant)
{
    disk_tenant_t **const place = &store->places[store->world->tenants[tenant].name_index];
    if (store->world->bug == BUG_inherit_journal && *place != NULL) {
        return;
    }
    assert(*place == NULL);
    *place = store->tenants[tenant];
}

void store_put_aside(store_t *store, uint32_t tenant, bool cuts_off)
{
    disk_tenant_t **const place = &store->places[store->world->tenants[tenant].name_index];
    (*place)->is_cut_off = cuts_off;
    *place = store->world->bug == BUG_inherit_journal ? *place : NULL;
}

store_partition_t *store_partition(store_t *store, uint32_t tenant, uint32_t partition)
{
    return &store->tenants[tenant]->partitions[partition];
}

void store_set_full(store_t *store, bool is_full)
{
    store->is_full = is_full;
}

disk_card_t *store_card(const disk_tenant_t *tenant, const uuid_t *id)
{
    for (size_t i = 0; i < tenant->card_count; i++) {
        if (uuid_equal(&tenant->cards[i]->id, id)) {
            return tenant->cards[i];
        }
    }
    return NULL;
}

const disk_member_t *store_member(const disk_tenant_t *tenant, text_t member_id)
{
    for (size_t i = 0; i < tenant->member_count; i++) {
        if (text_equal(tenant->members[i].member_id, member_id)) {
            return &tenant->members[i];
        }
    }
    return NULL;
}

const disk_note_t *store_note(const disk_tenant_t *tenant, text_t key)
{
    for (size_t i = 0; i < tenant->note_count; i++) {
        if (text_equal(tenant->notes[i].key, key)) {
            return &tenant->notes[i];
        }
    }
    return NULL;
}

bool store_has_member_key(store_t *store, uint32_t tenant, text_t member_id)
{
    return store_member(store->tenants[tenant], member_id) != NULL;
}

bool store_has_key(store_t *store, uint32_t tenant, text_t key)
{
    const disk_tenant_t *const row = store->tenants[tenant];
    for (size_t i = 0; i < row->reply_count; i++) {
        if (text_equal(row->replies[i].key, key)) {
            return true;
        }
    }
    return false;
}

size_t store_reminders_overdue(const store_t *store, int64_t wall_ms)
{
    size_t count = 0;
    for (uint32_t i = 0; i < store->tenant_count; i++) {
        const reminder_table_t *const table = &store->tenants[i]->reminders;
        for (size_t j = 0; world_is_there(store->world, i) && j < table->count; j++) {
            count += table->rows[j].due_at <= wall_ms ? 1 : 0;
        }
    }
    return count;
}

bool store_has_reminder(const store_t *store, uint32_t tenant, const uuid_t *actor)
{
    const reminder_table_t *const table = &store->tenants[tenant]->reminders;
    for (size_t i = 0; i < table->count; i++) {
        if (uuid_equal(&table->rows[i].actor, actor)) {
            return true;
        }
    }
    return false;
}
