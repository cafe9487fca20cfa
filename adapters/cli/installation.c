/* Opening of an installation, in the order in which a person should hear about what is wrong. */
#include "adapters/cli/installation.h"

#include "adapters/cli/stores.h"
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
    error[0] = '\0';
    result = stores_control_open(installation->store, path, create, &installation->master_key,
                                 error, error_size, &installation->control);
    if (result != RESULT_OK && error[0] == '\0') {
        (void)snprintf(error, error_size, "%s/control.db: %s%s", path, result_title(result),
                       advice(result));
    }
    return result;
}

result_t installation_open(const char *data, const char *store, bool create,
                           installation_t *installation, char *error, size_t error_size)
{
    *installation = (installation_t){.directory.lock = -1, .store = store};
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
        stores_control_close(installation->store, &installation->control);
    }
    signer_functions.wipe(&installation->master_key, sizeof installation->master_key);
}

void installation_close(installation_t *installation)
{
    installation_close_stores(installation);
    data_directory_close(&installation->directory);
}
