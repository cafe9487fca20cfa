/* Batches: one commit for a turn, state that runs ahead of it, replies that wait for it, and what a
 * failed one takes with it (DESIGN 2.2). */
#include "actors/domain/card_id.h"
#include "actors/shard/shard_internal.h"
#include "tests/unit/shard_support.h"

static size_t batches(fixture_t *fixture)
{
    return journal_fake_numbers(fixture->journal, "acme").batches;
}

static void requests_of_one_turn_share_a_batch_and_see_each_other(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const size_t before = batches(fixture);
    const uint64_t sent[] = {
        send_validate(fixture, &card),
        send_validate(fixture, &card),
        send_change(fixture, request_type_card_revoke, &card),
        send_validate(fixture, &card),
    };
    settle(fixture);
    assert_int_equal(batches(fixture), before + 1);
    assert_verdict(answer_to(fixture, sent[0]), reason_valid);
    assert_verdict(answer_to(fixture, sent[1]), reason_valid);
    assert_int_equal(answer_to(fixture, sent[2])->card.status, card_status_revoked);
    assert_verdict(answer_to(fixture, sent[3]), reason_revoked);
    for (size_t i = 0; i < 6; i++) {
        const event_t *const event = journal_fake_event(fixture->journal, "acme", i);
        assert_int_equal(event->sequence, i + 1);
        assert_int_equal(event->card_sequence, i + 1);
    }
}

static void replies_wait_for_the_commit_and_come_in_order(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const size_t published = fixture->event_count;
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t first = send_validate(fixture, &card);
    settle(fixture);
    const uint64_t revoke = send_change(fixture, request_type_card_revoke, &card);
    settle(fixture);
    const uint64_t second = send_validate(fixture, &card);
    const uint64_t read = ask(fixture, &(ask_t){.type = request_type_card_get, .card = &card});
    settle(fixture);
    assert_false(is_answered(fixture, first));
    assert_false(is_answered(fixture, read));
    assert_int_equal(fixture->event_count, published);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").held, 1);
    const size_t answers = fixture->answer_count;
    journal_fake_release(fixture->journal, 1);
    settle(fixture);
    assert_verdict(answer_to(fixture, first), reason_valid);
    assert_false(is_answered(fixture, revoke)); /* of the batch that gathered meanwhile */
    assert_int_equal(fixture->event_count, published + 1);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_int_equal(fixture->answers[answers + 1].correlation, revoke);
    assert_int_equal(fixture->answers[answers + 2].correlation, second);
    assert_int_equal(fixture->answers[answers + 3].correlation, read);
    assert_verdict(answer_to(fixture, second), reason_revoked);
    assert_int_equal(answer_to(fixture, read)->card.status, card_status_revoked);
}

static void a_read_alone_makes_the_check_with_an_empty_batch(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    const journal_fake_numbers_t before = journal_fake_numbers(fixture->journal, "acme");
    assert_int_equal(get(fixture, &card)->reply.outcome, outcome_ok);
    const journal_fake_numbers_t after = journal_fake_numbers(fixture->journal, "acme");
    assert_int_equal(after.batches_empty, before.batches_empty + 1);
    assert_int_equal(after.loads, before.loads); /* the card was warm */
}

static void fail_and_see(fixture_t *fixture, result_t why)
{
    const uuid_t card = issue_active(fixture, "m-1");
    const size_t events = journal_fake_numbers(fixture->journal, "acme").events;
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t committing = send_change(fixture, request_type_card_revoke, &card);
    settle(fixture);
    const uint64_t gathering = send_validate(fixture, &card);
    settle(fixture);
    journal_fake_fail_appends(fixture->journal, why, 1);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_error(answer_to(fixture, committing), why);
    assert_error(answer_to(fixture, gathering), why);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, events);
    assert_false(journal_fake_numbers(fixture->journal, "acme").is_open);
    const uint64_t meanwhile = send_validate(fixture, &card);
    settle(fixture);
    assert_error(answer_to(fixture, meanwhile), why);
    advance(fixture, LIMIT_BACKOFF_MS_MIN);
    assert_verdict(validate(fixture, &card), reason_valid); /* the revocation never happened */
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, events + 1);
    assert_int_equal(journal_fake_event(fixture->journal, "acme", events)->sequence, events + 1);
}

