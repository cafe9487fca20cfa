/* The actor machine of one shard: actors found by identity or by reference, a bounded mailbox with
 * two lanes each, one message at a time, never re-entrant. Single-threaded, on the role's loop.
 *
 * Life of an actor with an identity:
 *   actor_system_send to an unknown identity → memory taken, kind->activate(actor) → the kind loads
 * its state and calls actor_activated (or actor_failed) once, now or later → kind->receive for each
 * message, LIMIT_ACTOR_TURN_MESSAGES at a time → when the budget of bytes (or actors) is reached
 * the least recently used idle actor that kind->may_passivate allows gets kind->deactivate and its
 * memory goes. actor_drop: state that cannot be trusted (failed commit): deactivated at once after
 * the running handler; waiting messages stay and activate it anew.
 *
 * Life of an anonymous actor: actor_system_spawn → kind->activate (which has nothing to wait for)
 * → kind->receive … → actor_stop, or a failure. It is known by its reference only.
 *
 * A handler that fails concerns its actor alone (or its group, runtime/actor_group.h): the kind's
 * directive says what happens. Tenants take turns (runtime/scheduler.h). What actors may ask for
 * besides sending (questions, timers, watching) is in runtime/actor_notice.h. */
#ifndef RUNTIME_ACTOR_SYSTEM_H
#define RUNTIME_ACTOR_SYSTEM_H

#include "runtime/loop.h"
#include "runtime/mailbox.h" /* actor_message_t */
#include "runtime/metrics.h"
#include <stddef.h>

typedef struct actor_system actor_system_t;
typedef struct actor actor_t;
typedef struct actor_group actor_group_t;

typedef struct actor_identity {
    const char *tenant; /* borrowed; copied inside */
    size_t tenant_size;
    uint8_t id[16]; /* card id; all zero for the tenant actor */
} actor_identity_t;

/* What happens to an actor whose handler failed. RESTART: its state is dropped and built anew, at
 * once the first time, then later and later, until it has failed too often: then ESCALATE. RESUME:
 * it goes on with the state it has. STOP: it ends. ESCALATE: its group fails; without one: STOP. */
typedef enum actor_directive {
    ACTOR_DIRECTIVE_RESTART,
    ACTOR_DIRECTIVE_RESUME,
    ACTOR_DIRECTIVE_STOP,
    ACTOR_DIRECTIVE_ESCALATE,
} actor_directive_t;

/* Names a message to those who look from outside: log lines of handlers that fail or take long. */
typedef struct actor_description {
    const char *command;  /* a literal */
    const char *trace_id; /* borrowed while the handler runs; copied before */
    size_t trace_id_size; /* at most ACTOR_TRACE_ID_SIZE count */
} actor_description_t;
enum { ACTOR_TRACE_ID_SIZE = 32 };

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
    /* NULL: always. An actor that would rather prepare its end (store what makes coming back cheap)
     * begins to, says no and is asked again later; not when the budget is used up (`is_pressing`):
     * then no means that it cannot go. */
    bool (*may_passivate)(actor_t *actor, bool is_pressing, void *context);
    /* Releases what the state points to. Also called for an actor that is still activating when the
     * system is destroyed (its state is then as far as the kind had filled it); not after
     * actor_failed. Must not call back into the actor. */
    void (*deactivate)(actor_t *actor, void *context);

    /* What follows may be left out (zero). */
    bool
        is_anonymous; /* made by actor_system_spawn; activate, undeliverable, deactivate optional */
    uint16_t mailbox_max;       /* messages; 0: LIMIT_MAILBOX_MESSAGES */
    uint32_t arena_size_max;    /* of actor_allocate; 0: LIMIT_ACTOR_ARENA_SIZE */
    uint32_t handler_budget_us; /* 0: LIMIT_HANDLER_BUDGET_US */
    /* NULL: RESTART, of anonymous actors without a group STOP. */
    actor_directive_t (*directive)(actor_t *actor, result_t why, void *context);
    void (*describe)(const actor_message_t *message, actor_description_t *description,
                     void *context);
} actor_kind_t;

typedef struct actor_system_options {
    uint64_t actors_max; /* 0: LIMIT_ACTORS_ACTIVE */
    uint64_t bytes_max;  /* of active actors with their arenas and what they report; idle ones go
                            from 15/16 of it on; 0: LIMIT_ACTOR_BYTES */
    uint32_t activating_max; /* of one kind, at once; 0: LIMIT_LOADS_IN_FLIGHT */
    uint64_t turn_us_max;    /* 0: LIMIT_SCHEDULER_TURN_US */
} actor_system_options_t;

