/* See membership.h: the contexts themselves and the port to them. What is true there is decided
 * when it happens; what anybody hears of it comes from the seed. Must not look at the disk. */
#include "tests/simulation/membership.h"
#include "actors/domain/card_id.h"
#include "actors/neighbours/membership_desk.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/membership_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LATE_US_MAX = 400000,
    ANSWER_US_MAX = 60000,
    DAY_MS = 86400000,
};

memberships_t *memberships_create(world_t *world)
{
    memberships_t *memberships = calloc(1, sizeof(*memberships));
    assert(memberships != NULL);
    generator_seed(&memberships->generator, world->options.seed + UINT64_C(0x5000000000000));
    return memberships;
}

void memberships_destroy(memberships_t **memberships)
{
    free(*memberships);
    *memberships = NULL;
}

void memberships_draw(world_t *world)
{
    memberships_t *const all = world->memberships;
    generator_t *const generator = &all->generator;
    if (!generator_chance(generator, 300)) {
        return;
    }
    all->exist = true;
    all->events_permille = generator_between(generator, 5, 250);
    all->loss = generator_below(generator, 300);
    all->duplicates = generator_below(generator, 300);
    all->lateness = generator_below(generator, 500);
    all->failures = generator_below(generator, 400);
    all->breaks = generator_chance(generator, 300) ? generator_below(generator, 400) : 0;
    for (uint32_t i = 0; i < world->name_count; i++) {
        context_t *const context = &all->contexts[i];
        context->exists = i == 0 || generator_chance(generator, 500);
        context->refuses = generator_chance(generator, 300);
        for (uint32_t j = 0; j < CONTEXT_MEMBERS; j++) {
            (void)snprintf(context->ids[j], sizeof(context->ids[j]), "%sm%u",
                           world->tenants[i].name_marker, j);
            context->statuses[j] = member_status_active;
        }
        if (context->exists) {
            const size_t used = strlen(all->urls);
            (void)snprintf(all->urls + used, sizeof(all->urls) - used, "%s=sim:1 ",
                           world->tenants[i].name);
        }
        if (context->exists && context->refuses) {
            const size_t used = strlen(all->policies);
            (void)snprintf(all->policies + used, sizeof(all->policies) - used, "%s=refuse ",
                           world->tenants[i].name);
        }
    }
}

context_t *memberships_context(const world_t *world, uint32_t tenant)
{
    return &world->memberships->contexts[world->tenants[tenant].name_index];
}

void memberships_new_tenant(world_t *world, uint32_t tenant)
{
    context_t *const context = memberships_context(world, tenant);
    for (uint32_t i = 0; i < context->event_count; i++) {
        context_event_t *const event = &context->events[i];
        event->is_applied = false;
        event->partition =
            placement_partition(event->event.member_id, world->tenants[tenant].partitions);
    }
    memset(context->revoking, 0, sizeof(context->revoking));
    memset(context->watermarks, 0, sizeof(context->watermarks));
}

bool memberships_exist(const world_t *world)
{
    return world->memberships->exist;
}

bool memberships_has(const world_t *world, uint32_t tenant)
{
    return memberships_context(world, tenant)->exists;
}

bool memberships_refuse(const world_t *world, uint32_t tenant)
{
    return memberships_context(world, tenant)->refuses;
}

text_t memberships_urls(const world_t *world)
{
    return text_from_c(world->memberships->urls);
}

text_t memberships_policies(const world_t *world)
{
    return text_from_c(world->memberships->policies);
}

/* --- What happens there --- */

static uint8_t draw_name(generator_t *generator, uint8_t status)
{
    const uint32_t drawn = generator_below(generator, 100);
    if (drawn < 10) {
        return member_event_name_renewed;
    }
    if (drawn < 20) {
        return member_event_name_updated;
    }
    if (drawn < 24) {
        return member_event_name_none; /* a word that means nothing here */
    }
    if (drawn < 30) { /* whatever the status is */
        return generator_chance(generator, 500) ? member_event_name_suspended
                                                : member_event_name_reinstated;
    }
    if (status == member_status_active) {
        return drawn < 45 ? member_event_name_cancelled : member_event_name_suspended;
    }
    return drawn < 38 ? member_event_name_cancelled : member_event_name_reinstated;
}

uint8_t context_fold(uint8_t status, uint8_t name)
{
    switch (name) {
    case member_event_name_cancelled:
        return member_status_cancelled;
    case member_event_name_suspended:
        return status == member_status_cancelled ? status : (uint8_t)member_status_suspended;
    case member_event_name_reinstated:
        return member_status_active;
    default:
        return status;
    }
}

