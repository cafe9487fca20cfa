/* The memory of which event of a card was stored last: it may forget, and is never wrong. */
#include "adapters/journal_postgres/card_tails.h"
#include "runtime/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static card_place_t place(uint32_t opening, uint32_t partition, uint32_t number)
{
    card_place_t made = {.opening = opening, .partition = partition};
    memcpy(made.card.bytes + 12, &number, sizeof number);
    return made;
}

static void tail_is_known_from_its_note_until_the_next(void **state)
{
    (void)state;
    card_tails_t *tails = card_tails_create();
    const card_place_t card = place(1, 0, 7);
    assert_false(card_tails_has(tails, &card, 1));
    assert_false(card_tails_has(tails, &card, 0));
    card_tails_note(tails, &card, 1);
    assert_true(card_tails_has(tails, &card, 1));
    assert_false(card_tails_has(tails, &card, 2));
    card_tails_note(tails, &card, 2);
    assert_true(card_tails_has(tails, &card, 2));
    assert_false(card_tails_has(tails, &card, 1));
    card_tails_destroy(&tails);
    assert_null(tails);
}

static void tail_of_another_card_partition_or_opening_is_not_known(void **state)
{
    (void)state;
    card_tails_t *tails = card_tails_create();
    const card_place_t card = place(1, 2, 7);
    const card_place_t others[] = {place(2, 2, 7), place(1, 3, 7), place(1, 2, 8)};
    card_tails_note(tails, &card, 5);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(card_tails_has(tails, &others[i], 5));
    }
    assert_true(card_tails_has(tails, &card, 5));
    card_tails_destroy(&tails);
}

/* Four cards for each place: whatever is still known is right, and much of it is. */
static void tails_of_more_cards_than_places_are_forgotten_and_never_wrong(void **state)
{
    (void)state;
    enum { CARDS = 4 * LIMIT_POSTGRES_TAILS };
    card_tails_t *tails = card_tails_create();
    for (uint32_t i = 0; i < CARDS; i++) {
        const card_place_t card = place(1, 0, i);
        card_tails_note(tails, &card, 1 + i);
    }
    uint32_t known = 0;
    for (uint32_t i = 0; i < CARDS; i++) {
        const card_place_t card = place(1, 0, i);
        known += card_tails_has(tails, &card, 1 + i) ? 1 : 0;
        assert_false(card_tails_has(tails, &card, 2 + i));
        assert_false(card_tails_has(tails, &card, i));
    }
    assert_true(known <= LIMIT_POSTGRES_TAILS);
    assert_true(known > LIMIT_POSTGRES_TAILS / 2);
    card_tails_destroy(&tails);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tail_is_known_from_its_note_until_the_next),
        cmocka_unit_test(tail_of_another_card_partition_or_opening_is_not_known),
        cmocka_unit_test(tails_of_more_cards_than_places_are_forgotten_and_never_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
