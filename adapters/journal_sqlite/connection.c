/* One SQLite connection: how it is opened, its prepared statements, and what its errors mean. Knows
 * nothing of tenants, jobs or threads; whoever calls owns the connection for the call. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const statement_texts[STATEMENT_COUNT] = {
#define STATEMENT(name, sql) [STATEMENT_##name] = sql,
#include "adapters/journal_sqlite/statements.def"
#undef STATEMENT
};

void journal_sqlite_process_begin(void)
{
    const int code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    assert(code == SQLITE_OK); /* SQLite was not used before */
}

/* A full disk fails thousands of batches a second: the same failure is said once in a while. */
static bool is_said_already(connection_t *connection, int code)
{
    const uint64_t now = clock_monotonic_ms();
    if (connection->logged_code == code &&
        now - connection->logged_ms < LIMIT_STORE_LOG_INTERVAL_MS) {
        connection->unlogged++;
        return true;
    }
    connection->logged_code = code;
    connection->logged_ms = now;
    return false;
}

static void log_failure(connection_t *connection, int code, const char *action, const char *message)
{
    if (is_said_already(connection, code)) {
        return;
    }
    const int system =
        connection->database == NULL ? errno : sqlite3_system_errno(connection->database);
    log_error(message, LOG_STRING("file", connection->path), LOG_STRING("action", action),
              LOG_NUMBER("sqlite_code", code), LOG_STRING("sqlite_error", sqlite3_errstr(code)),
              LOG_NUMBER("errno", system), LOG_NUMBER("not_logged", connection->unlogged));
    connection->unlogged = 0;
}

/* After a failed fsync the kernel may have thrown the pages away and say nothing next time. */
static bool is_lost_sync(int code)
{
    return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC ||
           code == SQLITE_IOERR_TRUNCATE;
}

/* SQLite undoes what it began before it says that a write failed, and `errno` is another one by
 * then; each of its files keeps its own. */
static bool is_at_size_limit(const connection_t *connection, int code)
{
    static const int pointers[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    const bool may_be = code == SQLITE_IOERR_WRITE && connection->database != NULL;
    for (size_t i = 0; may_be && i < 2; i++) {
        sqlite3_file *file = NULL;
        int number = 0;
        if (sqlite3_file_control(connection->database, "main", pointers[i], &file) == SQLITE_OK &&
            file != NULL && file->pMethods != NULL &&
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number) == SQLITE_OK &&
            number == EFBIG) {
            return true;
        }
    }
    return false;
}

result_t connection_error(connection_t *connection, int code, const char *action)
{
    assert(code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE);
    if (is_lost_sync(code)) {
        log_failure(connection, code, action,
                    "the disk did not confirm a write; this process ends and the journal is "
                    "recovered by its successor: check the disk");
        abort();
    }
    const int system =
        connection->database == NULL ? 0 : sqlite3_system_errno(connection->database);
    switch (code & 0xff) {
    case SQLITE_FULL:
        log_failure(connection, code, action, "the disk is full: free space for the journal");
        return RESULT_STORE_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        log_failure(connection, code, action,
                    "the journal file is damaged: look at it with `digitalcard store verify`; "
                    "`tenant delete --without-backup` puts it aside, then `store restore`");
        return RESULT_STORE_CORRUPT;
    case SQLITE_CONSTRAINT:
        log_failure(connection, code, action,
                    "a batch contradicts what is stored, and nothing of it was stored");
        return RESULT_STORE_UNAVAILABLE;
    case SQLITE_IOERR:
        if (is_at_size_limit(connection, code)) {
            log_failure(connection, code, action,
                        "the journal file may not become larger: raise the limit of file sizes "
                        "of this process (prlimit --fsize; LimitFSIZE or ulimit -f for the next "
                        "start)");
            return RESULT_STORE_FULL;
        }
        if (result_of_file_error(system, RESULT_STORE_UNAVAILABLE) == RESULT_STORE_FULL) {
            log_failure(connection, code, action, "the disk is full: free space for the journal");
            return RESULT_STORE_FULL;
        }
        break;
    default:
        break;
    }
    log_failure(connection, code, action, "the journal file cannot be used now");
    return RESULT_STORE_UNAVAILABLE;
}

result_t connection_execute(connection_t *connection, const char *sql)
{
    const int code = sqlite3_exec(connection->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RESULT_OK : connection_error(connection, code, sql);
}

static int wal_hook(void *context, sqlite3 *database, const char *name, int pages)
{
    (void)database;
    (void)name;
    ((connection_t *)context)->wal_pages = pages;
    return SQLITE_OK;
}

static result_t connection_configure(connection_t *connection, connection_mode_t mode)
{
    sqlite3 *const database = connection->database;
    database_harden(database, LIMIT_STORE_BUSY_MS);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA page_size = 4096; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; "
                   "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; "
                   "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = %d; "
                   "PRAGMA cache_size = -%d; PRAGMA query_only = %s;",
                   LIMIT_STORE_WAL_SIZE,
                   mode == CONNECTION_WRITER ? LIMIT_STORE_WRITER_CACHE_KIB
                                             : LIMIT_STORE_READER_CACHE_KIB,
                   mode == CONNECTION_READER ? "ON" : "OFF");
    const result_t result = connection_execute(connection, sql);
    (void)sqlite3_wal_hook(database, wal_hook, connection);
    return result;
}

