/* The test vectors of docs/qr-code.md, which other people's scanners are built on: signed here with
 * the real signer, and looked up in the page itself, so that the page cannot say anything else.
 * They were computed with another implementation. */
#include "actors/domain/card_code.h"
#include "actors/domain/siphash.h"
#include "adapters/signer/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

typedef struct vector {
    const char *key; /* hexadecimal */
    const char *tenant;
    uint32_t kid;
    const char *tag;
    const char *card; /* hexadecimal, no dashes */
    const char *mac;
    const char *text;
} vector_t;

static const vector_t vectors[] = {
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "demo", 1, "f0fc91a7",
     "0199e0a47c007abc8def0123456789ab", "49f8a85adf5c4f709bd23d088c86797a",
     "DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2"},
    {"54c5b3dd459d5ef778bb2fa1e23a5fb0e1b62ae66970bcb436e8f81a1a1a8e41", "alpine-club", 7,
     "2294f520", "019aa3f21d4e7003a1b2c3d4e5f60718", "0e7e54be0597935d0ce5d49835459974",
     "DC1:V50000Q+0I$I324WOJGRUA-9TK0/QM6-QS4V%13U/F01OD7JFYBL2T+AJ.Z8Q2"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "a23456789-123456789-123456789-123456789", 4294967295U, "e63c435e",
     "ffffffffffff7fffbfffffffffffffff", "e1c687333415f2cc89d48a2007dbffc0",
     "DC1:GB0FGWZFW$R7J0CFGWFGWMDW-EWFGWFGWFGWUFWI4PDL6%Y2Q%P5*Q924O RC4"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "zz", 0, "f8797ebe",
     "00000000000070008000000000000000", "875e2f801658b51ff0c716d1486df40d",
     "DC1:V50000N507GF+0O000000M20%20000000000030 +BU8GT9BV14Q7PQKQN+DD0"},
};

enum { VECTORS = sizeof(vectors) / sizeof(vectors[0]), PAGE_SIZE_MAX = 65536 };

static void from_hexadecimal(const char *text, uint8_t *out, size_t size)
{
    size_t written = 0;
    assert_int_equal(sodium_hex2bin(out, size, text, strlen(text), NULL, &written, NULL), 0);
    assert_int_equal(written, size);
}

static card_code_t sign(const vector_t *vector)
{
    crypto_key_t key;
    uint8_t message[CARD_CODE_MESSAGE_SIZE_MAX];
    const text_t tenant = text_from_c(vector->tenant);
    card_code_t code = {.kid = vector->kid, .tenant_tag = card_code_tenant_tag(tenant)};
    from_hexadecimal(vector->key, key.bytes, sizeof(key.bytes));
    from_hexadecimal(vector->card, code.card.bytes, sizeof(code.card.bytes));
    const size_t size = card_code_message(&code, tenant, message);
    signer_functions.mac(&key, (text_t){(const char *)message, size}, code.mac);
    return code;
}

static void card_code_signs_to_the_published_vectors(void **context)
{
    (void)context;
    for (size_t i = 0; i < VECTORS; i++) {
        const card_code_t code = sign(&vectors[i]);
        uint8_t mac[CARD_CODE_MAC_SIZE];
        char text[CARD_CODE_TEXT_SIZE];
        char tag[9];
        from_hexadecimal(vectors[i].mac, mac, sizeof(mac));
        assert_memory_equal(code.mac, mac, sizeof(mac));
        (void)snprintf(tag, sizeof(tag), "%08x", code.tenant_tag);
        assert_string_equal(tag, vectors[i].tag);
        card_code_format(&code, text);
        assert_int_equal(strlen(vectors[i].text), sizeof(text));
        assert_memory_equal(text, vectors[i].text, sizeof(text));
    }
}

static bool verifies(const card_code_t *code, const vector_t *vector, const char *tenant)
{
    crypto_key_t key;
    uint8_t message[CARD_CODE_MESSAGE_SIZE_MAX];
    from_hexadecimal(vector->key, key.bytes, sizeof(key.bytes));
    const size_t size = card_code_message(code, text_from_c(tenant), message);
    return signer_functions.mac_verify(&key, (text_t){(const char *)message, size}, code->mac);
}

