/* Growing memory of one job. Knows nothing of SQLite or projections. */
#include "adapters/projections_sqlite/result_memory.h"
#include <assert.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 16384 }; /* a page of 50 cards fits into one */

struct result_memory_block {
    result_memory_block_t *next;
    uint64_t bytes[];
};

static void block_add(result_memory_t *memory, size_t room)
{
    const size_t size = room > BLOCK_SIZE ? room : BLOCK_SIZE;
    result_memory_block_t *block = malloc(sizeof *block + size);
    assert(block != NULL);
    block->next = memory->blocks;
    memory->blocks = block;
    memory->arena = (arena_t){.base = (uint8_t *)block->bytes, .size = size, .used = 0};
}

void *result_memory_take(result_memory_t *memory, size_t size)
{
    void *bytes = memory->blocks == NULL ? NULL : arena_take(&memory->arena, size);
    if (bytes == NULL) {
        block_add(memory, size);
        bytes = arena_take(&memory->arena, size);
    }
    assert(bytes != NULL);
    return bytes;
}

text_t result_memory_copy(result_memory_t *memory, text_t text)
{
    if (text.size == 0) {
        return TEXT_NONE;
    }
    char *copy = result_memory_take(memory, text.size);
    memcpy(copy, text.data, text.size);
    return (text_t){.data = copy, .size = text.size};
}

void result_memory_release(result_memory_t *memory)
{
    while (memory->blocks != NULL) { /* bounded by the blocks that one job took */
        result_memory_block_t *block = memory->blocks;
        memory->blocks = block->next;
        free(block);
    }
    *memory = (result_memory_t){0};
}
