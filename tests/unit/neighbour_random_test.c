/* Neighbours under random histories: calls of several tenants and adapters that are answered, fail,
 * break their adapter, are too late, or are begun from within the end of another; breakers that are
 * opened and closed by hand, break themselves, or have to make room for others
 * (tests/unit/neighbour_limits). Whatever happens, a call that was handed over ends exactly once.
 * Time and randomness are the test's own: a history is the same wherever it runs.
 * NEIGHBOUR_RANDOM_SEED=n NEIGHBOUR_RANDOM_HISTORIES=n look elsewhere, and longer. */
#include "actors/neighbours/neighbour.h"
#include "runtime/log.h"
#include "runtime/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum {
    TENANTS = 4,
    ADAPTERS = 2,
    PROBES = 48,
    COMMANDS = 8,
    CONCURRENCY = 3,
    HISTORIES = 400,
    STEPS = 150,
    TURNS_MAX = 200000, /* to the end of a history */
    EVER_MS = 3600000,
};

typedef struct world world_t;

typedef struct probe {
    neighbour_call_t call; /* first */
    world_t *world;
    uint32_t place; /* tenant and adapter */
    bool is_open;   /* begun and not ended */
    bool is_running;
    bool has_answer; /* of the last attempt */
    uint32_t started;
} probe_t;

typedef struct command {
    neighbour_command_t command; /* first */
    bool is_open;
    bool is_right;
} command_t;

struct world {
    loop_t *loop;
    metrics_t *metrics;
    neighbours_t *neighbours;
    probe_t probes[PROBES];
    command_t commands[COMMANDS];
    uint32_t running[TENANTS * ADAPTERS];
    uint64_t ended;
    bool is_sound; /* in this history no actor breaks */
    bool is_calm;  /* the history ends: nothing fails any more */
    bool is_over;
};

static uint64_t random_state;
static uint64_t history_seed;
static uint64_t now_ms;
static uint64_t ends_seen[NEIGHBOUR_ENDS]; /* of all histories: each way is gone */
static uint64_t restarts_seen[2];
static uint64_t passivations_seen;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33U) % below);
}

static bool chance(uint32_t percent)
{
    return draw(100) < percent;
}

/* --- In place of the runtime's own (--wrap) --- */

uint64_t __wrap_loop_now_ms(const loop_t *loop);
uint64_t __wrap_loop_now_ms(const loop_t *loop)
{
    (void)loop;
    return now_ms;
}

uint32_t __wrap_random_below(uint32_t bound);
uint32_t __wrap_random_below(uint32_t bound)
{
    return draw(bound);
}

static uint64_t test_now_us(void)
{
    return now_ms * 1000;
}

/* --- Calls --- */

static text_t tenant_of(uint32_t place)
{
    static const char *const names[TENANTS] = {"acme", "beta", "gamma", "delta"};
    return text_from_c(names[place / ADAPTERS]);
}

static neighbour_adapter_t adapter_of(uint32_t place)
{
    return (neighbour_adapter_t)(place % ADAPTERS);
}

static void answer(world_t *world);

static result_t probe_start(neighbour_call_t *call, uint32_t deadline_ms)
{
    static const result_t errors[] = {RESULT_INTERNAL, RESULT_INTERNAL, RESULT_BUSY,
                                      RESULT_UNAVAILABLE};
    probe_t *const probe = (probe_t *)call;
    world_t *const world = probe->world;
    assert_true(probe->is_open && !probe->is_running && !world->is_over);
    assert_true(deadline_ms > 0);
    probe->started++;
    assert_true(probe->started <= 3 && (call->is_repeatable || probe->started == 1));
    probe->has_answer = false;
    if (!world->is_calm && chance(20)) {
        answer(world); /* another one, while the handler runs */
    }
    if (!world->is_calm && chance(25)) {
        const result_t error = errors[draw(sizeof errors / sizeof errors[0])];
        probe->started -= error == RESULT_BUSY ? 1 : 0; /* it was not made */
        return error == RESULT_INTERNAL && world->is_sound ? RESULT_UNAVAILABLE : error;
    }
    probe->is_running = true;
    world->running[probe->place]++;
    assert_true(world->running[probe->place] <= CONCURRENCY);
    return RESULT_OK;
}

