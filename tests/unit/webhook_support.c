/* See webhook_support.h. */
#include "tests/unit/webhook_support.h"
#include "actors/secrets.h"
#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static hooks_fixture_t fixture_memory;

hooks_fixture_t *hooks_fixture(void)
{
    return &fixture_memory;
}

/* --- The store, with switches --- */

static result_t record(webhooks_t *store, const webhook_progress_t *progress)
{
    const hooks_fixture_t *const fixture = hooks_fixture();
    return fixture->record_result == RESULT_OK ? fixture->functions->record(store, progress)
                                               : fixture->record_result;
}

static result_t visit_many(webhook_visit_t *visit, void *context)
{
    char name[16];
    const webhook_row_t row = {.tenant = TEXT_LITERAL("acme"),
                               .url = TEXT_LITERAL("http://many.example/"),
                               .created_at = 500,
                               .tenant_created_at = 1,
                               .sealed_secret = TEXT_LITERAL("of nobody")};
    bool goes_on = true;
    for (uint32_t i = 0; i < hooks_fixture()->visit_rows && goes_on; i++) {
        webhook_row_t own = row;
        (void)snprintf(name, sizeof name, "h%05u", hooks_fixture()->visit_rows - i);
        own.name = text_from_c(name);
        goes_on = visit(context, &own);
    }
    return RESULT_OK;
}

static result_t visit_rows(webhooks_t *store, text_t tenant, webhook_visit_t *visit, void *context)
{
    const hooks_fixture_t *const fixture = hooks_fixture();
    return fixture->visit_rows > 0 ? visit_many(visit, context)
                                   : fixture->functions->visit(store, tenant, visit, context);
}

static result_t claim(webhooks_t *store, text_t service, uint32_t ttl_ms, bool *is_ours)
{
    (void)store;
    (void)service;
    (void)ttl_ms;
    *is_ours = hooks_fixture()->is_claimed || !hooks_fixture()->has_others;
    return RESULT_OK;
}

static result_t make_journal(const char *directory, text_t tenant, uint32_t partitions)
{
    char path[256];
    (void)partitions;
    (void)snprintf(path, sizeof path, "%s/tenants", directory);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/tenants/%.*s.db", directory, TEXT_PRINT(tenant));
    const int file = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(file >= 0);
    (void)close(file);
    return RESULT_OK;
}

/* Far from 0, so that pauses are long. */
static uint32_t random_high(uint32_t below)
{
    return below - 1;
}

static void random_fill_low(void *out, size_t size)
{
    memset(out, 7, size);
}

static void fill_ports(relay_ports_t *ports)
{
    hooks_fixture_t *const fixture = hooks_fixture();
    ports->control = fixture->control;
    ports->consumers = fixture->consumers;
    ports->webhooks = fixture->store;
    ports->http_calls = &fixture->http.base;
    ports->random = random_high;
    ports->random_fill = random_fill_low;
}

/* --- Beginning and end --- */

static void wrap_store(hooks_fixture_t *fixture)
{
    static webhooks_functions_t functions;
    fixture->store = control_sqlite_webhooks(fixture->control);
    fixture->functions = fixture->store->functions;
    functions = *fixture->functions;
    functions.record = record;
    functions.visit = visit_rows;
    functions.claim = claim;
    fixture->store->functions = &functions;
}

int hooks_setup(void **state)
{
    hooks_fixture_t *const fixture = hooks_fixture();
    memset(fixture, 0, sizeof *fixture);
    fixture->created_at = 500; /* before all events */
    http_calls_fake_init(&fixture->http);
    directory_make(fixture->directory);
    assert_int_equal(control_sqlite_open(fixture->directory, true, make_journal, &fixture->control),
                     RESULT_OK);
    wrap_store(fixture);
    fixture->consumers = control_sqlite_consumers(fixture->control);
    assert_int_equal(relay_setup_with((void **)&fixture->relay, fill_ports), 0);
    hooks_create_tenant(fixture, fixture->relay->acme);
    hooks_create_tenant(fixture, fixture->relay->big);
    *state = fixture;
    return 0;
}

int hooks_teardown(void **state)
{
    hooks_fixture_t *const fixture = *state;
    relay_fixture_t *relay = fixture->relay;
    assert_int_equal(relay_teardown((void **)&relay), 0);
    assert_int_equal(fixture->http.waiting, 0);
    control_sqlite_close(&fixture->control);
    directory_remove(fixture->directory);
    return 0;
}

void hooks_restart(hooks_fixture_t *fixture)
{
    relay_restart(fixture->relay, fill_ports);
}

/* --- Rows --- */

void hooks_create_tenant(hooks_fixture_t *fixture, fake_tenant_t *tenant)
{
    const control_card_key_t key = {.kid = 1,
                                    .state = key_state_active,
                                    .created_at = 1,
                                    .sealed_secret = TEXT_LITERAL("sealed")};
    const control_tenant_t row = {.name = text_from_c(tenant->name),
                                  .partitions = tenant->partitions,
                                  .created_at = tenant->created_at,
                                  .sealed_secret = TEXT_LITERAL("sealed"),
                                  .keys = &key,
                                  .key_count = 1};
    assert_int_equal(fixture->control->functions->tenant_create(fixture->control, &row), RESULT_OK);
}

