/* What the relay asks besides events: how far each partition has come, and keys of members. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include <assert.h>

/* --- Heads --- */

typedef struct heads_job {
    store_job_t base;
    journal_heads_done_t *done;
    void *context;
    journal_heads_t heads;
} heads_job_t;

static void heads_run(store_job_t *base)
{
    heads_job_t *job = (heads_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    journal_heads_t *const heads = &job->heads;
    sqlite3_stmt *statement = NULL;
    bool row = true;
    heads->result = connection_statement(reader, STATEMENT_partition_heads, &statement);
    while (heads->result == RESULT_OK && heads->partition_count < LIMIT_PARTITIONS) {
        heads->result = statement_next(reader, statement, &row);
        if (heads->result != RESULT_OK || !row) {
            break;
        }
        heads->heads[heads->partition_count] = column_unsigned(statement, 0);
        heads->partition_count++;
    }
    if (statement != NULL) {
        statement_done(statement);
    }
}

static void heads_finish(store_job_t *base)
{
    const heads_job_t *job = (const heads_job_t *)base;
    job->done(job->context, &job->heads);
}

result_t journal_read_heads(journal_tenant_t *tenant, journal_heads_done_t *done, void *context)
{
    assert(!tenant->closing);
    heads_job_t *job = store_job_create(tenant, sizeof *job, heads_run, heads_finish);
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_READ);
}

/* --- Keys of members --- */

typedef struct keys_job {
    store_job_t base;
    const text_t *member_ids; /* the caller's until `done` */
    size_t count;
    journal_member_keys_done_t *done;
    void *context;
    text_t *sealed_keys;
    result_t result;
} keys_job_t;

static void keys_run(store_job_t *base)
{
    keys_job_t *job = (keys_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    job->sealed_keys = store_memory_take(&base->memory, job->count * sizeof *job->sealed_keys);
    job->result = connection_run(reader, STATEMENT_begin);
    for (size_t i = 0; job->result == RESULT_OK && i < job->count; i++) {
        job->result =
            member_key_read(reader, job->member_ids[i], &base->memory, &job->sealed_keys[i]);
    }
    connection_rollback(reader);
}

static void keys_finish(store_job_t *base)
{
    const keys_job_t *job = (const keys_job_t *)base;
    const bool is_good = job->result == RESULT_OK;
    const journal_member_keys_t keys = {.result = job->result,
                                        .sealed_keys = is_good ? job->sealed_keys : NULL,
                                        .count = is_good ? job->count : 0};
    job->done(job->context, &keys);
}

result_t journal_read_member_keys(journal_tenant_t *tenant, const text_t *member_ids, size_t count,
                                  journal_member_keys_done_t *done, void *context)
{
    assert(count > 0 && count <= LIMIT_PROJECTION_EVENTS && !tenant->closing);
    keys_job_t *job = store_job_create(tenant, sizeof *job, keys_run, keys_finish);
    job->member_ids = member_ids;
    job->count = count;
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_READ);
}

/* --- Sums of what was archived --- */

typedef struct sums_job {
    store_job_t base;
    uint64_t after;
    uint32_t limit;
    journal_archived_sums_done_t *done;
    void *context;
    journal_archived_sums_t page;
} sums_job_t;

static result_t archived_count(connection_t *reader, uint64_t *count)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    result_t result = connection_statement(reader, STATEMENT_archived_count, &statement);
    if (result == RESULT_OK) {
        result = statement_next(reader, statement, &row);
    }
    if (result == RESULT_OK && row) {
        *count = column_unsigned(statement, 0);
        statement_done(statement);
    }
    return result;
}

static void sum_read(sqlite3_stmt *statement, store_memory_t *memory, projection_counter_t *sum)
{
    *sum = (projection_counter_t){.series = (uint8_t)sqlite3_column_int64(statement, 1),
                                  .grain = (uint8_t)sqlite3_column_int64(statement, 2),
                                  .start = sqlite3_column_int64(statement, 3),
                                  .kind = (uint16_t)sqlite3_column_int64(statement, 4),
                                  .gate = store_memory_copy(memory, column_bytes(statement, 5)),
                                  .count = sqlite3_column_int64(statement, 6)};
}

static result_t sums_read(sums_job_t *job, connection_t *reader)
{
    sqlite3_stmt *statement = NULL;
    projection_counter_t *const sums =
        store_memory_take(&job->base.memory, job->limit * sizeof *sums);
    result_t result = connection_statement(reader, STATEMENT_archived_sums, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, (int64_t)job->after);
    bind_integer(statement, 2, job->limit);
    bool row = true;
    while (job->page.count < job->limit) {
        result = statement_next(reader, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        sum_read(statement, &job->base.memory, &sums[job->page.count]);
        job->page.last = column_unsigned(statement, 0);
        job->page.count++;
    }
    statement_done(statement);
    job->page.sums = sums;
    return result;
}

static void sums_run(store_job_t *base)
{
    sums_job_t *job = (sums_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    job->page.result = connection_run(reader, STATEMENT_begin);
    if (job->page.result == RESULT_OK) {
        job->page.result = archived_count(reader, &job->page.archived);
    }
    if (job->page.result == RESULT_OK) {
        job->page.result = sums_read(job, reader);
    }
    connection_rollback(reader);
}

static void sums_finish(store_job_t *base)
{
    sums_job_t *job = (sums_job_t *)base;
    if (job->page.result != RESULT_OK) {
        job->page = (journal_archived_sums_t){.result = job->page.result};
    }
    job->done(job->context, &job->page);
}

result_t journal_read_archived_sums(journal_tenant_t *tenant, uint64_t after, uint32_t limit,
                                    journal_archived_sums_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_PROJECTION_EVENTS && !tenant->closing);
    sums_job_t *job = store_job_create(tenant, sizeof *job, sums_run, sums_finish);
    job->after = after;
    job->limit = limit;
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_READ);
}
