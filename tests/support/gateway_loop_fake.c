/* See gateway_loop_fake.h. */
#include "tests/support/gateway_loop_fake.h"
#include "messages/rfc3339.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdlib.h>

enum { TIMERS_MAX = 16 };

struct loop_timer {
    loop_callback_t *callback;
    void *context;
    bool is_started;
    uint64_t due_ms;
    uint64_t repeat_ms;
};

static loop_timer_t *timers[TIMERS_MAX];
static uint64_t now_ms = 1000000;
static int64_t wall_ms = INT64_C(1790000000000);
static uint8_t random_state = 7;

loop_t *loop_fake(void)
{
    return (loop_t *)&now_ms;
}

void loop_fake_reset(void)
{
    now_ms = 1000000;
    wall_ms = INT64_C(1790000000000);
}

void loop_fake_set_wall_ms(int64_t value)
{
    wall_ms = value;
}

int64_t loop_fake_wall_ms(void)
{
    return wall_ms;
}

uint32_t loop_fake_timer_count(void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < TIMERS_MAX; i++) {
        count += timers[i] != NULL ? 1U : 0U;
    }
    return count;
}

static void run_due(void)
{
    for (size_t i = 0; i < TIMERS_MAX; i++) {
        loop_timer_t *timer = timers[i];
        if (timer != NULL && timer->is_started && timer->due_ms <= now_ms) {
            timer->is_started = timer->repeat_ms > 0;
            timer->due_ms = now_ms + timer->repeat_ms;
            timer->callback(timer->context);
        }
    }
}

void loop_fake_stall(uint64_t milliseconds)
{
    now_ms += milliseconds;
    wall_ms += (int64_t)milliseconds;
}

void loop_fake_advance(uint64_t milliseconds)
{
    run_due();
    for (uint64_t i = 0; i < milliseconds; i++) {
        loop_fake_stall(1);
        run_due();
    }
}

uint64_t loop_now_ms(const loop_t *loop)
{
    (void)loop;
    return now_ms;
}

loop_timer_t *loop_timer_create(loop_t *loop, loop_callback_t *callback, void *context)
{
    assert(loop == loop_fake());
    loop_timer_t *timer = calloc(1, sizeof(*timer));
    assert(timer != NULL);
    timer->callback = callback;
    timer->context = context;
    size_t place = 0;
    while (timers[place] != NULL) {
        place += 1;
        assert(place < TIMERS_MAX);
    }
    timers[place] = timer;
    return timer;
}

void loop_timer_destroy(loop_timer_t **timer)
{
    for (size_t i = 0; i < TIMERS_MAX; i++) {
        if (timers[i] == *timer) {
            timers[i] = NULL;
        }
    }
    free(*timer);
    *timer = NULL;
}

void loop_timer_start(loop_timer_t *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
    timer->is_started = true;
    timer->due_ms = now_ms + delay_ms;
    timer->repeat_ms = repeat_ms;
}

void loop_timer_stop(loop_timer_t *timer)
{
    timer->is_started = false;
}

int64_t clock_wall_ms(void)
{
    return wall_ms;
}

uint64_t clock_monotonic_us(void)
{
    return now_ms * 1000;
}

size_t clock_text(int64_t at_ms, char text[CLOCK_TEXT_SIZE])
{
    rfc3339_format(at_ms, text);
    text[RFC3339_TEXT_SIZE] = '\0';
    return RFC3339_TEXT_SIZE;
}

void random_fill(void *out, size_t size)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < size; i++) {
        random_state = (uint8_t)(random_state * 5U + 3U);
        bytes[i] = random_state;
    }
}

uint32_t random_below(uint32_t bound)
{
    assert(bound > 0);
    uint8_t byte = 0;
    random_fill(&byte, 1);
    return byte % bound;
}
