/* The clock of the operating system. Nothing else reads it outside adapters/. */
#include "runtime/clock.h"

#include <assert.h>
#include <stdio.h>
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

size_t clock_text(int64_t wall_ms, char text[CLOCK_TEXT_SIZE])
{
    assert(wall_ms >= 0);
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    const struct tm *const is_filled = gmtime_r(&seconds, &utc);
    assert(is_filled != NULL);
    const int size = snprintf(text, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                              utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                              utc.tm_min, utc.tm_sec, (int)(wall_ms % 1000));
    assert(size > 0);
    assert(size < CLOCK_TEXT_SIZE);
    return (size_t)size;
}
