/* Consumers of events with a name in front of a real control store: what they may acknowledge, and
 * how far they are said to be behind. */
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/webhook_support.h"

static void ask(hooks_fixture_t *fixture, uint8_t type, const char *tenant, const void *command)
{
    relay_ask(fixture->relay, type, tenant, role_tenant_admin, NULL, command);
    hooks_turn(fixture, LIMIT_CONSUMER_ACK_MS + 10);
}

static void add_consumer(hooks_fixture_t *fixture, const char *tenant, const char *name)
{
    consumer_name_t command = {0};
    MESSAGE_SET(consumer_name, &command, name, text_from_c(name));
    ask(fixture, request_type_consumer_register, tenant, &command);
    assert_int_equal(fixture->relay->reply.outcome, outcome_ok);
}

static void acknowledge(hooks_fixture_t *fixture, const char *name, uint64_t sequence)
{
    events_ack_t command = {0};
    MESSAGE_SET(events_ack, &command, consumer, text_from_c(name));
    MESSAGE_SET(events_ack, &command, sequence, sequence);
    ask(fixture, request_type_events_ack, "acme", &command);
}

static uint64_t lag_of_all(const hooks_fixture_t *fixture)
{
    return metric_value(fixture->relay->relay->numbers.consumer_lag_sum);
}

static void what_the_journal_has_can_be_acknowledged_though_no_shard_told_of_it(void **state)
{
    hooks_fixture_t *const fixture = *state;
    add_consumer(fixture, "acme", "crm");
    relay_commit_silently(fixture->relay->acme, 0, 7);
    acknowledge(fixture, "crm", 7);
    assert_int_equal(fixture->relay->reply.outcome, outcome_ok);
    acknowledge(fixture, "crm", 8);
    assert_int_equal(relay_reply_error_of(fixture->relay), RESULT_INVALID_PARAMETER);
    fixture->relay->journal->next_read = RESULT_STORE_UNAVAILABLE;
    acknowledge(fixture, "crm", 8); /* nobody knows */
    assert_int_equal(relay_reply_error_of(fixture->relay), RESULT_STORE_UNAVAILABLE);
    acknowledge(fixture, "crm", 6); /* what is known needs no journal */
    assert_int_equal(fixture->relay->reply.outcome, outcome_ok);
}

static void lag_counts_what_no_shard_told_of(void **state)
{
    hooks_fixture_t *const fixture = *state;
    add_consumer(fixture, "acme", "crm");
    add_consumer(fixture, "acme", "other");
    relay_commit_silently(fixture->relay->acme, 0, 7);
    acknowledge(fixture, "crm", 3);
    hooks_turn(fixture, 2 * LIMIT_CONSUMER_LOOK_MS);
    assert_int_equal(lag_of_all(fixture), 4 + 7);
    relay_commit_silently(fixture->relay->acme, 0, 9);
    hooks_turn(fixture, 2 * LIMIT_CONSUMER_LOOK_MS);
    assert_int_equal(lag_of_all(fixture), 6 + 9);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, hooks_setup, hooks_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_journal_has_can_be_acknowledged_though_no_shard_told_of_it),
        TEST(lag_counts_what_no_shard_told_of),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
