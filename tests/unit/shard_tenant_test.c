/* Tenants: kept apart, opened and closed, deleted, damaged; the directory; the end of the shard. */
#include "tests/unit/shard_support.h"
#include <stdio.h>
#include <string.h>

static void add_tenant(fixture_t *fixture, const char *name)
{
    control_fake_add_tenant(fixture->control, name, 1);
    journal_fake_add_tenant(fixture->journal, name, 1);
}

static const answer_t *issue_at(fixture_t *fixture, const char *tenant)
{
    return ask_now(fixture, &(ask_t){.tenant = tenant,
                                     .type = request_type_card_issue,
                                     .member_id = "m-1",
                                     .holder_name = "Ada Lovelace",
                                     .activate = true});
}

static void cards_of_another_tenant_do_not_exist(void **state)
{
    fixture_t *const fixture = *state;
    add_tenant(fixture, "zeta");
    const uuid_t card = issue_active(fixture, "m-1");
    (void)issue_at(fixture, "zeta");
    const ask_t theirs = {.tenant = "zeta", .type = request_type_card_get, .card = &card};
    assert_error(ask_now(fixture, &theirs), RESULT_CARD_NOT_FOUND);
    ask_t revoke = theirs;
    revoke.type = request_type_card_revoke;
    assert_error(ask_now(fixture, &revoke), RESULT_CARD_NOT_FOUND);
    ask_t validation = theirs;
    validation.type = request_type_card_validate;
    assert_verdict(ask_now(fixture, &validation), reason_unknown_card);
    assert_int_equal(get(fixture, &card)->card.status, card_status_active);
}

static void tenants_that_do_not_exist_are_not_found(void **state)
{
    fixture_t *const fixture = *state;
    const char *const names[] = {
        "nobody", "..", "a/b", "ACME", "api", "", "a234567890123456789012345678901234567890x"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) > LIMIT_TENANT_NAME_SIZE || strlen(names[i]) == 0) {
            continue; /* no envelope can carry it */
        }
        assert_error(issue_at(fixture, names[i]), RESULT_TENANT_NOT_FOUND);
    }
    assert_int_equal(status_number(fixture, "\"tenants\"", "open"), 0);
}

static void requests_wait_in_order_while_the_tenant_opens(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    fixture_crash(fixture);
    const uint64_t revoke = send_change(fixture, request_type_card_revoke, &card);
    const uint64_t validation = send_validate(fixture, &card);
    settle(fixture);
    assert_int_equal(answer_to(fixture, revoke)->card.status, card_status_revoked);
    assert_verdict(answer_to(fixture, validation), reason_revoked);
}

static void a_lost_journal_is_not_replaced_by_an_empty_one(void **state)
{
    fixture_t *const fixture = *state;
    control_fake_add_tenant(fixture->control, "lost", 1);
    assert_error(issue_at(fixture, "lost"), RESULT_STORE_UNAVAILABLE);
}

static void damaged_cards_are_not_guessed(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    fixture_crash(fixture);
    journal_fake_corrupt(fixture->journal, "acme");
    assert_error(validate(fixture, &card), RESULT_STORE_CORRUPT);
    assert_error(get(fixture, &card), RESULT_STORE_CORRUPT);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2);
}

