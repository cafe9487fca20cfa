/* The control store on SQLite: tenants with their journal files, keys, versions, other processes,
 * damaged files. */
#include "adapters/control_sqlite/control_sqlite.h"
#include "tests/support/directory.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char directory[DIRECTORY_SIZE];
    control_store_t *store;
} fixture_t;

/* --- A stand-in for journal files: a table `event`, made only when there is none --- */

static result_t journal_execute(const char *path, const char *sql)
{
    sqlite3 *database = NULL;
    int code = sqlite3_open(path, &database);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(database, sql, NULL, NULL, NULL);
    }
    (void)sqlite3_close(database);
    return code == SQLITE_OK ? RESULT_OK : RESULT_STORE_UNAVAILABLE;
}

static void journal_path(const char *directory, text_t tenant, char out[256])
{
    (void)snprintf(out, 256, "%s/tenants/%.*s.db", directory, TEXT_PRINT(tenant));
}

static result_t make_journal(const char *directory, text_t tenant, uint32_t partitions)
{
    char path[256];
    (void)partitions;
    (void)snprintf(path, sizeof path, "%s/tenants", directory);
    (void)mkdir(path, 0700);
    journal_path(directory, tenant, path);
    if (access(path, F_OK) == 0) {
        return RESULT_ALREADY_EXISTS;
    }
    return journal_execute(path, "PRAGMA journal_mode = WAL; CREATE TABLE event (id INTEGER)");
}

static result_t make_no_journal(const char *directory, text_t tenant, uint32_t partitions)
{
    (void)directory;
    (void)tenant;
    (void)partitions;
    return RESULT_STORE_FULL;
}

static bool journal_exists(const fixture_t *fixture, const char *tenant)
{
    char path[256];
    journal_path(fixture->directory, text_from_c(tenant), path);
    return access(path, F_OK) == 0;
}

/* --- Fixture --- */

