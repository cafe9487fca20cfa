/* Records of neighbours: admission, attempts, repeats, queues. Must not know what is asked
 * (membership_desk.c, vendor_desk.c) nor how a breaker decides (domain/circuit_breaker.c). */
#include "actors/neighbours/neighbour.h"

#include "actors/domain/siphash.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 1024, ERROR_SIZE = 96 };

struct neighbour {
    neighbour_t *chain;
    neighbours_t *owner;
    neighbour_adapter_t adapter;
    uint32_t tenant_size;
    char tenant[LIMIT_TENANT_NAME_SIZE + 1];
    circuit_breaker_t breaker;
    neighbour_call_t *running; /* attempts that have not ended */
    neighbour_call_t *first;   /* that wait, in order; repeats at the end */
    neighbour_call_t *last;
    uint32_t in_flight;
    uint32_t waiting;
    uint64_t answered;
    uint64_t failed;
    uint64_t not_asked;
    uint64_t last_error_ms;
    char last_error[ERROR_SIZE];
    bool is_listed; /* has calls that wait: looked at by the tick */
    neighbour_t *listed_next;
};

struct neighbours {
    loop_t *loop;
    neighbours_ports_t ports;
    neighbour_settings_t settings;
    loop_timer_t *tick;
    bool is_ticking;
    neighbour_t *buckets[BUCKETS];
    neighbour_t *listed;
    uint32_t count;
    uint32_t in_flight;
    metric_t *ends[NEIGHBOUR_ADAPTERS][NEIGHBOUR_ENDS];
    metric_t *repeats;
    metric_t *changes[NEIGHBOUR_ADAPTERS];
    metric_t *open[NEIGHBOUR_ADAPTERS];
    metric_t *seconds[NEIGHBOUR_ADAPTERS];
};

static const char *const adapter_names[NEIGHBOUR_ADAPTERS] = {"membership", "wallet",
                                                              "notification", "geography"};

const char *neighbour_adapter_name(neighbour_adapter_t adapter)
{
    return adapter_names[adapter];
}

bool neighbour_adapter_parse(const char *name, neighbour_adapter_t *adapter)
{
    for (int i = 0; i < NEIGHBOUR_ADAPTERS; i++) {
        if (strcmp(name, adapter_names[i]) == 0) {
            *adapter = (neighbour_adapter_t)i;
            return true;
        }
    }
    return false;
}

/* --- Records --- */

static int64_t now_of(const neighbours_t *neighbours)
{
    return (int64_t)(neighbours->ports.monotonic_us() / 1000);
}

static neighbour_t **bucket_of(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    static const uint8_t key[16] = {0}; /* names of tenants are chosen by operators */
    return &neighbours->buckets[(siphash(key, tenant) + (uint64_t)adapter) % BUCKETS];
}

static neighbour_t *find(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    neighbour_t *found = *bucket_of(neighbours, tenant, adapter);
    while (found != NULL &&
           (found->adapter != adapter || !text_equal(neighbour_tenant(found), tenant))) {
        found = found->chain;
    }
    return found;
}

/* NULL: LIMIT_NEIGHBOURS is reached. */
static neighbour_t *acquire(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    neighbour_t *found = find(neighbours, tenant, adapter);
    if (found != NULL || neighbours->count >= LIMIT_NEIGHBOURS) {
        return found;
    }
    assert(tenant.size <= LIMIT_TENANT_NAME_SIZE);
    found = calloc(1, sizeof *found);
    assert(found != NULL);
    found->owner = neighbours;
    found->adapter = adapter;
    found->tenant_size = (uint32_t)tenant.size;
    memcpy(found->tenant, tenant.data, tenant.size);
    circuit_breaker_init(&found->breaker, now_of(neighbours));
    neighbour_t **bucket = bucket_of(neighbours, tenant, adapter);
    found->chain = *bucket;
    *bucket = found;
    neighbours->count++;
    return found;
}

/* --- The breaker --- */

typedef struct seen_state {
    const char *name;
} seen_state_t;

static seen_state_t look(const neighbour_t *neighbour)
{
    return (seen_state_t){circuit_breaker_state_name(&neighbour->breaker)};
}

static void tell_change(neighbour_t *neighbour, seen_state_t before, const char *reason)
{
    neighbours_t *owner = neighbour->owner;
    const char *after = circuit_breaker_state_name(&neighbour->breaker);
    if (before.name == after) { /* literals of one function */
        return;
    }
    const bool was_closed = strcmp(before.name, "closed") == 0;
    metric_add(owner->changes[neighbour->adapter], 1);
    if (was_closed != circuit_breaker_is_closed(&neighbour->breaker)) {
        metric_t *open = owner->open[neighbour->adapter];
        metric_set(open, (int64_t)metric_value(open) + (was_closed ? 1 : -1));
    }
    if (owner->ports.changed != NULL) {
        owner->ports.changed(owner->ports.context, neighbour, reason);
    }
}

