/* The master key's file: made once, whole, private, and never replaced. Log lines are caught here,
 * to see that they say what to do and never hold the key. */
#include "adapters/signer/signer.h"
#include "runtime/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_SIZE = 8192, NOBODY = 65534 };

static char lines[LINES_SIZE];

static void lines_add(const char *text, size_t size)
{
    const size_t used = strlen(lines);
    assert_true(used + size + 2 < sizeof(lines));
    memcpy(lines + used, text, size);
    lines[used + size] = '\n';
    lines[used + size + 1] = '\0';
}

log_field_t log_field_string(const char *name, const char *string)
{
    return (log_field_t){name, LOG_FIELD_TEXT, string, strlen(string), 0};
}

void log_write(log_level_t level, const char *message, const log_field_t *fields,
               size_t field_count)
{
    (void)level;
    lines_add(message, strlen(message));
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].kind == LOG_FIELD_TEXT) {
            lines_add(fields[i].text, fields[i].text_size);
        }
    }
}

typedef struct place {
    char directory[64];
    char file[96];
} place_t;

static int place_create(void **context)
{
    place_t *place = calloc(1, sizeof(*place));
    if (place == NULL) {
        return -1;
    }
    (void)snprintf(place->directory, sizeof(place->directory), "/tmp/digitalcard-key-XXXXXX");
    if (mkdtemp(place->directory) == NULL) {
        free(place);
        return -1;
    }
    (void)snprintf(place->file, sizeof(place->file), "%s/master.key", place->directory);
    lines[0] = '\0';
    *context = place;
    return 0;
}

/* Removes what is in the directory, counting it. */
static int place_clear(const place_t *place)
{
    int count = 0;
    DIR *directory = opendir(place->directory);
    if (directory == NULL) {
        return -1;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') {
            count++;
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    (void)closedir(directory);
    return count;
}

static int place_destroy(void **context)
{
    place_t *place = *context;
    (void)chmod(place->directory, 0700);
    (void)place_clear(place);
    (void)rmdir(place->directory);
    free(place);
    return 0;
}

static void write_file(const place_t *place, size_t size, mode_t mode)
{
    char bytes[64];
    memset(bytes, 'k', sizeof(bytes));
    const int file = open(place->file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), (ssize_t)size);
    assert_int_equal(fchmod(file, mode), 0);
    assert_int_equal(close(file), 0);
}

static bool is_zero(const crypto_key_t *key)
{
    static const crypto_key_t zero;
    return memcmp(key, &zero, sizeof(zero)) == 0;
}

static void master_key_is_made_once_and_read_again(void **context)
{
    const place_t *place = *context;
    crypto_key_t first = {{0}};
    crypto_key_t second = {{0}};
    struct stat status;
    assert_int_equal(signer_master_key(place->directory, true, &first), RESULT_OK);
    assert_false(is_zero(&first));
    assert_int_equal(stat(place->file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, CRYPTO_KEY_SIZE);
    assert_int_equal(signer_master_key(place->directory, true, &second), RESULT_OK);
    assert_memory_equal(first.bytes, second.bytes, sizeof(first.bytes));
    assert_int_equal(signer_master_key(place->directory, false, &second), RESULT_OK);
    assert_memory_equal(first.bytes, second.bytes, sizeof(first.bytes));
    assert_int_equal(place_clear(place), 1); /* no temporary file is left */
}

static void master_key_is_private_under_any_umask(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    struct stat status;
    const mode_t before = umask(0777);
    const result_t strict = signer_master_key(place->directory, true, &key);
    (void)place_clear(place);
    (void)umask(0);
    const result_t loose = signer_master_key(place->directory, true, &key);
    (void)umask(before);
    assert_int_equal(strict, RESULT_OK);
    assert_int_equal(loose, RESULT_OK);
    assert_int_equal(stat(place->file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void master_keys_differ(void **context)
{
    const place_t *place = *context;
    crypto_key_t first;
    crypto_key_t second;
    assert_int_equal(signer_master_key(place->directory, true, &first), RESULT_OK);
    (void)place_clear(place);
    assert_int_equal(signer_master_key(place->directory, true, &second), RESULT_OK);
    assert_memory_not_equal(first.bytes, second.bytes, sizeof(first.bytes));
}

static void master_key_is_not_made_unasked(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    assert_int_equal(signer_master_key(place->directory, false, &key), RESULT_MISSING);
    assert_int_equal(place_clear(place), 0);
}

static void master_key_that_others_may_read_is_refused(void **context)
{
    const place_t *place = *context;
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0777};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        crypto_key_t key = {{0}};
        lines[0] = '\0';
        write_file(place, CRYPTO_KEY_SIZE, modes[i]);
        assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_PERMISSION_DENIED);
        assert_non_null(strstr(lines, "chmod 600"));
        assert_non_null(strstr(lines, place->directory));
        assert_true(is_zero(&key));
        assert_int_equal(place_clear(place), 1);
    }
}

static void master_key_of_another_size_is_damaged_and_stays_as_it_is(void **context)
{
    const place_t *place = *context;
    static const size_t sizes[] = {0, 1, 31, 33, 64};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        crypto_key_t key = {{0}};
        struct stat status;
        write_file(place, sizes[i], 0600);
        assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_STORE_CORRUPT);
        assert_true(is_zero(&key));
        assert_int_equal(stat(place->file, &status), 0);
        assert_int_equal(status.st_size, sizes[i]);
        assert_int_equal(place_clear(place), 1);
    }
    assert_non_null(strstr(lines, "restore it from a backup"));
}

