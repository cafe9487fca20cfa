/* Batches of one partition: gathered, submitted, answered. Must not know what an event means. */
#include "actors/shard/partition.h"
#include "actors/shard/tenant_actor.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>

void partition_init(partition_t *partition, tenant_t *tenant, uint32_t number,
                    const journal_partition_t *opened)
{
    *partition = (partition_t){
        .tenant = tenant,
        .number = number,
        .epoch = opened->epoch,
        .head = opened->head,
        .head_speculative = opened->head,
        .next_number = 1,
    };
}

static shard_t *shard_of(const partition_t *partition)
{
    return tenant_shard(partition->tenant);
}

static void list_as_wanted(partition_t *partition)
{
    shard_t *const shard = shard_of(partition);
    if (!partition->is_wanted) {
        partition->is_wanted = true;
        partition->wanted_next = shard->wanted_first;
        shard->wanted_first = partition;
    }
}

batch_t *partition_gather_quietly(partition_t *partition)
{
    if (partition->gathering != NULL && batch_has_room(partition->gathering)) {
        return partition->gathering;
    }
    batch_t *const batch = batch_take(&shard_of(partition)->batches);
    batch->number = partition->next_number;
    partition->next_number++;
    if (partition->gathering == NULL) {
        partition->queue_first = batch;
    } else {
        partition->gathering->next = batch;
    }
    partition->gathering = batch;
    return batch;
}

result_t partition_gather(partition_t *partition, batch_t **batch)
{
    if (partition->waiting >= LIMIT_BATCH_WAITING) {
        return RESULT_BUSY;
    }
    *batch = partition_gather_quietly(partition);
    return RESULT_OK;
}

static text_t pack_published(const partition_t *partition, batch_t *batch,
                             const journal_event_t *event, const event_data_t *data,
                             uint64_t sequence)
{
    envelope_t envelope;
    envelope.present = 0;
    envelope.event.present = 0;
    event_t *const published = &envelope.event;
    MESSAGE_SET(event, published, event_id, event->event_id);
    MESSAGE_SET(event, published, tenant, tenant_name(partition->tenant));
    MESSAGE_SET(event, published, partition, partition->number);
    MESSAGE_SET(event, published, sequence, sequence);
    MESSAGE_SET(event, published, card, event->card);
    MESSAGE_SET(event, published, card_sequence, event->card_sequence);
    MESSAGE_SET(event, published, name, event->name);
    MESSAGE_SET(event, published, version, event->version);
    MESSAGE_SET(event, published, occurred_at, event->occurred_at);
    if (!text_is_empty(event->traceparent)) {
        MESSAGE_SET(event, published, traceparent, event->traceparent);
    }
    MESSAGE_SET(event, published, data, *data);
    MESSAGE_MARK(envelope, &envelope, event);
    if (partition->tenant->created_at > 0) {
        MESSAGE_SET(envelope, &envelope, tenant_since, (uint64_t)partition->tenant->created_at);
    }
    return batch_pack(batch, &envelope_message, &envelope);
}

uint64_t partition_append(partition_t *partition, batch_t *batch, const journal_event_t *event,
                          const event_data_t *data, int cards)
{
    assert(batch == partition->gathering);
    assert(batch->event_count < LIMIT_BATCH_EVENTS);
    partition->head_speculative++;
    const uint64_t sequence = partition->head_speculative;
    batch->events[batch->event_count] = *event;
    batch->published[batch->event_count] = pack_published(partition, batch, event, data, sequence);
    batch->event_count++;
    const uint64_t bytes = event->body.size + JOURNAL_EVENT_OVERHEAD;
    batch->cards += cards;
    batch->bytes += bytes;
    partition->tenant->usage.cards += cards;
    partition->tenant->usage.bytes += bytes;
    batch->stored_size += event->body.size;
    partition->waiting++;
    return sequence;
}

void partition_wait(partition_t *partition, batch_t *batch, shard_message_t **message,
                    text_t envelope, uint8_t outcome)
{
    assert(batch == partition->gathering);
    assert(batch->waiter_count < LIMIT_BATCH_REQUESTS);
    batch->waiters[batch->waiter_count] =
        (batch_waiter_t){.message = *message, .envelope = envelope, .outcome = outcome};
    batch->waiter_count++;
    *message = NULL;
    partition->waiting++;
    batch->is_wanted = true;
    list_as_wanted(partition);
}

void partition_want(partition_t *partition)
{
    if (partition->gathering != NULL) {
        partition->gathering->is_wanted = true;
        list_as_wanted(partition);
    }
}

void partition_leave_empty(partition_t *partition)
{
    batch_t *batch = partition->gathering;
    if (batch == NULL || batch->is_wanted || !batch_is_empty(batch)) {
        return;
    }
    batch_t *previous = NULL;
    for (batch_t *at = partition->queue_first; at != batch; at = at->next) {
        previous = at; /* bounded by LIMIT_BATCH_WAITING */
    }
    partition->gathering = previous;
    if (previous == NULL) {
        partition->queue_first = NULL;
    } else {
        previous->next = NULL;
        previous->is_wanted = true; /* it is full */
    }
    batch_give(&shard_of(partition)->batches, &batch);
}

