/* What handlers take, on a time stamp that the test moves: a tick is a microsecond. */
#include "runtime/ticks.h"
#include "tests/unit/actor_support.h"

static uint64_t now_us;

/* These take the place of platform_ticks.c. */
uint64_t ticks_now(void)
{
    return now_us;
}

uint64_t ticks_per_us(void)
{
    return 1;
}

static result_t takes_10_ms(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)self;
    (void)message;
    (void)probes;
    now_us += 10000;
    return RESULT_OK;
}

static result_t takes_two_minutes(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)self;
    (void)message;
    (void)probes;
    now_us += 120000000;
    return RESULT_OK;
}

static void handler_over_its_budget_is_counted(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    probes_run(probes, ref, takes_10_ms); /* probes may take a minute */
    assert_int_equal(probes_numbers(probes).slow_handlers, 0);
    probes_run(probes, ref, takes_two_minutes);
    assert_int_equal(probes_numbers(probes).slow_handlers, 1);
    assert_int_equal(
        metric_value(metrics_counter(probes->metrics, "digitalcard_actor_slow_handlers_total",
                                     "kind=\"probe\"", "")),
        1);
}

/* Tenant `slow` takes 10 ms a message, `quick` nothing: 500 messages' worth are paid back before
 * `slow` has its next turn, so `quick` is through with its 300 by then. */
static void tenant_with_slow_handlers_waits_for_the_others(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t slow = probes_spawn(probes, 1, "slow", NULL);
    actor_ref_t quick[3];
    for (uint32_t index = 0; index < 3; index++) {
        quick[index] = probes_spawn(probes, 2, "quick", NULL);
    }
    loop_fake_settle(probes->loop);
    probes->handled = 0;
    for (uint32_t count = 0; count < 3; count++) {
        assert_int_equal(probes_send(probes, slow, takes_10_ms), RESULT_OK);
    }
    for (uint32_t count = 0; count < 300; count++) {
        assert_int_equal(probes_note(probes, quick[count % 3]), RESULT_OK);
    }
    const uint64_t begin_us = now_us;
    while (probes->handled < 300) {
        loop_fake_turn(probes->loop);
        /* The first slow actor's turn may run all its messages: they are one actor's turn. */
        assert_true(now_us - begin_us <= 30000);
    }
    loop_fake_settle(probes->loop);
    assert_int_equal(probes->handled, 303);
}

static void turn_of_the_loop_ends_when_its_time_is_over(void **state)
{
    probes_t *const probes = *state;
    const actor_system_options_t options = {.turn_us_max = 1000};
    actor_system_configure(probes->system, &options);
    actor_ref_t refs[4];
    for (uint32_t index = 0; index < 4; index++) {
        refs[index] = probes_spawn(probes, index, NULL, NULL);
    }
    loop_fake_settle(probes->loop);
    probes->handled = 0;
    for (uint32_t index = 0; index < 4; index++) {
        assert_int_equal(probes_send(probes, refs[index], takes_10_ms), RESULT_OK);
    }
    for (uint32_t turn = 1; turn <= 4; turn++) { /* one each: the loop sees its sockets between */
        loop_fake_turn(probes->loop);
        assert_int_equal(probes->handled, turn);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(handler_over_its_budget_is_counted),
        PROBE_TEST(tenant_with_slow_handlers_waits_for_the_others),
        PROBE_TEST(turn_of_the_loop_ends_when_its_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
