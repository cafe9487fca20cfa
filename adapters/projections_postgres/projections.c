/* The projections port on PostgreSQL: tenants, their lanes, the life of jobs, and who gets which
 * session. What the jobs do stands in open.c, commit.c, list.c and counters.c. No SQL here. */
#include "adapters/projections_postgres/projections_postgres_internal.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Sessions --- */

/* One of the tenant's that is free, else an unused one, else that which was used least recently. */
static fold_session_t *session_choose(projections_postgres_t *projections,
                                      const projections_tenant_t *tenant)
{
    fold_session_t *chosen = NULL;
    for (size_t i = 0; i < projections->session_count; i++) {
        fold_session_t *const session = &projections->sessions[i];
        if (session->is_used) {
            continue;
        }
        if (session->tenant == tenant) {
            return session;
        }
        if (chosen == NULL || session->used_ms < chosen->used_ms) {
            chosen = session;
        }
    }
    return chosen;
}

static fold_session_t *session_take(const projections_tenant_t *tenant)
{
    projections_postgres_t *const projections = tenant->projections;
    (void)pthread_mutex_lock(&projections->mutex);
    fold_session_t *const session = session_choose(projections, tenant);
    assert(session != NULL); /* there are more of them than threads */
    session->is_used = true;
    const bool is_ours = session->tenant == tenant;
    session->tenant = tenant;
    (void)pthread_mutex_unlock(&projections->mutex);
    /* One that went while nobody used it is made anew, so that its next user does not notice. */
    if (!is_ours || session->connection == NULL || PQconsumeInput(session->connection) != 1 ||
        PQstatus(session->connection) != CONNECTION_OK) {
        fold_session_close(session);
    }
    return session;
}

static void session_give(projections_postgres_t *projections, fold_session_t *session)
{
    (void)pthread_mutex_lock(&projections->mutex);
    session->is_used = false;
    session->used_ms = session->connection == NULL ? 0 : clock_monotonic_ms();
    (void)pthread_mutex_unlock(&projections->mutex);
}

void fold_sessions_close(projections_tenant_t *tenant)
{
    projections_postgres_t *const projections = tenant->projections;
    (void)pthread_mutex_lock(&projections->mutex);
    for (size_t i = 0; i < projections->session_count; i++) {
        fold_session_t *const session = &projections->sessions[i];
        if (session->tenant == tenant) {
            fold_session_close(session);
            session->tenant = NULL;
            session->used_ms = 0;
        }
    }
    (void)pthread_mutex_unlock(&projections->mutex);
}

/* A session of the tenant, or one that is nobody's. */
static bool projections_is_at_hand(projections_t *base, const projections_tenant_t *tenant)
{
    projections_postgres_t *const projections = (projections_postgres_t *)base;
    bool is_at_hand = false;
    (void)pthread_mutex_lock(&projections->mutex);
    for (size_t i = 0; !is_at_hand && i < projections->session_count; i++) {
        const projections_tenant_t *const owner = projections->sessions[i].tenant;
        is_at_hand = owner == NULL || owner == tenant;
    }
    (void)pthread_mutex_unlock(&projections->mutex);
    return is_at_hand;
}

/* --- Jobs --- */

static void tenant_settle(projections_tenant_t *tenant);

void *fold_job_create(projections_tenant_t *tenant, size_t size,
                      void (*run)(fold_job_t *, fold_session_t *), void (*finish)(fold_job_t *))
{
    assert(size >= sizeof(fold_job_t));
    fold_job_t *job = calloc(1, size);
    assert(job != NULL);
    job->tenant = tenant;
    job->run = run;
    job->finish = finish;
    return job;
}

static void job_free(fold_job_t *job)
{
    PQclear(job->rows);
    free(job->memory);
    free(job);
}

static void job_run(void *context)
{
    fold_job_t *job = context;
    projections_tenant_t *const tenant = job->tenant;
    fold_session_t *const session = session_take(tenant);
    job->result = RESULT_OK;
    if (session->connection == NULL) {
        job->result = fold_session_connect(session, &tenant->projections->server, &tenant->place,
                                           tenant->slot);
    }
    if (job->result == RESULT_OK) {
        job->run(job, session);
    }
    session_give(tenant->projections, session);
}

static void job_done(void *context)
{
    fold_job_t *job = context;
    projections_tenant_t *const tenant = job->tenant;
    assert(tenant->jobs > 0);
    tenant->jobs--; /* done, as far as its caller is concerned, who may ask for more at once */
    tenant->is_calling_back = true;
    job->finish(job);
    tenant->is_calling_back = false;
    job_free(job);
    tenant_settle(tenant);
}

