/* The insides of adapters/journal_postgres, for its own files and tests. Everything runs on the
 * loop's thread.
 *
 * A tenant has two lanes, one that writes and one that reads, so that a cold load does not wait for
 * a commit; when connections are short, the one that writes does both. A lane is a queue of
 * commands and, while it has something to do, a connection out of the role's bounded number. A
 * command is some statements and what becomes of their results. */
#ifndef ADAPTERS_JOURNAL_POSTGRES_JOURNAL_POSTGRES_INTERNAL_H
#define ADAPTERS_JOURNAL_POSTGRES_JOURNAL_POSTGRES_INTERNAL_H

#include "actors/domain/card_id.h"
#include "actors/page_cursor.h"
#include "adapters/journal_postgres/card_tails.h"
#include "adapters/journal_postgres/journal_postgres.h"
#include "adapters/shared_postgres/fields.h"
#include "adapters/shared_postgres/hosts.h"
#include "adapters/shared_postgres/parameters.h"
#include "messages/arena.h"
#include <libpq-fe.h>
#include <uv.h>

enum {
    JOURNAL_SEQUENCE_BITS = 56, /* event.id = partition << 56 | sequence */
    COMMAND_STATEMENTS_MAX = 8, /* of one command */
    MONTHS_KNOWN = 4,           /* this month's, the next one's, and two of a clock that jumps */
    MONTH_TABLE_NAME_SIZE = 32,
};
#define JOURNAL_SEQUENCE_MAX ((INT64_C(1) << JOURNAL_SEQUENCE_BITS) - 1)

typedef enum statement {
#define STATEMENT(name, sql) STATEMENT_##name,
#include "adapters/journal_postgres/statements.def"
#undef STATEMENT
    STATEMENT_FIXED,
    /* One per combination of what a batch may bring (append.c). */
    STATEMENT_COMBINATIONS = 128,
    STATEMENT_COUNT = STATEMENT_FIXED + STATEMENT_COMBINATIONS,
} statement_t;

typedef struct journal_postgres journal_postgres_t;
typedef struct lane lane_t;
typedef struct command command_t;

/* --- lane.c: commands, their order, and the connection under them --- */

typedef enum command_kind {
    COMMAND_READ,   /* fails with its connection */
    COMMAND_WRITE,  /* so does this one; a whole transaction by itself */
    COMMAND_APPEND, /* shares a transaction with others; its outcome is looked up when it is lost */
    COMMAND_PREPARE,
} command_kind_t;

/* First member of every command. Freed after `finish`, with its results and memory. */
struct command {
    command_t *next;
    lane_t *lane;
    command_kind_t kind;
    /* Which statements `send` will use; prepared before. */
    statement_t statements[COMMAND_STATEMENTS_MAX];
    uint32_t statement_count;
    /* Sends its statements, without what ends the transaction. False: the connection is broken. */
    bool (*send)(command_t *command, lane_t *lane);
    /* All results are in, in order of statements, or `result` says what went wrong. Calls back.
     * True: the command goes into the queue once more, at its front. */
    bool (*finish)(command_t *command);
    result_t result;
    PGresult *results[COMMAND_STATEMENTS_MAX];
    uint32_t result_count;
    bool ends_transaction; /* the last of those that were sent together */
    bool is_alone;         /* tried together with others before, which failed */
    bool is_lost;          /* sent, and the connection was lost before the answer */
    size_t events;         /* of an append */
    void *memory;          /* free() */
    void *kept;            /* the same, for results of a round before this one */
    uint64_t submitted_us;
    uint64_t sent_ms;
};

typedef enum lane_state {
    LANE_IDLE,       /* no connection, and nothing to do */
    LANE_WAITING,    /* for one of the role's connections */
    LANE_CONNECTING, /* also: preparing the session */
    LANE_READY,
    LANE_RESTING, /* could not connect, and has to: tries again in a moment */
} lane_state_t;

