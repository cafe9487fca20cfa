/* The role's side of runtime/link.h: frames in, calls of the handler out, and asks with their
 * timeouts. It decides nothing about the role but when it has to drain: when told, or when the
 * supervisor is gone. */
#include "runtime/link.h"

#include "runtime/frame_stream.h"
#include "runtime/limits.h"
#include "runtime/link_frames.h"
#include "runtime/log.h"
#include "runtime/platform_process.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_CHECK_MS = 100, REQUEST_NUMBER_SIZE = 4, INCARNATION_SIZE = 8 };

struct link_request {
    link_t *link; /* NULL once the link is destroyed */
    uint32_t number;
    link_request_t *previous;
    link_request_t *next;
};

typedef struct link_waiting {
    link_answer_t *answer; /* NULL: free place */
    void *context;
    uint32_t number;
    uint64_t deadline_ms;
} link_waiting_t;

struct link {
    loop_t *loop;
    frame_stream_t *stream; /* NULL once broken */
    process_signals_t *signals;
    loop_timer_t *timer; /* runs while asks wait */
    link_handler_t handler;
    void *context;
    bool drain_told;
    uint32_t ask_last;
    size_t waiting_count;
    link_request_t *requests; /* not yet replied to */
    link_waiting_t waiting[LIMIT_LINK_REQUESTS];
};

static void link_drain(link_t *link, bool has_successor)
{
    if (link->drain_told) {
        return;
    }
    link->drain_told = true;
    if (has_successor && link->handler.hand_over != NULL) {
        link->handler.hand_over(link->context);
    } else {
        link->handler.drain(link->context);
    }
}

static void link_closed(void *context)
{
    link_t *link = context;
    frame_stream_destroy(&link->stream);
    log_error("the supervisor is gone: this role drains and ends");
    link_drain(link, false);
}

/* Copies a name out of a frame; false when it cannot be one. */
static bool read_name(const uint8_t *bytes, size_t size, char name[LIMIT_ROLE_NAME_SIZE + 1])
{
    if (size == 0 || size > LIMIT_ROLE_NAME_SIZE) {
        return false;
    }
    memcpy(name, bytes, size);
    name[size] = '\0';
    return true;
}

static void receive_peer_up(link_t *link, const uint8_t *payload, size_t size)
{
    char name[LIMIT_ROLE_NAME_SIZE + 1];
    char endpoint[LIMIT_ROLE_ENDPOINT_SIZE + 1];
    const size_t head = INCARNATION_SIZE + 1;
    if (size < head || size - head < payload[INCARNATION_SIZE] ||
        !read_name(payload + head, payload[INCARNATION_SIZE], name)) {
        return;
    }
    const size_t endpoint_size = size - head - payload[INCARNATION_SIZE];
    if (endpoint_size > LIMIT_ROLE_ENDPOINT_SIZE) {
        return;
    }
    memcpy(endpoint, payload + size - endpoint_size, endpoint_size);
    endpoint[endpoint_size] = '\0';
    link->handler.peer_up(link->context, name, endpoint,
                          link_number_read(payload, INCARNATION_SIZE));
}

static void receive_request(link_t *link, const uint8_t *payload, size_t size)
{
    link_request_t *request = size < REQUEST_NUMBER_SIZE ? NULL : calloc(1, sizeof *request);
    if (request == NULL) {
        return; /* the supervisor's timeout answers for us */
    }
    request->link = link;
    request->number = (uint32_t)link_number_read(payload, REQUEST_NUMBER_SIZE);
    request->next = link->requests;
    if (request->next != NULL) {
        request->next->previous = request;
    }
    link->requests = request;
    link->handler.request(link->context, request, (const char *)payload + REQUEST_NUMBER_SIZE,
                          size - REQUEST_NUMBER_SIZE);
}

static void end_ask(link_t *link, link_waiting_t *waiting, const char *json, size_t size)
{
    const link_waiting_t ended = *waiting;
    waiting->answer = NULL;
    link->waiting_count--;
    if (link->waiting_count == 0) {
        loop_timer_stop(link->timer);
    }
    ended.answer(ended.context, json, size);
}

static void receive_answer(link_t *link, const uint8_t *payload, size_t size)
{
    if (size < REQUEST_NUMBER_SIZE) {
        return;
    }
    const uint32_t number = (uint32_t)link_number_read(payload, REQUEST_NUMBER_SIZE);
    const size_t json_size = size - REQUEST_NUMBER_SIZE;
    const char *json = json_size == 0 ? NULL : (const char *)payload + REQUEST_NUMBER_SIZE;
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        link_waiting_t *waiting = &link->waiting[i];
        if (waiting->answer != NULL && waiting->number == number) {
            end_ask(link, waiting, json, json_size);
            return;
        }
    }
}

static void link_timeouts(void *context)
{
    link_t *link = context;
    const uint64_t now_ms = loop_now_ms(link->loop);
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        link_waiting_t *waiting = &link->waiting[i];
        if (waiting->answer != NULL && waiting->deadline_ms <= now_ms) {
            end_ask(link, waiting, NULL, 0);
        }
    }
}