static void a_failed_load_ends_what_waits_for_it(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    fixture_crash(fixture);
    (void)issue_active(fixture, "m-2");
    journal_fake_fail_loads(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    const uint64_t first = send_validate(fixture, &card);
    const uint64_t second = send_validate(fixture, &card);
    settle(fixture);
    assert_error(answer_to(fixture, first), RESULT_STORE_UNAVAILABLE);
    assert_error(answer_to(fixture, second), RESULT_STORE_UNAVAILABLE);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void a_card_that_loads_while_the_store_fails_is_not_trusted(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    fixture_crash(fixture);
    const uuid_t other = issue_active(fixture, "m-2");
    journal_fake_hold_loads(fixture->journal, true);
    const uint64_t cold = send_validate(fixture, &card);
    settle(fixture);
    journal_fake_fence(fixture->journal, "acme");
    assert_error(validate(fixture, &other), RESULT_FENCED);
    journal_fake_hold_loads(fixture->journal, false);
    settle(fixture);
    assert_int_equal(answer_to(fixture, cold)->reply.outcome, outcome_error);
    advance(fixture, 50);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void deleted_tenants_are_closed_and_not_found(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t committing = send_validate(fixture, &card);
    settle(fixture);
    const uint64_t gathering = send_validate(fixture, &card);
    control_fake_delete_tenant(fixture->control, "acme");
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_error(answer_to(fixture, gathering), RESULT_TENANT_NOT_FOUND);
    assert_error(validate(fixture, &card), RESULT_TENANT_NOT_FOUND);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_verdict(answer_to(fixture, committing), reason_valid); /* it was stored */
    assert_false(journal_fake_numbers(fixture->journal, "acme").is_open);
    assert_error(validate(fixture, &card), RESULT_TENANT_NOT_FOUND);
    assert_int_equal(status_number(fixture, "{", "member_keys_cached"), 0);
    assert_int_equal(status_number(fixture, "\"tenants\"", "open"), 0);
}

static void a_tenant_made_again_is_opened_again(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    control_fake_delete_tenant(fixture->control, "acme");
    control_fake_add_tenant(fixture->control, "acme", 1);
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").closes, 1);
    assert_int_equal(issue_at(fixture, "acme")->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").opens, 2);
}

/* Nobody polls the control store in the tests of namesakes. */
static int64_t replace_acme(fixture_t *fixture)
{
    control_fake_delete_tenant(fixture->control, "acme");
    add_tenant(fixture, "acme");
    return control_fake_created_at(fixture->control, "acme");
}

static const answer_t *issue_since(fixture_t *fixture, int64_t since)
{
    return ask_now(fixture, &(ask_t){.type = request_type_card_issue,
                                     .member_id = "m-1",
                                     .holder_name = "Ada Lovelace",
                                     .since = since});
}

static void a_request_for_a_namesake_reaches_it_at_once(void **state)
{
    fixture_t *const fixture = *state;
    const int64_t first = control_fake_created_at(fixture->control, "acme");
    const uuid_t card = issue_active(fixture, "m-1");
    const int64_t second = replace_acme(fixture);
    const ask_t theirs = {.type = request_type_card_get, .card = &card, .since = second};
    assert_error(ask_now(fixture, &theirs), RESULT_CARD_NOT_FOUND);
    assert_int_equal(issue_since(fixture, second)->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 1);
    const ask_t ours = {.type = request_type_card_get, .card = &card, .since = first};
    assert_error(ask_now(fixture, &ours), RESULT_TENANT_NOT_FOUND);
    assert_error(issue_since(fixture, first), RESULT_TENANT_NOT_FOUND);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 1);
}

static void a_namesake_waits_until_the_deleted_one_has_committed(void **state)
{
    fixture_t *const fixture = *state;
    const int64_t first = control_fake_created_at(fixture->control, "acme");
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_hold_appends(fixture->journal, true);
    (void)send_validate(fixture, &card);
    settle(fixture);
    const int64_t second = replace_acme(fixture);
    assert_error(issue_since(fixture, second), RESULT_BUSY);
    assert_error(issue_since(fixture, second), RESULT_BUSY);
    assert_error(issue_since(fixture, first), RESULT_TENANT_NOT_FOUND);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_int_equal(issue_since(fixture, second)->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 1);
}

static void replace_now(void *context)
{
    (void)replace_acme(context);
}

static void replace_soon(void *context)
{
    loop_post(((fixture_t *)context)->loop, replace_now, context);
}

static void a_tenant_replaced_while_it_is_opened_is_opened_anew(void **state)
{
    fixture_t *const fixture = *state;
    const ask_t question = {.type = request_type_card_issue, .member_id = "m-1"};
    const uint64_t asked = ask(fixture, &question);
    loop_post(fixture->loop, replace_soon, fixture); /* between the first look and the journal */
    settle(fixture);
    assert_error(answer_to(fixture, asked), RESULT_BUSY);
    const int64_t second = control_fake_created_at(fixture->control, "acme");
    assert_int_equal(issue_since(fixture, second)->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 1);
}

static void opening_for_a_namesake_refuses_what_waits_for_the_deleted_one(void **state)
{
    fixture_t *const fixture = *state;
    const int64_t first = control_fake_created_at(fixture->control, "acme");
    (void)replace_acme(fixture);
    assert_error(issue_since(fixture, first), RESULT_TENANT_NOT_FOUND);
    control_fake_delete_tenant(fixture->control, "acme");
    assert_error(issue_since(fixture, first), RESULT_TENANT_NOT_FOUND);
}

/* A name under the key of the deleted tenant's member could never be opened again. */
static void member_keys_of_a_deleted_tenant_are_not_its_namesakes(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(issue_since(fixture, 0)->reply.outcome, outcome_ok);
    for (int i = 0; i < LIMIT_STORE_FILES_OPEN;
         i++) { /* it is closed, nobody knows of a deletion */
        char name[16];
        (void)snprintf(name, sizeof(name), "t%03d", i);
        add_tenant(fixture, name);
        loop_fake_advance(fixture->loop, 10);
        assert_int_equal(issue_at(fixture, name)->reply.outcome, outcome_ok);
    }
    assert_false(journal_fake_numbers(fixture->journal, "acme").is_open);
    (void)replace_acme(fixture);
    assert_int_equal(issue_since(fixture, 0)->reply.outcome, outcome_ok);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").member_keys, 1);
}

static void new_tenants_are_seen_without_a_restart(void **state)
{
    fixture_t *const fixture = *state;
    add_tenant(fixture, "fresh");
    assert_int_equal(issue_at(fixture, "fresh")->reply.outcome, outcome_ok);
}

static void unreadable_control_store_keeps_open_tenants_going(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    add_tenant(fixture, "zeta");
    control_fake_fail(fixture->control, RESULT_STORE_UNAVAILABLE);
    advance(fixture, 1000);
    assert_verdict(validate(fixture, &card), reason_valid);
    assert_error(issue_at(fixture, "zeta"), RESULT_STORE_UNAVAILABLE);
    control_fake_fail(fixture->control, RESULT_OK);
    assert_int_equal(issue_at(fixture, "zeta")->reply.outcome, outcome_ok);
}

static void tenants_used_longest_ago_give_way_to_others(void **state)
{
    fixture_t *const fixture = *state;
    enum { TENANTS = LIMIT_STORE_FILES_OPEN + 20 };
    const uuid_t card = issue_active(fixture, "m-1");
    for (int i = 0; i < TENANTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%03d", i);
        add_tenant(fixture, name);
    }
    for (int i = 0; i < TENANTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%03d", i);
        loop_fake_advance(fixture->loop, 10);
        assert_int_equal(issue_at(fixture, name)->reply.outcome, outcome_ok);
    }
    assert_true(status_number(fixture, "\"tenants\"", "open") <= LIMIT_STORE_FILES_OPEN);
    assert_false(journal_fake_numbers(fixture->journal, "acme").is_open);
    assert_false(journal_fake_numbers(fixture->journal, "t000").is_open);
    assert_verdict(validate(fixture, &card), reason_valid);
}

enum { CROWD = 2 * LIMIT_STORE_FILES_OPEN };

/* More tenants than may be open ask for a card each, while the store confirms nothing. */
static void crowd_asks(fixture_t *fixture, uint64_t asked[CROWD])
{
    char name[16];
    for (int i = 0; i < CROWD; i++) {
        (void)snprintf(name, sizeof(name), "t%03d", i);
        control_fake_add_tenant(fixture->control, name, 1);
        journal_fake_add_tenant(fixture->journal, name, 1);
    }
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    journal_fake_hold_appends(fixture->journal, true);
    for (int i = 0; i < CROWD; i++) {
        (void)snprintf(name, sizeof(name), "t%03d", i);
        asked[i] = ask(fixture,
                       &(ask_t){.tenant = name, .type = request_type_card_issue, .member_id = "m"});
    }
    settle(fixture);
}

static void busy_tenants_are_waited_for(void **state)
{
    fixture_t *const fixture = *state;
    uint64_t asked[CROWD];
    crowd_asks(fixture, asked);
    assert_false(is_answered(fixture, asked[CROWD - 1]));
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(answer_to(fixture, asked[i])->reply.outcome, outcome_ok);
    }
    assert_true(status_number(fixture, "\"tenants\"", "open") <= LIMIT_STORE_FILES_OPEN);
}

static void tenants_that_wait_too_long_are_told_so(void **state)
{
    fixture_t *const fixture = *state;
    uint64_t asked[CROWD];
    crowd_asks(fixture, asked);
    advance(fixture, 5000 + LIMIT_DIRECTORY_POLL_MS);
    assert_error(answer_to(fixture, asked[CROWD - 1]), RESULT_BUSY);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_int_equal(issue_at(fixture, "t511")->reply.outcome, outcome_ok);
}

static void directory_names_tenants_and_token_keys(void **state)
{
    fixture_t *const fixture = *state;
    add_tenant(fixture, "beta");
    control_fake_add_token_key(fixture->control, "k1", "{}");
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    const answer_t *const answer =
        ask_now(fixture, &(ask_t){.tenant = "-", .type = request_type_directory_get});
    assert_int_equal(answer->reply.outcome, outcome_ok);
    uint8_t memory[4096];
    arena_t arena = {.base = memory, .size = sizeof(memory)};
    directory_t directory;
    message_fault_t fault;
    assert_true(message_unpack(&directory_message, MESSAGE_KEYS_IDS,
                               (const uint8_t *)answer->reply.body.data, answer->reply.body.size,
                               &arena, &directory, &fault));
    assert_int_equal(directory.tenants_count, 2);
    assert_text(directory.tenants[0].name, "acme");
    assert_text(directory.tenants[1].name, "beta");
    assert_int_equal(directory.token_keys_count, 1);
    assert_text(directory.token_keys[0].kid, "k1");
    assert_false(directory.more);
}

static void drain_answers_what_is_under_way_and_refuses_the_rest(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    (void)ask_now(fixture, &(ask_t){.type = request_type_card_scan, .qr = "rubbish"});
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t committing = send_validate(fixture, &card);
    settle(fixture);
    const uint64_t gathering = send_change(fixture, request_type_card_revoke, &card);
    fixture_drain(fixture);
    assert_error(validate(fixture, &card), RESULT_DRAINING);
    settle(fixture);
    assert_false(fixture->is_drained);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_verdict(answer_to(fixture, committing), reason_valid);
    assert_int_equal(answer_to(fixture, gathering)->card.status, card_status_revoked);
    assert_true(fixture->is_drained);
    assert_false(journal_fake_numbers(fixture->journal, "acme").is_open);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").refusals, 1);
}

static void farewell(fixture_t *fixture)
{
    envelope_t envelope = {0};
    MESSAGE_SET(farewell, &envelope.farewell, shard, 0);
    MESSAGE_MARK(envelope, &envelope, farewell);
    uint8_t bytes[64];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    shard_receive(fixture->shard, 1, bytes, size);
    settle(fixture);
}

static void fronts_share_what_the_shard_takes(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    assert_int_equal(fixture->credit_count, 1);
    assert_int_equal(fixture->credit.requests, LIMIT_FRONT_CREDITS);
    assert_int_equal(fixture->credit.tenant_requests, LIMIT_TENANT_CREDITS);
    shard_set_fronts(fixture->shard, 2);
    assert_int_equal(fixture->credit_count, 1); /* enough for both */
    shard_set_fronts(fixture->shard, 32);
    assert_int_equal(fixture->credit_count, 2);
    assert_int_equal(fixture->credit.requests, LIMIT_SHARD_REQUESTS / 32);
    assert_int_equal(fixture->credit.tenant_requests, LIMIT_SHARD_REQUESTS / 32);
}

static void drain_waits_for_the_last_word_of_every_front(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    shard_set_fronts(fixture->shard, 2);
    farewell(fixture); /* it knew of the drain before the shard did */
    fixture_drain(fixture);
    settle(fixture);
    assert_false(fixture->is_drained);
    farewell(fixture);
    assert_true(fixture->is_drained);
}

static void drain_does_not_wait_for_a_front_that_died_or_is_silent(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    shard_set_fronts(fixture->shard, 2);
    fixture_drain(fixture);
    settle(fixture);
    shard_set_fronts(fixture->shard, 1);
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
    assert_false(fixture->is_drained);
    advance(fixture, LIMIT_FAREWELL_MS);
    settle(fixture);
    assert_true(fixture->is_drained);
}

static void an_idle_shard_drains_at_once(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    fixture_drain(fixture);
    settle(fixture);
    assert_true(fixture->is_drained);
}

static void drain_ends_while_the_store_fails(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t committing = send_validate(fixture, &card);
    settle(fixture);
    fixture_drain(fixture);
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, 1);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_error(answer_to(fixture, committing), RESULT_STORE_FULL);
    assert_true(fixture->is_drained);
}

static void status_is_cut_at_the_capacity_and_says_its_size(void **state)
{
    fixture_t *const fixture = *state;
    char whole[4096];
    const size_t size = shard_status(fixture->shard, whole, sizeof(whole));
    assert_int_equal(size, strlen(whole));
    char part[16];
    assert_int_equal(shard_status(fixture->shard, part, sizeof(part)), size);
    assert_int_equal(shard_status(fixture->shard, NULL, 0), size);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cards_of_another_tenant_do_not_exist),
        TEST(tenants_that_do_not_exist_are_not_found),
        TEST(requests_wait_in_order_while_the_tenant_opens),
        TEST(a_lost_journal_is_not_replaced_by_an_empty_one),
        TEST(damaged_cards_are_not_guessed),
        TEST(a_failed_load_ends_what_waits_for_it),
        TEST(a_card_that_loads_while_the_store_fails_is_not_trusted),
        TEST(deleted_tenants_are_closed_and_not_found),
        TEST(a_tenant_made_again_is_opened_again),
        TEST(a_request_for_a_namesake_reaches_it_at_once),
        TEST(a_namesake_waits_until_the_deleted_one_has_committed),
        TEST(a_tenant_replaced_while_it_is_opened_is_opened_anew),
        TEST(opening_for_a_namesake_refuses_what_waits_for_the_deleted_one),
        TEST(member_keys_of_a_deleted_tenant_are_not_its_namesakes),
        TEST(new_tenants_are_seen_without_a_restart),
        TEST(unreadable_control_store_keeps_open_tenants_going),
        TEST(tenants_used_longest_ago_give_way_to_others),
        TEST(busy_tenants_are_waited_for),
        TEST(tenants_that_wait_too_long_are_told_so),
        TEST(directory_names_tenants_and_token_keys),
        TEST(drain_answers_what_is_under_way_and_refuses_the_rest),
        TEST(fronts_share_what_the_shard_takes),
        TEST(drain_waits_for_the_last_word_of_every_front),
        TEST(drain_does_not_wait_for_a_front_that_died_or_is_silent),
        TEST(an_idle_shard_drains_at_once),
        TEST(drain_ends_while_the_store_fails),
        TEST(status_is_cut_at_the_capacity_and_says_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
