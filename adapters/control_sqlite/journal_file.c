/* The journal file of a tenant as the control store sees it: made, taken away, or put aside. Of its
 * contents this file knows one thing only: whether the table `event` has a row. */
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
enum { ENDING_COUNT = sizeof endings / sizeof endings[0] };

static char *file_path(const control_sqlite_t *control, text_t tenant)
{
    char *path = NULL;
    const int size = asprintf(&path, "%s/tenants/%.*s.db", control->directory, TEXT_PRINT(tenant));
    assert(size > 0);
    return path;
}

static bool journal_is_empty(const char *path)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    bool is_empty = false;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
            SQLITE_OK &&
        sqlite3_prepare_v2(database, "SELECT NOT EXISTS (SELECT 1 FROM event)", -1, &statement,
                           NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        is_empty = sqlite3_column_int(statement, 0) == 1;
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
    return is_empty;
}

result_t journal_file_make(control_sqlite_t *control, text_t tenant, uint32_t partitions)
{
    result_t result = control->make_journal(control->directory, tenant, partitions);
    if (result != RESULT_ALREADY_EXISTS) {
        return result;
    }
    char *path = file_path(control, tenant);
    if (journal_is_empty(path)) {
        log_info("an empty journal that an interrupted creation left behind is made anew",
                 LOG_STRING("file", path));
        database_files_remove(path);
        result = control->make_journal(control->directory, tenant, partitions);
    } else {
        log_error("there is a journal with events, or one that cannot be read, under the name of "
                  "the new tenant: move it away",
                  LOG_STRING("file", path));
    }
    free(path);
    return result;
}

void journal_file_unmake(control_sqlite_t *control, text_t tenant)
{
    char *path = file_path(control, tenant);
    if (journal_is_empty(path)) {
        database_files_remove(path);
    }
    free(path);
}

/* Best effort: when a process has the file open still, its log is put aside with it. */
static void log_write_back(const char *path)
{
    sqlite3 *database = NULL;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
        SQLITE_OK) {
        (void)sqlite3_busy_timeout(database, LIMIT_CONTROL_BUSY_MS);
        (void)sqlite3_wal_checkpoint_v2(database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    (void)sqlite3_close(database);
}

/* What the relay has folded from the journal: it names members, and is of no use without it. */
static void read_models_remove(const control_sqlite_t *control, text_t tenant)
{
    static const char *const slots[] = {"", ".next"};
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        char *path = NULL;
        const int size = asprintf(&path, "%s/tenants/%.*s.read.db%s", control->directory,
                                  TEXT_PRINT(tenant), slots[i]);
        assert(size > 0);
        database_files_remove(path);
        free(path);
    }
}

static result_t move_error(const char *path)
{
    const int error = errno;
    log_error("the journal of a deleted tenant could not be put aside: move it by hand",
              LOG_STRING("file", path), LOG_STRING("error", strerror(error)));
    return result_of_file_error(error, RESULT_STORE_UNAVAILABLE);
}

static void directories_sync(const control_sqlite_t *control)
{
    static const char *const names[] = {"tenants", "deleted"};
    for (size_t i = 0; i < 2; i++) {
        char *path = NULL;
        const int size = asprintf(&path, "%s/%s", control->directory, names[i]);
        assert(size > 0);
        const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor >= 0) {
            if (fsync(descriptor) != 0) {
                log_warn("a directory could not be synced: after a power loss a file that was just "
                         "put there may be missing",
                         LOG_STRING("file", path));
            }
            (void)close(descriptor);
        }
        free(path);
    }
}

/* The database first: a log that stays behind alone is removed by the next creation, a database
 * without its log would lack what was committed last. */
static result_t files_move(const char *from, const char *to)
{
    for (size_t i = 0; i < ENDING_COUNT; i++) {
        char *source = NULL;
        char *target = NULL;
        int size = asprintf(&source, "%s%s", from, endings[i]);
        assert(size > 0);
        size = asprintf(&target, "%s%s", to, endings[i]);
        assert(size > 0);
        result_t result = RESULT_OK;
        if (renameat2(AT_FDCWD, source, AT_FDCWD, target, RENAME_NOREPLACE) != 0) {
            if (errno == ENOENT) {
                result = i == 0 ? RESULT_MISSING : RESULT_OK;
            } else {
                result = move_error(source);
            }
        }
        free(source);
        free(target);
        if (result != RESULT_OK) {
            return result;
        }
    }
    return RESULT_OK;
}

result_t journal_file_keep(control_sqlite_t *control, text_t tenant, int64_t now_ms, char *kept_as,
                           size_t kept_as_size)
{
    const time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char time_text[32] = "";
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(time_text, sizeof time_text, "%Y%m%dT%H%M%S", &utc) == 0) {
        return RESULT_INVALID_ARGUMENT;
    }
    char *directory = NULL;
    int size = asprintf(&directory, "%s/deleted", control->directory);
    assert(size > 0);
    size = snprintf(kept_as, kept_as_size, "%s/%.*s-%s.%03dZ.db", directory, TEXT_PRINT(tenant),
                    time_text, (int)(now_ms % 1000));
    result_t result = RESULT_OK;
    if (size < 0 || (size_t)size >= kept_as_size) {
        result = RESULT_INVALID_ARGUMENT;
    } else if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        result = move_error(directory);
    }
    char *path = file_path(control, tenant);
    if (result == RESULT_OK) {
        log_write_back(path);
        result = files_move(path, kept_as);
        read_models_remove(control, tenant);
        directories_sync(control);
    }
    free(path);
    free(directory);
    return result;
}

static result_t restored_rename(control_sqlite_t *control, const char *restored, const char *path)
{
    database_companions_remove(path); /* a log without its file is of one that is gone */
    if (renameat2(AT_FDCWD, restored, AT_FDCWD, path, RENAME_NOREPLACE) != 0) {
        log_error("a restored journal could not be put in its place", LOG_STRING("file", path),
                  LOG_STRING("error", strerror(errno)));
        return RESULT_STORE_UNAVAILABLE;
    }
    directories_sync(control);
    return RESULT_OK;
}

result_t journal_file_adopt(control_sqlite_t *control, text_t tenant, int64_t now_ms)
{
    char kept_as[LIMIT_STORE_PATH_SIZE];
    char *path = file_path(control, tenant);
    char *restored = NULL;
    const int size = asprintf(&restored, "%s.restored", path);
    assert(size > 0);
    result_t result = access(restored, F_OK) == 0 ? RESULT_OK : RESULT_MISSING;
    if (result == RESULT_OK && access(path, F_OK) == 0) {
        log_warn("a journal without its tenant stands where a restored one goes: it is put aside",
                 LOG_STRING("file", path));
        result = journal_file_keep(control, tenant, now_ms, kept_as, sizeof kept_as);
    }
    if (result == RESULT_OK) {
        result = restored_rename(control, restored, path);
    }
    free(restored);
    free(path);
    return result;
}
