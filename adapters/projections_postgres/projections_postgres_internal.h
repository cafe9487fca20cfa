/* The insides of adapters/projections_postgres, for its own files and tests.
 *
 * Functions marked "loop" run on the loop's thread, those marked "store" on a thread of the work
 * pool. A tenant has two lanes, so that a page does not wait for a commit. Its jobs use sessions,
 * of which there is a fixed number for all tenants together. */
#ifndef ADAPTERS_PROJECTIONS_POSTGRES_PROJECTIONS_POSTGRES_INTERNAL_H
#define ADAPTERS_PROJECTIONS_POSTGRES_PROJECTIONS_POSTGRES_INTERNAL_H

#include "actors/relay/projection_metrics.h"
#include "adapters/projections_postgres/projections_postgres.h"
#include "adapters/shared_postgres/fields.h"
#include "adapters/shared_postgres/hosts.h"
#include "adapters/shared_postgres/parameters.h"
#include "runtime/work_pool.h"
#include <libpq-fe.h>
#include <pthread.h>

typedef enum fold_statement {
#define STATEMENT(name, sql) FOLD_##name,
#include "adapters/projections_postgres/statements.def"
#undef STATEMENT
    FOLD_STATEMENT_COUNT
} fold_statement_t;

/* --- session.c: one connection, its statements and what its errors mean --- */

typedef struct fold_session {
    PGconn *connection;                 /* NULL: none */
    const projections_tenant_t *tenant; /* whose; NULL: nobody's */
    bool is_used;                       /* by a job; guarded by the mutex */
    uint64_t used_ms;
    bool is_prepared[FOLD_STATEMENT_COUNT];
} fold_session_t;

/* Where the server is. */
typedef struct fold_server {
    char *url;
    postgres_hosts_t *hosts;
} fold_server_t;
MUST_USE result_t fold_server_init(fold_server_t *server, const char *url);
void fold_server_deinit(fold_server_t *server);

/* Store. Where the tables of a slot are. */
const char *fold_schema(projections_slot_t slot);
MUST_USE result_t fold_session_connect(fold_session_t *session, const fold_server_t *server,
                                       const projections_postgres_place_t *place,
                                       projections_slot_t slot);
void fold_session_close(fold_session_t *session);
/* Runs one statement and releases the values (may be NULL: none). `*rows` (may be NULL) is cleared
 * by the caller. After an error the session is closed, and with it what it had begun. */
MUST_USE result_t fold_run(fold_session_t *session, fold_statement_t which, parameters_t *values,
                           PGresult **rows);
/* The same, and how many rows it changed. */
MUST_USE result_t fold_change(fold_session_t *session, fold_statement_t which, parameters_t *values,
                              uint64_t *changed);
/* Fixed SQL, not prepared; several statements are one transaction. */
MUST_USE result_t fold_execute(fold_session_t *session, const char *sql);

/* --- projections.c: tenants and jobs --- */

/* Made from migrations/NNNN.sql by cmake/embed.cmake. */
extern const char *const projections_postgres_migrations[];
extern const size_t projections_postgres_migrations_count;

typedef struct projections_postgres {
    projections_t base;
    loop_t *loop;
    work_pool_t *pool;
    fold_server_t server;
    char *lock_path;
    int lock; /* -1: not held */
    bool lock_is_missed;
    projections_postgres_find_t *find;
    void *find_context;
    projections_tenant_t *tenants; /* open, opening and closing ones */
    uint32_t tenants_open;
    bool stopping;
    pthread_mutex_t mutex; /* of who uses which session */
    uint32_t session_count;
    fold_session_t sessions[LIMIT_PROJECTION_SESSIONS_MAX];
    projection_metrics_t numbers;
} projections_postgres_t;

struct projections_tenant {
    projections_postgres_t *projections;
    projections_tenant_t *newer; /* in the list of all */
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    projections_postgres_place_t place;
    int64_t created_at;
    projections_slot_t slot;
    work_lane_t *write_lane;
    work_lane_t *read_lane;
    uint32_t jobs;        /* submitted and not done */
    bool is_calling_back; /* the tenant outlives the call */
    bool is_closing;
    bool is_closed;
    bool discards;
};

/* First member of every job. `run` works on a store thread, with a session that is connected;
 * `finish` calls back on the loop's thread; then the job, its rows and its memory are freed. */
typedef struct fold_job fold_job_t;
struct fold_job {
    projections_tenant_t *tenant;
    void (*run)(fold_job_t *job, fold_session_t *session);
    void (*finish)(fold_job_t *job);
    PGresult *rows; /* results point into these two: valid during `finish` */
    void *memory;
    uint64_t submitted_us;
    result_t result;
};
typedef enum fold_lane { FOLD_LANE_READ, FOLD_LANE_WRITE } fold_lane_t;

/* Loop. `size` bytes, zeroed; never NULL. */
void *fold_job_create(projections_tenant_t *tenant, size_t size,
                      void (*run)(fold_job_t *, fold_session_t *), void (*finish)(fold_job_t *));
/* Loop. BUSY: the job is freed and will not run. */
MUST_USE result_t fold_job_submit(fold_job_t *job, fold_lane_t lane);
/* Store: closes the sessions of a tenant that has no other job. */
void fold_sessions_close(projections_tenant_t *tenant);
/* Loop: takes the tenant out of the list and frees it. */
void fold_tenant_free(projections_tenant_t *tenant);

/* --- open.c --- */
result_t projections_postgres_open(projections_t *projections, text_t tenant, int64_t created_at,
                                   projections_slot_t slot, projections_opened_done_t *done,
                                   void *context);
result_t projections_postgres_promote(projections_tenant_t *live, projections_tenant_t *next,
                                      projections_done_t *done, void *context);
/* Store: nothing is left of what the slot shows. */
result_t fold_discard(fold_session_t *session, projections_slot_t slot);

/* --- commit.c --- */
result_t projections_postgres_load(projections_tenant_t *tenant, const uuid_t *cards, size_t count,
                                   projections_loaded_done_t *done, void *context);
result_t projections_postgres_commit(projections_tenant_t *tenant,
                                     const projection_commit_t *commit, projections_done_t *done,
                                     void *context);
result_t projections_postgres_forget_member(projections_tenant_t *tenant, text_t member_id,
                                            projections_done_t *done, void *context);

/* --- list.c --- */
result_t projections_postgres_list(projections_tenant_t *tenant, const projections_list_t *list,
                                   projections_page_done_t *done, void *context);

/* --- counters.c --- */
result_t projections_postgres_read_counters(projections_tenant_t *tenant,
                                            const projections_counters_query_t *query,
                                            projections_counters_done_t *done, void *context);

#endif
