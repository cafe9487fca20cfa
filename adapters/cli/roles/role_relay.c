/* The relay: fronts and shards connect to it; it publishes events and answers the reads that need
 * no actor. It opens journals read-only. */
#include "adapters/cli/connections.h"
#include "adapters/cli/roles/role.h"

#include "actors/relay/relay.h"
#include "adapters/cli/command.h"
#include "adapters/cli/configuration.h"
#include "adapters/cli/roles/caches.h"
#include "adapters/cli/stores.h"
#include "adapters/events/events_publisher.h"
#include "adapters/http_client/http_client.h"
#include "adapters/signer/signer.h"
#include "runtime/channel.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef struct relay_role {
    role_base_t base;
    crypto_key_t master_key;
    control_store_t *control;
    journal_t *journal;
    projections_t *projections;
    events_publisher_t *publisher;
    cache_t *cache;
    http_calls_t *http_calls; /* of webhooks */
    channel_server_t *server;
    relay_t *relay;
} relay_role_t;

static void relay_role_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    const relay_role_t *role = context;
    const result_t result = channel_server_send(role->server, peer, envelope, size);
    (void)result; /* counted by the channel; the front's deadline answers the client */
}

static result_t relay_role_publish(void *context, text_t topic, const uint8_t *header,
                                   size_t header_size, const uint8_t *body, size_t body_size)
{
    const relay_role_t *role = context;
    return events_publisher_send(role->publisher, topic, header, header_size, body, body_size);
}

static void relay_role_receive(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    const relay_role_t *role = context;
    relay_receive(role->relay, peer, envelope, size);
}

static void relay_role_subscribed(void *context, text_t topic)
{
    const relay_role_t *role = context;
    relay_subscribed(role->relay, topic);
}

static void relay_role_unsubscribed(void *context, text_t topic)
{
    const relay_role_t *role = context;
    relay_unsubscribed(role->relay, topic);
}

/* Fronts and shards connect to the relay; it needs to know nothing of them. */
static void ignore_peer_up(void *context, const char *name, const char *endpoint,
                           uint64_t incarnation)
{
    (void)context;
    (void)name;
    (void)endpoint;
    (void)incarnation;
}