static int setup(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    directory_make(fixture->directory);
    assert_int_equal(control_sqlite_open(fixture->directory, true, make_journal, &fixture->store),
                     RESULT_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    control_sqlite_close(&fixture->store);
    directory_remove(fixture->directory);
    free(fixture);
    return 0;
}

static result_t create(fixture_t *fixture, const char *name)
{
    const control_card_key_t key = {.sealed_secret = TEXT_LITERAL("sealed key")};
    const control_tenant_t tenant = {.name = text_from_c(name),
                                     .partitions = 3,
                                     .created_at = 1700000000000,
                                     .sealed_secret = TEXT_LITERAL("sealed \x00 tenant"),
                                     .keys = &key,
                                     .key_count = 1};
    return fixture->store->functions->tenant_create(fixture->store, &tenant);
}

static bool tenant_seen(void *context, const control_tenant_t *tenant)
{
    bool *const is_seen = context;
    *is_seen = text_equal(tenant->sealed_secret, TEXT_LITERAL("sealed \x00 tenant"));
    return false;
}

/* What it is made of is for the contract (tests/contract/control_contract.c). */
static void look_at(fixture_t *fixture, const char *name, result_t expected)
{
    bool is_seen = false;
    assert_int_equal(
        fixture->store->functions->tenant(fixture->store, text_from_c(name), tenant_seen, &is_seen),
        expected);
    assert_int_equal(is_seen, expected == RESULT_OK);
}

static uint64_t version_of(control_store_t *store)
{
    uint64_t version = 0;
    assert_int_equal(store->functions->version(store, &version), RESULT_OK);
    return version;
}

/* --- Tenants --- */

static void a_created_tenant_has_a_journal(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    assert_true(journal_exists(fixture, "alpha"));
    assert_int_equal(create(fixture, "alpha"), RESULT_ALREADY_EXISTS);
    assert_true(journal_exists(fixture, "alpha"));
}

static void a_tenant_whose_journal_cannot_be_made_is_not_there(void **state)
{
    fixture_t *const fixture = *state;
    control_sqlite_close(&fixture->store);
    assert_int_equal(
        control_sqlite_open(fixture->directory, false, make_no_journal, &fixture->store),
        RESULT_OK);
    const uint64_t version = version_of(fixture->store);
    assert_int_equal(create(fixture, "alpha"), RESULT_STORE_FULL);
    look_at(fixture, "alpha", RESULT_MISSING);
    assert_int_equal(version_of(fixture->store), version);
}

static void an_empty_journal_without_a_tenant_is_adopted(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(make_journal(fixture->directory, TEXT_LITERAL("alpha"), 1), RESULT_OK);
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    assert_true(journal_exists(fixture, "alpha"));
}

static void a_journal_with_events_is_never_taken_over(void **state)
{
    fixture_t *const fixture = *state;
    char path[256];
    assert_int_equal(make_journal(fixture->directory, TEXT_LITERAL("alpha"), 1), RESULT_OK);
    journal_path(fixture->directory, TEXT_LITERAL("alpha"), path);
    assert_int_equal(journal_execute(path, "INSERT INTO event VALUES (1)"), RESULT_OK);
    assert_int_equal(create(fixture, "alpha"), RESULT_ALREADY_EXISTS);
    look_at(fixture, "alpha", RESULT_MISSING);
    assert_int_equal(journal_execute(path, "UPDATE event SET id = 2"), RESULT_OK);
    /* Nor one that cannot be read. */
    journal_path(fixture->directory, TEXT_LITERAL("bravo"), path);
    FILE *file = fopen(path, "w");
    (void)fputs("this is not a database, and long enough to look like one: 0123456789", file);
    (void)fclose(file);
    assert_int_equal(create(fixture, "bravo"), RESULT_ALREADY_EXISTS);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_deleted_tenants_journal_is_kept_aside(void **state)
{
    fixture_t *const fixture = *state;
    char path[256];
    char kept[256];
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    journal_path(fixture->directory, TEXT_LITERAL("alpha"), path);
    assert_int_equal(journal_execute(path, "INSERT INTO event VALUES (7)"), RESULT_OK);
    const control_store_functions_t *const functions = fixture->store->functions;
    assert_int_equal(functions->tenant_delete(fixture->store, TEXT_LITERAL("alpha"), 1700000000123,
                                              kept, sizeof kept),
                     RESULT_OK);
    look_at(fixture, "alpha", RESULT_MISSING);
    assert_false(journal_exists(fixture, "alpha"));
    char expected[256];
    (void)snprintf(expected, sizeof expected, "%s/deleted/alpha-20231114T221320.123Z.db",
                   fixture->directory);
    assert_string_equal(kept, expected);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(journal_execute(kept, "SELECT 1 / count(*) FROM event WHERE id = 7"),
                     RESULT_OK);
    assert_int_equal(
        functions->tenant_delete(fixture->store, TEXT_LITERAL("alpha"), 0, kept, sizeof kept),
        RESULT_MISSING);
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
}

/* A process may have the file open while the tenant is deleted: nothing is lost, and the next
 * tenant of that name starts empty. */
static void a_journal_in_use_is_kept_with_its_log(void **state)
{
    fixture_t *const fixture = *state;
    char path[256];
    char kept[256];
    sqlite3 *reader = NULL;
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    journal_path(fixture->directory, TEXT_LITERAL("alpha"), path);
    assert_int_equal(sqlite3_open(path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "INSERT INTO event VALUES (7)", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(fixture->store->functions->tenant_delete(fixture->store, TEXT_LITERAL("alpha"),
                                                              5, kept, sizeof kept),
                     RESULT_OK);
    char log[264];
    (void)snprintf(log, sizeof log, "%s-wal", path);
    assert_int_not_equal(access(log, F_OK), 0);
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    sqlite3_stmt *statement = NULL;
    sqlite3 *fresh = NULL;
    assert_int_equal(sqlite3_open(path, &fresh), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(fresh, "SELECT count(*) FROM event", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(fresh);
    (void)sqlite3_close(reader);
}

/* --- Versions, processes, files --- */

static void another_process_sees_what_was_changed(void **state)
{
    fixture_t *const fixture = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    const uint64_t before = version_of(fixture->store);
    control_sqlite_close(&fixture->store); /* no connection crosses fork */
    const pid_t child = fork();
    if (child == 0) {
        fixture_t other = *fixture;
        result_t result =
            control_sqlite_open(fixture->directory, false, make_journal, &other.store);
        result = result == RESULT_OK ? create(&other, "alpha") : result;
        const char byte = (char)result;
        const ssize_t written = write(ready[1], &byte, 1);
        pause(); /* still open */
        _exit(written == 1 ? 0 : 1);
    }
    char byte = 1;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, RESULT_OK);
    assert_int_equal(control_sqlite_open(fixture->directory, false, NULL, &fixture->store),
                     RESULT_OK);
    assert_true(version_of(fixture->store) > before);
    look_at(fixture, "alpha", RESULT_OK);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    look_at(fixture, "alpha", RESULT_OK);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void incarnations_are_kept_within_a_bound(void **state)
{
    fixture_t *const fixture = *state;
    control_store_t *const store = fixture->store;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/control.db", fixture->directory);
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(database,
                     "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < "
                     "1500) INSERT INTO incarnation (role, incarnation, pid, started_at) SELECT "
                     "'shard-0', i, i, i FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(store->functions->incarnation_add(store, TEXT_LITERAL("relay"), 77, 1234, 99),
                     RESULT_OK);
    assert_int_equal(sqlite3_prepare_v2(database,
                                        "SELECT count(*), max(incarnation) FILTER (WHERE role = "
                                        "'relay' AND pid = 1234) FROM incarnation",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), LIMIT_CONTROL_INCARNATIONS);
    assert_int_equal(sqlite3_column_int(statement, 1), 77);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
}

static void a_missing_store_is_made_only_when_asked(void **state)
{
    fixture_t *const fixture = *state;
    char nowhere[160];
    control_store_t *store = NULL;
    (void)snprintf(nowhere, sizeof nowhere, "%s/nowhere", fixture->directory);
    assert_int_equal(control_sqlite_open(nowhere, false, NULL, &store), RESULT_MISSING);
    assert_null(store);
    assert_int_equal(control_sqlite_open(nowhere, true, NULL, &store), RESULT_OK);
    control_sqlite_close(&store);
    assert_int_equal(control_sqlite_open(nowhere, false, NULL, &store), RESULT_OK);
    control_sqlite_close(&store);
    struct stat status;
    char path[200];
    (void)snprintf(path, sizeof path, "%s/control.db", nowhere);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* SQLite would take the log of a file that is gone for the log of the new one. */
static void a_log_without_its_file_does_not_reach_the_next_store(void **state)
{
    enum { LOG_SIZE = 1 << 20 };
    fixture_t *const fixture = *state;
    char path[256];
    char log[256];
    (void)snprintf(path, sizeof path, "%s/control.db", fixture->directory);
    (void)snprintf(log, sizeof log, "%s/control.db-wal", fixture->directory);
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    char *bytes = malloc(LOG_SIZE);
    FILE *file = fopen(log, "r");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, LOG_SIZE, file);
    assert_true(size > 4096);
    (void)fclose(file);
    control_sqlite_close(&fixture->store);
    assert_int_equal(unlink(path), 0);
    file = fopen(log, "w");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    (void)fclose(file);
    free(bytes);
    assert_int_equal(control_sqlite_open(fixture->directory, true, make_journal, &fixture->store),
                     RESULT_OK);
    look_at(fixture, "alpha", RESULT_MISSING);
}

static void damaged_foreign_and_newer_files_are_told_apart(void **state)
{
    fixture_t *const fixture = *state;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/control.db", fixture->directory);
    control_sqlite_close(&fixture->store);
    assert_int_equal(journal_execute(path, "PRAGMA user_version = 99"), RESULT_OK);
    assert_int_equal(control_sqlite_open(fixture->directory, true, NULL, &fixture->store),
                     RESULT_SCHEMA_TOO_NEW);
    assert_int_equal(journal_execute(path, "PRAGMA user_version = 1; PRAGMA application_id = 5"),
                     RESULT_OK);
    assert_int_equal(control_sqlite_open(fixture->directory, true, NULL, &fixture->store),
                     RESULT_STORE_CORRUPT);
    const int descriptor = open(path, O_WRONLY);
    assert_int_equal(pwrite(descriptor, "garbage!garbage!", 16, 0), 16);
    (void)close(descriptor);
    assert_int_equal(control_sqlite_open(fixture->directory, true, NULL, &fixture->store),
                     RESULT_STORE_CORRUPT);
    assert_null(fixture->store);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(control_sqlite_open(fixture->directory, true, NULL, &fixture->store),
                     RESULT_STORE_CORRUPT);
}

static void an_unwritable_directory_is_permission_denied(void **state)
{
    enum { NOBODY = 65534 }; /* root may write everywhere */
    fixture_t *const fixture = *state;
    char nowhere[160];
    (void)snprintf(nowhere, sizeof nowhere, "%s/nowhere", fixture->directory);
    assert_int_equal(chmod(fixture->directory, 0555), 0);
    control_sqlite_close(&fixture->store); /* no connection crosses fork */
    const pid_t child = fork();
    if (child == 0) {
        control_store_t *store = NULL;
        const bool is_other = geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0;
        const result_t result = control_sqlite_open(nowhere, true, NULL, &store);
        _exit(is_other && result == RESULT_PERMISSION_DENIED ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* --- Dead letters --- */

static void put_letter(dead_letters_t *letters, const char *tenant, uint32_t number,
                       dead_letter_state_t letter_state)
{
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE] = {(uint8_t)number, (uint8_t)(number >> 8),
                                                   (uint8_t)tenant[0]};
    static const uint8_t card[CRASH_ID_SIZE] = {1};
    const dead_letter_t letter = {.fingerprint = fingerprint,
                                  .state = letter_state,
                                  .tenant = text_from_c(tenant),
                                  .type = 11,
                                  .actor = card,
                                  .kills = 2,
                                  .stored_at = number,
                                  .reason = TEXT_LITERAL("killed by SIGSEGV"),
                                  .sealed_request = TEXT_LITERAL("sealed")};
    assert_int_equal(letters->functions->put(letters, &letter), RESULT_OK);
}

static void store_of_format_1_gets_its_dead_letters(void **state)
{
    fixture_t *fixture = *state;
    char path[256];
    assert_int_equal(create(fixture, "acme"), RESULT_OK);
    control_sqlite_close(&fixture->store);
    (void)snprintf(path, sizeof path, "%s/control.db", fixture->directory);
    assert_int_equal(
        journal_execute(
            path,
            "DROP TABLE webhook_delivery; DROP TABLE webhook; DROP TABLE consumer_cursor; DROP "
            "TABLE consumer; DROP TABLE revoked_token; "
            "DROP TABLE flag; DROP TABLE dead_letter; ALTER TABLE tenant DROP COLUMN max_cards; "
            "ALTER TABLE tenant DROP COLUMN max_storage; ALTER TABLE tenant DROP "
            "COLUMN max_rate; PRAGMA user_version = 1"),
        RESULT_OK);
    assert_int_equal(control_sqlite_open(fixture->directory, false, make_journal, &fixture->store),
                     RESULT_OK);
    put_letter(control_sqlite_dead_letters(fixture->store), "acme", 1, DEAD_LETTER_QUARANTINED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(a_created_tenant_has_a_journal),
        CONTROL_TEST(a_tenant_whose_journal_cannot_be_made_is_not_there),
        CONTROL_TEST(an_empty_journal_without_a_tenant_is_adopted),
        CONTROL_TEST(a_journal_with_events_is_never_taken_over),
        CONTROL_TEST(a_deleted_tenants_journal_is_kept_aside),
        CONTROL_TEST(a_journal_in_use_is_kept_with_its_log),
        CONTROL_TEST(another_process_sees_what_was_changed),
        CONTROL_TEST(incarnations_are_kept_within_a_bound),
        CONTROL_TEST(a_missing_store_is_made_only_when_asked),
        CONTROL_TEST(a_log_without_its_file_does_not_reach_the_next_store),
        CONTROL_TEST(damaged_foreign_and_newer_files_are_told_apart),
        CONTROL_TEST(an_unwritable_directory_is_permission_denied),
        CONTROL_TEST(store_of_format_1_gets_its_dead_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
