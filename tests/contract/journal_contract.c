/* The contract of the journal port, test by test: writing, fencing, loading. Pages are in
 * journal_contract_pages.c, the long random run in journal_contract_model.c. */
#include "tests/contract/journal_contract_internal.h"
#include <stdio.h>

static const journal_contract_factory_t *suite_factory(void **state)
{
    return ((const contract_state_t *)*state)->factory;
}

int contract_setup(void **state)
{
    contract_state_t *const contract = *state;
    harness_start(&contract->harness, contract->factory);
    harness_create_tenant(&contract->harness, "alpha");
    contract->alpha = harness_open(&contract->harness, "alpha");
    assert_int_equal(contract->alpha.result, RESULT_OK);
    return 0;
}

int contract_teardown(void **state)
{
    contract_state_t *const contract = *state;
    if (contract->alpha.tenant != NULL) {
        harness_close(&contract->harness, &contract->alpha);
    }
    harness_restart(&contract->harness); /* lets closing finish */
    assert_true(
        suite_factory(state)->is_sound(suite_factory(state)->context, TEXT_LITERAL("alpha")));
    harness_stop(&contract->harness);
    return 0;
}

/* --- Opening --- */

static void open_says_missing_when_the_tenant_was_never_created(void **state)
{
    harness_t *const harness = contract_harness(state);
    for (int i = 0; i < 2; i++) { /* the second time too: opening made nothing */
        assert_int_equal(harness_open(harness, "nobody").result, RESULT_MISSING);
        assert_int_equal(harness_open_readonly(harness, "nobody").result, RESULT_MISSING);
    }
}

static void a_tenant_is_created_once(void **state)
{
    const journal_contract_factory_t *const factory = suite_factory(state);
    assert_int_equal(factory->create_tenant(factory->context, TEXT_LITERAL("alpha"), 1),
                     RESULT_ALREADY_EXISTS);
    static const char *const names[] = {"", "a", "A-b", "1a", "-a", "a/b", "a.b", "..", "a\nb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(factory->create_tenant(factory->context, text_from_c(names[i]), 1),
                         RESULT_INVALID_ARGUMENT);
    }
    assert_int_equal(factory->create_tenant(factory->context, TEXT_LITERAL("beta"), 0),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(
        factory->create_tenant(factory->context, TEXT_LITERAL("beta"), LIMIT_PARTITIONS + 1),
        RESULT_INVALID_ARGUMENT);
    assert_int_equal(factory->create_tenant(factory->context, TEXT_LITERAL("b-2"), 64), RESULT_OK);
}

static void open_raises_the_epoch_of_every_partition(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const first = contract_alpha(state);
    assert_int_equal(first->partition_count, HARNESS_PARTITIONS);
    opened_t second = harness_open(harness, "alpha");
    assert_int_equal(second.result, RESULT_OK);
    for (uint32_t i = 0; i < HARNESS_PARTITIONS; i++) {
        assert_true(second.partitions[i].epoch > first->partitions[i].epoch);
        assert_int_equal(second.partitions[i].head, 0);
    }
    harness_close(harness, &second);
}

/* --- Writing --- */

static void appended_events_are_there_after_a_restart(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, alpha, 2, &card, 1, 5), RESULT_OK);
    const uint64_t epoch = alpha->partitions[2].epoch;
    harness_close(harness, alpha);
    harness_restart(harness);

    *alpha = harness_open(harness, "alpha");
    assert_int_equal(alpha->result, RESULT_OK);
    assert_int_equal(alpha->partitions[2].head, 5);
    assert_int_equal(alpha->partitions[1].head, 0);
    assert_true(alpha->partitions[2].epoch > epoch);
    const journal_loaded_t loaded = harness_load(harness, alpha, &card, NULL, NULL);
    assert_int_equal(loaded.result, RESULT_OK);
    assert_true(loaded.card_found);
    assert_int_equal(loaded.tail_count, 5);
}

