/* The circuit breaker against a second description of it: every history of up to LENGTH steps is
 * run, and after each step the machine must be where the sentences of DESIGN 4 put it. The model
 * below keeps plain counters and no table. */
#include "actors/domain/circuit_breaker.h"
#include "actors/neighbours/neighbour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH = 7, CALLS_MAX = LENGTH, STEPS = 11, TICK_MS = 60 };

static const circuit_settings_t small = {.failures_to_open = 2,
                                         .successes_to_close = 2,
                                         .slow_ms = 50,
                                         .open_ms_min = 100,
                                         .open_ms_max = 300,
                                         .jitter_permille = 0};

typedef enum step {
    STEP_ASK,
    STEP_GOOD_OLDEST,
    STEP_BAD_OLDEST,
    STEP_SLOW_NEWEST,
    STEP_BAD_NEWEST,
    STEP_ABANDON_NEWEST,
    STEP_TIME,
    STEP_TRIP, /* by whoever makes the calls */
    STEP_HOLD,
    STEP_CLOSE,
    STEP_RESET,
} step_t;

/* "open": nobody calls before the end of the pause; "half": the pause is over. */
typedef struct model {
    enum { MODEL_CLOSED, MODEL_OPEN, MODEL_HALF, MODEL_HELD } state;
    bool has_probe;
    uint32_t bad;
    uint32_t good;
    uint32_t pause_ms;
    int64_t until_ms;
    uint32_t era; /* calls of an earlier one say nothing */
} model_t;

typedef struct call {
    circuit_ticket_t ticket;
    uint32_t era;
} call_t;

typedef struct run {
    circuit_breaker_t breaker;
    model_t model;
    call_t calls[CALLS_MAX];
    size_t call_count;
    int64_t now_ms;
} run_t;

static void model_move(model_t *model, int state)
{
    model->state = state;
    model->era++;
    model->has_probe = false;
    model->bad = 0;
    model->good = 0;
}

static void model_open(model_t *model, uint32_t pause_ms, int64_t now_ms)
{
    model_move(model, MODEL_OPEN);
    model->pause_ms = pause_ms > small.open_ms_max ? small.open_ms_max : pause_ms;
    model->until_ms = now_ms + model->pause_ms;
}

static bool model_ask(model_t *model, int64_t now_ms)
{
    if (model->state == MODEL_CLOSED) {
        return true;
    }
    if (model->state == MODEL_OPEN && now_ms >= model->until_ms) {
        model_move(model, MODEL_HALF);
    }
    if (model->state == MODEL_HALF && !model->has_probe) {
        model->has_probe = true;
        return true;
    }
    return false;
}

static void model_end(model_t *model, uint32_t era, bool is_bad, int64_t now_ms)
{
    if (era != model->era) {
        return;
    }
    if (model->state == MODEL_CLOSED) {
        model->bad = is_bad ? model->bad + 1 : 0;
        if (model->bad == small.failures_to_open) {
            model_open(model, small.open_ms_min, now_ms);
        }
        return;
    }
    model->has_probe = false;
    if (is_bad) {
        model_open(model, 2 * model->pause_ms, now_ms);
        return;
    }
    model->good++;
    if (model->good == small.successes_to_close) {
        model_move(model, MODEL_CLOSED);
    }
}

static void model_trip(model_t *model, int64_t now_ms)
{
    if (model->state == MODEL_CLOSED) {
        model_open(model, small.open_ms_min, now_ms);
    } else if (model->state == MODEL_HALF) {
        model_open(model, 2 * model->pause_ms, now_ms);
    }
}

static call_t take_call(run_t *run, bool newest)
{
    const size_t at = newest ? run->call_count - 1 : 0;
    const call_t call = run->calls[at];
    run->call_count--;
    memmove(&run->calls[at], &run->calls[at + 1], (run->call_count - at) * sizeof(call_t));
    return call;
}

static void end_call(run_t *run, bool newest, bool is_failure, uint32_t duration_ms)
{
    if (run->call_count == 0) {
        return;
    }
    const call_t call = take_call(run, newest);
    const circuit_answer_t answer = {.is_failure = is_failure, .duration_ms = duration_ms};
    circuit_breaker_answer(&run->breaker, &small, call.ticket, &answer, run->now_ms);
    model_end(&run->model, call.era, is_failure || duration_ms >= small.slow_ms, run->now_ms);
}

static void abandon(run_t *run)
{
    if (run->call_count == 0) {
        return;
    }
    const call_t call = take_call(run, true);
    circuit_breaker_abandon(&run->breaker, call.ticket);
    if (call.era == run->model.era) {
        run->model.has_probe = false;
    }
}

