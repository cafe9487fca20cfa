/* How many requests one token, and one tenant, may make in a second, on all nodes together as far
 * as they hear of each other (decision 7); and how many requests and validations there are now. No
 * request waits for a count. What is refused is not counted. */
#ifndef ACTORS_RATE_LIMITS_H
#define ACTORS_RATE_LIMITS_H

#include "actors/ports/cache.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

typedef struct rate_limits rate_limits_t;

typedef struct rate_limits_settings {
    uint32_t per_token; /* requests a second; 0: as many as come */
    uint32_t per_tenant;
    int64_t (*wall_ms)(void); /* windows are those of the wall clock, so that nodes share them */
} rate_limits_settings_t;

MUST_USE result_t rate_limits_create(loop_t *loop, metrics_t *metrics, cache_t *cache,
                                     const rate_limits_settings_t *settings,
                                     rate_limits_t **limits);
/* After the cache: answers that are under way come here. */
void rate_limits_destroy(rate_limits_t **limits);

typedef enum rate_scope { RATE_SCOPE_NONE, RATE_SCOPE_TOKEN, RATE_SCOPE_TENANT } rate_scope_t;

/* RATE_SCOPE_NONE: go on. Otherwise whose limit is reached in this second. `token_hash` is the same
 * on all nodes. */
rate_scope_t rate_limits_take(rate_limits_t *limits, text_t tenant, uint64_t token_hash,
                              bool is_validation);

#endif
