/* The control store port on SQLite: opening, closing, version and incarnations. */
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static result_t control_version(control_store_t *store, uint64_t *version)
{
    control_sqlite_t *const control = control_of(store);
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_version_get);
    bool row = false;
    const result_t result = control_statement_next(control, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    if (!row) {
        return database_error(control, SQLITE_CORRUPT, "reading the version");
    }
    *version = (uint64_t)sqlite3_column_int64(statement, 0);
    statement_done(statement);
    return RESULT_OK;
}

static result_t control_incarnation_add(control_store_t *store, text_t role, uint64_t incarnation,
                                        int64_t pid, int64_t now_ms)
{
    control_sqlite_t *const control = control_of(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const put = statement_take(control, STATEMENT_incarnation_put);
    bind_text(put, 1, role);
    bind_integer(put, 2, (int64_t)incarnation);
    bind_integer(put, 3, pid);
    bind_integer(put, 4, now_ms);
    result = control_statement_finish(control, put, NULL);
    if (result == RESULT_OK) {
        sqlite3_stmt *const trim = statement_take(control, STATEMENT_incarnation_trim);
        bind_integer(trim, 1, LIMIT_CONTROL_INCARNATIONS);
        result = control_statement_finish(control, trim, NULL);
    }
    return change_end(control, result);
}

static const control_store_functions_t functions = {
    .version = control_version,
    .tenants = control_tenants,
    .tenant = control_tenant,
    .token_keys = control_token_keys,
    .tenant_create = control_tenant_create,
    .tenant_adopt = control_tenant_adopt,
    .tenant_delete = control_tenant_delete,
    .key_rotate = control_key_rotate,
    .tenant_set_quotas = control_tenant_set_quotas,
    .key_set_state = control_key_set_state,
    .token_key_add = control_token_key_add,
    .incarnation_add = control_incarnation_add,
};

/* --- Opening --- */

static result_t system_error(const char *path, const char *action)
{
    const int error = errno;
    log_error("the control store cannot be made", LOG_STRING("file", path),
              LOG_STRING("action", action), LOG_STRING("error", strerror(error)));
    return result_of_file_error(error, RESULT_STORE_UNAVAILABLE);
}

static result_t directory_sync(const char *path)
{
    const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return system_error(path, "open");
    }
    const int failed = fsync(descriptor);
    const result_t result = failed == 0 ? RESULT_OK : system_error(path, "fsync");
    (void)close(descriptor);
    return result;
}

/* Complete under another name first: a crash leaves no half store. */
static result_t file_make(control_sqlite_t *control)
{
    char temporary[LIMIT_STORE_PATH_SIZE];
    const int size = snprintf(temporary, sizeof temporary, "%s.new", control->path);
    if (size < 0 || (size_t)size >= sizeof temporary) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (mkdir(control->directory, 0700) != 0 && errno != EEXIST) {
        return system_error(control->directory, "mkdir");
    }
    database_files_remove(temporary);
    database_companions_remove(control->path);
    const int descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return system_error(temporary, "create");
    }
    result_t result = database_open(control, temporary, true);
    if (result == RESULT_OK) {
        database_close(control);
        result = fsync(descriptor) == 0 ? RESULT_OK : system_error(temporary, "fsync");
    }
    (void)close(descriptor);
    if (result == RESULT_OK &&
        renameat2(AT_FDCWD, temporary, AT_FDCWD, control->path, RENAME_NOREPLACE) != 0 &&
        errno != EEXIST) { /* another process was first: its file is as good */
        result = system_error(control->path, "rename");
    }
    database_files_remove(temporary);
    return result == RESULT_OK ? directory_sync(control->directory) : result;
}

result_t control_sqlite_open(const char *data_directory, bool create,
                             control_sqlite_make_journal_t *make_journal, control_store_t **store)
{
    control_sqlite_t *control = calloc(1, sizeof *control);
    assert(control != NULL);
    control->base.functions = &functions;
    dead_letters_init(control);
    flags_init(control);
    revocations_init(control);
    consumers_init(control);
    webhooks_init(control);
    control->make_journal = make_journal;
    control->directory = strdup(data_directory);
    assert(control->directory != NULL);
    const int size = asprintf(&control->path, "%s/control.db", data_directory);
    assert(size > 0);

    result_t result = RESULT_OK;
    struct stat status;
    if (stat(control->path, &status) != 0) {
        if (errno != ENOENT) {
            result = system_error(control->path, "stat");
        } else {
            result = create ? file_make(control) : RESULT_MISSING;
        }
    }
    if (result == RESULT_OK) {
        result = database_open(control, control->path, false);
    }
    control_store_t *opened = &control->base;
    if (result != RESULT_OK) {
        control_sqlite_close(&opened);
        return result;
    }
    *store = opened;
    return RESULT_OK;
}

void control_sqlite_close(control_store_t **store)
{
    if (*store == NULL) {
        return;
    }
    control_sqlite_t *const control = control_of(*store);
    *store = NULL;
    if (control->database != NULL) {
        database_close(control);
    }
    explicit_bzero(control->key_bytes, sizeof control->key_bytes);
    free(control->path);
    free(control->directory);
    free(control);
}
