/* actors/ports/crypto.h with libsodium. Knows no cards and keeps no keys: each call gets its own.
 * Must not log, since all it ever sees is secret. The master key's file is in master_key.c. */
#include "adapters/signer/signer.h"

#include <assert.h>
#include <sodium.h>

_Static_assert((int)CRYPTO_KEY_SIZE == crypto_auth_hmacsha256_KEYBYTES, "one size of key for all");
_Static_assert((int)CRYPTO_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
               "one size of key for all");
_Static_assert((int)CRYPTO_SEAL_OVERHEAD == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES +
                                                crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "a nonce and a tag");
_Static_assert((int)CRYPTO_MAC_SIZE <= crypto_auth_hmacsha256_BYTES, "a MAC is the first part");

enum { NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };

static const uint8_t *bytes_of(text_t text)
{
    return (const uint8_t *)text.data;
}

result_t signer_start(void)
{
    return sodium_init() < 0 ? RESULT_INTERNAL : RESULT_OK;
}

/* A random nonce of 192 bits does not repeat by chance under one key, so nobody has to count. */
static void signer_seal(const crypto_key_t *key, text_t plain, text_t bound_to, uint8_t *out)
{
    unsigned long long sealed_size = 0;
    randombytes_buf(out, NONCE_SIZE);
    const int failed = crypto_aead_xchacha20poly1305_ietf_encrypt(
        out + NONCE_SIZE, &sealed_size, bytes_of(plain), plain.size, bytes_of(bound_to),
        bound_to.size, NULL, out, key->bytes);
    assert(failed == 0);
    assert(sealed_size + NONCE_SIZE == plain.size + CRYPTO_SEAL_OVERHEAD);
}

static bool signer_open(const crypto_key_t *key, text_t sealed, text_t bound_to, uint8_t *out)
{
    if (sealed.size < CRYPTO_SEAL_OVERHEAD) {
        return false;
    }
    const uint8_t *nonce = bytes_of(sealed);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, nonce + NONCE_SIZE,
                                                      sealed.size - NONCE_SIZE, bytes_of(bound_to),
                                                      bound_to.size, nonce, key->bytes) == 0;
}

static void signer_mac(const crypto_key_t *key, text_t message, uint8_t mac[CRYPTO_MAC_SIZE])
{
    uint8_t whole[crypto_auth_hmacsha256_BYTES];
    (void)crypto_auth_hmacsha256(whole, bytes_of(message), message.size, key->bytes);
    memcpy(mac, whole, CRYPTO_MAC_SIZE);
    /* The second half would let somebody with this memory continue where we stop. */
    sodium_memzero(whole, sizeof(whole));
}

static bool signer_mac_verify(const crypto_key_t *key, text_t message,
                              const uint8_t mac[CRYPTO_MAC_SIZE])
{
    uint8_t expected[CRYPTO_MAC_SIZE];
    signer_mac(key, message, expected);
    const bool same = sodium_memcmp(expected, mac, CRYPTO_MAC_SIZE) == 0;
    /* What was expected is a valid signature of a forged code: it must not stay on the stack. */
    sodium_memzero(expected, sizeof(expected));
    return same;
}

static bool signer_equal(const void *left, const void *right, size_t size)
{
    return sodium_memcmp(left, right, size) == 0;
}

static void signer_hmac(text_t key, text_t message, uint8_t mac[32])
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, bytes_of(key), key.size);
    (void)crypto_auth_hmacsha256_update(&state, bytes_of(message), message.size);
    (void)crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof(state));
}

static void signer_sha256(text_t message, uint8_t hash[32])
{
    (void)crypto_hash_sha256(hash, bytes_of(message), message.size);
}

static void signer_wipe(void *memory, size_t size)
{
    sodium_memzero(memory, size);
}

const crypto_functions_t signer_functions = {
    .seal = signer_seal,
    .open = signer_open,
    .mac = signer_mac,
    .mac_verify = signer_mac_verify,
    .equal = signer_equal,
    .hmac = signer_hmac,
    .sha256 = signer_sha256,
    .wipe = signer_wipe,
};
