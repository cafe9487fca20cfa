/* Bulkheads, repeats, breakers of neighbours, and what of them restarts when something is broken;
 * with a neighbour that does what the test says. The loop and its time are real; the breaker's time
 * is the test's. */
#include "actors/neighbours/neighbour.h"
#include "runtime/clock.h"
#include "tests/support/actors_settle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { CALLS = 64, WAIT_MS = 30000 };

typedef struct probe probe_t;
struct probe {
    neighbour_call_t call; /* first */
    result_t says;         /* what `start` returns */
    uint32_t says_times;   /* OK afterwards; 0: always */
    probe_t *answers;      /* another one, during its `start`; NULL: none */
    uint32_t started;
    uint32_t cancelled;
    uint32_t ended;
    neighbour_end_t end;
    bool is_running;
};

typedef struct fixture {
    loop_t *loop;
    metrics_t *metrics;
    neighbours_t *neighbours;
    loop_timer_t *tick;
    probe_t probes[CALLS];
} fixture_t;

static uint64_t now_us;
static uint32_t changes;
static char last_state[16];

static uint64_t test_now_us(void)
{
    return now_us;
}

static uint32_t no_random(uint32_t below)
{
    (void)below;
    return 0;
}

static void on_change(void *context, const neighbour_t *neighbour, const char *reason)
{
    (void)context;
    assert_non_null(reason);
    changes++;
    (void)snprintf(last_state, sizeof last_state, "%s",
                   circuit_breaker_state_name(neighbour_breaker(neighbour)));
}

static void tick(void *context)
{
    (void)context;
}

static int start(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    now_us = 1000000;
    changes = 0;
    last_state[0] = '\0';
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("test");
    fixture->tick = loop_timer_create(fixture->loop, tick, NULL);
    loop_timer_start(fixture->tick, 1, 1);
    neighbour_settings_t settings;
    char error[64];
    assert_true(neighbour_settings_parse("concurrency=2 queue=3 attempts=3 pause_ms=4 failures=4 "
                                         "open_ms=1000 jitter_permille=0",
                                         &settings, error, sizeof error));
    const neighbours_ports_t ports = {
        .random = no_random, .monotonic_us = test_now_us, .changed = on_change};
    assert_int_equal(
        neighbours_create(fixture->loop, fixture->metrics, &ports, &settings, &fixture->neighbours),
        RESULT_OK);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    fixture_t *fixture = *state;
    neighbours_destroy(&fixture->neighbours);
    loop_timer_destroy(&fixture->tick);
    loop_destroy(&fixture->loop);
    metrics_destroy(&fixture->metrics);
    free(fixture);
    return 0;
}

static result_t probe_start(neighbour_call_t *call, uint32_t deadline_ms)
{
    probe_t *probe = (probe_t *)call;
    assert_true(deadline_ms > 0);
    probe->started++;
    const bool is_well = probe->says_times != 0 && probe->started > probe->says_times;
    const result_t says = is_well ? RESULT_OK : probe->says;
    probe->is_running = says == RESULT_OK;
    if (probe->answers != NULL) {
        probe->answers->is_running = false;
        neighbour_attempt_end(&probe->answers->call, NULL);
    }
    return says;
}

static void probe_cancel(neighbour_call_t *call)
{
    probe_t *probe = (probe_t *)call;
    assert_true(probe->is_running);
    probe->is_running = false;
    probe->cancelled++;
}

static void probe_done(neighbour_call_t *call, neighbour_end_t end)
{
    probe_t *probe = (probe_t *)call;
    probe->ended++;
    probe->end = end;
}

static void settle(fixture_t *fixture)
{
    actors_settle(fixture->loop, neighbours_actors(fixture->neighbours));
}

static probe_t *begin_saying(fixture_t *fixture, size_t number, const char *tenant,
                             bool is_repeatable, result_t says)
{
    probe_t *probe = &fixture->probes[number];
    *probe = (probe_t){.call = {.start = probe_start,
                                .cancel = probe_cancel,
                                .done = probe_done,
                                .is_repeatable = is_repeatable,
                                .deadline_ms = loop_now_ms(fixture->loop) + 60000},
                       .says = says};
    neighbour_call_begin(fixture->neighbours, text_from_c(tenant), NEIGHBOUR_MEMBERSHIP,
                         &probe->call);
    settle(fixture);
    return probe;
}

static probe_t *begin(fixture_t *fixture, size_t number, const char *tenant, bool is_repeatable)
{
    return begin_saying(fixture, number, tenant, is_repeatable, RESULT_OK);
}

static void end(fixture_t *fixture, probe_t *probe, const char *failure)
{
    assert_true(probe->is_running);
    probe->is_running = false;
    neighbour_attempt_end(&probe->call, failure);
    settle(fixture);
}

