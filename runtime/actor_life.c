/* From the first message or the spawn to the end: places, activation, restart, passivation. Each
 * actor is in exactly one list, the one its phase names (actor_internal.h), so every step of its
 * life is O(1). Must not know what messages mean. */
#include "runtime/actor_internal.h"

#include <string.h>

void actor_list_remove(actor_list_t *list, actor_t *actor)
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

/* --- Places --- */

result_t actor_allocate_place(actor_system_t *system, actor_slot_t *slot, const char *tenant,
                              size_t tenant_size, actor_t **actor)
{
    if (system->actor_count >= system->actors_max && !actor_passivate_one(system, true)) {
        return RESULT_BUSY;
    }
    const uint64_t hash =
        tenant_size == 0 ? 0 : keyed_hash(&system->table.key, tenant, tenant_size);
    scheduler_tenant_t *const record =
        scheduler_tenant_acquire(&system->scheduler, hash, tenant, tenant_size);
    if (record == NULL) {
        return RESULT_NO_MEMORY;
    }
    actor_t *const created = slab_take(&slot->slab);
    if (created == NULL) {
        scheduler_tenant_release(&system->scheduler, record);
        return RESULT_NO_MEMORY;
    }
    memset((uint8_t *)created + sizeof(slab_head_t), 0, slot->slab.stride - sizeof(slab_head_t));
    created->slot = slot;
    created->tenant = record;
    system->actor_count++;
    system->bytes += slot->slab.stride;
    *actor = created;
    return RESULT_OK;
}

void actor_place_free(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    actor_system_t *const system = slot->system;
    actor_report_bytes(actor, 0);
    scheduler_tenant_release(&system->scheduler, actor->tenant);
    slab_give(&slot->slab, actor);
    system->actor_count--;
    system->bytes -= slot->slab.stride;
}

/* --- Messages that nobody will handle --- */

/* Hands `message` to `undeliverable`. May happen within a handler of another actor. */
static void give_back(actor_t *actor, actor_message_t *message, result_t why)
{
    actor_slot_t *const slot = actor->slot;
    actor_system_t *const system = slot->system;
    metric_add(slot->dead_undeliverable, 1);
    notice_refuse_question(system, message, why);
    if (slot->kind.undeliverable == NULL) {
        actor_message_free(system, message);
        return;
    }
    actor_t *const actor_before = system->current_actor;
    actor_message_t *const message_before = system->current_message;
    system->current_actor = actor;
    system->current_message = message;
    slot->kind.undeliverable(actor, message, why, slot->context);
    if (system->current_message != NULL) {
        actor_message_free(system, message);
    }
    system->current_actor = actor_before;
    system->current_message = message_before;
}

/* Notices of a state that is gone lie in both lanes. What users sent stays, in order. */
static void purge_notices(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    const uint32_t count =
        actor->mailbox.count[MAILBOX_USER] + (uint32_t)actor->mailbox.count[MAILBOX_SYSTEM];
    for (uint32_t index = 0; index < count; index++) {
        actor_message_t *const message = mailbox_take(&actor->mailbox);
        if ((message->flags & (ACTOR_MESSAGE_SYSTEM | ACTOR_MESSAGE_REPLY)) != 0) {
            slot->numbers.messages_waiting--;
            actor_message_free(slot->system, message);
        } else {
            mailbox_append(&actor->mailbox, MAILBOX_USER, message);
        }
    }
}

/* The actor is in no list and no table any more, so that messages to its identity start a new one.
 */
static void give_back_all(actor_t *actor, result_t why)
{
    notice_forget_owned(actor);
    purge_notices(actor);
    while (!mailbox_is_empty(&actor->mailbox)) {
        actor->slot->numbers.messages_waiting--;
        give_back(actor, mailbox_take(&actor->mailbox), why);
    }
}

/* --- Activation --- */

/* Its place in `activating` goes to the next that waits for one. */
static void activation_end(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    actor_list_remove(&slot->activating, actor);
    slot->activating_count--;
    slot->numbers.activating--;
    if (slot->waiting.first != NULL) {
        actor_enqueue(actor_list_take(&slot->waiting), ACTOR_NEW);
    }
}

/* Its state took more than its arena may have. That is no command's fault. */
static void fail_without_room(actor_t *actor)
{
    if (actor->has_failed) {
        actor->has_failed = false;
        actor->slot->system->description = (actor_description_t){0};
        actor_supervise_failure(actor, RESULT_NO_MEMORY);
    }
}

static void activate_anonymous(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    actor_system_t *const system = slot->system;
    actor->mailbox.phase = ACTOR_RUNNING;
    slot->numbers.activating--;
    slot->numbers.active++;
    slot->numbers.activations++;
    if (slot->kind.activate != NULL) {
        system->current_actor = actor;
        slot->kind.activate(actor, slot->context);
        system->current_actor = NULL;
        fail_without_room(actor);
    }
    actor_turn_over(actor);
}

