/* The contract suite of actors/ports/webhooks.h. */
#include "tests/contract/webhooks_contract.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    const control_contract_factory_t *factory;
    webhooks_of_store_t *webhooks_of;
    control_store_t *control;
    webhooks_t *webhooks;
} fixture_t;

typedef struct rows {
    size_t count;
    char text[LIMIT_WEBHOOKS][256];
} rows_t;

typedef struct deliveries {
    size_t count;
    size_t retrying;
    char first[160];
} deliveries_t;

#define ACME TEXT_LITERAL("acme")
#define CRM TEXT_LITERAL("crm")

/* "acme/crm URL disabled secret previous until partition:next-last" */
static bool visit(void *context, const webhook_row_t *row)
{
    rows_t *const rows = context;
    assert_true(rows->count < LIMIT_WEBHOOKS);
    (void)snprintf(rows->text[rows->count], sizeof rows->text[0],
                   "%.*s/%.*s %.*s %lld [%.*s] %.*s [%.*s] %lld %u:%llu-%llu",
                   TEXT_PRINT(row->tenant), TEXT_PRINT(row->name), TEXT_PRINT(row->url),
                   (long long)row->created_at, TEXT_PRINT(row->disabled),
                   TEXT_PRINT(row->sealed_secret), TEXT_PRINT(row->sealed_previous),
                   (long long)row->previous_until, row->replay_partition,
                   (unsigned long long)row->replay_next, (unsigned long long)row->replay_last);
    rows->count++;
    return true;
}

static rows_t look(fixture_t *fixture, const char *tenant)
{
    rows_t rows = {0};
    webhooks_t *const store = fixture->webhooks;
    assert_int_equal(store->functions->visit(store, text_from_c(tenant), visit, &rows), RESULT_OK);
    return rows;
}

static result_t add(fixture_t *fixture, const char *tenant, const char *name)
{
    const webhook_row_t row = {.tenant = text_from_c(tenant),
                               .name = text_from_c(name),
                               .url = TEXT_LITERAL("https://crm.example/in"),
                               .created_at = 1000,
                               .sealed_secret = TEXT_LITERAL("one")};
    return fixture->webhooks->functions->add(fixture->webhooks, &row);
}

static uint64_t version(fixture_t *fixture)
{
    uint64_t number = 0;
    assert_int_equal(fixture->control->functions->version(fixture->control, &number), RESULT_OK);
    return number;
}

static void create_tenant(fixture_t *fixture, text_t name)
{
    const control_card_key_t key = {.kid = 1,
                                    .state = key_state_active,
                                    .created_at = 1,
                                    .sealed_secret = TEXT_LITERAL("sealed")};
    const control_tenant_t tenant = {.name = name,
                                     .partitions = 1,
                                     .created_at = 1,
                                     .sealed_secret = TEXT_LITERAL("sealed"),
                                     .keys = &key,
                                     .key_count = 1};
    assert_int_equal(fixture->control->functions->tenant_create(fixture->control, &tenant),
                     RESULT_OK);
}

static int setup(void **state)
{
    fixture_t *const fixture = *state;
    dead_letters_t *letters = NULL;
    fixture->factory->open(fixture->factory->context, &fixture->control, &letters);
    fixture->webhooks = fixture->webhooks_of(fixture->control);
    create_tenant(fixture, ACME);
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    fixture->factory->close_and_clear(fixture->factory->context, &fixture->control);
    return 0;
}

static void webhook_is_kept_and_removed_and_everybody_hears_of_it(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    const uint64_t before = version(fixture);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(version(fixture), before + 1);
    assert_string_equal(look(fixture, "acme").text[0],
                        "acme/crm https://crm.example/in 1000 [] one [] 0 0:0-0");
    assert_int_equal(look(fixture, "").count, 1);
    assert_int_equal(look(fixture, "other").count, 0);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_ALREADY_EXISTS);
    assert_int_equal(store->functions->remove(store, ACME, CRM), RESULT_OK);
    assert_int_equal(version(fixture), before + 2);
    assert_int_equal(store->functions->remove(store, ACME, CRM), RESULT_MISSING);
    assert_int_equal(look(fixture, "").count, 0);
}

