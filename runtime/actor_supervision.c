/* What happens after a handler failed: the directive of its kind, its group, how often, how soon.
 * Must not know why handlers fail. */
#include "runtime/actor_internal.h"

#include "runtime/log.h"
#include "runtime/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_TEXT_SIZE = 37 };

/* --- Records --- */

static actor_supervision_t *supervision_of(actor_t *actor)
{
    if (actor->supervision == NULL) {
        actor->supervision = calloc(1, sizeof(*actor->supervision));
    }
    return actor->supervision;
}

result_t actor_supervision_attach(actor_t *actor, actor_group_t *group, const actor_spawn_t *spawn)
{
    actor_supervision_t *const supervision = supervision_of(actor);
    if (supervision == NULL) {
        return RESULT_NO_MEMORY;
    }
    supervision->argument_size = spawn->argument_size;
    if (spawn->argument_size > 0) {
        memcpy(supervision->argument, spawn->argument, spawn->argument_size);
    }
    if (group != NULL) {
        if (group->count == LIMIT_GROUP_CHILDREN || group->has_failed) {
            return RESULT_BUSY;
        }
        supervision->group = group;
        supervision->position = group->count;
        group->children[group->count] = actor_ref_inline(actor);
        group->count++;
    }
    return RESULT_OK;
}

static void group_leave(actor_supervision_t *supervision)
{
    actor_group_t *const group = supervision->group;
    group->count--;
    for (uint32_t position = supervision->position; position < group->count; position++) {
        group->children[position] = group->children[position + 1];
        actor_t *const child = actor_get_inline(group->system, group->children[position]);
        child->supervision->position = position;
    }
    supervision->group = NULL;
}

static void backoff_cancel(actor_system_t *system, actor_supervision_t *supervision)
{
    actor_notice_t *const notice = notice_find(system, supervision->backoff);
    supervision->backoff = 0;
    if (notice != NULL) {
        notice_destroy(notice);
    }
}

void actor_supervision_detach(actor_t *actor)
{
    actor_supervision_t *const supervision = actor->supervision;
    if (supervision == NULL) {
        return;
    }
    backoff_cancel(actor->slot->system, supervision);
    if (supervision->group != NULL) {
        group_leave(supervision);
    }
    actor->supervision = NULL;
    free(supervision);
}

/* --- Failures --- */

/* A number of an anonymous one; else as the id is written everywhere, 8-4-4-4-12. */
static void id_print(actor_t *actor, char text[ID_TEXT_SIZE])
{
    if (actor->slot->kind.is_anonymous) {
        const actor_ref_t ref = actor_ref_inline(actor);
        (void)snprintf(text, ID_TEXT_SIZE, "%u.%u", ref.index, ref.generation);
        return;
    }
    const uint8_t *const id = actor_id_inline(actor);
    size_t size = 0;
    for (size_t index = 0; index < 16; index++) {
        const bool is_part = index == 4 || index == 6 || index == 8 || index == 10;
        size += (size_t)snprintf(text + size, ID_TEXT_SIZE - size, is_part ? "-%02x" : "%02x",
                                 id[index]);
    }
}

void actor_log(actor_t *actor, const char *what, result_t result, uint64_t handler_us)
{
    const actor_system_t *const system = actor->slot->system;
    const actor_description_t *const description = &system->description;
    const bool is_described = actor->slot->kind.describe != NULL;
    char id[ID_TEXT_SIZE];
    id_print(actor, id);
    log_warn(what, LOG_STRING("error", result_code(result)),
             LOG_STRING("kind", actor->slot->kind.name),
             LOG_TEXT("tenant", actor->tenant->name, actor->tenant->name_size),
             LOG_STRING("actor", id), LOG_NUMBER("handler_us", handler_us),
             LOG_STRING("command",
                        is_described && description->command != NULL ? description->command : ""),
             LOG_TEXT("trace_id", system->trace_id, is_described ? description->trace_id_size : 0));
}

