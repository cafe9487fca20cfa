/* Files that are damaged, foreign, newer, missing or not to be written; and the size of what stays
 * on disk. Whatever the bytes, the journal answers with an error and never falls over. */
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "tests/contract/journal_harness.h"
#include "tests/contract/journal_sqlite_place.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE_SIZE = 4096, CARDS = 60, NOBODY = 65534 };

typedef struct files_state {
    place_t place;
    journal_contract_factory_t factory;
    harness_t harness;
} files_state_t;

/* --- Helpers --- */

static int64_t sql_number(const files_state_t *files, const char *sql)
{
    char *path = place_file(&files->place, "alpha", "");
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        number = sqlite3_column_int64(statement, 0);
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    free(path);
    return number;
}

static off_t file_size(const files_state_t *files, const char *ending)
{
    char *path = place_file(&files->place, "alpha", ending);
    struct stat status;
    const off_t size = stat(path, &status) == 0 ? status.st_size : -1;
    free(path);
    return size;
}

static void file_write(const files_state_t *files, off_t offset, const void *bytes, size_t size)
{
    char *path = place_file(&files->place, "alpha", "");
    const int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    assert_int_equal(pwrite(descriptor, bytes, size, offset), (ssize_t)size);
    (void)close(descriptor);
    free(path);
}

static result_t open_result(files_state_t *files)
{
    opened_t opened = harness_open(&files->harness, "alpha");
    if (opened.result == RESULT_OK) {
        harness_close(&files->harness, &opened);
        harness_restart(&files->harness);
    }
    return opened.result;
}

static uuid_t fill(files_state_t *files)
{
    harness_t *const harness = &files->harness;
    opened_t opened = harness_open(harness, "alpha");
    assert_int_equal(opened.result, RESULT_OK);
    uuid_t card = {{0}};
    for (size_t i = 0; i < CARDS; i++) {
        char member[16];
        (void)snprintf(member, sizeof member, "member-%zu", i);
        card = harness_issue(harness, &opened, member, "gold", card_status_active, 100);
        assert_int_equal(harness_store(harness, &opened, 0, &card, 2, 3), RESULT_OK);
    }
    harness_close(harness, &opened);
    harness_restart(harness);
    return card;
}

static int setup(void **state)
{
    files_state_t *files = calloc(1, sizeof *files);
    place_create(&files->place);
    files->factory = place_factory(&files->place);
    harness_start(&files->harness, &files->factory);
    harness_create_tenant(&files->harness, "alpha");
    *state = files;
    return 0;
}

static int teardown(void **state)
{
    files_state_t *files = *state;
    harness_stop(&files->harness);
    place_remove(&files->place);
    free(files);
    return 0;
}

/* --- Damage --- */

static void a_damaged_header_is_corrupt(void **state)
{
    files_state_t *const files = *state;
    (void)fill(files);
    file_write(files, 0, "garbage!garbage!", 16);
    assert_int_equal(open_result(files), RESULT_STORE_CORRUPT);
    assert_int_equal(harness_open_readonly(&files->harness, "alpha").result, RESULT_STORE_CORRUPT);
    char *report = NULL;
    assert_int_equal(
        journal_sqlite_verify(files->place.directory, TEXT_LITERAL("alpha"), false, &report),
        RESULT_STORE_CORRUPT);
    free(report);
}

static void an_empty_file_is_corrupt_and_stays_as_it_is(void **state)
{
    files_state_t *const files = *state;
    char *path = place_file(&files->place, "alpha", "");
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(open_result(files), RESULT_STORE_CORRUPT);
    assert_int_equal(file_size(files, ""), 0);
    free(path);
}