static void ignore_peer(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void relay_role_drained(void *context)
{
    relay_role_t *role = context;
    loop_stop(role->base.loop);
}

static void relay_role_drain(void *context)
{
    relay_role_t *role = context;
    relay_drain(role->relay, relay_role_drained, role);
}

static size_t relay_role_status(const void *context, char *out, size_t capacity)
{
    const relay_role_t *role = context;
    return relay_status(role->relay, out, capacity);
}

static void answer_json(link_request_t **request, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    link_reply(request, text == NULL ? "{}" : text, text == NULL ? 2 : strlen(text));
    free(text);
}

static json_t *rebuild_error(result_t result)
{
    const char *detail = result_title(result);
    if (result == RESULT_BUSY) {
        detail = "The read models of this tenant are being made anew already, or too many tenants "
                 "are in use";
    } else if (result == RESULT_NOT_IMPLEMENTED) {
        detail = "This store has no read models yet";
    }
    return json_pack("{s:{s:s,s:s}}", "error", "code", result_code(result), "detail", detail);
}

/* `store.rebuild` begins, `store.rebuild.look` tells how far it is. */
static bool answer_rebuild(const relay_role_t *role, link_request_t **request, const char *json,
                           size_t size)
{
    json_t *parsed = json_loadb(json, size, 0, NULL);
    const char *command = json_string_value(json_object_get(parsed, "command"));
    const text_t tenant = text_from_c(json_string_value(json_object_get(parsed, "tenant")));
    const bool is_ours = command != NULL && strncmp(command, "store.rebuild", 13) == 0;
    const bool is_look = is_ours && strcmp(command, "store.rebuild.look") == 0;
    const bool has_name = tenant.size > 0 && tenant.size <= LIMIT_TENANT_NAME_SIZE;
    relay_rebuild_progress_t progress = {0};
    result_t result = RESULT_INVALID_ARGUMENT;
    if (is_look && has_name) {
        result = relay_rebuild_look(role->relay, tenant, &progress);
    } else if (is_ours && has_name) {
        result = relay_rebuild(role->relay, tenant);
    }
    if (is_ours && result != RESULT_OK) {
        answer_json(request, rebuild_error(result));
    } else if (is_look) {
        answer_json(request,
                    json_pack("{s:b,s:s,s:I,s:I}", "running", progress.is_running, "result",
                              result_code(progress.result), "folded", (json_int_t)progress.folded,
                              "events", (json_int_t)progress.events));
    } else if (is_ours) {
        answer_json(request, json_pack("{s:b}", "running", 1));
    }
    json_decref(parsed);
    return is_ours;
}

static void relay_role_request(void *context, link_request_t *request, const char *json,
                               size_t size)
{
    relay_role_t *role = context;
    if (!role_answer(&role->base, &request, json, size, relay_role_status, role) &&
        !answer_rebuild(role, &request, json, size)) {
        role_answer_unknown(&request);
    }
}

/* The relay exists before anything can reach it: nothing is received before the loop runs. */
static result_t relay_role_compose(void *context)
{
    relay_role_t *const role = context;
    const role_options_t *options = role->base.options;
    loop_t *loop = role->base.loop;
    result_t result =
        role_open_control(&role->base, STORES_OPEN_LATER, &role->master_key, &role->control);
    if (result == RESULT_OK) {
        result = stores_journal_create(loop, role->base.metrics, options->data, role->control,
                                       connections_of_role().relay, &role->journal);
    }
    if (result == RESULT_OK) {
        result = stores_projections_create(loop, role->base.metrics, options->data, role->control,
                                           &role->projections);
    }
    if (result == RESULT_OK) {
        const int descriptor = options->zmq_descriptor == 0 ? -1 : (int)options->zmq_descriptor;
        result =
            events_publisher_create(loop, role->base.metrics, options->events, descriptor,
                                    (uint32_t)options->subscriber_messages, relay_role_subscribed,
                                    relay_role_unsubscribed, role, &role->publisher);
    }
    if (result == RESULT_OK) {
        result = caches_create(loop, role->base.metrics, &role->cache);
    }
    if (result == RESULT_OK) {
        const char *const policy = getenv(WEBHOOKS_PRIVATE_ENVIRONMENT);
        const http_calls_options_t client_options = {
            .name = "webhooks", .allows_private = policy != NULL && strcmp(policy, "allow") == 0};
        result = http_calls_create(loop, role->base.metrics, &client_options, &role->http_calls);
    }
    if (result == RESULT_OK) {
        const char *const service = getenv(SERVICE_ENVIRONMENT);
        const relay_ports_t ports = {.journal = role->journal,
                                     .service = text_from_c(service == NULL ? "" : service),
                                     .projections = role->projections,
                                     .control = role->control,
                                     .flags = stores_flags(stores_of_role(), role->control),
                                     .cache = role->cache,
                                     .consumers = stores_consumers(stores_of_role(), role->control),
                                     .webhooks = stores_webhooks(stores_of_role(), role->control),
                                     .http_calls = role->http_calls,
                                     .random = random_below,
                                     .random_fill = random_fill,
                                     .crypto = &signer_functions,
                                     .master_key = role->master_key,
                                     .reply = relay_role_reply,
                                     .publish = relay_role_publish,
                                     .context = role,
                                     .wall_ms = clock_wall_ms};
        result = relay_create(loop, role->base.metrics, &ports, &role->relay);
    }
    if (result == RESULT_OK) {
        result = channel_server_create(loop, role->base.endpoint, relay_role_receive, role,
                                       &role->server);
    }
    return result;
}

static void relay_role_decompose(void *context)
{
    relay_role_t *const role = context;
    if (role->cache != NULL) {
        caches_destroy(&role->cache); /* nothing is heard after this */
    }
    if (role->relay != NULL) {
        relay_destroy(&role->relay);
    }
    if (role->http_calls != NULL) {
        http_calls_destroy(&role->http_calls);
    }
    if (role->server != NULL) {
        channel_server_destroy(&role->server);
    }
    if (role->publisher != NULL) {
        events_publisher_destroy(&role->publisher);
    }
    if (role->projections != NULL) {
        stores_projections_destroy(&role->projections);
    }
    if (role->journal != NULL) {
        stores_journal_destroy(&role->journal);
    }
    role_close_control(&role->master_key, &role->control);
}

int role_relay_run(const role_options_t *options)
{
    static const role_kind_t kind = {.name = "relay",
                                     .handler = {.peer_up = ignore_peer_up,
                                                 .peer_draining = ignore_peer,
                                                 .peer_down = ignore_peer,
                                                 .drain = relay_role_drain,
                                                 .request = relay_role_request},
                                     .compose = relay_role_compose,
                                     .decompose = relay_role_decompose};
    relay_role_t role = {0};
    return role_run(&kind, options, &role.base, &role);
}
