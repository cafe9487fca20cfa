/* References, questions, timers, watching, room, and what becomes of them when actors end. */
#include "tests/unit/actor_support.h"

#include <stdio.h>

static void reference_of_an_actor_that_ended_is_refused_when_its_place_is_taken(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t first = probes_spawn(probes, 1, NULL, NULL);
    probes_run(probes, first, probe_stops);
    assert_int_equal(probes_note(probes, first), RESULT_MISSING);
    const actor_ref_t second = probes_spawn(probes, 2, NULL, NULL);
    assert_int_equal(first.index, second.index);
    assert_false(actor_ref_equals(first, second));
    assert_int_equal(probes_note(probes, first), RESULT_MISSING);
    assert_int_equal(probes_note(probes, second), RESULT_OK);
    assert_null(actor_system_get(probes->system, first));
    assert_non_null(actor_system_get(probes->system, second));
    assert_int_equal(probes_note(probes, ACTOR_REF_NONE), RESULT_MISSING);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:begins 1:ends 2:begins 2:note ");
}

static uint64_t dead_letters(const probes_t *probes, const char *reason)
{
    char labels[64];
    (void)snprintf(labels, sizeof(labels), "kind=\"probe\",reason=\"%s\"", reason);
    return metric_value(
        metrics_counter(probes->metrics, "digitalcard_actor_dead_letters_total", labels, ""));
}

static void messages_of_an_actor_that_stops_come_back(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    assert_int_equal(probes_send(probes, ref, probe_stops), RESULT_OK);
    assert_int_equal(probes_note(probes, ref), RESULT_OK);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:begins 1:back(missing) 1:ends ");
    assert_int_equal(dead_letters(probes, "undeliverable"), 1);
}

/* --- Questions --- */

static result_t ask_other(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    actor_message_t *question = probes_message(probes, MESSAGE_NOTE);
    return actor_ask(self, probes->other, &question, 500, &probes->number);
}

static result_t take(actor_t *self, actor_message_t *message, probes_t *probes)
{
    assert_true((message->flags & ACTOR_MESSAGE_REQUEST) != 0);
    probes->taken = actor_take_message(self);
    return RESULT_OK;
}

/* A question whose handler takes it. */
static result_t ask_taker(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    probe_run_t *const run = take;
    actor_message_t *question = probes_message(probes, MESSAGE_RUN);
    memcpy(actor_message_payload(question), &run, sizeof(run));
    return actor_ask(self, probes->other, &question, 500, &probes->number);
}

static result_t answer_taken(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    actor_message_t *answer = probes_message(probes, MESSAGE_NOTE);
    const result_t result = actor_reply(self, probes->taken, &answer);
    probes_trace(probes, "reply(%s) ", result_code(result));
    assert_true((answer == NULL) == (result == RESULT_OK));
    actor_message_destroy(probes->system, &answer);
    return RESULT_OK;
}

static result_t cancel_number(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    actor_cancel(self, probes->number);
    return RESULT_OK;
}

static actor_ref_t asker_and_other(probes_t *probes)
{
    const actor_ref_t asker = probes_spawn(probes, 1, NULL, NULL);
    probes->other = probes_spawn(probes, 2, NULL, NULL);
    loop_fake_settle(probes->loop);
    probes->trace_size = 0;
    probes->trace[0] = 0;
    return asker;
}

static void question_gets_its_answer_once(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t asker = asker_and_other(probes);
    probes_run(probes, asker, ask_taker);
    probes_run(probes, probes->other, answer_taken);
    probes_run(probes, probes->other, answer_taken);
    loop_fake_advance(probes->loop, 1000);
    assert_string_equal(probes->trace, "reply(ok) 1:answer reply(missing) ");
}

static void question_without_answer_ends_at_its_deadline(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t asker = asker_and_other(probes);
    probes_run(probes, asker, ask_taker);
    loop_fake_advance(probes->loop, 499);
    assert_string_equal(probes->trace, "");
    loop_fake_advance(probes->loop, 2);
    probes_run(probes, probes->other, answer_taken);
    assert_string_equal(probes->trace, "1:unanswered(deadline_exceeded) reply(missing) ");
}

