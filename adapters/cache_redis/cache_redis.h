/* actors/ports/cache.h on Redis 6 or 7: one server, a primary found by Sentinel, or a Cluster. */
#ifndef ADAPTERS_CACHE_REDIS_CACHE_REDIS_H
#define ADAPTERS_CACHE_REDIS_CACHE_REDIS_H

#include "actors/ports/cache.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

/* NULL when the URL can be used, else one sentence that says what is wrong, without the URL. Forms:
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/DATABASE]
 *   redis-sentinel://[[USER]:PASSWORD@]HOST[:PORT][,…]/PRIMARY-NAME[/DATABASE]  (port 26379)
 * Of several hosts the first that answers is used; in a Cluster it tells of the others. */
const char *cache_redis_url_problem(const char *url);

typedef struct cache_redis_options {
    const char *url;          /* one without a problem */
    const char *installation; /* what keys begin with: hexadecimal digits, at most 32 */
} cache_redis_options_t;

/* Connects in the background and for as long as it lives. `metrics` may be NULL. */
MUST_USE result_t cache_redis_create(loop_t *loop, metrics_t *metrics,
                                     const cache_redis_options_t *options, cache_t **cache);
/* What is under way ends with UNAVAILABLE. */
void cache_redis_destroy(cache_t **cache);

#endif
