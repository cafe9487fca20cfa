/* Loop, clocks and randomness that stand still until a test moves them: the functions of
 * runtime/loop.h, clock.h and random.h that gateway and relay call. For one loop per program. */
#ifndef TESTS_SUPPORT_GATEWAY_LOOP_FAKE_H
#define TESTS_SUPPORT_GATEWAY_LOOP_FAKE_H

#include "runtime/loop.h"

/* Any pointer serves as the loop. */
loop_t *loop_fake(void);
/* Time as of a test's start; forgets nothing else. */
void loop_fake_reset(void);
void loop_fake_set_wall_ms(int64_t wall_ms);
int64_t loop_fake_wall_ms(void);
/* Moves all clocks and runs the timers that are due, in order of time, a millisecond at a time. */
void loop_fake_advance(uint64_t milliseconds);
/* Moves the clocks without running a timer: a loop that was stuck. */
void loop_fake_stall(uint64_t milliseconds);
uint32_t loop_fake_timer_count(void);

#endif
