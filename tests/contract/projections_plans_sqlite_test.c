/* Plans of the statements behind lists: each goes along an index, in the order of the page, and
 * none reads a table from end to end or sorts. What is sorted is sorted in memory, within bounds.
 */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct named {
    const char *name;
    const char *sql;
} named_t;

static const named_t statements[] = {
#define STATEMENT(name, sql) {#name, sql},
#include "adapters/projections_sqlite/statements.def"
#undef STATEMENT
};

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void check_plan(sqlite3 *database, const named_t *named)
{
    char sql[2048];
    sqlite3_stmt *plan = NULL;
    int steps = 0;
    const bool is_match = begins_with(named->name, "match_");
    (void)snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", named->sql);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) { /* a handful */
        const char *const step = (const char *)sqlite3_column_text(plan, 3);
        const bool is_search = begins_with(step, "SEARCH ") && strstr(step, "TEMP B-TREE") == NULL;
        const bool is_covered = !is_match || strstr(step, "COVERING INDEX") != NULL;
        if (!is_search || !is_covered) {
            fail_msg("%s: %s", named->name, step);
        }
        steps++;
    }
    assert_true(steps > 0);
    (void)sqlite3_finalize(plan);
}

static void every_statement_of_a_list_searches_an_index_and_sorts_nothing(void **state)
{
    (void)state;
    sqlite3 *database = NULL;
    int checked = 0;
    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    for (size_t i = 0; i < projections_sqlite_migrations_count; i++) {
        assert_int_equal(sqlite3_exec(database, projections_sqlite_migrations[i], NULL, NULL, NULL),
                         SQLITE_OK);
    }
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (begins_with(statements[i].name, "list_") || begins_with(statements[i].name, "match_")) {
            check_plan(database, &statements[i]);
            checked++;
        }
    }
    assert_int_equal(checked, 11);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_statement_of_a_list_searches_an_index_and_sorts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
