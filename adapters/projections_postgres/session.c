/* One connection to the database of a tenant: how it is made, its prepared statements, and what its
 * errors mean. Runs on store threads and blocks them, within bounds. Knows nothing of jobs. Nothing
 * here ends the process: what is stored is derived. */
#include "adapters/projections_postgres/projections_postgres_internal.h"
#include "adapters/shared_postgres/notices.h"
#include "adapters/shared_postgres/socket_wait.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const statement_texts[FOLD_STATEMENT_COUNT] = {
#define STATEMENT(name, sql) [FOLD_##name] = sql,
#include "adapters/projections_postgres/statements.def"
#undef STATEMENT
};

const char *fold_schema(projections_slot_t slot)
{
    return slot == PROJECTIONS_LIVE ? "read_model" : "read_model_next";
}

void fold_session_close(fold_session_t *session)
{
    if (session->connection != NULL) {
        PQfinish(session->connection);
        session->connection = NULL;
    }
    memset(session->is_prepared, 0, sizeof session->is_prepared);
}

/* --- Errors --- */

/* Missing tables, rows that contradict each other, damaged pages. */
static bool is_damage(const char *sqlstate)
{
    return (strncmp(sqlstate, "42", 2) == 0 && strcmp(sqlstate, "42501") != 0) ||
           strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
           strcmp(sqlstate, "3F000") == 0 || strncmp(sqlstate, "XX00", 4) == 0;
}

static result_t session_error(fold_session_t *session, const PGresult *rows, const char *action)
{
    const char *sqlstate = rows == NULL ? NULL : PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *detail = rows == NULL ? NULL : PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    sqlstate = sqlstate == NULL ? "" : sqlstate;
    if (detail == NULL) {
        detail = session->connection == NULL ? "" : PQerrorMessage(session->connection);
    }
    result_t result = RESULT_STORE_UNAVAILABLE;
    if (is_damage(sqlstate)) {
        log_error("read models are damaged; they are made anew from the journal",
                  LOG_STRING("action", action), LOG_STRING("sqlstate", sqlstate),
                  LOG_STRING("detail", detail));
        result = RESULT_STORE_CORRUPT;
    } else {
        /* Said once in a while by whoever tries again (actors/relay/relay_models.c). */
        log_debug("read models cannot be used now", LOG_STRING("action", action),
                  LOG_STRING("sqlstate", sqlstate), LOG_STRING("detail", detail));
        result = strcmp(sqlstate, "53100") == 0 ? RESULT_STORE_FULL : RESULT_STORE_UNAVAILABLE;
    }
    fold_session_close(session);
    return result;
}

/* --- Waiting --- */

/* NULL: no answer in time, or none at all. Else the last result, or the first that went wrong. */
static PGresult *answer_wait(PGconn *connection)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + LIMIT_POSTGRES_ANSWER_MS;
    PGresult *last = NULL;
    for (;;) { /* bounded by the deadline and the statements sent */
        const int left = PQflush(connection);
        const bool is_busy = PQisBusy(connection) == 1;
        if (left < 0) {
            return last;
        }
        if (left == 1 || is_busy) {
            if (!socket_wait(connection, (short)(left == 1 ? POLLIN | POLLOUT : POLLIN),
                             deadline_ms)) {
                PQclear(last);
                return NULL;
            }
            if (PQconsumeInput(connection) == 1) {
                continue;
            }
        }
        PGresult *const next = PQgetResult(connection);
        if (next == NULL) {
            return last;
        }
        if (last == NULL || PQresultStatus(last) != PGRES_FATAL_ERROR) {
            PQclear(last);
            last = next;
        } else {
            PQclear(next);
        }
    }
}

