/* Every migration of the PostgreSQL stores, from the schema before it, on a real server: what
 * migrations_sqlite_test.c does for files. Journals are brought up to date by opening them. */
#include "adapters/journal_postgres/journal_postgres.h"
#include "runtime/log.h"
#include "tests/contract/journal_harness.h"
#include "tests/contract/journal_postgres_place.h"
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const char *const journal_postgres_migrations[];
extern const size_t journal_postgres_migrations_count;
extern const char *const control_postgres_migrations[];
extern const size_t control_postgres_migrations_count;

enum { TABLES_MAX = 64, ROWS = 3, SQL_SIZE = 16384, TEXT_SIZE = 1 << 20 };

typedef struct fixture {
    postgres_place_t place;
    journal_contract_factory_t factory;
    harness_t harness;
} fixture_t;

static PGconn *connect(const fixture_t *fixture, const char *database, const char *role)
{
    char sql[256];
    const char *const keywords[] = {"dbname", "dbname", NULL};
    const char *const values[] = {fixture->place.server.superuser, database, NULL};
    PGconn *const connection = PQconnectdbParams(keywords, values, 1);
    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    PQclear(PQexec(connection, "SET session_replication_role = replica")); /* no foreign keys */
    if (role != NULL) {
        (void)snprintf(sql, sizeof sql, "SET ROLE %s", role);
        PQclear(PQexec(connection, sql));
    }
    return connection;
}

static PGresult *ask(PGconn *connection, const char *sql)
{
    PGresult *const rows = PQexec(connection, sql);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK && PQresultStatus(rows) != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQresultErrorMessage(rows));
    }
    return rows;
}

static void run(PGconn *connection, const char *sql)
{
    PQclear(ask(connection, sql));
}

/* --- Rows of any table --- */

typedef struct tables {
    char *names[TABLES_MAX];
    char *columns[TABLES_MAX];
    char *values[TABLES_MAX]; /* with %1$d for the number of the row */
    size_t count;
} tables_t;

/* The tables that say which version it is are told apart: they change. So is where an event
 * stands: `event` shows all. */
static tables_t tables_read(PGconn *connection)
{
    tables_t tables = {0};
    PGresult *const rows = ask(
        connection,
        "SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position), "
        "string_agg(CASE data_type WHEN 'uuid' THEN 'lpad(''%1$d'', 32, ''0'')::uuid' WHEN 'bytea' "
        "THEN '''%1$d''::bytea' WHEN 'text' THEN '''%1$d''' WHEN 'boolean' THEN 'true' ELSE '%1$d' "
        "END, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = "
        "'public' AND table_name NOT IN ('control', 'journal_schema', 'event_kept') AND "
        "(table_name, "
        "column_name) <> ('event', 'month') GROUP BY table_name ORDER BY table_name");
    assert_in_range(PQntuples(rows), 2, TABLES_MAX);
    for (int i = 0; i < PQntuples(rows); i++) {
        tables.names[i] = strdup(PQgetvalue(rows, i, 0));
        tables.columns[i] = strdup(PQgetvalue(rows, i, 1));
        tables.values[i] = strdup(PQgetvalue(rows, i, 2));
    }
    tables.count = (size_t)PQntuples(rows);
    PQclear(rows);
    return tables;
}

static void tables_release(tables_t *tables)
{
    for (size_t i = 0; i < tables->count; i++) {
        free(tables->names[i]);
        free(tables->columns[i]);
        free(tables->values[i]);
    }
}

static void text_replace(const char *text, int number, char *out, size_t size)
{
    size_t used = 0;
    while (*text != '\0' && used + 16 < size) {
        if (strncmp(text, "%1$d", 4) == 0) {
            used += (size_t)snprintf(out + used, size - used, "%d", number);
            text += 4;
        } else {
            out[used++] = *text++;
        }
    }
    out[used] = '\0';
}

static void tables_fill(PGconn *connection, const tables_t *tables)
{
    char values[SQL_SIZE];
    char sql[3 * SQL_SIZE];
    for (size_t i = 0; i < tables->count; i++) {
        for (int row = 1; row <= ROWS; row++) {
            text_replace(tables->values[i], row, values, sizeof values);
            (void)snprintf(sql, sizeof sql,
                           "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s) ON CONFLICT DO "
                           "NOTHING",
                           tables->names[i], tables->columns[i], values);
            run(connection, sql);
        }
    }
}

static char *tables_dump(PGconn *connection, const tables_t *tables)
{
    char sql[2 * SQL_SIZE];
    char *const text = calloc(1, TEXT_SIZE);
    size_t used = 0;
    for (size_t i = 0; i < tables->count; i++) {
        (void)snprintf(sql, sizeof sql, "SELECT ROW(%s)::text FROM %s ORDER BY 1",
                       tables->columns[i], tables->names[i]);
        PGresult *const rows = ask(connection, sql);
        assert_true(PQntuples(rows) >= 1);
        for (int row = 0; row < PQntuples(rows); row++) {
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s\n", tables->names[i],
                                     PQgetvalue(rows, row, 0));
        }
        PQclear(rows);
    }
    return text;
}

