/* The connection to the control database. It blocks, within bounds: the port's calls are rare and
 * small, and a server that says nothing is given up, because callers have loops to run. Must not
 * know what the tables mean. */
#include "adapters/control_postgres/control_postgres_internal.h"
#include "adapters/shared_postgres/notices.h"
#include "adapters/shared_postgres/socket_wait.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { PIPELINE_MAX = 64 }; /* statements: less than the kernel's buffers take */

static result_t database_error(control_postgres_t *control, const PGresult *rows,
                               const char *action)
{
    const char *const sqlstate = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    if (detail == NULL) {
        detail =
            control->connection == NULL ? "no answer in time" : PQerrorMessage(control->connection);
    }
    if (control->options.failures != NULL) {
        metric_add(control->options.failures, 1);
    }
    const uint64_t now_ms = clock_monotonic_ms();
    if (control->logged_ms == 0 || now_ms - control->logged_ms >= LIMIT_STORE_LOG_INTERVAL_MS) {
        control->logged_ms = now_ms;
        log_error(
            "PostgreSQL refuses a statement on the control database", LOG_STRING("action", action),
            LOG_STRING("sqlstate", sqlstate == NULL ? "" : sqlstate), LOG_STRING("detail", detail));
    }
    if (sqlstate != NULL && strcmp(sqlstate, "53100") == 0) {
        return RESULT_STORE_FULL;
    }
    if (sqlstate != NULL && strcmp(sqlstate, "42501") == 0) {
        return RESULT_PERMISSION_DENIED;
    }
    return RESULT_STORE_UNAVAILABLE;
}

/* --- The server may say nothing at all: no wait is without its end --- */

/* False: nobody knows where the server is, nor did before. */
static bool addresses_find(control_postgres_t *control, postgres_addresses_t *addresses)
{
    if (control->hosts == NULL) {
        control->hosts = postgres_hosts_of_url(control->url);
        assert(control->hosts != NULL); /* the URL was looked at before */
    }
    postgres_hosts_begin(control->hosts);
    (void)postgres_hosts_wait(control->hosts); /* what is known by then */
    return postgres_hosts_addresses(control->hosts, addresses);
}

static bool connection_make(control_postgres_t *control, const postgres_addresses_t *addresses)
{
    const char *const keywords[] = {
        "dbname", "fallback_application_name", "options", "host", "hostaddr", "port", NULL};
    const char *const values[] = {control->url,
                                  "digitalcard-control",
                                  "-c statement_timeout=8000 -c lock_timeout=4000 "
                                  "-c client_min_messages=warning -c synchronous_commit=on",
                                  addresses->host,
                                  addresses->hostaddr,
                                  addresses->port,
                                  NULL};
    const uint64_t deadline_ms = clock_monotonic_ms() + LIMIT_POSTGRES_CONTROL_CONNECT_MS;
    control->connection = PQconnectStartParams(keywords, values, 1);
    notices_to_log(control->connection);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (control->connection != NULL && PQstatus(control->connection) != CONNECTION_BAD &&
           (status == PGRES_POLLING_WRITING || status == PGRES_POLLING_READING)) {
        if (!socket_wait(control->connection, status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                         deadline_ms)) {
            return false;
        }
        status = PQconnectPoll(control->connection);
    }
    return control->connection != NULL && status == PGRES_POLLING_OK;
}

void control_disconnect(control_postgres_t *control)
{
    if (control->connection != NULL) {
        PQfinish(control->connection);
        control->connection = NULL;
    }
}

/* A server that is away is asked again in a moment, not with each call. */
static void connection_rest(control_postgres_t *control)
{
    control->retry_ms = clock_monotonic_ms() + LIMIT_POSTGRES_CONTROL_RETRY_MS;
}

result_t database_ready(control_postgres_t *control)
{
    if (control->connection != NULL && PQstatus(control->connection) == CONNECTION_OK) {
        return RESULT_OK;
    }
    if (clock_monotonic_ms() < control->retry_ms) {
        return RESULT_STORE_UNAVAILABLE;
    }
    control_disconnect(control);
    postgres_addresses_t addresses;
    const bool is_known = addresses_find(control, &addresses);
    if (is_known && connection_make(control, &addresses)) {
        return RESULT_OK;
    }
    connection_rest(control);
    if (!is_known) {
        return database_error(control, NULL, "look up the name of the server");
    }
    const bool is_silent =
        control->connection != NULL && PQstatus(control->connection) != CONNECTION_BAD;
    return database_error(control, NULL, is_silent ? "connect: no answer" : "connect");
}

/* NULL: no answer in time; the connection is given up then. Else the last result, as PQexec. */
static PGresult *answer_wait(control_postgres_t *control, uint64_t patience_ms)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + patience_ms;
    PGresult *last = NULL;
    for (;;) { /* bounded by the deadline and the statements sent */
        while (PQisBusy(control->connection) != 0) {
            if (!socket_wait(control->connection, POLLIN, deadline_ms)) {
                PQclear(last);
                control_disconnect(control);
                connection_rest(control);
                return NULL;
            }
            if (PQconsumeInput(control->connection) != 1) {
                break; /* PQgetResult says so */
            }
        }
        PGresult *const next = PQgetResult(control->connection);
        if (next == NULL) {
            return last;
        }
        PQclear(last);
        last = next;
    }
}

value_t value_integer(int64_t number)
{
    value_t value = {.size = 8, .is_number = true};
    for (int i = 0; i < 8; i++) {
        value.number[i] = (char)((uint64_t)number >> (56 - 8 * i));
    }
    return value;
}

