/* The control store's contract on PostgreSQL, and what only PostgreSQL can do wrong: schemas of
 * other versions, databases of others. */
#include "runtime/clock.h"
#include "tests/contract/consumers_contract.h"
#include "tests/contract/control_contract.h"
#include "tests/contract/flags_contract.h"
#include "tests/contract/journal_postgres_place.h"
#include "tests/contract/revocations_contract.h"
#include "tests/contract/webhooks_contract.h"
#include <assert.h>
#include <libpq-fe.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { AUTOVACUUM_MS = 60000 };

static void factory_open(void *context, control_store_t **store, dead_letters_t **letters)
{
    postgres_place_t *const place = context;
    postgres_place_control_open(place);
    *store = place->control;
    *letters = control_postgres_dead_letters(*store);
}

static void factory_close_and_clear(void *context, control_store_t **store)
{
    postgres_place_t *const place = context;
    control_postgres_close(&place->control);
    *store = NULL;
    postgres_server_empty_control(&place->server);
}

/* --- Only here --- */

static result_t open_again(postgres_place_t *place, bool create, char *error, size_t size)
{
    const control_postgres_options_t options = {
        .url = place->server.url, .connect = true, .create = create};
    return control_postgres_open(&options, error, size, &place->control);
}

static bool ignore_letter(void *context, const dead_letter_t *letter)
{
    (void)context;
    (void)letter;
    return true;
}

static void an_empty_database_is_told_from_one_in_use(void **state)
{
    postgres_place_t *const place = *state;
    char error[512] = "";
    migration_outcome_t versions;
    assert_int_equal(control_postgres_schema(place->server.url, &versions, error, sizeof error),
                     RESULT_OK);
    assert_int_equal(versions.found, 0);
    assert_int_equal(open_again(place, false, error, sizeof error), RESULT_MISSING);
    assert_non_null(strstr(error, "it is empty"));
    postgres_place_control_open(place);
    control_postgres_close(&place->control);
    assert_int_equal(control_postgres_schema(place->server.url, &versions, error, sizeof error),
                     RESULT_OK);
    assert_int_equal(versions.found, versions.known);
    assert_int_equal(open_again(place, false, error, sizeof error), RESULT_OK);
}

static bool claims(webhooks_t *webhooks, const char *service, uint32_t ttl_ms)
{
    bool is_ours = false;
    assert_int_equal(webhooks->functions->claim(webhooks, text_from_c(service), ttl_ms, &is_ours),
                     RESULT_OK);
    return is_ours;
}

static void one_service_sends_the_webhooks_until_its_claim_ends(void **state)
{
    postgres_place_t *const place = *state;
    postgres_place_control_open(place);
    webhooks_t *const webhooks = control_postgres_webhooks(place->control);
    assert_true(claims(webhooks, "one", 60000));
    assert_false(claims(webhooks, "two", 60000));
    assert_true(claims(webhooks, "one", 60000)); /* renewed */
    assert_false(claims(webhooks, "one", 0));    /* given back */
    assert_true(claims(webhooks, "two", 60000));
    assert_false(claims(webhooks, "one", 60000));
    postgres_server_execute(&place->server, "digitalcard", "UPDATE claim SET ends_at = 1");
    assert_false(claims(webhooks, "three", 0)); /* nothing to give back, and nothing is taken */
    assert_true(claims(webhooks, "one", 60000));
    assert_false(claims(webhooks, "two", 60000));
}

static void a_store_of_format_1_gets_its_dead_letters(void **state)
{
    postgres_place_t *const place = *state;
    char error[512] = "";
    postgres_place_control_open(place);
    control_postgres_close(&place->control);
    postgres_server_execute(
        &place->server, "digitalcard",
        "DROP TABLE claim; DROP TABLE webhook_delivery; DROP TABLE webhook; "
        "DROP TABLE consumer_cursor; DROP TABLE consumer; DROP TABLE revoked_token; "
        "DROP TABLE flag; DROP TABLE dead_letter; ALTER TABLE tenant DROP COLUMN max_cards; "
        "ALTER TABLE tenant DROP COLUMN max_storage; ALTER TABLE tenant DROP "
        "COLUMN max_rate; UPDATE control SET schema = 1");
    assert_int_equal(open_again(place, true, error, sizeof error), RESULT_OK);
    dead_letters_t *const letters = control_postgres_dead_letters(place->control);
    assert_int_equal(letters->functions->visit(letters, TEXT_NONE, ignore_letter, NULL), RESULT_OK);
    control_postgres_close(&place->control);
    assert_int_equal(open_again(place, true, error, sizeof error), RESULT_OK); /* nothing to do */
}

