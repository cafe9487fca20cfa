/* One number of the present window that several nodes count together without waiting for each
 * other: each counts alone, tells the cache what it has counted since it last did, and is told the
 * sum of all. A node that hears nothing counts the others as they were, and as nobody in the next
 * window. */
#ifndef ACTORS_SHARED_COUNT_H
#define ACTORS_SHARED_COUNT_H

#include "actors/ports/cache.h"

typedef struct shared_count {
    uint64_t window; /* of the numbers below; 0: none yet */
    uint32_t own;
    uint32_t told;   /* of `own`, that are in the sum of all */
    uint32_t others; /* as last heard */
    uint32_t amount; /* under way, of what `own` holds */
    uint64_t amount_window;
    bool is_under_way; /* then it must stay where it is in memory */
} shared_count_t;

/* What of another window was counted is forgotten. */
void shared_count_add(shared_count_t *count, uint64_t window, uint32_t amount);
uint64_t shared_count_sum(const shared_count_t *count, uint64_t window);
/* Tells and asks, when there is news and nothing is under way; `asks`: also without news, for what
 * the others have counted. `ttl_ms`: several windows. */
void shared_count_exchange(shared_count_t *count, cache_t *cache, text_t tenant, text_t key,
                           uint32_t ttl_ms, bool asks);

#endif
