/* All neighbours of a role: the way to their breakers, and what these show. Must not decide
 * anything about a call (breaker_actor.c) nor make one (adapter_actor.c). */
#include "actors/neighbours/neighbour_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const adapter_names[NEIGHBOUR_ADAPTERS] = {"membership", "wallet",
                                                              "notification", "geography"};

const char *neighbour_adapter_name(neighbour_adapter_t adapter)
{
    return adapter_names[adapter];
}

bool neighbour_adapter_parse(const char *name, neighbour_adapter_t *adapter)
{
    for (int i = 0; i < NEIGHBOUR_ADAPTERS; i++) {
        if (strcmp(name, adapter_names[i]) == 0) {
            *adapter = (neighbour_adapter_t)i;
            return true;
        }
    }
    return false;
}

/* --- To a breaker --- */

static actor_identity_t identity_of(text_t tenant, neighbour_adapter_t adapter)
{
    assert(tenant.size <= LIMIT_TENANT_NAME_SIZE);
    return (actor_identity_t){
        .tenant = tenant.data, .tenant_size = tenant.size, .id = {(uint8_t)adapter}};
}

/* NULL: it is not active. */
static actor_t *find(const neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    const actor_identity_t identity = identity_of(tenant, adapter);
    return actor_system_find(neighbours->system, neighbours->breaker_kind, &identity);
}

/* Takes the message and nulls the pointer on success. Leaves room for what the adapter gives back:
 * as long as a breaker is not active, nothing of it is under way. */
static result_t send(const neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter,
                     actor_message_t **message)
{
    const actor_t *const breaker = find(neighbours, tenant, adapter);
    if (breaker != NULL && actor_mailbox_depth(breaker) >= LIMIT_NEIGHBOUR_QUEUE) {
        return RESULT_BUSY;
    }
    const actor_identity_t identity = identity_of(tenant, adapter);
    return actor_system_send(neighbours->system, neighbours->breaker_kind, &identity, message);
}

/* Calls and commands are parts of their callers' records, who get them back with `done`. */
static void keep(actor_message_t *message)
{
    (void)message;
    assert(false); /* a handler has let one go */
}

void neighbour_call_begin(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter,
                          neighbour_call_t *call)
{
    call->message = (actor_message_t){.type = NEIGHBOUR_MESSAGE_CALL, .destroy = keep};
    call->neighbours = neighbours;
    call->adapter = adapter;
    call->attempts = 0;
    call->not_before_ms = 0;
    call->is_under_way = false;
    call->has_failed = false;
    actor_message_t *message = &call->message;
    const result_t result = send(neighbours, tenant, adapter, &message);
    if (result != RESULT_OK) {
        neighbour_call_end(call, result == RESULT_DRAINING ? NEIGHBOUR_DRAINING : NEIGHBOUR_BUSY);
    }
}

void neighbour_command_begin(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter,
                             neighbour_command_t *command)
{
    command->message = (actor_message_t){.type = NEIGHBOUR_MESSAGE_COMMAND, .destroy = keep};
    actor_message_t *message = &command->message;
    const result_t result = send(neighbours, tenant, adapter, &message);
    if (result != RESULT_OK) {
        command->done(command, result);
    }
}

void neighbour_call_end(neighbour_call_t *call, neighbour_end_t end)
{
    metric_add(call->neighbours->ends[call->adapter][end], 1);
    call->done(call, end);
}

void neighbour_call_set_failure(neighbour_call_t *call, const char *failure)
{
    call->has_failed = true;
    (void)snprintf(call->failure, sizeof call->failure, "%s", failure);
}

/* --- For those who look --- */

bool neighbour_is_known(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    return find(neighbours, tenant, adapter) != NULL;
}

bool neighbour_is_closed(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    actor_t *const actor = find(neighbours, tenant, adapter);
    return actor == NULL || circuit_breaker_is_closed(neighbour_breaker(actor_state(actor)));
}

uint32_t neighbour_retry_ms(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter)
{
    actor_t *const actor = find(neighbours, tenant, adapter);
    return actor == NULL ? 0
                         : circuit_breaker_retry_ms(neighbour_breaker(actor_state(actor)),
                                                    neighbours_now_ms(neighbours));
}

text_t neighbour_tenant(const neighbour_t *neighbour)
{
    const actor_identity_t identity = actor_identity(actor_of_state((void *)(uintptr_t)neighbour));
    return (text_t){.data = identity.tenant, .size = identity.tenant_size};
}