static void an_older_owner_is_fenced(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const older = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, older, 0, &card, 1, 1), RESULT_OK);
    opened_t newer = harness_open(harness, "alpha");
    assert_int_equal(newer.partitions[0].head, 1);
    assert_int_equal(harness_store(harness, older, 0, &card, 2, 1), RESULT_FENCED);
    assert_int_equal(harness_store(harness, older, 0, &card, 2, 0), RESULT_FENCED);
    assert_int_equal(harness_store(harness, &newer, 0, &card, 2, 1), RESULT_OK);
    assert_int_equal(harness_load(harness, &newer, &card, NULL, NULL).tail_count, 2);
    harness_close(harness, &newer);
}

static void a_batch_at_another_head_is_fenced(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 1, 3), RESULT_OK);
    static const uint64_t heads[] = {0, 2, 4};
    for (size_t i = 0; i < 3; i++) {
        alpha->partitions[0].head = heads[i];
        assert_int_equal(harness_store(harness, alpha, 0, &card, 4, 1), RESULT_FENCED);
    }
    alpha->partitions[0].head = 3;
    assert_int_equal(harness_store(harness, alpha, 0, &card, 4, 1), RESULT_OK);
}

static void a_check_without_events_tells_the_owner_from_others(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 1, 2), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 3, 0), RESULT_OK);
    alpha->partitions[0].head = 1;
    assert_int_equal(harness_store(harness, alpha, 0, &card, 3, 0), RESULT_FENCED);
    alpha->partitions[0].head = 2;
    alpha->partitions[0].epoch--;
    assert_int_equal(harness_store(harness, alpha, 0, &card, 3, 0), RESULT_FENCED);
    alpha->partitions[0].epoch++;
    assert_int_equal(harness_events(harness, alpha, 0, 0, 10).head, 2);
}

static void batches_commit_in_order_of_submission(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    uint32_t counter = 0;
    pending_t pending[8] = {0};
    for (uint32_t i = 0; i < 8; i++) {
        pending[i].counter = &counter;
        journal_batch_t *batch = harness_take(harness, sizeof *batch);
        *batch = (journal_batch_t){.partition = 1,
                                   .epoch = alpha->partitions[1].epoch,
                                   .head = i * 2,
                                   .events = harness_make_events(harness, &card, i * 2 + 1, 2),
                                   .event_count = 2};
        assert_int_equal(harness_submit(harness, alpha, batch, &pending[i]), RESULT_OK);
    }
    harness_wait(harness, &pending[7].is_done);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(pending[i].result, RESULT_OK);
        assert_int_equal(pending[i].order, i + 1);
    }
    alpha->partitions[1].head = 16;
    assert_int_equal(harness_events(harness, alpha, 1, 0, 100).event_count, 16);
}

static void batches_behind_a_failed_one_fail_and_other_partitions_go_on(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t cards[2] = {harness_id(harness), harness_id(harness)};
    uint32_t counter = 0;
    pending_t pending[6] = {0};
    for (uint32_t i = 0; i < 6; i++) {
        const uint32_t partition = i % 2;
        const uint64_t number = i / 2;
        /* The second of partition 0 does not continue its card. */
        const uint64_t card_sequence = partition == 0 && number == 1 ? 7 : number + 1;
        journal_batch_t *batch = harness_take(harness, sizeof *batch);
        *batch = (journal_batch_t){
            .partition = partition,
            .epoch = alpha->partitions[partition].epoch,
            .head = number,
            .events = harness_make_events(harness, &cards[partition], card_sequence, 1),
            .event_count = 1};
        pending[i].counter = &counter;
        assert_int_equal(harness_submit(harness, alpha, batch, &pending[i]), RESULT_OK);
    }
    harness_wait(harness, &pending[5].is_done);
    assert_int_equal(pending[0].result, RESULT_OK);
    assert_int_equal(pending[2].result, RESULT_STORE_UNAVAILABLE);
    assert_int_equal(pending[4].result, RESULT_FENCED);
    for (uint32_t i = 1; i < 6; i += 2) {
        assert_int_equal(pending[i].result, RESULT_OK);
    }
    assert_int_equal(harness_events(harness, alpha, 0, 0, 10).head, 1);
    assert_int_equal(harness_events(harness, alpha, 1, 0, 10).head, 3);
}

