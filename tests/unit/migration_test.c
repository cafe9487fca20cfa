/* Migrations, on a store that stands in memory: order, locks, failures, others at work. */
#include "runtime/log.h"
#include "runtime/migration.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct store {
    uint64_t version; /* committed */
    char steps[64];   /* committed */
    uint64_t new_version;
    char new_steps[64];
    bool locked;
    int locks;
    int fail_at;          /* the call to apply that fails; 0: none */
    int applied;          /* calls to apply */
    int others_before;    /* before so many locks another process takes a step */
    result_t commit_says; /* RESULT_OK: it works */
} store_t;

static result_t store_lock(void *context)
{
    store_t *const store = context;
    assert_false(store->locked);
    store->locked = true;
    store->locks++;
    if (store->locks == store->others_before) {
        const size_t used = strlen(store->steps);
        store->steps[used] = (char)('A' + store->version);
        store->version++;
    }
    store->new_version = store->version;
    memcpy(store->new_steps, store->steps, sizeof store->steps);
    return RESULT_OK;
}

static result_t store_version(void *context, uint64_t *version)
{
    const store_t *const store = context;
    assert_true(store->locked);
    *version = store->version;
    return RESULT_OK;
}

static result_t store_apply(void *context, const char *step, uint64_t version)
{
    store_t *const store = context;
    assert_true(store->locked);
    store->applied++;
    if (store->applied == store->fail_at) {
        return RESULT_STORE_FULL;
    }
    store->new_steps[strlen(store->new_steps)] = step[0];
    store->new_version = version;
    return RESULT_OK;
}

static result_t store_commit(void *context)
{
    store_t *const store = context;
    assert_true(store->locked);
    if (store->commit_says == RESULT_OK) {
        store->version = store->new_version;
        memcpy(store->steps, store->new_steps, sizeof store->steps);
        store->locked = false;
    }
    return store->commit_says;
}

static void store_undo(void *context)
{
    ((store_t *)context)->locked = false;
}

static result_t run(store_t *store, migration_outcome_t *outcome)
{
    static const char *const steps[] = {"a", "b", "c"};
    static const migration_functions_t functions = {.lock = store_lock,
                                                    .version = store_version,
                                                    .apply = store_apply,
                                                    .commit = store_commit,
                                                    .undo = store_undo};
    const migration_t migration = {
        .store = "test", .where = "memory", .steps = steps, .step_count = 3};
    const result_t result = migration_run(&migration, &functions, store, outcome);
    assert_false(store->locked);
    return result;
}

static void an_empty_store_takes_all_steps_each_in_a_transaction(void **state)
{
    (void)state;
    store_t store = {0};
    migration_outcome_t outcome;
    assert_int_equal(run(&store, &outcome), RESULT_OK);
    assert_string_equal(store.steps, "abc");
    assert_int_equal(store.version, 3);
    assert_int_equal(store.locks, 4);
    assert_int_equal(outcome.found, 0);
    assert_int_equal(outcome.known, 3);
}

static void an_older_store_takes_the_steps_it_lacks(void **state)
{
    (void)state;
    store_t store = {.version = 2, .steps = "ab"};
    migration_outcome_t outcome;
    assert_int_equal(run(&store, &outcome), RESULT_OK);
    assert_string_equal(store.steps, "abc");
    assert_int_equal(outcome.found, 2);
    assert_int_equal(run(&store, &outcome), RESULT_OK);
    assert_string_equal(store.steps, "abc");
    assert_int_equal(outcome.found, 3);
}

static void a_newer_store_is_left_alone(void **state)
{
    (void)state;
    store_t store = {.version = 4, .steps = "abcd"};
    migration_outcome_t outcome;
    assert_int_equal(run(&store, &outcome), RESULT_SCHEMA_TOO_NEW);
    assert_string_equal(store.steps, "abcd");
    assert_int_equal(outcome.found, 4);
    assert_int_equal(outcome.known, 3);
}

static void a_step_that_fails_leaves_the_one_before(void **state)
{
    (void)state;
    store_t store = {.fail_at = 2};
    assert_int_equal(run(&store, NULL), RESULT_STORE_FULL);
    assert_string_equal(store.steps, "a");
    assert_int_equal(store.version, 1);
    assert_int_equal(run(&store, NULL), RESULT_OK);
    assert_string_equal(store.steps, "abc");
}

static void a_commit_that_fails_counts_nothing(void **state)
{
    (void)state;
    store_t store = {.version = 1, .steps = "a", .commit_says = RESULT_STORE_UNAVAILABLE};
    assert_int_equal(run(&store, NULL), RESULT_STORE_UNAVAILABLE);
    assert_int_equal(store.version, 1);
    assert_string_equal(store.steps, "a");
}

/* The version is asked again under every lock. */
static void a_step_that_another_process_took_is_not_taken_twice(void **state)
{
    (void)state;
    for (int others_before = 1; others_before <= 3; others_before++) {
        store_t store = {.others_before = others_before};
        assert_int_equal(run(&store, NULL), RESULT_OK);
        assert_int_equal(store.version, 3);
        assert_int_equal(strlen(store.steps), 3);
        assert_int_equal(store.steps[others_before - 1], 'A' + others_before - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_store_takes_all_steps_each_in_a_transaction),
        cmocka_unit_test(an_older_store_takes_the_steps_it_lacks),
        cmocka_unit_test(a_newer_store_is_left_alone),
        cmocka_unit_test(a_step_that_fails_leaves_the_one_before),
        cmocka_unit_test(a_commit_that_fails_counts_nothing),
        cmocka_unit_test(a_step_that_another_process_took_is_not_taken_twice),
    };
    log_start("test", LOG_SILENT_LEVEL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
