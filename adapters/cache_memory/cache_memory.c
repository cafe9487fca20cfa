/* A bounded table with times of expiry. The entry that was used longest ago goes first. Answers
 * come at the end of the turn, as those of a server come later: callers must not depend on either.
 */
#include "adapters/cache_memory/cache_memory.h"
#include "runtime/keyed_hash.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 2 * LIMIT_CACHE_ENTRIES, /* a power of two: chains of half an entry */
    NAME_SIZE = LIMIT_TENANT_NAME_SIZE + 1 + LIMIT_CACHE_KEY_SIZE,
    NONE = UINT16_MAX,
};
_Static_assert((int)LIMIT_CACHE_ENTRIES < (int)NONE, "entries are named by 16 bits");
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "buckets are chosen by a mask");

typedef struct entry {
    bool is_number;
    uint16_t chain;
    uint16_t newer;
    uint16_t older;
    uint32_t name_size;
    uint64_t ends_ms;
    int64_t number;
    cache_version_t version;
    char *value; /* malloc; NULL: empty or a number */
    size_t value_size;
    char name[NAME_SIZE];
} entry_t;

typedef struct answer {
    cache_got_t *got;
    cache_added_t *added;
    void *context;
    result_t result;
    int64_t sum;
    char *value; /* a copy: the entry may go before it is told */
    size_t value_size;
} answer_t;

typedef struct cache_memory {
    cache_t base;
    loop_t *loop;
    loop_hook_t *hook;
    keyed_hash_key_t hash_key;
    uint16_t newest;
    uint16_t oldest;
    uint16_t free_first;
    uint32_t entry_count;
    uint32_t answer_first;
    uint32_t answer_count;
    uint16_t buckets[BUCKETS];
    entry_t *entries;  /* LIMIT_CACHE_ENTRIES; touched as they are used */
    answer_t *answers; /* LIMIT_CACHE_PENDING, a ring */
    uint32_t entries_touched;
} cache_memory_t;

static cache_memory_t *cache_of(cache_t *cache)
{
    return (cache_memory_t *)cache; /* base is its first member */
}

/* --- Entries --- */

typedef struct name {
    char bytes[NAME_SIZE];
    size_t size;
} name_t;

static bool name_make(text_t tenant, text_t key, name_t *name)
{
    if (tenant.size > LIMIT_TENANT_NAME_SIZE || key.size == 0 || key.size > LIMIT_CACHE_KEY_SIZE) {
        return false;
    }
    name->size = tenant.size + 1 + key.size;
    if (tenant.size > 0) {
        memcpy(name->bytes, tenant.data, tenant.size);
    }
    name->bytes[tenant.size] = '\0'; /* stands in no tenant's name */
    memcpy(name->bytes + tenant.size + 1, key.data, key.size);
    return true;
}

static uint16_t *bucket_of(cache_memory_t *cache, const char *name, size_t size)
{
    return &cache->buckets[keyed_hash(&cache->hash_key, name, size) & (BUCKETS - 1)];
}

static void unlink_use(cache_memory_t *cache, const entry_t *entry)
{
    if (entry->newer == NONE) {
        cache->newest = entry->older;
    } else {
        cache->entries[entry->newer].older = entry->older;
    }
    if (entry->older == NONE) {
        cache->oldest = entry->newer;
    } else {
        cache->entries[entry->older].newer = entry->newer;
    }
}

static void link_newest(cache_memory_t *cache, entry_t *entry)
{
    const uint16_t index = (uint16_t)(entry - cache->entries);
    entry->newer = NONE;
    entry->older = cache->newest;
    if (cache->newest == NONE) {
        cache->oldest = index;
    } else {
        cache->entries[cache->newest].newer = index;
    }
    cache->newest = index;
}

static void entry_drop(cache_memory_t *cache, entry_t *entry)
{
    const uint16_t index = (uint16_t)(entry - cache->entries);
    uint16_t *place = bucket_of(cache, entry->name, entry->name_size);
    while (*place != index) { /* it is in this chain */
        place = &cache->entries[*place].chain;
    }
    *place = entry->chain;
    unlink_use(cache, entry);
    free(entry->value);
    *entry = (entry_t){.chain = cache->free_first};
    cache->free_first = index;
    cache->entry_count--;
}

