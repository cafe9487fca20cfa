/* Insides of neighbours, for the set of all (neighbour.c) and the two kinds of actors:
 * breaker_actor.c and adapter_actor.c. */
#ifndef ACTORS_NEIGHBOUR_INTERNAL_H
#define ACTORS_NEIGHBOUR_INTERNAL_H

#include "actors/neighbours/neighbour.h"
#include "runtime/actor_group.h"
#include "runtime/actor_notice.h"

/* Types of messages. Each is a call but for COMMAND. */
typedef enum neighbour_message {
    NEIGHBOUR_MESSAGE_CALL = 1, /* caller → breaker */
    NEIGHBOUR_MESSAGE_COMMAND,  /* operator → breaker */
    NEIGHBOUR_MESSAGE_ATTEMPT,  /* breaker → adapter: make it */
    NEIGHBOUR_MESSAGE_ANSWERED, /* port → adapter: it ended */
    NEIGHBOUR_MESSAGE_ENDED,    /* adapter → breaker: how it went */
} neighbour_message_t;

/* State of a breaker actor. */
struct neighbour {
    neighbours_t *owner;
    neighbour_t *next; /* of all that are active */
    neighbour_t *previous;
    neighbour_adapter_t adapter;
    uint64_t life; /* what an earlier state of this actor admitted says nothing */
    circuit_breaker_t breaker;
    neighbour_call_t *first; /* that wait, in order; repeats at the end */
    neighbour_call_t *last;
    uint32_t waiting;
    uint32_t in_flight;   /* with the adapter */
    actor_group_t *group; /* of the adapter alone; NULL: there is none yet, or none any more */
    actor_ref_t worker;   /* the adapter */
    uint64_t timer;       /* for the first repeat that is due; 0: none */
    uint64_t timer_at_ms;
    uint64_t answered;
    uint64_t failed;
    uint64_t not_asked;
    uint64_t last_error_ms;
    char last_error[NEIGHBOUR_FAILURE_SIZE];
};

struct neighbours {
    loop_t *loop;
    neighbours_ports_t ports;
    neighbour_settings_t settings;
    actor_system_t *system;
    uint32_t breaker_kind;
    uint32_t adapter_kind;
    neighbour_t *first; /* breakers that are active */
    uint64_t lives;     /* of breakers so far */
    uint32_t in_flight;
    bool is_ending;
    metric_t *ends[NEIGHBOUR_ADAPTERS][NEIGHBOUR_ENDS];
    metric_t *repeats;
    metric_t *changes[NEIGHBOUR_ADAPTERS];
    metric_t *open[NEIGHBOUR_ADAPTERS];
    metric_t *seconds[NEIGHBOUR_ADAPTERS];
};

/* What an adapter actor begins with. */
typedef struct adapter_argument {
    neighbours_t *neighbours;
} adapter_argument_t;

extern const actor_kind_t breaker_actor_kind; /* context: the neighbours */
extern const actor_kind_t adapter_actor_kind; /* the same */

/* Counts how it ended and tells the caller, to whom the call belongs from then on. */
void neighbour_call_end(neighbour_call_t *call, neighbour_end_t end);
void neighbour_call_set_failure(neighbour_call_t *call, const char *failure);

static inline neighbour_call_t *neighbour_call_of(actor_message_t *message)
{
    return (neighbour_call_t *)(void *)message; /* its first member */
}

static inline int64_t neighbours_now_ms(const neighbours_t *neighbours)
{
    return (int64_t)(neighbours->ports.monotonic_us() / 1000);
}

#endif