static void a_batch_is_stored_as_a_whole_or_not_at_all(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    journal_event_t *const events = harness_make_events(harness, &card, 1, 3);
    const journal_member_key_t key = {TEXT_LITERAL("m-1"), TEXT_LITERAL("sealed")};
    journal_batch_t batch = {
        .epoch = alpha->partitions[0].epoch,
        .events = events,
        .event_count = 3,
        .snapshots = harness_make_snapshot(harness, &card, "m-1", "", card_status_active, 9, 3),
        .snapshot_count = 1,
        .idempotency = harness_make_idempotency(harness, "key", 1),
        .idempotency_count = 1,
        .member_keys = &key,
        .member_key_count = 1,
    };
    events[2].card_sequence = 9;
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_STORE_UNAVAILABLE);
    journal_loaded_t loaded = harness_load(harness, alpha, &card, "m-1", "key");
    assert_false(loaded.card_found || loaded.idempotency_found);
    assert_int_equal(loaded.sealed_member_key.size, 0);
    assert_int_equal(harness_events(harness, alpha, 0, 0, 10).head, 0);

    events[2].card_sequence = 3;
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    loaded = harness_load(harness, alpha, &card, "m-1", "key");
    assert_true(loaded.card_found && loaded.idempotency_found);
    assert_true(text_equal(loaded.sealed_member_key, TEXT_LITERAL("sealed")));
}

static void a_card_goes_on_without_gap_or_repeat_after_what_was_stored(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 1, 3), RESULT_OK);
    assert_int_not_equal(harness_store(harness, alpha, 0, &card, 5, 1), RESULT_OK);
    assert_int_not_equal(harness_store(harness, alpha, 0, &card, 3, 1), RESULT_OK);
    assert_int_not_equal(harness_store(harness, alpha, 0, &card, 2, 1), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 4, 2), RESULT_OK);
    assert_int_not_equal(harness_store(harness, alpha, 0, &card, 7, 1), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 6, 1), RESULT_OK);
    assert_int_equal(harness_load(harness, alpha, &card, NULL, NULL).card_sequence, 6);
}

static void a_card_does_not_move_to_another_partition(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 1, 1), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 1, &card, 2, 1), RESULT_STORE_UNAVAILABLE);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 2, 1), RESULT_OK);
}

static void a_reply_is_stored_with_its_events_and_only_once(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    journal_batch_t batch = {.epoch = alpha->partitions[0].epoch,
                             .events = harness_make_events(harness, &card, 1, 1),
                             .event_count = 1,
                             .idempotency = harness_make_idempotency(harness, "k-1", 100),
                             .idempotency_count = 1};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    const journal_loaded_t loaded = harness_load(harness, alpha, NULL, NULL, "k-1");
    assert_true(loaded.idempotency_found);
    assert_false(loaded.card_found);
    assert_memory_equal(loaded.request_hash, batch.idempotency->request_hash, 32);
    assert_true(text_equal(loaded.reply, TEXT_LITERAL("k-1")));
    assert_false(harness_load(harness, alpha, NULL, NULL, "k-").idempotency_found);
    assert_false(harness_load(harness, alpha, NULL, NULL, "K-1").idempotency_found);

    batch.head = 1; /* a second effect for one key must be impossible */
    batch.events = harness_make_events(harness, &card, 2, 1);
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_STORE_UNAVAILABLE);
    assert_int_equal(harness_load(harness, alpha, &card, NULL, NULL).tail_count, 1);
    /* A refusal stores a reply and no event. */
    batch.event_count = 0;
    batch.idempotency = harness_make_idempotency(harness, "k-2", 100);
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    assert_true(harness_load(harness, alpha, NULL, NULL, "k-2").idempotency_found);
    batch.epoch--;
    batch.idempotency = harness_make_idempotency(harness, "k-3", 100);
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_FENCED);
    assert_false(harness_load(harness, alpha, NULL, NULL, "k-3").idempotency_found);
}

