/* Opening read models, making them when there are none that can be used, and letting new ones take
 * the place of old ones. A file is used only when it says that it is of this tenant, of this
 * program's format, and neither empty nor damaged at first sight; else it is removed. */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct open_job {
    model_job_t base;
    projections_opened_done_t *done;
    void *context;
    projections_opened_t opened;
} open_job_t;

/* STORE_CORRUPT when the file is none of ours, of another format or another tenant's. */
static result_t check(projections_tenant_t *tenant, bool *is_complete)
{
    model_database_t *const writer = &tenant->writer;
    sqlite3_stmt *statement = NULL;
    int64_t application = 0;
    int64_t version = 0;
    bool row = false;
    result_t result = model_number_read(writer, "PRAGMA application_id", &application);
    if (result == RESULT_OK) {
        result = model_number_read(writer, "PRAGMA user_version", &version);
    }
    if (result == RESULT_OK && (application != MODEL_APPLICATION_ID ||
                                version != (int64_t)projections_sqlite_migrations_count)) {
        return RESULT_STORE_CORRUPT;
    }
    if (result == RESULT_OK) {
        result = model_prepare(writer, MODEL_meta_get, &statement);
    }
    if (result == RESULT_OK) {
        result = model_next(writer, statement, &row);
    }
    if (result == RESULT_OK) {
        const bool is_ours = row &&
                             text_equal(column_bytes(statement, 0), text_from_c(tenant->name)) &&
                             sqlite3_column_int64(statement, 1) == tenant->created_at;
        *is_complete = row && sqlite3_column_int64(statement, 2) == 1;
        result = is_ours ? RESULT_OK : RESULT_STORE_CORRUPT;
        statement_done(statement);
    }
    return result;
}

static result_t read_cursors(model_database_t *database, projections_opened_t *opened)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    result_t result = model_prepare(database, MODEL_cursor_list, &statement);
    while (result == RESULT_OK) { /* bounded by the rows: one per partition */
        result = model_next(database, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        const int64_t partition = sqlite3_column_int64(statement, 0);
        const text_t event_id = column_bytes(statement, 2);
        if (partition < 0 || partition > PROJECTION_PARTITION_ARCHIVED ||
            event_id.size != sizeof(uuid_t)) {
            result = RESULT_STORE_CORRUPT;
            break;
        }
        projection_cursor_t *const cursor = &opened->cursors[partition];
        cursor->sequence = (uint64_t)sqlite3_column_int64(statement, 1);
        cursor->occurred_at = sqlite3_column_int64(statement, 3);
        memcpy(cursor->event_id.bytes, event_id.data, sizeof cursor->event_id.bytes);
    }
    if (statement != NULL) {
        statement_done(statement);
    }
    return result;
}

static result_t fill(projections_tenant_t *tenant)
{
    model_database_t *const writer = &tenant->writer;
    char sql[128];
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %zu",
                   MODEL_APPLICATION_ID, projections_sqlite_migrations_count);
    result_t result = model_database_execute(writer, "BEGIN IMMEDIATE");
    for (size_t i = 0; result == RESULT_OK && i < projections_sqlite_migrations_count; i++) {
        result = model_database_execute(writer, projections_sqlite_migrations[i]);
    }
    sqlite3_stmt *statement = NULL;
    if (result == RESULT_OK) {
        result = model_prepare(writer, MODEL_meta_put, &statement);
    }
    if (result == RESULT_OK) {
        bind_text(statement, 1, text_from_c(tenant->name));
        bind_integer(statement, 2, tenant->created_at);
        result = model_finish(writer, statement);
    }
    if (result == RESULT_OK) {
        result = model_database_execute(writer, sql);
    }
    if (result == RESULT_OK) {
        result = model_database_execute(writer, "COMMIT");
    }
    model_rollback(writer);
    return result;
}

static result_t make_anew(projections_tenant_t *tenant)
{
    database_files_remove(tenant->path);
    result_t result = model_database_open(&tenant->writer, tenant->path, MODEL_WRITER);
    return result == RESULT_OK ? fill(tenant) : result;
}

/* With what the file has, or with an empty one in its place. */
static result_t open_files(projections_tenant_t *tenant, projections_opened_t *opened)
{
    result_t result = RESULT_STORE_CORRUPT;
    if (tenant->slot == PROJECTIONS_LIVE) {
        result = model_database_open(&tenant->writer, tenant->path, MODEL_WRITER);
        if (result == RESULT_OK) {
            result = check(tenant, &opened->is_complete);
        }
        if (result == RESULT_OK) {
            result = read_cursors(&tenant->writer, opened);
        }
    }
    if (result == RESULT_STORE_CORRUPT) {
        (void)model_database_close(&tenant->writer);
        opened->is_complete = false;
        memset(opened->cursors, 0, sizeof opened->cursors);
        result = make_anew(tenant);
    }
    if (result == RESULT_OK) {
        result = model_database_open(&tenant->reader, tenant->path, MODEL_READER);
    }
    if (result != RESULT_OK) {
        (void)model_database_close(&tenant->reader);
        (void)model_database_close(&tenant->writer);
    }
    return result;
}

static void open_run(model_job_t *base)
{
    open_job_t *job = (open_job_t *)base;
    job->opened.result = open_files(base->tenant, &job->opened);
}

static void open_finish(model_job_t *base)
{
    open_job_t *job = (open_job_t *)base;
    if (job->opened.result == RESULT_OK) {
        job->opened.tenant = base->tenant;
    } else {
        base->tenant->is_closing = true; /* goes after this job */
        base->tenant->is_closed = true;
    }
    job->done(job->context, &job->opened);
}

