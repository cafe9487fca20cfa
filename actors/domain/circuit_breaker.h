/* The rules of a circuit breaker (DESIGN 4), pure: who calls a neighbour asks first, and says
 * afterwards how it went. Time and jitter are handed in; it reads no clock, draws no number and
 * calls nobody. State × input is the table circuit_breaker.def. One breaker per (tenant, adapter).
 */
#ifndef ACTORS_DOMAIN_CIRCUIT_BREAKER_H
#define ACTORS_DOMAIN_CIRCUIT_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum circuit_state {
    CIRCUIT_CLOSED,    /* calls go through, failures in a row are counted */
    CIRCUIT_OPEN,      /* no call goes through before `probe_at_ms` */
    CIRCUIT_HALF_OPEN, /* the next call is a probe */
    CIRCUIT_PROBING,   /* the probe is on its way: nobody else calls */
    CIRCUIT_HELD_OPEN, /* by hand: until closed or reset by hand */
    CIRCUIT_STATE_COUNT,
} circuit_state_t;

typedef enum circuit_input {
    CIRCUIT_ASK,
    CIRCUIT_SUCCESS,
    CIRCUIT_FAILURE,
    CIRCUIT_ABANDON, /* the call ended without saying anything about the neighbour */
    CIRCUIT_TRIP,    /* whoever makes the calls cannot any more */
    CIRCUIT_HOLD,    /* by hand: open and stay open */
    CIRCUIT_CLOSE,   /* by hand: closed, what happened stays in the counters */
    CIRCUIT_RESET,   /* by hand: as if it were new */
    CIRCUIT_INPUT_COUNT,
} circuit_input_t;

/* All of them settings; neighbour_settings_default has the numbers of DESIGN 4. */
typedef struct circuit_settings {
    uint32_t failures_to_open;   /* in a row; at least 1 */
    uint32_t successes_to_close; /* probes in a row; at least 1 */
    uint32_t slow_ms;            /* an answer that took this long is a failure; 0: never */
    uint32_t open_ms_min;        /* before the first probe */
    uint32_t open_ms_max;        /* it doubles up to here with each probe that fails */
    uint32_t jitter_permille;    /* an open time becomes longer by up to this share of it */
} circuit_settings_t;

typedef struct circuit_breaker {
    circuit_state_t state;
    uint32_t failures_in_row;  /* closed */
    uint32_t successes_in_row; /* of probes */
    uint32_t open_ms;          /* without jitter, of this opening; 0: it never opened */
    int64_t probe_at_ms;       /* open */
    int64_t changed_at_ms;     /* entered the state as others see it (closed, open, half-open) */
    uint64_t generation;       /* rises with each change: answers to older calls do not count */
    uint64_t calls;            /* counters since it was made or reset */
    uint64_t failures;
    uint64_t slow;
    uint64_t refused;
    uint64_t opened;
} circuit_breaker_t;

/* What a caller keeps of its permission until it says how the call went. */
typedef struct circuit_ticket {
    uint64_t generation;
    bool is_probe;
} circuit_ticket_t;

typedef struct circuit_answer {
    bool is_failure;      /* timeouts, refusals of the connection, 5xx, answers without sense */
    uint32_t duration_ms; /* counted against slow_ms */
    uint32_t jitter;      /* evenly distributed over all 32 bits */
} circuit_answer_t;

/* Closed, all counters 0. `now_ms`, here and below: monotonic, and never less than before. */
void circuit_breaker_init(circuit_breaker_t *breaker, int64_t now_ms);

/* True: call now, and end the call with exactly one of answer and abandon. False: do not;
 * circuit_breaker_retry_ms says when to ask again. */
bool circuit_breaker_ask(circuit_breaker_t *breaker, int64_t now_ms, circuit_ticket_t *ticket);
/* How the call of `ticket` went. One that was admitted before the last change of state is counted
 * and changes nothing else. */
void circuit_breaker_answer(circuit_breaker_t *breaker, const circuit_settings_t *settings,
                            circuit_ticket_t ticket, const circuit_answer_t *answer,
                            int64_t now_ms);
/* The call was given up for a reason of the caller's own: a probe leaves its place to another. */
void circuit_breaker_abandon(circuit_breaker_t *breaker, circuit_ticket_t ticket);

/* Whoever makes the calls has failed for good, whatever the neighbour does: open, as after too many
 * failures or a probe that failed. `jitter` as in circuit_answer_t. */
void circuit_breaker_trip(circuit_breaker_t *breaker, const circuit_settings_t *settings,
                          uint32_t jitter, int64_t now_ms);

/* By hand: CIRCUIT_HOLD, CIRCUIT_CLOSE, CIRCUIT_RESET. */
void circuit_breaker_hold(circuit_breaker_t *breaker, int64_t now_ms);
void circuit_breaker_close(circuit_breaker_t *breaker, int64_t now_ms);
void circuit_breaker_reset(circuit_breaker_t *breaker, int64_t now_ms);

/* 0: a call may be admitted now; UINT32_MAX: only a hand or the end of a probe changes anything. */
uint32_t circuit_breaker_retry_ms(const circuit_breaker_t *breaker, int64_t now_ms);
/* "closed", "open", "half_open": probing is half-open to those who look, held open is open. */
const char *circuit_breaker_state_name(const circuit_breaker_t *breaker);
static inline bool circuit_breaker_is_closed(const circuit_breaker_t *breaker)
{
    return breaker->state == CIRCUIT_CLOSED;
}
static inline bool circuit_breaker_is_held(const circuit_breaker_t *breaker)
{
    return breaker->state == CIRCUIT_HELD_OPEN;
}

#endif
