/* Actors: activation, turns, order, passivation, drops, failures, ends. Each message is a number;
 * the test's kind writes what happens into a trace. */
#include "runtime/actor_system.h"
#include "runtime/limits.h"
#include "runtime/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct note {
    actor_message_t base;
    uint32_t number;
} note_t;

typedef struct note_state {
    uint32_t handled;
    char *owned; /* what deactivate must release */
} note_state_t;

enum { TRACE_SIZE = 4096, HELD = 4096 };

typedef struct fixture {
    loop_t *loop;
    metrics_t *metrics;
    actor_system_t *system;
    uint32_t kind;
    bool activates_later; /* activations are held until activate_held */
    actor_t *held[HELD];
    uint32_t held_count;
    uint32_t held_max;
    result_t fails_with; /* activations fail at once */
    bool forbids_passivation;
    uint32_t turns_left; /* the loop stops after so many turns without work */
    loop_hook_t *hook;
    char trace[TRACE_SIZE];
    size_t trace_size;
    uint32_t notes_alive;
    uint32_t states_alive;
    uint32_t handled;
    actor_message_t *taken;
} fixture_t;

static fixture_t *current; /* notes count themselves */

static void trace(fixture_t *fixture, const char *mark, uint32_t number)
{
    const size_t room = sizeof(fixture->trace) - fixture->trace_size;
    const int size = snprintf(fixture->trace + fixture->trace_size, room, "%s%u ", mark, number);
    fixture->trace_size += (size_t)size < room ? (size_t)size : 0;
}

static void note_destroy(actor_message_t *message)
{
    current->notes_alive--;
    free(message);
}

static void note_activate(actor_t *actor, void *context)
{
    fixture_t *const fixture = context;
    note_state_t *const state = actor_state(actor);
    assert_int_equal(state->handled, 0);
    assert_null(state->owned);
    trace(fixture, "a", actor_identity(actor).id[0]);
    assert_non_null(actor_first_message(actor)); /* it is activated by one */
    if (fixture->fails_with != RESULT_OK) {
        actor_failed(actor, fixture->fails_with);
        return;
    }
    if (fixture->activates_later) {
        fixture->held[fixture->held_count++] = actor;
        fixture->held_max =
            fixture->held_count > fixture->held_max ? fixture->held_count : fixture->held_max;
        return;
    }
    state->owned = malloc(8);
    fixture->states_alive++;
    actor_activated(actor);
}

static void activate_held(fixture_t *fixture)
{
    const uint32_t count = fixture->held_count;
    fixture->held_count = 0;
    for (uint32_t index = 0; index < count; index++) {
        note_state_t *const state = actor_state(fixture->held[index]);
        state->owned = malloc(8);
        fixture->states_alive++;
        actor_activated(fixture->held[index]);
    }
}

enum {
    NUMBER_FAILS = 900,
    NUMBER_TAKES,
    NUMBER_DROPS,
    NUMBER_SENDS_TO_ITSELF,
};

static result_t send_note(fixture_t *fixture, uint8_t id, uint32_t number);

static result_t note_receive(actor_t *actor, actor_message_t *message, void *context)
{
    fixture_t *const fixture = context;
    note_state_t *const state = actor_state(actor);
    const note_t *const note = (const note_t *)message;
    assert_non_null(state->owned);
    const actor_identity_t identity = actor_identity(actor);
    assert_ptr_equal(actor_system_find(fixture->system, fixture->kind, &identity), actor);
    state->handled++;
    fixture->handled++;
    trace(fixture, "r", note->number);
    switch (note->number) {
    case NUMBER_FAILS:
        return RESULT_INTERNAL;
    case NUMBER_TAKES:
        fixture->taken = actor_take_message(actor);
        return RESULT_OK;
    case NUMBER_DROPS:
        actor_drop(actor);
        assert_non_null(state->owned); /* not before the handler returns */
        assert_null(actor_system_find(fixture->system, fixture->kind, &identity));
        return RESULT_OK;
    case NUMBER_SENDS_TO_ITSELF:
        assert_int_equal(send_note(fixture, actor_identity(actor).id[0], 77), RESULT_OK);
        trace(fixture, "after", 0); /* and 77 was not handled meanwhile */
        return RESULT_OK;
    default:
        return RESULT_OK;
    }
}