result_t connection_open(connection_t *connection, const char *path, connection_mode_t mode)
{
    *connection = (connection_t){.path = path};
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno == ENOENT) {
            return RESULT_MISSING;
        }
        return connection_error(connection, SQLITE_CANTOPEN, "stat");
    }
    if (!S_ISREG(status.st_mode)) { /* opening a FIFO would block this thread for good */
        return connection_error(connection, SQLITE_NOTADB, "open what is no regular file");
    }
    const bool is_readonly = mode == CONNECTION_READONLY || mode == CONNECTION_LOOK;
    const int flags = (is_readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path, &connection->database, flags, NULL);
    result_t result = code == SQLITE_OK ? RESULT_OK : connection_error(connection, code, "open");
    if (result == RESULT_OK) {
        result = connection_configure(connection, mode);
    }
    if (result == RESULT_OK) {
        result = schema_prepare(connection, mode);
    }
    if (result != RESULT_OK) {
        connection_close(connection, false);
    }
    return result;
}

void connection_close(connection_t *connection, bool checkpoint)
{
    if (connection->database == NULL) {
        return;
    }
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(connection->statements[i]);
        connection->statements[i] = NULL;
    }
    if (checkpoint) {
        const int code = sqlite3_wal_checkpoint_v2(connection->database, NULL,
                                                   SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
            /* Nothing is lost: the log stays and is read by the next open. */
            (void)connection_error(connection, code, "checkpoint at close");
        }
        /* With the log empty, the last one to close may take it away. */
        (void)sqlite3_db_config(connection->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                                code == SQLITE_OK ? 0 : 1, NULL);
    }
    const int closed = sqlite3_close(connection->database);
    if (closed != SQLITE_OK) {
        log_failure(connection, closed, "close", "a journal connection did not close");
        abort(); /* a statement leaked: a bug */
    }
    connection->database = NULL;
}

result_t connection_statement(connection_t *connection, statement_t which, sqlite3_stmt **statement)
{
    assert(connection->database != NULL);
    if (connection->statements[which] == NULL) {
        const int code =
            sqlite3_prepare_v3(connection->database, statement_texts[which], -1,
                               SQLITE_PREPARE_PERSISTENT, &connection->statements[which], NULL);
        if (code != SQLITE_OK) {
            return connection_error(connection, code, statement_texts[which]);
        }
    }
    *statement = connection->statements[which];
    return RESULT_OK;
}

result_t statement_next(connection_t *connection, sqlite3_stmt *statement, bool *row)
{
    const int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        return RESULT_OK;
    }
    const result_t result = connection_error(connection, code, sqlite3_sql(statement));
    statement_done(statement);
    return result;
}

result_t statement_finish(connection_t *connection, sqlite3_stmt *statement)
{
    bool row = false;
    const result_t result = statement_next(connection, statement, &row);
    assert(result != RESULT_OK || !row);
    statement_done(statement);
    return result;
}

result_t connection_run(connection_t *connection, statement_t which)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(connection, which, &statement);
    return result == RESULT_OK ? statement_finish(connection, statement) : result;
}

result_t connection_begin_immediate(connection_t *connection)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(connection, STATEMENT_begin_immediate, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    int code = SQLITE_BUSY;
    for (int i = 0; i < LIMIT_STORE_BUSY_TRIES && (code & 0xff) == SQLITE_BUSY; i++) {
        code = sqlite3_step(statement);
        statement_done(statement);
    }
    return code == SQLITE_DONE ? RESULT_OK : connection_error(connection, code, "begin");
}

void connection_rollback(connection_t *connection)
{
    if (sqlite3_get_autocommit(connection->database) != 0) {
        return; /* SQLite has rolled back by itself */
    }
    if (connection_run(connection, STATEMENT_rollback) != RESULT_OK) {
        log_failure(connection, SQLITE_ERROR, "rollback", "a transaction could not be ended");
        abort();
    }
}

result_t connection_checkpoint(connection_t *connection, int *left)
{
    int pages = 0;
    int written = 0;
    *left = 0;
    const int code = sqlite3_wal_checkpoint_v2(connection->database, NULL,
                                               SQLITE_CHECKPOINT_PASSIVE, &pages, &written);
    if ((code & 0xff) == SQLITE_BUSY) {
        *left = pages; /* another one is at it: later is soon enough */
        return RESULT_OK;
    }
    if (code != SQLITE_OK) {
        return connection_error(connection, code, "checkpoint");
    }
    *left = pages - written;
    return RESULT_OK;
}
