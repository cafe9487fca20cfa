/* All rows of a journal out, for a backup, and in again, for a restore. Out: one read transaction
 * beside whatever the service does. In: a file of its own that nobody else knows, which becomes the
 * journal only when it is whole and sound (control_sqlite gives it its name). */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct table_sql {
    const char *read;
    const char *write;
    const char *also; /* empty: nothing */
} table_sql_t;

static const table_sql_t tables[STORE_TABLES_END] = {
#define ARCHIVE(name, read, write, also) [STORE_TABLE_##name] = {read, write, also},
#include "adapters/journal_sqlite/archive.def"
#undef ARCHIVE
};

/* --- Out --- */

static void row_fill(sqlite3_stmt *statement, uint8_t table, store_row_t *row)
{
    const char *const kinds = store_table_kinds(table);
    *row = (store_row_t){.table = table, .count = (uint32_t)sqlite3_column_count(statement)};
    for (uint32_t i = 0; i < row->count; i++) {
        const bool is_integer = kinds[i] == 'i' || kinds[i] == 'I';
        row->values[i].is_null = sqlite3_column_type(statement, (int)i) == SQLITE_NULL;
        if (is_integer) {
            row->values[i].number = sqlite3_column_int64(statement, (int)i);
        } else {
            row->values[i].bytes = column_bytes(statement, (int)i);
        }
    }
}

static result_t table_export(connection_t *connection, uint8_t table, store_row_visit_t *visit,
                             void *context)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->database, tables[table].read, -1, &statement, NULL);
    result_t result = RESULT_OK;
    while (code == SQLITE_OK || code == SQLITE_ROW) { /* bounded by the rows of the table */
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            break;
        }
        store_row_t row;
        row_fill(statement, table, &row);
        result = visit(context, &row);
        if (result != RESULT_OK) {
            break;
        }
    }
    if (result == RESULT_OK && code != SQLITE_DONE) {
        result = connection_error(connection, code, tables[table].read);
    }
    (void)sqlite3_finalize(statement);
    return result;
}

static result_t export(connection_t *connection, text_t tenant, store_row_visit_t *visit,
                       void *context)
{
    result_t result = owner_check(connection, tenant);
    if (result == RESULT_OK) {
        result = connection_run(connection, STATEMENT_begin);
    }
    for (uint8_t table = 1; result == RESULT_OK && table < STORE_TABLES_END; table++) {
        result = table_export(connection, table, visit, context);
    }
    connection_rollback(connection);
    return result;
}

result_t journal_sqlite_export(const char *data_directory, text_t tenant, store_row_visit_t *visit,
                               void *context)
{
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    connection_t connection;
    char *path = tenant_path(data_directory, tenant);
    result_t result = connection_open(&connection, path, CONNECTION_READONLY);
    if (result == RESULT_OK) {
        result = export(&connection, tenant, visit, context);
        connection_close(&connection, false);
    }
    free(path);
    return result;
}

/* --- In --- */

struct journal_sqlite_import {
    char *path; /* DIR/tenants/NAME.db.restored */
    char *directory;
    char *data_directory;
    char tenant[LIMIT_TENANT_NAME_SIZE + 1];
    connection_t connection;
    sqlite3_stmt *write[STORE_TABLES_END];
    sqlite3_stmt *also[STORE_TABLES_END];
    bool recounts; /* its partitions came without what they hold */
};

static result_t import_begin(journal_sqlite_import_t *import)
{
    if (mkdir(import->directory, 0700) != 0 && errno != EEXIST) {
        return file_error(import->directory, "mkdir");
    }
    database_files_remove(import->path);
    result_t result = file_make_empty(import->path);
    if (result == RESULT_OK) {
        result = connection_open(&import->connection, import->path, CONNECTION_CREATE);
    }
    if (result == RESULT_OK) {
        result = owner_write(&import->connection, text_from_c(import->tenant));
    }
    if (result == RESULT_OK) { /* a crash leaves a file that is made anew: nothing to protect yet */
        result = connection_execute(&import->connection, "PRAGMA synchronous = OFF; "
                                                         "PRAGMA cache_size = -65536; BEGIN");
    }
    return result;
}

/* What partitions of an older format did not bring. */
static const char recount_bytes[] =
    "UPDATE partition SET bytes = (SELECT coalesce(sum(length(body) + 120), 0) FROM event WHERE "
    "event.id BETWEEN partition.id << 56 AND partition.id << 56 | 0xffffffffffffff)";
/* An older program counted cards that have ended as well (migrations/0004.sql). */
static const char recount_cards[] =
    "UPDATE partition SET cards = 0; "
    "UPDATE partition SET cards = living.cards FROM (SELECT ((instr('0123456789ABCDEF', "
    "substr(hex(id), 17, 1)) - 1) << 4 | (instr('0123456789ABCDEF', substr(hex(id), 18, 1)) - 1)) "
    "& 63 AS place, count(*) AS cards FROM card WHERE status IN (1, 2, 3) GROUP BY place) AS "
    "living "
    "WHERE living.place = partition.id";

