/* A counter that costs a few nanoseconds to read, for budgets of handlers: not for deadlines and
 * not comparable between machines. Apart from the clock so that tests and the simulator replace it
 * alone. */
#ifndef RUNTIME_TICKS_H
#define RUNTIME_TICKS_H

#include <stdint.h>

uint64_t ticks_now(void);
/* Takes 200 µs to find out. At least 1. */
uint64_t ticks_per_us(void);

#endif
