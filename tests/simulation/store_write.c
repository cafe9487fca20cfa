/* Batches reaching the disk: checked, then stored as a whole, and the planted bugs of that. */
#include "tests/simulation/membership.h"
#include "tests/simulation/quotas.h"
#include "tests/simulation/store_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    WALL_WINDOW_US = 12000000, /* a decision is at most that old when it is committed */
    AGAIN_MS = 1500,           /* after which a reminder comes a second time (planted bug) */
};

static void append_pointer(store_event_t ***events, size_t *count, size_t *capacity,
                           store_event_t *event)
{
    if (*count == *capacity) {
        *capacity = *capacity == 0 ? 16 : 2 * *capacity;
        *events = realloc(*events, *capacity * sizeof(**events));
        assert(*events != NULL);
    }
    (*events)[*count] = event;
    (*count)++;
}

static disk_card_t *obtain_card(store_t *store, disk_tenant_t *tenant, const uuid_t *id)
{
    disk_card_t *card = store_card(tenant, id);
    if (card == NULL) {
        assert(tenant->card_count < STORE_CARDS_MAX);
        card = store_keep(store, sizeof(*card));
        card->id = *id;
        tenant->cards[tenant->card_count] = card;
        tenant->card_count++;
    }
    return card;
}

static store_event_t *make_event(store_t *store, const disk_tenant_t *tenant, uint32_t partition,
                                 uint64_t sequence, const journal_event_t *given)
{
    store_event_t *const row = store_keep(store, sizeof(*row));
    row->body = store_keep_text(store, given->body);
    event_t *const event = &row->event;
    MESSAGE_SET(event, event, event_id, given->event_id);
    MESSAGE_SET(event, event, tenant, text_from_c(store->world->tenants[tenant->index].name));
    MESSAGE_SET(event, event, partition, partition);
    MESSAGE_SET(event, event, sequence, sequence);
    MESSAGE_SET(event, event, card, given->card);
    MESSAGE_SET(event, event, card_sequence, given->card_sequence);
    MESSAGE_SET(event, event, name, given->name);
    MESSAGE_SET(event, event, version, given->version);
    MESSAGE_SET(event, event, occurred_at, given->occurred_at);
    if (!text_is_empty(given->traceparent)) {
        MESSAGE_SET(event, event, traceparent, store_keep_text(store, given->traceparent));
    }
    arena_t arena = {.base = NULL, .size = 0}; /* event data has no lists */
    message_fault_t fault;
    const bool decoded =
        message_unpack(&event_data_message, MESSAGE_KEYS_IDS, (const uint8_t *)row->body.data,
                       row->body.size, &arena, &event->data, &fault);
    assert(decoded);
    MESSAGE_MARK(event, event, data);
    return row;
}

static uint64_t sequence_of(const world_t *world, const journal_batch_t *batch, size_t index)
{
    if (world->bug == BUG_reuse_sequence && index == 0 && batch->head > 0) {
        return batch->head;
    }
    return batch->head + index + 1;
}

static void check_event(world_t *world, const store_event_t *row)
{
    const event_t *const event = &row->event;
    if (event->occurred_at < row->wall_low_ms || event->occurred_at > row->wall_high_ms) {
        world_violation(world, 4,
                        "event %" PRIu64 " of partition %" PRIu64 " says it happened at %" PRId64
                        ", when the clock showed %" PRId64 " to %" PRId64,
                        event->sequence, event->partition, event->occurred_at, row->wall_low_ms,
                        row->wall_high_ms);
    }
}