/* Opened, it would hold a store thread until somebody writes into it. */
static void what_is_no_regular_file_is_corrupt_and_blocks_nobody(void **state)
{
    files_state_t *const files = *state;
    char *path = place_file(&files->place, "alpha", "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_result(files), RESULT_STORE_CORRUPT);
    assert_int_equal(harness_open_readonly(&files->harness, "alpha").result, RESULT_STORE_CORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_result(files), RESULT_STORE_CORRUPT);
    assert_int_equal(rmdir(path), 0);
    free(path);
}

static void a_truncated_file_is_corrupt(void **state)
{
    files_state_t *const files = *state;
    (void)fill(files);
    char *path = place_file(&files->place, "alpha", "");
    const off_t size = file_size(files, "");
    assert_true(size > 4 * PAGE_SIZE);
    for (off_t pages = size / PAGE_SIZE - 1; pages > 0; pages /= 2) {
        assert_int_equal(truncate(path, pages * PAGE_SIZE), 0);
        assert_int_equal(open_result(files), RESULT_STORE_CORRUPT);
    }
    free(path);
}

static void a_lost_last_event_is_found_when_opening(void **state)
{
    files_state_t *const files = *state;
    (void)fill(files);
    assert_int_equal(sql_number(files, "DELETE FROM event WHERE id = (SELECT max(id) FROM event)"),
                     -1);
    assert_int_equal(open_result(files), RESULT_STORE_CORRUPT);
    assert_false(files->factory.is_sound(files->factory.context, TEXT_LITERAL("alpha")));
}

static void expect_promised(result_t result)
{
    assert_true(result == RESULT_OK || result == RESULT_STORE_CORRUPT ||
                result == RESULT_STORE_UNAVAILABLE || result == RESULT_SCHEMA_TOO_NEW ||
                result == RESULT_INVALID_CURSOR);
}

/* All reads and a write on a file with damaged bytes. */
static void use_damaged(files_state_t *files, const uuid_t *card)
{
    harness_t *const harness = &files->harness;
    opened_t opened = harness_open(harness, "alpha");
    expect_promised(opened.result);
    if (opened.result != RESULT_OK) {
        return;
    }
    const size_t mark = harness->arena.used;
    const card_list_t all = {0};
    card_list_t prefix = {0};
    MESSAGE_SET(card_list, &prefix, q, TEXT_LITERAL("mem"));
    expect_promised(harness_load(harness, &opened, card, "member-1", "key").result);
    expect_promised(harness_due(harness, &opened, 100, 100).result);
    expect_promised(harness_list(harness, &opened, &all, 100, 100).result);
    expect_promised(harness_list(harness, &opened, &prefix, 100, 100).result);
    expect_promised(harness_history(harness, &opened, card, TEXT_NONE, 100).result);
    expect_promised(harness_events(harness, &opened, 0, 0, 1000).result);
    const result_t stored = harness_store(harness, &opened, 0, card, 5, 1);
    assert_true(stored == RESULT_OK || stored == RESULT_STORE_CORRUPT ||
                stored == RESULT_STORE_UNAVAILABLE || stored == RESULT_FENCED);
    harness->arena.used = mark;
    harness_close(harness, &opened);
    harness_restart(harness);
}

static void damage(const files_state_t *files, const uint8_t *original, size_t at, unsigned *seed)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = original[at + i] ^ (uint8_t)(1 + rand_r(seed) % 255);
    }
    file_write(files, (off_t)at, bytes, sizeof bytes);
}

static void flipped_bytes_in_any_page_are_errors_and_nothing_worse(void **state)
{
    enum { ROUNDS = 3 };
    files_state_t *const files = *state;
    const uuid_t card = fill(files);
    char *path = place_file(&files->place, "alpha", "");
    const size_t size = (size_t)file_size(files, "");
    if (size == 0 || size > 1U << 30) {
        fail_msg("a journal of %zu bytes", size);
        return;
    }
    uint8_t *original = malloc(size);
    FILE *file = fopen(path, "r");
    assert_int_equal(fread(original, 1, size, file), size);
    (void)fclose(file);
    unsigned seed = 20261120;
    uint32_t found = 0;
    for (size_t i = 0; i < size / PAGE_SIZE * ROUNDS; i++) {
        /* The page header, the pointers behind it, then anywhere. */
        const size_t page = i / ROUNDS;
        size_t within = page == 0 ? 100 : 0;
        if (i % ROUNDS > 0) {
            within = (unsigned)rand_r(&seed) % (i % ROUNDS == 1 ? 64 : PAGE_SIZE - 8);
        }
        damage(files, original, page * PAGE_SIZE + within, &seed);
        char *report = NULL;
        const result_t result =
            journal_sqlite_verify(files->place.directory, TEXT_LITERAL("alpha"), false, &report);
        expect_promised(result);
        found += result == RESULT_OK ? 0 : 1;
        free(report);
        use_damaged(files, &card);
        assert_int_equal(truncate(path, (off_t)size), 0);
        file_write(files, 0, original, size);
    }
    print_message("%u of %zu damages found by verify\n", found, size / PAGE_SIZE * ROUNDS);
    assert_true(found > size / PAGE_SIZE); /* free bytes of a page may be anything */
    assert_true(files->factory.is_sound(files->factory.context, TEXT_LITERAL("alpha")));
    free(original);
    free(path);
}

/* --- Other files --- */

static void a_newer_schema_is_left_alone(void **state)
{
    files_state_t *const files = *state;
    assert_int_equal(sql_number(files, "PRAGMA user_version = 99"), -1);
    assert_int_equal(open_result(files), RESULT_SCHEMA_TOO_NEW);
    assert_int_equal(harness_open_readonly(&files->harness, "alpha").result, RESULT_SCHEMA_TOO_NEW);
    assert_int_equal(sql_number(files, "PRAGMA user_version"), 99);
}