static void refused_scans_are_kept_without_moving_the_head(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const journal_refusal_t refusals[2] = {
        {1, reason_bad_signature, TEXT_LITERAL("gate"), TEXT_LITERAL("DC1:\xff\x00z")},
        {2, reason_unknown_card, TEXT_LITERAL(""), TEXT_LITERAL("")},
    };
    const journal_batch_t batch = {
        .epoch = alpha->partitions[0].epoch, .refusals = refusals, .refusal_count = 2};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    assert_int_equal(harness_events(harness, alpha, 0, 0, 10).head, 0);
}

/* --- Loading --- */

static void load_returns_what_was_asked_for(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    const uuid_t unknown = harness_id(harness);
    journal_loaded_t loaded = harness_load(harness, alpha, &unknown, "nobody", "nothing");
    assert_int_equal(loaded.result, RESULT_OK);
    assert_false(loaded.card_found || loaded.idempotency_found);

    journal_event_t *const events = harness_make_events(harness, &card, 1, 10);
    const journal_batch_t batch = {
        .epoch = alpha->partitions[0].epoch,
        .events = events,
        .event_count = 10,
        .snapshots = harness_make_snapshot(harness, &card, "m-1", "gold", card_status_active, 5, 7),
        .snapshot_count = 1};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    loaded = harness_load(harness, alpha, &card, NULL, NULL);
    assert_true(loaded.card_found);
    assert_true(text_equal(loaded.snapshot, batch.snapshots->body));
    assert_int_equal(loaded.tail_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const event_t *const event = &loaded.tail[i];
        const journal_event_t *const stored = &events[7 + i];
        assert_int_equal(event->card_sequence, 8 + i);
        assert_int_equal(event->sequence, 8 + i);
        assert_int_equal(event->name, stored->name);
        assert_int_equal(event->version, stored->version);
        assert_int_equal(event->occurred_at, stored->occurred_at);
        assert_true(uuid_equal(&event->event_id, &stored->event_id));
        assert_true(uuid_equal(&event->card, &card));
        assert_true(text_equal(event->tenant, TEXT_LITERAL("alpha")));
        assert_true(text_equal(event->traceparent, stored->traceparent));
        assert_int_equal(MESSAGE_HAS(event, event, traceparent), stored->traceparent.size > 0);
        assert_true(MESSAGE_HAS(event, event, data));
        assert_true(text_starts_with(event->data.gate, TEXT_LITERAL("gate ")));
    }
    alpha->partitions[0].head = 10;
}

static void load_finds_the_key_of_the_member_or_of_the_cards_member(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    journal_member_key_t key = {TEXT_LITERAL("m-1"), TEXT_LITERAL("first")};
    journal_batch_t batch = {.epoch = alpha->partitions[0].epoch,
                             .events = harness_make_events(harness, &card, 1, 1),
                             .event_count = 1,
                             .member_keys = &key,
                             .member_key_count = 1};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    /* Without a snapshot the first event names the member. */
    journal_loaded_t loaded = harness_load(harness, alpha, &card, NULL, NULL);
    assert_true(text_equal(loaded.sealed_member_key, key.sealed_key));
    assert_int_equal(loaded.snapshot.size, 0);

    key.sealed_key = TEXT_LITERAL("second");
    batch.head = 1;
    batch.event_count = 0;
    batch.snapshots = harness_make_snapshot(harness, &card, "m-1", "", card_status_active, 5, 1);
    batch.snapshot_count = 1;
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    loaded = harness_load(harness, alpha, &card, NULL, NULL);
    assert_true(text_equal(loaded.sealed_member_key, key.sealed_key));
    assert_int_equal(loaded.tail_count, 0);
    loaded = harness_load(harness, alpha, NULL, "m-1", NULL);
    assert_true(text_equal(loaded.sealed_member_key, key.sealed_key));
    assert_false(loaded.card_found);
    assert_int_equal(harness_load(harness, alpha, NULL, "M-1", NULL).sealed_member_key.size, 0);
}

