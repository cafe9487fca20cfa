/* Blocks of a few sizes that are taken and given back all the time: messages, and the blocks of
 * actors' arenas. A free list per size, filled from chunks; no malloc once it is warm. */
#ifndef RUNTIME_MESSAGE_POOL_H
#define RUNTIME_MESSAGE_POOL_H

#include "runtime/result.h"
#include <stddef.h>

enum {
    MESSAGE_POOL_CLASSES = 6, /* 64 bytes and its doublings, up to 2,048 */
    MESSAGE_POOL_SIZE_MIN = 64,
    MESSAGE_POOL_SIZE_MAX = 2048,
    MESSAGE_POOL_LARGE = MESSAGE_POOL_CLASSES, /* the class of blocks from malloc */
};

typedef struct message_pool_block {
    struct message_pool_block *next;
} message_pool_block_t;

typedef struct message_pool {
    message_pool_block_t *free[MESSAGE_POOL_CLASSES];
    uint8_t *fresh[MESSAGE_POOL_CLASSES]; /* the part of the last chunk nobody had yet */
    uint8_t *fresh_end[MESSAGE_POOL_CLASSES];
    message_pool_block_t *chunks; /* all, to be freed at the end */
    size_t memory;                /* of the chunks */
    size_t memory_max;
} message_pool_t;

void message_pool_init(message_pool_t *pool, size_t memory_max);
/* Whatever was taken from it is gone too. */
void message_pool_deinit(message_pool_t *pool);

static inline uint32_t message_pool_class(size_t size)
{
    if (size <= MESSAGE_POOL_SIZE_MIN) {
        return 0;
    }
    if (size > MESSAGE_POOL_SIZE_MAX) {
        return MESSAGE_POOL_LARGE;
    }
    return (uint32_t)(64 - __builtin_clzll((size - 1) >> 6));
}

static inline size_t message_pool_class_size(uint32_t class)
{
    return (size_t)MESSAGE_POOL_SIZE_MIN << class;
}

/* When the free list is empty. NULL: no memory, or the bound is reached. */
void *message_pool_refill(message_pool_t *pool, uint32_t class);

/* `class` is below MESSAGE_POOL_CLASSES: larger blocks are the caller's own. */
static inline void *message_pool_take(message_pool_t *pool, uint32_t class)
{
    message_pool_block_t *const block = pool->free[class];
    if (__builtin_expect(block == NULL, 0)) {
        return message_pool_refill(pool, class);
    }
    pool->free[class] = block->next;
    return block;
}

static inline void message_pool_give(message_pool_t *pool, uint32_t class, void *block)
{
    message_pool_block_t *const given = block;
    given->next = pool->free[class];
    pool->free[class] = given;
}

#endif
