/* The actor machine of one shard: actors found by identity, one bounded mailbox each, one message
 * at a time, never re-entrant, activated by their first message. Single-threaded, on the role's
 * loop.
 *
 * Life of an actor:
 *   actor_system_send to an unknown identity → memory taken, kind->activate(actor) → the kind loads
 * its state and calls actor_activated (or actor_failed) once, now or later → kind->receive for each
 * message, LIMIT_ACTOR_TURN_MESSAGES at a time → when LIMIT_ACTORS_ACTIVE is reached the least
 * recently used idle actor that kind->may_passivate allows gets kind->deactivate and its memory
 * goes. actor_drop: state that cannot be trusted (failed commit): deactivated at once after the
 * running handler; waiting messages stay and activate it anew. Scheduling is round robin over
 * actors with messages (the fair scheduler, timers and supervision strategies come with the actor
 * runtime issue and replace the insides, not this interface). */
#ifndef RUNTIME_ACTOR_SYSTEM_H
#define RUNTIME_ACTOR_SYSTEM_H

#include "runtime/loop.h"
#include "runtime/mailbox.h" /* actor_message_t */
#include "runtime/metrics.h"
#include <stddef.h>

typedef struct actor_system actor_system_t;
typedef struct actor actor_t;

typedef struct actor_identity {
    const char *tenant; /* borrowed; copied inside */
    size_t tenant_size;
    uint8_t id[16]; /* card id; all zero for the tenant actor */
} actor_identity_t;

typedef struct actor_kind {
    const char *name;  /* "card"; label in metrics and tree */
    size_t state_size; /* bytes zeroed for actor_state */
    /* Called by the scheduler, never within actor_system_send. */
    void (*activate)(actor_t *actor, void *context);
    /* Handles one message, which stays owned by the system and is destroyed afterwards unless the
     * handler takes it with actor_take_message. An error is counted and logged and drops the actor
     * (actor_drop). */
    result_t (*receive)(actor_t *actor, actor_message_t *message, void *context);
    /* Messages of an actor whose activation failed, and those refused at shutdown, end here, one by
     * one. Ownership as in receive: destroyed afterwards unless taken with actor_take_message. */
    void (*undeliverable)(actor_t *actor, actor_message_t *message, result_t why, void *context);
    /* NULL: always. */
    bool (*may_passivate)(const actor_t *actor, void *context);
    /* Releases what the state points to. Also called for an actor that is still activating when the
     * system is destroyed (its state is then as far as the kind had filled it); not after
     * actor_failed. Must not call back into the actor. */
    void (*deactivate)(actor_t *actor, void *context);
} actor_kind_t;

MUST_USE result_t actor_system_create(loop_t *loop, metrics_t *metrics, actor_system_t **system);
/* No activation may end afterwards: what loads for an actor must have stopped before. */
void actor_system_destroy(actor_system_t **system);
/* Actors at once, LIMIT_ACTORS_ACTIVE unless told: for small machines and tests. */
void actor_system_limit_active(actor_system_t *system, uint64_t actors_max);
/* Kinds are few and registered at start. `context` is handed to each function of the kind. Returns
 * its number. */
uint32_t actor_system_register(actor_system_t *system, const actor_kind_t *kind, void *context);

/* Takes the message and nulls the pointer on success. BUSY: mailbox full, or no room or memory for
 * a new actor; DRAINING: the system is being destroyed. The caller still owns the message then. */
MUST_USE result_t actor_system_send(actor_system_t *system, uint32_t kind,
                                    const actor_identity_t *identity, actor_message_t **message);
/* NULL when it is not active (passive, or still activating). */
actor_t *actor_system_find(actor_system_t *system, uint32_t kind, const actor_identity_t *identity);

void *actor_state(actor_t *actor);
const actor_identity_t *actor_identity(const actor_t *actor);
void actor_activated(actor_t *actor);
/* Ends activation: waiting messages go to `undeliverable` with `why`, the actor is forgotten. The
 * kind has released what the state points to. `actor` is gone when this returns. */
void actor_failed(actor_t *actor, result_t why);
/* Within a handler of that actor: takes effect when the handler returns. While it is activating:
 * when its activation ends. Else at once, and `actor` is gone when no message waits for it. */
void actor_drop(actor_t *actor);
/* The oldest message that waits, NULL when there is none. Borrowed: an activation may look at it to
 * load in one go what that message will need. */
const actor_message_t *actor_first_message(const actor_t *actor);
/* Within receive and undeliverable: the handler keeps the message and destroys it itself. */
actor_message_t *actor_take_message(actor_t *actor);

typedef struct actor_system_numbers {
    uint64_t active;     /* actors */
    uint64_t activating; /* asked for, waiting for their turn to load, or loading */
    uint64_t messages_waiting;
    uint64_t messages_handled;
    uint64_t activations;
    uint64_t passivations;
    uint64_t drops;
    uint64_t mailbox_depth_max; /* right now */
} actor_system_numbers_t;
/* `kind` counts from 0; walks nothing unless asked. */
void actor_system_numbers(const actor_system_t *system, uint32_t kind,
                          actor_system_numbers_t *numbers);
const char *actor_system_kind_name(const actor_system_t *system,
                                   uint32_t kind); /* NULL past the last */

#endif
