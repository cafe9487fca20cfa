/* The contract suite of actors/ports/consumers.h. */
#include "tests/contract/consumers_contract.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS_MAX = 80 };

typedef struct fixture {
    const control_contract_factory_t *factory;
    consumers_of_store_t *consumers_of;
    control_store_t *control;
    consumers_t *consumers;
} fixture_t;

typedef struct rows {
    size_t count;
    char text[ROWS_MAX][96]; /* "acme/app 1=7" or "acme/app" */
    int64_t seen_at[ROWS_MAX];
} rows_t;

static bool visit(void *context, const consumer_row_t *row)
{
    rows_t *const rows = context;
    char cursor[40] = "";
    assert_true(rows->count < ROWS_MAX);
    if (row->has_cursor) {
        (void)snprintf(cursor, sizeof cursor, " %u=%llu", row->partition,
                       (unsigned long long)row->sequence);
    }
    (void)snprintf(rows->text[rows->count], sizeof rows->text[0], "%.*s/%.*s%s",
                   TEXT_PRINT(row->tenant), TEXT_PRINT(row->name), cursor);
    rows->seen_at[rows->count] = row->seen_at;
    rows->count++;
    return true;
}

static rows_t look(fixture_t *fixture, const char *tenant)
{
    rows_t rows = {0};
    consumers_t *const store = fixture->consumers;
    assert_int_equal(store->functions->visit(store, text_from_c(tenant), visit, &rows), RESULT_OK);
    return rows;
}

static result_t add(fixture_t *fixture, const char *tenant, const char *name, int64_t now_ms)
{
    consumers_t *const store = fixture->consumers;
    return store->functions->add(store, text_from_c(tenant), text_from_c(name), now_ms);
}

static result_t ack(fixture_t *fixture, const char *name, uint32_t partition, uint64_t sequence)
{
    consumers_t *const store = fixture->consumers;
    consumer_ack_t one = {.tenant = TEXT_LITERAL("acme"),
                          .name = text_from_c(name),
                          .partition = partition,
                          .sequence = sequence};
    assert_int_equal(store->functions->ack(store, &one, 1, 5000), RESULT_OK);
    return one.result;
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
    assert_int_equal(fixture->control->functions->tenant_create(fixture->control, &tenant),
                     RESULT_OK);
}

static int setup(void **state)
{
    fixture_t *const fixture = *state;
    dead_letters_t *letters = NULL;
    fixture->factory->open(fixture->factory->context, &fixture->control, &letters);
    fixture->consumers = fixture->consumers_of(fixture->control);
    create_tenant(fixture, "acme");
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    fixture->factory->close_and_clear(fixture->factory->context, &fixture->control);
    return 0;
}

static void consumer_keeps_its_cursors(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(add(fixture, "acme", "app", 1000), RESULT_OK);
    assert_string_equal(look(fixture, "acme").text[0], "acme/app");
    assert_int_equal(ack(fixture, "app", 0, 7), RESULT_OK);
    assert_int_equal(ack(fixture, "app", 3, 9), RESULT_OK);
    assert_int_equal(ack(fixture, "app", 0, 8), RESULT_OK);
    const rows_t rows = look(fixture, "acme");
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.text[0], "acme/app 0=8");
    assert_string_equal(rows.text[1], "acme/app 3=9");
    assert_int_equal(rows.seen_at[0], 5000);
    assert_int_equal(add(fixture, "acme", "app", 6000), RESULT_OK); /* again: nothing is lost */
    assert_string_equal(look(fixture, "acme").text[0], "acme/app 0=8");
}

static void cursor_never_goes_back(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(add(fixture, "acme", "app", 1000), RESULT_OK);
    assert_int_equal(ack(fixture, "app", 0, 7), RESULT_OK);
    assert_int_equal(ack(fixture, "app", 0, 3), RESULT_OK);
    assert_string_equal(look(fixture, "acme").text[0], "acme/app 0=7");
}

static void several_are_acknowledged_at_once_and_strangers_are_told(void **state)
{
    fixture_t *const fixture = *state;
    consumers_t *const store = fixture->consumers;
    assert_int_equal(add(fixture, "acme", "one", 1000), RESULT_OK);
    assert_int_equal(add(fixture, "acme", "two", 1000), RESULT_OK);
    consumer_ack_t acks[] = {
        {.tenant = TEXT_LITERAL("acme"), .name = TEXT_LITERAL("one"), .sequence = 1},
        {.tenant = TEXT_LITERAL("acme"), .name = TEXT_LITERAL("nobody"), .sequence = 2},
        {.tenant = TEXT_LITERAL("other"), .name = TEXT_LITERAL("one"), .sequence = 3},
        {.tenant = TEXT_LITERAL("acme"), .name = TEXT_LITERAL("two"), .sequence = 4}};
    assert_int_equal(store->functions->ack(store, acks, 4, 5000), RESULT_OK);
    assert_int_equal(acks[0].result, RESULT_OK);
    assert_int_equal(acks[1].result, RESULT_MISSING);
    assert_int_equal(acks[2].result, RESULT_MISSING);
    assert_int_equal(acks[3].result, RESULT_OK);
    const rows_t rows = look(fixture, "");
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.text[0], "acme/one 0=1");
    assert_string_equal(rows.text[1], "acme/two 0=4");
}

