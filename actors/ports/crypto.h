/* Sealing and signing. Implemented by adapters/signer with libsodium. Keys are 32 bytes. Pure
 * functions of their arguments but for the nonce of `seal`. MACs are compared in constant time. */
#ifndef ACTORS_PORTS_CRYPTO_H
#define ACTORS_PORTS_CRYPTO_H

#include "messages/text.h"
#include "runtime/result.h"

enum {
    CRYPTO_KEY_SIZE = 32,
    CRYPTO_MAC_SIZE = 16,      /* HMAC-SHA-256 truncated to 128 bits */
    CRYPTO_SEAL_OVERHEAD = 40, /* XChaCha20-Poly1305: nonce 24, tag 16 */
};

typedef struct crypto_key {
    uint8_t bytes[CRYPTO_KEY_SIZE];
} crypto_key_t;

typedef struct crypto_functions {
    /* Writes plain.size + CRYPTO_SEAL_OVERHEAD bytes. `bound_to` is authenticated, not stored: a
     * sealed text moved elsewhere does not open. */
    void (*seal)(const crypto_key_t *key, text_t plain, text_t bound_to, uint8_t *out);
    /* Writes sealed.size - CRYPTO_SEAL_OVERHEAD bytes; false when it does not open. */
    bool (*open)(const crypto_key_t *key, text_t sealed, text_t bound_to, uint8_t *out);
    void (*mac)(const crypto_key_t *key, text_t message, uint8_t mac[CRYPTO_MAC_SIZE]);
    bool (*mac_verify)(const crypto_key_t *key, text_t message, const uint8_t mac[CRYPTO_MAC_SIZE]);
    /* Whether both hold the same bytes, in a time that tells nothing of them: for MACs that are
     * kept as text. */
    bool (*equal)(const void *left, const void *right, size_t size);
    /* HMAC-SHA-256, whole, under a key of any size. */
    void (*hmac)(text_t key, text_t message, uint8_t mac[32]);
    void (*sha256)(text_t message, uint8_t hash[32]);
    void (*wipe)(void *memory, size_t size);
} crypto_functions_t;

#endif
