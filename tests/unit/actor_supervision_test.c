/* What happens to actors that fail, alone and in groups, and to those that want too much memory. */
#include "tests/unit/actor_support.h"

static void trace_clear(probes_t *probes)
{
    probes->trace_size = 0;
    probes->trace[0] = '\0';
}

static void restarted_actor_begins_with_its_argument_and_keeps_its_messages(void **state)
{
    probes_t *const probes = *state;
    probes->directive = ACTOR_DIRECTIVE_RESTART;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    assert_int_equal(probes_send(probes, ref, probe_fails), RESULT_OK);
    assert_int_equal(probes_note(probes, ref), RESULT_OK);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:begins 1:fails 1:ends 1:begins 1:note ");
    assert_int_equal(probes_note(probes, ref), RESULT_OK); /* the same reference */
    assert_int_equal(probes_numbers(probes).failures, 1);
    assert_int_equal(probes_numbers(probes).restarts, 1);
}

static void resumed_actor_goes_on_with_its_state(void **state)
{
    probes_t *const probes = *state;
    probes->directive = ACTOR_DIRECTIVE_RESUME;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    probes_run(probes, ref, probe_fails);
    assert_int_equal(probes_note(probes, ref), RESULT_OK);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:begins 1:fails 1:note ");
}

static void first_restart_is_immediate_and_later_ones_wait_longer_and_longer(void **state)
{
    probes_t *const probes = *state;
    probes->directive = ACTOR_DIRECTIVE_RESTART;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    probes_run(probes, ref, probe_fails);
    assert_int_equal(probes->activated, 2);
    uint64_t backoff_ms = LIMIT_ACTOR_BACKOFF_MS_MIN;
    for (uint32_t restart = 2; restart <= LIMIT_ACTOR_RESTARTS; restart++) {
        probes_run(probes, ref, probe_fails);
        loop_fake_advance(probes->loop, backoff_ms / 2 - 1);
        assert_int_equal(probes->activated, restart);
        loop_fake_advance(probes->loop, backoff_ms - backoff_ms / 2 + 1);
        assert_int_equal(probes->activated, restart + 1);
        backoff_ms *= 2;
    }
    probes_run(probes, ref, probe_fails); /* once too often, and there is nobody above */
    loop_fake_advance(probes->loop, 100000);
    assert_int_equal(probes->activated, LIMIT_ACTOR_RESTARTS + 1);
    assert_int_equal(probes_note(probes, ref), RESULT_MISSING);
}

static void failures_that_lie_far_apart_do_not_add_up(void **state)
{
    probes_t *const probes = *state;
    probes->directive = ACTOR_DIRECTIVE_RESTART;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    for (uint32_t failure = 1; failure <= 3 * LIMIT_ACTOR_RESTARTS; failure++) {
        probes_run(probes, ref, probe_fails);
        assert_int_equal(probes->activated, failure + 1);
        loop_fake_advance(probes->loop, LIMIT_ACTOR_RESTARTS_WINDOW_MS);
    }
}

/* Once early, the others late: no ten seconds may hold more than five, wherever they begin. */
static void failures_count_in_any_window(void **state)
{
    probes_t *const probes = *state;
    probes->directive = ACTOR_DIRECTIVE_RESTART;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    probes_run(probes, ref, probe_fails);
    loop_fake_advance(probes->loop, LIMIT_ACTOR_RESTARTS_WINDOW_MS - 1);
    for (uint32_t failure = 0; failure < LIMIT_ACTOR_RESTARTS; failure++) {
        probes_run(probes, ref, probe_fails);
        loop_fake_advance(probes->loop, 200); /* any backoff is over */
    }
    assert_int_equal(probes->activated, 1 + 1 + LIMIT_ACTOR_RESTARTS);
    probes_run(probes, ref, probe_fails);
    loop_fake_advance(probes->loop, LIMIT_ACTOR_RESTARTS_WINDOW_MS);
    assert_int_equal(probes->activated, 1 + 1 + LIMIT_ACTOR_RESTARTS);
    assert_int_equal(probes_note(probes, ref), RESULT_MISSING);
}

/* --- Groups --- */

typedef struct family {
    actor_group_t *group;
    actor_ref_t owner;
    actor_ref_t children[3];
} family_t;