static void removed_consumer_begins_anew(void **state)
{
    fixture_t *const fixture = *state;
    consumers_t *const store = fixture->consumers;
    const text_t acme = TEXT_LITERAL("acme");
    const text_t app = TEXT_LITERAL("app");
    assert_int_equal(store->functions->remove(store, acme, app), RESULT_MISSING);
    assert_int_equal(add(fixture, "acme", "app", 1000), RESULT_OK);
    assert_int_equal(ack(fixture, "app", 0, 7), RESULT_OK);
    assert_int_equal(store->functions->remove(store, acme, app), RESULT_OK);
    assert_int_equal(look(fixture, "acme").count, 0);
    assert_int_equal(ack(fixture, "app", 0, 8), RESULT_MISSING);
    assert_int_equal(add(fixture, "acme", "app", 1000), RESULT_OK);
    assert_string_equal(look(fixture, "acme").text[0], "acme/app");
}

static void a_tenant_has_so_many_and_must_exist(void **state)
{
    fixture_t *const fixture = *state;
    char name[16];
    assert_int_equal(add(fixture, "nobody", "app", 1000), RESULT_MISSING);
    for (int i = 0; i < LIMIT_CONSUMERS; i++) {
        (void)snprintf(name, sizeof name, "app-%d", i);
        assert_int_equal(add(fixture, "acme", name, 1000), RESULT_OK);
    }
    assert_int_equal(add(fixture, "acme", "one-more", 1000), RESULT_BUSY);
    assert_int_equal(add(fixture, "acme", "app-0", 2000), RESULT_OK);
    assert_int_equal(look(fixture, "acme").count, LIMIT_CONSUMERS);
}

static void silent_ones_are_forgotten_and_tenants_take_theirs_along(void **state)
{
    fixture_t *const fixture = *state;
    consumers_t *const store = fixture->consumers;
    char kept_as[512];
    assert_int_equal(add(fixture, "acme", "silent", 1000), RESULT_OK);
    assert_int_equal(add(fixture, "acme", "busy", 1000), RESULT_OK);
    assert_int_equal(ack(fixture, "silent", 0, 3), RESULT_OK); /* at 5000 */
    assert_int_equal(store->functions->forget(store, 5000), RESULT_OK);
    assert_int_equal(look(fixture, "acme").count, 1);
    assert_string_equal(look(fixture, "acme").text[0], "acme/silent 0=3");
    assert_int_equal(fixture->control->functions->tenant_delete(
                         fixture->control, TEXT_LITERAL("acme"), 9000, kept_as, sizeof kept_as),
                     RESULT_OK);
    assert_int_equal(look(fixture, "").count, 0);
}

static void nobody_reads_the_directory_anew_for_a_cursor(void **state)
{
    fixture_t *const fixture = *state;
    uint64_t before = 0;
    uint64_t after = 0;
    assert_int_equal(fixture->control->functions->version(fixture->control, &before), RESULT_OK);
    assert_int_equal(add(fixture, "acme", "app", 1000), RESULT_OK);
    assert_int_equal(ack(fixture, "app", 0, 3), RESULT_OK);
    assert_int_equal(fixture->control->functions->version(fixture->control, &after), RESULT_OK);
    assert_int_equal(before, after);
}

int consumers_contract_run(const control_contract_factory_t *factory,
                           consumers_of_store_t *consumers_of)
{
    static fixture_t fixture;
    fixture = (fixture_t){.factory = factory, .consumers_of = consumers_of};
    const struct CMUnitTest tests[] = {
#define CONTRACT(test) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &fixture)
        CONTRACT(consumer_keeps_its_cursors),
        CONTRACT(cursor_never_goes_back),
        CONTRACT(several_are_acknowledged_at_once_and_strangers_are_told),
        CONTRACT(removed_consumer_begins_anew),
        CONTRACT(a_tenant_has_so_many_and_must_exist),
        CONTRACT(silent_ones_are_forgotten_and_tenants_take_theirs_along),
        CONTRACT(nobody_reads_the_directory_anew_for_a_cursor),
#undef CONTRACT
    };
    return cmocka_run_group_tests_name("consumers", tests, NULL, NULL);
}
