/* The contract of the journal port: lists, history, replay. */
#include "tests/contract/journal_contract_internal.h"
#include <stdio.h>

static uuid_t row_card(harness_t *harness, const journal_card_row_t *row)
{
    card_snapshot_t snapshot;
    message_fault_t fault;
    assert_true(message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS,
                               (const uint8_t *)row->snapshot.data, row->snapshot.size,
                               &harness->arena, &snapshot, &fault));
    return snapshot.id;
}

/* Reads all pages of `limit` rows and compares the cards with `expected`, newest first. */
static void list_expect(void **state, card_list_t filter, int64_t now_ms, uint32_t limit,
                        const uuid_t *expected, size_t count)
{
    harness_t *const harness = contract_harness(state);
    size_t found = 0;
    for (size_t pages = 0; pages < count + 100; pages++) {
        const journal_cards_t page =
            harness_list(harness, contract_alpha(state), &filter, now_ms, limit);
        assert_int_equal(page.result, RESULT_OK);
        assert_true(page.row_count <= limit);
        for (size_t i = 0; i < page.row_count; i++) {
            const uuid_t card = row_card(harness, &page.rows[i]);
            assert_true(found < count);
            assert_true(uuid_equal(&card, &expected[found]));
            found++;
        }
        if (text_is_empty(page.next_cursor)) {
            assert_int_equal(found, count);
            return;
        }
        assert_true(page.next_cursor.size <= 64);
        MESSAGE_SET(card_list, &filter, cursor, page.next_cursor);
    }
    fail_msg("the pages do not end");
}

void list_is_newest_first_in_pages(void **state)
{
    enum { COUNT = 25 };
    uuid_t cards[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        cards[COUNT - 1 - i] = harness_issue(contract_harness(state), contract_alpha(state), "m",
                                             "", card_status_active, 100);
    }
    const card_list_t all = {0};
    static const uint32_t limits[] = {1, 5, 24, 25, 26, 500};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        list_expect(state, all, 0, limits[i], cards, COUNT);
    }
    /* A full last page has no cursor: nobody asks for an empty one. */
    const journal_cards_t page =
        harness_list(contract_harness(state), contract_alpha(state), &all, 0, COUNT);
    assert_int_equal(page.next_cursor.size, 0);
}

void list_filters_by_member_exactly(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t first = harness_issue(harness, alpha, "m-1", "", card_status_revoked, 100);
    (void)harness_issue(harness, alpha, "M-1", "", card_status_active, 100);
    (void)harness_issue(harness, alpha, "m-10", "", card_status_active, 100);
    (void)harness_issue(harness, alpha, "m-1 ", "", card_status_active, 100);
    const uuid_t second = harness_issue(harness, alpha, "m-1", "gold", card_status_active, 100);
    card_list_t filter = {0};
    MESSAGE_SET(card_list, &filter, member_id, TEXT_LITERAL("m-1"));
    list_expect(state, filter, 0, 1, (uuid_t[]){second, first}, 2);
    MESSAGE_SET(card_list, &filter, status, card_status_revoked);
    list_expect(state, filter, 0, 5, &first, 1);
    MESSAGE_CLEAR(card_list, &filter, status);
    MESSAGE_SET(card_list, &filter, q, TEXT_LITERAL("GO"));
    list_expect(state, filter, 0, 5, &second, 1);
    MESSAGE_SET(card_list, &filter, member_id, TEXT_LITERAL("nobody"));
    list_expect(state, filter, 0, 5, NULL, 0);
}

void list_counts_a_card_past_its_end_as_expired(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t a = harness_issue(harness, alpha, "a", "", card_status_active, 100);
    const uuid_t b = harness_issue(harness, alpha, "b", "", card_status_expired, 50);
    const uuid_t c = harness_issue(harness, alpha, "c", "", card_status_suspended, 100);
    const uuid_t d = harness_issue(harness, alpha, "d", "", card_status_active, 200);
    const uuid_t e = harness_issue(harness, alpha, "e", "", card_status_revoked, 10);
    const uuid_t f = harness_issue(harness, alpha, "f", "", card_status_expired, 50);
    card_list_t filter = {0};
    MESSAGE_SET(card_list, &filter, status, card_status_expired);
    list_expect(state, filter, 99, 1, (uuid_t[]){f, b}, 2);
    list_expect(state, filter, 100, 1, (uuid_t[]){f, c, b, a}, 4);
    list_expect(state, filter, 100, 9, (uuid_t[]){f, c, b, a}, 4);
    MESSAGE_SET(card_list, &filter, status, card_status_active);
    list_expect(state, filter, 99, 1, (uuid_t[]){d, a}, 2);
    list_expect(state, filter, 100, 1, &d, 1);
    MESSAGE_SET(card_list, &filter, status, card_status_suspended);
    list_expect(state, filter, 100, 1, NULL, 0);
    MESSAGE_SET(card_list, &filter, status, card_status_revoked);
    list_expect(state, filter, 100, 1, &e, 1);
    MESSAGE_SET(card_list, &filter, status, card_status_issued);
    list_expect(state, filter, 100, 1, NULL, 0);
}

