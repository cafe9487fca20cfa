/* Cache of the control store's directory. Must not open tenants or read secrets. */
#include "actors/shard/directory.h"
#include "actors/domain/card_id.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

static_assert((int)LIMIT_TENANT_NAME_SIZE == (int)TENANT_NAME_SIZE_MAX, "room for every name");

enum { KID_SIZE_MAX = 64, JWK_SIZE_MAX = 1024 }; /* messages/internal.def */

typedef struct tenant_entry {
    uint32_t partitions;
    uint32_t name_size;
    int64_t created_at;
    char name[LIMIT_TENANT_NAME_SIZE];
} tenant_entry_t;

typedef struct token_key_entry {
    size_t kid_size;
    size_t jwk_size;
    char kid[KID_SIZE_MAX];
    char jwk[JWK_SIZE_MAX];
} token_key_entry_t;

typedef struct revoked_entry {
    uint8_t hash[REVOCATION_HASH_SIZE];
    int64_t expires_at;
} revoked_entry_t;

typedef struct contents {
    tenant_entry_t *tenants; /* in order of name */
    uint32_t tenant_count;
    uint32_t tenant_capacity;
    uint32_t token_key_count;
    token_key_entry_t token_keys[DIRECTORY_TOKEN_KEYS];
    uint32_t revoked_count;
    revoked_entry_t *revoked; /* LIMIT_REVOKED_TOKENS, or NULL when there are none */
} contents_t;

struct directory_cache {
    control_store_t *control;
    revocations_t *revocations;
    int64_t (*wall_ms)(void);
    bool is_known;
    uint64_t version;
    contents_t contents;
};

static void contents_free(contents_t *contents)
{
    free(contents->tenants);
    free(contents->revoked);
}

directory_cache_t *directory_create(control_store_t *control, revocations_t *revocations,
                                    int64_t (*wall_ms)(void))
{
    directory_cache_t *directory = calloc(1, sizeof(*directory));
    assert(directory != NULL);
    directory->control = control;
    directory->revocations = revocations;
    directory->wall_ms = wall_ms;
    return directory;
}

void directory_destroy(directory_cache_t **directory)
{
    if (*directory == NULL) {
        return;
    }
    contents_free(&(*directory)->contents);
    free(*directory);
    *directory = NULL;
}

static bool add_tenant(void *context, const control_tenant_t *tenant)
{
    contents_t *const contents = context;
    if (contents->tenant_count >= LIMIT_DIRECTORY_TENANTS ||
        tenant->name.size > LIMIT_TENANT_NAME_SIZE) {
        log_error("a tenant is not served: the directory has as many as it can hold, or its name "
                  "is too long",
                  LOG_TEXT("tenant", tenant->name.data, tenant->name.size),
                  LOG_NUMBER("tenants", contents->tenant_count));
        return contents->tenant_count < LIMIT_DIRECTORY_TENANTS;
    }
    if (contents->tenant_count == contents->tenant_capacity) {
        contents->tenant_capacity =
            contents->tenant_capacity == 0 ? 64 : 2 * contents->tenant_capacity;
        contents->tenants =
            realloc(contents->tenants, contents->tenant_capacity * sizeof(*contents->tenants));
        assert(contents->tenants != NULL);
    }
    tenant_entry_t *const entry = &contents->tenants[contents->tenant_count];
    contents->tenant_count++;
    entry->partitions = tenant->partitions;
    entry->created_at = tenant->created_at > 0 ? tenant->created_at : 0;
    entry->name_size = (uint32_t)tenant->name.size;
    memcpy(entry->name, tenant->name.data, tenant->name.size);
    return true;
}