static void a_foreign_database_is_refused(void **state)
{
    files_state_t *const files = *state;
    assert_int_equal(sql_number(files, "PRAGMA application_id = 1"), -1);
    assert_int_equal(open_result(files), RESULT_STORE_CORRUPT);
}

static void file_copy(const char *from, const char *to)
{
    static uint8_t bytes[1 << 20];
    FILE *source = fopen(from, "rbe");
    FILE *target = fopen(to, "wbe");
    assert_non_null(source);
    assert_non_null(target);
    const size_t size = fread(bytes, 1, sizeof bytes, source);
    assert_true(size > 0 && size < sizeof bytes);
    assert_int_equal(fwrite(bytes, 1, size, target), size);
    assert_int_equal(fclose(target), 0);
    assert_int_equal(fclose(source), 0);
}

static void the_journal_of_another_tenant_is_refused_and_left_alone(void **state)
{
    files_state_t *const files = *state;
    (void)fill(files);
    harness_create_tenant(&files->harness, "beta");
    char *own = place_file(&files->place, "alpha", "");
    char *other = place_file(&files->place, "beta", "");
    const int64_t epoch = sql_number(files, "SELECT max(epoch) FROM partition");
    file_copy(own, other);
    assert_int_equal(harness_open(&files->harness, "beta").result, RESULT_STORE_CORRUPT);
    assert_int_equal(harness_open_readonly(&files->harness, "beta").result, RESULT_STORE_CORRUPT);
    char *report = NULL;
    assert_int_equal(
        journal_sqlite_verify(files->place.directory, TEXT_LITERAL("beta"), false, &report),
        RESULT_STORE_CORRUPT);
    free(report);
    file_copy(other, own); /* back under its own name it is as it was */
    assert_int_equal(sql_number(files, "SELECT max(epoch) FROM partition"), epoch);
    assert_int_equal(open_result(files), RESULT_OK);
    free(other);
    free(own);
}

static void a_new_journal_is_private_and_has_no_log(void **state)
{
    files_state_t *const files = *state;
    char *path = place_file(&files->place, "alpha", "");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(file_size(files, "-wal"), -1);
    assert_int_equal(file_size(files, ".new"), -1);
    free(path);
}

/* SQLite would take the log of a file that is gone for the log of the new one. */
static void a_log_without_its_file_does_not_reach_the_next_journal(void **state)
{
    files_state_t *const files = *state;
    harness_t *const harness = &files->harness;
    opened_t opened = harness_open(harness, "alpha");
    const uuid_t card = harness_issue(harness, &opened, "m-1", "", card_status_active, 100);
    char *path = place_file(&files->place, "alpha", "");
    assert_true(file_size(files, "-wal") > 0);
    assert_int_equal(unlink(path), 0); /* by somebody's mistake, under a running service */
    harness_create_tenant(harness, "alpha");
    opened_t fresh = harness_open(harness, "alpha");
    assert_int_equal(fresh.result, RESULT_OK);
    assert_int_equal(fresh.partitions[0].head, 0);
    assert_false(harness_load(harness, &fresh, &card, NULL, NULL).card_found);
    harness_close(harness, &fresh);
    harness_close(harness, &opened);
    harness_restart(harness);
    free(path);
}

static void an_unwritable_directory_is_permission_denied(void **state)
{
    files_state_t *const files = *state;
    char directory[160];
    (void)snprintf(directory, sizeof directory, "%s/tenants", files->place.directory);
    assert_int_equal(chmod(files->place.directory, 0755), 0);
    assert_int_equal(chmod(directory, 0555), 0);
    const pid_t child = fork();
    if (child == 0) {
        const bool is_other = geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0;
        const result_t result =
            journal_sqlite_create_tenant(files->place.directory, TEXT_LITERAL("bravo"), 1);
        _exit(is_other && result == RESULT_PERMISSION_DENIED ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(directory, 0700), 0);
}

/* --- Sizes --- */

static void closing_writes_the_log_back(void **state)
{
    files_state_t *const files = *state;
    (void)fill(files);
    assert_int_equal(file_size(files, "-wal"), -1);
    assert_int_equal(sql_number(files, "SELECT count(*) FROM event"), 4 * CARDS);
}

static void the_log_does_not_grow_without_bound(void **state)
{
    enum { ROUNDS = 900, SIZE = 200 };
    files_state_t *const files = *state;
    harness_t *const harness = &files->harness;
    opened_t opened = harness_open(harness, "alpha");
    const uuid_t card = harness_id(harness);
    const size_t mark = harness->arena.used;
    off_t largest = 0;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        harness->arena.used = mark;
        assert_int_equal(harness_store(harness, &opened, 0, &card, 1 + i * SIZE, SIZE), RESULT_OK);
        const off_t size = file_size(files, "-wal");
        largest = size > largest ? size : largest;
    }
    print_message("log at most %lld KiB\n", (long long)largest / 1024);
    assert_true(largest > (off_t)LIMIT_STORE_WAL_PAGES * PAGE_SIZE);
    assert_true(largest < 2 * (off_t)LIMIT_STORE_WAL_PAGES * PAGE_SIZE);
    harness_close(harness, &opened);
    harness_restart(harness);
}