static void master_key_is_not_followed_through_a_link(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    char target[128];
    (void)snprintf(target, sizeof(target), "%s/elsewhere", place->directory);
    write_file(place, CRYPTO_KEY_SIZE, 0600);
    assert_int_equal(rename(place->file, target), 0);
    assert_int_equal(symlink(target, place->file), 0);
    assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_PERMISSION_DENIED);
    assert_int_equal(unlink(target), 0); /* now it dangles: nothing is made at its far end */
    assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_PERMISSION_DENIED);
    assert_int_not_equal(access(target, F_OK), 0);
}

static void master_key_that_is_no_file_is_refused_without_hanging(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    assert_int_equal(mkfifo(place->file, 0600), 0);
    assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_PERMISSION_DENIED);
    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkdir(place->file, 0700), 0);
    assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_PERMISSION_DENIED);
    assert_int_equal(rmdir(place->file), 0);
}

static void master_key_needs_its_directory(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    assert_int_equal(signer_master_key("/nonexistent/directory", true, &key), RESULT_MISSING);
    assert_non_null(strstr(lines, "create the data directory"));
    write_file(place, 1, 0600);
    assert_int_equal(signer_master_key(place->file, true, &key), RESULT_MISSING);
}

static void master_key_in_an_unwritable_directory_is_not_made(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    /* Root writes everywhere, so it steps down for a moment. */
    const bool is_root = geteuid() == 0;
    assert_int_equal(chmod(place->directory, 0500), 0);
    if (is_root) {
        assert_int_equal(chown(place->directory, NOBODY, NOBODY), 0);
        assert_int_equal(seteuid(NOBODY), 0);
    }
    const result_t result = signer_master_key(place->directory, true, &key);
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(result, RESULT_PERMISSION_DENIED);
    assert_non_null(strstr(lines, "read and write the data directory"));
}

static void master_key_that_somebody_else_put_there_is_refused(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    write_file(place, CRYPTO_KEY_SIZE, 0600);
    assert_int_equal(chown(place->file, NOBODY, NOBODY), 0);
    assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_PERMISSION_DENIED);
    assert_non_null(strstr(lines, "belongs to another user"));
    /* An administrator at the command line of a service that has a user of its own. */
    assert_int_equal(chown(place->directory, NOBODY, NOBODY), 0);
    assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_OK);
}

static void master_key_never_stands_in_the_log(void **context)
{
    const place_t *place = *context;
    crypto_key_t key;
    char hexadecimal[2 * CRYPTO_KEY_SIZE + 1];
    assert_int_equal(signer_master_key(place->directory, true, &key), RESULT_OK);
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        (void)snprintf(hexadecimal + 2 * i, 3, "%02x", key.bytes[i]);
    }
    hexadecimal[16] = '\0';
    assert_null(strstr(lines, hexadecimal));
    assert_null(memmem(lines, strlen(lines), key.bytes, 8));
}

#define KEY_TEST(function) cmocka_unit_test_setup_teardown(function, place_create, place_destroy)

int main(void)
{
    if (signer_start() != RESULT_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        KEY_TEST(master_key_is_made_once_and_read_again),
        KEY_TEST(master_key_is_private_under_any_umask),
        KEY_TEST(master_keys_differ),
        KEY_TEST(master_key_is_not_made_unasked),
        KEY_TEST(master_key_that_others_may_read_is_refused),
        KEY_TEST(master_key_of_another_size_is_damaged_and_stays_as_it_is),
        KEY_TEST(master_key_is_not_followed_through_a_link),
        KEY_TEST(master_key_that_is_no_file_is_refused_without_hanging),
        KEY_TEST(master_key_needs_its_directory),
        KEY_TEST(master_key_in_an_unwritable_directory_is_not_made),
        KEY_TEST(master_key_never_stands_in_the_log),
    };
    const struct CMUnitTest tests_of_root[] = {
        /* only root can put it there and read it */
        KEY_TEST(master_key_that_somebody_else_put_there_is_refused),
    };
    const int failed = cmocka_run_group_tests_name("signer_master_key", tests, NULL, NULL);
    return geteuid() != 0
               ? failed
               : failed + cmocka_run_group_tests_name("as root", tests_of_root, NULL, NULL);
}
