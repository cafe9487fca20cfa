/* events tail, replay and consumers: a subscriber and a ROUTER client of the running service, as
 * any other program would be one. */
#include "adapters/cli/control/control_client.h"

#include "actors/domain/card_id.h"
#include "adapters/cli/service_file.h"
#include "messages/messages.h"
#include "runtime/limits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    OPTIONS_MAX = CONFIGURATION_SETTINGS + 8,
    FRAMES_MAX = 4,
    ARENA_SIZE = 8388608, /* a page of 1,000 events, decoded */
    JSON_SIZE = 16384,    /* one event */
    HEADER_SIZE = 8192,
    PAGE_EVENTS = 1000,
    REPLY_TIMEOUT_MS = 10000,
    TOKEN_TTL_S = 60,
    SUBSCRIBER_MESSAGES = 100000,
};

typedef struct events_arguments {
    configuration_t configuration;
    const char *tenant;
    const char *endpoint;
    uint64_t partition;
    bool all_partitions;
    uint64_t after;
    uint64_t count; /* 0: no end */
} events_arguments_t;

typedef struct frames {
    zmq_msg_t parts[FRAMES_MAX];
    size_t count;
} frames_t;

/* --- ZeroMQ --- */

/* Receives one whole message; false on timeout or signal. Frames beyond FRAMES_MAX are dropped. */
static bool frames_receive(void *socket, frames_t *frames)
{
    int more = 1;
    frames->count = 0;
    while (more != 0) { /* bounded by the message, which ZeroMQ has whole */
        zmq_msg_t part;
        (void)zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, 0) < 0) {
            (void)zmq_msg_close(&part);
            return false;
        }
        more = zmq_msg_more(&part);
        if (frames->count < FRAMES_MAX) {
            frames->parts[frames->count] = part;
            frames->count++;
        } else {
            (void)zmq_msg_close(&part);
        }
    }
    return true;
}

static void frames_release(frames_t *frames)
{
    for (size_t i = 0; i < frames->count; i++) {
        (void)zmq_msg_close(&frames->parts[i]);
    }
    frames->count = 0;
}

static bool frame_decode(frames_t *frames, size_t index, const message_type_t *type, arena_t *arena,
                         void *message)
{
    message_fault_t fault;
    return index < frames->count &&
           message_unpack(type, MESSAGE_KEYS_NAMES, zmq_msg_data(&frames->parts[index]),
                          zmq_msg_size(&frames->parts[index]), arena, message, &fault);
}

static void *connect_socket(void *context, int type, const char *endpoint, int timeout_ms)
{
    const int linger = 0;
    const int messages = SUBSCRIBER_MESSAGES;
    void *socket = zmq_socket(context, type);
    if (socket == NULL) {
        return NULL;
    }
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    (void)zmq_setsockopt(socket, ZMQ_RCVHWM, &messages, sizeof messages);
    (void)zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    if (zmq_connect(socket, endpoint) != 0) {
        (void)zmq_close(socket);
        return NULL;
    }
    return socket;
}

/* --- Printing --- */

static void print_message(const message_type_t *type, const void *message)
{
    static const size_t size = JSON_SIZE;
    char *text = malloc(size);
    const size_t needed = text == NULL ? 0 : message_to_json(type, message, text, size);
    if (needed > 0 && needed <= size) {
        (void)fwrite(text, 1, needed, stdout);
    } else {
        (void)fputs("null", stdout);
    }
    free(text);
}

/* {"header":{…},"body":{…}}: the frames of the event. */
static bool print_published(const events_arguments_t *arguments, frames_t *frames, arena_t *arena)
{
    event_header_t header;
    event_data_t data;
    arena->used = 0;
    if (!frame_decode(frames, 1, &event_header_message, arena, &header) ||
        !frame_decode(frames, 2, &event_data_message, arena, &data)) {
        return false; /* a Head, which is no event */
    }
    if (!arguments->all_partitions && header.partition != arguments->partition) {
        return false;
    }
    (void)fputs("{\"header\":", stdout);
    print_message(&event_header_message, &header);
    (void)fputs(",\"body\":", stdout);
    print_message(&event_data_message, &data);
    (void)fputs("}\n", stdout);
    (void)fflush(stdout);
    return true;
}

