/* Commands that killed their role, as the shard's next incarnation meets them: the supervisor's
 * order, refusals, replays. */
#include "adapters/signer/signer.h"
#include "tests/unit/shard_support.h"

#include <string.h>

/* --- Dead letters of the test: one row --- */

typedef struct letters_fake {
    dead_letters_t port; /* first */
    result_t failure;
    bool has_row;
    dead_letter_t row;
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    uint8_t actor[CRASH_ID_SIZE];
    uint8_t sealed[LIMIT_CRASH_REQUEST_SIZE];
    char tenant[LIMIT_TENANT_NAME_SIZE];
    char outcome[DEAD_LETTER_OUTCOME_SIZE];
} letters_fake_t;

static letters_fake_t letters;

static result_t fake_put(dead_letters_t *store, const dead_letter_t *letter)
{
    (void)store;
    if (letters.failure != RESULT_OK) {
        return letters.failure;
    }
    letters.has_row = true;
    letters.row = *letter;
    memcpy(letters.fingerprint, letter->fingerprint, sizeof(letters.fingerprint));
    memcpy(letters.actor, letter->actor, sizeof(letters.actor));
    memcpy(letters.sealed, letter->sealed_request.data, letter->sealed_request.size);
    memcpy(letters.tenant, letter->tenant.data, letter->tenant.size);
    letters.row.fingerprint = letters.fingerprint;
    letters.row.actor = letters.actor;
    letters.row.sealed_request.data = (const char *)letters.sealed;
    letters.row.tenant.data = letters.tenant;
    return RESULT_OK;
}

static result_t fake_visit(dead_letters_t *store, text_t tenant, dead_letter_visit_t *visit,
                           void *context)
{
    (void)store;
    (void)tenant;
    if (letters.has_row && letters.failure == RESULT_OK) {
        (void)visit(context, &letters.row);
    }
    return letters.failure;
}

static result_t fake_visit_one(dead_letters_t *store, const uint8_t *fingerprint,
                               dead_letter_visit_t *visit, void *context)
{
    assert_memory_equal(fingerprint, letters.fingerprint, sizeof(letters.fingerprint));
    return fake_visit(store, TEXT_NONE, visit, context);
}

static result_t fake_change(dead_letters_t *store, const uint8_t *fingerprint,
                            dead_letter_state_t from, dead_letter_state_t to, text_t outcome)
{
    (void)store;
    (void)fingerprint;
    if (letters.failure != RESULT_OK || !letters.has_row || letters.row.state != from) {
        return letters.failure != RESULT_OK ? letters.failure : RESULT_MISSING;
    }
    letters.row.state = to;
    memset(letters.outcome, 0, sizeof(letters.outcome));
    memcpy(letters.outcome, outcome.data == NULL ? "" : outcome.data, outcome.size);
    return RESULT_OK;
}

static const dead_letters_functions_t letters_functions = {
    .put = fake_put, .visit = fake_visit, .visit_one = fake_visit_one, .change = fake_change};

/* --- What the supervisor does --- */

static fixture_t *current;
static int slot_descriptor;
static crash_record_t record;
static crash_origin_t origin;
static bool is_watching; /* the next handler: what it works on is read while it runs */

static bool was_in_activation;

static int64_t wall_watching(void)
{
    if (is_watching && crash_slot_read(current->crash_slot, &record, &origin)) {
        is_watching = false;
    }
    return wall_now();
}

/* Called when a card has been built from what is stored. */
static void wipe_watching(void *memory, size_t size)
{
    if (is_watching && crash_slot_read(current->crash_slot, &record, &origin)) {
        is_watching = false;
        was_in_activation = true;
    }
    signer_functions.wipe(memory, size);
}

static int setup(void **state)
{
    const int status = fixture_setup(state);
    current = *state;
    letters = (letters_fake_t){.port.functions = &letters_functions};
    current->dead_letters = &letters.port;
    current->wall_ms = wall_watching;
    assert_int_equal(crash_slot_create(&current->crash_slot, &slot_descriptor), RESULT_OK);
    fixture_crash(current);
    return status;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    crash_slot_t *slot = fixture->crash_slot;
    const int status = fixture_teardown(state);
    crash_slot_destroy(&slot, &slot_descriptor);
    return status;
}

/* The role dies with this command in work, for the second time. */
static void killed_by(fixture_t *fixture, const ask_t *asked)
{
    is_watching = true;
    (void)ask_now(fixture, asked);
    assert_false(is_watching);
    crash_slot_give_order(fixture->crash_slot, &record, 2, "killed by SIGSEGV");
    fixture_crash(fixture);
}

/* Something in the control store changed, and the shard looks. */
static void poll_store(fixture_t *fixture)
{
    static char name[] = "other-a";
    name[6]++;
    control_fake_add_tenant(fixture->control, name, 1);
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    settle(fixture);
    settle(fixture);
}

/* The role dies again while it works on this card, whatever was asked of it. */
static void killed_by_card(fixture_t *fixture, const ask_t *asked)
{
    is_watching = true;
    (void)ask_now(fixture, asked);
    assert_false(is_watching);
    crash_slot_give_actor_order(fixture->crash_slot, &record, 2, "killed by SIGSEGV");
    fixture_crash(fixture);
}

