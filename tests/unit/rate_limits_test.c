/* Limits per token and tenant in windows of one second, on a node by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actors/gateway/rate_limits.h"
#include "adapters/cache_memory/cache_memory.h"

static int64_t now_ms = 1700000000000;

static int64_t wall_ms(void)
{
    return now_ms;
}

typedef struct fixture {
    loop_t *loop;
    metrics_t *metrics;
    cache_t *cache;
    rate_limits_t *limits;
} fixture_t;

static void begin(fixture_t *fixture, uint32_t per_token, uint32_t per_tenant)
{
    const rate_limits_settings_t settings = {
        .per_token = per_token, .per_tenant = per_tenant, .wall_ms = wall_ms};
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("front-0");
    assert_int_equal(cache_memory_create(fixture->loop, &fixture->cache), RESULT_OK);
    assert_int_equal(rate_limits_create(fixture->loop, fixture->metrics, fixture->cache, &settings,
                                        &fixture->limits),
                     RESULT_OK);
}

static void end(fixture_t *fixture)
{
    cache_memory_destroy(&fixture->cache);
    rate_limits_destroy(&fixture->limits);
    metrics_destroy(&fixture->metrics);
    loop_destroy(&fixture->loop);
}

static rate_scope_t take(fixture_t *fixture, const char *tenant, uint64_t token)
{
    return rate_limits_take(fixture->limits, text_from_c(tenant), token, true);
}

static void token_may_so_much_a_second_and_then_again(void **state)
{
    (void)state;
    fixture_t fixture = {0};
    begin(&fixture, 3, 0);
    for (int second = 0; second < 3; second++) {
        for (int i = 0; i < 3; i++) {
            assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
        }
        assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_TOKEN);
        assert_int_equal(take(&fixture, "acme", 2), RATE_SCOPE_NONE);
        assert_int_equal(take(&fixture, "alpine", 1), RATE_SCOPE_NONE);
        now_ms += 1000;
    }
    end(&fixture);
}

static void tenant_may_so_much_with_all_its_tokens(void **state)
{
    (void)state;
    fixture_t fixture = {0};
    begin(&fixture, 2, 3);
    assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
    assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
    assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_TOKEN); /* not counted for the tenant */
    assert_int_equal(take(&fixture, "acme", 2), RATE_SCOPE_NONE);
    assert_int_equal(take(&fixture, "acme", 2), RATE_SCOPE_TENANT);
    assert_int_equal(take(&fixture, "alpine", 3), RATE_SCOPE_NONE);
    end(&fixture);
}

static void without_limits_everything_goes(void **state)
{
    (void)state;
    fixture_t fixture = {0};
    begin(&fixture, 0, 0);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
    }
    end(&fixture);
}

static void more_tokens_than_there_is_room_for_are_let_through(void **state)
{
    (void)state;
    fixture_t fixture = {0};
    begin(&fixture, 1, 0);
    for (uint64_t token = 0; token < 4 * LIMIT_RATE_ENTRIES; token++) {
        assert_int_equal(take(&fixture, "acme", token * UINT64_C(0x9e3779b97f4a7c15)),
                         RATE_SCOPE_NONE);
    }
    now_ms += 1000; /* the places are free again */
    assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
    assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_TOKEN);
    end(&fixture);
}

static void clock_that_goes_back_begins_a_window(void **state)
{
    (void)state;
    fixture_t fixture = {0};
    begin(&fixture, 1, 1);
    assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
    now_ms -= 3600000;
    assert_int_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
    assert_int_not_equal(take(&fixture, "acme", 1), RATE_SCOPE_NONE);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_may_so_much_a_second_and_then_again),
        cmocka_unit_test(tenant_may_so_much_with_all_its_tokens),
        cmocka_unit_test(without_limits_everything_goes),
        cmocka_unit_test(more_tokens_than_there_is_room_for_are_let_through),
        cmocka_unit_test(clock_that_goes_back_begins_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
