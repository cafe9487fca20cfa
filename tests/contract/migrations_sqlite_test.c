/* Every migration of the SQLite stores, from the schema before it: a file is made with the old
 * steps, every table of it gets rows, the newest program opens it, and every value is still there.
 * A migration that renames or drops a column on purpose fails here, and has to bring a test of its
 * own that says where the values went. */
#include "actors/ports/store_rows.h"
#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "runtime/log.h"
#include "tests/contract/journal_sqlite_place.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern const char *const journal_sqlite_migrations[];
extern const size_t journal_sqlite_migrations_count;
extern const char *const control_sqlite_migrations[];
extern const size_t control_sqlite_migrations_count;

enum { ROWS = 4, SQL_SIZE = 4096, TABLES_MAX = 64, TEXT_SIZE = 1 << 20 };

typedef struct store {
    const char *const *steps;
    size_t count;
    uint32_t application_id;
    const char *file; /* below the directory */
} store_t;

static const store_t *journal_store(void)
{
    static store_t store;
    store = (store_t){journal_sqlite_migrations, journal_sqlite_migrations_count, 0x44434a31,
                      "tenants/alpha.db"};
    return &store;
}

static const store_t *control_store(void)
{
    static store_t store;
    store = (store_t){control_sqlite_migrations, control_sqlite_migrations_count, 0x44434331,
                      "control.db"};
    return &store;
}

static void execute(sqlite3 *database, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &error) != SQLITE_OK) {
        fail_msg("%s: %s", sql, error);
    }
}

static sqlite3 *database_of(const place_t *place, const store_t *store)
{
    char path[512];
    sqlite3 *database = NULL;
    (void)snprintf(path, sizeof path, "%s/tenants", place->directory);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/%s", place->directory, store->file);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(database, 2000), SQLITE_OK);
    return database;
}

/* --- Rows of any table --- */

typedef struct tables {
    char *names[TABLES_MAX];
    char *columns[TABLES_MAX]; /* "a, b, c" */
    char *values[TABLES_MAX];  /* "?1, ?1, ?1", blobs cast */
    size_t count;
} tables_t;

static void tables_release(tables_t *tables)
{
    for (size_t i = 0; i < tables->count; i++) {
        free(tables->names[i]);
        free(tables->columns[i]);
        free(tables->values[i]);
    }
}

/* A number that fits each column by its type: 1 … ROWS, which also passes the checks for one row.
 */
