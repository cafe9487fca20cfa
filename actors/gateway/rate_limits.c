/* Limits and live counts per second. Must not know what a request asks for. */
#include "actors/gateway/rate_limits.h"
#include "actors/domain/siphash.h"
#include "actors/gateway/shared_count.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WINDOW_MS = 1000,
    TTL_MS = 5000,    /* clocks of nodes may differ by some seconds */
    SETTLED_MS = 500, /* by then all nodes have told of the window before */
    ASKING_WINDOWS = 10,
    PROBES = 8, /* places that an entry may have in the table */
    KEY_SIZE = 64,
    LIVE_KINDS = 2,
};

typedef struct rate_entry {
    uint64_t hash;
    rate_scope_t scope; /* NONE: unused */
    uint8_t tenant_size;
    char tenant[LIMIT_TENANT_NAME_SIZE];
    uint64_t used_window;
    shared_count_t count;
} rate_entry_t;

/* Two windows: while one is counted, the one before becomes known. */
typedef struct live {
    const char *key;
    shared_count_t counts[2];
    metric_t *of_node;
    metric_t *of_all;
} live_t;

struct rate_limits {
    cache_t *cache;
    loop_timer_t *timer;
    rate_limits_settings_t settings;
    live_t live[LIVE_KINDS]; /* requests, validations */
    metric_t *limited[RATE_SCOPE_TENANT + 1];
    metric_t *uncounted;
    rate_entry_t *entries; /* LIMIT_RATE_ENTRIES; touched as they are used */
};

static uint64_t window_of(const rate_limits_t *limits)
{
    const int64_t now_ms = limits->settings.wall_ms();
    return now_ms < WINDOW_MS ? 1 : (uint64_t)now_ms / WINDOW_MS;
}

/* --- Entries --- */

static bool is_entry_of(const rate_entry_t *entry, rate_scope_t scope, text_t tenant, uint64_t hash)
{
    return entry->scope == scope && entry->hash == hash && entry->tenant_size == tenant.size &&
           memcmp(entry->tenant, tenant.data, tenant.size) == 0;
}

/* NULL: all places are taken by those who came in this second. */
static rate_entry_t *entry_of(rate_limits_t *limits, rate_scope_t scope, text_t tenant,
                              uint64_t hash, uint64_t window)
{
    rate_entry_t *unused = NULL;
    for (uint32_t i = 0; i < PROBES; i++) {
        rate_entry_t *const entry = &limits->entries[(hash + i) % LIMIT_RATE_ENTRIES];
        if (is_entry_of(entry, scope, tenant, hash)) {
            return entry;
        }
        const bool is_old = entry->used_window != window && !entry->count.is_under_way;
        if (unused == NULL && (entry->scope == RATE_SCOPE_NONE || is_old)) {
            unused = entry;
        }
    }
    if (unused != NULL) {
        *unused = (rate_entry_t){.hash = hash, .scope = scope, .tenant_size = (uint8_t)tenant.size};
        memcpy(unused->tenant, tenant.data, tenant.size);
    }
    return unused;
}

static rate_entry_t *entry_below(rate_limits_t *limits, rate_scope_t scope, uint32_t most,
                                 text_t tenant, uint64_t hash, uint64_t window, bool *is_reached)
{
    *is_reached = false;
    if (most == 0) {
        return NULL;
    }
    rate_entry_t *const entry = entry_of(limits, scope, tenant, hash, window);
    if (entry == NULL) {
        metric_add(limits->uncounted, 1);
        return NULL;
    }
    entry->used_window = window;
    *is_reached = shared_count_sum(&entry->count, window) >= most;
    return entry;
}

static void count_live(live_t *live, uint64_t window)
{
    shared_count_add(&live->counts[window & 1], window, 1);
}

rate_scope_t rate_limits_take(rate_limits_t *limits, text_t tenant, uint64_t token_hash,
                              bool is_validation)
{
    const rate_limits_settings_t *const settings = &limits->settings;
    const uint64_t window = window_of(limits);
    bool is_reached = false;
    assert(tenant.size > 0 && tenant.size <= LIMIT_TENANT_NAME_SIZE);
    rate_entry_t *const of_token = entry_below(limits, RATE_SCOPE_TOKEN, settings->per_token,
                                               tenant, token_hash, window, &is_reached);
    if (is_reached) {
        metric_add(limits->limited[RATE_SCOPE_TOKEN], 1);
        return RATE_SCOPE_TOKEN;
    }
    rate_entry_t *const of_tenant = entry_below(limits, RATE_SCOPE_TENANT, settings->per_tenant,
                                                tenant, siphash_fixed(tenant), window, &is_reached);
    if (is_reached) {
        metric_add(limits->limited[RATE_SCOPE_TENANT], 1);
        return RATE_SCOPE_TENANT;
    }
    if (of_token != NULL) {
        shared_count_add(&of_token->count, window, 1);
    }
    if (of_tenant != NULL) {
        shared_count_add(&of_tenant->count, window, 1);
    }
    count_live(&limits->live[0], window);
    if (is_validation) {
        count_live(&limits->live[1], window);
    }
    return RATE_SCOPE_NONE;
}

/* --- Telling the others --- */

/* A tenant that was busy here a moment ago will be again: what the others let through meanwhile is
 * asked for before its next request comes. Tokens are too many for that, and each is mostly used at
 * one node. */