static void a_snapshot_replaces_the_older_one(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_issue(harness, alpha, "m-1", "gold", card_status_issued, 50);
    static const struct {
        const char *tier;
        uint8_t status;
        int64_t expires_at;
    } changes[] = {{"gold", card_status_issued, 50},
                   {"gold", card_status_active, 50},
                   {"Gold", card_status_active, 50},
                   {"Gold", card_status_active, 60}};
    for (uint64_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const journal_batch_t batch = {
            .epoch = alpha->partitions[0].epoch,
            .head = i + 1,
            .events = harness_make_events(harness, &card, i + 2, 1),
            .event_count = 1,
            .snapshots = harness_make_snapshot(harness, &card, "m-1", changes[i].tier,
                                               changes[i].status, changes[i].expires_at, i + 2),
            .snapshot_count = 1};
        assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
        const journal_loaded_t loaded = harness_load(harness, alpha, &card, NULL, NULL);
        assert_true(text_equal(loaded.snapshot, batch.snapshots->body));
        assert_int_equal(loaded.tail_count, 0);
        card_list_t filter = {0};
        MESSAGE_SET(card_list, &filter, status, changes[i].status);
        assert_int_equal(harness_list(harness, alpha, &filter, 0, 10).row_count, 1);
    }
    assert_int_equal(harness_due(harness, alpha, 59, 10).card_count, 0);
    assert_int_equal(harness_due(harness, alpha, 60, 10).card_count, 1);
}

/* Validations keep the version: what they leave in the state is their number alone. */
static void a_tail_that_changed_nothing_may_be_left_out_but_is_counted(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_issue(harness, alpha, "m-1", "gold", card_status_active, 50);
    journal_event_t *const events = harness_make_events(harness, &card, 2, 4);
    for (size_t i = 0; i < 4; i++) {
        events[i].version = 1;
    }
    journal_batch_t batch = {.epoch = alpha->partitions[0].epoch,
                             .head = alpha->partitions[0].head,
                             .events = events,
                             .event_count = 3};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    journal_loaded_t loaded = harness_load(harness, alpha, &card, NULL, NULL);
    assert_int_equal(loaded.card_sequence, 4);
    assert_true(loaded.tail_count == 3 || loaded.tail_count == 0);

    batch.head += 3;
    batch.events = &events[3];
    batch.event_count = 1;
    events[3].version = 2; /* after a change all of them are there again */
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    loaded = harness_load(harness, alpha, &card, NULL, NULL);
    assert_int_equal(loaded.card_sequence, 5);
    assert_int_equal(loaded.tail_count, 4);
    assert_int_equal(loaded.tail[3].version, 2);
    alpha->partitions[0].head += 4;
}

static void due_names_live_cards_past_their_end_oldest_first(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t third = harness_issue(harness, alpha, "a", "", card_status_suspended, 300);
    const uuid_t first = harness_issue(harness, alpha, "b", "", card_status_issued, 100);
    const uuid_t second = harness_issue(harness, alpha, "c", "", card_status_active, 200);
    (void)harness_issue(harness, alpha, "d", "", card_status_active, 301);
    (void)harness_issue(harness, alpha, "e", "", card_status_revoked, 1);
    (void)harness_issue(harness, alpha, "f", "", card_status_expired, 1);
    (void)harness_issue(harness, alpha, "g", "", card_status_replaced, 1);
    const journal_due_t due = harness_due(harness, alpha, 300, 10);
    assert_int_equal(due.result, RESULT_OK);
    assert_int_equal(due.card_count, 3);
    assert_true(uuid_equal(&due.cards[0], &first));
    assert_true(uuid_equal(&due.cards[1], &second));
    assert_true(uuid_equal(&due.cards[2], &third));
    assert_int_equal(harness_due(harness, alpha, 300, 2).card_count, 2);
    assert_int_equal(harness_due(harness, alpha, 99, 2).card_count, 0);
}