static result_t job_hand_over(fold_job_t *job, fold_lane_t lane, loop_callback_t *run)
{
    projections_tenant_t *const tenant = job->tenant;
    assert(!tenant->is_closing || tenant->jobs == 0);
    job->submitted_us = clock_monotonic_us();
    const result_t result = work_submit(
        lane == FOLD_LANE_WRITE ? tenant->write_lane : tenant->read_lane, run, job_done, job);
    if (result == RESULT_OK) {
        tenant->jobs++;
    } else {
        job_free(job);
    }
    return result;
}

result_t fold_job_submit(fold_job_t *job, fold_lane_t lane)
{
    return job_hand_over(job, lane, job_run);
}

/* --- Closing --- */

void fold_tenant_free(projections_tenant_t *tenant)
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
    explicit_bzero(&tenant->place, sizeof tenant->place);
    free(tenant);
}

/* What was not promoted is of no use to anybody. Where it cannot be removed now, the next open does
 * it, because it is not complete, or that of another tenant. */
static void close_tables(projections_tenant_t *tenant)
{
    if (tenant->discards || tenant->slot == PROJECTIONS_NEXT) {
        fold_session_t *const session = session_take(tenant);
        result_t result = RESULT_OK;
        if (session->connection == NULL) {
            result = fold_session_connect(session, &tenant->projections->server, &tenant->place,
                                          tenant->slot);
        }
        if (result == RESULT_OK) {
            result = fold_discard(session, tenant->slot);
        }
        (void)result; /* it was logged */
        session_give(tenant->projections, session);
    }
    fold_sessions_close(tenant);
}

static void close_run(void *context)
{
    close_tables(((fold_job_t *)context)->tenant);
}

static void close_finish(fold_job_t *job)
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
            fold_job_t *job = fold_job_create(tenant, sizeof *job, NULL, close_finish);
            if (job_hand_over(job, FOLD_LANE_WRITE, close_run) == RESULT_OK) {
                return;
            }
        }
        close_tables(tenant); /* no lane is at work any more */
    }
    fold_tenant_free(tenant);
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
    .open = projections_postgres_open,
    .close = projections_close,
    .promote = projections_postgres_promote,
    .load = projections_postgres_load,
    .commit = projections_postgres_commit,
    .list = projections_postgres_list,
    .read_counters = projections_postgres_read_counters,
    .forget_member = projections_postgres_forget_member,
    .is_at_hand = projections_is_at_hand,
};

result_t projections_postgres_create(loop_t *loop, metrics_t *metrics,
                                     const projections_postgres_options_t *options,
                                     projections_t **projections)
{
    projections_postgres_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    if (fold_server_init(&created->server, options->url) != RESULT_OK) {
        free(created);
        return RESULT_INVALID_ARGUMENT;
    }
    created->base.functions = &functions;
    created->loop = loop;
    created->session_count = options->sessions == 0 ? LIMIT_PROJECTION_SESSIONS : options->sessions;
    assert(created->session_count > LIMIT_PROJECTION_THREADS);
    assert(created->session_count <= LIMIT_PROJECTION_SESSIONS_MAX);
    created->find = options->find;
    created->find_context = options->find_context;
    created->lock = -1;
    const int size = asprintf(&created->lock_path, "%s/read_models.lock", options->directory);
    assert(size > 0);
    const int failed = pthread_mutex_init(&created->mutex, NULL);
    assert(failed == 0);
    projection_metrics_register(&created->numbers, metrics);
    const result_t result =
        work_pool_create(loop, LIMIT_PROJECTION_THREADS, LIMIT_PROJECTION_QUEUE, &created->pool);
    if (result != RESULT_OK) {
        (void)pthread_mutex_destroy(&created->mutex);
        free(created->lock_path);
        fold_server_deinit(&created->server);
        free(created);
        return result;
    }
    *projections = &created->base;
    return RESULT_OK;
}

void projections_postgres_destroy(projections_t **projections)
{
    if (*projections == NULL) {
        return;
    }
    projections_postgres_t *const destroyed = (projections_postgres_t *)*projections;
    *projections = NULL;
    destroyed->stopping = true;
    work_pool_destroy(&destroyed->pool); /* runs what closing tenants still have */
    assert(destroyed->tenants_open == 0);
    for (size_t i = 0; i < destroyed->session_count; i++) {
        fold_session_close(&destroyed->sessions[i]);
    }
    (void)pthread_mutex_destroy(&destroyed->mutex);
    if (destroyed->lock >= 0) {
        (void)close(destroyed->lock);
    }
    free(destroyed->lock_path);
    fold_server_deinit(&destroyed->server);
    free(destroyed);
}

result_t projections_postgres_remove(const char *url, const projections_postgres_place_t *place)
{
    fold_session_t session = {0};
    fold_server_t server;
    result_t result = fold_server_init(&server, url);
    if (result == RESULT_OK) {
        result = fold_session_connect(&session, &server, place, PROJECTIONS_LIVE);
    }
    if (result == RESULT_OK) {
        result = fold_discard(&session, PROJECTIONS_LIVE);
    }
    fold_session_close(&session);
    fold_server_deinit(&server);
    return result;
}
