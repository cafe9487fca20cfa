/* Events on their way out: order, gaps, repeats, restarts, heads. */
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/relay_support.h"
#include <stdio.h>

static uint64_t counter(const relay_fixture_t *fixture, const char *name)
{
    return metric_value(metrics_counter(fixture->metrics, name, "", ""));
}

static void settle(relay_fixture_t *fixture)
{
    relay_journal_fake_settle(fixture->journal);
}

static void events_leave_in_order_without_the_journal(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    const uint32_t reads = fixture->journal->reads_total;
    for (uint64_t i = 1; i <= 50; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    relay_assert_published(fixture, "acme", 0, 1, 50);
    assert_int_equal(fixture->journal->reads_total, reads);
    assert_false(fixture->has_sealed_name);
    assert_int_equal(fixture->last_header.v, 1);
    assert_int_equal(fixture->last_header.card_sequence, 50);
    assert_int_equal(fixture->last_header.occurred_at, 1050);
    assert_int_equal(fixture->last_header.name, event_name_card_validated);
}

static void repeats_are_dropped(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 2);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 2);
    relay_send_event(fixture, fixture->acme, 0, 3);
    relay_assert_published(fixture, "acme", 0, 1, 3);
    assert_int_equal(counter(fixture, "digitalcard_relay_events_duplicate_total"), 2);
}

static void gap_is_filled_from_the_journal_before_what_follows(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 5);
    relay_send_event(fixture, fixture->acme, 0, 6);
    relay_assert_published(fixture, "acme", 0, 1, 1);
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 6);
    relay_send_event(fixture, fixture->acme, 0, 7);
    relay_assert_published(fixture, "acme", 0, 1, 7);
    assert_int_equal(counter(fixture, "digitalcard_relay_events_refilled_total"), 4);
}

static void gap_larger_than_a_page_is_filled_page_by_page(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 2 * LIMIT_RELAY_GAP_EVENTS + 10);
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 2 * LIMIT_RELAY_GAP_EVENTS + 10);
}

static void events_that_come_while_a_gap_is_filled_are_not_lost(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 4);
    for (uint64_t i = 5; i <= 20; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    relay_journal_fake_run(fixture->journal);
    for (uint64_t i = 21; i <= 30; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 30);
}

/* One loss must not send a busy tenant to the journal for ever. */
static void gap_ends_although_events_keep_coming(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    const uint32_t reads = fixture->journal->reads_total;
    uint64_t next = 3;
    for (int turn = 0; turn < 20; turn++) {
        relay_send_event(fixture, fixture->acme, 0, next);
        relay_journal_fake_run(fixture->journal);
        relay_send_event(fixture, fixture->acme, 0, next + 1);
        next += 2;
    }
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, next - 1);
    assert_in_range(fixture->journal->reads_total - reads, 1, 2);
    assert_int_equal(fixture->relay->held_count, 0);
}

static void two_losses_in_a_row_are_repaired(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 3);
    relay_send_event(fixture, fixture->acme, 0, 5); /* 4 is lost after the journal was asked */
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 5);
}

static void events_that_overtake_the_reading_of_a_head_leave_once(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    loop_fake_advance(1200); /* the journal is asked, and answers later */
    assert_int_equal(fixture->journal->call_count, 1);
    relay_send_event(fixture, fixture->acme, 0, 2);
    relay_send_event(fixture, fixture->acme, 0, 3);
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 4);
    relay_assert_published(fixture, "acme", 0, 1, 4);
    assert_int_equal(relay_last_head(fixture, "acme", 0), 3);
}

