/* Forwards everything to the default VFS, except the call that is to fail. */
#include "tests/contract/faulty_vfs.h"
#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

typedef struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real; /* right behind this struct */
} faulty_file_t;

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
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

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((faulty_file_t *)file)->real;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *out, int size, sqlite3_int64 offset)
{
    return fails(FAULT_READ) ? SQLITE_IOERR_READ
                             : real_of(file)->pMethods->xRead(real_of(file), out, size, offset);
}

static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    return fails(FAULT_WRITE_FULL)
               ? SQLITE_FULL
               : real_of(file)->pMethods->xWrite(real_of(file), data, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return fails(FAULT_TRUNCATE) ? SQLITE_IOERR_TRUNCATE
                                 : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    atomic_fetch_add(&faulty.syncs, 1);
    return fails(FAULT_SYNC) ? SQLITE_IOERR_FSYNC
                             : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return fails(FAULT_SHARED)
               ? SQLITE_IOERR_SHMMAP
               : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no memory mapping */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *flags_out)
{
    (void)vfs;
    faulty_file_t *const opened = (faulty_file_t *)file;
    opened->base.pMethods = NULL;
    opened->real = (sqlite3_file *)(opened + 1);
    if (fails(FAULT_OPEN)) {
        return SQLITE_CANTOPEN;
    }
    const int code = faulty.real->xOpen(faulty.real, name, opened->real, flags, flags_out);
    if (opened->real->pMethods != NULL) {
        opened->base.pMethods = &methods;
    }
    return code;
}

void faulty_vfs_install(void)
{
    faulty.real = sqlite3_vfs_find(NULL);
    faulty.vfs = *faulty.real; /* all else goes straight to the real one's functions */
    faulty.vfs.pNext = NULL;
    faulty.vfs.zName = "faulty";
    faulty.vfs.szOsFile = (int)sizeof(faulty_file_t) + faulty.real->szOsFile;
    faulty.vfs.xOpen = vfs_open;
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
