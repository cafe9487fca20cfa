/* Delivers reminders that are due, in bounded slices: the next slice is read when everything of the
 * one before is committed, so that none is delivered twice by one owner. Handles those of the
 * tenant itself. Must not know what a card's reminder means. */
#include "actors/shard/card_actor.h"
#include "actors/shard/partition.h"
#include "actors/shard/reminder.h"
#include "runtime/log.h"
#include <assert.h>

/* --- The tenant's own reminders: one line each --- */

typedef struct tenant_reminder {
    const char *name;
    /* What it does besides being taken, once that is durable; may come more than once. */
    void (*after)(tenant_t *tenant, uint64_t missed);
} tenant_reminder_t;

static const tenant_reminder_t own_reminders[] = {
    {"clean-replies", tenant_clean},
};

static const tenant_reminder_t *find_own(text_t name)
{
    for (size_t i = 0; i < sizeof(own_reminders) / sizeof(own_reminders[0]); i++) {
        if (text_equal(text_from_c(own_reminders[i].name), name)) {
            return &own_reminders[i];
        }
    }
    return NULL;
}

void tenant_remind_clean(tenant_t *tenant)
{
    const reminder_request_t request = {.name = TEXT_LITERAL("clean-replies"),
                                        .due_at = tenant->shard->ports.wall_ms() +
                                                  LIMIT_CLEAN_INTERVAL_MS,
                                        .period_ms = LIMIT_CLEAN_INTERVAL_MS};
    partition_t *const partition = &tenant->partitions[0];
    reminder_ensure(tenant, partition_gather_quietly(partition), &request);
    partition_want(partition);
}

/* Taken in the batch of the first partition; what it does follows the commit. */
static void take_own(tenant_t *tenant, shard_message_t **message)
{
    const shard_reminder_t *const reminder = &(*message)->command.reminder;
    batch_t *batch = NULL;
    if (find_own(reminder->name) == NULL) {
        log_warn("a reminder of a tenant that this version does not know is left alone",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size),
                 LOG_TEXT("name", reminder->name.data, reminder->name.size));
        shard_message_destroy(message);
        return;
    }
    if (!reminder_is_current(tenant, reminder, tenant->shard->ports.wall_ms()) ||
        partition_gather(&tenant->partitions[0], &batch) != RESULT_OK) {
        shard_message_destroy(message); /* it is read again */
        return;
    }
    reminder_take(tenant, batch, reminder);
    partition_wait(&tenant->partitions[0], batch, message, TEXT_NONE, outcome_ok);
}

void tenant_remind_committed(const shard_message_t *message)
{
    metric_add(message->shard->metrics.reminders, 1);
    static const uuid_t nobody = {0};
    const shard_reminder_t *const reminder = &message->command.reminder;
    if (!uuid_equal(&reminder->actor, &nobody)) {
        return;
    }
    const tenant_reminder_t *const own = find_own(reminder->name);
    if (own != NULL && message->tenant->status == TENANT_OPEN) {
        own->after(message->tenant, reminder->missed);
    }
}

/* --- Delivery --- */

/* When everything delivered has ended, the next look is at once if more may be due. */
static void slice_done(tenant_t *tenant)
{
    tenant_reminders_t *const reminders = &tenant->reminders;
    reminders->is_delivering = false;
    if (tenant->status == TENANT_OPEN && reminders->has_more && reminders->taken > 0 &&
        !tenant->shard->is_draining) {
        tenant_remind(tenant);
    }
}

void tenant_remind_done(tenant_t *tenant)
{
    if (tenant->reminders.pending == 0) {
        return; /* of a slice that a closing has ended */
    }
    tenant->reminders.pending--;
    if (tenant->reminders.pending == 0) {
        slice_done(tenant);
    }
}

static void deliver(tenant_t *tenant, const journal_reminder_t *row, int64_t now_ms)
{
    static const uuid_t nobody = {0};
    shard_message_t *message = shard_message_create_reminder(tenant->shard, row);
    shard_reminder_t *const reminder = &message->command.reminder;
    if (row->period_ms > 0 && now_ms > row->due_at) {
        reminder->missed = (uint64_t)((now_ms - row->due_at) / row->period_ms);
    }
    shard_message_set_tenant(message, tenant);
    tenant->reminders.pending++;
    if (uuid_equal(&row->actor, &nobody)) {
        take_own(tenant, &message);
    } else {
        tenant_send_to(tenant, &row->actor, &message);
    }
}

static void read_done(void *context, const journal_reminders_t *found)
{
    tenant_t *const tenant = context;
    tenant_reminders_t *const reminders = &tenant->reminders;
    if (tenant->status != TENANT_OPEN || found->result != RESULT_OK) {
        reminders->is_delivering = false;
    } else {
        const int64_t now_ms = tenant->shard->ports.wall_ms();
        reminders->next_at = found->next_at == 0 ? INT64_MAX : found->next_at;
        if (found->row_count > 0) {
            reminders->next_at = 0; /* what is not taken now is looked for again */
        }
        reminders->has_more = found->next_at != 0 && found->next_at <= now_ms;
        reminders->taken = 0;
        reminders->pending = 1; /* this loop itself, so that the slice ends after it */
        for (size_t i = 0; i < found->row_count; i++) {
            if (reminder_is_known(tenant, &found->rows[i].actor)) {
                deliver(tenant, &found->rows[i], now_ms);
            } /* else it is read again */
        }
        tenant_remind_done(tenant);
    }
    tenant_operation_end(tenant);
}

void tenant_remind(tenant_t *tenant)
{
    shard_t *const shard = tenant->shard;
    tenant_reminders_t *const reminders = &tenant->reminders;
    const int64_t now_ms = shard->ports.wall_ms();
    if (tenant->status != TENANT_OPEN || reminders->is_delivering || now_ms < reminders->next_at) {
        return;
    }
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        partition_t *const partition = &tenant->partitions[i];
        partition->reminders_are_known = partition_is_durable(partition, partition->reminder_batch);
    }
    const result_t result = shard->ports.journal->functions->reminders(
        tenant->journal, now_ms, LIMIT_REMINDERS_SLICE, read_done, tenant);
    if (result == RESULT_OK) {
        reminders->is_delivering = true;
        reminders->changed_count = 0;
        tenant_operation_begin(tenant);
    }
}
