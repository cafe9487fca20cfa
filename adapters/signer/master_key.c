/* The file of the master key, under which all other keys are sealed: DIR/master.key, 32 raw bytes.
 * It is made whole or not at all (a temporary file, then a link that fails if the name is taken),
 * is readable by its owner alone, and is never followed through a symbolic link. */
#include "adapters/signer/signer.h"
#include "runtime/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char file_name[] = "master.key";
static const char advice_mode[] = "master key can be read by others: run chmod 600 on it, and "
                                  "replace it if they may have read it";
static const char advice_owner[] =
    "master key belongs to another user: run the service as its owner, or chown it";
static const char advice_link[] =
    "master key is no regular file: put the file itself into the data directory, not a link";
static const char advice_size[] =
    "master key is damaged, it must be exactly 32 bytes: restore it from a backup";

enum { TEMPORARY_NAME_SIZE = 48, NAME_RANDOM_SIZE = 8 };

static result_t report(const char *message, const char *directory, result_t result)
{
    log_error(message, LOG_STRING("directory", directory), LOG_STRING("file", file_name));
    return result;
}

/* What the operating system said, in our words. */
static result_t report_errno(const char *what, const char *directory, int error)
{
    result_t result = RESULT_IO;
    const char *advice = "look at the disk and the data directory";
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        result = RESULT_PERMISSION_DENIED;
        advice = "let the user of the service read and write the data directory";
        break;
    case ENOSPC:
    case EDQUOT:
        result = RESULT_STORE_FULL;
        advice = "make room on the disk of the data directory";
        break;
    case ENOENT:
    case ENOTDIR:
        result = RESULT_MISSING;
        advice = "create the data directory, or name the right one with --data";
        break;
    default:
        break;
    }
    log_error(what, LOG_STRING("directory", directory), LOG_STRING("file", file_name),
              LOG_NUMBER("errno", error), LOG_STRING("advice", advice));
    return result;
}

/* Reads until `size` bytes are there or the file ends; -1 on an error. */
static ssize_t read_whole(int file, uint8_t *out, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t got = read(file, out + done, size - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static bool write_whole(int file, const uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t written = write(file, bytes + done, size - done);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        done += (size_t)written;
    }
    return true;
}

/* Root may read the key of the directory's owner: that is an administrator at the command line. Not
 * of anybody, since in a directory that all may write somebody could have put a key of his own. */
static bool is_trusted_owner(uid_t owner, uid_t directory_owner)
{
    return owner == geteuid() || (geteuid() == 0 && owner == directory_owner);
}

static result_t check_file(int directory_file, int file, const char *directory)
{
    struct stat status;
    struct stat directory_status;
    if (fstat(file, &status) != 0 || fstat(directory_file, &directory_status) != 0) {
        return report_errno("master key cannot be examined", directory, errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return report(advice_link, directory, RESULT_PERMISSION_DENIED);
    }
    if (!is_trusted_owner(status.st_uid, directory_status.st_uid)) {
        return report(advice_owner, directory, RESULT_PERMISSION_DENIED);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return report(advice_mode, directory, RESULT_PERMISSION_DENIED);
    }
    if (status.st_size != CRYPTO_KEY_SIZE) {
        return report(advice_size, directory, RESULT_STORE_CORRUPT);
    }
    return RESULT_OK;
}

/* RESULT_MISSING without a line in the log: whether that is an error is the caller's to say. */
static result_t read_key(int directory_file, const char *directory, crypto_key_t *key)
{
    /* O_NONBLOCK: a FIFO of that name must not hang the start. */
    const int file =
        openat(directory_file, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && errno == ENOENT) {
        return RESULT_MISSING;
    }
    if (file < 0 && (errno == ELOOP || errno == ENXIO)) {
        return report(advice_link, directory, RESULT_PERMISSION_DENIED);
    }
    if (file < 0) {
        return report_errno("master key cannot be opened", directory, errno);
    }
    result_t result = check_file(directory_file, file, directory);
    if (result == RESULT_OK) {
        const ssize_t size = read_whole(file, key->bytes, sizeof(key->bytes));
        if (size < 0) {
            result = report_errno("master key cannot be read", directory, errno);
        } else if (size != (ssize_t)sizeof(key->bytes)) {
            result = report(advice_size, directory, RESULT_STORE_CORRUPT);
        }
    }
    if (result != RESULT_OK) {
        sodium_memzero(key, sizeof(*key));
    }
    (void)close(file);
    return result;
}

/* 0 or the errno. A failed fsync is not tried again: the file is given up. */
static int write_temporary(int directory_file, const char *name)
{
    const int file =
        openat(directory_file, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
               S_IRUSR | S_IWUSR);
    if (file < 0) {
        return errno;
    }
    crypto_key_t key;
    randombytes_buf(key.bytes, sizeof(key.bytes));
    int error = 0;
    /* fchmod, because the umask of the caller may have taken bits away that reading needs. */
    if (fchmod(file, S_IRUSR | S_IWUSR) != 0 || !write_whole(file, key.bytes, sizeof(key.bytes)) ||
        fsync(file) != 0) {
        error = errno;
    }
    sodium_memzero(&key, sizeof(key));
    if (close(file) != 0 && error == 0) {
        error = errno;
    }
    return error;
}

/* Two starts at once both come here; the link lets one of them win, and both then read its key. */
static result_t make_key(int directory_file, const char *directory)
{
    uint8_t random[NAME_RANDOM_SIZE];
    char hexadecimal[2 * NAME_RANDOM_SIZE + 1];
    char temporary[TEMPORARY_NAME_SIZE];
    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2hex(hexadecimal, sizeof(hexadecimal), random, sizeof(random));
    (void)snprintf(temporary, sizeof(temporary), "%s.%s.new", file_name, hexadecimal);

    int error = write_temporary(directory_file, temporary);
    if (error == 0 && linkat(directory_file, temporary, directory_file, file_name, 0) != 0 &&
        errno != EEXIST) {
        error = errno;
    }
    if (unlinkat(directory_file, temporary, 0) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && fsync(directory_file) != 0) {
        error = errno;
    }
    if (error != 0) {
        return report_errno("master key cannot be made", directory, error);
    }
    return RESULT_OK;
}

result_t signer_master_key(const char *data_directory, bool create, crypto_key_t *key)
{
    const int directory_file = open(data_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_file < 0) {
        return report_errno("data directory cannot be opened", data_directory, errno);
    }
    result_t result = read_key(directory_file, data_directory, key);
    if (result == RESULT_MISSING && create) {
        result = make_key(directory_file, data_directory);
        if (result == RESULT_OK) {
            result = read_key(directory_file, data_directory, key);
        }
    }
    (void)close(directory_file);
    return result;
}
