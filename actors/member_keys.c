/* Cache of opened member keys: a chained hash and a list by use. Must not log what it holds. */
#include "actors/member_keys.h"
#include "actors/domain/siphash.h"
#include <assert.h>
#include <stdlib.h>

struct member_key {
    member_key_t *chain; /* next of the same bucket */
    member_key_t *newer;
    member_key_t *older;
    uint64_t hash;
    bool is_pinned;
    uint64_t made; /* moment; 0: read from the store */
    crypto_key_t key;
    text_t tenant; /* both in `texts` */
    text_t member_id;
    char texts[];
};

struct member_keys {
    const crypto_functions_t *crypto;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    uint32_t entries_max;
    uint32_t count;
    uint32_t bucket_mask;
    uint64_t moment;         /* rises with each key that is made */
    uint64_t forgotten_made; /* the latest made one among those that had to go */
    member_key_t **buckets;
    member_key_t *newest;
    member_key_t *oldest;
};

member_keys_t *member_keys_create(const crypto_functions_t *crypto, const uint8_t hash_key[16],
                                  uint32_t entries_max)
{
    assert(entries_max > 0);
    member_keys_t *keys = calloc(1, sizeof(*keys));
    assert(keys != NULL);
    uint32_t buckets = 1;
    while (buckets < entries_max) { /* 32 rounds at most */
        buckets *= 2;
    }
    keys->crypto = crypto;
    memcpy(keys->hash_key, hash_key, sizeof(keys->hash_key));
    keys->entries_max = entries_max;
    keys->bucket_mask = buckets - 1;
    keys->buckets = calloc(buckets, sizeof(*keys->buckets));
    assert(keys->buckets != NULL);
    return keys;
}

static uint64_t hash_of(const member_keys_t *keys, text_t tenant, text_t member_id)
{
    return siphash(keys->hash_key, member_id) + 31 * siphash(keys->hash_key, tenant);
}

static void list_remove(member_keys_t *keys, member_key_t *entry)
{
    if (entry->newer != NULL) {
        entry->newer->older = entry->older;
    } else {
        keys->newest = entry->older;
    }
    if (entry->older != NULL) {
        entry->older->newer = entry->newer;
    } else {
        keys->oldest = entry->newer;
    }
}

static void list_add_newest(member_keys_t *keys, member_key_t *entry)
{
    entry->newer = NULL;
    entry->older = keys->newest;
    if (keys->newest != NULL) {
        keys->newest->newer = entry;
    } else {
        keys->oldest = entry;
    }
    keys->newest = entry;
}

static void entry_remove(member_keys_t *keys, member_key_t *entry)
{
    member_key_t **place = &keys->buckets[entry->hash & keys->bucket_mask];
    while (*place != entry) { /* it is in this chain */
        place = &(*place)->chain;
    }
    *place = entry->chain;
    list_remove(keys, entry);
    keys->count--;
    keys->crypto->wipe(&entry->key, sizeof(entry->key));
    free(entry);
}

void member_keys_destroy(member_keys_t **keys)
{
    if (*keys == NULL) {
        return;
    }
    while ((*keys)->oldest != NULL) { /* bounded by their count */
        entry_remove(*keys, (*keys)->oldest);
    }
    free((*keys)->buckets);
    free(*keys);
    *keys = NULL;
}

static member_key_t *entry_find(const member_keys_t *keys, text_t tenant, text_t member_id)
{
    const uint64_t hash = hash_of(keys, tenant, member_id);
    member_key_t *entry = keys->buckets[hash & keys->bucket_mask];
    while (entry != NULL && !(entry->hash == hash && text_equal(entry->tenant, tenant) &&
                              text_equal(entry->member_id, member_id))) {
        entry = entry->chain;
    }
    return entry;
}

const crypto_key_t *member_keys_find(member_keys_t *keys, text_t tenant, text_t member_id)
{
    member_key_t *const entry = entry_find(keys, tenant, member_id);
    if (entry == NULL) {
        return NULL;
    }
    if (keys->newest != entry) {
        list_remove(keys, entry);
        list_add_newest(keys, entry);
    }
    return &entry->key;
}

/* Pinned entries are few (those of batches under way), so the search from the old end is short. */
static void make_room(member_keys_t *keys)
{
    if (keys->count < keys->entries_max) {
        return;
    }
    member_key_t *entry = keys->oldest;
    while (entry != NULL && entry->is_pinned) {
        entry = entry->newer;
    }
    if (entry != NULL) {
        if (entry->made > keys->forgotten_made) {
            keys->forgotten_made = entry->made;
        }
        entry_remove(keys, entry);
    }
}

static member_key_t *entry_put(member_keys_t *keys, text_t tenant, text_t member_id,
                               const crypto_key_t *key)
{
    member_key_t *entry = entry_find(keys, tenant, member_id);
    if (entry != NULL) {
        entry->key = *key;
        return entry;
    }
    make_room(keys);
    entry = malloc(sizeof(*entry) + tenant.size + member_id.size);
    assert(entry != NULL);
    memcpy(entry->texts, tenant.data, tenant.size);
    memcpy(entry->texts + tenant.size, member_id.data, member_id.size);
    entry->tenant = (text_t){.data = entry->texts, .size = tenant.size};
    entry->member_id = (text_t){.data = entry->texts + tenant.size, .size = member_id.size};
    entry->hash = hash_of(keys, tenant, member_id);
    entry->is_pinned = false;
    entry->made = 0;
    entry->key = *key;
    entry->chain = keys->buckets[entry->hash & keys->bucket_mask];
    keys->buckets[entry->hash & keys->bucket_mask] = entry;
    list_add_newest(keys, entry);
    keys->count++;
    return entry;
}

void member_keys_put(member_keys_t *keys, text_t tenant, text_t member_id, const crypto_key_t *key)
{
    (void)entry_put(keys, tenant, member_id, key);
}

member_key_t *member_keys_put_pinned(member_keys_t *keys, text_t tenant, text_t member_id,
                                     const crypto_key_t *key)
{
    member_key_t *const entry = entry_put(keys, tenant, member_id, key);
    assert(!entry->is_pinned); /* one uncommitted key per member: the second card finds the first */
    entry->is_pinned = true;
    keys->moment++;
    entry->made = keys->moment;
    return entry;
}

uint64_t member_keys_moment(const member_keys_t *keys)
{
    return keys->moment;
}

bool member_keys_has_forgotten_since(const member_keys_t *keys, uint64_t moment)
{
    return keys->forgotten_made > moment;
}

void member_keys_committed(member_keys_t *keys, member_key_t *pinned)
{
    (void)keys;
    assert(pinned->is_pinned);
    pinned->is_pinned = false;
}

void member_keys_failed(member_keys_t *keys, member_key_t *pinned)
{
    assert(pinned->is_pinned);
    entry_remove(keys, pinned);
}

void member_keys_forget_tenant(member_keys_t *keys, text_t tenant)
{
    member_key_t *entry = keys->oldest;
    while (entry != NULL) { /* bounded by entries_max; happens when a tenant is deleted */
        member_key_t *const newer = entry->newer;
        if (text_equal(entry->tenant, tenant)) {
            assert(!entry->is_pinned);
            entry_remove(keys, entry);
        }
        entry = newer;
    }
}

uint32_t member_keys_count(const member_keys_t *keys)
{
    return keys->count;
}
