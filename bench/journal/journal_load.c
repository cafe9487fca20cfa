/* Writers that keep a journal busy as a shard does: one batch under way per partition, while the
 * next one gathers. */
#include "bench/journal/journal_bench.h"

#include "runtime/clock.h"

#include <stdlib.h>

enum { SAMPLES_MAX = 1 << 20 };

typedef struct load_state {
    loop_t *loop;
    journal_t *journal;
    journal_load_plan_t plan;
    uint32_t under_way;
    uint64_t events;
    uint64_t batches;
    double *samples; /* µs of a batch, the first SAMPLES_MAX */
} load_state_t;

static void batch_done(void *context, result_t result);

static bool event_add(journal_writer_t *writer)
{
    load_state_t *const load = writer->load;
    uint64_t card = 0;
    uint64_t sequence = 0;
    if (!load->plan.next(load->plan.context, writer, &card, &sequence)) {
        return false;
    }
    journal_batch_t *const batch = &writer->batch;
    /* As the card actor: a snapshot when its columns change, and every so often. */
    const bool has_snapshot = sequence <= 2 || sequence % LIMIT_SNAPSHOT_INTERVAL_EVENTS == 0;
    journal_bench_event(writer->partition, card, sequence, &writer->events[batch->event_count],
                        has_snapshot ? &writer->snapshots[batch->snapshot_count] : NULL,
                        writer->bodies[batch->event_count]);
    batch->event_count++;
    batch->snapshot_count += has_snapshot ? 1 : 0;
    batch->cards += sequence == 1 ? 1 : 0; /* none of them ends */
    return true;
}

static void batch_submit(journal_writer_t *writer)
{
    load_state_t *const load = writer->load;
    const uint64_t now_us = clock_monotonic_us();
    if (load->plan.end_us != 0 && now_us >= load->plan.end_us) {
        return;
    }
    uint64_t wanted = load->plan.batch;
    if (load->plan.clients > 0 && writer->waiting < wanted) {
        wanted = writer->waiting;
    }
    writer->batch = (journal_batch_t){.partition = writer->partition,
                                      .epoch = writer->at.epoch,
                                      .head = writer->at.head,
                                      .events = writer->events,
                                      .snapshots = writer->snapshots};
    while (writer->batch.event_count < wanted && event_add(writer)) {
    }
    if (writer->batch.event_count == 0) {
        return;
    }
    writer->waiting -= load->plan.clients > 0 ? writer->batch.event_count : 0;
    writer->submitted_us = now_us;
    load->under_way++;
    journal_bench_must(
        load->journal->functions->append(writer->tenant, &writer->batch, batch_done, writer),
        "a batch");
}

static void batch_done(void *context, result_t result)
{
    journal_writer_t *const writer = context;
    load_state_t *const load = writer->load;
    journal_bench_must(result, "a commit");
    if (load->batches < SAMPLES_MAX) {
        load->samples[load->batches] = (double)(clock_monotonic_us() - writer->submitted_us);
    }
    writer->at.head += writer->batch.event_count;
    writer->waiting += load->plan.clients > 0 ? writer->batch.event_count : 0;
    load->events += writer->batch.event_count;
    load->batches++;
    load->under_way--;
    batch_submit(writer);
    if (load->under_way == 0) {
        loop_stop(load->loop);
    }
}

static int compare(const void *one, const void *other)
{
    const double difference = *(const double *)one - *(const double *)other;
    return difference < 0 ? -1 : difference > 0;
}

journal_load_figures_t journal_load_run(loop_t *loop, journal_t *journal, journal_writer_t *writers,
                                        uint32_t count, const journal_load_plan_t *plan)
{
    load_state_t load = {.loop = loop, .journal = journal, .plan = *plan};
    load.samples = calloc(SAMPLES_MAX, sizeof(*load.samples));
    journal_bench_must(load.samples == NULL ? RESULT_NO_MEMORY : RESULT_OK, "samples");
    const uint64_t begin_us = clock_monotonic_us();
    for (uint32_t i = 0; i < count; i++) {
        writers[i].load = &load;
        writers[i].waiting = plan->clients / count + (i < plan->clients % count ? 1 : 0);
        batch_submit(&writers[i]);
    }
    if (load.under_way > 0) {
        loop_run(loop);
    }
    journal_load_figures_t figures = {.events = load.events,
                                      .batches = load.batches,
                                      .elapsed_us = clock_monotonic_us() - begin_us};
    const uint64_t kept = load.batches < SAMPLES_MAX ? load.batches : SAMPLES_MAX;
    if (kept > 0) {
        qsort(load.samples, kept, sizeof(*load.samples), compare);
        figures.batch_p50_us = load.samples[kept / 2];
        figures.batch_p99_us = load.samples[kept * 99 / 100];
        figures.batch_max_us = load.samples[kept - 1];
    }
    free(load.samples);
    return figures;
}
