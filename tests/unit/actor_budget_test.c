/* What handlers and activations take, and who is named for it, on a time stamp that the test moves:
 * a tick is a microsecond. */
#include "runtime/log.h"
#include "runtime/ticks.h"
#include "tests/unit/actor_support.h"

#include <sys/mman.h>
#include <unistd.h>

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

/* --- An activation that takes its time --- */

static void activate_slowly(actor_t *actor, void *context)
{
    (void)context;
    now_us += 10000;
    actor_activated(actor);
}

static result_t receive_nothing(actor_t *actor, actor_message_t *message, void *context)
{
    (void)actor;
    (void)message;
    (void)context;
    return RESULT_OK;
}

static void undeliverable(actor_t *actor, actor_message_t *message, result_t why, void *context)
{
    (void)actor;
    (void)message;
    (void)why;
    (void)context;
}

static void deactivate(actor_t *actor, void *context)
{
    (void)actor;
    (void)context;
}

/* `slow` opens 50 actors for 10 ms each; whoever is handled in between pays for none of them. */
static void activation_is_its_own_tenants_time(void **state)
{
    probes_t *const probes = *state;
    const actor_kind_t kind = {.name = "slow",
                               .activate = activate_slowly,
                               .receive = receive_nothing,
                               .undeliverable = undeliverable,
                               .deactivate = deactivate};
    const actor_system_options_t options = {.turn_us_max = 1000};
    actor_system_configure(probes->system, &options);
    const uint32_t number = actor_system_register(probes->system, &kind, NULL);
    const actor_ref_t quick = probes_spawn(probes, 1, "quick", NULL);
    loop_fake_settle(probes->loop);
    probes->handled = 0;
    for (uint8_t id = 1; id <= 50; id++) {
        const actor_identity_t identity = {.tenant = "slow", .tenant_size = 4, .id = {id}};
        actor_message_t *message = probes_message(probes, MESSAGE_NOTE);
        assert_int_equal(actor_system_send(probes->system, number, &identity, &message), RESULT_OK);
    }
    for (uint32_t count = 0; count < 50; count++) {
        assert_int_equal(probes_note(probes, quick), RESULT_OK);
    }
    const uint64_t begin_us = now_us;
    while (probes->handled < 50) {
        loop_fake_turn(probes->loop);
        assert_true(now_us - begin_us <= 20000); /* one before the others, one after them */
    }
    loop_fake_settle(probes->loop);
    assert_int_equal(probes_numbers(probes).handler_us_max, 0);
    actor_system_destroy(&probes->system); /* before what the kind stands on */
    assert_int_equal(actor_system_create(probes->loop, probes->metrics, &probes->system),
                     RESULT_OK);
}

/* --- Who is named --- */

static result_t fail_when_told_by_the_system(actor_t *actor, actor_message_t *message,
                                             void *context)
{
    (void)context;
    uint64_t timer = 0;
    return (message->flags & ACTOR_MESSAGE_SYSTEM) != 0 ? RESULT_INTERNAL
                                                        : actor_timer_start(actor, 1, 0, &timer);
}

static void describe(const actor_message_t *message, actor_description_t *description,
                     void *context)
{
    (void)message;
    (void)context;
    *description = (actor_description_t){
        .command = "card.issue", .trace_id = "0123456789abcdef", .trace_id_size = 16};
}

/* A timer is nobody's command: its line must not name the one before, which may be of another
 * tenant. */
static void line_about_a_timer_names_no_command(void **state)
{
    probes_t *const probes = *state;
    char line[LIMIT_LOG_LINE_SIZE + 1];
    const actor_kind_t kind = {.name = "described",
                               .is_anonymous = true,
                               .receive = fail_when_told_by_the_system,
                               .describe = describe};
    const actor_spawn_t spawn = {.tenant = "acme", .tenant_size = 4};
    actor_ref_t ref;
    const uint32_t number = actor_system_register(probes->system, &kind, NULL);
    assert_int_equal(actor_system_spawn(probes->system, number, &spawn, &ref), RESULT_OK);
    assert_int_equal(probes_note(probes, ref), RESULT_OK);
    loop_fake_settle(probes->loop);
    const int file = memfd_create("log", MFD_CLOEXEC);
    const int error_before = dup(STDERR_FILENO);
    assert_true(dup2(file, STDERR_FILENO) >= 0);
    log_start("test", LOG_WARN_LEVEL);
    loop_fake_advance(probes->loop, 2);
    assert_true(dup2(error_before, STDERR_FILENO) >= 0);
    const ssize_t size = pread(file, line, sizeof(line) - 1, 0);
    assert_true(size > 0);
    line[size] = '\0';
    assert_non_null(strstr(line, "\"kind\":\"described\""));
    assert_non_null(strstr(line, "\"command\":\"\""));
    assert_non_null(strstr(line, "\"trace_id\":\"\""));
    close(file);
    close(error_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(handler_over_its_budget_is_counted),
        PROBE_TEST(tenant_with_slow_handlers_waits_for_the_others),
        PROBE_TEST(turn_of_the_loop_ends_when_its_time_is_over),
        PROBE_TEST(activation_is_its_own_tenants_time),
        PROBE_TEST(line_about_a_timer_names_no_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
