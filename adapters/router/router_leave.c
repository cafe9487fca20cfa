/* How the ROUTER API leaves. ZeroMQ tells nobody that it closes a connection, and what was written
 * to one that ends is lost; so the moment is chosen. On a hand-over the socket accepts no new
 * clients and goes on reading, but holds its replies: clients that wait for replies before they
 * send more fall quiet. Then nothing is on its way to us: all replies leave in one piece with the
 * end of the connection. Clients reconnect by themselves and find the successor.
 *
 * What is known decides, where it can be known: the end is told only when ZeroMQ has written the
 * last replies and nothing has come since, neither received nor unread in the kernel; else the
 * connections go on and the replies of what came are held again. What a client still means to
 * send, only the client knows: for that there is a pause, and it is longer where requests or our
 * own turns are seen to be late, or where fewer replies are held than requests were in flight
 * before. A client that sends without waiting never falls quiet: what it sends in the moment of
 * the end is lost, and it repeats by its idempotency key. */
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
    front->leave.held_count++;
    metric_add(front->metrics.held, 1);
    return true;
}

static void send_held(router_front_t *front, zsocket_account_t *account)
{
    front->leave.held_count = 0;
    while (!STAILQ_EMPTY(&front->held)) {
        router_held_t *held = STAILQ_FIRST(&front->held);
        zframe_view_t frames[LIMIT_API_FRAMES];
        size_t at = 0;
        for (size_t i = 0; i < held->count; i++) {
            frames[i] = (zframe_view_t){held->bytes + at, held->sizes[i]};
            at += held->sizes[i];
        }
        router_send(front, frames, held->count, account);
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

/* --- What is known of the clients --- */

static uint64_t longer(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* Most requests that were in flight at a time, lately. */
static uint32_t seen_in_flight(const router_front_t *front)
{
    const router_leave_t *const leave = &front->leave;
    return leave->seen_now > leave->seen_before ? leave->seen_now : leave->seen_before;
}

static void see_in_flight(router_front_t *front)
{
    router_leave_t *const leave = &front->leave;
    const uint64_t now_ms = loop_now_ms(front->loop);
    if (now_ms - leave->seen_since_ms >= 1000) {
        leave->seen_before = leave->seen_now;
        leave->seen_now = 0;
        leave->seen_since_ms = now_ms;
    }
    if (front->in_flight_count > leave->seen_now) {
        leave->seen_now = front->in_flight_count;
    }
}

bool router_leave_hears(router_front_t *front)
{
    router_leave_t *const leave = &front->leave;
    const uint64_t now_ms = loop_now_ms(front->loop);
    if (front->leaving == ROUTER_WAS_LEFT) {
        leave->dropped++;
        metric_add(front->metrics.late, 1);
        return false;
    }
    leave->late_ms = longer(leave->late_ms, now_ms - leave->received_ms);
    leave->received_ms = now_ms;
    leave->has_heard = true;
    return true;
}

/* How long nothing may come before the clients are taken to be waiting. */
static uint64_t quiet_ms(const router_front_t *front)
{
    const router_leave_t *const leave = &front->leave;
    if (front->leaving == ROUTER_WAITS) {
        return LIMIT_API_QUIET_MS; /* what does not wait is not waited for */
    }
    if (leave->held_count < seen_in_flight(front)) {
        return LIMIT_API_QUIET_MS_MAX;
    }
    const uint64_t late_ms = LIMIT_API_QUIET_FACTOR * leave->late_ms;
    return late_ms > LIMIT_API_QUIET_MS_MAX ? LIMIT_API_QUIET_MS_MAX
                                            : longer(late_ms, LIMIT_API_QUIET_MS);
}

/* --- The states --- */

static void enter(router_front_t *front, router_leaving_t state)
{
    front->leaving = state;
    front->leave.state_ms = loop_now_ms(front->loop);
}

static void finish(router_front_t *front)
{
    loop_timer_stop(front->timer);
    zsocket_account_release(&front->leave.account);
    enter(front, ROUTER_FINISHES);
    loop_again(front->loop);
}

static void give_up(router_front_t *front)
{
    log_warn("clients of the API send without a pause while the front restarts: requests of this "
             "moment may get no answer and are to be repeated with their idempotency keys");
    if (front->leaving == ROUTER_SENDS_LAST) {
        zsocket_scatter(front->socket);
    }
    send_held(front, NULL);
    zsocket_pause(front->socket, true);
    finish(front);
}

static void tick_holds(router_front_t *front, uint64_t now_ms)
{
    router_leave_t *const leave = &front->leave;
    const bool is_quiet = front->in_flight_count == 0 &&
                          now_ms - leave->received_ms >= quiet_ms(front) &&
                          !zsocket_has_unread(front->socket);
    if (is_quiet) {
        zsocket_account_release(&leave->account);
        leave->account = zsocket_account_create();
        leave->has_heard = false;
        leave->written_ticks = 0;
        zsocket_gather(front->socket);
        send_held(front, leave->account);
        enter(front, ROUTER_SENDS_LAST);
    } else if (front->leaving == ROUTER_HOLDS &&
               (now_ms - leave->began_ms >= LIMIT_API_HOLD_MS ||
                leave->held_count > 2 * seen_in_flight(front) + LIMIT_API_HOLD_SPARE)) {
        leave->does_not_wait = true;
        send_held(front, NULL);
        enter(front, ROUTER_WAITS);
    }
}

static void go_back(router_front_t *front)
{
    zsocket_scatter(front->socket);
    front->leave.received_ms = loop_now_ms(front->loop);
    enter(front, front->leave.does_not_wait ? ROUTER_WAITS : ROUTER_HOLDS);
}

/* ZeroMQ lets go of a reply as it copies it to what it writes next, and it writes within the same
 * call: the second look is for a thread that was stopped just there. */
static void tick_sends_last(router_front_t *front, uint64_t now_ms)
{
    router_leave_t *const leave = &front->leave;
    const uint64_t passed_ms = now_ms - leave->state_ms;
    const bool is_written = leave->account != NULL && zsocket_account_size(leave->account) == 0;
    leave->written_ticks = is_written ? leave->written_ticks + 1 : 0;
    if (leave->has_heard || front->in_flight_count > 0 || zsocket_has_unread(front->socket)) {
        go_back(front);
    } else if (leave->written_ticks >= 2 && passed_ms >= LIMIT_API_CORK_MS) {
        go_back(front); /* the kernel has let the piece go before its end was there */
    } else if (leave->written_ticks >= 2 || passed_ms >= LIMIT_API_FLUSH_MS) {
        zsocket_finish(front->socket);
        enter(front, ROUTER_WAS_LEFT);
    }
}

/* Closed before the clients have read the end, the connection would be reset, and what they have
 * not read of it lost. */
static void tick_was_left(router_front_t *front, uint64_t now_ms)
{
    if (now_ms - front->leave.state_ms < LIMIT_API_END_MS && zsocket_peers(front->socket) > 0) {
        return;
    }
    if (front->leave.dropped > 0) {
        log_warn("requests came to the front that restarts after its clients were told the end: "
                 "they were not carried out and are to be sent again",
                 LOG_NUMBER("requests", front->leave.dropped));
    }
    zsocket_destroy(&front->socket);
    finish(front);
}

void router_leave_tick(void *context)
{
    router_front_t *front = context;
    router_leave_t *const leave = &front->leave;
    const uint64_t now_ms = loop_now_ms(front->loop);
    const uint64_t since_ms = now_ms - leave->looked_ms;
    if (since_ms > LIMIT_API_TICK_MS) {
        leave->late_ms = longer(leave->late_ms, since_ms - LIMIT_API_TICK_MS);
    }
    leave->looked_ms = now_ms;
    if (front->leaving == ROUTER_WAS_LEFT) {
        tick_was_left(front, now_ms);
    } else if (now_ms - leave->began_ms >= LIMIT_API_LEAVE_MS) {
        give_up(front);
    } else if (front->leaving == ROUTER_SENDS_LAST) {
        tick_sends_last(front, now_ms);
    } else {
        tick_holds(front, now_ms);
    }
}

void router_leave_turn(router_front_t *front)
{
    if (front->leaving == ROUTER_STAYS) {
        see_in_flight(front);
    }
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
    front->drained = drained;
    front->drained_context = context;
    enter(front, ROUTER_HOLDS);
    front->leave.began_ms = front->leave.state_ms;
    front->leave.looked_ms = front->leave.state_ms;
    front->leave.received_ms = front->leave.state_ms;
    if (zsocket_stop_accepting(front->socket) != RESULT_OK) {
        log_warn("new clients of the API may still come to the front that goes");
    }
    loop_timer_start(front->timer, LIMIT_API_TICK_MS, LIMIT_API_TICK_MS);
}