static actor_system_numbers_t numbers_of(const fixture_t *fixture, const char *kind)
{
    const actor_system_t *const system = neighbours_actors(fixture->neighbours);
    actor_system_numbers_t numbers = {0};
    for (uint32_t i = 0; actor_system_kind_name(system, i) != NULL; i++) {
        if (strcmp(actor_system_kind_name(system, i), kind) == 0) {
            actor_system_numbers(system, i, &numbers);
        }
    }
    return numbers;
}

static void wait_for_start(const fixture_t *fixture, const probe_t *probe, uint32_t started)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (probe->started < started) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
    }
}

static void calls_of_one_tenant_wait_for_each_other_and_no_other(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < 5; i++) {
        (void)begin(fixture, i, "acme", false);
    }
    probe_t *sixth = begin(fixture, 5, "acme", false);
    assert_int_equal(fixture->probes[1].started, 1);
    assert_int_equal(fixture->probes[2].started, 0);
    assert_int_equal(sixth->end, NEIGHBOUR_BUSY);
    const probe_t *other = begin(fixture, 6, "other", false);
    assert_int_equal(other->started, 1);
    end(fixture, &fixture->probes[0], NULL);
    assert_int_equal(fixture->probes[0].end, NEIGHBOUR_ANSWERED);
    assert_int_equal(fixture->probes[2].started, 1);
    assert_int_equal(fixture->probes[3].started, 0);
}

static void what_is_safe_to_repeat_is_repeated(void **state)
{
    fixture_t *fixture = *state;
    probe_t *probe = begin(fixture, 0, "acme", true);
    end(fixture, probe, "status 500");
    assert_int_equal(probe->ended, 0);
    wait_for_start(fixture, probe, 2);
    end(fixture, probe, "status 500");
    wait_for_start(fixture, probe, 3);
    end(fixture, probe, NULL);
    assert_int_equal(probe->end, NEIGHBOUR_ANSWERED);
    assert_int_equal(probe->ended, 1);
}

static void other_calls_end_with_their_first_failure(void **state)
{
    fixture_t *fixture = *state;
    probe_t *probe = begin(fixture, 0, "acme", false);
    end(fixture, probe, "broken");
    assert_int_equal(probe->end, NEIGHBOUR_FAILED);
    assert_int_equal(probe->started, 1);
}

static void open_breaker(fixture_t *fixture)
{
    for (size_t i = 0; i < 4; i++) {
        end(fixture, begin(fixture, i, "acme", false), "broken");
    }
    assert_string_equal(last_state, "open");
}

static void open_breaker_refuses_at_once_and_closes_by_itself(void **state)
{
    fixture_t *fixture = *state;
    open_breaker(fixture);
    const probe_t *refused = begin(fixture, 4, "acme", true);
    assert_int_equal(refused->end, NEIGHBOUR_OPEN);
    assert_int_equal(refused->started, 0);
    assert_int_equal(begin(fixture, 5, "other", true)->started, 1);
    now_us += 1000000;
    for (size_t i = 6; i < 9; i++) {
        assert_false(
            neighbour_is_closed(fixture->neighbours, text_from_c("acme"), NEIGHBOUR_MEMBERSHIP));
        probe_t *probe = begin(fixture, i, "acme", false);
        assert_string_equal(last_state, "half_open");
        assert_int_equal(begin(fixture, 20, "acme", false)->end, NEIGHBOUR_OPEN);
        end(fixture, probe, NULL);
    }
    assert_string_equal(last_state, "closed");
    assert_int_equal(changes, 3); /* opened, half-opened, closed */
}