static family_t family_begin(probes_t *probes, actor_strategy_t strategy)
{
    family_t family = {.owner = probes_spawn(probes, 9, NULL, NULL)};
    const actor_group_options_t options = {.strategy = strategy, .restarts_max = 2};
    assert_int_equal(actor_group_create(probes->system, family.owner, &options, &family.group),
                     RESULT_OK);
    for (uint32_t index = 0; index < 3; index++) {
        family.children[index] = probes_spawn(probes, index + 1, NULL, family.group);
    }
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "9:begins 1:begins 2:begins 3:begins ");
    trace_clear(probes);
    probes->directive = ACTOR_DIRECTIVE_RESTART;
    return family;
}

static void one_for_one_restarts_who_failed(void **state)
{
    probes_t *const probes = *state;
    const family_t family = family_begin(probes, ACTOR_ONE_FOR_ONE);
    probes_run(probes, family.children[1], probe_fails);
    assert_string_equal(probes->trace, "2:fails 2:ends 2:begins ");
}

static void one_for_all_restarts_all_in_order(void **state)
{
    probes_t *const probes = *state;
    const family_t family = family_begin(probes, ACTOR_ONE_FOR_ALL);
    probes_run(probes, family.children[1], probe_fails);
    assert_string_equal(probes->trace, "2:fails 1:ends 2:ends 3:ends 1:begins 2:begins 3:begins ");
}

static void rest_for_one_restarts_those_after_it_too(void **state)
{
    probes_t *const probes = *state;
    const family_t family = family_begin(probes, ACTOR_REST_FOR_ONE);
    probes_run(probes, family.children[1], probe_fails);
    assert_string_equal(probes->trace, "2:fails 2:ends 3:ends 2:begins 3:begins ");
    trace_clear(probes);
    probes_run(probes, family.children[1], probe_fails); /* with backoff */
    assert_string_equal(probes->trace, "2:fails 2:ends 3:ends ");
    loop_fake_advance(probes->loop, LIMIT_ACTOR_BACKOFF_MS_MIN);
    assert_string_equal(probes->trace, "2:fails 2:ends 3:ends 2:begins 3:begins ");
}

static void group_that_fails_too_often_is_stopped_and_its_owner_told(void **state)
{
    probes_t *const probes = *state;
    family_t family = family_begin(probes, ACTOR_ONE_FOR_ONE);
    for (uint32_t failure = 0; failure < 3; failure++) {
        probes_run(probes, family.children[failure], probe_fails);
        loop_fake_advance(probes->loop, LIMIT_ACTOR_BACKOFF_MS_MAX);
    }
    assert_string_equal(probes->trace, "1:fails 1:ends 1:begins 2:fails 2:ends 2:begins "
                                       "3:fails 3:ends 2:ends 1:ends 9:escalated(internal_error) ");
    assert_true(actor_group_has_failed(family.group));
    assert_int_equal(actor_group_count(family.group), 0);
    assert_int_equal(probes_note(probes, family.children[0]), RESULT_MISSING);
    actor_group_destroy(&family.group);
    assert_null(family.group);
}

static result_t owns_all_it_may(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    uint64_t timer = 0;
    while (actor_timer_start(self, 3600000, 0, &timer) == RESULT_OK) {
        probes->number++; /* LIMIT_ACTOR_NOTICES_OWNED */
    }
    return RESULT_OK;
}

static void owner_with_as_many_notices_as_it_may_own_is_told_all_the_same(void **state)
{
    probes_t *const probes = *state;
    const family_t family = family_begin(probes, ACTOR_ONE_FOR_ONE);
    probes_run(probes, family.owner, owns_all_it_may);
    assert_int_equal(probes->number, LIMIT_ACTOR_NOTICES_OWNED);
    trace_clear(probes);
    probes->directive = ACTOR_DIRECTIVE_ESCALATE;
    probes_run(probes, family.children[0], probe_fails);
    assert_string_equal(probes->trace, "1:fails 3:ends 2:ends 1:ends 9:escalated(internal_error) ");
}

static void escalating_child_takes_its_group_along(void **state)
{
    probes_t *const probes = *state;
    const family_t family = family_begin(probes, ACTOR_ONE_FOR_ONE);
    probes->directive = ACTOR_DIRECTIVE_ESCALATE;
    probes_run(probes, family.children[0], probe_fails);
    assert_string_equal(probes->trace, "1:fails 3:ends 2:ends 1:ends 9:escalated(internal_error) ");
}

