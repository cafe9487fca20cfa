/* Is what is stored as a card's snapshot the fold of its events? For `store verify`, whatever the
 * store. Reads nothing itself. */
#ifndef ACTORS_CARD_FOLD_H
#define ACTORS_CARD_FOLD_H

#include "messages/messages.h"

/* `events` are all of the card's, oldest first; `snapshot` is card_snapshot packed by ids, of the
 * state after some of them. */
bool card_fold_matches(const uuid_t *card, const event_t *events, size_t count, text_t snapshot);

#endif
