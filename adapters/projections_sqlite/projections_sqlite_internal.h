/* The insides of adapters/projections_sqlite, for its own files and tests.
 *
 * Functions marked "loop" run on the loop's thread, those marked "store" on a thread of the work
 * pool. A tenant has two lanes, and each connection is used by the jobs of its lane only: `writer`
 * by the write lane, `reader` by the read lane, so that a page does not wait for a commit. */
#ifndef ADAPTERS_PROJECTIONS_SQLITE_PROJECTIONS_SQLITE_INTERNAL_H
#define ADAPTERS_PROJECTIONS_SQLITE_PROJECTIONS_SQLITE_INTERNAL_H

#include "actors/domain/card_id.h"
#include "actors/relay/projection_metrics.h"
#include "actors/store_memory.h"
#include "adapters/projections_sqlite/projections_sqlite.h"
#include "adapters/shared_sqlite/files.h"
#include "adapters/shared_sqlite/statements.h"
#include "runtime/work_pool.h"
#include <sqlite3.h>

enum {
    MODEL_APPLICATION_ID = 0x44435231, /* "DCR1" */
    MODEL_PARTITION_SHIFT = 56,        /* issue_event = partition << 56 | sequence */
};

typedef enum model_statement {
#define STATEMENT(name, sql) MODEL_##name,
#include "adapters/projections_sqlite/statements.def"
#undef STATEMENT
    MODEL_STATEMENT_COUNT
} model_statement_t;

/* --- database.c: one SQLite connection, its statements and what its errors mean --- */

typedef struct model_database {
    sqlite3 *handle; /* NULL: closed */
    const char *path;
    sqlite3_stmt *statements[MODEL_STATEMENT_COUNT];
} model_database_t;

typedef enum model_mode { MODEL_WRITER, MODEL_READER } model_mode_t;

/* Opens without looking at what is inside; a writer makes the file when there is none. */
MUST_USE result_t model_database_open(model_database_t *database, const char *path,
                                      model_mode_t mode);
/* True when all of the log was written back, so that the file alone is everything. */
bool model_database_close(model_database_t *database);
result_t model_database_error(model_database_t *database, int code, const char *action);
MUST_USE result_t model_database_execute(model_database_t *database, const char *sql);
/* The first column of the only row. */
MUST_USE result_t model_number_read(model_database_t *database, const char *sql, int64_t *number);
/* Borrowed; give back with statement_done. */
MUST_USE result_t model_prepare(model_database_t *database, model_statement_t which,
                                sqlite3_stmt **statement);
MUST_USE result_t model_run(model_database_t *database, model_statement_t which);
void model_rollback(model_database_t *database);
/* Step of a statement that returns no row. */
MUST_USE result_t model_finish(model_database_t *database, sqlite3_stmt *statement);
/* True in `row` while there is one. On an error the statement is done. */
MUST_USE result_t model_next(model_database_t *database, sqlite3_stmt *statement, bool *row);

/* Made from migrations/NNNN.sql by cmake/embed.cmake. */
extern const char *const projections_sqlite_migrations[];
extern const size_t projections_sqlite_migrations_count;

/* --- projections.c: tenants and jobs --- */

typedef struct projections_sqlite {
    projections_t base;
    loop_t *loop;
    work_pool_t *pool;
    char *data_directory;
    int lock;                      /* of the directory of the files; -1: not held */
    bool lock_is_missed;           /* logged; once is enough */
    projections_tenant_t *tenants; /* open, opening and closing ones */
    uint32_t tenants_open;
    bool stopping;
    projection_metrics_t numbers;
} projections_sqlite_t;

struct projections_tenant {
    projections_sqlite_t *projections;
    projections_tenant_t *newer; /* in the list of all */
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    char *path;
    int64_t created_at;
    projections_slot_t slot;
    model_database_t writer;
    model_database_t reader;
    work_lane_t *write_lane;
    work_lane_t *read_lane;
    uint32_t jobs;        /* submitted and not done */
    bool is_calling_back; /* the tenant outlives the call */
    bool is_closing;
    bool is_closed;
    bool discards;
};

/* First member of every job. `run` works on a store thread; `finish` calls back on the loop's
 * thread; then the job and its memory are freed. */
typedef struct model_job model_job_t;
struct model_job {
    projections_tenant_t *tenant;
    void (*run)(model_job_t *job);
    void (*finish)(model_job_t *job);
    store_memory_t memory; /* results: valid during `finish` */
    uint64_t submitted_us;
    result_t result;
};
typedef enum model_lane { MODEL_LANE_READ, MODEL_LANE_WRITE } model_lane_t;

/* Loop. `size` bytes, zeroed; never NULL. */
void *model_job_create(projections_tenant_t *tenant, size_t size, void (*run)(model_job_t *),
                       void (*finish)(model_job_t *));
/* Loop. BUSY: the job is freed and will not run. */
MUST_USE result_t model_job_submit(model_job_t *job, model_lane_t lane);

/* --- open.c --- */
result_t projections_sqlite_open(projections_t *projections, text_t tenant, int64_t created_at,
                                 projections_slot_t slot, projections_opened_done_t *done,
                                 void *context);
result_t projections_sqlite_promote(projections_tenant_t *live, projections_tenant_t *next,
                                    projections_done_t *done, void *context);
/* Loop: takes the tenant out of the list and frees it. Nothing is open. */
void model_tenant_free(projections_tenant_t *tenant);

/* --- commit.c --- */
/* What a commit writes, within a transaction of the caller. */
MUST_USE result_t model_counters_add(model_database_t *writer, const projection_commit_t *commit);
MUST_USE result_t model_commit_apply(model_database_t *writer, const projection_commit_t *commit);
result_t projections_sqlite_load(projections_tenant_t *tenant, const uuid_t *cards, size_t count,
                                 projections_loaded_done_t *done, void *context);
result_t projections_sqlite_commit(projections_tenant_t *tenant, const projection_commit_t *commit,
                                   projections_done_t *done, void *context);
result_t projections_sqlite_forget_member(projections_tenant_t *tenant, text_t member_id,
                                          projections_done_t *done, void *context);

/* --- list.c --- */
result_t projections_sqlite_list(projections_tenant_t *tenant, const projections_list_t *list,
                                 projections_page_done_t *done, void *context);

/* --- counters.c --- */
result_t projections_sqlite_read_counters(projections_tenant_t *tenant,
                                          const projections_counters_query_t *query,
                                          projections_counters_done_t *done, void *context);

/* check.c: of the file with that name. */
MUST_USE result_t projection_check_open(const char *path, projections_sqlite_check_t **check);

#endif
