/* Sealing, signing and hashing, against published vectors and against somebody who changes bytes.
 */
#include "adapters/signer/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const crypto_functions_t *const crypto = &signer_functions;

static crypto_key_t key_of(uint8_t fill)
{
    crypto_key_t key;
    memset(key.bytes, fill, sizeof(key.bytes));
    return key;
}

static void assert_hexadecimal(const uint8_t *bytes, size_t size, const char *expected)
{
    char text[129];
    assert_true(2 * size < sizeof(text));
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    assert_string_equal(text, expected);
}

/* FIPS 180-2, appendix B. */
static void signer_sha256_matches_its_standard(void **context)
{
    (void)context;
    uint8_t hash[32];
    crypto->sha256(TEXT_LITERAL("abc"), hash);
    assert_hexadecimal(hash, 32,
                       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto->sha256(TEXT_NONE, hash);
    assert_hexadecimal(hash, 32,
                       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, 4.2 and 4.3 use keys of other sizes; a key shorter than a block is the same as that key
 * with zeros behind it, which gives two vectors for keys of 32 bytes. */
static void signer_mac_is_the_first_half_of_hmac_sha256(void **context)
{
    (void)context;
    uint8_t mac[CRYPTO_MAC_SIZE];
    crypto_key_t key = key_of(0);
    memset(key.bytes, 0x0b, 20);
    crypto->mac(&key, TEXT_LITERAL("Hi There"), mac);
    assert_hexadecimal(mac, sizeof(mac), "b0344c61d8db38535ca8afceaf0bf12b");
    key = key_of(0);
    memcpy(key.bytes, "Jefe", 4);
    crypto->mac(&key, TEXT_LITERAL("what do ya want for nothing?"), mac);
    assert_hexadecimal(mac, sizeof(mac), "5bdcc146bf60754e6a042426089575c7");
}

/* RFC 4231, 4.7: a key longer than a block. */
static void signer_hmac_takes_keys_of_any_size(void **context)
{
    (void)context;
    char key[131];
    uint8_t mac[32];
    memset(key, 0xaa, sizeof(key));
    crypto->hmac((text_t){.data = key, .size = sizeof(key)},
                 TEXT_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    assert_hexadecimal(mac, sizeof(mac),
                       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    crypto->hmac(TEXT_LITERAL("Jefe"), TEXT_LITERAL("what do ya want for nothing?"), mac);
    assert_hexadecimal(mac, sizeof(mac),
                       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void signer_mac_verifies_nothing_but_the_same(void **context)
{
    (void)context;
    const crypto_key_t key = key_of(1);
    const crypto_key_t other = key_of(2);
    uint8_t mac[CRYPTO_MAC_SIZE];
    crypto->mac(&key, TEXT_LITERAL("message"), mac);
    assert_true(crypto->mac_verify(&key, TEXT_LITERAL("message"), mac));
    assert_false(crypto->mac_verify(&key, TEXT_LITERAL("messagf"), mac));
    assert_false(crypto->mac_verify(&key, TEXT_LITERAL("messag"), mac));
    assert_false(crypto->mac_verify(&key, TEXT_NONE, mac));
    assert_false(crypto->mac_verify(&other, TEXT_LITERAL("message"), mac));
    for (unsigned bit = 0; bit < 8 * CRYPTO_MAC_SIZE; bit++) {
        mac[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_false(crypto->mac_verify(&key, TEXT_LITERAL("message"), mac));
        mac[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

static void signer_tells_apart_what_differs_in_one_bit(void **context)
{
    (void)context;
    char left[32];
    char right[32];
    memset(left, 'x', sizeof(left));
    memcpy(right, left, sizeof(right));
    assert_true(crypto->equal(left, right, sizeof(left)));
    assert_true(crypto->equal(left, right, 0));
    for (unsigned bit = 0; bit < 8 * sizeof(right); bit++) {
        right[bit / 8] ^= (char)(1U << (bit % 8));
        assert_false(crypto->equal(left, right, sizeof(left)));
        right[bit / 8] ^= (char)(1U << (bit % 8));
    }
}

static void signer_opens_what_it_sealed(void **context)
{
    (void)context;
    const crypto_key_t key = key_of(3);
    char plain[256];
    uint8_t sealed[sizeof(plain) + CRYPTO_SEAL_OVERHEAD];
    uint8_t opened[sizeof(plain)];
    memset(plain, 'x', sizeof(plain));
    for (size_t size = 0; size <= sizeof(plain); size++) {
        const text_t text = {plain, size};
        crypto->seal(&key, text, TEXT_LITERAL("here"), sealed);
        const text_t whole = {(const char *)sealed, size + CRYPTO_SEAL_OVERHEAD};
        memset(opened, 0, sizeof(opened));
        assert_true(crypto->open(&key, whole, TEXT_LITERAL("here"), opened));
        assert_memory_equal(opened, plain, size);
    }
}

static void signer_seals_empty_text_bound_to_nothing(void **context)
{
    (void)context;
    const crypto_key_t key = key_of(3);
    uint8_t sealed[CRYPTO_SEAL_OVERHEAD];
    uint8_t nothing = 0;
    crypto->seal(&key, TEXT_NONE, TEXT_NONE, sealed);
    const text_t whole = {(const char *)sealed, sizeof(sealed)};
    assert_true(crypto->open(&key, whole, TEXT_NONE, &nothing));
    assert_false(crypto->open(&key, whole, TEXT_LITERAL("x"), &nothing));
}

static void signer_opens_nothing_that_was_changed_moved_or_cut(void **context)
{
    (void)context;
    const crypto_key_t key = key_of(4);
    const crypto_key_t other = key_of(5);
    const text_t plain = TEXT_LITERAL("Erika Mustermann");
    const text_t here = TEXT_LITERAL("card-1");
    uint8_t sealed[16 + CRYPTO_SEAL_OVERHEAD];
    uint8_t opened[16];
    crypto->seal(&key, plain, here, sealed);
    const text_t whole = {(const char *)sealed, sizeof(sealed)};
    assert_true(crypto->open(&key, whole, here, opened));
    assert_false(crypto->open(&other, whole, here, opened));
    assert_false(crypto->open(&key, whole, TEXT_LITERAL("card-2"), opened));
    for (size_t size = 0; size < sizeof(sealed); size++) {
        assert_false(crypto->open(&key, (text_t){(const char *)sealed, size}, here, opened));
    }
    for (unsigned bit = 0; bit < 8 * sizeof(sealed); bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_false(crypto->open(&key, whole, here, opened));
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

static void signer_seals_the_same_text_differently_each_time(void **context)
{
    (void)context;
    const crypto_key_t key = key_of(6);
    uint8_t first[4 + CRYPTO_SEAL_OVERHEAD];
    uint8_t second[4 + CRYPTO_SEAL_OVERHEAD];
    crypto->seal(&key, TEXT_LITERAL("name"), TEXT_NONE, first);
    crypto->seal(&key, TEXT_LITERAL("name"), TEXT_NONE, second);
    assert_memory_not_equal(first, second, 24);
    assert_memory_not_equal(first + 24, second + 24, sizeof(first) - 24);
}

static void signer_wipes_memory(void **context)
{
    (void)context;
    crypto_key_t key = key_of(7);
    const crypto_key_t zero = key_of(0);
    crypto->wipe(&key, sizeof(key));
    assert_memory_equal(key.bytes, zero.bytes, sizeof(key.bytes));
}

int main(void)
{
    if (signer_start() != RESULT_OK || signer_start() != RESULT_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signer_sha256_matches_its_standard),
        cmocka_unit_test(signer_mac_is_the_first_half_of_hmac_sha256),
        cmocka_unit_test(signer_hmac_takes_keys_of_any_size),
        cmocka_unit_test(signer_mac_verifies_nothing_but_the_same),
        cmocka_unit_test(signer_tells_apart_what_differs_in_one_bit),
        cmocka_unit_test(signer_opens_what_it_sealed),
        cmocka_unit_test(signer_seals_empty_text_bound_to_nothing),
        cmocka_unit_test(signer_opens_nothing_that_was_changed_moved_or_cut),
        cmocka_unit_test(signer_seals_the_same_text_differently_each_time),
        cmocka_unit_test(signer_wipes_memory),
    };
    return cmocka_run_group_tests_name("signer", tests, NULL, NULL);
}