static void held_events_are_bounded(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.big.");
    settle(fixture);
    relay_send_event(fixture, fixture->big, 0, 1);
    for (uint64_t i = 3; i < LIMIT_RELAY_HELD_EVENTS + 100; i++) {
        relay_send_event(fixture, fixture->big, 0, i);
    }
    assert_int_equal(fixture->relay->held_count, LIMIT_RELAY_HELD_EVENTS);
    fixture->publish_result = RESULT_BUSY; /* not recorded: too many */
    settle(fixture);
    assert_int_equal(fixture->relay->held_count, 0);
    assert_int_equal(
        fixture->big->heads[0],
        relay_tenant_find(fixture->relay, TEXT_LITERAL("big"))->partitions[0].published);
}

static void restored_journal_is_followed(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    for (uint64_t i = 1; i <= 9; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    fixture->acme->heads[0] = 4;
    loop_fake_advance(1200);
    settle(fixture);
    assert_int_equal(relay_last_head(fixture, "acme", 0), 4);
    fixture->published_count = 0;
    relay_send_event(fixture, fixture->acme, 0, 5);
    relay_assert_published(fixture, "acme", 0, 5, 5);
}

static void partitions_have_sequences_of_their_own(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.big.");
    settle(fixture);
    for (uint64_t i = 1; i <= 5; i++) {
        for (uint32_t partition = 0; partition < 4; partition++) {
            relay_send_event(fixture, fixture->big, partition, i);
        }
    }
    for (uint32_t partition = 0; partition < 4; partition++) {
        relay_assert_published(fixture, "big", partition, 1, 5);
    }
}

static void tenants_do_not_mix(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.");
    settle(fixture);
    for (uint64_t i = 1; i <= 5; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
        relay_send_event(fixture, fixture->big, 0, i);
    }
    relay_assert_published(fixture, "acme", 0, 1, 5);
    relay_assert_published(fixture, "big", 0, 1, 5);
}

static void after_a_restart_the_first_event_says_where_to_go_on(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_commit_silently(fixture->acme, 0, 40);
    relay_subscribe(fixture, "digitalcard.acme."); /* its journal is still being opened */
    relay_send_event(fixture, fixture->acme, 0, 41);
    relay_assert_published(fixture, "acme", 0, 41, 41);
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 42);
    relay_assert_published(fixture, "acme", 0, 41, 42);
    assert_int_equal(relay_last_head(fixture, "acme", 0), 41);
}

static void subscriber_gets_heads_at_once_and_every_second(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_commit_silently(fixture->big, 1, 7);
    relay_subscribe(fixture, "digitalcard.big.");
    settle(fixture);
    assert_int_equal(relay_head_count(fixture, "big"), 4);
    assert_int_equal(relay_last_head(fixture, "big", 0), 0);
    assert_int_equal(relay_last_head(fixture, "big", 1), 7);
    assert_int_equal(relay_head_count(fixture, "acme"), 0);
    for (int second = 0; second < 5; second++) {
        loop_fake_advance(1000);
        settle(fixture);
    }
    assert_in_range(relay_head_count(fixture, "big"), 4 * 5, 4 * 6);
    relay_unsubscribe(fixture, "digitalcard.big.");
    const size_t before = relay_head_count(fixture, "big");
    loop_fake_advance(5000);
    settle(fixture);
    assert_int_equal(relay_head_count(fixture, "big"), before);
}

static void tail_that_a_dead_shard_did_not_tell_is_published_with_the_next_head(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_commit_silently(fixture->acme, 0, 4);
    loop_fake_advance(1200);
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 4);
    assert_int_equal(relay_last_head(fixture, "acme", 0), 4);
    relay_send_event(fixture, fixture->acme, 0, 3); /* late */
    relay_send_event(fixture, fixture->acme, 0, 5);
    relay_assert_published(fixture, "acme", 0, 1, 5);
}