struct lane {
    journal_tenant_t *tenant;
    bool is_writer;
    lane_state_t state;
    PGconn *connection; /* NULL: none */
    uv_poll_t *poll;    /* on the connection's socket; freed by its close callback */
    int poll_events;
    bool is_broken;     /* the connection is of no use any more: dealt with by the timer */
    result_t broken_by; /* why; RESULT_OK: it just went */
    bool is_told;       /* why it is broken was told */
    bool is_looking;    /* connecting, and the server's name is still being looked up */
    bool is_pumping;
    bool is_beginning; /* it has a connection that does not stand yet */
    bool is_session_begun;
    loop_timer_t *timer;
    bool is_preparing[STATEMENT_COUNT]; /* asked for in this session, whatever came of it */
    bool is_prepared[STATEMENT_COUNT];

    command_t *queue_first; /* not sent */
    command_t *queue_last;
    uint32_t queue_count;
    uint32_t appends_waiting; /* of them */
    command_t *flight_first;  /* sent, in order of their answers */
    command_t *flight_last;
    uint32_t flight_count;
    uint32_t writes_in_flight; /* of them */

    uint64_t state_since_ms;
    uint64_t turn_ms; /* when its turn with the connection began; 0: it has sent nothing yet */
    uint64_t used_ms; /* when it last did anything with it */
    uint64_t heat;    /* how much it was used lately, as of heated_ms (pool.c) */
    uint64_t heated_ms;
    uint64_t lost_ms; /* when commits became unknown; 0: none is */
    lane_t *waiting_next;
    lane_t *holding_next; /* list of lanes with a connection */
    lane_t *holding_previous;
};

/* The lane of the tenant that a read is submitted to. */
lane_t *lane_for_reads(journal_tenant_t *tenant);
void lane_init(lane_t *lane, journal_tenant_t *tenant, bool is_writer);
void lane_deinit(lane_t *lane); /* nothing queued or in flight */
/* `size` bytes, zeroed. */
void *command_create(lane_t *lane, size_t size, command_kind_t kind,
                     bool (*send)(command_t *, lane_t *), bool (*finish)(command_t *));
void command_uses(command_t *command, statement_t statement);
/* BUSY: the queue is full; the command is freed. */
MUST_USE result_t lane_submit(command_t *command);
/* `send` of a command calls this once per statement, with the journal's parameters filled. */
MUST_USE bool lane_send(lane_t *lane, statement_t which);
parameters_t *lane_parameters(lane_t *lane); /* emptied */
bool lane_is_idle(const lane_t *lane);       /* neither queue nor flight */
void lane_polled(lane_t *lane);              /* its socket has something to say */
/* Ends whatever is left without asking the server. */
void lane_abandon(lane_t *lane);

/* --- pool.c: the role's connections, and who gets one --- */

/* Whether there are enough connections for a tenant to have two. */
bool pool_is_roomy(const journal_postgres_t *journal);
/* It does something with its connection. */
void pool_used(lane_t *lane, uint64_t now_ms);
/* True: the lane may connect now. False: it waits for its turn, and lane_granted is called. */
bool pool_take(lane_t *lane);
void pool_give(lane_t *lane);   /* its connection is closed */
void pool_cancel(lane_t *lane); /* it waits no longer */
/* Whether the lane should give its connection up when its flight is over: others wait. */
bool pool_wants_back(const lane_t *lane);
void pool_begun(lane_t *lane); /* its connection stands */
void pool_idle(lane_t *lane);  /* it has a connection and nothing to do: somebody may need it */
bool pool_is_first(const lane_t *lane); /* of those that wait */
void pool_claim(lane_t *lane); /* it waits: what is idle may be idle for long enough by now */
void lane_granted(lane_t *lane);
void lane_close_connection(lane_t *lane); /* an idle one's; gives it back to the pool */

/* --- connection.c: libpq and the loop --- */

typedef enum connection_progress {
    CONNECTION_GOES_ON,
    CONNECTION_STANDS,
    CONNECTION_FAILED,
} connection_progress_t;
/* Looks the server's names up, and begins to connect when they are known. GOES_ON: they are not
 * yet, call session_look in a moment. STANDS: it has begun. */
