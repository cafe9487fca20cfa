/* The loop: order of a turn, timers, posting, and clean ends. */
#include "runtime/clock.h"
#include "runtime/loop_internal.h"
#include "runtime/random.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
    loop_t *loop;
    loop_hook_t *hooks[4];
    loop_timer_t *timer;
    char trace[64];
    size_t trace_size;
    uint32_t count;
    uint64_t started_ms;
} fixture_t;

static void trace(fixture_t *fixture, char mark)
{
    if (fixture->trace_size < sizeof(fixture->trace) - 1) {
        fixture->trace[fixture->trace_size++] = mark;
        fixture->trace[fixture->trace_size] = '\0';
    }
}

static fixture_t fixture_create(void)
{
    fixture_t fixture = {0};
    assert_int_equal(loop_create(&fixture.loop), RESULT_OK);
    return fixture;
}

static void hook_a(void *context)
{
    trace(context, 'a');
}

static void hook_b(void *context)
{
    trace(context, 'b');
}

static void hook_actors(void *context)
{
    trace(context, '1');
}

static void hook_flush(void *context)
{
    trace(context, '9');
}

static void post_and_stop(void *context)
{
    fixture_t *const fixture = context;
    trace(fixture, 'p');
    loop_stop(fixture->loop);
}

static void loop_runs_hooks_by_phase_and_then_in_order_of_registration(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    fixture.hooks[0] = loop_hook_create_in(fixture.loop, LOOP_PHASE_FLUSH, hook_flush, &fixture);
    fixture.hooks[1] = loop_hook_create(fixture.loop, hook_a, &fixture);
    fixture.hooks[2] = loop_hook_create(fixture.loop, hook_b, &fixture);
    fixture.hooks[3] = loop_hook_create_in(fixture.loop, LOOP_PHASE_ACTORS, hook_actors, &fixture);
    loop_post(fixture.loop, post_and_stop, &fixture);
    loop_run(fixture.loop);
    assert_string_equal(fixture.trace, "1ab9p");
    for (size_t index = 0; index < 4; index++) {
        loop_hook_destroy(&fixture.hooks[index]);
        assert_null(fixture.hooks[index]);
    }
    loop_destroy(&fixture.loop);
    assert_null(fixture.loop);
}

static void hook_again(void *context)
{
    fixture_t *const fixture = context;
    fixture->count++;
    if (fixture->count < 5) {
        loop_again(fixture->loop);
        return;
    }
    loop_stop(fixture->loop);
}

static void loop_does_not_wait_when_a_hook_wants_another_turn(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    fixture.hooks[0] = loop_hook_create(fixture.loop, hook_again, &fixture);
    loop_run(fixture.loop); /* nothing else would ever wake it */
    assert_int_equal(fixture.count, 5);
    loop_hook_destroy(&fixture.hooks[0]);
    loop_destroy(&fixture.loop);
}

static void hook_destroys_itself_and_the_next(void *context)
{
    fixture_t *const fixture = context;
    trace(fixture, 'x');
    loop_hook_destroy(&fixture->hooks[0]);
    loop_hook_destroy(&fixture->hooks[1]);
}

static void loop_hook_may_destroy_itself_and_others(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    fixture.hooks[0] = loop_hook_create(fixture.loop, hook_destroys_itself_and_the_next, &fixture);
    fixture.hooks[1] = loop_hook_create(fixture.loop, hook_a, &fixture);
    fixture.hooks[2] = loop_hook_create(fixture.loop, hook_b, &fixture);
    loop_post(fixture.loop, post_and_stop, &fixture);
    loop_run(fixture.loop);
    assert_string_equal(fixture.trace, "xbp");
    loop_destroy(&fixture.loop); /* takes the hook that is left with it */
}

static void timer_counts(void *context)
{
    fixture_t *const fixture = context;
    fixture->count++;
    if (fixture->count == 3) {
        loop_timer_stop(fixture->timer);
        loop_stop(fixture->loop);
    }
}

