/* Waiting calls of the journal port and makers of their arguments. */
#include "tests/contract/journal_harness.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- Life --- */

static void deadline_passed(void *context)
{
    (void)context;
    (void)fprintf(stderr, "the journal did not answer in time\n");
    abort();
}

static void harness_begin(harness_t *harness)
{
    assert_int_equal(loop_create(&harness->loop), RESULT_OK);
    harness->deadline = loop_timer_create(harness->loop, deadline_passed, NULL);
    harness->journal = harness->factory->create(harness->factory->context, harness->loop);
    assert_non_null(harness->journal);
}

static void harness_end(harness_t *harness)
{
    harness->factory->destroy(harness->factory->context, &harness->journal);
    loop_timer_destroy(&harness->deadline);
    loop_destroy(&harness->loop);
}

void harness_start(harness_t *harness, const journal_contract_factory_t *factory)
{
    *harness = (harness_t){.factory = factory, .next_id = 1};
    harness->arena = (arena_t){.base = malloc(HARNESS_ARENA_SIZE), .size = HARNESS_ARENA_SIZE};
    assert_non_null(harness->arena.base);
    factory->reset(factory->context);
    harness_begin(harness);
}

void harness_stop(harness_t *harness)
{
    harness_end(harness);
    free(harness->arena.base);
}

void harness_restart(harness_t *harness)
{
    harness_end(harness);
    harness_begin(harness);
}

void harness_wait(harness_t *harness, const bool *flag)
{
    loop_timer_start(harness->deadline, HARNESS_DEADLINE_MS, 0);
    while (!*flag) {
        loop_run(harness->loop);
    }
    loop_timer_stop(harness->deadline);
}

void *harness_take(harness_t *harness, size_t size)
{
    void *bytes = arena_take(&harness->arena, size);
    assert_non_null(bytes);
    memset(bytes, 0, size);
    return bytes;
}

static text_t copy_text(harness_t *harness, text_t text)
{
    if (text.size == 0) {
        return TEXT_NONE;
    }
    char *copy = harness_take(harness, text.size);
    memcpy(copy, text.data, text.size);
    return (text_t){.data = copy, .size = text.size};
}

static const event_t *copy_events(harness_t *harness, const event_t *events, size_t count)
{
    event_t *copies = harness_take(harness, (count + 1) * sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        assert_true(message_copy(&event_message, &events[i], &harness->arena, &copies[i]));
    }
    return copies;
}

/* --- Calls --- */

typedef struct call {
    harness_t *harness;
    bool is_done;
    union {
        opened_t opened;
        journal_loaded_t loaded;
        journal_due_t due;
        journal_reminders_t reminders;
        journal_cards_t cards;
        journal_events_t events;
        result_t result;
    } answer;
} call_t;

/* `submitted` is what the call returned; `done` must not have run within it. */
static bool call_wait(call_t *call, result_t submitted)
{
    assert_false(call->is_done);
    if (submitted != RESULT_OK) {
        return false;
    }
    harness_wait(call->harness, &call->is_done);
    return true;
}

static void call_end(call_t *call)
{
    assert_false(call->is_done); /* exactly once */
    call->is_done = true;
    loop_stop(call->harness->loop);
}

static void opened_done(void *context, const journal_opened_t *opened)
{
    call_t *call = context;
    opened_t *const answer = &call->answer.opened;
    answer->result = opened->result;
    answer->tenant = opened->tenant;
    answer->partition_count = opened->partition_count;
    for (uint32_t i = 0; i < opened->partition_count; i++) {
        answer->partitions[i] = opened->partitions[i];
    }
    call_end(call);
}

void harness_create_tenant(harness_t *harness, const char *name)
{
    assert_int_equal(harness->factory->create_tenant(harness->factory->context, text_from_c(name),
                                                     HARNESS_PARTITIONS),
                     RESULT_OK);
}

opened_t harness_open(harness_t *harness, const char *name)
{
    call_t call = {.harness = harness};
    const result_t result = harness->journal->functions->open(
        harness->journal, text_from_c(name), TEXT_LITERAL("shard-0/1"), opened_done, &call);
    return call_wait(&call, result) ? call.answer.opened : (opened_t){.result = result};
}

