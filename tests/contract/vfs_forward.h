/* A file of SQLite that hands every call on to the file of another VFS: what the VFSs of the tests
 * begin with, before each replaces the calls that it is about. */
#ifndef TESTS_CONTRACT_VFS_FORWARD_H
#define TESTS_CONTRACT_VFS_FORWARD_H

#include <sqlite3.h>
#include <stddef.h>

/* First member of the file of a VFS, whose szOsFile leaves room for the real one behind it. */
typedef struct vfs_forward_file {
    sqlite3_file base;
    sqlite3_file *real;
} vfs_forward_file_t;

sqlite3_file *vfs_forward_real(sqlite3_file *file);
/* Every call handed on; no memory mapping. */
sqlite3_io_methods vfs_forward_methods(void);
/* The default VFS under another name, whose files have `file_size` bytes before the real one's. */
sqlite3_vfs vfs_forward_of_default(const char *name, size_t file_size,
                                   int (*open)(sqlite3_vfs *, sqlite3_filename, sqlite3_file *, int,
                                               int *));

#endif