/* --- The tests --- */

static void steps_take(PGconn *connection, const char *const *steps, size_t version)
{
    PGresult *const rows = ask(connection, "SELECT tablename FROM pg_tables WHERE schemaname = "
                                           "'public'");
    for (int i = 0; i < PQntuples(rows); i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS %s CASCADE", PQgetvalue(rows, i, 0));
        run(connection, sql);
    }
    PQclear(rows);
    for (size_t i = 0; i < version; i++) {
        run(connection, steps[i]);
    }
}

static void every_older_control_store_keeps_its_rows(void **state)
{
    fixture_t *const fixture = *state;
    for (size_t version = 1; version <= control_postgres_migrations_count; version++) {
        char sql[256];
        PGconn *connection = connect(fixture, "digitalcard", "digitalcard");
        steps_take(connection, control_postgres_migrations, version);
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO control (id, schema, version, prefix) VALUES (1, %zu, 1, 'x_')",
                       version);
        run(connection, sql);
        tables_t tables = tables_read(connection);
        tables_fill(connection, &tables);
        char *const before = tables_dump(connection, &tables);
        migration_outcome_t outcome;
        char error[256];
        assert_int_equal(
            control_postgres_schema(fixture->place.server.url, &outcome, error, sizeof error),
            RESULT_OK);
        assert_int_equal(outcome.found, version);
        postgres_place_control_open(&fixture->place);
        assert_int_equal(
            control_postgres_schema(fixture->place.server.url, &outcome, error, sizeof error),
            RESULT_OK);
        assert_int_equal(outcome.found, control_postgres_migrations_count);
        char *const after = tables_dump(connection, &tables);
        assert_string_equal(before, after);
        free(before);
        free(after);
        tables_release(&tables);
        PQfinish(connection);
    }
}

/* Steps of the journal's schema. */
enum { COUNTS_CARDS = 2, COUNTS_LIVING_CARDS = 4 };

static void every_older_journal_keeps_its_rows_and_is_upgraded_by_opening(void **state)
{
    fixture_t *const fixture = *state;
    harness_create_tenant(&fixture->harness, "alpha");
    for (size_t version = 1; version <= journal_postgres_migrations_count; version++) {
        char sql[256];
        control_postgres_place_t where;
        assert_int_equal(
            control_postgres_find(fixture->place.control, TEXT_LITERAL("alpha"), &where),
            RESULT_OK);
        PGconn *connection = connect(fixture, where.database, where.role);
        steps_take(connection, journal_postgres_migrations, version);
        (void)snprintf(sql, sizeof sql, "INSERT INTO journal_schema VALUES (%zu)", version);
        run(connection, sql);
        tables_t tables = tables_read(connection);
        tables_fill(connection, &tables);
        /* What opening looks at has to be sound. */
        run(connection, "DELETE FROM partition");
        run(connection, "INSERT INTO partition (id, head) VALUES (0, 3)");
        if (version >= COUNTS_CARDS) { /* what a later step counts anew stands as it leaves it */
            run(connection, journal_postgres_migrations[COUNTS_LIVING_CARDS - 1]);
        }
        char *const before = tables_dump(connection, &tables);

        if (version < journal_postgres_migrations_count) {
            assert_int_equal(harness_open_readonly(&fixture->harness, "alpha").result,
                             RESULT_STORE_UNAVAILABLE);
        }
        opened_t opened = harness_open(&fixture->harness, "alpha");
        assert_int_equal(opened.result, RESULT_OK);
        harness_close(&fixture->harness, &opened);
        harness_restart(&fixture->harness);
        run(connection, "UPDATE partition SET epoch = 0, owner = ''");
        char *const after = tables_dump(connection, &tables);
        assert_string_equal(before, after);
        PGresult *const rows = ask(connection, "SELECT version FROM journal_schema");
        assert_int_equal(strtoul(PQgetvalue(rows, 0, 0), NULL, 10),
                         journal_postgres_migrations_count);
        PQclear(rows);
        free(before);
        free(after);
        tables_release(&tables);
        PQfinish(connection);
    }
}

int main(void)
{
    static fixture_t fixture;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_older_journal_keeps_its_rows_and_is_upgraded_by_opening,
                                  &fixture),
        cmocka_unit_test_prestate(every_older_control_store_keeps_its_rows, &fixture),
    };
    log_start("test", LOG_SILENT_LEVEL);
    postgres_place_create(&fixture.place);
    fixture.factory = postgres_place_factory(&fixture.place);
    harness_start(&fixture.harness, &fixture.factory);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    harness_stop(&fixture.harness);
    postgres_place_remove(&fixture.place);
    return failed;
}