void list_finds_prefixes_of_member_and_tier_in_any_case(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t a = harness_issue(harness, alpha, "Gold-1", "basic", card_status_active, 100);
    const uuid_t b = harness_issue(harness, alpha, "x-1", "GOLD", card_status_active, 100);
    const uuid_t c = harness_issue(harness, alpha, "goldie", "gold", card_status_active, 100);
    const uuid_t d = harness_issue(harness, alpha, "m%_'-1", "", card_status_active, 100);
    const uuid_t e = harness_issue(harness, alpha, "J\xc3\xbcrgen", "", card_status_active, 100);
    card_list_t filter = {0};
    MESSAGE_SET(card_list, &filter, q, TEXT_LITERAL("gOl"));
    list_expect(state, filter, 0, 1, (uuid_t[]){c, b, a}, 3);
    MESSAGE_SET(card_list, &filter, q, TEXT_LITERAL("gold-"));
    list_expect(state, filter, 0, 5, &a, 1);
    MESSAGE_SET(card_list, &filter, q, TEXT_LITERAL("M%_'"));
    list_expect(state, filter, 0, 5, &d, 1);
    MESSAGE_SET(card_list, &filter, q, TEXT_LITERAL("j\xc3\xbc"));
    list_expect(state, filter, 0, 5, &e, 1);
    static const char *const none[] = {"%", "_", "old", "gold%", "' OR 1=1 --", "m__"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        MESSAGE_SET(card_list, &filter, q, text_from_c(none[i]));
        list_expect(state, filter, 0, 5, NULL, 0);
    }
    MESSAGE_SET(card_list, &filter, q, TEXT_NONE);
    list_expect(state, filter, 0, 2, (uuid_t[]){e, d, c, b, a}, 5);
}

/* More cards than any bound of one page, stored in few batches. */
void list_pages_through_any_filter_without_loss(void **state)
{
    enum { COUNT = 6000, SLICE = 250 };
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    uuid_t *even = harness_take(harness, COUNT * sizeof *even);
    uuid_t *rare = harness_take(harness, COUNT * sizeof *rare);
    size_t even_count = 0;
    size_t rare_count = 0;
    for (size_t base = 0; base < COUNT; base += SLICE) {
        journal_event_t *events = harness_take(harness, SLICE * sizeof *events);
        journal_snapshot_t *snapshots = harness_take(harness, SLICE * sizeof *snapshots);
        for (size_t i = 0; i < SLICE; i++) {
            const size_t number = base + i;
            const uuid_t card = harness_id(harness);
            const bool is_rare = number % 2000 == 7;
            events[i] = *harness_make_events(harness, &card, 1, 1);
            snapshots[i] = *harness_make_snapshot(
                harness, &card, number % 2 == 0 ? "even" : "odd", is_rare ? "rare" : "",
                is_rare ? card_status_expired : card_status_active, 100, 1);
            if (number % 2 == 0) {
                even[COUNT / 2 - 1 - even_count++] = card;
            }
            if (is_rare) {
                rare[2 - rare_count++] = card;
            }
        }
        const journal_batch_t batch = {.epoch = alpha->partitions[0].epoch,
                                       .head = base,
                                       .events = events,
                                       .event_count = SLICE,
                                       .snapshots = snapshots,
                                       .snapshot_count = SLICE};
        assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    }
    card_list_t filter = {0};
    MESSAGE_SET(card_list, &filter, q, TEXT_LITERAL("EV"));
    list_expect(state, filter, 0, 500, even, even_count);
    MESSAGE_SET(card_list, &filter, q, TEXT_LITERAL("ra"));
    list_expect(state, filter, 0, 2, rare, rare_count);
    MESSAGE_CLEAR(card_list, &filter, q);
    MESSAGE_SET(card_list, &filter, status, card_status_expired);
    list_expect(state, filter, 0, 2, rare, rare_count);
    MESSAGE_SET(card_list, &filter, member_id, TEXT_LITERAL("even"));
    list_expect(state, filter, 100, 500, even, even_count);
    MESSAGE_SET(card_list, &filter, status, card_status_suspended);
    list_expect(state, filter, 0, 500, NULL, 0);
}

void list_rows_carry_tail_and_member_key(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_issue(harness, alpha, "m-1", "", card_status_active, 100);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 2, 3), RESULT_OK);
    const journal_member_key_t key = {TEXT_LITERAL("m-1"), TEXT_LITERAL("sealed")};
    const journal_batch_t batch = {.epoch = alpha->partitions[0].epoch,
                                   .head = alpha->partitions[0].head,
                                   .member_keys = &key,
                                   .member_key_count = 1};
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    (void)harness_issue(harness, alpha, "m-2", "", card_status_active, 100);
    const card_list_t all = {0};
    const journal_cards_t page = harness_list(harness, alpha, &all, 0, 10);
    assert_int_equal(page.row_count, 2);
    assert_int_equal(page.rows[0].tail_count, 0);
    assert_int_equal(page.rows[0].sealed_member_key.size, 0);
    assert_int_equal(page.rows[1].tail_count, 3);
    assert_int_equal(page.rows[1].tail[2].card_sequence, 4);
    assert_true(text_equal(page.rows[1].sealed_member_key, TEXT_LITERAL("sealed")));
}