static void clean_forgets_old_replies_slice_by_slice(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const size_t count = LIMIT_IDEMPOTENCY_CLEAN_SLICE + 20;
    journal_idempotency_t *rows = harness_take(harness, count * sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%zu", i);
        rows[i] = *harness_make_idempotency(harness, key, (int64_t)i);
    }
    const journal_batch_t batch = {
        .epoch = alpha->partitions[0].epoch, .idempotency = rows, .idempotency_count = count};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    const int64_t before = LIMIT_IDEMPOTENCY_CLEAN_SLICE + 10;
    assert_int_equal(harness_clean(harness, alpha, before), RESULT_OK);
    assert_false(harness_load(harness, alpha, NULL, NULL, "key-0").idempotency_found);
    assert_true(harness_load(harness, alpha, NULL, NULL, "key-505").idempotency_found);
    assert_int_equal(harness_clean(harness, alpha, before), RESULT_OK);
    assert_false(harness_load(harness, alpha, NULL, NULL, "key-505").idempotency_found);
    assert_true(harness_load(harness, alpha, NULL, NULL, "key-510").idempotency_found);
    assert_int_equal(harness_clean(harness, alpha, before), RESULT_OK);
    assert_true(harness_load(harness, alpha, NULL, NULL, "key-519").idempotency_found);
}

/* --- Handles --- */

static void tenants_do_not_see_each_other(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    harness_create_tenant(harness, "beta");
    opened_t beta = harness_open(harness, "beta");
    const uuid_t card = harness_issue(harness, alpha, "m-1", "", card_status_active, 5);
    assert_false(harness_load(harness, &beta, &card, NULL, NULL).card_found);
    const card_list_t all = {0};
    assert_int_equal(harness_list(harness, &beta, &all, 0, 10).row_count, 0);
    assert_int_equal(harness_events(harness, &beta, 0, 0, 10).head, 0);
    assert_int_equal(harness_history(harness, &beta, &card, TEXT_NONE, 10).event_count, 0);
    assert_int_equal(harness_store(harness, &beta, 0, &card, 1, 1), RESULT_OK);
    assert_int_equal(harness_load(harness, alpha, &card, NULL, NULL).tail_count, 0);
    harness_close(harness, &beta);
}

static void a_reader_sees_each_commit_and_fences_nobody(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(harness_store(harness, alpha, 3, &card, 1, 2), RESULT_OK);
    opened_t reader = harness_open_readonly(harness, "alpha");
    assert_int_equal(reader.result, RESULT_OK);
    assert_int_equal(reader.partition_count, HARNESS_PARTITIONS);
    assert_int_equal(reader.partitions[3].head, 2);
    assert_int_equal(reader.partitions[3].epoch, alpha->partitions[3].epoch);
    for (uint64_t i = 3; i < 20; i++) {
        assert_int_equal(harness_store(harness, alpha, 3, &card, i, 1), RESULT_OK);
        const journal_events_t page = harness_events(harness, &reader, 3, i - 1, 10);
        assert_int_equal(page.head, i);
        assert_int_equal(page.event_count, 1);
    }
    harness_close(harness, alpha); /* the reader goes on without the writer */
    assert_int_equal(harness_history(harness, &reader, &card, TEXT_NONE, 100).event_count, 19);
    harness_close(harness, &reader);
}

