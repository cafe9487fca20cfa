/* Reads of the disk, as they are at one moment, and the planted bugs of that. */
#include "tests/simulation/store_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static event_t *allocate_events(size_t count)
{
    event_t *events = calloc(count + 1, sizeof(*events));
    assert(events != NULL);
    return events;
}

/* Events of a card that its snapshot does not have. */
static size_t copy_tail(const disk_card_t *card, uint64_t after, event_t *out)
{
    size_t count = 0;
    for (size_t i = 0; i < card->event_count; i++) {
        if (card->events[i]->event.card_sequence > after) {
            out[count] = card->events[i]->event;
            count++;
        }
    }
    return count;
}

/* As the port allows: half of the time a tail of validations is only counted. */
static void leave_out_quiet_tail(operation_t *operation, const disk_snapshot_t *snapshot)
{
    journal_loaded_t *const loaded = &operation->loaded;
    bool is_quiet = snapshot != NULL && generator_chance(&operation->port->store->world->disk, 500);
    for (size_t i = 0; is_quiet && i < loaded->tail_count; i++) {
        const uint64_t name = loaded->tail[i].name;
        is_quiet = name == event_name_card_validated || name == event_name_card_validation_refused;
    }
    loaded->tail_count = is_quiet ? 0 : loaded->tail_count;
}

static void load_card(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    const disk_tenant_t *const tenant = operation->handle->tenant;
    const disk_card_t *const card = store_card(tenant, operation->load->card);
    if (card == NULL || (card->event_count == 0 && card->snapshot == NULL)) {
        return;
    }
    journal_loaded_t *const loaded = &operation->loaded;
    const disk_snapshot_t *snapshot = card->snapshot;
    operation->events = allocate_events(card->event_count);
    loaded->card_found = true;
    loaded->tail = operation->events;
    loaded->tail_count =
        copy_tail(card, snapshot == NULL ? 0 : snapshot->card_sequence, operation->events);
    if (world->bug == BUG_lose_tail_on_load && loaded->tail_count > 0) {
        loaded->tail_count--;
    }
    if (world->bug == BUG_stale_snapshot && card->previous != NULL &&
        generator_chance(&world->disk, 300)) {
        snapshot = card->previous;
        loaded->tail_count = 0;
    }
    loaded->card_sequence = (snapshot == NULL ? 0 : snapshot->card_sequence) + loaded->tail_count;
    leave_out_quiet_tail(operation, snapshot);
    if (snapshot != NULL) {
        loaded->snapshot = snapshot->body;
        const disk_member_t *const member = store_member(tenant, snapshot->member_id);
        loaded->sealed_member_key = member == NULL ? TEXT_NONE : member->sealed_key;
    }
}

static const disk_reply_t *find_reply(const disk_tenant_t *tenant, text_t key)
{
    for (size_t i = 0; i < tenant->reply_count; i++) {
        if (text_equal(tenant->replies[i].key, key)) {
            return &tenant->replies[i];
        }
    }
    return NULL;
}

static void load_reply(operation_t *operation)
{
    const store_t *const store = operation->port->store;
    const text_t key = operation->load->idempotency_key;
    const disk_reply_t *row = find_reply(operation->handle->tenant, key);
    for (uint32_t i = 0;
         row == NULL && store->world->bug == BUG_share_idempotency && i < store->tenant_count;
         i++) {
        row = find_reply(store->tenants[i], key);
    }
    for (uint32_t i = operation->handle->tenant->index;
         row == NULL && store->world->bug == BUG_inherit_idempotency && i > 0; i--) {
        const disk_tenant_t *const earlier = store->tenants[i - 1];
        const world_tenant_t *const tenants = store->world->tenants;
        if (tenants[earlier->index].name_index ==
            tenants[operation->handle->tenant->index].name_index) {
            row = find_reply(earlier, key);
        }
    }
    if (row != NULL) {
        operation->loaded.idempotency_found = true;
        operation->loaded.reply = row->reply;
        memcpy(operation->loaded.request_hash, row->request_hash, sizeof(row->request_hash));
    }
}

