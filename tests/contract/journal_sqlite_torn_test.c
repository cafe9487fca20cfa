/* The power goes at random points of a journal's life: between any two writes, in a commit, in a
 * checkpoint, in a close. What was written since the last fsync is dropped, kept or torn by
 * sectors. Afterwards everything acknowledged is there, nothing is half, no sequence has a gap, and
 * the kept replies are exactly those of the batches that are there. */
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "runtime/log.h"
#include "tests/contract/journal_harness.h"
#include "tests/contract/journal_sqlite_place.h"
#include "tests/contract/torn_vfs.h"
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum {
    POINTS = 40,
    POINTS_FULL = 200,
    PARTITIONS = HARNESS_PARTITIONS,
    STEPS_PER_LIFE = 6, /* then the journal is closed and opened, which writes the log back */
    OPERATIONS_MAX = 60,
    BATCHES_MAX = 100000,
};

/* What is known of each partition, by the loop; read by the thread on which the power goes. */
typedef struct known {
    atomic_uint_fast64_t acknowledged[PARTITIONS]; /* heads */
    atomic_uint_fast64_t submitted[PARTITIONS];
} known_t;

typedef struct point {
    uint64_t acknowledged[PARTITIONS];
    uint64_t submitted[PARTITIONS];
    known_t *known;
} point_t;

typedef struct batch_record {
    uint64_t end; /* head of its partition afterwards */
    uint32_t partition;
} batch_record_t;

typedef struct torn_state {
    place_t place;
    journal_contract_factory_t factory;
    harness_t harness;
    known_t known;
    batch_record_t *batches; /* the reply of number i has the key "batch-i" */
    uint64_t batch_count;
    uint64_t card_sequence[PARTITIONS];
    uuid_t cards[PARTITIONS];
    uint64_t random;
} torn_state_t;

static uint64_t random_below(torn_state_t *state, uint64_t end)
{
    state->random ^= state->random << 13;
    state->random ^= state->random >> 7;
    state->random ^= state->random << 17;
    return state->random % end;
}

static void power_lost(void *context)
{
    point_t *const point = context;
    for (size_t i = 0; i < PARTITIONS; i++) {
        point->acknowledged[i] = atomic_load(&point->known->acknowledged[i]);
        point->submitted[i] = atomic_load(&point->known->submitted[i]);
    }
}

/* --- Life --- */

typedef struct waiting {
    torn_state_t *state;
    uint32_t partition;
    uint64_t end;
    bool is_done;
} waiting_t;

static void batch_done(void *context, result_t result)
{
    waiting_t *const waiting = context;
    assert_int_equal(result, RESULT_OK);
    atomic_store(&waiting->state->known.acknowledged[waiting->partition], waiting->end);
    waiting->is_done = true;
    loop_stop(waiting->state->harness.loop);
}

static void batch_submit(torn_state_t *state, opened_t *opened, waiting_t *waiting)
{
    harness_t *const harness = &state->harness;
    const uint32_t partition = (uint32_t)random_below(state, PARTITIONS);
    const size_t count = 1 + random_below(state, 8);
    char key[32];
    (void)snprintf(key, sizeof key, "batch-%llu", (unsigned long long)state->batch_count);
    if (state->card_sequence[partition] == 0 || random_below(state, 10) == 0) {
        state->cards[partition] = harness_id(harness);
        state->card_sequence[partition] = 0;
    }
    journal_partition_t *const at = &opened->partitions[partition];
    journal_batch_t *const batch = harness_take(harness, sizeof *batch);
    *batch = (journal_batch_t){
        .partition = partition,
        .epoch = at->epoch,
        .head = at->head,
        .events = harness_make_events(harness, &state->cards[partition],
                                      state->card_sequence[partition] + 1, count),
        .event_count = count,
        .snapshots = harness_make_snapshot(harness, &state->cards[partition], "m", "", 2, 100,
                                           state->card_sequence[partition] + count),
        .snapshot_count = 1,
        .idempotency = harness_make_idempotency(harness, key, 1700000000000),
        .idempotency_count = 1};
    state->card_sequence[partition] += count;
    at->head += count;
    assert_true(state->batch_count < BATCHES_MAX);
    state->batches[state->batch_count++] = (batch_record_t){at->head, partition};
    *waiting = (waiting_t){.state = state, .partition = partition, .end = at->head};
    atomic_store(&state->known.submitted[partition], at->head);
    assert_int_equal(
        harness->journal->functions->append(opened->tenant, batch, batch_done, waiting), RESULT_OK);
}