static void a_tenant_has_so_many_and_must_exist(void **state)
{
    fixture_t *const fixture = *state;
    char name[16];
    assert_int_equal(add(fixture, "nobody", "crm"), RESULT_MISSING);
    for (int i = 0; i < LIMIT_WEBHOOKS; i++) {
        (void)snprintf(name, sizeof name, "crm-%d", i);
        assert_int_equal(add(fixture, "acme", name), RESULT_OK);
    }
    assert_int_equal(add(fixture, "acme", "one-more"), RESULT_BUSY);
}

static void rotation_keeps_the_old_secret_beside_the_new_one(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    const text_t two = TEXT_LITERAL("two");
    assert_int_equal(store->functions->rotate(store, ACME, CRM, two, 9), RESULT_MISSING);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(store->functions->rotate(store, ACME, CRM, two, 9000), RESULT_OK);
    assert_string_equal(look(fixture, "acme").text[0],
                        "acme/crm https://crm.example/in 1000 [] two [one] 9000 0:0-0");
}

static void disabled_one_says_why(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    const text_t gone = TEXT_LITERAL("gone");
    assert_int_equal(store->functions->disable(store, ACME, CRM, gone), RESULT_MISSING);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(store->functions->disable(store, ACME, CRM, gone), RESULT_OK);
    assert_string_equal(look(fixture, "acme").text[0],
                        "acme/crm https://crm.example/in 1000 [gone] one [] 0 0:0-0");
    assert_int_equal(store->functions->disable(store, ACME, CRM, TEXT_NONE), RESULT_OK);
    assert_string_equal(look(fixture, "acme").text[0],
                        "acme/crm https://crm.example/in 1000 [] one [] 0 0:0-0");
}

static void one_replay_at_a_time_moves_and_ends(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    webhook_range_t replay = {.partition = 2, .next = 5, .last = 9};
    assert_int_equal(store->functions->replay(store, ACME, CRM, &replay), RESULT_MISSING);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(store->functions->replay(store, ACME, CRM, &replay), RESULT_OK);
    assert_int_equal(store->functions->replay(store, ACME, CRM, &replay), RESULT_BUSY);
    const uint64_t before = version(fixture);
    replay.next = 7;
    assert_int_equal(store->functions->replay_move(store, ACME, CRM, &replay), RESULT_OK);
    assert_string_equal(look(fixture, "acme").text[0],
                        "acme/crm https://crm.example/in 1000 [] one [] 0 2:7-9");
    replay.last = 0;
    assert_int_equal(store->functions->replay_move(store, ACME, CRM, &replay), RESULT_OK);
    assert_int_equal(store->functions->replay_move(store, ACME, CRM, &replay), RESULT_OK);
    assert_int_equal(version(fixture), before);
    replay.last = 9;
    assert_int_equal(store->functions->replay(store, ACME, CRM, &replay), RESULT_OK);
}

/* --- The log --- */

static bool count_delivery(void *context, const webhook_delivery_t *delivery)
{
    deliveries_t *const deliveries = context;
    if (deliveries->count == 0) {
        (void)snprintf(deliveries->first, sizeof deliveries->first,
                       "%u/%llu %.*s %.*s %u %lld-%lld %u %d %.*s", delivery->partition,
                       (unsigned long long)delivery->sequence, TEXT_PRINT(delivery->event),
                       TEXT_PRINT(delivery->card), delivery->attempts,
                       (long long)delivery->first_at, (long long)delivery->last_at,
                       delivery->status, (int)delivery->state, TEXT_PRINT(delivery->detail));
    }
    deliveries->count++;
    deliveries->retrying += delivery->state == WEBHOOK_STATE_RETRYING ? 1 : 0;
    return true;
}

static deliveries_t log_of(fixture_t *fixture, text_t name, bool only_retrying)
{
    deliveries_t deliveries = {0};
    webhooks_t *const store = fixture->webhooks;
    assert_int_equal(
        store->functions->visit_log(store, ACME, name, only_retrying, count_delivery, &deliveries),
        RESULT_OK);
    return deliveries;
}

