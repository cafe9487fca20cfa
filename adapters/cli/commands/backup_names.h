/* Before a restore: do the sealed names in a backup open under the keys of their members? */
#ifndef ADAPTERS_CLI_COMMANDS_BACKUP_NAMES_H
#define ADAPTERS_CLI_COMMANDS_BACKUP_NAMES_H

#include "actors/ports/crypto.h"
#include "runtime/result.h"
#include <stdint.h>

typedef struct backup_names {
    uint64_t opened;  /* names, in events and in snapshots */
    uint64_t erased;  /* of members without a key: nobody can read them any more */
    bool is_complete; /* else one member has more names than can be followed, and some were not
                         looked at */
} backup_names_t;

/* Reads the file as often as its names need: `room`, a power of two, are followed at a time.
 * STORE_CORRUPT, and a line in `error` (ARCHIVE_ERROR_SIZE): a name does not open, and would be
 * missing for good after a restore. A file of another master key has no names here: OK, the restore
 * refuses it. Else what archive_read returns. */
MUST_USE result_t backup_names_check(const char *file, uint32_t room,
                                     const crypto_key_t *master_key, backup_names_t *names,
                                     char *error);

#endif
