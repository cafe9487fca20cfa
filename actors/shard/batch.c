/* Memory and bookkeeping of a batch. Must not know what the bytes mean. */
#include "actors/shard/batch.h"
#include <assert.h>
#include <stdlib.h>

struct batch_chunk {
    batch_chunk_t *next;
    size_t size;
    size_t used;
    uint8_t bytes[];
};

static batch_chunk_t *chunk_create(size_t size_wanted)
{
    const size_t size = size_wanted > LIMIT_BATCH_CHUNK_SIZE ? size_wanted : LIMIT_BATCH_CHUNK_SIZE;
    batch_chunk_t *chunk = malloc(sizeof(*chunk) + size);
    assert(chunk != NULL);
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    return chunk;
}

static void chunks_destroy(batch_chunk_t *chunk)
{
    while (chunk != NULL) { /* bounded by LIMIT_BATCH_SIZE and what replies take */
        batch_chunk_t *const next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

static void batch_reset(batch_t *batch)
{
    chunks_destroy(batch->chunks->next);
    batch->chunks->next = NULL;
    batch->chunks->used = 0;
    batch->filling = batch->chunks;
    batch->next = NULL;
    batch->submitted_us = 0;
    batch->stored_size = 0;
    batch->is_wanted = false;
    batch->event_count = 0;
    batch->snapshot_count = 0;
    batch->idempotency_count = 0;
    batch->member_key_count = 0;
    batch->note_count = 0;
    batch->refusal_count = 0;
    batch->waiter_count = 0;
    batch->reminder_count = 0;
    batch->cards = 0;
    batch->bytes = 0;
}

static void batch_destroy(batch_t *batch)
{
    chunks_destroy(batch->chunks);
    free(batch);
}

batch_t *batch_take(batch_pool_t *pool)
{
    batch_t *batch = pool->free;
    if (batch != NULL) {
        pool->free = batch->next;
        pool->free_count--;
        batch->next = NULL;
        return batch;
    }
    batch = malloc(sizeof(*batch)); /* not zeroed: 200 KiB of which a few lines are used */
    assert(batch != NULL);
    batch->chunks = chunk_create(LIMIT_BATCH_CHUNK_SIZE);
    batch_reset(batch);
    return batch;
}

void batch_give(batch_pool_t *pool, batch_t **batch)
{
    batch_t *const given = *batch;
    *batch = NULL;
    if (pool->free_count >= LIMIT_BATCHES_KEPT) {
        batch_destroy(given);
        return;
    }
    batch_reset(given);
    given->next = pool->free;
    pool->free = given;
    pool->free_count++;
}

void batch_pool_deinit(batch_pool_t *pool)
{
    while (pool->free != NULL) { /* at most LIMIT_BATCHES_KEPT */
        batch_t *const batch = pool->free;
        pool->free = batch->next;
        batch_destroy(batch);
    }
    pool->free_count = 0;
}

bool batch_is_empty(const batch_t *batch)
{
    return batch->event_count == 0 && batch->snapshot_count == 0 && batch->idempotency_count == 0 &&
           batch->member_key_count == 0 && batch->refusal_count == 0 &&
           batch->reminder_count == 0 && batch->note_count == 0 && batch->waiter_count == 0;
}

bool batch_has_room(const batch_t *batch)
{
    enum { EVENTS_PER_REQUEST_MAX = 4 }; /* CARD_DECISION_EVENTS_MAX */
    return batch->event_count + EVENTS_PER_REQUEST_MAX <= LIMIT_BATCH_EVENTS &&
           batch->snapshot_count + 2 <= LIMIT_BATCH_EVENTS && /* of a card and its replacement */
           batch->reminder_count + 2 <= LIMIT_BATCH_REMINDERS &&
           batch->waiter_count < LIMIT_BATCH_REQUESTS &&
           batch->note_count + 2 <= LIMIT_BATCH_NOTES && /* a member and a watermark */
           batch->stored_size + BATCH_REQUEST_SIZE_MAX <= LIMIT_BATCH_SIZE;
}

static size_t chunk_room(const batch_chunk_t *chunk)
{
    return chunk->size - chunk->used;
}

void *batch_allocate(batch_t *batch, size_t size)
{
    if (chunk_room(batch->filling) < size) {
        batch->filling->next = chunk_create(size);
        batch->filling = batch->filling->next;
    }
    void *const memory = batch->filling->bytes + batch->filling->used;
    batch->filling->used += size;
    return memory;
}

text_t batch_copy(batch_t *batch, text_t text)
{
    if (text_is_empty(text)) {
        return TEXT_NONE;
    }
    char *const copy = batch_allocate(batch, text.size);
    memcpy(copy, text.data, text.size);
    return (text_t){.data = copy, .size = text.size};
}

text_t batch_pack(batch_t *batch, const message_type_t *type, const void *message)
{
    batch_chunk_t *const chunk = batch->filling;
    uint8_t *out = chunk->bytes + chunk->used;
    const size_t size = message_pack(type, message, MESSAGE_KEYS_IDS, out, chunk_room(chunk));
    const bool fits = size <= chunk_room(chunk);
    void *const memory = batch_allocate(batch, size);
    if (!fits) {
        const size_t again = message_pack(type, message, MESSAGE_KEYS_IDS, memory, size);
        assert(again == size);
    }
    return (text_t){.data = memory, .size = size};
}

void batch_seal(batch_t *batch, uint32_t partition, uint64_t epoch, uint64_t head)
{
    batch->journal = (journal_batch_t){
        .partition = partition,
        .epoch = epoch,
        .head = head,
        .events = batch->events,
        .event_count = batch->event_count,
        .snapshots = batch->snapshots,
        .snapshot_count = batch->snapshot_count,
        .idempotency = batch->idempotency,
        .idempotency_count = batch->idempotency_count,
        .member_keys = batch->member_keys,
        .member_key_count = batch->member_key_count,
        .refusals = batch->refusals,
        .refusal_count = batch->refusal_count,
        .reminders = batch->reminders,
        .reminder_count = batch->reminder_count,
        .cards = batch->event_count == 0 ? 0 : batch->cards,
        .bytes = batch->event_count == 0 ? 0 : batch->bytes,
        .notes = batch->notes,
        .note_count = batch->note_count,
    };
}
