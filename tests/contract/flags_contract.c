/* The contract suite of actors/ports/flags.h. */
#include "tests/contract/flags_contract.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS_MAX = 16 };

typedef struct fixture {
    const control_contract_factory_t *factory;
    flags_of_store_t *flags_of;
    control_store_t *control;
    flags_t *flags;
} fixture_t;

typedef struct rows {
    size_t count;
    size_t stop_after;
    char text[ROWS_MAX][64]; /* "acme/name=50" or "acme/name=unset" */
    uint64_t changes[ROWS_MAX];
    int64_t times[ROWS_MAX];
} rows_t;

static bool visit_row(void *context, const flag_setting_t *setting)
{
    rows_t *rows = context;
    char percent[8] = "unset";
    assert_true(rows->count < ROWS_MAX);
    if (setting->is_set) {
        (void)snprintf(percent, sizeof percent, "%u", setting->percent);
    }
    (void)snprintf(rows->text[rows->count], sizeof rows->text[0], "%.*s/%.*s=%s",
                   TEXT_PRINT(setting->tenant), TEXT_PRINT(setting->name), percent);
    rows->changes[rows->count] = setting->change;
    rows->times[rows->count] = setting->changed_at;
    rows->count++;
    return rows->stop_after == 0 || rows->count < rows->stop_after;
}

static rows_t read_rows(fixture_t *fixture, const char *tenant, uint64_t after)
{
    rows_t rows = {0};
    flags_t *flags = fixture->flags;
    assert_int_equal(flags->functions->visit(flags, text_from_c(tenant), after, visit_row, &rows),
                     RESULT_OK);
    return rows;
}

static result_t set(fixture_t *fixture, const char *tenant, const char *name, uint8_t percent)
{
    flags_t *flags = fixture->flags;
    return flags->functions->set(flags, text_from_c(tenant), text_from_c(name), percent, 1000);
}

static result_t unset(fixture_t *fixture, const char *tenant, const char *name)
{
    flags_t *flags = fixture->flags;
    return flags->functions->unset(flags, text_from_c(tenant), text_from_c(name), 2000);
}

static uint64_t version(fixture_t *fixture)
{
    uint64_t number = 0;
    control_store_t *control = fixture->control;
    assert_int_equal(control->functions->version(control, &number), RESULT_OK);
    return number;
}

static void create_tenant(fixture_t *fixture, const char *name)
{
    const control_card_key_t key = {.kid = 1,
                                    .state = key_state_active,
                                    .created_at = 1,
                                    .sealed_secret = TEXT_LITERAL("sealed")};
    const control_tenant_t tenant = {.name = text_from_c(name),
                                     .partitions = 1,
                                     .created_at = 1,
                                     .sealed_secret = TEXT_LITERAL("sealed"),
                                     .keys = &key,
                                     .key_count = 1};
    control_store_t *control = fixture->control;
    assert_int_equal(control->functions->tenant_create(control, &tenant), RESULT_OK);
}

static int setup(void **state)
{
    fixture_t *fixture = *state;
    dead_letters_t *letters = NULL;
    fixture->factory->open(fixture->factory->context, &fixture->control, &letters);
    fixture->flags = fixture->flags_of(fixture->control);
    create_tenant(fixture, "acme");
    create_tenant(fixture, "alpine");
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    fixture->factory->close_and_clear(fixture->factory->context, &fixture->control);
    return 0;
}

static void flag_that_is_set_is_read(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(set(fixture, "acme", "one", 50), RESULT_OK);
    const rows_t rows = read_rows(fixture, "acme", 0);
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.text[0], "acme/one=50");
    assert_int_equal(rows.times[0], 1000);
}

static void flag_set_again_has_its_new_percentage(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(set(fixture, "acme", "one", 50), RESULT_OK);
    assert_int_equal(set(fixture, "acme", "one", 0), RESULT_OK);
    const rows_t rows = read_rows(fixture, "acme", 0);
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.text[0], "acme/one=0");
}

static void each_tenant_has_its_own(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(set(fixture, "acme", "one", 1), RESULT_OK);
    assert_int_equal(set(fixture, "alpine", "one", 2), RESULT_OK);
    const rows_t rows = read_rows(fixture, "alpine", 0);
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.text[0], "alpine/one=2");
    const rows_t all = read_rows(fixture, "", 0);
    assert_int_equal(all.count, 2);
    assert_string_equal(all.text[0], "acme/one=1"); /* in order of change */
    assert_string_equal(all.text[1], "alpine/one=2");
}

static void every_change_raises_the_version_and_is_found_by_it(void **state)
{
    fixture_t *fixture = *state;
    const uint64_t before = version(fixture);
    assert_int_equal(set(fixture, "acme", "one", 1), RESULT_OK);
    assert_true(version(fixture) > before);
    const uint64_t first = read_rows(fixture, "", 0).changes[0];
    assert_int_equal(set(fixture, "alpine", "two", 2), RESULT_OK);
    assert_int_equal(set(fixture, "acme", "one", 3), RESULT_OK);
    const rows_t rows = read_rows(fixture, "", first);
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.text[0], "alpine/two=2");
    assert_string_equal(rows.text[1], "acme/one=3");
    assert_true(rows.changes[1] > rows.changes[0]);
    assert_int_equal(read_rows(fixture, "", rows.changes[1]).count, 0);
}

