/* Gives actors their turns. Each actor is in exactly one list, the one its phase names
 * (actor_internal.h), so every step of its life is O(1). Handlers run only from the loop's hook,
 * one at a time. Must not know what messages mean. */
#include "runtime/actor_internal.h"

#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/loop_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct actor_slot {
    actor_system_t *system;
    actor_kind_t kind;
    void *context;
    actor_list_t activating;
    actor_list_t waiting; /* for a place in `activating` */
    uint32_t activating_count;
    actor_system_numbers_t numbers;
    metric_t *messages;
    metric_t *waiting_messages;
    metric_t *busy;
    metric_t *active;
    metric_t *activations;
    metric_t *passivations;
    metric_t *drops;
    metric_t *handler_time;
};

struct actor_system {
    loop_t *loop;
    loop_hook_t *hook;
    metrics_t *metrics;
    actor_table_t table;
    uint64_t actors_max;
    actor_list_t run_queue;
    actor_list_t idle; /* least recently used first */
    actor_t *current_actor;
    actor_message_t *current_message; /* NULL once the handler took it */
    bool is_stopping;
    uint32_t slot_count;
    actor_slot_t slots[LIMIT_ACTOR_KINDS];
};

static void list_append(actor_list_t *list, actor_t *actor)
{
    actor->previous = list->last;
    actor->next = NULL;
    if (list->last == NULL) {
        list->first = actor;
    } else {
        list->last->next = actor;
    }
    list->last = actor;
}

static void list_remove(actor_list_t *list, actor_t *actor)
{
    if (actor->previous == NULL) {
        assert(list->first == actor);
        list->first = actor->next;
    } else {
        actor->previous->next = actor->next;
    }
    if (actor->next == NULL) {
        assert(list->last == actor);
        list->last = actor->previous;
    } else {
        actor->next->previous = actor->previous;
    }
    actor->previous = NULL;
    actor->next = NULL;
}

/* Of a list that is not empty. */
static actor_t *list_take(actor_list_t *list)
{
    actor_t *const actor = list->first;
    list->first = actor->next;
    if (list->first == NULL) {
        list->last = NULL;
    } else {
        list->first->previous = NULL;
    }
    actor->next = NULL;
    return actor;
}

static void enqueue(actor_t *actor, actor_phase_t phase)
{
    actor_system_t *const system = actor->slot->system;
    actor->phase = (uint8_t)phase;
    list_append(&system->run_queue, actor);
    loop_again(system->loop); /* the sender may be a hook that runs after ours */
}

static void become_idle(actor_t *actor)
{
    actor->phase = ACTOR_IDLE;
    list_append(&actor->slot->system->idle, actor);
}

/* Its place in `activating` goes to the next that waits for one. */
static void activation_end(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    list_remove(&slot->activating, actor);
    slot->activating_count--;
    slot->numbers.activating--;
    if (slot->waiting.first != NULL) {
        enqueue(list_take(&slot->waiting), ACTOR_NEW);
    }
}

static void actor_free(actor_t *actor)
{
    actor_table_remove(&actor->slot->system->table, actor);
    free(actor);
}

/* The actor is active and in no list: its state goes. What waits activates it anew. */
static void actor_restart(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    actor->is_drop_due = false;
    actor->phase = ACTOR_GONE;
    slot->kind.deactivate(actor, slot->context);
    slot->numbers.active--;
    slot->numbers.drops++;
    metric_add(slot->drops, 1);
    if (actor->mailbox.count == 0) {
        actor_free(actor);
        return;
    }
    memset(actor_state(actor), 0, slot->kind.state_size);
    slot->numbers.activating++;
    enqueue(actor, ACTOR_NEW);
}

/* True when a place was made for one more actor. */
static bool passivate_one(actor_system_t *system)
{
    for (int count = 0; count < LIMIT_PASSIVATION_SCAN && system->idle.first != NULL; count++) {
        actor_t *const actor = list_take(&system->idle);
        actor_slot_t *const slot = actor->slot;
        if (slot->kind.may_passivate != NULL && !slot->kind.may_passivate(actor, slot->context)) {
            become_idle(actor); /* at the other end: not asked again soon */
            continue;
        }
        actor->phase = ACTOR_GONE;
        slot->kind.deactivate(actor, slot->context);
        slot->numbers.active--;
        slot->numbers.passivations++;
        metric_add(slot->passivations, 1);
        actor_free(actor);
        return true;
    }
    return false;
}