/* --- How calls end --- */

static void finish(neighbour_call_t *call, neighbour_end_t end)
{
    neighbour_t *neighbour = call->neighbour;
    metric_add(neighbour->owner->ends[neighbour->adapter][end], 1);
    neighbour->answered += end == NEIGHBOUR_ANSWERED ? 1U : 0U;
    neighbour->failed += end == NEIGHBOUR_FAILED ? 1U : 0U;
    neighbour->not_asked += end != NEIGHBOUR_ANSWERED && end != NEIGHBOUR_FAILED ? 1U : 0U;
    call->done(call, end);
}

static void list(neighbour_t *neighbour)
{
    neighbours_t *owner = neighbour->owner;
    if (!neighbour->is_listed) {
        neighbour->is_listed = true;
        neighbour->listed_next = owner->listed;
        owner->listed = neighbour;
    }
    if (!owner->is_ticking) {
        owner->is_ticking = true;
        loop_timer_start(owner->tick, LIMIT_NEIGHBOUR_TICK_MS, LIMIT_NEIGHBOUR_TICK_MS);
    }
}

static void enqueue(neighbour_t *neighbour, neighbour_call_t *call)
{
    call->next = NULL;
    if (neighbour->last != NULL) {
        neighbour->last->next = call;
    } else {
        neighbour->first = call;
    }
    neighbour->last = call;
    neighbour->waiting++;
    list(neighbour);
}

/* --- Attempts --- */

static void attempt(neighbour_t *neighbour, neighbour_call_t *call)
{
    neighbours_t *owner = neighbour->owner;
    const uint64_t now_ms = loop_now_ms(owner->loop);
    const uint64_t left_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1;
    call->attempts++;
    call->started_us = owner->ports.monotonic_us();
    call->next = neighbour->running;
    neighbour->running = call;
    neighbour->in_flight++;
    owner->in_flight++;
    call->start(call, left_ms < owner->settings.deadline_ms ? (uint32_t)left_ms
                                                            : owner->settings.deadline_ms);
}

/* Of a call that is not queued: asked now, or ended. */
static void admit(neighbour_t *neighbour, neighbour_call_t *call)
{
    const seen_state_t before = look(neighbour);
    if (loop_now_ms(neighbour->owner->loop) >= call->deadline_ms) {
        finish(call, NEIGHBOUR_TOO_LATE);
        return;
    }
    if (!circuit_breaker_ask(&neighbour->breaker, now_of(neighbour->owner), &call->ticket)) {
        finish(call, call->attempts > 0 ? NEIGHBOUR_FAILED : NEIGHBOUR_OPEN);
        return;
    }
    tell_change(neighbour, before, "its pause is over: one call goes through to see");
    attempt(neighbour, call);
}

static neighbour_call_t *take_due(neighbour_t *neighbour, uint64_t now_ms)
{
    neighbour_call_t *previous = NULL;
    neighbour_call_t *call = neighbour->first;
    while (call != NULL && call->not_before_ms > now_ms) { /* bounded by the queue */
        previous = call;
        call = call->next;
    }
    if (call == NULL) {
        return NULL;
    }
    if (previous == NULL) {
        neighbour->first = call->next;
    } else {
        previous->next = call->next;
    }
    if (neighbour->last == call) {
        neighbour->last = previous;
    }
    neighbour->waiting--;
    return call;
}

static void run_queue(neighbour_t *neighbour)
{
    const neighbours_t *owner = neighbour->owner;
    const uint64_t now_ms = loop_now_ms(owner->loop);
    uint32_t left = neighbour->waiting;
    while (left > 0 && neighbour->in_flight < owner->settings.concurrency) {
        neighbour_call_t *call = take_due(neighbour, now_ms);
        if (call == NULL) {
            return;
        }
        left--;
        admit(neighbour, call);
    }
}

static void unlist_running(neighbour_t *neighbour, neighbour_call_t *call)
{
    neighbour_call_t **place = &neighbour->running;
    while (*place != call) { /* it is one of them; bounded by the concurrency */
        place = &(*place)->next;
    }
    *place = call->next;
    neighbour->in_flight--;
    neighbour->owner->in_flight--;
}

static void note_error(neighbour_t *neighbour, const char *failure)
{
    (void)snprintf(neighbour->last_error, sizeof neighbour->last_error, "%s", failure);
    neighbour->last_error_ms = (uint64_t)now_of(neighbour->owner);
}

