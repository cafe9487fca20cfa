/* Notes: written with a batch, read one by one or, those that are open, in order. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include <assert.h>

typedef struct notes_job {
    store_job_t base;
    text_t after; /* the caller's until `done` */
    uint32_t limit;
    journal_notes_done_t *done;
    void *context;
    journal_notes_t notes;
} notes_job_t;

result_t note_write(connection_t *writer, const journal_note_t *note)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, STATEMENT_note_put, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_text(statement, 1, note->key);
    bind_integer(statement, 2, note->is_open ? 1 : 0);
    bind_blob(statement, 3, note->body.data, note->body.size);
    return statement_finish(writer, statement);
}

result_t note_read(connection_t *reader, text_t key, store_memory_t *memory, bool *is_found,
                   text_t *body)
{
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(reader, STATEMENT_note_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_text(statement, 1, key);
    result = statement_next(reader, statement, is_found);
    if (result != RESULT_OK) {
        return result;
    }
    if (*is_found) {
        *body = store_memory_copy(memory, column_bytes(statement, 0));
    }
    statement_done(statement);
    return RESULT_OK;
}

static void notes_run(store_job_t *base)
{
    notes_job_t *job = (notes_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    sqlite3_stmt *statement = NULL;
    job->notes.result = connection_statement(reader, STATEMENT_note_list, &statement);
    if (job->notes.result != RESULT_OK) {
        return;
    }
    journal_note_t *const notes =
        store_memory_take(&base->memory, job->limit * sizeof(journal_note_t));
    bind_text(statement, 1, job->after);
    bind_integer(statement, 2, job->limit);
    bool row = true;
    while (job->notes.note_count < job->limit) {
        job->notes.result = statement_next(reader, statement, &row);
        if (job->notes.result != RESULT_OK || !row) {
            break;
        }
        notes[job->notes.note_count] = (journal_note_t){
            .key = store_memory_copy(&base->memory, column_bytes(statement, 0)),
            .body = store_memory_copy(&base->memory, column_bytes(statement, 1)),
            .is_open = true,
        };
        job->notes.note_count++;
    }
    statement_done(statement);
    job->notes.notes = notes;
}

static void notes_finish(store_job_t *base)
{
    notes_job_t *job = (notes_job_t *)base;
    if (job->notes.result != RESULT_OK) {
        job->notes = (journal_notes_t){.result = job->notes.result};
    }
    job->done(job->context, &job->notes);
}

result_t journal_read_notes(journal_tenant_t *tenant, text_t after, uint32_t limit,
                            journal_notes_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_STORE_PAGE_ROWS && !tenant->closing);
    notes_job_t *job = store_job_create(tenant, sizeof *job, notes_run, notes_finish);
    job->after = after;
    job->limit = limit;
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_READ);
}
