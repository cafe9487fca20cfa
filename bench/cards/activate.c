/* Cold activations: cards that are issued, validated and then not resident each get one message
 * (card.get, which stores nothing); how many a second are loaded from the embedded store, folded
 * and answered. */
#include "bench/cards/card_bench.h"

#include "runtime/clock.h"
#include "runtime/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* In an order that has nothing to do with that of issue: neighbours in the file are not loaded one
 * after the other. */
static uint32_t *shuffled(uint64_t count)
{
    uint32_t *const order = calloc(count, sizeof(*order));
    card_bench_must(order == NULL ? RESULT_NO_MEMORY : RESULT_OK, "memory");
    for (uint64_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    for (uint64_t i = count - 1; i > 0; i--) {
        uint64_t draw = 0;
        random_fill(&draw, sizeof(draw));
        const uint64_t other = draw % (i + 1);
        const uint32_t kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    return order;
}

static void prepare(card_bench_t *bench, const card_bench_options_t *options)
{
    card_bench_send_all(bench, card_bench_send_issue, options->count, NULL);
    const bool has_tail = options->tail != UINT64_MAX;
    const uint64_t rounds = has_tail ? options->tail : options->validations;
    for (uint64_t round = 0; round < rounds; round++) {
        card_bench_send_all(bench, card_bench_send_validate, options->count, NULL);
    }
    card_bench_restart(bench, !has_tail);
}

static double measure(card_bench_t *bench, const card_bench_options_t *options,
                      const uint32_t *order)
{
    const uint64_t begin = clock_monotonic_us();
    card_bench_send_all(bench, card_bench_send_get, options->count, order);
    const uint64_t elapsed = clock_monotonic_us() - begin;
    return (double)options->count * 1e6 / (double)elapsed;
}

int card_bench_activate(const card_bench_options_t *options)
{
    card_bench_t bench = {.actor_bytes_max = UINT64_MAX};
    double rates[BENCH_RUNS_MAX];
    card_bench_begin(&bench, options->directory, true, options->count);
    prepare(&bench, options);
    uint32_t *const order = shuffled(options->count);
    for (uint64_t run = 0; run < options->runs; run++) {
        rates[run] = measure(&bench, options, order);
        card_bench_restart(&bench, false);
    }
    free(order);
    card_bench_end(&bench);
    const bench_spread_t spread = bench_spread(rates, options->runs);
    const bool has_tail = options->tail != UINT64_MAX;
    const uint64_t validations = has_tail ? options->tail : options->validations;
    printf(options->json ? "{\"benchmark\":\"activate\",\"count\":%" PRIu64 ",\"runs\":%" PRIu64
                           ",\"validations\":%" PRIu64 ",\"drained\":%s,\"rate\":%.0f"
                           ",\"rate_min\":%.0f,\"rate_max\":%.0f,\"us_per_unit\":%.2f}\n"
                         : "activate: %" PRIu64 " cold cards, %" PRIu64 " runs, %" PRIu64
                           " validations each, drained %s: %.0f activations/s (min %.0f, max %.0f)"
                           ", %.1f us each\n",
           options->count, options->runs, validations, has_tail ? "false" : "true", spread.median,
           spread.min, spread.max, 1e6 / spread.median);
    return BENCH_EXIT_OK;
}
