/* Forwards everything to the default VFS, except the call that is to fail. */
#include "tests/contract/faulty_vfs.h"
#include "tests/contract/vfs_forward.h"
#include <stdatomic.h>
#include <stddef.h>

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    sqlite3_io_methods methods;
    atomic_uint kind;
    atomic_uint number;
    atomic_bool stays;
    atomic_uint calls;
    atomic_bool has_failed;
    atomic_uint syncs;
} faulty;

static bool fails(fault_kind_t kind)
{
    if (atomic_load(&faulty.kind) != kind) {
        return false;
    }
    const unsigned call = atomic_fetch_add(&faulty.calls, 1) + 1;
    const unsigned number = atomic_load(&faulty.number);
    if (call == number || (call > number && atomic_load(&faulty.stays))) {
        atomic_store(&faulty.has_failed, true);
        return true;
    }
    return false;
}

static int file_read(sqlite3_file *file, void *out, int size, sqlite3_int64 offset)
{
    return fails(FAULT_READ)
               ? SQLITE_IOERR_READ
               : vfs_forward_real(file)->pMethods->xRead(vfs_forward_real(file), out, size, offset);
}

static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    return fails(FAULT_WRITE_FULL) ? SQLITE_FULL
                                   : vfs_forward_real(file)->pMethods->xWrite(
                                         vfs_forward_real(file), data, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return fails(FAULT_TRUNCATE)
               ? SQLITE_IOERR_TRUNCATE
               : vfs_forward_real(file)->pMethods->xTruncate(vfs_forward_real(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    atomic_fetch_add(&faulty.syncs, 1);
    return fails(FAULT_SYNC)
               ? SQLITE_IOERR_FSYNC
               : vfs_forward_real(file)->pMethods->xSync(vfs_forward_real(file), flags);
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return fails(FAULT_SHARED) ? SQLITE_IOERR_SHMMAP
                               : vfs_forward_real(file)->pMethods->xShmMap(vfs_forward_real(file),
                                                                           page, size, extend, out);
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *flags_out)
{
    (void)vfs;
    vfs_forward_file_t *const opened = (vfs_forward_file_t *)file;
    opened->base.pMethods = NULL;
    opened->real = (sqlite3_file *)(opened + 1);
    if (fails(FAULT_OPEN)) {
        return SQLITE_CANTOPEN;
    }
    const int code = faulty.real->xOpen(faulty.real, name, opened->real, flags, flags_out);
    if (opened->real->pMethods != NULL) {
        opened->base.pMethods = &faulty.methods;
    }
    return code;
}

void faulty_vfs_install(void)
{
    faulty.real = sqlite3_vfs_find(NULL);
    faulty.methods = vfs_forward_methods();
    faulty.methods.xRead = file_read;
    faulty.methods.xWrite = file_write;
    faulty.methods.xTruncate = file_truncate;
    faulty.methods.xSync = file_sync;
    faulty.methods.xShmMap = file_shm_map;
    faulty.vfs = vfs_forward_of_default("faulty", sizeof(vfs_forward_file_t), vfs_open);
    (void)sqlite3_vfs_register(&faulty.vfs, 1);
}

void faulty_vfs_arm(fault_kind_t kind, uint32_t number, bool stays)
{
    atomic_store(&faulty.kind, FAULT_NONE);
    atomic_store(&faulty.calls, 0);
    atomic_store(&faulty.has_failed, false);
    atomic_store(&faulty.number, number);
    atomic_store(&faulty.stays, stays);
    atomic_store(&faulty.kind, kind);
}

bool faulty_vfs_has_failed(void)
{
    return atomic_load(&faulty.has_failed);
}

uint32_t faulty_vfs_syncs(void)
{
    return atomic_load(&faulty.syncs);
}