static void link_receive(void *context, uint8_t kind, const uint8_t *payload, size_t size)
{
    link_t *link = context;
    char name[LIMIT_ROLE_NAME_SIZE + 1];
    switch ((link_frame_t)kind) {
    case LINK_FRAME_PEER_UP:
        receive_peer_up(link, payload, size);
        break;
    case LINK_FRAME_PEER_DRAINING:
        if (read_name(payload, size, name)) {
            link->handler.peer_draining(link->context, name);
        }
        break;
    case LINK_FRAME_PEER_DOWN:
        if (read_name(payload, size, name)) {
            link->handler.peer_down(link->context, name);
        }
        break;
    case LINK_FRAME_DRAIN:
        link_drain(link, size > 0 && payload[0] != 0);
        break;
    case LINK_FRAME_RELOAD:
        if (link->handler.reload != NULL) {
            link->handler.reload(link->context);
        }
        break;
    case LINK_FRAME_REQUEST:
        receive_request(link, payload, size);
        break;
    case LINK_FRAME_ANSWER:
        receive_answer(link, payload, size);
        break;
    case LINK_FRAME_PING:
        frame_stream_send(link->stream, LINK_FRAME_PONG, NULL, 0, NULL, 0);
        break;
    case LINK_FRAME_READY:
    case LINK_FRAME_REPLY:
    case LINK_FRAME_ASK:
    case LINK_FRAME_LEAVING:
    case LINK_FRAME_PONG:
        break; /* ours to send */
    }
}

/* Whoever signals a role alone wants it restarted; when the whole group is signalled the supervisor
 * got it too and drains everything in order, of which this role's question is then a part. */
static void link_signal(void *context, process_notice_t notice)
{
    link_t *link = context;
    (void)notice;
    if (link->stream == NULL) {
        link_drain(link, false);
        return;
    }
    frame_stream_send(link->stream, LINK_FRAME_LEAVING, NULL, 0, NULL, 0);
}

result_t link_create(loop_t *loop, int descriptor, const link_handler_t *handler, void *context,
                     link_t **link)
{
    static const process_notice_t notices[] = {PROCESS_NOTICE_TERMINATE};
    static const frame_stream_handler_t frames = {.frame = link_receive, .closed = link_closed};
    link_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->handler = *handler;
    created->context = context;
    created->timer = loop_timer_create(loop, link_timeouts, created);
    result_t result = frame_stream_create(loop, descriptor, &frames, created, &created->stream);
    if (result == RESULT_OK) {
        result = process_signals_create(loop, notices, 1, link_signal, created, &created->signals);
    }
    if (result != RESULT_OK) {
        link_destroy(&created);
        return result;
    }
    *link = created;
    return RESULT_OK;
}

void link_destroy(link_t **link)
{
    link_t *ending = *link;
    *link = NULL;
    if (ending == NULL) {
        return;
    }
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        if (ending->waiting[i].answer != NULL) {
            end_ask(ending, &ending->waiting[i], NULL, 0);
        }
    }
    for (link_request_t *request = ending->requests; request != NULL; request = request->next) {
        request->link = NULL;
    }
    process_signals_destroy(&ending->signals);
    frame_stream_destroy(&ending->stream);
    loop_timer_destroy(&ending->timer);
    free(ending);
}

void link_ready(link_t *link, const char *endpoint)
{
    assert(strlen(endpoint) <= LIMIT_ROLE_ENDPOINT_SIZE);
    if (link->stream != NULL) {
        frame_stream_send(link->stream, LINK_FRAME_READY, NULL, 0, endpoint, strlen(endpoint));
    }
}

void link_reply(link_request_t **request, const char *json, size_t size)
{
    link_request_t *ending = *request;
    *request = NULL;
    link_t *link = ending->link;
    if (link != NULL) {
        if (ending->previous != NULL) {
            ending->previous->next = ending->next;
        } else {
            link->requests = ending->next;
        }
        if (ending->next != NULL) {
            ending->next->previous = ending->previous;
        }
        if (link->stream != NULL && size <= LIMIT_LINK_FRAME_SIZE - REQUEST_NUMBER_SIZE) {
            uint8_t head[REQUEST_NUMBER_SIZE];
            link_number_write(head, ending->number, sizeof head);
            frame_stream_send(link->stream, LINK_FRAME_REPLY, head, sizeof head, json, size);
        }
    }
    free(ending);
}

result_t link_ask(link_t *link, const char *json, size_t size, link_answer_t *answer, void *context)
{
    if (link->stream == NULL) {
        return RESULT_UNAVAILABLE;
    }
    if (link->waiting_count == LIMIT_LINK_REQUESTS) {
        return RESULT_BUSY;
    }
    size_t place = 0;
    while (link->waiting[place].answer != NULL) {
        place++; /* there is a free one: the count says so */
    }
    link->ask_last++;
    link->waiting[place] =
        (link_waiting_t){.answer = answer,
                         .context = context,
                         .number = link->ask_last,
                         .deadline_ms = loop_now_ms(link->loop) + LIMIT_LINK_TIMEOUT_MS};
    if (link->waiting_count == 0) {
        loop_timer_start(link->timer, TIMEOUT_CHECK_MS, TIMEOUT_CHECK_MS);
    }
    link->waiting_count++;
    uint8_t head[REQUEST_NUMBER_SIZE];
    link_number_write(head, link->ask_last, sizeof head);
    frame_stream_send(link->stream, LINK_FRAME_ASK, head, sizeof head, json, size);
    return RESULT_OK;
}
