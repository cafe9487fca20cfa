/* Counting together through a cache of which the test is the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actors/gateway/shared_count.h"

typedef struct fake {
    cache_t base;
    int64_t sum;
    uint32_t asked;
    result_t takes; /* of the call */
    cache_added_t *done;
    void *context;
} fake_t;

static result_t fake_add(cache_t *cache, text_t tenant, text_t key, int64_t amount, uint32_t ttl_ms,
                         cache_added_t *done, void *context)
{
    fake_t *const fake = (fake_t *)cache;
    (void)tenant;
    (void)key;
    (void)ttl_ms;
    fake->asked++;
    if (fake->takes != RESULT_OK) {
        return fake->takes;
    }
    fake->sum += amount;
    fake->done = done;
    fake->context = context;
    return RESULT_OK;
}

static fake_t fake_make(void)
{
    static const cache_functions_t functions = {.add = fake_add};
    return (fake_t){.base.functions = &functions, .takes = RESULT_OK};
}

static void answer(fake_t *fake, result_t result)
{
    fake->done(fake->context, result, fake->sum);
}

static void exchange(shared_count_t *count, fake_t *fake)
{
    shared_count_exchange(count, &fake->base, TEXT_LITERAL("acme"), TEXT_LITERAL("k"), 5000, false);
}

static void node_counts_alone_until_it_hears(void **state)
{
    (void)state;
    fake_t fake = fake_make();
    shared_count_t count = {0};
    fake.sum = 40; /* the others */
    shared_count_add(&count, 7, 10);
    assert_int_equal(shared_count_sum(&count, 7), 10);
    exchange(&count, &fake);
    shared_count_add(&count, 7, 5); /* while it is under way */
    exchange(&count, &fake);
    assert_int_equal(fake.asked, 1);
    answer(&fake, RESULT_OK);
    assert_int_equal(shared_count_sum(&count, 7), 55);
    exchange(&count, &fake);
    answer(&fake, RESULT_OK);
    assert_int_equal(fake.sum, 55); /* each was told once */
    assert_int_equal(shared_count_sum(&count, 7), 55);
    exchange(&count, &fake); /* no news */
    assert_int_equal(fake.asked, 2);
}

static void another_window_begins_at_nothing(void **state)
{
    (void)state;
    fake_t fake = fake_make();
    shared_count_t count = {0};
    shared_count_add(&count, 7, 10);
    exchange(&count, &fake);
    shared_count_add(&count, 8, 1);
    fake.sum = 1000; /* of the window before: it comes too late */
    answer(&fake, RESULT_OK);
    assert_int_equal(shared_count_sum(&count, 8), 1);
    assert_int_equal(shared_count_sum(&count, 7), 0);
}

/* The clock goes back over a window's edge and forward again while an exchange is under way: what
 * was told before is in the sum of all, and no longer in what this node holds. */
static void window_that_comes_back_forgets_what_is_under_way(void **state)
{
    (void)state;
    fake_t fake = fake_make();
    shared_count_t count = {0};
    shared_count_add(&count, 7, 10);
    exchange(&count, &fake);
    shared_count_add(&count, 5, 0);
    shared_count_add(&count, 7, 1);
    answer(&fake, RESULT_OK);
    assert_true(count.own >= count.told);
    exchange(&count, &fake);
    answer(&fake, RESULT_OK);
    assert_int_equal(fake.sum, 11);
    assert_int_equal(shared_count_sum(&count, 7), 11);
}

static void lost_answer_is_told_again(void **state)
{
    (void)state;
    fake_t fake = fake_make();
    shared_count_t count = {0};
    shared_count_add(&count, 7, 10);
    exchange(&count, &fake);
    fake.sum = 0; /* it never arrived */
    answer(&fake, RESULT_UNAVAILABLE);
    exchange(&count, &fake);
    answer(&fake, RESULT_OK);
    assert_int_equal(fake.sum, 10);
    assert_int_equal(shared_count_sum(&count, 7), 10);
}

static void cache_that_refuses_is_asked_again(void **state)
{
    (void)state;
    fake_t fake = fake_make();
    shared_count_t count = {0};
    fake.takes = RESULT_UNAVAILABLE;
    shared_count_add(&count, 7, 10);
    exchange(&count, &fake);
    assert_false(count.is_under_way);
    fake.takes = RESULT_OK;
    exchange(&count, &fake);
    answer(&fake, RESULT_OK);
    assert_int_equal(fake.sum, 10);
}

/* A Redis that was restarted knows nothing: each node tells it again what it holds. */
static void cache_that_forgot_learns_it_again(void **state)
{
    (void)state;
    fake_t fake = fake_make();
    shared_count_t count = {0};
    shared_count_add(&count, 7, 10);
    exchange(&count, &fake);
    answer(&fake, RESULT_OK);
    fake.sum = 0;
    shared_count_add(&count, 7, 1);
    exchange(&count, &fake);
    answer(&fake, RESULT_OK);
    assert_int_equal(shared_count_sum(&count, 7), 11);
    exchange(&count, &fake);
    answer(&fake, RESULT_OK);
    assert_int_equal(fake.sum, 11);
    assert_int_equal(shared_count_sum(&count, 7), 11);
}

static void impossible_sums_do_no_harm(void **state)
{
    (void)state;
    static const int64_t sums[] = {INT64_MIN, -1, INT64_MAX};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        fake_t fake = fake_make();
        shared_count_t count = {0};
        shared_count_add(&count, 7, 10);
        exchange(&count, &fake);
        fake.sum = sums[i];
        answer(&fake, RESULT_OK);
        assert_true(shared_count_sum(&count, 7) >= 10);
        assert_true(shared_count_sum(&count, 7) <= (uint64_t)UINT32_MAX + 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_counts_alone_until_it_hears),
        cmocka_unit_test(another_window_begins_at_nothing),
        cmocka_unit_test(window_that_comes_back_forgets_what_is_under_way),
        cmocka_unit_test(lost_answer_is_told_again),
        cmocka_unit_test(cache_that_refuses_is_asked_again),
        cmocka_unit_test(cache_that_forgot_learns_it_again),
        cmocka_unit_test(impossible_sums_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
