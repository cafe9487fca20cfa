/* `digitalcard role …`, started by the supervisor alone, and what all roles share. */
#include "adapters/cli/roles/role.h"

#include "adapters/cli/arguments.h"
#include "adapters/cli/stores.h"
#include "adapters/signer/signer.h"
#include "runtime/limits.h"
#include "runtime/platform_process.h"
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINK_DESCRIPTOR = PROCESS_DESCRIPTOR_FIRST, TEXT_SIZE_FIRST = 16384, PRINT_TRIES = 8 };

int command_role(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    role_options_t values = {.log_level = "info",
                             .api = "",
                             .events = "",
                             .subscriber_messages = LIMIT_EVENT_SUBSCRIBER_MESSAGES};
    const option_t options[] = {
        OPTION_TEXT("name", "NAME", &values.name, "Name of the role"),
        OPTION_TEXT("data", "DIR", &values.data, "Data directory, absolute"),
        OPTION_TEXT("log-level", "LEVEL", &values.log_level, "debug, info, warn, error"),
        OPTION_TEXT("api", "ENDPOINT", &values.api, "ROUTER API"),
        OPTION_TEXT("events", "ENDPOINT", &values.events, "Events"),
        OPTION_NUMBER("incarnation", "N", &values.incarnation, "Of this start"),
        OPTION_NUMBER("shards", "N", &values.shards, "Shards of the service"),
        OPTION_NUMBER("actor-bytes-max", "BYTES", &values.actor_bytes_max, "Of cards in memory"),
        OPTION_NUMBER("activations-max", "N", &values.activations_max, "Cards loaded at once"),
        OPTION_NUMBER("replies-hours", "HOURS", &values.replies_hours, "Replies are kept"),
        OPTION_NUMBER("http-descriptor", "N", &values.http_descriptor, "Listening for HTTP"),
        OPTION_NUMBER("zmq-descriptor", "N", &values.zmq_descriptor, "Listening for ZeroMQ"),
        OPTION_NUMBER("subscriber-messages", "N", &values.subscriber_messages, "Kept for each"),
        OPTION_NUMBER("rate-per-token", "N", &values.rate_per_token, "0: no limit"),
        OPTION_NUMBER("rate-per-tenant", "N", &values.rate_per_tenant, "0: no limit"),
        OPTION_NUMBER("crash-slot", "N", &values.crash_slot, "Names the command in work")};
    if (!arguments_parse(command, argc, argv, options, sizeof options / sizeof options[0],
                         &values.kind, 1, &status)) {
        return status;
    }
    if (values.name == NULL || values.data == NULL || values.incarnation == 0) {
        (void)command_fail("role: only the supervisor starts roles; run digitalcard serve");
        return EXIT_USAGE;
    }
    if (strcmp(values.kind, "front") == 0) {
        return role_front_run(&values);
    }
    if (strcmp(values.kind, "shard") == 0) {
        return role_shard_run(&values);
    }
    if (strcmp(values.kind, "relay") == 0) {
        return role_relay_run(&values);
    }
    if (strcmp(values.kind, "adapters") == 0) {
        return role_adapters_run(&values);
    }
    (void)command_fail("role: there is no role %s", values.kind);
    return EXIT_USAGE;
}

static result_t enter_run_directory(const char *data)
{
    char path[PATH_MAX + 8];
    const int size = snprintf(path, sizeof path, "%s/run", data);
    if (size < 0 || (size_t)size >= sizeof path || chdir(path) != 0) {
        return RESULT_MISSING;
    }
    return RESULT_OK;
}

static result_t begin(role_base_t *base, const role_options_t *options,
                      const link_handler_t *handler, void *context)
{
    log_level_t level = LOG_INFO_LEVEL;
    *base = (role_base_t){.options = options};
    (void)log_level_parse(options->log_level, &level);
    log_start(options->name, level);
    process_prepare();
    (void)pthread_setname_np(pthread_self(), options->name); /* for ps and perf */
    (void)snprintf(base->endpoint, sizeof base->endpoint, "unix://%s.%" PRIu64, options->name,
                   options->incarnation);
    result_t result = enter_run_directory(options->data);
    if (result == RESULT_OK) {
        result = loop_create(&base->loop);
    }
    if (result == RESULT_OK) {
        base->metrics = metrics_create(options->name);
        base->drops[LOOP_DROP_ENVELOPE] = metrics_counter(
            base->metrics, "digitalcard_channel_envelopes_dropped_total", "",
            "Envelopes between roles without a receiver: deadlines and the journal deal with it");
        base->drops[LOOP_DROP_MESSAGE] =
            metrics_counter(base->metrics, "digitalcard_zmq_messages_dropped_total", "",
                            "ZeroMQ messages with too many frames, or that nobody reads");
        result = link_create(base->loop, LINK_DESCRIPTOR, handler, context, &base->link);
    }
    return result;
}

