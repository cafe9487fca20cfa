/* Sending to shards and relay, and what becomes of requests when one of them comes, drains or dies
 * (DESIGN 2.1). Must not decide whether a request is allowed, nor read a reply. */
#include "actors/gateway/gateway_internal.h"
#include <assert.h>
#include <stdlib.h>

static const char *const died_detail =
    "The part of the service that worked on the request stopped before it answered. Read the card "
    "to see whether it took effect; a command with an Idempotency-Key may simply be sent again.";

static uint16_t peer_of(const gateway_t *gateway, gateway_target_t target, uint32_t index)
{
    if (target == GATEWAY_RELAY) {
        return GATEWAY_RELAY_PEER;
    }
    assert(index < gateway->ports.shards);
    return (uint16_t)index;
}

static result_t send_bytes(const gateway_t *gateway, uint16_t peer, const uint8_t *envelope,
                           size_t size)
{
    const gateway_target_t target = peer == GATEWAY_RELAY_PEER ? GATEWAY_RELAY : GATEWAY_SHARD;
    const uint32_t index = peer == GATEWAY_RELAY_PEER ? 0 : peer;
    return gateway->ports.send(gateway->ports.send_context, target, index, envelope, size);
}

static text_t text_of_bytes(const uint8_t *bytes, size_t size)
{
    return (text_t){.data = (const char *)bytes, .size = size};
}

static void fill_request(const gateway_request_t *request, const gateway_admission_t *admission,
                         uint64_t correlation, uint32_t deadline_ms, request_t *out)
{
    MESSAGE_SET(request, out, correlation, correlation);
    MESSAGE_SET(request, out, type, request->type);
    MESSAGE_SET(request, out, tenant, request->tenant);
    MESSAGE_SET(request, out, partition, admission->partition);
    if (admission->tenant->created_at_ms > 0) {
        MESSAGE_SET(request, out, tenant_since, (uint64_t)admission->tenant->created_at_ms);
    }
    if (admission->has_card) {
        MESSAGE_SET(request, out, card, admission->card);
    }
    MESSAGE_SET(request, out, subject, text_from_c(admission->claims.subject));
    MESSAGE_SET(request, out, role, admission->claims.role);
    MESSAGE_SET(request, out, deadline_ms, deadline_ms);
    MESSAGE_SET(request, out, traceparent,
                ((text_t){.data = admission->traceparent, .size = GATEWAY_TRACEPARENT_SIZE}));
    if (request->has_condition) {
        MESSAGE_SET(request, out, if_version, request->if_version);
    }
    if (admission->has_key_hash) {
        MESSAGE_SET(request, out, key, request->key);
        MESSAGE_SET(request, out, key_hash,
                    text_of_bytes(admission->key_hash, sizeof(admission->key_hash)));
    }
}

/* Packs into the slot; false when it does not fit or there is no memory. */
static bool pack_envelope(const envelope_t *envelope, gateway_pending_t *pending)
{
    size_t size = message_pack(&envelope_message, envelope, MESSAGE_KEYS_IDS,
                               pending->inline_envelope, sizeof(pending->inline_envelope));
    if (size <= sizeof(pending->inline_envelope)) {
        pending->envelope = pending->inline_envelope;
        pending->envelope_size = size;
        return true;
    }
    uint8_t *bytes = size <= LIMIT_REQUEST_PACKED_SIZE ? malloc(size) : NULL;
    if (bytes == NULL) {
        return false;
    }
    size = message_pack(&envelope_message, envelope, MESSAGE_KEYS_IDS, bytes, size);
    pending->envelope = bytes;
    pending->envelope_size = size;
    return true;
}

static bool pack_request(gateway_t *gateway, const gateway_request_t *request,
                         const gateway_admission_t *admission, gateway_pending_t *pending)
{
    const size_t size = message_pack(admission->shape->command, request->command, MESSAGE_KEYS_IDS,
                                     gateway->command_scratch, sizeof(gateway->command_scratch));
    if (size > sizeof(gateway->command_scratch)) {
        return false;
    }
    envelope_t envelope = {0};
    fill_request(request, admission, gateway_pending_correlation(gateway, pending),
                 pending->deadline_span_ms, &envelope.request);
    MESSAGE_SET(request, &envelope.request, body, text_of_bytes(gateway->command_scratch, size));
    MESSAGE_MARK(envelope, &envelope, request);
    return pack_envelope(&envelope, pending);
}