static ask_t poison_of(const uuid_t *card)
{
    return (ask_t){.tenant = "acme", .type = request_type_card_validate, .card = card, .gate = "x"};
}

/* --- Tests --- */

static void handler_stands_in_the_slot_while_it_runs(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = poison_of(&card);
    is_watching = true;
    assert_verdict(ask_now(fixture, &poison), reason_valid);
    assert_false(is_watching);
    assert_int_equal(record.type, request_type_card_validate);
    assert_int_equal(record.stage, CRASH_STAGE_HANDLER);
    assert_memory_equal(record.tenant, "acme", record.tenant_size);
    assert_memory_equal(record.actor, card.bytes, CRASH_ID_SIZE);
    assert_false(crash_slot_read(fixture->crash_slot, &record, &origin));
}

/* What is stored may kill the role too, when the card is built from it. */
static void card_that_is_built_anew_stands_in_the_slot(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    crypto_functions_t watching = signer_functions;
    watching.wipe = wipe_watching;
    fixture->crypto = &watching;
    fixture_crash(fixture);
    const ask_t warm = {.type = request_type_card_scan, .qr = "x"};
    (void)ask_now(fixture, &warm); /* opens the tenant */
    journal_fake_hold_loads(fixture->journal, true);
    const uint64_t asked = ask(fixture, &(ask_t){.type = request_type_card_get, .card = &card});
    settle(fixture);
    is_watching = true;
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
    assert_false(is_watching);
    assert_int_equal(answer_to(fixture, asked)->reply.outcome, outcome_ok);
    assert_int_equal(record.type, request_type_card_get);
    assert_int_equal(record.stage, CRASH_STAGE_ACTIVATION);
    assert_memory_equal(record.actor, card.bytes, CRASH_ID_SIZE);
    assert_true(was_in_activation);
    assert_false(crash_slot_read(fixture->crash_slot, &record, &origin));
    fixture->crypto = NULL;
    fixture_crash(fixture);
}

static void ordered_command_is_refused_and_everything_else_is_not(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uuid_t other = issue_active(fixture, "m-2");
    const ask_t poison = poison_of(&card);
    const ask_t same_of_other = poison_of(&other);
    killed_by(fixture, &poison);
    assert_verdict(ask_now(fixture, &poison), reason_quarantined);
    assert_verdict(validate(fixture, &card), reason_valid);
    assert_verdict(ask_now(fixture, &same_of_other), reason_valid);
    assert_null(crash_slot_order(fixture->crash_slot));
    assert_true(letters.has_row);
    assert_int_equal(letters.row.state, DEAD_LETTER_QUARANTINED);
    assert_memory_equal(letters.row.actor, card.bytes, CRASH_ID_SIZE);
    assert_int_equal(
        metric_number(fixture,
                      "digitalcard_dead_letters_total{role=\"shard-0\",reason=\"quarantined\"}"),
        1);
    fixture_crash(fixture); /* from the store alone */
    assert_verdict(ask_now(fixture, &poison), reason_quarantined);
    letters.has_row = false; /* dropped by an operator */
    poll_store(fixture);
    assert_verdict(ask_now(fixture, &poison), reason_valid);
}

static void other_commands_are_refused_as_quarantined(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = {.tenant = "acme",
                          .type = request_type_card_suspend,
                          .card = &card,
                          .reason = "poison",
                          .key = "k-1"};
    killed_by(fixture, &poison);
    assert_error(ask_now(fixture, &poison), RESULT_QUARANTINED);
    const ask_t other_key = {.tenant = "acme",
                             .type = request_type_card_suspend,
                             .card = &card,
                             .reason = "poison",
                             .key = "k-2"};
    assert_error(ask_now(fixture, &(ask_t){.tenant = "acme",
                                           .type = request_type_card_suspend,
                                           .card = &card,
                                           .key = "k-1"}),
                 RESULT_QUARANTINED);
    assert_int_not_equal(ask_now(fixture, &other_key)->reply.outcome, outcome_error);
}

static void order_that_cannot_be_stored_counts_all_the_same(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = poison_of(&card);
    letters.failure = RESULT_STORE_FULL;
    killed_by(fixture, &poison);
    assert_verdict(ask_now(fixture, &poison), reason_quarantined);
    assert_non_null(crash_slot_order(fixture->crash_slot)); /* for the next start */
    poll_store(fixture);
    assert_verdict(ask_now(fixture, &poison), reason_quarantined);
    letters.failure = RESULT_OK;
    fixture_crash(fixture);
    assert_null(crash_slot_order(fixture->crash_slot));
    assert_true(letters.has_row);
}

