/* The SQLite connection of the control store: opening, schema, statements, transactions, errors.
 * Knows nothing of tenants and keys. */
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const statement_texts[STATEMENT_COUNT] = {
#define STATEMENT(name, sql) [STATEMENT_##name] = sql,
#include "adapters/control_sqlite/statements.def"
#undef STATEMENT
};

result_t database_error(control_sqlite_t *control, int code, const char *action)
{
    const int system = control->database == NULL ? 0 : sqlite3_system_errno(control->database);
    log_error("the control store cannot be used", LOG_STRING("file", control->path),
              LOG_STRING("action", action), LOG_NUMBER("sqlite_code", code),
              LOG_STRING("sqlite_error", sqlite3_errstr(code)),
              LOG_STRING("error", system == 0 ? "" : strerror(system)));
    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
        abort(); /* what the disk holds is unknown: the next start recovers */
    }
    switch (code & 0xff) {
    case SQLITE_FULL:
        return RESULT_STORE_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return RESULT_STORE_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return RESULT_PERMISSION_DENIED;
    default:
        break;
    }
    return result_of_file_error(system, RESULT_STORE_UNAVAILABLE);
}

/* --- Opening --- */

static result_t execute(control_sqlite_t *control, const char *sql)
{
    const int code = sqlite3_exec(control->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RESULT_OK : database_error(control, code, sql);
}

static result_t pragma_read(control_sqlite_t *control, const char *sql, int64_t *value)
{
    const int code = database_number_read(control->database, sql, value);
    return code == SQLITE_OK ? RESULT_OK : database_error(control, code, sql);
}

static result_t migration_lock(void *context)
{
    return control_statement_finish(context, statement_take(context, STATEMENT_begin_immediate),
                                    NULL);
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
    char number[96];
    (void)snprintf(number, sizeof number,
                   "PRAGMA application_id = %d; PRAGMA user_version = %" PRIu64,
                   CONTROL_APPLICATION_ID, version);
    const result_t result = execute(context, step);
    return result == RESULT_OK ? execute(context, number) : result;
}

static result_t migration_commit(void *context)
{
    return control_statement_finish(context, statement_take(context, STATEMENT_commit), NULL);
}

static void change_undo(control_sqlite_t *control);

static void migration_undo(void *context)
{
    change_undo(context);
}

static const migration_functions_t migration_functions = {.lock = migration_lock,
                                                          .version = migration_version,
                                                          .apply = migration_apply,
                                                          .commit = migration_commit,
                                                          .undo = migration_undo};

static result_t schema_prepare(control_sqlite_t *control, bool create)
{
    const migration_t migration = {.store = "control store",
                                   .where = control->path,
                                   .steps = control_sqlite_migrations,
                                   .step_count = control_sqlite_migrations_count};
    bool is_behind = false;
    int64_t application = 0;
    int64_t version = 0;
    result_t result = pragma_read(control, "PRAGMA application_id", &application);
    if (result == RESULT_OK) {
        result = pragma_read(control, "PRAGMA user_version", &version);
    }
    if (result != RESULT_OK) {
        return result;
    }
    if (create) {
        return migration_run(&migration, &migration_functions, control, NULL);
    }
    if (application != CONTROL_APPLICATION_ID || version < 1) {
        log_error("the file is not a control store of this service, or its first page is damaged: "
                  "restore it from a backup",
                  LOG_STRING("file", control->path));
        return RESULT_STORE_CORRUPT;
    }
    result = migration_compare(&migration, (uint64_t)version, &is_behind);
    return result == RESULT_OK && is_behind
               ? migration_run(&migration, &migration_functions, control, NULL)
               : result;
}

static result_t configure(control_sqlite_t *control)
{
    database_harden(control->database, LIMIT_CONTROL_BUSY_MS);
    return execute(control, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; "
                            "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; "
                            "PRAGMA cache_size = -1024;");
}

result_t database_open(control_sqlite_t *control, const char *path, bool create)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path, &control->database, flags, NULL);
    result_t result = code == SQLITE_OK ? RESULT_OK : database_error(control, code, "open");
    if (result == RESULT_OK) {
        result = configure(control);
    }
    if (result == RESULT_OK) {
        result = schema_prepare(control, create);
    }
    if (result == RESULT_OK) {
        result = execute(control, "PRAGMA journal_mode = WAL"); /* last: a new file has no log */
    }
    if (result != RESULT_OK) {
        database_close(control);
    }
    return result;
}

