/* A table with one place for each hash, of whatever came there last. */
#include "adapters/journal_postgres/card_tails.h"
#include "runtime/limits.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct card_tail {
    card_place_t place;
    uint64_t sequence; /* 0: nothing here */
} card_tail_t;

/* Not zeroed by hand: memory that is never touched is never there. */
struct card_tails {
    card_tail_t tails[LIMIT_POSTGRES_TAILS];
};

static_assert((LIMIT_POSTGRES_TAILS & (LIMIT_POSTGRES_TAILS - 1)) == 0, "a power of two");

card_tails_t *card_tails_create(void)
{
    card_tails_t *const tails = calloc(1, sizeof *tails);
    assert(tails != NULL);
    return tails;
}

void card_tails_destroy(card_tails_t **tails)
{
    free(*tails);
    *tails = NULL;
}

/* The last eight bytes of an id are random but for two bits. */
static size_t index_of(const card_place_t *place)
{
    uint64_t random = 0;
    memcpy(&random, place->card.bytes + sizeof place->card.bytes - sizeof random, sizeof random);
    random = (random ^ place->opening) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(random >> 32) & (LIMIT_POSTGRES_TAILS - 1);
}

static bool place_is(const card_place_t *one, const card_place_t *other)
{
    return one->opening == other->opening && one->partition == other->partition &&
           uuid_equal(&one->card, &other->card);
}

void card_tails_note(card_tails_t *tails, const card_place_t *place, uint64_t sequence)
{
    assert(sequence > 0);
    tails->tails[index_of(place)] = (card_tail_t){*place, sequence};
}

bool card_tails_has(const card_tails_t *tails, const card_place_t *place, uint64_t sequence)
{
    const card_tail_t *const tail = &tails->tails[index_of(place)];
    return sequence > 0 && tail->sequence == sequence && place_is(&tail->place, place);
}
