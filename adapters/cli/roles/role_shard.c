/* A shard: card and tenant actors over their journal, a channel server for fronts, a channel to the
 * relay. Shard 0 is the control role besides: it alone writes the control store while a service
 * runs. */
#include "adapters/cli/roles/role.h"

#include "actors/shard/shard.h"
#include "adapters/cli/command.h"
#include "adapters/cli/connections.h"
#include "adapters/cli/control/control_commands.h"
#include "adapters/cli/membership_options.h"
#include "adapters/cli/roles/caches.h"
#include "adapters/cli/stores.h"
#include "adapters/signer/signer.h"
#include "runtime/channel.h"
#include "runtime/clock.h"
#include "runtime/handler_watch.h"
#include "runtime/random.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLLOW_TEXT_SIZE = 1024 };

typedef struct shard_role {
    role_base_t base;
    uint32_t index;
    crypto_key_t master_key;
    control_store_t *control;
    journal_t *journal;
    cache_t *member_cache; /* NULL: no Redis */
    shard_t *shard;
    channel_server_t *server;
    channel_client_t *relay;
    channel_client_t *adapters;
    uint64_t fronts; /* those that are up, one bit each */
    loop_timer_t *preparing;
    handler_watch_t *watch; /* NULL: none */
} shard_role_t;

/* What cannot be sent is counted by the channel; the front's deadline and the relay's reading of
 * the journal deal with it. */
static void shard_role_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    const shard_role_t *role = context;
    const result_t result = channel_server_send(role->server, peer, envelope, size);
    (void)result;
}

static void shard_role_publish(void *context, const uint8_t *envelope, size_t size)
{
    const shard_role_t *role = context;
    const result_t result = channel_client_send(role->relay, envelope, size);
    (void)result;
}

static void shard_role_receive(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    const shard_role_t *role = context;
    shard_receive(role->shard, peer, envelope, size);
}

static void shard_role_neighbour_send(void *context, const uint8_t *envelope, size_t size)
{
    const shard_role_t *role = context;
    const result_t result = channel_client_send(role->adapters, envelope, size);
    (void)result; /* whoever waits for an answer has a deadline; watermarks are asked again */
}

static void shard_role_neighbour_receive(void *context, const uint8_t *envelope, size_t size)
{
    const shard_role_t *role = context;
    shard_neighbour_receive(role->shard, envelope, size);
}

static void relay_receives_only(void *context, const uint8_t *envelope, size_t size)
{
    (void)context;
    (void)envelope;
    (void)size; /* the relay answers nothing to shards */
}

static void count_front(shard_role_t *role, const char *name, bool is_up)
{
    uint32_t index = 0;
    if (!role_name_is_front(name, &index)) {
        return;
    }
    const uint64_t bit = UINT64_C(1) << index;
    role->fronts = is_up ? role->fronts | bit : role->fronts & ~bit;
    shard_set_fronts(role->shard, (uint32_t)__builtin_popcountll(role->fronts));
}

static void shard_role_peer_up(void *context, const char *name, const char *endpoint,
                               uint64_t incarnation)
{
    shard_role_t *role = context;
    (void)incarnation;
    count_front(role, name, true);
    if (strcmp(name, "relay") == 0) {
        const result_t result = channel_client_connect(role->relay, endpoint);
        if (result != RESULT_OK) {
            log_error("no channel to the relay", LOG_STRING("why", result_title(result)));
        }
    }
    if (strcmp(name, "adapters") == 0) {
        if (channel_client_connect(role->adapters, endpoint) == RESULT_OK) {
            shard_neighbour_up(role->shard);
        } else {
            log_error("no channel to the adapters: neighbours count as away");
        }
    }
}

static void shard_role_peer_draining(void *context, const char *name)
{
    (void)context;
    (void)name; /* events go on to a relay that drains: it publishes what it gets */
}

static void shard_role_peer_down(void *context, const char *name)
{
    shard_role_t *role = context;
    count_front(role, name, false);
    if (strcmp(name, "relay") == 0) {
        channel_client_disconnect(role->relay);
    }
    if (strcmp(name, "adapters") == 0) {
        channel_client_disconnect(role->adapters);
        shard_neighbour_down(role->shard);
    }
}

static void shard_role_drained(void *context)
{
    shard_role_t *role = context;
    loop_stop(role->base.loop);
}

static void shard_role_drain(void *context)
{
    shard_role_t *role = context;
    shard_drain(role->shard, shard_role_drained, role);
}

