/* The table of requests in flight: slots with generations, lists of those that wait (per flow) and
 * of those that were sent (per peer), and a wheel of deadlines. Nothing is allocated per request.
 * Must not send or answer anything. */
#include "actors/gateway/gateway_internal.h"
#include <assert.h>
#include <stdlib.h>

_Static_assert((int)LIMIT_REQUESTS_IN_FLIGHT < (int)GATEWAY_DIRECTORY_SLOT,
               "slots are counted in 16 bits");
_Static_assert(LIMIT_REQUESTS_SENT + LIMIT_PAGES_IN_FLIGHT + LIMIT_REQUESTS_WAITING <=
                   LIMIT_REQUESTS_IN_FLIGHT,
               "no flood takes the last slot");
_Static_assert((LIMIT_DEADLINE_TICKS - 1) * LIMIT_DEADLINE_TICK_MS >
                   LIMIT_REQUEST_DEADLINE_MS_MAX + LIMIT_DEADLINE_TICK_MS,
               "the wheel turns more slowly than the longest deadline");
_Static_assert((LIMIT_DEADLINE_TICKS & (LIMIT_DEADLINE_TICKS - 1)) == 0, "buckets by a mask");

static uint16_t slot_of(const gateway_t *gateway, const gateway_pending_t *pending)
{
    return (uint16_t)(pending - gateway->pending);
}

static gateway_pending_t *at_slot(gateway_t *gateway, uint16_t slot)
{
    return slot == GATEWAY_NONE ? NULL : &gateway->pending[slot];
}

/* The first tick at which the deadline is over. */
static uint64_t tick_of(const gateway_pending_t *pending)
{
    return (pending->deadline_ms + LIMIT_DEADLINE_TICK_MS - 1) / LIMIT_DEADLINE_TICK_MS;
}

static uint16_t *bucket_of(const gateway_t *gateway, uint64_t tick)
{
    return &gateway->wheel[tick & (LIMIT_DEADLINE_TICKS - 1U)];
}

static void order_append(gateway_t *gateway, gateway_list_t *list, gateway_pending_t *pending)
{
    const uint16_t slot = slot_of(gateway, pending);
    pending->order = (gateway_link_t){.previous = list->last, .next = GATEWAY_NONE};
    if (list->last == GATEWAY_NONE) {
        list->first = slot;
    } else {
        gateway->pending[list->last].order.next = slot;
    }
    list->last = slot;
}

static void order_remove(gateway_t *gateway, gateway_list_t *list, gateway_pending_t *pending)
{
    const gateway_link_t link = pending->order;
    if (link.previous == GATEWAY_NONE) {
        list->first = link.next;
    } else {
        gateway->pending[link.previous].order.next = link.next;
    }
    if (link.next == GATEWAY_NONE) {
        list->last = link.previous;
    } else {
        gateway->pending[link.next].order.previous = link.previous;
    }
}

static void deadline_insert(gateway_t *gateway, gateway_pending_t *pending)
{
    uint16_t *bucket = bucket_of(gateway, tick_of(pending));
    const uint16_t slot = slot_of(gateway, pending);
    pending->deadline = (gateway_link_t){.previous = GATEWAY_NONE, .next = *bucket};
    if (*bucket != GATEWAY_NONE) {
        gateway->pending[*bucket].deadline.previous = slot;
    }
    *bucket = slot;
}

static void deadline_remove(gateway_t *gateway, gateway_pending_t *pending)
{
    const gateway_link_t link = pending->deadline;
    if (link.previous == GATEWAY_NONE) {
        *bucket_of(gateway, tick_of(pending)) = link.next;
    } else {
        gateway->pending[link.previous].deadline.next = link.next;
    }
    if (link.next != GATEWAY_NONE) {
        gateway->pending[link.next].deadline.previous = link.previous;
    }
}

static gateway_list_t *list_of(gateway_t *gateway, const gateway_pending_t *pending)
{
    switch ((gateway_pending_state_t)pending->state) {
    case GATEWAY_PENDING_SENT:
        return &gateway->peers[pending->peer].sent;
    case GATEWAY_PENDING_UNSENT:
        return &gateway->flows[pending->flow].waiting;
    default:
        return &gateway->lost;
    }
}

/* In order of submission: what comes back from a peer was there before those that wait. */
static void order_insert(gateway_t *gateway, gateway_list_t *list, gateway_pending_t *pending)
{
    gateway_pending_t *next = at_slot(gateway, list->first);
    while (next != NULL && next->serial < pending->serial) { /* LIMIT_TENANT_CREDITS at most */
        next = at_slot(gateway, next->order.next);
    }
    if (next == NULL) {
        order_append(gateway, list, pending);
        return;
    }
    pending->order =
        (gateway_link_t){.previous = next->order.previous, .next = slot_of(gateway, next)};
    next->order.previous = slot_of(gateway, pending);
    if (pending->order.previous == GATEWAY_NONE) {
        list->first = slot_of(gateway, pending);
    } else {
        gateway->pending[pending->order.previous].order.next = slot_of(gateway, pending);
    }
}