static void wide_prefixes_name_every_tenant(void **state)
{
    relay_fixture_t *fixture = *state;
    static const char *const prefixes[] = {"", "digitalcard", "digitalcard."};
    for (size_t i = 0; i < 3; i++) {
        const size_t acme = relay_head_count(fixture, "acme");
        const size_t big = relay_head_count(fixture, "big");
        relay_subscribe(fixture, prefixes[i]);
        loop_fake_advance(LIMIT_RELAY_HEAD_TICK_MS);
        settle(fixture);
        assert_int_equal(relay_head_count(fixture, "acme"), acme + 1);
        assert_int_equal(relay_head_count(fixture, "big"), big + 4);
        relay_unsubscribe(fixture, prefixes[i]);
    }
    relay_subscribe(fixture, "digitalcard.ac");
    loop_fake_advance(LIMIT_RELAY_HEAD_TICK_MS);
    settle(fixture);
    assert_int_equal(relay_head_count(fixture, "acme"), 4);
    assert_int_equal(relay_head_count(fixture, "big"), 12);
}

/* Its prefix lets no heads through, so it could not notice by itself. */
static void subscriber_of_one_event_gets_what_no_shard_told_of(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.CardIssued");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_commit_silently(fixture->acme, 0, 4); /* another node's, or a dead shard's */
    loop_fake_advance(1200);
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 4);
}

static void prefixes_without_tenants_cost_nothing(void **state)
{
    relay_fixture_t *fixture = *state;
    static const char *const prefixes[] = {"other.", "digitalcard..", "digitalcard.nobody.",
                                           "digitalcard.../etc.", "x"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        relay_subscribe(fixture, prefixes[i]);
    }
    loop_fake_advance(3000);
    settle(fixture);
    assert_int_equal(fixture->published_count, 0);
    assert_int_equal(fixture->journal->opens_total, 0);
    relay_subscribe(fixture, "digitalcard.acme.He");
    settle(fixture);
    assert_int_equal(relay_head_count(fixture, "acme"), 1);
}

static void subscriptions_are_counted(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    relay_subscribe(fixture, "digitalcard.acme.");
    relay_unsubscribe(fixture, "digitalcard.acme.");
    assert_true(relay_has_subscribers(fixture->relay));
    relay_unsubscribe(fixture, "digitalcard.acme.");
    relay_unsubscribe(fixture, "digitalcard.acme.");
    assert_false(relay_has_subscribers(fixture->relay));
}

static void table_of_subscriptions_is_bounded(void **state)
{
    relay_fixture_t *fixture = *state;
    char prefix[32];
    for (size_t i = 0; i < LIMIT_EVENT_SUBSCRIPTIONS + 10; i++) {
        (void)snprintf(prefix, sizeof(prefix), "x%zu", i);
        relay_subscribe(fixture, prefix);
    }
    assert_int_equal(fixture->relay->subscription_count, LIMIT_EVENT_SUBSCRIPTIONS);
    for (size_t i = 0; i < LIMIT_EVENT_SUBSCRIPTIONS; i++) {
        (void)snprintf(prefix, sizeof(prefix), "x%zu", i);
        relay_unsubscribe(fixture, prefix);
    }
    loop_fake_advance(2000);
    assert_true(relay_has_subscribers(fixture->relay)); /* those beyond still listen */
    for (size_t i = 0; i < 10; i++) {
        (void)snprintf(prefix, sizeof(prefix), "x%zu", LIMIT_EVENT_SUBSCRIPTIONS + i);
        relay_unsubscribe(fixture, prefix);
    }
    assert_false(relay_has_subscribers(fixture->relay));
}

static void greedy_subscriber_does_not_take_the_heads_from_others(void **state)
{
    relay_fixture_t *fixture = *state;
    char prefix[32];
    for (size_t i = 0; i < LIMIT_EVENT_SUBSCRIPTIONS; i++) {
        (void)snprintf(prefix, sizeof(prefix), "x%zu", i);
        relay_subscribe(fixture, prefix);
    }
    relay_subscribe(fixture, "digitalcard.acme.");
    loop_fake_advance(2 * LIMIT_EVENT_HEAD_INTERVAL_MS);
    settle(fixture);
    assert_true(relay_head_count(fixture, "acme") > 0);
    relay_unsubscribe(fixture, "digitalcard.acme.");
    loop_fake_advance(LIMIT_EVENT_HEAD_INTERVAL_MS);
    settle(fixture);
    const size_t sent = (size_t)relay_head_count(fixture, "acme");
    loop_fake_advance(2 * LIMIT_EVENT_HEAD_INTERVAL_MS);
    settle(fixture);
    assert_int_equal(relay_head_count(fixture, "acme"), sent);
}

