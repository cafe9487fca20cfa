/* The read models of a tenant as they are, row by row, for `store verify`: in one snapshot, beside
 * a running relay. Blocks. */
#include "adapters/projections_postgres/projections_postgres_internal.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 8 };

static const struct {
    const char *sql;
    const char *kinds;
} tables[PROJECTION_TABLES] = {
    [PROJECTION_TABLE_cursor] = {"SELECT partition, sequence, event_id, occurred_at FROM cursor",
                                 "iibi"},
    [PROJECTION_TABLE_card] = {"SELECT id, issued_at, issue_event, member_id, tier, status, "
                               "expires_at, body FROM card",
                               "biibbiib"},
    [PROJECTION_TABLE_word] = {"SELECT word, issued_at, issue_event FROM word", "iii"},
    [PROJECTION_TABLE_counter] = {"SELECT series, grain, start, kind, gate, count FROM counter",
                                  "iiiibi"},
};

static result_t execute(PGconn *connection, const char *sql)
{
    PGresult *const rows = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(rows);
    const bool is_good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    PQclear(rows);
    return is_good ? RESULT_OK : RESULT_STORE_UNAVAILABLE;
}

static result_t row_visit(const PGresult *rows, int row, projection_table_t table,
                          projection_row_visit_t *visit, void *context)
{
    store_value_t values[COLUMNS_MAX];
    const char *const kinds = tables[table].kinds;
    const uint32_t count = (uint32_t)strlen(kinds);
    for (uint32_t i = 0; i < count; i++) {
        values[i] =
            (store_value_t){.is_null = field_is_null(rows, row, (int)i),
                            .number = kinds[i] == 'i' ? field_integer(rows, row, (int)i) : 0,
                            .bytes = field_bytes(rows, row, (int)i)};
    }
    return visit(context, table, values, count);
}

static result_t table_export(PGconn *connection, projection_table_t table,
                             projection_row_visit_t *visit, void *context)
{
    char sql[256];
    int count = 1;
    (void)snprintf(sql, sizeof sql, "DECLARE slices NO SCROLL CURSOR FOR %s", tables[table].sql);
    result_t result = execute(connection, sql);
    (void)snprintf(sql, sizeof sql, "FETCH %d FROM slices", LIMIT_ARCHIVE_SLICE_ROWS);
    while (result == RESULT_OK && count > 0) { /* bounded by the rows of the table */
        PGresult *const rows = PQexecParams(connection, sql, 0, NULL, NULL, NULL, NULL, 1);
        count = PQntuples(rows);
        result = PQresultStatus(rows) == PGRES_TUPLES_OK ? RESULT_OK : RESULT_STORE_UNAVAILABLE;
        for (int row = 0; result == RESULT_OK && row < count; row++) {
            result = row_visit(rows, row, table, visit, context);
        }
        PQclear(rows);
    }
    return result == RESULT_OK ? execute(connection, "CLOSE slices") : result;
}

/* Which schema there is, if any, and of which format. */
static result_t format_check(PGconn *connection)
{
    char sql[160];
    PGresult *rows = PQexec(connection, "SELECT to_regclass('read_model.meta') IS NOT NULL");
    bool is_there = PQntuples(rows) == 1 && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    if (is_there) {
        (void)snprintf(sql, sizeof sql, "SELECT FROM read_model.meta WHERE format = %zu",
                       projections_postgres_migrations_count);
        rows = PQexec(connection, sql);
        is_there = PQntuples(rows) == 1;
        PQclear(rows);
    }
    return is_there ? execute(connection, "SET LOCAL search_path = read_model") : RESULT_MISSING;
}

result_t projections_postgres_export(const char *url, const projections_postgres_place_t *place,
                                     projection_row_visit_t *visit, void *context)
{
    fold_session_t session = {0};
    fold_server_t server;
    result_t result = fold_server_init(&server, url);
    if (result == RESULT_OK) {
        result = fold_session_connect(&session, &server, place, PROJECTIONS_LIVE);
    }
    if (result == RESULT_OK) {
        result = execute(session.connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                                             "SET LOCAL statement_timeout = 0");
    }
    if (result == RESULT_OK) {
        result = format_check(session.connection);
    }
    for (int table = 0; result == RESULT_OK && table < PROJECTION_TABLES; table++) {
        result = table_export(session.connection, (projection_table_t)table, visit, context);
    }
    fold_session_close(&session);
    fold_server_deinit(&server);
    return result;
}
