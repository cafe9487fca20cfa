/* Memory of what one job of a store reads: blocks that grow on demand and go all at once. Running
 * out of memory ends the process, as everywhere (a role is restarted; a half answer helps nobody).
 */
#ifndef ACTORS_STORE_MEMORY_H
#define ACTORS_STORE_MEMORY_H

#include "messages/arena.h"
#include "messages/text.h"

typedef struct store_memory_block store_memory_block_t;
typedef struct store_memory {
    store_memory_block_t *blocks; /* newest first */
    arena_t arena;                /* of the newest block */
} store_memory_t;

/* Aligned to 8, not zeroed, never NULL. */
void *store_memory_take(store_memory_t *memory, size_t size);
text_t store_memory_copy(store_memory_t *memory, text_t text);
/* An arena with at least `room` bytes left, for decoders. Valid until the next take. */
arena_t *store_memory_arena(store_memory_t *memory, size_t room);
void store_memory_release(store_memory_t *memory);

#endif