/* Takes it out of its list and what its peer and flow count. */
static void leave_list(gateway_t *gateway, gateway_pending_t *pending)
{
    gateway_peer_t *peer = &gateway->peers[pending->peer];
    gateway_flow_t *flow = &gateway->flows[pending->flow];
    order_remove(gateway, list_of(gateway, pending), pending);
    if (pending->state == GATEWAY_PENDING_UNSENT) {
        peer->unsent_count -= 1;
        gateway->waiting_count -= 1;
        flow->waiting_count -= 1;
    } else if (pending->state == GATEWAY_PENDING_SENT) {
        peer->sent_count -= 1;
        flow->sent_count -= 1;
    } else {
        flow->lost_count -= 1;
    }
}

result_t gateway_pending_init(gateway_t *gateway)
{
    /* calloc: slots that are never used are never touched. */
    gateway->pending = calloc(LIMIT_REQUESTS_IN_FLIGHT, sizeof(*gateway->pending));
    gateway->wheel = malloc(LIMIT_DEADLINE_TICKS * sizeof(*gateway->wheel));
    if (gateway->pending == NULL || gateway->wheel == NULL ||
        gateway_flow_init(gateway) != RESULT_OK) {
        return RESULT_NO_MEMORY;
    }
    for (size_t i = 0; i < LIMIT_DEADLINE_TICKS; i++) {
        gateway->wheel[i] = GATEWAY_NONE;
    }
    const gateway_list_t empty = {.first = GATEWAY_NONE, .last = GATEWAY_NONE};
    for (size_t i = 0; i < GATEWAY_PEERS; i++) {
        gateway->peers[i].sent = empty;
        gateway->peers[i].ring = empty;
    }
    gateway->lost = empty;
    gateway->first_free = GATEWAY_NONE;
    gateway->ticks_done = loop_now_ms(gateway->loop) / LIMIT_DEADLINE_TICK_MS;
    return RESULT_OK;
}

static void free_envelope(gateway_pending_t *pending)
{
    if (pending->envelope != pending->inline_envelope) {
        free(pending->envelope);
    }
    pending->envelope = NULL;
    pending->envelope_size = 0;
}

void gateway_pending_deinit(gateway_t *gateway)
{
    for (size_t i = 0; i < gateway->used_count; i++) {
        free_envelope(&gateway->pending[i]);
    }
    free(gateway->pending);
    free(gateway->wheel);
    gateway_flow_deinit(gateway);
    gateway->pending = NULL;
    gateway->wheel = NULL;
}

/* The slot used last comes first: its memory is warm. */
static gateway_pending_t *take_free(gateway_t *gateway)
{
    gateway_pending_t *pending = at_slot(gateway, gateway->first_free);
    if (pending != NULL) {
        gateway->first_free = pending->order.next;
    } else if (gateway->used_count < LIMIT_REQUESTS_IN_FLIGHT) {
        pending = &gateway->pending[gateway->used_count];
        gateway->used_count += 1;
    }
    return pending;
}

gateway_pending_t *gateway_pending_take(gateway_t *gateway, uint16_t peer, text_t tenant,
                                        uint32_t deadline_ms)
{
    gateway_flow_t *flow = gateway_flow_enter(gateway, peer, tenant);
    gateway_pending_t *pending = flow == NULL ? NULL : take_free(gateway);
    if (pending == NULL) {
        return NULL; /* a flow without a free slot is an old one: it has requests */
    }
    assert(pending->state == GATEWAY_PENDING_FREE);
    pending->generation = pending->generation == UINT32_MAX ? 1 : pending->generation + 1;
    gateway->serial_last += 1;
    pending->serial = gateway->serial_last;
    pending->state = GATEWAY_PENDING_UNSENT;
    pending->sent_count = 0;
    pending->peer = peer;
    pending->flow = (uint16_t)(flow - gateway->flows);
    pending->deadline_span_ms = deadline_ms;
    pending->deadline_ms = loop_now_ms(gateway->loop) + deadline_ms;
    gateway->peers[peer].unsent_count += 1;
    gateway->waiting_count += 1;
    flow->waiting_count += 1;
    order_append(gateway, &flow->waiting, pending);
    deadline_insert(gateway, pending);
    gateway->in_flight_count += 1;
    metric_set(gateway->numbers.in_flight, gateway->in_flight_count);
    return pending;
}

