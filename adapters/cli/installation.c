/* Opening of an installation, in the order in which a person should hear about what is wrong. */
#include "adapters/cli/installation.h"

#include "adapters/cli/control/control_commands.h"
#include "adapters/cli/stores.h"
#include "adapters/signer/signer.h"
#include "runtime/log.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *advice(result_t result)
{
    switch (result) {
    case RESULT_PERMISSION_DENIED:
        return "; it must belong to this user";
    case RESULT_STORE_CORRUPT:
        return "; restore it from a backup";
    case RESULT_STORE_FULL:
        return "; make room on the disk";
    default:
        return "";
    }
}

/* What is wrong with the file, in words that mend it. */
static const char *master_key_fault(result_t result)
{
    switch (result) {
    case RESULT_PERMISSION_DENIED:
        return "must be a regular file that belongs to this user, with mode 0600";
    case RESULT_STORE_CORRUPT:
        return "is damaged, it must be exactly 32 bytes; restore it from a backup";
    default:
        return NULL;
    }
}

static bool file_exists(const char *directory, const char *name)
{
    char path[PATH_MAX + 16];
    struct stat about;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return lstat(path, &about) == 0;
}

bool installation_has_key(const installation_t *installation)
{
    return file_exists(installation->directory.path, "master.key");
}

/* A key is made only where nothing is sealed under another one. */
static result_t may_make_key(const installation_t *installation, bool create, char *error,
                             size_t error_size)
{
    const char *path = installation->directory.path;
    bool is_sealed = false;
    error[0] = '\0';
    const result_t result =
        stores_is_sealed(installation->store, path, &is_sealed, error, error_size);
    if (result != RESULT_OK) {
        return result;
    }
    if (is_sealed) {
        (void)snprintf(error, error_size,
                       "%s/master.key is missing, and %s holds what is sealed under it; restore "
                       "it from a backup",
                       path, stores_control_name(installation->store));
        return RESULT_MISSING;
    }
    if (!create) {
        (void)snprintf(error, error_size,
                       "data directory %s is empty; create a tenant or run digitalcard serve first",
                       path);
        return RESULT_MISSING;
    }
    return RESULT_OK;
}

static result_t open_master_key(installation_t *installation, bool create, char *error,
                                size_t error_size)
{
    const char *path = installation->directory.path;
    const bool is_missing = !installation_has_key(installation);
    result_t result =
        is_missing ? may_make_key(installation, create, error, error_size) : RESULT_OK;
    if (result != RESULT_OK) {
        return result;
    }
    result = signer_start();
    if (result == RESULT_OK) {
        result = signer_master_key(path, is_missing, &installation->master_key);
    }
    if (result != RESULT_OK) {
        const char *fault = master_key_fault(result);
        (void)snprintf(error, error_size, "%s/master.key%s%s", path, fault == NULL ? ": " : " ",
                       fault == NULL ? result_title(result) : fault);
    }
    installation->is_new = installation->is_new || is_missing;
    return result;
}

static void tell_versions(const installation_t *installation, char *error, size_t error_size)
{
    migration_outcome_t versions = {0};
    const char *const store = installation->store;
    const result_t result =
        stores_control_schema(store, installation->directory.path, &versions, NULL, 0);
    (void)result; /* what cannot be read is told as 0 */
    (void)snprintf(error, error_size,
                   "%s%s%s has schema %" PRIu64 ", this program knows %" PRIu64
                   ": run the newer version that wrote it",
                   stores_is_postgres(store) ? "" : installation->directory.path,
                   stores_is_postgres(store) ? "" : "/", stores_control_name(store), versions.found,
                   versions.known);
}

static result_t open_control(installation_t *installation, bool create, char *error,
                             size_t error_size)
{
    const char *path = installation->directory.path;
    error[0] = '\0';
    const result_t result = stores_control_open(
        installation->store, path, create ? STORES_OPEN_OR_CREATE : STORES_OPEN,
        &installation->master_key, NULL, error, error_size, &installation->control);
    if (result == RESULT_MISSING && error[0] == '\0') {
        (void)snprintf(error, error_size,
                       "data directory %s is empty; create a tenant or run digitalcard serve first",
                       path);
    } else if (result == RESULT_SCHEMA_TOO_NEW) {
        tell_versions(installation, error, error_size);
    } else if (result != RESULT_OK && error[0] == '\0') {
        (void)snprintf(error, error_size, "%s/control.db: %s%s", path,
                       result == RESULT_STORE_CORRUPT ? "The file is damaged"
                                                      : result_title(result),
                       advice(result));
    }
    return result;
}

result_t installation_open_stores(installation_t *installation, bool create, char *error,
                                  size_t error_size)
{
    const char *path = installation->directory.path;
    log_set_level(LOG_SILENT_LEVEL);
    installation_close_stores(installation);
    result_t result = open_master_key(installation, create, error, error_size);
    if (result == RESULT_OK) {
        result = open_control(installation, create, error, error_size);
    }
    if (result != RESULT_OK) {
        return result;
    }
    const control_commands_t commands = {.control = installation->control,
                                         .crypto = &signer_functions,
                                         .master_key = &installation->master_key};
    result = control_token_key_ensure(&commands);
    if (result == RESULT_STORE_CORRUPT) {
        (void)snprintf(error, error_size,
                       "%s/master.key does not open what %s holds: put the right one back", path,
                       stores_control_name(installation->store));
    } else if (result != RESULT_OK) {
        (void)snprintf(error, error_size, "%s: the first token key cannot be stored: %s",
                       stores_control_name(installation->store), result_title(result));
    }
    return result;
}

result_t installation_lock(const char *data, const char *store, bool create,
                           installation_t *installation, char *error, size_t error_size)
{
    *installation = (installation_t){.directory = {.lock = -1, .folder = -1}, .store = store};
    const result_t result =
        data_directory_open(data, create, &installation->directory, error, error_size);
    return result != RESULT_OK ? result
                               : data_directory_lock(&installation->directory, error, error_size);
}

result_t installation_open(const char *data, const char *store, bool create,
                           installation_t *installation, char *error, size_t error_size)
{
    result_t result = installation_lock(data, store, create, installation, error, error_size);
    if (result == RESULT_OK) {
        result = installation_open_stores(installation, create, error, error_size);
    }
    if (result != RESULT_OK) {
        installation_close(installation);
    }
    return result;
}

void installation_close_stores(installation_t *installation)
{
    if (installation->control != NULL) {
        stores_control_close(installation->store, &installation->control);
    }
    signer_functions.wipe(&installation->master_key, sizeof installation->master_key);
}

void installation_close(installation_t *installation)
{
    installation_close_stores(installation);
    data_directory_close(&installation->directory);
}
