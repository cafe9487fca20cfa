/* Bulkheads, repeats and breakers of neighbours, with a neighbour that does what the test says. The
 * loop and its time are real; the breaker's time is the test's. */
#include "actors/neighbours/neighbour.h"
#include "runtime/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { CALLS = 64, WAIT_MS = 5000 };

typedef struct probe {
    neighbour_call_t call; /* first */
    uint32_t started;
    uint32_t cancelled;
    uint32_t ended;
    neighbour_end_t end;
    bool is_running;
} probe_t;

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

static void probe_start(neighbour_call_t *call, uint32_t deadline_ms)
{
    probe_t *probe = (probe_t *)call;
    assert_true(deadline_ms > 0);
    probe->started++;
    probe->is_running = true;
}

static void probe_cancel(neighbour_call_t *call)
{
    probe_t *probe = (probe_t *)call;
    assert_true(probe->is_running);
    probe->cancelled++;
}

static void probe_done(neighbour_call_t *call, neighbour_end_t end)
{
    probe_t *probe = (probe_t *)call;
    probe->ended++;
    probe->end = end;
}

static probe_t *begin(fixture_t *fixture, size_t number, const char *tenant, bool is_repeatable)
{
    probe_t *probe = &fixture->probes[number];
    *probe = (probe_t){.call = {.start = probe_start,
                                .cancel = probe_cancel,
                                .done = probe_done,
                                .is_repeatable = is_repeatable,
                                .deadline_ms = loop_now_ms(fixture->loop) + 60000}};
    neighbour_call_begin(fixture->neighbours, text_from_c(tenant), NEIGHBOUR_MEMBERSHIP,
                         &probe->call);
    return probe;
}

static void end(probe_t *probe, const char *failure)
{
    assert_true(probe->is_running);
    probe->is_running = false;
    neighbour_attempt_end(&probe->call, failure);
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
    end(&fixture->probes[0], NULL);
    assert_int_equal(fixture->probes[0].end, NEIGHBOUR_ANSWERED);
    assert_int_equal(fixture->probes[2].started, 1);
    assert_int_equal(fixture->probes[3].started, 0);
}

static void what_is_safe_to_repeat_is_repeated(void **state)
{
    fixture_t *fixture = *state;
    probe_t *probe = begin(fixture, 0, "acme", true);
    end(probe, "status 500");
    assert_int_equal(probe->ended, 0);
    wait_for_start(fixture, probe, 2);
    end(probe, "status 500");
    wait_for_start(fixture, probe, 3);
    end(probe, NULL);
    assert_int_equal(probe->end, NEIGHBOUR_ANSWERED);
    assert_int_equal(probe->ended, 1);
}

static void other_calls_end_with_their_first_failure(void **state)
{
    probe_t *probe = begin(*state, 0, "acme", false);
    end(probe, "broken");
    assert_int_equal(probe->end, NEIGHBOUR_FAILED);
    assert_int_equal(probe->started, 1);
}

static void open_breaker(fixture_t *fixture)
{
    for (size_t i = 0; i < 4; i++) {
        end(begin(fixture, i, "acme", false), "broken");
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
        end(probe, NULL);
    }
    assert_string_equal(last_state, "closed");
    assert_int_equal(changes, 3); /* opened, half-opened, closed */
}

static void waiting_calls_end_when_the_breaker_opens_before_them(void **state)
{
    fixture_t *fixture = *state;
    end(begin(fixture, 10, "acme", false), "broken");
    end(begin(fixture, 11, "acme", false), "broken");
    probe_t *one = begin(fixture, 0, "acme", true);
    probe_t *two = begin(fixture, 1, "acme", true);
    const probe_t *three = begin(fixture, 2, "acme", true);
    end(one, "broken");
    end(two, "broken");
    assert_string_equal(last_state, "open");
    const uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (one->ended + two->ended + three->ended < 3 && clock_monotonic_ms() < deadline_ms) {
        (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
        if (three->is_running) {
            end(&fixture->probes[2], "broken");
        }
    }
    assert_int_equal(one->end, NEIGHBOUR_FAILED);
    assert_int_equal(two->end, NEIGHBOUR_FAILED);
    assert_true(three->ended == 1);
}

static void hand_opens_holds_and_closes(void **state)
{
    fixture_t *fixture = *state;
    const text_t acme = text_from_c("acme");
    assert_int_equal(
        neighbour_by_hand(fixture->neighbours, acme, NEIGHBOUR_MEMBERSHIP, NEIGHBOUR_HOLD),
        RESULT_OK);
    now_us += UINT64_C(3600000000);
    assert_int_equal(begin(fixture, 0, "acme", true)->end, NEIGHBOUR_OPEN);
    assert_int_equal(
        neighbour_by_hand(fixture->neighbours, acme, NEIGHBOUR_MEMBERSHIP, NEIGHBOUR_CLOSE),
        RESULT_OK);
    assert_int_equal(begin(fixture, 1, "acme", true)->started, 1);
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
        CASE(end_of_the_role_ends_every_call),
        cmocka_unit_test(settings_name_what_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
