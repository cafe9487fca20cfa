/* Rollups as they are stored: ranges of counters, and sums of what came before. */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"
#include <assert.h>

typedef struct counters_job {
    model_job_t base;
    projections_counters_query_t query;
    projections_counters_done_t *done;
    void *context;
    projection_counter_t *rows;
    projections_counters_t found;
} counters_job_t;

static result_t range_read(counters_job_t *job, uint8_t series)
{
    model_database_t *const reader = &job->base.tenant->reader;
    const model_statement_t which =
        series == PROJECTION_SERIES_SCANS ? MODEL_counter_scans : MODEL_counter_range;
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(reader, which, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, series);
    bind_integer(statement, 2, job->query.grain);
    bind_integer(statement, 3, job->query.from);
    bind_integer(statement, 4, job->query.to);
    bind_integer(statement, 5, LIMIT_STORE_PAGE_ROWS);
    if (which == MODEL_counter_scans) {
        bind_integer(statement, 6, job->query.scans_max);
    }
    bool row = true;
    while (job->found.row_count < LIMIT_STORE_PAGE_ROWS) {
        result = model_next(reader, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        job->rows[job->found.row_count] = (projection_counter_t){
            .series = (uint8_t)sqlite3_column_int(statement, 0),
            .grain = job->query.grain,
            .start = sqlite3_column_int64(statement, 1),
            .kind = (uint16_t)sqlite3_column_int(statement, 2),
            .gate = store_memory_copy(&job->base.memory, column_bytes(statement, 3)),
            .count = sqlite3_column_int64(statement, 4)};
        job->found.row_count++;
    }
    statement_done(statement);
    return result;
}

static result_t levels_read(counters_job_t *job, uint8_t grain, int64_t from, int64_t to)
{
    model_database_t *const reader = &job->base.tenant->reader;
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(reader, MODEL_counter_levels, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, PROJECTION_SERIES_LEVELS);
    bind_integer(statement, 2, grain);
    bind_integer(statement, 3, from);
    bind_integer(statement, 4, to);
    bool row = true;
    for (size_t i = 0; result == RESULT_OK && i <= PROJECTION_LEVELS_MAX; i++) {
        result = model_next(reader, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        const int64_t kind = sqlite3_column_int64(statement, 0);
        if (kind >= 0 && kind < PROJECTION_LEVELS_MAX) {
            job->found.levels[kind] += sqlite3_column_int64(statement, 1);
        }
    }
    statement_done(statement);
    return result;
}

static void counters_run(model_job_t *base)
{
    static const uint8_t series[] = {PROJECTION_SERIES_EVENTS, PROJECTION_SERIES_LEVELS,
                                     PROJECTION_SERIES_REASONS, PROJECTION_SERIES_SCANS,
                                     PROJECTION_SERIES_DELAYS};
    counters_job_t *job = (counters_job_t *)base;
    model_database_t *const reader = &base->tenant->reader;
    const projections_counters_query_t *const query = &job->query;
    job->rows = store_memory_take(&base->memory, (size_t)LIMIT_STORE_PAGE_ROWS * sizeof *job->rows);
    base->result = model_run(reader, MODEL_begin);
    for (size_t i = 0; base->result == RESULT_OK && i < sizeof series; i++) {
        base->result = range_read(job, series[i]);
    }
    if (base->result == RESULT_OK) {
        base->result = levels_read(job, grain_day, INT64_MIN, query->day);
    }
    if (base->result == RESULT_OK && query->day < query->from) {
        base->result = levels_read(job, grain_hour, query->day, query->from);
    }
    model_rollback(reader);
    job->found.rows = job->rows;
}

static void counters_finish(model_job_t *base)
{
    counters_job_t *job = (counters_job_t *)base;
    if (base->result != RESULT_OK) {
        job->found = (projections_counters_t){.result = base->result};
    }
    job->done(job->context, &job->found);
}

result_t projections_sqlite_read_counters(projections_tenant_t *tenant,
                                          const projections_counters_query_t *query,
                                          projections_counters_done_t *done, void *context)
{
    assert(!tenant->is_closing);
    counters_job_t *job = model_job_create(tenant, sizeof *job, counters_run, counters_finish);
    job->query = *query;
    job->done = done;
    job->context = context;
    return model_job_submit(&job->base, MODEL_LANE_READ);
}
