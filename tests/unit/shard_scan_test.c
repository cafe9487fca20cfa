/* Scanned codes: forged, foreign, retired, truncated; cards that do not exist; and what is kept of
 * scans that identify no card (DESIGN 3.3). */
#include "actors/card_view.h"
#include "actors/domain/card_code.h"
#include "actors/domain/card_id.h"
#include "adapters/signer/signer.h"
#include "tests/unit/shard_support.h"

#include <string.h>

typedef struct code_text {
    char text[CARD_CODE_TEXT_SIZE + 1];
} code_text_t;

/* A code as the tenant would sign it with that key. */
static code_text_t sign(const char *tenant, uint32_t kid, const uuid_t *card)
{
    const card_signing_key_t key = {.kid = kid, .key = control_fake_card_key(tenant, kid)};
    code_text_t code = {{0}};
    card_view_sign(card, text_from_c(tenant), &key, &signer_functions, code.text);
    return code;
}

static const answer_t *scan(fixture_t *fixture, const char *qr)
{
    return ask_now(fixture, &(ask_t){.type = request_type_card_scan, .qr = qr});
}

static void assert_no_card(const answer_t *answer, uint8_t reason)
{
    assert_verdict(answer, reason);
    assert_false(MESSAGE_HAS(verdict, &answer->verdict, card));
    assert_false(MESSAGE_HAS(verdict, &answer->verdict, sequence));
}

static void code_of_a_card_scans_as_that_card(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const answer_t *const read = get(fixture, &card);
    const answer_t *const answer = ask_now(fixture, &(ask_t){.type = request_type_card_scan,
                                                             .qr = read->card.qr.text.data,
                                                             .qr_size = read->card.qr.text.size});
    assert_verdict(answer, reason_valid);
    assert_true(uuid_equal(&answer->verdict.card.id, &card));
    assert_text(journal_fake_event(fixture->journal, "acme", 2)->data.zone, "pool");
}

static void unreadable_codes_get_a_verdict(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const code_text_t good = sign("acme", 1, &card);
    char truncated[CARD_CODE_TEXT_SIZE] = {0};
    memcpy(truncated, good.text, CARD_CODE_TEXT_SIZE - 1);
    char longest[1025];
    memset(longest, 'x', 1024);
    longest[1024] = '\0';
    const char *const codes[] = {"rubbish", truncated, longest, "DC1:", "https://example.org/"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_no_card(scan(fixture, codes[i]), reason_bad_signature);
    }
    /* An empty one, as a scanner may send it. */
    const answer_t *const empty =
        ask_now(fixture, &(ask_t){.type = request_type_card_scan, .qr = ""});
    assert_no_card(empty, reason_bad_signature);
}

static void forged_and_foreign_codes_are_told_apart(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const card_signing_key_t forged_key = {.kid = 1, .key = control_fake_card_key("mallory", 1)};
    code_text_t forged = {{0}};
    card_view_sign(&card, TEXT_LITERAL("acme"), &forged_key, &signer_functions, forged.text);
    assert_no_card(scan(fixture, forged.text), reason_bad_signature);
    assert_no_card(scan(fixture, sign("acme", 9, &card).text), reason_bad_signature);
    assert_no_card(scan(fixture, sign("other", 1, &card).text), reason_wrong_tenant);
}

static void codes_outlive_a_rotation_but_not_retirement(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const code_text_t old = sign("acme", 1, &card);
    assert_int_equal(control_fake_rotate(fixture->control, "acme"), 2);
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_text(get(fixture, &card)->card.qr.kid, "2");
    assert_verdict(scan(fixture, old.text), reason_valid);
    assert_verdict(scan(fixture, sign("acme", 2, &card).text), reason_valid);
    control_fake_set_key_state(fixture->control, "acme", 1, key_state_retired);
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_no_card(scan(fixture, old.text), reason_key_retired);
    control_fake_set_key_state(fixture->control, "acme", 1, key_state_compromised);
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_no_card(scan(fixture, old.text), reason_key_retired);
    const card_signing_key_t forged_key = {.kid = 1, .key = control_fake_card_key("mallory", 1)};
    code_text_t forged = {{0}};
    card_view_sign(&card, TEXT_LITERAL("acme"), &forged_key, &signer_functions, forged.text);
    assert_no_card(scan(fixture, forged.text), reason_bad_signature);
}

static void validation_with_a_code_must_name_its_card(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uuid_t other = issue_active(fixture, "m-2");
    const code_text_t code = sign("acme", 1, &card);
    const answer_t *const same = ask_now(
        fixture, &(ask_t){.type = request_type_card_validate, .card = &card, .qr = code.text});
    assert_verdict(same, reason_valid);
    const answer_t *const different = ask_now(
        fixture, &(ask_t){.type = request_type_card_validate, .card = &other, .qr = code.text});
    assert_no_card(different, reason_bad_signature);
}

static void forged_codes_activate_nothing(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    fixture_crash(fixture);
    const size_t loads = journal_fake_numbers(fixture->journal, "acme").loads;
    assert_no_card(scan(fixture, sign("other", 1, &card).text), reason_wrong_tenant);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").loads, loads);
    assert_int_equal(status_number(fixture, "\"card\"", "activations"), 0);
}

