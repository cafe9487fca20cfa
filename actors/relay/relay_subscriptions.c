/* Who listens to what, and the rounds in which heads go out: once a second to every tenant that a
 * subscription names, in slices. A prefix without a whole tenant name ("", "digitalcard.",
 * "digitalcard.ac") names all tenants of the control store that begin so. One that lets no heads
 * through ("digitalcard.acme.CardRevoked") counts as well: the look into the journal before a head
 * is what finds events that no shard told of, as those of another node that Redis lost. */
#include "actors/relay/relay_internal.h"
#include <assert.h>

static const text_t topic_start = {.data = "digitalcard.", .size = 12};

/* An empty prefix may come without data. */
static bool begins_with(text_t text, text_t prefix)
{
    return text_is_empty(prefix) || text_starts_with(text, prefix);
}

/* What a prefix says about tenants. */
typedef struct prefix_meaning {
    bool names_tenants; /* it lets events of some tenant through */
    bool is_whole;      /* `tenant` is one tenant's name, else the beginning of many */
    text_t tenant;
} prefix_meaning_t;

static prefix_meaning_t read_prefix(text_t prefix)
{
    const prefix_meaning_t all = {.names_tenants = true};
    const prefix_meaning_t none = {.names_tenants = false};
    if (prefix.size <= topic_start.size) {
        return begins_with(topic_start, prefix) ? all : none;
    }
    if (!begins_with(prefix, topic_start)) {
        return none;
    }
    const text_t rest = {.data = prefix.data + topic_start.size,
                         .size = prefix.size - topic_start.size};
    const char *dot = memchr(rest.data, '.', rest.size);
    const size_t name_size = dot == NULL ? rest.size : (size_t)(dot - rest.data);
    if (name_size == 0 || name_size > LIMIT_TENANT_NAME_SIZE) {
        return none;
    }
    return (prefix_meaning_t){.names_tenants = true,
                              .is_whole = dot != NULL,
                              .tenant = {.data = rest.data, .size = name_size}};
}

static text_t prefix_of(const relay_subscription_t *subscription)
{
    return (text_t){.data = subscription->prefix, .size = subscription->prefix_size};
}

static relay_subscription_t *find(const relay_t *relay, text_t prefix)
{
    for (uint32_t i = 0; i < relay->subscription_count; i++) {
        if (text_equal(prefix_of(&relay->subscriptions[i]), prefix)) {
            return &relay->subscriptions[i];
        }
    }
    return NULL;
}

bool relay_has_subscribers(const relay_t *relay)
{
    return relay->subscription_count > 0 || relay->overflow_count > 0;
}

typedef struct existing {
    bool is_there;
    uint64_t since;
} existing_t;

static bool visit_exists(void *context, const control_tenant_t *row)
{
    *(existing_t *)context = (existing_t){.is_there = true, .since = (uint64_t)row->created_at};
    return false;
}

/* Subscribers may name tenants that do not exist: those get no place in the table. */
static existing_t look_up(const relay_t *relay, text_t name)
{
    control_store_t *control = relay->ports.control;
    existing_t existing = {0};
    const result_t result = control->functions->tenant(control, name, visit_exists, &existing);
    existing.is_there = existing.is_there && result == RESULT_OK;
    return existing;
}

/* False: there is no such tenant. */
static bool send_heads(relay_t *relay, text_t name)
{
    const existing_t existing = look_up(relay, name);
    relay_tenant_t *tenant = NULL;
    if (existing.is_there && relay_tenant_meet(relay, name, existing.since, &tenant) == RESULT_OK) {
        relay_publish_heads(tenant);
    }
    return existing.is_there;
}

static void start_round(relay_t *relay)
{
    relay->round = (relay_round_t){.is_running = true, .started_ms = loop_now_ms(relay->loop)};
}

/* False when the table is full: the prefix is counted only. */
static bool keep_subscription(relay_t *relay, text_t topic)
{
    relay_subscription_t *subscription = find(relay, topic);
    if (subscription == NULL) {
        if (relay->subscription_count >= LIMIT_EVENT_SUBSCRIPTIONS ||
            topic.size > LIMIT_EVENT_TOPIC_SIZE) {
            relay->overflow_count += 1;
            return false;
        }
        subscription = &relay->subscriptions[relay->subscription_count];
        relay->subscription_count += 1;
        *subscription = (relay_subscription_t){.prefix_size = (uint32_t)topic.size};
        if (topic.size > 0) {
            memcpy(subscription->prefix, topic.data, topic.size);
        }
    }
    subscription->count += 1;
    metric_set(relay->numbers.subscriptions, relay->subscription_count);
    return true;
}

void relay_subscribed(relay_t *relay, text_t topic)
{
    if (relay->is_draining || !keep_subscription(relay, topic)) {
        return; /* who is not in the table gets the heads of the next round */
    }
    const prefix_meaning_t meaning = read_prefix(topic);
    if (meaning.names_tenants && !meaning.is_whole && relay->round.is_running) {
        relay->round.again = true; /* who subscribes all the time must not keep it from its end */
    } else if (meaning.names_tenants && !meaning.is_whole) {
        start_round(relay);
    } else if (meaning.names_tenants) {
        (void)send_heads(relay, meaning.tenant);
    }
}

