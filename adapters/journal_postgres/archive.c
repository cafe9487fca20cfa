/* All rows of a journal out, for a backup, and in again, for a restore. Both block and have a
 * connection of their own. Out: one snapshot of the database, some rows at a time. In: one
 * transaction in a database that has no tenant yet (control_postgres makes it one). */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct table_sql {
    const char *read;
    const char *write;
} table_sql_t;

static const table_sql_t tables[STORE_TABLES_END] = {
#define ARCHIVE(name, read, write) [STORE_TABLE_##name] = {read, write},
#include "adapters/journal_postgres/archive.def"
#undef ARCHIVE
};

enum { INTEGER_SIZE = 8, NAME_SIZE = 16 };

/* --- Out --- */

static void row_fill(const PGresult *rows, int at, uint8_t table, store_row_t *row)
{
    const char *const kinds = store_table_kinds(table);
    *row = (store_row_t){.table = table, .count = (uint32_t)PQnfields(rows)};
    for (uint32_t i = 0; i < row->count; i++) {
        store_value_t *const value = &row->values[i];
        value->is_null = field_is_null(rows, at, (int)i);
        if (value->is_null) {
            continue;
        }
        if (kinds[i] == 'i' || kinds[i] == 'I') {
            value->number = field_integer(rows, at, (int)i);
        } else {
            value->bytes = field_bytes(rows, at, (int)i);
        }
    }
}

/* One slice of the cursor; `*count` is 0 at its end. */
static result_t slice_export(PGconn *connection, uint8_t table, store_row_visit_t *visit,
                             void *context, int *count)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "FETCH %d FROM slices", LIMIT_ARCHIVE_SLICE_ROWS);
    PGresult *const rows = PQexecParams(connection, sql, 0, NULL, NULL, NULL, NULL, 1);
    *count = PQntuples(rows);
    result_t result = PQresultStatus(rows) == PGRES_TUPLES_OK
                          ? RESULT_OK
                          : journal_database_error(connection, rows, "export");
    for (int i = 0; result == RESULT_OK && i < *count; i++) {
        store_row_t row;
        row_fill(rows, i, table, &row);
        result = visit(context, &row);
    }
    PQclear(rows);
    return result;
}

result_t table_export(PGconn *connection, uint8_t table, const char *selection,
                      store_row_visit_t *visit, void *context)
{
    char *sql = NULL;
    int count = 1;
    const int size = asprintf(&sql, "DECLARE slices NO SCROLL CURSOR FOR %s",
                              selection == NULL ? tables[table].read : selection);
    assert(size > 0);
    result_t result = journal_database_execute(connection, sql, "export");
    free(sql);
    while (result == RESULT_OK && count > 0) { /* bounded by the rows of the table */
        result = slice_export(connection, table, visit, context, &count);
    }
    return result == RESULT_OK ? journal_database_execute(connection, "CLOSE slices", "export")
                               : result;
}

result_t journal_postgres_export(const char *url, const journal_postgres_place_t *place,
                                 store_row_visit_t *visit, void *context)
{
    PGconn *connection = NULL;
    result_t result = journal_database_open(url, place, &connection);
    if (result != RESULT_OK) {
        return result;
    }
    result = journal_database_execute(connection,
                                      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                                      "SET LOCAL statement_timeout = 0",
                                      "export");
    for (uint8_t table = 1; result == RESULT_OK && table < STORE_TABLES_END; table++) {
        result = table_export(connection, table, NULL, visit, context);
    }
    PQfinish(connection);
    return result;
}

/* --- In --- */

/* What partitions of an older format did not bring. */
static const char recount_bytes[] =
    "UPDATE partition SET bytes = (SELECT coalesce(sum(length(e.body) + 120), 0) FROM event e "
    "WHERE e.id BETWEEN partition.id << 56 AND partition.id << 56 | 72057594037927935)";