/* The files of one that is being closed are still in use, or about to be removed. */
static bool is_in_use(const projections_sqlite_t *projections, text_t name, projections_slot_t slot)
{
    const projections_tenant_t *tenant = projections->tenants;
    while (tenant != NULL &&
           (tenant->slot != slot || !text_equal(text_from_c(tenant->name), name))) {
        tenant = tenant->newer;
    }
    return tenant != NULL;
}

/* A file that changes its name under somebody who has it open is read with the wrong log: one
 * process at a time. The kernel lets go of it when that one ends, however it ends. */
static bool hold_directory(projections_sqlite_t *projections)
{
    if (projections->lock >= 0) {
        return true;
    }
    char *path = NULL;
    const int size = asprintf(&path, "%s/tenants", projections->data_directory);
    assert(size > 0);
    const int lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(path);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (!projections->lock_is_missed) {
            projections->lock_is_missed = true;
            log_warn("read models are in use by another process: they are opened when it has ended",
                     LOG_STRING("directory", projections->data_directory));
        }
        (void)close(lock);
        return false;
    }
    projections->lock = lock;
    return lock >= 0;
}

result_t projections_sqlite_open(projections_t *base, text_t tenant, int64_t created_at,
                                 projections_slot_t slot, projections_opened_done_t *done,
                                 void *context)
{
    projections_sqlite_t *const projections = (projections_sqlite_t *)base;
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (projections->tenants_open >= 2 * (uint32_t)LIMIT_STORE_FILES_OPEN ||
        projections->stopping || is_in_use(projections, tenant, slot)) {
        return RESULT_BUSY;
    }
    if (!hold_directory(projections)) {
        return RESULT_STORE_UNAVAILABLE;
    }
    projections_tenant_t *opened = calloc(1, sizeof *opened);
    assert(opened != NULL);
    opened->projections = projections;
    memcpy(opened->name, tenant.data, tenant.size);
    opened->created_at = created_at;
    opened->slot = slot;
    const int size =
        asprintf(&opened->path, "%s/tenants/%.*s.read.db%s", projections->data_directory,
                 TEXT_PRINT(tenant), slot == PROJECTIONS_NEXT ? ".next" : "");
    assert(size > 0);
    opened->write_lane = work_lane_create(projections->pool);
    opened->read_lane = work_lane_create(projections->pool);
    opened->newer = projections->tenants;
    projections->tenants = opened;
    projections->tenants_open++;
    open_job_t *job = model_job_create(opened, sizeof *job, open_run, open_finish);
    job->done = done;
    job->context = context;
    const result_t result = model_job_submit(&job->base, MODEL_LANE_WRITE);
    if (result != RESULT_OK) {
        model_tenant_free(opened);
    }
    return result;
}

void projections_sqlite_remove(const char *data_directory, text_t tenant)
{
    char *path = NULL;
    if (!tenant_name_is_well_formed(tenant)) {
        return;
    }
    const int size = asprintf(&path, "%s/tenants/%.*s.read.db", data_directory, TEXT_PRINT(tenant));
    assert(size > 0);
    database_files_remove(path);
    free(path);
}

/* --- Promotion --- */

typedef struct promote_job {
    model_job_t base;
    projections_tenant_t *next;
    projections_done_t *done;
    void *context;
} promote_job_t;

/* Both are closed with their logs written back, so that one rename is the whole change. */
static result_t exchange(projections_tenant_t *live, projections_tenant_t *next)
{
    (void)model_database_close(&next->reader);
    (void)model_database_close(&live->reader);
    const bool is_whole = model_database_close(&next->writer);
    if (!is_whole) {
        log_warn("new read models could not be written back and are thrown away",
                 LOG_STRING("file", next->path));
        return RESULT_STORE_UNAVAILABLE;
    }
    (void)model_database_close(&live->writer);
    char *log = NULL;
    const int size = asprintf(&log, "%s-wal", live->path);
    assert(size > 0);
    (void)remove(log); /* of the old file: the new one must not find it */
    free(log);
    return rename(next->path, live->path) == 0 ? RESULT_OK : RESULT_STORE_UNAVAILABLE;
}

static void promote_run(model_job_t *base)
{
    promote_job_t *job = (promote_job_t *)base;
    projections_tenant_t *const live = base->tenant;
    base->result = exchange(live, job->next);
    (void)model_database_close(&job->next->writer);
    database_files_remove(job->next->path);
    if (live->writer.handle == NULL) {
        const result_t opened = model_database_open(&live->writer, live->path, MODEL_WRITER);
        base->result = base->result == RESULT_OK ? opened : base->result;
    }
    const result_t opened = model_database_open(&live->reader, live->path, MODEL_READER);
    if (opened != RESULT_OK || live->writer.handle == NULL) {
        base->result = RESULT_STORE_CORRUPT; /* closed: the caller discards it and opens anew */
    }
}

static void promote_finish(model_job_t *base)
{
    promote_job_t *job = (promote_job_t *)base;
    model_tenant_free(job->next);
    job->done(job->context, base->result);
}

result_t projections_sqlite_promote(projections_tenant_t *live, projections_tenant_t *next,
                                    projections_done_t *done, void *context)
{
    assert(live->jobs == 0 && next->jobs == 0 && live->slot == PROJECTIONS_LIVE);
    assert(next->slot == PROJECTIONS_NEXT);
    promote_job_t *job = model_job_create(live, sizeof *job, promote_run, promote_finish);
    job->next = next;
    job->done = done;
    job->context = context;
    return model_job_submit(&job->base, MODEL_LANE_WRITE);
}
