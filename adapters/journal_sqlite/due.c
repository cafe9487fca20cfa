/* What is due: cards for the sweep, reminders for their actors. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include <assert.h>

/* --- Cards --- */

typedef struct due_job {
    store_job_t base;
    int64_t now_ms;
    uint32_t limit;
    journal_due_done_t *done;
    void *context;
    journal_due_t due;
} due_job_t;

static void due_run(store_job_t *base)
{
    due_job_t *job = (due_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    sqlite3_stmt *statement = NULL;
    job->due.result = connection_statement(reader, STATEMENT_due, &statement);
    if (job->due.result != RESULT_OK) {
        return;
    }
    uuid_t *const cards = store_memory_take(&base->memory, job->limit * sizeof *cards);
    bind_integer(statement, 1, job->now_ms);
    bind_integer(statement, 2, job->limit);
    bool row = true;
    while (job->due.card_count < job->limit) {
        job->due.result = statement_next(reader, statement, &row);
        if (job->due.result != RESULT_OK || !row) {
            break;
        }
        if (!column_uuid(statement, 0, &cards[job->due.card_count])) {
            job->due.result = connection_error(reader, SQLITE_CORRUPT, "reading a card id");
            break;
        }
        job->due.card_count++;
    }
    statement_done(statement);
    job->due.cards = cards;
}

static void due_finish(store_job_t *base)
{
    due_job_t *job = (due_job_t *)base;
    if (job->due.result != RESULT_OK) {
        job->due = (journal_due_t){.result = job->due.result};
    }
    job->done(job->context, &job->due);
}

result_t journal_due(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                     journal_due_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_STORE_PAGE_ROWS && !tenant->closing);
    due_job_t *job = store_job_create(tenant, sizeof *job, due_run, due_finish);
    job->now_ms = now_ms;
    job->limit = limit;
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_READ);
}

/* --- Reminders --- */

typedef struct reminders_job {
    store_job_t base;
    int64_t now_ms;
    uint32_t limit;
    journal_reminders_done_t *done;
    void *context;
    journal_reminder_t *rows;
    journal_reminders_t found;
} reminders_job_t;

static result_t reminder_read(reminders_job_t *job, sqlite3_stmt *row)
{
    store_memory_t *const memory = &job->base.memory;
    journal_reminder_t *const reminder = &job->rows[job->found.row_count];
    if (!column_uuid(row, 0, &reminder->actor)) {
        return connection_error(&job->base.tenant->reader, SQLITE_CORRUPT, "reading a reminder");
    }
    reminder->name = store_memory_copy(memory, column_bytes(row, 1));
    reminder->due_at = sqlite3_column_int64(row, 2);
    reminder->period_ms = sqlite3_column_int64(row, 3);
    reminder->data = store_memory_copy(memory, column_bytes(row, 4));
    job->found.row_count++;
    return RESULT_OK;
}

/* One row more than asked for says when to look again. */
static void reminders_run(store_job_t *base)
{
    reminders_job_t *job = (reminders_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(reader, STATEMENT_reminder_due, &statement);
    if (result != RESULT_OK) {
        job->found.result = result;
        return;
    }
    job->rows = store_memory_take(&base->memory, job->limit * sizeof *job->rows);
    memset(job->rows, 0, job->limit * sizeof *job->rows);
    bind_integer(statement, 1, (int64_t)job->limit + 1);
    while (result == RESULT_OK && job->found.next_at == 0) { /* bounded by the limit above */
        bool row = false;
        result = statement_next(reader, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        const int64_t due_at = sqlite3_column_int64(statement, 2);
        if (due_at > job->now_ms || job->found.row_count == job->limit) {
            job->found.next_at = due_at;
        } else {
            result = reminder_read(job, statement);
        }
    }
    statement_done(statement);
    job->found.result = result;
    job->found.rows = job->rows;
}

static void reminders_finish(store_job_t *base)
{
    reminders_job_t *job = (reminders_job_t *)base;
    if (job->found.result != RESULT_OK) {
        job->found = (journal_reminders_t){.result = job->found.result};
    }
    job->done(job->context, &job->found);
}

result_t journal_reminders(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                           journal_reminders_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_STORE_PAGE_ROWS && !tenant->closing);
    reminders_job_t *job = store_job_create(tenant, sizeof *job, reminders_run, reminders_finish);
    job->now_ms = now_ms;
    job->limit = limit;
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_READ);
}