opened_t harness_open_readonly(harness_t *harness, const char *name)
{
    call_t call = {.harness = harness};
    const result_t result = harness->journal->functions->open_readonly(
        harness->journal, text_from_c(name), opened_done, &call);
    return call_wait(&call, result) ? call.answer.opened : (opened_t){.result = result};
}

void harness_close(harness_t *harness, opened_t *opened)
{
    harness->journal->functions->close(harness->journal, &opened->tenant);
    assert_null(opened->tenant);
}

static void result_done(void *context, result_t result)
{
    call_t *call = context;
    call->answer.result = result;
    call_end(call);
}

result_t harness_append(harness_t *harness, opened_t *opened, const journal_batch_t *batch)
{
    call_t call = {.harness = harness};
    const result_t result =
        harness->journal->functions->append(opened->tenant, batch, result_done, &call);
    return call_wait(&call, result) ? call.answer.result : result;
}

static void pending_done(void *context, result_t result)
{
    pending_t *pending = context;
    assert_false(pending->is_done);
    pending->is_done = true;
    pending->result = result;
    pending->order = ++*pending->counter;
    loop_stop(pending->loop);
}

result_t harness_submit(harness_t *harness, opened_t *opened, const journal_batch_t *batch,
                        pending_t *pending)
{
    pending->loop = harness->loop;
    return harness->journal->functions->append(opened->tenant, batch, pending_done, pending);
}

static void loaded_done(void *context, const journal_loaded_t *loaded)
{
    call_t *call = context;
    journal_loaded_t *const answer = &call->answer.loaded;
    *answer = *loaded;
    answer->snapshot = copy_text(call->harness, loaded->snapshot);
    answer->tail = copy_events(call->harness, loaded->tail, loaded->tail_count);
    answer->sealed_member_key = copy_text(call->harness, loaded->sealed_member_key);
    answer->reply = copy_text(call->harness, loaded->reply);
    call_end(call);
}

journal_loaded_t harness_load(harness_t *harness, opened_t *opened, const uuid_t *card,
                              const char *member_id, const char *key)
{
    call_t call = {.harness = harness};
    const journal_load_t load = {
        .card = card, .member_id = text_from_c(member_id), .idempotency_key = text_from_c(key)};
    const result_t result =
        harness->journal->functions->load(opened->tenant, &load, loaded_done, &call);
    return call_wait(&call, result) ? call.answer.loaded : (journal_loaded_t){.result = result};
}

static void due_done(void *context, const journal_due_t *due)
{
    call_t *call = context;
    uuid_t *cards = harness_take(call->harness, (due->card_count + 1) * sizeof *cards);
    for (size_t i = 0; i < due->card_count; i++) {
        cards[i] = due->cards[i];
    }
    call->answer.due = *due;
    call->answer.due.cards = cards;
    call_end(call);
}

journal_due_t harness_due(harness_t *harness, opened_t *opened, int64_t now_ms, uint32_t limit)
{
    call_t call = {.harness = harness};
    const result_t result =
        harness->journal->functions->due(opened->tenant, now_ms, limit, due_done, &call);
    return call_wait(&call, result) ? call.answer.due : (journal_due_t){.result = result};
}

static void reminders_done(void *context, const journal_reminders_t *reminders)
{
    call_t *call = context;
    journal_reminder_t *rows =
        harness_take(call->harness, (reminders->row_count + 1) * sizeof *rows);
    for (size_t i = 0; i < reminders->row_count; i++) {
        rows[i] = reminders->rows[i];
        rows[i].name = copy_text(call->harness, rows[i].name);
        rows[i].data = copy_text(call->harness, rows[i].data);
    }
    call->answer.reminders = *reminders;
    call->answer.reminders.rows = rows;
    call_end(call);
}