static void exchange_entry(rate_limits_t *limits, rate_entry_t *entry, uint64_t window)
{
    char key[KEY_SIZE];
    const bool asks =
        entry->scope == RATE_SCOPE_TENANT && window - entry->used_window <= ASKING_WINDOWS;
    if (entry->scope == RATE_SCOPE_NONE || (entry->count.window != window && !asks)) {
        return;
    }
    shared_count_add(&entry->count, window, 0);
    const text_t tenant = {.data = entry->tenant, .size = entry->tenant_size};
    if (entry->scope == RATE_SCOPE_TOKEN) {
        (void)snprintf(key, sizeof(key), "rate:token:%016llx:%llu", (unsigned long long)entry->hash,
                       (unsigned long long)window);
    } else {
        (void)snprintf(key, sizeof(key), "rate:tenant:%llu", (unsigned long long)window);
    }
    shared_count_exchange(&entry->count, limits->cache, tenant, text_from_c(key), TTL_MS, asks);
}

static bool is_settled(const rate_limits_t *limits)
{
    return limits->settings.wall_ms() % WINDOW_MS >= SETTLED_MS;
}

/* Of the window before, what the others counted last is asked for until it is shown: also by a node
 * that counted nothing then, or nothing after them. */
static void exchange_live(rate_limits_t *limits, live_t *live)
{
    const uint64_t before = window_of(limits) - 1;
    shared_count_add(&live->counts[before & 1], before, 0);
    for (size_t i = 0; i < 2; i++) {
        char key[KEY_SIZE];
        shared_count_t *const count = &live->counts[i];
        const bool asks = i == (before & 1) && !is_settled(limits);
        (void)snprintf(key, sizeof(key), "live:%s:%llu", live->key,
                       (unsigned long long)count->window);
        shared_count_exchange(count, limits->cache, TEXT_NONE, text_from_c(key), TTL_MS, asks);
    }
}

static void show_live(const rate_limits_t *limits, const live_t *live)
{
    const uint64_t window = window_of(limits);
    if (!is_settled(limits)) {
        return;
    }
    const shared_count_t *const before = &live->counts[(window - 1) & 1];
    const bool is_known = before->window == window - 1;
    metric_set(live->of_node, is_known ? (int64_t)before->own : 0);
    metric_set(live->of_all, (int64_t)shared_count_sum(before, window - 1));
}

static void exchange(void *context)
{
    rate_limits_t *const limits = context;
    const uint64_t window = window_of(limits);
    const bool is_shared = limits->cache->functions->is_shared(limits->cache);
    const bool has_limits = limits->settings.per_token > 0 || limits->settings.per_tenant > 0;
    for (size_t i = 0; is_shared && has_limits && i < LIMIT_RATE_ENTRIES; i++) {
        exchange_entry(limits, &limits->entries[i], window);
    }
    for (size_t i = 0; i < LIVE_KINDS; i++) {
        if (is_shared) {
            exchange_live(limits, &limits->live[i]);
        }
        show_live(limits, &limits->live[i]);
    }
}

/* --- Life --- */

static void live_init(live_t *live, metrics_t *metrics, const char *key, const char *of_node,
                      const char *of_all)
{
    static const char help[] = "In the last second, of this front and of all that share a cache";
    live->key = key;
    live->of_node = metrics_gauge(metrics, "digitalcard_live_per_second", of_node, help);
    live->of_all = metrics_gauge(metrics, "digitalcard_live_per_second", of_all, help);
}

static void numbers_init(rate_limits_t *limits, metrics_t *metrics)
{
    static const char help[] = "Requests refused with 429 by whose limit it was";
    live_init(&limits->live[0], metrics, "requests", "what=\"requests\",scope=\"front\"",
              "what=\"requests\",scope=\"all\"");
    live_init(&limits->live[1], metrics, "validations", "what=\"validations\",scope=\"front\"",
              "what=\"validations\",scope=\"all\"");
    limits->limited[RATE_SCOPE_TOKEN] =
        metrics_counter(metrics, "digitalcard_requests_limited_total", "scope=\"token\"", help);
    limits->limited[RATE_SCOPE_TENANT] =
        metrics_counter(metrics, "digitalcard_requests_limited_total", "scope=\"tenant\"", help);
    limits->uncounted =
        metrics_counter(metrics, "digitalcard_requests_uncounted_total", "",
                        "Requests let through because the table of limits was full");
}

result_t rate_limits_create(loop_t *loop, metrics_t *metrics, cache_t *cache,
                            const rate_limits_settings_t *settings, rate_limits_t **limits)
{
    rate_limits_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->cache = cache;
    made->settings = *settings;
    made->entries = calloc(LIMIT_RATE_ENTRIES, sizeof(*made->entries));
    made->timer = loop_timer_create(loop, exchange, made);
    if (made->entries == NULL || made->timer == NULL) {
        rate_limits_destroy(&made);
        return RESULT_NO_MEMORY;
    }
    numbers_init(made, metrics);
    loop_timer_start(made->timer, LIMIT_RATE_EXCHANGE_MS, LIMIT_RATE_EXCHANGE_MS);
    *limits = made;
    return RESULT_OK;
}

void rate_limits_destroy(rate_limits_t **limits)
{
    rate_limits_t *const old = *limits;
    *limits = NULL;
    if (old == NULL) {
        return;
    }
    if (old->timer != NULL) {
        loop_timer_destroy(&old->timer);
    }
    free(old->entries);
    free(old);
}