/* A request that waited has less time left than its envelope says: written anew. */
static size_t refresh_deadline(gateway_t *gateway, const gateway_pending_t *pending)
{
    envelope_t envelope;
    arena_t arena = {.base = NULL, .size = 0}; /* a request has no lists */
    message_fault_t fault;
    const bool is_read = message_unpack(&envelope_message, MESSAGE_KEYS_IDS, pending->envelope,
                                        pending->envelope_size, &arena, &envelope, &fault);
    assert(is_read); /* we wrote it */
    const uint64_t now_ms = loop_now_ms(gateway->loop);
    envelope.request.deadline_ms =
        pending->deadline_ms > now_ms ? pending->deadline_ms - now_ms : 0;
    const size_t size = message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS,
                                     gateway->envelope_scratch, sizeof(gateway->envelope_scratch));
    assert(size <= sizeof(gateway->envelope_scratch));
    return size;
}

static bool takes_requests(const gateway_t *gateway, const gateway_peer_t *peer)
{
    return peer->state == GATEWAY_PEER_UP && loop_now_ms(gateway->loop) >= peer->held_until_ms;
}

/* False: the transport has no room now; the next tick tries again. */
static bool send_again(gateway_t *gateway, gateway_pending_t *pending)
{
    const size_t size = refresh_deadline(gateway, pending);
    if (send_bytes(gateway, pending->peer, gateway->envelope_scratch, size) != RESULT_OK) {
        return false;
    }
    if (pending->sent_count > 0) {
        metric_add(gateway->numbers.resent, 1);
    }
    gateway_pending_set_sent(gateway, pending);
    return true;
}

void gateway_dispatch(gateway_t *gateway, uint16_t number)
{
    gateway_peer_t *peer = &gateway->peers[number];
    if (peer->is_dispatching || peer->unsent_count == 0 || !takes_requests(gateway, peer)) {
        return;
    }
    peer->is_dispatching = true;
    const gateway_flow_t *flow = gateway_flow_next(gateway, peer);
    while (flow != NULL) { /* each round sends or ends one */
        gateway_pending_t *pending = gateway_pending_first(gateway, &flow->waiting);
        if (loop_now_ms(gateway->loop) >= pending->deadline_ms) {
            gateway_fail_overdue(gateway, pending); /* nobody waits for it: not worked on */
        } else if (!send_again(gateway, pending)) {
            break;
        }
        flow = gateway_flow_next(gateway, peer);
    }
    peer->is_dispatching = false;
}

void gateway_dispatch_all(gateway_t *gateway)
{
    for (uint32_t i = 0; i < GATEWAY_PEERS; i++) {
        gateway_dispatch(gateway, (uint16_t)i);
    }
    metric_set(gateway->numbers.waiting, gateway->waiting_count);
}

/* Sends a request that was just packed, unless others wait before it or there is no credit. */
static result_t send_first(gateway_t *gateway, gateway_pending_t *pending)
{
    gateway_peer_t *peer = &gateway->peers[pending->peer];
    gateway_flow_t *flow = &gateway->flows[pending->flow];
    if (!takes_requests(gateway, peer)) {
        return RESULT_OK;
    }
    if (peer->unsent_count > 1) {
        gateway_flow_place(gateway, flow);
        gateway_dispatch(gateway, pending->peer);
        return RESULT_OK;
    }
    if (peer->sent_count >= peer->credits || flow->sent_count >= peer->tenant_credits) {
        return RESULT_OK;
    }
    const result_t result =
        send_bytes(gateway, pending->peer, pending->envelope, pending->envelope_size);
    if (result == RESULT_OK) {
        gateway_pending_set_sent(gateway, pending);
    }
    return result == RESULT_UNAVAILABLE ? RESULT_OK : result; /* waits for the successor */
}

result_t gateway_start(gateway_t *gateway, const gateway_request_t *request,
                       const gateway_admission_t *admission, gateway_done_t *done, void *context,
                       uint64_t *handle)
{
    uint32_t deadline_ms =
        request->deadline_ms == 0 ? (uint32_t)LIMIT_REQUEST_DEADLINE_MS : request->deadline_ms;
    if (deadline_ms > LIMIT_REQUEST_DEADLINE_MS_MAX) {
        deadline_ms = LIMIT_REQUEST_DEADLINE_MS_MAX;
    }
    gateway_pending_t *pending =
        gateway_pending_take(gateway, admission->peer, request->tenant, deadline_ms);
    if (pending == NULL) {
        return RESULT_BUSY;
    }
    pending->type = request->type;
    pending->may_resend = admission->shape->is_read || admission->has_key_hash;
    pending->done = done;
    pending->context = context;
    pending->started_us = admission->started_us;
    memcpy(pending->trace_id, admission->traceparent + GATEWAY_TRACE_ID_OFFSET,
           sizeof(pending->trace_id));
    *handle = gateway_pending_correlation(gateway, pending);
    result_t result = RESULT_NO_MEMORY;
    if (pack_request(gateway, request, admission, pending)) {
        result = send_first(gateway, pending);
    }
    if (result != RESULT_OK) {
        gateway_pending_release(gateway, pending);
        return result;
    }
    gateway_flow_place(gateway, &gateway->flows[pending->flow]);
    gateway_tick_start(gateway);
    return RESULT_OK;
}

