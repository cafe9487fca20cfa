/* Looks up what an input means in a state (circuit_breaker.def) and does it. Must not know what is
 * behind the breaker. */
#include "actors/domain/circuit_breaker.h"

#include <assert.h>
#include <stddef.h>

typedef enum circuit_action {
    ACTION_MISSING, /* no line in the table: a bug that the assert below rules out */
    ACTION_ADMIT,
    ACTION_PROBE,
    ACTION_WAIT,
    ACTION_REFUSE,
    ACTION_FORGIVE,
    ACTION_COUNT,
    ACTION_ADVANCE,
    ACTION_REOPEN,
    ACTION_GIVE_BACK,
    ACTION_TRIP,
    ACTION_HOLD,
    ACTION_CLOSE,
    ACTION_RESET,
    ACTION_IGNORE,
} circuit_action_t;

static const uint8_t cells[CIRCUIT_STATE_COUNT][CIRCUIT_INPUT_COUNT] = {
#define CELL(state, input, action, why) [CIRCUIT_##state][CIRCUIT_##input] = ACTION_##action,
#include "actors/domain/circuit_breaker.def"
#undef CELL
};

enum {
    CELL_LINES = 0
#define CELL(state, input, action, why) +1
#include "actors/domain/circuit_breaker.def"
#undef CELL
};
_Static_assert((int)CELL_LINES == (int)CIRCUIT_STATE_COUNT * (int)CIRCUIT_INPUT_COUNT,
               "every state × input needs its line in circuit_breaker.def");

static circuit_action_t action_of(const circuit_breaker_t *breaker, circuit_input_t input)
{
    assert((unsigned)breaker->state < CIRCUIT_STATE_COUNT);
    const circuit_action_t action = (circuit_action_t)cells[breaker->state][input];
    assert(action != ACTION_MISSING);
    return action;
}

void circuit_breaker_init(circuit_breaker_t *breaker, int64_t now_ms)
{
    *breaker = (circuit_breaker_t){.state = CIRCUIT_CLOSED, .changed_at_ms = now_ms};
}

/* --- Changes of state --- */

static void enter(circuit_breaker_t *breaker, circuit_state_t state, int64_t now_ms)
{
    breaker->state = state;
    breaker->changed_at_ms = now_ms;
    breaker->generation++;
    breaker->failures_in_row = 0;
    breaker->successes_in_row = 0;
}

static uint32_t with_jitter(const circuit_settings_t *settings, uint32_t open_ms, uint32_t jitter)
{
    const uint64_t share = (uint64_t)open_ms * settings->jitter_permille / 1000;
    const uint64_t longer = (uint64_t)open_ms + ((share * jitter) >> 32U);
    return longer > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)longer;
}

static void open_for(circuit_breaker_t *breaker, const circuit_settings_t *settings,
                     uint32_t open_ms, uint32_t jitter, int64_t now_ms)
{
    enter(breaker, CIRCUIT_OPEN, now_ms);
    breaker->open_ms = open_ms > settings->open_ms_max ? settings->open_ms_max : open_ms;
    breaker->probe_at_ms = now_ms + with_jitter(settings, breaker->open_ms, jitter);
    breaker->opened++;
}

static uint32_t doubled(uint32_t open_ms)
{
    return open_ms > UINT32_MAX / 2 ? UINT32_MAX : 2 * open_ms;
}

/* --- Asking --- */

static void give_ticket(circuit_breaker_t *breaker, bool is_probe, circuit_ticket_t *ticket)
{
    breaker->calls++;
    *ticket = (circuit_ticket_t){.generation = breaker->generation, .is_probe = is_probe};
}

bool circuit_breaker_ask(circuit_breaker_t *breaker, int64_t now_ms, circuit_ticket_t *ticket)
{
    const circuit_action_t action = action_of(breaker, CIRCUIT_ASK);
    if (action == ACTION_ADMIT) {
        give_ticket(breaker, false, ticket);
        return true;
    }
    if (action == ACTION_WAIT && now_ms >= breaker->probe_at_ms) {
        enter(breaker, CIRCUIT_PROBING, now_ms);
        give_ticket(breaker, true, ticket);
        return true;
    }
    if (action == ACTION_PROBE) {
        breaker->state = CIRCUIT_PROBING; /* half-open all along: no change for those who look */
        give_ticket(breaker, true, ticket);
        return true;
    }
    breaker->refused++;
    return false;
}

/* --- How it went --- */

static void count_failure(circuit_breaker_t *breaker, const circuit_settings_t *settings,
                          uint32_t jitter, int64_t now_ms)
{
    breaker->failures_in_row++;
    if (breaker->failures_in_row >= settings->failures_to_open) {
        open_for(breaker, settings, settings->open_ms_min, jitter, now_ms);
    }
}