static void note_undeliverable(actor_t *actor, actor_message_t *message, result_t why,
                               void *context)
{
    fixture_t *const fixture = context;
    const note_t *const note = (const note_t *)message;
    trace(fixture, why == RESULT_DRAINING ? "d" : "u", note->number);
    if (note->number == NUMBER_TAKES) {
        fixture->taken = actor_take_message(actor);
    }
}

static bool note_may_passivate(actor_t *actor, bool is_pressing, void *context)
{
    (void)actor;
    (void)is_pressing;
    return !((const fixture_t *)context)->forbids_passivation;
}

static void note_deactivate(actor_t *actor, void *context)
{
    fixture_t *const fixture = context;
    note_state_t *const state = actor_state(actor);
    trace(fixture, "p", actor_identity(actor).id[0]);
    if (state->owned != NULL) {
        free(state->owned);
        fixture->states_alive--;
    }
}

static const actor_kind_t note_kind = {
    .name = "note",
    .state_size = sizeof(note_state_t),
    .activate = note_activate,
    .receive = note_receive,
    .undeliverable = note_undeliverable,
    .may_passivate = note_may_passivate,
    .deactivate = note_deactivate,
};

static result_t send_to(fixture_t *fixture, const char *tenant, uint32_t id, uint32_t number)
{
    note_t *const note = calloc(1, sizeof(*note));
    assert_non_null(note);
    note->base.destroy = note_destroy;
    note->number = number;
    fixture->notes_alive++;
    actor_identity_t identity = {tenant, strlen(tenant), {0}};
    identity.id[0] = (uint8_t)id;
    identity.id[1] = (uint8_t)(id >> 8);
    identity.id[2] = (uint8_t)(id >> 16);
    actor_message_t *message = &note->base;
    const result_t result = actor_system_send(fixture->system, fixture->kind, &identity, &message);
    if (result != RESULT_OK) {
        assert_ptr_equal(message, &note->base);
        note_destroy(message);
    } else {
        assert_null(message);
    }
    return result;
}

static result_t send_note(fixture_t *fixture, uint8_t id, uint32_t number)
{
    return send_to(fixture, "acme", id, number);
}

static actor_t *find_note(const fixture_t *fixture, uint8_t id)
{
    const actor_identity_t identity = {"acme", 4, {id}};
    return actor_system_find(fixture->system, fixture->kind, &identity);
}

static void on_turn(void *context)
{
    fixture_t *const fixture = context;
    fixture->turns_left--;
    if (fixture->turns_left == 0) {
        loop_stop(fixture->loop);
        return;
    }
    loop_again(fixture->loop);
}

static void run_turns(fixture_t *fixture, uint32_t turns)
{
    fixture->turns_left = turns;
    loop_run(fixture->loop);
}

/* Turns end after their messages, never after their time: a test may be slow. */
static void limit_actors(fixture_t *fixture, uint64_t actors_max)
{
    const actor_system_options_t options = {.actors_max = actors_max, .turn_us_max = UINT64_MAX};
    actor_system_configure(fixture->system, &options);
}