static actor_t *actor_create(actor_system_t *system, actor_slot_t *slot, uint64_t hash,
                             const actor_identity_t *identity)
{
    if (system->table.actor_count >= system->actors_max && !passivate_one(system)) {
        return NULL;
    }
    const size_t state_size = slot->kind.state_size;
    actor_t *const actor = calloc(1, sizeof(*actor) + state_size + identity->tenant_size + 1);
    if (actor == NULL) {
        return NULL;
    }
    char *const tenant = (char *)actor + sizeof(*actor) + state_size;
    memcpy(tenant, identity->tenant, identity->tenant_size);
    actor->identity = *identity;
    actor->identity.tenant = tenant;
    actor->hash = hash;
    actor->slot = slot;
    actor_table_insert(&system->table, actor);
    slot->numbers.activating++;
    enqueue(actor, ACTOR_NEW);
    return actor;
}

static result_t refuse(actor_slot_t *slot)
{
    metric_add(slot->busy, 1);
    return RESULT_BUSY;
}

result_t actor_system_send(actor_system_t *system, uint32_t kind, const actor_identity_t *identity,
                           actor_message_t **message)
{
    assert(kind < system->slot_count);
    actor_slot_t *const slot = &system->slots[kind];
    if (system->is_stopping) {
        return RESULT_DRAINING;
    }
    const uint64_t hash = actor_table_hash(&system->table, kind, identity);
    actor_t *actor = actor_table_find(&system->table, hash, slot, identity);
    if (actor == NULL) {
        actor = actor_create(system, slot, hash, identity);
    }
    if (actor == NULL || mailbox_send(&actor->mailbox, message) != RESULT_OK) {
        return refuse(slot);
    }
    slot->numbers.messages_waiting++;
    if (actor->phase == ACTOR_IDLE) {
        list_remove(&system->idle, actor);
        enqueue(actor, ACTOR_READY);
    }
    return RESULT_OK;
}

/* Hands `message` to `undeliverable`. May happen within a handler of another actor. */
static void give_back(actor_t *actor, actor_message_t *message, result_t why)
{
    actor_slot_t *const slot = actor->slot;
    actor_system_t *const system = slot->system;
    actor_t *const actor_before = system->current_actor;
    actor_message_t *const message_before = system->current_message;
    system->current_actor = actor;
    system->current_message = message;
    slot->kind.undeliverable(actor, message, why, slot->context);
    if (system->current_message != NULL) {
        message->destroy(message);
    }
    system->current_actor = actor_before;
    system->current_message = message_before;
}

/* The actor is in no list and no table any more, so that messages to its identity start a new one.
 */
static void give_back_all(actor_t *actor, result_t why)
{
    while (actor->mailbox.count > 0) {
        actor->slot->numbers.messages_waiting--;
        give_back(actor, mailbox_take(&actor->mailbox), why);
    }
}

void actor_activated(actor_t *actor)
{
    assert(actor->phase == ACTOR_ACTIVATING);
    actor_slot_t *const slot = actor->slot;
    activation_end(actor);
    slot->numbers.active++;
    slot->numbers.activations++;
    metric_add(slot->activations, 1);
    if (actor->is_drop_due) {
        actor_restart(actor);
    } else if (actor->mailbox.count > 0) {
        enqueue(actor, ACTOR_READY);
    } else {
        become_idle(actor);
    }
}

void actor_failed(actor_t *actor, result_t why)
{
    assert(actor->phase == ACTOR_ACTIVATING);
    assert(why != RESULT_OK);
    activation_end(actor);
    actor->phase = ACTOR_GONE;
    actor_table_remove(&actor->slot->system->table, actor);
    give_back_all(actor, why);
    free(actor);
}

void actor_drop(actor_t *actor)
{
    actor_system_t *const system = actor->slot->system;
    assert(actor->phase != ACTOR_GONE);
    switch ((actor_phase_t)actor->phase) {
    case ACTOR_NEW: /* has no state yet */
    case ACTOR_GONE:
        break;
    case ACTOR_ACTIVATING:
    case ACTOR_RUNNING:
        actor->is_drop_due = true;
        break;
    case ACTOR_IDLE:
        list_remove(&system->idle, actor);
        actor_restart(actor);
        break;
    case ACTOR_READY:
        list_remove(&system->run_queue, actor);
        actor_restart(actor);
        break;
    }
}

