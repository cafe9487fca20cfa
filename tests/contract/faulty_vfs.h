/* A SQLite VFS in front of the default one that fails one chosen kind of call: the n-th, or the
 * n-th and all after it. For tests only; one per process. */
#ifndef TESTS_CONTRACT_FAULTY_VFS_H
#define TESTS_CONTRACT_FAULTY_VFS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_WRITE_FULL, /* xWrite: SQLITE_FULL */
    FAULT_SYNC,       /* xSync: SQLITE_IOERR_FSYNC */
    FAULT_READ,       /* xRead: SQLITE_IOERR_READ */
    FAULT_TRUNCATE,   /* xTruncate: SQLITE_IOERR_TRUNCATE */
    FAULT_OPEN,       /* xOpen: SQLITE_CANTOPEN */
    FAULT_SHARED,     /* xShmMap: SQLITE_IOERR_SHMMAP */
    FAULT_KINDS,
} fault_kind_t;

/* Makes it the default VFS. */
void faulty_vfs_install(void);
/* From now on the `number`-th call of the kind fails (from 1), all later ones too if `stays`. */
void faulty_vfs_arm(fault_kind_t kind, uint32_t number, bool stays);
bool faulty_vfs_has_failed(void);
uint32_t faulty_vfs_syncs(void); /* calls of xSync so far */

#endif
