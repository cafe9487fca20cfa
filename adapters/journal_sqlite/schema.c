/* Which file this is and which schema it has; brings an older schema up to date
 * (runtime/migration.h). */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static result_t pragma_read(connection_t *connection, const char *sql, int64_t *value)
{
    const int code = database_number_read(connection->database, sql, value);
    return code == SQLITE_OK ? RESULT_OK : connection_error(connection, code, sql);
}

/* --- Migrations --- */

static result_t migration_lock(void *context)
{
    return connection_begin_immediate(context);
}

static result_t migration_version(void *context, uint64_t *version)
{
    int64_t number = 0;
    const result_t result = pragma_read(context, "PRAGMA user_version", &number);
    *version = number < 0 ? 0 : (uint64_t)number;
    return result;
}

static result_t migration_apply(void *context, const char *step, uint64_t version)
{
    char number[64];
    (void)snprintf(number, sizeof number, "PRAGMA user_version = %" PRIu64, version);
    const result_t result = connection_execute(context, step);
    return result == RESULT_OK ? connection_execute(context, number) : result;
}

static result_t migration_commit(void *context)
{
    return connection_run(context, STATEMENT_commit);
}

static void migration_undo(void *context)
{
    connection_rollback(context);
}

static const migration_functions_t migration_functions = {.lock = migration_lock,
                                                          .version = migration_version,
                                                          .apply = migration_apply,
                                                          .commit = migration_commit,
                                                          .undo = migration_undo};

static migration_t migration_of(const connection_t *connection)
{
    return (migration_t){.store = "journal",
                         .where = connection->path,
                         .steps = journal_sqlite_migrations,
                         .step_count = journal_sqlite_migrations_count};
}

/* Takes the steps that are missing. */
static result_t migrate(connection_t *connection)
{
    const migration_t migration = migration_of(connection);
    return migration_run(&migration, &migration_functions, connection, NULL);
}

static result_t schema_create(connection_t *connection)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d", JOURNAL_APPLICATION_ID);
    const result_t result = connection_execute(connection, sql);
    return result == RESULT_OK ? migrate(connection) : result;
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
    connection->schema = version;
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
    const migration_t migration = migration_of(connection);
    bool is_behind = false;
    result = migration_compare(&migration, (uint64_t)version, &is_behind);
    if (result == RESULT_OK && mode == CONNECTION_WRITER) {
        result = schema_log_mode_set(connection);
        if (result == RESULT_OK && is_behind) {
            result = migrate(connection);
        }
    } else if (result == RESULT_OK && is_behind && mode != CONNECTION_LOOK) {
        log_error("the journal has an older schema: its owner or `digitalcard store migrate` "
                  "brings it up to date",
                  LOG_STRING("file", connection->path), LOG_NUMBER("schema", version),
                  LOG_NUMBER("schema_known", migration.step_count));
        result = RESULT_STORE_UNAVAILABLE;
    }
    return result;
}

/* --- store migrate --- */

uint64_t journal_sqlite_schema(void)
{
    return journal_sqlite_migrations_count;
}

/* Looks first: a journal that is up to date is not written to, whoever has it open. */
static result_t file_migrate(const char *path, text_t tenant, migration_outcome_t *outcome)
{
    connection_t connection;
    result_t result = connection_open(&connection, path, CONNECTION_LOOK);
    outcome->found = connection.schema < 0 ? 0 : (uint64_t)connection.schema;
    if (result == RESULT_OK) {
        result = owner_check(&connection, tenant);
        connection_close(&connection, false);
    }
    if (result != RESULT_OK || outcome->found == outcome->known) {
        return result;
    }
    result = connection_open(&connection, path, CONNECTION_WRITER);
    connection_close(&connection, false);
    return result;
}

result_t journal_sqlite_migrate(const char *data_directory, text_t tenant,
                                migration_outcome_t *outcome)
{
    *outcome = (migration_outcome_t){.known = journal_sqlite_migrations_count};
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    char *path = tenant_path(data_directory, tenant);
    const result_t result = file_migrate(path, tenant, outcome);
    free(path);
    return result;
}
