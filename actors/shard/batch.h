/* What one commit carries: events, newest snapshots, replies to keep, member keys, refused scans,
 * and the requests that are answered when it is durable. Its memory is reused: batches come from a
 * pool of the shard and go back to it. Knows nothing of cards and calls nobody. */
#ifndef ACTORS_BATCH_H
#define ACTORS_BATCH_H

#include "actors/ports/journal.h"

typedef struct batch_chunk batch_chunk_t;
typedef struct shard_message shard_message_t;
typedef struct member_key member_key_t;

/* A request that waits for the commit; `envelope` is its packed reply, empty when it gets none. */
typedef struct batch_waiter {
    shard_message_t *message; /* owned */
    text_t envelope;
    uint8_t outcome; /* enum outcome, for the metrics */
} batch_waiter_t;

typedef struct batch {
    struct batch *next; /* of the partition's queue, or of the pool */
    uint64_t number;    /* of the partition, rising */
    uint64_t submitted_us;
    size_t stored_size;     /* bytes that go to the store */
    bool is_wanted;         /* somebody waits for it: submit at the end of the turn */
    batch_chunk_t *chunks;  /* memory of all texts below, oldest first */
    batch_chunk_t *filling; /* the one that is being filled */

    journal_event_t events[LIMIT_BATCH_EVENTS];
    text_t published[LIMIT_BATCH_EVENTS]; /* packed envelope of each event, for the relay */
    size_t event_count;
    journal_snapshot_t snapshots[LIMIT_BATCH_EVENTS]; /* of events, and of cards that go */
    size_t snapshot_count;
    journal_idempotency_t idempotency[LIMIT_BATCH_REQUESTS];
    size_t idempotency_count;
    journal_member_key_t member_keys[LIMIT_BATCH_REQUESTS];
    member_key_t *pinned[LIMIT_BATCH_REQUESTS]; /* cache entries of member_keys */
    size_t member_key_count;
    journal_refusal_t refusals[LIMIT_REFUSAL_LOG_PER_SECOND];
    size_t refusal_count;
    journal_reminder_t reminders[LIMIT_BATCH_REMINDERS]; /* no two of the same */
    size_t reminder_count;
    int64_t cards;  /* living ones that its events add; they may take some away */
    uint64_t bytes; /* that its events take */
    journal_note_t notes[LIMIT_BATCH_NOTES];
    size_t note_count;
    batch_waiter_t waiters[LIMIT_BATCH_REQUESTS];
    size_t waiter_count;

    journal_batch_t journal; /* what the store is given; filled when it is submitted */
} batch_t;

/* What one request may add at most: then a batch is full and the next one begins. */
enum { BATCH_REQUEST_SIZE_MAX = 16384 };

typedef struct batch_pool {
    batch_t *free;
    uint32_t free_count;
} batch_pool_t;

/* An empty batch. Memory that cannot be had ends the role, as everywhere. */
batch_t *batch_take(batch_pool_t *pool);
/* Takes it back and nulls the pointer. Waiters and pins must have been dealt with. */
void batch_give(batch_pool_t *pool, batch_t **batch);
void batch_pool_deinit(batch_pool_t *pool);

/* Room for one more request with all its events? */
bool batch_has_room(const batch_t *batch);
/* Storing it would change nothing, and nobody waits for it. */
bool batch_is_empty(const batch_t *batch);

/* Memory that stays where it is until the batch is given back. */
void *batch_allocate(batch_t *batch, size_t size);
text_t batch_copy(batch_t *batch, text_t text);
/* message_pack by ids into the memory of the batch. */
text_t batch_pack(batch_t *batch, const message_type_t *type, const void *message);

/* Fills batch->journal. */
void batch_seal(batch_t *batch, uint32_t partition, uint64_t epoch, uint64_t head);

#endif