MUST_USE connection_progress_t session_start(lane_t *lane);
MUST_USE connection_progress_t session_look(lane_t *lane);
MUST_USE connection_progress_t session_continue(lane_t *lane);
void session_close(lane_t *lane);
/* Waits for what the connection needs: reading always, writing when `wants_write`. */
MUST_USE bool session_watch(lane_t *lane, int events);
/* --- troubles.c --- */

typedef enum trouble {
#define TROUBLE(name, label, result, message) TROUBLE_##name,
#define SQLSTATE(code, name)
#include "adapters/journal_postgres/troubles.def"
#undef SQLSTATE
#undef TROUBLE
    TROUBLE_COUNT,
} trouble_t;

typedef struct journal_trouble {
    metric_t *count;
    uint64_t logged_ms;
    uint64_t unlogged; /* since the last line */
} journal_trouble_t;

void troubles_register(journal_postgres_t *journal, metrics_t *metrics);
trouble_t trouble_of(const char *sqlstate); /* may be NULL */
/* Why a connection did not come about. */
trouble_t trouble_of_connecting(const PGconn *connection);
result_t trouble_result(trouble_t kind);
/* Counts it, and logs at most one line per LIMIT_STORE_LOG_INTERVAL_MS and kind. */
void trouble_tell(lane_t *lane, trouble_t kind, const char *sqlstate, const char *detail);

/* --- journal.c --- */

struct journal_postgres {
    journal_t base;
    loop_t *loop;
    journal_postgres_find_t *find;
    void *find_context;
    PQconninfoOption *url;     /* parsed */
    postgres_hosts_t *hosts;   /* of it */
    journal_tenant_t *tenants; /* open and closing ones */
    uint32_t tenants_open;
    uint32_t openings; /* numbers them */
    card_tails_t *tails;
    uint32_t upgrades; /* threads that take the steps of a schema */
    uint32_t connections_max;
    uint32_t connections;
    uint32_t connections_beginning; /* of them */
    lane_t *holding;                /* lanes with a connection */
    lane_t *waiting_first;
    lane_t *waiting_last;
    parameters_t parameters; /* of the statement that is being sent */
    bool stopping;
    metric_t *commits;
    metric_t *batches;
    metric_t *events;
    metric_t *failures;
    metric_t *lost;
    metric_t *connects;
    metric_t *connections_open;
    metric_t *commit_time;
    metric_t *load_time;
    journal_trouble_t troubles[TROUBLE_COUNT];
};

struct journal_tenant {
    journal_postgres_t *journal;
    journal_tenant_t *next;
    journal_tenant_t *previous;
    uint32_t opening; /* its number */
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    journal_postgres_place_t place;
    bool readonly;
    bool closing;
    bool is_behind;               /* its schema lacks steps */
    int32_t months[MONTHS_KNOWN]; /* have their table, or it was asked for; 0: none */
    uint32_t month_next;          /* which of them is replaced next */
    result_t month_result;        /* of making the last table */
    lane_t writer;
    lane_t reader;
    uint32_t commands; /* submitted and not finished */
};

/* After each command: a closing tenant goes when its last one is done. */
void tenant_settle(journal_tenant_t *tenant);
/* It was deleted, and its name may be another's by now: nothing can be looked up there any more. */
bool tenant_is_gone(const journal_tenant_t *tenant);

/* Keywords and values for libpq: the URL with the tenant's database, role and password, and what
 * its hosts were found to be. `values` borrow from all three. `is_loop`: settings of the session
 * that serves actors. */
enum { CONNECTION_KEYWORDS_MAX = 64 };
typedef struct connection_keywords {
    const char *keywords[CONNECTION_KEYWORDS_MAX];
    const char *values[CONNECTION_KEYWORDS_MAX];
    char options[512];
} connection_keywords_t;
MUST_USE bool connection_keywords_fill(const PQconninfoOption *url,
                                       const postgres_addresses_t *addresses,
                                       const journal_postgres_place_t *place, bool is_loop,
                                       connection_keywords_t *keywords);

/* archive.c: all rows of a table, or those of a SELECT with its columns, within a transaction. */
MUST_USE result_t table_export(PGconn *connection, uint8_t table, const char *selection,
                               store_row_visit_t *visit, void *context);