/* An older program counted cards that have ended as well (migrations/0004.sql). */
static const char recount_cards[] =
    "UPDATE partition SET cards = 0; "
    "UPDATE partition SET cards = living.cards FROM (SELECT get_byte(uuid_send(id), 8) & 63 AS "
    "place, count(*) AS cards FROM card WHERE status IN (1, 2, 3) GROUP BY place) AS living "
    "WHERE living.place = partition.id";

struct journal_postgres_import {
    PGconn *connection;
    uint32_t unanswered; /* rows sent since the last sync */
    bool recounts;       /* its partitions came without what they hold */
    bool is_prepared[STORE_TABLES_END];
    int64_t archived_to[LIMIT_PARTITIONS];
    int32_t month; /* whose table was asked for last */
};

result_t journal_postgres_import_begin(const char *url, const journal_postgres_place_t *place,
                                       journal_postgres_import_t **import)
{
    journal_postgres_import_t *begun = calloc(1, sizeof *begun);
    assert(begun != NULL);
    result_t result = journal_database_open(url, place, &begun->connection);
    if (result == RESULT_OK) {
        result = journal_database_execute(begun->connection,
                                          "BEGIN; SET LOCAL statement_timeout = 0", "import");
    }
    if (result == RESULT_OK && PQenterPipelineMode(begun->connection) != 1) {
        result = RESULT_STORE_UNAVAILABLE;
    }
    if (result != RESULT_OK) {
        journal_postgres_import_abandon(&begun);
        return result;
    }
    *import = begun;
    return RESULT_OK;
}

static result_t sent(const journal_postgres_import_t *import, int done)
{
    return done == 1 ? RESULT_OK : journal_database_error(import->connection, NULL, "import");
}

/* Reads the answers of everything that was sent. The first error counts. */
static result_t answers_read(journal_postgres_import_t *import)
{
    PGconn *const connection = import->connection;
    result_t result = sent(import, PQpipelineSync(connection));
    bool is_synced = result != RESULT_OK;
    while (!is_synced) { /* bounded by what was sent: each answer is a result and a NULL */
        PGresult *const rows = PQgetResult(connection);
        const ExecStatusType status = PQresultStatus(rows);
        is_synced = status == PGRES_PIPELINE_SYNC || PQstatus(connection) != CONNECTION_OK;
        if (result == RESULT_OK && rows != NULL && status == PGRES_FATAL_ERROR) {
            result = journal_database_error(connection, rows, "import");
        }
        PQclear(rows);
    }
    import->unanswered = 0;
    return result == RESULT_OK && PQstatus(connection) != CONNECTION_OK ? RESULT_STORE_UNAVAILABLE
                                                                        : result;
}

static void integer_put(int64_t value, uint8_t bytes[INTEGER_SIZE])
{
    for (uint32_t byte = 0; byte < INTEGER_SIZE; byte++) {
        bytes[byte] = (uint8_t)((uint64_t)value >> (56 - 8 * byte));
    }
}

/* A validation that outlived an archive is the last of its card, and stays for good. */
static int32_t import_month(const journal_postgres_import_t *import, const store_row_t *row)
{
    const int64_t id = row->values[0].number;
    const int64_t partition = id >> JOURNAL_SEQUENCE_BITS;
    const bool outlived = partition >= 0 && partition < LIMIT_PARTITIONS &&
                          (id & JOURNAL_SEQUENCE_MAX) <= import->archived_to[partition];
    return outlived ? 0 : month_of_event((uint8_t)row->values[3].number, row->values[5].number);
}

