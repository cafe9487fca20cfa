/* The contract suite of actors/ports/cache.h. */
#include "tests/contract/cache_contract.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, LOOK_MS = 1, TTL_MS = 60000, SHORT_MS = 60, HEARD_MAX = 64 };

/* --- Running --- */

typedef struct waiting {
    loop_t *loop;
    cache_condition_t *condition;
    void *context;
    uint64_t end_ms;
    bool is_so;
} waiting_t;

static void look(void *context)
{
    waiting_t *const waiting = context;
    waiting->is_so = waiting->condition(waiting->context);
    if (waiting->is_so || loop_now_ms(waiting->loop) >= waiting->end_ms) {
        loop_stop(waiting->loop);
    }
}

bool cache_run_until(loop_t *loop, cache_condition_t *condition, void *context,
                     uint64_t patience_ms)
{
    waiting_t waiting = {.loop = loop,
                         .condition = condition,
                         .context = context,
                         .end_ms = loop_now_ms(loop) + patience_ms};
    loop_timer_t *timer = loop_timer_create(loop, look, &waiting);
    loop_timer_start(timer, 0, LOOK_MS);
    loop_run(loop);
    loop_timer_destroy(&timer);
    return waiting.is_so;
}

void cache_answer_got(void *context, result_t result, text_t value)
{
    cache_answer_t *const answer = context;
    answer->count++;
    answer->result = result;
    answer->size = value.size;
    memset(answer->value, 0, sizeof answer->value);
    if (value.size > 0) {
        memcpy(answer->value, value.data,
               value.size < sizeof answer->value ? value.size : sizeof answer->value - 1);
    }
}

void cache_answer_added(void *context, result_t result, int64_t sum)
{
    cache_answer_t *const answer = context;
    answer->count++;
    answer->result = result;
    answer->sum = sum;
}

static bool is_answered(void *context)
{
    return ((const cache_answer_t *)context)->count > 0;
}

result_t cache_get_now(loop_t *loop, cache_t *cache, const char *tenant, const char *key,
                       cache_answer_t *answer)
{
    *answer = (cache_answer_t){0};
    const result_t asked = cache->functions->get(cache, text_from_c(tenant), text_from_c(key),
                                                 cache_answer_got, answer);
    if (asked != RESULT_OK) {
        return asked;
    }
    assert_int_equal(answer->count, 0); /* never within the call */
    assert_true(cache_run_until(loop, is_answered, answer, PATIENCE_MS));
    return answer->result;
}

