/* Where Redis is: a Cluster that sends callers on, and a primary that Sentinel names. */
#include "adapters/cache_redis/cache_redis.h"
#include "runtime/log.h"
#include "tests/contract/cache_contract.h"
#include "tests/support/directory.h"
#include "tests/support/free_port.h"
#include "tests/support/redis_server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, FAILOVER_MS = 20000, SERVERS = 3, TENANTS = 30 };

static void open_cache(loop_t *loop, const char *url, cache_t **cache)
{
    const cache_redis_options_t options = {.url = url, .installation = "abcd"};
    assert_int_equal(cache_redis_create(loop, NULL, &options, cache), RESULT_OK);
}

/* --- Cluster --- */

static void cluster_start(redis_server_t servers[SERVERS])
{
    static const char *const ranges[SERVERS] = {"0 5000", "5001 11000", "11001 16383"};
    for (int i = 0; i < SERVERS; i++) {
        servers[i] = (redis_server_t){.bus_port = free_port()};
        servers[i].options[0] = "--cluster-node-timeout";
        servers[i].options[1] = "1000";
        redis_server_start(&servers[i]);
        redis_server_say(&servers[i], "CLUSTER ADDSLOTSRANGE %s", ranges[i]);
        redis_server_say(&servers[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
    }
    for (int i = 1; i < SERVERS; i++) {
        redis_server_say(&servers[0], "CLUSTER MEET 127.0.0.1 %u %u", servers[i].port,
                         servers[i].bus_port);
    }
    for (int i = 0; i < SERVERS; i++) {
        redis_server_await(&servers[i], "cluster_known_nodes:3", "CLUSTER INFO");
        redis_server_await(&servers[i], "cluster_state:ok", "CLUSTER INFO");
    }
}

static redis_server_t cluster[SERVERS];

static void cluster_open(void *context, loop_t *loop, cache_t **cache)
{
    char url[64];
    (void)context;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%u", cluster[0].port);
    open_cache(loop, url, cache);
}

static void cluster_close(void *context, cache_t **cache)
{
    (void)context;
    cache_redis_destroy(cache);
}

static void cluster_clear(void *context)
{
    (void)context;
    for (int i = 0; i < SERVERS; i++) {
        redis_server_say(&cluster[i], "FLUSHALL");
    }
}

static void tenants_of_all_slots_are_served_through_one_address(void **state)
{
    (void)state;
    loop_t *loop = NULL;
    cache_t *cache = NULL;
    cache_answer_t answer;
    assert_int_equal(loop_create(&loop), RESULT_OK);
    cluster_open(NULL, loop, &cache);
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < TENANTS; i++) {
            char tenant[16];
            (void)snprintf(tenant, sizeof tenant, "tenant-%d", i);
            assert_true(round == 2 || cache_await_up(loop, cache, tenant, PATIENCE_MS));
            assert_int_equal(cache_add_now(loop, cache, tenant, "n", 1, &answer), RESULT_OK);
            assert_int_equal(answer.sum, round);
        }
    }
    for (int i = 0; i < SERVERS; i++) { /* all three hold some, each tenant whole */
        char *keys = redis_server_ask(&cluster[i], "DBSIZE");
        assert_true(strtol(keys, NULL, 10) >= 2);
        free(keys);
    }
    cluster_close(NULL, &cache);
    loop_destroy(&loop);
    cluster_clear(NULL);
}

static int server_of_slot(int slot)
{
    return slot <= 5000 ? 0 : (slot <= 11000 ? 1 : 2);
}

/* While a slot moves, its new keys are at the new place (ASK); afterwards the old one says MOVED.
 */
