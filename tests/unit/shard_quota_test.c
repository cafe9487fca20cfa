/* Quotas of a tenant: exact at their boundary, counted by the journal, told by name, limit and use.
 */
#include "tests/unit/shard_support.h"

#include "actors/shard/tenant_actor.h"
#include <stdio.h>

enum { LIMIT = 3 };

static void set_quotas(fixture_t *fixture, control_quotas_t quotas)
{
    control_fake_set_quotas(fixture->control, "acme", &quotas);
    advance(fixture, LIMIT_DIRECTORY_POLL_MS);
}

static const answer_t *issue(fixture_t *fixture, const char *key)
{
    const ask_t asked = {
        .type = request_type_card_issue, .member_id = "m-1", .key = key, .activate = true};
    return ask_now(fixture, &asked);
}

static void assert_detail(const answer_t *answer, const char *part)
{
    char detail[512];
    (void)snprintf(detail, sizeof(detail), "%.*s", TEXT_PRINT(answer->reply.detail));
    assert_non_null(strstr(detail, part));
}

static void as_many_cards_are_issued_as_the_quota_says(void **state)
{
    fixture_t *const fixture = *state;
    set_quotas(fixture, (control_quotas_t){.cards = LIMIT});
    for (int i = 0; i < LIMIT; i++) {
        assert_int_equal(issue(fixture, NULL)->reply.outcome, outcome_ok);
    }
    const answer_t *const refused = issue(fixture, NULL);
    assert_error(refused, RESULT_QUOTA_CARDS);
    assert_detail(refused, "The quota of cards of this tenant is 3, and 3 are in use");
    assert_int_equal(
        metric_number(fixture, "digitalcard_quota_refused_total{role=\"shard-0\",quota=\"cards\"}"),
        1);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 2 * LIMIT);
    set_quotas(fixture, (control_quotas_t){.cards = LIMIT + 1}); /* seen without a restart */
    assert_int_equal(issue(fixture, NULL)->reply.outcome, outcome_ok);
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
    set_quotas(fixture, (control_quotas_t){0});
    assert_int_equal(issue(fixture, NULL)->reply.outcome, outcome_ok);
}

/* What stores nothing leaves nothing behind: else the tenant's files stay open for good, and a
 * drain waits for it. */
static void a_refused_card_leaves_the_tenant_idle(void **state)
{
    fixture_t *const fixture = *state;
    set_quotas(fixture, (control_quotas_t){.cards = 1});
    assert_int_equal(issue(fixture, NULL)->reply.outcome, outcome_ok);
    const tenant_t *const tenant = tenant_find(fixture->shard, TEXT_LITERAL("acme"));
    assert_true(tenant_is_idle(tenant));
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
    assert_true(tenant_is_idle(tenant));
}

/* In one batch, before anything of it is committed. */
static void the_count_runs_ahead_with_what_is_decided(void **state)
{
    fixture_t *const fixture = *state;
    (void)issue_active(fixture, "m-1");
    set_quotas(fixture, (control_quotas_t){.cards = LIMIT});
    uint64_t sent[LIMIT + 2];
    for (int i = 0; i < LIMIT + 2; i++) {
        sent[i] = ask(fixture, &(ask_t){.type = request_type_card_issue, .member_id = "m-2"});
    }
    settle(fixture);
    int good = 0;
    for (int i = 0; i < LIMIT + 2; i++) {
        good += answer_to(fixture, sent[i])->reply.outcome == outcome_ok ? 1 : 0;
    }
    assert_int_equal(good, LIMIT - 1);
}

static void the_count_survives_restart_and_failed_batches(void **state)
{
    fixture_t *const fixture = *state;
    set_quotas(fixture, (control_quotas_t){.cards = LIMIT});
    (void)issue_active(fixture, "m-1");
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, 1);
    assert_error(issue(fixture, NULL), RESULT_STORE_FULL); /* issued nothing */
    fixture_crash(fixture);
    (void)issue_active(fixture, "m-2");
    (void)issue_active(fixture, "m-3");
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
    fixture_crash(fixture);
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
}

static void a_replacement_takes_the_place_of_what_it_replaces(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    set_quotas(fixture, (control_quotas_t){.cards = 1});
    assert_int_equal(change(fixture, request_type_card_replace, &card)->reply.outcome, outcome_ok);
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
    fixture_crash(fixture);
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
}

static void a_card_that_ends_frees_its_place(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t first = issue_active(fixture, "m-1");
    const uuid_t second = issue_active(fixture, "m-2");
    set_quotas(fixture, (control_quotas_t){.cards = 2});
    assert_int_equal(change(fixture, request_type_card_suspend, &first)->reply.outcome, outcome_ok);
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
    assert_int_equal(change(fixture, request_type_card_revoke, &first)->reply.outcome, outcome_ok);
    assert_refused(change(fixture, request_type_card_revoke, &first), reason_revoked);
    fixture_crash(fixture);
    assert_int_equal(issue(fixture, NULL)->reply.outcome, outcome_ok);
    assert_error(issue(fixture, NULL), RESULT_QUOTA_CARDS);
    const ask_t renewal = {
        .type = request_type_card_renew, .card = &second, .expires_at = END + DAY_MS};
    assert_int_equal(ask_now(fixture, &renewal)->reply.outcome, outcome_ok); /* it has its place */
}