journal_reminders_t harness_reminders(harness_t *harness, opened_t *opened, int64_t now_ms,
                                      uint32_t limit)
{
    call_t call = {.harness = harness};
    const result_t result = harness->journal->functions->reminders(opened->tenant, now_ms, limit,
                                                                   reminders_done, &call);
    return call_wait(&call, result) ? call.answer.reminders
                                    : (journal_reminders_t){.result = result};
}

result_t harness_clean(harness_t *harness, opened_t *opened, int64_t before_ms)
{
    call_t call = {.harness = harness};
    const result_t result =
        harness->journal->functions->clean(opened->tenant, before_ms, result_done, &call);
    return call_wait(&call, result) ? call.answer.result : result;
}

static void cards_done(void *context, const journal_cards_t *cards)
{
    call_t *call = context;
    harness_t *const harness = call->harness;
    journal_card_row_t *rows = harness_take(harness, (cards->row_count + 1) * sizeof *rows);
    for (size_t i = 0; i < cards->row_count; i++) {
        rows[i] = cards->rows[i];
        rows[i].snapshot = copy_text(harness, cards->rows[i].snapshot);
        rows[i].sealed_member_key = copy_text(harness, cards->rows[i].sealed_member_key);
        rows[i].tail = copy_events(harness, cards->rows[i].tail, cards->rows[i].tail_count);
    }
    call->answer.cards = *cards;
    call->answer.cards.rows = rows;
    call->answer.cards.next_cursor = copy_text(harness, cards->next_cursor);
    call_end(call);
}

journal_cards_t harness_list(harness_t *harness, opened_t *opened, const card_list_t *filter,
                             int64_t now_ms, uint32_t limit)
{
    call_t call = {.harness = harness};
    const result_t result = harness->journal->functions->list_cards(opened->tenant, filter, now_ms,
                                                                    limit, cards_done, &call);
    return call_wait(&call, result) ? call.answer.cards : (journal_cards_t){.result = result};
}

static void events_done(void *context, const journal_events_t *events)
{
    call_t *call = context;
    call->answer.events = *events;
    call->answer.events.events = copy_events(call->harness, events->events, events->event_count);
    call->answer.events.next_cursor = copy_text(call->harness, events->next_cursor);
    call_end(call);
}

journal_events_t harness_history(harness_t *harness, opened_t *opened, const uuid_t *card,
                                 text_t cursor, uint32_t limit)
{
    call_t call = {.harness = harness};
    const result_t result = harness->journal->functions->read_history(opened->tenant, card, cursor,
                                                                      limit, events_done, &call);
    return call_wait(&call, result) ? call.answer.events : (journal_events_t){.result = result};
}

journal_events_t harness_events(harness_t *harness, opened_t *opened, uint32_t partition,
                                uint64_t after, uint32_t limit)
{
    call_t call = {.harness = harness};
    const result_t result = harness->journal->functions->read_events(
        opened->tenant, partition, after, limit, events_done, &call);
    return call_wait(&call, result) ? call.answer.events : (journal_events_t){.result = result};
}

/* --- Makers --- */