static void stop_running(probe_t *probe)
{
    assert_true(probe->is_open && probe->is_running);
    probe->is_running = false;
    probe->world->running[probe->place]--;
}

static void probe_cancel(neighbour_call_t *call)
{
    const world_t *const world = ((probe_t *)call)->world;
    assert_true(!world->is_sound || world->is_over);
    stop_running((probe_t *)call);
}

static void count_not_closed(void *context, const neighbour_t *neighbour)
{
    uint64_t *const counts = context;
    const neighbour_adapter_t adapter = neighbour_adapter_of(neighbour);
    counts[adapter] += circuit_breaker_is_closed(neighbour_breaker(neighbour)) ? 0 : 1;
}

/* What those who look are told, at any moment. */
static void look_around(const world_t *world, uint32_t place)
{
    uint64_t counts[NEIGHBOUR_ADAPTERS] = {0};
    neighbours_visit(world->neighbours, count_not_closed, counts);
    (void)neighbour_is_closed(world->neighbours, tenant_of(place), adapter_of(place));
    (void)neighbour_retry_ms(world->neighbours, tenant_of(place), adapter_of(place));
}

static void begin(world_t *world);

static void probe_done(neighbour_call_t *call, neighbour_end_t end)
{
    probe_t *const probe = (probe_t *)call;
    world_t *const world = probe->world;
    assert_true(probe->is_open && !probe->is_running);
    assert_true(end == NEIGHBOUR_ANSWERED ? probe->has_answer
                                          : !probe->has_answer || world->is_over);
    const bool is_not_asked =
        end == NEIGHBOUR_OPEN || end == NEIGHBOUR_BUSY || end == NEIGHBOUR_TOO_LATE;
    assert_true(!is_not_asked || probe->started == 0);
    assert_int_equal(end == NEIGHBOUR_DRAINING, world->is_over);
    probe->is_open = false;
    memset(&probe->call, 0xEE, sizeof probe->call); /* the record is the caller's again */
    world->ended++;
    ends_seen[end]++;
    look_around(world, probe->place);
    if (!world->is_calm && chance(20)) {
        begin(world);
    }
}

static probe_t *pick(world_t *world, bool is_wanted(const probe_t *probe))
{
    const uint32_t first = draw(PROBES);
    for (uint32_t i = 0; i < PROBES; i++) {
        probe_t *const probe = &world->probes[(first + i) % PROBES];
        if (is_wanted(probe)) {
            return probe;
        }
    }
    return NULL;
}

static bool is_free(const probe_t *probe)
{
    return !probe->is_open;
}

static bool is_running(const probe_t *probe)
{
    return probe->is_running;
}

static void begin_at(world_t *world, uint32_t place)
{
    probe_t *const probe = pick(world, is_free);
    if (probe == NULL) {
        return;
    }
    *probe = (probe_t){.call = {.start = probe_start,
                                .cancel = probe_cancel,
                                .done = probe_done,
                                .is_repeatable = chance(50),
                                .deadline_ms = now_ms + (chance(20) ? draw(50) : 60000)},
                       .world = world,
                       .place = place,
                       .is_open = true};
    neighbour_call_begin(world->neighbours, tenant_of(probe->place), adapter_of(probe->place),
                         &probe->call);
}

static void begin(world_t *world)
{
    begin_at(world, draw(TENANTS * ADAPTERS));
}

static void answer(world_t *world)
{
    probe_t *const probe = pick(world, is_running);
    if (probe != NULL) {
        stop_running(probe);
        probe->has_answer = world->is_calm || chance(60);
        neighbour_attempt_end(&probe->call, probe->has_answer ? NULL : "status 500");
    }
}

/* --- By hand --- */

static void command_done(neighbour_command_t *base, result_t result)
{
    command_t *const command = (command_t *)base;
    assert_true(command->is_open);
    assert_true(command->is_right || result != RESULT_OK);
    command->is_open = false;
    memset(&command->command, 0xEE, sizeof command->command);
}

