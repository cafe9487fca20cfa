/* The cache of opened member keys: bounded, by use, with pins. */
#include "actors/member_keys.h"
#include "adapters/signer/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define ACME TEXT_LITERAL("acme")
#define ZETA TEXT_LITERAL("zeta")

static member_keys_t *make(uint32_t entries_max)
{
    static const uint8_t hash_key[16] = {1, 2, 3};
    return member_keys_create(&signer_functions, hash_key, entries_max);
}

static crypto_key_t key_of(uint8_t number)
{
    crypto_key_t key;
    memset(key.bytes, number, sizeof(key.bytes));
    return key;
}

static bool has(member_keys_t *keys, text_t tenant, text_t member_id, uint8_t number)
{
    const crypto_key_t *const key = member_keys_find(keys, tenant, member_id);
    return key != NULL && key->bytes[0] == number && key->bytes[31] == number;
}

static void keys_are_found_by_tenant_and_member(void **state)
{
    (void)state;
    member_keys_t *keys = make(8);
    const crypto_key_t one = key_of(1);
    const crypto_key_t two = key_of(2);
    member_keys_put(keys, ACME, TEXT_LITERAL("m-1"), &one);
    member_keys_put(keys, ZETA, TEXT_LITERAL("m-1"), &two);
    assert_true(has(keys, ACME, TEXT_LITERAL("m-1"), 1));
    assert_true(has(keys, ZETA, TEXT_LITERAL("m-1"), 2));
    assert_null(member_keys_find(keys, ACME, TEXT_LITERAL("m-2")));
    assert_null(member_keys_find(keys, TEXT_LITERAL("acm"), TEXT_LITERAL("em-1")));
    member_keys_put(keys, ACME, TEXT_LITERAL("m-1"), &two);
    assert_true(has(keys, ACME, TEXT_LITERAL("m-1"), 2));
    assert_int_equal(member_keys_count(keys), 2);
    member_keys_destroy(&keys);
    assert_null(keys);
}

static void the_one_used_longest_ago_goes_first(void **state)
{
    (void)state;
    member_keys_t *keys = make(2);
    const crypto_key_t one = key_of(1);
    member_keys_put(keys, ACME, TEXT_LITERAL("a"), &one);
    member_keys_put(keys, ACME, TEXT_LITERAL("b"), &one);
    assert_true(has(keys, ACME, TEXT_LITERAL("a"), 1));
    member_keys_put(keys, ACME, TEXT_LITERAL("c"), &one);
    assert_null(member_keys_find(keys, ACME, TEXT_LITERAL("b")));
    assert_non_null(member_keys_find(keys, ACME, TEXT_LITERAL("a")));
    assert_int_equal(member_keys_count(keys), 2);
    member_keys_destroy(&keys);
}

static void pinned_keys_stay_until_their_commit(void **state)
{
    (void)state;
    member_keys_t *keys = make(2);
    const crypto_key_t one = key_of(1);
    member_key_t *const a = member_keys_put_pinned(keys, ACME, TEXT_LITERAL("a"), &one);
    member_key_t *const b = member_keys_put_pinned(keys, ACME, TEXT_LITERAL("b"), &one);
    for (int i = 0; i < 10; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "x%d", i);
        member_keys_put(keys, ACME, text_from_c(name), &one);
    }
    assert_true(has(keys, ACME, TEXT_LITERAL("a"), 1));
    assert_true(has(keys, ACME, TEXT_LITERAL("b"), 1));
    member_keys_committed(keys, a);
    member_keys_failed(keys, b);
    assert_true(has(keys, ACME, TEXT_LITERAL("a"), 1));
    assert_null(member_keys_find(keys, ACME, TEXT_LITERAL("b")));
    member_keys_destroy(&keys);
}

static void keys_that_were_made_and_lost_again_are_remembered_as_such(void **state)
{
    (void)state;
    member_keys_t *keys = make(2);
    const crypto_key_t one = key_of(1);
    member_keys_put(keys, ACME, TEXT_LITERAL("a"), &one);
    const uint64_t before = member_keys_moment(keys);
    member_keys_committed(keys, member_keys_put_pinned(keys, ACME, TEXT_LITERAL("b"), &one));
    const uint64_t after = member_keys_moment(keys);
    member_keys_put(keys, ACME, TEXT_LITERAL("c"), &one); /* "a" goes: it was not made here */
    assert_false(member_keys_has_forgotten_since(keys, before));
    member_keys_put(keys, ACME, TEXT_LITERAL("d"), &one); /* "b" goes */
    assert_true(member_keys_has_forgotten_since(keys, before));
    assert_false(member_keys_has_forgotten_since(keys, after));
    member_keys_destroy(&keys);
}

static void a_tenant_can_be_forgotten(void **state)
{
    (void)state;
    member_keys_t *keys = make(100);
    const crypto_key_t one = key_of(1);
    for (int i = 0; i < 20; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "m%d", i);
        member_keys_put(keys, i % 2 == 0 ? ACME : ZETA, text_from_c(name), &one);
    }
    member_keys_forget_tenant(keys, ACME);
    assert_int_equal(member_keys_count(keys), 10);
    assert_null(member_keys_find(keys, ACME, TEXT_LITERAL("m0")));
    assert_non_null(member_keys_find(keys, ZETA, TEXT_LITERAL("m1")));
    member_keys_destroy(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_by_tenant_and_member),
        cmocka_unit_test(the_one_used_longest_ago_goes_first),
        cmocka_unit_test(pinned_keys_stay_until_their_commit),
        cmocka_unit_test(keys_that_were_made_and_lost_again_are_remembered_as_such),
        cmocka_unit_test(a_tenant_can_be_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