uuid_t harness_id(harness_t *harness)
{
    uuid_t id = {{0}};
    const uint64_t number = harness->next_id++;
    for (size_t i = 0; i < 8; i++) { /* in the first bytes, as the time of a UUIDv7 */
        id.bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    id.bytes[8] = 0x80;
    return id;
}

static text_t pack(harness_t *harness, const message_type_t *type, const void *message)
{
    const size_t size = message_pack(type, message, MESSAGE_KEYS_IDS, NULL, 0);
    uint8_t *bytes = harness_take(harness, size);
    assert_int_equal(message_pack(type, message, MESSAGE_KEYS_IDS, bytes, size), size);
    return (text_t){.data = (const char *)bytes, .size = size};
}

journal_event_t *harness_make_events(harness_t *harness, const uuid_t *card, uint64_t card_sequence,
                                     size_t count)
{
    journal_event_t *events = harness_take(harness, (count + 1) * sizeof *events);
    for (size_t i = 0; i < count; i++) {
        event_data_t data = {0};
        char gate[32];
        (void)snprintf(gate, sizeof gate, "gate %llu", (unsigned long long)(card_sequence + i));
        if (card_sequence + i == 1) {
            MESSAGE_SET(event_data, &data, member_id, TEXT_LITERAL("m-1"));
        } else {
            MESSAGE_SET(event_data, &data, gate, text_from_c(gate));
        }
        events[i] = (journal_event_t){
            .event_id = harness_id(harness),
            .card = *card,
            .card_sequence = card_sequence + i,
            .version = card_sequence + i, /* each changes the card */
            .occurred_at = 1700000000000 + (int64_t)(card_sequence + i),
            .name = card_sequence + i == 1 ? event_name_card_issued : event_name_card_validated,
            .traceparent =
                i % 2 == 0 ? TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                           : TEXT_NONE,
            .body = pack(harness, &event_data_message, &data),
        };
    }
    return events;
}

journal_snapshot_t *harness_make_snapshot(harness_t *harness, const uuid_t *card,
                                          const char *member_id, const char *tier, uint8_t status,
                                          int64_t expires_at, uint64_t card_sequence)
{
    card_snapshot_t state = {0};
    MESSAGE_SET(card_snapshot, &state, id, *card);
    MESSAGE_SET(card_snapshot, &state, member_id, text_from_c(member_id));
    MESSAGE_SET(card_snapshot, &state, status, status);
    MESSAGE_SET(card_snapshot, &state, valid_from, 0);
    MESSAGE_SET(card_snapshot, &state, expires_at, expires_at);
    MESSAGE_SET(card_snapshot, &state, issued_at, 0);
    MESSAGE_SET(card_snapshot, &state, version, card_sequence);
    MESSAGE_SET(card_snapshot, &state, card_sequence, card_sequence);
    MESSAGE_SET(card_snapshot, &state, was_activated, true);
    MESSAGE_SET(card_snapshot, &state, is_suspended, false);
    journal_snapshot_t *snapshot = harness_take(harness, sizeof *snapshot);
    *snapshot = (journal_snapshot_t){.card = *card,
                                     .member_id = text_from_c(member_id),
                                     .tier = text_from_c(tier),
                                     .status = status,
                                     .expires_at = expires_at,
                                     .card_sequence = card_sequence,
                                     .body = pack(harness, &card_snapshot_message, &state)};
    return snapshot;
}

journal_idempotency_t *harness_make_idempotency(harness_t *harness, const char *key,
                                                int64_t recorded_at)
{
    journal_idempotency_t *row = harness_take(harness, sizeof *row);
    *row = (journal_idempotency_t){.key = copy_text(harness, text_from_c(key)),
                                   .reply = copy_text(harness, text_from_c(key)),
                                   .recorded_at = recorded_at};
    memset(row->request_hash, (int)strlen(key), sizeof row->request_hash);
    return row;
}

result_t harness_store(harness_t *harness, opened_t *opened, uint32_t partition, const uuid_t *card,
                       uint64_t card_sequence, size_t count)
{
    journal_partition_t *const at = &opened->partitions[partition];
    const journal_batch_t batch = {
        .partition = partition,
        .epoch = at->epoch,
        .head = at->head,
        .events = harness_make_events(harness, card, card_sequence, count),
        .event_count = count,
    };
    const result_t result = harness_append(harness, opened, &batch);
    at->head += result == RESULT_OK ? count : 0;
    return result;
}

uuid_t harness_issue(harness_t *harness, opened_t *opened, const char *member_id, const char *tier,
                     uint8_t status, int64_t expires_at)
{
    journal_partition_t *const at = &opened->partitions[0];
    const uuid_t card = harness_id(harness);
    const journal_batch_t batch = {
        .partition = 0,
        .epoch = at->epoch,
        .head = at->head,
        .events = harness_make_events(harness, &card, 1, 1),
        .event_count = 1,
        .snapshots = harness_make_snapshot(harness, &card, member_id, tier, status, expires_at, 1),
        .snapshot_count = 1,
    };
    assert_int_equal(harness_append(harness, opened, &batch), RESULT_OK);
    at->head++;
    return card;
}