static size_t shard_role_status(const void *context, char *out, size_t capacity)
{
    const shard_role_t *role = context;
    return shard_status(role->shard, out, capacity);
}

static void execute_control(shard_role_t *role, link_request_t **request, const char *json,
                            size_t size)
{
    bool changed = false;
    const control_commands_t commands = {
        .control = role->control,
        .is_postgres = stores_is_postgres(stores_of_role()),
        .dead_letters = stores_dead_letters(stores_of_role(), role->control),
        .flags = stores_flags(stores_of_role(), role->control),
        .revocations = stores_revocations(stores_of_role(), role->control),
        .webhooks = stores_webhooks(stores_of_role(), role->control),
        .crypto = &signer_functions,
        .master_key = &role->master_key};
    json_t *command = json_loadb(json, size, 0, NULL);
    json_t *answer = control_command_execute(&commands, command, &changed);
    json_decref(command);
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    if (changed) {
        shard_control_changed(role->shard);
    }
    link_reply(request, text == NULL ? "{}" : text, text == NULL ? 2 : strlen(text));
    free(text);
}

/* {"command":"follow","tenant":…,"card":…} goes to all shards; the one that owns the tenant
 * answers. False: another command. */
static bool answer_follow(const shard_role_t *role, link_request_t **request, const char *json,
                          size_t size)
{
    static const char unknown[] = "{\"error\":{\"code\":\"invalid_argument\",\"detail\":\"No shard "
                                  "has such a tenant, or that is no id of a card\"}}";
    char text[FOLLOW_TEXT_SIZE];
    size_t text_size = 0;
    uuid_t card;
    json_t *parsed = json_loadb(json, size, 0, NULL);
    const char *command = json_string_value(json_object_get(parsed, "command"));
    const char *tenant = json_string_value(json_object_get(parsed, "tenant"));
    const char *id = json_string_value(json_object_get(parsed, "card"));
    const bool is_follow = command != NULL && strcmp(command, "follow") == 0;
    if (is_follow) {
        const bool is_ours = tenant != NULL && id != NULL && uuid_parse(text_from_c(id), &card) &&
                             shard_follow(role->shard, text_from_c(tenant), &card, text,
                                          sizeof text, &text_size) == RESULT_OK &&
                             text_size <= sizeof text;
        link_reply(request, is_ours ? text : unknown, is_ours ? text_size : sizeof unknown - 1);
    }
    json_decref(parsed);
    return is_follow;
}

static void shard_role_request(void *context, link_request_t *request, const char *json,
                               size_t size)
{
    shard_role_t *role = context;
    if (role_answer(&role->base, &request, json, size, shard_role_status, role)) {
        return;
    }
    if (answer_follow(role, &request, json, size)) {
        return;
    }
    if (role->index == 0) {
        execute_control(role, &request, json, size);
    } else {
        role_answer_unknown(&request);
    }
}

/* Without one the role works all the same: only a command that kills it cannot be named. */
static crash_slot_t *attach_crash_slot(const role_options_t *options)
{
    crash_slot_t *slot =
        options->crash_slot == 0 ? NULL : crash_slot_attach((int)options->crash_slot);
    if (slot == NULL) {
        log_warn("no crash slot: a command that kills this role cannot be named");
    }
    return slot;
}

static void start_handler_watch(shard_role_t *role, crash_slot_t *slot)
{
    if (slot != NULL && handler_watch_start(slot, &role->watch) != RESULT_OK) {
        log_warn("no watch over handlers: one that loops is ended by the supervisor, later");
    }
}

/* What `serve` does at its start and could not when PostgreSQL was away: schema and first token
 * key. Until then no front has a directory, so none is ready. */
static void prepare_control(void *context)
{
    shard_role_t *role = context;
    uint64_t version = 0;
    const control_commands_t commands = {
        .control = role->control, .crypto = &signer_functions, .master_key = &role->master_key};
    result_t result = role->control->functions->version(role->control, &version);
    if (result == RESULT_OK) {
        result = control_token_key_ensure(&commands);
    }
    if (result == RESULT_OK) {
        loop_timer_stop(role->preparing);
        shard_control_changed(role->shard);
    } else if (result == RESULT_STORE_CORRUPT) {
        log_error("master.key does not open what the control store holds: put the right one back");
    }
}

