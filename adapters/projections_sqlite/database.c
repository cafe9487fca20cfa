/* One SQLite connection: how it is opened, its prepared statements, and what its errors mean. Knows
 * nothing of tenants, jobs or threads. Nothing here ends the process: what is stored is derived. */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const statement_texts[MODEL_STATEMENT_COUNT] = {
#define STATEMENT(name, sql) [MODEL_##name] = sql,
#include "adapters/projections_sqlite/statements.def"
#undef STATEMENT
};

result_t model_database_error(model_database_t *database, int code, const char *action)
{
    assert(code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE);
    const int system = database->handle == NULL ? 0 : sqlite3_system_errno(database->handle);
    const bool is_damaged = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
    const bool is_full = (code & 0xff) == SQLITE_FULL ||
                         ((code & 0xff) == SQLITE_IOERR &&
                          result_of_file_error(system, RESULT_IO) == RESULT_STORE_FULL);
    if (is_damaged) {
        log_error("a file of read models is damaged; it is made anew from the journal",
                  LOG_STRING("file", database->path), LOG_STRING("action", action),
                  LOG_STRING("sqlite_error", sqlite3_errstr(code)));
        return RESULT_STORE_CORRUPT;
    }
    /* Said once in a while by whoever tries again (actors/relay/relay_models.c). */
    log_debug("a file of read models cannot be used now", LOG_STRING("file", database->path),
              LOG_STRING("action", action), LOG_STRING("sqlite_error", sqlite3_errstr(code)),
              LOG_NUMBER("sqlite_code", code), LOG_NUMBER("errno", system));
    return is_full ? RESULT_STORE_FULL : RESULT_STORE_UNAVAILABLE;
}

result_t model_database_execute(model_database_t *database, const char *sql)
{
    const int code = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RESULT_OK : model_database_error(database, code, sql);
}

static result_t configure(model_database_t *database, model_mode_t mode)
{
    database_harden(database->handle, LIMIT_STORE_BUSY_MS);
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; "
                   "PRAGMA synchronous = NORMAL; PRAGMA cell_size_check = ON; "
                   "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = %d; "
                   "PRAGMA journal_size_limit = %d; PRAGMA cache_size = -%d; "
                   "PRAGMA query_only = %s;",
                   LIMIT_PROJECTION_WAL_PAGES, LIMIT_STORE_WAL_SIZE, LIMIT_PROJECTION_CACHE_KIB,
                   mode == MODEL_READER ? "ON" : "OFF");
    return model_database_execute(database, sql);
}

result_t model_number_read(model_database_t *database, const char *sql, int64_t *number)
{
    const int code = database_number_read(database->handle, sql, number);
    return code == SQLITE_OK ? RESULT_OK : model_database_error(database, code, sql);
}

/* Created here and not by SQLite, so that nobody but the owner may read it from the first moment.
 */
static bool make_file(const char *path)
{
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return false;
    }
    (void)close(descriptor);
    return true;
}

result_t model_database_open(model_database_t *database, const char *path, model_mode_t mode)
{
    *database = (model_database_t){.path = path};
    if (mode == MODEL_WRITER && !make_file(path)) {
        return result_of_file_error(errno, RESULT_IO) == RESULT_STORE_FULL
                   ? RESULT_STORE_FULL
                   : RESULT_STORE_UNAVAILABLE;
    }
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path, &database->handle, flags, NULL);
    result_t result = code == SQLITE_OK ? RESULT_OK : model_database_error(database, code, "open");
    if (result == RESULT_OK) {
        result = configure(database, mode);
    }
    if (result != RESULT_OK) {
        (void)model_database_close(database);
    }
    return result;
}

bool model_database_close(model_database_t *database)
{
    if (database->handle == NULL) {
        return true;
    }
    for (size_t i = 0; i < MODEL_STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(database->statements[i]);
        database->statements[i] = NULL;
    }
    int left = 0;
    int written = 0;
    const int code = sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                               &left, &written);
    const int closed = sqlite3_close(database->handle);
    assert(closed == SQLITE_OK); /* a statement leaked: a bug */
    database->handle = NULL;
    return code == SQLITE_OK && left == 0;
}

result_t model_prepare(model_database_t *database, model_statement_t which,
                       sqlite3_stmt **statement)
{
    assert(database->handle != NULL);
    if (database->statements[which] == NULL) {
        const int code =
            sqlite3_prepare_v3(database->handle, statement_texts[which], -1,
                               SQLITE_PREPARE_PERSISTENT, &database->statements[which], NULL);
        if (code != SQLITE_OK) {
            return model_database_error(database, code, statement_texts[which]);
        }
    }
    *statement = database->statements[which];
    return RESULT_OK;
}

result_t model_next(model_database_t *database, sqlite3_stmt *statement, bool *row)
{
    const int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        return RESULT_OK;
    }
    const result_t result = model_database_error(database, code, sqlite3_sql(statement));
    statement_done(statement);
    return result;
}

result_t model_finish(model_database_t *database, sqlite3_stmt *statement)
{
    bool row = false;
    const result_t result = model_next(database, statement, &row);
    assert(result != RESULT_OK || !row);
    statement_done(statement);
    return result;
}

result_t model_run(model_database_t *database, model_statement_t which)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = model_prepare(database, which, &statement);
    return result == RESULT_OK ? model_finish(database, statement) : result;
}

void model_rollback(model_database_t *database)
{
    if (sqlite3_get_autocommit(database->handle) == 0) {
        /* What cannot even be rolled back is so on the next use of the connection, or damaged. */
        (void)sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
    }
}
