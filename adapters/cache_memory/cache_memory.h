/* actors/ports/cache.h in this process alone: what a node has without Redis. Nobody hears its news.
 */
#ifndef ADAPTERS_CACHE_MEMORY_CACHE_MEMORY_H
#define ADAPTERS_CACHE_MEMORY_CACHE_MEMORY_H

#include "actors/ports/cache.h"
#include "runtime/loop.h"

MUST_USE result_t cache_memory_create(loop_t *loop, cache_t **cache);
/* What is under way ends with UNAVAILABLE. */
void cache_memory_destroy(cache_t **cache);

#endif