static void loop_timer_repeats_and_never_fires_early(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    fixture.timer = loop_timer_create(fixture.loop, timer_counts, &fixture);
    const uint64_t begin_us = clock_monotonic_us();
    while (clock_monotonic_us() < begin_us + 5000) { /* the loop's own time is old by now */
    }
    const uint64_t started_us = clock_monotonic_us();
    loop_timer_start(fixture.timer, 10, 5);
    loop_run(fixture.loop);
    assert_int_equal(fixture.count, 3);
    assert_true(clock_monotonic_us() - started_us >= 18000); /* libuv counts whole ms */
    loop_timer_destroy(&fixture.timer);
    loop_destroy(&fixture.loop);
}

static void timer_destroys_itself(void *context)
{
    fixture_t *const fixture = context;
    loop_timer_destroy(&fixture->timer);
    loop_stop(fixture->loop);
}

static void loop_timer_may_destroy_itself(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    fixture.timer = loop_timer_create(fixture.loop, timer_destroys_itself, &fixture);
    loop_timer_start(fixture.timer, 0, 0);
    loop_run(fixture.loop);
    assert_null(fixture.timer);
    loop_destroy(&fixture.loop);
}

enum { POSTS = 20000, POSTERS = 4 };

static void post_counts(void *context)
{
    fixture_t *const fixture = context;
    fixture->count++;
    if (fixture->count == POSTS * POSTERS) {
        loop_stop(fixture->loop);
    }
}

static void *post_from_thread(void *context)
{
    fixture_t *const fixture = context;
    for (int count = 0; count < POSTS; count++) {
        loop_post(fixture->loop, post_counts, fixture);
    }
    return NULL;
}

static void loop_runs_every_post_of_every_thread_once(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    pthread_t threads[POSTERS];
    for (int index = 0; index < POSTERS; index++) {
        assert_int_equal(pthread_create(&threads[index], NULL, post_from_thread, &fixture), 0);
    }
    loop_run(fixture.loop);
    for (int index = 0; index < POSTERS; index++) {
        pthread_join(threads[index], NULL);
    }
    assert_int_equal(fixture.count, POSTS * POSTERS);
    loop_destroy(&fixture.loop);
}

enum { WAKE_UPS = 5000 };

typedef struct sleeper {
    fixture_t fixture;
    loop_post_node_t node;
    sem_t ran;
} sleeper_t;

static void post_tells(void *context)
{
    sleeper_t *const sleeper = context;
    sleeper->fixture.count++;
    sem_post(&sleeper->ran);
    if (sleeper->fixture.count == WAKE_UPS) {
        loop_stop(sleeper->fixture.loop);
    }
}

static void *post_one_after_the_other(void *context)
{
    sleeper_t *const sleeper = context;
    for (int count = 0; count < WAKE_UPS; count++) {
        loop_post_node(sleeper->fixture.loop, &sleeper->node);
        sem_wait(&sleeper->ran);
    }
    return NULL;
}

/* Each post meets the loop at another point of its way back to sleep; one that does not wake it
 * leaves both waiting for ever. */
static void loop_that_goes_to_sleep_misses_no_post(void **state)
{
    (void)state;
    sleeper_t sleeper = {.fixture = fixture_create()};
    sleeper.node = (loop_post_node_t){.callback = post_tells, .context = &sleeper};
    assert_int_equal(sem_init(&sleeper.ran, 0, 0), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_one_after_the_other, &sleeper), 0);
    loop_run(sleeper.fixture.loop);
    pthread_join(thread, NULL);
    assert_int_equal(sleeper.fixture.count, WAKE_UPS);
    sem_destroy(&sleeper.ran);
    loop_destroy(&sleeper.fixture.loop);
}

static void loop_forgets_posts_that_were_never_run(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    loop_post(fixture.loop, post_counts, &fixture);
    loop_destroy(&fixture.loop);
    assert_int_equal(fixture.count, 0);
}

