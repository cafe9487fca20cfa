/* Which event of a card was stored last, as far as this journal remembers: it wrote them itself. An
 * event once stored is there for ever, so that a memory of it is never wrong, only missing; then
 * the server is asked. Must not know connections. */
#ifndef ADAPTERS_JOURNAL_POSTGRES_CARD_TAILS_H
#define ADAPTERS_JOURNAL_POSTGRES_CARD_TAILS_H

#include "messages/uuid.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct card_tails card_tails_t;

/* A card of a tenant as it was opened: another opening is another tenant. */
typedef struct card_place {
    uint32_t opening;
    uint32_t partition;
    uuid_t card;
} card_place_t;

card_tails_t *card_tails_create(void);
void card_tails_destroy(card_tails_t **tails);
/* `sequence` of the card is stored. Another card may be forgotten for it. */
void card_tails_note(card_tails_t *tails, const card_place_t *place, uint64_t sequence);
/* Whether the last event that was noted of the card is `sequence`. */
bool card_tails_has(const card_tails_t *tails, const card_place_t *place, uint64_t sequence);

#endif
