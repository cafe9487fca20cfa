/* Memory that goes with an actor's state: blocks of the system's pool, handed out front to back and
 * given back all at once. */
#include "runtime/actor_internal.h"

#include <stdlib.h>

enum { ALIGNMENT = 16 };

typedef struct arena_block {
    message_pool_block_t link;
    size_t size; /* with this head */
} arena_block_t;

static_assert(sizeof(arena_block_t) == ALIGNMENT, "what follows the head is aligned");

static arena_block_t *block_create(actor_t *actor, size_t size)
{
    message_pool_t *const pool = &actor->slot->system->pool;
    const uint32_t class = message_pool_class(size);
    const size_t block_size = class == MESSAGE_POOL_LARGE ? size : message_pool_class_size(class);
    if (actor->arena_size + block_size > actor->slot->arena_size_max) {
        return NULL;
    }
    arena_block_t *const block =
        class == MESSAGE_POOL_LARGE ? malloc(size) : message_pool_take(pool, class);
    if (block == NULL) {
        return NULL;
    }
    block->size = block_size;
    block->link.next = actor->arena;
    actor->arena = &block->link;
    actor->arena_size += (uint32_t)block_size;
    actor->arena_used = sizeof(*block);
    actor_count_bytes(actor, (int64_t)block_size);
    return block;
}

void *actor_allocate(actor_t *actor, size_t size)
{
    if (size > actor->slot->arena_size_max) {
        actor->has_failed = true;
        return NULL;
    }
    const size_t room = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    arena_block_t *block = (arena_block_t *)actor->arena;
    if (block == NULL || block->size - actor->arena_used < room) {
        /* The first block fits what is asked for, later ones double what there is. */
        const size_t wanted = room + sizeof(*block);
        const size_t grown =
            actor->arena_size < MESSAGE_POOL_SIZE_MAX ? actor->arena_size : MESSAGE_POOL_SIZE_MAX;
        block = block_create(actor, wanted < grown ? grown : wanted);
        block = block == NULL && wanted < grown ? block_create(actor, wanted) : block;
    }
    if (block == NULL) {
        actor->has_failed = true;
        return NULL;
    }
    void *const memory = (uint8_t *)block + actor->arena_used;
    actor->arena_used += (uint32_t)room;
    return memory;
}

void actor_arena_free(actor_t *actor)
{
    while (actor->arena != NULL) {
        arena_block_t *const block = (arena_block_t *)actor->arena;
        actor->arena = block->link.next;
        const uint32_t class = message_pool_class(block->size);
        if (class == MESSAGE_POOL_LARGE) {
            free(block);
        } else {
            message_pool_give(&actor->slot->system->pool, class, block);
        }
    }
    actor_count_bytes(actor, -(int64_t)actor->arena_size);
    actor->arena_size = 0;
    actor->arena_used = 0;
}

void actor_report_bytes(actor_t *actor, uint32_t bytes)
{
    actor_count_bytes(actor, (int64_t)bytes - (int64_t)actor->bytes_reported);
    actor->bytes_reported = bytes;
}