result_t cache_add_now(loop_t *loop, cache_t *cache, const char *tenant, const char *key,
                       int64_t amount, cache_answer_t *answer)
{
    *answer = (cache_answer_t){0};
    const result_t asked = cache->functions->add(cache, text_from_c(tenant), text_from_c(key),
                                                 amount, TTL_MS, cache_answer_added, answer);
    if (asked != RESULT_OK) {
        return asked;
    }
    assert_int_equal(answer->count, 0);
    assert_true(cache_run_until(loop, is_answered, answer, PATIENCE_MS));
    return answer->result;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

bool cache_await_up(loop_t *loop, cache_t *cache, const char *tenant, uint64_t patience_ms)
{
    const uint64_t end_ms = loop_now_ms(loop) + patience_ms;
    cache_answer_t answer;
    while (cache_add_now(loop, cache, tenant, "await-up", 1, &answer) != RESULT_OK) {
        if (loop_now_ms(loop) > end_ms) {
            return false;
        }
        (void)cache_run_until(loop, never, NULL, LOOK_MS);
    }
    return true;
}

/* --- Fixture --- */

typedef struct fixture {
    const cache_contract_factory_t *factory;
    loop_t *loop;
    cache_t *one;
    cache_t *two;
    char heard[HEARD_MAX][32]; /* "one acme news" */
    size_t heard_count;
} fixture_t;

static void hear(fixture_t *fixture, const char *who, text_t tenant, text_t payload)
{
    assert_true(fixture->heard_count < HEARD_MAX);
    (void)snprintf(fixture->heard[fixture->heard_count], sizeof fixture->heard[0], "%s %.*s %.*s",
                   who, TEXT_PRINT(tenant), TEXT_PRINT(payload));
    fixture->heard_count++;
}

static void one_heard(void *context, text_t tenant, text_t payload)
{
    hear(context, "one", tenant, payload);
}

static void two_heard(void *context, text_t tenant, text_t payload)
{
    hear(context, "two", tenant, payload);
}

static bool both_hear(void *context)
{
    const fixture_t *const fixture = context;
    char text[512];
    cache_t *const caches[] = {fixture->one, fixture->two};
    for (size_t i = 0; i < 2; i++) {
        const size_t size = caches[i]->functions->status(caches[i], text, sizeof text - 1);
        assert_true(size < sizeof text);
        text[size] = '\0';
        if (strstr(text, "\"hears\":true") == NULL) {
            return false;
        }
    }
    return true;
}

static int setup(void **state)
{
    fixture_t *const fixture = *state;
    const cache_contract_factory_t *const factory = fixture->factory;
    fixture->heard_count = 0;
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    factory->open(factory->context, fixture->loop, &fixture->one);
    factory->open(factory->context, fixture->loop, &fixture->two);
    fixture->one->functions->subscribe(fixture->one, "news", one_heard, fixture);
    fixture->two->functions->subscribe(fixture->two, "news", two_heard, fixture);
    assert_true(cache_await_up(fixture->loop, fixture->one, "acme", PATIENCE_MS));
    assert_true(cache_await_up(fixture->loop, fixture->two, "acme", PATIENCE_MS));
    if (factory->is_shared) {
        assert_true(cache_run_until(fixture->loop, both_hear, fixture, PATIENCE_MS));
    }
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    fixture->factory->close(fixture->factory->context, &fixture->one);
    fixture->factory->close(fixture->factory->context, &fixture->two);
    loop_destroy(&fixture->loop);
    fixture->factory->clear(fixture->factory->context);
    return 0;
}

static const cache_version_t first_version = {.major = 1};

static void put(cache_t *cache, const char *tenant, const char *key, const char *value,
                uint32_t ttl_ms)
{
    assert_int_equal(cache->functions->put(cache, text_from_c(tenant), text_from_c(key),
                                           &first_version, text_from_c(value), ttl_ms),
                     RESULT_OK);
}

/* --- Values --- */

static void value_that_was_put_is_got(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "acme", "a", &answer),
                     RESULT_MISSING);
    put(fixture->one, "acme", "a", "first", TTL_MS);
    put(fixture->one, "acme", "a", "second", TTL_MS);
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "acme", "a", &answer), RESULT_OK);
    assert_string_equal(answer.value, "second");
    assert_int_equal(answer.count, 1);
}

static void put_version(cache_t *cache, uint64_t major, uint64_t minor, const char *value)
{
    const cache_version_t version = {.major = major, .minor = minor};
    assert_int_equal(cache->functions->put(cache, TEXT_LITERAL("acme"), TEXT_LITERAL("v"), &version,
                                           text_from_c(value), TTL_MS),
                     RESULT_OK);
}

static void assert_value(fixture_t *fixture, const char *value)
{
    cache_answer_t answer;
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "acme", "v", &answer), RESULT_OK);
    assert_string_equal(answer.value, value);
}

static void older_version_changes_nothing(void **state)
{
    fixture_t *const fixture = *state;
    put_version(fixture->one, 9, 5, "first");
    put_version(fixture->one, 8, 7, "older");
    assert_value(fixture, "first");
    put_version(fixture->one, 9, 4, "as old by major");
    assert_value(fixture, "first");
    put_version(fixture->one, 9, 5, "again");
    assert_value(fixture, "again");
    put_version(fixture->one, 10, 0, "newer, and not by its first digit");
    assert_value(fixture, "newer, and not by its first digit");
    put_version(fixture->one, UINT64_MAX - 1, UINT64_MAX, "large");
    put_version(fixture->one, UINT64_MAX - 2, UINT64_MAX, "older by one");
    assert_value(fixture, "large");
    put_version(fixture->one, UINT64_MAX, 0, "largest");
    assert_value(fixture, "largest");
}