void relay_unsubscribed(relay_t *relay, text_t topic)
{
    relay_subscription_t *subscription = find(relay, topic);
    if (subscription == NULL) {
        relay->overflow_count -= relay->overflow_count > 0 ? 1 : 0;
        return;
    }
    assert(subscription->count > 0);
    subscription->count -= 1;
    if (subscription->count == 0) {
        relay->subscription_count -= 1;
        *subscription = relay->subscriptions[relay->subscription_count];
    }
    metric_set(relay->numbers.subscriptions, relay->subscription_count);
}

/* First part of a round: whole names. Returns what is left of the slice. */
static uint32_t send_named(relay_t *relay, uint32_t slice)
{
    relay_round_t *round = &relay->round;
    while (round->next_subscription < relay->subscription_count && slice > 0) {
        const prefix_meaning_t meaning =
            read_prefix(prefix_of(&relay->subscriptions[round->next_subscription]));
        round->next_subscription += 1;
        if (!meaning.names_tenants) {
            continue;
        }
        if (!meaning.is_whole) {
            round->scans_tenants = true;
        } else if (send_heads(relay, meaning.tenant)) {
            slice -= 1;
        }
    }
    return slice;
}

typedef struct scan_slice {
    const relay_t *relay;
    char names[LIMIT_RELAY_HEAD_SLICE][LIMIT_TENANT_NAME_SIZE];
    uint8_t sizes[LIMIT_RELAY_HEAD_SLICE];
    uint64_t since[LIMIT_RELAY_HEAD_SLICE];
    uint32_t count;
    uint32_t count_max;
} scan_slice_t;

static bool visit_scanned(void *context, const control_tenant_t *row)
{
    scan_slice_t *slice = context;
    if (slice->count == slice->count_max) {
        return false;
    }
    if (row->name.size > 0 && row->name.size <= LIMIT_TENANT_NAME_SIZE) {
        memcpy(slice->names[slice->count], row->name.data, row->name.size);
        slice->sizes[slice->count] = (uint8_t)row->name.size;
        slice->since[slice->count] = (uint64_t)row->created_at;
        slice->count += 1;
    }
    return true;
}

static bool is_named_by_many(const relay_t *relay, text_t name)
{
    if (relay->overflow_count > 0) {
        return true;
    }
    for (uint32_t i = 0; i < relay->subscription_count; i++) {
        const prefix_meaning_t meaning = read_prefix(prefix_of(&relay->subscriptions[i]));
        if (meaning.names_tenants && !meaning.is_whole && begins_with(name, meaning.tenant)) {
            return true;
        }
    }
    return false;
}

/* Tenants whose journal is closed: a few per slice are opened, so that thousands of idle ones do
 * not push the busy ones out. */
static void send_scanned(relay_t *relay, const scan_slice_t *slice)
{
    uint32_t opens = 0;
    for (uint32_t i = 0; i < slice->count; i++) {
        const text_t name = {.data = slice->names[i], .size = slice->sizes[i]};
        if (!is_named_by_many(relay, name)) {
            continue;
        }
        relay_tenant_t *tenant = NULL;
        if (relay_tenant_meet(relay, name, slice->since[i], &tenant) != RESULT_OK) {
            continue;
        }
        if (tenant->journal_state == RELAY_JOURNAL_CLOSED) {
            opens += 1;
        }
        if (opens <= LIMIT_RELAY_HEAD_OPENS || tenant->journal_state == RELAY_JOURNAL_OPEN) {
            relay_publish_heads(tenant);
        }
    }
}

static void send_scan_slice(relay_t *relay, uint32_t count_max)
{
    relay_round_t *round = &relay->round;
    scan_slice_t slice = {.relay = relay, .count_max = count_max};
    control_store_t *control = relay->ports.control;
    const text_t after = {.data = round->after, .size = round->after_size};
    const result_t result = control->functions->tenants(control, after, visit_scanned, &slice);
    send_scanned(relay, &slice);
    if (result != RESULT_OK || slice.count < count_max) {
        round->is_running = false;
        return;
    }
    round->after_size = slice.sizes[slice.count - 1];
    memcpy(round->after, slice.names[slice.count - 1], round->after_size);
}

void relay_round_tick(relay_t *relay)
{
    relay_round_t *round = &relay->round;
    if (!relay_has_subscribers(relay)) {
        round->is_running = false;
        return;
    }
    const uint64_t now_ms = loop_now_ms(relay->loop);
    if (!round->is_running &&
        (round->again || now_ms - round->started_ms >= LIMIT_EVENT_HEAD_INTERVAL_MS)) {
        start_round(relay);
    }
    if (!round->is_running) {
        return;
    }
    /* Prefixes that nobody could keep may name any tenant: one greedy subscriber must not take the
     * heads from the others. */
    round->scans_tenants = round->scans_tenants || relay->overflow_count > 0;
    const uint32_t left = send_named(relay, LIMIT_RELAY_HEAD_SLICE);
    if (round->next_subscription < relay->subscription_count || left == 0) {
        return;
    }
    if (round->scans_tenants) {
        send_scan_slice(relay, left);
    } else {
        round->is_running = false;
    }
}
