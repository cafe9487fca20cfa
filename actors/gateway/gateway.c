/* The gateway's front door: creation, submit, cancel, the tick that notices deadlines, readiness
 * and drain. The parts: gateway_admission (may it?), gateway_peers (sending), gateway_pending (the
 * table), gateway_reply (endings), gateway_directory (tenants and keys). */
#include "actors/gateway/gateway.h"
#include "actors/gateway/gateway_internal.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void gateway_fail_overdue(gateway_t *gateway, gateway_pending_t *pending)
{
    const bool has_effects = pending->sent_count > 0 && !gateway_shape(pending->type)->is_read;
    char detail[GATEWAY_DETAIL_SIZE];
    if (has_effects) {
        (void)snprintf(detail, sizeof(detail),
                       "No answer came within %u ms. Read the card to see whether the request took "
                       "effect; a command with an Idempotency-Key may simply be sent again.",
                       pending->deadline_span_ms);
        gateway_fail(gateway, pending, RESULT_OUTCOME_UNKNOWN, detail);
        return;
    }
    (void)snprintf(detail, sizeof(detail),
                   "No answer came within %u ms, and the request had no effect: try again.",
                   pending->deadline_span_ms);
    gateway_fail(gateway, pending, RESULT_DEADLINE_EXCEEDED, detail);
}

static void tick(void *context)
{
    gateway_t *gateway = context;
    gateway_pending_t *pending = gateway_pending_overdue(gateway);
    while (pending != NULL) {
        gateway_fail_overdue(gateway, pending);
        pending = gateway_pending_overdue(gateway);
    }
    gateway_dispatch_all(gateway);
    if (gateway->in_flight_count > 0) {
        return;
    }
    loop_timer_stop(gateway->tick_timer);
    gateway->is_ticking = false;
    if (gateway->is_draining && gateway->drained != NULL) {
        loop_callback_t *drained = gateway->drained;
        gateway->drained = NULL;
        drained(gateway->drained_context);
    }
}

void gateway_tick_start(gateway_t *gateway)
{
    if (!gateway->is_ticking) {
        gateway->is_ticking = true;
        loop_timer_start(gateway->tick_timer, LIMIT_DEADLINE_TICK_MS, LIMIT_DEADLINE_TICK_MS);
    }
}

static void poll_directory(void *context)
{
    gateway_t *gateway = context;
    gateway_directory_poll(gateway);
    gateway_metrics_tokens(gateway);
}

result_t gateway_create(loop_t *loop, metrics_t *metrics, const gateway_ports_t *ports,
                        gateway_t **gateway)
{
    assert(ports->shards > 0 && ports->shards <= LIMIT_SHARDS);
    gateway_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->loop = loop;
    made->ports = *ports;
    made->trace_pool_used = sizeof(made->trace_pool);
    gateway_metrics_init(made, metrics);
    gateway_directory_init(made);
    const result_t result = gateway_pending_init(made);
    made->tick_timer = loop_timer_create(loop, tick, made);
    made->directory_timer = loop_timer_create(loop, poll_directory, made);
    if (result != RESULT_OK || made->tick_timer == NULL || made->directory_timer == NULL) {
        gateway_destroy(&made);
        return RESULT_NO_MEMORY;
    }
    loop_timer_start(made->directory_timer, LIMIT_DIRECTORY_POLL_MS, LIMIT_DIRECTORY_POLL_MS);
    *gateway = made;
    return RESULT_OK;
}

void gateway_destroy(gateway_t **gateway)
{
    gateway_t *old = *gateway;
    *gateway = NULL;
    if (old == NULL) {
        return;
    }
    if (old->tick_timer != NULL) {
        loop_timer_destroy(&old->tick_timer);
    }
    if (old->directory_timer != NULL) {
        loop_timer_destroy(&old->directory_timer);
    }
    gateway_pending_deinit(old);
    gateway_directory_deinit(old);
    free(old);
}

