/* The host names of servers. Each is looked up by a thread of its own, one at a time, which is left
 * behind when it hangs: libuv's look-ups would share its few threads with other work of the role,
 * and be waited for when the role ends. Must not know what is at an address. */
#include "adapters/cache_redis/cache_redis_internal.h"
#include <stdio.h>
#include <string.h>

static redis_name_t *name_find(redis_name_t names[REDIS_NAMES], const char *host)
{
    redis_name_t *place = NULL;
    for (size_t i = 0; i < REDIS_NAMES; i++) {
        if (names[i].lookup != NULL && strcmp(names[i].host, host) == 0) {
            return &names[i];
        }
        if (names[i].lookup == NULL && place == NULL) {
            place = &names[i];
        }
    }
    return place; /* a free one */
}

static bool is_in_use(const cache_redis_t *cache, const char *host)
{
    for (uint32_t i = 0; i < cache->url.address_count; i++) {
        if (strcmp(cache->url.addresses[i].host, host) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < REDIS_NODES; i++) {
        if (strcmp(cache->nodes[i].address.host, host) == 0) {
            return true;
        }
    }
    return false;
}

/* Servers may tell ever new names. One whose look-up hangs keeps its place: otherwise there would
 * be no bound on the threads that are left behind. */
static redis_name_t *name_give_back(cache_redis_t *cache)
{
    for (size_t i = 0; i < REDIS_NAMES; i++) {
        redis_name_t *const name = &cache->names[i];
        if (!is_in_use(cache, name->host) && !name_lookup_is_under_way(name->lookup)) {
            name_lookup_destroy(&name->lookup);
            return name;
        }
    }
    return NULL;
}

bool redis_name_begin(cache_redis_t *cache, const char *host)
{
    if (name_is_address(host)) {
        return true;
    }
    redis_name_t *name = name_find(cache->names, host);
    if (name == NULL) {
        name = name_give_back(cache);
    }
    if (name == NULL) {
        return false;
    }
    if (name->lookup == NULL) {
        (void)snprintf(name->host, sizeof name->host, "%s", host);
        name->lookup = name_lookup_create(host);
    }
    name_lookup_begin(name->lookup);
    return true;
}

name_state_t redis_name_address(const redis_name_t names[REDIS_NAMES], const char *host,
                                uint32_t turn, char address[NAME_ADDRESS_SIZE])
{
    if (name_is_address(host)) {
        (void)snprintf(address, NAME_ADDRESS_SIZE, "%.*s", NAME_ADDRESS_SIZE - 1, host);
        return NAME_STATE_KNOWN;
    }
    const redis_name_t *name = NULL;
    for (size_t i = 0; i < REDIS_NAMES && name == NULL; i++) {
        name = names[i].lookup != NULL && strcmp(names[i].host, host) == 0 ? &names[i] : NULL;
    }
    name_addresses_t found = {0};
    if (name == NULL) {
        return NAME_STATE_FAILED;
    }
    if (name_lookup_state(name->lookup) == NAME_STATE_PENDING) {
        return NAME_STATE_PENDING;
    }
    name_lookup_addresses(name->lookup, &found);
    if (found.count == 0) {
        return NAME_STATE_FAILED;
    }
    (void)snprintf(address, NAME_ADDRESS_SIZE, "%s", found.texts[turn % found.count]);
    return NAME_STATE_KNOWN;
}

void redis_names_forget(redis_name_t names[REDIS_NAMES])
{
    for (size_t i = 0; i < REDIS_NAMES; i++) {
        name_lookup_destroy(&names[i].lookup);
    }
}
