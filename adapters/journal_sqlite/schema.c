/* Which file this is and which schema it has; brings an older schema up to date. Each migration is
 * one transaction together with its number, so that a crash between two leaves a known state. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>

static result_t pragma_read(connection_t *connection, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_OK ? RESULT_OK : connection_error(connection, code, sql);
}

static result_t migrate(connection_t *connection, size_t from)
{
    for (size_t i = from; i < journal_sqlite_migrations_count; i++) {
        char number[64];
        (void)snprintf(number, sizeof number, "PRAGMA user_version = %zu; COMMIT", i + 1);
        result_t result = connection_execute(connection, "BEGIN IMMEDIATE");
        if (result == RESULT_OK) {
            result = connection_execute(connection, journal_sqlite_migrations[i]);
        }
        if (result == RESULT_OK) {
            result = connection_execute(connection, number);
        }
        if (result != RESULT_OK) {
            connection_rollback(connection);
            return result;
        }
    }
    return RESULT_OK;
}

static result_t schema_create(connection_t *connection)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d", JOURNAL_APPLICATION_ID);
    const result_t result = connection_execute(connection, sql);
    return result == RESULT_OK ? migrate(connection, 0) : result;
}

result_t schema_log_mode_set(connection_t *connection)
{
    sqlite3_stmt *statement = NULL;
    const char *const sql = "PRAGMA journal_mode = WAL";
    int code = sqlite3_prepare_v2(connection->database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    const bool is_set =
        code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    (void)sqlite3_finalize(statement);
    if (is_set) {
        return RESULT_OK;
    }
    return connection_error(connection, code == SQLITE_ROW ? SQLITE_CANTOPEN : code, sql);
}

result_t schema_prepare(connection_t *connection, connection_mode_t mode)
{
    int64_t application = 0;
    int64_t version = 0;
    result_t result = RESULT_OK;
    if (mode == CONNECTION_CREATE) {
        return schema_create(connection);
    }
    result = pragma_read(connection, "PRAGMA application_id", &application);
    if (result == RESULT_OK) {
        result = pragma_read(connection, "PRAGMA user_version", &version);
    }
    if (result != RESULT_OK) {
        return result;
    }
    if (application != JOURNAL_APPLICATION_ID || version < 1) {
        log_error("the file is not a journal of this service, or its first page is damaged: "
                  "restore it from a backup",
                  LOG_STRING("file", connection->path), LOG_NUMBER("application_id", application),
                  LOG_NUMBER("schema", version));
        return RESULT_STORE_CORRUPT;
    }
    const int64_t known = (int64_t)journal_sqlite_migrations_count;
    if (version > known) {
        log_error("the journal was written by a newer version of this program: run that one",
                  LOG_STRING("file", connection->path), LOG_NUMBER("schema", version),
                  LOG_NUMBER("schema_known", known));
        return RESULT_SCHEMA_TOO_NEW;
    }
    if (mode == CONNECTION_WRITER) {
        result = schema_log_mode_set(connection);
        return result == RESULT_OK ? migrate(connection, (size_t)version) : result;
    }
    if (version < known) {
        log_error("the journal has an older schema: open it for writing once",
                  LOG_STRING("file", connection->path), LOG_NUMBER("schema", version));
        return RESULT_STORE_UNAVAILABLE;
    }
    return RESULT_OK;
}