/* Full jitter: anything from nothing to the whole pause, so that those who failed together do not
 * come back together. */
static bool repeat_later(neighbour_t *neighbour, neighbour_call_t *call)
{
    const neighbours_t *owner = neighbour->owner;
    const neighbour_settings_t *settings = &owner->settings;
    if (!call->is_repeatable || call->attempts >= settings->attempts ||
        !circuit_breaker_is_closed(&neighbour->breaker)) {
        return false;
    }
    const uint64_t pause_ms = (uint64_t)settings->pause_ms << (call->attempts - 1);
    call->not_before_ms = loop_now_ms(owner->loop) + owner->ports.random((uint32_t)pause_ms + 1);
    if (call->not_before_ms >= call->deadline_ms) {
        return false;
    }
    metric_add(owner->repeats, 1);
    enqueue(neighbour, call);
    return true;
}

void neighbour_attempt_end(neighbour_call_t *call, const char *failure)
{
    neighbour_t *neighbour = call->neighbour;
    neighbours_t *owner = neighbour->owner;
    const seen_state_t before = look(neighbour);
    const uint64_t took_us = owner->ports.monotonic_us() - call->started_us;
    unlist_running(neighbour, call);
    metric_observe_us(owner->seconds[neighbour->adapter], took_us);
    if (failure != NULL) {
        note_error(neighbour, failure);
    }
    const circuit_answer_t answer = {.is_failure = failure != NULL,
                                     .duration_ms = (uint32_t)(took_us / 1000),
                                     .jitter = owner->ports.random(UINT32_MAX)};
    circuit_breaker_answer(&neighbour->breaker, &owner->settings.circuit, call->ticket, &answer,
                           now_of(owner));
    tell_change(neighbour, before, failure != NULL ? failure : "it answers");
    if (failure == NULL || !repeat_later(neighbour, call)) {
        finish(call, failure == NULL ? NEIGHBOUR_ANSWERED : NEIGHBOUR_FAILED);
    }
    run_queue(neighbour);
}

void neighbour_call_begin(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter,
                          neighbour_call_t *call)
{
    neighbour_t *neighbour = acquire(neighbours, tenant, adapter);
    if (neighbour == NULL) {
        call->done(call, NEIGHBOUR_BUSY);
        return;
    }
    call->neighbour = neighbour;
    call->attempts = 0;
    call->not_before_ms = 0;
    if (neighbour->waiting >= neighbours->settings.queue) {
        finish(call, NEIGHBOUR_BUSY);
    } else if (neighbour->in_flight >= neighbours->settings.concurrency) {
        enqueue(neighbour, call);
    } else {
        admit(neighbour, call);
    }
}

/* --- Time --- */

static void tick(void *context)
{
    neighbours_t *neighbours = context;
    neighbour_t *neighbour = neighbours->listed;
    neighbours->listed = NULL;
    while (neighbour != NULL) { /* each is listed once */
        neighbour_t *const next = neighbour->listed_next;
        neighbour->is_listed = false;
        run_queue(neighbour);
        if (neighbour->waiting > 0) {
            list(neighbour);
        }
        neighbour = next;
    }
    if (neighbours->listed == NULL) {
        neighbours->is_ticking = false;
        loop_timer_stop(neighbours->tick);
    }
}

/* --- By hand, and for those who look --- */

result_t neighbour_by_hand(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter,
                           neighbour_hand_t hand)
{
    neighbour_t *neighbour = acquire(neighbours, tenant, adapter);
    if (neighbour == NULL) {
        return RESULT_BUSY;
    }
    const seen_state_t before = look(neighbour);
    switch (hand) {
    case NEIGHBOUR_HOLD:
        circuit_breaker_hold(&neighbour->breaker, now_of(neighbours));
        break;
    case NEIGHBOUR_CLOSE:
        circuit_breaker_close(&neighbour->breaker, now_of(neighbours));
        break;
    case NEIGHBOUR_RESET:
        circuit_breaker_reset(&neighbour->breaker, now_of(neighbours));
        neighbour->last_error[0] = '\0';
        break;
    }
    tell_change(neighbour, before, "by hand");
    return RESULT_OK;
}

bool neighbour_is_closed(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    const neighbour_t *neighbour = find(neighbours, tenant, adapter);
    return neighbour == NULL || circuit_breaker_is_closed(&neighbour->breaker);
}

uint32_t neighbour_retry_ms(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    const neighbour_t *neighbour = find(neighbours, tenant, adapter);
    return neighbour == NULL ? 0
                             : circuit_breaker_retry_ms(&neighbour->breaker, now_of(neighbours));
}