/* NULL: not there, or its time is over. */
static entry_t *entry_find(cache_memory_t *cache, const name_t *name)
{
    uint16_t index = *bucket_of(cache, name->bytes, name->size);
    while (index != NONE) { /* bounded by LIMIT_CACHE_ENTRIES */
        entry_t *const entry = &cache->entries[index];
        if (entry->name_size == name->size && memcmp(entry->name, name->bytes, name->size) == 0) {
            if (entry->ends_ms <= loop_now_ms(cache->loop)) {
                entry_drop(cache, entry);
                return NULL;
            }
            unlink_use(cache, entry);
            link_newest(cache, entry);
            return entry;
        }
        index = entry->chain;
    }
    return NULL;
}

static entry_t *entry_make(cache_memory_t *cache, const name_t *name, uint32_t ttl_ms)
{
    if (cache->entry_count == LIMIT_CACHE_ENTRIES) {
        entry_drop(cache, &cache->entries[cache->oldest]);
    }
    uint16_t index = cache->free_first;
    if (index == NONE) {
        index = (uint16_t)cache->entries_touched;
        cache->entries_touched++;
    } else {
        cache->free_first = cache->entries[index].chain;
    }
    entry_t *const entry = &cache->entries[index];
    uint16_t *const bucket = bucket_of(cache, name->bytes, name->size);
    *entry = (entry_t){.chain = *bucket,
                       .name_size = (uint32_t)name->size,
                       .ends_ms = loop_now_ms(cache->loop) + ttl_ms};
    memcpy(entry->name, name->bytes, name->size);
    *bucket = index;
    link_newest(cache, entry);
    cache->entry_count++;
    return entry;
}

/* --- Answers --- */

static result_t answer_later(cache_memory_t *cache, const answer_t *answer, const char *value)
{
    if (cache->answer_count == LIMIT_CACHE_PENDING) {
        return RESULT_BUSY;
    }
    const uint32_t place = (cache->answer_first + cache->answer_count) % LIMIT_CACHE_PENDING;
    cache->answers[place] = *answer;
    if (answer->value_size > 0) {
        cache->answers[place].value = malloc(answer->value_size);
        if (cache->answers[place].value == NULL) {
            return RESULT_BUSY;
        }
        memcpy(cache->answers[place].value, value, answer->value_size);
    }
    cache->answer_count++;
    loop_again(cache->loop);
    return RESULT_OK;
}

/* What is asked by an answer is answered in the next turn. */
static void answers_tell(void *context)
{
    cache_memory_t *const cache = context;
    for (uint32_t left = cache->answer_count; left > 0; left--) {
        const answer_t answer = cache->answers[cache->answer_first];
        cache->answer_first = (cache->answer_first + 1) % LIMIT_CACHE_PENDING;
        cache->answer_count--;
        if (answer.got != NULL) {
            answer.got(answer.context, answer.result,
                       (text_t){.data = answer.value, .size = answer.value_size});
        } else {
            answer.added(answer.context, answer.result, answer.sum);
        }
        free(answer.value);
    }
}

/* --- The port --- */

static result_t memory_get(cache_t *base, text_t tenant, text_t key, cache_got_t *done,
                           void *context)
{
    cache_memory_t *const cache = cache_of(base);
    name_t name;
    if (!name_make(tenant, key, &name)) {
        return RESULT_INVALID_ARGUMENT;
    }
    const entry_t *const entry = entry_find(cache, &name);
    const bool is_there = entry != NULL && !entry->is_number;
    const answer_t answer = {.got = done,
                             .context = context,
                             .result = is_there ? RESULT_OK : RESULT_MISSING,
                             .value_size = is_there ? entry->value_size : 0};
    return answer_later(cache, &answer, is_there ? entry->value : NULL);
}

static bool is_newer(const cache_version_t *a, const cache_version_t *b)
{
    return a->major > b->major || (a->major == b->major && a->minor > b->minor);
}

static result_t memory_put(cache_t *base, text_t tenant, text_t key, const cache_version_t *version,
                           text_t value, uint32_t ttl_ms)
{
    cache_memory_t *const cache = cache_of(base);
    name_t name;
    if (!name_make(tenant, key, &name) || value.size > LIMIT_CACHE_VALUE_SIZE || ttl_ms == 0) {
        return RESULT_INVALID_ARGUMENT;
    }
    entry_t *entry = entry_find(cache, &name);
    if (entry != NULL && !entry->is_number && is_newer(&entry->version, version)) {
        return RESULT_OK;
    }
    char *const copy = value.size == 0 ? NULL : malloc(value.size);
    if (value.size > 0 && copy == NULL) {
        return RESULT_BUSY;
    }
    if (value.size > 0) {
        memcpy(copy, value.data, value.size);
    }
    if (entry != NULL) {
        entry_drop(cache, entry);
    }
    entry = entry_make(cache, &name, ttl_ms);
    entry->version = *version;
    entry->value = copy;
    entry->value_size = value.size;
    return RESULT_OK;
}

