/* SipHash-2-4 of libsodium. */
#include "runtime/keyed_hash.h"

#include <assert.h>
#include <sodium.h>

uint64_t keyed_hash(const keyed_hash_key_t *key, const void *data, size_t size)
{
    uint64_t hash = 0;
    static_assert(sizeof(key->bytes) == crypto_shorthash_KEYBYTES, "SipHash-2-4");
    static_assert(sizeof(hash) == crypto_shorthash_BYTES, "SipHash-2-4");
    (void)crypto_shorthash((unsigned char *)&hash, data, size, key->bytes);
    return hash;
}
