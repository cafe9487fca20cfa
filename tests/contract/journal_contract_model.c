/* A thousand batches of random shape, many of them under way at once, some with a wrong head, with
 * restarts in between; afterwards the journal says what a plain array says. */
#include "tests/contract/journal_contract_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { BATCHES = 1000, ROUND = 50, CARDS = 40, EVENTS_MAX = 12 };

typedef struct model_card {
    uuid_t id;
    uint32_t partition;
    uint64_t sequence;
    uint64_t snapshot_sequence; /* 0: none */
} model_card_t;

typedef struct model {
    uint64_t random;
    model_card_t cards[CARDS];
    uint64_t heads[HARNESS_PARTITIONS];
    uuid_t *events[HARNESS_PARTITIONS]; /* event ids by sequence - 1 */
    uint32_t keys;
} model_t;

static uint32_t draw(model_t *model, uint32_t bound)
{
    model->random = model->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(model->random >> 33) % bound;
}

/* One event of a random card of the partition; the model goes along unless the batch will fail. */
static journal_event_t event_draw(model_t *model, harness_t *harness, uint32_t partition,
                                  model_card_t **card)
{
    *card = &model->cards[draw(model, CARDS / HARNESS_PARTITIONS) * HARNESS_PARTITIONS + partition];
    return *harness_make_events(harness, &(*card)->id, (*card)->sequence + 1, 1);
}

static journal_batch_t *batch_draw(model_t *model, harness_t *harness, const opened_t *alpha,
                                   bool is_bad)
{
    journal_batch_t *batch = harness_take(harness, sizeof *batch);
    const uint32_t partition = draw(model, HARNESS_PARTITIONS);
    const size_t count = draw(model, EVENTS_MAX + 1);
    journal_event_t *events = harness_take(harness, (count + 1) * sizeof *events);
    *batch = (journal_batch_t){.partition = partition,
                               .epoch = alpha->partitions[partition].epoch,
                               .head = model->heads[partition] + (is_bad ? 1 : 0),
                               .events = events,
                               .event_count = count};
    model_card_t *card = NULL;
    for (size_t i = 0; i < count; i++) {
        events[i] = event_draw(model, harness, partition, &card);
        if (!is_bad) {
            card->sequence++;
            model->events[partition][model->heads[partition]++] = events[i].event_id;
        }
    }
    if (card != NULL && draw(model, 3) == 0) {
        batch->snapshots = harness_make_snapshot(harness, &card->id, "m-1", "", card_status_active,
                                                 100, card->sequence);
        batch->snapshot_count = 1;
        card->snapshot_sequence = is_bad ? card->snapshot_sequence : card->sequence;
    }
    if (!is_bad && draw(model, 4) == 0) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%u", model->keys++);
        batch->idempotency = harness_make_idempotency(harness, key, 1);
        batch->idempotency_count = 1;
    }
    return batch;
}

static void round_run(model_t *model, harness_t *harness, opened_t *alpha)
{
    uint32_t counter = 0;
    pending_t *pending = harness_take(harness, ROUND * sizeof *pending);
    bool is_bad[ROUND];
    for (uint32_t i = 0; i < ROUND; i++) {
        is_bad[i] = draw(model, 10) == 0;
        pending[i].counter = &counter;
        const journal_batch_t *batch = batch_draw(model, harness, alpha, is_bad[i]);
        assert_int_equal(harness_submit(harness, alpha, batch, &pending[i]), RESULT_OK);
    }
    harness_wait(harness, &pending[ROUND - 1].is_done);
    for (uint32_t i = 0; i < ROUND; i++) {
        assert_int_equal(pending[i].result, is_bad[i] ? RESULT_FENCED : RESULT_OK);
        assert_int_equal(pending[i].order, i + 1);
    }
}

static void model_compare(model_t *model, harness_t *harness, opened_t *alpha)
{
    for (uint32_t partition = 0; partition < HARNESS_PARTITIONS; partition++) {
        assert_int_equal(alpha->partitions[partition].head, model->heads[partition]);
        const journal_events_t page = harness_events(harness, alpha, partition, 0, 10000);
        assert_int_equal(page.head, model->heads[partition]);
        assert_int_equal(page.event_count, model->heads[partition]);
        for (size_t i = 0; i < page.event_count; i++) {
            assert_int_equal(page.events[i].sequence, i + 1);
            assert_true(uuid_equal(&page.events[i].event_id, &model->events[partition][i]));
        }
    }
    for (size_t i = 0; i < CARDS; i++) {
        const model_card_t *const card = &model->cards[i];
        const journal_loaded_t loaded = harness_load(harness, alpha, &card->id, NULL, NULL);
        assert_int_equal(loaded.card_found, card->sequence > 0);
        assert_int_equal(loaded.card_sequence, card->sequence);
        assert_int_equal(loaded.tail_count, card->sequence - card->snapshot_sequence);
        const journal_events_t page = harness_history(harness, alpha, &card->id, TEXT_NONE, 10000);
        assert_int_equal(page.event_count, card->sequence);
    }
    for (uint32_t i = 0; i < model->keys; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%u", i);
        assert_true(harness_load(harness, alpha, NULL, NULL, key).idempotency_found);
    }
}

void a_thousand_random_batches_agree_with_a_model(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const char *const chosen = getenv("JOURNAL_SEED");
    model_t *model = harness_take(harness, sizeof *model);
    model->random = chosen == NULL ? 20261120 : strtoull(chosen, NULL, 10);
    print_message("seed %llu (JOURNAL_SEED)\n", (unsigned long long)model->random);
    for (size_t i = 0; i < CARDS; i++) {
        model->cards[i].id = harness_id(harness);
        model->cards[i].partition = i % HARNESS_PARTITIONS;
    }
    for (size_t i = 0; i < HARNESS_PARTITIONS; i++) {
        model->events[i] = calloc((size_t)BATCHES * EVENTS_MAX, sizeof(uuid_t));
        assert_non_null(model->events[i]);
    }
    for (uint32_t done = 0; done < BATCHES; done += ROUND) {
        const size_t mark = harness->arena.used;
        round_run(model, harness, alpha);
        harness->arena.used = mark;
        if (draw(model, 4) == 0) {
            harness_close(harness, alpha);
            harness_restart(harness);
            *alpha = harness_open(harness, "alpha");
            assert_int_equal(alpha->result, RESULT_OK);
        }
    }
    harness_close(harness, alpha);
    harness_restart(harness);
    *alpha = harness_open(harness, "alpha");
    model_compare(model, harness, alpha);
    for (size_t i = 0; i < HARNESS_PARTITIONS; i++) {
        free(model->events[i]);
    }
}