static void store_events(operation_t *operation)
{
    store_t *const store = operation->port->store;
    disk_tenant_t *const tenant = operation->handle->tenant;
    const journal_batch_t *const batch = operation->batch;
    store_partition_t *const partition = &tenant->partitions[batch->partition];
    for (size_t i = 0; i < batch->event_count; i++) {
        store_event_t *const row =
            make_event(store, tenant, batch->partition, sequence_of(store->world, batch, i),
                       &batch->events[i]);
        world_wall_range(
            store->world,
            store->world->now_us > WALL_WINDOW_US ? store->world->now_us - WALL_WINDOW_US : 0,
            &row->wall_low_ms, &row->wall_high_ms);
        check_event(store->world, row);
        append_pointer(&partition->events, &partition->event_count, &partition->event_capacity,
                       row);
        disk_card_t *const card = obtain_card(store, tenant, &batch->events[i].card);
        append_pointer(&card->events, &card->event_count, &card->event_capacity, row);
        trace_add(store->world,
                  "  stored: partition %" PRIu64 " sequence %" PRIu64 " event %" PRIu64
                  " card %" PRIx64,
                  batch->partition, row->event.sequence, row->event.name,
                  trace_bytes(&row->event.card, sizeof(uuid_t)) & 0xffffff);
    }
    store->world->numbers.stored_events += batch->event_count;
}

static void store_snapshots(operation_t *operation)
{
    store_t *const store = operation->port->store;
    for (size_t i = 0; i < operation->batch->snapshot_count; i++) {
        const journal_snapshot_t *const given = &operation->batch->snapshots[i];
        disk_card_t *const card = obtain_card(store, operation->handle->tenant, &given->card);
        disk_snapshot_t *const row = store_keep(store, sizeof(*row));
        *row = (disk_snapshot_t){.card = given->card,
                                 .member_id = store_keep_text(store, given->member_id),
                                 .tier = store_keep_text(store, given->tier),
                                 .body = store_keep_text(store, given->body),
                                 .status = given->status,
                                 .expires_at = given->expires_at,
                                 .card_sequence = given->card_sequence};
        card->previous = card->snapshot;
        card->snapshot = row;
        card->first = card->first == NULL ? row : card->first;
    }
}

static void store_members(operation_t *operation)
{
    store_t *const store = operation->port->store;
    disk_tenant_t *const tenant = operation->handle->tenant;
    const journal_batch_t *const batch = operation->batch;
    for (size_t i = 0; i < batch->member_key_count; i++) {
        const journal_member_key_t *const given = &batch->member_keys[i];
        if (store->world->bug == BUG_forget_member_key) {
            continue;
        }
        if (store_member(tenant, given->member_id) != NULL) {
            world_violation(store->world, 8,
                            "a member got a second key: names under the first "
                            "one cannot be read any more");
            continue;
        }
        assert(tenant->member_count < STORE_ROWS_MAX);
        tenant->members[tenant->member_count] =
            (disk_member_t){.member_id = store_keep_text(store, given->member_id),
                            .sealed_key = store_keep_text(store, given->sealed_key)};
        tenant->member_count++;
    }
}

static void store_replies(operation_t *operation)
{
    store_t *const store = operation->port->store;
    disk_tenant_t *const tenant = operation->handle->tenant;
    const journal_batch_t *const batch = operation->batch;
    for (size_t i = 0; i < batch->idempotency_count; i++) {
        const journal_idempotency_t *const given = &batch->idempotency[i];
        if (store->world->bug == BUG_drop_idempotency) {
            continue;
        }
        for (size_t j = 0; j < tenant->reply_count; j++) {
            if (text_equal(tenant->replies[j].key, given->key)) {
                world_violation(store->world, 3, "a second reply for the key %.*s is to be stored",
                                TEXT_PRINT(given->key));
            }
        }
        assert(tenant->reply_count < STORE_ROWS_MAX);
        disk_reply_t *const row = &tenant->replies[tenant->reply_count];
        tenant->reply_count++;
        row->key = store_keep_text(store, given->key);
        row->reply = store_keep_text(store, given->reply);
        row->recorded_at = given->recorded_at;
        memcpy(row->request_hash, given->request_hash, sizeof(row->request_hash));
    }
}

static void check_owner(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    const journal_batch_t *const batch = operation->batch;
    store_partition_t *const partition = &operation->handle->tenant->partitions[batch->partition];
    if (batch->event_count == 0) {
        return;
    }
    if (batch->epoch < partition->row.epoch || batch->epoch < partition->epoch_committed) {
        world_violation(world, 9, "an owner of epoch %" PRIu64 " committed after one of %" PRIu64,
                        batch->epoch, partition->row.epoch);
    }
    partition->epoch_committed = batch->epoch;
}

