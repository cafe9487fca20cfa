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
