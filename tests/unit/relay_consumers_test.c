/* Consumers of events with a name in front of a real control store: what they may acknowledge, and
 * how far they are said to be behind. */
#include "actors/secrets.h"
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/webhook_support.h"
#include <stdio.h>
#include <stdlib.h>

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

/* --- A series for each --- */

static char *printed(const hooks_fixture_t *fixture)
{
    const metrics_t *const metrics = fixture->relay->metrics;
    const size_t size = metrics_print(metrics, NULL, 0);
    char *const text = malloc(size + 1);
    assert_non_null(text);
    assert_int_equal(metrics_print(metrics, text, size), size);
    text[size] = '\0';
    return text;
}

/* What the series of a consumer says; UINT64_MAX: it has none. */
static uint64_t own_lag(const hooks_fixture_t *fixture, const char *tenant, const char *name)
{
    char series[SECRET_SERIES_SIZE];
    char label[64];
    char *const text = printed(fixture);
    const relay_ports_t *const ports = &fixture->relay->relay->ports;
    secret_consumer_series(ports->crypto, &ports->master_key, text_from_c(tenant),
                           text_from_c(name), series);
    (void)snprintf(label, sizeof label, ",consumer=\"%s\"} ", series);
    const char *const found = strstr(text, label);
    const uint64_t lag = found == NULL ? UINT64_MAX : strtoull(found + strlen(label), NULL, 10);
    free(text);
    return lag;
}

static void each_consumer_has_a_series_that_goes_with_it_and_names_nobody(void **state)
{
    hooks_fixture_t *const fixture = *state;
    add_consumer(fixture, "acme", "crm");
    add_consumer(fixture, "big", "crm");
    hooks_add(fixture, "acme", "pages"); /* a webhook is a consumer as well */
    relay_commit_silently(fixture->relay->acme, 0, 7);
    relay_commit_silently(fixture->relay->big, 1, 5);
    relay_commit_silently(fixture->relay->big, 3, 6);
    acknowledge(fixture, "crm", 3);
    hooks_turn(fixture, 2 * LIMIT_CONSUMER_LOOK_MS);
    assert_int_equal(own_lag(fixture, "acme", "crm"), 4);
    assert_int_equal(own_lag(fixture, "big", "crm"), 11);
    assert_int_not_equal(own_lag(fixture, "acme", "webhook.pages"), UINT64_MAX);
    char *const text = printed(fixture);
    assert_null(strstr(text, "acme"));
    assert_null(strstr(text, "crm"));
    free(text);
    consumer_name_t command = {0};
    MESSAGE_SET(consumer_name, &command, name, TEXT_LITERAL("crm"));
    ask(fixture, request_type_consumer_remove, "acme", &command);
    hooks_turn(fixture, LIMIT_CONSUMER_LOOK_MS);
    assert_int_equal(own_lag(fixture, "acme", "crm"), UINT64_MAX);
    assert_int_equal(own_lag(fixture, "big", "crm"), 11);
}

static void lag_of_a_namesake_is_not_counted_from_the_heads_of_the_deleted_one(void **state)
{
    hooks_fixture_t *const fixture = *state;
    relay_fixture_t *const relay = fixture->relay;
    char kept_as[256];
    events_read_t command = {0};
    MESSAGE_SET(events_read, &command, partition, 0);
    MESSAGE_SET(events_read, &command, after, 0);
    add_consumer(fixture, "acme", "crm");
    relay_commit_silently(relay->acme, 0, 7);
    hooks_turn(fixture, 2 * LIMIT_CONSUMER_LOOK_MS);
    assert_int_equal(own_lag(fixture, "acme", "crm"), 7);
    relay_ask(relay, request_type_events_read, "acme", role_auditor, NULL, &command);
    relay->acme->is_deleted = true;
    assert_int_equal(fixture->control->functions->tenant_delete(
                         fixture->control, TEXT_LITERAL("acme"), 1, kept_as, sizeof kept_as),
                     RESULT_OK);
    hooks_create_tenant(fixture,
                        relay_journal_fake_add(relay->journal, "acme", 1,
                                               relay->relay->ports.crypto, &relay->master_key));
    assert_int_equal(fixture->consumers->functions->add(fixture->consumers, TEXT_LITERAL("acme"),
                                                        TEXT_LITERAL("crm"), 1),
                     RESULT_OK);
    relay_control_poll(relay->relay);
    relay_lag_tick(relay->relay); /* while the first one is being read */
    assert_int_equal(own_lag(fixture, "acme", "crm"), UINT64_MAX);
    hooks_turn(fixture, 2 * LIMIT_CONSUMER_LOOK_MS);
}

static void those_furthest_behind_have_a_series_and_the_rest_is_counted(void **state)
{
    enum { REST = 5 };
    hooks_fixture_t *const fixture = *state;
    static const char *const tenants[] = {"acme", "big", "tenant2"};
    char name[16];
    fake_tenant_t *const third = relay_journal_fake_add(
        fixture->relay->journal, "tenant2", 1, &signer_functions, &fixture->relay->master_key);
    hooks_create_tenant(fixture, third);
    for (uint32_t i = 0; i < LIMIT_CONSUMER_SERIES + REST; i++) {
        (void)snprintf(name, sizeof name, "c%u", i);
        add_consumer(fixture, tenants[i / LIMIT_CONSUMERS], name);
    }
    relay_commit_silently(fixture->relay->acme, 0, 1); /* least: some of these have none */
    relay_commit_silently(fixture->relay->big, 0, 20);
    relay_commit_silently(third, 0, 30);
    hooks_turn(fixture, 2 * LIMIT_CONSUMER_LOOK_MS);
    for (uint32_t i = LIMIT_CONSUMERS; i < LIMIT_CONSUMER_SERIES + REST; i++) {
        (void)snprintf(name, sizeof name, "c%u", i);
        assert_int_equal(own_lag(fixture, tenants[i / LIMIT_CONSUMERS], name),
                         i < 2 * LIMIT_CONSUMERS ? 20 : 30);
    }
    assert_int_equal(metric_value(fixture->relay->relay->numbers.consumers_rest), REST);
    assert_int_equal(metric_value(fixture->relay->relay->numbers.consumer_lag_rest), REST);
    assert_int_equal(lag_of_all(fixture), LIMIT_CONSUMERS * 21 + REST * 30);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, hooks_setup, hooks_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_journal_has_can_be_acknowledged_though_no_shard_told_of_it),
        TEST(lag_counts_what_no_shard_told_of),
        TEST(each_consumer_has_a_series_that_goes_with_it_and_names_nobody),
        TEST(lag_of_a_namesake_is_not_counted_from_the_heads_of_the_deleted_one),
        TEST(those_furthest_behind_have_a_series_and_the_rest_is_counted),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
