/* Memory of one job's results: blocks that grow on demand and go all at once. Running out of memory
 * ends the process, as everywhere (a role is restarted; a half answer helps nobody). */
#ifndef ADAPTERS_PROJECTIONS_SQLITE_RESULT_MEMORY_H
#define ADAPTERS_PROJECTIONS_SQLITE_RESULT_MEMORY_H

#include "messages/arena.h"
#include "messages/text.h"

typedef struct result_memory_block result_memory_block_t;
typedef struct result_memory {
    result_memory_block_t *blocks; /* newest first */
    arena_t arena;                 /* of the newest block */
} result_memory_t;

/* Aligned to 8, not zeroed, never NULL. */
void *result_memory_take(result_memory_t *memory, size_t size);
text_t result_memory_copy(result_memory_t *memory, text_t text);
void result_memory_release(result_memory_t *memory);

#endif