static int setup(void **state)
{
    fixture_t *const fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    current = fixture;
    log_start("test", LOG_ERROR_LEVEL);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("test");
    assert_int_equal(actor_system_create(fixture->loop, fixture->metrics, &fixture->system),
                     RESULT_OK);
    limit_actors(fixture, 0);
    fixture->kind = actor_system_register(fixture->system, &note_kind, fixture);
    fixture->hook = loop_hook_create(fixture->loop, on_turn, fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    loop_hook_destroy(&fixture->hook);
    actor_system_destroy(&fixture->system);
    assert_null(fixture->system);
    if (fixture->taken != NULL) {
        fixture->taken->destroy(fixture->taken);
    }
    assert_int_equal(fixture->notes_alive, 0);
    assert_int_equal(fixture->states_alive, 0);
    metrics_destroy(&fixture->metrics);
    loop_destroy(&fixture->loop);
    free(fixture);
    return 0;
}

static actor_system_numbers_t numbers_of(const fixture_t *fixture)
{
    actor_system_numbers_t numbers;
    actor_system_numbers(fixture->system, fixture->kind, &numbers);
    return numbers;
}

static void actor_is_activated_by_its_first_message_and_handles_all_in_order(void **state)
{
    fixture_t *const fixture = *state;
    assert_null(find_note(fixture, 1));
    for (uint32_t number = 10; number < 13; number++) {
        assert_int_equal(send_note(fixture, 1, number), RESULT_OK);
    }
    assert_string_equal(fixture->trace, ""); /* nothing runs within send */
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 r10 r11 r12 ");
    assert_non_null(find_note(fixture, 1));
    assert_int_equal(send_note(fixture, 1, 13), RESULT_OK);
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 r10 r11 r12 r13 ");
    const actor_system_numbers_t numbers = numbers_of(fixture);
    assert_int_equal(numbers.active, 1);
    assert_int_equal(numbers.activating, 0);
    assert_int_equal(numbers.activations, 1);
    assert_int_equal(numbers.messages_handled, 4);
    assert_int_equal(numbers.messages_waiting, 0);
    assert_true(numbers.handler_us_p50 <= numbers.handler_us_p99);
    assert_true(numbers.handler_us_p99 <= numbers.handler_us_max);
    assert_string_equal(actor_system_kind_name(fixture->system, 0), "note");
    assert_null(actor_system_kind_name(fixture->system, 1));
}

static void actors_of_other_tenants_and_ids_are_others(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_to(fixture, "acme", 1, 1), RESULT_OK);
    assert_int_equal(send_to(fixture, "acme-2", 1, 2), RESULT_OK);
    assert_int_equal(send_to(fixture, "acme", 257, 3), RESULT_OK);
    run_turns(fixture, 1);
    assert_int_equal(numbers_of(fixture).active, 3);
    const actor_t *const actor = find_note(fixture, 1);
    assert_int_equal(actor_identity(actor).tenant_size, 4);
    assert_memory_equal(actor_identity(actor).tenant, "acme", 4);
}

static void messages_wait_while_the_actor_activates(void **state)
{
    fixture_t *const fixture = *state;
    fixture->activates_later = true;
    assert_int_equal(send_note(fixture, 1, 10), RESULT_OK);
    run_turns(fixture, 2);
    assert_int_equal(send_note(fixture, 1, 11), RESULT_OK);
    run_turns(fixture, 2);
    assert_string_equal(fixture->trace, "a1 ");
    assert_null(find_note(fixture, 1));
    assert_int_equal(numbers_of(fixture).activating, 1);
    assert_int_equal(numbers_of(fixture).messages_waiting, 2);
    assert_int_equal(numbers_of(fixture).mailbox_depth_max, 2);
    activate_held(fixture);
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 r10 r11 ");
}

static void failed_activation_gives_the_messages_back_and_forgets_the_actor(void **state)
{
    fixture_t *const fixture = *state;
    fixture->fails_with = RESULT_STORE_UNAVAILABLE;
    assert_int_equal(send_note(fixture, 1, 10), RESULT_OK);
    assert_int_equal(send_note(fixture, 1, NUMBER_TAKES), RESULT_OK);
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 u10 u901 ");
    assert_int_equal(fixture->notes_alive, 1); /* the one that was taken */
    assert_non_null(fixture->taken);
    assert_int_equal(numbers_of(fixture).activating, 0);
    fixture->fails_with = RESULT_OK;
    assert_int_equal(send_note(fixture, 1, 12), RESULT_OK);
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 u10 u901 a1 r12 ");
}

