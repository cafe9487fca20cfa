/* Whose question goes out next over HTTP. The client has LIMIT_HTTP_CALLS places for the contexts
 * of all tenants, and one that hangs must take neither those of the others nor be the reason why
 * they fail. So a context has at most as many places as are still free: one that hangs leaves half
 * of them, two leave a third. What finds none waits, within its deadline, and the context with the
 * fewest calls on their way is next; of several, whose last turn was longest ago. Must not know
 * what is asked. */
#include "adapters/membership/membership_internal.h"

#include <assert.h>
#include <stdlib.h>

static membership_context_t *context_of(membership_adapter_t *adapter, text_t url)
{
    membership_context_t *context = adapter->contexts;
    while (context != NULL && !text_equal(context->url, url)) { /* those of the settings */
        context = context->next;
    }
    if (context == NULL) {
        context = calloc(1, sizeof *context);
        assert(context != NULL);
        context->url = url;
        context->next = adapter->contexts;
        adapter->contexts = context;
    }
    return context;
}

/* --- Waiting --- */

static void append(membership_call_t *call)
{
    membership_context_t *const context = call->asked;
    call->next = NULL;
    if (context->last != NULL) {
        context->last->next = call;
    } else {
        context->first = call;
    }
    context->last = call;
}

static void take_out(membership_call_t *call)
{
    membership_context_t *const context = call->asked;
    membership_call_t *previous = NULL;
    membership_call_t *at = context->first;
    while (at != NULL && at != call) { /* bounded by the callers' concurrency */
        previous = at;
        at = at->next;
    }
    assert(at == call);
    if (previous == NULL) {
        context->first = call->next;
    } else {
        previous->next = call->next;
    }
    context->last = context->last == call ? previous : context->last;
}

static membership_call_t *find_late(const membership_context_t *context, uint64_t now_ms)
{
    membership_call_t *call = context->first;
    while (call != NULL && now_ms < call->deadline_ms) { /* bounded by the callers' concurrency */
        call = call->next;
    }
    return call;
}

/* --- Turns --- */

static bool is_before(const membership_context_t *one, const membership_context_t *other)
{
    return one->calls != other->calls ? one->calls < other->calls : one->turn < other->turn;
}

static membership_context_t *next_context(const membership_adapter_t *adapter)
{
    const uint32_t left = LIMIT_HTTP_CALLS - adapter->http_calls;
    membership_context_t *next = NULL;
    for (membership_context_t *at = adapter->contexts; at != NULL; at = at->next) {
        if (at->first != NULL && at->calls < left && (next == NULL || is_before(at, next))) {
            next = at;
        }
    }
    return next;
}

static void run(membership_adapter_t *adapter)
{
    membership_context_t *context = next_context(adapter);
    while (context != NULL) { /* each round one call less waits */
        membership_call_t *const call = context->first;
        take_out(call);
        const result_t result = membership_http_start(call);
        if (result == RESULT_OK) {
            context->turn = ++adapter->http_turns;
            context->calls++;
            adapter->http_calls++;
        } else { /* ends at the next tick, not within `ask`, and holds up nobody else */
            call->refusal = result_title(result);
            call->asked = &adapter->refused;
            append(call);
        }
        context = next_context(adapter);
    }
}

void membership_turn_wait(membership_call_t *call, text_t url)
{
    call->asked = context_of(call->adapter, url);
    append(call);
    run(call->adapter);
}

void membership_turn_end(membership_call_t *call)
{
    membership_adapter_t *const adapter = call->adapter;
    assert(call->asked->calls > 0 && adapter->http_calls > 0);
    call->asked->calls--;
    adapter->http_calls--;
    run(adapter);
}

void membership_turn_leave(membership_call_t *call)
{
    take_out(call);
}

void membership_turns_tick(membership_adapter_t *adapter)
{
    const uint64_t now_ms = loop_now_ms(adapter->loop);
    while (adapter->refused.first != NULL) { /* each round one call less */
        membership_call_t *const call = adapter->refused.first;
        take_out(call);
        membership_finish(call, NULL, call->refusal);
    }
    for (membership_context_t *at = adapter->contexts; at != NULL; at = at->next) {
        membership_call_t *call = find_late(at, now_ms);
        while (call != NULL) { /* each round one call less */
            take_out(call);
            membership_finish(call, NULL, "no place was free in time");
            call = find_late(at, now_ms);
        }
    }
    run(adapter);
}

static void free_calls(membership_context_t *context)
{
    while (context->first != NULL) { /* bounded by the callers' concurrency */
        membership_call_t *const call = context->first;
        context->first = call->next;
        membership_call_free(call);
    }
}

void membership_turns_close(membership_adapter_t *adapter)
{
    free_calls(&adapter->refused);
    while (adapter->contexts != NULL) { /* those of the settings */
        membership_context_t *const context = adapter->contexts;
        adapter->contexts = context->next;
        free_calls(context);
        free(context);
    }
}