static void advance(circuit_breaker_t *breaker, const circuit_settings_t *settings, int64_t now_ms)
{
    breaker->successes_in_row++;
    breaker->state = CIRCUIT_HALF_OPEN;
    if (breaker->successes_in_row >= settings->successes_to_close) {
        enter(breaker, CIRCUIT_CLOSED, now_ms);
    }
}

static bool is_of_this_generation(const circuit_breaker_t *breaker, circuit_ticket_t ticket)
{
    return ticket.generation == breaker->generation;
}

void circuit_breaker_answer(circuit_breaker_t *breaker, const circuit_settings_t *settings,
                            circuit_ticket_t ticket, const circuit_answer_t *answer, int64_t now_ms)
{
    const bool is_slow = settings->slow_ms > 0 && answer->duration_ms >= settings->slow_ms;
    const bool is_failure = answer->is_failure || is_slow;
    breaker->failures += is_failure ? 1U : 0U;
    breaker->slow += is_slow && !answer->is_failure ? 1U : 0U;
    if (!is_of_this_generation(breaker, ticket)) {
        return;
    }
    const circuit_input_t input = is_failure ? CIRCUIT_FAILURE : CIRCUIT_SUCCESS;
    switch (action_of(breaker, input)) {
    case ACTION_FORGIVE:
        breaker->failures_in_row = 0;
        break;
    case ACTION_COUNT:
        count_failure(breaker, settings, answer->jitter, now_ms);
        break;
    case ACTION_ADVANCE:
        advance(breaker, settings, now_ms);
        break;
    case ACTION_REOPEN:
        open_for(breaker, settings, doubled(breaker->open_ms), answer->jitter, now_ms);
        break;
    default:
        break;
    }
}

void circuit_breaker_abandon(circuit_breaker_t *breaker, circuit_ticket_t ticket)
{
    if (is_of_this_generation(breaker, ticket) && ticket.is_probe &&
        action_of(breaker, CIRCUIT_ABANDON) == ACTION_GIVE_BACK) {
        breaker->state = CIRCUIT_HALF_OPEN;
    }
}

void circuit_breaker_trip(circuit_breaker_t *breaker, const circuit_settings_t *settings,
                          uint32_t jitter, int64_t now_ms)
{
    const circuit_action_t action = action_of(breaker, CIRCUIT_TRIP);
    if (action == ACTION_TRIP) {
        open_for(breaker, settings, settings->open_ms_min, jitter, now_ms);
    } else if (action == ACTION_REOPEN) {
        open_for(breaker, settings, doubled(breaker->open_ms), jitter, now_ms);
    }
}

/* --- By hand --- */

static void act(circuit_breaker_t *breaker, circuit_input_t input, int64_t now_ms)
{
    const uint64_t generation = breaker->generation;
    switch (action_of(breaker, input)) {
    case ACTION_HOLD:
        enter(breaker, CIRCUIT_HELD_OPEN, now_ms);
        breaker->opened++;
        break;
    case ACTION_CLOSE:
        enter(breaker, CIRCUIT_CLOSED, now_ms);
        break;
    case ACTION_RESET:
        circuit_breaker_init(breaker, now_ms);
        breaker->generation = generation + 1; /* answers that are on their way do not count */
        break;
    default:
        break;
    }
}

void circuit_breaker_hold(circuit_breaker_t *breaker, int64_t now_ms)
{
    act(breaker, CIRCUIT_HOLD, now_ms);
}

void circuit_breaker_close(circuit_breaker_t *breaker, int64_t now_ms)
{
    act(breaker, CIRCUIT_CLOSE, now_ms);
}

void circuit_breaker_reset(circuit_breaker_t *breaker, int64_t now_ms)
{
    act(breaker, CIRCUIT_RESET, now_ms);
}

/* --- For those who look --- */

uint32_t circuit_breaker_retry_ms(const circuit_breaker_t *breaker, int64_t now_ms)
{
    if (breaker->state == CIRCUIT_PROBING || breaker->state == CIRCUIT_HELD_OPEN) {
        return UINT32_MAX;
    }
    if (breaker->state != CIRCUIT_OPEN || now_ms >= breaker->probe_at_ms) {
        return 0;
    }
    const int64_t wait_ms = breaker->probe_at_ms - now_ms;
    return wait_ms >= UINT32_MAX ? UINT32_MAX - 1 : (uint32_t)wait_ms;
}

const char *circuit_breaker_state_name(const circuit_breaker_t *breaker)
{
    switch (breaker->state) {
    case CIRCUIT_CLOSED:
        return "closed";
    case CIRCUIT_OPEN:
    case CIRCUIT_HELD_OPEN:
        return "open";
    default:
        return "half_open";
    }
}