static void handler_may_take_its_message(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_note(fixture, 1, NUMBER_TAKES), RESULT_OK);
    run_turns(fixture, 1);
    assert_int_equal(fixture->notes_alive, 1);
    assert_int_equal(((note_t *)fixture->taken)->number, NUMBER_TAKES);
}

static void failing_handler_drops_the_actor_and_later_messages_activate_it_anew(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_note(fixture, 1, 10), RESULT_OK);
    assert_int_equal(send_note(fixture, 1, NUMBER_FAILS), RESULT_OK);
    assert_int_equal(send_note(fixture, 1, 12), RESULT_OK);
    run_turns(fixture, 2);
    assert_string_equal(fixture->trace, "a1 r10 r900 p1 a1 r12 ");
    assert_int_equal(numbers_of(fixture).drops, 1);
    assert_int_equal(numbers_of(fixture).activations, 2);
    assert_int_equal(numbers_of(fixture).active, 1);
}

static void handler_may_drop_its_actor(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_note(fixture, 1, NUMBER_DROPS), RESULT_OK);
    run_turns(fixture, 2);
    assert_string_equal(fixture->trace, "a1 r902 p1 ");
    assert_null(find_note(fixture, 1));
    assert_int_equal(numbers_of(fixture).active, 0);
}

static void drop_from_outside_acts_at_once_on_idle_and_waiting_actors(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_note(fixture, 1, 10), RESULT_OK);
    run_turns(fixture, 1);
    actor_drop(find_note(fixture, 1));
    assert_string_equal(fixture->trace, "a1 r10 p1 ");
    assert_int_equal(send_note(fixture, 1, 11), RESULT_OK);
    run_turns(fixture, 1);
    assert_int_equal(send_note(fixture, 1, 12), RESULT_OK);
    actor_drop(find_note(fixture, 1)); /* with a message waiting: activated anew */
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 r10 p1 a1 r11 p1 a1 r12 ");
}

static void drop_while_activating_loads_the_state_once_more(void **state)
{
    fixture_t *const fixture = *state;
    fixture->activates_later = true;
    assert_int_equal(send_note(fixture, 1, 10), RESULT_OK);
    run_turns(fixture, 1);
    actor_drop(fixture->held[0]);
    fixture->activates_later = false;
    activate_held(fixture);
    run_turns(fixture, 2);
    assert_string_equal(fixture->trace, "a1 p1 a1 r10 ");
    assert_int_equal(numbers_of(fixture).active, 1);
}

static void message_to_itself_is_handled_after_the_running_one(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_note(fixture, 1, NUMBER_SENDS_TO_ITSELF), RESULT_OK);
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 r903 after0 r77 ");
}

static void full_mailbox_answers_busy_and_loses_nothing(void **state)
{
    fixture_t *const fixture = *state;
    for (int count = 0; count < LIMIT_MAILBOX_MESSAGES; count++) {
        assert_int_equal(send_note(fixture, 1, 1), RESULT_OK);
    }
    assert_int_equal(send_note(fixture, 1, 1), RESULT_BUSY);
    assert_int_equal(numbers_of(fixture).mailbox_depth_max, LIMIT_MAILBOX_MESSAGES);
    run_turns(fixture, LIMIT_MAILBOX_MESSAGES / LIMIT_SCHEDULER_TURN_MESSAGES + 2);
    assert_int_equal(fixture->handled, LIMIT_MAILBOX_MESSAGES);
    assert_int_equal(metric_value(metrics_counter(fixture->metrics, "digitalcard_actor_busy_total",
                                                  "kind=\"note\"", "")),
                     1);
    assert_int_equal(
        metric_value(metrics_counter(fixture->metrics, "digitalcard_actor_messages_total",
                                     "kind=\"note\"", "")),
        LIMIT_MAILBOX_MESSAGES);
}