static void the_refusal_log_keeps_the_newest(void **state)
{
    enum { SIZE = 5000 };
    files_state_t *const files = *state;
    harness_t *const harness = &files->harness;
    opened_t opened = harness_open(harness, "alpha");
    journal_refusal_t *refusals = harness_take(harness, SIZE * sizeof *refusals);
    for (int64_t round = 0; round < 3; round++) {
        for (int64_t i = 0; i < SIZE; i++) {
            refusals[i] = (journal_refusal_t){.recorded_at = round * SIZE + i,
                                              .reason = reason_bad_signature,
                                              .gate = TEXT_LITERAL("g"),
                                              .code = TEXT_LITERAL("x")};
        }
        const journal_batch_t batch = {
            .epoch = opened.partitions[0].epoch, .refusals = refusals, .refusal_count = SIZE};
        assert_int_equal(harness_append(harness, &opened, &batch), RESULT_OK);
    }
    harness_close(harness, &opened);
    harness_restart(harness);
    assert_int_equal(sql_number(files, "SELECT count(*) FROM refusal_log"), LIMIT_REFUSAL_LOG_ROWS);
    assert_int_equal(sql_number(files, "SELECT min(recorded_at) FROM refusal_log"),
                     3 * SIZE - LIMIT_REFUSAL_LOG_ROWS);
}

static void metrics_count_what_was_committed(void **state)
{
    files_state_t *const files = *state;
    harness_t *const harness = &files->harness;
    metrics_t *metrics = metrics_create("test");
    files->factory.destroy(files->factory.context, &harness->journal);
    assert_int_equal(
        journal_sqlite_create(harness->loop, metrics, files->place.directory, &harness->journal),
        RESULT_OK);
    opened_t opened = harness_open(harness, "alpha");
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, &opened, 0, &card, 1, 7), RESULT_OK);
    assert_int_equal(harness_store(harness, &opened, 0, &card, 8, 0), RESULT_OK);
    assert_int_equal(harness_store(harness, &opened, 0, &card, 9, 1), RESULT_STORE_UNAVAILABLE);
    static const struct {
        const char *name;
        uint64_t value;
    } expected[] = {{"digitalcard_journal_events_total", 7},
                    {"digitalcard_journal_batches_total", 3},
                    {"digitalcard_journal_commits_total", 1},
                    {"digitalcard_journal_failures_total", 1}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(metric_value(metrics_counter(metrics, expected[i].name, "", "")),
                         expected[i].value);
    }
    harness_close(harness, &opened);
    files->factory.destroy(files->factory.context, &harness->journal);
    metrics_destroy(&metrics);
    harness->journal = files->factory.create(files->factory.context, harness->loop);
}

#define FILES_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES_TEST(a_damaged_header_is_corrupt),
        FILES_TEST(an_empty_file_is_corrupt_and_stays_as_it_is),
        FILES_TEST(what_is_no_regular_file_is_corrupt_and_blocks_nobody),
        FILES_TEST(a_truncated_file_is_corrupt),
        FILES_TEST(a_lost_last_event_is_found_when_opening),
        FILES_TEST(flipped_bytes_in_any_page_are_errors_and_nothing_worse),
        FILES_TEST(a_newer_schema_is_left_alone),
        FILES_TEST(a_foreign_database_is_refused),
        FILES_TEST(the_journal_of_another_tenant_is_refused_and_left_alone),
        FILES_TEST(a_new_journal_is_private_and_has_no_log),
        FILES_TEST(a_log_without_its_file_does_not_reach_the_next_journal),
        FILES_TEST(an_unwritable_directory_is_permission_denied),
        FILES_TEST(closing_writes_the_log_back),
        FILES_TEST(the_log_does_not_grow_without_bound),
        FILES_TEST(the_refusal_log_keeps_the_newest),
        FILES_TEST(metrics_count_what_was_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