static context_event_t *make_event(world_t *world, uint32_t name_index)
{
    generator_t *const generator = &world->memberships->generator;
    context_t *const context = &world->memberships->contexts[name_index];
    const uint32_t number = generator_below(generator, CONTEXT_MEMBERS);
    context_event_t *const made = &context->events[context->event_count];
    context->event_count++;
    const text_t member_id = text_from_c(context->ids[number]);
    const uint8_t name = draw_name(generator, context->statuses[number]);
    *made = (context_event_t){0};
    MESSAGE_SET(member_event, &made->event, sequence, context->event_count);
    MESSAGE_SET(member_event, &made->event, member_id, member_id);
    MESSAGE_SET(member_event, &made->event, occurred_at, world_wall_ms(world));
    if (name != member_event_name_none) {
        MESSAGE_SET(member_event, &made->event, name, name);
    }
    if (name == member_event_name_renewed) {
        MESSAGE_SET(member_event, &made->event, valid_until,
                    world->wall_start_ms + (int64_t)DAY_MS * generator_between(generator, 10, 900));
    }
    const uint32_t tenant = world_newest(world, name_index);
    made->partition = placement_partition(member_id, world->tenants[tenant].partitions);
    if (generator_chance(generator, 40)) { /* poison: as the adapter marks what cannot be read */
        MESSAGE_SET(member_event, &made->event, is_dead, true);
        return made;
    }
    context->statuses[number] = context_fold(context->statuses[number], name);
    return made;
}

/* --- Publishing --- */

typedef struct news {
    uint32_t tenant;
    uint32_t index;
    uint32_t adapters; /* process */
} news_t;

static void hear(world_t *world, void *payload)
{
    const news_t *const news = payload;
    const process_t *const process = process_find(world, news->adapters);
    membership_desk_heard(process->desk, text_from_c(world->tenants[news->tenant].name),
                          &world->memberships->contexts[news->tenant].events[news->index].event);
}

static void send_news(world_t *world, uint32_t tenant, uint32_t index)
{
    generator_t *const generator = &world->memberships->generator;
    const process_t *const process = cluster_process(world, WORLD_SLOT_ADAPTERS);
    if (process == NULL) {
        return;
    }
    news_t *news = malloc(sizeof(*news));
    assert(news != NULL);
    *news = (news_t){tenant, index, process->id};
    uint64_t delay_us = generator_between(generator, 50, 2000);
    if (generator_chance(generator, world->memberships->lateness)) {
        delay_us += generator_below(generator, LATE_US_MAX);
    }
    agenda_add(world, delay_us, process->id, hear, payload_free, news);
}

void memberships_step(world_t *world)
{
    memberships_t *const all = world->memberships;
    if (!all->exist || !generator_chance(&all->generator, all->events_permille)) {
        return;
    }
    const uint32_t tenant = generator_below(&all->generator, world->name_count);
    context_t *const context = &all->contexts[tenant];
    if (!context->exists || context->event_count == CONTEXT_EVENTS_MAX) {
        return;
    }
    const context_event_t *const made = make_event(world, tenant);
    trace_add(world,
              "member event %" PRIu64 " of tenant %" PRIu64 ": name %" PRIu64 ", dead %" PRIu64,
              made->event.sequence, tenant, made->event.name, made->event.is_dead);
    const uint32_t index = context->event_count - 1;
    world->numbers.member_events++;
    if (!generator_chance(&all->generator, all->loss)) {
        send_news(world, tenant, index);
    }
    if (generator_chance(&all->generator, all->duplicates)) {
        send_news(world, tenant, index);
    }
}

/* --- The port --- */

struct membership_call {
    membership_call_t *next;
    uint64_t id;
    uint32_t tenant; /* the index of its name, here and in everything that is told */
    uint32_t member; /* CONTEXT_MEMBERS: a page */
    uint64_t after;
    uint32_t limit;
    bool fails;
    bool is_answered;
    uint8_t status;
    uint32_t event_count; /* of the context, when it answered */
    membership_done_t *done;
    void *context;
};

typedef struct context_port {
    membership_t membership; /* first */
    process_t *process;
    membership_call_t *calls;
    uint64_t next_call;
} context_port_t;

typedef struct ticket {
    uint32_t process;
    uint64_t call;
} ticket_t;

static membership_call_t **find_call(const world_t *world, const ticket_t *ticket)
{
    const process_t *const process = process_find((world_t *)world, ticket->process);
    context_port_t *const port = process == NULL ? NULL : (context_port_t *)process->membership;
    membership_call_t **place = port == NULL ? NULL : &port->calls;
    while (place != NULL && *place != NULL && (*place)->id != ticket->call) {
        place = &(*place)->next;
    }
    return place == NULL || *place == NULL ? NULL : place;
}

