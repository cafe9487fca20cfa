/* How neighbours are called. Each (tenant, adapter) has a circuit-breaker actor: it admits calls,
 * keeps the queue, the bound of calls at a time and the repeats (a bulkhead, so that one neighbour
 * that hangs takes nothing from the others), and it supervises the adapter actor that makes them
 * (breaker_actor.c, adapter_actor.c; docs/decisions/0018). A fault in one of these actors ends the
 * calls that it has and restarts that actor alone.
 *
 * A call is itself the message that goes from one actor to the next, so that it always has exactly
 * one owner: caller → breaker → adapter → breaker → caller. Only what is safe to repeat is
 * repeated, after a pause with full jitter, within the call's deadline. Knows nothing of what is
 * asked; everything runs on the loop's thread. Breakers begin closed with the role: five failures
 * teach them the same within seconds. */
#ifndef ACTORS_NEIGHBOUR_H
#define ACTORS_NEIGHBOUR_H

#include "actors/domain/circuit_breaker.h"
#include "messages/messages.h"
#include "runtime/actor_system.h"
#include "runtime/limits.h"

typedef enum neighbour_adapter {
    NEIGHBOUR_MEMBERSHIP,
    NEIGHBOUR_WALLET,       /* no vendor is built in yet: vendor_desk.h */
    NEIGHBOUR_NOTIFICATION, /* the same */
    NEIGHBOUR_GEOGRAPHY,    /* the same */
    NEIGHBOUR_ADAPTERS,
} neighbour_adapter_t;

typedef struct neighbour_settings {
    circuit_settings_t circuit;
    uint32_t concurrency; /* calls at a time of one tenant */
    uint32_t queue;       /* that wait beyond them; then `busy` */
    uint32_t deadline_ms; /* of one attempt */
    uint32_t attempts;    /* of a call that is safe to repeat */
    uint32_t pause_ms;    /* before the second attempt at most; doubles */
} neighbour_settings_t;

extern const neighbour_settings_t neighbour_settings_default;
/* "failures=5 successes=3 slow_ms=1000 open_ms=60000 open_ms_max=900000 jitter_permille=100
 * concurrency=8 queue=256 deadline_ms=2000 attempts=3 pause_ms=200": those that are named change.
 * False: `error` says which one cannot be used. */
bool neighbour_settings_parse(const char *text, neighbour_settings_t *settings, char *error,
                              size_t error_size);

typedef enum neighbour_end {
    NEIGHBOUR_ANSWERED,
    NEIGHBOUR_FAILED,   /* the last attempt failed, or an actor that had the call did */
    NEIGHBOUR_OPEN,     /* not asked: its breaker is open */
    NEIGHBOUR_BUSY,     /* not asked: too many wait */
    NEIGHBOUR_TOO_LATE, /* not asked in time */
    NEIGHBOUR_DRAINING,
    NEIGHBOUR_ENDS,
} neighbour_end_t;

typedef struct neighbour neighbour_t; /* what a breaker shows of itself */
typedef struct neighbours neighbours_t;
typedef struct neighbour_call neighbour_call_t;

enum { NEIGHBOUR_FAILURE_SIZE = 96 }; /* of a text that says why */

/* One call, part of a record of the caller, who fills `start` to `deadline_ms` and leaves it alone
 * until `done`. */
struct neighbour_call {
    actor_message_t message; /* first */
    /* Makes an attempt, which ends later, with neighbour_attempt_end. An error: it could not be
     * made, and counts as a failed one; INTERNAL: the adapter is broken and is to be restarted;
     * BUSY: there was no place for it, which says nothing about the neighbour. */
    result_t (*start)(neighbour_call_t *call, uint32_t deadline_ms);
    /* Gives the running attempt up: neighbour_attempt_end must not come any more. */
    void (*cancel)(neighbour_call_t *call);
    void (*done)(neighbour_call_t *call, neighbour_end_t end); /* exactly once */
    bool is_repeatable;
    uint64_t deadline_ms; /* of loop_now_ms: of the whole */

