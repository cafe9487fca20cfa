/* See the header. It speaks runtime/link.h as a real role does. */
#include "tests/support/role_child.h"

#include "runtime/crash_slot.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEERS_MAX = 8, NAME_SIZE = 64 };

typedef struct peer {
    char name[NAME_SIZE];
    uint64_t incarnation;
    const char *state;
} peer_t;

typedef struct child {
    const char *mode;
    const char *name;
    const char *directory;
    const char *incarnation;
    loop_t *loop;
    link_t *link;
    crash_slot_t *slot; /* of the mode "slotted" */
    peer_t peers[PEERS_MAX];
    size_t peer_count;
} child_t;

static peer_t *find_peer(child_t *child, const char *name)
{
    for (size_t i = 0; i < child->peer_count; i++) {
        if (strcmp(child->peers[i].name, name) == 0) {
            return &child->peers[i];
        }
    }
    if (child->peer_count == PEERS_MAX) {
        abort();
    }
    peer_t *peer = &child->peers[child->peer_count];
    child->peer_count++;
    (void)snprintf(peer->name, sizeof peer->name, "%s", name);
    return peer;
}

static void peer_up(void *context, const char *name, const char *endpoint, uint64_t incarnation)
{
    peer_t *peer = find_peer(context, name);
    char expected[NAME_SIZE + 16];
    (void)snprintf(expected, sizeof expected, "ipc://%s", name);
    peer->incarnation = incarnation;
    peer->state = strcmp(endpoint, expected) == 0 ? "up" : "wrong-endpoint";
}

static void peer_draining(void *context, const char *name)
{
    find_peer(context, name)->state = "draining";
}

static void peer_down(void *context, const char *name)
{
    find_peer(context, name)->state = "down";
}

static void drain(void *context)
{
    const child_t *child = context;
    char path[256];
    if (strcmp(child->mode, "deaf") == 0) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/drained", child->directory);
    FILE *file = fopen(path, "a");
    if (file != NULL) {
        (void)fprintf(file, "%s\n", child->name);
        (void)fclose(file);
    }
    loop_stop(child->loop);
}

static void metrics_answered(void *context, const char *json, size_t size)
{
    link_request_t *request = context;
    link_reply(&request, json == NULL ? "null" : json, json == NULL ? 4 : size);
}

static void reply_status(child_t *child, link_request_t *request)
{
    char text[1024];
    int size = snprintf(text, sizeof text,
                        "{\"name\":\"%s\",\"incarnation\":%s,\"descriptor\":%s,\"peers\":\"",
                        child->name, child->incarnation, fcntl(4, F_GETFD) >= 0 ? "true" : "false");
    for (size_t i = 0; i < child->peer_count; i++) {
        size += snprintf(text + size, sizeof text - (size_t)size, "%s@%" PRIu64 "=%s ",
                         child->peers[i].name, child->peers[i].incarnation, child->peers[i].state);
    }
    const crash_order_t *order = crash_slot_order(child->slot);
    size += snprintf(text + size, sizeof text - (size_t)size,
                     "\",\"order\":%u,\"is_actor\":%s,"
                     "\"reason\":\"%s\"}",
                     order == NULL ? 0 : order->kills,
                     order != NULL && order->is_actor != 0 ? "true" : "false",
                     order == NULL ? "" : order->reason);
    link_reply(&request, text, (size_t)size);
}

/* Does what "WORD NUMBER" says while it works on command NUMBER. "built": while its actor is being
 * built; "internal": nobody outside asked for it; "read": what is stored of its actor is being
 * read; "other": of another actor. */
