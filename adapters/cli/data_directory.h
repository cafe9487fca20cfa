/* The data directory: made with mode 0700, locked by whoever runs a service or a command on it.
 *   DIR/lock          flock by the one process that owns the directory; holds its pid. So is the
 *                     directory itself, because people remove files that look left behind
 *   DIR/control.sock  while a service runs
 *   DIR/run/          sockets between roles, named ROLE.INCARNATION, and service.json
 *   DIR/master.key, DIR/control.db, DIR/tenants/  see adapters/signer and adapters/control_sqlite
 * Roles change into DIR/run and name their sockets relatively: a socket's path may have 107 bytes
 * at most, a data directory's more, and nobody but its owner can enter the directory. */
#ifndef ADAPTERS_CLI_DATA_DIRECTORY_H
#define ADAPTERS_CLI_DATA_DIRECTORY_H

#include "runtime/result.h"
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

typedef struct data_directory {
    char path[PATH_MAX]; /* absolute */
    int lock;            /* descriptor; -1: not locked */
    int folder;          /* descriptor of the directory, locked as well; -1: not */
} data_directory_t;

/* Finds the directory, and makes it (and its parents) when `create`. One that everybody may write
 * into is refused: whoever can replace its files is the service. `error` gets one line for a
 * person. MISSING, PERMISSION_DENIED, STORE_FULL, INVALID_ARGUMENT, IO. */
MUST_USE result_t data_directory_open(const char *path, bool create, data_directory_t *directory,
                                      char *error, size_t error_size);
/* DATA_DIRECTORY_IN_USE names the process that holds it. */
MUST_USE result_t data_directory_lock(data_directory_t *directory, char *error, size_t error_size);
void data_directory_close(data_directory_t *directory); /* and unlocks */

/* Makes DIR/run empty. Only with the lock: what is there belongs to the dead. */
MUST_USE result_t data_directory_clear_run(const data_directory_t *directory, char *error,
                                           size_t error_size);
/* Removes the socket of a dead incarnation. */
void data_directory_remove_socket(const data_directory_t *directory, const char *role,
                                  uint64_t incarnation);

#endif
