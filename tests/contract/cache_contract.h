/* The written contract of actors/ports/cache.h as tests that run against every implementation, and
 * what tests of caches need: a loop that runs until something is so. */
#ifndef TESTS_CONTRACT_CACHE_CONTRACT_H
#define TESTS_CONTRACT_CACHE_CONTRACT_H

#include "actors/ports/cache.h"
#include "runtime/loop.h"

typedef struct cache_contract_factory {
    void *context;
    bool is_shared; /* two caches see each other */
    /* Empty; `node` is 0 or 1. */
    void (*open)(void *context, loop_t *loop, cache_t **cache);
    void (*close)(void *context, cache_t **cache);
    void (*clear)(void *context);
} cache_contract_factory_t;

/* Number of failed tests. */
int cache_contract_run(const cache_contract_factory_t *factory);

/* --- Also for other tests --- */

typedef bool cache_condition_t(void *context);
/* Runs the loop until it is so; false after `patience_ms`. */
bool cache_run_until(loop_t *loop, cache_condition_t *condition, void *context,
                     uint64_t patience_ms);

/* What came of one call. */
typedef struct cache_answer {
    uint32_t count;
    result_t result;
    int64_t sum;
    size_t size;
    char value[64]; /* its beginning */
} cache_answer_t;

void cache_answer_got(void *context, result_t result, text_t value);
void cache_answer_added(void *context, result_t result, int64_t sum);
/* Asks and waits. The result of the call itself when it is none of OK. */
result_t cache_get_now(loop_t *loop, cache_t *cache, const char *tenant, const char *key,
                       cache_answer_t *answer);
result_t cache_add_now(loop_t *loop, cache_t *cache, const char *tenant, const char *key,
                       int64_t amount, cache_answer_t *answer);
/* Until adding works: a server that was away is back. */
bool cache_await_up(loop_t *loop, cache_t *cache, const char *tenant, uint64_t patience_ms);

#endif
