/* The circuit-breaker actor of one (tenant, adapter): who may call, who waits, who is asked again;
 * and the supervisor of the adapter that makes the calls. A fault of its own ends the calls that
 * wait and restarts it alone, closed. Must not know what is asked (membership_desk.c,
 * vendor_desk.c) nor how a breaker decides (domain/circuit_breaker.c). */
#include "actors/neighbours/neighbour_internal.h"

#include <assert.h>
#include <stdio.h>

static actor_t *actor_of(neighbour_t *self)
{
    return actor_of_state(self);
}

/* --- The breaker --- */

typedef struct seen_state {
    const char *name;
} seen_state_t;

static seen_state_t look(const neighbour_t *self)
{
    return (seen_state_t){circuit_breaker_state_name(&self->breaker)};
}

static void tell_change(neighbour_t *self, seen_state_t before, const char *reason)
{
    const neighbours_t *const owner = self->owner;
    const char *after = circuit_breaker_state_name(&self->breaker);
    if (before.name == after) { /* literals of one function */
        return;
    }
    const bool was_closed = strcmp(before.name, "closed") == 0;
    metric_add(owner->changes[self->adapter], 1);
    if (was_closed != circuit_breaker_is_closed(&self->breaker)) {
        metric_t *open = owner->open[self->adapter];
        metric_set(open, (int64_t)metric_value(open) + (was_closed ? 1 : -1));
    }
    if (owner->ports.changed != NULL) {
        owner->ports.changed(owner->ports.context, self, reason);
    }
}

static void note_error(neighbour_t *self, const char *failure)
{
    (void)snprintf(self->last_error, sizeof self->last_error, "%s", failure);
    self->last_error_ms = (uint64_t)neighbours_now_ms(self->owner);
}

/* --- How calls end --- */

static void finish(neighbour_t *self, neighbour_call_t *call, neighbour_end_t end)
{
    self->answered += end == NEIGHBOUR_ANSWERED ? 1U : 0U;
    self->failed += end == NEIGHBOUR_FAILED ? 1U : 0U;
    self->not_asked += end != NEIGHBOUR_ANSWERED && end != NEIGHBOUR_FAILED ? 1U : 0U;
    neighbour_call_end(call, end);
}

static void enqueue(neighbour_t *self, neighbour_call_t *call)
{
    call->next = NULL;
    if (self->last != NULL) {
        self->last->next = call;
    } else {
        self->first = call;
    }
    self->last = call;
    self->waiting++;
}

/* --- The adapter --- */

/* BUSY: there is no place for it. */
static result_t ensure_adapter(neighbour_t *self)
{
    if (self->group != NULL) {
        return RESULT_OK;
    }
    neighbours_t *const owner = self->owner;
    const text_t tenant = neighbour_tenant(self);
    const actor_group_options_t options = {.strategy = ACTOR_ONE_FOR_ONE};
    result_t result =
        actor_group_create(owner->system, actor_ref(actor_of(self)), &options, &self->group);
    if (result != RESULT_OK) {
        return result;
    }
    const adapter_argument_t argument = {.neighbours = owner};
    const actor_spawn_t spawn = {.tenant = tenant.data,
                                 .tenant_size = tenant.size,
                                 .argument = &argument,
                                 .argument_size = sizeof argument,
                                 .group = self->group};
    result = actor_system_spawn(owner->system, owner->adapter_kind, &spawn, &self->worker);
    if (result != RESULT_OK) {
        actor_group_destroy(&self->group);
    }
    return result;
}

static void attempt(neighbour_t *self, neighbour_call_t *call)
{
    actor_message_t *message = &call->message;
    message->type = NEIGHBOUR_MESSAGE_ATTEMPT;
    call->attempts++;
    call->life = self->life;
    call->has_failed = false;
    call->was_not_made = false;
    result_t result = ensure_adapter(self);
    if (result == RESULT_OK) {
        result = actor_tell(actor_of(self), self->worker, &message);
    }
    if (result != RESULT_OK) {
        circuit_breaker_abandon(&self->breaker, call->ticket);
        finish(self, call, call->attempts > 1 ? NEIGHBOUR_FAILED : NEIGHBOUR_BUSY);
        return;
    }
    self->in_flight++;
}

