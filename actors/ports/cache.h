/* What nodes share and may lose: remembered answers of neighbours, counts of the present window,
 * and news. Implemented in process (adapters/cache_memory: one node alone) and on Redis
 * (adapters/cache_redis). Whatever is in here can be had elsewhere or be done without.
 *
 * No call waits. `done` is called exactly once, from the loop and never within the call that asked,
 * at the latest after LIMIT_CACHE_TIMEOUT_MS; a call that returns an error never calls it. Errors,
 * of calls and in `done`: UNAVAILABLE (nobody is there, it is full, read-only, or says nonsense),
 * BUSY (too much is under way), INVALID_ARGUMENT (a size beyond its bound).
 *
 * Everything belongs to a tenant, whose name is part of each key (DESIGN invariant 5). What is of
 * the whole installation has the tenant "". */
#ifndef ACTORS_PORTS_CACHE_H
#define ACTORS_PORTS_CACHE_H

#include "messages/text.h"
#include "runtime/limits.h"
#include "runtime/result.h"
#include <stdint.h>

typedef struct cache cache_t;

/* `value` is borrowed for the call. MISSING: not there, or its time is over. */
typedef void cache_got_t(void *context, result_t result, text_t value);
/* `sum`: with what the others have added. */
typedef void cache_added_t(void *context, result_t result, int64_t sum);
/* Which of two values is the newer one: by `major`, then by `minor`. */
typedef struct cache_version {
    uint64_t major;
    uint64_t minor;
} cache_version_t;
/* From another node; borrowed for the call. Checked for nothing but its size. */
typedef void cache_heard_t(void *context, text_t tenant, text_t payload);

typedef struct cache_functions {
    result_t (*get)(cache_t *cache, text_t tenant, text_t key, cache_got_t *done, void *context);
    /* Until `ttl_ms` from now, unless a value of a newer version is there. One of the same version
     * takes its place. Whether it worked is only counted. */
    result_t (*put)(cache_t *cache, text_t tenant, text_t key, const cache_version_t *version,
                    text_t value, uint32_t ttl_ms);
    /* To a number that begins at 0 and is forgotten `ttl_ms` after it was first added to. A number
     * and a value of one key must not be mixed. */
    result_t (*add)(cache_t *cache, text_t tenant, text_t key, int64_t amount, uint32_t ttl_ms,
                    cache_added_t *done, void *context);
    /* To all other nodes that are there now; at most once, in order of one node. */
    result_t (*publish)(cache_t *cache, text_t tenant, text_t topic, text_t payload);
    /* Before the loop runs, at most LIMIT_CACHE_TOPICS; `topic` is a literal. */
    void (*subscribe)(cache_t *cache, const char *topic, cache_heard_t *heard, void *context);
    /* Is there anybody to share with now? */
    bool (*is_shared)(const cache_t *cache);
    /* A JSON object for health; as message_to_json. */
    size_t (*status)(const cache_t *cache, char *out, size_t capacity);
} cache_functions_t;

struct cache {
    const cache_functions_t *functions;
};

#endif
