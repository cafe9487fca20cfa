/* A SQLite VFS in front of the default one that knows what a machine which loses power now would
 * still have: everything up to the last fsync of each file, and of what was written since, each
 * sector of 512 bytes or not. It goes on working; what the disk would hold is written aside as
 * files of their own. For tests only; one per process. */
#ifndef TESTS_CONTRACT_TORN_VFS_H
#define TESTS_CONTRACT_TORN_VFS_H

#include <stdbool.h>
#include <stdint.h>

/* Makes it the default VFS, for the files whose path begins with `directory`. */
void torn_vfs_install(const char *directory);

/* After `operations` more writes, truncations and syncs the power goes: what the disk then holds is
 * written below `directory` (with a folder tenants). `lost` is called first, on the thread that
 * works on the file. */
void torn_vfs_arm(uint32_t operations, uint64_t seed, const char *directory,
                  void (*lost)(void *context), void *context);
bool torn_vfs_is_armed(void); /* it has not happened yet */

/* A bug for the test to find: syncs of logs do nothing. */
void torn_vfs_forget_syncs(bool forgets);

#endif