static void ask(run_t *run)
{
    circuit_ticket_t ticket = {0};
    const bool is_admitted = circuit_breaker_ask(&run->breaker, run->now_ms, &ticket);
    assert_int_equal(is_admitted, model_ask(&run->model, run->now_ms));
    if (is_admitted) {
        run->calls[run->call_count] = (call_t){.ticket = ticket, .era = run->model.era};
        run->call_count++;
    }
}

static void take_step(run_t *run, step_t step)
{
    switch (step) {
    case STEP_ASK:
        ask(run);
        break;
    case STEP_GOOD_OLDEST:
        end_call(run, false, false, 1);
        break;
    case STEP_BAD_OLDEST:
        end_call(run, false, true, 1);
        break;
    case STEP_SLOW_NEWEST:
        end_call(run, true, false, small.slow_ms);
        break;
    case STEP_BAD_NEWEST:
        end_call(run, true, true, 1);
        break;
    case STEP_ABANDON_NEWEST:
        abandon(run);
        break;
    case STEP_TIME:
        run->now_ms += TICK_MS;
        break;
    case STEP_TRIP:
        circuit_breaker_trip(&run->breaker, &small, 0, run->now_ms);
        model_trip(&run->model, run->now_ms);
        break;
    case STEP_HOLD:
        circuit_breaker_hold(&run->breaker, run->now_ms);
        if (run->model.state != MODEL_HELD) {
            model_move(&run->model, MODEL_HELD);
        }
        break;
    case STEP_CLOSE:
        circuit_breaker_close(&run->breaker, run->now_ms);
        model_move(&run->model, MODEL_CLOSED);
        break;
    case STEP_RESET:
        circuit_breaker_reset(&run->breaker, run->now_ms);
        model_move(&run->model, MODEL_CLOSED);
        break;
    }
}

static void check(const run_t *run)
{
    static const char *const names[] = {"closed", "open", "half_open", "open"};
    const circuit_breaker_t *const breaker = &run->breaker;
    const model_t *const model = &run->model;
    assert_string_equal(circuit_breaker_state_name(breaker), names[model->state]);
    assert_int_equal(circuit_breaker_is_held(breaker), model->state == MODEL_HELD);
    if (model->state == MODEL_CLOSED) {
        assert_int_equal(breaker->failures_in_row, model->bad);
    }
    if (model->state == MODEL_OPEN) {
        assert_int_equal(breaker->probe_at_ms, model->until_ms);
        assert_true(model->until_ms - run->now_ms <= small.open_ms_max);
    }
    assert_true(breaker->refused + breaker->calls <= LENGTH);
    assert_true(breaker->slow <= breaker->failures);
}

static void begin(run_t *run)
{
    *run = (run_t){.now_ms = 1000};
    circuit_breaker_init(&run->breaker, run->now_ms);
}

/* Counts through all histories like an odometer. */
static bool next_history(uint8_t *history)
{
    for (size_t i = 0; i < LENGTH; i++) {
        history[i]++;
        if (history[i] < STEPS) {
            return true;
        }
        history[i] = 0;
    }
    return false;
}

static void breaker_follows_its_description_over_every_history(void **state)
{
    (void)state;
    uint8_t history[LENGTH] = {0};
    uint64_t histories = 0;
    do {
        run_t run;
        begin(&run);
        for (size_t i = 0; i < LENGTH; i++) {
            take_step(&run, (step_t)history[i]);
            check(&run);
        }
        histories++;
    } while (next_history(history));
    print_message("%llu histories of %d steps\n", (unsigned long long)histories, LENGTH);
    assert_true(histories == 19487171);
}

/* --- The numbers of DESIGN 4 --- */

static circuit_ticket_t admitted(circuit_breaker_t *breaker, int64_t now_ms)
{
    circuit_ticket_t ticket = {0};
    assert_true(circuit_breaker_ask(breaker, now_ms, &ticket));
    return ticket;
}

static void answer(circuit_breaker_t *breaker, circuit_ticket_t ticket, bool is_failure,
                   uint32_t jitter, int64_t now_ms)
{
    const circuit_answer_t said = {.is_failure = is_failure, .duration_ms = 3, .jitter = jitter};
    circuit_breaker_answer(breaker, &neighbour_settings_default.circuit, ticket, &said, now_ms);
}

static void open_with_five(circuit_breaker_t *breaker, int64_t now_ms)
{
    for (int i = 0; i < 5; i++) {
        assert_true(circuit_breaker_is_closed(breaker));
        answer(breaker, admitted(breaker, now_ms), true, 0, now_ms);
    }
    assert_int_equal(breaker->state, CIRCUIT_OPEN);
}