void store_apply_load(operation_t *operation)
{
    const journal_load_t *const load = operation->load;
    const disk_tenant_t *const tenant = operation->handle->tenant;
    if (load->card != NULL) {
        load_card(operation);
    }
    if (!text_is_empty(load->member_id)) {
        const disk_member_t *member = store_member(tenant, load->member_id);
        if (operation->port->store->world->bug == BUG_wrong_holder && tenant->member_count > 1) {
            member = &tenant->members[0];
        }
        operation->loaded.sealed_member_key = member == NULL ? TEXT_NONE : member->sealed_key;
    }
    if (!text_is_empty(load->idempotency_key)) {
        load_reply(operation);
    }
    if (!text_is_empty(load->note_key)) {
        const disk_note_t *const note = store_note(tenant, load->note_key);
        operation->loaded.note_found = note != NULL;
        operation->loaded.note = note == NULL ? TEXT_NONE : note->body;
    }
}

static bool may_expire(uint8_t status)
{
    return status == card_status_issued || status == card_status_active ||
           status == card_status_suspended;
}

void store_apply_due(operation_t *operation)
{
    const disk_tenant_t *const tenant = operation->handle->tenant;
    operation->uuids = calloc(operation->limit + 1, sizeof(*operation->uuids));
    int64_t *times = calloc(operation->limit + 1, sizeof(*times));
    assert(operation->uuids != NULL && times != NULL);
    for (size_t i = 0; i < tenant->card_count; i++) {
        const disk_snapshot_t *const snapshot = tenant->cards[i]->snapshot;
        if (snapshot == NULL || !may_expire(snapshot->status) ||
            snapshot->expires_at > operation->now_ms) {
            continue;
        }
        size_t at = operation->count;
        while (at > 0 && times[at - 1] > snapshot->expires_at) {
            times[at] = times[at - 1];
            operation->uuids[at] = operation->uuids[at - 1];
            at--;
        }
        times[at] = snapshot->expires_at;
        operation->uuids[at] = snapshot->card;
        operation->count += operation->count < operation->limit ? 1 : 0;
    }
    free(times);
}

/* What is read stays as it was, whatever the disk becomes before the caller is told. */
void store_apply_reminders(operation_t *operation)
{
    const reminder_table_t *const table = &operation->handle->tenant->reminders;
    const size_t rows = operation->limit + 1;
    const size_t row_texts = JOURNAL_REMINDER_NAME_SIZE_MAX + JOURNAL_REMINDER_DATA_SIZE_MAX;
    operation->reminders = calloc(rows, sizeof(*operation->reminders) + row_texts);
    assert(operation->reminders != NULL);
    operation->count = reminder_table_due(table, operation->now_ms, operation->limit,
                                          operation->reminders, &operation->next_at);
    char *texts = (char *)(operation->reminders + rows);
    for (size_t i = 0; i < operation->count; i++, texts += row_texts) {
        journal_reminder_t *const row = &operation->reminders[i];
        memcpy(texts, row->name.data, row->name.size);
        row->name.data = texts;
        if (row->data.size > 0) {
            memcpy(texts + row->name.size, row->data.data, row->data.size);
            row->data.data = texts + row->name.size;
        }
    }
}

static bool card_matches(const operation_t *operation, const disk_snapshot_t *snapshot)
{
    const card_list_t *const filter = operation->filter;
    const bool is_due = may_expire(snapshot->status) && snapshot->expires_at <= operation->now_ms;
    const uint8_t status = is_due ? (uint8_t)card_status_expired : snapshot->status;
    if (MESSAGE_HAS(card_list, filter, status) && filter->status != status) {
        return false;
    }
    return !MESSAGE_HAS(card_list, filter, member_id) ||
           text_equal(filter->member_id, snapshot->member_id);
}

static void put_row(operation_t *operation, const disk_card_t *card, size_t *event_count)
{
    const disk_tenant_t *const tenant = operation->handle->tenant;
    const bool is_stale = operation->port->store->world->bug == BUG_stale_list;
    const disk_snapshot_t *const snapshot = is_stale ? card->first : card->snapshot;
    journal_card_row_t *const row = &operation->rows[operation->count];
    operation->count++;
    row->snapshot = snapshot->body;
    row->tail = operation->events + *event_count;
    row->tail_count =
        is_stale ? 0 : copy_tail(card, snapshot->card_sequence, operation->events + *event_count);
    *event_count += row->tail_count;
    const disk_member_t *const member = store_member(tenant, snapshot->member_id);
    row->sealed_member_key = member == NULL ? TEXT_NONE : member->sealed_key;
}

