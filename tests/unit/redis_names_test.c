/* The host names that a Redis cache keeps, when its servers tell ever new ones. The name system is
 * a stand-in. */
#include "adapters/cache_redis/cache_redis_internal.h"
#include "runtime/clock.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 3 * REDIS_NAMES, PATIENCE_MS = 60000 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool hangs;
} names = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    (void)node;
    pthread_mutex_lock(&names.mutex);
    while (names.hangs) {
        pthread_cond_wait(&names.changed, &names.mutex);
    }
    pthread_mutex_unlock(&names.mutex);
    return __real_getaddrinfo("127.0.0.1", service, hints, result);
}

static void names_hang(bool hangs)
{
    pthread_mutex_lock(&names.mutex);
    names.hangs = hangs;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.mutex);
}

static void lookups_await(cache_redis_t *cache)
{
    const uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (size_t i = 0; i < REDIS_NAMES; i++) {
        name_lookup_t *const lookup = cache->names[i].lookup;
        while (lookup != NULL && name_lookup_is_under_way(lookup)) {
            assert_true(clock_monotonic_ms() < end_ms);
            (void)poll(NULL, 0, 1);
        }
    }
}

/* A Sentinel at sentinel.test, and a server that stays at standing.test. */
static cache_redis_t *cache_make(void)
{
    cache_redis_t *const cache = calloc(1, sizeof *cache);
    assert_non_null(cache);
    cache->url.address_count = 1;
    (void)snprintf(cache->url.addresses[0].host, REDIS_HOST_SIZE, "sentinel.test");
    (void)snprintf(cache->nodes[1].address.host, REDIS_HOST_SIZE, "standing.test");
    assert_true(redis_name_begin(cache, "sentinel.test"));
    assert_true(redis_name_begin(cache, "standing.test"));
    lookups_await(cache);
    return cache;
}

static bool tell_of(cache_redis_t *cache, int number)
{
    char *const host = cache->nodes[REDIS_SEED].address.host;
    (void)snprintf(host, REDIS_HOST_SIZE, "redis-%d.test", number);
    return redis_name_begin(cache, host);
}

static void assert_known(cache_redis_t *cache, const char *host)
{
    char address[NAME_ADDRESS_SIZE];
    assert_int_equal(redis_name_address(cache->names, host, 0, address), NAME_STATE_KNOWN);
    assert_string_equal(address, "127.0.0.1");
}

static void ever_new_names_take_the_places_of_those_that_no_server_has(void **state)
{
    (void)state;
    cache_redis_t *cache = cache_make();
    for (int i = 0; i < MANY; i++) {
        assert_true(tell_of(cache, i));
        lookups_await(cache);
        assert_known(cache, cache->nodes[REDIS_SEED].address.host);
    }
    assert_known(cache, "sentinel.test");
    assert_known(cache, "standing.test");
    redis_names_forget(cache->names);
    free(cache);
}

static void names_that_hang_keep_their_places_until_they_end(void **state)
{
    (void)state;
    cache_redis_t *cache = cache_make();
    int begun = 0;
    names_hang(true);
    for (int i = 0; i < MANY; i++) {
        begun += tell_of(cache, i) ? 1 : 0;
    }
    assert_int_equal(begun, REDIS_NAMES - 2);
    names_hang(false);
    lookups_await(cache);
    assert_true(tell_of(cache, MANY));
    lookups_await(cache);
    assert_known(cache, cache->nodes[REDIS_SEED].address.host);
    assert_known(cache, "sentinel.test");
    redis_names_forget(cache->names);
    free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ever_new_names_take_the_places_of_those_that_no_server_has),
        cmocka_unit_test(names_that_hang_keep_their_places_until_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
