/* Is what is stored as a card's snapshot the fold of its events? For `store verify`, whatever the
 * store. Reads nothing itself, and holds one state: a card may have any number of events. */
#ifndef ACTORS_CARD_FOLD_H
#define ACTORS_CARD_FOLD_H

#include "actors/domain/card.h"
#include "messages/messages.h"

enum { CARD_FOLD_STATE_SIZE = 4096 }; /* a packed state; its texts have 704 bytes at most */

typedef struct card_fold {
    uuid_t card;
    bool is_good;
    bool has_gaps;
    uint64_t kept_sequence; /* last event that the snapshot has */
    size_t kept_size;
    card_state_t state;                 /* its texts are in one of `packed` */
    uint8_t kept[CARD_FOLD_STATE_SIZE]; /* the snapshot, packed anew */
    uint8_t packed[2][CARD_FOLD_STATE_SIZE];
    uint32_t which; /* of `packed` */
} card_fold_t;

/* `snapshot` is card_snapshot packed by ids. It is not needed after the call. `has_gaps`: among the
 * events validations may be missing, because they were archived; a change may not. */
void card_fold_begin(card_fold_t *fold, const uuid_t *card, text_t snapshot, bool has_gaps);
/* The next event of the card, from its first on; not needed after the call. Those after the
 * snapshot's last one are passed over. */
void card_fold_add(card_fold_t *fold, const event_t *event);
/* After all events. */
bool card_fold_is_equal(card_fold_t *fold);

/* All of it at once, of `count` events, oldest first. */
bool card_fold_matches(const uuid_t *card, const event_t *events, size_t count, text_t snapshot,
                       bool has_gaps);

#endif