static void full_disk_fails_what_waits_and_drops_the_state(void **state)
{
    fail_and_see(*state, RESULT_STORE_FULL);
}

static void unavailable_store_fails_what_waits_and_drops_the_state(void **state)
{
    fail_and_see(*state, RESULT_STORE_UNAVAILABLE);
}

static void fenced_shard_acknowledges_nothing_and_opens_anew(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_fence(fixture->journal, "acme");
    assert_error(validate(fixture, &card), RESULT_FENCED);
    advance(fixture, LIMIT_BACKOFF_MS_MIN);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void a_fenced_read_is_not_answered(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_fence(fixture->journal, "acme");
    assert_error(get(fixture, &card), RESULT_FENCED);
}

static void refusal_of_the_call_itself_is_a_failure_too(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_refuse_appends(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    assert_error(validate(fixture, &card), RESULT_STORE_UNAVAILABLE);
    advance(fixture, LIMIT_BACKOFF_MS_MIN);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void full_store_queue_is_tried_again(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_refuse_appends(fixture->journal, RESULT_BUSY, 2);
    const uint64_t sent = send_validate(fixture, &card);
    settle(fixture);
    assert_false(is_answered(fixture, sent));
    advance(fixture, 2 * LIMIT_BATCH_RETRY_MS);
    assert_verdict(answer_to(fixture, sent), reason_valid);
}

static void pauses_between_openings_grow_while_they_fail(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, 1);
    assert_error(validate(fixture, &card), RESULT_STORE_FULL);
    journal_fake_fail_opens(fixture->journal, RESULT_STORE_FULL, 2);
    advance(fixture, 50);
    assert_error(validate(fixture, &card), RESULT_STORE_FULL); /* fails to open: 100 ms */
    advance(fixture, 50);
    assert_error(validate(fixture, &card), RESULT_STORE_FULL); /* not tried */
    advance(fixture, 50);
    assert_error(validate(fixture, &card), RESULT_STORE_FULL); /* fails again: 200 ms */
    advance(fixture, 200);
    assert_verdict(validate(fixture, &card), reason_valid);
}

static void a_failed_commit_forgets_the_member_key_it_carried(void **state)
{
    fixture_t *const fixture = *state;
    journal_fake_fail_appends(fixture->journal, RESULT_STORE_FULL, 1);
    const ask_t issue = {
        .type = request_type_card_issue, .member_id = "m-1", .holder_name = "Ada Lovelace"};
    assert_error(ask_now(fixture, &issue), RESULT_STORE_FULL);
    assert_int_equal(status_number(fixture, "{", "member_keys_cached"), 0);
    advance(fixture, 50);
    const uuid_t card = ask_now(fixture, &issue)->card.id;
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").member_keys, 1);
    fixture_crash(fixture);
    assert_text(get(fixture, &card)->card.holder_name, "Ada Lovelace");
}

static void a_batch_holds_no_more_than_its_limit(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_hold_appends(fixture->journal, true);
    uint64_t last = 0;
    for (int i = 0; i < 600; i++) {
        last = send_validate(fixture, &card);
    }
    settle(fixture);
    const size_t before = batches(fixture);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_verdict(answer_to(fixture, last), reason_valid);
    const size_t made = batches(fixture) - before;
    assert_true(made >= 3 && made <= 4);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, 602);
}

static void too_much_waiting_is_busy_and_nothing_is_lost(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    journal_fake_hold_appends(fixture->journal, true);
    enum { SENT = 6000 };
    uint64_t sent[SENT];
    for (int i = 0; i < SENT; i++) {
        sent[i] = send_validate(fixture, &card);
        if (i % 500 == 0) {
            settle(fixture);
        }
    }
    settle(fixture);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    size_t valid = 0;
    size_t busy = 0;
    for (int i = 0; i < SENT; i++) {
        const answer_t *const answer = answer_to(fixture, sent[i]);
        valid += answer->reply.outcome == outcome_ok ? 1 : 0;
        busy += answer->reply.outcome == outcome_error && answer->reply.error == RESULT_BUSY;
    }
    assert_int_equal(valid + busy, SENT);
    assert_true(valid >= LIMIT_BATCH_WAITING / 2); /* an event and its reply each */
    assert_true(busy > 0);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events, valid + 2);
    assert_int_equal(metric_number(fixture, "digitalcard_mailbox_busy_total"), busy);
}