static void hand(world_t *world, uint32_t place, neighbour_hand_t wanted)
{
    command_t *command = world->commands;
    while (command < world->commands + COMMANDS && command->is_open) {
        command++;
    }
    if (command == world->commands + COMMANDS) {
        return;
    }
    *command = (command_t){.command = {.hand = wanted, .done = command_done},
                           .is_open = true,
                           .is_right = wanted <= NEIGHBOUR_RESET};
    neighbour_command_begin(world->neighbours, tenant_of(place), adapter_of(place),
                            &command->command);
}

/* --- A history --- */

/* What all breakers show together is what the metrics say. */
static void check_gauges(const world_t *world)
{
    static const char *const labels[ADAPTERS] = {"adapter=\"membership\"", "adapter=\"wallet\""};
    uint64_t counts[NEIGHBOUR_ADAPTERS] = {0};
    neighbours_visit(world->neighbours, count_not_closed, counts);
    for (size_t i = 0; i < ADAPTERS; i++) {
        const metric_t *const gauge =
            metrics_gauge(world->metrics, "digitalcard_breakers_open", labels[i], "");
        assert_int_equal(metric_value(gauge), counts[i]);
    }
}

static void turn(world_t *world)
{
    (void)uv_run(loop_uv(world->loop), UV_RUN_NOWAIT);
    check_gauges(world);
}

static void step(world_t *world)
{
    const uint32_t drawn = draw(100);
    if (drawn < 38) {
        begin(world);
    } else if (drawn < 40) { /* more than its mailbox takes */
        const uint32_t place = draw(TENANTS * ADAPTERS);
        for (uint32_t i = draw(16); i > 0; i--) {
            begin_at(world, place);
        }
    } else if (drawn < 65) {
        answer(world);
    } else if (drawn < 70) {
        hand(world, draw(TENANTS * ADAPTERS), (neighbour_hand_t)draw(3));
    } else if (drawn < 72 && !world->is_sound) {
        hand(world, draw(TENANTS * ADAPTERS), (neighbour_hand_t)99); /* breaks the breaker */
    } else if (drawn < 85) {
        now_ms += draw(chance(10) ? 3000 : 30);
    }
    if (chance(60)) {
        turn(world);
    }
}

static void world_open(world_t *world)
{
    memset(world, 0, sizeof *world);
    now_ms = 1000;
    assert_int_equal(loop_create(&world->loop), RESULT_OK);
    world->metrics = metrics_create("test");
    neighbour_settings_t settings;
    char error[64];
    assert_true(neighbour_settings_parse("concurrency=3 queue=4 attempts=3 pause_ms=20 failures=4 "
                                         "open_ms=200 open_ms_max=1000 slow_ms=0",
                                         &settings, error, sizeof error));
    const neighbours_ports_t ports = {.random = random_below, .monotonic_us = test_now_us};
    assert_int_equal(
        neighbours_create(world->loop, world->metrics, &ports, &settings, &world->neighbours),
        RESULT_OK);
}

static void expect_at_rest(void *context, const neighbour_t *neighbour)
{
    (void)context;
    neighbour_numbers_t numbers;
    neighbour_numbers(neighbour, &numbers);
    assert_int_equal(numbers.in_flight, 0);
    assert_int_equal(numbers.waiting, 0);
}

static bool has_open(const world_t *world)
{
    bool is_any = false;
    for (size_t i = 0; i < PROBES; i++) {
        is_any = is_any || world->probes[i].is_open;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        is_any = is_any || world->commands[i].is_open;
    }
    return is_any;
}

typedef struct wanted {
    uint32_t place;
    bool is_held;
} wanted_t;

static void look_whether_held(void *context, const neighbour_t *neighbour)
{
    wanted_t *const wanted = context;
    if (neighbour_adapter_of(neighbour) == adapter_of(wanted->place) &&
        text_equal(neighbour_tenant(neighbour), tenant_of(wanted->place))) {
        wanted->is_held = circuit_breaker_is_held(neighbour_breaker(neighbour));
    }
}

static bool is_held(const world_t *world, uint32_t place)
{
    wanted_t wanted = {.place = place};
    neighbours_visit(world->neighbours, look_whether_held, &wanted);
    return wanted.is_held;
}