static void check_bounds(operation_t *operation)
{
    const journal_batch_t *const batch = operation->batch;
    if (batch->event_count > LIMIT_BATCH_EVENTS || batch->snapshot_count > LIMIT_BATCH_EVENTS ||
        batch->idempotency_count > LIMIT_BATCH_REQUESTS ||
        batch->member_key_count > LIMIT_BATCH_REQUESTS ||
        batch->refusal_count > LIMIT_REFUSAL_LOG_PER_SECOND ||
        batch->reminder_count > LIMIT_BATCH_REMINDERS || batch->note_count > LIMIT_BATCH_NOTES) {
        world_violation(operation->port->store->world, 11, "a batch is larger than its bound");
    }
}

static bool is_taken_first(const operation_t *operation, const journal_reminder_t *row)
{
    const reminder_row_t *const stored =
        reminder_table_find(&operation->handle->tenant->reminders, &row->actor, row->name);
    return row->expected_at != 0 && row->action == JOURNAL_REMINDER_REMOVE && stored != NULL &&
           stored->data_size == 0;
}

static void store_reminders(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    const journal_batch_t *const batch = operation->batch;
    for (size_t i = 0; i < batch->reminder_count; i++) {
        const journal_reminder_t *const row = &batch->reminders[i];
        trace_add(world,
                  "  reminder: action %" PRIu64 " card %" PRIx64 " due %" PRIu64
                  " delivered for %" PRIu64,
                  row->action, trace_bytes(&row->actor, sizeof(uuid_t)) & 0xffffff,
                  (uint64_t)row->due_at, (uint64_t)row->expected_at);
        if (world->bug == BUG_lose_reminder && row->action == JOURNAL_REMINDER_PUT &&
            row->expected_at == 0) {
            continue;
        }
        if (world->bug == BUG_reminder_twice && is_taken_first(operation, row)) {
            journal_reminder_t again = *row;
            again.action = JOURNAL_REMINDER_PUT;
            again.due_at = row->expected_at + AGAIN_MS;
            again.data = TEXT_LITERAL("again");
            reminder_table_apply(&operation->handle->tenant->reminders, &again);
            continue;
        }
        reminder_table_apply(&operation->handle->tenant->reminders, row);
    }
}

static void store_one_note(operation_t *operation, const journal_note_t *given)
{
    store_t *const store = operation->port->store;
    disk_tenant_t *const tenant = operation->handle->tenant;
    disk_note_t *note = (disk_note_t *)store_note(tenant, given->key);
    if (note == NULL) {
        assert(tenant->note_count < STORE_NOTES_MAX);
        note = &tenant->notes[tenant->note_count];
        tenant->note_count++;
        note->key = store_keep_text(store, given->key);
    }
    note->body = store_keep_text(store, given->body);
    note->is_open = given->is_open;
    trace_add(store->world, "  note: key %" PRIx64 ", open %" PRIu64 ", body %" PRIx64,
              trace_bytes(given->key.data, given->key.size) & 0xffffff, given->is_open,
              trace_bytes(given->body.data, given->body.size) & 0xffffff, 0);
}

static void store_notes(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    const journal_batch_t *const batch = operation->batch;
    for (size_t i = 0; i < batch->note_count; i++) {
        store_one_note(operation, &batch->notes[i]);
    }
    memberships_stored(world, operation->handle->tenant->index, batch);
}

void store_watermarks_early(operation_t *operation)
{
    const journal_batch_t *const batch = operation->batch;
    for (size_t i = 0; i < batch->note_count; i++) {
        if (text_starts_with(batch->notes[i].key, TEXT_LITERAL("inbox:"))) {
            store_one_note(operation, &batch->notes[i]);
        }
    }
}

static void store_batch(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    memberships_check_batch(world, operation->handle->tenant->index, operation->batch);
    store_partition_t *const partition =
        &operation->handle->tenant->partitions[operation->batch->partition];
    check_owner(operation);
    check_bounds(operation);
    quotas_check_batch(world, operation->handle->tenant->index, operation->batch, &partition->row);
    store_events(operation);
    store_snapshots(operation);
    store_members(operation);
    store_replies(operation);
    store_reminders(operation);
    store_notes(operation);
    operation->handle->tenant->refusal_count += operation->batch->refusal_count;
    partition->row.head += operation->batch->event_count;
    partition->row.cards += (uint64_t)operation->batch->cards;
    partition->row.bytes += operation->batch->bytes;
    operation->port->store->world->numbers.commits++;
}