static bool add_token_key(void *context, const control_token_key_t *key)
{
    contents_t *const contents = context;
    if (contents->token_key_count >= DIRECTORY_TOKEN_KEYS) {
        return false; /* newest first: the oldest are left out */
    }
    if (key->kid.size > KID_SIZE_MAX || key->public_jwk.size > JWK_SIZE_MAX) {
        log_error(
            "a token key in the control store is too large: tokens that it signed are refused",
            LOG_TEXT("kid", key->kid.data, key->kid.size));
        return true;
    }
    token_key_entry_t *const entry = &contents->token_keys[contents->token_key_count];
    contents->token_key_count++;
    entry->kid_size = key->kid.size;
    entry->jwk_size = key->public_jwk.size;
    memcpy(entry->kid, key->kid.data, key->kid.size);
    memcpy(entry->jwk, key->public_jwk.data, key->public_jwk.size);
    return true;
}

static bool add_revoked(void *context, const uint8_t hash[REVOCATION_HASH_SIZE],
                        int64_t expires_at_ms)
{
    contents_t *const contents = context;
    if (contents->revoked == NULL) {
        contents->revoked = calloc(LIMIT_REVOKED_TOKENS, sizeof(*contents->revoked));
        assert(contents->revoked != NULL);
    }
    revoked_entry_t *const entry = &contents->revoked[contents->revoked_count];
    memcpy(entry->hash, hash, sizeof(entry->hash));
    entry->expires_at = expires_at_ms;
    contents->revoked_count++;
    return contents->revoked_count < LIMIT_REVOKED_TOKENS;
}

static result_t read_contents(const directory_cache_t *directory, contents_t *contents)
{
    control_store_t *const control = directory->control;
    revocations_t *const revocations = directory->revocations;
    result_t result = control->functions->tenants(control, TEXT_NONE, add_tenant, contents);
    if (result == RESULT_OK) {
        result = control->functions->token_keys(control, add_token_key, contents);
    }
    if (result == RESULT_OK && revocations != NULL) {
        result =
            revocations->functions->visit(revocations, directory->wall_ms(), add_revoked, contents);
    }
    return result;
}

result_t directory_poll(directory_cache_t *directory, bool *changed)
{
    *changed = false;
    control_store_t *const control = directory->control;
    uint64_t version = 0;
    result_t result = control->functions->version(control, &version);
    if (result != RESULT_OK || (directory->is_known && version == directory->version)) {
        return result;
    }
    contents_t *contents = calloc(1, sizeof(*contents));
    assert(contents != NULL);
    result = read_contents(directory, contents);
    if (result == RESULT_OK) {
        contents_free(&directory->contents);
        directory->contents = *contents;
        directory->version = version;
        directory->is_known = true;
        *changed = true;
    } else {
        contents_free(contents);
    }
    free(contents);
    return result;
}

bool directory_is_known(const directory_cache_t *directory)
{
    return directory->is_known;
}

uint32_t directory_tenant_count(const directory_cache_t *directory)
{
    return directory->contents.tenant_count;
}

static text_t entry_name(const tenant_entry_t *entry)
{
    return (text_t){.data = entry->name, .size = entry->name_size};
}

/* Is `a` before `b` in the order of bytes? */
static bool is_before(text_t a, text_t b)
{
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order < 0 || (order == 0 && a.size < b.size);
}