void actor_activate(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    if (slot->kind.is_anonymous) {
        activate_anonymous(actor);
        return;
    }
    if (slot->activating_count >= slot->system->activating_max) {
        actor->mailbox.phase = ACTOR_WAITING;
        actor_list_append(&slot->waiting, actor);
        return;
    }
    actor->mailbox.phase = ACTOR_ACTIVATING;
    actor_list_append(&slot->activating, actor);
    slot->activating_count++;
    slot->kind.activate(actor, slot->context); /* the actor may be gone when it returns */
}

void actor_activated(actor_t *actor)
{
    assert(actor->mailbox.phase == ACTOR_ACTIVATING);
    actor_slot_t *const slot = actor->slot;
    activation_end(actor);
    slot->numbers.active++;
    slot->numbers.activations++;
    actor->mailbox.phase = ACTOR_RUNNING; /* it has a state and is in no list */
    fail_without_room(actor);
    actor_turn_over(actor);
}

void actor_failed(actor_t *actor, result_t why)
{
    assert(why != RESULT_OK);
    if (actor->slot->kind.is_anonymous) {
        assert(actor->mailbox.phase == ACTOR_RUNNING);
        actor_supervise_failure(actor, why);
        return;
    }
    assert(actor->mailbox.phase == ACTOR_ACTIVATING);
    activation_end(actor);
    actor->mailbox.phase = ACTOR_GONE; /* it has no state */
    actor_end(actor, why);
}

/* --- The end of a state --- */

/* What an activation has filled by the time the system is destroyed is to be released too. */
static bool has_state(const actor_t *actor)
{
    return (actor->mailbox.phase == ACTOR_ACTIVATING && actor->slot->system->is_stopping) ||
           actor->mailbox.phase == ACTOR_IDLE || actor->mailbox.phase == ACTOR_READY ||
           actor->mailbox.phase == ACTOR_RUNNING;
}

static void state_release(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    actor->mailbox.phase = ACTOR_GONE;
    if (slot->kind.deactivate != NULL) {
        slot->kind.deactivate(actor, slot->context);
    }
    slot->numbers.active--;
}

void actor_end(actor_t *actor, result_t why)
{
    actor_slot_t *const slot = actor->slot;
    const bool had_state = has_state(actor);
    if (actor->mailbox.phase == ACTOR_NEW || actor->mailbox.phase == ACTOR_WAITING) {
        slot->numbers.activating--;
    }
    actor->mailbox.phase = ACTOR_GONE;
    if (!slot->kind.is_anonymous) {
        actor_table_remove(&slot->system->table, actor);
    }
    give_back_all(actor, why == RESULT_OK ? RESULT_MISSING : why);
    if (had_state) {
        state_release(actor);
    }
    notice_forget_owned(actor);
    actor_supervision_detach(actor);
    notice_tell_watchers(actor, why);
    notice_tell_room(actor, UINT32_MAX);
    actor_arena_free(actor);
    actor_place_free(actor);
}

/* Without state and in no list: it waits for its turn to get a new one. */
void actor_begin_anew(actor_t *actor)
{
    actor_slot_t *const slot = actor->slot;
    memset(actor_state(actor), 0, slot->kind.state_size);
    const actor_supervision_t *const supervision = actor->supervision;
    if (supervision != NULL && supervision->argument_size > 0) {
        memcpy(actor_state(actor), supervision->argument, supervision->argument_size);
    }
    slot->numbers.activating++;
    actor_enqueue(actor, ACTOR_NEW);
}

static void state_drop(actor_t *actor)
{
    state_release(actor);
    notice_forget_owned(actor);
    purge_notices(actor);
    actor_arena_free(actor);
    actor_report_bytes(actor, 0);
    actor->mailbox.due = ACTOR_DUE_NOTHING;
    actor->slot->numbers.drops++;
}

/* The actor is active and in no list: its state goes. What waits activates it anew. */
static void restart(actor_t *actor)
{
    state_drop(actor);
    if (!mailbox_is_empty(&actor->mailbox) || actor->slot->kind.is_anonymous) {
        actor_begin_anew(actor);
    } else {
        actor_end(actor, RESULT_OK);
    }
}

void actor_restart_after(actor_t *actor, uint64_t delay_ms)
{
    actor_system_t *const system = actor->slot->system;
    if (has_state(actor)) {
        state_drop(actor);
    }
    actor->slot->numbers.restarts++;
    actor->mailbox.is_resting = false;
    actor_notice_t *notice = NULL;
    if (delay_ms > 0 && notice_create(system, NULL, NOTICE_BACKOFF, &notice) == RESULT_OK) {
        notice->subject = actor_ref(actor);
        actor->supervision->backoff = notice_number(notice);
        actor->mailbox.phase = ACTOR_BACKING_OFF;
        notice_start_timer(notice, delay_ms);
    } else if (mailbox_is_empty(&actor->mailbox) && !actor->slot->kind.is_anonymous) {
        actor->mailbox.phase = ACTOR_DORMANT; /* its next message begins it anew */
        actor_list_append(&system->idle, actor);
    } else {
        actor_begin_anew(actor);
    }
}

