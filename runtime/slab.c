/* Places for objects of one size. Must not know what they hold. */
#include "runtime/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 64, LINES_MAX = 4, ALIGNMENT_LARGE = 16, DIRECTORY_FIRST = 64 };

/* A free place: the next free one stands behind the head. */
typedef struct slab_free {
    slab_head_t head;
    uint32_t next; /* index + 1 */
} slab_free_t;

void slab_init(slab_t *slab, size_t object_size, uint32_t count_max, uint32_t tag)
{
    assert(object_size >= sizeof(slab_free_t));
    /* Small objects begin at cache lines; of large ones there are fewer bytes to gain by that than
     * to lose. */
    const size_t alignment = object_size <= LINES_MAX * LINE_SIZE ? LINE_SIZE : ALIGNMENT_LARGE;
    const size_t stride = (object_size + alignment - 1) / alignment * alignment;
    *slab = (slab_t){.stride = stride, .count_max = count_max, .tag = tag};
}

void slab_deinit(slab_t *slab)
{
    for (uint32_t chunk = 0; chunk < slab->chunk_count; chunk++) {
        free(slab->chunks[chunk]);
    }
    free(slab->chunks);
    slab->chunks = NULL;
    slab->chunk_count = 0;
}

static bool directory_grow(slab_t *slab)
{
    const uint32_t capacity =
        slab->chunk_capacity == 0 ? DIRECTORY_FIRST : slab->chunk_capacity * 2;
    uint8_t **const chunks = realloc(slab->chunks, capacity * sizeof(*chunks));
    if (chunks == NULL) {
        return false;
    }
    slab->chunks = chunks;
    slab->chunk_capacity = capacity;
    return true;
}

static bool chunk_add(slab_t *slab)
{
    if (slab->chunk_count == slab->chunk_capacity && !directory_grow(slab)) {
        return false;
    }
    uint8_t *const chunk = aligned_alloc(LINE_SIZE, slab->stride * SLAB_CHUNK_OBJECTS);
    if (chunk == NULL) {
        return false;
    }
    slab->chunks[slab->chunk_count] = chunk;
    slab->chunk_count++;
    return true;
}

void *slab_take(slab_t *slab)
{
    if (slab->free_first != 0) {
        slab_free_t *const taken = slab_at(slab, slab->free_first - 1);
        slab->free_first = taken->next;
        taken->head.generation++;
        slab->count++;
        return taken;
    }
    if (slab->used_places == slab->count_max) {
        return NULL;
    }
    if ((slab->used_places >> SLAB_CHUNK_BITS) == slab->chunk_count && !chunk_add(slab)) {
        return NULL;
    }
    slab_head_t *const head = slab_at(slab, slab->used_places);
    *head = (slab_head_t){.index = slab->used_places | slab->tag, .generation = 1};
    slab->used_places++;
    slab->count++;
    return head;
}

void slab_give(slab_t *slab, void *object)
{
    slab_free_t *const given = object;
    assert((given->head.generation & 1) != 0);
    given->head.generation++;
    given->next = slab->free_first;
    slab->free_first = (given->head.index & ~slab->tag) + 1;
    slab->count--;
}
