/* Events that came while a gap before them was being filled: held in order, so that a busy tenant
 * does not have to be read from the journal for ever after one loss. Must not publish. */
#include "actors/relay/relay_internal.h"
#include <assert.h>
#include <stdlib.h>

struct relay_held {
    relay_held_t *next;
    uint64_t sequence;
    size_t size;
    uint8_t bytes[]; /* the event, packed by ids */
};

void relay_hold(relay_partition_t *partition, const event_t *event)
{
    relay_t *relay = partition->tenant->relay;
    if (relay->held_count >= LIMIT_RELAY_HELD_EVENTS) {
        return;
    }
    const size_t size = message_pack(&event_message, event, MESSAGE_KEYS_IDS, NULL, 0);
    relay_held_t *held = malloc(sizeof(*held) + size);
    if (held == NULL) {
        return;
    }
    (void)message_pack(&event_message, event, MESSAGE_KEYS_IDS, held->bytes, size);
    held->next = NULL;
    held->sequence = event->sequence;
    held->size = size;
    if (partition->held_last == NULL) {
        partition->held_first = held;
    } else {
        partition->held_last->next = held;
    }
    partition->held_last = held;
    relay->held_count += 1;
}

static relay_held_t *take_first(relay_partition_t *partition)
{
    relay_held_t *held = partition->held_first;
    partition->held_first = held->next;
    if (held->next == NULL) {
        partition->held_last = NULL;
    }
    partition->tenant->relay->held_count -= 1;
    return held;
}

bool relay_take_held(relay_partition_t *partition, uint64_t sequence, event_t *event,
                     relay_held_t **memory)
{
    if (partition->held_first == NULL || partition->held_first->sequence > sequence) {
        return false;
    }
    relay_held_t *held = take_first(partition);
    arena_t arena = {.base = NULL, .size = 0}; /* an event has no lists */
    message_fault_t fault;
    const bool is_read = message_unpack(&event_message, MESSAGE_KEYS_IDS, held->bytes, held->size,
                                        &arena, event, &fault);
    assert(is_read); /* we wrote it */
    *memory = held;
    return true;
}

void relay_drop_held(relay_partition_t *partition)
{
    while (partition->held_first != NULL) {
        free(take_first(partition));
    }
}
