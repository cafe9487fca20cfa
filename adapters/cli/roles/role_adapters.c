/* The adapters role: the only one that speaks to neighbours. Shards connect to it; it tells the
 * relay what its breakers do. It keeps nothing durable. */
#include "adapters/cli/roles/role.h"

#include "actors/neighbours/membership_desk.h"
#include "actors/neighbours/vendor_desk.h"
#include "adapters/cli/command.h"
#include "adapters/cli/membership_options.h"
#include "adapters/cli/roles/adapters_status.h"
#include "adapters/cli/stores.h"
#include "adapters/http_client/http_client.h"
#include "adapters/membership/membership.h"
#include "adapters/signer/signer.h"
#include "runtime/channel.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include <stdlib.h>
#include <string.h>

typedef struct adapters_role {
    role_base_t base;
    crypto_key_t master_key;
    control_store_t *control;
    http_calls_t *client;
    membership_t *membership;
    neighbours_t *neighbours;
    membership_desk_t *desk;
    vendor_desk_t *vendors; /* none of them has an adapter yet: it refuses */
    adapters_view_t view;   /* of the three above, when they are there */
    channel_server_t *server;
    channel_client_t *relay;
} adapters_role_t;

/* --- Between the roles --- */

static result_t adapters_send(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    const adapters_role_t *role = context;
    return channel_server_send(role->server, peer, envelope, size);
}

static void adapters_receive(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    const adapters_role_t *role = context;
    membership_desk_receive(role->desk, peer, envelope, size);
}

static void adapters_relay_says(void *context, const uint8_t *envelope, size_t size)
{
    (void)context;
    (void)envelope;
    (void)size; /* it answers nothing to us */
}

static void adapters_peer_up(void *context, const char *name, const char *endpoint,
                             uint64_t incarnation)
{
    const adapters_role_t *role = context;
    (void)incarnation;
    if (strcmp(name, "relay") == 0 && channel_client_connect(role->relay, endpoint) != RESULT_OK) {
        log_error("no channel to the relay: changes of breakers are not published");
    }
}

static void adapters_peer_draining(void *context, const char *name)
{
    (void)context;
    (void)name; /* a shard that drains answers what it has */
}

static void adapters_peer_down(void *context, const char *name)
{
    const adapters_role_t *role = context;
    uint32_t shard = 0;
    if (strcmp(name, "relay") == 0) {
        channel_client_disconnect(role->relay);
    } else if (role_name_is_shard(name, &shard)) {
        membership_desk_shard_down(role->desk, shard);
    }
}

/* --- Breakers --- */

static uint8_t event_of(const circuit_breaker_t *breaker)
{
    if (circuit_breaker_is_closed(breaker)) {
        return operational_name_breaker_closed;
    }
    return strcmp(circuit_breaker_state_name(breaker), "open") == 0
               ? operational_name_breaker_opened
               : operational_name_breaker_half_opened;
}

static void publish_change(const adapters_role_t *role, const neighbour_t *neighbour,
                           const char *reason)
{
    uint8_t bytes[512];
    envelope_t envelope = {0};
    breaker_notice_t *notice = &envelope.breaker;
    neighbour_numbers_t numbers;
    neighbour_numbers(neighbour, &numbers);
    MESSAGE_MARK(envelope, &envelope, breaker);
    MESSAGE_SET(breaker_notice, notice, tenant, neighbour_tenant(neighbour));
    MESSAGE_SET(breaker_notice, notice, name, event_of(neighbour_breaker(neighbour)));
    MESSAGE_SET(breaker_notice, notice, occurred_at, clock_wall_ms());
    MESSAGE_MARK(breaker_notice, notice, body);
    MESSAGE_SET(breaker_changed, &notice->body, adapter,
                text_from_c(neighbour_adapter_name(neighbour_adapter_of(neighbour))));
    MESSAGE_SET(breaker_changed, &notice->body, reason, text_from_c(reason));
    if (notice->name == operational_name_breaker_opened && numbers.retry_ms != UINT32_MAX) {
        MESSAGE_SET(breaker_changed, &notice->body, retry_ms, numbers.retry_ms);
    }
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof bytes);
    if (size <= sizeof bytes) {
        const result_t result = channel_client_send(role->relay, bytes, size);
        (void)result; /* operational events are no history */
    }
}

static void breaker_changed(void *context, const neighbour_t *neighbour, const char *reason)
{
    const adapters_role_t *role = context;
    const text_t tenant = neighbour_tenant(neighbour);
    const circuit_breaker_t *breaker = neighbour_breaker(neighbour);
    const char *adapter = neighbour_adapter_name(neighbour_adapter_of(neighbour));
    const char *state = circuit_breaker_state_name(breaker);
    if (circuit_breaker_is_closed(breaker)) {
        log_info("a circuit breaker closed", LOG_TEXT("tenant", tenant.data, tenant.size),
                 LOG_STRING("adapter", adapter), LOG_STRING("why", reason));
    } else {
        log_warn("a circuit breaker changed", LOG_TEXT("tenant", tenant.data, tenant.size),
                 LOG_STRING("adapter", adapter), LOG_STRING("state", state),
                 LOG_STRING("why", reason));
    }
    publish_change(role, neighbour, reason);
    if (neighbour_adapter_of(neighbour) == NEIGHBOUR_MEMBERSHIP && role->desk != NULL) {
        membership_desk_breaker_changed(role->desk, tenant);
    }
}

