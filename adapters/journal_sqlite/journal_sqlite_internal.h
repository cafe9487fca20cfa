/* The insides of adapters/journal_sqlite, for its own files and tests.
 *
 * Who runs where: functions of journal.c and append.c marked "loop" run on the loop's thread, those
 * marked "store" on a thread of the work pool. A tenant has two lanes, and each connection is used
 * by the jobs of its lane only: `writer` by the write lane, `reader` by the read lane. */
#ifndef ADAPTERS_JOURNAL_SQLITE_JOURNAL_SQLITE_INTERNAL_H
#define ADAPTERS_JOURNAL_SQLITE_JOURNAL_SQLITE_INTERNAL_H

#include "actors/domain/card_id.h"
#include "actors/page_cursor.h"
#include "actors/store_memory.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/shared_sqlite/files.h"
#include "adapters/shared_sqlite/statements.h"
#include "runtime/work_pool.h"
#include <pthread.h>
#include <sqlite3.h>

enum {
    JOURNAL_APPLICATION_ID = 0x44434a31, /* "DCJ1": tells our files from other SQLite files */
    JOURNAL_SEQUENCE_BITS = 56,          /* event.id = partition << 56 | sequence */
};
#define JOURNAL_SEQUENCE_MAX ((INT64_C(1) << JOURNAL_SEQUENCE_BITS) - 1)

typedef enum statement {
#define STATEMENT(name, sql) STATEMENT_##name,
#include "adapters/journal_sqlite/statements.def"
#undef STATEMENT
    STATEMENT_COUNT
} statement_t;

/* --- connection.c: one SQLite connection, its statements and what its errors mean --- */

typedef struct connection {
    sqlite3 *database; /* NULL: closed */
    const char *path;  /* borrowed */
    int64_t schema;    /* found when opened, whether it was good or not */
    int wal_pages;     /* after the last commit of this connection */
    int logged_code;   /* of the failure that was logged last */
    uint64_t logged_ms;
    uint64_t unlogged; /* failures of that kind since */
    sqlite3_stmt *statements[STATEMENT_COUNT];
} connection_t;

typedef enum connection_mode {
    CONNECTION_CREATE,   /* an empty file becomes a journal, without WAL yet */
    CONNECTION_WRITER,   /* brings an older schema up to date */
    CONNECTION_READER,   /* of the same process; may write back the WAL, and nothing else */
    CONNECTION_READONLY, /* of another process */
    CONNECTION_LOOK,     /* the same, of any schema up to ours: for looking at its version */
} connection_mode_t;

/* MISSING, SCHEMA_TOO_NEW, STORE_*. On an error nothing is left open. */
MUST_USE result_t connection_open(connection_t *connection, const char *path,
                                  connection_mode_t mode);
/* With `checkpoint` the WAL is written back and cut to nothing, if no other process reads. */
void connection_close(connection_t *connection, bool checkpoint);
/* What SQLite's `code` means, logged with the file when somebody has to act. Ends the process when
 * an fsync failed: what the kernel then holds of the file is unknown. */
result_t connection_error(connection_t *connection, int code, const char *action);
/* Runs fixed SQL. */
MUST_USE result_t connection_execute(connection_t *connection, const char *sql);
/* Borrowed; give back with statement_done. */
MUST_USE result_t connection_statement(connection_t *connection, statement_t which,
                                       sqlite3_stmt **statement);
/* Runs one without arguments and result. */
MUST_USE result_t connection_run(connection_t *connection, statement_t which);
MUST_USE result_t connection_begin_immediate(connection_t *connection);
/* Whatever state the transaction is in, afterwards there is none. */
void connection_rollback(connection_t *connection);
/* PASSIVE: waits for nobody. `left` gets the number of pages not written back. */
MUST_USE result_t connection_checkpoint(connection_t *connection, int *left);

/* Step of a statement that returns no row. */
MUST_USE result_t statement_finish(connection_t *connection, sqlite3_stmt *statement);
/* True in `row` while there is one. On an error the statement is done. */
MUST_USE result_t statement_next(connection_t *connection, sqlite3_stmt *statement, bool *row);

/* schema.c: SCHEMA_TOO_NEW, STORE_CORRUPT when it is no journal. */
MUST_USE result_t schema_prepare(connection_t *connection, connection_mode_t mode);

/* owner.c: writes into a new journal whose it is; STORE_CORRUPT when it is another tenant's. */
MUST_USE result_t owner_write(connection_t *connection, text_t tenant);
MUST_USE result_t owner_check(connection_t *connection, text_t tenant);

MUST_USE result_t schema_log_mode_set(connection_t *connection); /* WAL */

/* Made from migrations/NNNN.sql by cmake/embed.cmake. */
extern const char *const journal_sqlite_migrations[];
extern const size_t journal_sqlite_migrations_count;

/* --- journal.c: tenants and jobs --- */

typedef struct journal_sqlite {
    journal_t base;
    loop_t *loop;
    work_pool_t *pool;
    char *data_directory;
    uint32_t tenants_open;
    bool stopping; /* the pool takes no more jobs: closing happens in place */
    metric_t *commits;
    metric_t *batches;
    metric_t *events;
    metric_t *failures;
    metric_t *checkpoints;
    metric_t *open_failures_corrupt;
    metric_t *open_failures_missing;
    metric_t *open_failures_newer;
    metric_t *open_failures_other;
    metric_t *commit_time;
    metric_t *load_time;
} journal_sqlite_t;

typedef struct append_job append_job_t;

