/* Opening of an installation, in the order in which a person should hear about what is wrong. */
#include "adapters/cli/installation.h"

#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/signer/signer.h"
#include <stdio.h>

static const char *advice(result_t result)
{
    switch (result) {
    case RESULT_PERMISSION_DENIED:
        return "; it must belong to this user and have mode 0600";
    case RESULT_MISSING:
        return "; create a tenant or run digitalcard serve first";
    case RESULT_STORE_CORRUPT:
        return "; restore it from a backup";
    case RESULT_STORE_FULL:
        return "; make room on the disk";
    case RESULT_SCHEMA_TOO_NEW:
        return "; run the newer version";
    default:
        return "";
    }
}

static result_t open_stores(bool create, installation_t *installation, char *error,
                            size_t error_size)
{
    const char *path = installation->directory.path;
    result_t result = signer_start();
    if (result == RESULT_OK) {
        result = signer_master_key(path, create, &installation->master_key);
    }
    if (result != RESULT_OK) {
        (void)snprintf(error, error_size, "%s/master.key: %s%s", path, result_title(result),
                       advice(result));
        return result;
    }
    result =
        control_sqlite_open(path, create, journal_sqlite_create_tenant, &installation->control);
    if (result != RESULT_OK) {
        (void)snprintf(error, error_size, "%s/control.db: %s%s", path, result_title(result),
                       advice(result));
    }
    return result;
}

result_t installation_open(const char *data, bool create, installation_t *installation, char *error,
                           size_t error_size)
{
    *installation = (installation_t){.directory.lock = -1};
    result_t result =
        data_directory_open(data, create, &installation->directory, error, error_size);
    if (result == RESULT_OK) {
        result = data_directory_lock(&installation->directory, error, error_size);
    }
    if (result == RESULT_OK) {
        result = open_stores(create, installation, error, error_size);
    }
    if (result != RESULT_OK) {
        installation_close(installation);
    }
    return result;
}

void installation_close_stores(installation_t *installation)
{
    if (installation->control != NULL) {
        control_sqlite_close(&installation->control);
    }
    signer_functions.wipe(&installation->master_key, sizeof installation->master_key);
}

void installation_close(installation_t *installation)
{
    installation_close_stores(installation);
    data_directory_close(&installation->directory);
}