static result_t shard_role_compose(void *context)
{
    shard_role_t *const role = context;
    const role_options_t *options = role->base.options;
    loop_t *loop = role->base.loop;
    const bool is_control = role->index == 0;
    result_t result =
        role_open_control(&role->base, is_control ? STORES_CREATE_LATER : STORES_OPEN_LATER,
                          &role->master_key, &role->control);
    if (result == RESULT_OK) {
        result = stores_journal_create(loop, role->base.metrics, options->data, role->control,
                                       connections_of_role().shard, &role->journal);
    }
    if (result == RESULT_OK) {
        result = channel_client_create(loop, relay_receives_only, role, &role->relay);
    }
    if (result == RESULT_OK) {
        channel_client_pace(role->relay, LIMIT_CHANNEL_PACE_MS);
        result = channel_client_create(loop, shard_role_neighbour_receive, role, &role->adapters);
    }
    if (result == RESULT_OK && caches_are_shared()) {
        result = caches_create(loop, role->base.metrics, &role->member_cache);
    }
    if (result == RESULT_OK) {
        crash_slot_t *const crash_slot = attach_crash_slot(options);
        start_handler_watch(role, crash_slot);
        const shard_ports_t ports = {
            .journal = role->journal,
            .control = role->control,
            .crypto = &signer_functions,
            .master_key = role->master_key,
            .reply = shard_role_reply,
            .publish = shard_role_publish,
            .neighbour_send = shard_role_neighbour_send,
            .context = role,
            .crash_slot = crash_slot,
            .dead_letters = stores_dead_letters(stores_of_role(), role->control),
            .flags = stores_flags(stores_of_role(), role->control),
            .revocations = stores_revocations(stores_of_role(), role->control),
            .member_cache = role->member_cache,
            .wall_ms = clock_wall_ms,
            .random_fill = random_fill};
        membership_settings_read_t membership;
        membership_options_read(&membership);
        shard_options_t shard_options = {.membership_urls = membership.urls,
                                         .membership_policies = membership.policies,
                                         .membership_stale_ms = membership.stale_ms,
                                         .index = role->index,
                                         .shards = (uint32_t)options->shards,
                                         .actor_bytes_max = options->actor_bytes_max,
                                         .activations_max = (uint32_t)options->activations_max,
                                         .replies_ms = (int64_t)options->replies_hours * 3600000};
        (void)snprintf(shard_options.incarnation, sizeof shard_options.incarnation,
                       "%.31s.%" PRIu64, options->name, options->incarnation);
        result = shard_create(loop, role->base.metrics, &ports, &shard_options, &role->shard);
    }
    if (result == RESULT_OK) {
        result = channel_server_create(loop, role->base.endpoint, shard_role_receive, role,
                                       &role->server);
    }
    if (result == RESULT_OK && is_control && stores_is_postgres(stores_of_role())) {
        role->preparing = loop_timer_create(loop, prepare_control, role);
        loop_timer_start(role->preparing, 0, LIMIT_POSTGRES_CONTROL_RETRY_MS);
    }
    return result;
}

static void shard_role_decompose(void *context)
{
    shard_role_t *const role = context;
    handler_watch_stop(&role->watch);
    if (role->preparing != NULL) {
        loop_timer_destroy(&role->preparing);
    }
    if (role->member_cache != NULL) {
        caches_destroy(&role->member_cache); /* its last answers go to the shard */
    }
    if (role->shard != NULL) {
        shard_destroy(&role->shard);
    }
    if (role->server != NULL) {
        channel_server_destroy(&role->server);
    }
    if (role->relay != NULL) {
        channel_client_destroy(&role->relay);
    }
    if (role->adapters != NULL) {
        channel_client_destroy(&role->adapters);
    }
    if (role->journal != NULL) {
        stores_journal_destroy(&role->journal);
    }
    role_close_control(&role->master_key, &role->control);
}

int role_shard_run(const role_options_t *options)
{
    static const role_kind_t kind = {.name = "shard",
                                     .handler = {.peer_up = shard_role_peer_up,
                                                 .peer_draining = shard_role_peer_draining,
                                                 .peer_down = shard_role_peer_down,
                                                 .drain = shard_role_drain,
                                                 .request = shard_role_request},
                                     .compose = shard_role_compose,
                                     .decompose = shard_role_decompose};
    shard_role_t role = {0};
    if (!role_name_is_shard(options->name, &role.index)) {
        return EXIT_USAGE;
    }
    return role_run(&kind, options, &role.base, &role);
}
