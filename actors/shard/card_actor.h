/* The card actor: one card's state, handled one message at a time.
 *
 * Takes   SHARD_REQUEST of the card (issue, get, changes, validate, scan), SHARD_EXPIRE,
 *         SHARD_REMIND (a suspension ends by itself)
 * Sends   events and replies into the batch of its partition; nothing else
 * Begins  with the first message: snapshot and tail are loaded and folded, together with what that
 *         message needs besides (its idempotency key, its member's key)
 * Ends    when idle and its memory is needed (with a tail worth it, it stores a snapshot first and
 *         goes once that is durable, unless the budget is used up), when its partition fails, and
 * at the end of the turn when the card does not exist
 *
 * decide → evolve at once → append to the batch → durable → reply. Its state runs ahead of what is
 * committed, never behind what it has decided. While it reads from the journal on behalf of a
 * message, later ones wait in order. */
#ifndef ACTORS_CARD_ACTOR_H
#define ACTORS_CARD_ACTOR_H

#include "actors/shard/tenant_actor.h"

extern const actor_kind_t card_actor_kind; /* context: the shard */

/* Of the tenant's list of active cards. */
card_actor_t *card_actor_next(const card_actor_t *card);
/* Forgets it: what it holds may not be what is stored. Its waiting messages activate it anew. */
void card_actor_drop(card_actor_t *card);
/* Begins to store a snapshot of a card that has a tail, before it goes. False: there is no need, or
 * no room for it now. */
bool card_actor_save(card_actor_t *card);
/* At the end of a turn: drops the actors of cards that do not exist. */
void card_actor_drop_unknown(shard_t *shard);

#endif