bool partition_is_idle(const partition_t *partition)
{
    return partition->committing == NULL && partition->queue_first == NULL;
}

/* Ends the batch's requests with an error, forgets its uncommitted keys and gives it back. */
static void batch_fail(shard_t *shard, batch_t *batch, result_t why, const char *detail)
{
    for (size_t i = 0; i < batch->member_key_count; i++) {
        member_keys_failed(shard->member_keys, batch->pinned[i]);
    }
    for (size_t i = 0; i < batch->waiter_count; i++) {
        shard_message_fail(&batch->waiters[i].message, why, detail, NULL);
    }
    metric_add(shard->metrics.refusals_dropped, batch->refusal_count);
    batch_give(&shard->batches, &batch);
}

void partition_fail(partition_t *partition, result_t why, const char *detail)
{
    shard_t *const shard = shard_of(partition);
    batch_t *batch = partition->queue_first;
    partition->queue_first = NULL;
    partition->gathering = NULL;
    partition->waiting = 0;
    while (batch != NULL) { /* bounded by LIMIT_BATCH_WAITING */
        batch_t *const next = batch->next;
        batch_fail(shard, batch, why, detail);
        batch = next;
    }
}

static void batch_succeed(shard_t *shard, batch_t *batch)
{
    for (size_t i = 0; i < batch->member_key_count; i++) {
        member_keys_committed(shard->member_keys, batch->pinned[i]);
    }
    for (size_t i = 0; i < batch->waiter_count; i++) {
        batch_waiter_t *const waiter = &batch->waiters[i];
        waiter->message->is_member_done = true;
        if (waiter->message->kind == SHARD_EXPIRE) {
            tenant_sweep_card_expired(waiter->message->tenant);
        }
        if (waiter->message->kind == SHARD_REMIND) {
            waiter->message->tenant->reminders.taken++;
            tenant_remind_committed(waiter->message);
        }
        shard_message_answer(&waiter->message, waiter->envelope, waiter->outcome);
    }
    for (size_t i = 0; i < batch->event_count; i++) {
        shard->ports.publish(shard->ports.context, (const uint8_t *)batch->published[i].data,
                             batch->published[i].size);
    }
    metric_add(shard->metrics.commits, 1);
    metric_add(shard->metrics.events, batch->event_count);
    metric_set(shard->metrics.batch_events_last, (int64_t)batch->event_count);
}

static void append_done(void *context, result_t result)
{
    partition_t *const partition = context;
    shard_t *const shard = shard_of(partition);
    batch_t *batch = partition->committing;
    tenant_t *const tenant = partition->tenant;
    partition->committing = NULL;
    shard->batches_in_flight--;
    metric_observe_us(shard->metrics.commit_seconds, clock_monotonic_us() - batch->submitted_us);
    if (result == RESULT_OK) {
        partition->head += batch->event_count;
        partition->committed_number = batch->number;
        tenant_note_idempotency(tenant, batch->idempotency_count);
        tenant_committed(tenant);
        if (batch->event_count > 0) {
            store_watch_committed(shard);
        }
        batch_succeed(shard, batch);
        batch_give(&shard->batches, &batch);
        if (partition->queue_first != NULL) {
            list_as_wanted(partition);
        }
    } else {
        metric_add(shard->metrics.commits_failed, 1);
        tenant_fail(tenant, result);
        batch_fail(shard, batch, result, NULL);
    }
    tenant_operation_end(tenant); /* the partition may be gone after this */
}

static void unqueue(partition_t *partition, batch_t *batch)
{
    partition->queue_first = batch->next;
    if (partition->gathering == batch) {
        partition->gathering = NULL;
    }
    batch->next = NULL;
    partition->waiting -= batch->event_count + batch->waiter_count;
    partition->committing = batch;
}

static void requeue(partition_t *partition, batch_t *batch)
{
    partition->committing = NULL;
    batch->next = partition->queue_first;
    partition->queue_first = batch;
    if (partition->gathering == NULL) {
        partition->gathering = batch;
    }
    partition->waiting += batch->event_count + batch->waiter_count;
}

void partition_submit(partition_t *partition)
{
    batch_t *const batch = partition->queue_first;
    if (partition->committing != NULL || batch == NULL ||
        (!batch->is_wanted && batch == partition->gathering)) {
        return;
    }
    shard_t *const shard = shard_of(partition);
    unqueue(partition, batch);
    batch_seal(batch, partition->number, partition->epoch, partition->head);
    batch->submitted_us = clock_monotonic_us();
    journal_t *const journal = shard->ports.journal;
    const result_t result = journal->functions->append(tenant_journal(partition->tenant),
                                                       &batch->journal, append_done, partition);
    if (result == RESULT_OK) {
        shard->batches_in_flight++;
        tenant_operation_begin(partition->tenant);
    } else if (result == RESULT_BUSY) {
        requeue(partition, batch); /* the store's queue is full: once more in a moment */
        list_as_wanted(partition);
        loop_timer_start(shard->retry_timer, LIMIT_BATCH_RETRY_MS, 0);
    } else {
        requeue(partition, batch);
        tenant_fail(partition->tenant, result);
    }
}