neighbour_adapter_t neighbour_adapter_of(const neighbour_t *neighbour)
{
    return neighbour->adapter;
}

const circuit_breaker_t *neighbour_breaker(const neighbour_t *neighbour)
{
    return &neighbour->breaker;
}

void neighbour_numbers(const neighbour_t *neighbour, neighbour_numbers_t *numbers)
{
    const int64_t now_ms = neighbours_now_ms(neighbour->owner);
    *numbers = (neighbour_numbers_t){
        .in_flight = neighbour->in_flight,
        .waiting = neighbour->waiting,
        .answered = neighbour->answered,
        .failed = neighbour->failed,
        .not_asked = neighbour->not_asked,
        .retry_ms = circuit_breaker_retry_ms(&neighbour->breaker, now_ms),
        .changed_ms_ago = (uint64_t)(now_ms - neighbour->breaker.changed_at_ms),
        .last_error = neighbour->last_error,
        .last_error_ms_ago = (uint64_t)now_ms - neighbour->last_error_ms,
    };
}

void neighbours_visit(const neighbours_t *neighbours,
                      void (*visit)(void *context, const neighbour_t *neighbour), void *context)
{
    for (const neighbour_t *at = neighbours->first; at != NULL; at = at->next) {
        visit(context, at); /* LIMIT_NEIGHBOURS */
    }
}

uint32_t neighbours_in_flight(const neighbours_t *neighbours)
{
    return neighbours->in_flight;
}

const actor_system_t *neighbours_actors(const neighbours_t *neighbours)
{
    return neighbours->system;
}

/* --- Begin and end --- */

static void register_metrics(neighbours_t *neighbours, metrics_t *metrics)
{
    static const char *const ends[NEIGHBOUR_ENDS] = {"answered", "failed",   "open",
                                                     "busy",     "too_late", "draining"};
    char labels[64];
    for (int i = 0; i < NEIGHBOUR_ADAPTERS; i++) {
        for (int end = 0; end < NEIGHBOUR_ENDS; end++) {
            (void)snprintf(labels, sizeof labels, "adapter=\"%s\",end=\"%s\"", adapter_names[i],
                           ends[end]);
            neighbours->ends[i][end] = metrics_counter(metrics, "digitalcard_neighbour_calls_total",
                                                       labels, "Calls, by how they ended");
        }
        (void)snprintf(labels, sizeof labels, "adapter=\"%s\"", adapter_names[i]);
        neighbours->changes[i] = metrics_counter(metrics, "digitalcard_breaker_changes_total",
                                                 labels, "Changes of circuit breakers");
        neighbours->open[i] = metrics_gauge(metrics, "digitalcard_breakers_open", labels,
                                            "Breakers that are not closed, of all tenants");
        neighbours->seconds[i] = metrics_histogram(metrics, "digitalcard_neighbour_seconds", labels,
                                                   "How long attempts took");
    }
    neighbours->repeats = metrics_counter(metrics, "digitalcard_neighbour_repeats_total", "",
                                          "Attempts that followed on a failed one");
}

result_t neighbours_create(loop_t *loop, metrics_t *metrics, const neighbours_ports_t *ports,
                           const neighbour_settings_t *settings, neighbours_t **neighbours)
{
    neighbours_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    const result_t result = actor_system_create(loop, metrics, &created->system);
    if (result != RESULT_OK) {
        free(created);
        return result;
    }
    created->loop = loop;
    created->ports = *ports;
    created->settings = *settings;
    /* Of each breaker there is one adapter at most. Idle ones that are as new make room. */
    actor_system_configure(created->system,
                           &(actor_system_options_t){.actors_max = 2 * LIMIT_NEIGHBOURS});
    created->breaker_kind = actor_system_register(created->system, &breaker_actor_kind, created);
    created->adapter_kind = actor_system_register(created->system, &adapter_actor_kind, created);
    register_metrics(created, metrics);
    *neighbours = created;
    return RESULT_OK;
}

void neighbours_destroy(neighbours_t **neighbours)
{
    neighbours_t *const destroyed = *neighbours;
    if (destroyed == NULL) {
        return;
    }
    destroyed->is_ending = true;
    actor_system_destroy(&destroyed->system);
    free(destroyed);
    *neighbours = NULL;
}