static webhook_delivery_t delivery(uint64_t sequence, webhook_state_t state)
{
    return (webhook_delivery_t){.tenant = ACME,
                                .name = CRM,
                                .partition = 1,
                                .sequence = sequence,
                                .event = TEXT_LITERAL("CardIssued"),
                                .card = TEXT_LITERAL("c"),
                                .attempts = 2,
                                .first_at = 10,
                                .last_at = 100 + (int64_t)sequence,
                                .status = 500,
                                .state = state,
                                .detail = TEXT_LITERAL("answered")};
}

static void log_has_the_last_of_each_event_newest_first(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    const uint64_t before = version(fixture);
    webhook_delivery_t both[] = {delivery(1, WEBHOOK_STATE_DELIVERED),
                                 delivery(2, WEBHOOK_STATE_RETRYING)};
    assert_int_equal(store->functions->record(store, both, 2), RESULT_OK);
    assert_int_equal(log_of(fixture, CRM, false).count, 2);
    assert_string_equal(log_of(fixture, CRM, false).first,
                        "1/2 CardIssued c 2 10-102 500 1 answered");
    assert_int_equal(log_of(fixture, CRM, true).count, 1);
    both[1].state = WEBHOOK_STATE_DELIVERED;
    both[1].attempts = 3;
    both[1].status = 204;
    assert_int_equal(store->functions->record(store, &both[1], 1), RESULT_OK);
    assert_int_equal(log_of(fixture, CRM, false).count, 2);
    assert_string_equal(log_of(fixture, CRM, false).first,
                        "1/2 CardIssued c 3 10-102 204 0 answered");
    assert_int_equal(version(fixture), before);
}

static void log_is_bounded_but_keeps_what_is_being_retried(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    static webhook_delivery_t many[LIMIT_WEBHOOK_LOG + 50];
    for (uint32_t i = 0; i < LIMIT_WEBHOOK_LOG + 50; i++) {
        many[i] = delivery(i + 1, i == 0 ? WEBHOOK_STATE_RETRYING : WEBHOOK_STATE_DELIVERED);
    }
    assert_int_equal(store->functions->record(store, many, LIMIT_WEBHOOK_LOG + 50), RESULT_OK);
    const deliveries_t kept = log_of(fixture, CRM, false);
    assert_int_equal(kept.count, LIMIT_WEBHOOK_LOG + 1);
    assert_int_equal(kept.retrying, 1);
}

static void log_goes_with_its_webhook_and_webhooks_with_their_tenant(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    char kept_as[512];
    webhook_delivery_t one = delivery(1, WEBHOOK_STATE_DELIVERED);
    assert_int_equal(store->functions->record(store, &one, 1), RESULT_OK); /* of nobody */
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(log_of(fixture, CRM, false).count, 0);
    assert_int_equal(store->functions->record(store, &one, 1), RESULT_OK);
    assert_int_equal(store->functions->remove(store, ACME, CRM), RESULT_OK);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(log_of(fixture, CRM, false).count, 0);
    assert_int_equal(fixture->control->functions->tenant_delete(fixture->control, ACME, 9000,
                                                                kept_as, sizeof kept_as),
                     RESULT_OK);
    assert_int_equal(look(fixture, "").count, 0);
}

int webhooks_contract_run(const control_contract_factory_t *factory,
                          webhooks_of_store_t *webhooks_of)
{
    static fixture_t fixture;
    fixture = (fixture_t){.factory = factory, .webhooks_of = webhooks_of};
    const struct CMUnitTest tests[] = {
#define CONTRACT(test) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &fixture)
        CONTRACT(webhook_is_kept_and_removed_and_everybody_hears_of_it),
        CONTRACT(a_tenant_has_so_many_and_must_exist),
        CONTRACT(rotation_keeps_the_old_secret_beside_the_new_one),
        CONTRACT(disabled_one_says_why),
        CONTRACT(one_replay_at_a_time_moves_and_ends),
        CONTRACT(log_has_the_last_of_each_event_newest_first),
        CONTRACT(log_is_bounded_but_keeps_what_is_being_retried),
        CONTRACT(log_goes_with_its_webhook_and_webhooks_with_their_tenant),
#undef CONTRACT
    };
    return cmocka_run_group_tests_name("webhooks", tests, NULL, NULL);
}
