/* The front: HTTP and ROUTER API on one gateway, a channel to every shard and to the relay. It
 * touches no database. */
#include "adapters/cli/roles/role.h"

#include "actors/gateway/gateway.h"
#include "adapters/cli/command.h"
#include "adapters/cli/roles/caches.h"
#include "adapters/http/http_server.h"
#include "adapters/qrcode/qrcode.h"
#include "adapters/router/router_front.h"
#include "adapters/signer/signer.h"
#include "adapters/token/token.h"
#include "runtime/channel.h"
#include "runtime/clock.h"
#include "runtime/limits.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct front {
    role_base_t base;
    tokens_t *tokens;
    cache_t *cache;
    rate_limits_t *limits;
    revoked_tokens_t *revoked;
    gateway_t *gateway;
    http_server_t *http;
    router_front_t *router;
    channel_client_t *shards[LIMIT_SHARDS];
    channel_client_t *relay;
    loop_hook_t *warming; /* until the protocols are opened */
    loop_timer_t *warm_limit;
    uint32_t draining; /* protocol adapters that still drain */
    int status;        /* exit status */
} front_t;

/* --- Transport of the gateway --- */

static channel_client_t *front_channel(front_t *front, gateway_target_t target, uint32_t index)
{
    return target == GATEWAY_RELAY ? front->relay : front->shards[index];
}

static result_t front_send(void *context, gateway_target_t target, uint32_t index,
                           const uint8_t *envelope, size_t size)
{
    return channel_client_send(front_channel(context, target, index), envelope, size);
}

static void front_receive(void *context, const uint8_t *envelope, size_t size)
{
    const front_t *front = context;
    gateway_receive(front->gateway, envelope, size);
}

static bool front_target(const front_t *front, const char *name, gateway_target_t *target,
                         uint32_t *index)
{
    *index = 0;
    *target = GATEWAY_RELAY;
    if (strcmp(name, "relay") == 0) {
        return true;
    }
    *target = GATEWAY_SHARD;
    return role_name_is_shard(name, index) && *index < front->base.options->shards;
}

static void front_peer_up(void *context, const char *name, const char *endpoint,
                          uint64_t incarnation)
{
    front_t *front = context;
    gateway_target_t target;
    uint32_t index = 0;
    (void)incarnation;
    if (!front_target(front, name, &target, &index)) {
        return;
    }
    const result_t result = channel_client_connect(front_channel(front, target, index), endpoint);
    if (result != RESULT_OK) {
        log_error("a role cannot be reached: requests for it end at their deadline until it is "
                  "started anew",
                  LOG_STRING("name", name), LOG_STRING("why", result_title(result)));
        return;
    }
    gateway_peer_up(front->gateway, target, index);
}

static void front_peer_draining(void *context, const char *name)
{
    front_t *front = context;
    gateway_target_t target;
    uint32_t index = 0;
    if (front_target(front, name, &target, &index)) {
        gateway_peer_draining(front->gateway, target, index);
    }
}

static void front_peer_down(void *context, const char *name)
{
    front_t *front = context;
    gateway_target_t target;
    uint32_t index = 0;
    if (front_target(front, name, &target, &index)) {
        channel_client_disconnect(front_channel(front, target, index));
        gateway_peer_down(front->gateway, target, index);
    }
}

/* --- Draining: protocols first, so that what they accepted still gets its answer --- */

static void front_drained(void *context)
{
    front_t *front = context;
    loop_stop(front->base.loop);
}

static void front_protocol_drained(void *context)
{
    front_t *front = context;
    front->draining--;
    if (front->draining == 0) {
        gateway_drain(front->gateway, front_drained, front);
    }
}

static void front_drain(void *context)
{
    front_t *front = context;
    if (front->router == NULL) { /* not opened yet: nothing was accepted */
        if (front->warming != NULL) {
            loop_hook_destroy(&front->warming);
        }
        loop_timer_stop(front->warm_limit);
        gateway_drain(front->gateway, front_drained, front);
        return;
    }
    front->draining = 2;
    http_server_drain(front->http, front_protocol_drained, front);
    router_front_drain(front->router, front_protocol_drained, front);
}