static void child_that_stops_leaves_its_group(void **state)
{
    probes_t *const probes = *state;
    const family_t family = family_begin(probes, ACTOR_ONE_FOR_ALL);
    probes_run(probes, family.children[0], probe_stops);
    assert_int_equal(actor_group_count(family.group), 2);
    trace_clear(probes);
    probes_run(probes, family.children[2], probe_fails);
    assert_string_equal(probes->trace, "3:fails 2:ends 3:ends 2:begins 3:begins ");
}

static void destroyed_group_stops_its_children_youngest_first(void **state)
{
    probes_t *const probes = *state;
    family_t family = family_begin(probes, ACTOR_ONE_FOR_ALL);
    probes_run(probes, family.children[1], probe_fails);
    probes_run(probes, family.children[1], probe_fails); /* now they back off */
    trace_clear(probes);
    actor_group_destroy(&family.group);
    loop_fake_advance(probes->loop, 10000);
    assert_string_equal(probes->trace, "");
    assert_int_equal(probes_numbers(probes).active, 1); /* the owner */
}

/* --- Memory --- */

static result_t allocate(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    uint8_t *before = NULL;
    for (uint32_t size = 1; size <= 256; size *= 2) {
        uint8_t *const memory = actor_allocate(self, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, 0xAA, size);
        assert_ptr_not_equal(memory, before);
        before = memory;
    }
    probes->number = actor_system_bytes(probes->system);
    return RESULT_OK;
}

static result_t allocate_without_end(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    (void)probes;
    while (actor_allocate(self, 100) != NULL) { /* its kind has a bound of 4,096 bytes */
    }
    return RESULT_OK;
}

static void actor_that_wants_too_much_memory_fails_alone(void **state)
{
    probes_t *const probes = *state;
    probes->directive = ACTOR_DIRECTIVE_STOP;
    const actor_ref_t greedy = probes_spawn(probes, 1, NULL, NULL);
    const actor_ref_t modest = probes_spawn(probes, 2, NULL, NULL);
    probes_run(probes, modest, allocate);
    const uint64_t bytes = actor_system_bytes(probes->system);
    assert_int_equal(bytes, probes->number);
    probes_run(probes, greedy, allocate_without_end);
    assert_int_equal(probes_note(probes, greedy), RESULT_MISSING);
    assert_int_equal(probes_note(probes, modest), RESULT_OK);
    assert_true(actor_system_bytes(probes->system) < bytes); /* all of the other's went */
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:begins 2:begins 1:ends 2:note ");
}

static void memory_goes_with_the_state(void **state)
{
    probes_t *const probes = *state;
    probes->directive = ACTOR_DIRECTIVE_RESTART;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    const uint64_t empty = actor_system_bytes(probes->system);
    probes_run(probes, ref, allocate);
    assert_true(probes->number > empty);
    probes_run(probes, ref, probe_fails);
    assert_int_equal(actor_system_bytes(probes->system), empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(restarted_actor_begins_with_its_argument_and_keeps_its_messages),
        PROBE_TEST(resumed_actor_goes_on_with_its_state),
        PROBE_TEST(first_restart_is_immediate_and_later_ones_wait_longer_and_longer),
        PROBE_TEST(failures_that_lie_far_apart_do_not_add_up),
        PROBE_TEST(failures_count_in_any_window),
        PROBE_TEST(one_for_one_restarts_who_failed),
        PROBE_TEST(one_for_all_restarts_all_in_order),
        PROBE_TEST(rest_for_one_restarts_those_after_it_too),
        PROBE_TEST(group_that_fails_too_often_is_stopped_and_its_owner_told),
        PROBE_TEST(owner_with_as_many_notices_as_it_may_own_is_told_all_the_same),
        PROBE_TEST(escalating_child_takes_its_group_along),
        PROBE_TEST(child_that_stops_leaves_its_group),
        PROBE_TEST(destroyed_group_stops_its_children_youngest_first),
        PROBE_TEST(actor_that_wants_too_much_memory_fails_alone),
        PROBE_TEST(memory_goes_with_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