static void close_lets_submitted_batches_finish(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    uint32_t counter = 0;
    pending_t pending[3] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        pending[i].counter = &counter;
        journal_batch_t *batch = harness_take(harness, sizeof *batch);
        *batch = (journal_batch_t){.epoch = alpha->partitions[0].epoch,
                                   .head = i,
                                   .events = harness_make_events(harness, &card, i + 1, 1),
                                   .event_count = 1};
        assert_int_equal(harness_submit(harness, alpha, batch, &pending[i]), RESULT_OK);
    }
    harness_close(harness, alpha);
    harness_wait(harness, &pending[2].is_done);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(pending[i].result, RESULT_OK);
    }
    *alpha = harness_open(harness, "alpha");
    assert_int_equal(alpha->partitions[0].head, 3);
}

static void a_full_queue_says_busy_and_keeps_what_it_took(void **state)
{
    enum { MANY = 5000 };
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    uint32_t counter = 0;
    uint64_t taken = 0;
    pending_t *pending = harness_take(harness, MANY * sizeof *pending);
    for (uint32_t i = 0; i < MANY; i++) {
        journal_batch_t *batch = harness_take(harness, sizeof *batch);
        *batch = (journal_batch_t){.epoch = alpha->partitions[0].epoch,
                                   .head = taken,
                                   .events = harness_make_events(harness, &card, taken + 1, 1),
                                   .event_count = 1};
        pending[taken].counter = &counter;
        const result_t result = harness_submit(harness, alpha, batch, &pending[taken]);
        assert_true(result == RESULT_OK || result == RESULT_BUSY);
        taken += result == RESULT_OK ? 1 : 0;
    }
    harness_wait(harness, &pending[taken - 1].is_done);
    assert_int_equal(counter, taken); /* BUSY never calls back */
    for (uint64_t i = 0; i < taken; i++) {
        assert_int_equal(pending[i].result, RESULT_OK);
    }
    assert_int_equal(harness_events(harness, alpha, 0, 0, 1).head, taken);
}

typedef struct dues {
    uint32_t answered;
    uint32_t failed;
    bool are_all;
    loop_t *loop;
} dues_t;

enum { READS_AT_ONCE = 4 };

static void due_answered(void *context, const journal_due_t *due)
{
    dues_t *const dues = context;
    dues->answered++;
    dues->failed += due->result == RESULT_OK ? 0 : 1;
    dues->are_all = dues->answered == READS_AT_ONCE;
    loop_stop(dues->loop);
}

/* Also the first ones of their kind, on a tenant that has done other things. */
static void reads_of_one_kind_asked_at_once_are_all_answered(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    dues_t dues = {.loop = harness->loop};
    assert_int_equal(harness_load(harness, alpha, NULL, "m-1", NULL).result, RESULT_OK);
    for (uint32_t i = 0; i < READS_AT_ONCE; i++) {
        assert_int_equal(
            harness->journal->functions->due(alpha->tenant, 1, 10, due_answered, &dues), RESULT_OK);
    }
    harness_wait(harness, &dues.are_all);
    assert_int_equal(dues.failed, 0);
    assert_int_equal(harness_due(harness, alpha, 1, 10).result, RESULT_OK); /* and it goes on */
}

#define CONTRACT_TEST(name) cmocka_unit_test_setup_teardown(name, contract_setup, contract_teardown)