/* A successor has the sockets already: clients are let go without losing a request of theirs. */
static void front_hand_over(void *context)
{
    front_t *front = context;
    if (front->router == NULL) {
        front_drain(front);
        return;
    }
    front->draining = 2;
    http_server_hand_over(front->http, front_protocol_drained, front);
    router_front_hand_over(front->router, front_protocol_drained, front);
}

/* --- Questions --- */

static size_t front_status(const void *context, char *out, size_t capacity)
{
    const front_t *front = context;
    char detail[256] = "";
    char http[4096];
    char cache[512];
    const bool ready = gateway_is_ready(front->gateway, detail, sizeof detail);
    const size_t size =
        front->http == NULL ? 0 : http_server_status(front->http, http, sizeof http);
    const size_t cache_size = front->cache->functions->status(front->cache, cache, sizeof cache);
    json_t *status = json_pack(
        "{s:b,s:I,s:I,s:s,s:o*,s:o*}", "ready", ready, "requests_done",
        (json_int_t)gateway_requests_done(front->gateway), "requests_in_flight",
        (json_int_t)gateway_requests_in_flight(front->gateway), "missing", ready ? "" : detail,
        "http", size <= sizeof http ? json_loadb(http, size, 0, NULL) : NULL, "cache",
        cache_size <= sizeof cache ? json_loadb(cache, cache_size, 0, NULL) : NULL);
    const size_t needed = json_dumpb(status, NULL, 0, JSON_COMPACT);
    if (needed <= capacity) {
        (void)json_dumpb(status, out, capacity, JSON_COMPACT);
    }
    json_decref(status);
    return needed;
}

static void front_request(void *context, link_request_t *request, const char *json, size_t size)
{
    front_t *front = context;
    if (!role_answer(&front->base, &request, json, size, front_status, front)) {
        role_answer_unknown(&request);
    }
}

typedef struct front_fetch {
    http_fetched_t *done;
    void *context;
    bool is_metrics;
} front_fetch_t;

static void front_fetch_done(void *context, const char *json, size_t size)
{
    front_fetch_t *fetch = context;
    json_t *answer = json == NULL ? NULL : json_loadb(json, size, 0, NULL);
    const json_t *text = json_object_get(answer, "text");
    if (!fetch->is_metrics) {
        const bool failed = json_object_get(answer, "error") != NULL;
        fetch->done(fetch->context, failed ? NULL : json, failed ? 0 : size);
    } else {
        fetch->done(fetch->context, json_string_value(text), json_string_length(text));
    }
    json_decref(answer);
    free(fetch);
}

static result_t front_fetch(void *context, const char *what, http_fetched_t *done,
                            void *done_context)
{
    front_t *front = context;
    char json[64];
    front_fetch_t *fetch = malloc(sizeof *fetch);
    if (fetch == NULL) {
        return RESULT_NO_MEMORY;
    }
    *fetch = (front_fetch_t){done, done_context, strcmp(what, "metrics") == 0};
    const int size = snprintf(json, sizeof json, "{\"command\":\"%.32s\"}", what);
    const result_t result = link_ask(front->base.link, json, (size_t)size, front_fetch_done, fetch);
    if (result != RESULT_OK) {
        free(fetch);
    }
    return result;
}

/* --- Composition --- */

static result_t front_channels(front_t *front)
{
    result_t result = channel_client_create(front->base.loop, front_receive, front, &front->relay);
    for (uint64_t i = 0; i < front->base.options->shards && result == RESULT_OK; i++) {
        result = channel_client_create(front->base.loop, front_receive, front, &front->shards[i]);
    }
    return result;
}

static result_t front_limits(front_t *front)
{
    const rate_limits_settings_t settings = {
        .per_token = (uint32_t)front->base.options->rate_per_token,
        .per_tenant = (uint32_t)front->base.options->rate_per_tenant,
        .wall_ms = clock_wall_ms};
    result_t result = caches_create(front->base.loop, front->base.metrics, &front->cache);
    if (result == RESULT_OK) {
        result = revoked_tokens_create(front->cache, clock_wall_ms, &front->revoked);
    }
    if (result == RESULT_OK) {
        result = rate_limits_create(front->base.loop, front->base.metrics, front->cache, &settings,
                                    &front->limits);
    }
    return result;
}

static result_t front_gateway(front_t *front)
{
    const gateway_ports_t ports = {.crypto = &signer_functions,
                                   .tokens = front->tokens,
                                   .send = front_send,
                                   .send_context = front,
                                   .shards = (uint32_t)front->base.options->shards,
                                   .limits = front->limits,
                                   .revoked = front->revoked};
    return gateway_create(front->base.loop, front->base.metrics, &ports, &front->gateway);
}