static void busy_actor_does_not_keep_others_from_their_turn(void **state)
{
    fixture_t *const fixture = *state;
    for (int count = 0; count < LIMIT_ACTOR_TURN_MESSAGES + 5; count++) {
        assert_int_equal(send_note(fixture, 1, 1), RESULT_OK);
    }
    assert_int_equal(send_note(fixture, 2, 2), RESULT_OK);
    run_turns(fixture, 1);
    char expected[TRACE_SIZE] = "a1 a2 ";
    for (size_t count = 0; count < LIMIT_ACTOR_TURN_MESSAGES + 6; count++) {
        memcpy(expected + 6 + 3 * count, count == LIMIT_ACTOR_TURN_MESSAGES ? "r2 " : "r1 ", 4);
    }
    assert_string_equal(fixture->trace, expected);
}

static void one_turn_handles_a_bounded_number_of_messages(void **state)
{
    fixture_t *const fixture = *state;
    for (uint32_t id = 0; id < LIMIT_SCHEDULER_TURN_MESSAGES; id++) {
        assert_int_equal(send_to(fixture, "acme", id, 1), RESULT_OK);
        assert_int_equal(send_to(fixture, "acme", id, 1), RESULT_OK);
    }
    run_turns(fixture, 1); /* the activations */
    assert_int_equal(fixture->handled, 0);
    run_turns(fixture, 1);
    assert_int_equal(fixture->handled, LIMIT_SCHEDULER_TURN_MESSAGES);
    run_turns(fixture, 1);
    assert_int_equal(fixture->handled, 2 * LIMIT_SCHEDULER_TURN_MESSAGES);
}

static void least_recently_used_idle_actor_makes_room(void **state)
{
    fixture_t *const fixture = *state;
    limit_actors(fixture, 3);
    for (uint8_t id = 1; id <= 3; id++) {
        assert_int_equal(send_note(fixture, id, id), RESULT_OK);
    }
    run_turns(fixture, 1);
    assert_int_equal(send_note(fixture, 1, 10), RESULT_OK); /* now 2 is the oldest */
    run_turns(fixture, 1);
    assert_int_equal(send_note(fixture, 4, 40), RESULT_OK);
    run_turns(fixture, 1);
    assert_string_equal(fixture->trace, "a1 a2 a3 r1 r2 r3 r10 p2 a4 r40 ");
    assert_null(find_note(fixture, 2));
    assert_int_equal(numbers_of(fixture).active, 3);
    assert_int_equal(numbers_of(fixture).passivations, 1);
}

static void system_full_of_busy_actors_answers_busy(void **state)
{
    fixture_t *const fixture = *state;
    limit_actors(fixture, 2);
    assert_int_equal(send_note(fixture, 1, 1), RESULT_OK);
    assert_int_equal(send_note(fixture, 2, 2), RESULT_OK);
    assert_int_equal(send_note(fixture, 3, 3), RESULT_BUSY); /* both have messages */
    run_turns(fixture, 1);
    fixture->forbids_passivation = true;
    assert_int_equal(send_note(fixture, 3, 3), RESULT_BUSY); /* both are idle but needed */
    assert_int_equal(numbers_of(fixture).active, 2);
    fixture->forbids_passivation = false;
    assert_int_equal(send_note(fixture, 3, 3), RESULT_OK);
    run_turns(fixture, 1);
    assert_int_equal(numbers_of(fixture).active, 2);
}

