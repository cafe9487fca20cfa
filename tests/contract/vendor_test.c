/* The contract of the vendor ports and of the desk before them, one suite for wallet, notification
 * and geography, on a fake vendor over HTTP (tests/peers/vendor.mjs): breakers, queues, bulkheads,
 * repeats, and what is said where there is no vendor. With DIGITALCARD_TEST_FULL=1 it also prints
 * what a hanging vendor costs the others. */
#include "actors/neighbours/vendor_desk.h"
#include "adapters/http_client/http_client.h"
#include "runtime/clock.h"
#include "tests/support/actors_settle.h"
#include "tests/support/http_vendor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum {
    WAIT_MS_MAX = 20000,
    DEADLINE_MS = 400, /* of one attempt */
    CONCURRENCY = 2,
    QUEUE = 3,
    ATTEMPTS = 3,
    WHOLE_MS = 10000,
};

typedef struct fixture {
    loop_t *loop;
    loop_timer_t *tick;
    metrics_t *metrics;
    http_calls_t *client;
    neighbours_t *neighbours;
    http_vendor_t vendor;
    vendor_desk_t *desk;
    pid_t peer;
    int peer_input;
} fixture_t;

/* What came of questions. */
typedef struct tally {
    uint32_t count;
    uint32_t ends[NEIGHBOUR_ENDS];
    uint32_t refused;
    uint64_t last_us;
} tally_t;

static const neighbour_adapter_t adapters[] = {NEIGHBOUR_WALLET, NEIGHBOUR_NOTIFICATION,
                                               NEIGHBOUR_GEOGRAPHY};
enum { ADAPTERS = sizeof adapters / sizeof adapters[0] };

static void tick(void *context)
{
    (void)context;
}

static uint32_t no_random(uint32_t below)
{
    (void)below;
    return 0;
}