void actor_supervise_failure(actor_t *actor, result_t why)
{
    actor_slot_t *const slot = actor->slot;
    slot->numbers.failures++;
    const bool is_in_group = actor->supervision != NULL && actor->supervision->group != NULL;
    actor_directive_t directive =
        slot->kind.is_anonymous && !is_in_group ? ACTOR_DIRECTIVE_STOP : ACTOR_DIRECTIVE_RESTART;
    if (slot->kind.directive != NULL) {
        directive = slot->kind.directive(actor, why, slot->context);
    }
    actor->end_reason = (uint8_t)why;
    switch (directive) {
    case ACTOR_DIRECTIVE_RESTART:
        actor_log(actor, "a handler failed: its actor is dropped and built anew", why, 0);
        actor_set_due(actor, ACTOR_DUE_RESTART);
        break;
    case ACTOR_DIRECTIVE_RESUME:
        actor_log(actor, "a handler failed: its actor goes on", why, 0);
        break;
    case ACTOR_DIRECTIVE_STOP:
        actor_log(actor, "a handler failed: its actor is stopped", why, 0);
        actor_set_due(actor, ACTOR_DUE_STOP);
        break;
    case ACTOR_DIRECTIVE_ESCALATE:
        actor_log(actor, "a handler failed: its group fails with it", why, 0);
        actor_set_due(actor, ACTOR_DUE_ESCALATE);
        break;
    }
}

/* --- How often, how soon --- */

/* Notes a failure; how many there were in the window that ends now, this one included: more than
 * LIMIT_GROUP_RESTARTS are not told apart. */
static uint32_t note_failure(actor_failures_t *failures, uint64_t now_ms, uint32_t window_ms)
{
    uint32_t in_window = 1;
    for (uint32_t index = 0; index < failures->count; index++) {
        in_window += now_ms - failures->at_ms[index] < window_ms ? 1 : 0;
    }
    failures->at_ms[failures->next] = now_ms;
    failures->next = (failures->next + 1) % LIMIT_GROUP_RESTARTS;
    failures->count += failures->count < LIMIT_GROUP_RESTARTS ? 1 : 0;
    return in_window;
}

/* 0 the first time, then doubling, of which at least half. */
static uint64_t backoff_ms(uint32_t restarts, uint32_t min_ms, uint32_t max_ms)
{
    if (restarts <= 1) {
        return 0;
    }
    const uint32_t doublings = restarts - 2 < 16 ? restarts - 2 : 16;
    const uint64_t wanted = (uint64_t)min_ms << doublings;
    const uint32_t bounded = wanted < max_ms ? (uint32_t)wanted : max_ms;
    const uint32_t half = bounded / 2;
    return half + random_below(bounded - half + 1);
}

static void restart_alone(actor_t *actor)
{
    actor_supervision_t *const supervision = supervision_of(actor);
    if (supervision == NULL) {
        actor_end(actor, RESULT_NO_MEMORY);
        return;
    }
    static_assert(LIMIT_ACTOR_RESTARTS <= LIMIT_GROUP_RESTARTS, "the ring holds as many");
    const uint32_t restarts =
        note_failure(&supervision->failures, loop_now_ms(actor->slot->system->loop),
                     LIMIT_ACTOR_RESTARTS_WINDOW_MS);
    if (restarts <= LIMIT_ACTOR_RESTARTS) {
        actor_restart_after(
            actor, backoff_ms(restarts, LIMIT_ACTOR_BACKOFF_MS_MIN, LIMIT_ACTOR_BACKOFF_MS_MAX));
        return;
    }
    actor_log(actor, "an actor failed too often: it rests for a while", actor->end_reason, 0);
    if (actor->slot->kind.is_anonymous) {
        actor_end(actor, (result_t)actor->end_reason);
    } else { /* an identity exists for ever, but not now */
        actor_rest(actor, LIMIT_ACTOR_RESTARTS_WINDOW_MS);
    }
}

static actor_t *group_child(const actor_group_t *group, uint32_t position)
{
    return actor_get_inline(group->system, group->children[position]);
}

static void group_fail(actor_group_t *group, result_t why)
{
    group->has_failed = true;
    log_error("a group of actors failed too often: it is stopped",
              LOG_STRING("error", result_code(why)));
    for (uint32_t left = group->count; left > 0 && group->count > 0; left--) {
        actor_t *const child = group_child(group, group->count - 1);
        actor_unlist(child);
        actor_end(child, why);
    }
    actor_notice_t *const notice = group->escalation;
    group->escalation = NULL;
    if (notice != NULL) {
        notice_fire(notice, ACTOR_SYSTEM_ESCALATED, why);
    }
}

static void restart_child(actor_t *child, uint64_t delay_ms)
{
    actor_phase_t phase = (actor_phase_t)child->mailbox.phase;
    if (phase == ACTOR_NEW) {
        return; /* it begins anyway */
    }
    if (phase == ACTOR_BACKING_OFF) {
        backoff_cancel(child->slot->system, child->supervision);
    }
    actor_unlist(child);
    actor_restart_after(child, delay_ms);
}

