/* Hands every call of a file on: see the header. */
#include "tests/contract/vfs_forward.h"

sqlite3_file *vfs_forward_real(sqlite3_file *file)
{
    return ((vfs_forward_file_t *)file)->real;
}

static int file_close(sqlite3_file *file)
{
    return vfs_forward_real(file)->pMethods->xClose(vfs_forward_real(file));
}

static int file_read(sqlite3_file *file, void *out, int size, sqlite3_int64 offset)
{
    return vfs_forward_real(file)->pMethods->xRead(vfs_forward_real(file), out, size, offset);
}

static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    return vfs_forward_real(file)->pMethods->xWrite(vfs_forward_real(file), data, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return vfs_forward_real(file)->pMethods->xTruncate(vfs_forward_real(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    return vfs_forward_real(file)->pMethods->xSync(vfs_forward_real(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return vfs_forward_real(file)->pMethods->xFileSize(vfs_forward_real(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return vfs_forward_real(file)->pMethods->xLock(vfs_forward_real(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return vfs_forward_real(file)->pMethods->xUnlock(vfs_forward_real(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *reserved)
{
    return vfs_forward_real(file)->pMethods->xCheckReservedLock(vfs_forward_real(file), reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return vfs_forward_real(file)->pMethods->xFileControl(vfs_forward_real(file), operation,
                                                          argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return vfs_forward_real(file)->pMethods->xSectorSize(vfs_forward_real(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return vfs_forward_real(file)->pMethods->xDeviceCharacteristics(vfs_forward_real(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return vfs_forward_real(file)->pMethods->xShmMap(vfs_forward_real(file), page, size, extend,
                                                     out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return vfs_forward_real(file)->pMethods->xShmLock(vfs_forward_real(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    vfs_forward_real(file)->pMethods->xShmBarrier(vfs_forward_real(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return vfs_forward_real(file)->pMethods->xShmUnmap(vfs_forward_real(file), delete);
}

sqlite3_io_methods vfs_forward_methods(void)
{
    return (sqlite3_io_methods){
        .iVersion = 2,
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
}

sqlite3_vfs vfs_forward_of_default(const char *name, size_t file_size,
                                   int (*open)(sqlite3_vfs *, sqlite3_filename, sqlite3_file *, int,
                                               int *))
{
    sqlite3_vfs vfs = *sqlite3_vfs_find(NULL); /* all else goes straight to its functions */
    vfs.pNext = NULL;
    vfs.zName = name;
    vfs.szOsFile += (int)file_size;
    vfs.xOpen = open;
    return vfs;
}