/* --- Arguments --- */

typedef enum what { WHAT_TAIL, WHAT_REPLAY, WHAT_CONSUMERS } what_t;

static bool begin(const command_t *command, int argc, char **argv, what_t what,
                  events_arguments_t *arguments, int *status)
{
    const bool replay = what == WHAT_REPLAY;
    option_t options[OPTIONS_MAX];
    uint64_t partition = UINT64_MAX;
    size_t count = 0;
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "Organisation; needed");
    if (what != WHAT_CONSUMERS) {
        options[count++] = OPTION_NUMBER("partition", "N", &partition,
                                         replay ? "Sequence space (0)" : "Only this one (all)");
        options[count++] = OPTION_NUMBER("count", "N", &arguments->count, "End after N events");
    }
    options[count++] = OPTION_TEXT("endpoint", "ENDPOINT", &arguments->endpoint,
                                   "Where the service listens (as it wrote down in --data)");
    if (replay) {
        options[count++] =
            OPTION_NUMBER("after", "N", &arguments->after, "Only events behind this one (0)");
    }
    count += configuration_options(&arguments->configuration, false, options + count);
    if (!arguments_parse(command, argc, argv, options, count, NULL, 0, status)) {
        return false;
    }
    if (arguments->tenant == NULL) {
        *status = command_misuse(command, "--tenant T is missing");
        return false;
    }
    if (!tenant_name_is_valid(text_from_c(arguments->tenant))) {
        *status = command_misuse(command, "--tenant %s is no name of a tenant", arguments->tenant);
        return false;
    }
    arguments->all_partitions = partition == UINT64_MAX && what == WHAT_TAIL;
    arguments->partition = partition == UINT64_MAX ? 0 : partition;
    return configuration_load_for(&arguments->configuration, status);
}

/* What --endpoint says, else what the service wrote down; false after saying what is missing. */
static bool find_endpoint(const events_arguments_t *arguments, bool events, service_file_t *service,
                          const char **endpoint)
{
    *endpoint = arguments->endpoint;
    if (*endpoint == NULL) {
        if (!service_file_read(arguments->configuration.texts.data, service)) {
            (void)command_fail("no service runs on data directory %s; or say --endpoint",
                               arguments->configuration.texts.data);
            return false;
        }
        *endpoint = events ? service->events : service->api;
    }
    return true;
}

/* --- tail --- */

static int tail(const events_arguments_t *arguments, const char *endpoint, arena_t *arena)
{
    char topic[LIMIT_TENANT_NAME_SIZE + 16];
    int status = EXIT_OK;
    uint64_t printed = 0;
    void *context = zmq_ctx_new();
    void *socket = context == NULL ? NULL : connect_socket(context, ZMQ_SUB, endpoint, -1);
    if (socket == NULL) {
        status = command_fail("%s cannot be connected to", endpoint);
    } else {
        const int size = snprintf(topic, sizeof topic, "digitalcard.%.39s.", arguments->tenant);
        (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, (size_t)size);
        frames_t frames = {.count = 0};
        while ((arguments->count == 0 || printed < arguments->count) &&
               frames_receive(socket, &frames)) {
            printed += print_published(arguments, &frames, arena) ? 1 : 0;
            frames_release(&frames);
        }
        (void)zmq_close(socket);
    }
    if (context != NULL) {
        (void)zmq_ctx_term(context);
    }
    return status;
}

