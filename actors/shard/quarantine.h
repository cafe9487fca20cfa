/* What a shard refuses because it killed a role: commands, and cards whatever is asked of them.
 * Takes the supervisor's order at its start, keeps the dead letters of its tenants in memory, runs
 * again what an operator wants replayed, one at a time: a command as it came; a card is read, and
 * is free again when that ends well. Decides nothing about cards. */
#ifndef ACTORS_QUARANTINE_H
#define ACTORS_QUARANTINE_H

#include "actors/ports/dead_letters.h"

typedef struct quarantine quarantine_t;
typedef struct shard shard_t;
typedef struct shard_message shard_message_t;

/* Stores the order that the supervisor left, if any, before anything else is done. */
quarantine_t *quarantine_create(shard_t *shard);
void quarantine_destroy(quarantine_t **quarantine);
/* Reads the dead letters again. */
void quarantine_refresh(quarantine_t *quarantine);
/* Begins a replay that is asked for. By the shard's timer: whoever asked has his answer by then,
 * should the replay end the role. */
void quarantine_tick(quarantine_t *quarantine);
/* Costs one comparison while nothing is quarantined. */
bool quarantine_holds(const quarantine_t *quarantine, const shard_message_t *message);
/* The same of the card that a message goes to. */
bool quarantine_holds_card(const quarantine_t *quarantine, const shard_message_t *message);
/* How many cards are. */
uint32_t quarantine_cards(const quarantine_t *quarantine);
/* The reply to the dead letter that is being replayed. */
void quarantine_replayed(quarantine_t *quarantine, text_t envelope);

#endif