static void cancelled_question_is_neither_handled_nor_answered(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t asker = asker_and_other(probes);
    assert_int_equal(probes_send(probes, asker, ask_other), RESULT_OK);
    assert_int_equal(probes_send(probes, asker, cancel_number), RESULT_OK);
    loop_fake_advance(probes->loop, 1000); /* both run before the other's turn */
    assert_string_equal(probes->trace, "");
    assert_int_equal(dead_letters(probes, "not_awaited"), 1);
    probes_run(probes, asker, ask_taker);
    probes_run(probes, asker, cancel_number);
    probes_run(probes, probes->other, answer_taken);
    loop_fake_advance(probes->loop, 1000);
    assert_string_equal(probes->trace, "reply(missing) ");
}

static result_t ask_and_stop_other(actor_t *self, actor_message_t *message, probes_t *probes)
{
    actor_t *const other = actor_system_get(probes->system, probes->other);
    const result_t result = ask_other(self, message, probes);
    actor_stop(other);
    return result;
}

static void question_to_an_actor_that_ends_is_told_so_at_once(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t asker = asker_and_other(probes);
    probes_run(probes, asker, ask_and_stop_other);
    assert_string_equal(probes->trace, "2:back(missing) 2:ends 1:unanswered(missing) ");
}

/* --- Timers --- */

static result_t start_timer(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    return actor_timer_start(self, 100, 0, &probes->number);
}

static result_t start_periodic(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    return actor_timer_start(self, 10, 10, &probes->number);
}

static void timer_fires_once_when_it_is_due(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    probes_run(probes, ref, start_timer);
    loop_fake_advance(probes->loop, 99);
    assert_string_equal(probes->trace, "");
    loop_fake_advance(probes->loop, 1);
    assert_string_equal(probes->trace, "1:timer*1 ");
    loop_fake_advance(probes->loop, 1000);
    assert_string_equal(probes->trace, "1:timer*1 ");
}

static void cancelled_timer_does_not_fire(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    probes_run(probes, ref, start_timer);
    probes_run(probes, ref, cancel_number);
    probes_run(probes, ref, cancel_number); /* twice does nothing */
    loop_fake_advance(probes->loop, 1000);
    assert_string_equal(probes->trace, "");
}

static void periodic_timer_goes_on_until_cancelled(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    probes_run(probes, ref, start_periodic);
    loop_fake_advance(probes->loop, 30);
    assert_string_equal(probes->trace, "1:timer*1 1:timer*1 1:timer*1 ");
    probes_run(probes, ref, cancel_number);
    loop_fake_advance(probes->loop, 100);
    assert_string_equal(probes->trace, "1:timer*1 1:timer*1 1:timer*1 ");
}

/* The loop stood still for 55 ms: time moves without turns in between. */
static void missed_ticks_are_merged_into_one(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    probes_run(probes, ref, start_periodic);
    loop_fake_jump(probes->loop, 55);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:timer*5 ");
    loop_fake_advance(probes->loop, 5);
    assert_string_equal(probes->trace, "1:timer*5 1:timer*1 ");
}

static result_t start_endless(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    uint64_t other = 0;
    assert_int_equal(actor_timer_start(self, UINT64_MAX, 0, &other), RESULT_OK);
    return actor_timer_start(self, 10, UINT64_MAX, &probes->number); /* once, and never again */
}

static void timers_beyond_the_end_of_time_never_fire(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    probes_run(probes, ref, start_endless);
    loop_fake_advance(probes->loop, 1000);
    assert_string_equal(probes->trace, "1:timer*1 ");
    loop_fake_jump(probes->loop, UINT64_C(400) * 86400000); /* the wheel turns many times */
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:timer*1 ");
}

static void timers_end_with_their_actor(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    probes_run(probes, ref, start_timer);
    probes_run(probes, ref, probe_stops);
    loop_fake_advance(probes->loop, 1000);
    assert_string_equal(probes->trace, "1:ends ");
}

/* --- Watching and room --- */

static result_t watch_other(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    return actor_watch(self, probes->other, &probes->number);
}

static void watcher_is_told_of_the_end_once(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t watcher = asker_and_other(probes);
    probes_run(probes, watcher, watch_other);
    probes_run(probes, probes->other, probe_stops);
    assert_string_equal(probes->trace, "2:ends 1:ended(ok) ");
    probes_run(probes, watcher, watch_other); /* it has ended already */
    assert_string_equal(probes->trace, "2:ends 1:ended(ok) 1:ended(missing) ");
}

static void watcher_learns_why_a_failed_actor_ended(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t watcher = asker_and_other(probes);
    probes->directive = ACTOR_DIRECTIVE_STOP;
    probes_run(probes, watcher, watch_other);
    probes_run(probes, probes->other, probe_fails);
    assert_string_equal(probes->trace, "2:fails 2:ends 1:ended(internal_error) ");
}