/* Nothing fails any more: everything that is open ends by itself. */
static void finish_all(world_t *world)
{
    world->is_calm = true;
    for (uint32_t turns = 0; has_open(world); turns++) {
        assert_true(turns < TURNS_MAX);
        if (chance(70)) {
            answer(world);
        }
        turn(world);
        now_ms++;
    }
}

/* And nothing is left behind. */
static void come_to_rest(world_t *world)
{
    finish_all(world);
    assert_int_equal(neighbours_in_flight(world->neighbours), 0);
    neighbours_visit(world->neighbours, expect_at_rest, NULL);
    now_ms += EVER_MS; /* breakers rest no more, and probes may go */
    for (uint32_t place = 0; place < TENANTS * ADAPTERS; place++) {
        begin_at(world, place);
        finish_all(world);
        assert_true(neighbour_retry_ms(world->neighbours, tenant_of(place), adapter_of(place)) ==
                        0 ||
                    is_held(world, place));
    }
    for (uint32_t place = 0; place < TENANTS * ADAPTERS; place++) {
        hand(world, place, NEIGHBOUR_RESET);
        finish_all(world);
        assert_true(neighbour_is_closed(world->neighbours, tenant_of(place), adapter_of(place)));
    }
    for (size_t i = 0; i < TENANTS * ADAPTERS; i++) { /* the place is free again for all */
        begin(world);
        finish_all(world);
    }
    neighbours_visit(world->neighbours, expect_at_rest, NULL);
}

static void note_numbers(const world_t *world)
{
    const actor_system_t *const system = neighbours_actors(world->neighbours);
    for (uint32_t kind = 0; kind < 2; kind++) {
        actor_system_numbers_t numbers;
        actor_system_numbers(system, kind, &numbers);
        restarts_seen[kind] += numbers.restarts;
        passivations_seen += numbers.passivations;
    }
}

static void run_history(world_t *world)
{
    world_open(world);
    world->is_sound = chance(25);
    for (int i = 0; i < STEPS; i++) {
        step(world);
    }
    if (chance(60)) {
        come_to_rest(world);
    }
    note_numbers(world);
    world->is_calm = true;
    world->is_over = true;
    neighbours_destroy(&world->neighbours);
    assert_false(has_open(world));
    loop_destroy(&world->loop);
    metrics_destroy(&world->metrics);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *const given = getenv(name);
    return given == NULL ? otherwise : strtoull(given, NULL, 10);
}

static void every_call_ends_exactly_once(void **state)
{
    (void)state;
    static world_t world;
    const uint64_t seed = number_of("NEIGHBOUR_RANDOM_SEED", 1);
    const uint64_t histories = number_of("NEIGHBOUR_RANDOM_HISTORIES", HISTORIES);
    print_message("seeds from %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < histories; i++) {
        history_seed = seed + i;
        random_state = history_seed * UINT64_C(0x9E3779B97F4A7C15);
        run_history(&world);
    }
    print_message("ends: answered %llu failed %llu open %llu busy %llu too late %llu draining "
                  "%llu; restarts of breakers %llu, of adapters %llu; made room %llu\n",
                  (unsigned long long)ends_seen[0], (unsigned long long)ends_seen[1],
                  (unsigned long long)ends_seen[2], (unsigned long long)ends_seen[3],
                  (unsigned long long)ends_seen[4], (unsigned long long)ends_seen[5],
                  (unsigned long long)restarts_seen[0], (unsigned long long)restarts_seen[1],
                  (unsigned long long)passivations_seen);
    for (size_t i = 0; i < NEIGHBOUR_ENDS; i++) {
        assert_true(ends_seen[i] > 0);
    }
    assert_true(restarts_seen[0] > 0 && restarts_seen[1] > 0 && passivations_seen > 0);
}

static int tell_seed(void **state)
{
    (void)state;
    print_message("the last history: NEIGHBOUR_RANDOM_SEED=%llu\n",
                  (unsigned long long)history_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_call_ends_exactly_once, tell_seed)};
    log_set_level(LOG_SILENT_LEVEL); /* each adapter that breaks is a line */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
