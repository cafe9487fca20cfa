/* Names of journal files, and how an empty one comes into being: under a temporary name, complete
 * and synced, then renamed, so that a crash never leaves half a journal under a tenant's name. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *tenant_path(const char *data_directory, text_t tenant)
{
    char *path = NULL;
    const int size = asprintf(&path, "%s/tenants/%.*s.db", data_directory, TEXT_PRINT(tenant));
    assert(size > 0 && path != NULL);
    return path;
}

result_t file_error(const char *path, const char *action)
{
    const int error = errno;
    log_error("a journal file cannot be made", LOG_STRING("file", path),
              LOG_STRING("action", action), LOG_STRING("error", strerror(error)));
    if (error == EEXIST) {
        return RESULT_ALREADY_EXISTS;
    }
    return result_of_file_error(error, RESULT_STORE_UNAVAILABLE);
}

result_t path_sync(const char *path, int flags)
{
    const int descriptor = open(path, flags | O_CLOEXEC);
    if (descriptor < 0) {
        return file_error(path, "open");
    }
    const int failed = fsync(descriptor);
    const result_t result = failed == 0 ? RESULT_OK : file_error(path, "fsync");
    (void)close(descriptor);
    return result;
}

static result_t partitions_fill(connection_t *connection, uint32_t partitions)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "WITH RECURSIVE number (id) AS (VALUES (0) UNION ALL SELECT id + 1 FROM number "
                   "WHERE id + 1 < %u) INSERT INTO partition (id) SELECT id FROM number",
                   partitions);
    return connection_execute(connection, sql);
}

result_t file_make_empty(const char *path)
{
    const int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return file_error(path, "create");
    }
    (void)close(descriptor);
    return RESULT_OK;
}

static result_t journal_fill(const char *path, text_t tenant, uint32_t partitions)
{
    connection_t connection;
    result_t result = file_make_empty(path);
    if (result != RESULT_OK) {
        return result;
    }
    result = connection_open(&connection, path, CONNECTION_CREATE);
    if (result != RESULT_OK) {
        return result;
    }
    result = owner_write(&connection, tenant);
    if (result == RESULT_OK) {
        result = partitions_fill(&connection, partitions);
    }
    if (result == RESULT_OK) {
        result = schema_log_mode_set(&connection); /* last: so far nothing can stand in a log */
    }
    connection_close(&connection, result == RESULT_OK);
    return result == RESULT_OK ? path_sync(path, O_RDWR) : result;
}

result_t journal_sqlite_create_tenant(const char *data_directory, text_t tenant,
                                      uint32_t partitions)
{
    if (!tenant_name_is_well_formed(tenant) || partitions < 1 || partitions > LIMIT_PARTITIONS) {
        return RESULT_INVALID_ARGUMENT;
    }
    char *path = tenant_path(data_directory, tenant);
    char *temporary = NULL;
    char *directory = NULL;
    int size = asprintf(&temporary, "%s.new", path);
    assert(size > 0);
    size = asprintf(&directory, "%s/tenants", data_directory);
    assert(size > 0);

    result_t result = RESULT_OK;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        result = file_error(directory, "mkdir");
    } else if (access(path, F_OK) == 0) {
        result = RESULT_ALREADY_EXISTS;
    }
    if (result == RESULT_OK) {
        database_files_remove(temporary);
        database_companions_remove(path);
        result = journal_fill(temporary, tenant, partitions);
        if (result == RESULT_OK &&
            renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) != 0) {
            result = file_error(path, "rename");
        }
        if (result == RESULT_OK) {
            result = path_sync(directory, O_RDONLY | O_DIRECTORY);
        }
        database_files_remove(temporary);
    }
    free(directory);
    free(temporary);
    free(path);
    return result;
}
