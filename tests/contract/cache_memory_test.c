/* The cache's contract in one process, and its bound. */
#include "adapters/cache_memory/cache_memory.h"
#include "tests/contract/cache_contract.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void factory_open(void *context, loop_t *loop, cache_t **cache)
{
    (void)context;
    assert_int_equal(cache_memory_create(loop, cache), RESULT_OK);
}

static void factory_close(void *context, cache_t **cache)
{
    (void)context;
    cache_memory_destroy(cache);
}

static void factory_clear(void *context)
{
    (void)context;
}

static void full_cache_forgets_what_was_used_longest_ago(void **state)
{
    (void)state;
    loop_t *loop = NULL;
    cache_t *cache = NULL;
    cache_answer_t answer;
    char key[16];
    assert_int_equal(loop_create(&loop), RESULT_OK);
    assert_int_equal(cache_memory_create(loop, &cache), RESULT_OK);
    for (int i = 0; i < LIMIT_CACHE_ENTRIES + 1; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(cache->functions->put(cache, TEXT_LITERAL("acme"), text_from_c(key),
                                               &(cache_version_t){0}, TEXT_LITERAL("x"), 60000),
                         RESULT_OK);
        if (i == LIMIT_CACHE_ENTRIES - 1) { /* the first is used once more */
            assert_int_equal(cache_get_now(loop, cache, "acme", "k0", &answer), RESULT_OK);
        }
    }
    assert_int_equal(cache_get_now(loop, cache, "acme", "k0", &answer), RESULT_OK);
    assert_int_equal(cache_get_now(loop, cache, "acme", "k1", &answer), RESULT_MISSING);
    assert_int_equal(cache_get_now(loop, cache, "acme", key, &answer), RESULT_OK);
    cache_memory_destroy(&cache);
    loop_destroy(&loop);
}

int main(void)
{
    const cache_contract_factory_t factory = {
        .open = factory_open, .close = factory_close, .clear = factory_clear};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_cache_forgets_what_was_used_longest_ago),
    };
    int failed = cache_contract_run(&factory);
    failed += cmocka_run_group_tests_name("cache in memory", tests, NULL, NULL);
    return failed;
}