static result_t row_send(const journal_postgres_import_t *import, const char *name,
                         const store_row_t *row)
{
    const char *const kinds = store_table_kinds(row->table);
    const char *values[STORE_COLUMNS_MAX + 1];
    int sizes[STORE_COLUMNS_MAX + 1];
    int formats[STORE_COLUMNS_MAX + 1];
    uint8_t integers[STORE_COLUMNS_MAX + 1][INTEGER_SIZE];
    uint32_t count = row->count;
    for (uint32_t i = 0; i < count; i++) {
        const store_value_t *const value = &row->values[i];
        formats[i] = 1;
        if (value->is_null) {
            values[i] = NULL;
            sizes[i] = 0;
        } else if (kinds[i] == 'i' || kinds[i] == 'I') {
            integer_put(value->number, integers[i]);
            values[i] = (const char *)integers[i];
            sizes[i] = INTEGER_SIZE;
        } else {
            values[i] = value->bytes.size == 0 ? "" : value->bytes.data;
            sizes[i] = (int)value->bytes.size;
        }
    }
    if (row->table == STORE_TABLE_event) {
        integer_put(import_month(import, row), integers[count]);
        values[count] = (const char *)integers[count];
        sizes[count] = INTEGER_SIZE;
        formats[count] = 1;
        count++;
    }
    return sent(import, PQsendQueryPrepared(import->connection, name, (int)count, values, sizes,
                                            formats, 1));
}

static result_t month_ensure(journal_postgres_import_t *import, int32_t month)
{
    uint8_t number[INTEGER_SIZE];
    const char *const values[] = {(const char *)number};
    const int sizes[] = {INTEGER_SIZE};
    const int formats[] = {1};
    if (month == 0 || month == import->month) {
        return RESULT_OK;
    }
    integer_put(month, number);
    import->month = month;
    import->unanswered++;
    return sent(import, PQsendQueryParams(import->connection,
                                          "SELECT event_month_ensure($1::int8::integer)", 1, NULL,
                                          values, sizes, formats, 1));
}

result_t journal_postgres_import_row(journal_postgres_import_t *import, const store_row_t *row)
{
    char name[NAME_SIZE];
    result_t result = RESULT_OK;
    if (row->table == STORE_TABLE_partition) {
        const int64_t id = row->values[0].number;
        import->recounts = import->recounts || row->is_completed;
        if (id >= 0 && id < LIMIT_PARTITIONS) {
            import->archived_to[id] = row->values[5].number;
        }
    } else if (row->table == STORE_TABLE_event) {
        result = month_ensure(import, import_month(import, row));
    }
    (void)snprintf(name, sizeof name, "import_%u", row->table);
    if (result == RESULT_OK && !import->is_prepared[row->table]) {
        import->is_prepared[row->table] = true;
        result = sent(import,
                      PQsendPrepare(import->connection, name, tables[row->table].write, 0, NULL));
    }
    if (result == RESULT_OK) {
        result = row_send(import, name, row);
    }
    import->unanswered++;
    return result == RESULT_OK && import->unanswered >= LIMIT_ARCHIVE_PIPELINE_ROWS
               ? answers_read(import)
               : result;
}

result_t journal_postgres_import_finish(journal_postgres_import_t **import)
{
    PGconn *const connection = (*import)->connection;
    result_t result = answers_read(*import);
    if (result == RESULT_OK && PQexitPipelineMode(connection) != 1) {
        result = RESULT_STORE_UNAVAILABLE;
    }
    if (result == RESULT_OK && (*import)->recounts) {
        result = journal_database_execute(connection, recount_bytes, "import");
    }
    if (result == RESULT_OK) {
        result = journal_database_execute(connection, recount_cards, "import");
    }
    if (result == RESULT_OK) {
        result = journal_database_execute(connection, "COMMIT", "import");
    }
    if (result == RESULT_OK) { /* the planner has not seen these rows */
        /* Of tables of the server, which are not ours to analyze, each would be a warning. */
        result = journal_database_execute(
            connection, "SET statement_timeout = 0; SET client_min_messages = error; ANALYZE",
            "import");
    }
    journal_postgres_import_abandon(import);
    return result;
}

void journal_postgres_import_abandon(journal_postgres_import_t **import)
{
    if (*import == NULL) {
        return;
    }
    if ((*import)->connection != NULL) {
        PQfinish((*import)->connection);
    }
    free(*import);
    *import = NULL;
}
