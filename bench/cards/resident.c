/* Real cards in memory: issued through the shard (member, name, tier, activated), none passivated;
 * what the process grew by, for each. The journal keeps nothing, so that only actors are counted.
 */
#include "bench/bench.h"
#include "bench/cards/card_bench.h"

#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>

int card_bench_resident(const card_bench_options_t *options)
{
    card_bench_t bench = {.actor_bytes_max = UINT64_MAX};
    card_bench_begin(&bench, options->directory, false, options->count);
    const uint64_t before = bench_memory_resident();
    const uint64_t begin = clock_monotonic_us();
    card_bench_send_all(&bench, card_bench_send_issue, options->count, NULL);
    const uint64_t elapsed = clock_monotonic_us() - begin;
    const uint64_t bytes = bench_memory_resident() - before;
    printf(options->json ? "{\"benchmark\":\"resident\",\"count\":%" PRIu64 ",\"bytes\":%" PRIu64
                           ",\"bytes_per_unit\":%.0f,\"elapsed_us\":%" PRIu64 "}\n"
                         : "resident: %" PRIu64 " cards, %" PRIu64
                           " bytes of resident memory, %.0f bytes each, elapsed_us %" PRIu64 "\n",
           options->count, bytes, (double)bytes / (double)options->count, elapsed);
    card_bench_end(&bench);
    return BENCH_EXIT_OK;
}