static void waiting_calls_end_when_the_breaker_opens_before_them(void **state)
{
    fixture_t *fixture = *state;
    end(fixture, begin(fixture, 10, "acme", false), "broken");
    end(fixture, begin(fixture, 11, "acme", false), "broken");
    probe_t *one = begin(fixture, 0, "acme", true);
    probe_t *two = begin(fixture, 1, "acme", true);
    const probe_t *three = begin(fixture, 2, "acme", true);
    end(fixture, one, "broken");
    end(fixture, two, "broken");
    assert_string_equal(last_state, "open");
    const uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (one->ended + two->ended + three->ended < 3 && clock_monotonic_ms() < deadline_ms) {
        (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
        if (three->is_running) {
            end(fixture, &fixture->probes[2], "broken");
        }
    }
    assert_int_equal(one->end, NEIGHBOUR_FAILED);
    assert_int_equal(two->end, NEIGHBOUR_FAILED);
    assert_true(three->ended == 1);
}

typedef struct command {
    neighbour_command_t command; /* first */
    uint32_t ended;
    result_t result;
} command_t;

static void command_done(neighbour_command_t *base, result_t result)
{
    command_t *const command = (command_t *)base;
    command->ended++;
    command->result = result;
}

static result_t by_hand(fixture_t *fixture, neighbour_hand_t hand)
{
    command_t command = {.command = {.hand = hand, .done = command_done}};
    neighbour_command_begin(fixture->neighbours, text_from_c("acme"), NEIGHBOUR_MEMBERSHIP,
                            &command.command);
    settle(fixture);
    assert_int_equal(command.ended, 1);
    return command.result;
}

static void hand_opens_holds_and_closes(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(by_hand(fixture, NEIGHBOUR_HOLD), RESULT_OK);
    now_us += UINT64_C(3600000000);
    assert_int_equal(begin(fixture, 0, "acme", true)->end, NEIGHBOUR_OPEN);
    assert_int_equal(by_hand(fixture, NEIGHBOUR_CLOSE), RESULT_OK);
    assert_int_equal(begin(fixture, 1, "acme", true)->started, 1);
}

/* --- Supervision --- */

static void broken_adapter_is_restarted_and_nobody_else_notices(void **state)
{
    fixture_t *fixture = *state;
    probe_t *other = begin(fixture, 0, "other", false);
    probe_t *beside = begin(fixture, 1, "acme", false);
    const probe_t *breaks = begin_saying(fixture, 2, "acme", false, RESULT_INTERNAL);
    assert_int_equal(breaks->end, NEIGHBOUR_FAILED);
    assert_int_equal(breaks->cancelled, 0);
    assert_int_equal(beside->cancelled, 1); /* what it had under way cannot be trusted */
    assert_int_equal(beside->end, NEIGHBOUR_FAILED);
    assert_int_equal(numbers_of(fixture, "adapter").restarts, 1);
    assert_int_equal(numbers_of(fixture, "breaker").restarts, 0);
    assert_int_equal(neighbours_in_flight(fixture->neighbours), 1);
    assert_true(other->is_running);
    end(fixture, other, NULL);
    assert_int_equal(other->end, NEIGHBOUR_ANSWERED);
    end(fixture, begin(fixture, 3, "acme", false), NULL);
    assert_int_equal(fixture->probes[3].end, NEIGHBOUR_ANSWERED);
}

/* The answer lay in its mailbox when the adapter broke: it is not thrown away with what it had
 * under way. */
static void answer_that_waits_outlives_the_restart(void **state)
{
    fixture_t *fixture = *state;
    probe_t *answered = begin(fixture, 0, "acme", false);
    probe_t *breaks = &fixture->probes[1];
    *breaks = (probe_t){.call = {.start = probe_start,
                                 .cancel = probe_cancel,
                                 .done = probe_done,
                                 .deadline_ms = loop_now_ms(fixture->loop) + 60000},
                        .says = RESULT_INTERNAL,
                        .answers = answered};
    neighbour_call_begin(fixture->neighbours, text_from_c("acme"), NEIGHBOUR_MEMBERSHIP,
                         &breaks->call);
    settle(fixture);
    assert_int_equal(answered->end, NEIGHBOUR_ANSWERED);
    assert_int_equal(answered->cancelled, 0);
    assert_int_equal(breaks->end, NEIGHBOUR_FAILED);
}

static void adapter_that_breaks_again_and_again_opens_its_breaker(void **state)
{
    fixture_t *fixture = *state;
    const uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    size_t number = 0;
    while (strcmp(last_state, "open") != 0) {
        /* Good answers in between: the failures in a row are too few to open it. */
        assert_true(clock_monotonic_ms() < deadline_ms && number < CALLS - 2);
        const probe_t *breaks = begin_saying(fixture, number++, "acme", false, RESULT_INTERNAL);
        while (breaks->ended == 0) { /* restarts come later and later */
            (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
        }
        if (strcmp(last_state, "open") != 0) {
            probe_t *good = begin(fixture, number++, "acme", false);
            wait_for_start(fixture, good, 1);
            end(fixture, good, NULL);
        }
    }
    assert_int_equal(number, 2 * LIMIT_ACTOR_RESTARTS + 1);
    assert_int_equal(numbers_of(fixture, "adapter").active, 0);
    assert_int_equal(begin(fixture, number++, "acme", false)->end, NEIGHBOUR_OPEN);
    now_us += 1000000;
    for (int i = 0; i < 3; i++) { /* with a new adapter */
        end(fixture, begin(fixture, number++, "acme", false), NULL);
    }
    assert_string_equal(last_state, "closed");
    assert_int_equal(numbers_of(fixture, "adapter").active, 1);
}

static void broken_breaker_is_restarted_alone_and_closed(void **state)
{
    fixture_t *fixture = *state;
    open_breaker(fixture);
    now_us += 1000000;
    probe_t *running = begin(fixture, 4, "acme", false); /* the probe of its pause's end */
    probe_t *other = begin(fixture, 5, "other", false);
    assert_int_equal(by_hand(fixture, (neighbour_hand_t)99), RESULT_INTERNAL);
    assert_int_equal(running->cancelled, 1);
    assert_int_equal(running->end, NEIGHBOUR_FAILED);
    assert_string_equal(last_state, "closed");
    assert_int_equal(numbers_of(fixture, "breaker").restarts, 1);
    assert_true(other->is_running);
    end(fixture, other, NULL);
    end(fixture, begin(fixture, 6, "acme", false), NULL);
    assert_int_equal(fixture->probes[6].end, NEIGHBOUR_ANSWERED);
    assert_int_equal(neighbours_in_flight(fixture->neighbours), 0);
}

static void calls_that_wait_end_with_a_broken_breaker(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < 4; i++) {
        (void)begin(fixture, i, "acme", true);
    }
    assert_int_equal(by_hand(fixture, (neighbour_hand_t)99), RESULT_INTERNAL);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fixture->probes[i].ended, 1);
        assert_int_equal(fixture->probes[i].end, NEIGHBOUR_FAILED);
        assert_int_equal(fixture->probes[i].cancelled, i < 2 ? 1 : 0);
    }
}