static void log_failure(const actor_t *actor, result_t result)
{
    char id[sizeof(actor->identity.id) * 2 + 1];
    for (size_t index = 0; index < sizeof(actor->identity.id); index++) {
        (void)snprintf(id + 2 * index, 3, "%02x", actor->identity.id[index]);
    }
    log_warn("a handler failed: its actor is dropped and built anew by its next message",
             LOG_STRING("error", result_code(result)), LOG_STRING("kind", actor->slot->kind.name),
             LOG_TEXT("tenant", actor->identity.tenant, actor->identity.tenant_size),
             LOG_STRING("id", id));
}

static result_t receive_timed(actor_t *actor, actor_message_t *message)
{
    actor_slot_t *const slot = actor->slot;
    enum { SAMPLE_INTERVAL = 64 }; /* two clock readings cost as much as a small handler */
    if (slot->numbers.messages_handled % SAMPLE_INTERVAL != 0) {
        return slot->kind.receive(actor, message, slot->context);
    }
    const uint64_t begin_us = clock_monotonic_us();
    const result_t result = slot->kind.receive(actor, message, slot->context);
    metric_observe_us(slot->handler_time, clock_monotonic_us() - begin_us);
    return result;
}

/* Handles up to `messages_max` messages; returns how many. */
static uint32_t actor_run(actor_t *actor, uint32_t messages_max)
{
    actor_slot_t *const slot = actor->slot;
    actor_system_t *const system = slot->system;
    uint32_t count = 0;
    actor->phase = ACTOR_RUNNING;
    system->current_actor = actor;
    while (count < messages_max && actor->mailbox.count > 0 && !actor->is_drop_due) {
        actor_message_t *const message = mailbox_take(&actor->mailbox);
        system->current_message = message;
        slot->numbers.messages_waiting--;
        const result_t result = receive_timed(actor, message);
        slot->numbers.messages_handled++;
        count++;
        if (system->current_message != NULL) {
            message->destroy(message);
        }
        if (result != RESULT_OK) {
            log_failure(actor, result);
            actor->is_drop_due = true;
        }
    }
    system->current_actor = NULL;
    system->current_message = NULL;
    metric_add(slot->messages, count);
    if (actor->is_drop_due) {
        actor_restart(actor);
    } else if (actor->mailbox.count > 0) {
        enqueue(actor, ACTOR_READY);
    } else {
        become_idle(actor);
    }
    return count;
}

static void actor_activate(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    if (slot->activating_count == LIMIT_LOADS_IN_FLIGHT) {
        list_append(&slot->waiting, actor);
        return;
    }
    actor->phase = ACTOR_ACTIVATING;
    list_append(&slot->activating, actor);
    slot->activating_count++;
    slot->kind.activate(actor, slot->context); /* the actor may be gone when it returns */
}

static void on_turn(void *context)
{
    actor_system_t *const system = context;
    uint32_t budget = LIMIT_SCHEDULER_TURN_MESSAGES;
    while (budget > 0 && system->run_queue.first != NULL) {
        actor_t *const actor = list_take(&system->run_queue);
        if (actor->phase == ACTOR_NEW) {
            actor_activate(actor);
            budget--;
        } else {
            budget -= actor_run(
                actor, budget < LIMIT_ACTOR_TURN_MESSAGES ? budget : LIMIT_ACTOR_TURN_MESSAGES);
        }
    }
    for (uint32_t kind = 0; kind < system->slot_count; kind++) {
        const actor_slot_t *const slot = &system->slots[kind];
        metric_set(slot->active, (int64_t)slot->numbers.active);
        metric_set(slot->waiting_messages, (int64_t)slot->numbers.messages_waiting);
    }
    if (system->run_queue.first != NULL) {
        loop_again(system->loop);
    }
}

