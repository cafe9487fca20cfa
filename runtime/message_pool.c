/* Chunks behind the free lists. Must not know what blocks hold. */
#include "runtime/message_pool.h"

#include <stdlib.h>

enum { LINE_SIZE = 64, CHUNK_SIZE = 65536 };

void message_pool_init(message_pool_t *pool, size_t memory_max)
{
    *pool = (message_pool_t){.memory_max = memory_max};
}

void message_pool_deinit(message_pool_t *pool)
{
    while (pool->chunks != NULL) {
        message_pool_block_t *const chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    *pool = (message_pool_t){0};
}

/* Blocks are cut off one by one, so that memory nobody uses yet is not touched. */
void *message_pool_refill(message_pool_t *pool, uint32_t class)
{
    const size_t size = message_pool_class_size(class);
    if (pool->fresh[class] == pool->fresh_end[class]) {
        if (pool->memory + CHUNK_SIZE > pool->memory_max) {
            return NULL;
        }
        uint8_t *const chunk = aligned_alloc(LINE_SIZE, CHUNK_SIZE);
        if (chunk == NULL) {
            return NULL;
        }
        message_pool_block_t *const link = (message_pool_block_t *)(void *)chunk;
        link->next = pool->chunks;
        pool->chunks = link;
        pool->memory += CHUNK_SIZE;
        const size_t first = size > LINE_SIZE ? size : LINE_SIZE; /* the link has the first */
        pool->fresh[class] = chunk + first;
        pool->fresh_end[class] = chunk + CHUNK_SIZE;
    }
    uint8_t *const block = pool->fresh[class];
    pool->fresh[class] = block + size;
    return block;
}