static void value_is_missing_when_its_time_is_over(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    put(fixture->one, "acme", "a", "x", SHORT_MS);
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "acme", "a", &answer), RESULT_OK);
    const uint64_t end_ms = loop_now_ms(fixture->loop) + PATIENCE_MS;
    while (cache_get_now(fixture->loop, fixture->one, "acme", "a", &answer) == RESULT_OK) {
        assert_true(loop_now_ms(fixture->loop) < end_ms);
        (void)cache_run_until(fixture->loop, never, NULL, LOOK_MS);
    }
    assert_int_equal(answer.result, RESULT_MISSING);
}

static void values_may_be_empty_hold_any_byte_and_be_large(void **state)
{
    fixture_t *const fixture = *state;
    cache_t *const cache = fixture->one;
    cache_answer_t answer;
    const text_t acme = TEXT_LITERAL("acme");
    const text_t bytes = {.data = "a\0\r\n\xff", .size = 5};
    char *large = malloc(LIMIT_CACHE_VALUE_SIZE + 1);
    memset(large, 'x', LIMIT_CACHE_VALUE_SIZE + 1);
    assert_int_equal(
        cache->functions->put(cache, acme, TEXT_LITERAL("e"), &first_version, TEXT_NONE, TTL_MS),
        RESULT_OK);
    assert_int_equal(
        cache->functions->put(cache, acme, TEXT_LITERAL("b"), &first_version, bytes, TTL_MS),
        RESULT_OK);
    text_t value = {.data = large, .size = LIMIT_CACHE_VALUE_SIZE};
    assert_int_equal(
        cache->functions->put(cache, acme, TEXT_LITERAL("l"), &first_version, value, TTL_MS),
        RESULT_OK);
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", "e", &answer), RESULT_OK);
    assert_int_equal(answer.size, 0);
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", "b", &answer), RESULT_OK);
    assert_int_equal(answer.size, 5);
    assert_memory_equal(answer.value, bytes.data, 5);
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", "l", &answer), RESULT_OK);
    assert_int_equal(answer.size, LIMIT_CACHE_VALUE_SIZE);
    value.size++;
    assert_int_equal(
        cache->functions->put(cache, acme, TEXT_LITERAL("m"), &first_version, value, TTL_MS),
        RESULT_INVALID_ARGUMENT);
    free(large);
}

static void sizes_of_keys_are_bounded(void **state)
{
    fixture_t *const fixture = *state;
    cache_t *const cache = fixture->one;
    cache_answer_t answer = {0};
    char long_key[LIMIT_CACHE_KEY_SIZE + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", long_key, &answer),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", "", &answer),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(cache->functions->put(cache, TEXT_LITERAL("acme"), text_from_c(long_key),
                                           &first_version, TEXT_NONE, TTL_MS),
                     RESULT_INVALID_ARGUMENT);
    long_key[LIMIT_CACHE_KEY_SIZE] = '\0';
    put(cache, "acme", long_key, "x", TTL_MS);
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", long_key, &answer), RESULT_OK);
}

static void tenants_are_apart(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    put(fixture->one, "acme", "a", "of acme", TTL_MS);
    put(fixture->one, "", "a", "of all", TTL_MS);
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "alpine", "a", &answer),
                     RESULT_MISSING);
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "acme", "a", &answer), RESULT_OK);
    assert_string_equal(answer.value, "of acme");
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "", "a", &answer), RESULT_OK);
    assert_string_equal(answer.value, "of all");
}

/* --- Numbers --- */