static void setting_what_is_set_changes_nothing(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(set(fixture, "acme", "one", 7), RESULT_OK);
    const uint64_t before = version(fixture);
    assert_int_equal(set(fixture, "acme", "one", 7), RESULT_OK);
    assert_int_equal(version(fixture), before);
}

static void unset_is_seen_as_a_change(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(set(fixture, "acme", "one", 7), RESULT_OK);
    const uint64_t change = read_rows(fixture, "", 0).changes[0];
    assert_int_equal(unset(fixture, "acme", "one"), RESULT_OK);
    const rows_t rows = read_rows(fixture, "", change);
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.text[0], "acme/one=unset");
    assert_int_equal(rows.times[0], 2000);
    assert_int_equal(unset(fixture, "acme", "one"), RESULT_MISSING); /* a second time */
    assert_int_equal(set(fixture, "acme", "one", 8), RESULT_OK);
    assert_string_equal(read_rows(fixture, "acme", 0).text[0], "acme/one=8");
}

static void unknown_tenants_and_impossible_values_are_refused(void **state)
{
    fixture_t *fixture = *state;
    const uint64_t before = version(fixture);
    char name[FLAGS_NAME_SIZE_MAX + 2];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(set(fixture, "nobody", "one", 7), RESULT_MISSING);
    assert_int_equal(unset(fixture, "nobody", "one"), RESULT_MISSING);
    assert_int_equal(unset(fixture, "acme", "one"), RESULT_MISSING);
    assert_int_equal(set(fixture, "acme", "one", 101), RESULT_INVALID_ARGUMENT);
    assert_int_equal(set(fixture, "acme", "", 1), RESULT_INVALID_ARGUMENT);
    assert_int_equal(set(fixture, "acme", name, 1), RESULT_INVALID_ARGUMENT);
    assert_int_equal(version(fixture), before);
    assert_int_equal(read_rows(fixture, "", 0).count, 0);
}

static void names_are_values_and_never_sql(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(set(fixture, "acme", "x'; DROP TABLE flag; --", 7), RESULT_OK);
    assert_string_equal(read_rows(fixture, "acme", 0).text[0], "acme/x'; DROP TABLE flag; --=7");
}

static void flags_of_a_deleted_tenant_are_gone(void **state)
{
    fixture_t *fixture = *state;
    char kept_as[512];
    control_store_t *control = fixture->control;
    assert_int_equal(set(fixture, "acme", "one", 7), RESULT_OK);
    assert_int_equal(control->functions->tenant_delete(control, TEXT_LITERAL("acme"), 3000, kept_as,
                                                       sizeof kept_as),
                     RESULT_OK);
    assert_int_equal(read_rows(fixture, "", 0).count, 0);
    create_tenant(fixture, "acme"); /* another one of the same name */
    assert_int_equal(read_rows(fixture, "acme", 0).count, 0);
}

static void visiting_ends_when_the_visitor_says_so(void **state)
{
    fixture_t *fixture = *state;
    flags_t *flags = fixture->flags;
    rows_t rows = {.stop_after = 1};
    assert_int_equal(set(fixture, "acme", "one", 1), RESULT_OK);
    assert_int_equal(set(fixture, "acme", "two", 2), RESULT_OK);
    assert_int_equal(flags->functions->visit(flags, TEXT_NONE, 0, visit_row, &rows), RESULT_OK);
    assert_int_equal(rows.count, 1);
    assert_int_equal(set(fixture, "acme", "one", 3), RESULT_OK); /* nothing is left open */
}

int flags_contract_run(const control_contract_factory_t *factory, flags_of_store_t *flags_of)
{
    static fixture_t fixture;
    fixture = (fixture_t){.factory = factory, .flags_of = flags_of};
    const struct CMUnitTest tests[] = {
#define CONTRACT(test) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &fixture)
        CONTRACT(flag_that_is_set_is_read),
        CONTRACT(flag_set_again_has_its_new_percentage),
        CONTRACT(each_tenant_has_its_own),
        CONTRACT(every_change_raises_the_version_and_is_found_by_it),
        CONTRACT(setting_what_is_set_changes_nothing),
        CONTRACT(unset_is_seen_as_a_change),
        CONTRACT(unknown_tenants_and_impossible_values_are_refused),
        CONTRACT(names_are_values_and_never_sql),
        CONTRACT(flags_of_a_deleted_tenant_are_gone),
        CONTRACT(visiting_ends_when_the_visitor_says_so),
#undef CONTRACT
    };
    return cmocka_run_group_tests_name("flags", tests, NULL, NULL);
}
