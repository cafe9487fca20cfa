/* A time counts only when what was computed in it is right. */
#include "bench/actors/actors.h"

#include <inttypes.h>

bool bench_actors_check(const bench_yardstick_t *yardstick, uint64_t count, int64_t result,
                        FILE *complaints)
{
    const int64_t expected = yardstick->expected(count);
    if (result != expected) {
        (void)fprintf(complaints, "digitalcard-bench: %s gave %" PRId64 " instead of %" PRId64 "\n",
                      yardstick->name, result, expected);
    }
    return result == expected;
}
