/* See backup.h. Nothing is held in memory but one chunk, and nothing half is ever left under a name
 * that counts. */
#include "adapters/cli/commands/backup.h"

#include "adapters/cli/command.h"
#include "adapters/cli/control/control_backup.h"
#include "adapters/cli/control/control_client.h"
#include "adapters/cli/stores_archive.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct backup {
    const configuration_t *configuration;
    const char *tenant;
    archive_writer_t *writer;
    bool has_tenant;
    bool is_told; /* what went wrong was said already */
} backup_t;

/* Asked once the snapshot of the journal stands, so that no event is of a key that is missing. */
result_t backup_tenant_write(const configuration_t *configuration, const char *tenant,
                             archive_writer_t *writer, bool *is_told)
{
    result_t result = RESULT_STORE_CORRUPT;
    json_t *answer = control_client_execute(
        configuration, json_pack("{s:s,s:s}", "command", "tenant.sealed", "name", tenant), false);
    if (answer == NULL) {
        *is_told = true;
        return RESULT_UNAVAILABLE;
    }
    control_sealed_t *sealed = calloc(1, sizeof *sealed);
    assert(sealed != NULL);
    if (control_sealed_read(json_object_get(answer, "tenant"), sealed)) {
        result = archive_write_tenant(writer, &sealed->tenant);
    }
    free(sealed);
    json_decref(answer);
    return result;
}

static result_t backup_row(void *context, const store_row_t *row)
{
    backup_t *const backup = context;
    if (!backup->has_tenant) {
        const result_t result = backup_tenant_write(backup->configuration, backup->tenant,
                                                    backup->writer, &backup->is_told);
        backup->has_tenant = true;
        if (result != RESULT_OK) {
            return result;
        }
    }
    return archive_write_row(backup->writer, row);
}

/* Asked before, so that a backup is never of a journal that stands in another store than the one
 * that the running service works on. */
bool backup_tenant_is_there(const configuration_t *configuration, const char *name)
{
    json_t *answer = control_client_execute(
        configuration, json_pack("{s:s,s:s}", "command", "tenant.sealed", "name", name), false);
    if (answer == NULL) {
        return false;
    }
    const bool is_postgres = json_is_true(json_object_get(answer, "is_postgres"));
    const bool is_same = is_postgres == stores_is_postgres(configuration->texts.store);
    json_decref(answer);
    if (!is_same) {
        (void)command_fail("the running service keeps its data in %s: say so with --store, too",
                           is_postgres ? "PostgreSQL" : "SQLite");
    }
    return is_same;
}

bool backup_run(const configuration_t *configuration, const char *tenant, const char *file,
                archive_totals_t *totals, uint64_t *size)
{
    char error[ARCHIVE_ERROR_SIZE] = "";
    backup_t backup = {.configuration = configuration, .tenant = tenant};
    const configuration_texts_t *const texts = &configuration->texts;
    const text_t name = text_from_c(tenant);
    if (signer_start() != RESULT_OK || !backup_tenant_is_there(configuration, tenant)) {
        return false;
    }
    /* A tenant that nobody has used since an update may have an older schema. */
    migration_outcome_t versions;
    result_t result = stores_migrate(texts->store, texts->data, name, &versions);
    if (result == RESULT_SCHEMA_TOO_NEW) {
        (void)snprintf(error, sizeof error,
                       "the journal of %s has schema %" PRIu64 ", this program knows %" PRIu64
                       ": run the newer version",
                       tenant, versions.found, versions.known);
    }
    if (result == RESULT_OK) {
        result = archive_create(file, ARCHIVE_BACKUP, name, clock_wall_ms(), error, &backup.writer);
    }
    if (result == RESULT_OK) {
        result = stores_export(texts->store, texts->data, name, backup_row, &backup);
        const bool keep = result == RESULT_OK;
        const result_t finished = archive_finish(&backup.writer, keep, totals, size);
        result = keep ? finished : result;
    }
    if (result != RESULT_OK && !backup.is_told) {
        (void)command_fail("%s", error[0] != '\0' ? error : result_title(result));
    }
    return result == RESULT_OK;
}

/* --- Before a deletion --- */

static bool cannot(const char *path)
{
    (void)command_fail("%s: %s", path, strerror(errno));
    return false;
}

static bool directory_make(const char *data, char *directory)
{
    char *const path = realpath(data, NULL);
    if (path == NULL) {
        return cannot(data);
    }
    const int size = snprintf(directory, PATH_MAX, "%s/deleted", path);
    const int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(path);
    if (size < 0 || size >= PATH_MAX) {
        errno = ENAMETOOLONG;
    }
    const bool is_made = size > 0 && size < PATH_MAX && parent >= 0 &&
                         (mkdir(directory, 0700) == 0 || errno == EEXIST) && fsync(parent) == 0;
    if (!is_made) {
        (void)cannot(data);
    }
    if (parent >= 0) {
        (void)close(parent);
    }
    return is_made;
}

bool backup_before_delete(const configuration_t *configuration, const char *tenant, char *file)
{
    char directory[PATH_MAX];
    char time_text[32] = "";
    struct tm utc;
    uint64_t bytes = 0;
    archive_totals_t totals = {0};
    const int64_t now_ms = clock_wall_ms();
    const time_t seconds = (time_t)(now_ms / 1000);
    if (!directory_make(configuration->texts.data, directory)) {
        return false;
    }
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(time_text, sizeof time_text, "%Y%m%dT%H%M%S", &utc) == 0) {
        return cannot("the time of day");
    }
    const int size = snprintf(file, PATH_MAX, "%s/%s-%s.%03dZ.dcb", directory, tenant, time_text,
                              (int)(now_ms % 1000));
    if (size < 0 || size >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return cannot(directory);
    }
    log_set_level(LOG_SILENT_LEVEL); /* what goes wrong is told in a line of its own */
    return backup_run(configuration, tenant, file, &totals, &bytes);
}