void history_is_newest_first_in_pages(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    const uuid_t other = harness_id(harness);
    for (uint64_t i = 1; i <= 30; i++) { /* interleaved */
        assert_int_equal(harness_store(harness, alpha, 0, &card, i, 1), RESULT_OK);
        assert_int_equal(harness_store(harness, alpha, 0, &other, i, 1), RESULT_OK);
    }
    static const uint32_t limits[] = {1, 7, 15, 30, 31};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        text_t cursor = TEXT_NONE;
        uint64_t expected = 30;
        for (bool is_last = false; !is_last;) {
            const journal_events_t page = harness_history(harness, alpha, &card, cursor, limits[i]);
            assert_int_equal(page.result, RESULT_OK);
            assert_true(page.event_count > 0);
            for (size_t k = 0; k < page.event_count; k++, expected--) {
                assert_int_equal(page.events[k].card_sequence, expected);
                assert_true(uuid_equal(&page.events[k].card, &card));
            }
            cursor = page.next_cursor;
            is_last = text_is_empty(cursor);
        }
        assert_int_equal(expected, 0);
    }
    const uuid_t unknown = harness_id(harness);
    const journal_events_t none = harness_history(harness, alpha, &unknown, TEXT_NONE, 5);
    assert_int_equal(none.result, RESULT_OK);
    assert_int_equal(none.event_count, 0);
}

void foreign_cursors_are_refused(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    const uuid_t other = harness_id(harness);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 1, 5), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 0, &other, 1, 5), RESULT_OK);
    (void)harness_issue(harness, alpha, "a", "", card_status_active, 5);
    (void)harness_issue(harness, alpha, "b", "", card_status_active, 5);

    card_list_t filter = {0};
    const text_t cards = harness_list(harness, alpha, &filter, 0, 1).next_cursor;
    const text_t history = harness_history(harness, alpha, &card, TEXT_NONE, 2).next_cursor;
    assert_true(cards.size > 0 && history.size > 0);
    assert_int_equal(harness_history(harness, alpha, &other, history, 2).result,
                     RESULT_INVALID_CURSOR);
    assert_int_equal(harness_history(harness, alpha, &card, cards, 2).result,
                     RESULT_INVALID_CURSOR);
    MESSAGE_SET(card_list, &filter, cursor, history);
    assert_int_equal(harness_list(harness, alpha, &filter, 0, 1).result, RESULT_INVALID_CURSOR);
    static const char *const bad[] = {"x",
                                      "c1",
                                      "c1000000000000000",
                                      "c1ffffffffffffffff",
                                      "c10000000000000000",
                                      "h1zzzzzzzzzzzzzzzz",
                                      "h17fffffffffffffff",
                                      "c2000000000000000a",
                                      "C1000000000000000A",
                                      "c1000000000000000aa"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const text_t cursor = text_from_c(bad[i]);
        MESSAGE_SET(card_list, &filter, cursor, cursor);
        assert_int_equal(harness_list(harness, alpha, &filter, 0, 1).result, RESULT_INVALID_CURSOR);
        assert_int_equal(harness_history(harness, alpha, &card, cursor, 2).result,
                         RESULT_INVALID_CURSOR);
    }
}

void events_come_in_order_with_the_head(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t cards[2] = {harness_id(harness), harness_id(harness)};
    for (uint64_t i = 0; i < 40; i++) {
        const uint32_t partition = i % 2 == 0 ? 3 : 2;
        assert_int_equal(harness_store(harness, alpha, partition, &cards[i % 2], 1 + i / 2 * 2, 2),
                         RESULT_OK);
    }
    for (uint64_t after = 0; after <= 40; after++) {
        const journal_events_t page = harness_events(harness, alpha, 3, after, 10);
        assert_int_equal(page.result, RESULT_OK);
        assert_int_equal(page.head, 40);
        assert_int_equal(page.event_count, 40 - after < 10 ? 40 - after : 10);
        for (size_t i = 0; i < page.event_count; i++) {
            assert_int_equal(page.events[i].sequence, after + 1 + i);
            assert_int_equal(page.events[i].partition, 3);
            assert_true(uuid_equal(&page.events[i].card, &cards[0]));
            assert_true(text_equal(page.events[i].tenant, TEXT_LITERAL("alpha")));
        }
    }
    assert_int_equal(harness_events(harness, alpha, 3, 9007199254740991, 10).event_count, 0);
    assert_int_equal(harness_events(harness, alpha, 0, 0, 10).head, 0);
}
