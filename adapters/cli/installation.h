/* What a process needs to work on stored control data: the locked data directory, the master key
 * and the control store. Used by `serve` at its start and by commands while no service runs. */
#ifndef ADAPTERS_CLI_INSTALLATION_H
#define ADAPTERS_CLI_INSTALLATION_H

#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "adapters/cli/data_directory.h"

typedef struct installation {
    data_directory_t directory;
    crypto_key_t master_key;
    control_store_t *control;
    const char *store; /* borrowed */
} installation_t;

/* With `create` the directory, the master key and the control store are made when they are missing.
 * `error` gets one line for a person. DATA_DIRECTORY_IN_USE may mean a service that just starts. */
MUST_USE result_t installation_open(const char *data, const char *store, bool create,
                                    installation_t *installation, char *error, size_t error_size);
/* Wipes the key; keeps the lock. */
void installation_close_stores(installation_t *installation);
void installation_close(installation_t *installation);

#endif