static void explain_start(gateway_admission_t *admission, result_t result)
{
    const char *sentence = result == RESULT_BUSY
                               ? "Too many requests of this tenant wait: try again in a moment."
                               : "The request could not be handed on within the service and had "
                                 "no effect: try again.";
    (void)snprintf(admission->detail, sizeof(admission->detail), "%s", sentence);
}

uint64_t gateway_submit(gateway_t *gateway, const gateway_request_t *request, gateway_done_t *done,
                        void *context)
{
    gateway_admission_t admission; /* zeroing all of it would cost more than the checks */
    admission.started_us = clock_monotonic_us();
    admission.detail[0] = '\0';
    admission.field = NULL;
    admission.has_key_hash = false;
    gateway_traceparent(gateway, request->traceparent, admission.traceparent);
    result_t result = gateway_admit(gateway, request, &admission);
    uint64_t handle = 0;
    if (result == RESULT_OK) {
        result = gateway_start(gateway, request, &admission, done, context, &handle);
        if (result != RESULT_OK) {
            explain_start(&admission, result);
        }
    }
    if (result != RESULT_OK) {
        gateway_fail_unstarted(gateway, request, &admission, result, done, context);
        return 0;
    }
    /* NULL: answered while it was being sent. */
    return gateway_pending_find(gateway, handle) == NULL ? 0 : handle;
}

void gateway_cancel(gateway_t *gateway, uint64_t handle)
{
    gateway_pending_t *pending = gateway_pending_find(gateway, handle);
    if (pending != NULL) {
        const uint16_t peer = pending->peer;
        gateway_pending_release(gateway, pending);
        gateway_after_release(gateway, peer);
    }
    if (gateway->is_draining && gateway->in_flight_count == 0) {
        gateway_tick_start(gateway);
    }
}

static const char *store_trouble(const gateway_t *gateway, const gateway_peer_t *peer)
{
    if (loop_now_ms(gateway->loop) - peer->store_told_ms > LIMIT_STORE_TOLD_MS) {
        return NULL; /* it would have been told again: that it is over was lost */
    }
    switch (peer->store) {
    case store_state_silent:
        return "its store does not answer: no commit and no read ends; see what the disk or "
               "PostgreSQL does";
    case store_state_unreadable:
        return "the control store cannot be read; see its log";
    case store_state_full:
        return "the disk of its store is full, no commit ends well; free space, then it goes on by "
               "itself";
    default:
        return NULL;
    }
}

bool gateway_is_ready(const gateway_t *gateway, char *detail, size_t detail_size)
{
    static const char *const names[] = {[GATEWAY_PEER_DOWN] = "down",
                                        [GATEWAY_PEER_UP] = "up",
                                        [GATEWAY_PEER_DRAINING] = "draining"};
    if (gateway->is_draining) {
        (void)snprintf(detail, detail_size, "the service is stopping");
        return false;
    }
    for (uint32_t i = 0; i < gateway->ports.shards; i++) {
        const gateway_peer_state_t state = gateway->peers[i].state;
        if (state != GATEWAY_PEER_UP) {
            (void)snprintf(detail, detail_size, "shard-%u is %s", i, names[state]);
            return false;
        }
        const char *const trouble = store_trouble(gateway, &gateway->peers[i]);
        if (trouble != NULL) {
            (void)snprintf(detail, detail_size, "shard-%u: %s", i, trouble);
            return false;
        }
    }
    const gateway_peer_state_t relay = gateway->peers[GATEWAY_RELAY_PEER].state;
    if (relay != GATEWAY_PEER_UP) {
        (void)snprintf(detail, detail_size, "the relay is %s", names[relay]);
        return false;
    }
    if (!gateway->directory.is_loaded) {
        (void)snprintf(detail, detail_size, "the tenants are not known yet");
        return false;
    }
    if (detail_size > 0) {
        detail[0] = '\0';
    }
    return true;
}

void gateway_drain(gateway_t *gateway, loop_callback_t *drained, void *context)
{
    gateway->is_draining = true;
    gateway->drained = drained;
    gateway->drained_context = context;
    gateway_fail_unsent(gateway);
    gateway_tick_start(gateway);
}