static bool work(child_t *child, const char *json, size_t size)
{
    static const uint8_t card[CRASH_ID_SIZE] = {1, 2, 3};
    static const uint8_t other_card[CRASH_ID_SIZE] = {1, 2, 4};
    const bool other = memmem(json, size, "other", 5) != NULL;
    static const char trace[] = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    const char *at = memmem(json, size, "work ", 5);
    if (at == NULL) {
        return false;
    }
    const crash_command_t command = {.identity = {.tenant = "acme",
                                                  .tenant_size = 4,
                                                  .card = card,
                                                  .type = 11,
                                                  .text = json,
                                                  .text_size = size},
                                     .stage = memmem(json, size, "built", 5) != NULL
                                                  ? CRASH_STAGE_ACTIVATION
                                                  : CRASH_STAGE_HANDLER,
                                     .is_internal = memmem(json, size, "internal", 8) != NULL,
                                     .actor = other ? other_card : card,
                                     .trace = trace,
                                     .trace_size = sizeof trace - 1,
                                     .request = json,
                                     .request_size = size};
    const crash_reading_t reading = {
        .tenant = "acme", .tenant_size = 4, .actor = other ? other_card : card};
    crash_slot_enter(child->slot, &command);
    if (memmem(json, size, "read", 4) != NULL) {
        crash_reading_begin(&reading);
    }
    if (memmem(json, size, "abort", 5) != NULL) {
        abort();
    }
    if (memmem(json, size, "hang", 4) != NULL) {
        for (;;) {
            (void)poll(NULL, 0, -1);
        }
    }
    crash_reading_end();
    if (memmem(json, size, "return", 6) != NULL) {
        crash_slot_leave(child->slot);
    }
    return true; /* "stay": others look, and kill it */
}

static void request(void *context, link_request_t *asked, const char *json, size_t size)
{
    child_t *child = context;
    char text[256];
    const char *answer = "{}";
    if (memmem(json, size, "\"status\"", 8) != NULL) {
        reply_status(child, asked);
        return;
    }
    if (work(child, json, size)) {
        link_reply(&asked, "{}", 2);
        return;
    }
    if (memmem(json, size, "\"ask\"", 5) != NULL) {
        static const char ask[] = "{\"command\":\"metrics\"}";
        if (link_ask(child->link, ask, sizeof ask - 1, metrics_answered, asked) == RESULT_OK) {
            return;
        }
    }
    if (memmem(json, size, "\"echo\"", 6) != NULL) {
        (void)snprintf(text, sizeof text, "{\"echo\":\"%s\"}", child->name);
        answer = text;
    } else if (memmem(json, size, "\"metrics\"", 9) != NULL) {
        (void)snprintf(text, sizeof text,
                       "{\"text\":\"# HELP test_total Test\\n# TYPE test_total counter\\n"
                       "test_total{role=\\\"%s\\\"} 1\\n\"}",
                       child->name);
        answer = text;
    }
    link_reply(&asked, answer, strlen(answer));
}

/* Writes a line that says so, and ends as after a drain. */
static void hand_over(void *context)
{
    const child_t *child = context;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/handed-over", child->directory);
    FILE *file = fopen(path, "a");
    if (file != NULL) {
        (void)fprintf(file, "%s\n", child->incarnation);
        (void)fclose(file);
    }
    loop_stop(child->loop);
}

/* "handing-once": only the first incarnation becomes ready. */
static bool is_ready_in_vain(const child_t *child)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/started-%s", child->directory, child->name);
    if (strcmp(child->mode, "handing-once") != 0) {
        return false;
    }
    const bool was_started = access(path, F_OK) == 0;
    FILE *file = fopen(path, "a");
    if (file != NULL) {
        (void)fputc('\n', file);
        (void)fclose(file);
    }
    return was_started;
}

static int run(child_t *child)
{
    static const link_handler_t handler = {.peer_up = peer_up,
                                           .peer_draining = peer_draining,
                                           .peer_down = peer_down,
                                           .drain = drain,
                                           .hand_over = hand_over,
                                           .request = request};
    char endpoint[NAME_SIZE + 16];
    log_start(child->name, LOG_ERROR_LEVEL);
    if (is_ready_in_vain(child)) {
        return 5;
    }
    if (loop_create(&child->loop) != RESULT_OK ||
        link_create(child->loop, 3, &handler, child, &child->link) != RESULT_OK) {
        return 4;
    }
    if (strcmp(child->mode, "silent") != 0) {
        (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", child->name);
        link_ready(child->link, endpoint);
    }
    loop_run(child->loop);
    link_destroy(&child->link);
    loop_destroy(&child->loop);
    return 0;
}

bool role_child_main(int argc, char **argv, int *status)
{
    if (argc < 7 || strcmp(argv[1], "role-child") != 0) {
        return false;
    }
    child_t child = {
        .mode = argv[2], .name = argv[3], .directory = argv[4], .incarnation = argv[6]};
    if (argc >= 9 && strcmp(argv[7], "--crash-slot") == 0) {
        child.slot = crash_slot_attach(argv[8][0] - '0');
    }
    *status = strcmp(child.mode, "crash") == 0 ? 3 : run(&child);
    return true;
}
