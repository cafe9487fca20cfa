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
    consumers_of_store_t *consumers_of;
    control_store_t *control;
    webhooks_t *webhooks;
    consumers_t *consumers;
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

enum { CREATED_AT = 1000 };

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
                               .created_at = CREATED_AT,
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

/* One tenant for all: making one is what costs on some stores. */
static void open_store(fixture_t *fixture)
{
    dead_letters_t *letters = NULL;
    fixture->factory->open(fixture->factory->context, &fixture->control, &letters);
    fixture->webhooks = fixture->webhooks_of(fixture->control);
    fixture->consumers = fixture->consumers_of(fixture->control);
    create_tenant(fixture, ACME);
}

static void close_store(fixture_t *fixture)
{
    fixture->factory->close_and_clear(fixture->factory->context, &fixture->control);
}

typedef struct names {
    size_t count;
    char text[LIMIT_CONSUMERS][64];
} names_t;

static bool add_name(names_t *names, text_t name)
{
    assert_true(names->count < LIMIT_CONSUMERS && name.size < sizeof names->text[0]);
    (void)snprintf(names->text[names->count++], sizeof names->text[0], "%.*s", TEXT_PRINT(name));
    return true;
}

static bool name_of_webhook(void *context, const webhook_row_t *row)
{
    return add_name(context, row->name);
}

static bool name_of_consumer(void *context, const consumer_row_t *row)
{
    return add_name(context, row->name);
}

