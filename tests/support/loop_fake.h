/* runtime/loop.h for tests, without libuv and without a clock: time stands still until it is moved,
 * and a turn runs when the test says so. Link loop_fake.c into the test program: it takes the place
 * of platform_loop.c. Sources (ZeroMQ) are not supported. */
#ifndef TESTS_SUPPORT_LOOP_FAKE_H
#define TESTS_SUPPORT_LOOP_FAKE_H

#include "runtime/loop.h"

/* One turn: timers that are due, posted work, hooks. */
void loop_fake_turn(loop_t *loop);
/* Turns until nothing is posted and no hook asks for more. */
void loop_fake_settle(loop_t *loop);
/* Moves time on, from timer to timer, and settles after each. */
void loop_fake_advance(loop_t *loop, uint64_t milliseconds);
/* Moves time on at once: a loop that was held up. Nothing runs. */
void loop_fake_jump(loop_t *loop, uint64_t milliseconds);

#endif
