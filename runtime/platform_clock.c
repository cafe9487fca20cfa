/* The clock of the operating system. Nothing else reads it outside adapters/. */
#include "runtime/clock.h"

#include <assert.h>
#include <time.h>

static struct timespec clock_read(clockid_t clock)
{
    struct timespec now;
    const int failed = clock_gettime(clock, &now);
    assert(failed == 0); /* both clocks exist on every Linux */
    return now;
}

int64_t clock_wall_ms(void)
{
    const struct timespec now = clock_read(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_us(void)
{
    const struct timespec now = clock_read(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}
