/* Time comes from here, so that a simulator can stand in for it. */
#ifndef RUNTIME_CLOCK_H
#define RUNTIME_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* ms since 1970 UTC; may jump */
uint64_t clock_monotonic_us(
    void); /* since some start; never goes back; same for all processes of a machine */
static inline uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

#endif