static void replay_runs_the_request_and_lifts_the_quarantine(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = {
        .tenant = "acme", .type = request_type_card_suspend, .card = &card, .reason = "poison"};
    is_watching = true; /* it kills before it takes effect */
    (void)ask(fixture, &poison);
    settle(fixture);
    assert_int_equal(change(fixture, request_type_card_reinstate, &card)->reply.outcome,
                     outcome_ok);
    crash_slot_give_order(fixture->crash_slot, &record, 2, "killed by SIGSEGV");
    fixture_crash(fixture);
    const size_t answers = fixture->answer_count;
    letters.row.state = DEAD_LETTER_REPLAY_ASKED;
    poll_store(fixture);
    assert_int_equal(letters.row.state, DEAD_LETTER_REPLAYED);
    assert_string_equal(letters.outcome, "ok");
    assert_int_equal(fixture->answer_count, answers); /* no front hears of it */
    assert_verdict(validate(fixture, &card), reason_suspended);
    assert_refused(ask_now(fixture, &poison), reason_suspended);
}

static void replay_that_was_interrupted_is_quarantined_again(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = poison_of(&card);
    killed_by(fixture, &poison);
    letters.row.state = DEAD_LETTER_REPLAYING;
    fixture_crash(fixture);
    assert_int_equal(letters.row.state, DEAD_LETTER_QUARANTINED);
    poll_store(fixture);
    assert_verdict(ask_now(fixture, &poison), reason_quarantined);
}

static void request_that_cannot_be_read_stays_quarantined(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = poison_of(&card);
    killed_by(fixture, &poison);
    letters.sealed[50] ^= 1;
    letters.row.state = DEAD_LETTER_REPLAY_ASKED;
    poll_store(fixture);
    assert_int_equal(letters.row.state, DEAD_LETTER_QUARANTINED);
    poll_store(fixture);
    assert_verdict(ask_now(fixture, &poison), reason_quarantined);
}

static void ordered_card_is_refused_whatever_is_asked_and_no_other(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uuid_t other = issue_active(fixture, "m-2");
    const ask_t poison = poison_of(&card);
    killed_by_card(fixture, &poison);
    assert_verdict(ask_now(fixture, &poison), reason_quarantined);
    assert_verdict(validate(fixture, &card), reason_quarantined);
    const answer_t *const refused = change(fixture, request_type_card_suspend, &card);
    assert_error(refused, RESULT_QUARANTINED);
    assert_true(refused->reply.detail.size > 0); /* what to do about it */
    assert_error(ask_now(fixture, &(ask_t){.type = request_type_card_get, .card = &card}),
                 RESULT_QUARANTINED);
    assert_verdict(validate(fixture, &other), reason_valid);
    assert_true(dead_letter_is_of_card(&letters.row));
    fixture_crash(fixture); /* from the store alone */
    assert_verdict(validate(fixture, &card), reason_quarantined);
    assert_verdict(validate(fixture, &other), reason_valid);
    letters.has_row = false; /* dropped by an operator */
    poll_store(fixture);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void replayed_card_is_read_and_free_again(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = {
        .tenant = "acme", .type = request_type_card_suspend, .card = &card, .reason = "poison"};
    is_watching = true; /* it kills before it takes effect */
    (void)ask(fixture, &poison);
    settle(fixture);
    assert_int_equal(change(fixture, request_type_card_reinstate, &card)->reply.outcome,
                     outcome_ok);
    crash_slot_give_actor_order(fixture->crash_slot, &record, 2, "killed by SIGSEGV");
    fixture_crash(fixture);
    letters.row.state = DEAD_LETTER_REPLAY_ASKED;
    poll_store(fixture);
    assert_int_equal(letters.row.state, DEAD_LETTER_REPLAYED);
    assert_string_equal(letters.outcome, "ok");
    assert_verdict(validate(fixture, &card), reason_valid); /* the suspension was not run */
}

static void replayed_card_that_cannot_be_read_stays_quarantined(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const ask_t poison = poison_of(&card);
    killed_by_card(fixture, &poison);
    letters.row.state = DEAD_LETTER_REPLAYING; /* our predecessor died meanwhile */
    fixture_crash(fixture);
    assert_int_equal(letters.row.state, DEAD_LETTER_QUARANTINED);
    assert_verdict(validate(fixture, &card), reason_quarantined);
    control_fake_delete_tenant(fixture->control, "acme");
    letters.row.state = DEAD_LETTER_REPLAY_ASKED;
    poll_store(fixture);
    assert_int_equal(letters.row.state, DEAD_LETTER_QUARANTINED);
    assert_string_equal(letters.outcome, "error: tenant_not_found");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(handler_stands_in_the_slot_while_it_runs),
        TEST(card_that_is_built_anew_stands_in_the_slot),
        TEST(ordered_command_is_refused_and_everything_else_is_not),
        TEST(other_commands_are_refused_as_quarantined),
        TEST(order_that_cannot_be_stored_counts_all_the_same),
        TEST(replay_runs_the_request_and_lifts_the_quarantine),
        TEST(replay_that_was_interrupted_is_quarantined_again),
        TEST(ordered_card_is_refused_whatever_is_asked_and_no_other),
        TEST(replayed_card_is_read_and_free_again),
        TEST(replayed_card_that_cannot_be_read_stays_quarantined),
        TEST(request_that_cannot_be_read_stays_quarantined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
