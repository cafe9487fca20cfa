/* The wheel against a plain list, over all its levels. */
#include "runtime/timer_wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { ENTRIES = 2000 };

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void timers_of_every_distance_fire_when_they_are_due(void **state)
{
    (void)state;
    static const uint64_t distances[] = {0,    1,     63,     64,      65,        4095,
                                         4096, 99999, 262144, 3600000, 100000000, 3000000000};
    for (uint64_t start = 0; start < 5000000; start += 1234567) {
        for (uint64_t index = 0; index < sizeof(distances) / sizeof(distances[0]); index++) {
            timer_wheel_t wheel;
            timer_wheel_init(&wheel, start);
            timer_entry_t entry = {0};
            timer_wheel_start(&wheel, &entry, start + distances[index]);
            const uint64_t due = entry.due_ms;
            assert_true(timer_wheel_next_ms(&wheel) <= due);
            assert_null(timer_wheel_take_due(&wheel, due - 1));
            assert_ptr_equal(timer_wheel_take_due(&wheel, due), &entry);
            assert_null(timer_wheel_take_due(&wheel, due));
            assert_false(timer_entry_is_started(&entry));
            assert_int_equal(timer_wheel_next_ms(&wheel), UINT64_MAX);
        }
    }
}

static void wheel_agrees_with_a_list(void **state)
{
    (void)state;
    static timer_entry_t entries[ENTRIES];
    timer_wheel_t wheel;
    uint64_t seed = 42;
    uint64_t now = 1000003;
    timer_wheel_init(&wheel, now);
    for (uint32_t step = 0; step < 20000; step++) {
        timer_entry_t *const entry = &entries[next_random(&seed) % ENTRIES];
        if (timer_entry_is_started(entry)) {
            timer_wheel_cancel(&wheel, entry);
            timer_wheel_cancel(&wheel, entry);
        } else {
            timer_wheel_start(&wheel, entry, now + next_random(&seed) % (1U << (step % 24)));
        }
        now += next_random(&seed) % 50;
        for (timer_entry_t *due = timer_wheel_take_due(&wheel, now); due != NULL;
             due = timer_wheel_take_due(&wheel, now)) {
            assert_true(due->due_ms <= now);
        }
        uint64_t count = 0;
        for (uint32_t index = 0; index < ENTRIES && step % 100 == 0; index++) {
            if (timer_entry_is_started(&entries[index])) {
                assert_true(entries[index].due_ms > now); /* nothing due was left */
                count++;
            }
        }
        assert_true(step % 100 != 0 || count == wheel.count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_of_every_distance_fire_when_they_are_due),
        cmocka_unit_test(wheel_agrees_with_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