    neighbours_t *neighbours; /* from here on: of the actors */
    neighbour_adapter_t adapter;
    actor_ref_t breaker; /* who gave it to the adapter */
    actor_ref_t worker;  /* the adapter that makes the attempt */
    neighbour_call_t *next;
    neighbour_call_t *previous;
    uint64_t life; /* of the breaker's state that admitted it */
    circuit_ticket_t ticket;
    uint32_t attempts;
    uint64_t started_us;
    uint64_t took_us;
    uint64_t not_before_ms; /* of a repeat */
    bool is_under_way;      /* in the adapter's list */
    bool was_not_made;      /* the last attempt: there was no place or no time for it */
    bool has_failed;        /* the last attempt; why: */
    char failure[NEIGHBOUR_FAILURE_SIZE];
};

typedef struct neighbours_ports {
    void *context;
    uint32_t (*random)(uint32_t below); /* below UINT32_MAX gives all but one value */
    uint64_t (*monotonic_us)(void);
    /* A breaker changed; NULL: nobody cares. `reason` is for people. */
    void (*changed)(void *context, const neighbour_t *neighbour, const char *reason);
} neighbours_ports_t;

/* `ports` and `settings` are copied; their contexts outlive it. NO_MEMORY. */
MUST_USE result_t neighbours_create(loop_t *loop, metrics_t *metrics,
                                    const neighbours_ports_t *ports,
                                    const neighbour_settings_t *settings,
                                    neighbours_t **neighbours);
/* Ends everything with DRAINING. */
void neighbours_destroy(neighbours_t **neighbours);

/* Hands the call over. `done` comes within the call only with BUSY and DRAINING, when nobody could
 * take it. */
void neighbour_call_begin(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter,
                          neighbour_call_t *call);
/* Of an attempt that `start` began, never within `start`. `failure`: NULL, or why it failed, for
 * people (copied). */
void neighbour_attempt_end(neighbour_call_t *call, const char *failure);

/* --- By hand --- */

typedef enum neighbour_hand {
    NEIGHBOUR_HOLD,
    NEIGHBOUR_CLOSE,
    NEIGHBOUR_RESET,
    NEIGHBOUR_FORGET, /* as RESET, and by nobody's hand: its tenant is gone */
} neighbour_hand_t;
typedef struct neighbour_command neighbour_command_t;
/* Part of a record of the caller, who leaves it alone until `done`. */
struct neighbour_command {
    actor_message_t message; /* first */
    neighbour_hand_t hand;
    /* Exactly once. BUSY: there are too many breakers, or too much waits; DRAINING; INTERNAL. */
    void (*done)(neighbour_command_t *command, result_t result);
};
/* Makes the breaker when there is none, so that a neighbour can be held open before its first call.
 * `done` comes within the call only with an error. */
void neighbour_command_begin(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter,
                             neighbour_command_t *command);

/* --- For those who look: what a breaker shows after the last message it handled --- */

/* It has a breaker now: a call would not be BUSY for want of one. */
bool neighbour_is_known(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter);
/* One that was never called counts as closed. */
bool neighbour_is_closed(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter);
/* 0: a call would be admitted now. */
uint32_t neighbour_retry_ms(neighbours_t *neighbours, text_t tenant, neighbour_adapter_t adapter);

/* "membership", "wallet", "notification", "geography"; parse is its reverse, false for others. */
const char *neighbour_adapter_name(neighbour_adapter_t adapter);
bool neighbour_adapter_parse(const char *name, neighbour_adapter_t *adapter);
/* Of one that is being visited, or that changed; borrowed for that call. */
text_t neighbour_tenant(const neighbour_t *neighbour);
neighbour_adapter_t neighbour_adapter_of(const neighbour_t *neighbour);
const circuit_breaker_t *neighbour_breaker(const neighbour_t *neighbour);
/* Copies of what a line of `breaker list` says. */
typedef struct neighbour_numbers {
    uint32_t in_flight;
    uint32_t waiting;
    uint64_t answered;
    uint64_t failed;
    uint64_t not_asked;
    uint32_t retry_ms;
    uint64_t changed_ms_ago;
    const char *last_error; /* "" when there was none */
    uint64_t last_error_ms_ago;
} neighbour_numbers_t;
void neighbour_numbers(const neighbour_t *neighbour, neighbour_numbers_t *numbers);
/* In no order; `visit` must not change anything. */
void neighbours_visit(const neighbours_t *neighbours,
                      void (*visit)(void *context, const neighbour_t *neighbour), void *context);
/* Attempts under way, of all breakers. */
uint32_t neighbours_in_flight(const neighbours_t *neighbours);
/* Its actors: the kinds "breaker" and "adapter", for those who count them. */
const actor_system_t *neighbours_actors(const neighbours_t *neighbours);

#endif
