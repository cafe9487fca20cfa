/* Lists, histories and replays. */
#include "actors/secrets.h"
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/relay_support.h"
#include <stdio.h>

/* One stored card of a tenant, with a name sealed under its member's key. */
typedef struct stored_card {
    uint8_t snapshot[512];
    uint8_t sealed_key[SECRET_SEALED_KEY_SIZE];
    uint8_t sealed_name[SECRET_SEALED_NAME_SIZE_MAX];
} stored_card_t;

static text_t text_of(const uint8_t *bytes, size_t size)
{
    return (text_t){.data = (const char *)bytes, .size = size};
}

static void store_card(fake_tenant_t *tenant, stored_card_t *stored, const char *name)
{
    const text_t member_id = TEXT_LITERAL("m-1");
    crypto_key_t tenant_secret;
    memset(&tenant_secret, (int)tenant->name[0], sizeof(tenant_secret));
    crypto_key_t member_key;
    memset(&member_key, 'k', sizeof(member_key));
    secret_member_key_seal(&signer_functions, &tenant_secret, text_from_c(tenant->name), member_id,
                           &member_key, stored->sealed_key);
    secret_holder_name_seal(&signer_functions, &member_key, member_id, text_from_c(name),
                            stored->sealed_name);
    card_snapshot_t snapshot = {0};
    MESSAGE_SET(card_snapshot, &snapshot, id, ((uuid_t){.bytes = {7}}));
    MESSAGE_SET(card_snapshot, &snapshot, member_id, member_id);
    MESSAGE_SET(card_snapshot, &snapshot, sealed_name,
                text_of(stored->sealed_name, strlen(name) + CRYPTO_SEAL_OVERHEAD));
    MESSAGE_SET(card_snapshot, &snapshot, status, card_status_issued);
    MESSAGE_SET(card_snapshot, &snapshot, valid_from, 1000);
    MESSAGE_SET(card_snapshot, &snapshot, expires_at, INT64_C(1800000000000));
    MESSAGE_SET(card_snapshot, &snapshot, issued_at, 1000);
    MESSAGE_SET(card_snapshot, &snapshot, version, 1);
    MESSAGE_SET(card_snapshot, &snapshot, card_sequence, 1);
    MESSAGE_SET(card_snapshot, &snapshot, was_activated, false);
    MESSAGE_SET(card_snapshot, &snapshot, is_suspended, false);
    const size_t size = message_pack(&card_snapshot_message, &snapshot, MESSAGE_KEYS_IDS,
                                     stored->snapshot, sizeof(stored->snapshot));
    assert_true(size <= sizeof(stored->snapshot));
    tenant->rows[tenant->row_count] =
        (journal_card_row_t){.snapshot = text_of(stored->snapshot, size),
                             .sealed_member_key = text_of(stored->sealed_key, 72)};
    tenant->row_count += 1;
}

static void list(relay_fixture_t *fixture, const char *tenant, uint8_t role)
{
    const card_list_t command = {0};
    relay_ask(fixture, request_type_card_list, tenant, role, NULL, &command);
    relay_journal_fake_settle(fixture->journal);
}

static void list_shows_cards_with_names_and_codes(void **state)
{
    relay_fixture_t *fixture = *state;
    stored_card_t stored;
    store_card(fixture->acme, &stored, "Zoë Grün");
    fixture->journal->next_cursor = TEXT_LITERAL("more");
    list(fixture, "acme", role_issuer);
    card_page_t page;
    relay_reply_document_into(fixture, &card_page_message, &page);
    assert_int_equal(page.items_count, 1);
    assert_int_equal(fixture->journal->last_limit, 50);
    assert_true(text_equal(page.next_cursor, TEXT_LITERAL("more")));
    const card_t *card = &page.items[0];
    assert_true(text_equal(card->holder_name, TEXT_LITERAL("Zoë Grün")));
    assert_true(text_equal(card->tenant, TEXT_LITERAL("acme")));
    assert_int_equal(card->status, card_status_issued);
    assert_true(MESSAGE_HAS(card, card, qr));
    assert_true(text_equal(card->qr.kid, TEXT_LITERAL("3")));
    card_code_t code;
    assert_true(card_code_parse(card->qr.text, &code));
    assert_int_equal(code.kid, 3);
    assert_true(uuid_equal(&code.card, &card->id));
    crypto_key_t key;
    memset(&key, 'a', sizeof(key));
    uint8_t message[CARD_CODE_MESSAGE_SIZE_MAX];
    const size_t size = card_code_message(&code, TEXT_LITERAL("acme"), message);
    assert_true(signer_functions.mac_verify(&key, text_of(message, size), code.mac));
}