/* `done` of one may cancel or submit others: the list is looked at anew each time. */
static void fail_lost(gateway_t *gateway, result_t result, const char *detail)
{
    gateway_pending_t *pending = gateway_pending_first(gateway, &gateway->lost);
    while (pending != NULL) {
        gateway_fail(gateway, pending, result, detail);
        pending = gateway_pending_first(gateway, &gateway->lost);
    }
}

/* Nothing more will come from this peer: commands whose outcome nobody knows end at once, so that
 * the client can find out; what may be repeated waits for the successor. */
static void lose_requests(gateway_t *gateway, gateway_peer_t *peer)
{
    gateway_pending_t *pending = gateway_pending_last(gateway, &peer->sent);
    while (pending != NULL) { /* the youngest first: each goes before those that wait */
        gateway_pending_t *previous = gateway_pending_previous(gateway, pending);
        if (pending->may_resend) {
            gateway_pending_set_unsent(gateway, pending);
        } else {
            gateway_pending_lose(gateway, pending);
        }
        pending = previous;
    }
    fail_lost(gateway, RESULT_OUTCOME_UNKNOWN, died_detail);
}

void gateway_fail_unsent(gateway_t *gateway)
{
    for (size_t i = 0; i < gateway->used_count; i++) {
        gateway_pending_t *pending = &gateway->pending[i];
        if (pending->state == GATEWAY_PENDING_UNSENT && pending->sent_count == 0) {
            gateway_pending_lose(gateway, pending);
        }
    }
    fail_lost(gateway, RESULT_DRAINING,
              "The service is stopping, and the request had no effect: try again.");
}

/* What a peer takes that has granted nothing yet, and the relay, which grants nothing. */
static void grant_usual(gateway_t *gateway, uint16_t number)
{
    const bool is_relay = number == GATEWAY_RELAY_PEER;
    gateway_flow_grant(gateway, number, is_relay ? LIMIT_PAGES_IN_FLIGHT : LIMIT_FRONT_CREDITS,
                       is_relay ? LIMIT_RELAY_TENANT_CREDITS : LIMIT_TENANT_CREDITS);
}

void gateway_receive_credit(gateway_t *gateway, const credit_t *credit)
{
    if (credit->shard < gateway->ports.shards) {
        gateway->peers[credit->shard].store =
            MESSAGE_HAS(credit, credit, store) ? credit->store : 0;
        gateway->peers[credit->shard].store_told_ms = loop_now_ms(gateway->loop);
        gateway_flow_grant(gateway, (uint16_t)credit->shard, (uint32_t)credit->requests,
                           (uint32_t)credit->tenant_requests);
        gateway_dispatch(gateway, (uint16_t)credit->shard);
    }
}

void gateway_say_farewell(gateway_t *gateway, uint16_t number)
{
    gateway_peer_t *peer = &gateway->peers[number];
    if (peer->state != GATEWAY_PEER_DRAINING || peer->sent_count > 0 || peer->is_farewell_said ||
        number == GATEWAY_RELAY_PEER) {
        return;
    }
    envelope_t envelope = {0};
    MESSAGE_SET(farewell, &envelope.farewell, shard, number);
    MESSAGE_MARK(envelope, &envelope, farewell);
    uint8_t bytes[64];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    assert(size <= sizeof(bytes));
    peer->is_farewell_said = send_bytes(gateway, number, bytes, size) == RESULT_OK;
}

void gateway_peer_up(gateway_t *gateway, gateway_target_t target, uint32_t index)
{
    const uint16_t number = peer_of(gateway, target, index);
    gateway_peer_t *peer = &gateway->peers[number];
    if (peer->state != GATEWAY_PEER_DOWN) {
        /* A successor without a word about the end of its predecessor. */
        peer->state = GATEWAY_PEER_DOWN;
        lose_requests(gateway, peer);
    }
    peer->state = GATEWAY_PEER_UP;
    peer->held_until_ms = 0;
    peer->is_farewell_said = false;
    peer->store = 0;
    grant_usual(gateway, number);
    gateway_dispatch(gateway, number);
    if (number == 0) {
        gateway_directory_ask_all(gateway);
    }
}

void gateway_peer_draining(gateway_t *gateway, gateway_target_t target, uint32_t index)
{
    const uint16_t number = peer_of(gateway, target, index);
    gateway_peer_t *peer = &gateway->peers[number];
    if (peer->state == GATEWAY_PEER_UP) {
        peer->state = GATEWAY_PEER_DRAINING;
        gateway_say_farewell(gateway, number);
    }
}

void gateway_peer_down(gateway_t *gateway, gateway_target_t target, uint32_t index)
{
    gateway_peer_t *peer = &gateway->peers[peer_of(gateway, target, index)];
    peer->state = GATEWAY_PEER_DOWN;
    lose_requests(gateway, peer);
}