/* It gave its place away when it expired, and comes back only when there is one. */
static void renewing_an_expired_card_takes_a_place(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    wall_set(END + 1);
    assert_verdict(validate(fixture, &card), reason_expired);
    fixture_crash(fixture);
    set_quotas(fixture, (control_quotas_t){.cards = 1});
    advance(fixture, 2 * 60000); /* the sweep tells it */
    const ask_t issue_later = {
        .type = request_type_card_issue, .member_id = "m-2", .expires_at = END + 9 * DAY_MS};
    const answer_t *const issued = ask_now(fixture, &issue_later);
    assert_int_equal(issued->reply.outcome, outcome_ok);
    const uuid_t second = issued->card.id;
    const ask_t renewal = {
        .type = request_type_card_renew, .card = &card, .expires_at = END + 9 * DAY_MS};
    assert_error(ask_now(fixture, &renewal), RESULT_QUOTA_CARDS);
    assert_int_equal(change(fixture, request_type_card_revoke, &second)->reply.outcome, outcome_ok);
    assert_int_equal(ask_now(fixture, &renewal)->reply.outcome, outcome_ok);
    assert_error(ask_now(fixture, &issue_later), RESULT_QUOTA_CARDS);
}

/* The first attempt got its card: its repeat gets the same answer. What was refused was not stored
 * under its key: once the quota is raised the same key works. */
static void repeats_are_answered_whatever_the_quota_says(void **state)
{
    fixture_t *const fixture = *state;
    set_quotas(fixture, (control_quotas_t){.cards = 1});
    const uuid_t card = issue(fixture, "k-1")->card.id;
    assert_true(uuid_equal(&issue(fixture, "k-1")->card.id, &card));
    assert_error(issue(fixture, "k-2"), RESULT_QUOTA_CARDS);
    set_quotas(fixture, (control_quotas_t){.cards = 2});
    assert_int_equal(issue(fixture, "k-2")->reply.outcome, outcome_ok);
}

static void used_up_storage_stops_desks_and_no_door(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const uuid_t other = issue_active(fixture, "m-1");
    const tenant_t *const tenant = tenant_find(fixture->shard, TEXT_LITERAL("acme"));
    const uint64_t bytes = tenant->usage.bytes;
    assert_true(bytes > 4 * JOURNAL_EVENT_OVERHEAD);
    set_quotas(fixture, (control_quotas_t){.storage = bytes + 1}); /* one byte is left */
    assert_int_equal(issue(fixture, NULL)->reply.outcome, outcome_ok);
    const answer_t *const refused = issue(fixture, NULL);
    assert_error(refused, RESULT_QUOTA_STORAGE);
    assert_detail(refused, "The quota of storage of this tenant is");
    assert_error(ask_now(fixture, &(ask_t){.type = request_type_card_renew,
                                           .card = &card,
                                           .expires_at = END + DAY_MS}),
                 RESULT_QUOTA_STORAGE);
    assert_verdict(validate(fixture, &card), reason_valid);
    assert_int_equal(change(fixture, request_type_card_suspend, &card)->reply.outcome, outcome_ok);
    assert_error(change(fixture, request_type_card_reinstate, &card), RESULT_QUOTA_STORAGE);
    assert_int_equal(change(fixture, request_type_card_revoke, &other)->reply.outcome, outcome_ok);
    fixture_crash(fixture);
    assert_error(issue(fixture, NULL), RESULT_QUOTA_STORAGE);
}

static void so_many_requests_a_second_are_taken(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    set_quotas(fixture, (control_quotas_t){.rate = LIMIT});
    for (int i = 0; i < LIMIT; i++) {
        assert_verdict(validate(fixture, &card), reason_valid);
    }
    const answer_t *const refused = validate(fixture, &card);
    assert_error(refused, RESULT_QUOTA_RATE);
    assert_detail(refused, "The quota of requests of this tenant is 3 a second, and 3 were used");
    advance(fixture, 333); /* a third of a second gives almost one */
    assert_error(validate(fixture, &card), RESULT_QUOTA_RATE);
    advance(fixture, 1);
    assert_verdict(validate(fixture, &card), reason_valid);
    assert_error(validate(fixture, &card), RESULT_QUOTA_RATE);
    advance(fixture, 60000); /* no more than a second's worth is saved up */
    for (int i = 0; i < LIMIT; i++) {
        assert_verdict(validate(fixture, &card), reason_valid);
    }
    assert_error(validate(fixture, &card), RESULT_QUOTA_RATE);
    assert_int_equal(
        metric_number(fixture, "digitalcard_quota_refused_total{role=\"shard-0\",quota=\"rate\"}"),
        4);
}

static void the_quota_of_one_tenant_is_not_the_others(void **state)
{
    fixture_t *const fixture = *state;
    control_fake_add_tenant(fixture->control, "beta", 1);
    journal_fake_add_tenant(fixture->journal, "beta", 1);
    (void)issue_active(fixture, "m-1");
    set_quotas(fixture, (control_quotas_t){.cards = 1, .rate = 1});
    const ask_t asked = {.tenant = "beta", .type = request_type_card_issue, .member_id = "m-1"};
    for (int i = 0; i < LIMIT; i++) {
        assert_int_equal(ask_now(fixture, &asked)->reply.outcome, outcome_ok);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(as_many_cards_are_issued_as_the_quota_says),
        TEST(a_refused_card_leaves_the_tenant_idle),
        TEST(the_count_runs_ahead_with_what_is_decided),
        TEST(the_count_survives_restart_and_failed_batches),
        TEST(a_replacement_takes_the_place_of_what_it_replaces),
        TEST(a_card_that_ends_frees_its_place),
        TEST(renewing_an_expired_card_takes_a_place),
        TEST(repeats_are_answered_whatever_the_quota_says),
        TEST(used_up_storage_stops_desks_and_no_door),
        TEST(so_many_requests_a_second_are_taken),
        TEST(the_quota_of_one_tenant_is_not_the_others),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