void database_close(control_sqlite_t *control)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(control->statements[i]);
        control->statements[i] = NULL;
    }
    const int code = sqlite3_close(control->database);
    assert(code == SQLITE_OK); /* else a statement leaked */
    control->database = NULL;
}

/* --- Statements --- */

sqlite3_stmt *statement_take(control_sqlite_t *control, statement_t which)
{
    if (control->statements[which] == NULL) {
        (void)sqlite3_prepare_v3(control->database, statement_texts[which], -1,
                                 SQLITE_PREPARE_PERSISTENT, &control->statements[which], NULL);
    }
    return control->statements[which];
}

sqlite3_stmt *statement_take_named(control_sqlite_t *control, statement_t which, text_t tenant,
                                   text_t name)
{
    sqlite3_stmt *const statement = statement_take(control, which);
    bind_text(statement, 1, tenant);
    bind_text(statement, 2, name);
    return statement;
}

result_t control_statement_next(control_sqlite_t *control, sqlite3_stmt *statement, bool *row)
{
    *row = false;
    const int code =
        statement == NULL ? sqlite3_extended_errcode(control->database) : sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *row = true;
        return RESULT_OK;
    }
    const result_t result =
        code == SQLITE_DONE
            ? RESULT_OK
            : database_error(control, code, statement == NULL ? "" : sqlite3_sql(statement));
    if (statement != NULL) {
        statement_done(statement);
    }
    return result;
}

result_t control_statement_finish(control_sqlite_t *control, sqlite3_stmt *statement, int *changes)
{
    bool row = false;
    const result_t result = control_statement_next(control, statement, &row);
    assert(!row);
    if (changes != NULL) {
        *changes = result == RESULT_OK ? sqlite3_changes(control->database) : 0;
    }
    return result;
}

result_t control_rows_remove(control_sqlite_t *control, statement_t which, text_t tenant)
{
    sqlite3_stmt *const remove = statement_take(control, which);
    bind_text(remove, 1, tenant);
    return control_statement_finish(control, remove, NULL);
}

/* --- Transactions --- */

result_t change_begin(control_sqlite_t *control)
{
    return control_statement_finish(control, statement_take(control, STATEMENT_begin_immediate),
                                    NULL);
}

/* Whatever state it is in. */
static void change_undo(control_sqlite_t *control)
{
    if (sqlite3_get_autocommit(control->database) == 0) {
        const result_t undone =
            control_statement_finish(control, statement_take(control, STATEMENT_rollback), NULL);
        assert(undone == RESULT_OK);
    }
}

result_t change_end(control_sqlite_t *control, result_t result)
{
    if (result == RESULT_OK) {
        result = control_statement_finish(control, statement_take(control, STATEMENT_version_raise),
                                          NULL);
    }
    return quiet_end(control, result);
}

result_t quiet_end(control_sqlite_t *control, result_t result)
{
    if (result == RESULT_OK) {
        result = control_statement_finish(control, statement_take(control, STATEMENT_commit), NULL);
    }
    change_undo(control);
    return result;
}

/* --- Looking at the version --- */

uint64_t control_sqlite_schema_known(void)
{
    return control_sqlite_migrations_count;
}

result_t control_sqlite_schema(const char *data_directory, migration_outcome_t *outcome)
{
    control_sqlite_t looking = {0};
    int64_t version = 0;
    *outcome = (migration_outcome_t){.known = control_sqlite_migrations_count};
    const int size = asprintf(&looking.path, "%s/control.db", data_directory);
    assert(size > 0);
    const int code = sqlite3_open_v2(looking.path, &looking.database,
                                     SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    (void)sqlite3_busy_timeout(looking.database, LIMIT_CONTROL_BUSY_MS);
    result_t result = code == SQLITE_OK ? RESULT_OK : database_error(&looking, code, "open");
    if (result == RESULT_OK) {
        result = pragma_read(&looking, "PRAGMA user_version", &version);
    }
    outcome->found = version < 0 ? 0 : (uint64_t)version;
    (void)sqlite3_close(looking.database);
    free(looking.path);
    return result;
}
