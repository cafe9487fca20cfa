/* Growing memory of one job: see the header. Knows nothing of databases. */
#include "actors/store_memory.h"
#include <assert.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 16384 }; /* a card with a tail of some events, or a page of 50 cards */

struct store_memory_block {
    store_memory_block_t *next;
    uint64_t bytes[];
};

static void block_add(store_memory_t *memory, size_t room)
{
    const size_t size = room > BLOCK_SIZE ? room : BLOCK_SIZE;
    store_memory_block_t *block = malloc(sizeof *block + size);
    assert(block != NULL);
    block->next = memory->blocks;
    memory->blocks = block;
    memory->arena = (arena_t){.base = (uint8_t *)block->bytes, .size = size, .used = 0};
}

void *store_memory_take(store_memory_t *memory, size_t size)
{
    void *bytes = memory->blocks == NULL ? NULL : arena_take(&memory->arena, size);
    if (bytes == NULL) {
        block_add(memory, size);
        bytes = arena_take(&memory->arena, size);
    }
    assert(bytes != NULL);
    return bytes;
}

text_t store_memory_copy(store_memory_t *memory, text_t text)
{
    if (text.size == 0) {
        return TEXT_NONE;
    }
    char *copy = store_memory_take(memory, text.size);
    memcpy(copy, text.data, text.size);
    return (text_t){.data = copy, .size = text.size};
}

arena_t *store_memory_arena(store_memory_t *memory, size_t room)
{
    if (memory->blocks == NULL || memory->arena.size - memory->arena.used < room + 8) {
        block_add(memory, room + 8);
    }
    return &memory->arena;
}

void store_memory_release(store_memory_t *memory)
{
    while (memory->blocks != NULL) { /* bounded by the blocks that one job took */
        store_memory_block_t *block = memory->blocks;
        memory->blocks = block->next;
        free(block);
    }
    *memory = (store_memory_t){0};
}