static void a_newer_store_is_refused_and_left_alone(void **state)
{
    postgres_place_t *const place = *state;
    char error[512] = "";
    postgres_place_control_open(place);
    control_postgres_close(&place->control);
    postgres_server_execute(&place->server, "digitalcard", "UPDATE control SET schema = 99");
    assert_int_equal(open_again(place, true, error, sizeof error), RESULT_SCHEMA_TOO_NEW);
    assert_non_null(strstr(error, "newer version"));
    assert_null(place->control);
}

static void a_wrong_password_is_told_without_it(void **state)
{
    postgres_place_t *const place = *state;
    char error[512] = "";
    postgres_server_execute(&place->server, "postgres",
                            "ALTER ROLE digitalcard PASSWORD 'another'");
    assert_int_equal(open_again(place, true, error, sizeof error), RESULT_STORE_UNAVAILABLE);
    assert_non_null(strstr(error, "password authentication failed"));
    assert_null(strstr(error, "secret"));
    postgres_server_execute(&place->server, "postgres", "ALTER ROLE digitalcard PASSWORD 'secret'");
}

static bool is_autovacuum_at_work(postgres_place_t *place, const char *database)
{
    const char *const values[] = {database};
    PGconn *const connection = PQconnectdb(place->server.superuser);
    PGresult *const rows = PQexecParams(connection,
                                        "SELECT pid FROM pg_stat_activity WHERE datname = $1 "
                                        "AND backend_type = 'autovacuum worker'",
                                        1, NULL, values, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(rows), PGRES_TUPLES_OK);
    const bool is_there = PQntuples(rows) > 0;
    PQclear(rows);
    PQfinish(connection);
    return is_there;
}

/* Nobody but a superuser may end what the server itself does there. */
static void a_tenant_is_deleted_while_autovacuum_is_at_work(void **state)
{
    postgres_place_t *const place = *state;
    const journal_contract_factory_t factory = postgres_place_factory(place);
    const text_t tenant = TEXT_LITERAL("vacuumed");
    control_postgres_place_t where;
    char kept_as[128];
    postgres_place_control_open(place);
    assert_int_equal(factory.create_tenant(factory.context, tenant, 1), RESULT_OK);
    assert_int_equal(control_postgres_find(place->control, tenant, &where), RESULT_OK);
    postgres_server_execute(
        &place->server, where.database, /* a page each tenth of a second: work for minutes */
        "CREATE TABLE busy (n int8) WITH (autovacuum_vacuum_threshold = 0, "
        "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, "
        "autovacuum_vacuum_cost_limit = 1); "
        "INSERT INTO busy SELECT generate_series(1, 100000); DELETE FROM busy");
    postgres_server_execute(&place->server, "postgres", "ALTER SYSTEM SET autovacuum_naptime = 1");
    postgres_server_execute(&place->server, "postgres", "SELECT pg_reload_conf()");
    const uint64_t deadline_ms = clock_monotonic_ms() + AUTOVACUUM_MS;
    while (!is_autovacuum_at_work(place, where.database)) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(place->control->functions->tenant_delete(place->control, tenant, 1700000000000,
                                                              kept_as, sizeof kept_as),
                     RESULT_OK);
    postgres_server_execute(&place->server, "postgres", "ALTER SYSTEM RESET autovacuum_naptime");
    postgres_server_execute(&place->server, "postgres", "SELECT pg_reload_conf()");
}

static int clear(void **state)
{
    postgres_place_t *const place = *state;
    control_postgres_close(&place->control);
    postgres_server_empty_control(&place->server);
    return 0;
}

#define POSTGRES_TEST(name) cmocka_unit_test_prestate_setup_teardown(name, NULL, clear, &place)

int main(void)
{
    static postgres_place_t place;
    postgres_place_create(&place);
    control_postgres_close(&place.control);
    postgres_server_empty_control(&place.server);
    const control_contract_factory_t factory = {
        .context = &place, .open = factory_open, .close_and_clear = factory_close_and_clear};
    const struct CMUnitTest tests[] = {
        POSTGRES_TEST(an_empty_database_is_told_from_one_in_use),
        POSTGRES_TEST(one_service_sends_the_webhooks_until_its_claim_ends),
        POSTGRES_TEST(a_store_of_format_1_gets_its_dead_letters),
        POSTGRES_TEST(a_newer_store_is_refused_and_left_alone),
        POSTGRES_TEST(a_wrong_password_is_told_without_it),
        POSTGRES_TEST(a_tenant_is_deleted_while_autovacuum_is_at_work),
    };
    int failed = control_contract_run(&factory);
    failed += flags_contract_run(&factory, control_postgres_flags);
    failed += revocations_contract_run(&factory, control_postgres_revocations);
    failed += consumers_contract_run(&factory, control_postgres_consumers);
    failed +=
        webhooks_contract_run(&factory, control_postgres_webhooks, control_postgres_consumers);
    failed += cmocka_run_group_tests_name("control store on PostgreSQL", tests, NULL, NULL);
    postgres_place_remove(&place);
    return failed;
}