static void breaker_opens_after_five_and_closes_after_three_good_probes(void **state)
{
    (void)state;
    circuit_breaker_t breaker;
    circuit_ticket_t ticket;
    circuit_breaker_init(&breaker, 0);
    open_with_five(&breaker, 0);
    assert_false(circuit_breaker_ask(&breaker, 59999, &ticket));
    assert_int_equal(circuit_breaker_retry_ms(&breaker, 59999), 1);
    for (int i = 0; i < 3; i++) {
        ticket = admitted(&breaker, 60000 + i);
        assert_true(ticket.is_probe);
        circuit_ticket_t second;
        assert_false(circuit_breaker_ask(&breaker, 60000 + i, &second));
        answer(&breaker, ticket, false, 0, 60000 + i);
    }
    assert_true(circuit_breaker_is_closed(&breaker));
    assert_int_equal(breaker.opened, 1);
}

static void pause_doubles_to_fifteen_minutes_while_probes_fail(void **state)
{
    (void)state;
    static const int64_t pauses[] = {60000, 120000, 240000, 480000, 900000, 900000};
    circuit_breaker_t breaker;
    circuit_breaker_init(&breaker, 0);
    int64_t now_ms = 5;
    open_with_five(&breaker, now_ms);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        assert_int_equal(breaker.probe_at_ms - now_ms, pauses[i]);
        now_ms = breaker.probe_at_ms;
        answer(&breaker, admitted(&breaker, now_ms), true, 0, now_ms);
    }
}

static void pause_starts_short_again_after_a_recovery(void **state)
{
    (void)state;
    circuit_breaker_t breaker;
    circuit_breaker_init(&breaker, 0);
    open_with_five(&breaker, 0);
    answer(&breaker, admitted(&breaker, 60000), true, 0, 60000);
    for (int i = 0; i < 3; i++) {
        answer(&breaker, admitted(&breaker, 400000), false, 0, 400000);
    }
    open_with_five(&breaker, 400000);
    assert_int_equal(breaker.probe_at_ms, 460000);
}

static void jitter_only_lengthens_and_by_a_tenth_at_most(void **state)
{
    (void)state;
    static const uint32_t jitters[] = {0, 1, UINT32_MAX / 2, UINT32_MAX};
    for (size_t i = 0; i < sizeof jitters / sizeof jitters[0]; i++) {
        circuit_breaker_t breaker;
        circuit_breaker_init(&breaker, 0);
        for (int call = 0; call < 5; call++) {
            answer(&breaker, admitted(&breaker, 0), true, jitters[i], 0);
        }
        assert_in_range(breaker.probe_at_ms, 60000, 66000);
    }
}

static void good_answer_between_failures_keeps_it_closed(void **state)
{
    (void)state;
    circuit_breaker_t breaker;
    circuit_breaker_init(&breaker, 0);
    for (int i = 0; i < 100; i++) {
        answer(&breaker, admitted(&breaker, i), i % 5 != 4, 0, i);
    }
    assert_true(circuit_breaker_is_closed(&breaker));
}

static void answers_of_calls_from_before_the_opening_say_nothing(void **state)
{
    (void)state;
    circuit_breaker_t breaker;
    circuit_breaker_init(&breaker, 0);
    const circuit_ticket_t early = admitted(&breaker, 0);
    open_with_five(&breaker, 0);
    answer(&breaker, early, false, 0, 1);
    assert_int_equal(breaker.state, CIRCUIT_OPEN);
    const circuit_ticket_t probe = admitted(&breaker, 60000);
    answer(&breaker, early, true, 0, 60001);
    assert_int_equal(breaker.state, CIRCUIT_PROBING);
    circuit_breaker_reset(&breaker, 60002);
    answer(&breaker, probe, true, 0, 60003);
    assert_true(circuit_breaker_is_closed(&breaker));
    assert_int_equal(breaker.failures_in_row, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaker_follows_its_description_over_every_history),
        cmocka_unit_test(breaker_opens_after_five_and_closes_after_three_good_probes),
        cmocka_unit_test(pause_doubles_to_fifteen_minutes_while_probes_fail),
        cmocka_unit_test(pause_starts_short_again_after_a_recovery),
        cmocka_unit_test(jitter_only_lengthens_and_by_a_tenth_at_most),
        cmocka_unit_test(good_answer_between_failures_keeps_it_closed),
        cmocka_unit_test(answers_of_calls_from_before_the_opening_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