/* schema.c: what blocks. */
MUST_USE result_t journal_database_open(const char *url, const journal_postgres_place_t *place,
                                        PGconn **connection);
result_t journal_database_error(const PGconn *connection, const PGresult *rows, const char *action);
MUST_USE result_t journal_database_execute(PGconn *connection, const char *sql, const char *action);
/* On a thread. */
MUST_USE result_t schema_upgrade(const PQconninfoOption *url, postgres_hosts_t *hosts,
                                 const journal_postgres_place_t *place,
                                 migration_outcome_t *outcome);

/* Made from migrations/NNNN.sql by cmake/embed.cmake. */
extern const char *const journal_postgres_migrations[];
extern const size_t journal_postgres_migrations_count;

/* --- append.c --- */

result_t postgres_append(journal_tenant_t *tenant, const journal_batch_t *batch,
                         journal_batch_done_t *done, void *context);
result_t postgres_clean(journal_tenant_t *tenant, int64_t before_ms, journal_batch_done_t *done,
                        void *context);
/* From now on the command finds out what became of it. */
void append_becomes_lost(command_t *command);
/* The SQL of a batch's statement, `which` ≥ STATEMENT_FIXED, and the types of its values. */
void append_sql(statement_t which, char *sql, size_t size, const Oid **types, int *type_count);

/* --- months.c --- */

/* The key of the table: -1 is January 1970, -2 February 1970, …; of an event 0 when it stays. */
int32_t month_of_time(int64_t time_ms);
int32_t month_of_event(uint8_t name, int64_t occurred_at);
void month_table_name(int32_t month, char name[MONTH_TABLE_NAME_SIZE]);
/* Before a batch with these events: has the tables made that it is not sure of. */
MUST_USE result_t months_ensure(journal_tenant_t *tenant, const journal_event_t *events,
                                size_t count);
void months_forget(journal_tenant_t *tenant);

/* --- load.c, due.c, notes.c, heads.c, events.c, list.c --- */

result_t postgres_load(journal_tenant_t *tenant, const journal_load_t *load,
                       journal_loaded_done_t *done, void *context);
result_t postgres_due(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                      journal_due_done_t *done, void *context);
result_t postgres_reminders(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                            journal_reminders_done_t *done, void *context);
result_t postgres_read_heads(journal_tenant_t *tenant, journal_heads_done_t *done, void *context);
result_t postgres_read_archived_sums(journal_tenant_t *tenant, uint64_t after, uint32_t limit,
                                     journal_archived_sums_done_t *done, void *context);
result_t postgres_read_member_keys(journal_tenant_t *tenant, const text_t *member_ids, size_t count,
                                   journal_member_keys_done_t *done, void *context);
result_t postgres_list_cards(journal_tenant_t *tenant, const card_list_t *filter, int64_t now_ms,
                             uint32_t limit, journal_cards_done_t *done, void *context);
result_t postgres_read_history(journal_tenant_t *tenant, const uuid_t *card, text_t cursor,
                               uint32_t limit, journal_events_done_t *done, void *context);
result_t postgres_read_events(journal_tenant_t *tenant, uint32_t partition, uint64_t after,
                              uint32_t limit, journal_events_done_t *done, void *context);

result_t postgres_read_notes(journal_tenant_t *tenant, text_t after, uint32_t limit,
                             journal_notes_done_t *done, void *context);

/* Room for `count` decoded events and `extra` bytes; becomes the command's memory. */
arena_t *events_arena(command_t *command, size_t count, size_t extra, arena_t *arena);
enum { EVENT_COLUMN_COUNT = 9 };
/* Fills `event` from the columns of a row from `column` on (EVENT_COLUMNS of statements.def).
 * STORE_CORRUPT when the row cannot be one that we wrote. */
MUST_USE result_t event_from_fields(const journal_tenant_t *tenant, const PGresult *rows, int row,
                                    int column, arena_t *arena, event_t *event);
/* Whether it stands behind that number in its card. `has_gaps`: validations were archived. */
bool event_follows(const event_t *event, uint64_t before, bool has_gaps);
result_t row_is_damaged(const journal_tenant_t *tenant, int64_t id, const char *what);

#endif
