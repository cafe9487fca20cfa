/* Which clock is believed, and when. */
#include "actors/shard/clock_guard.h"
#include "runtime/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WALL INT64_C(1800000000000)
#define YEAR_MS INT64_C(31536000000)
enum { START_MS = 5000 };

static clock_guard_t guard_started(void)
{
    clock_guard_t guard = {0};
    assert_int_equal(clock_guard_look(&guard, WALL, START_MS), CLOCK_UNCHANGED);
    assert_false(guard.is_held);
    return guard;
}

static void clocks_that_go_on_together_are_believed(void **state)
{
    (void)state;
    clock_guard_t guard = guard_started();
    assert_int_equal(clock_guard_look(&guard, WALL + YEAR_MS, START_MS + (uint64_t)YEAR_MS),
                     CLOCK_UNCHANGED);
    assert_false(guard.is_held);
}

static void small_steps_are_believed_and_add_up(void **state)
{
    (void)state;
    clock_guard_t guard = guard_started();
    const int64_t most = WALL + LIMIT_CLOCK_JUMP_MS;
    assert_int_equal(clock_guard_look(&guard, most, START_MS), CLOCK_UNCHANGED);
    assert_int_equal(clock_guard_look(&guard, most + 1, START_MS), CLOCK_RAN_AHEAD);
    assert_true(guard.is_held);
}

static void clock_that_comes_back_is_believed_at_once(void **state)
{
    (void)state;
    clock_guard_t guard = guard_started();
    assert_int_equal(clock_guard_look(&guard, WALL + YEAR_MS, START_MS), CLOCK_RAN_AHEAD);
    assert_int_equal(clock_guard_look(&guard, WALL + YEAR_MS + 9, START_MS + 9), CLOCK_UNCHANGED);
    assert_true(guard.is_held);
    assert_int_equal(clock_guard_look(&guard, WALL + 10, START_MS + 10), CLOCK_CAME_BACK);
    assert_false(guard.is_held);
}

static void clock_that_stays_is_believed_in_the_end(void **state)
{
    (void)state;
    clock_guard_t guard = guard_started();
    assert_int_equal(clock_guard_look(&guard, WALL + YEAR_MS, START_MS), CLOCK_RAN_AHEAD);
    const int64_t hold_ms = LIMIT_CLOCK_HOLD_MS;
    assert_int_equal(clock_guard_look(&guard, WALL + YEAR_MS + hold_ms - 1, START_MS + hold_ms - 1),
                     CLOCK_UNCHANGED);
    assert_true(guard.is_held);
    assert_int_equal(clock_guard_look(&guard, WALL + YEAR_MS + hold_ms, START_MS + hold_ms),
                     CLOCK_STAYED);
    assert_false(guard.is_held);
}

static void clock_that_runs_on_begins_its_time_anew(void **state)
{
    (void)state;
    clock_guard_t guard = guard_started();
    const int64_t half_ms = LIMIT_CLOCK_HOLD_MS / 2;
    assert_int_equal(clock_guard_look(&guard, WALL + YEAR_MS, START_MS), CLOCK_RAN_AHEAD);
    assert_int_equal(clock_guard_look(&guard, WALL + 2 * YEAR_MS, START_MS + half_ms),
                     CLOCK_RAN_AHEAD);
    assert_int_equal(clock_guard_look(&guard, WALL + 2 * YEAR_MS + half_ms, START_MS + 2 * half_ms),
                     CLOCK_UNCHANGED);
    assert_true(guard.is_held);
}

static void after_a_step_back_the_lower_clock_counts(void **state)
{
    (void)state;
    clock_guard_t guard = guard_started();
    assert_int_equal(clock_guard_look(&guard, WALL - YEAR_MS, START_MS), CLOCK_UNCHANGED);
    assert_int_equal(clock_guard_look(&guard, WALL, START_MS), CLOCK_RAN_AHEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_that_go_on_together_are_believed),
        cmocka_unit_test(small_steps_are_believed_and_add_up),
        cmocka_unit_test(clock_that_comes_back_is_believed_at_once),
        cmocka_unit_test(clock_that_stays_is_believed_in_the_end),
        cmocka_unit_test(clock_that_runs_on_begins_its_time_anew),
        cmocka_unit_test(after_a_step_back_the_lower_clock_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