static void snapshots_follow_changes_and_every_64_events(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    assert_int_equal(journal_fake_snapshot(fixture->journal, "acme", 0)->card_sequence, 2);
    for (int i = 0; i < 63; i++) {
        (void)validate(fixture, &card);
    }
    assert_int_equal(journal_fake_snapshot(fixture->journal, "acme", 0)->card_sequence, 2);
    (void)validate(fixture, &card);
    assert_int_equal(journal_fake_snapshot(fixture->journal, "acme", 0)->card_sequence, 66);
    (void)validate(fixture, &card);
    (void)change(fixture, request_type_card_suspend, &card);
    const journal_snapshot_t *const snapshot = journal_fake_snapshot(fixture->journal, "acme", 0);
    assert_int_equal(snapshot->card_sequence, 68);
    assert_int_equal(snapshot->status, card_status_suspended);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").snapshots, 1);
    fixture_crash(fixture);
    assert_int_equal(get(fixture, &card)->card.version, 3);
    assert_verdict(validate(fixture, &card), reason_suspended);
}

static void partitions_commit_on_their_own(void **state)
{
    fixture_t *const fixture = *state;
    control_fake_add_tenant(fixture->control, "wide", 4);
    journal_fake_add_tenant(fixture->journal, "wide", 4);
    uuid_t cards[16];
    size_t issued = 0;
    for (uint32_t i = 0; i < 16; i++) {
        char member[8] = {'m', (char)('a' + i), '\0'};
        for (uint32_t partition = 0; partition < 4; partition++) {
            const answer_t *const answer =
                ask_now(fixture, &(ask_t){.tenant = "wide",
                                          .type = request_type_card_issue,
                                          .member_id = member,
                                          .activate = true,
                                          .partition = partition});
            if (answer->reply.outcome == outcome_ok) {
                cards[issued] = answer->card.id;
                issued++;
            } else {
                assert_error(answer, RESULT_UNAVAILABLE); /* placed elsewhere by its member id */
            }
        }
    }
    assert_int_equal(issued, 16);
    for (size_t i = 0; i < issued; i++) {
        assert_verdict(ask_now(fixture, &(ask_t){.tenant = "wide",
                                                 .type = request_type_card_validate,
                                                 .card = &cards[i]}),
                       reason_valid);
    }
    uint64_t heads[4] = {0};
    for (size_t i = 0; i < journal_fake_numbers(fixture->journal, "wide").events; i++) {
        const event_t *const event = journal_fake_event(fixture->journal, "wide", i);
        heads[event->partition]++;
        assert_int_equal(event->sequence, heads[event->partition]);
    }
    assert_int_equal(heads[0] + heads[1] + heads[2] + heads[3], 48);
    assert_true(heads[0] < 48);
}

