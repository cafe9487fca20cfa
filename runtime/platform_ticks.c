/* The processor's time stamp where there is one that runs evenly (x86), else the system's clock. */
#include "runtime/ticks.h"

#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static uint64_t nanoseconds(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
uint64_t ticks_now(void)
{
    return __rdtsc();
}

uint64_t ticks_per_us(void)
{
    enum { SPIN_NS = 200000 };
    const uint64_t begin_ns = nanoseconds();
    const uint64_t begin = __rdtsc();
    uint64_t end_ns = begin_ns;
    while (end_ns - begin_ns < SPIN_NS) { /* the clock runs */
        end_ns = nanoseconds();
    }
    const uint64_t ticks = (__rdtsc() - begin) * 1000 / (end_ns - begin_ns);
    return ticks == 0 ? 1 : ticks;
}
#else
uint64_t ticks_now(void)
{
    return nanoseconds();
}

uint64_t ticks_per_us(void)
{
    return 1000;
}
#endif