struct journal_tenant {
    journal_sqlite_t *journal;
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    char *path;
    bool readonly;
    bool has_gaps;       /* validations were archived before it was restored; set on opening */
    connection_t writer; /* unused when read-only */
    connection_t reader;
    work_lane_t *write_lane; /* NULL when read-only */
    work_lane_t *read_lane;

    /* Loop thread only. */
    uint32_t jobs; /* submitted and not done */
    bool closing;  /* no more jobs but the closing one */
    bool closed;   /* that one is done */
    bool checkpointing;

    /* Batches that wait for the next commit: loop thread puts, store thread takes all. */
    pthread_mutex_t waiting_lock;
    append_job_t *waiting_first;
    append_job_t *waiting_last;
    uint32_t waiting_count;
    bool commit_queued; /* a job that will take them is in the lane and has not begun */
};

/* First member of every job. `run` works on a store thread; `finish` calls back on the loop's
 * thread; then the job and its memory are freed. */
typedef struct store_job store_job_t;
struct store_job {
    journal_tenant_t *tenant;
    void (*run)(store_job_t *job);
    void (*finish)(store_job_t *job);
    store_memory_t memory; /* results: valid during `finish` */
    uint64_t submitted_us;
};
typedef enum store_lane { STORE_LANE_READ, STORE_LANE_WRITE } store_lane_t;

/* Loop. `size` bytes, zeroed; never NULL. */
void *store_job_create(journal_tenant_t *tenant, size_t size, void (*run)(store_job_t *),
                       void (*finish)(store_job_t *));
/* Loop. BUSY: the job is freed and will not run. */
MUST_USE result_t store_job_submit(store_job_t *job, store_lane_t lane);

/* Loop. Runs a checkpoint when `wal_pages` says that it is time: checkpoint.c. */
void checkpoint_consider(journal_tenant_t *tenant, int wal_pages);

/* --- file.c: names, creation --- */

/* malloc; DIR/tenants/NAME.db */
char *tenant_path(const char *data_directory, text_t tenant);
result_t file_error(const char *path, const char *action); /* from errno, logged */
MUST_USE result_t file_make_empty(const char *path);
MUST_USE result_t path_sync(const char *path, int flags);

/* verify.c: `report` gets a JSON object (malloc). */
MUST_USE result_t verify_file(const char *path, text_t tenant, bool fold, char **report);

/* --- append.c --- */

result_t journal_append(journal_tenant_t *tenant, const journal_batch_t *batch,
                        journal_batch_done_t *done, void *context);
result_t journal_clean(journal_tenant_t *tenant, int64_t before_ms, journal_batch_done_t *done,
                       void *context);
/* batch.c, store: applies one batch inside a transaction. FENCED leaves the transaction usable,
 * other errors do not. */
MUST_USE result_t batch_apply(connection_t *writer, const journal_batch_t *batch);
bool batch_writes(const journal_batch_t *batch);

/* --- load.c, due.c, events.c, list.c, heads.c --- */

result_t journal_load(journal_tenant_t *tenant, const journal_load_t *load,
                      journal_loaded_done_t *done, void *context);
/* --- notes.c --- */

result_t note_write(connection_t *writer, const journal_note_t *note);
result_t note_read(connection_t *reader, text_t key, store_memory_t *memory, bool *is_found,
                   text_t *body);
result_t journal_read_notes(journal_tenant_t *tenant, text_t after, uint32_t limit,
                            journal_notes_done_t *done, void *context);

result_t journal_due(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                     journal_due_done_t *done, void *context);
result_t journal_reminders(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                           journal_reminders_done_t *done, void *context);
result_t journal_list_cards(journal_tenant_t *tenant, const card_list_t *filter, int64_t now_ms,
                            uint32_t limit, journal_cards_done_t *done, void *context);
result_t journal_read_history(journal_tenant_t *tenant, const uuid_t *card, text_t cursor,
                              uint32_t limit, journal_events_done_t *done, void *context);
result_t journal_read_events(journal_tenant_t *tenant, uint32_t partition, uint64_t after,
                             uint32_t limit, journal_events_done_t *done, void *context);
result_t journal_read_heads(journal_tenant_t *tenant, journal_heads_done_t *done, void *context);
result_t journal_read_archived_sums(journal_tenant_t *tenant, uint64_t after, uint32_t limit,
                                    journal_archived_sums_done_t *done, void *context);
result_t journal_read_member_keys(journal_tenant_t *tenant, const text_t *member_ids, size_t count,
                                  journal_member_keys_done_t *done, void *context);

/* Store. Fills `event` from a row of statement event_get or event_after; texts go to `memory`.
 * STORE_CORRUPT when the row cannot be one that we wrote. `previous` gets event.id of the event
 * before, 0 when there is none. */
MUST_USE result_t event_from_row(const journal_tenant_t *tenant, connection_t *connection,
                                 sqlite3_stmt *row, store_memory_t *memory, event_t *event,
                                 int64_t *previous);
/* Where the events of a card end. */
typedef struct card_head {
    bool found;
    int64_t last_event; /* event.id */
    uint64_t card_sequence;
} card_head_t;
MUST_USE result_t card_head_read(connection_t *connection, const uuid_t *card, card_head_t *head);
typedef struct event_tail {
    const event_t *events;
    size_t count;
} event_tail_t;
/* Events of a card after `after_sequence` up to its head, oldest first. */
MUST_USE result_t event_tail_read(journal_tenant_t *tenant, const uuid_t *card,
                                  const card_head_t *head, uint64_t after_sequence,
                                  store_memory_t *memory, event_tail_t *tail);
MUST_USE result_t member_key_read(connection_t *connection, text_t member_id,
                                  store_memory_t *memory, text_t *sealed_key);

#endif