uint64_t gateway_pending_correlation(const gateway_t *gateway, const gateway_pending_t *pending)
{
    return (uint64_t)pending->generation << 16 | slot_of(gateway, pending);
}

gateway_pending_t *gateway_pending_find(gateway_t *gateway, uint64_t correlation)
{
    const uint64_t slot = correlation & 0xffffU;
    if (slot >= gateway->used_count) {
        return NULL;
    }
    gateway_pending_t *pending = &gateway->pending[slot];
    const bool is_same =
        pending->state != GATEWAY_PENDING_FREE && pending->generation == correlation >> 16;
    return is_same ? pending : NULL;
}

void gateway_pending_release(gateway_t *gateway, gateway_pending_t *pending)
{
    assert(pending->state != GATEWAY_PENDING_FREE);
    leave_list(gateway, pending);
    deadline_remove(gateway, pending);
    free_envelope(pending);
    pending->state = GATEWAY_PENDING_FREE;
    pending->order.next = gateway->first_free;
    gateway->first_free = slot_of(gateway, pending);
    gateway->in_flight_count -= 1;
    metric_set(gateway->numbers.in_flight, gateway->in_flight_count);
    gateway_flow_leave(gateway, &gateway->flows[pending->flow]);
}

void gateway_pending_lose(gateway_t *gateway, gateway_pending_t *pending)
{
    assert(pending->state != GATEWAY_PENDING_FREE && pending->state != GATEWAY_PENDING_LOST);
    leave_list(gateway, pending);
    pending->state = GATEWAY_PENDING_LOST;
    gateway->flows[pending->flow].lost_count += 1;
    gateway_flow_place(gateway, &gateway->flows[pending->flow]);
    order_append(gateway, &gateway->lost, pending);
}

void gateway_pending_set_unsent(gateway_t *gateway, gateway_pending_t *pending)
{
    if (pending->state != GATEWAY_PENDING_SENT) {
        return;
    }
    gateway_flow_t *flow = &gateway->flows[pending->flow];
    leave_list(gateway, pending);
    pending->state = GATEWAY_PENDING_UNSENT;
    gateway->peers[pending->peer].unsent_count += 1;
    gateway->waiting_count += 1;
    flow->waiting_count += 1;
    order_insert(gateway, &flow->waiting, pending);
    gateway_flow_place(gateway, flow);
}

void gateway_pending_set_sent(gateway_t *gateway, gateway_pending_t *pending)
{
    assert(pending->state == GATEWAY_PENDING_UNSENT);
    gateway_peer_t *peer = &gateway->peers[pending->peer];
    gateway_flow_t *flow = &gateway->flows[pending->flow];
    leave_list(gateway, pending);
    pending->state = GATEWAY_PENDING_SENT;
    if (pending->sent_count < UINT8_MAX) {
        pending->sent_count++;
    }
    peer->sent_count += 1;
    flow->sent_count += 1;
    order_append(gateway, &peer->sent, pending);
    gateway_flow_place(gateway, flow);
}

gateway_pending_t *gateway_pending_first(gateway_t *gateway, const gateway_list_t *list)
{
    return at_slot(gateway, list->first);
}

gateway_pending_t *gateway_pending_last(gateway_t *gateway, const gateway_list_t *list)
{
    return at_slot(gateway, list->last);
}

gateway_pending_t *gateway_pending_previous(gateway_t *gateway, const gateway_pending_t *pending)
{
    return at_slot(gateway, pending->order.previous);
}

/* After a long stall of the loop a bucket may hold deadlines of the next turn of the wheel too. */
static gateway_pending_t *first_due(gateway_t *gateway, uint64_t bucket_tick, uint64_t tick_now)
{
    gateway_pending_t *pending = at_slot(gateway, *bucket_of(gateway, bucket_tick));
    while (pending != NULL && tick_of(pending) > tick_now) {
        pending = at_slot(gateway, pending->deadline.next);
    }
    return pending;
}

gateway_pending_t *gateway_pending_overdue(gateway_t *gateway)
{
    const uint64_t tick_now = loop_now_ms(gateway->loop) / LIMIT_DEADLINE_TICK_MS;
    if (tick_now - gateway->ticks_done > LIMIT_DEADLINE_TICKS) {
        gateway->ticks_done = tick_now - LIMIT_DEADLINE_TICKS; /* one turn sees every bucket */
    }
    while (gateway->ticks_done < tick_now) {
        gateway_pending_t *pending = first_due(gateway, gateway->ticks_done + 1, tick_now);
        if (pending != NULL) {
            return pending;
        }
        gateway->ticks_done += 1;
    }
    return NULL;
}