/* Newest first. The cursor is the number of cards that were there when the page ended. */
void store_apply_cards(operation_t *operation)
{
    const disk_tenant_t *const tenant = operation->handle->tenant;
    size_t event_total = 0;
    for (size_t i = 0; i < tenant->card_count; i++) {
        event_total += tenant->cards[i]->event_count;
    }
    operation->rows = calloc(operation->limit + 1, sizeof(*operation->rows));
    operation->events = allocate_events(event_total);
    assert(operation->rows != NULL);
    size_t event_count = 0;
    size_t at = operation->after == 0 || operation->after > tenant->card_count
                    ? tenant->card_count
                    : (size_t)operation->after - 1;
    for (; at > 0; at--) {
        const disk_card_t *const card = tenant->cards[at - 1];
        if (card->snapshot == NULL || !card_matches(operation, card->snapshot)) {
            continue;
        }
        if (operation->count == operation->limit) {
            (void)snprintf(operation->cursor, sizeof(operation->cursor), "%zu", at + 1);
            break;
        }
        put_row(operation, card, &event_count);
    }
    if (operation->port->store->world->bug == BUG_short_page && operation->count > 1) {
        operation->count--;
    }
}

static void read_history(operation_t *operation)
{
    const disk_card_t *const card = store_card(operation->handle->tenant, &operation->card);
    if (card == NULL) {
        return;
    }
    operation->events = allocate_events(operation->limit);
    size_t at = operation->after == 0 || operation->after > card->event_count
                    ? card->event_count
                    : (size_t)operation->after;
    while (at > 0 && operation->count < operation->limit) {
        operation->events[operation->count] = card->events[at - 1]->event;
        operation->count++;
        at--;
    }
    if (at > 0) {
        (void)snprintf(operation->cursor, sizeof(operation->cursor), "%zu", at);
    }
}

static void swap_first_two(event_t *events)
{
    const event_t first = events[0];
    const uint64_t sequence = first.sequence;
    events[0] = events[1];
    events[1] = first;
    events[1].sequence = events[0].sequence;
    events[0].sequence = sequence;
}

void store_apply_events(operation_t *operation)
{
    if (operation->is_history) {
        read_history(operation);
        return;
    }
    const bug_t bug = operation->port->store->world->bug;
    const store_partition_t *const partition =
        &operation->handle->tenant->partitions[operation->partition];
    operation->head = partition->row.head;
    operation->events = allocate_events(operation->limit);
    for (size_t i = 0; i < partition->event_count && operation->count < operation->limit; i++) {
        const event_t *const event = &partition->events[i]->event;
        const bool is_skipped = bug == BUG_replay_skips_event && event->sequence % 7 == 3;
        if (event->sequence > operation->after && !is_skipped) {
            operation->events[operation->count] = *event;
            operation->count++;
        }
    }
    if (bug == BUG_replay_swaps_events && operation->count > 1) {
        swap_first_two(operation->events);
    }
}

/* --- Notes --- */

static bool is_before(text_t a, text_t b)
{
    const size_t size = a.size < b.size ? a.size : b.size;
    const int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order < 0 || (order == 0 && a.size < b.size);
}

/* The next one by key, each time: there are a dozen. */
void store_apply_notes(operation_t *operation)
{
    const disk_tenant_t *const tenant = operation->handle->tenant;
    const bool forgets = operation->port->store->world->bug == BUG_saga_forgotten;
    operation->notes = calloc(operation->limit, sizeof(*operation->notes));
    assert(operation->notes != NULL);
    text_t after = operation->note_after;
    const disk_note_t *next = NULL;
    do {
        next = NULL;
        for (size_t i = 0; i < tenant->note_count; i++) {
            const disk_note_t *const note = &tenant->notes[i];
            const bool is_lost = forgets && text_starts_with(note->key, TEXT_LITERAL("member:"));
            if (note->is_open && !is_lost && is_before(after, note->key) &&
                (next == NULL || is_before(note->key, next->key))) {
                next = note;
            }
        }
        if (next != NULL) {
            operation->notes[operation->count] =
                (journal_note_t){.key = next->key, .body = next->body, .is_open = true};
            operation->count++;
            after = next->key;
        }
    } while (next != NULL && operation->count < operation->limit);
}

/* --- Keys --- */

void store_apply_keys(operation_t *operation)
{
    const disk_tenant_t *const tenant = operation->handle->tenant;
    operation->sealed_keys = calloc(operation->limit, sizeof(*operation->sealed_keys));
    assert(operation->sealed_keys != NULL);
    for (uint32_t i = 0; i < operation->limit; i++) {
        const disk_member_t *const member = store_member(tenant, operation->member_ids[i]);
        operation->sealed_keys[i] = member == NULL ? TEXT_NONE : member->sealed_key;
    }
    operation->count = operation->limit;
}
