/* One partition of an open tenant: the sequence of its events, speculative ahead of what is
 * committed, and the queue of its batches. The last batch of the queue gathers; one at a time is
 * with the store. Replies leave when the batch that carries the state they saw is durable; when a
 * batch fails, every later one of the partition fails with it (the tenant sees to that). */
#ifndef ACTORS_PARTITION_H
#define ACTORS_PARTITION_H

#include "actors/shard/shard_internal.h"

struct partition {
    tenant_t *tenant;
    uint32_t number;
    uint64_t epoch;
    uint64_t head;             /* highest committed sequence */
    uint64_t head_speculative; /* highest given out */
    batch_t *queue_first;      /* waiting, oldest first */
    batch_t *gathering;        /* the last of them, NULL when there is none */
    batch_t *committing;
    uint64_t next_number;      /* of batches */
    uint64_t committed_number; /* all batches up to this one are durable */
    uint64_t reminder_batch;   /* the last one that changes a reminder; 0: none */
    bool reminders_are_known;  /* all of those were durable when due ones were read last */
    size_t waiting;            /* events and requests in the queue */
    bool is_wanted;            /* in the shard's list */
    partition_t *wanted_next;
};

void partition_init(partition_t *partition, tenant_t *tenant, uint32_t number,
                    const journal_partition_t *opened);

/* The batch that takes the next request with all its events. BUSY: LIMIT_BATCH_WAITING is reached.
 */
MUST_USE result_t partition_gather(partition_t *partition, batch_t **batch);
/* The same for what nobody waits for, without the bound. */
batch_t *partition_gather_quietly(partition_t *partition);

/* Appends an event, whose sequence is returned. `event->body` and `traceparent` must live as long
 * as the batch; `data` only for the call. `cards`: how many living cards it makes (-1: it ends
 * one).
 */
uint64_t partition_append(partition_t *partition, batch_t *batch, const journal_event_t *event,
                          const event_data_t *data, int cards);
/* Takes the message; its reply leaves when the batch is durable. */
void partition_wait(partition_t *partition, batch_t *batch, shard_message_t **message,
                    text_t envelope, uint8_t outcome);
/* Have the gathering batch submitted although nobody waits for it. */
void partition_want(partition_t *partition);
/* Gives the gathering batch back when nothing came into it: a tenant with one is never idle. */
void partition_leave_empty(partition_t *partition);

/* At the end of a turn: gives the oldest waiting batch to the store unless one is there already. */
void partition_submit(partition_t *partition);
/* Ends everything that waits. Not what is with the store: that ends by itself. */
void partition_fail(partition_t *partition, result_t why, const char *detail);
bool partition_is_idle(const partition_t *partition);
static inline bool partition_is_durable(const partition_t *partition, uint64_t batch_number)
{
    return batch_number <= partition->committed_number;
}

#endif