int command_events_tail(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    events_arguments_t arguments = {0};
    service_file_t service = {0};
    const char *endpoint = NULL;
    arena_t arena = {.base = malloc(ARENA_SIZE), .size = ARENA_SIZE};
    if (begin(command, argc, argv, WHAT_TAIL, &arguments, &status) &&
        find_endpoint(&arguments, true, &service, &endpoint)) {
        status =
            arena.base == NULL ? command_fail("no memory") : tail(&arguments, endpoint, &arena);
    }
    configuration_release(&arguments.configuration);
    free(arena.base);
    return status;
}

/* --- replay --- */

static char *mint(const events_arguments_t *arguments)
{
    json_t *answer = control_client_execute(
        &arguments->configuration,
        json_pack("{s:s,s:s,s:s,s:s,s:i}", "command", "token.mint", "tenant", arguments->tenant,
                  "role", "auditor", "subject", "digitalcard events replay", "ttl_s", TOKEN_TTL_S),
        false);
    const char *text = json_string_value(json_object_get(answer, "token"));
    char *token = text == NULL ? NULL : strdup(text);
    json_decref(answer);
    return token;
}

static bool send_message(void *socket, const events_arguments_t *arguments, const char *token,
                         const char *name, const message_type_t *type, const void *body)
{
    uint8_t bytes[HEADER_SIZE];
    api_header_t header = {0};
    MESSAGE_SET(api_header, &header, v, 1);
    MESSAGE_SET(api_header, &header, id, TEXT_LITERAL("cli"));
    MESSAGE_SET(api_header, &header, type, text_from_c(name));
    MESSAGE_SET(api_header, &header, tenant, text_from_c(arguments->tenant));
    MESSAGE_SET(api_header, &header, token, text_from_c(token));
    size_t size =
        message_pack(&api_header_message, &header, MESSAGE_KEYS_NAMES, bytes, sizeof bytes);
    if (size > sizeof bytes || zmq_send(socket, bytes, size, ZMQ_SNDMORE) < 0) {
        return false;
    }
    size = message_pack(type, body, MESSAGE_KEYS_NAMES, bytes, sizeof bytes);
    return size <= sizeof bytes && zmq_send(socket, bytes, size, 0) >= 0;
}

static bool send_request(void *socket, const events_arguments_t *arguments, const char *token,
                         uint64_t after)
{
    events_read_t body = {0};
    MESSAGE_SET(events_read, &body, partition, arguments->partition);
    MESSAGE_SET(events_read, &body, after, after);
    MESSAGE_SET(events_read, &body, limit, PAGE_EVENTS);
    return send_message(socket, arguments, token, "events.read", &events_read_message, &body);
}

/* Is it the answer of this type? Else says why not. */
static bool is_answer(frames_t *frames, arena_t *arena, const char *type)
{
    api_reply_header_t header;
    problem_t problem;
    arena->used = 0;
    if (!frame_decode(frames, 0, &api_reply_header_message, arena, &header)) {
        (void)command_fail("the answer cannot be read");
        return false;
    }
    if (!text_equal(header.type, text_from_c(type))) {
        const bool decoded = frame_decode(frames, 1, &problem_message, arena, &problem);
        const text_t detail = decoded ? problem.detail : TEXT_LITERAL("the service refused");
        (void)command_fail("%.*s", TEXT_PRINT(detail));
        return false;
    }
    return true;
}

/* Prints one page. False at the end of the replay; `status` says why. */
static bool print_page(const events_arguments_t *arguments, frames_t *frames, arena_t *arena,
                       uint64_t *after, uint64_t *printed, int *status)
{
    event_page_t page;
    *status = EXIT_FAILED;
    if (!is_answer(frames, arena, "events.read.ok")) {
        return false;
    }
    if (!frame_decode(frames, 1, &event_page_message, arena, &page)) {
        (void)command_fail("the page cannot be read");
        return false;
    }
    *status = EXIT_OK;
    for (uint32_t i = 0; i < page.items_count; i++) {
        if (arguments->count != 0 && *printed == arguments->count) {
            return false;
        }
        print_message(&event_message, &page.items[i]);
        (void)fputc('\n', stdout);
        (*printed)++;
        *after = page.items[i].sequence;
    }
    return page.items_count > 0 && *after < page.head;
}

