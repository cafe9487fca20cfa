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
#include "runtime/metrics.h"
#include <stddef.h>

typedef struct actor_system actor_system_t;
typedef struct actor actor_t;

typedef struct actor_identity {
    const char *tenant; /* borrowed; copied inside */
    size_t tenant_size;
    uint8_t id[16]; /* card id; all zero for the tenant actor */
} actor_identity_t;

/* First member of every message struct. Messages are allocated by the sender (malloc) and owned by
 * the mailbox once sent. */
typedef struct actor_message actor_message_t;
struct actor_message {
    actor_message_t *next;                     /* of the mailbox */
    void (*destroy)(actor_message_t *message); /* frees it */
};

typedef struct actor_kind {
    const char *name;  /* "card"; label in metrics and tree */
    size_t state_size; /* bytes zeroed for actor_state */
    void (*activate)(actor_t *actor, void *context);
    /* Handles one message, which stays owned by the system and is destroyed afterwards unless the
     * handler takes it with actor_take_message. An error is counted and logged and drops the actor
     * (actor_drop). */
    result_t (*receive)(actor_t *actor, actor_message_t *message, void *context);
    /* Messages of an actor whose activation failed, and those refused at shutdown, end here, one by
     * one. */
    void (*undeliverable)(actor_t *actor, actor_message_t *message, result_t why, void *context);
    bool (*may_passivate)(const actor_t *actor, void *context);
    void (*deactivate)(actor_t *actor, void *context); /* release what state points to */
} actor_kind_t;

MUST_USE result_t actor_system_create(loop_t *loop, metrics_t *metrics, actor_system_t **system);
void actor_system_destroy(actor_system_t **system);
/* Kinds are few and registered at start. `context` is handed to each function of the kind. Returns
 * its number. */
uint32_t actor_system_register(actor_system_t *system, const actor_kind_t *kind, void *context);

/* Takes the message and nulls the pointer on success. BUSY: mailbox full, or no memory for a new
 * actor; the caller still owns the message then. */
MUST_USE result_t actor_system_send(actor_system_t *system, uint32_t kind,
                                    const actor_identity_t *identity, actor_message_t **message);
/* NULL when it is not active (passive, or still activating). */
actor_t *actor_system_find(actor_system_t *system, uint32_t kind, const actor_identity_t *identity);

void *actor_state(actor_t *actor);
const actor_identity_t *actor_identity(const actor_t *actor);
void actor_activated(actor_t *actor);
/* Ends activation: waiting messages go to `undeliverable` with `why`, the actor is forgotten. */
void actor_failed(actor_t *actor, result_t why);
void actor_drop(actor_t *actor);
/* Within receive: the handler keeps the message and destroys it itself. */
actor_message_t *actor_take_message(actor_t *actor);

typedef struct actor_system_numbers {
    uint64_t active; /* actors */
    uint64_t activating;
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
