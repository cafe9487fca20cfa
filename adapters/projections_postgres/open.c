/* Opening read models, making them when there are none that can be used, and letting new ones take
 * the place of old ones. They are used only when they say that they are of this tenant and of this
 * program's format; else they are removed. */
#include "adapters/projections_postgres/projections_postgres_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct open_job {
    fold_job_t base;
    projections_opened_done_t *done;
    void *context;
    projections_opened_t opened;
} open_job_t;

/* STORE_CORRUPT when there are none, of another format, or another tenant's. */
static result_t check(const projections_tenant_t *tenant, fold_session_t *session,
                      bool *is_complete)
{
    PGresult *rows = NULL;
    result_t result = fold_run(session, FOLD_meta_exists, NULL, &rows);
    if (result == RESULT_OK && field_integer(rows, 0, 0) == 0) {
        result = RESULT_STORE_CORRUPT;
    }
    PQclear(rows);
    rows = NULL;
    if (result == RESULT_OK) {
        result = fold_run(session, FOLD_meta_get, NULL, &rows);
    }
    if (result == RESULT_OK) {
        const bool is_ours =
            PQntuples(rows) == 1 &&
            field_integer(rows, 0, 0) == (int64_t)projections_postgres_migrations_count &&
            field_integer(rows, 0, 1) == tenant->created_at &&
            text_equal(field_bytes(rows, 0, 3), text_from_c(tenant->name));
        *is_complete = is_ours && field_integer(rows, 0, 2) == 1;
        result = is_ours ? RESULT_OK : RESULT_STORE_CORRUPT;
    }
    PQclear(rows);
    return result;
}

static result_t read_cursors(fold_session_t *session, projections_opened_t *opened)
{
    PGresult *rows = NULL;
    result_t result = fold_run(session, FOLD_cursor_list, NULL, &rows);
    for (int i = 0; result == RESULT_OK && i < PQntuples(rows); i++) {
        const int64_t partition = field_integer(rows, i, 0);
        const text_t event_id = field_bytes(rows, i, 3);
        if (partition < 0 || partition > PROJECTION_PARTITION_ARCHIVED ||
            event_id.size != sizeof(uuid_t)) {
            result = RESULT_STORE_CORRUPT;
            break;
        }
        projection_cursor_t *const cursor = &opened->cursors[partition];
        cursor->sequence = (uint64_t)field_integer(rows, i, 1);
        cursor->occurred_at = field_integer(rows, i, 2);
        memcpy(cursor->event_id.bytes, event_id.data, sizeof cursor->event_id.bytes);
    }
    PQclear(rows);
    return result;
}

/* In one transaction, what was there before goes. */
static result_t make_anew(const projections_tenant_t *tenant, fold_session_t *session)
{
    char sql[160];
    const char *const schema = fold_schema(tenant->slot);
    (void)snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s", schema,
                   schema);
    result_t result = fold_execute(session, "BEGIN");
    if (result == RESULT_OK) {
        result = fold_execute(session, sql);
    }
    for (size_t i = 0; result == RESULT_OK && i < projections_postgres_migrations_count; i++) {
        result = fold_execute(session, projections_postgres_migrations[i]);
    }
    if (result == RESULT_OK) {
        parameters_t values = {0};
        parameter_integer(&values, (int64_t)projections_postgres_migrations_count);
        parameter_integer(&values, tenant->created_at);
        parameter_bytes(&values, text_from_c(tenant->name));
        result = fold_run(session, FOLD_meta_put, &values, NULL);
    }
    return result == RESULT_OK ? fold_execute(session, "COMMIT") : result;
}

result_t fold_discard(fold_session_t *session, projections_slot_t slot)
{
    char sql[96];
    (void)snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS %s CASCADE", fold_schema(slot));
    return fold_execute(session, sql);
}

static void open_run(fold_job_t *base, fold_session_t *session)
{
    open_job_t *job = (open_job_t *)base;
    projections_tenant_t *const tenant = base->tenant;
    base->result = RESULT_STORE_CORRUPT;
    if (tenant->slot == PROJECTIONS_LIVE) {
        base->result = check(tenant, session, &job->opened.is_complete);
        if (base->result == RESULT_OK) {
            base->result = read_cursors(session, &job->opened);
        }
    }
    if (base->result == RESULT_STORE_CORRUPT) {
        job->opened.is_complete = false;
        memset(job->opened.cursors, 0, sizeof job->opened.cursors);
        base->result = RESULT_OK;
        if (session->connection == NULL) { /* it told of the damage, and was closed */
            base->result = fold_session_connect(session, &tenant->projections->server,
                                                &tenant->place, tenant->slot);
        }
        if (base->result == RESULT_OK) {
            base->result = make_anew(tenant, session);
        }
    }
}