static void unknown_cards_leave_no_actor(void **state)
{
    fixture_t *const fixture = *state;
    uuid_t unknown = issue_active(fixture, "m-1");
    unknown.bytes[13] ^= 0x55;
    for (uint8_t i = 0; i < 50; i++) {
        unknown.bytes[14] = (uint8_t)(100 + i);
        assert_no_card(validate(fixture, &unknown), reason_unknown_card);
        assert_error(get(fixture, &unknown), RESULT_CARD_NOT_FOUND);
        assert_error(change(fixture, request_type_card_revoke, &unknown), RESULT_CARD_NOT_FOUND);
    }
    assert_no_card(scan(fixture, sign("acme", 1, &unknown).text), reason_unknown_card);
    settle(fixture);
    assert_int_equal(status_number(fixture, "\"card\"", "active"), 1);
    assert_int_equal(status_number(fixture, "\"card\"", "activating"), 0);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2);
}

static void ids_that_cannot_exist_are_unknown_without_a_read(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    const size_t loads = journal_fake_numbers(fixture->journal, "acme").loads;
    const uuid_t version_4 = {{1, 2, 3, 4, 5, 6, 0x40, 8, 0x80, 1, 2, 3, 4, 5, 6, 7}};
    uint8_t random[10] = {1};
    const uuid_t elsewhere = card_id_make(START, 5, random); /* the tenant has one partition */
    assert_no_card(validate(fixture, &version_4), reason_unknown_card);
    assert_no_card(validate(fixture, &elsewhere), reason_unknown_card);
    assert_error(get(fixture, &elsewhere), RESULT_CARD_NOT_FOUND);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").loads, loads);
}

static void scans_from_the_future_are_refused(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t early = {
        .type = request_type_card_validate, .card = &card, .at = START + LIMIT_SCAN_AHEAD_MS + 1};
    const answer_t *const refused = ask_now(fixture, &early);
    assert_error(refused, RESULT_INVALID_BODY);
    assert_text(refused->reply.field, "at");
    ask_t near = early;
    near.at = START + LIMIT_SCAN_AHEAD_MS;
    assert_verdict(ask_now(fixture, &near), reason_valid);
}

static void refused_scans_are_logged_with_the_raw_code_and_no_event(void **state)
{
    fixture_t *const fixture = *state;
    uuid_t card = issue_active(fixture, "m-1");
    const size_t events = journal_fake_numbers(fixture->journal, "acme").events;
    assert_no_card(scan(fixture, "rubbish"), reason_bad_signature);
    card.bytes[15] ^= 1;
    assert_no_card(validate(fixture, &card), reason_unknown_card);
    advance(fixture, 1000); /* flushed each second if nothing else takes it along */
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").refusals, 2);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, events);
    const journal_refusal_t *const first = journal_fake_refusal(fixture->journal, "acme", 0);
    assert_text(first->code, "rubbish");
    assert_text(first->gate, "north");
    assert_int_equal(first->reason, reason_bad_signature);
    assert_int_equal(first->recorded_at, START);
    char id[UUID_TEXT_SIZE + 1] = {0};
    uuid_format(&card, id);
    assert_text(journal_fake_refusal(fixture->journal, "acme", 1)->code, id);
}

static void refused_scans_are_logged_at_a_bounded_rate(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    for (int i = 0; i < 3 * LIMIT_REFUSAL_LOG_PER_SECOND; i++) {
        assert_no_card(scan(fixture, "rubbish"), reason_bad_signature);
    }
    advance(fixture, 1000);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").refusals,
                     LIMIT_REFUSAL_LOG_PER_SECOND);
    assert_int_equal(metric_number(fixture, "digitalcard_refusal_log_dropped_total"),
                     2 * LIMIT_REFUSAL_LOG_PER_SECOND);
    assert_no_card(scan(fixture, "rubbish"), reason_bad_signature);
    advance(fixture, 1000);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").refusals,
                     LIMIT_REFUSAL_LOG_PER_SECOND + 1);
}

static void a_refused_scan_does_not_wait_for_its_log(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    journal_fake_hold_appends(fixture->journal, true);
    assert_no_card(scan(fixture, "rubbish"), reason_bad_signature);
    advance(fixture, 1000);
    assert_no_card(scan(fixture, "rubbish"), reason_bad_signature);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(code_of_a_card_scans_as_that_card),
        TEST(unreadable_codes_get_a_verdict),
        TEST(forged_and_foreign_codes_are_told_apart),
        TEST(codes_outlive_a_rotation_but_not_retirement),
        TEST(validation_with_a_code_must_name_its_card),
        TEST(forged_codes_activate_nothing),
        TEST(unknown_cards_leave_no_actor),
        TEST(ids_that_cannot_exist_are_unknown_without_a_read),
        TEST(scans_from_the_future_are_refused),
        TEST(refused_scans_are_logged_with_the_raw_code_and_no_event),
        TEST(refused_scans_are_logged_at_a_bounded_rate),
        TEST(a_refused_scan_does_not_wait_for_its_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