static void auditors_see_no_codes(void **state)
{
    relay_fixture_t *fixture = *state;
    stored_card_t stored;
    store_card(fixture->acme, &stored, "Zoë");
    list(fixture, "acme", role_auditor);
    card_page_t page;
    relay_reply_document_into(fixture, &card_page_message, &page);
    assert_false(MESSAGE_HAS(card, &page.items[0], qr));
    assert_true(text_equal(page.items[0].holder_name, TEXT_LITERAL("Zoë")));
}

static void tail_is_folded_in(void **state)
{
    relay_fixture_t *fixture = *state;
    stored_card_t stored;
    store_card(fixture->acme, &stored, "Zoë");
    event_t tail = relay_journal_fake_event(fixture->acme, 0, 2);
    tail.name = event_name_card_activated;
    fixture->acme->rows[0].tail = &tail;
    fixture->acme->rows[0].tail_count = 1;
    list(fixture, "acme", role_issuer);
    card_page_t page;
    relay_reply_document_into(fixture, &card_page_message, &page);
    assert_int_equal(page.items[0].status, card_status_active);
    assert_int_equal(page.items[0].version, 2);
}

static void erased_members_and_damaged_rows_do_not_spoil_a_list(void **state)
{
    relay_fixture_t *fixture = *state;
    stored_card_t erased;
    stored_card_t moved;
    stored_card_t damaged;
    store_card(fixture->acme, &erased, "Zoë");
    store_card(fixture->acme, &moved, "Zoë");
    store_card(fixture->acme, &damaged, "Zoë");
    fixture->acme->rows[0].sealed_member_key = TEXT_NONE;
    moved.sealed_key[30] ^= 1; /* as if it were of another tenant or member */
    fixture->acme->rows[2].snapshot = TEXT_LITERAL("damaged");
    list(fixture, "acme", role_issuer);
    card_page_t page;
    relay_reply_document_into(fixture, &card_page_message, &page);
    assert_int_equal(page.items_count, 2);
    assert_false(MESSAGE_HAS(card, &page.items[0], holder_name));
    assert_false(MESSAGE_HAS(card, &page.items[1], holder_name));
}

static void tenants_see_their_own_cards_only(void **state)
{
    relay_fixture_t *fixture = *state;
    stored_card_t stored;
    store_card(fixture->acme, &stored, "Zoë");
    list(fixture, "big", role_issuer);
    card_page_t page;
    relay_reply_document_into(fixture, &card_page_message, &page);
    assert_int_equal(page.items_count, 0);
    assert_false(MESSAGE_HAS(card_page, &page, next_cursor));
}

static void filter_reaches_the_journal(void **state)
{
    relay_fixture_t *fixture = *state;
    card_list_t command = {0};
    MESSAGE_SET(card_list, &command, status, card_status_revoked);
    MESSAGE_SET(card_list, &command, member_id, TEXT_LITERAL("m-1"));
    MESSAGE_SET(card_list, &command, limit, 500);
    relay_ask(fixture, request_type_card_list, "acme", role_issuer, NULL, &command);
    relay_journal_fake_settle(fixture->journal);
    assert_int_equal(fixture->journal->last_list.status, card_status_revoked);
    assert_string_equal(fixture->journal->last_member_id, "m-1");
    assert_int_equal(fixture->journal->last_limit, 500);
}

