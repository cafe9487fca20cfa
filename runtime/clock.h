/* Time comes from here, so that a simulator can stand in for it. */
#ifndef RUNTIME_CLOCK_H
#define RUNTIME_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void); /* ms since 1970 UTC; may jump */
uint64_t clock_monotonic_us(
    void); /* since some start; never goes back; same for all processes of a machine */
static inline uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

enum { CLOCK_TEXT_SIZE = 40 }; /* "2026-01-02T03:04:05.678Z" and room for years nobody will see */
/* `wall_ms` (not negative) as RFC 3339 in UTC with milliseconds, ended by NUL; returns its length.
 */
size_t clock_text(int64_t wall_ms, char text[CLOCK_TEXT_SIZE]);

#endif