/* What an attacker can try with a code in hand: every bit, another tenant, another kid. */
static void card_code_does_not_verify_once_anything_is_changed(void **context)
{
    (void)context;
    const vector_t *vector = &vectors[0];
    const card_code_t code = sign(vector);
    assert_true(verifies(&code, vector, "demo"));
    assert_false(verifies(&code, vector, "demo2"));
    assert_false(verifies(&code, vector, "dem"));
    assert_false(verifies(&code, &vectors[1], "demo"));
    for (unsigned bit = 0; bit < 32; bit++) {
        card_code_t forged = code;
        forged.kid ^= 1U << bit;
        assert_false(verifies(&forged, vector, "demo"));
        forged = code;
        forged.tenant_tag ^= 1U << bit;
        assert_false(verifies(&forged, vector, "demo"));
    }
    for (unsigned bit = 0; bit < 128; bit++) {
        card_code_t forged = code;
        forged.card.bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_false(verifies(&forged, vector, "demo"));
        forged = code;
        forged.mac[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_false(verifies(&forged, vector, "demo"));
    }
}

/* The last table of the page; its last text parses and belongs to the first vector. */
static const char *const refused[] = {
    "dc1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2",
    "DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW",
    "DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HWA",
    "DC1::::0001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2",
    "DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100IW2",
};
enum { REFUSED = sizeof(refused) / sizeof(refused[0]) };

static void card_code_refuses_what_the_page_says(void **context)
{
    (void)context;
    card_code_t code;
    for (size_t i = 0; i < REFUSED - 1; i++) {
        assert_false(card_code_parse(text_from_c(refused[i]), &code));
    }
    assert_true(card_code_parse(text_from_c(refused[REFUSED - 1]), &code));
    assert_false(verifies(&code, &vectors[0], "demo"));
}

static void card_code_page_publishes_the_vectors(void **context)
{
    (void)context;
    static char page[PAGE_SIZE_MAX];
    FILE *file = fopen(QR_CODE_PAGE, "r");
    assert_non_null(file);
    const size_t size = fread(page, 1, sizeof(page) - 1, file);
    (void)fclose(file);
    page[size] = '\0';
    for (size_t i = 0; i < VECTORS; i++) {
        assert_non_null(strstr(page, vectors[i].text));
        assert_non_null(strstr(page, vectors[i].key));
        assert_non_null(strstr(page, vectors[i].mac));
        assert_non_null(strstr(page, vectors[i].tag));
    }
    for (size_t i = 0; i < REFUSED; i++) {
        assert_non_null(strstr(page, refused[i]));
    }
}

/* Two implementations of one hash: ours, without a library, and libsodium's. */
static void siphash_agrees_with_libsodium(void **context)
{
    (void)context;
    uint8_t key[SIPHASH_KEY_SIZE];
    char input[200];
    for (size_t i = 0; i < sizeof(input); i++) {
        input[i] = (char)(i * 37 + 11);
    }
    for (size_t size = 0; size <= sizeof(input); size++) {
        uint8_t expected[crypto_shorthash_BYTES];
        memset(key, (int)size, sizeof(key));
        (void)crypto_shorthash(expected, (const uint8_t *)input, size, key);
        const uint64_t hash = siphash(key, (text_t){input, size});
        for (size_t i = 0; i < sizeof(expected); i++) {
            assert_int_equal(expected[i], (hash >> (8 * i)) & 0xff);
        }
    }
}

int main(void)
{
    if (signer_start() != RESULT_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_code_signs_to_the_published_vectors),
        cmocka_unit_test(card_code_does_not_verify_once_anything_is_changed),
        cmocka_unit_test(card_code_refuses_what_the_page_says),
        cmocka_unit_test(card_code_page_publishes_the_vectors),
        cmocka_unit_test(siphash_agrees_with_libsodium),
    };
    return cmocka_run_group_tests_name("card_code_vectors", tests, NULL, NULL);
}