void actor_rest(actor_t *actor, uint64_t delay_ms)
{
    actor_restart_after(actor, delay_ms);
    if (actor->mailbox.phase != ACTOR_BACKING_OFF) {
        return; /* no memory for the timer */
    }
    actor->mailbox.is_resting = true;
    while (!mailbox_is_empty(&actor->mailbox)) {
        actor->slot->numbers.messages_waiting--;
        give_back(actor, mailbox_take(&actor->mailbox), RESULT_BUSY);
    }
}

/* --- What is due --- */

void actor_set_due(actor_t *actor, actor_due_t due)
{
    if (actor->mailbox.due < due) {
        actor->mailbox.due = (uint8_t)due;
    }
}

/* The actor may be gone when it returns. */
static void do_due(actor_t *actor)
{
    switch ((actor_due_t)actor->mailbox.due) {
    case ACTOR_DUE_DROP:
        restart(actor);
        break;
    case ACTOR_DUE_RESTART:
        actor_supervise_restart(actor);
        break;
    case ACTOR_DUE_ESCALATE:
        actor_supervise_escalation(actor);
        break;
    case ACTOR_DUE_STOP:
        actor_end(actor, (result_t)actor->end_reason);
        break;
    case ACTOR_DUE_NOTHING:
        break;
    }
}

void actor_turn_over(actor_t *actor)
{
    if (actor->mailbox.due != ACTOR_DUE_NOTHING) {
        do_due(actor);
    } else if (!mailbox_is_empty(&actor->mailbox)) {
        actor_enqueue(actor, ACTOR_READY);
    } else {
        actor_become_idle(actor);
    }
}

void actor_unlist(actor_t *actor)
{
    switch ((actor_phase_t)actor->mailbox.phase) {
    case ACTOR_NEW:
    case ACTOR_READY:
        actor_list_remove(&actor->tenant->run, actor);
        break;
    case ACTOR_WAITING:
        actor_list_remove(&actor->slot->waiting, actor);
        break;
    case ACTOR_IDLE:
        if (!actor->slot->kind.is_anonymous) {
            actor_list_remove(&actor->slot->system->idle, actor);
        }
        break;
    case ACTOR_DORMANT:
        actor_list_remove(&actor->slot->system->idle, actor);
        break;
    case ACTOR_ACTIVATING: /* its end is awaited */
    case ACTOR_RUNNING:
    case ACTOR_BACKING_OFF:
    case ACTOR_GONE:
        break;
    }
}

void actor_drop(actor_t *actor)
{
    assert(actor->mailbox.phase != ACTOR_GONE);
    switch ((actor_phase_t)actor->mailbox.phase) {
    case ACTOR_ACTIVATING:
    case ACTOR_RUNNING:
        actor_set_due(actor, ACTOR_DUE_DROP);
        break;
    case ACTOR_IDLE:
    case ACTOR_READY:
        actor_unlist(actor);
        restart(actor);
        break;
    case ACTOR_NEW: /* these have no state */
    case ACTOR_WAITING:
    case ACTOR_BACKING_OFF:
    case ACTOR_DORMANT:
    case ACTOR_GONE:
        break;
    }
}

void actor_stop(actor_t *actor)
{
    switch ((actor_phase_t)actor->mailbox.phase) {
    case ACTOR_ACTIVATING:
    case ACTOR_RUNNING:
        actor_set_due(actor, ACTOR_DUE_STOP);
        break;
    case ACTOR_GONE:
        break;
    default:
        actor_unlist(actor);
        actor_end(actor, RESULT_OK);
        break;
    }
}

/* --- Passivation --- */

static bool may_passivate(actor_t *actor, bool is_pressing)
{
    const actor_slot_t *const slot = actor->slot;
    if (actor->owned != NULL || actor->watchers != NULL) {
        return false; /* somebody will tell it something, or waits for its end */
    }
    return actor->mailbox.phase == ACTOR_DORMANT || slot->kind.may_passivate == NULL ||
           slot->kind.may_passivate(actor, is_pressing, slot->context);
}

bool actor_passivate_one(actor_system_t *system, bool is_pressing)
{
    for (int count = 0; count < LIMIT_PASSIVATION_SCAN && system->idle.first != NULL; count++) {
        actor_t *const actor = actor_list_take(&system->idle);
        if (!may_passivate(actor, is_pressing)) {
            actor_list_append(&system->idle, actor); /* at the other end: not asked again soon */
            continue;
        }
        actor->slot->numbers.passivations++;
        actor_end(actor, RESULT_OK);
        return true;
    }
    return false;
}