result_t actor_system_create(loop_t *loop, metrics_t *metrics, actor_system_t **system)
{
    assert(metrics != NULL);
    actor_system_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    if (actor_table_init(&created->table) != RESULT_OK) {
        free(created);
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->metrics = metrics;
    created->actors_max = LIMIT_ACTORS_ACTIVE;
    created->hook = loop_hook_create_in(loop, LOOP_PHASE_ACTORS, on_turn, created);
    *system = created;
    return RESULT_OK;
}

void actor_system_destroy(actor_system_t **system)
{
    actor_system_t *const destroyed = *system;
    if (destroyed == NULL) {
        return;
    }
    assert(destroyed->current_actor == NULL);
    destroyed->is_stopping = true;
    uint64_t bucket = 0;
    while (destroyed->table.actor_count > 0) {
        actor_t *const actor = actor_table_any(&destroyed->table, &bucket);
        const bool has_state = actor->phase != ACTOR_NEW;
        actor->phase = ACTOR_GONE;
        actor_table_remove(&destroyed->table, actor);
        give_back_all(actor, RESULT_DRAINING);
        if (has_state) {
            actor->slot->kind.deactivate(actor, actor->slot->context);
        }
        free(actor);
    }
    actor_table_deinit(&destroyed->table);
    loop_hook_destroy(&destroyed->hook);
    free(destroyed);
    *system = NULL; /* not earlier: the kinds still reach the system through it */
}

void actor_system_limit_active(actor_system_t *system, uint64_t actors_max)
{
    assert(actors_max > 0);
    system->actors_max = actors_max;
}

uint32_t actor_system_register(actor_system_t *system, const actor_kind_t *kind, void *context)
{
    assert(system->slot_count < LIMIT_ACTOR_KINDS);
    assert(kind->activate != NULL);
    assert(kind->receive != NULL);
    assert(kind->undeliverable != NULL);
    assert(kind->deactivate != NULL);
    actor_slot_t *const slot = &system->slots[system->slot_count];
    slot->system = system;
    slot->kind = *kind;
    slot->context = context;
    char labels[64];
    const int size = snprintf(labels, sizeof(labels), "kind=\"%s\"", kind->name);
    assert((size_t)size < sizeof(labels));
    metrics_t *const metrics = system->metrics;
    slot->messages = metrics_counter(metrics, "digitalcard_actor_messages_total", labels,
                                     "Messages handled by actors");
    slot->waiting_messages = metrics_gauge(metrics, "digitalcard_actor_messages_waiting", labels,
                                           "Messages in mailboxes");
    slot->busy = metrics_counter(metrics, "digitalcard_actor_busy_total", labels,
                                 "Messages refused: mailbox full or no room for the actor");
    slot->active =
        metrics_gauge(metrics, "digitalcard_actors_active", labels, "Actors with their state");
    slot->activations =
        metrics_counter(metrics, "digitalcard_actor_activations_total", labels, "Actors activated");
    slot->passivations = metrics_counter(metrics, "digitalcard_actor_passivations_total", labels,
                                         "Idle actors that made room for others");
    slot->drops = metrics_counter(metrics, "digitalcard_actor_drops_total", labels,
                                  "Actors whose state could not be trusted any more");
    slot->handler_time = metrics_histogram(metrics, "digitalcard_actor_handler_seconds", labels,
                                           "Time of one handler call, one call of 64 measured");
    return system->slot_count++;
}

actor_t *actor_system_find(actor_system_t *system, uint32_t kind, const actor_identity_t *identity)
{
    assert(kind < system->slot_count);
    const uint64_t hash = actor_table_hash(&system->table, kind, identity);
    actor_t *const actor = actor_table_find(&system->table, hash, &system->slots[kind], identity);
    const bool is_active = actor != NULL && !actor->is_drop_due &&
                           (actor->phase == ACTOR_IDLE || actor->phase == ACTOR_READY ||
                            actor->phase == ACTOR_RUNNING);
    return is_active ? actor : NULL;
}

void *actor_state(actor_t *actor)
{
    return actor + 1;
}

const actor_identity_t *actor_identity(const actor_t *actor)
{
    return &actor->identity;
}

const actor_message_t *actor_first_message(const actor_t *actor)
{
    return actor->mailbox.first;
}

actor_message_t *actor_take_message(actor_t *actor)
{
    actor_system_t *const system = actor->slot->system;
    assert(system->current_actor == actor);
    actor_message_t *const message = system->current_message;
    assert(message != NULL);
    system->current_message = NULL;
    return message;
}

static uint64_t depth_max_of(const actor_list_t *list, const actor_slot_t *slot, uint64_t depth)
{
    for (const actor_t *actor = list->first; actor != NULL; actor = actor->next) {
        depth = actor->slot == slot && actor->mailbox.count > depth ? actor->mailbox.count : depth;
    }
    return depth;
}

void actor_system_numbers(const actor_system_t *system, uint32_t kind,
                          actor_system_numbers_t *numbers)
{
    assert(kind < system->slot_count);
    const actor_slot_t *const slot = &system->slots[kind];
    *numbers = slot->numbers;
    /* Actors with messages are in one of these three lists. */
    uint64_t depth = depth_max_of(&system->run_queue, slot, 0);
    depth = depth_max_of(&slot->activating, slot, depth);
    numbers->mailbox_depth_max = depth_max_of(&slot->waiting, slot, depth);
}

const char *actor_system_kind_name(const actor_system_t *system, uint32_t kind)
{
    return kind < system->slot_count ? system->slots[kind].kind.name : NULL;
}
