/* Making, checking and locking the data directory. It knows names of files, not their contents. */
#include "adapters/cli/data_directory.h"

#include "runtime/limits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUN_FILES_MAX = 1000000 };

static result_t result_from_errno(int number)
{
    switch (number) {
    case ENOENT:
        return RESULT_MISSING;
    case ENOTDIR:
    case ENAMETOOLONG:
        return RESULT_INVALID_ARGUMENT;
    default:
        return result_of_file_error(number, RESULT_IO);
    }
}

static result_t fail(char *error, size_t error_size, const char *path, const char *what)
{
    const int number = errno;
    (void)snprintf(error, error_size, "data directory %s %s: %s", path, what, strerror(number));
    return result_from_errno(number);
}

/* Like mkdir -p, but nobody else may look in. */
static bool make_directories(const char *path)
{
    char partial[PATH_MAX];
    const size_t size = strlen(path);
    if (size >= sizeof partial) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(partial, path, size + 1);
    for (size_t i = 1; i <= size; i++) {
        if (partial[i] != '/' && partial[i] != '\0') {
            continue;
        }
        const char kept = partial[i];
        partial[i] = '\0';
        if (mkdir(partial, S_IRWXU) != 0 && errno != EEXIST) {
            return false;
        }
        partial[i] = kept;
    }
    return true;
}

result_t data_directory_open(const char *path, bool create, data_directory_t *directory,
                             char *error, size_t error_size)
{
    struct stat about;
    directory->lock = -1;
    directory->folder = -1;
    if (create && !make_directories(path)) {
        return fail(error, error_size, path, "cannot be made");
    }
    if (realpath(path, directory->path) == NULL || stat(directory->path, &about) != 0) {
        const int number = errno;
        (void)snprintf(error, error_size, "data directory %s cannot be found: %s%s", path,
                       strerror(number),
                       create ? "" : "; create a tenant or run digitalcard serve first");
        return result_from_errno(number);
    }
    if (!S_ISDIR(about.st_mode)) {
        errno = ENOTDIR;
        return fail(error, error_size, path, "cannot be used");
    }
    if (faccessat(AT_FDCWD, directory->path, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return fail(error, error_size, directory->path, "is not writable");
    }
    if ((about.st_mode & S_IWOTH) != 0) {
        (void)snprintf(error, error_size,
                       "data directory %s can be written by every user of this machine (mode "
                       "%04o): chmod 0700 it",
                       directory->path, (unsigned)about.st_mode & 07777U);
        return RESULT_PERMISSION_DENIED;
    }
    return RESULT_OK;
}

static long read_holder(int lock)
{
    char text[24] = "";
    const ssize_t size = pread(lock, text, sizeof text - 1, 0);
    return size > 0 ? strtol(text, NULL, 10) : 0;
}

/* False: somebody holds it. A file system that cannot lock a directory leaves it to the file. */
static bool lock_folder(data_directory_t *directory)
{
    directory->folder = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory->folder < 0 || flock(directory->folder, LOCK_EX | LOCK_NB) == 0 ||
           errno != EWOULDBLOCK;
}

result_t data_directory_lock(data_directory_t *directory, char *error, size_t error_size)
{
    char path[PATH_MAX + 8];
    char holder[24];
    (void)snprintf(path, sizeof path, "%s/lock", directory->path);
    const int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (lock < 0) {
        return fail(error, error_size, directory->path, "is not writable");
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        (void)snprintf(error, error_size, "data directory %s is in use by process %ld",
                       directory->path, read_holder(lock));
        (void)close(lock);
        return RESULT_DATA_DIRECTORY_IN_USE;
    }
    if (!lock_folder(directory)) {
        (void)snprintf(error, error_size,
                       "data directory %s is in use by another process, whose file %s was removed: "
                       "end that process first",
                       directory->path, path);
        (void)close(lock);
        data_directory_close(directory);
        return RESULT_DATA_DIRECTORY_IN_USE;
    }
    const int size = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, holder, (size_t)size, 0) != size) {
        const result_t result = fail(error, error_size, directory->path, "is not writable");
        (void)close(lock);
        data_directory_close(directory);
        return result;
    }
    directory->lock = lock;
    return RESULT_OK;
}

void data_directory_close(data_directory_t *directory)
{
    if (directory->folder >= 0) {
        (void)close(directory->folder);
        directory->folder = -1;
    }
    if (directory->lock >= 0) {
        (void)close(directory->lock);
        directory->lock = -1;
    }
}

static void remove_files(int run)
{
    DIR *listing = fdopendir(run);
    if (listing == NULL) {
        (void)close(run);
        return;
    }
    for (size_t i = 0; i < RUN_FILES_MAX; i++) {
        const struct dirent *entry = readdir(listing);
        if (entry == NULL) {
            break;
        }
        if (entry->d_type != DT_DIR) {
            (void)unlinkat(run, entry->d_name, 0);
        }
    }
    (void)closedir(listing);
}

result_t data_directory_clear_run(const data_directory_t *directory, char *error, size_t error_size)
{
    char path[PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/run", directory->path);
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST) {
        return fail(error, error_size, directory->path, "is not writable");
    }
    const int run = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (run < 0 || fchmod(run, S_IRWXU) != 0) {
        const result_t result = fail(error, error_size, path, "cannot be used");
        if (run >= 0) {
            (void)close(run);
        }
        return result;
    }
    remove_files(run);
    return RESULT_OK;
}

void data_directory_remove_socket(const data_directory_t *directory, const char *role,
                                  uint64_t incarnation)
{
    char path[PATH_MAX + 64];
    const int size =
        snprintf(path, sizeof path, "%s/run/%s.%" PRIu64, directory->path, role, incarnation);
    if (size > 0 && (size_t)size < sizeof path) {
        (void)unlink(path);
    }
}