static result_t memory_add(cache_t *base, text_t tenant, text_t key, int64_t amount,
                           uint32_t ttl_ms, cache_added_t *done, void *context)
{
    cache_memory_t *const cache = cache_of(base);
    name_t name;
    if (!name_make(tenant, key, &name) || ttl_ms == 0) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (cache->answer_count == LIMIT_CACHE_PENDING) {
        return RESULT_BUSY; /* before anything is added */
    }
    entry_t *entry = entry_find(cache, &name);
    if (entry == NULL) {
        entry = entry_make(cache, &name, ttl_ms);
        entry->is_number = true;
    }
    entry->number += amount;
    const answer_t answer = {
        .added = done, .context = context, .result = RESULT_OK, .sum = entry->number};
    return answer_later(cache, &answer, NULL);
}

static result_t memory_publish(cache_t *cache, text_t tenant, text_t topic, text_t payload)
{
    (void)cache;
    (void)tenant;
    (void)topic;
    return payload.size <= LIMIT_CACHE_VALUE_SIZE ? RESULT_OK : RESULT_INVALID_ARGUMENT;
}

static void memory_subscribe(cache_t *cache, const char *topic, cache_heard_t *heard, void *context)
{
    (void)cache;
    (void)topic;
    (void)heard;
    (void)context;
}

static bool memory_is_shared(const cache_t *cache)
{
    (void)cache;
    return false;
}

static size_t memory_status(const cache_t *base, char *out, size_t capacity)
{
    const cache_memory_t *const cache = (const cache_memory_t *)base;
    char text[96];
    const int size = snprintf(
        text, sizeof text, "{\"kind\":\"memory\",\"up\":false,\"entries\":%u}", cache->entry_count);
    assert(size > 0 && (size_t)size < sizeof text);
    if ((size_t)size <= capacity) {
        memcpy(out, text, (size_t)size);
    }
    return (size_t)size;
}

static const cache_functions_t functions = {
    .get = memory_get,
    .put = memory_put,
    .add = memory_add,
    .publish = memory_publish,
    .subscribe = memory_subscribe,
    .is_shared = memory_is_shared,
    .status = memory_status,
};

result_t cache_memory_create(loop_t *loop, cache_t **cache)
{
    cache_memory_t *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->base.functions = &functions;
    made->loop = loop;
    made->newest = NONE;
    made->oldest = NONE;
    made->free_first = NONE;
    random_fill(&made->hash_key, sizeof made->hash_key);
    memset(made->buckets, 0xff, sizeof made->buckets); /* NONE */
    made->entries = calloc(LIMIT_CACHE_ENTRIES, sizeof *made->entries);
    made->answers = calloc(LIMIT_CACHE_PENDING, sizeof *made->answers);
    made->hook = loop_hook_create(loop, answers_tell, made);
    *cache = &made->base;
    if (made->entries == NULL || made->answers == NULL || made->hook == NULL) {
        cache_memory_destroy(cache);
        return RESULT_NO_MEMORY;
    }
    return RESULT_OK;
}

void cache_memory_destroy(cache_t **cache)
{
    if (*cache == NULL) {
        return;
    }
    cache_memory_t *const closing = cache_of(*cache);
    *cache = NULL;
    for (uint32_t i = 0; i < closing->answer_count; i++) {
        answer_t *const answer =
            &closing->answers[(closing->answer_first + i) % LIMIT_CACHE_PENDING];
        answer->result = RESULT_UNAVAILABLE;
        answer->value_size = 0;
    }
    if (closing->answers != NULL) {
        answers_tell(closing);
        for (uint32_t i = 0; i < closing->answer_count; i++) { /* asked while it ended */
            free(closing->answers[(closing->answer_first + i) % LIMIT_CACHE_PENDING].value);
        }
    }
    for (uint32_t i = 0; closing->entries != NULL && i < closing->entries_touched; i++) {
        free(closing->entries[i].value);
    }
    if (closing->hook != NULL) {
        loop_hook_destroy(&closing->hook);
    }
    free(closing->entries);
    free(closing->answers);
    free(closing);
}
