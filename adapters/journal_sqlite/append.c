/* Group commit: what waits for a tenant's file is committed in one transaction with one fsync, in
 * order of submission. A fenced batch leaves the others of its transaction alone; when anything
 * else fails, the transaction is undone and each batch is tried by itself, so that one cannot spoil
 * another. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdlib.h>

struct append_job {
    append_job_t *next;
    const journal_batch_t *batch; /* the caller's, untouched until `done` */
    journal_batch_done_t *done;
    void *context;
    result_t result;
};

typedef struct commit_job {
    store_job_t base;
    append_job_t *first; /* what was taken */
    uint64_t transactions;
    int wal_pages;
} commit_job_t;

static append_job_t *waiting_take(journal_tenant_t *tenant)
{
    (void)pthread_mutex_lock(&tenant->waiting_lock);
    append_job_t *const first = tenant->waiting_first;
    tenant->waiting_first = NULL;
    tenant->waiting_last = NULL;
    tenant->waiting_count = 0;
    tenant->commit_queued = false;
    (void)pthread_mutex_unlock(&tenant->waiting_lock);
    return first;
}

/* Applies jobs from `first` up to but without `end`. FENCED is the answer to one batch; any other
 * error is returned and means that nothing of the transaction counts. */
static result_t jobs_apply(connection_t *writer, append_job_t *first, const append_job_t *end,
                           bool *wrote)
{
    for (append_job_t *job = first; job != end; job = job->next) {
        job->result = batch_apply(writer, job->batch);
        if (job->result == RESULT_OK) {
            *wrote = *wrote || batch_writes(job->batch);
        } else if (job->result != RESULT_FENCED) {
            return job->result;
        }
    }
    return RESULT_OK;
}

static bool jobs_write(const append_job_t *first, const append_job_t *end)
{
    for (const append_job_t *job = first; job != end; job = job->next) {
        if (batch_writes(job->batch)) {
            return true;
        }
    }
    return false;
}

static result_t jobs_commit(commit_job_t *commit, append_job_t *first, const append_job_t *end)
{
    connection_t *const writer = &commit->base.tenant->writer;
    bool wrote = false;
    if (!jobs_write(first, end)) {
        return jobs_apply(writer, first, end, &wrote); /* checks alone: no transaction, no fsync */
    }
    result_t result = connection_begin_immediate(writer);
    if (result == RESULT_OK) {
        result = jobs_apply(writer, first, end, &wrote);
    }
    if (result == RESULT_OK && wrote) {
        commit->transactions++;
        result = connection_run(writer, STATEMENT_commit);
    }
    connection_rollback(writer); /* of nothing when the commit was good */
    return result;
}

static void commit_run(store_job_t *base)
{
    commit_job_t *commit = (commit_job_t *)base;
    commit->first = waiting_take(base->tenant);
    result_t result = jobs_commit(commit, commit->first, NULL);
    if (result != RESULT_OK && commit->first->next == NULL) {
        commit->first->result = result;
    } else if (result != RESULT_OK) { /* bounded by LIMIT_STORE_BATCHES_WAITING */
        for (append_job_t *job = commit->first; job != NULL; job = job->next) {
            result = jobs_commit(commit, job, job->next);
            if (result != RESULT_OK) {
                job->result = result;
            }
        }
    }
    commit->wal_pages = base->tenant->writer.wal_pages;
}

static void commit_count(const commit_job_t *commit)
{
    const journal_sqlite_t *const journal = commit->base.tenant->journal;
    if (journal->commits == NULL) {
        return;
    }
    uint64_t batches = 0;
    uint64_t events = 0;
    uint64_t failures = 0;
    for (const append_job_t *job = commit->first; job != NULL; job = job->next) {
        batches++;
        events += job->result == RESULT_OK ? job->batch->event_count : 0;
        failures += job->result == RESULT_OK ? 0 : 1;
    }
    metric_add(journal->commits, commit->transactions);
    metric_add(journal->batches, batches);
    metric_add(journal->events, events);
    metric_add(journal->failures, failures);
    if (commit->transactions > 0) {
        metric_observe_us(journal->commit_time, clock_monotonic_us() - commit->base.submitted_us);
    }
}

