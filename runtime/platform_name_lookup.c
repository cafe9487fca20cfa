/* getaddrinfo on threads that nobody waits for: see the header. A thread shares the look-up with
 * its owner, and whoever of both goes last frees it. Must not know what the addresses are for. */
#include "runtime/name_lookup.h"

#include "runtime/clock.h"
#include "runtime/platform_thread.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STACK_SIZE = 524288 }; /* of a thread: name services are libraries of others */

struct name_lookup {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t ended;
    uint32_t holders; /* the owner, and the thread */
    bool is_under_way;
    bool has_failed;      /* the last one that ended */
    bool was_slow;        /* somebody gave up waiting for the one under way */
    uint64_t begun_ms;    /* the one under way */
    uint64_t ended_ms;    /* the last one; 0: none */
    uint64_t patience_ms; /* for the one under way */
    name_addresses_t found;
    char name[];
};

bool name_is_address(const char *name)
{
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || strchr(name, ':') != NULL; /* and its zone */
}

name_lookup_t *name_lookup_create(const char *name)
{
    const size_t size = strlen(name) + 1;
    name_lookup_t *const created = calloc(1, sizeof *created + size);
    assert(created != NULL);
    memcpy(created->name, name, size);
    created->holders = 1;
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    assert(failed == 0);
    failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    assert(failed == 0);
    failed = pthread_cond_init(&created->ended, &attributes);
    assert(failed == 0);
    (void)pthread_condattr_destroy(&attributes);
    failed = pthread_mutex_init(&created->mutex, NULL);
    assert(failed == 0);
    return created;
}

static void release(name_lookup_t *lookup)
{
    pthread_mutex_lock(&lookup->mutex);
    assert(lookup->holders > 0);
    lookup->holders--;
    const bool is_last = lookup->holders == 0;
    pthread_mutex_unlock(&lookup->mutex);
    if (is_last) {
        (void)pthread_cond_destroy(&lookup->ended);
        (void)pthread_mutex_destroy(&lookup->mutex);
        free(lookup);
    }
}

void name_lookup_destroy(name_lookup_t **lookup)
{
    if (*lookup != NULL) {
        release(*lookup);
        *lookup = NULL;
    }
}

/* --- On the thread --- */

static void addresses_take(const struct addrinfo *entries, name_addresses_t *found)
{
    *found = (name_addresses_t){0};
    for (const struct addrinfo *at = entries; at != NULL; at = at->ai_next) {
        if (found->count == LIMIT_NAME_ADDRESSES) {
            return;
        }
        char *const text = found->texts[found->count];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, NAME_ADDRESS_SIZE, NULL, 0,
                        NI_NUMERICHOST) == 0) {
            found->count++;
        }
    }
}

static void *thread_main(void *context)
{
    name_lookup_t *const lookup = context;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *entries = NULL;
    name_addresses_t found = {0};
    if (getaddrinfo(lookup->name, NULL, &hints, &entries) == 0) {
        addresses_take(entries, &found);
        freeaddrinfo(entries);
    }
    pthread_mutex_lock(&lookup->mutex);
    lookup->is_under_way = false;
    lookup->ended_ms = clock_monotonic_ms();
    lookup->has_failed = found.count == 0;
    if (!lookup->has_failed) {
        lookup->found = found;
    }
    pthread_cond_broadcast(&lookup->ended);
    pthread_mutex_unlock(&lookup->mutex);
    release(lookup);
    return NULL;
}

static bool start_thread(name_lookup_t *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    const bool is_started = platform_thread_start(&thread, &attributes, thread_main, lookup);
    (void)pthread_attr_destroy(&attributes);
    return is_started;
}

/* --- On the owner's --- */

void name_lookup_begin(name_lookup_t *lookup)
{
    const uint64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&lookup->mutex);
    const bool is_fresh = lookup->ended_ms != 0 && now_ms - lookup->ended_ms < LIMIT_NAME_FRESH_MS;
    if (!lookup->is_under_way && !is_fresh) {
        lookup->patience_ms =
            lookup->has_failed || lookup->was_slow ? LIMIT_NAME_WAIT_AGAIN_MS : LIMIT_NAME_WAIT_MS;
        lookup->was_slow = false;
        lookup->begun_ms = now_ms;
        lookup->is_under_way = true;
        lookup->holders++;
        if (!start_thread(lookup)) {
            lookup->holders--;
            lookup->is_under_way = false;
            lookup->has_failed = true;
            lookup->ended_ms = now_ms;
        }
    }
    pthread_mutex_unlock(&lookup->mutex);
}

static name_state_t state_now(name_lookup_t *lookup, uint64_t now_ms)
{
    if (!lookup->is_under_way) {
        return lookup->has_failed ? NAME_STATE_FAILED : NAME_STATE_KNOWN;
    }
    if (now_ms - lookup->begun_ms < lookup->patience_ms) {
        return NAME_STATE_PENDING;
    }
    lookup->was_slow = true;
    return NAME_STATE_FAILED;
}

name_state_t name_lookup_state(name_lookup_t *lookup)
{
    pthread_mutex_lock(&lookup->mutex);
    const name_state_t state = state_now(lookup, clock_monotonic_ms());
    pthread_mutex_unlock(&lookup->mutex);
    return state;
}

bool name_lookup_is_under_way(name_lookup_t *lookup)
{
    pthread_mutex_lock(&lookup->mutex);
    const bool is_under_way = lookup->is_under_way;
    pthread_mutex_unlock(&lookup->mutex);
    return is_under_way;
}

name_state_t name_lookup_wait(name_lookup_t *lookup)
{
    pthread_mutex_lock(&lookup->mutex);
    name_state_t state = state_now(lookup, clock_monotonic_ms());
    while (state == NAME_STATE_PENDING) { /* bounded by its patience */
        const uint64_t end_ms = lookup->begun_ms + lookup->patience_ms;
        const struct timespec end = {.tv_sec = (time_t)(end_ms / 1000),
                                     .tv_nsec = (long)(end_ms % 1000) * 1000000};
        (void)pthread_cond_timedwait(&lookup->ended, &lookup->mutex, &end);
        state = state_now(lookup, clock_monotonic_ms());
    }
    pthread_mutex_unlock(&lookup->mutex);
    return state;
}

void name_lookup_addresses(name_lookup_t *lookup, name_addresses_t *addresses)
{
    pthread_mutex_lock(&lookup->mutex);
    *addresses = lookup->found;
    pthread_mutex_unlock(&lookup->mutex);
}