static void columns_read(sqlite3 *database, tables_t *tables, const char *table)
{
    sqlite3_stmt *statement = NULL;
    char columns[SQL_SIZE] = "";
    char values[SQL_SIZE] = "";
    assert_int_equal(sqlite3_prepare_v2(database, "SELECT name, type FROM pragma_table_info(?1)",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *const type = (const char *)sqlite3_column_text(statement, 1);
        const size_t c = strlen(columns);
        const size_t v = strlen(values);
        (void)snprintf(columns + c, sizeof columns - c, "%s\"%s\"", c == 0 ? "" : ", ",
                       sqlite3_column_text(statement, 0));
        (void)snprintf(values + v, sizeof values - v, "%scast(?1 AS %s)", v == 0 ? "" : ", ", type);
    }
    (void)sqlite3_finalize(statement);
    tables->names[tables->count] = strdup(table);
    tables->columns[tables->count] = strdup(columns);
    tables->values[tables->count] = strdup(values);
    tables->count++;
}

static tables_t tables_read(sqlite3 *database)
{
    tables_t tables = {0};
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(database,
                                        "SELECT name FROM sqlite_schema WHERE type = 'table' AND "
                                        "name NOT LIKE 'sqlite_%' ORDER BY name",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW && tables.count < TABLES_MAX) {
        columns_read(database, &tables, (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    return tables;
}

static void tables_fill(sqlite3 *database, const tables_t *tables)
{
    char sql[3 * SQL_SIZE];
    for (size_t i = 0; i < tables->count; i++) {
        for (int row = 1; row <= ROWS; row++) {
            sqlite3_stmt *statement = NULL;
            (void)snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO \"%s\" (%s) VALUES (%s)",
                           tables->names[i], tables->columns[i], tables->values[i]);
            assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
            assert_int_equal(sqlite3_bind_int(statement, 1, row), SQLITE_OK);
            assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
            (void)sqlite3_finalize(statement);
        }
    }
}

/* Everything that stands in these columns, as one text. */
static char *tables_dump(sqlite3 *database, const tables_t *tables)
{
    char sql[2 * SQL_SIZE];
    char *text = calloc(1, TEXT_SIZE);
    size_t used = 0;
    for (size_t i = 0; i < tables->count; i++) {
        sqlite3_stmt *statement = NULL;
        int rows = 0;
        (void)snprintf(sql, sizeof sql, "SELECT %s FROM \"%s\" ORDER BY 1, 2", tables->columns[i],
                       tables->names[i]);
        if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) {
            fail_msg("%s: %s", sql, sqlite3_errmsg(database));
        }
        while (sqlite3_step(statement) == SQLITE_ROW) {
            rows++;
            for (int column = 0; column < sqlite3_column_count(statement); column++) {
                used +=
                    (size_t)snprintf(text + used, TEXT_SIZE - used, "%s.%d=%s;", tables->names[i],
                                     column, (const char *)sqlite3_column_text(statement, column));
            }
        }
        assert_true(rows >= 1); /* else the table was not tested */
        (void)sqlite3_finalize(statement);
    }
    return text;
}

/* --- The tests --- */

static void make_old(sqlite3 *database, const store_t *store, size_t version)
{
    char sql[128];
    for (size_t i = 0; i < version; i++) {
        execute(database, store->steps[i]);
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %u; PRAGMA user_version = %zu",
                   store->application_id, version);
    execute(database, sql);
}

static result_t upgrade(const place_t *place, const store_t *store, migration_outcome_t *outcome)
{
    if (store->steps == journal_sqlite_migrations) {
        return journal_sqlite_migrate(place->directory, TEXT_LITERAL("alpha"), outcome);
    }
    control_store_t *control = NULL;
    result_t result = control_sqlite_schema(place->directory, outcome);
    if (result == RESULT_OK) {
        result = control_sqlite_open(place->directory, false, NULL, &control);
    }
    control_sqlite_close(&control);
    return result;
}

static void own_the_journal(sqlite3 *database, const store_t *store)
{
    if (store->steps == journal_sqlite_migrations) {
        execute(database, "INSERT INTO meta (id, tenant) VALUES (1, 'alpha')");
    }
}

/* What step 4 counts anew stands as it leaves it: the first to count is step 3. */
enum { COUNTS_CARDS = 3, COUNTS_LIVING_CARDS = 4 };

static void count_living_cards(sqlite3 *database, const store_t *store, size_t version)
{
    if (store->steps == journal_sqlite_migrations && version >= COUNTS_CARDS) {
        execute(database, store->steps[COUNTS_LIVING_CARDS - 1]);
    }
}

static void every_older_schema_keeps_its_rows(const store_t *store)
{
    for (size_t version = 1; version <= store->count; version++) {
        place_t place;
        migration_outcome_t outcome;
        place_create(&place);
        sqlite3 *database = database_of(&place, store);
        make_old(database, store, version);
        own_the_journal(database, store);
        tables_t tables = tables_read(database);
        assert_true(tables.count >= 2);
        tables_fill(database, &tables);
        count_living_cards(database, store, version);
        char *const before = tables_dump(database, &tables);
        assert_int_equal(sqlite3_close(database), SQLITE_OK);

        assert_int_equal(upgrade(&place, store, &outcome), RESULT_OK);
        assert_int_equal(outcome.found, version);
        assert_int_equal(outcome.known, store->count);
        assert_int_equal(upgrade(&place, store, &outcome), RESULT_OK);
        assert_int_equal(outcome.found, store->count);

        database = database_of(&place, store);
        char *const after = tables_dump(database, &tables);
        assert_string_equal(before, after);
        assert_int_equal(sqlite3_close(database), SQLITE_OK);
        free(before);
        free(after);
        tables_release(&tables);
        place_remove(&place);
    }
}

static int64_t first_number(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return number;
}

/* Issued, active, suspended, revoked, expired and replaced, once each, in partition 0x2a; one of
 * partition 0; and what an older program had counted. */
static void cards_that_have_ended_no_longer_count(void **state)
{
    (void)state;
    place_t place;
    migration_outcome_t outcome;
    const store_t *const store = journal_store();
    place_create(&place);
    sqlite3 *database = database_of(&place, store);
    make_old(database, store, COUNTS_CARDS);
    own_the_journal(database, store);
    execute(database, "INSERT INTO partition (id, epoch, head, cards) VALUES (0, 1, 1, 1), "
                      "(42, 1, 6, 6), (63, 1, 0, 0)");
    for (unsigned status = 1; status <= 6; status++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO card (id, member_id, tier, status, expires_at, card_sequence, "
                       "body) VALUES (x'019b76de788f7c32aad656528c75ab%02x', 'm', '', %u, 1, 1, "
                       "x'00')",
                       status, status);
        execute(database, sql);
    }
    execute(database,
            "INSERT INTO card (id, member_id, tier, status, expires_at, card_sequence, "
            "body) VALUES (x'019b76de788f7c3280d656528c75ab00', 'm', '', 2, 1, 1, x'00')");
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(upgrade(&place, store, &outcome), RESULT_OK);
    database = database_of(&place, store);
    assert_int_equal(first_number(database, "SELECT cards FROM partition WHERE id = 0"), 1);
    assert_int_equal(first_number(database, "SELECT cards FROM partition WHERE id = 42"), 3);
    assert_int_equal(first_number(database, "SELECT cards FROM partition WHERE id = 63"), 0);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    place_remove(&place);
}

/* A table that a migration brings is in backups, or can be worked out of what is: else a restore
 * would lose it and nobody would know. */
static void every_table_of_a_journal_is_in_backups(void **state)
{
    /* Notes are read again from the membership context (docs/membership.md). */
    static const char *const derived[] = {"meta", "card_head", "note"};
    (void)state;
    place_t place;
    place_create(&place);
    sqlite3 *database = database_of(&place, journal_store());
    make_old(database, journal_store(), journal_sqlite_migrations_count);
    tables_t tables = tables_read(database);
    for (size_t i = 0; i < tables.count; i++) {
        bool is_kept = false;
        for (uint64_t table = 1; table < STORE_TABLES_END; table++) {
            is_kept = is_kept || strcmp(tables.names[i], store_table_name(table)) == 0;
        }
        for (size_t j = 0; j < sizeof derived / sizeof derived[0]; j++) {
            is_kept = is_kept || strcmp(tables.names[i], derived[j]) == 0;
        }
        if (!is_kept) {
            fail_msg(
                "%s: add it to actors/ports/store_rows.def and to archive.def of both journals, "
                "or to the list of what is derived here",
                tables.names[i]);
        }
    }
    tables_release(&tables);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    place_remove(&place);
}

/* Both begin at the old schema, and neither fails because the other was quicker. */
static void two_processes_upgrade_at_once(const store_t *store)
{
    place_t place;
    place_create(&place);
    sqlite3 *database = database_of(&place, store);
    make_old(database, store, 1);
    own_the_journal(database, store);
    execute(database, "PRAGMA journal_mode = WAL");
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    pid_t children[2];
    for (size_t i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            migration_outcome_t outcome;
            _exit(upgrade(&place, store, &outcome) == RESULT_OK ? 0 : 1);
        }
        assert_true(children[i] > 0);
    }
    for (size_t i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    place_remove(&place);
}

static void a_newer_schema_is_refused_and_named(const store_t *store)
{
    place_t place;
    migration_outcome_t outcome;
    place_create(&place);
    sqlite3 *database = database_of(&place, store);
    make_old(database, store, store->count);
    own_the_journal(database, store);
    execute(database, "PRAGMA user_version = 99");
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(upgrade(&place, store, &outcome), RESULT_SCHEMA_TOO_NEW);
    assert_int_equal(outcome.found, 99);
    assert_int_equal(outcome.known, store->count);
    place_remove(&place);
}

#define BOTH(name)                                                                                 \
    static void name##_in_a_journal(void **state)                                                  \
    {                                                                                              \
        (void)state;                                                                               \
        name(journal_store());                                                                     \
    }                                                                                              \
    static void name##_in_a_control_store(void **state)                                            \
    {                                                                                              \
        (void)state;                                                                               \
        name(control_store());                                                                     \
    }
BOTH(every_older_schema_keeps_its_rows)
BOTH(two_processes_upgrade_at_once)
BOTH(a_newer_schema_is_refused_and_named)

#define BOTH_TESTS(name)                                                                           \
    cmocka_unit_test(name##_in_a_journal), cmocka_unit_test(name##_in_a_control_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_of_a_journal_is_in_backups),
        cmocka_unit_test(cards_that_have_ended_no_longer_count),
        BOTH_TESTS(every_older_schema_keeps_its_rows),
        BOTH_TESTS(two_processes_upgrade_at_once),
        BOTH_TESTS(a_newer_schema_is_refused_and_named),
    };
    log_start("test", LOG_SILENT_LEVEL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
