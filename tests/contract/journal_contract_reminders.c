/* The contract of the journal port: reminders, and what partitions count. */
#include "tests/contract/journal_contract_internal.h"

static journal_reminder_t reminder(journal_reminder_action_t action, const uuid_t *actor,
                                   const char *name, int64_t due_at)
{
    return (journal_reminder_t){
        .action = action, .actor = *actor, .name = text_from_c(name), .due_at = due_at};
}

/* A batch without events that changes reminders. */
static result_t change(harness_t *harness, opened_t *alpha, const journal_reminder_t *rows,
                       size_t count)
{
    const journal_batch_t batch = {.epoch = alpha->partitions[0].epoch,
                                   .head = alpha->partitions[0].head,
                                   .reminders = rows,
                                   .reminder_count = count};
    return harness_append(harness, alpha, &batch);
}

void reminders_come_when_due_oldest_first(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    const uuid_t tenant = {0};
    journal_reminders_t found = harness_reminders(harness, alpha, 1000, 10);
    assert_int_equal(found.result, RESULT_OK);
    assert_int_equal(found.row_count, 0);
    assert_int_equal(found.next_at, 0);
    journal_reminder_t rows[4] = {
        reminder(JOURNAL_REMINDER_PUT, &card, "later", 300),
        reminder(JOURNAL_REMINDER_PUT, &card, "first", 100),
        reminder(JOURNAL_REMINDER_PUT, &tenant, "second", 200),
        reminder(JOURNAL_REMINDER_REMOVE, &card, "nothing of that name", 1),
    };
    rows[1].data = TEXT_LITERAL("\x00\xff cursor");
    rows[1].data.size = 9;
    rows[2].period_ms = 60000;
    assert_int_equal(change(harness, alpha, rows, 4), RESULT_OK);
    assert_int_equal(harness_reminders(harness, alpha, 99, 10).row_count, 0);
    assert_int_equal(harness_reminders(harness, alpha, 99, 10).next_at, 100);

    found = harness_reminders(harness, alpha, 299, 10);
    assert_int_equal(found.row_count, 2);
    assert_int_equal(found.next_at, 300);
    assert_true(uuid_equal(&found.rows[0].actor, &card));
    assert_true(text_equal(found.rows[0].name, TEXT_LITERAL("first")));
    assert_int_equal(found.rows[0].due_at, 100);
    assert_int_equal(found.rows[0].period_ms, 0);
    assert_true(text_equal(found.rows[0].data, rows[1].data));
    assert_true(uuid_equal(&found.rows[1].actor, &tenant));
    assert_int_equal(found.rows[1].period_ms, 60000);
    assert_int_equal(found.rows[1].data.size, 0);

    found = harness_reminders(harness, alpha, 1000, 1); /* a slice says that there is more */
    assert_int_equal(found.row_count, 1);
    assert_int_equal(found.next_at, 200);
    rows[0].due_at = 50; /* replaces the one of that name */
    assert_int_equal(change(harness, alpha, rows, 1), RESULT_OK);
    found = harness_reminders(harness, alpha, 1000, 10);
    assert_int_equal(found.row_count, 3);
    assert_int_equal(found.rows[0].due_at, 50);
    assert_int_equal(found.next_at, 0);
}

void reminders_outlive_a_restart(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    const journal_reminder_t row = reminder(JOURNAL_REMINDER_PUT, &card, "end", 10);
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_OK);
    harness_close(harness, alpha);
    harness_restart(harness);
    *alpha = harness_open(harness, "alpha");
    const journal_reminders_t found = harness_reminders(harness, alpha, 10, 10);
    assert_int_equal(found.row_count, 1);
    assert_true(text_equal(found.rows[0].name, row.name));
}

void a_reminder_is_taken_with_the_batch_or_not_at_all(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    journal_reminder_t row = reminder(JOURNAL_REMINDER_PUT, &card, "end", 10);
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_OK);
    row.action = JOURNAL_REMINDER_REMOVE;
    row.expected_at = 10;
    journal_batch_t batch = {.epoch = alpha->partitions[0].epoch + 7,
                             .events = harness_make_events(harness, &card, 1, 1),
                             .event_count = 1,
                             .reminders = &row,
                             .reminder_count = 1};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_FENCED);
    assert_int_equal(harness_reminders(harness, alpha, 10, 10).row_count, 1);
    batch.epoch = alpha->partitions[0].epoch;
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    alpha->partitions[0].head = 1;
    assert_int_equal(harness_reminders(harness, alpha, 10, 10).row_count, 0);
    assert_int_equal(harness_load(harness, alpha, &card, NULL, NULL).card_sequence, 1);
}

void a_reminder_that_changed_since_it_was_read_is_not_taken(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    journal_reminder_t row = reminder(JOURNAL_REMINDER_PUT, &card, "tick", 10);
    row.period_ms = 5;
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_OK);
    row.expected_at = 10;
    row.due_at = 15;
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_OK); /* moved on */
    journal_batch_t batch = {.epoch = alpha->partitions[0].epoch,
                             .events = harness_make_events(harness, &card, 1, 1),
                             .event_count = 1,
                             .reminders = &row,
                             .reminder_count = 1};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_FENCED); /* once more */
    assert_false(harness_load(harness, alpha, &card, NULL, NULL).card_found);
    row.action = JOURNAL_REMINDER_REMOVE;
    row.expected_at = 15;
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_OK);
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_FENCED);
    assert_int_equal(harness_reminders(harness, alpha, 100, 10).row_count, 0);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 1, 1), RESULT_OK);
}

void ensuring_leaves_a_reminder_as_it_is(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t tenant = {0};
    journal_reminder_t row = reminder(JOURNAL_REMINDER_ENSURE, &tenant, "clean", 10);
    row.period_ms = 100;
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_OK);
    row.due_at = 20;
    assert_int_equal(change(harness, alpha, &row, 1), RESULT_OK);
    const journal_reminders_t found = harness_reminders(harness, alpha, 30, 10);
    assert_int_equal(found.row_count, 1);
    assert_int_equal(found.rows[0].due_at, 10);
}

void partitions_count_cards_and_bytes_with_their_events(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    assert_int_equal(alpha->partitions[1].cards, 0);
    journal_batch_t batch = {.partition = 1,
                             .epoch = alpha->partitions[1].epoch,
                             .events = harness_make_events(harness, &card, 1, 3),
                             .event_count = 3,
                             .cards = 1,
                             .bytes = 500};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_FENCED);
    batch.head = 3;
    batch.events = harness_make_events(harness, &card, 4, 1);
    batch.event_count = 1;
    batch.cards = 2;
    batch.bytes = 70;
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    batch.head = 4;
    batch.events = harness_make_events(harness, &card, 5, 1);
    batch.cards = -1; /* one has ended */
    batch.bytes = 30;
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    harness_close(harness, alpha);
    harness_restart(harness);
    *alpha = harness_open(harness, "alpha");
    assert_int_equal(alpha->partitions[1].cards, 2);
    assert_int_equal(alpha->partitions[1].bytes, 600);
    assert_int_equal(alpha->partitions[0].bytes, 0);
}