static result_t front_protocols(front_t *front)
{
    const role_options_t *options = front->base.options;
    const http_ports_t ports = {.gateway = front->gateway,
                                .qrcode = &qrcode_functions,
                                .fetch = front_fetch,
                                .fetch_context = front};
    const result_t result = http_server_create(front->base.loop, front->base.metrics,
                                               (int)options->http_descriptor, &ports, &front->http);
    if (result != RESULT_OK) {
        return result;
    }
    const int descriptor = options->zmq_descriptor == 0 ? -1 : (int)options->zmq_descriptor;
    return router_front_create(front->base.loop, front->base.metrics, options->api, descriptor,
                               front->gateway, &front->router);
}

/* Connections wait in the kernel until the front can answer them: neither a start nor a restart
 * shows to a client as 503. */
static void front_open(front_t *front)
{
    loop_hook_destroy(&front->warming);
    loop_timer_stop(front->warm_limit);
    const result_t result = front_protocols(front);
    if (result == RESULT_OK) {
        link_ready(front->base.link, "");
    } else {
        front->status = role_failed("front", result);
        loop_stop(front->base.loop);
    }
}

static void front_warming(void *context)
{
    front_t *front = context;
    char detail[256];
    if (gateway_is_ready(front->gateway, detail, sizeof detail)) {
        front_open(front);
    }
}

static void front_warm_limit(void *context)
{
    front_t *front = context;
    char detail[256] = "";
    (void)gateway_is_ready(front->gateway, detail, sizeof detail);
    log_warn("the front opens before everything is there", LOG_STRING("missing", detail));
    front_open(front);
}

/* The link has ended the questions of HTTP while HTTP was there. */
static void front_decompose(void *context)
{
    front_t *const front = context;
    if (front->warming != NULL) {
        loop_hook_destroy(&front->warming);
    }
    if (front->warm_limit != NULL) {
        loop_timer_destroy(&front->warm_limit);
    }
    if (front->router != NULL) {
        router_front_destroy(&front->router);
    }
    if (front->http != NULL) {
        http_server_destroy(&front->http);
    }
    if (front->gateway != NULL) {
        gateway_destroy(&front->gateway);
    }
    if (front->cache != NULL) {
        caches_destroy(&front->cache); /* its last answers go to the limits */
    }
    if (front->limits != NULL) {
        rate_limits_destroy(&front->limits);
    }
    revoked_tokens_destroy(&front->revoked);
    for (size_t i = 0; i < LIMIT_SHARDS; i++) {
        if (front->shards[i] != NULL) {
            channel_client_destroy(&front->shards[i]);
        }
    }
    if (front->relay != NULL) {
        channel_client_destroy(&front->relay);
    }
    if (front->tokens != NULL) {
        token_verifier_destroy(&front->tokens);
    }
}

static result_t front_compose(void *context)
{
    front_t *const front = context;
    result_t result = signer_start();
    if (result == RESULT_OK) {
        result = token_verifier_create(&front->tokens);
    }
    if (result == RESULT_OK) {
        result = front_channels(front);
    }
    if (result == RESULT_OK) {
        result = front_limits(front);
    }
    if (result == RESULT_OK) {
        result = front_gateway(front);
    }
    if (result == RESULT_OK) {
        front->warming = loop_hook_create(front->base.loop, front_warming, front);
        front->warm_limit = loop_timer_create(front->base.loop, front_warm_limit, front);
        loop_timer_start(front->warm_limit, LIMIT_FRONT_WARM_MS, 0);
    }
    return result;
}

int role_front_run(const role_options_t *options)
{
    static const role_kind_t kind = {.name = "front",
                                     .handler = {.peer_up = front_peer_up,
                                                 .peer_draining = front_peer_draining,
                                                 .peer_down = front_peer_down,
                                                 .drain = front_drain,
                                                 .hand_over = front_hand_over,
                                                 .request = front_request},
                                     .compose = front_compose,
                                     .decompose = front_decompose,
                                     .announces_itself = true};
    front_t front = {0};
    const int status = role_run(&kind, options, &front.base, &front);
    return status == EXIT_OK ? front.status : status;
}