/* The reverse of begin, but for the link. */
static void end(role_base_t *base)
{
    if (base->loop != NULL) {
        loop_destroy(&base->loop);
    }
    if (base->metrics != NULL) {
        metrics_destroy(&base->metrics);
    }
}

int role_run(const role_kind_t *kind, const role_options_t *options, role_base_t *base, void *role)
{
    int status = EXIT_OK;
    result_t result = begin(base, options, &kind->handler, role);
    if (result == RESULT_OK) {
        result = kind->compose(role);
    }
    if (result == RESULT_OK) {
        if (!kind->announces_itself) {
            link_ready(base->link, base->endpoint);
        }
        loop_run(base->loop);
    } else {
        status = role_failed(kind->name, result);
    }
    link_destroy(&base->link);
    kind->decompose(role);
    end(base);
    return status;
}

/* Prints into memory that grows until the text fits. */
static char *print_text(role_status_t *print, const void *context, size_t *size)
{
    size_t capacity = TEXT_SIZE_FIRST;
    for (int i = 0; i < PRINT_TRIES; i++) {
        char *text = malloc(capacity);
        assert(text != NULL);
        *size = print(context, text, capacity);
        if (*size <= capacity) {
            return text;
        }
        free(text);
        capacity = *size + TEXT_SIZE_FIRST;
    }
    *size = 0;
    return NULL;
}

static size_t print_metrics(const void *context, char *out, size_t capacity)
{
    return metrics_print(context, out, capacity);
}

static void answer_metrics(role_base_t *base, link_request_t **request)
{
    size_t size = 0;
    for (int kind = 0; kind < LOOP_DROPS; kind++) {
        metric_t *const metric = base->drops[kind];
        metric_add(metric, loop_drops(base->loop, (loop_drop_t)kind) - metric_value(metric));
    }
    char *text = print_text(print_metrics, base->metrics, &size);
    json_t *answer = text == NULL ? NULL : json_pack("{s:s%}", "text", text, size);
    char *json = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT);
    link_reply(request, json == NULL ? "{}" : json, json == NULL ? 2 : strlen(json));
    free(json);
    json_decref(answer);
    free(text);
}

bool role_answer(role_base_t *base, link_request_t **request, const char *json, size_t size,
                 role_status_t *status, const void *context)
{
    json_t *parsed = json_loadb(json, size, 0, NULL);
    const char *command = json_string_value(json_object_get(parsed, "command"));
    const bool is_metrics = command != NULL && strcmp(command, "metrics") == 0;
    const bool is_status = command != NULL && strcmp(command, "status") == 0;
    json_decref(parsed);
    if (is_metrics) {
        answer_metrics(base, request);
    } else if (is_status) {
        size_t text_size = 0;
        char *text = print_text(status, context, &text_size);
        link_reply(request, text, text_size);
        free(text);
    }
    return is_metrics || is_status;
}

void role_answer_unknown(link_request_t **request)
{
    static const char unknown[] = "{\"error\":{\"code\":\"invalid_argument\",\"detail\":\"This "
                                  "role knows no such command\"}}";
    link_reply(request, unknown, sizeof unknown - 1);
}

int role_failed(const char *what, result_t result)
{
    log_error("the role cannot start", LOG_STRING("part", what),
              LOG_STRING("why", result_title(result)));
    return EXIT_FAILED;
}

bool role_name_is_front(const char *name, uint32_t *index)
{
    uint64_t number = 0;
    if (strncmp(name, "front-", 6) != 0 || !arguments_number(name + 6, &number) ||
        number >= LIMIT_FRONTS) {
        return false;
    }
    *index = (uint32_t)number;
    return true;
}

bool role_name_is_shard(const char *name, uint32_t *index)
{
    uint64_t number = 0;
    if (strncmp(name, "shard-", 6) != 0 || !arguments_number(name + 6, &number) ||
        number >= LIMIT_SHARDS) {
        return false;
    }
    *index = (uint32_t)number;
    return true;
}

result_t role_open_control(const role_base_t *base, stores_opening_t opening,
                           crypto_key_t *master_key, control_store_t **control)
{
    const role_options_t *options = base->options;
    result_t result = signer_start();
    if (result == RESULT_OK) {
        result = signer_master_key(options->data, false, master_key);
        if (result == RESULT_MISSING) { /* every other fault of it has been told by the signer */
            log_error("the master key is missing: put its copy back as master.key, mode 0600",
                      LOG_STRING("directory", options->data));
        }
    }
    if (result == RESULT_OK) {
        result = stores_control_open(stores_of_role(), options->data, opening, master_key,
                                     base->metrics, NULL, 0, control);
    }
    return result;
}

void role_close_control(crypto_key_t *master_key, control_store_t **control)
{
    if (*control != NULL) {
        stores_control_close(stores_of_role(), control);
    }
    signer_functions.wipe(master_key, sizeof *master_key);
}