static void history_has_the_newest_event_first_and_no_sealed_name(void **state)
{
    relay_fixture_t *fixture = *state;
    const card_history_t command = {0};
    const uuid_t card = {.bytes = {7}};
    relay_ask(fixture, request_type_card_history, "acme", role_issuer, &card, &command);
    relay_journal_fake_settle(fixture->journal);
    history_page_t page;
    relay_reply_document_into(fixture, &history_page_message, &page);
    assert_int_equal(page.items_count, 3);
    assert_int_equal(page.items[0].sequence, 3);
    assert_int_equal(page.items[0].occurred_at, 1003);
    assert_true(text_equal(page.items[0].data.gate, TEXT_LITERAL("north")));
    assert_null(memmem(fixture->reply.body.data, fixture->reply.body.size, "sealed", 6));
    assert_int_equal(fixture->journal->last_limit, 50);
}

static void history_of_an_unknown_card_is_not_found(void **state)
{
    relay_fixture_t *fixture = *state;
    card_history_t command = {0};
    const uuid_t card = {.bytes = {8}};
    relay_ask(fixture, request_type_card_history, "acme", role_issuer, &card, &command);
    relay_journal_fake_settle(fixture->journal);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_CARD_NOT_FOUND);
    MESSAGE_SET(card_history, &command, cursor, TEXT_LITERAL("past the end"));
    relay_ask(fixture, request_type_card_history, "acme", role_issuer, &card, &command);
    relay_journal_fake_settle(fixture->journal);
    assert_int_equal(fixture->reply.outcome, outcome_ok);
    relay_ask(fixture, request_type_card_history, "acme", role_issuer, NULL, &command);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_INVALID_ID);
}

static void read_events(relay_fixture_t *fixture, uint64_t partition, uint64_t after,
                        uint64_t limit, event_page_t *page)
{
    events_read_t command = {0};
    MESSAGE_SET(events_read, &command, partition, partition);
    MESSAGE_SET(events_read, &command, after, after);
    MESSAGE_SET(events_read, &command, limit, limit);
    relay_ask(fixture, request_type_events_read, "big", role_auditor, NULL, &command);
    relay_journal_fake_settle(fixture->journal);
    if (page != NULL) {
        relay_reply_document_into(fixture, &event_page_message, page);
    }
}

static void replay_returns_exactly_the_missing_events(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_commit_silently(fixture->big, 2, 1100);
    event_page_t page;
    read_events(fixture, 2, 10, 3, &page);
    assert_int_equal(page.items_count, 3);
    assert_int_equal(page.items[0].sequence, 11);
    assert_int_equal(page.items[2].sequence, 13);
    assert_int_equal(page.head, 1100);
    assert_true(text_equal(page.next_cursor, TEXT_LITERAL("13")));
    assert_null(memmem(fixture->reply.body.data, fixture->reply.body.size, "sealed", 6));
    read_events(fixture, 2, 1098, 1000, &page);
    assert_int_equal(page.items_count, 2);
    assert_false(MESSAGE_HAS(event_page, &page, next_cursor));
    read_events(fixture, 2, 0, 1000, &page);
    assert_int_equal(page.items_count, 1000);
    read_events(fixture, 0, 0, 10, &page);
    assert_int_equal(page.items_count, 0);
    assert_int_equal(page.head, 0);
    const events_read_t command = {0};
    relay_ask(fixture, request_type_events_read, "big", role_auditor, NULL, &command);
    relay_journal_fake_settle(fixture->journal);
    assert_int_equal(fixture->journal->last_limit, 100);
}

static void parameters_out_of_range_are_named(void **state)
{
    relay_fixture_t *fixture = *state;
    read_events(fixture, 0, 0, 0, NULL);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_INVALID_PARAMETER);
    assert_true(text_equal(fixture->reply.field, TEXT_LITERAL("limit")));
    read_events(fixture, 4, 0, 10, NULL);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_INVALID_PARAMETER);
    assert_true(text_equal(fixture->reply.field, TEXT_LITERAL("partition")));
    card_list_t command = {0};
    MESSAGE_SET(card_list, &command, limit, 0);
    relay_ask(fixture, request_type_card_list, "acme", role_issuer, NULL, &command);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_INVALID_PARAMETER);
}

static void errors_of_the_journal_reach_the_client(void **state)
{
    relay_fixture_t *fixture = *state;
    fixture->journal->next_read = RESULT_INVALID_CURSOR;
    list(fixture, "acme", role_issuer);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_INVALID_CURSOR);
    assert_true(text_equal(fixture->reply.field, TEXT_LITERAL("cursor")));
    fixture->journal->next_read = RESULT_STORE_UNAVAILABLE;
    list(fixture, "acme", role_issuer);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_STORE_UNAVAILABLE);
    fixture->journal->call_result = RESULT_BUSY;
    list(fixture, "acme", role_issuer);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_BUSY);
}