/* The last tenants in order of name come in a later slice of a round. */
static void somebody_who_subscribes_all_the_time_does_not_stop_the_rounds(void **state)
{
    relay_fixture_t *fixture = *state;
    char name[16];
    for (size_t i = 0; i < 2 * LIMIT_RELAY_HEAD_SLICE; i++) {
        (void)snprintf(name, sizeof(name), "c%04zu", i);
        (void)relay_journal_fake_add(fixture->journal, name, 1, &signer_functions,
                                     &fixture->master_key);
    }
    relay_subscribe(fixture, "");
    for (size_t i = 0; i < 40; i++) {
        relay_subscribe(fixture, "digitalcard.");
        loop_fake_advance(LIMIT_RELAY_HEAD_TICK_MS);
        settle(fixture);
    }
    assert_true(relay_head_count(fixture, name) > 0);
}

static void nothing_is_published_while_nobody_listens(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 9);
    settle(fixture);
    assert_int_equal(fixture->published_count, 0);
    assert_int_equal(fixture->journal->reads_total, 0);
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 10);
    relay_assert_published(fixture, "acme", 0, 10, 10);
}

static void failed_read_is_tried_again(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    fixture->journal->next_read = RESULT_STORE_UNAVAILABLE;
    relay_send_event(fixture, fixture->acme, 0, 3);
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 1);
    fixture->journal->next_read = RESULT_OK;
    loop_fake_advance(1200);
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 3);
}

static void publisher_at_its_limit_is_counted(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    fixture->publish_result = RESULT_BUSY;
    relay_send_event(fixture, fixture->acme, 0, 1);
    fixture->publish_result = RESULT_OK;
    relay_send_event(fixture, fixture->acme, 0, 2);
    relay_assert_published(fixture, "acme", 0, 2, 2);
    assert_int_equal(counter(fixture, "digitalcard_relay_events_not_published_total"), 1);
}

static void open_journals_are_bounded(void **state)
{
    relay_fixture_t *fixture = *state;
    char name[40];
    for (size_t i = 0; i < 298; i++) {
        (void)snprintf(name, sizeof(name), "t%04zu", i);
        (void)relay_journal_fake_add(fixture->journal, name, 1, fixture->relay->ports.crypto,
                                     &fixture->master_key);
    }
    relay_subscribe(fixture, "digitalcard.");
    for (int i = 0; i < 100; i++) {
        loop_fake_advance(LIMIT_RELAY_HEAD_TICK_MS);
        settle(fixture);
        fixture->published_count = 0;
    }
    assert_true(fixture->journal->opens_total >= 300);
    assert_int_equal(fixture->journal->open_max, LIMIT_STORE_FILES_OPEN);
}

static void deleted_tenant_is_forgotten_with_its_positions(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 2);
    fixture->acme->is_deleted = true;
    fixture->journal->control_version += 1;
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    settle(fixture);
    assert_int_equal(fixture->acme->opens, 0);
    fake_tenant_t *namesake = relay_journal_fake_add(
        fixture->journal, "acme", 1, fixture->relay->ports.crypto, &fixture->master_key);
    fixture->journal->control_version += 1;
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    fixture->published_count = 0;
    relay_send_event(fixture, namesake, 0, 1);
    relay_send_event(fixture, namesake, 0, 2);
    relay_assert_published(fixture, "acme", 0, 1, 2);
}