static void adapters_heard(void *context, text_t tenant, const member_event_t *event)
{
    const adapters_role_t *role = context;
    membership_desk_heard(role->desk, tenant, event);
}

/* --- What the supervisor asks --- */

static void adapters_drain(void *context)
{
    adapters_role_t *role = context;
    /* What is on its way to neighbours is asked again by the successor; events are not lost. */
    loop_stop(role->base.loop);
}

static size_t print_status(const void *context, char *out, size_t capacity)
{
    const adapters_role_t *role = context;
    json_t *status = adapters_status(&role->view, false, TEXT_NONE);
    char *text = json_dumps(status, JSON_COMPACT);
    const size_t size = text == NULL ? 0 : strlen(text);
    if (size <= capacity && size > 0) {
        memcpy(out, text, size);
    }
    free(text);
    json_decref(status);
    return size;
}

static void answer_command(void *context, json_t *document)
{
    link_request_t *request = context;
    char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT);
    if (text != NULL) {
        link_reply(&request, text, strlen(text));
    } else {
        role_answer_unknown(&request);
    }
    free(text);
    json_decref(document);
}

static void adapters_request(void *context, link_request_t *request, const char *json, size_t size)
{
    adapters_role_t *role = context;
    if (role_answer(&role->base, &request, json, size, print_status, role)) {
        return;
    }
    json_t *command = json_loadb(json, size, 0, NULL);
    if (!adapters_command(&role->view, command, answer_command, request)) {
        role_answer_unknown(&request);
    }
    json_decref(command);
}

/* --- Begin and end --- */

static uint64_t now_us(void)
{
    return clock_monotonic_us();
}

static result_t compose_neighbours(adapters_role_t *role,
                                   const membership_settings_read_t *settings)
{
    loop_t *loop = role->base.loop;
    metrics_t *metrics = role->base.metrics;
    /* The URL is the operator's own: it may well lie in a private network. */
    const http_calls_options_t client_options = {.name = "membership", .allows_private = true};
    result_t result = http_calls_create(loop, metrics, &client_options, &role->client);
    if (result == RESULT_OK) {
        const membership_options_t options = {.urls = settings->urls,
                                              .events = settings->events,
                                              .client = role->client,
                                              .heard = adapters_heard,
                                              .context = role};
        result = membership_create(loop, metrics, &options, &role->membership);
    }
    if (result == RESULT_OK) {
        const neighbours_ports_t ports = {.context = role,
                                          .random = random_below,
                                          .monotonic_us = now_us,
                                          .changed = breaker_changed};
        result = neighbours_create(loop, metrics, &ports, &settings->neighbours, &role->neighbours);
    }
    return result;
}

static result_t compose(void *context)
{
    adapters_role_t *const role = context;
    const role_options_t *options = role->base.options;
    loop_t *loop = role->base.loop;
    membership_settings_read_t settings;
    membership_options_read(&settings);
    result_t result =
        role_open_control(&role->base, STORES_OPEN_LATER, &role->master_key, &role->control);
    if (result == RESULT_OK) {
        result = compose_neighbours(role, &settings);
    }
    if (result == RESULT_OK) {
        const membership_desk_ports_t ports = {.membership = role->membership,
                                               .control = role->control,
                                               .neighbours = role->neighbours,
                                               .send = adapters_send,
                                               .context = role,
                                               .wall_ms = clock_wall_ms,
                                               .random = random_below};
        result = membership_desk_create(loop, role->base.metrics, &ports, (uint32_t)options->shards,
                                        &role->desk);
    }
    if (result == RESULT_OK) {
        const vendor_desk_ports_t ports = {.neighbours = role->neighbours};
        role->vendors = vendor_desk_create(loop, &ports);
        role->view = (adapters_view_t){.neighbours = role->neighbours,
                                       .desk = role->desk,
                                       .vendors = role->vendors,
                                       .control = role->control};
        result = channel_client_create(loop, adapters_relay_says, role, &role->relay);
    }
    if (result == RESULT_OK) {
        result =
            channel_server_create(loop, role->base.endpoint, adapters_receive, role, &role->server);
    }
    return result;
}

static void decompose(void *context)
{
    adapters_role_t *const role = context;
    membership_desk_destroy(&role->desk); /* with the neighbours, whose calls it made */
    vendor_desk_destroy(&role->vendors);
    membership_destroy(&role->membership);
    http_calls_destroy(&role->client);
    if (role->server != NULL) {
        channel_server_destroy(&role->server);
    }
    if (role->relay != NULL) {
        channel_client_destroy(&role->relay);
    }
    role_close_control(&role->master_key, &role->control);
}

int role_adapters_run(const role_options_t *options)
{
    static const role_kind_t kind = {.name = "adapters",
                                     .handler = {.peer_up = adapters_peer_up,
                                                 .peer_draining = adapters_peer_draining,
                                                 .peer_down = adapters_peer_down,
                                                 .drain = adapters_drain,
                                                 .request = adapters_request},
                                     .compose = compose,
                                     .decompose = decompose};
    adapters_role_t role = {0};
    return role_run(&kind, options, &role.base, &role);
}