static void moving_slot_is_followed(void **state)
{
    (void)state;
    loop_t *loop = NULL;
    cache_t *cache = NULL;
    cache_answer_t answer;
    assert_int_equal(loop_create(&loop), RESULT_OK);
    cluster_open(NULL, loop, &cache);
    assert_true(cache_await_up(loop, cache, "mover", PATIENCE_MS));
    char *text = redis_server_ask(&cluster[0], "CLUSTER KEYSLOT {mover}");
    const int slot = (int)strtol(text, NULL, 10);
    free(text);
    const int from = server_of_slot(slot);
    const int to = (from + 1) % SERVERS;
    char *from_id = redis_server_ask(&cluster[from], "CLUSTER MYID");
    char *to_id = redis_server_ask(&cluster[to], "CLUSTER MYID");
    redis_server_say(&cluster[to], "CLUSTER SETSLOT %d IMPORTING %s", slot, from_id);
    redis_server_say(&cluster[from], "CLUSTER SETSLOT %d MIGRATING %s", slot, to_id);
    assert_int_equal(cache_add_now(loop, cache, "mover", "new", 1, &answer), RESULT_OK);
    assert_int_equal(cache_add_now(loop, cache, "mover", "new", 1, &answer), RESULT_OK);
    assert_int_equal(answer.sum, 2);
    char *there = redis_server_ask(&cluster[to], "CLUSTER COUNTKEYSINSLOT %d", slot);
    assert_string_equal(there, "1"); /* it went where ASK said */
    free(there);
    redis_server_say(&cluster[from], "MIGRATE 127.0.0.1 %u dc:abcd:{mover}:await-up 0 5000",
                     cluster[to].port);
    redis_server_say(&cluster[to], "CLUSTER SETSLOT %d NODE %s", slot, to_id);
    redis_server_say(&cluster[from], "CLUSTER SETSLOT %d NODE %s", slot, to_id);
    assert_int_equal(cache_add_now(loop, cache, "mover", "new", 1, &answer), RESULT_OK);
    assert_int_equal(answer.sum, 3);
    assert_int_equal(cache_get_now(loop, cache, "mover", "other", &answer), RESULT_MISSING);
    free(from_id);
    free(to_id);
    cluster_close(NULL, &cache);
    loop_destroy(&loop);
}

static int run_cluster(void)
{
    const cache_contract_factory_t factory = {
        .is_shared = true, .open = cluster_open, .close = cluster_close, .clear = cluster_clear};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenants_of_all_slots_are_served_through_one_address),
        cmocka_unit_test(moving_slot_is_followed),
    };
    cluster_start(cluster);
    int failed = cache_contract_run(&factory);
    failed += cmocka_run_group_tests_name("Redis Cluster", tests, NULL, NULL);
    for (int i = 0; i < SERVERS; i++) {
        redis_server_stop(&cluster[i]);
    }
    return failed;
}

/* --- Sentinel --- */

static void sentinel_start(redis_server_t *sentinel, const redis_server_t *primary)
{
    char path[192];
    *sentinel = (redis_server_t){.is_sentinel = 1, .port = free_port()};
    directory_make(sentinel->directory);
    (void)snprintf(path, sizeof path, "%s/sentinel.conf", sentinel->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(
        file,
        "port %u\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %u 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n",
        sentinel->port, sentinel->directory, primary->port);
    (void)fclose(file);
    redis_server_start(sentinel);
}

static void primary_that_sentinel_names_is_used_and_its_successor_found(void **state)
{
    (void)state;
    redis_server_t primary = {0};
    redis_server_t replica = {0};
    redis_server_t sentinel;
    loop_t *loop = NULL;
    cache_t *cache = NULL;
    cache_answer_t answer;
    char url[192];
    redis_server_start(&primary);
    redis_server_start(&replica);
    redis_server_say(&replica, "REPLICAOF 127.0.0.1 %u", primary.port);
    redis_server_await(&replica, "master_link_status:up", "INFO replication");
    sentinel_start(&sentinel, &primary);
    redis_server_await(&sentinel, "slaves=1", "INFO sentinel");
    assert_int_equal(loop_create(&loop), RESULT_OK);
    /* The first address is dead: the next one is asked. */
    (void)snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:1,127.0.0.1:%u/main",
                   sentinel.port);
    open_cache(loop, url, &cache);
    assert_true(cache_await_up(loop, cache, "acme", PATIENCE_MS));
    assert_int_equal(cache_add_now(loop, cache, "acme", "n", 1, &answer), RESULT_OK);
    char *keys = redis_server_ask(&primary, "DBSIZE");
    assert_string_equal(keys, "2");
    free(keys);
    redis_server_kill(&primary);
    assert_true(cache_await_up(loop, cache, "acme", FAILOVER_MS));
    redis_server_await(&replica, "role:master", "INFO replication");
    assert_int_equal(cache_add_now(loop, cache, "acme", "n", 1, &answer), RESULT_OK);
    cache_redis_destroy(&cache);
    loop_destroy(&loop);
    redis_server_stop(&sentinel);
    redis_server_stop(&replica);
    redis_server_stop(&primary);
}

int main(void)
{
    log_start("test", LOG_SILENT_LEVEL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(primary_that_sentinel_names_is_used_and_its_successor_found),
    };
    int failed = run_cluster();
    failed += cmocka_run_group_tests_name("Redis Sentinel", tests, NULL, NULL);
    return failed;
}
