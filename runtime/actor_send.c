/* The ways into a mailbox: by identity, by reference, and the first message's memory. Nothing runs
 * within a send. */
#include "runtime/actor_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- Messages --- */

actor_message_t *actor_message_create(actor_system_t *system, uint32_t type, size_t payload_size)
{
    const size_t size = sizeof(actor_message_t) + payload_size;
    const uint32_t class = message_pool_class(size);
    if (__builtin_expect(class == MESSAGE_POOL_LARGE, 0)) {
        actor_message_t *const large = malloc(size);
        if (large != NULL) {
            *large = (actor_message_t){.type = type};
            large->destroy = (void (*)(actor_message_t *))free;
        }
        return large;
    }
    actor_message_t *const message = message_pool_take(&system->pool, class);
    if (message != NULL) {
        *message = (actor_message_t){.type = type, .size_class = (uint8_t) class};
    }
    return message;
}

void actor_message_destroy(actor_system_t *system, actor_message_t **message)
{
    if (*message != NULL) {
        actor_message_free(system, *message);
        *message = NULL;
    }
}

/* --- By reference --- */

static result_t refuse(actor_slot_t *slot)
{
    metric_add(slot->busy, 1);
    return RESULT_BUSY;
}

static inline result_t deliver(actor_t *actor, actor_message_t **message)
{
    actor_slot_t *const slot = actor->slot;
    if (__builtin_expect(actor->mailbox.is_resting, 0)) {
        return refuse(slot);
    }
    if (mailbox_send(&actor->mailbox, slot->mailbox_max, message) != RESULT_OK) {
        return refuse(slot);
    }
    slot->numbers.messages_waiting++;
    actor_wake(actor);
    return RESULT_OK;
}

result_t actor_system_tell(actor_system_t *system, actor_ref_t to, actor_message_t **message)
{
    if (system->is_stopping) {
        return RESULT_DRAINING;
    }
    actor_t *const actor = actor_get_inline(system, to);
    if (actor == NULL || actor->mailbox.phase == ACTOR_GONE) {
        return RESULT_MISSING;
    }
    return deliver(actor, message);
}

result_t actor_tell(actor_t *self, actor_ref_t to, actor_message_t **message)
{
    (*message)->sender = actor_ref_inline(self);
    return actor_system_tell(self->slot->system, to, message);
}

/* --- By identity --- */

static actor_t *create_identified(actor_system_t *system, actor_slot_t *slot, uint64_t hash,
                                  const actor_identity_t *identity)
{
    actor_t *actor = NULL;
    if (actor_allocate_place(system, slot, identity->tenant, identity->tenant_size, &actor) !=
        RESULT_OK) {
        return NULL;
    }
    actor->hash = (uint32_t)hash;
    memcpy(actor_id_inline(actor), identity->id, ACTOR_ID_SIZE);
    if (actor_table_insert(&system->table, actor) != RESULT_OK) {
        actor_place_free(actor);
        return NULL;
    }
    slot->numbers.activating++;
    actor_enqueue(actor, ACTOR_NEW);
    return actor;
}

result_t actor_system_send(actor_system_t *system, uint32_t kind, const actor_identity_t *identity,
                           actor_message_t **message)
{
    assert(kind < system->slot_count);
    actor_slot_t *const slot = &system->slots[kind];
    assert(!slot->kind.is_anonymous);
    if (system->is_stopping) {
        return RESULT_DRAINING;
    }
    const uint64_t hash = actor_table_hash(&system->table, kind, identity);
    actor_t *actor = actor_table_find(system, hash, kind, identity);
    if (actor == NULL) {
        actor = create_identified(system, slot, hash, identity);
    }
    return actor == NULL ? refuse(slot) : deliver(actor, message);
}

actor_t *actor_system_find(actor_system_t *system, uint32_t kind, const actor_identity_t *identity)
{
    assert(kind < system->slot_count);
    const uint64_t hash = actor_table_hash(&system->table, kind, identity);
    actor_t *const actor = actor_table_find(system, hash, kind, identity);
    const bool is_active =
        actor != NULL && actor->mailbox.due == ACTOR_DUE_NOTHING &&
        (actor->mailbox.phase == ACTOR_IDLE || actor->mailbox.phase == ACTOR_READY ||
         actor->mailbox.phase == ACTOR_RUNNING);
    return is_active ? actor : NULL;
}

/* --- Anonymous actors --- */

static result_t place_anonymous(actor_system_t *system, actor_slot_t *slot,
                                const actor_spawn_t *spawn, actor_t **actor)
{
    result_t result = actor_allocate_place(system, slot, spawn->tenant, spawn->tenant_size, actor);
    if (result != RESULT_OK) {
        return result;
    }
    if (spawn->group != NULL || slot->kind.directive != NULL) {
        result = actor_supervision_attach(*actor, spawn->group, spawn);
        if (result != RESULT_OK) {
            actor_supervision_detach(*actor);
            actor_place_free(*actor);
        }
    }
    return result;
}

result_t actor_system_spawn(actor_system_t *system, uint32_t kind, const actor_spawn_t *spawn,
                            actor_ref_t *ref)
{
    assert(kind < system->slot_count);
    actor_slot_t *const slot = &system->slots[kind];
    assert(slot->kind.is_anonymous);
    assert(spawn->argument_size <= LIMIT_SPAWN_ARGUMENT_SIZE);
    assert(spawn->argument_size <= slot->kind.state_size);
    if (system->is_stopping) {
        return RESULT_DRAINING;
    }
    actor_t *actor = NULL;
    const result_t result = place_anonymous(system, slot, spawn, &actor);
    if (result != RESULT_OK) {
        return result == RESULT_BUSY ? refuse(slot) : result;
    }
    if (spawn->argument_size > 0) {
        memcpy(actor_state_inline(actor), spawn->argument, spawn->argument_size);
    }
    slot->numbers.activating++;
    actor_enqueue(actor, ACTOR_NEW);
    if (ref != NULL) {
        *ref = actor_ref_inline(actor);
    }
    return RESULT_OK;
}

result_t actor_spawn(actor_t *self, uint32_t kind, const void *argument, size_t argument_size,
                     actor_ref_t *ref)
{
    const actor_spawn_t spawn = {.tenant = self->tenant->name,
                                 .tenant_size = self->tenant->name_size,
                                 .argument = argument,
                                 .argument_size = argument_size};
    return actor_system_spawn(self->slot->system, kind, &spawn, ref);
}
