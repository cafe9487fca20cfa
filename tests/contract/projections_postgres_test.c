/* The contract of read models on PostgreSQL. A database for each tenant. */
#include "adapters/projections_postgres/projections_postgres.h"
#include "tests/contract/projections_contract.h"
#include "tests/support/postgres_server.h"
#include "tests/support/tcp_proxy.h"
#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

static const char *const TENANTS[] = {"acme", "first", "other"};

typedef struct place {
    postgres_server_t server;
    tcp_proxy_t proxy; /* between the read models and the server */
    char url[256];
    PGconn *blocker; /* holds a lock */
} place_t;

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
    place_t *const place = context;
    for (size_t i = 0; i < sizeof TENANTS / sizeof TENANTS[0]; i++) {
        char database[64];
        (void)snprintf(database, sizeof database, "model_%s", TENANTS[i]);
        postgres_server_execute(&place->server, database,
                                "DROP SCHEMA IF EXISTS read_model CASCADE");
        postgres_server_execute(&place->server, database,
                                "DROP SCHEMA IF EXISTS read_model_next CASCADE");
    }
}

static projections_t *create(void *context, loop_t *loop)
{
    projections_t *projections = NULL;
    place_t *const place = context;
    const projections_postgres_options_t options = {.url = place->url,
                                                    .directory = place->server.directory,
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
    place_t *const place = context;
    char database[64];
    (void)snprintf(database, sizeof database, "model_%s", tenant);
    postgres_server_execute(&place->server, database, "DROP TABLE read_model.cursor");
}

/* The backends end, or the server's next answer never arrives. */
static void cut(void *context, bool swallows_answer)
{
    place_t *const place = context;
    if (swallows_answer) {
        tcp_proxy_swallow_next_answer(&place->proxy);
        return;
    }
    postgres_server_execute(&place->server, "postgres",
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname "
                            "= 'model_acme' AND usename = 'digitalcard'");
}

static void run(PGconn *connection, const char *sql)
{
    PGresult *const rows = PQexec(connection, sql);
    assert(PQresultStatus(rows) == PGRES_COMMAND_OK);
    PQclear(rows);
}

static void block(void *context, const char *tenant, bool is_blocked)
{
    place_t *const place = context;
    char url[320];
    if (!is_blocked) {
        PQfinish(place->blocker);
        place->blocker = NULL;
        return;
    }
    (void)snprintf(url, sizeof url,
                   "host=127.0.0.1 port=%u user=digitalcard password=secret dbname=model_%s",
                   place->server.port, tenant);
    place->blocker = PQconnectdb(url);
    assert(PQstatus(place->blocker) == CONNECTION_OK);
    run(place->blocker, "BEGIN");
    run(place->blocker, "LOCK TABLE read_model.cursor IN ACCESS EXCLUSIVE MODE");
}

/* The server's URL with the port of the proxy. */
static void proxy_url(place_t *place)
{
    char port[16];
    (void)snprintf(port, sizeof port, ":%u/", place->server.port);
    const char *const at = strstr(place->server.url, port);
    assert(at != NULL);
    (void)snprintf(place->url, sizeof place->url, "%.*s:%u/%s", (int)(at - place->server.url),
                   place->server.url, place->proxy.port, at + strlen(port));
}

int main(void)
{
    static place_t place;
    postgres_server_start(&place.server);
    tcp_proxy_start(&place.proxy, place.server.port);
    proxy_url(&place);
    for (size_t i = 0; i < sizeof TENANTS / sizeof TENANTS[0]; i++) {
        char sql[128];
        (void)snprintf(sql, sizeof sql, "CREATE DATABASE model_%s OWNER digitalcard", TENANTS[i]);
        postgres_server_execute(&place.server, "postgres", sql);
    }
    const projections_contract_factory_t factory = {.context = &place,
                                                    .reset = reset,
                                                    .create = create,
                                                    .destroy = destroy,
                                                    .damage = damage,
                                                    .cut = cut,
                                                    .block = block};
    const int failed = projections_contract_run(&factory);
    tcp_proxy_stop(&place.proxy);
    postgres_server_stop(&place.server);
    return failed;
}