/* It failed too often: the neighbour has its pause, and the probe that ends it a new adapter. What
 * the old one had under way comes back as failed. */
static void adapter_failed_for_good(neighbour_t *self)
{
    const seen_state_t before = look(self);
    const char *const reason = "its adapter failed too often";
    actor_group_destroy(&self->group);
    note_error(self, reason);
    circuit_breaker_trip(&self->breaker, &self->owner->settings.circuit,
                         self->owner->ports.random(UINT32_MAX), neighbours_now_ms(self->owner));
    tell_change(self, before, reason);
}

/* --- Admission --- */

/* Of a call that is in no list: asked now, or ended. */
static void admit(neighbour_t *self, neighbour_call_t *call)
{
    const seen_state_t before = look(self);
    if (loop_now_ms(self->owner->loop) >= call->deadline_ms) {
        finish(self, call, call->attempts > 0 ? NEIGHBOUR_FAILED : NEIGHBOUR_TOO_LATE);
        return;
    }
    if (!circuit_breaker_ask(&self->breaker, neighbours_now_ms(self->owner), &call->ticket)) {
        finish(self, call, call->attempts > 0 ? NEIGHBOUR_FAILED : NEIGHBOUR_OPEN);
        return;
    }
    tell_change(self, before, "its pause is over: one call goes through to see");
    attempt(self, call);
}

static neighbour_call_t *take_due(neighbour_t *self, uint64_t now_ms)
{
    neighbour_call_t *previous = NULL;
    neighbour_call_t *call = self->first;
    while (call != NULL && call->not_before_ms > now_ms) { /* bounded by the queue */
        previous = call;
        call = call->next;
    }
    if (call == NULL) {
        return NULL;
    }
    if (previous == NULL) {
        self->first = call->next;
    } else {
        previous->next = call->next;
    }
    if (self->last == call) {
        self->last = previous;
    }
    self->waiting--;
    return call;
}

static void run_queue(neighbour_t *self)
{
    const uint64_t now_ms = loop_now_ms(self->owner->loop);
    uint32_t left = self->waiting;
    while (left > 0 && self->in_flight < self->owner->settings.concurrency) {
        neighbour_call_t *call = take_due(self, now_ms);
        if (call == NULL) {
            return;
        }
        left--;
        admit(self, call);
    }
}

/* Repeats that wait for their time; whoever waits for a place is looked at when one ends. */
static result_t arm_timer(neighbour_t *self)
{
    uint64_t at_ms = UINT64_MAX;
    const bool has_place = self->in_flight < self->owner->settings.concurrency;
    for (const neighbour_call_t *call = self->first; has_place && call != NULL; call = call->next) {
        at_ms = call->not_before_ms < at_ms ? call->not_before_ms : at_ms;
    }
    if (self->timer != 0 && self->timer_at_ms == at_ms) {
        return RESULT_OK;
    }
    if (self->timer != 0) {
        actor_cancel(actor_of(self), self->timer);
        self->timer = 0;
    }
    if (at_ms == UINT64_MAX) {
        return RESULT_OK;
    }
    const uint64_t now_ms = loop_now_ms(self->owner->loop);
    self->timer_at_ms = at_ms;
    return actor_timer_start(actor_of(self), at_ms > now_ms ? at_ms - now_ms : 0, 0, &self->timer);
}

/* --- Messages --- */

static void take_call(neighbour_t *self, neighbour_call_t *call)
{
    const neighbour_settings_t *const settings = &self->owner->settings;
    if (self->waiting >= settings->queue) {
        finish(self, call, NEIGHBOUR_BUSY);
    } else if (self->in_flight >= settings->concurrency) {
        enqueue(self, call);
    } else {
        admit(self, call);
    }
}

/* Full jitter: anything from nothing to the whole pause, so that those who failed together do not
 * come back together. */
