/* Open notes of actors, found again when a tenant is opened. One by its key comes with a load
 * (load.c); they are written with a batch (append.c). */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include <assert.h>

typedef struct notes_command {
    command_t base;
    text_t after; /* the caller's until `done` */
    uint32_t limit;
    journal_notes_done_t *done;
    void *context;
} notes_command_t;

static bool notes_send(command_t *command, lane_t *lane)
{
    const notes_command_t *const notes = (const notes_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    parameter_bytes(parameters, notes->after);
    parameter_integer(parameters, notes->limit);
    return lane_send(lane, STATEMENT_notes);
}

static bool notes_finish(command_t *command)
{
    const notes_command_t *const notes = (const notes_command_t *)command;
    journal_notes_t found = {.result = command->result};
    if (command->result == RESULT_OK) {
        const PGresult *const rows = command->results[0];
        const int count = PQntuples(rows);
        arena_t arena;
        (void)events_arena(command, 0, (size_t)(count + 1) * sizeof(journal_note_t), &arena);
        journal_note_t *const read = arena_take(&arena, (size_t)(count + 1) * sizeof *read);
        for (int i = 0; i < count; i++) {
            read[i] = (journal_note_t){
                .key = field_bytes(rows, i, 0), .body = field_bytes(rows, i, 1), .is_open = true};
        }
        found.notes = read;
        found.note_count = (size_t)count;
    }
    notes->done(notes->context, &found);
    return false;
}

result_t postgres_read_notes(journal_tenant_t *tenant, text_t after, uint32_t limit,
                             journal_notes_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_STORE_PAGE_ROWS && !tenant->closing);
    notes_command_t *notes =
        command_create(&tenant->reader, sizeof *notes, COMMAND_READ, notes_send, notes_finish);
    notes->after = after;
    notes->limit = limit;
    notes->done = done;
    notes->context = context;
    command_uses(&notes->base, STATEMENT_notes);
    return lane_submit(&notes->base);
}