value_t value_bytes(text_t bytes)
{
    assert(bytes.size <= INT32_MAX);
    return (value_t){.data = bytes.data == NULL ? "" : bytes.data, .size = (int)bytes.size};
}

static bool values_send(control_postgres_t *control, const char *sql, const value_t *values,
                        int count)
{
    const char *data[VALUES_MAX];
    int sizes[VALUES_MAX];
    int formats[VALUES_MAX];
    assert(count <= VALUES_MAX);
    for (int i = 0; i < count; i++) {
        data[i] = values[i].is_number ? values[i].number : values[i].data;
        sizes[i] = values[i].size;
        formats[i] = 1;
    }
    return PQsendQueryParams(control->connection, sql, count, NULL, data, sizes, formats, 1) == 1;
}

static PGresult *query_send(control_postgres_t *control, const char *sql, const value_t *values,
                            int count)
{
    return values_send(control, sql, values, count)
               ? answer_wait(control, LIMIT_POSTGRES_CONTROL_ANSWER_MS)
               : NULL;
}

static bool is_good(const PGresult *rows)
{
    const ExecStatusType status = PQresultStatus(rows);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

result_t database_query(control_postgres_t *control, const char *sql, const value_t *values,
                        int count, PGresult **rows)
{
    result_t result = database_ready(control);
    if (result != RESULT_OK) {
        return result;
    }
    const bool may_repeat = PQtransactionStatus(control->connection) == PQTRANS_IDLE;
    PGresult *answer = query_send(control, sql, values, count);
    if (!is_good(answer) && control->connection != NULL &&
        PQstatus(control->connection) == CONNECTION_BAD && may_repeat) {
        PQclear(answer);
        result = database_ready(control);
        if (result != RESULT_OK) {
            return result;
        }
        answer = query_send(control, sql, values, count);
    }
    if (!is_good(answer)) {
        result = database_error(control, answer, "query");
        PQclear(answer);
        return result;
    }
    if (rows == NULL) {
        PQclear(answer);
    } else {
        *rows = answer;
    }
    return RESULT_OK;
}

/* Answers of a pipeline up to its end. */
static result_t pipeline_finish(control_postgres_t *control, size_t count)
{
    result_t result = PQpipelineSync(control->connection) == 1 ? RESULT_OK : RESULT_INTERNAL;
    for (size_t i = 0; i < count + 1 && control->connection != NULL; i++) { /* and its end */
        PGresult *const rows = answer_wait(control, LIMIT_POSTGRES_CONTROL_ANSWER_MS);
        if (PQresultStatus(rows) != PGRES_PIPELINE_SYNC && !is_good(rows) && result == RESULT_OK) {
            result = database_error(control, rows, "query");
        }
        PQclear(rows);
    }
    if (control->connection == NULL || PQexitPipelineMode(control->connection) != 1) {
        control_disconnect(control);
        return result == RESULT_OK ? RESULT_STORE_UNAVAILABLE : result;
    }
    return result;
}

result_t database_query_each(control_postgres_t *control, const char *sql, value_fill_t *fill,
                             const void *context, size_t count, int value_count)
{
    result_t result = RESULT_OK;
    for (size_t begin = 0; begin < count && result == RESULT_OK; begin += PIPELINE_MAX) {
        const size_t end = begin + PIPELINE_MAX < count ? begin + PIPELINE_MAX : count;
        if (control->connection == NULL || PQenterPipelineMode(control->connection) != 1) {
            return RESULT_STORE_UNAVAILABLE;
        }
        size_t sent = 0;
        bool is_sent = true;
        for (size_t i = begin; i < end && is_sent; i++) {
            value_t values[VALUES_MAX];
            fill(context, i, values);
            is_sent = values_send(control, sql, values, value_count);
            sent += is_sent ? 1 : 0;
        }
        result = pipeline_finish(control, sent);
        if (!is_sent && result == RESULT_OK) {
            result = RESULT_STORE_UNAVAILABLE;
        }
    }
    return result;
}

result_t database_execute(control_postgres_t *control, const char *sql)
{
    if (control->connection == NULL) {
        return RESULT_STORE_UNAVAILABLE;
    }
    PGresult *const rows =
        PQsendQuery(control->connection, sql) == 1
            ? answer_wait(control, control->is_migrating ? LIMIT_POSTGRES_CONTROL_MIGRATE_MS
                                                         : LIMIT_POSTGRES_CONTROL_EXECUTE_MS)
            : NULL;
    const result_t result = is_good(rows) ? RESULT_OK : database_error(control, rows, "execute");
    PQclear(rows);
    return result;
}

/* The row of the version is the lock of all changes. */
result_t transaction_begin(control_postgres_t *control)
{
    PGresult *rows = NULL;
    result_t result = database_query(control, "SELECT 1", NULL, 0, &rows); /* a live connection */
    PQclear(rows);
    if (result == RESULT_OK) {
        result = database_execute(control, "BEGIN");
    }
    if (result == RESULT_OK) {
        result = database_execute(control, "UPDATE control SET version = version + 1 WHERE id = 1");
    }
    if (result != RESULT_OK) {
        return transaction_end(control, result);
    }
    return RESULT_OK;
}

result_t transaction_end(control_postgres_t *control, result_t result)
{
    if (result == RESULT_OK) {
        return database_execute(control, "COMMIT");
    }
    if (control->connection != NULL && PQtransactionStatus(control->connection) != PQTRANS_IDLE &&
        database_execute(control, "ROLLBACK") != RESULT_OK) {
        control_disconnect(control);
    }
    return result;
}
