/* What is due: cards for the sweep, reminders for their actors. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include <assert.h>

/* --- Cards --- */

typedef struct due_command {
    command_t base;
    int64_t now_ms;
    uint32_t limit;
    journal_due_done_t *done;
    void *context;
} due_command_t;

static bool due_send(command_t *command, lane_t *lane)
{
    const due_command_t *const due = (const due_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    parameter_integer(parameters, due->now_ms);
    parameter_integer(parameters, due->limit);
    return lane_send(lane, STATEMENT_due);
}

static bool due_finish(command_t *command)
{
    const due_command_t *const due = (const due_command_t *)command;
    journal_due_t found = {.result = command->result};
    if (command->result == RESULT_OK) {
        const int count = PQntuples(command->results[0]);
        arena_t arena;
        (void)events_arena(command, 0, (size_t)count * sizeof(uuid_t), &arena);
        uuid_t *const cards = arena_take(&arena, (size_t)count * sizeof *cards);
        for (int i = 0; i < count && found.result == RESULT_OK; i++) {
            if (!field_uuid(command->results[0], i, 0, &cards[i])) {
                found.result = RESULT_STORE_CORRUPT;
            }
        }
        found.cards = cards;
        found.card_count = found.result == RESULT_OK ? (size_t)count : 0;
    }
    due->done(due->context, &found);
    return false;
}

result_t postgres_due(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                      journal_due_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_STORE_PAGE_ROWS && !tenant->closing);
    due_command_t *due =
        command_create(lane_for_reads(tenant), sizeof *due, COMMAND_READ, due_send, due_finish);
    due->now_ms = now_ms;
    due->limit = limit;
    due->done = done;
    due->context = context;
    command_uses(&due->base, STATEMENT_due);
    return lane_submit(&due->base);
}

/* --- Reminders --- */

typedef struct reminders_command {
    command_t base;
    int64_t now_ms;
    uint32_t limit;
    journal_reminders_done_t *done;
    void *context;
} reminders_command_t;

/* One row more than asked for says when to look again. */
static bool reminders_send(command_t *command, lane_t *lane)
{
    parameters_t *const parameters = lane_parameters(lane);
    parameter_integer(parameters, (int64_t)((const reminders_command_t *)command)->limit + 1);
    return lane_send(lane, STATEMENT_reminders);
}

static bool reminder_read(const PGresult *rows, int row, journal_reminder_t *reminder)
{
    *reminder = (journal_reminder_t){.name = field_bytes(rows, row, 1),
                                     .due_at = field_integer(rows, row, 2),
                                     .period_ms = field_integer(rows, row, 3),
                                     .data = field_bytes(rows, row, 4)};
    return field_uuid(rows, row, 0, &reminder->actor);
}

static void rows_read(reminders_command_t *reminders, journal_reminders_t *found)
{
    const PGresult *const rows = reminders->base.results[0];
    const int count = PQntuples(rows);
    arena_t arena;
    (void)events_arena(&reminders->base, 0, (size_t)(count + 1) * sizeof(journal_reminder_t),
                       &arena);
    journal_reminder_t *const read = arena_take(&arena, (size_t)(count + 1) * sizeof *read);
    found->rows = read;
    for (int i = 0; i < count && found->next_at == 0 && found->result == RESULT_OK; i++) {
        const int64_t due_at = field_integer(rows, i, 2);
        if (due_at > reminders->now_ms || found->row_count == reminders->limit) {
            found->next_at = due_at;
        } else if (reminder_read(rows, i, &read[found->row_count])) {
            found->row_count++;
        } else {
            found->result = RESULT_STORE_CORRUPT;
        }
    }
}

static bool reminders_finish(command_t *command)
{
    reminders_command_t *const reminders = (reminders_command_t *)command;
    journal_reminders_t found = {.result = command->result};
    if (command->result == RESULT_OK) {
        rows_read(reminders, &found);
    }
    reminders->done(reminders->context, &found);
    return false;
}

result_t postgres_reminders(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                            journal_reminders_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_STORE_PAGE_ROWS && !tenant->closing);
    reminders_command_t *reminders = command_create(lane_for_reads(tenant), sizeof *reminders,
                                                    COMMAND_READ, reminders_send, reminders_finish);
    reminders->now_ms = now_ms;
    reminders->limit = limit;
    reminders->done = done;
    reminders->context = context;
    command_uses(&reminders->base, STATEMENT_reminders);
    return lane_submit(&reminders->base);
}
