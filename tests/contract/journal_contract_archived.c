/* The contract of the journal port: what a reader is told when validations went into an archive.
 * A store from which nothing ever goes says so with zeros. */
#include "tests/contract/journal_contract_internal.h"

enum { BEFORE_EVENTS = 6, SUMS_MAX = 32 };
#define BEFORE_MS INT64_C(1704067200000) /* 2024-01-01: the harness's events are older */

typedef struct waited_sums {
    loop_t *loop;
    bool is_done;
    journal_archived_sums_t page;
    projection_counter_t sums[SUMS_MAX]; /* without their gates */
    size_t gates;                        /* how many had one */
} waited_sums_t;

static void sums_done(void *context, const journal_archived_sums_t *page)
{
    waited_sums_t *const waited = context;
    waited->page = *page;
    assert_true(page->count <= SUMS_MAX);
    for (size_t i = 0; i < page->count; i++) {
        waited->sums[i] = page->sums[i];
        waited->gates += page->sums[i].gate.size > 0 ? 1 : 0;
    }
    waited->is_done = true;
    loop_stop(waited->loop);
}

static waited_sums_t read_sums(harness_t *harness, const opened_t *opened, uint64_t after,
                               uint32_t limit)
{
    waited_sums_t waited = {.loop = harness->loop};
    assert_int_equal(harness->journal->functions->read_archived_sums(opened->tenant, after, limit,
                                                                     sums_done, &waited),
                     RESULT_OK);
    harness_wait(harness, &waited.is_done);
    assert_int_equal(waited.page.result, RESULT_OK);
    return waited;
}

/* Pages go on where they ended, and have together what the one big page has. */
static void assert_pages(harness_t *harness, const opened_t *opened, const waited_sums_t *whole)
{
    uint64_t after = 0;
    size_t seen = 0;
    waited_sums_t page = read_sums(harness, opened, after, 2);
    while (page.page.count > 0) { /* bounded by SUMS_MAX */
        for (size_t i = 0; i < page.page.count; i++) {
            assert_int_equal(page.sums[i].series, whole->sums[seen].series);
            assert_int_equal(page.sums[i].start, whole->sums[seen].start);
            assert_int_equal(page.sums[i].count, whole->sums[seen].count);
            seen++;
        }
        assert_int_equal(page.page.archived, whole->page.archived);
        after = page.page.last;
        page = read_sums(harness, opened, after, 2);
    }
    assert_int_equal(seen, whole->page.count);
}

static int64_t total(const waited_sums_t *waited, uint8_t series, uint8_t grain)
{
    int64_t sum = 0;
    for (size_t i = 0; i < waited->page.count; i++) {
        const bool counts = waited->sums[i].series == series && waited->sums[i].grain == grain;
        sum += counts ? waited->sums[i].count : 0;
    }
    return sum;
}

/* The changes of a card and its last event stay; the rest of its validations are gone. */
static void assert_archived(harness_t *harness, opened_t *opened, const uuid_t *card)
{
    journal_events_t events = harness_events(harness, opened, 0, 0, 100);
    assert_int_equal(events.result, RESULT_OK);
    assert_int_equal(events.event_count, 2);
    assert_int_equal(events.events[0].sequence, 1);
    assert_int_equal(events.events[1].sequence, BEFORE_EVENTS);
    assert_int_equal(events.head, BEFORE_EVENTS);
    assert_int_equal(events.archived_to, BEFORE_EVENTS - 1);
    const journal_events_t history = harness_history(harness, opened, card, TEXT_NONE, 100);
    assert_int_equal(history.event_count, 2);
    assert_int_equal(history.archived_before, BEFORE_MS);
    const waited_sums_t sums = read_sums(harness, opened, 0, LIMIT_PROJECTION_EVENTS);
    assert_int_equal(sums.page.archived, 5);
    assert_int_equal(total(&sums, PROJECTION_SERIES_EVENTS, grain_day), 5);
    assert_int_equal(total(&sums, PROJECTION_SERIES_SCANS, grain_hour), 5);
    assert_int_equal(sums.gates, 8); /* gates 2 to 5, in two grains */
    assert_pages(harness, opened, &sums);
}

void archived_validations_are_gaps_that_readers_are_told_of(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const journal_contract_factory_t *const factory = harness->factory;
    const uuid_t card = harness_id(harness);
    const uuid_t other = harness_id(harness);
    uint64_t gone = 0;
    assert_int_equal(harness_store(harness, alpha, 0, &card, 1, BEFORE_EVENTS), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 1, &other, 1, 3), RESULT_OK);
    waited_sums_t sums = read_sums(harness, alpha, 0, 10);
    assert_int_equal(sums.page.archived, 0);
    assert_int_equal(sums.page.count, 0);
    assert_int_equal(harness_events(harness, alpha, 0, 0, 100).archived_to, 0);
    assert_int_equal(harness_history(harness, alpha, &card, TEXT_NONE, 100).archived_before, 0);
    if (factory->retain == NULL) {
        return;
    }
    assert_int_equal(factory->retain(factory->context, TEXT_LITERAL("alpha"), BEFORE_MS, &gone),
                     RESULT_OK);
    assert_int_equal(gone, 5);
    assert_archived(harness, alpha, &card);
    assert_int_equal(factory->retain(factory->context, TEXT_LITERAL("alpha"), BEFORE_MS, &gone),
                     RESULT_OK);
    assert_int_equal(gone, 0);
    assert_archived(harness, alpha, &card);
    /* A card goes on with its numbers. Who writes into a month that is gone has a clock that is
     * wrong, and opens the tenant again first: a shard does when a batch was refused. */
    harness_close(harness, alpha);
    *alpha = harness_open(harness, "alpha");
    assert_int_equal(harness_store(harness, alpha, 0, &card, BEFORE_EVENTS + 1, 1), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 1, &other, 4, 1), RESULT_OK);
    assert_int_equal(harness_load(harness, alpha, &card, "", "").card_sequence, BEFORE_EVENTS + 1);
    /* And what goes later is added. */
    assert_int_equal(factory->retain(factory->context, TEXT_LITERAL("alpha"), BEFORE_MS, &gone),
                     RESULT_OK);
    assert_int_equal(gone, 2);
    sums = read_sums(harness, alpha, 0, LIMIT_PROJECTION_EVENTS);
    assert_int_equal(sums.page.archived, 7);
    assert_int_equal(total(&sums, PROJECTION_SERIES_EVENTS, grain_hour), 7);
}
