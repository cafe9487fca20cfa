/* Feature flags: which card has one on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actors/domain/card_id.h"
#include "actors/domain/flag.h"

enum { CARDS = 20000 };

/* Cards as they are made, in order of time. */
static uuid_t card_number(uint32_t number)
{
    uint8_t random[10] = {0};
    for (size_t i = 0; i < 4; i++) {
        random[i] = (uint8_t)(number * UINT32_C(2654435761) >> (8 * i));
    }
    return card_id_make(INT64_C(1700000000000) + number, number % 64, random);
}

static uint32_t count_on(uint8_t percent)
{
    const flag_settings_t settings = {.percent = {[FLAG_verdict_hides_holder] = percent}};
    uint32_t count = 0;
    for (uint32_t i = 0; i < CARDS; i++) {
        const uuid_t card = card_number(i);
        count += flag_is_on(&settings, FLAG_verdict_hides_holder, &card) ? 1 : 0;
    }
    return count;
}

static void flag_is_off_for_everybody_until_it_is_set(void **state)
{
    (void)state;
    assert_int_equal(count_on(0), 0);
}

static void flag_at_100_percent_is_on_for_everybody(void **state)
{
    (void)state;
    assert_int_equal(count_on(100), CARDS);
}

static void flag_is_on_for_its_share_of_the_cards(void **state)
{
    (void)state;
    static const uint8_t percents[] = {1, 10, 50, 99};
    for (size_t i = 0; i < sizeof percents; i++) {
        const uint32_t expected = CARDS / 100 * percents[i];
        const uint32_t count = count_on(percents[i]);
        const uint32_t difference = count > expected ? count - expected : expected - count;
        assert_true(difference < 350); /* five standard deviations at most */
    }
}

static void flag_stays_on_for_a_card_when_its_share_grows(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 500; i++) {
        const uuid_t card = card_number(i);
        bool was_on = false;
        for (uint8_t percent = 0; percent <= 100; percent++) {
            const flag_settings_t settings = {.percent = {[FLAG_verdict_hides_holder] = percent}};
            const bool is_on = flag_is_on(&settings, FLAG_verdict_hides_holder, &card);
            assert_true(is_on || !was_on);
            was_on = is_on;
        }
        assert_true(was_on);
    }
}

/* The hash is a promise: a node of another version must give the same answer for a card. */
static void flag_answers_the_same_on_every_machine(void **state)
{
    (void)state;
    uuid_t card;
    assert_true(uuid_parse(TEXT_LITERAL("018bcfe5-6800-7000-8000-000000000001"), &card));
    uint8_t first = 0;
    for (uint8_t percent = 1; percent <= 100 && first == 0; percent++) {
        const flag_settings_t settings = {.percent = {[FLAG_verdict_hides_holder] = percent}};
        first = flag_is_on(&settings, FLAG_verdict_hides_holder, &card) ? percent : 0;
    }
    assert_int_equal(first, 30);
}

static void flag_names_are_found_exactly(void **state)
{
    (void)state;
    flag_t flag;
    for (uint32_t i = 0; i < FLAG_COUNT; i++) {
        assert_true(flag_parse(flag_name((flag_t)i), &flag));
        assert_int_equal(flag, i);
        assert_true(flag_about((flag_t)i).size > 0);
    }
    assert_false(flag_parse(TEXT_LITERAL("verdict_hides_holde"), &flag));
    assert_false(flag_parse(TEXT_LITERAL("Verdict_Hides_Holder"), &flag));
    assert_false(flag_parse(TEXT_NONE, &flag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flag_is_off_for_everybody_until_it_is_set),
        cmocka_unit_test(flag_at_100_percent_is_on_for_everybody),
        cmocka_unit_test(flag_is_on_for_its_share_of_the_cards),
        cmocka_unit_test(flag_stays_on_for_a_card_when_its_share_grows),
        cmocka_unit_test(flag_answers_the_same_on_every_machine),
        cmocka_unit_test(flag_names_are_found_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