static void open_finish(fold_job_t *base)
{
    open_job_t *job = (open_job_t *)base;
    job->opened.result = base->result;
    if (base->result == RESULT_OK) {
        job->opened.tenant = base->tenant;
    } else {
        fold_sessions_close(base->tenant);
        base->tenant->is_closing = true; /* goes after this job */
        base->tenant->is_closed = true;
    }
    job->done(job->context, &job->opened);
}

/* The tables of one that is being closed are still in use, or about to be removed. */
static bool is_in_use(const projections_postgres_t *projections, text_t name,
                      projections_slot_t slot)
{
    const projections_tenant_t *tenant = projections->tenants;
    while (tenant != NULL &&
           (tenant->slot != slot || !text_equal(text_from_c(tenant->name), name))) {
        tenant = tenant->newer;
    }
    return tenant != NULL;
}

/* One process at a time. The kernel lets go of the lock when that one ends, however it ends. What
 * still runs on the server for one that was killed is fenced by the cursors. */
static bool hold_lock(projections_postgres_t *projections)
{
    if (projections->lock >= 0) {
        return true;
    }
    const int lock = open(projections->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (!projections->lock_is_missed) {
            projections->lock_is_missed = true;
            log_warn("read models are in use by another process: they are opened when it has ended",
                     LOG_STRING("file", projections->lock_path));
        }
        (void)close(lock);
        return false;
    }
    projections->lock = lock;
    return lock >= 0;
}

result_t projections_postgres_open(projections_t *base, text_t tenant, int64_t created_at,
                                   projections_slot_t slot, projections_opened_done_t *done,
                                   void *context)
{
    projections_postgres_t *const projections = (projections_postgres_t *)base;
    if (tenant.size == 0 || tenant.size > LIMIT_TENANT_NAME_SIZE) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (projections->tenants_open >= 2 * (uint32_t)LIMIT_POSTGRES_TENANTS ||
        projections->stopping || is_in_use(projections, tenant, slot)) {
        return RESULT_BUSY;
    }
    if (!hold_lock(projections)) {
        return RESULT_STORE_UNAVAILABLE;
    }
    projections_tenant_t *opened = calloc(1, sizeof *opened);
    assert(opened != NULL);
    result_t result = projections->find(projections->find_context, tenant, &opened->place);
    if (result != RESULT_OK) {
        free(opened);
        return result;
    }
    opened->projections = projections;
    memcpy(opened->name, tenant.data, tenant.size);
    opened->created_at = created_at;
    opened->slot = slot;
    opened->write_lane = work_lane_create(projections->pool);
    opened->read_lane = work_lane_create(projections->pool);
    opened->newer = projections->tenants;
    projections->tenants = opened;
    projections->tenants_open++;
    open_job_t *job = fold_job_create(opened, sizeof *job, open_run, open_finish);
    job->done = done;
    job->context = context;
    result = fold_job_submit(&job->base, FOLD_LANE_WRITE);
    if (result != RESULT_OK) {
        fold_tenant_free(opened);
    }
    return result;
}

/* --- Promotion --- */

typedef struct promote_job {
    fold_job_t base;
    projections_tenant_t *next;
    projections_done_t *done;
    void *context;
} promote_job_t;

/* Statements sent together are one transaction. Nobody else holds a plan of the old tables. */
static void promote_run(fold_job_t *base, fold_session_t *session)
{
    promote_job_t *job = (promote_job_t *)base;
    fold_sessions_close(job->next);
    char sql[160];
    const char *const live = fold_schema(PROJECTIONS_LIVE);
    const char *const next = fold_schema(PROJECTIONS_NEXT);
    (void)snprintf(sql, sizeof sql,
                   "DROP SCHEMA IF EXISTS %s CASCADE; ALTER SCHEMA %s RENAME TO %s", live, next,
                   live);
    base->result = fold_execute(session, sql);
    fold_session_close(session); /* as are its plans; what failed is removed by the next open */
}

static void promote_finish(fold_job_t *base)
{
    promote_job_t *job = (promote_job_t *)base;
    fold_sessions_close(base->tenant); /* the one that read */
    fold_sessions_close(job->next);
    fold_tenant_free(job->next);
    job->done(job->context, base->result);
}

result_t projections_postgres_promote(projections_tenant_t *live, projections_tenant_t *next,
                                      projections_done_t *done, void *context)
{
    assert(live->jobs == 0 && next->jobs == 0 && live->slot == PROJECTIONS_LIVE);
    assert(next->slot == PROJECTIONS_NEXT);
    promote_job_t *job = fold_job_create(live, sizeof *job, promote_run, promote_finish);
    job->next = next;
    job->done = done;
    job->context = context;
    return fold_job_submit(&job->base, FOLD_LANE_WRITE);
}