static bool is_check_only(const journal_batch_t *batch)
{
    return batch->event_count == 0 && batch->snapshot_count == 0 && batch->idempotency_count == 0 &&
           batch->member_key_count == 0 && batch->refusal_count == 0 &&
           batch->reminder_count == 0 && batch->note_count == 0;
}

static bool is_expected(const operation_t *operation)
{
    const bug_t bug = operation->port->store->world->bug;
    const journal_batch_t *const batch = operation->batch;
    const journal_partition_t *const row =
        &operation->handle->tenant->partitions[batch->partition].row;
    if (bug == BUG_reads_skip_epoch && is_check_only(batch)) {
        return true;
    }
    if (bug == BUG_ignore_epoch) {
        return row->head == batch->head;
    }
    if (!reminder_table_holds(&operation->handle->tenant->reminders, batch)) {
        return false;
    }
    return row->epoch == batch->epoch && row->head == batch->head;
}

static result_t draw_fault(operation_t *operation)
{
    store_t *const store = operation->port->store;
    world_t *const world = store->world;
    if (is_check_only(operation->batch) || !world->is_stormy) {
        return RESULT_OK;
    }
    if (store->is_full) {
        world->numbers.failed_writes++;
        return RESULT_STORE_FULL;
    }
    if (generator_chance(&world->disk, world->weather.failed_write)) {
        world->numbers.failed_writes++;
        return RESULT_STORE_UNAVAILABLE;
    }
    return RESULT_OK;
}

static void note_undo(operation_t *operation)
{
    const journal_batch_t *const batch = operation->batch;
    disk_tenant_t *const tenant = operation->handle->tenant;
    const store_partition_t *const partition = &tenant->partitions[batch->partition];
    operation->port->undo =
        (undo_t){.until_us = operation->port->store->world->now_us + STORE_UNDO_US,
                 .tenant = tenant,
                 .partition = batch->partition,
                 .event_count = partition->event_count,
                 .reply_count = tenant->reply_count,
                 .head = partition->row.head};
}

void store_apply_append(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    assert(operation->batch->partition < operation->handle->tenant->partition_count);
    if (!is_expected(operation)) {
        world->numbers.fenced++;
        operation->result = world->bug == BUG_acknowledge_fenced ? RESULT_OK : RESULT_FENCED;
        return;
    }
    operation->result = draw_fault(operation);
    if (operation->result != RESULT_OK) {
        if (world->bug == BUG_acknowledge_failed_write) {
            operation->result = RESULT_OK;
        }
        return;
    }
    if (world->bug == BUG_acknowledge_before_durable && operation->batch->event_count > 0) {
        note_undo(operation);
    }
    store_batch(operation);
    if (world->bug == BUG_fail_after_commit && generator_chance(&world->disk, 30)) {
        operation->result = RESULT_STORE_UNAVAILABLE;
    }
}

void store_apply_torn(operation_t *operation)
{
    if (!is_expected(operation)) {
        return;
    }
    store_events(operation);
    operation->handle->tenant->partitions[operation->batch->partition].row.head +=
        operation->batch->event_count;
}

void store_undo(store_port_t *port)
{
    const undo_t *const undo = &port->undo;
    if (undo->tenant == NULL || port->store->world->now_us > undo->until_us) {
        return;
    }
    store_partition_t *const partition = &undo->tenant->partitions[undo->partition];
    for (size_t i = undo->event_count; i < partition->event_count; i++) {
        disk_card_t *const card = store_card(undo->tenant, &partition->events[i]->event.card);
        card->event_count -= card->event_count > 0 ? 1 : 0;
        card->snapshot = card->previous;
    }
    partition->event_count = undo->event_count;
    partition->row.head = undo->head;
    undo->tenant->reply_count = undo->reply_count;
}