text_t neighbour_tenant(const neighbour_t *neighbour)
{
    return (text_t){.data = neighbour->tenant, .size = neighbour->tenant_size};
}

neighbour_adapter_t neighbour_adapter_of(const neighbour_t *neighbour)
{
    return neighbour->adapter;
}

const circuit_breaker_t *neighbour_breaker(const neighbour_t *neighbour)
{
    return &neighbour->breaker;
}

void neighbour_numbers(const neighbour_t *neighbour, neighbour_numbers_t *numbers)
{
    const int64_t now_ms = now_of(neighbour->owner);
    *numbers = (neighbour_numbers_t){
        .in_flight = neighbour->in_flight,
        .waiting = neighbour->waiting,
        .answered = neighbour->answered,
        .failed = neighbour->failed,
        .not_asked = neighbour->not_asked,
        .retry_ms = circuit_breaker_retry_ms(&neighbour->breaker, now_ms),
        .changed_ms_ago = (uint64_t)(now_ms - neighbour->breaker.changed_at_ms),
        .last_error = neighbour->last_error,
        .last_error_ms_ago = (uint64_t)now_ms - neighbour->last_error_ms,
    };
}

void neighbours_visit(const neighbours_t *neighbours,
                      void (*visit)(void *context, const neighbour_t *neighbour), void *context)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const neighbour_t *at = neighbours->buckets[i]; at != NULL; at = at->chain) {
            visit(context, at);
        }
    }
}

uint32_t neighbours_in_flight(const neighbours_t *neighbours)
{
    return neighbours->in_flight;
}

/* --- Begin and end --- */

static void register_metrics(neighbours_t *neighbours, metrics_t *metrics)
{
    static const char *const ends[NEIGHBOUR_ENDS] = {"answered", "failed",   "open",
                                                     "busy",     "too_late", "draining"};
    char labels[64];
    for (int i = 0; i < NEIGHBOUR_ADAPTERS; i++) {
        for (int end = 0; end < NEIGHBOUR_ENDS; end++) {
            (void)snprintf(labels, sizeof labels, "adapter=\"%s\",end=\"%s\"", adapter_names[i],
                           ends[end]);
            neighbours->ends[i][end] = metrics_counter(metrics, "digitalcard_neighbour_calls_total",
                                                       labels, "Calls, by how they ended");
        }
        (void)snprintf(labels, sizeof labels, "adapter=\"%s\"", adapter_names[i]);
        neighbours->changes[i] = metrics_counter(metrics, "digitalcard_breaker_changes_total",
                                                 labels, "Changes of circuit breakers");
        neighbours->open[i] = metrics_gauge(metrics, "digitalcard_breakers_open", labels,
                                            "Breakers that are not closed, of all tenants");
        neighbours->seconds[i] = metrics_histogram(metrics, "digitalcard_neighbour_seconds", labels,
                                                   "How long attempts took");
    }
    neighbours->repeats = metrics_counter(metrics, "digitalcard_neighbour_repeats_total", "",
                                          "Attempts that followed on a failed one");
}

result_t neighbours_create(loop_t *loop, metrics_t *metrics, const neighbours_ports_t *ports,
                           const neighbour_settings_t *settings, neighbours_t **neighbours)
{
    neighbours_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->ports = *ports;
    created->settings = *settings;
    created->tick = loop_timer_create(loop, tick, created);
    register_metrics(created, metrics);
    *neighbours = created;
    return RESULT_OK;
}

static void end_calls(neighbour_t *neighbour)
{
    while (neighbour->running != NULL) { /* bounded by the concurrency */
        neighbour_call_t *call = neighbour->running;
        call->cancel(call);
        circuit_breaker_abandon(&neighbour->breaker, call->ticket);
        unlist_running(neighbour, call);
        finish(call, NEIGHBOUR_DRAINING);
    }
    while (neighbour->first != NULL) { /* bounded by the queue */
        neighbour_call_t *call = neighbour->first;
        neighbour->first = call->next;
        neighbour->waiting--;
        finish(call, NEIGHBOUR_DRAINING);
    }
    neighbour->last = NULL;
}

void neighbours_destroy(neighbours_t **neighbours)
{
    neighbours_t *const destroyed = *neighbours;
    if (destroyed == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (destroyed->buckets[i] != NULL) { /* LIMIT_NEIGHBOURS in all */
            neighbour_t *neighbour = destroyed->buckets[i];
            destroyed->buckets[i] = neighbour->chain;
            end_calls(neighbour);
            free(neighbour);
        }
    }
    loop_timer_destroy(&destroyed->tick);
    free(destroyed);
    *neighbours = NULL;
}
