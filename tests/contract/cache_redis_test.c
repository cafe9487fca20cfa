/* The cache's contract on a real Redis, alone and as a Cluster. */
#include "adapters/cache_redis/cache_redis.h"
#include "tests/contract/cache_contract.h"
#include "tests/support/redis_server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void factory_open(void *context, loop_t *loop, cache_t **cache)
{
    const redis_server_t *const server = context;
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%u/3", server->port);
    const cache_redis_options_t options = {.url = url, .installation = "0123456789abcdef"};
    assert_int_equal(cache_redis_create(loop, NULL, &options, cache), RESULT_OK);
}

static void factory_close(void *context, cache_t **cache)
{
    (void)context;
    cache_redis_destroy(cache);
}

static void factory_clear(void *context)
{
    redis_server_say(context, "FLUSHALL");
}

int main(void)
{
    static redis_server_t server;
    redis_server_start(&server);
    const cache_contract_factory_t factory = {.context = &server,
                                              .is_shared = true,
                                              .open = factory_open,
                                              .close = factory_close,
                                              .clear = factory_clear};
    const int failed = cache_contract_run(&factory);
    redis_server_stop(&server);
    return failed;
}
