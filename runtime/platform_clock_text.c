/* Times as people read them. Apart from the clock, so that a test or a simulator can replace that
 * alone. */
#include "runtime/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

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
