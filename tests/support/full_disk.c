/* A preloaded library that makes the disk full, or frozen, while a file exists: writes below the
 * directory named by FULL_DISK_BELOW fail with ENOSPC as long as the file named by FULL_DISK_SWITCH
 * is there, and do not return as long as the one named by FROZEN_DISK_SWITCH is. For end-to-end
 * tests, which need no root and no mount this way. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static bool is_switched(int descriptor, const char *name)
{
    const char *switch_path = getenv(name);
    const char *below = getenv("FULL_DISK_BELOW");
    if (switch_path == NULL || below == NULL || access(switch_path, F_OK) != 0) {
        return false;
    }
    char link[64];
    char path[4096];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
    const ssize_t size = readlink(link, path, sizeof(path) - 1);
    if (size <= 0) {
        return false;
    }
    path[size] = '\0';
    return strncmp(path, below, strlen(below)) == 0;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) =
        (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    while (is_switched(descriptor, "FROZEN_DISK_SWITCH")) {
        (void)poll(NULL, 0, 20);
    }
    if (is_switched(descriptor, "FULL_DISK_SWITCH")) {
        errno = ENOSPC;
        return -1;
    }
    return next(descriptor, bytes, size, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(descriptor, bytes, size, offset);
}