void hooks_add(hooks_fixture_t *fixture, const char *tenant, const char *name)
{
    char url[96];
    char secret[WEBHOOK_SECRET_SIZE];
    uint8_t sealed[WEBHOOK_SECRET_SIZE + CRYPTO_SEAL_OVERHEAD];
    const uint8_t random[32] = {(uint8_t)name[0]};
    (void)snprintf(url, sizeof url, "http://%s.example/%s", tenant, name);
    webhook_secret_format(random, secret);
    secret_webhook_seal(&signer_functions, &fixture->relay->master_key, text_from_c(tenant),
                        text_from_c(name), (text_t){secret, sizeof secret}, sealed);
    const webhook_row_t row = {.tenant = text_from_c(tenant),
                               .name = text_from_c(name),
                               .url = text_from_c(url),
                               .created_at = fixture->created_at,
                               .sealed_secret = {(const char *)sealed, sizeof sealed}};
    assert_int_equal(fixture->store->functions->add(fixture->store, &row), RESULT_OK);
}

/* --- Time --- */

void hooks_commit(hooks_fixture_t *fixture, fake_tenant_t *tenant, uint64_t head)
{
    relay_send_event(fixture->relay, tenant, 0, head);
}

void hooks_turn(hooks_fixture_t *fixture, uint32_t milliseconds)
{
    for (uint32_t passed = 0; passed < milliseconds; passed += LIMIT_WEBHOOK_TICK_MS) {
        relay_journal_fake_settle(fixture->relay->journal);
        loop_fake_advance(LIMIT_WEBHOOK_TICK_MS);
    }
    relay_journal_fake_settle(fixture->relay->journal);
}

void hooks_leap(int64_t milliseconds)
{
    loop_fake_stall((uint64_t)milliseconds);
}

void hooks_set_clock(int64_t milliseconds)
{
    loop_fake_set_wall_ms(loop_fake_wall_ms() + milliseconds);
}

/* --- Looking --- */

typedef struct look {
    uint64_t sequence;
    text_t name;
    uint64_t cursor;
    bool replays;
    char text[96];
} look_t;

static bool look_at_delivery(void *context, const webhook_delivery_t *delivery)
{
    static const char *const states[] = {"delivered", "retrying", "given_up"};
    look_t *const look = context;
    if (delivery->sequence == look->sequence) {
        (void)snprintf(look->text, sizeof look->text, "%s %u %u", states[delivery->state],
                       delivery->status, delivery->attempts);
    }
    return true;
}

static bool look_at_row(void *context, const webhook_row_t *row)
{
    look_t *const look = context;
    if (text_equal(row->name, look->name)) {
        (void)snprintf(look->text, sizeof look->text, "%.*s", TEXT_PRINT(row->disabled));
        look->replays = row->replay_last > 0;
    }
    return true;
}

static bool look_at_cursor(void *context, const consumer_row_t *row)
{
    look_t *const look = context;
    if (text_equal(row->name, look->name) && row->has_cursor && row->partition == 0) {
        look->cursor = row->sequence;
    }
    return true;
}

static look_t look_memory;

const char *hooks_log(hooks_fixture_t *fixture, const char *tenant, const char *name,
                      uint64_t sequence)
{
    look_memory = (look_t){.sequence = sequence};
    assert_int_equal(fixture->store->functions->visit_log(fixture->store, text_from_c(tenant),
                                                          text_from_c(name), false,
                                                          look_at_delivery, &look_memory),
                     RESULT_OK);
    return look_memory.text;
}

static void look_at(hooks_fixture_t *fixture, const char *tenant, const char *name)
{
    look_memory = (look_t){.name = text_from_c(name)};
    assert_int_equal(
        fixture->functions->visit(fixture->store, text_from_c(tenant), look_at_row, &look_memory),
        RESULT_OK);
}

const char *hooks_disabled(hooks_fixture_t *fixture, const char *tenant, const char *name)
{
    look_at(fixture, tenant, name);
    return look_memory.text;
}

bool hooks_replays(hooks_fixture_t *fixture, const char *tenant, const char *name)
{
    look_at(fixture, tenant, name);
    return look_memory.replays;
}

uint64_t hooks_cursor(hooks_fixture_t *fixture, const char *tenant, const char *name)
{
    char memory[WEBHOOK_CONSUMER_SIZE];
    look_memory = (look_t){.name = webhook_consumer_name(text_from_c(name), memory)};
    assert_int_equal(fixture->consumers->functions->visit(fixture->consumers, text_from_c(tenant),
                                                          look_at_cursor, &look_memory),
                     RESULT_OK);
    return look_memory.cursor;
}
