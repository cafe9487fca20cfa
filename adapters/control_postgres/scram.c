/* SCRAM verifiers with one iteration. Iterations make it slow to guess a password that a person
 * chose; those here are 256 random bits, which nobody guesses, while each login pays for every
 * iteration: libpq takes 12 ms for the 4,096 of its own, on the loop of whoever connects
 * (docs/decisions/0011). Must not be used for a password that a person may have chosen. */
#include "adapters/control_postgres/scram.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { HASH_SIZE = crypto_auth_hmacsha256_BYTES, BASE64_SIZE = 48 };
_Static_assert((int)HASH_SIZE == (int)crypto_hash_sha256_BYTES, "SHA-256 everywhere");

static void mac(const uint8_t *key, size_t key_size, const void *message, size_t size,
                uint8_t out[HASH_SIZE])
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, key, key_size);
    (void)crypto_auth_hmacsha256_update(&state, message, size);
    (void)crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

static const char *base64(const uint8_t *bytes, size_t size, char text[BASE64_SIZE])
{
    assert(sodium_base64_ENCODED_LEN(HASH_SIZE, sodium_base64_VARIANT_ORIGINAL) <= BASE64_SIZE);
    return sodium_bin2base64(text, BASE64_SIZE, bytes, size, sodium_base64_VARIANT_ORIGINAL);
}

void scram_verifier(text_t password, const uint8_t salt[SCRAM_SALT_SIZE],
                    char verifier[SCRAM_VERIFIER_SIZE])
{
    static const char client_label[] = "Client Key";
    static const char server_label[] = "Server Key";
    uint8_t first[SCRAM_SALT_SIZE + 4] = {0}; /* the salt, and the number of the block: 1 */
    uint8_t salted[HASH_SIZE];
    uint8_t key[HASH_SIZE];
    uint8_t stored[HASH_SIZE];
    char texts[3][BASE64_SIZE];
    memcpy(first, salt, SCRAM_SALT_SIZE);
    first[sizeof first - 1] = 1;
    mac((const uint8_t *)password.data, password.size, first, sizeof first, salted);
    mac(salted, sizeof salted, client_label, sizeof client_label - 1, key);
    (void)crypto_hash_sha256(stored, key, sizeof key);
    mac(salted, sizeof salted, server_label, sizeof server_label - 1, key);
    const int size =
        snprintf(verifier, SCRAM_VERIFIER_SIZE, "SCRAM-SHA-256$1:%s$%s:%s",
                 base64(salt, SCRAM_SALT_SIZE, texts[0]), base64(stored, sizeof stored, texts[1]),
                 base64(key, sizeof key, texts[2]));
    assert(size > 0 && size < SCRAM_VERIFIER_SIZE);
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(key, sizeof key);
}