/* The fixture's `stop` ends them. */
static void end_of_the_role_ends_every_call(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < 4; i++) {
        (void)begin(fixture, i, "acme", true);
    }
    neighbours_destroy(&fixture->neighbours);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fixture->probes[i].end, NEIGHBOUR_DRAINING);
        assert_int_equal(fixture->probes[i].cancelled, i < 2 ? 1 : 0);
    }
}

/* A client of all tenants that others have filled, say. */
static void attempt_without_a_place_says_nothing_about_the_neighbour(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(begin_saying(fixture, i, "acme", false, RESULT_BUSY)->end, NEIGHBOUR_BUSY);
    }
    probe_t *const repeated = &fixture->probes[8]; /* since that is safe */
    *repeated = (probe_t){.call = {.start = probe_start,
                                   .cancel = probe_cancel,
                                   .done = probe_done,
                                   .is_repeatable = true,
                                   .deadline_ms = loop_now_ms(fixture->loop) + 60000},
                          .says = RESULT_BUSY,
                          .says_times = 1};
    neighbour_call_begin(fixture->neighbours, text_from_c("acme"), NEIGHBOUR_MEMBERSHIP,
                         &repeated->call);
    wait_for_start(fixture, repeated, 2);
    end(fixture, repeated, NULL);
    assert_int_equal(repeated->end, NEIGHBOUR_ANSWERED);
    assert_int_equal(changes, 0);
    open_breaker(fixture);
    now_us += 1000000;
    assert_int_equal(begin_saying(fixture, 9, "acme", false, RESULT_BUSY)->end, NEIGHBOUR_BUSY);
    end(fixture, begin(fixture, 10, "acme", false), NULL); /* the next one may probe */
    assert_int_equal(fixture->probes[10].end, NEIGHBOUR_ANSWERED);
}

static void settings_name_what_cannot_be_used(void **state)
{
    (void)state;
    static const char *const bad[] = {"failures", "failures=",   "failures=0", "failures=x",
                                      "colour=1", "queue=99999", "open_ms=-1", "attempts=3x"};
    neighbour_settings_t settings;
    char error[64];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(neighbour_settings_parse(bad[i], &settings, error, sizeof error));
        assert_string_equal(error, bad[i]);
    }
    assert_true(neighbour_settings_parse("  slow_ms=0  open_ms=7", &settings, error, sizeof error));
    assert_int_equal(settings.circuit.open_ms_min, 7);
    assert_int_equal(settings.circuit.failures_to_open, 5);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(calls_of_one_tenant_wait_for_each_other_and_no_other),
        CASE(what_is_safe_to_repeat_is_repeated),
        CASE(other_calls_end_with_their_first_failure),
        CASE(open_breaker_refuses_at_once_and_closes_by_itself),
        CASE(waiting_calls_end_when_the_breaker_opens_before_them),
        CASE(hand_opens_holds_and_closes),
        CASE(broken_adapter_is_restarted_and_nobody_else_notices),
        CASE(answer_that_waits_outlives_the_restart),
        CASE(adapter_that_breaks_again_and_again_opens_its_breaker),
        CASE(broken_breaker_is_restarted_alone_and_closed),
        CASE(calls_that_wait_end_with_a_broken_breaker),
        CASE(end_of_the_role_ends_every_call),
        CASE(attempt_without_a_place_says_nothing_about_the_neighbour),
        cmocka_unit_test(settings_name_what_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