static void a_failing_partition_takes_the_others_of_its_tenant_along(void **state)
{
    fixture_t *const fixture = *state;
    control_fake_add_tenant(fixture->control, "wide", 16);
    journal_fake_add_tenant(fixture->journal, "wide", 16);
    (void)issue_active(fixture, "m-1");
    const ask_t warm = {.tenant = "wide", .type = request_type_card_scan, .qr = "x"};
    (void)ask_now(fixture, &warm);
    uint64_t sent[16];
    for (uint32_t i = 0; i < 16; i++) {
        char member[3] = {'m', (char)('a' + i), '\0'};
        sent[i] = ask(fixture, &(ask_t){.tenant = "wide",
                                        .type = request_type_card_issue,
                                        .member_id = member,
                                        .partition = placement_partition(text_from_c(member), 16)});
    }
    journal_fake_refuse_appends(fixture->journal, RESULT_STORE_UNAVAILABLE, 1);
    settle(fixture);
    for (uint32_t i = 0; i < 16; i++) {
        assert_error(answer_to(fixture, sent[i]), RESULT_STORE_UNAVAILABLE);
    }
    assert_int_equal(journal_fake_numbers(fixture->journal, "wide").events, 0);
    assert_false(journal_fake_numbers(fixture->journal, "wide").is_open);
    assert_true(journal_fake_numbers(fixture->journal, "acme").is_open);
}

static void a_card_ahead_of_its_commit_is_not_passivated(void **state)
{
    fixture_t *const fixture = *state;
    uuid_t cards[8];
    for (size_t i = 0; i < 8; i++) {
        cards[i] = issue_active(fixture, "m-1");
    }
    fixture_crash(fixture);
    /* The tenant's actor included. */
    actor_system_configure(fixture->shard->system, &(actor_system_options_t){.actors_max = 4});
    (void)get(fixture, &cards[7]);
    journal_fake_hold_appends(fixture->journal, true);
    const uint64_t revoke = send_change(fixture, request_type_card_revoke, &cards[0]);
    settle(fixture);
    for (size_t i = 1; i < 7; i++) {
        (void)ask(fixture, &(ask_t){.type = request_type_card_get, .card = &cards[i]});
        settle(fixture);
    }
    assert_true(status_number(fixture, "\"card\"", "passivations") > 0);
    const uint64_t validation = send_validate(fixture, &cards[0]);
    settle(fixture);
    journal_fake_hold_appends(fixture->journal, false);
    settle(fixture);
    assert_int_equal(answer_to(fixture, revoke)->card.status, card_status_revoked);
    assert_verdict(answer_to(fixture, validation), reason_revoked);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").rejected, 0);
}

static void a_full_mailbox_is_busy(void **state)
{
    fixture_t *const fixture = *state;
    const uuid_t card = issue_active(fixture, "m-1");
    uint64_t last = 0;
    for (uint32_t i = 0; i < LIMIT_MAILBOX_MESSAGES + 1; i++) {
        last = send_validate(fixture, &card); /* no turn in between */
    }
    assert_error(answer_to(fixture, last), RESULT_BUSY);
    settle(fixture);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").events,
                     2 + LIMIT_MAILBOX_MESSAGES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_of_one_turn_share_a_batch_and_see_each_other),
        TEST(replies_wait_for_the_commit_and_come_in_order),
        TEST(a_read_alone_makes_the_check_with_an_empty_batch),
        TEST(full_disk_fails_what_waits_and_drops_the_state),
        TEST(unavailable_store_fails_what_waits_and_drops_the_state),
        TEST(fenced_shard_acknowledges_nothing_and_opens_anew),
        TEST(a_fenced_read_is_not_answered),
        TEST(refusal_of_the_call_itself_is_a_failure_too),
        TEST(full_store_queue_is_tried_again),
        TEST(pauses_between_openings_grow_while_they_fail),
        TEST(a_failed_commit_forgets_the_member_key_it_carried),
        TEST(a_batch_holds_no_more_than_its_limit),
        TEST(too_much_waiting_is_busy_and_nothing_is_lost),
        TEST(snapshots_follow_changes_and_every_64_events),
        TEST(a_card_ahead_of_its_commit_is_not_passivated),
        TEST(a_full_mailbox_is_busy),
        TEST(partitions_commit_on_their_own),
        TEST(a_failing_partition_takes_the_others_of_its_tenant_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