static void watching_ends_with_the_watcher(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t watcher = asker_and_other(probes);
    probes_run(probes, watcher, watch_other);
    probes_run(probes, watcher, probe_stops);
    probes_run(probes, probes->other, probe_stops);
    assert_string_equal(probes->trace, "1:ends 2:ends ");
}

static result_t fill_and_wait(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    result_t result = RESULT_OK;
    while (result == RESULT_OK) { /* until its mailbox is full */
        actor_message_t *sent = probes_message(probes, MESSAGE_NOTE);
        result = actor_tell(self, probes->other, &sent);
        probes->number += result == RESULT_OK ? 1 : 0;
        actor_message_destroy(probes->system, &sent);
    }
    assert_int_equal(result, RESULT_BUSY);
    return actor_wait_for_room(self, probes->other);
}

static void sender_to_a_full_mailbox_is_told_when_there_is_room(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t sender = asker_and_other(probes);
    assert_int_equal(probes_send(probes, sender, fill_and_wait), RESULT_OK);
    loop_fake_settle(probes->loop);
    assert_int_equal(probes->number, 100);
    const char *const room = strstr(probes->trace, "1:room(ok) ");
    assert_non_null(room);
    assert_int_equal((room - probes->trace) / 7 >= 50, true); /* "2:note ": half is handled */
    assert_int_equal(probes->handled, 102);
}

static result_t yield(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    (void)probes;
    return actor_yield(self);
}

static void yielding_actor_comes_after_what_waits(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    assert_int_equal(probes_send(probes, ref, yield), RESULT_OK);
    assert_int_equal(probes_note(probes, ref), RESULT_OK);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:note 1:again(ok) ");
}

/* Each is told at once, and cancelled when it waits already: then nobody owns it. */
static void messages_of_the_system_are_bounded_for_one_actor(void **state)
{
    probes_t *const probes = *state;
    actor_t *const actor = actor_system_get(probes->system, asker_and_other(probes));
    uint32_t count = 0;
    while (actor_watch(actor, ACTOR_REF_NONE, &probes->number) == RESULT_OK) {
        actor_cancel(actor, probes->number);
        count++;
        assert_true(count <= 2 * LIMIT_ACTOR_NOTICES_OWNED);
    }
    assert_true(count >= LIMIT_ACTOR_NOTICES_OWNED);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "");
    assert_int_equal(actor_watch(actor, ACTOR_REF_NONE, &probes->number), RESULT_OK);
}

static void one_actor_owns_a_bounded_number_of_notices(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = asker_and_other(probes);
    actor_t *const actor = actor_system_get(probes->system, ref);
    for (int count = 0; count < LIMIT_ACTOR_NOTICES_OWNED; count++) {
        assert_int_equal(actor_timer_start(actor, 100000, 0, &probes->number), RESULT_OK);
    }
    assert_int_equal(actor_timer_start(actor, 1, 0, &probes->number), RESULT_NO_MEMORY);
    actor_cancel(actor, probes->number);
    assert_int_equal(actor_timer_start(actor, 1, 0, &probes->number), RESULT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(reference_of_an_actor_that_ended_is_refused_when_its_place_is_taken),
        PROBE_TEST(messages_of_an_actor_that_stops_come_back),
        PROBE_TEST(question_gets_its_answer_once),
        PROBE_TEST(question_without_answer_ends_at_its_deadline),
        PROBE_TEST(cancelled_question_is_neither_handled_nor_answered),
        PROBE_TEST(question_to_an_actor_that_ends_is_told_so_at_once),
        PROBE_TEST(timer_fires_once_when_it_is_due),
        PROBE_TEST(cancelled_timer_does_not_fire),
        PROBE_TEST(periodic_timer_goes_on_until_cancelled),
        PROBE_TEST(missed_ticks_are_merged_into_one),
        PROBE_TEST(timers_beyond_the_end_of_time_never_fire),
        PROBE_TEST(timers_end_with_their_actor),
        PROBE_TEST(watcher_is_told_of_the_end_once),
        PROBE_TEST(watcher_learns_why_a_failed_actor_ended),
        PROBE_TEST(watching_ends_with_the_watcher),
        PROBE_TEST(sender_to_a_full_mailbox_is_told_when_there_is_room),
        PROBE_TEST(yielding_actor_comes_after_what_waits),
        PROBE_TEST(messages_of_the_system_are_bounded_for_one_actor),
        PROBE_TEST(one_actor_owns_a_bounded_number_of_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