static void commit_finish(store_job_t *base)
{
    commit_job_t *commit = (commit_job_t *)base;
    commit_count(commit);
    append_job_t *next = NULL;
    for (append_job_t *job = commit->first; job != NULL; job = next) {
        next = job->next;
        job->done(job->context, job->result);
        free(job);
    }
    checkpoint_consider(base->tenant, commit->wal_pages);
}

static result_t commit_submit(journal_tenant_t *tenant)
{
    commit_job_t *commit = store_job_create(tenant, sizeof *commit, commit_run, commit_finish);
    return store_job_submit(&commit->base, STORE_LANE_WRITE);
}

result_t journal_append(journal_tenant_t *tenant, const journal_batch_t *batch,
                        journal_batch_done_t *done, void *context)
{
    assert(!tenant->readonly && !tenant->closing);
    append_job_t *job = calloc(1, sizeof *job);
    assert(job != NULL);
    *job = (append_job_t){.batch = batch, .done = done, .context = context};

    (void)pthread_mutex_lock(&tenant->waiting_lock);
    const bool has_room = tenant->waiting_count < LIMIT_STORE_BATCHES_WAITING;
    const bool is_first = !tenant->commit_queued;
    if (has_room) {
        *(tenant->waiting_last == NULL ? &tenant->waiting_first : &tenant->waiting_last->next) =
            job;
        tenant->waiting_last = job;
        tenant->waiting_count++;
        tenant->commit_queued = true;
    }
    (void)pthread_mutex_unlock(&tenant->waiting_lock);
    if (!has_room) {
        free(job);
        return RESULT_BUSY;
    }
    if (!is_first) {
        return RESULT_OK; /* goes with the commit that is queued already */
    }
    const result_t result = commit_submit(tenant);
    if (result != RESULT_OK) {
        append_job_t *const taken = waiting_take(tenant);
        assert(taken == job && job->next == NULL); /* no commit was queued, so it waited alone */
        free(job);
    }
    return result;
}

/* --- Cleaning --- */

typedef struct clean_job {
    store_job_t base;
    int64_t before_ms;
    journal_batch_done_t *done;
    void *context;
    result_t result;
    int wal_pages;
} clean_job_t;

static void clean_run(store_job_t *base)
{
    clean_job_t *job = (clean_job_t *)base;
    connection_t *const writer = &base->tenant->writer;
    sqlite3_stmt *statement = NULL;
    job->result = connection_begin_immediate(writer);
    if (job->result != RESULT_OK) {
        return;
    }
    job->result = connection_statement(writer, STATEMENT_idempotency_clean, &statement);
    if (job->result == RESULT_OK) {
        bind_integer(statement, 1, job->before_ms);
        bind_integer(statement, 2, LIMIT_IDEMPOTENCY_CLEAN_SLICE);
        job->result = statement_finish(writer, statement);
    }
    if (job->result == RESULT_OK) {
        job->result = connection_run(writer, STATEMENT_commit);
    }
    connection_rollback(writer);
    job->wal_pages = writer->wal_pages;
}

static void clean_finish(store_job_t *base)
{
    clean_job_t *job = (clean_job_t *)base;
    job->done(job->context, job->result);
    checkpoint_consider(base->tenant, job->wal_pages);
}

result_t journal_clean(journal_tenant_t *tenant, int64_t before_ms, journal_batch_done_t *done,
                       void *context)
{
    assert(!tenant->readonly && !tenant->closing);
    clean_job_t *job = store_job_create(tenant, sizeof *job, clean_run, clean_finish);
    job->before_ms = before_ms;
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_WRITE);
}