static void tell(world_t *world, void *payload)
{
    membership_call_t **const place = find_call(world, payload);
    if (place == NULL) {
        return;
    }
    membership_call_t *const call = *place;
    *place = call->next;
    const context_t *const context = &world->memberships->contexts[call->tenant];
    member_event_t events[LIMIT_MEMBERSHIP_PAGE];
    membership_answer_t answer = {.failure = call->fails ? "it does not answer" : NULL};
    if (!call->fails && call->member < CONTEXT_MEMBERS) {
        answer.status = call->status;
    } else if (!call->fails) {
        for (uint64_t i = call->after; i < call->event_count && answer.event_count < call->limit;
             i++) {
            events[answer.event_count] = context->events[i].event;
            answer.event_count++;
        }
        answer.events = events;
    }
    call->done(call->context, &answer);
    free(call);
}

/* The context looks at what is true there now; the answer takes its time back. */
static void answer(world_t *world, void *payload)
{
    const ticket_t *const ticket = payload;
    membership_call_t **const place = find_call(world, ticket);
    if (place == NULL) {
        return;
    }
    membership_call_t *const call = *place;
    const context_t *const context = &world->memberships->contexts[call->tenant];
    call->event_count = context->event_count;
    call->status = call->member < CONTEXT_MEMBERS ? context->statuses[call->member] : 0;
    ticket_t *again = malloc(sizeof(*again));
    assert(again != NULL);
    *again = *ticket;
    agenda_add(world, generator_between(&world->memberships->generator, 50, ANSWER_US_MAX),
               ticket->process, tell, payload_free, again);
}

static result_t port_ask(membership_t *membership, const membership_question_t *question,
                         membership_done_t *done, void *context, membership_call_t **call)
{
    context_port_t *const port = (context_port_t *)membership;
    world_t *const world = port->process->world;
    memberships_t *const all = world->memberships;
    if (world->is_stormy && generator_chance(&all->generator, all->breaks)) {
        world->numbers.adapter_breaks++;
        return RESULT_INTERNAL;
    }
    membership_call_t *const made = calloc(1, sizeof(*made));
    assert(made != NULL);
    made->id = port->next_call;
    port->next_call++;
    made->tenant = world_name_index(world, question->tenant);
    made->member = 0;
    while (made->member < CONTEXT_MEMBERS &&
           !text_equal(text_from_c(all->contexts[made->tenant].ids[made->member]),
                       question->member_id)) {
        made->member++;
    }
    assert(text_is_empty(question->member_id) == (made->member == CONTEXT_MEMBERS));
    made->after = question->after;
    made->limit = question->limit;
    made->done = done;
    made->context = context;
    made->next = port->calls;
    port->calls = made;
    *call = made;
    made->fails = world->is_stormy && generator_chance(&all->generator, all->failures);
    const bool hangs = made->fails && generator_chance(&all->generator, 500);
    ticket_t *ticket = malloc(sizeof(*ticket));
    assert(ticket != NULL);
    *ticket = (ticket_t){port->process->id, made->id};
    agenda_add(world,
               hangs ? UINT64_C(1000) * question->deadline_ms
                     : generator_between(&all->generator, 50, ANSWER_US_MAX),
               port->process->id, made->fails ? tell : answer, payload_free, ticket);
    return RESULT_OK;
}

static void port_cancel(membership_t *membership, membership_call_t **call)
{
    context_port_t *const port = (context_port_t *)membership;
    membership_call_t **place = &port->calls;
    while (*place != *call) {
        place = &(*place)->next;
    }
    *place = (*call)->next;
    free(*call);
    *call = NULL;
}

static bool port_is_configured(const membership_t *membership, text_t tenant)
{
    const context_port_t *const port = (const context_port_t *)membership;
    const world_t *const world = port->process->world;
    return memberships_has(world, world_name_index(world, tenant));
}

static result_t port_subscribe(membership_t *membership, text_t tenant)
{
    (void)membership;
    (void)tenant;
    return RESULT_OK;
}

static void port_unsubscribe(membership_t *membership, text_t tenant)
{
    (void)membership;
    (void)tenant;
}

membership_t *memberships_port_create(process_t *process)
{
    static const membership_functions_t functions = {.ask = port_ask,
                                                     .cancel = port_cancel,
                                                     .is_configured = port_is_configured,
                                                     .subscribe = port_subscribe,
                                                     .unsubscribe = port_unsubscribe};
    context_port_t *port = calloc(1, sizeof(*port));
    assert(port != NULL);
    port->membership.functions = &functions;
    port->process = process;
    port->next_call = 1;
    return &port->membership;
}

void memberships_port_destroy(membership_t **membership)
{
    context_port_t *const port = (context_port_t *)*membership;
    *membership = NULL;
    assert(port == NULL || port->calls == NULL); /* the desk has cancelled them */
    free(port);
}
