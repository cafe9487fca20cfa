/* The contract suite of actors/ports/revocations.h. */
#include "tests/contract/revocations_contract.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SEEN_MAX = 16 };

typedef struct fixture {
    const control_contract_factory_t *factory;
    revocations_of_store_t *revocations_of;
    control_store_t *control;
    revocations_t *revocations;
} fixture_t;

typedef struct seen {
    size_t count;
    uint8_t first[SEEN_MAX]; /* byte of each hash */
    int64_t ends[SEEN_MAX];
} seen_t;

static bool visit(void *context, const uint8_t hash[REVOCATION_HASH_SIZE], int64_t expires_at_ms)
{
    seen_t *const seen = context;
    if (seen->count < SEEN_MAX) {
        seen->first[seen->count] = hash[0];
        seen->ends[seen->count] = expires_at_ms;
    }
    seen->count++;
    return true;
}

static seen_t look(fixture_t *fixture, int64_t now_ms)
{
    seen_t seen = {0};
    assert_int_equal(
        fixture->revocations->functions->visit(fixture->revocations, now_ms, visit, &seen),
        RESULT_OK);
    return seen;
}

static result_t add(fixture_t *fixture, uint32_t number, int64_t expires_at_ms, int64_t now_ms)
{
    uint8_t hash[REVOCATION_HASH_SIZE] = {(uint8_t)number, (uint8_t)(number >> 8)};
    return fixture->revocations->functions->add(fixture->revocations, hash, expires_at_ms, now_ms);
}

static uint64_t version(fixture_t *fixture)
{
    uint64_t number = 0;
    assert_int_equal(fixture->control->functions->version(fixture->control, &number), RESULT_OK);
    return number;
}

static int setup(void **state)
{
    fixture_t *const fixture = *state;
    dead_letters_t *letters = NULL;
    fixture->factory->open(fixture->factory->context, &fixture->control, &letters);
    fixture->revocations = fixture->revocations_of(fixture->control);
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    fixture->factory->close_and_clear(fixture->factory->context, &fixture->control);
    return 0;
}

static void revoked_tokens_are_seen_in_order_until_their_end(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(look(fixture, 0).count, 0);
    assert_int_equal(add(fixture, 9, 2000, 1000), RESULT_OK);
    assert_int_equal(add(fixture, 3, 3000, 1000), RESULT_OK);
    const seen_t both = look(fixture, 1999);
    assert_int_equal(both.count, 2);
    assert_int_equal(both.first[0], 3);
    assert_int_equal(both.ends[0], 3000);
    assert_int_equal(both.first[1], 9);
    const seen_t one = look(fixture, 2000);
    assert_int_equal(one.count, 1);
    assert_int_equal(one.first[0], 3);
}

static void each_raises_the_version_once(void **state)
{
    fixture_t *const fixture = *state;
    const uint64_t before = version(fixture);
    assert_int_equal(add(fixture, 1, 2000, 1000), RESULT_OK);
    const uint64_t after = version(fixture);
    assert_true(after > before);
    assert_int_equal(add(fixture, 1, 2000, 1000), RESULT_OK);
    assert_int_equal(version(fixture), after);
    assert_int_equal(look(fixture, 1000).count, 1);
}

static void there_is_a_bound_and_what_has_ended_makes_room(void **state)
{
    fixture_t *const fixture = *state;
    for (uint32_t i = 0; i < LIMIT_REVOKED_TOKENS; i++) {
        assert_int_equal(add(fixture, i, i < 10 ? 2000 : 5000, 1000), RESULT_OK);
    }
    assert_int_equal(add(fixture, LIMIT_REVOKED_TOKENS, 5000, 1000), RESULT_BUSY);
    assert_int_equal(add(fixture, 5, 2000, 1000), RESULT_OK); /* it is there */
    assert_int_equal(look(fixture, 1000).count, LIMIT_REVOKED_TOKENS);
    assert_int_equal(add(fixture, LIMIT_REVOKED_TOKENS, 5000, 2000), RESULT_OK);
    assert_int_equal(look(fixture, 2000).count, LIMIT_REVOKED_TOKENS - 9);
}

int revocations_contract_run(const control_contract_factory_t *factory,
                             revocations_of_store_t *revocations_of)
{
    static fixture_t fixture;
    fixture = (fixture_t){.factory = factory, .revocations_of = revocations_of};
    const struct CMUnitTest tests[] = {
#define CONTRACT(test) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &fixture)
        CONTRACT(revoked_tokens_are_seen_in_order_until_their_end),
        CONTRACT(each_raises_the_version_once),
        CONTRACT(there_is_a_bound_and_what_has_ended_makes_room),
#undef CONTRACT
    };
    return cmocka_run_group_tests_name("revoked tokens", tests, NULL, NULL);
}
