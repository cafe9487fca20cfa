/* A short hash under a secret key (SipHash-2-4): for tables whose keys come from outside, so that
 * nobody can aim at one bucket. Not for authentication. */
#ifndef RUNTIME_KEYED_HASH_H
#define RUNTIME_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct keyed_hash_key {
    uint8_t bytes[16];
} keyed_hash_key_t;

uint64_t keyed_hash(const keyed_hash_key_t *key, const void *data, size_t size);

#endif