static void namesake_made_between_two_looks_starts_anew(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 2);
    fixture->acme->is_deleted = true;
    fake_tenant_t *namesake = relay_journal_fake_add(
        fixture->journal, "acme", 1, fixture->relay->ports.crypto, &fixture->master_key);
    fixture->journal->control_version += 1;
    for (int poll = 0; poll < 2; poll++) { /* it may be reading a head at the first */
        loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
        settle(fixture);
    }
    assert_int_equal(fixture->acme->opens, 0);
    fixture->published_count = 0;
    relay_send_event(fixture, namesake, 0, 1);
    relay_assert_published(fixture, "acme", 0, 1, 1);
}

static void impossible_envelopes_change_nothing(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    const size_t before = fixture->published_count;
    relay_receive(fixture->relay, 0, (const uint8_t *)"\xc1", 1);
    relay_receive(fixture->relay, 0, (const uint8_t *)"\x80", 1);
    envelope_t envelope = {.event = relay_journal_fake_event(fixture->acme, 0, 0)};
    MESSAGE_MARK(envelope, &envelope, event);
    uint8_t bytes[1024];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    relay_receive(fixture->relay, 0, bytes, size);
    assert_int_equal(fixture->published_count, before);
}

static void drained(void *context)
{
    ((relay_fixture_t *)context)->drained_count += 1;
}

static void drain_waits_for_the_journal(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    relay_drain(fixture->relay, drained, fixture);
    loop_fake_advance(10);
    assert_int_equal(fixture->drained_count, 0);
    settle(fixture);
    loop_fake_advance(1);
    assert_int_equal(fixture->drained_count, 1);
    assert_int_equal(fixture->journal->open_now, 0);
    loop_fake_advance(1000);
    assert_int_equal(fixture->drained_count, 1);
}

static void status_is_json_of_the_size_it_says(void **state)
{
    relay_fixture_t *fixture = *state;
    char out[512];
    const size_t size = relay_status(fixture->relay, NULL, 0);
    assert_int_equal(relay_status(fixture->relay, out, size), size);
    assert_int_equal(out[0], '{');
    assert_int_equal(out[size - 1], '}');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_setup, relay_teardown)
    const struct CMUnitTest tests[] = {
        TEST(events_leave_in_order_without_the_journal),
        TEST(repeats_are_dropped),
        TEST(gap_is_filled_from_the_journal_before_what_follows),
        TEST(gap_larger_than_a_page_is_filled_page_by_page),
        TEST(events_that_come_while_a_gap_is_filled_are_not_lost),
        TEST(gap_ends_although_events_keep_coming),
        TEST(two_losses_in_a_row_are_repaired),
        TEST(events_that_overtake_the_reading_of_a_head_leave_once),
        TEST(held_events_are_bounded),
        TEST(restored_journal_is_followed),
        TEST(partitions_have_sequences_of_their_own),
        TEST(tenants_do_not_mix),
        TEST(after_a_restart_the_first_event_says_where_to_go_on),
        TEST(subscriber_gets_heads_at_once_and_every_second),
        TEST(tail_that_a_dead_shard_did_not_tell_is_published_with_the_next_head),
        TEST(wide_prefixes_name_every_tenant),
        TEST(subscriber_of_one_event_gets_what_no_shard_told_of),
        TEST(prefixes_without_tenants_cost_nothing),
        TEST(subscriptions_are_counted),
        TEST(table_of_subscriptions_is_bounded),
        TEST(greedy_subscriber_does_not_take_the_heads_from_others),
        TEST(somebody_who_subscribes_all_the_time_does_not_stop_the_rounds),
        TEST(nothing_is_published_while_nobody_listens),
        TEST(failed_read_is_tried_again),
        TEST(publisher_at_its_limit_is_counted),
        TEST(open_journals_are_bounded),
        TEST(deleted_tenant_is_forgotten_with_its_positions),
        TEST(namesake_made_between_two_looks_starts_anew),
        TEST(impossible_envelopes_change_nothing),
        TEST(drain_waits_for_the_journal),
        TEST(status_is_json_of_the_size_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
