/* Bump memory handed to decoders: what they produce lives there, nothing is freed one by one.
 * The caller owns the block; resetting `used` to an earlier value forgets what came after. */
#ifndef MESSAGES_ARENA_H
#define MESSAGES_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct arena {
    uint8_t *base;
    size_t size; /* bytes at `base` */
    size_t used; /* bytes taken */
} arena_t;

/* Returns `size` bytes aligned to 8, or NULL when the arena is full. Never allocates. */
static inline void *arena_take(arena_t *arena, size_t size)
{
    const size_t start = (arena->used + 7U) & ~(size_t)7U;
    if (start > arena->size || size > arena->size - start) {
        return NULL;
    }
    arena->used = start + size;
    return arena->base + start;
}

#endif