static uint16_t peer_start(fixture_t *fixture)
{
    int input[2];
    int output[2];
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    const char *const node = getenv("DIGITALCARD_NODE");
    const char *const script = getenv("DIGITALCARD_VENDOR");
    assert_non_null(node);
    assert_non_null(script);
    fixture->peer = fork();
    if (fixture->peer == 0) {
        (void)dup2(input[0], STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)close(input[1]);
        (void)close(output[0]);
        (void)execlp(node, node, script, (char *)NULL);
        _exit(127);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    fixture->peer_input = input[1];
    char line[16] = "";
    assert_true(read(output[0], line, sizeof line - 1) > 0); /* ends with the peer at the latest */
    (void)close(output[0]);
    return (uint16_t)strtoul(line, NULL, 10);
}

static int start(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("test");
    fixture->tick = loop_timer_create(fixture->loop, tick, NULL);
    loop_timer_start(fixture->tick, 1, 1);
    const http_calls_options_t options = {.name = "test", .allows_private = true};
    assert_int_equal(http_calls_create(fixture->loop, fixture->metrics, &options, &fixture->client),
                     RESULT_OK);
    neighbour_settings_t settings = neighbour_settings_default;
    settings.deadline_ms = DEADLINE_MS;
    settings.concurrency = CONCURRENCY;
    settings.queue = QUEUE;
    settings.attempts = ATTEMPTS;
    settings.pause_ms = 10;
    const neighbours_ports_t ports = {.random = no_random, .monotonic_us = clock_monotonic_us};
    assert_int_equal(
        neighbours_create(fixture->loop, fixture->metrics, &ports, &settings, &fixture->neighbours),
        RESULT_OK);
    http_vendor_init(&fixture->vendor, fixture->client, peer_start(fixture), true);
    const vendor_desk_ports_t desk_ports = {.neighbours = fixture->neighbours,
                                            .wallet = &fixture->vendor.wallet,
                                            .notification = &fixture->vendor.notification,
                                            .geography = &fixture->vendor.geography};
    fixture->desk = vendor_desk_create(fixture->loop, &desk_ports);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    fixture_t *fixture = *state;
    neighbours_destroy(&fixture->neighbours);
    vendor_desk_destroy(&fixture->desk);
    http_calls_destroy(&fixture->client);
    loop_timer_destroy(&fixture->tick);
    loop_destroy(&fixture->loop);
    metrics_destroy(&fixture->metrics);
    (void)close(fixture->peer_input); /* it ends with its input */
    (void)waitpid(fixture->peer, NULL, 0);
    free(fixture);
    return 0;
}

/* --- Asking, whatever the adapter --- */

static void note(tally_t *outcome, neighbour_end_t end, const vendor_answer_t *base)
{
    outcome->count++;
    outcome->ends[end]++;
    outcome->refused += base != NULL && base->is_refused ? 1U : 0U;
    outcome->last_us = clock_monotonic_us();
    assert_int_equal(base != NULL, end == NEIGHBOUR_ANSWERED);
}

static void wallet_done(void *context, neighbour_end_t end, const wallet_answer_t *answer)
{
    note(context, end, answer == NULL ? NULL : &answer->base);
    if (answer != NULL && !answer->base.is_refused) {
        assert_true(text_equal(answer->link, TEXT_LITERAL("https://wallet.example/pass")));
    }
}

static void notification_done(void *context, neighbour_end_t end,
                              const notification_answer_t *answer)
{
    note(context, end, answer == NULL ? NULL : &answer->base);
}

static void geography_done(void *context, neighbour_end_t end, const geography_answer_t *answer)
{
    note(context, end, answer == NULL ? NULL : &answer->base);
    if (answer != NULL && !answer->base.is_refused) {
        assert_true(text_equal(answer->place, TEXT_LITERAL("Berlin")));
    }
}

static result_t ask_with_key(fixture_t *fixture, neighbour_adapter_t adapter, const char *tenant,
                             const char *key, tally_t *outcome)
{
    const text_t name = text_from_c(tenant);
    if (adapter == NEIGHBOUR_WALLET) {
        const wallet_question_t question = {.tenant = name,
                                            .operation = WALLET_PUT,
                                            .version = 1,
                                            .code = TEXT_LITERAL("DC1:x"),
                                            .title = name,
                                            .deadline_ms = WHOLE_MS};
        return vendor_desk_wallet(fixture->desk, &question, wallet_done, outcome);
    }
    if (adapter == NEIGHBOUR_NOTIFICATION) {
        const notification_question_t question = {.tenant = name,
                                                  .key = text_from_c(key),
                                                  .channel = NOTIFICATION_EMAIL,
                                                  .recipient = TEXT_LITERAL("a@example.org"),
                                                  .body = TEXT_LITERAL("hello"),
                                                  .deadline_ms = WHOLE_MS};
        return vendor_desk_notification(fixture->desk, &question, notification_done, outcome);
    }
    const geography_question_t question = {.tenant = name,
                                           .operation = GEOGRAPHY_POINT_OF_ADDRESS,
                                           .address = TEXT_LITERAL("1 Street"),
                                           .deadline_ms = WHOLE_MS};
    return vendor_desk_geography(fixture->desk, &question, geography_done, outcome);
}

/* When it returns, the question is on its way, waits or has ended. */
static void ask(fixture_t *fixture, neighbour_adapter_t adapter, const char *tenant,
                tally_t *outcome)
{
    assert_int_equal(ask_with_key(fixture, adapter, tenant, "k-1", outcome), RESULT_OK);
    actors_settle(fixture->loop, neighbours_actors(fixture->neighbours));
}

typedef struct command {
    neighbour_command_t command; /* first */
    bool is_done;
} command_t;

static void command_done(neighbour_command_t *base, result_t result)
{
    assert_int_equal(result, RESULT_OK);
    ((command_t *)base)->is_done = true;
}

static void reset_breaker(fixture_t *fixture, neighbour_adapter_t adapter)
{
    command_t command = {.command = {.hand = NEIGHBOUR_RESET, .done = command_done}};
    neighbour_command_begin(fixture->neighbours, TEXT_LITERAL("acme"), adapter, &command.command);
    actors_settle(fixture->loop, neighbours_actors(fixture->neighbours));
    assert_true(command.is_done);
}

static void wait_for(fixture_t *fixture, const tally_t *outcome, uint32_t count)
{
    const uint64_t end_ms = clock_monotonic_ms() + WAIT_MS_MAX;
    while (outcome->count < count && clock_monotonic_ms() < end_ms) {
        (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
    }
    assert_int_equal(outcome->count, count);
}

static void mode(fixture_t *fixture, neighbour_adapter_t adapter, const char *word)
{
    fixture->vendor.modes[adapter] = word;
}

/* --- The contract --- */

static void without_a_vendor_the_desk_refuses_at_once(void **state)
{
    fixture_t *const fixture = *state;
    const vendor_desk_ports_t none = {.neighbours = fixture->neighbours};
    vendor_desk_t *const with = fixture->desk;
    fixture->desk = vendor_desk_create(fixture->loop, &none);
    tally_t outcome = {0};
    for (size_t i = 0; i < ADAPTERS; i++) {
        assert_true(vendor_desk_has(with, adapters[i]));
        assert_false(vendor_desk_has(fixture->desk, adapters[i]));
        assert_int_equal(ask_with_key(fixture, adapters[i], "acme", "k", &outcome),
                         RESULT_NOT_IMPLEMENTED);
        assert_true(neighbour_is_closed(fixture->neighbours, TEXT_LITERAL("acme"), adapters[i]));
    }
    assert_int_equal(outcome.count, 0);
    assert_int_equal(neighbours_in_flight(fixture->neighbours), 0);
    vendor_desk_destroy(&fixture->desk);
    fixture->desk = with;
}

static void answers_and_refusals_are_answers(void **state)
{
    fixture_t *const fixture = *state;
    for (size_t i = 0; i < ADAPTERS; i++) {
        tally_t outcome = {0};
        ask(fixture, adapters[i], "acme", &outcome);
        wait_for(fixture, &outcome, 1);
        mode(fixture, adapters[i], "refuse");
        for (uint32_t j = 0; j < 6; j++) { /* more than open a breaker, were they failures */
            ask(fixture, adapters[i], "acme", &outcome);
            wait_for(fixture, &outcome, 2 + j);
        }
        assert_int_equal(outcome.ends[NEIGHBOUR_ANSWERED], 7);
        assert_int_equal(outcome.refused, 6);
        assert_int_equal(fixture->vendor.asked[adapters[i]], 7); /* none was repeated */
    }
}

static void what_is_safe_is_repeated_and_nothing_else(void **state)
{
    fixture_t *const fixture = *state;
    static const char *const bad[] = {"error", "redirect", "garbage", "half"};
    for (size_t i = 0; i < ADAPTERS; i++) {
        for (size_t j = 0; j < 4; j++) { /* a tenant each: breakers are theirs */
            tally_t outcome = {0};
            const uint32_t before = fixture->vendor.asked[adapters[i]];
            mode(fixture, adapters[i], bad[j]);
            ask(fixture, adapters[i], bad[j], &outcome);
            wait_for(fixture, &outcome, 1);
            assert_int_equal(outcome.ends[NEIGHBOUR_FAILED], 1);
            assert_int_equal(fixture->vendor.asked[adapters[i]] - before, ATTEMPTS);
        }
    }
    tally_t outcome = {0};
    const uint32_t before = fixture->vendor.asked[NEIGHBOUR_NOTIFICATION];
    assert_int_equal(ask_with_key(fixture, NEIGHBOUR_NOTIFICATION, "once", "", &outcome),
                     RESULT_OK);
    wait_for(fixture, &outcome, 1);
    assert_int_equal(fixture->vendor.asked[NEIGHBOUR_NOTIFICATION] - before, 1);
    http_vendor_init(&fixture->vendor, fixture->client, fixture->vendor.port, false);
    mode(fixture, NEIGHBOUR_NOTIFICATION, "error"); /* of one that does not know keys */
    ask(fixture, NEIGHBOUR_NOTIFICATION, "once", &outcome);
    wait_for(fixture, &outcome, 2);
    assert_int_equal(fixture->vendor.asked[NEIGHBOUR_NOTIFICATION], 1);
}

static void breaker_of_one_adapter_and_tenant_opens_and_no_other(void **state)
{
    fixture_t *const fixture = *state;
    for (size_t i = 0; i < ADAPTERS; i++) {
        tally_t outcome = {0};
        mode(fixture, adapters[i], "error");
        ask(fixture, adapters[i], "acme", &outcome);
        wait_for(fixture, &outcome, 1);
        ask(fixture, adapters[i], "acme", &outcome); /* five failures in a row are enough */
        wait_for(fixture, &outcome, 2);
        assert_false(neighbour_is_closed(fixture->neighbours, TEXT_LITERAL("acme"), adapters[i]));
        const uint32_t asked = fixture->vendor.asked[adapters[i]];
        ask(fixture, adapters[i], "acme", &outcome);
        wait_for(fixture, &outcome, 3);
        assert_int_equal(outcome.ends[NEIGHBOUR_OPEN], 1);
        assert_int_equal(fixture->vendor.asked[adapters[i]], asked);
        mode(fixture, adapters[i], "good");
        ask(fixture, adapters[i], "beta", &outcome);
        wait_for(fixture, &outcome, 4);
        assert_int_equal(outcome.ends[NEIGHBOUR_ANSWERED], 1);
    }
}

static void hanging_vendor_takes_its_own_places_only(void **state)
{
    fixture_t *const fixture = *state;
    for (size_t i = 0; i < ADAPTERS; i++) {
        char tenant[16];
        (void)snprintf(tenant, sizeof tenant, "tenant-%zu", i);
        tally_t hanging = {0};
        mode(fixture, adapters[i], "hang");
        for (uint32_t j = 0; j < CONCURRENCY + QUEUE; j++) {
            ask(fixture, adapters[i], tenant, &hanging);
        }
        assert_int_equal(hanging.count, 0);
        ask(fixture, adapters[i], tenant, &hanging); /* one more than may wait */
        assert_int_equal(hanging.ends[NEIGHBOUR_BUSY], 1);
        for (size_t j = 1; j < ADAPTERS; j++) {
            tally_t others = {0};
            const neighbour_adapter_t other = adapters[(i + j) % ADAPTERS];
            mode(fixture, other, "good");
            ask(fixture, other, tenant, &others);
            wait_for(fixture, &others, 1);
            assert_int_equal(others.ends[NEIGHBOUR_ANSWERED], 1);
            assert_int_equal(hanging.count, 1); /* it hangs all the while */
        }
        wait_for(fixture, &hanging, CONCURRENCY + QUEUE + 1); /* each ends, by its deadline */
        assert_int_equal(hanging.ends[NEIGHBOUR_ANSWERED], 0);
    }
}

/* --- Beside one that hangs --- */

typedef struct sought {
    neighbour_adapter_t adapter;
    neighbour_numbers_t numbers;
} sought_t;

static void look_at(void *context, const neighbour_t *neighbour)
{
    sought_t *const sought = context;
    if (neighbour_adapter_of(neighbour) == sought->adapter) {
        neighbour_numbers(neighbour, &sought->numbers);
    }
}

/* Of a test with one tenant. */
static neighbour_numbers_t numbers_of(const fixture_t *fixture, neighbour_adapter_t adapter)
{
    sought_t sought = {.adapter = adapter};
    neighbours_visit(fixture->neighbours, look_at, &sought);
    return sought.numbers;
}

/* Every place and every seat in the queue of wallets is taken when it returns. */
static void hang_wallets(fixture_t *fixture, tally_t *hanging)
{
    reset_breaker(fixture, NEIGHBOUR_WALLET);
    const uint32_t busy = hanging->ends[NEIGHBOUR_BUSY];
    for (int i = 0; i <= CONCURRENCY + QUEUE && hanging->ends[NEIGHBOUR_BUSY] == busy; i++) {
        ask(fixture, NEIGHBOUR_WALLET, "acme", hanging);
    }
    assert_int_equal(hanging->ends[NEIGHBOUR_BUSY], busy + 1);
}

static void beside_a_hanging_wallet_nobody_waits_in_a_queue(void **state)
{
    enum { ROUNDS = 100 };
    fixture_t *const fixture = *state;
    static const neighbour_adapter_t others[] = {NEIGHBOUR_GEOGRAPHY, NEIGHBOUR_NOTIFICATION};
    static tally_t hanging; /* the last ones end with the fixture */
    tally_t outcome = {0};
    mode(fixture, NEIGHBOUR_WALLET, "hang");
    ask(fixture, NEIGHBOUR_WALLET, "acme", &hanging);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        hang_wallets(fixture, &hanging);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            for (uint32_t j = 0; j < CONCURRENCY; j++) {
                ask(fixture, others[i], "acme", &outcome);
            }
            /* Each has gone out at once, though every wallet call hangs. */
            assert_int_equal(fixture->vendor.asked[others[i]], (round + 1) * CONCURRENCY);
            assert_int_equal(numbers_of(fixture, others[i]).waiting, 0);
        }
        wait_for(fixture, &outcome, (round + 1) * 2 * CONCURRENCY);
    }
    assert_int_equal(outcome.ends[NEIGHBOUR_ANSWERED], outcome.count);
    assert_int_equal(hanging.ends[NEIGHBOUR_ANSWERED], 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(fixture->vendor.asked[others[i]], ROUNDS * CONCURRENCY); /* no repeats */
        assert_true(neighbour_is_closed(fixture->neighbours, TEXT_LITERAL("acme"), others[i]));
    }
}

