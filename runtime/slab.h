/* Memory for many objects of one size: chunks that are never moved and never given back before the
 * end, and a list of free places. A place has an index for life and a generation that changes when
 * it is freed, so that a stale reference is told from a fresh one without touching a table. */
#ifndef RUNTIME_SLAB_H
#define RUNTIME_SLAB_H

#include "runtime/result.h"
#include <stddef.h>

enum { SLAB_CHUNK_BITS = 8, SLAB_CHUNK_OBJECTS = 1 << SLAB_CHUNK_BITS };

/* First member of every object of a slab. Odd generations are in use, even ones free. */
typedef struct slab_head {
    uint32_t index;
    uint32_t generation;
} slab_head_t;

typedef struct slab {
    uint8_t **chunks;
    size_t stride;
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    uint32_t used_places; /* of which some may be free again */
    uint32_t free_first;  /* index + 1; chained behind the head */
    uint32_t count;
    uint32_t count_max;
    uint32_t tag; /* in every index that a head shows, above the bits of places */
} slab_t;

/* `object_size` with its head; places are aligned to 16 bytes, small ones to 64. `tag` has no bit
 * in common with an index below `count_max`. */
void slab_init(slab_t *slab, size_t object_size, uint32_t count_max, uint32_t tag);
void slab_deinit(slab_t *slab);
/* A place whose bytes behind the head are unspecified; NULL: no memory, or `count_max` reached. */
void *slab_take(slab_t *slab);
void slab_give(slab_t *slab, void *object);

/* `index` was handed out by this slab; without tag, here and below. */
static inline void *slab_at(const slab_t *slab, uint32_t index)
{
    return slab->chunks[index >> SLAB_CHUNK_BITS] +
           (size_t)(index & (SLAB_CHUNK_OBJECTS - 1)) * slab->stride;
}

/* NULL when it is gone. */
static inline void *slab_find(const slab_t *slab, uint32_t index, uint32_t generation)
{
    if (index >= slab->used_places) {
        return NULL;
    }
    slab_head_t *const head = slab_at(slab, index);
    return head->generation == generation && (generation & 1) != 0 ? head : NULL;
}

#endif
