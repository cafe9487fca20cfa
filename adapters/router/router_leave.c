/* How the ROUTER API leaves. ZeroMQ tells nobody that it closes a connection, and loses what is on
 * its way in that moment; so the moment is chosen. On a hand-over the socket accepts no new clients
 * and goes on reading, but holds its replies: clients that wait for replies before they send more
 * fall quiet. Then nothing is on its way to us: all replies leave in one piece with the end of the
 * connection. Clients reconnect by themselves and find the successor. A client that sends
 * without waiting never falls quiet: for it the first pause of LIMIT_API_QUIET_MS has to do, and
 * what it sends in the moment of the end is lost; it repeats by its idempotency key. */
#include "adapters/router/router_front.h"

#include "adapters/router/router_internal.h"
#include "runtime/log.h"

#include <stdlib.h>

bool router_hold(router_front_t *front, const zframe_view_t *frames, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += frames[i].size;
    }
    router_held_t *held = malloc(sizeof(*held) + size);
    if (held == NULL) {
        return false;
    }
    size_t at = 0;
    held->count = count;
    for (size_t i = 0; i < count; i++) {
        held->sizes[i] = (uint32_t)frames[i].size;
        if (frames[i].size > 0) {
            memcpy(held->bytes + at, frames[i].data, frames[i].size);
        }
        at += frames[i].size;
    }
    STAILQ_INSERT_TAIL(&front->held, held, link);
    metric_add(front->metrics.held, 1);
    return true;
}

static void send_held(router_front_t *front)
{
    while (!STAILQ_EMPTY(&front->held)) {
        router_held_t *held = STAILQ_FIRST(&front->held);
        zframe_view_t frames[LIMIT_API_FRAMES];
        size_t at = 0;
        for (size_t i = 0; i < held->count; i++) {
            frames[i] = (zframe_view_t){held->bytes + at, held->sizes[i]};
            at += held->sizes[i];
        }
        router_send(front, frames, held->count);
        STAILQ_REMOVE_HEAD(&front->held, link);
        free(held);
    }
}

void router_held_forget(router_front_t *front)
{
    while (!STAILQ_EMPTY(&front->held)) {
        router_held_t *held = STAILQ_FIRST(&front->held);
        STAILQ_REMOVE_HEAD(&front->held, link);
        free(held);
    }
}

static void leave(router_front_t *front)
{
    loop_timer_stop(front->timer);
    front->leaving = ROUTER_FINISHES;
    zsocket_destroy(&front->socket);
    loop_again(front->loop);
}

/* Its clients wait for nothing but these replies. */
static void send_last(router_front_t *front)
{
    zsocket_gather(front->socket);
    send_held(front);
    front->leaving = ROUTER_SENDS_LAST;
    front->leaving_at_ms = loop_now_ms(front->loop);
}

void router_leave_tick(void *context)
{
    router_front_t *front = context;
    const uint64_t now_ms = loop_now_ms(front->loop);
    const uint64_t passed_ms = now_ms - front->leaving_at_ms;
    const bool is_quiet =
        front->in_flight_count == 0 && now_ms - front->received_ms >= LIMIT_API_QUIET_MS;
    if (front->leaving == ROUTER_SENDS_LAST) {
        if (passed_ms >= LIMIT_API_FLUSH_MS) {
            zsocket_finish(front->socket);
            front->leaving = ROUTER_WAS_LEFT;
            front->leaving_at_ms = now_ms;
        }
    } else if (front->leaving == ROUTER_WAS_LEFT) {
        if (passed_ms >= LIMIT_API_FLUSH_MS) {
            leave(front);
        }
    } else if (is_quiet) {
        send_last(front);
    } else if (front->leaving == ROUTER_HOLDS && passed_ms >= LIMIT_API_HOLD_MS) {
        front->leaving = ROUTER_WAITS;
        send_held(front);
    } else if (passed_ms >= LIMIT_API_LEAVE_MS) {
        log_warn(
            "clients of the API send without a pause while the front restarts: requests of this "
            "moment may get no answer and are to be repeated with their idempotency keys");
        loop_timer_stop(front->timer);
        front->leaving = ROUTER_FINISHES;
        zsocket_pause(front->socket, true);
        loop_again(front->loop);
    }
}

void router_leave_turn(router_front_t *front)
{
    if (front->leaving == ROUTER_FINISHES && front->in_flight_count == 0 &&
        front->drained != NULL) {
        loop_callback_t *drained = front->drained;
        front->drained = NULL;
        drained(front->drained_context);
    }
}

void router_front_drain(router_front_t *front, loop_callback_t *drained, void *context)
{
    front->leaving = ROUTER_FINISHES;
    front->drained = drained;
    front->drained_context = context;
    zsocket_pause(front->socket, true);
    loop_again(front->loop);
}

void router_front_hand_over(router_front_t *front, loop_callback_t *drained, void *context)
{
    front->leaving = ROUTER_HOLDS;
    front->drained = drained;
    front->drained_context = context;
    front->leaving_at_ms = loop_now_ms(front->loop);
    front->received_ms = front->leaving_at_ms;
    if (zsocket_stop_accepting(front->socket) != RESULT_OK) {
        log_warn("new clients of the API may still come to the front that goes");
    }
    loop_timer_start(front->timer, LIMIT_API_TICK_MS, LIMIT_API_TICK_MS);
}
