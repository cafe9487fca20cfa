/* The port: which of its two forms a tenant's context speaks, and how calls end. */
#include "adapters/membership/membership_internal.h"

#include "actors/membership_settings.h"
#include <assert.h>
#include <stdlib.h>

enum { TICK_MS = 25 };

static membership_adapter_t *adapter_of(const membership_t *base)
{
    return (membership_adapter_t *)(uintptr_t)base; /* base is its first member */
}

/* --- How calls end --- */

void membership_call_free(membership_call_t *call)
{
    free(call->unsent);
    free(call->url);
    free(call);
}

void membership_finish(membership_call_t *call, const json_t *document, const char *failure)
{
    membership_answer_t answer = {.failure = failure};
    if (failure == NULL && call->asks_member) {
        membership_parse_member(call, document, &answer);
    } else if (failure == NULL) {
        membership_parse_page(call->adapter, document, &answer);
    }
    call->done(call->context, &answer);
    membership_call_free(call);
}

void membership_finish_missing(membership_call_t *call)
{
    const membership_answer_t answer = {.status = member_status_missing};
    call->done(call->context, &answer);
    membership_call_free(call);
}

/* --- The port --- */

static bool is_http(text_t url)
{
    return text_starts_with(url, TEXT_LITERAL("http://")) ||
           text_starts_with(url, TEXT_LITERAL("https://"));
}

static result_t ask(membership_t *base, const membership_question_t *question,
                    membership_done_t *done, void *context, membership_call_t **call)
{
    membership_adapter_t *adapter = adapter_of(base);
    const text_t url = membership_setting_of(adapter->options.urls, question->tenant);
    if (text_is_empty(url)) {
        return RESULT_MISSING;
    }
    if (question->member_id.size > 128 || question->limit > LIMIT_MEMBERSHIP_PAGE) {
        return RESULT_INVALID_ARGUMENT;
    }
    membership_call_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    created->adapter = adapter;
    created->done = done;
    created->context = context;
    created->asks_member = !text_is_empty(question->member_id);
    created->member_size = question->member_id.size;
    if (created->asks_member) {
        memcpy(created->member_id, question->member_id.data, question->member_id.size);
    }
    const result_t result = is_http(url) ? membership_ask_http(adapter, url, question, created)
                                         : membership_ask_zmq(adapter, url, question, created);
    if (result != RESULT_OK) {
        membership_call_free(created);
        return result;
    }
    *call = created;
    return RESULT_OK;
}

static void cancel(membership_t *base, membership_call_t **call)
{
    membership_adapter_t *adapter = adapter_of(base);
    membership_call_t *cancelled = *call;
    *call = NULL;
    if (cancelled->http != NULL) {
        http_calls_t *client = adapter->options.client;
        client->functions->cancel(client, &cancelled->http);
        membership_turn_end(cancelled);
    } else if (cancelled->url != NULL) {
        membership_turn_leave(cancelled);
    } else {
        membership_forget_zmq(adapter, cancelled);
    }
    membership_call_free(cancelled);
}

static bool is_configured(const membership_t *base, text_t tenant)
{
    return !text_is_empty(membership_setting_of(adapter_of(base)->options.urls, tenant));
}

static result_t subscribe(membership_t *base, text_t tenant)
{
    membership_adapter_t *adapter = adapter_of(base);
    const text_t endpoint = membership_setting_of(adapter->options.events, tenant);
    return text_is_empty(endpoint) ? RESULT_OK
                                   : membership_subscribe_zmq(adapter, endpoint, tenant, true);
}

static void unsubscribe(membership_t *base, text_t tenant)
{
    membership_adapter_t *adapter = adapter_of(base);
    const text_t endpoint = membership_setting_of(adapter->options.events, tenant);
    if (!text_is_empty(endpoint)) {
        const result_t result = membership_subscribe_zmq(adapter, endpoint, tenant, false);
        (void)result; /* what still comes is of no known tenant */
    }
}

static const membership_functions_t functions = {.ask = ask,
                                                 .cancel = cancel,
                                                 .is_configured = is_configured,
                                                 .subscribe = subscribe,
                                                 .unsubscribe = unsubscribe};

static void tick(void *context)
{
    membership_tick_zmq(context);
    membership_turns_tick(context);
}

result_t membership_create(loop_t *loop, metrics_t *metrics, const membership_options_t *options,
                           membership_t **membership)
{
    membership_adapter_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->base.functions = &functions;
    created->loop = loop;
    created->options = *options;
    created->unreadable =
        metrics_counter(metrics, "digitalcard_membership_unreadable_total", "",
                        "Messages of membership contexts that could not be read, or came too late");
    created->tick = loop_timer_create(loop, tick, created);
    loop_timer_start(created->tick, TICK_MS, TICK_MS);
    *membership = &created->base;
    return RESULT_OK;
}

void membership_destroy(membership_t **membership)
{
    if (*membership == NULL) {
        return;
    }
    membership_adapter_t *destroyed = adapter_of(*membership);
    while (destroyed->waiting != NULL) { /* bounded by the callers' concurrency */
        membership_call_t *call = destroyed->waiting;
        destroyed->waiting = call->next;
        membership_call_free(call);
    }
    membership_close_zmq(destroyed);
    membership_turns_close(destroyed);
    loop_timer_destroy(&destroyed->tick);
    free(destroyed);
    *membership = NULL;
}