static void loop_post_node_runs_once_however_often_it_is_posted(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    loop_post_node_t node = {.callback = post_counts, .context = &fixture};
    loop_post_node_t cancelled = {.callback = post_counts, .context = &fixture};
    loop_post_node(fixture.loop, &node);
    loop_post_node(fixture.loop, &cancelled);
    loop_post_node(fixture.loop, &node);
    loop_post_cancel(fixture.loop, &cancelled);
    loop_post(fixture.loop, post_and_stop, &fixture);
    loop_run(fixture.loop);
    assert_int_equal(fixture.count, 1);
    loop_post_node(fixture.loop, &node);
    loop_post(fixture.loop, post_and_stop, &fixture);
    loop_run(fixture.loop);
    assert_int_equal(fixture.count, 2);
    loop_destroy(&fixture.loop);
}

static void loop_destroy_closes_handles_left_by_others(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    uv_timer_t forgotten;
    assert_int_equal(uv_timer_init(loop_uv(fixture.loop), &forgotten), 0);
    loop_destroy(&fixture.loop);
    assert_null(fixture.loop);
    loop_destroy(&fixture.loop); /* nothing to destroy is fine */
}

static void loop_zmq_context_is_one_for_all_loops_and_comes_back(void **state)
{
    (void)state;
    fixture_t first = fixture_create();
    fixture_t second = fixture_create();
    void *const context = loop_zmq_context(first.loop);
    assert_non_null(context);
    assert_ptr_equal(loop_zmq_context(second.loop), context);
    loop_destroy(&first.loop);
    assert_ptr_equal(loop_zmq_context(second.loop), context);
    loop_destroy(&second.loop);
    fixture_t third = fixture_create();
    assert_non_null(loop_zmq_context(third.loop));
    loop_destroy(&third.loop);
}

static void clock_and_random_behave(void **state)
{
    (void)state;
    const uint64_t first_us = clock_monotonic_us();
    assert_true(clock_monotonic_us() >= first_us);
    assert_true(clock_wall_ms() > 1700000000000);
    uint8_t bytes[32] = {0};
    uint8_t others[32] = {0};
    random_fill(bytes, sizeof(bytes));
    random_fill(others, sizeof(others));
    assert_memory_not_equal(bytes, others, sizeof(bytes));
    for (int count = 0; count < 1000; count++) {
        assert_true(random_below(7) < 7);
    }
    assert_int_equal(random_below(1), 0);
}

static void clock_text_is_rfc_3339_in_utc(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_SIZE];
    assert_int_equal(clock_text(0, text), strlen("1970-01-01T00:00:00.000Z"));
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    (void)clock_text(1709164799007, text); /* a leap day's eve */
    assert_string_equal(text, "2024-02-28T23:59:59.007Z");
    (void)clock_text(253402300799999, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_runs_hooks_by_phase_and_then_in_order_of_registration),
        cmocka_unit_test(loop_does_not_wait_when_a_hook_wants_another_turn),
        cmocka_unit_test(loop_hook_may_destroy_itself_and_others),
        cmocka_unit_test(loop_timer_repeats_and_never_fires_early),
        cmocka_unit_test(loop_timer_may_destroy_itself),
        cmocka_unit_test(loop_runs_every_post_of_every_thread_once),
        cmocka_unit_test(loop_that_goes_to_sleep_misses_no_post),
        cmocka_unit_test(loop_forgets_posts_that_were_never_run),
        cmocka_unit_test(loop_post_node_runs_once_however_often_it_is_posted),
        cmocka_unit_test(loop_destroy_closes_handles_left_by_others),
        cmocka_unit_test(loop_zmq_context_is_one_for_all_loops_and_comes_back),
        cmocka_unit_test(clock_and_random_behave),
        cmocka_unit_test(clock_text_is_rfc_3339_in_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
