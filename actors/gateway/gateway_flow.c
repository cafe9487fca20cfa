/* Back-pressure in the front. A shard grants credits: so many requests of this front, and so many
 * of one tenant, may be with it at a time. What comes beyond waits here, in one queue per tenant
 * and peer, and the tenants take turns: one that floods fills its own queue, and is told `busy`
 * when that is full. The queues share LIMIT_REQUESTS_WAITING: one may be as long as there is room
 * left, but for some that is kept for tenants with nothing waiting, so that with any number of
 * floods the next tenant finds room. Must not send or answer. */
#include "actors/gateway/gateway_internal.h"
#include <assert.h>
#include <stdlib.h>

static gateway_flow_t *at_index(gateway_t *gateway, uint16_t index)
{
    return index == GATEWAY_NONE ? NULL : &gateway->flows[index];
}

static uint16_t index_of(const gateway_t *gateway, const gateway_flow_t *flow)
{
    return (uint16_t)(flow - gateway->flows);
}

/* FNV-1a. Only tenants that exist come here, so nobody can choose names that collide. */
static uint16_t *bucket_of(gateway_t *gateway, uint16_t peer, text_t tenant)
{
    uint32_t hash = 2166136261U ^ peer;
    for (size_t i = 0; i < tenant.size; i++) {
        hash = (hash ^ (uint8_t)tenant.data[i]) * 16777619U;
    }
    return &gateway->flow_buckets[(hash ^ hash >> 16) & (GATEWAY_FLOW_BUCKETS - 1U)];
}

result_t gateway_flow_init(gateway_t *gateway)
{
    gateway->flows = calloc(LIMIT_REQUESTS_IN_FLIGHT, sizeof(*gateway->flows));
    if (gateway->flows == NULL) {
        return RESULT_NO_MEMORY;
    }
    for (size_t i = 0; i < GATEWAY_FLOW_BUCKETS; i++) {
        gateway->flow_buckets[i] = GATEWAY_NONE;
    }
    gateway->flow_first_free = GATEWAY_NONE;
    return RESULT_OK;
}

void gateway_flow_deinit(gateway_t *gateway)
{
    free(gateway->flows);
    gateway->flows = NULL;
}

static gateway_flow_t *flow_find(gateway_t *gateway, uint16_t bucket, uint16_t peer, text_t tenant)
{
    gateway_flow_t *flow = at_index(gateway, bucket);
    while (flow != NULL && (flow->peer != peer || flow->name_size != tenant.size ||
                            memcmp(flow->name, tenant.data, tenant.size) != 0)) {
        flow = at_index(gateway, flow->chain);
    }
    return flow;
}

static gateway_flow_t *flow_make(gateway_t *gateway, uint16_t *bucket, uint16_t peer, text_t tenant)
{
    gateway_flow_t *flow = at_index(gateway, gateway->flow_first_free);
    if (flow != NULL) {
        gateway->flow_first_free = flow->chain;
    } else {
        assert(gateway->flows_used_count < LIMIT_REQUESTS_IN_FLIGHT);
        flow = &gateway->flows[gateway->flows_used_count];
        gateway->flows_used_count += 1;
    }
    *flow = (gateway_flow_t){.peer = peer,
                             .chain = *bucket,
                             .ring = {GATEWAY_NONE, GATEWAY_NONE},
                             .name_size = (uint8_t)tenant.size,
                             .waiting = {GATEWAY_NONE, GATEWAY_NONE}};
    memcpy(flow->name, tenant.data, tenant.size);
    *bucket = index_of(gateway, flow);
    return flow;
}

gateway_flow_t *gateway_flow_enter(gateway_t *gateway, uint16_t peer, text_t tenant)
{
    if (gateway->in_flight_count == LIMIT_REQUESTS_IN_FLIGHT) {
        return NULL;
    }
    uint16_t *bucket = bucket_of(gateway, peer, tenant);
    gateway_flow_t *flow = flow_find(gateway, *bucket, peer, tenant);
    if (flow == NULL) {
        return flow_make(gateway, bucket, peer, tenant);
    }
    const bool is_full = flow->waiting_count >= LIMIT_TENANT_WAITING ||
                         (flow->waiting_count > 0 &&
                          flow->waiting_count + gateway->waiting_count + LIMIT_WAITING_RESERVED >=
                              LIMIT_REQUESTS_WAITING);
    return is_full ? NULL : flow;
}

static void ring_append(gateway_t *gateway, gateway_flow_t *flow)
{
    gateway_list_t *ring = &gateway->peers[flow->peer].ring;
    const uint16_t index = index_of(gateway, flow);
    flow->is_in_ring = true;
    flow->ring = (gateway_link_t){.previous = ring->last, .next = GATEWAY_NONE};
    if (ring->last == GATEWAY_NONE) {
        ring->first = index;
    } else {
        gateway->flows[ring->last].ring.next = index;
    }
    ring->last = index;
}

static void ring_remove(gateway_t *gateway, gateway_flow_t *flow)
{
    gateway_list_t *ring = &gateway->peers[flow->peer].ring;
    const gateway_link_t link = flow->ring;
    flow->is_in_ring = false;
    if (link.previous == GATEWAY_NONE) {
        ring->first = link.next;
    } else {
        gateway->flows[link.previous].ring.next = link.next;
    }
    if (link.next == GATEWAY_NONE) {
        ring->last = link.previous;
    } else {
        gateway->flows[link.next].ring.previous = link.previous;
    }
}

void gateway_flow_place(gateway_t *gateway, gateway_flow_t *flow)
{
    const bool may_go =
        flow->waiting_count > 0 && flow->sent_count < gateway->peers[flow->peer].tenant_credits;
    if (may_go && !flow->is_in_ring) {
        ring_append(gateway, flow);
    } else if (!may_go && flow->is_in_ring) {
        ring_remove(gateway, flow);
    }
}

void gateway_flow_leave(gateway_t *gateway, gateway_flow_t *flow)
{
    gateway_flow_place(gateway, flow);
    if (flow->waiting_count > 0 || flow->sent_count > 0 || flow->lost_count > 0) {
        return;
    }
    const uint16_t index = index_of(gateway, flow);
    const text_t name = {.data = flow->name, .size = flow->name_size};
    uint16_t *link = bucket_of(gateway, flow->peer, name);
    while (*link != index) {
        link = &gateway->flows[*link].chain;
    }
    *link = flow->chain;
    flow->chain = gateway->flow_first_free;
    gateway->flow_first_free = index;
}

gateway_flow_t *gateway_flow_next(gateway_t *gateway, gateway_peer_t *peer)
{
    gateway_flow_t *flow =
        peer->sent_count < peer->credits ? at_index(gateway, peer->ring.first) : NULL;
    if (flow != NULL && flow->ring.next != GATEWAY_NONE) {
        ring_remove(gateway, flow);
        ring_append(gateway, flow);
    }
    return flow;
}

void gateway_flow_grant(gateway_t *gateway, uint16_t number, uint32_t credits,
                        uint32_t tenant_credits)
{
    gateway_peer_t *peer = &gateway->peers[number];
    const uint32_t share = number == GATEWAY_RELAY_PEER
                               ? LIMIT_PAGES_IN_FLIGHT
                               : LIMIT_REQUESTS_SENT / gateway->ports.shards;
    peer->credits = credits < share ? credits : share;
    peer->tenant_credits = tenant_credits;
    for (uint32_t i = 0; i < gateway->flows_used_count; i++) {
        gateway_flow_t *flow = &gateway->flows[i];
        if (flow->peer == number && flow->waiting_count > 0) {
            gateway_flow_place(gateway, flow);
        }
    }
}
