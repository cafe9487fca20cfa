/* See the header. Both states are packed anew, so that a snapshot of an older program, in which a
 * field stood elsewhere, is compared by what it says. */
#include "actors/card_fold.h"
#include "actors/domain/card.h"
#include "messages/arena.h"
#include "runtime/limits.h"
#include <stddef.h>
#include <string.h>

enum { FOLD_ARENA_SIZE = 16384 };

static size_t state_pack(const card_state_t *state, uint8_t out[LIMIT_SHARD_SCRATCH_SIZE])
{
    const size_t size = message_pack(&card_snapshot_message, state, MESSAGE_KEYS_IDS, out,
                                     LIMIT_SHARD_SCRATCH_SIZE);
    return size <= LIMIT_SHARD_SCRATCH_SIZE ? size : 0;
}

bool card_fold_matches(const uuid_t *card, const event_t *events, size_t count, text_t snapshot)
{
    _Alignas(max_align_t) uint8_t memory[FOLD_ARENA_SIZE];
    uint8_t stored[LIMIT_SHARD_SCRATCH_SIZE];
    uint8_t folded[LIMIT_SHARD_SCRATCH_SIZE];
    arena_t arena = {.base = memory, .size = sizeof memory};
    message_fault_t fault;
    card_state_t state = {0};
    card_state_t kept = {0};
    if (!message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS, (const uint8_t *)snapshot.data,
                        snapshot.size, &arena, &kept, &fault) ||
        kept.card_sequence > count) {
        return false;
    }
    for (size_t i = 0; i < kept.card_sequence; i++) {
        const event_t *const event = &events[i];
        if (event->card_sequence != i + 1 || !card_event_fits(&state, event->name, &event->data)) {
            return false;
        }
        card_evolve(&state, event->name, card, event->occurred_at, &event->data);
    }
    const size_t size = state_pack(&kept, stored);
    return size > 0 && size == state_pack(&state, folded) && memcmp(stored, folded, size) == 0;
}
