/* The fingerprints of commands and actors: SHA-256 of libsodium. */
#include "runtime/crash_slot.h"

#include <sodium.h>
#include <string.h>

/* Each part with its size before it, so that no two lists of parts look alike. */
static void add_part(crypto_hash_sha256_state *state, const void *data, size_t size)
{
    const uint64_t prefix = size;
    (void)crypto_hash_sha256_update(state, (const unsigned char *)&prefix, sizeof prefix);
    (void)crypto_hash_sha256_update(state, data, size);
}

void crash_fingerprint(const crash_identity_t *identity, uint8_t out[CRASH_FINGERPRINT_SIZE])
{
    const uint8_t kind[2] = {identity->type, identity->is_key ? 1 : 0};
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    (void)crypto_hash_sha256_init(&state);
    add_part(&state, kind, sizeof kind);
    add_part(&state, identity->tenant, identity->tenant_size);
    add_part(&state, identity->card, identity->card == NULL ? 0 : CRASH_ID_SIZE);
    add_part(&state, identity->text, identity->text_size);
    (void)crypto_hash_sha256_final(&state, hash);
    memcpy(out, hash, CRASH_FINGERPRINT_SIZE);
}

void crash_actor_fingerprint(const char *tenant, size_t tenant_size,
                             const uint8_t actor[CRASH_ID_SIZE],
                             uint8_t out[CRASH_FINGERPRINT_SIZE])
{
    static const char what[] = "actor"; /* a command's first part has two bytes */
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    (void)crypto_hash_sha256_init(&state);
    add_part(&state, what, sizeof what);
    add_part(&state, tenant, tenant_size);
    add_part(&state, actor, CRASH_ID_SIZE);
    (void)crypto_hash_sha256_final(&state, hash);
    memcpy(out, hash, CRASH_FINGERPRINT_SIZE);
}