static void import_free(journal_sqlite_import_t *import)
{
    free(import->path);
    free(import->directory);
    free(import->data_directory);
    free(import);
}

static void import_statements_done(journal_sqlite_import_t *import)
{
    for (size_t i = 0; i < STORE_TABLES_END; i++) {
        (void)sqlite3_finalize(import->write[i]);
        (void)sqlite3_finalize(import->also[i]);
        import->write[i] = NULL;
        import->also[i] = NULL;
    }
}

result_t journal_sqlite_import_begin(const char *data_directory, text_t tenant,
                                     journal_sqlite_import_t **import)
{
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    journal_sqlite_import_t *begun = calloc(1, sizeof *begun);
    char *path = tenant_path(data_directory, tenant);
    assert(begun != NULL);
    memcpy(begun->tenant, tenant.data, tenant.size);
    int size = asprintf(&begun->path, "%s" JOURNAL_SQLITE_RESTORED, path);
    assert(size > 0);
    size = asprintf(&begun->directory, "%s/tenants", data_directory);
    assert(size > 0);
    begun->data_directory = strdup(data_directory);
    assert(begun->data_directory != NULL);
    free(path);
    const result_t result = import_begin(begun);
    if (result != RESULT_OK) {
        journal_sqlite_import_abandon(&begun);
        return result;
    }
    *import = begun;
    return RESULT_OK;
}

static void row_bind(sqlite3_stmt *statement, const store_row_t *row)
{
    const char *const kinds = store_table_kinds(row->table);
    const int parameters = sqlite3_bind_parameter_count(statement);
    for (int i = 0; i < (int)row->count && i < parameters; i++) {
        const store_value_t *const value = &row->values[i];
        if (value->is_null) {
            const int code = sqlite3_bind_null(statement, i + 1);
            assert(code == SQLITE_OK);
        } else if (kinds[i] == 'i' || kinds[i] == 'I') {
            bind_integer(statement, i + 1, value->number);
        } else {
            bind_blob(statement, i + 1, value->bytes.data, value->bytes.size);
        }
    }
}

static result_t row_execute(journal_sqlite_import_t *import, sqlite3_stmt **statement,
                            const char *sql, const store_row_t *row)
{
    if (*statement == NULL) {
        const int code = sqlite3_prepare_v2(import->connection.database, sql, -1, statement, NULL);
        if (code != SQLITE_OK) {
            return connection_error(&import->connection, code, sql);
        }
    }
    row_bind(*statement, row);
    return statement_finish(&import->connection, *statement);
}

result_t journal_sqlite_import_row(journal_sqlite_import_t *import, const store_row_t *row)
{
    const table_sql_t *const sql = &tables[row->table];
    import->recounts =
        import->recounts || (row->table == STORE_TABLE_partition && row->is_completed);
    result_t result = row_execute(import, &import->write[row->table], sql->write, row);
    if (result == RESULT_OK && sql->also[0] != '\0') {
        result = row_execute(import, &import->also[row->table], sql->also, row);
    }
    return result;
}

/* All of it is on the disk when this is done, and it is known to be sound. */
static result_t import_complete(journal_sqlite_import_t *import, char **report)
{
    import_statements_done(import);
    result_t result =
        import->recounts ? connection_execute(&import->connection, recount_bytes) : RESULT_OK;
    if (result == RESULT_OK) {
        result = connection_execute(&import->connection, recount_cards);
    }
    if (result == RESULT_OK) {
        result = connection_execute(&import->connection, "COMMIT; PRAGMA synchronous = FULL");
    }
    if (result == RESULT_OK) {
        result = schema_log_mode_set(&import->connection);
    }
    connection_close(&import->connection, result == RESULT_OK);
    if (result == RESULT_OK) {
        result = path_sync(import->path, O_RDWR);
    }
    if (result == RESULT_OK) {
        result = path_sync(import->directory, O_RDONLY | O_DIRECTORY);
    }
    if (result == RESULT_OK) {
        result = verify_file(import->path, text_from_c(import->tenant), true, report);
        database_companions_remove(import->path); /* an empty log, which would not move along */
    }
    return result;
}

result_t journal_sqlite_import_finish(journal_sqlite_import_t **import, char **report)
{
    *report = NULL;
    const result_t result = import_complete(*import, report);
    if (result != RESULT_OK) {
        journal_sqlite_import_abandon(import);
        return result;
    }
    import_free(*import);
    *import = NULL;
    return RESULT_OK;
}

void journal_sqlite_import_abandon(journal_sqlite_import_t **import)
{
    if (*import == NULL) {
        return;
    }
    import_statements_done(*import);
    connection_close(&(*import)->connection, false);
    database_files_remove((*import)->path);
    import_free(*import);
    *import = NULL;
}
