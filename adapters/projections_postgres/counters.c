/* Rollups as they are stored: ranges of counters, and sums of what came before. One statement, so
 * that both are of one moment. */
#include "adapters/projections_postgres/projections_postgres_internal.h"
#include <assert.h>
#include <stdlib.h>

/* Columns of the statement. */
enum { COLUMN_IS_LEVEL, COLUMN_SERIES, COLUMN_START, COLUMN_KIND, COLUMN_COUNT, COLUMN_GATE };

typedef struct counters_job {
    fold_job_t base;
    projections_counters_query_t query;
    projections_counters_done_t *done;
    void *context;
} counters_job_t;

static void counters_run(fold_job_t *base, fold_session_t *session)
{
    const projections_counters_query_t *const query = &((counters_job_t *)base)->query;
    parameters_t values = {0};
    parameter_integer(&values, query->grain);
    parameter_integer(&values, query->from);
    parameter_integer(&values, query->to);
    parameter_integer(&values, query->scans_max);
    parameter_integer(&values, LIMIT_STORE_PAGE_ROWS);
    parameter_integer(&values, query->day);
    parameter_integer(&values, grain_day);
    parameter_integer(&values, grain_hour);
    base->result = fold_run(session, FOLD_counters, &values, &base->rows);
}

static void counter_take(const PGresult *rows, int row, uint8_t grain,
                         projection_counter_t *counters, projections_counters_t *found)
{
    const int64_t kind = field_integer(rows, row, COLUMN_KIND);
    const int64_t count = field_integer(rows, row, COLUMN_COUNT);
    if (field_integer(rows, row, COLUMN_IS_LEVEL) == 1) {
        if (kind >= 0 && kind < PROJECTION_LEVELS_MAX) {
            found->levels[kind] += count;
        }
        return;
    }
    counters[found->row_count] =
        (projection_counter_t){.series = (uint8_t)field_integer(rows, row, COLUMN_SERIES),
                               .grain = grain,
                               .kind = (uint16_t)kind,
                               .start = field_integer(rows, row, COLUMN_START),
                               .gate = field_bytes(rows, row, COLUMN_GATE),
                               .count = count};
    found->row_count++;
}

static void counters_finish(fold_job_t *base)
{
    const counters_job_t *job = (const counters_job_t *)base;
    projections_counters_t found = {.result = base->result};
    if (base->result == RESULT_OK) {
        const int count = PQntuples(base->rows);
        projection_counter_t *const counters = calloc((size_t)count + 1, sizeof *counters);
        assert(counters != NULL);
        base->memory = counters;
        for (int i = 0; i < count; i++) {
            counter_take(base->rows, i, job->query.grain, counters, &found);
        }
        found.rows = counters;
    }
    job->done(job->context, &found);
}

result_t projections_postgres_read_counters(projections_tenant_t *tenant,
                                            const projections_counters_query_t *query,
                                            projections_counters_done_t *done, void *context)
{
    assert(!tenant->is_closing);
    counters_job_t *job = fold_job_create(tenant, sizeof *job, counters_run, counters_finish);
    job->query = *query;
    job->done = done;
    job->context = context;
    return fold_job_submit(&job->base, FOLD_LANE_READ);
}