static void numbers_add_up(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    assert_int_equal(cache_add_now(fixture->loop, fixture->one, "acme", "n", 3, &answer),
                     RESULT_OK);
    assert_int_equal(answer.sum, 3);
    assert_int_equal(cache_add_now(fixture->loop, fixture->one, "acme", "n", 4, &answer),
                     RESULT_OK);
    assert_int_equal(answer.sum, 7);
    assert_int_equal(cache_add_now(fixture->loop, fixture->one, "acme", "n", -2, &answer),
                     RESULT_OK);
    assert_int_equal(answer.sum, 5);
    assert_int_equal(cache_add_now(fixture->loop, fixture->one, "alpine", "n", 1, &answer),
                     RESULT_OK);
    assert_int_equal(answer.sum, 1);
}

/* Else a window that is always busy would never end. */
static void number_is_forgotten_by_the_time_of_its_beginning(void **state)
{
    fixture_t *const fixture = *state;
    cache_t *const cache = fixture->one;
    const uint64_t end_ms = loop_now_ms(fixture->loop) + PATIENCE_MS;
    cache_answer_t answer;
    int64_t last = 0;
    do {
        answer = (cache_answer_t){0};
        assert_int_equal(cache->functions->add(cache, TEXT_LITERAL("acme"), TEXT_LITERAL("w"), 1,
                                               SHORT_MS, cache_answer_added, &answer),
                         RESULT_OK);
        assert_true(cache_run_until(fixture->loop, is_answered, &answer, PATIENCE_MS));
        assert_int_equal(answer.result, RESULT_OK);
        last = answer.sum > last ? answer.sum : INT64_MAX;
        assert_true(loop_now_ms(fixture->loop) < end_ms);
    } while (last != INT64_MAX);
    assert_int_equal(answer.sum, 1);
}

/* --- Two nodes --- */

static void two_nodes_see_each_other_when_they_share(void **state)
{
    fixture_t *const fixture = *state;
    const bool is_shared = fixture->factory->is_shared;
    cache_answer_t answer;
    assert_int_equal(fixture->one->functions->is_shared(fixture->one), is_shared);
    put(fixture->one, "acme", "a", "x", TTL_MS);
    assert_int_equal(cache_get_now(fixture->loop, fixture->one, "acme", "a", &answer), RESULT_OK);
    assert_int_equal(cache_get_now(fixture->loop, fixture->two, "acme", "a", &answer),
                     is_shared ? RESULT_OK : RESULT_MISSING);
    assert_int_equal(cache_add_now(fixture->loop, fixture->one, "acme", "n", 2, &answer),
                     RESULT_OK);
    assert_int_equal(cache_add_now(fixture->loop, fixture->two, "acme", "n", 3, &answer),
                     RESULT_OK);
    assert_int_equal(answer.sum, is_shared ? 5 : 3);
}

static void publish(cache_t *cache, const char *tenant, const char *topic, const char *payload)
{
    assert_int_equal(cache->functions->publish(cache, text_from_c(tenant), text_from_c(topic),
                                               text_from_c(payload)),
                     RESULT_OK);
}

static bool three_are_heard(void *context)
{
    return ((const fixture_t *)context)->heard_count >= 3;
}

static bool four_are_heard(void *context)
{
    return ((const fixture_t *)context)->heard_count >= 4;
}

static void news_reach_the_others_in_order_and_not_oneself(void **state)
{
    fixture_t *const fixture = *state;
    publish(fixture->one, "acme", "news", "1");
    publish(fixture->one, "acme", "other", "nobody listens");
    publish(fixture->one, "alpine", "news", "2");
    publish(fixture->one, "", "news", "3");
    if (!fixture->factory->is_shared) {
        cache_answer_t answer;
        (void)cache_get_now(fixture->loop, fixture->two, "acme", "a", &answer);
        assert_int_equal(fixture->heard_count, 0);
        return;
    }
    assert_true(cache_run_until(fixture->loop, three_are_heard, fixture, PATIENCE_MS));
    publish(fixture->two, "acme", "news", "back"); /* after which nothing of before can come */
    assert_true(cache_run_until(fixture->loop, four_are_heard, fixture, PATIENCE_MS));
    assert_string_equal(fixture->heard[0], "two acme 1");
    assert_string_equal(fixture->heard[1], "two alpine 2");
    assert_string_equal(fixture->heard[2], "two  3");
    assert_string_equal(fixture->heard[3], "one acme back");
}