static bool is_good(const PGresult *rows)
{
    const ExecStatusType status = rows == NULL ? PGRES_FATAL_ERROR : PQresultStatus(rows);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* --- Connecting --- */

result_t fold_server_init(fold_server_t *server, const char *url)
{
    *server = (fold_server_t){.hosts = postgres_hosts_of_url(url)};
    if (server->hosts == NULL) {
        return RESULT_INVALID_ARGUMENT;
    }
    server->url = strdup(url);
    assert(server->url != NULL);
    return RESULT_OK;
}

void fold_server_deinit(fold_server_t *server)
{
    if (server->url != NULL) {
        postgres_hosts_destroy(&server->hosts);
        explicit_bzero(server->url, strlen(server->url));
        free(server->url);
        server->url = NULL;
    }
}

static bool connection_make(fold_session_t *session)
{
    PGconn *const connection = session->connection;
    const uint64_t deadline_ms = clock_monotonic_ms() + LIMIT_POSTGRES_CONNECT_MS;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (connection != NULL && PQstatus(connection) != CONNECTION_BAD &&
           (status == PGRES_POLLING_WRITING || status == PGRES_POLLING_READING)) {
        if (!socket_wait(connection, status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                         deadline_ms)) {
            return false;
        }
        status = PQconnectPoll(connection);
    }
    return connection != NULL && status == PGRES_POLLING_OK && PQsetnonblocking(connection, 1) == 0;
}

/* Plans are made once per connection, when tables may still be empty: each statement has its index,
 * and neither a scan of a whole table nor a join of whole tables is ever the better way. */
result_t fold_session_connect(fold_session_t *session, const fold_server_t *server,
                              const projections_postgres_place_t *place, projections_slot_t slot)
{
    char options[512];
    (void)snprintf(options, sizeof options,
                   "-c search_path=%s -c synchronous_commit=off -c plan_cache_mode="
                   "force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off "
                   "-c enable_mergejoin=off -c jit=off -c client_min_messages=warning "
                   "-c idle_in_transaction_session_timeout=10000 -c lock_timeout=4000 "
                   "-c statement_timeout=%d",
                   fold_schema(slot), LIMIT_POSTGRES_STATEMENT_MS);
    postgres_addresses_t addresses;
    postgres_hosts_begin(server->hosts);
    (void)postgres_hosts_wait(server->hosts); /* what is known by then */
    if (!postgres_hosts_addresses(server->hosts, &addresses)) {
        return session_error(session, NULL, "look up the name of the server");
    }
    const char *const keywords[] = {
        "dbname", "dbname",   "user", "password", "options", "fallback_application_name",
        "host",   "hostaddr", "port", NULL};
    const char *const values[] = {
        server->url,        place->database, place->role,        place->password, options,
        "digitalcard-read", addresses.host,  addresses.hostaddr, addresses.port,  NULL};
    session->connection = PQconnectStartParams(keywords, values, 1); /* what comes later counts */
    notices_to_log(session->connection);
    return connection_make(session) ? RESULT_OK : session_error(session, NULL, "connect");
}

/* --- Statements --- */

static result_t prepare(fold_session_t *session, fold_statement_t which, const char *name)
{
    if (session->is_prepared[which]) {
        return RESULT_OK;
    }
    const bool is_sent =
        PQsendPrepare(session->connection, name, statement_texts[which], 0, NULL) == 1;
    PGresult *const rows = is_sent ? answer_wait(session->connection) : NULL;
    result_t result = RESULT_OK;
    if (is_good(rows)) {
        session->is_prepared[which] = true;
    } else {
        result = session_error(session, rows, statement_texts[which]);
    }
    PQclear(rows);
    return result;
}

static result_t statement_run(fold_session_t *session, fold_statement_t which, parameters_t *values,
                              PGresult **rows)
{
    *rows = NULL;
    if (session->connection == NULL) {
        return RESULT_STORE_UNAVAILABLE;
    }
    char name[16];
    (void)snprintf(name, sizeof name, "f%u", (unsigned)which);
    const result_t result = prepare(session, which, name);
    if (result != RESULT_OK) {
        return result;
    }
    parameters_finish(values);
    const bool is_sent =
        PQsendQueryPrepared(session->connection, name, values->count, values->values,
                            values->lengths, values->formats, 1) == 1;
    PGresult *const answer = is_sent ? answer_wait(session->connection) : NULL;
    if (is_good(answer)) {
        *rows = answer;
        return RESULT_OK;
    }
    const result_t error = session_error(session, answer, statement_texts[which]);
    PQclear(answer);
    return error;
}

result_t fold_run(fold_session_t *session, fold_statement_t which, parameters_t *values,
                  PGresult **rows)
{
    parameters_t none = {0};
    PGresult *answer = NULL;
    const result_t result = statement_run(session, which, values == NULL ? &none : values, &answer);
    parameters_release(values == NULL ? &none : values);
    if (rows == NULL) {
        PQclear(answer);
    } else {
        *rows = answer;
    }
    return result;
}

result_t fold_change(fold_session_t *session, fold_statement_t which, parameters_t *values,
                     uint64_t *changed)
{
    PGresult *rows = NULL;
    const result_t result = fold_run(session, which, values, &rows);
    *changed = result == RESULT_OK ? strtoull(PQcmdTuples(rows), NULL, 10) : 0;
    PQclear(rows);
    return result;
}

result_t fold_execute(fold_session_t *session, const char *sql)
{
    if (session->connection == NULL) {
        return RESULT_STORE_UNAVAILABLE;
    }
    const bool is_sent = PQsendQuery(session->connection, sql) == 1;
    PGresult *const rows = is_sent ? answer_wait(session->connection) : NULL;
    const result_t result = is_good(rows) ? RESULT_OK : session_error(session, rows, sql);
    PQclear(rows);
    return result;
}