static bool repeat_later(neighbour_t *self, neighbour_call_t *call)
{
    const neighbours_t *const owner = self->owner;
    const neighbour_settings_t *const settings = &owner->settings;
    if (!call->is_repeatable || call->attempts >= settings->attempts ||
        !circuit_breaker_is_closed(&self->breaker)) {
        return false;
    }
    const uint64_t pause_ms = (uint64_t)settings->pause_ms << (call->attempts - 1);
    call->not_before_ms = loop_now_ms(owner->loop) + owner->ports.random((uint32_t)pause_ms + 1);
    if (call->not_before_ms >= call->deadline_ms) {
        return false;
    }
    metric_add(owner->repeats, 1);
    enqueue(self, call);
    return true;
}

/* What an attempt that came back says to whoever made the call. */
static neighbour_end_t end_of(const neighbour_call_t *call)
{
    if (call->was_not_made && call->attempts == 1) {
        const bool is_late = loop_now_ms(call->neighbours->loop) >= call->deadline_ms;
        return is_late ? NEIGHBOUR_TOO_LATE : NEIGHBOUR_BUSY;
    }
    return call->has_failed ? NEIGHBOUR_FAILED : NEIGHBOUR_ANSWERED;
}

/* What it says to the breaker. That others take all places, theirs or a whole client's, must not
 * open the breaker of one that is well. */
static void learn(neighbour_t *self, const neighbour_call_t *call)
{
    const neighbours_t *const owner = self->owner;
    const seen_state_t before = look(self);
    if (call->has_failed) {
        note_error(self, call->failure);
    }
    if (call->was_not_made) {
        circuit_breaker_abandon(&self->breaker, call->ticket);
        return;
    }
    metric_observe_us(owner->seconds[self->adapter], call->took_us);
    const circuit_answer_t answer = {.is_failure = call->has_failed,
                                     .duration_ms = (uint32_t)(call->took_us / 1000),
                                     .jitter = owner->ports.random(UINT32_MAX)};
    circuit_breaker_answer(&self->breaker, &owner->settings.circuit, call->ticket, &answer,
                           neighbours_now_ms(owner));
    tell_change(self, before, call->has_failed ? call->failure : "it answers");
}

static void take_ended(neighbour_t *self, neighbour_call_t *call)
{
    if (call->life != self->life) {
        finish(self, call, end_of(call)); /* it says nothing to a breaker that began anew since */
        return;
    }
    self->in_flight--;
    learn(self, call);
    if (!call->has_failed || !repeat_later(self, call)) {
        finish(self, call, end_of(call));
    }
    run_queue(self);
}

/* INTERNAL: there is no such command. */
static result_t take_command(neighbour_t *self, neighbour_command_t *command)
{
    const seen_state_t before = look(self);
    const int64_t now_ms = neighbours_now_ms(self->owner);
    result_t result = RESULT_OK;
    switch (command->hand) {
    case NEIGHBOUR_HOLD:
        circuit_breaker_hold(&self->breaker, now_ms);
        break;
    case NEIGHBOUR_CLOSE:
        circuit_breaker_close(&self->breaker, now_ms);
        break;
    case NEIGHBOUR_RESET:
    case NEIGHBOUR_FORGET:
        circuit_breaker_reset(&self->breaker, now_ms);
        self->last_error[0] = '\0';
        break;
    default:
        result = RESULT_INTERNAL;
        break;
    }
    tell_change(self, before,
                command->hand == NEIGHBOUR_FORGET ? "its organisation is gone" : "by hand");
    command->done(command, result);
    return result;
}

static void take_notice(neighbour_t *self, const actor_message_t *notice)
{
    if (notice->type == ACTOR_SYSTEM_ESCALATED) {
        adapter_failed_for_good(self);
    } else if (notice->type == ACTOR_SYSTEM_TIMER) {
        self->timer = 0;
        run_queue(self);
    }
}

static result_t receive(actor_t *actor, actor_message_t *message, void *context)
{
    (void)context;
    neighbour_t *const self = actor_state(actor);
    if ((message->flags & ACTOR_MESSAGE_SYSTEM) != 0) {
        take_notice(self, message);
        return arm_timer(self);
    }
    (void)actor_take_message(actor);
    switch (message->type) {
    case NEIGHBOUR_MESSAGE_CALL:
        take_call(self, neighbour_call_of(message));
        break;
    case NEIGHBOUR_MESSAGE_ENDED:
        take_ended(self, neighbour_call_of(message));
        break;
    default: {
        const result_t result = take_command(self, (neighbour_command_t *)(void *)message);
        if (result != RESULT_OK) {
            return result;
        }
        break;
    }
    }
    return arm_timer(self);
}

