/* Plans of the statements behind lists on PostgreSQL: however large the tenant, no page reads the
 * cards or the words of names from end to end, and the candidates that an index has in the order of
 * the page are not sorted. */
#include "tests/support/postgres_server.h"
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const char *const projections_postgres_migrations[];
extern const size_t projections_postgres_migrations_count;

typedef struct named {
    const char *name;
    const char *sql;
} named_t;

static const named_t statements[] = {
#define STATEMENT(name, sql) {#name, sql},
#include "adapters/projections_postgres/statements.def"
#undef STATEMENT
};

enum { ARGUMENTS_MAX = 16, SQL_SIZE = 8192 };

static PGresult *run(PGconn *connection, const char *sql, ExecStatusType expected)
{
    PGresult *const rows = PQexec(connection, sql);
    if (PQresultStatus(rows) != expected) {
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    }
    return rows;
}

static void execute(PGconn *connection, const char *sql)
{
    PQclear(run(connection, sql, PGRES_COMMAND_OK));
}

/* 100,000 cards, as an association has them. */
static void fill(PGconn *connection)
{
    for (size_t i = 0; i < projections_postgres_migrations_count; i++) {
        PQclear(PQexec(connection, projections_postgres_migrations[i]));
    }
    execute(
        connection,
        "INSERT INTO card (issued_at, issue_event, status, expires_at, id, member_id, "
        "member_folded, tier, tier_folded, body) SELECT i, i, CASE WHEN i % 20 = 0 THEN 3 ELSE "
        "2 END, 1000000 + i % 1825, md5(i::text)::uuid, ('m-' || i)::bytea, ('m-' || i)::bytea, "
        "CASE WHEN i % 1000 = 0 THEN 'founder' ELSE 'gold' END::bytea, CASE WHEN i % 1000 = 0 "
        "THEN 'founder' ELSE 'gold' END::bytea, repeat('x', 150)::bytea FROM "
        "generate_series(1, 100000) i");
    execute(connection, "INSERT INTO word SELECT i % 5000, i, i FROM generate_series(1, 100000) i");
    execute(connection, "ANALYZE");
}

static unsigned arguments_of(const char *sql)
{
    unsigned most = 0;
    for (const char *at = strchr(sql, '$'); at != NULL; at = strchr(at + 1, '$')) {
        const unsigned number = (unsigned)strtoul(at + 1, NULL, 10);
        most = number > most ? number : most;
    }
    assert_true(most > 0 && most <= ARGUMENTS_MAX);
    return most;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Sources whose index has the order of the page. */
static bool is_ordered(const char *name)
{
    static const char *const names[] = {"list_all", "list_member", "list_tier", "list_tier_status",
                                        "list_status"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_line(const named_t *named, const char *line, bool is_of_candidates)
{
    if (strstr(line, "Seq Scan on card") != NULL || strstr(line, "Seq Scan on word") != NULL ||
        (is_of_candidates && is_ordered(named->name) && strstr(line, "Sort") != NULL)) {
        fail_msg("%s: %s", named->name, line);
    }
}

static void check_plan(PGconn *connection, const named_t *named)
{
    static char sql[SQL_SIZE];
    (void)snprintf(sql, sizeof sql, "PREPARE \"%s\" AS %s", named->name, named->sql);
    execute(connection, sql);
    size_t size =
        (size_t)snprintf(sql, sizeof sql, "EXPLAIN (COSTS off) EXECUTE \"%s\"(", named->name);
    const unsigned count = arguments_of(named->sql);
    for (unsigned i = 0; i < count; i++) {
        size += (size_t)snprintf(sql + size, sizeof sql - size, i == 0 ? "NULL" : ", NULL");
    }
    (void)snprintf(sql + size, sizeof sql - size, ")");
    PGresult *const plan = run(connection, sql, PGRES_TUPLES_OK);
    bool is_of_candidates = false;
    for (int i = 0; i < PQntuples(plan); i++) {
        const char *const line = PQgetvalue(plan, i, 0);
        if (strstr(line, "CTE ") != NULL) {
            is_of_candidates = strstr(line, "CTE candidate") != NULL;
        }
        check_line(named, line, is_of_candidates);
    }
    PQclear(plan);
}

static void no_statement_of_a_list_reads_a_table_or_sorts_what_has_an_order(void **state)
{
    const postgres_server_t *const server = *state;
    PGconn *const connection = PQconnectdb(server->url);
    int checked = 0;
    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    fill(connection);
    execute(connection, "SET plan_cache_mode = force_generic_plan");
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (begins_with(statements[i].name, "list_") || begins_with(statements[i].name, "match_")) {
            check_plan(connection, &statements[i]);
            checked++;
        }
    }
    assert_int_equal(checked, 11);
    PQfinish(connection);
}

int main(void)
{
    static postgres_server_t server;
    postgres_server_start(&server);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(no_statement_of_a_list_reads_a_table_or_sorts_what_has_an_order,
                                  &server),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_server_stop(&server);
    return failed;
}
