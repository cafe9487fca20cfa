/* The adapter actor: makes the attempts that its breaker hands it, and gives each back when it has
 * ended. It owns what is under way; when it fails, it gives these attempts up, its breaker hears of
 * each as failed, and the supervision starts it anew. Must not decide who may call, nor when to
 * repeat (breaker_actor.c). */
#include "actors/neighbours/neighbour_internal.h"

#include <assert.h>

typedef struct adapter_actor {
    adapter_argument_t argument; /* first: copied there at each start */
    neighbour_call_t *under_way; /* bounded by the breaker's `concurrency` */
} adapter_actor_t;

static void link_call(adapter_actor_t *self, neighbour_call_t *call)
{
    call->previous = NULL;
    call->next = self->under_way;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    self->under_way = call;
    call->is_under_way = true;
    call->neighbours->in_flight++;
}

static void unlink_call(adapter_actor_t *self, neighbour_call_t *call)
{
    if (!call->is_under_way) {
        return; /* its answer waited while the state that had begun it went */
    }
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        self->under_way = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
    call->is_under_way = false;
    call->neighbours->in_flight--;
}

/* The breaker may be gone, or be about to: then nobody is left to learn from the call. */
static void give_back(neighbour_call_t *call)
{
    actor_message_t *message = &call->message;
    message->type = NEIGHBOUR_MESSAGE_ENDED;
    if (actor_system_tell(call->neighbours->system, call->breaker, &message) == RESULT_OK) {
        return;
    }
    const neighbour_end_t end = call->has_failed ? NEIGHBOUR_FAILED : NEIGHBOUR_ANSWERED;
    neighbour_call_end(call, call->neighbours->is_ending ? NEIGHBOUR_DRAINING : end);
}

static void give_up(neighbour_call_t *call, const char *why)
{
    call->took_us = 0;
    neighbour_call_set_failure(call, why);
    give_back(call);
}

/* --- Messages --- */

static result_t make_attempt(actor_t *actor, adapter_actor_t *self, neighbour_call_t *call)
{
    const neighbours_t *const neighbours = call->neighbours;
    const uint64_t now_ms = loop_now_ms(neighbours->loop);
    const uint32_t deadline_ms = neighbours->settings.deadline_ms;
    if (now_ms >= call->deadline_ms) {
        call->was_not_made = true;
        give_up(call, "its time was over before its adapter had been restarted");
        return RESULT_OK;
    }
    const uint64_t left_ms = call->deadline_ms - now_ms;
    call->worker = actor_ref(actor);
    call->started_us = neighbours->ports.monotonic_us();
    link_call(self, call);
    const result_t result =
        call->start(call, left_ms < deadline_ms ? (uint32_t)left_ms : deadline_ms);
    if (result == RESULT_OK) {
        return RESULT_OK;
    }
    unlink_call(self, call);
    call->was_not_made = result == RESULT_BUSY;
    give_up(call, result_title(result));
    return result == RESULT_INTERNAL ? RESULT_INTERNAL : RESULT_OK;
}

static result_t receive(actor_t *actor, actor_message_t *message, void *context)
{
    (void)context;
    adapter_actor_t *const self = actor_state(actor);
    neighbour_call_t *const call = neighbour_call_of(message);
    (void)actor_take_message(actor);
    if (message->type == NEIGHBOUR_MESSAGE_ATTEMPT) {
        call->breaker = message->sender;
        return make_attempt(actor, self, call);
    }
    unlink_call(self, call); /* it has been answered */
    give_back(call);
    return RESULT_OK;
}

static void undeliverable(actor_t *actor, actor_message_t *message, result_t why, void *context)
{
    (void)why;
    (void)context;
    neighbour_call_t *const call = neighbour_call_of(message);
    (void)actor_take_message(actor);
    if (message->type == NEIGHBOUR_MESSAGE_ANSWERED) {
        unlink_call(actor_state(actor), call);
        give_back(call);
        return;
    }
    call->breaker = message->sender;
    give_up(call, "its adapter was stopped");
}

/* What has been answered already is handled by the state that comes next. */
static void deactivate(actor_t *actor, void *context)
{
    (void)context;
    adapter_actor_t *const self = actor_state(actor);
    while (self->under_way != NULL) { /* each round takes one out */
        neighbour_call_t *const call = self->under_way;
        unlink_call(self, call);
        if (call->message.type != NEIGHBOUR_MESSAGE_ANSWERED) {
            call->cancel(call);
            give_up(call, "its adapter was restarted");
        }
    }
}

static void describe(const actor_message_t *message, actor_description_t *description,
                     void *context)
{
    (void)context;
    description->command =
        message->type == NEIGHBOUR_MESSAGE_ATTEMPT ? "make an attempt" : "end an attempt";
}

const actor_kind_t adapter_actor_kind = {
    .name = "adapter",
    .state_size = sizeof(adapter_actor_t),
    .is_anonymous = true,
    .mailbox_max = LIMIT_HTTP_CALLS, /* a call is in one place at a time */
    .receive = receive,
    .undeliverable = undeliverable,
    .deactivate = deactivate,
    .describe = describe,
};

/* --- From the port, outside of any handler --- */

void neighbour_attempt_end(neighbour_call_t *call, const char *failure)
{
    const neighbours_t *const neighbours = call->neighbours;
    assert(call->is_under_way && call->message.type == NEIGHBOUR_MESSAGE_ATTEMPT);
    call->took_us = neighbours->ports.monotonic_us() - call->started_us;
    call->has_failed = failure != NULL;
    if (failure != NULL) {
        neighbour_call_set_failure(call, failure);
    }
    actor_message_t *message = &call->message;
    message->type = NEIGHBOUR_MESSAGE_ANSWERED;
    const result_t result = actor_system_tell(neighbours->system, call->worker, &message);
    assert(result == RESULT_OK); /* it is alive, and has room for each call it was given */
    (void)result;
}
