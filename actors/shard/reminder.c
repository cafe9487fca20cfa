/* Changes of reminders within a batch. Delivers nothing (tenant_remind.c). */
#include "actors/shard/reminder.h"
#include "actors/domain/card_id.h"
#include "actors/domain/siphash.h"
#include "actors/shard/partition.h"
#include <assert.h>

static uint64_t hash_of(const tenant_t *tenant, const uuid_t *actor, text_t name)
{
    char bytes[sizeof(actor->bytes) + JOURNAL_REMINDER_NAME_SIZE_MAX];
    assert(name.size <= JOURNAL_REMINDER_NAME_SIZE_MAX);
    memcpy(bytes, actor->bytes, sizeof(actor->bytes));
    memcpy(bytes + sizeof(actor->bytes), name.data, name.size);
    return siphash(tenant->shard->hash_key,
                   (text_t){.data = bytes, .size = sizeof(actor->bytes) + name.size});
}

static partition_t *partition_of(const tenant_t *tenant, const uuid_t *actor)
{
    static const uuid_t nobody = {0};
    return &tenant->partitions[uuid_equal(actor, &nobody) ? 0 : card_id_partition(actor)];
}

bool reminder_is_known(const tenant_t *tenant, const uuid_t *actor)
{
    return partition_of(tenant, actor)->reminders_are_known;
}

/* What is read does not show changes that are not committed yet, and while due ones are being
 * delivered, others may change them. */
static void note_change(tenant_t *tenant, const batch_t *batch, const uuid_t *actor, text_t name)
{
    partition_of(tenant, actor)->reminder_batch = batch->number;
    tenant_reminders_t *const reminders = &tenant->reminders;
    if (!reminders->is_delivering) {
        return;
    }
    if (reminders->changed_count < REMINDERS_CHANGED_MAX) {
        reminders->changed[reminders->changed_count] = hash_of(tenant, actor, name);
    }
    reminders->changed_count++;
}

/* The batch's row of that reminder: the last decision counts, but what was delivered stays. */
static journal_reminder_t *row_of(batch_t *batch, const uuid_t *actor, text_t name)
{
    for (size_t i = 0; i < batch->reminder_count; i++) {
        journal_reminder_t *const row = &batch->reminders[i];
        if (uuid_equal(&row->actor, actor) && text_equal(row->name, name)) {
            return row;
        }
    }
    assert(batch->reminder_count < LIMIT_BATCH_REMINDERS);
    journal_reminder_t *const row = &batch->reminders[batch->reminder_count];
    batch->reminder_count++;
    *row = (journal_reminder_t){.actor = *actor, .name = batch_copy(batch, name)};
    return row;
}

static void put(tenant_t *tenant, batch_t *batch, journal_reminder_action_t action,
                const reminder_request_t *request)
{
    assert(request->data.size <= JOURNAL_REMINDER_DATA_SIZE_MAX);
    assert(request->due_at != 0 && request->period_ms >= 0);
    journal_reminder_t *const row = row_of(batch, &request->actor, request->name);
    row->action = action;
    row->due_at = request->due_at;
    row->period_ms = request->period_ms;
    row->data = batch_copy(batch, request->data);
    batch->stored_size += request->name.size + request->data.size;
    note_change(tenant, batch, &request->actor, request->name);
    if (request->due_at < tenant->reminders.next_at) {
        tenant->reminders.next_at = request->due_at;
    }
}

void reminder_set(tenant_t *tenant, batch_t *batch, const reminder_request_t *request)
{
    put(tenant, batch, JOURNAL_REMINDER_PUT, request);
}

void reminder_ensure(tenant_t *tenant, batch_t *batch, const reminder_request_t *request)
{
    put(tenant, batch, JOURNAL_REMINDER_ENSURE, request);
}

void reminder_cancel(tenant_t *tenant, batch_t *batch, const uuid_t *actor, text_t name)
{
    row_of(batch, actor, name)->action = JOURNAL_REMINDER_REMOVE;
    note_change(tenant, batch, actor, name);
}

bool reminder_is_current(const tenant_t *tenant, const shard_reminder_t *reminder, int64_t now_ms)
{
    const tenant_reminders_t *const reminders = &tenant->reminders;
    if (!reminders->is_delivering || reminders->changed_count > REMINDERS_CHANGED_MAX ||
        now_ms < reminder->due_at) {
        return false;
    }
    const uint64_t hash = hash_of(tenant, &reminder->actor, reminder->name);
    for (uint32_t i = 0; i < reminders->changed_count; i++) {
        if (reminders->changed[i] == hash) {
            return false;
        }
    }
    return true;
}

static void move(tenant_t *tenant, batch_t *batch, const shard_reminder_t *reminder, int64_t due_at)
{
    const reminder_request_t request = {.actor = reminder->actor,
                                        .name = reminder->name,
                                        .due_at = due_at,
                                        .period_ms = reminder->period_ms,
                                        .data = reminder->data};
    row_of(batch, &reminder->actor, reminder->name)->expected_at = reminder->due_at;
    put(tenant, batch, JOURNAL_REMINDER_PUT, &request);
}

void reminder_take(tenant_t *tenant, batch_t *batch, const shard_reminder_t *reminder)
{
    if (reminder->period_ms == 0) {
        row_of(batch, &reminder->actor, reminder->name)->expected_at = reminder->due_at;
        reminder_cancel(tenant, batch, &reminder->actor, reminder->name);
    } else {
        const int64_t ticks = (int64_t)reminder->missed + 1;
        move(tenant, batch, reminder, reminder->due_at + ticks * reminder->period_ms);
    }
}

void reminder_postpone(tenant_t *tenant, batch_t *batch, const shard_reminder_t *reminder,
                       int64_t due_at)
{
    move(tenant, batch, reminder, due_at);
}
