/* The list of revoked tokens in a front. Must not decide what follows from being on it. */
#include "actors/gateway/revoked_tokens.h"
#include <assert.h>
#include <stdlib.h>

#define TOPIC "revoked"

enum { MESSAGE_SIZE = REVOKED_HASH_SIZE + 8 };

typedef struct revoked_entry {
    uint8_t hash[REVOKED_HASH_SIZE];
    int64_t expires_at_ms;
} revoked_entry_t;

struct revoked_tokens {
    cache_t *cache;
    int64_t (*wall_ms)(void);
    bool is_known;            /* the directory has been read once: nothing in it is news */
    revoked_entry_t *entries; /* of the directory, in order of hash */
    size_t count;
    revoked_entry_t heard[LIMIT_REVOKED_HEARD]; /* a ring */
    uint32_t heard_count;
};

static int compare(const void *a, const void *b)
{
    return memcmp(((const revoked_entry_t *)a)->hash, ((const revoked_entry_t *)b)->hash,
                  REVOKED_HASH_SIZE);
}

static bool is_listed(const revoked_tokens_t *revoked, const uint8_t *hash)
{
    revoked_entry_t wanted;
    memcpy(wanted.hash, hash, REVOKED_HASH_SIZE);
    return revoked->count > 0 && bsearch(&wanted, revoked->entries, revoked->count,
                                         sizeof(*revoked->entries), compare) != NULL;
}

bool revoked_tokens_has(const revoked_tokens_t *revoked, const uint8_t hash[REVOKED_HASH_SIZE])
{
    if (is_listed(revoked, hash)) {
        return true;
    }
    const uint32_t count =
        revoked->heard_count < LIMIT_REVOKED_HEARD ? revoked->heard_count : LIMIT_REVOKED_HEARD;
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(revoked->heard[i].hash, hash, REVOKED_HASH_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* --- Between nodes --- */

static void tell(revoked_tokens_t *revoked, const revoked_entry_t *entry)
{
    uint8_t message[MESSAGE_SIZE];
    memcpy(message, entry->hash, REVOKED_HASH_SIZE);
    for (size_t i = 0; i < 8; i++) {
        message[REVOKED_HASH_SIZE + i] = (uint8_t)((uint64_t)entry->expires_at_ms >> (56 - 8 * i));
    }
    const text_t payload = {.data = (const char *)message, .size = sizeof(message)};
    (void)!revoked->cache->functions->publish(revoked->cache, TEXT_NONE, TEXT_LITERAL(TOPIC),
                                              payload); /* they read it in the store anyway */
}

static void heard(void *context, text_t tenant, text_t payload)
{
    revoked_tokens_t *const revoked = context;
    uint64_t expires_at_ms = 0;
    if (tenant.size > 0 || payload.size != MESSAGE_SIZE) {
        return;
    }
    for (size_t i = 0; i < 8; i++) {
        expires_at_ms = expires_at_ms << 8 | (uint8_t)payload.data[REVOKED_HASH_SIZE + i];
    }
    const uint8_t *const hash = (const uint8_t *)payload.data;
    if (expires_at_ms > INT64_MAX || (int64_t)expires_at_ms <= revoked->wall_ms() ||
        revoked_tokens_has(revoked, hash)) {
        return;
    }
    revoked_entry_t *const entry = &revoked->heard[revoked->heard_count % LIMIT_REVOKED_HEARD];
    memcpy(entry->hash, hash, REVOKED_HASH_SIZE);
    entry->expires_at_ms = (int64_t)expires_at_ms;
    revoked->heard_count++;
}

/* --- The directory --- */

void revoked_tokens_set(revoked_tokens_t *revoked, const directory_revoked_t *tokens, size_t count)
{
    revoked_entry_t *entries = calloc(count + 1, sizeof(*entries));
    assert(entries != NULL);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (tokens[i].hash.size == REVOKED_HASH_SIZE) {
            memcpy(entries[kept].hash, tokens[i].hash.data, REVOKED_HASH_SIZE);
            entries[kept].expires_at_ms = tokens[i].expires_at;
            kept++;
        }
    }
    qsort(entries, kept, sizeof(*entries), compare);
    for (size_t i = 0; i < kept && revoked->cache != NULL && revoked->is_known; i++) {
        if (!revoked_tokens_has(revoked, entries[i].hash)) {
            tell(revoked, &entries[i]);
        }
    }
    free(revoked->entries);
    revoked->entries = entries;
    revoked->count = kept;
    revoked->is_known = true;
}

result_t revoked_tokens_create(cache_t *cache, int64_t (*wall_ms)(void), revoked_tokens_t **revoked)
{
    revoked_tokens_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->cache = cache;
    made->wall_ms = wall_ms;
    if (cache != NULL) {
        cache->functions->subscribe(cache, TOPIC, heard, made);
    }
    *revoked = made;
    return RESULT_OK;
}

void revoked_tokens_destroy(revoked_tokens_t **revoked)
{
    if (*revoked != NULL) {
        free((*revoked)->entries);
        free(*revoked);
        *revoked = NULL;
    }
}