static void activations_at_once_are_bounded_and_all_happen(void **state)
{
    fixture_t *const fixture = *state;
    enum { ACTORS = LIMIT_LOADS_IN_FLIGHT * 2 + 100 };
    fixture->activates_later = true;
    for (uint32_t id = 0; id < ACTORS; id++) {
        assert_int_equal(send_to(fixture, "acme", id, 5), RESULT_OK);
    }
    for (int round = 0; round < 20 && fixture->handled < ACTORS; round++) {
        run_turns(fixture, ACTORS / LIMIT_SCHEDULER_TURN_MESSAGES + 2);
        assert_true(fixture->held_count <= LIMIT_LOADS_IN_FLIGHT);
        activate_held(fixture);
    }
    assert_int_equal(fixture->held_max, LIMIT_LOADS_IN_FLIGHT);
    assert_int_equal(fixture->handled, ACTORS);
    assert_int_equal(numbers_of(fixture).active, ACTORS);
    assert_int_equal(numbers_of(fixture).activating, 0);
}

static void destroy_gives_back_what_waits_and_deactivates_what_is_active(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_note(fixture, 1, 1), RESULT_OK);
    run_turns(fixture, 1);
    assert_int_equal(send_note(fixture, 1, 2), RESULT_OK); /* active, waiting */
    fixture->activates_later = true;
    assert_int_equal(send_note(fixture, 2, 3), RESULT_OK);
    run_turns(fixture, 1);                                 /* 1 handles 2; 2 is activating */
    assert_int_equal(send_note(fixture, 3, 4), RESULT_OK); /* new */
    fixture->trace_size = 0;
    fixture->trace[0] = '\0';
    loop_hook_destroy(&fixture->hook);
    actor_system_destroy(&fixture->system);
    assert_int_equal(fixture->notes_alive, 0);
    assert_int_equal(fixture->states_alive, 0);
    assert_non_null(strstr(fixture->trace, "p1 "));
    assert_non_null(strstr(fixture->trace, "d3 p2 "));
    assert_non_null(strstr(fixture->trace, "d4 "));
    assert_null(strstr(fixture->trace, "p3 "));
}

static void many_actors_are_found_again(void **state)
{
    fixture_t *const fixture = *state;
    enum { ACTORS = 20000 };
    for (int round = 0; round < 2; round++) {
        for (uint32_t id = 0; id < ACTORS; id++) {
            assert_int_equal(send_to(fixture, "acme", id, 1), RESULT_OK);
        }
        run_turns(fixture, 3 * ACTORS / LIMIT_SCHEDULER_TURN_MESSAGES);
    }
    assert_int_equal(numbers_of(fixture).active, ACTORS);
    assert_int_equal(numbers_of(fixture).activations, ACTORS);
    assert_int_equal(fixture->handled, 2 * ACTORS);
}

#define ACTOR_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTOR_TEST(actor_is_activated_by_its_first_message_and_handles_all_in_order),
        ACTOR_TEST(actors_of_other_tenants_and_ids_are_others),
        ACTOR_TEST(messages_wait_while_the_actor_activates),
        ACTOR_TEST(failed_activation_gives_the_messages_back_and_forgets_the_actor),
        ACTOR_TEST(handler_may_take_its_message),
        ACTOR_TEST(failing_handler_drops_the_actor_and_later_messages_activate_it_anew),
        ACTOR_TEST(handler_may_drop_its_actor),
        ACTOR_TEST(drop_from_outside_acts_at_once_on_idle_and_waiting_actors),
        ACTOR_TEST(drop_while_activating_loads_the_state_once_more),
        ACTOR_TEST(message_to_itself_is_handled_after_the_running_one),
        ACTOR_TEST(full_mailbox_answers_busy_and_loses_nothing),
        ACTOR_TEST(busy_actor_does_not_keep_others_from_their_turn),
        ACTOR_TEST(one_turn_handles_a_bounded_number_of_messages),
        ACTOR_TEST(least_recently_used_idle_actor_makes_room),
        ACTOR_TEST(system_full_of_busy_actors_answers_busy),
        ACTOR_TEST(activations_at_once_are_bounded_and_all_happen),
        ACTOR_TEST(destroy_gives_back_what_waits_and_deactivates_what_is_active),
        ACTOR_TEST(many_actors_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
