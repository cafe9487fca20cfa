/* The journal port on SQLite: tenants, their lanes and the life of jobs. What the jobs do stands in
 * append.c, load.c, due.c, events.c, list.c and checkpoint.c. No SQL here but that of opening. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

/* --- Jobs --- */

static void tenant_settle(journal_tenant_t *tenant);

void *store_job_create(journal_tenant_t *tenant, size_t size, void (*run)(store_job_t *),
                       void (*finish)(store_job_t *))
{
    assert(size >= sizeof(store_job_t));
    store_job_t *job = calloc(1, size);
    assert(job != NULL);
    job->tenant = tenant;
    job->run = run;
    job->finish = finish;
    return job;
}

static void store_job_free(store_job_t *job)
{
    store_memory_release(&job->memory);
    free(job);
}

static void job_run(void *context)
{
    store_job_t *job = context;
    job->run(job);
}

static void job_done(void *context)
{
    store_job_t *job = context;
    journal_tenant_t *const tenant = job->tenant;
    job->finish(job);
    store_job_free(job);
    assert(tenant->jobs > 0);
    tenant->jobs--;
    tenant_settle(tenant);
}

result_t store_job_submit(store_job_t *job, store_lane_t lane)
{
    journal_tenant_t *const tenant = job->tenant;
    job->submitted_us = clock_monotonic_us();
    const result_t result = work_submit(
        lane == STORE_LANE_WRITE ? tenant->write_lane : tenant->read_lane, job_run, job_done, job);
    if (result == RESULT_OK) {
        tenant->jobs++;
    } else {
        store_job_free(job);
    }
    return result;
}

/* --- Tenants --- */

static journal_tenant_t *tenant_create(journal_sqlite_t *journal, text_t name, bool readonly)
{
    journal_tenant_t *tenant = calloc(1, sizeof *tenant);
    assert(tenant != NULL);
    tenant->journal = journal;
    tenant->readonly = readonly;
    memcpy(tenant->name, name.data, name.size);
    tenant->path = tenant_path(journal->data_directory, name);
    tenant->read_lane = work_lane_create(journal->pool);
    if (!readonly) {
        tenant->write_lane = work_lane_create(journal->pool);
    }
    const int failed = pthread_mutex_init(&tenant->waiting_lock, NULL);
    assert(failed == 0);
    journal->tenants_open++;
    return tenant;
}

static void tenant_free(journal_tenant_t *tenant)
{
    assert(tenant->jobs == 0 && tenant->waiting_first == NULL);
    tenant->journal->tenants_open--;
    if (tenant->write_lane != NULL) {
        work_lane_destroy(&tenant->write_lane);
    }
    work_lane_destroy(&tenant->read_lane);
    (void)pthread_mutex_destroy(&tenant->waiting_lock);
    free(tenant->path);
    free(tenant);
}

/* The reader first, so that the writer is the last of this process and can cut the log. */
static void tenant_close_files(store_job_t *job)
{
    connection_close(&job->tenant->reader, false);
    connection_close(&job->tenant->writer, true);
}

static void tenant_closed(store_job_t *job)
{
    job->tenant->closed = true;
}

/* After each job: a closing tenant goes when its last job is done. */
static void tenant_settle(journal_tenant_t *tenant)
{
    if (!tenant->closing || tenant->jobs > 0) {
        return;
    }
    if (!tenant->closed) {
        store_job_t *job = store_job_create(tenant, sizeof *job, tenant_close_files, tenant_closed);
        const store_lane_t lane = tenant->readonly ? STORE_LANE_READ : STORE_LANE_WRITE;
        if (!tenant->journal->stopping && store_job_submit(job, lane) == RESULT_OK) {
            return;
        }
        if (tenant->journal->stopping) {
            store_job_free(job);
        }
        /* No lane is at work any more, so the files may be closed here as well. */
        connection_close(&tenant->reader, false);
        connection_close(&tenant->writer, true);
    }
    tenant_free(tenant);
}

static void journal_close(journal_t *journal, journal_tenant_t **tenant)
{
    (void)journal;
    journal_tenant_t *const closing = *tenant;
    *tenant = NULL;
    assert(!closing->closing);
    closing->closing = true;
    tenant_settle(closing);
}

/* --- Opening --- */

typedef struct open_job {
    store_job_t base;
    char *incarnation; /* NULL when read-only */
    journal_opened_done_t *done;
    void *context;
    result_t result;
    journal_partition_t partitions[LIMIT_PARTITIONS];
    uint32_t partition_count;
} open_job_t;