/* Index of the first tenant that comes after `name`. */
static uint32_t index_after(const contents_t *contents, text_t name)
{
    uint32_t low = 0;
    uint32_t high = contents->tenant_count;
    while (low < high) { /* halves */
        const uint32_t middle = low + (high - low) / 2;
        if (is_before(name, entry_name(&contents->tenants[middle]))) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

text_t directory_tenant_after(const directory_cache_t *directory, text_t after)
{
    const uint32_t index = index_after(&directory->contents, after);
    if (index == directory->contents.tenant_count) {
        return TEXT_NONE;
    }
    return entry_name(&directory->contents.tenants[index]);
}

static uint32_t fill_tenants(const contents_t *contents, uint32_t first,
                             directory_tenant_t tenants[DIRECTORY_PAGE_TENANTS])
{
    uint32_t count = 0;
    while (count < DIRECTORY_PAGE_TENANTS && first + count < contents->tenant_count) {
        const tenant_entry_t *const entry = &contents->tenants[first + count];
        MESSAGE_SET(directory_tenant, &tenants[count], name, entry_name(entry));
        MESSAGE_SET(directory_tenant, &tenants[count], partitions, entry->partitions);
        MESSAGE_SET(directory_tenant, &tenants[count], created_at, (uint64_t)entry->created_at);
        count++;
    }
    return count;
}

static void fill_token_keys(const contents_t *contents,
                            directory_token_key_t keys[DIRECTORY_TOKEN_KEYS])
{
    for (uint32_t i = 0; i < contents->token_key_count; i++) {
        const token_key_entry_t *const entry = &contents->token_keys[i];
        const text_t kid = {.data = entry->kid, .size = entry->kid_size};
        const text_t jwk = {.data = entry->jwk, .size = entry->jwk_size};
        MESSAGE_SET(directory_token_key, &keys[i], kid, kid);
        MESSAGE_SET(directory_token_key, &keys[i], jwk, jwk);
    }
}

/* malloc'ed, NULL when there are none. */
static directory_revoked_t *fill_revoked(const contents_t *contents)
{
    if (contents->revoked_count == 0) {
        return NULL;
    }
    directory_revoked_t *const revoked = calloc(contents->revoked_count, sizeof(*revoked));
    assert(revoked != NULL);
    for (uint32_t i = 0; i < contents->revoked_count; i++) {
        const revoked_entry_t *const entry = &contents->revoked[i];
        const text_t hash = {.data = (const char *)entry->hash, .size = sizeof(entry->hash)};
        MESSAGE_SET(directory_revoked, &revoked[i], hash, hash);
        MESSAGE_SET(directory_revoked, &revoked[i], expires_at, entry->expires_at);
    }
    return revoked;
}

static text_t pack(const directory_t *document)
{
    const size_t size = message_pack(&directory_message, document, MESSAGE_KEYS_IDS, NULL, 0);
    uint8_t *const bytes = malloc(size);
    assert(bytes != NULL);
    const size_t packed = message_pack(&directory_message, document, MESSAGE_KEYS_IDS, bytes, size);
    assert(packed == size);
    return (text_t){.data = (const char *)bytes, .size = size};
}

text_t directory_answer(const directory_cache_t *directory, const directory_get_t *question)
{
    assert(directory->is_known);
    const contents_t *const contents = &directory->contents;
    directory_t document = {0};
    MESSAGE_SET(directory, &document, version, directory->version);
    const bool is_first = !MESSAGE_HAS(directory_get, question, after);
    const bool unchanged =
        is_first && question->known_version != 0 && question->known_version == directory->version;
    MESSAGE_SET(directory, &document, unchanged, unchanged);
    if (unchanged) {
        return pack(&document);
    }
    directory_tenant_t *tenants = calloc(DIRECTORY_PAGE_TENANTS, sizeof(*tenants));
    assert(tenants != NULL);
    directory_token_key_t token_keys[DIRECTORY_TOKEN_KEYS] = {0};
    directory_revoked_t *revoked = NULL;
    const uint32_t first = is_first ? 0 : index_after(contents, question->after);
    document.tenants_count = fill_tenants(contents, first, tenants);
    MESSAGE_SET(directory, &document, tenants, tenants);
    const bool more = first + document.tenants_count < contents->tenant_count;
    MESSAGE_SET(directory, &document, more, more);
    if (is_first) {
        fill_token_keys(contents, token_keys);
        document.token_keys_count = contents->token_key_count;
        MESSAGE_SET(directory, &document, token_keys, token_keys);
        revoked = fill_revoked(contents);
        document.revoked_count = contents->revoked_count;
        MESSAGE_SET(directory, &document, revoked, revoked);
    }
    const text_t packed = pack(&document);
    free(tenants);
    free(revoked);
    return packed;
}