static void restart_in_group(actor_t *actor, actor_group_t *group)
{
    const actor_group_options_t *const options = &group->options;
    const result_t why = (result_t)actor->end_reason;
    const uint32_t restarts =
        note_failure(&group->failures, loop_now_ms(group->system->loop), options->window_ms);
    if (restarts > options->restarts_max) {
        group_fail(group, why); /* the actor is one of its children */
        return;
    }
    const uint64_t delay_ms =
        backoff_ms(restarts, options->backoff_ms_min, options->backoff_ms_max);
    const uint32_t own = actor->supervision->position;
    const uint32_t first = options->strategy == ACTOR_ONE_FOR_ALL ? 0 : own;
    const uint32_t end = options->strategy == ACTOR_ONE_FOR_ONE ? own + 1 : group->count;
    for (uint32_t position = first; position < end; position++) {
        restart_child(group_child(group, position), delay_ms);
    }
}

void actor_supervise_restart(actor_t *actor)
{
    actor_group_t *const group = actor->supervision == NULL ? NULL : actor->supervision->group;
    if (group != NULL) {
        restart_in_group(actor, group);
    } else {
        restart_alone(actor);
    }
}

void actor_supervise_escalation(actor_t *actor)
{
    actor_group_t *const group = actor->supervision == NULL ? NULL : actor->supervision->group;
    if (group != NULL) {
        group_fail(group, (result_t)actor->end_reason);
    } else {
        actor_end(actor, (result_t)actor->end_reason);
    }
}

/* --- Groups --- */

static uint32_t or_limit(uint32_t value, uint32_t limit)
{
    return value == 0 ? limit : value;
}

/* Its own from the beginning, whatever else the owner owns by then, and over restarts of the owner.
 */
static result_t reserve_escalation(actor_group_t *group)
{
    if (actor_get_inline(group->system, group->owner) == NULL) {
        return RESULT_OK; /* nobody is to be told */
    }
    const result_t result =
        notice_create(group->system, NULL, NOTICE_ESCALATION, &group->escalation);
    if (result == RESULT_OK) {
        group->escalation->owner = group->owner;
    }
    return result;
}

result_t actor_group_create(actor_system_t *system, actor_ref_t owner,
                            const actor_group_options_t *options, actor_group_t **group)
{
    static_assert(2 * LIMIT_ACTOR_NOTICES_OWNED + LIMIT_ACTOR_GROUPS <= UINT16_MAX,
                  "all groups may be of one owner, and fail before it has a turn");
    assert(options->restarts_max <= LIMIT_GROUP_RESTARTS);
    if (system->group_count == LIMIT_ACTOR_GROUPS) {
        return RESULT_BUSY;
    }
    actor_group_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->system = system;
    created->owner = owner;
    created->options = (actor_group_options_t){
        .strategy = options->strategy,
        .restarts_max = or_limit(options->restarts_max, LIMIT_ACTOR_RESTARTS),
        .window_ms = or_limit(options->window_ms, LIMIT_ACTOR_RESTARTS_WINDOW_MS),
        .backoff_ms_min = or_limit(options->backoff_ms_min, LIMIT_ACTOR_BACKOFF_MS_MIN),
        .backoff_ms_max = or_limit(options->backoff_ms_max, LIMIT_ACTOR_BACKOFF_MS_MAX),
    };
    const result_t result = reserve_escalation(created);
    if (result != RESULT_OK) {
        free(created);
        return result;
    }
    system->group_count++;
    created->next = system->groups;
    system->groups = created;
    *group = created;
    return RESULT_OK;
}

void actor_group_destroy(actor_group_t **group)
{
    actor_group_t *const destroyed = *group;
    if (destroyed == NULL) {
        return;
    }
    *group = NULL;
    while (destroyed->count > 0) { /* each end takes one out */
        actor_t *const child = group_child(destroyed, destroyed->count - 1);
        assert(child->mailbox.phase != ACTOR_RUNNING);
        actor_stop(child);
    }
    actor_group_t **link = &destroyed->system->groups;
    while (*link != destroyed) {
        link = &(*link)->next;
    }
    *link = destroyed->next;
    destroyed->system->group_count--;
    if (destroyed->escalation != NULL) {
        notice_destroy(destroyed->escalation);
    }
    free(destroyed);
}

uint32_t actor_group_count(const actor_group_t *group)
{
    return group->count;
}

bool actor_group_has_failed(const actor_group_t *group)
{
    return group->has_failed;
}