int journal_contract_run(const journal_contract_factory_t *factory)
{
    contract_state_t contract = {.factory = factory};
    struct CMUnitTest tests[] = {
        CONTRACT_TEST(open_says_missing_when_the_tenant_was_never_created),
        CONTRACT_TEST(a_tenant_is_created_once),
        CONTRACT_TEST(open_raises_the_epoch_of_every_partition),
        CONTRACT_TEST(appended_events_are_there_after_a_restart),
        CONTRACT_TEST(notes_are_replaced_as_a_whole_and_open_ones_are_found),
        CONTRACT_TEST(notes_of_a_fenced_batch_are_not_stored),
        CONTRACT_TEST(notes_are_stored_with_the_events_of_their_batch_or_not_at_all),
        CONTRACT_TEST(a_note_comes_with_the_card_and_keeps_every_byte),
        CONTRACT_TEST(open_notes_are_read_page_by_page),
        CONTRACT_TEST(an_older_owner_is_fenced),
        CONTRACT_TEST(a_batch_at_another_head_is_fenced),
        CONTRACT_TEST(a_tail_that_changed_nothing_may_be_left_out_but_is_counted),
        CONTRACT_TEST(a_check_without_events_tells_the_owner_from_others),
        CONTRACT_TEST(batches_commit_in_order_of_submission),
        CONTRACT_TEST(batches_behind_a_failed_one_fail_and_other_partitions_go_on),
        CONTRACT_TEST(a_batch_is_stored_as_a_whole_or_not_at_all),
        CONTRACT_TEST(a_card_goes_on_without_gap_or_repeat_after_what_was_stored),
        CONTRACT_TEST(a_card_does_not_move_to_another_partition),
        CONTRACT_TEST(a_reply_is_stored_with_its_events_and_only_once),
        CONTRACT_TEST(refused_scans_are_kept_without_moving_the_head),
        CONTRACT_TEST(load_returns_what_was_asked_for),
        CONTRACT_TEST(load_finds_the_key_of_the_member_or_of_the_cards_member),
        CONTRACT_TEST(a_snapshot_replaces_the_older_one),
        CONTRACT_TEST(due_names_live_cards_past_their_end_oldest_first),
        CONTRACT_TEST(reminders_come_when_due_oldest_first),
        CONTRACT_TEST(reminders_outlive_a_restart),
        CONTRACT_TEST(a_reminder_is_taken_with_the_batch_or_not_at_all),
        CONTRACT_TEST(a_reminder_that_changed_since_it_was_read_is_not_taken),
        CONTRACT_TEST(ensuring_leaves_a_reminder_as_it_is),
        CONTRACT_TEST(partitions_count_cards_and_bytes_with_their_events),
        CONTRACT_TEST(archived_validations_are_gaps_that_readers_are_told_of),
        CONTRACT_TEST(heads_are_those_of_every_partition_and_only_of_what_is_committed),
        CONTRACT_TEST(keys_come_in_the_order_of_the_members_asked_for),
        CONTRACT_TEST(keys_are_of_one_tenant_and_as_many_as_a_batch_needs),
        CONTRACT_TEST(clean_forgets_old_replies_slice_by_slice),
        CONTRACT_TEST(tenants_do_not_see_each_other),
        CONTRACT_TEST(a_reader_sees_each_commit_and_fences_nobody),
        CONTRACT_TEST(close_lets_submitted_batches_finish),
        CONTRACT_TEST(a_full_queue_says_busy_and_keeps_what_it_took),
        CONTRACT_TEST(reads_of_one_kind_asked_at_once_are_all_answered),
        CONTRACT_TEST(list_is_newest_first_in_pages),
        CONTRACT_TEST(list_filters_by_member_exactly),
        CONTRACT_TEST(list_counts_a_card_past_its_end_as_expired),
        CONTRACT_TEST(list_finds_prefixes_of_member_and_tier_in_any_case),
        CONTRACT_TEST(list_pages_through_any_filter_without_loss),
        CONTRACT_TEST(list_rows_carry_tail_and_member_key),
        CONTRACT_TEST(history_is_newest_first_in_pages),
        CONTRACT_TEST(foreign_cursors_are_refused),
        CONTRACT_TEST(events_come_in_order_with_the_head),
        CONTRACT_TEST(a_thousand_random_batches_agree_with_a_model),
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tests[i].initial_state = &contract;
    }
    return cmocka_run_group_tests_name("journal contract", tests, NULL, NULL);
}
