/* See the header. Both states are packed anew, so that a snapshot of an older program, in which a
 * field stood elsewhere, is compared by what it says. */
#include "actors/card_fold.h"
#include "messages/arena.h"
#include <stdlib.h>
#include <string.h>

static size_t state_pack(const card_state_t *state, uint8_t out[CARD_FOLD_STATE_SIZE])
{
    const size_t size =
        message_pack(&card_snapshot_message, state, MESSAGE_KEYS_IDS, out, CARD_FOLD_STATE_SIZE);
    return size <= CARD_FOLD_STATE_SIZE ? size : 0;
}

static bool state_unpack(const uint8_t *data, size_t size, card_state_t *state)
{
    arena_t arena = {.base = NULL, .size = 0}; /* a snapshot has no lists */
    message_fault_t fault;
    return message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS, data, size, &arena, state,
                          &fault);
}

void card_fold_begin(card_fold_t *fold, const uuid_t *card, text_t snapshot, bool has_gaps)
{
    card_state_t kept = {0};
    fold->card = *card;
    fold->state = (card_state_t){0};
    fold->which = 0;
    fold->has_gaps = has_gaps;
    fold->is_good =
        snapshot.size > 0 && state_unpack((const uint8_t *)snapshot.data, snapshot.size, &kept);
    fold->kept_sequence = fold->is_good ? kept.card_sequence : 0;
    fold->kept_size = fold->is_good ? state_pack(&kept, fold->kept) : 0;
    fold->is_good = fold->kept_size > 0;
}

void card_fold_add(card_fold_t *fold, const event_t *event)
{
    const uint64_t last = fold->state.card_sequence;
    const bool follows =
        fold->has_gaps ? event->card_sequence > last : event->card_sequence == last + 1;
    if (!fold->is_good || event->card_sequence > fold->kept_sequence) {
        return;
    }
    if (!follows || !uuid_equal(&event->card, &fold->card) ||
        !card_event_fits(&fold->state, event->name, &event->data)) {
        fold->is_good = false;
        return;
    }
    card_evolve(&fold->state, event->name, &fold->card, event->occurred_at, &event->data);
    fold->is_good = fold->state.version == event->version;
    fold->state.card_sequence = event->card_sequence;
    if (!fold->is_good) {
        return;
    }
    /* The state's own copy of what it borrows from the event, apart from what it has until now. */
    uint8_t *const packed = fold->packed[fold->which];
    const size_t size = state_pack(&fold->state, packed);
    fold->which = 1 - fold->which;
    fold->state = (card_state_t){0};
    fold->is_good = size > 0 && state_unpack(packed, size, &fold->state);
}

bool card_fold_is_equal(card_fold_t *fold)
{
    uint8_t *const packed = fold->packed[fold->which];
    if (fold->has_gaps && fold->state.card_sequence > 0) {
        fold->state.card_sequence = fold->kept_sequence; /* of a validation that is gone */
    }
    return fold->is_good && fold->state.card_sequence == fold->kept_sequence &&
           state_pack(&fold->state, packed) == fold->kept_size &&
           memcmp(packed, fold->kept, fold->kept_size) == 0;
}

bool card_fold_matches(const uuid_t *card, const event_t *events, size_t count, text_t snapshot,
                       bool has_gaps)
{
    card_fold_t fold;
    card_fold_begin(&fold, card, snapshot, has_gaps);
    for (size_t i = 0; i < count; i++) {
        card_fold_add(&fold, &events[i]);
    }
    return card_fold_is_equal(&fold);
}