MUST_USE result_t actor_system_create(loop_t *loop, metrics_t *metrics, actor_system_t **system);
/* No activation may end afterwards: what loads for an actor must have stopped before. */
void actor_system_destroy(actor_system_t **system);
/* For small machines, large ones, and tests. Before the first actor. */
void actor_system_configure(actor_system_t *system, const actor_system_options_t *options);
/* Kinds are few and registered at start. `context` is handed to each function of the kind. Returns
 * its number. */
uint32_t actor_system_register(actor_system_t *system, const actor_kind_t *kind, void *context);

/* Takes the message and nulls the pointer on success. BUSY: mailbox full, or no room or memory for
 * a new actor; DRAINING: the system is being destroyed. The caller still owns the message then. */
MUST_USE result_t actor_system_send(actor_system_t *system, uint32_t kind,
                                    const actor_identity_t *identity, actor_message_t **message);
/* NULL when it is not active (passive, or still activating). */
actor_t *actor_system_find(actor_system_t *system, uint32_t kind, const actor_identity_t *identity);

/* --- Anonymous actors --- */

typedef struct actor_spawn {
    const char *tenant; /* whose turns it uses; copied; size 0: of nobody */
    size_t tenant_size;
    const void *argument; /* copied to the beginning of its state, again at each restart */
    size_t argument_size; /* at most LIMIT_SPAWN_ARGUMENT_SIZE and the size of the state */
    actor_group_t *group; /* NULL: none */
} actor_spawn_t;

/* BUSY: no room for it; NO_MEMORY; DRAINING. `ref` may be NULL. */
MUST_USE result_t actor_system_spawn(actor_system_t *system, uint32_t kind,
                                     const actor_spawn_t *spawn, actor_ref_t *ref);
/* The same from a handler, for the tenant of that actor, without a group. */
MUST_USE result_t actor_spawn(actor_t *self, uint32_t kind, const void *argument,
                              size_t argument_size, actor_ref_t *ref);
/* Ends an actor for good: when its handler returns, else at once. What waits in its mailbox goes to
 * `undeliverable`, who watches it is told. */
void actor_stop(actor_t *actor);

/* --- Messages --- */

/* From the pool, with room for `payload_size` bytes behind the header, which are not cleared. NULL:
 * no memory. */
actor_message_t *actor_message_create(actor_system_t *system, uint32_t type, size_t payload_size);
void actor_message_destroy(actor_system_t *system, actor_message_t **message);
static inline void *actor_message_payload(actor_message_t *message)
{
    return message + 1;
}

/* Takes the message and nulls the pointer on success. BUSY: its mailbox is full (actor_notice.h
 * tells when there is room); MISSING: it ended; DRAINING. The caller still owns the message then.
 */
MUST_USE result_t actor_system_tell(actor_system_t *system, actor_ref_t to,
                                    actor_message_t **message);
/* The same from a handler: the receiver sees who sent it. */
MUST_USE result_t actor_tell(actor_t *self, actor_ref_t to, actor_message_t **message);

/* --- Within handlers --- */

actor_system_t *actor_system_of(const actor_t *actor);
actor_ref_t actor_ref(const actor_t *actor);
/* NULL when it ended. */
actor_t *actor_system_get(actor_system_t *system, actor_ref_t ref);
/* Memory that goes with the state of the actor and is never freed before. NULL: the bound of its
 * kind or of the system is reached; its handler then fails with NO_MEMORY whatever it returns. */
void *actor_allocate(actor_t *actor, size_t size);
/* What its state holds elsewhere, in all, for the budget of bytes. */
void actor_report_bytes(actor_t *actor, uint32_t bytes);

void *actor_state(actor_t *actor);
/* The other way round, for kinds with identities: a state need not keep a pointer to its actor. */
actor_t *actor_of_state(void *state);
/* Its tenant is borrowed while the actor exists. */
actor_identity_t actor_identity(const actor_t *actor);
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
    uint64_t failures;          /* handlers that failed */
    uint64_t restarts;          /* because of them */
    uint64_t slow_handlers;     /* over budget */
    uint64_t mailbox_depth_max; /* right now */
    uint64_t handler_us_p50;    /* of one call of 64, to the next power of two */
    uint64_t handler_us_p99;
    uint64_t handler_us_max; /* of all calls */
} actor_system_numbers_t;
/* `kind` counts from 0; walks nothing unless asked. */
void actor_system_numbers(const actor_system_t *system, uint32_t kind,
                          actor_system_numbers_t *numbers);
const char *actor_system_kind_name(const actor_system_t *system,
                                   uint32_t kind); /* NULL past the last */
/* Messages that wait for this one. */
uint32_t actor_mailbox_depth(const actor_t *actor);
/* Of active actors: headers, states, arenas, and what they report. */
uint64_t actor_system_bytes(const actor_system_t *system);
uint64_t actor_system_bytes_max(const actor_system_t *system);

#endif