static void live_a_while(torn_state_t *state)
{
    enum { TOGETHER = 3 };
    opened_t opened = harness_open(&state->harness, "alpha");
    assert_int_equal(opened.result, RESULT_OK);
    for (size_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(opened.partitions[i].head, atomic_load(&state->known.acknowledged[i]));
    }
    for (int step = 0; step < STEPS_PER_LIFE; step++) {
        waiting_t waiting[TOGETHER];
        const size_t count = 1 + random_below(state, TOGETHER);
        for (size_t i = 0; i < count; i++) {
            batch_submit(state, &opened, &waiting[i]);
        }
        for (size_t i = 0; i < count; i++) {
            harness_wait(&state->harness, &waiting[i].is_done);
        }
    }
    harness_close(&state->harness, &opened);
    harness_restart(&state->harness);
}

/* --- Afterwards --- */

static void keep(void *context)
{
    (void)context; /* what is there is what is looked at */
}

static void what_is_left_is_right(torn_state_t *state, const place_t *crashed, const point_t *point)
{
    journal_contract_factory_t factory = place_factory((place_t *)crashed);
    harness_t harness;
    factory.reset = keep;
    harness_start(&harness, &factory);
    opened_t opened = harness_open(&harness, "alpha");
    assert_int_equal(opened.result, RESULT_OK);
    for (size_t i = 0; i < PARTITIONS; i++) {
        assert_true(opened.partitions[i].head >= point->acknowledged[i]); /* nothing lost */
        assert_true(opened.partitions[i].head <= point->submitted[i]);    /* nothing invented */
    }
    /* A batch is there whole, with its reply, or not at all. */
    uint64_t ends[PARTITIONS] = {0};
    for (uint64_t i = 0; i < state->batch_count; i++) {
        const batch_record_t *const batch = &state->batches[i];
        const bool is_there = batch->end <= opened.partitions[batch->partition].head;
        if (batch->end > point->submitted[batch->partition]) {
            continue; /* later than the power */
        }
        if (is_there) {
            ends[batch->partition] = batch->end;
        }
        if (state->batch_count - i < 40 || i % 16 == 0) {
            char key[32];
            (void)snprintf(key, sizeof key, "batch-%llu", (unsigned long long)i);
            assert_int_equal(harness_load(&harness, &opened, NULL, NULL, key).idempotency_found,
                             is_there);
        }
    }
    for (size_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(ends[i], opened.partitions[i].head); /* the head is where a batch ends */
    }
    harness_close(&harness, &opened);
    assert_true(factory.is_sound(factory.context, TEXT_LITERAL("alpha")));
    harness_stop(&harness);
}

static void one_point(torn_state_t *state)
{
    place_t crashed;
    char folder[256];
    point_t point = {.known = &state->known};
    place_create(&crashed);
    (void)snprintf(folder, sizeof folder, "%s/tenants", crashed.directory);
    assert_int_equal(mkdir(folder, 0700), 0);
    torn_vfs_arm(1 + (uint32_t)random_below(state, OPERATIONS_MAX), random_below(state, UINT32_MAX),
                 crashed.directory, power_lost, &point);
    while (torn_vfs_is_armed()) {
        live_a_while(state);
    }
    what_is_left_is_right(state, &crashed, &point);
    place_remove(&crashed);
}

static void nothing_acknowledged_is_lost_when_the_power_goes(void **context)
{
    torn_state_t *const state = *context;
    const char *const full = getenv("DIGITALCARD_TEST_FULL");
    const char *const seed = getenv("JOURNAL_SEED");
    const int points = full == NULL ? POINTS : POINTS_FULL;
    state->random = seed == NULL ? 20261120 : strtoull(seed, NULL, 10);
    (void)printf("seed %llu (JOURNAL_SEED), %d points\n", (unsigned long long)state->random,
                 points);
    torn_vfs_forget_syncs(getenv("JOURNAL_FORGET_SYNCS") != NULL);
    for (int i = 0; i < points; i++) {
        one_point(state);
    }
}

static int setup(void **context)
{
    torn_state_t *const state = calloc(1, sizeof *state);
    state->batches = calloc(BATCHES_MAX, sizeof *state->batches);
    place_create(&state->place);
    torn_vfs_install(state->place.directory);
    state->factory = place_factory(&state->place);
    harness_start(&state->harness, &state->factory);
    harness_create_tenant(&state->harness, "alpha");
    *context = state;
    return 0;
}

static int teardown(void **context)
{
    torn_state_t *const state = *context;
    harness_stop(&state->harness);
    place_remove(&state->place);
    free(state->batches);
    free(state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_acknowledged_is_lost_when_the_power_goes, setup,
                                        teardown),
    };
    log_start("test", LOG_ERROR_LEVEL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