static void journal_that_does_not_open_is_said(void **state)
{
    relay_fixture_t *fixture = *state;
    fixture->journal->next_open = RESULT_STORE_CORRUPT;
    list(fixture, "acme", role_issuer);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_STORE_CORRUPT);
    fixture->journal->next_open = RESULT_OK;
    list(fixture, "acme", role_issuer);
    assert_int_equal(fixture->reply.outcome, outcome_ok);
    list(fixture, "nobody", role_issuer);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_TENANT_NOT_FOUND);
}

static void keys_that_do_not_open_are_an_error_not_a_wrong_code(void **state)
{
    relay_fixture_t *fixture = *state;
    fixture->acme->sealed_card_key[40] ^= 1;
    list(fixture, "acme", role_issuer);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_INTERNAL);
}

static void rotated_key_signs_the_next_list(void **state)
{
    relay_fixture_t *fixture = *state;
    stored_card_t stored;
    store_card(fixture->acme, &stored, "Zoë");
    list(fixture, "acme", role_issuer);
    crypto_key_t key;
    memset(&key, 'n', sizeof(key));
    secret_card_key_seal(&signer_functions, &fixture->master_key, TEXT_LITERAL("acme"), 4, &key,
                         fixture->acme->sealed_card_key);
    fixture->acme->key.kid = 4;
    fixture->journal->control_version += 1;
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    list(fixture, "acme", role_issuer);
    card_page_t page;
    relay_reply_document_into(fixture, &card_page_message, &page);
    assert_true(text_equal(page.items[0].qr.kid, TEXT_LITERAL("4")));
}

static void read_that_waited_too_long_is_not_run(void **state)
{
    relay_fixture_t *fixture = *state;
    const card_list_t command = {0};
    relay_ask(fixture, request_type_card_list, "acme", role_issuer, NULL, &command);
    loop_fake_stall(5000);
    relay_journal_fake_settle(fixture->journal);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_DEADLINE_EXCEEDED);
}

static void waiting_reads_are_bounded(void **state)
{
    relay_fixture_t *fixture = *state;
    const card_list_t command = {0};
    for (size_t i = 0; i < LIMIT_RELAY_READS; i++) {
        relay_ask(fixture, request_type_card_list, "acme", role_issuer, NULL, &command);
    }
    assert_int_equal(fixture->reply_count, 0);
    relay_ask(fixture, request_type_card_list, "acme", role_issuer, NULL, &command);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_BUSY);
    fixture->journal->next_open = RESULT_STORE_UNAVAILABLE;
    relay_journal_fake_settle(fixture->journal);
    assert_int_equal(fixture->reply_count, LIMIT_RELAY_READS + 1);
}

static void stopping_relay_takes_no_reads(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_drain(fixture->relay, NULL, NULL);
    list(fixture, "acme", role_issuer);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_DRAINING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_setup, relay_teardown)
    const struct CMUnitTest tests[] = {
        TEST(list_shows_cards_with_names_and_codes),
        TEST(auditors_see_no_codes),
        TEST(tail_is_folded_in),
        TEST(erased_members_and_damaged_rows_do_not_spoil_a_list),
        TEST(tenants_see_their_own_cards_only),
        TEST(filter_reaches_the_journal),
        TEST(history_has_the_newest_event_first_and_no_sealed_name),
        TEST(history_of_an_unknown_card_is_not_found),
        TEST(replay_returns_exactly_the_missing_events),
        TEST(parameters_out_of_range_are_named),
        TEST(errors_of_the_journal_reach_the_client),
        TEST(journal_that_does_not_open_is_said),
        TEST(keys_that_do_not_open_are_an_error_not_a_wrong_code),
        TEST(rotated_key_signs_the_next_list),
        TEST(read_that_waited_too_long_is_not_run),
        TEST(waiting_reads_are_bounded),
        TEST(stopping_relay_takes_no_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