static int clear(void **state)
{
    fixture_t *const fixture = *state;
    names_t webhooks = {0};
    names_t consumers = {0};
    assert_int_equal(fixture->webhooks->functions->visit(fixture->webhooks, TEXT_NONE,
                                                         name_of_webhook, &webhooks),
                     RESULT_OK);
    for (size_t i = 0; i < webhooks.count; i++) {
        assert_int_equal(fixture->webhooks->functions->remove(fixture->webhooks, ACME,
                                                              text_from_c(webhooks.text[i])),
                         RESULT_OK);
    }
    assert_int_equal(fixture->consumers->functions->visit(fixture->consumers, TEXT_NONE,
                                                          name_of_consumer, &consumers),
                     RESULT_OK);
    for (size_t i = 0; i < consumers.count; i++) {
        assert_int_equal(fixture->consumers->functions->remove(fixture->consumers, ACME,
                                                               text_from_c(consumers.text[i])),
                         RESULT_OK);
    }
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

static void record_deliveries(fixture_t *fixture, const webhook_delivery_t *deliveries,
                              size_t count)
{
    webhooks_t *const store = fixture->webhooks;
    const webhook_progress_t progress = {
        .deliveries = deliveries, .delivery_count = count, .now_ms = 5000};
    assert_int_equal(store->functions->record(store, &progress), RESULT_OK);
}

static void move(fixture_t *fixture, const webhook_cursor_t *cursors, size_t count)
{
    webhooks_t *const store = fixture->webhooks;
    const webhook_progress_t progress = {.cursors = cursors, .cursor_count = count, .now_ms = 5000};
    assert_int_equal(store->functions->record(store, &progress), RESULT_OK);
}

static webhook_cursor_t cursor(uint32_t partition, uint64_t sequence, uint64_t replay_last)
{
    return (webhook_cursor_t){.tenant = ACME,
                              .name = CRM,
                              .created_at = CREATED_AT,
                              .partition = partition,
                              .sequence = sequence,
                              .replay_last = replay_last};
}

static void one_replay_at_a_time_moves_and_ends(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    const webhook_range_t replay = {.partition = 2, .next = 5, .last = 9};
    assert_int_equal(store->functions->replay(store, ACME, CRM, &replay), RESULT_MISSING);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(store->functions->replay(store, ACME, CRM, &replay), RESULT_OK);
    assert_int_equal(store->functions->replay(store, ACME, CRM, &replay), RESULT_BUSY);
    const uint64_t before = version(fixture);
    const webhook_cursor_t first = cursor(2, 6, 9);
    move(fixture, &first, 1);
    assert_string_equal(look(fixture, "acme").text[0],
                        "acme/crm https://crm.example/in 1000 [] one [] 0 2:7-9");
    webhook_cursor_t stranger = cursor(2, 9, 9);
    stranger.created_at++;
    move(fixture, &stranger, 1);
    assert_string_equal(look(fixture, "acme").text[0],
                        "acme/crm https://crm.example/in 1000 [] one [] 0 2:7-9");
    const webhook_cursor_t last = cursor(2, 9, 9);
    move(fixture, &last, 1);
    move(fixture, &last, 1);
    assert_int_equal(version(fixture), before);
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
                                .created_at = CREATED_AT,
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

/* --- Cursors --- */

typedef struct cursors {
    size_t consumers;
    char text[160];
} cursors_t;

static bool add_cursor(void *context, const consumer_row_t *row)
{
    cursors_t *const cursors = context;
    const size_t size = strlen(cursors->text);
    cursors->consumers++;
    (void)snprintf(cursors->text + size, sizeof cursors->text - size, "%.*s/%.*s %u:%llu;",
                   TEXT_PRINT(row->tenant), TEXT_PRINT(row->name), row->partition,
                   (unsigned long long)(row->has_cursor ? row->sequence : 0));
    return true;
}

static cursors_t cursors_of(fixture_t *fixture)
{
    cursors_t cursors = {0};
    consumers_t *const consumers = fixture->consumers;
    assert_int_equal(consumers->functions->visit(consumers, TEXT_NONE, add_cursor, &cursors),
                     RESULT_OK);
    return cursors;
}

static void cursors_are_a_consumer_that_comes_and_goes_with_the_webhook(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_string_equal(cursors_of(fixture).text, "acme/webhook.crm 0:0;");
    const uint64_t before = version(fixture);
    const webhook_cursor_t both[] = {cursor(0, 7, 0), cursor(3, 4, 0)};
    move(fixture, both, 2);
    const webhook_cursor_t back = cursor(0, 6, 0);
    move(fixture, &back, 1);
    assert_string_equal(cursors_of(fixture).text, "acme/webhook.crm 0:7;acme/webhook.crm 3:4;");
    assert_int_equal(version(fixture), before);
    assert_int_equal(fixture->consumers->functions->forget(fixture->consumers, 9000), RESULT_OK);
    assert_int_equal(cursors_of(fixture).consumers, 2); /* however silent */
    assert_int_equal(store->functions->remove(store, ACME, CRM), RESULT_OK);
    assert_int_equal(cursors_of(fixture).consumers, 0);
}

static void what_is_recorded_of_a_webhook_never_counts_for_its_namesake(void **state)
{
    fixture_t *const fixture = *state;
    webhooks_t *const store = fixture->webhooks;
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(store->functions->remove(store, ACME, CRM), RESULT_OK);
    webhook_cursor_t late = cursor(0, 7, 0);
    webhook_delivery_t outcome = delivery(1, WEBHOOK_STATE_DELIVERED);
    move(fixture, &late, 1); /* of nobody */
    record_deliveries(fixture, &outcome, 1);
    assert_int_equal(cursors_of(fixture).consumers, 0);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    late.created_at--;
    outcome.created_at--;
    move(fixture, &late, 1);
    record_deliveries(fixture, &outcome, 1);
    assert_string_equal(cursors_of(fixture).text, "acme/webhook.crm 0:0;");
    assert_int_equal(log_of(fixture, CRM, false).count, 0);
}

static void webhooks_and_consumers_share_the_places_of_a_tenant(void **state)
{
    fixture_t *const fixture = *state;
    consumers_t *const consumers = fixture->consumers;
    char name[16];
    for (int i = 0; i < LIMIT_CONSUMERS; i++) {
        (void)snprintf(name, sizeof name, "c-%d", i);
        assert_int_equal(consumers->functions->add(consumers, ACME, text_from_c(name), 1),
                         RESULT_OK);
    }
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_BUSY);
    assert_int_equal(look(fixture, "acme").count, 0);
}

static void log_has_the_last_of_each_event_newest_first(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    const uint64_t before = version(fixture);
    webhook_delivery_t both[] = {delivery(1, WEBHOOK_STATE_DELIVERED),
                                 delivery(2, WEBHOOK_STATE_RETRYING)};
    record_deliveries(fixture, both, 2);
    assert_int_equal(log_of(fixture, CRM, false).count, 2);
    assert_string_equal(log_of(fixture, CRM, false).first,
                        "1/2 CardIssued c 2 10-102 500 1 answered");
    assert_int_equal(log_of(fixture, CRM, true).count, 1);
    both[1].state = WEBHOOK_STATE_DELIVERED;
    both[1].attempts = 3;
    both[1].status = 204;
    record_deliveries(fixture, &both[1], 1);
    assert_int_equal(log_of(fixture, CRM, false).count, 2);
    assert_string_equal(log_of(fixture, CRM, false).first,
                        "1/2 CardIssued c 3 10-102 204 0 answered");
    assert_int_equal(version(fixture), before);
}

static void log_is_bounded_but_keeps_what_is_being_retried(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    static webhook_delivery_t many[LIMIT_WEBHOOK_LOG + 50];
    for (uint32_t i = 0; i < LIMIT_WEBHOOK_LOG + 50; i++) {
        many[i] = delivery(i + 1, i == 0 ? WEBHOOK_STATE_RETRYING : WEBHOOK_STATE_DELIVERED);
    }
    record_deliveries(fixture, many, LIMIT_WEBHOOK_LOG + 50);
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
    record_deliveries(fixture, &one, 1); /* of nobody */
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(log_of(fixture, CRM, false).count, 0);
    record_deliveries(fixture, &one, 1);
    assert_int_equal(store->functions->remove(store, ACME, CRM), RESULT_OK);
    assert_int_equal(add(fixture, "acme", "crm"), RESULT_OK);
    assert_int_equal(log_of(fixture, CRM, false).count, 0);
    assert_int_equal(fixture->control->functions->tenant_delete(fixture->control, ACME, 9000,
                                                                kept_as, sizeof kept_as),
                     RESULT_OK);
    assert_int_equal(look(fixture, "").count, 0);
}

int webhooks_contract_run(const control_contract_factory_t *factory,
                          webhooks_of_store_t *webhooks_of, consumers_of_store_t *consumers_of)
{
    static fixture_t fixture;
    fixture =
        (fixture_t){.factory = factory, .webhooks_of = webhooks_of, .consumers_of = consumers_of};
    const struct CMUnitTest tests[] = {
#define CONTRACT(test) cmocka_unit_test_prestate_setup_teardown(test, NULL, clear, &fixture)
        CONTRACT(webhook_is_kept_and_removed_and_everybody_hears_of_it),
        CONTRACT(a_tenant_has_so_many_and_must_exist),
        CONTRACT(rotation_keeps_the_old_secret_beside_the_new_one),
        CONTRACT(disabled_one_says_why),
        CONTRACT(one_replay_at_a_time_moves_and_ends),
        CONTRACT(cursors_are_a_consumer_that_comes_and_goes_with_the_webhook),
        CONTRACT(what_is_recorded_of_a_webhook_never_counts_for_its_namesake),
        CONTRACT(webhooks_and_consumers_share_the_places_of_a_tenant),
        CONTRACT(log_has_the_last_of_each_event_newest_first),
        CONTRACT(log_is_bounded_but_keeps_what_is_being_retried),
        CONTRACT(log_goes_with_its_webhook_and_webhooks_with_their_tenant),
#undef CONTRACT
    };
    open_store(&fixture);
    const int failed = cmocka_run_group_tests_name("webhooks", tests, NULL, NULL);
    close_store(&fixture);
    return failed;
}
