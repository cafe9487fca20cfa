/* What events of an archive are, whatever file they stand in: a hash of their rows, in order. */
#include "adapters/archive/archive_internal.h"
#include <assert.h>
#include <stdlib.h>

struct archive_digest {
    crypto_generichash_state state;
};

archive_digest_t *archive_digest_create(void)
{
    archive_digest_t *digest = NULL;
    const int failed = posix_memalign((void **)&digest, 64, sizeof *digest);
    assert(failed == 0);
    (void)crypto_generichash_init(&digest->state, NULL, 0, ARCHIVE_DIGEST_SIZE);
    return digest;
}

static void number_add(archive_digest_t *digest, uint64_t number)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    (void)crypto_generichash_update(&digest->state, bytes, sizeof bytes);
}

void archive_digest_add(archive_digest_t *digest, const store_row_t *row)
{
    const char *const kinds = store_table_kinds(row->table);
    assert(kinds != NULL);
    for (uint32_t i = 0; i < row->count; i++) {
        const store_value_t *const value = &row->values[i];
        if (value->is_null) {
            number_add(digest, UINT64_MAX);
        } else if (kinds[i] == 'i' || kinds[i] == 'I') {
            number_add(digest, (uint64_t)value->number);
        } else {
            number_add(digest, value->bytes.size);
            (void)crypto_generichash_update(&digest->state, (const uint8_t *)value->bytes.data,
                                            value->bytes.size);
        }
    }
}

void archive_digest_finish(archive_digest_t **digest, uint8_t hash[ARCHIVE_DIGEST_SIZE])
{
    (void)crypto_generichash_final(&(*digest)->state, hash, ARCHIVE_DIGEST_SIZE);
    free(*digest);
    *digest = NULL;
}
