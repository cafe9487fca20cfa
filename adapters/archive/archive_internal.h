/* The insides of adapters/archive: the encoding that writer and reader share. */
#ifndef ADAPTERS_ARCHIVE_ARCHIVE_INTERNAL_H
#define ADAPTERS_ARCHIVE_ARCHIVE_INTERNAL_H

#include "adapters/archive/archive.h"
#include <sodium.h>

#define ARCHIVE_MAGIC "DCBACKUP"
enum { ARCHIVE_MAGIC_SIZE = 8, ARCHIVE_SIZE_SIZE = 4, ARCHIVE_HASH_SIZE = 32 };

typedef enum archive_record {
    ARCHIVE_HEADER = 0, /* version, tenant, made at */
    ARCHIVE_TENANT = 1, /* partitions, created at, sealed secret, number of keys */
    ARCHIVE_KEY = 2,    /* kid, state, created at, sealed secret */
    ARCHIVE_ROW = 3,    /* table, columns … */
    ARCHIVE_END = 4,    /* rows per table, from table 1 on */
} archive_record_t;

/* hash = BLAKE2b(hash, size, payload) */
void archive_hash_chunk(uint8_t hash[ARCHIVE_HASH_SIZE], const uint8_t *payload, uint32_t size);

#endif