static int replay(const events_arguments_t *arguments, const char *endpoint, const char *token,
                  arena_t *arena)
{
    int status = EXIT_FAILED;
    uint64_t after = arguments->after;
    uint64_t printed = 0;
    void *context = zmq_ctx_new();
    void *socket =
        context == NULL ? NULL : connect_socket(context, ZMQ_DEALER, endpoint, REPLY_TIMEOUT_MS);
    bool more = socket != NULL;
    while (more) { /* bounded by the head of the partition */
        frames_t frames = {.count = 0};
        more = send_request(socket, arguments, token, after) && frames_receive(socket, &frames);
        if (!more) {
            status = command_fail("%s does not answer", endpoint);
        } else {
            more = print_page(arguments, &frames, arena, &after, &printed, &status);
        }
        frames_release(&frames);
    }
    if (socket != NULL) {
        (void)zmq_close(socket);
    }
    if (context != NULL) {
        (void)zmq_ctx_term(context);
    }
    return status;
}

/* --- consumers --- */

static int print_consumers(frames_t *frames, arena_t *arena)
{
    consumer_page_t page;
    if (!is_answer(frames, arena, "consumer.list.ok")) {
        return EXIT_FAILED;
    }
    if (!frame_decode(frames, 1, &consumer_page_message, arena, &page)) {
        return command_fail("the list cannot be read");
    }
    for (uint32_t i = 0; i < page.items_count; i++) {
        print_message(&consumer_message, &page.items[i]);
        (void)fputc('\n', stdout);
    }
    return EXIT_OK;
}

static int list_consumers(const events_arguments_t *arguments, const char *endpoint,
                          const char *token, arena_t *arena)
{
    int status = EXIT_FAILED;
    frames_t frames = {.count = 0};
    const consumer_list_t body = {0};
    void *context = zmq_ctx_new();
    void *socket =
        context == NULL ? NULL : connect_socket(context, ZMQ_DEALER, endpoint, REPLY_TIMEOUT_MS);
    if (socket != NULL &&
        send_message(socket, arguments, token, "consumer.list", &consumer_list_message, &body) &&
        frames_receive(socket, &frames)) {
        status = print_consumers(&frames, arena);
    } else {
        status = command_fail("%s does not answer", endpoint);
    }
    frames_release(&frames);
    if (socket != NULL) {
        (void)zmq_close(socket);
    }
    if (context != NULL) {
        (void)zmq_ctx_term(context);
    }
    return status;
}

/* Both ask the ROUTER API with a token of their own. */
static int ask(const command_t *command, int argc, char **argv, what_t what,
               int (*run)(const events_arguments_t *arguments, const char *endpoint,
                          const char *token, arena_t *arena))
{
    int status = EXIT_OK;
    events_arguments_t arguments = {0};
    service_file_t service = {0};
    const char *endpoint = NULL;
    char *token = NULL;
    arena_t arena = {.base = malloc(ARENA_SIZE), .size = ARENA_SIZE};
    if (begin(command, argc, argv, what, &arguments, &status) &&
        find_endpoint(&arguments, false, &service, &endpoint)) {
        token = mint(&arguments);
        status = token == NULL || arena.base == NULL ? EXIT_FAILED
                                                     : run(&arguments, endpoint, token, &arena);
    }
    configuration_release(&arguments.configuration);
    free(token);
    free(arena.base);
    return status;
}

int command_events_replay(const command_t *command, int argc, char **argv)
{
    return ask(command, argc, argv, WHAT_REPLAY, replay);
}

int command_events_consumers(const command_t *command, int argc, char **argv)
{
    return ask(command, argc, argv, WHAT_CONSUMERS, list_consumers);
}