/* --- Ending --- */

static void what_is_under_way_is_answered_when_the_cache_goes(void **state)
{
    fixture_t *const fixture = *state;
    cache_t *cache = NULL;
    cache_answer_t got = {0};
    cache_answer_t added = {0};
    fixture->factory->open(fixture->factory->context, fixture->loop, &cache);
    assert_true(cache_await_up(fixture->loop, cache, "acme", PATIENCE_MS));
    assert_int_equal(cache->functions->get(cache, TEXT_LITERAL("acme"), TEXT_LITERAL("a"),
                                           cache_answer_got, &got),
                     RESULT_OK);
    assert_int_equal(cache->functions->add(cache, TEXT_LITERAL("acme"), TEXT_LITERAL("n"), 1,
                                           TTL_MS, cache_answer_added, &added),
                     RESULT_OK);
    fixture->factory->close(fixture->factory->context, &cache);
    assert_null(cache);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.result, RESULT_UNAVAILABLE);
    assert_int_equal(added.count, 1);
    assert_int_equal(added.result, RESULT_UNAVAILABLE);
}

static void counting_answer(void *context, result_t result, text_t value)
{
    (void)result;
    (void)value;
    (*(uint32_t *)context)++;
}

typedef struct counts {
    uint32_t asked;
    uint32_t answered;
} counts_t;

static bool all_are_answered(void *context)
{
    const counts_t *const counts = context;
    return counts->answered == counts->asked;
}

static void a_flood_is_refused_beyond_its_bound_and_the_rest_answered_once(void **state)
{
    fixture_t *const fixture = *state;
    cache_t *const cache = fixture->one;
    counts_t counts = {0};
    result_t result = RESULT_OK;
    while (result == RESULT_OK && counts.asked <= LIMIT_CACHE_PENDING) {
        result = cache->functions->get(cache, TEXT_LITERAL("acme"), TEXT_LITERAL("a"),
                                       counting_answer, &counts.answered);
        counts.asked += result == RESULT_OK ? 1 : 0;
    }
    assert_int_equal(result, RESULT_BUSY);
    assert_in_range(counts.asked, 1, LIMIT_CACHE_PENDING);
    assert_true(cache_run_until(fixture->loop, all_are_answered, &counts, PATIENCE_MS));
    cache_answer_t answer;
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", "a", &answer), RESULT_MISSING);
}

int cache_contract_run(const cache_contract_factory_t *factory)
{
    static fixture_t fixture;
    fixture = (fixture_t){.factory = factory};
    const struct CMUnitTest tests[] = {
#define CONTRACT(test) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &fixture)
        CONTRACT(value_that_was_put_is_got),
        CONTRACT(older_version_changes_nothing),
        CONTRACT(value_is_missing_when_its_time_is_over),
        CONTRACT(values_may_be_empty_hold_any_byte_and_be_large),
        CONTRACT(sizes_of_keys_are_bounded),
        CONTRACT(tenants_are_apart),
        CONTRACT(numbers_add_up),
        CONTRACT(number_is_forgotten_by_the_time_of_its_beginning),
        CONTRACT(two_nodes_see_each_other_when_they_share),
        CONTRACT(news_reach_the_others_in_order_and_not_oneself),
        CONTRACT(what_is_under_way_is_answered_when_the_cache_goes),
        CONTRACT(a_flood_is_refused_beyond_its_bound_and_the_rest_answered_once),
#undef CONTRACT
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
