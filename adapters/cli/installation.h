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
    bool is_new;       /* its master key was made just now */
} installation_t;

/* The first half: finds (with `create` makes) the directory and takes its lock. Nothing to undo but
 * by `installation_close`, also when it fails. Same errors as `installation_open`. */
MUST_USE result_t installation_lock(const char *data, const char *store, bool create,
                                    installation_t *installation, char *error, size_t error_size);
/* The second half, on a locked directory; may be repeated when it failed with STORE_UNAVAILABLE. A
 * master key is made only where nothing is sealed yet, and it must open what is there. The log is
 * silent from here on: `error` says it in one line. */
MUST_USE result_t installation_open_stores(installation_t *installation, bool create, char *error,
                                           size_t error_size);
/* Of a locked directory: it is not a first start. */
bool installation_has_key(const installation_t *installation);
/* Both. With `create` the directory, the master key and the control store are made when they are
 * missing. `error` gets one line for a person. DATA_DIRECTORY_IN_USE may mean a service that just
 * starts. */
MUST_USE result_t installation_open(const char *data, const char *store, bool create,
                                    installation_t *installation, char *error, size_t error_size);
/* Wipes the key; keeps the lock. */
void installation_close_stores(installation_t *installation);
void installation_close(installation_t *installation);

#endif