static void texts_beyond_their_bound_are_not_taken(void **state)
{
    fixture_t *const fixture = *state;
    static char large[LIMIT_VENDOR_TEXT_SIZE + 1];
    memset(large, 'x', sizeof large);
    tally_t outcome = {0};
    const geography_question_t question = {.tenant = TEXT_LITERAL("acme"),
                                           .address = {.data = large, .size = sizeof large},
                                           .deadline_ms = WHOLE_MS};
    assert_int_equal(vendor_desk_geography(fixture->desk, &question, geography_done, &outcome),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(outcome.count, 0);
}

/* --- Measured with DIGITALCARD_TEST_FULL=1 --- */

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

typedef struct measured {
    uint64_t median_us;
    uint64_t p99_us;
    uint64_t
        median_after_us; /* of those asked right after wallets were, which they share a turn with */
} measured_t;

/* Questions one after the other. Those asked right after wallets were share a turn of the loop with
 * opening connections; they are 2 %, more than p99 leaves out, so they count on their own. */
static measured_t measure(fixture_t *fixture, bool hangs)
{
    enum { ASKED = 2000, EVERY = 50 };
    static uint64_t times[ASKED];
    static uint64_t after[ASKED];
    size_t count = 0;
    size_t after_count = 0;
    static tally_t hanging; /* the last ones end with the fixture */
    mode(fixture, NEIGHBOUR_WALLET, "hang");
    for (uint32_t i = 0; i < ASKED; i++) {
        const bool is_burst = i % EVERY == 0;
        for (uint32_t j = 0; hangs && is_burst && j < CONCURRENCY + QUEUE; j++) {
            ask(fixture, NEIGHBOUR_WALLET, "acme", &hanging);
        }
        tally_t outcome = {0};
        const uint64_t began_us = clock_monotonic_us();
        ask(fixture, NEIGHBOUR_GEOGRAPHY, "acme", &outcome);
        wait_for(fixture, &outcome, 1);
        const uint64_t took_us = outcome.last_us - began_us;
        if (is_burst) {
            after[after_count++] = took_us;
        } else {
            times[count++] = took_us;
        }
    }
    reset_breaker(fixture, NEIGHBOUR_WALLET);
    qsort(times, count, sizeof times[0], compare);
    qsort(after, after_count, sizeof after[0], compare);
    return (measured_t){.median_us = times[count / 2],
                        .p99_us = times[count * 99 / 100],
                        .median_after_us = after[after_count / 2]};
}

static void print_measured(const char *what, const measured_t *measured)
{
    print_message("%s: median %llu us, p99 %llu us; right after a burst: median %llu us\n", what,
                  (unsigned long long)measured->median_us, (unsigned long long)measured->p99_us,
                  (unsigned long long)measured->median_after_us);
}

static void geography_beside_a_hanging_wallet(void **state)
{
    (void)measure(*state, false);
    for (int pair = 0; pair < 5; pair++) {
        const measured_t alone = measure(*state, false);
        const measured_t beside = measure(*state, true);
        print_measured("alone", &alone);
        print_measured("beside a hanging wallet", &beside);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_vendor_the_desk_refuses_at_once, start, stop),
        cmocka_unit_test_setup_teardown(answers_and_refusals_are_answers, start, stop),
        cmocka_unit_test_setup_teardown(what_is_safe_is_repeated_and_nothing_else, start, stop),
        cmocka_unit_test_setup_teardown(breaker_of_one_adapter_and_tenant_opens_and_no_other, start,
                                        stop),
        cmocka_unit_test_setup_teardown(hanging_vendor_takes_its_own_places_only, start, stop),
        cmocka_unit_test_setup_teardown(beside_a_hanging_wallet_nobody_waits_in_a_queue, start,
                                        stop),
        cmocka_unit_test_setup_teardown(texts_beyond_their_bound_are_not_taken, start, stop),
    };
    const struct CMUnitTest measurements[] = {
        cmocka_unit_test_setup_teardown(geography_beside_a_hanging_wallet, start, stop),
    };
    const char *const full = getenv("DIGITALCARD_TEST_FULL");
    (void)signal(SIGPIPE, SIG_IGN);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return full == NULL || strcmp(full, "1") != 0
               ? failed
               : failed + cmocka_run_group_tests(measurements, NULL, NULL);
}
