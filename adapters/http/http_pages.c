/* Routes that ask no shard: probes, metrics, the supervision tree, token keys, the front door.
 * Nothing here needs a token, and nothing here names a tenant. */
#include "adapters/http/http_internal.h"

#include <stdlib.h>

enum { READY_DETAIL_SIZE = 256, JWKS_SIZE = 16384 }; /* 16 keys of 1 KiB */

/* A question to the supervisor. It outlives its slot when the client goes, and the server when that
 * is destroyed: `done` comes once in any case. */
struct http_fetch {
    LIST_ENTRY(http_fetch) link;
    http_server_t *server; /* NULL: destroyed */
    http_slot_t *slot;     /* NULL: its connection is gone */
};

void http_fetch_forget(http_fetch_t *fetch)
{
    fetch->slot = NULL;
}

void http_fetches_orphan(http_server_t *server)
{
    http_fetch_t *fetch = NULL;
    LIST_FOREACH(fetch, &server->fetches, link)
    {
        fetch->server = NULL;
    }
}

static void answer_text(http_slot_t *slot, uint16_t status, text_t type, text_t body)
{
    const http_response_t response = {
        .status = status,
        .content_type = type,
        .body = body,
        .trace_id = {.data = slot->trace_id, .size = sizeof(slot->trace_id)},
        .retry_after_s = status == 503 ? 1 : 0,
    };
    http_slot_answer(slot, &response);
}

static void on_fetched(void *context, const char *text, size_t size)
{
    http_fetch_t *fetch = context;
    http_slot_t *slot = fetch->server == NULL ? NULL : fetch->slot;
    if (fetch->server != NULL) {
        LIST_REMOVE(fetch, link);
    }
    free(fetch);
    if (slot == NULL) {
        return;
    }
    slot->fetch = NULL;
    if (text == NULL) {
        http_answer_problem(slot, RESULT_UNAVAILABLE,
                            text_from_c("the supervisor did not answer in time"), TEXT_NONE,
                            TEXT_NONE);
        return;
    }
    const bool metrics = slot->route->action == ROUTE_ACTION_METRICS;
    answer_text(slot, 200,
                metrics ? TEXT_LITERAL("text/plain; version=0.0.4; charset=utf-8")
                        : TEXT_LITERAL("application/json"),
                (text_t){.data = text, .size = size});
}

static void fetch_from_supervisor(http_slot_t *slot, const char *what)
{
    http_server_t *server = slot->connection->server;
    http_fetch_t *fetch = malloc(sizeof(*fetch));
    if (fetch == NULL) {
        http_answer_problem(slot, RESULT_NO_MEMORY, TEXT_NONE, TEXT_NONE, TEXT_NONE);
        return;
    }
    *fetch = (http_fetch_t){.server = server, .slot = slot};
    LIST_INSERT_HEAD(&server->fetches, fetch, link);
    slot->fetch = fetch;
    const result_t result =
        server->ports.fetch(server->ports.fetch_context, what, on_fetched, fetch);
    if (result != RESULT_OK) {
        /* Refused within the call: `done` does not come. */
        slot->fetch = NULL;
        LIST_REMOVE(fetch, link);
        free(fetch);
        http_answer_problem(slot, result, TEXT_NONE, TEXT_NONE, TEXT_NONE);
    }
}

static void answer_ready(http_slot_t *slot)
{
    static const text_t json = TEXT_LITERAL("application/json");
    http_server_t *server = slot->connection->server;
    char detail[READY_DETAIL_SIZE] = "";
    if (server->draining) {
        http_answer_problem(slot, RESULT_DRAINING, TEXT_NONE, TEXT_NONE, TEXT_NONE);
    } else if (gateway_is_ready(server->ports.gateway, detail, sizeof(detail))) {
        answer_text(slot, 200, json, TEXT_LITERAL("{\"status\":\"ok\"}"));
    } else {
        http_answer_problem(slot, RESULT_UNAVAILABLE, text_from_c(detail), TEXT_NONE, TEXT_NONE);
    }
}

static void answer_keys(http_slot_t *slot)
{
    http_server_t *server = slot->connection->server;
    char keys[JWKS_SIZE];
    const size_t size = gateway_jwks(server->ports.gateway, keys, sizeof(keys));
    if (size > sizeof(keys)) {
        http_answer_problem(slot, RESULT_INTERNAL, text_from_c("there are too many keys"),
                            TEXT_NONE, TEXT_NONE);
        return;
    }
    const http_response_t response = {
        .status = 200,
        .content_type = TEXT_LITERAL("application/jwk-set+json"),
        .body = {.data = keys, .size = size},
        .trace_id = {.data = slot->trace_id, .size = sizeof(slot->trace_id)},
        .cache_control = TEXT_LITERAL("public, max-age=60"),
    };
    http_slot_answer(slot, &response);
}

void http_pages_handle(http_slot_t *slot)
{
    static const text_t json = TEXT_LITERAL("application/json");
    switch (slot->route->action) {
    case ROUTE_ACTION_HOME:
        answer_text(slot, 200, json,
                    TEXT_LITERAL("{\"service\":\"DigitalCard\",\"version\":\"" DIGITALCARD_VERSION
                                 "\",\"links\":{\"live\":\"/health/live\",\"ready\":"
                                 "\"/health/ready\",\"health\":\"/health/digitalcard\","
                                 "\"metrics\":\"/metrics\",\"token_keys\":"
                                 "\"/.well-known/jwks.json\",\"administration\":"
                                 "\"/{tenant}/api/v1\",\"mobile\":\"/{tenant}/mapi/v1\"}}"));
        return;
    case ROUTE_ACTION_HEALTH_LIVE:
        answer_text(slot, 200, json, TEXT_LITERAL("{\"status\":\"ok\"}"));
        return;
    case ROUTE_ACTION_HEALTH_READY:
        answer_ready(slot);
        return;
    case ROUTE_ACTION_TREE:
        fetch_from_supervisor(slot, "tree");
        return;
    case ROUTE_ACTION_METRICS:
        fetch_from_supervisor(slot, "metrics");
        return;
    case ROUTE_ACTION_JWKS:
        answer_keys(slot);
        return;
    default:
        http_answer_problem(slot, RESULT_NOT_IMPLEMENTED,
                            text_from_c("this part of the service comes later"), TEXT_NONE,
                            TEXT_NONE);
        return;
    }
}
