/* The contract of read models on PostgreSQL. A database for each tenant. */
#include "adapters/projections_postgres/projections_postgres.h"
#include "tests/contract/projections_contract.h"
#include "tests/support/postgres_server.h"
#include <assert.h>
#include <stdio.h>

static const char *const TENANTS[] = {"acme", "first", "other"};

static result_t find(void *context, text_t tenant, projections_postgres_place_t *place)
{
    (void)context;
    (void)snprintf(place->database, sizeof place->database, "model_%.*s", TEXT_PRINT(tenant));
    (void)snprintf(place->role, sizeof place->role, "digitalcard");
    (void)snprintf(place->password, sizeof place->password, "secret");
    return RESULT_OK;
}

static void reset(void *context)
{
    for (size_t i = 0; i < sizeof TENANTS / sizeof TENANTS[0]; i++) {
        char database[64];
        (void)snprintf(database, sizeof database, "model_%s", TENANTS[i]);
        postgres_server_execute(context, database, "DROP SCHEMA IF EXISTS read_model CASCADE");
        postgres_server_execute(context, database, "DROP SCHEMA IF EXISTS read_model_next CASCADE");
    }
}

static projections_t *create(void *context, loop_t *loop)
{
    projections_t *projections = NULL;
    const projections_postgres_options_t options = {.url = ((postgres_server_t *)context)->url,
                                                    .directory =
                                                        ((postgres_server_t *)context)->directory,
                                                    .find = find,
                                                    .find_context = context};
    const result_t result = projections_postgres_create(loop, NULL, &options, &projections);
    assert(result == RESULT_OK);
    return projections;
}

static void destroy(void *context, projections_t **projections)
{
    (void)context;
    projections_postgres_destroy(projections);
}

/* A table is gone. */
static void damage(void *context, const char *tenant)
{
    char database[64];
    (void)snprintf(database, sizeof database, "model_%s", tenant);
    postgres_server_execute(context, database, "DROP TABLE read_model.cursor");
}

int main(void)
{
    postgres_server_t server;
    postgres_server_start(&server);
    for (size_t i = 0; i < sizeof TENANTS / sizeof TENANTS[0]; i++) {
        char sql[128];
        (void)snprintf(sql, sizeof sql, "CREATE DATABASE model_%s OWNER digitalcard", TENANTS[i]);
        postgres_server_execute(&server, "postgres", sql);
    }
    const projections_contract_factory_t factory = {
        .context = &server, .reset = reset, .create = create, .destroy = destroy, .damage = damage};
    const int failed = projections_contract_run(&factory);
    postgres_server_stop(&server);
    return failed;
}
