/* The projections port on SQLite: tenants, their lanes and the life of jobs. What the jobs do
 * stands in open.c, commit.c, list.c and counters.c. No SQL here. */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Jobs --- */

static void tenant_settle(projections_tenant_t *tenant);

void *model_job_create(projections_tenant_t *tenant, size_t size, void (*run)(model_job_t *),
                       void (*finish)(model_job_t *))
{
    assert(size >= sizeof(model_job_t));
    model_job_t *job = calloc(1, size);
    assert(job != NULL);
    job->tenant = tenant;
    job->run = run;
    job->finish = finish;
    return job;
}

static void job_free(model_job_t *job)
{
    store_memory_release(&job->memory);
    free(job);
}

static void job_run(void *context)
{
    model_job_t *job = context;
    job->run(job);
}

static void job_done(void *context)
{
    model_job_t *job = context;
    projections_tenant_t *const tenant = job->tenant;
    assert(tenant->jobs > 0);
    tenant->jobs--; /* done, as far as its caller is concerned, who may ask for more at once */
    tenant->is_calling_back = true;
    job->finish(job);
    tenant->is_calling_back = false;
    job_free(job);
    tenant_settle(tenant);
}

result_t model_job_submit(model_job_t *job, model_lane_t lane)
{
    projections_tenant_t *const tenant = job->tenant;
    assert(!tenant->is_closing || tenant->jobs == 0);
    job->submitted_us = clock_monotonic_us();
    const result_t result = work_submit(
        lane == MODEL_LANE_WRITE ? tenant->write_lane : tenant->read_lane, job_run, job_done, job);
    if (result == RESULT_OK) {
        tenant->jobs++;
    } else {
        job_free(job);
    }
    return result;
}

/* --- Closing --- */

void model_tenant_free(projections_tenant_t *tenant)
{
    assert(tenant->jobs == 0);
    projections_tenant_t **place = &tenant->projections->tenants;
    while (*place != tenant) { /* bounded by the open ones */
        place = &(*place)->newer;
    }
    *place = tenant->newer;
    tenant->projections->tenants_open--;
    work_lane_destroy(&tenant->write_lane);
    work_lane_destroy(&tenant->read_lane);
    free(tenant->path);
    free(tenant);
}

/* What was not promoted is of no use to anybody. */
static void close_files(projections_tenant_t *tenant)
{
    (void)model_database_close(&tenant->reader);
    (void)model_database_close(&tenant->writer);
    if (tenant->discards || tenant->slot == PROJECTIONS_NEXT) {
        database_files_remove(tenant->path);
    }
}

static void close_run(model_job_t *job)
{
    close_files(job->tenant);
}

static void close_finish(model_job_t *job)
{
    job->tenant->is_closed = true;
}

/* After each job: a closing tenant goes when its last job is done. */
static void tenant_settle(projections_tenant_t *tenant)
{
    if (!tenant->is_closing || tenant->jobs > 0 || tenant->is_calling_back) {
        return;
    }
    if (!tenant->is_closed) {
        if (!tenant->projections->stopping) {
            model_job_t *job = model_job_create(tenant, sizeof *job, close_run, close_finish);
            if (model_job_submit(job, MODEL_LANE_WRITE) == RESULT_OK) {
                return;
            }
        }
        close_files(tenant); /* no lane is at work any more */
    }
    model_tenant_free(tenant);
}

static void projections_close(projections_t *projections, projections_tenant_t **tenant,
                              bool discard)
{
    (void)projections;
    projections_tenant_t *const closing = *tenant;
    *tenant = NULL;
    assert(!closing->is_closing);
    closing->is_closing = true;
    closing->discards = discard;
    tenant_settle(closing);
}

/* --- The adapter --- */

static const projections_functions_t functions = {
    .open = projections_sqlite_open,
    .close = projections_close,
    .promote = projections_sqlite_promote,
    .load = projections_sqlite_load,
    .commit = projections_sqlite_commit,
    .list = projections_sqlite_list,
    .read_counters = projections_sqlite_read_counters,
    .forget_member = projections_sqlite_forget_member,
};

result_t projections_sqlite_create(loop_t *loop, metrics_t *metrics, const char *data_directory,
                                   projections_t **projections)
{
    projections_sqlite_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    created->base.functions = &functions;
    created->loop = loop;
    created->lock = -1;
    created->data_directory = strdup(data_directory);
    assert(created->data_directory != NULL);
    projection_metrics_register(&created->numbers, metrics);
    const result_t result =
        work_pool_create(loop, LIMIT_PROJECTION_THREADS, LIMIT_PROJECTION_QUEUE, &created->pool);
    if (result != RESULT_OK) {
        free(created->data_directory);
        free(created);
        return result;
    }
    *projections = &created->base;
    return RESULT_OK;
}

void projections_sqlite_destroy(projections_t **projections)
{
    if (*projections == NULL) {
        return;
    }
    projections_sqlite_t *const destroyed = (projections_sqlite_t *)*projections;
    *projections = NULL;
    destroyed->stopping = true;
    work_pool_destroy(&destroyed->pool); /* runs what closing tenants still have */
    assert(destroyed->tenants_open == 0);
    if (destroyed->lock >= 0) {
        (void)close(destroyed->lock);
    }
    free(destroyed->data_directory);
    free(destroyed);
}