/* Who was asked is not told that nobody was: what must not be asked twice would be. */
static neighbour_end_t end_of_undelivered(const neighbours_t *neighbours,
                                          const neighbour_call_t *call, result_t why)
{
    if (neighbours->is_ending || why == RESULT_DRAINING) {
        return NEIGHBOUR_DRAINING;
    }
    if (call->message.type == NEIGHBOUR_MESSAGE_ENDED) {
        return end_of(call);
    }
    return why == RESULT_BUSY ? NEIGHBOUR_BUSY : NEIGHBOUR_FAILED;
}

static void undeliverable(actor_t *actor, actor_message_t *message, result_t why, void *context)
{
    const neighbours_t *const neighbours = context;
    (void)actor_take_message(actor);
    if (message->type == NEIGHBOUR_MESSAGE_COMMAND) {
        neighbour_command_t *const command = (neighbour_command_t *)(void *)message;
        command->done(command, why);
        return;
    }
    neighbour_call_t *const call = neighbour_call_of(message);
    neighbour_call_end(call, end_of_undelivered(neighbours, call, why));
}

/* --- Life --- */

static void activate(actor_t *actor, void *context)
{
    neighbours_t *const owner = context;
    neighbour_t *const self = actor_state(actor);
    self->owner = owner;
    self->adapter = (neighbour_adapter_t)actor_identity(actor).id[0];
    owner->lives++;
    self->life = owner->lives;
    circuit_breaker_init(&self->breaker, neighbours_now_ms(owner));
    self->next = owner->first;
    if (self->next != NULL) {
        self->next->previous = self;
    }
    owner->first = self;
    actor_activated(actor);
}

static bool may_passivate(actor_t *actor, bool is_pressing, void *context)
{
    (void)is_pressing;
    (void)context;
    const neighbour_t *const self = actor_state(actor);
    return circuit_breaker_is_closed(&self->breaker) && self->breaker.failures_in_row == 0 &&
           self->waiting == 0 && self->in_flight == 0;
}

static void deactivate(actor_t *actor, void *context)
{
    neighbours_t *const owner = context;
    neighbour_t *const self = actor_state(actor);
    if (self->previous != NULL) {
        self->previous->next = self->next;
    } else {
        owner->first = self->next;
    }
    if (self->next != NULL) {
        self->next->previous = self->previous;
    }
    while (self->first != NULL) { /* bounded by the queue */
        neighbour_call_t *const call = self->first;
        self->first = call->next;
        finish(self, call, owner->is_ending ? NEIGHBOUR_DRAINING : NEIGHBOUR_FAILED);
    }
    actor_group_destroy(&self->group); /* what is under way ends there */
    if (!owner->is_ending && !circuit_breaker_is_closed(&self->breaker)) {
        const seen_state_t before = look(self);
        circuit_breaker_reset(&self->breaker, neighbours_now_ms(owner));
        tell_change(self, before, "it is restarted");
    }
}

static void describe(const actor_message_t *message, actor_description_t *description,
                     void *context)
{
    (void)context;
    description->command = message->type == NEIGHBOUR_MESSAGE_CALL    ? "admit a call"
                           : message->type == NEIGHBOUR_MESSAGE_ENDED ? "end a call"
                                                                      : "breaker by hand";
}

const actor_kind_t breaker_actor_kind = {
    .name = "breaker",
    .state_size = sizeof(neighbour_t),
    .mailbox_max = LIMIT_NEIGHBOUR_QUEUE + LIMIT_HTTP_CALLS, /* neighbour_call_begin keeps room for
                                                                what comes back */
    .activate = activate,
    .receive = receive,
    .undeliverable = undeliverable,
    .may_passivate = may_passivate,
    .deactivate = deactivate,
    .describe = describe,
};