/* A head that is not the last event's sequence means that a page was lost. */
static result_t partitions_read(open_job_t *job, connection_t *connection)
{
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(connection, STATEMENT_partition_list, &statement);
    bool row = false;
    bool is_sound = true;
    bool has_gaps = false;
    while (result == RESULT_OK && is_sound) { /* bounded by LIMIT_PARTITIONS */
        result = statement_next(connection, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        const uint64_t head = column_unsigned(statement, 2);
        const uint64_t last = column_unsigned(statement, 3);
        const uint32_t count = job->partition_count;
        is_sound = count < LIMIT_PARTITIONS && column_unsigned(statement, 0) == count &&
                   head == (last & (uint64_t)JOURNAL_SEQUENCE_MAX);
        if (is_sound) {
            job->partitions[count] = (journal_partition_t){.epoch = column_unsigned(statement, 1),
                                                           .head = head,
                                                           .cards = column_unsigned(statement, 4),
                                                           .bytes = column_unsigned(statement, 5)};
            job->partition_count++;
            has_gaps = has_gaps || column_unsigned(statement, 6) > 0;
        }
    }
    if (statement != NULL) {
        statement_done(statement);
    }
    if (result == RESULT_OK && (!is_sound || job->partition_count == 0)) {
        log_error("the partitions of the journal do not fit its events: run `digitalcard store "
                  "verify` and restore the file from a backup",
                  LOG_STRING("file", connection->path));
        result = RESULT_STORE_CORRUPT;
    }
    job->base.tenant->has_gaps = has_gaps;
    return result;
}

static result_t epochs_raise(open_job_t *job, connection_t *writer)
{
    sqlite3_stmt *statement = NULL;
    result_t result = connection_begin_immediate(writer);
    if (result != RESULT_OK) {
        return result;
    }
    result = connection_statement(writer, STATEMENT_partition_raise, &statement);
    if (result == RESULT_OK) {
        bind_text(statement, 1, text_from_c(job->incarnation));
        result = statement_finish(writer, statement);
    }
    if (result == RESULT_OK) {
        result = partitions_read(job, writer);
    }
    if (result == RESULT_OK) {
        result = connection_run(writer, STATEMENT_commit);
    }
    connection_rollback(writer);
    return result;
}

static void open_run(store_job_t *base)
{
    open_job_t *job = (open_job_t *)base;
    journal_tenant_t *const tenant = base->tenant;
    const text_t name = text_from_c(tenant->name);
    if (tenant->readonly) {
        job->result = connection_open(&tenant->reader, tenant->path, CONNECTION_READONLY);
        if (job->result == RESULT_OK) {
            job->result = owner_check(&tenant->reader, name);
        }
        if (job->result == RESULT_OK) {
            job->result = partitions_read(job, &tenant->reader);
        }
    } else {
        job->result = connection_open(&tenant->writer, tenant->path, CONNECTION_WRITER);
        if (job->result == RESULT_OK) {
            job->result = owner_check(&tenant->writer, name);
        }
        if (job->result == RESULT_OK) {
            job->result = epochs_raise(job, &tenant->writer);
        }
        if (job->result == RESULT_OK) {
            job->result = connection_open(&tenant->reader, tenant->path, CONNECTION_READER);
        }
    }
    if (job->result != RESULT_OK) {
        connection_close(&tenant->reader, false);
        connection_close(&tenant->writer, false);
    }
}

static void open_failure_count(const journal_sqlite_t *journal, result_t result)
{
    metric_t *metric = journal->open_failures_other;
    if (result == RESULT_STORE_CORRUPT) {
        metric = journal->open_failures_corrupt;
    } else if (result == RESULT_MISSING) {
        metric = journal->open_failures_missing;
    } else if (result == RESULT_SCHEMA_TOO_NEW) {
        metric = journal->open_failures_newer;
    }
    if (metric != NULL) {
        metric_add(metric, 1);
    }
}

static void open_finish(store_job_t *base)
{
    open_job_t *job = (open_job_t *)base;
    const bool is_open = job->result == RESULT_OK;
    const journal_opened_t opened = {
        .result = job->result,
        .tenant = is_open ? base->tenant : NULL,
        .partition_count = is_open ? job->partition_count : 0,
        .partitions = is_open ? job->partitions : NULL,
    };
    if (!is_open) {
        open_failure_count(base->tenant->journal, job->result);
        base->tenant->closing = true; /* goes after this job */
        base->tenant->closed = true;
    }
    job->done(job->context, &opened);
    free(job->incarnation);
}

static result_t tenant_open(journal_t *base, text_t name, const text_t *incarnation,
                            journal_opened_done_t *done, void *context)
{
    journal_sqlite_t *const journal = (journal_sqlite_t *)base;
    if (!tenant_name_is_well_formed(name)) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (journal->tenants_open >= LIMIT_STORE_FILES_OPEN || journal->stopping) {
        return RESULT_BUSY;
    }
    const bool readonly = incarnation == NULL;
    journal_tenant_t *const tenant = tenant_create(journal, name, readonly);
    open_job_t *job = store_job_create(tenant, sizeof *job, open_run, open_finish);
    job->done = done;
    job->context = context;
    char *owner = NULL;
    if (!readonly) {
        owner = strndup(incarnation->size == 0 ? "" : incarnation->data, incarnation->size);
        assert(owner != NULL);
        job->incarnation = owner;
    }
    const result_t result =
        store_job_submit(&job->base, readonly ? STORE_LANE_READ : STORE_LANE_WRITE);
    if (result != RESULT_OK) {
        free(owner);
        tenant_free(tenant);
    }
    return result;
}

static result_t journal_open(journal_t *journal, text_t tenant, text_t incarnation,
                             journal_opened_done_t *done, void *context)
{
    return tenant_open(journal, tenant, &incarnation, done, context);
}

static result_t journal_open_readonly(journal_t *journal, text_t tenant,
                                      journal_opened_done_t *done, void *context)
{
    return tenant_open(journal, tenant, NULL, done, context);
}

/* --- The adapter --- */

static const journal_functions_t functions = {
    .open = journal_open,
    .open_readonly = journal_open_readonly,
    .close = journal_close,
    .append = journal_append,
    .load = journal_load,
    .due = journal_due,
    .reminders = journal_reminders,
    .clean = journal_clean,
    .list_cards = journal_list_cards,
    .read_history = journal_read_history,
    .read_events = journal_read_events,
    .read_heads = journal_read_heads,
    .read_member_keys = journal_read_member_keys,
    .read_notes = journal_read_notes,
    .read_archived_sums = journal_read_archived_sums,
};

static void metrics_register(journal_sqlite_t *journal, metrics_t *metrics)
{
    journal->commits = metrics_counter(metrics, "digitalcard_journal_commits_total", "",
                                       "Transactions committed to journals");
    journal->batches = metrics_counter(metrics, "digitalcard_journal_batches_total", "",
                                       "Batches stored or checked, several per transaction");
    journal->events = metrics_counter(metrics, "digitalcard_journal_events_total", "",
                                      "Events stored in journals");
    journal->failures = metrics_counter(metrics, "digitalcard_journal_failures_total", "",
                                        "Batches that a journal refused, fenced ones included");
    static const char *const opens = "digitalcard_journal_open_failures_total";
    static const char *const why = "Journals that could not be opened, by reason";
    journal->open_failures_corrupt = metrics_counter(metrics, opens, "reason=\"corrupt\"", why);
    journal->open_failures_missing = metrics_counter(metrics, opens, "reason=\"missing\"", why);
    journal->open_failures_newer = metrics_counter(metrics, opens, "reason=\"newer\"", why);
    journal->open_failures_other = metrics_counter(metrics, opens, "reason=\"other\"", why);
    journal->checkpoints = metrics_counter(metrics, "digitalcard_journal_checkpoints_total", "",
                                           "Times a write-ahead log was written back");
    journal->commit_time =
        metrics_histogram(metrics, "digitalcard_journal_commit_seconds", "",
                          "From handing over the oldest batch of a commit to its end");
    journal->load_time = metrics_histogram(metrics, "digitalcard_journal_load_seconds", "",
                                           "From asking for the state of a card to having it");
}

result_t journal_sqlite_create(loop_t *loop, metrics_t *metrics, const char *data_directory,
                               journal_t **journal)
{
    journal_sqlite_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    created->base.functions = &functions;
    created->loop = loop;
    created->data_directory = strdup(data_directory);
    assert(created->data_directory != NULL);
    if (metrics != NULL) {
        metrics_register(created, metrics);
    }
    const result_t result =
        work_pool_create(loop, LIMIT_STORE_THREADS, LIMIT_STORE_QUEUE, &created->pool);
    if (result != RESULT_OK) {
        free(created->data_directory);
        free(created);
        return result;
    }
    *journal = &created->base;
    return RESULT_OK;
}

void journal_sqlite_destroy(journal_t **journal)
{
    if (*journal == NULL) {
        return;
    }
    journal_sqlite_t *const destroyed = (journal_sqlite_t *)*journal;
    *journal = NULL;
    destroyed->stopping = true;
    work_pool_destroy(&destroyed->pool); /* runs what closing tenants still have */
    assert(destroyed->tenants_open == 0);
    free(destroyed->data_directory);
    free(destroyed);
}
