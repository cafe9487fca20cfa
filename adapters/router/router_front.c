/* ROUTER socket → gateway → ROUTER socket. A request is [envelope …, header, body]; the envelope
 * (routing ids, and the empty frame of REQ) is echoed before [header, body] of the reply. Replies
 * leave in the order of completion. No card logic, no tokens, no state beyond requests in flight.
 */
#include "adapters/router/router_front.h"

#include "actors/command.h"
#include "adapters/router/router_internal.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

/* --- Requests in flight --- */

static router_request_t *request_add(router_front_t *front)
{
    router_request_t *request = LIST_FIRST(&front->spare);
    if (request != NULL) {
        LIST_REMOVE(request, link);
        front->spare_count--;
    } else {
        request = malloc(sizeof(*request));
        if (request == NULL) {
            return NULL;
        }
    }
    request->front = front;
    request->handle = 0;
    request->type = request_type_none;
    request->id_size = 0;
    LIST_INSERT_HEAD(&front->in_flight, request, link);
    front->in_flight_count++;
    return request;
}

static void request_remove(router_request_t *request)
{
    router_front_t *front = request->front;
    LIST_REMOVE(request, link);
    front->in_flight_count--;
    if (front->spare_count < LIMIT_API_SPARE_REQUESTS) {
        LIST_INSERT_HEAD(&front->spare, request, link);
        front->spare_count++;
    } else {
        free(request);
    }
    if (front->leaving != ROUTER_STAYS && front->in_flight_count == 0) {
        loop_again(front->loop); /* the hook says so from a clean stack */
    }
}

/* Copies the frames that are echoed. False when they are longer than any honest ones. */
static bool request_keep_envelope(router_request_t *request, const zframe_view_t *frames,
                                  size_t count)
{
    size_t size = 0;
    request->envelope_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (frames[i].size > sizeof(request->envelope) - size) {
            return false;
        }
        if (frames[i].size > 0) {
            memcpy(request->envelope + size, frames[i].data, frames[i].size);
        }
        request->envelope_sizes[i] = (uint16_t)frames[i].size;
        request->envelope_count++;
        size += frames[i].size;
    }
    return true;
}

/* --- Replies --- */

/* Packs into a growing scratch; false when there is no memory. */
static bool pack(router_buffer_t *buffer, const message_type_t *type, const void *message)
{
    size_t needed = message_pack(type, message, MESSAGE_KEYS_NAMES, buffer->data, buffer->capacity);
    if (needed > buffer->capacity) {
        uint8_t *data = realloc(buffer->data, needed);
        if (data == NULL) {
            return false;
        }
        buffer->data = data;
        buffer->capacity = needed;
        needed = message_pack(type, message, MESSAGE_KEYS_NAMES, data, needed);
    }
    buffer->size = needed;
    return true;
}

/* Memory that a page took is not kept. */
static void shrink(router_buffer_t *buffer)
{
    if (buffer->capacity > LIMIT_API_SCRATCH_SIZE) {
        free(buffer->data);
        *buffer = (router_buffer_t){0};
    }
}

void router_send(router_front_t *front, const zframe_view_t *frames, size_t count,
                 zsocket_account_t *account)
{
    if (front->socket == NULL) { /* it was left (router_leave.c) while this was being worked on */
        metric_add(front->metrics.gone, 1);
        return;
    }
    if (account == NULL) {
        account = router_accounts_find(front, &frames[0], frames[count - 1].size);
    }
    switch (account == NULL ? zsocket_send(front->socket, frames, count)
                            : zsocket_send_on(front->socket, frames, count, account)) {
    case RESULT_OK:
        metric_add(front->metrics.replies, 1);
        break;
    case RESULT_MISSING:
        metric_add(front->metrics.gone, 1);
        break;
    default:
        metric_add(front->metrics.unsent, 1);
        break;
    }
}

/* False: it is too large to wait with what its client has not read. */
static bool send_reply(router_request_t *request, text_t type, const message_type_t *document_type,
                       const void *document)
{
    router_front_t *front = request->front;
    api_reply_header_t header = {0};
    MESSAGE_SET(api_reply_header, &header, v, ROUTER_VERSION);
    MESSAGE_SET(api_reply_header, &header, id,
                ((text_t){.data = request->id, .size = request->id_size}));
    MESSAGE_SET(api_reply_header, &header, type, type);
    if (!pack(&front->header, &api_reply_header_message, &header) ||
        !pack(&front->body, document_type, document)) {
        metric_add(front->metrics.unsent, 1);
        return true;
    }
    const zframe_view_t client = {request->envelope, request->envelope_sizes[0]};
    if (document_type != &problem_message &&
        !router_accounts_admit(front, &client, front->body.size)) {
        metric_add(front->metrics.unread_refused, 1);
        shrink(&front->body);
        return false;
    }
    zframe_view_t frames[LIMIT_API_FRAMES];
    size_t count = 0;
    size_t at = 0;
    for (; count < request->envelope_count; count++) {
        frames[count] = (zframe_view_t){request->envelope + at, request->envelope_sizes[count]};
        at += request->envelope_sizes[count];
    }
    frames[count] = (zframe_view_t){front->header.data, front->header.size};
    frames[count + 1] = (zframe_view_t){front->body.data, front->body.size};
    if (front->leaving != ROUTER_HOLDS || !router_hold(front, frames, count + 2)) {
        router_send(front, frames, count + 2, NULL);
    }
    shrink(&front->body);
    return true;
}

/* "card.issue" and ".ok" or ".refused". */
static text_t reply_type(uint8_t request_type, const char *ending, char out[ROUTER_TYPE_SIZE])
{
    const text_t name = enum_name(&request_type_enum, request_type);
    const int size = snprintf(out, ROUTER_TYPE_SIZE, "%.*s%s", TEXT_PRINT(name), ending);
    assert(size > 0 && size < ROUTER_TYPE_SIZE);
    return (text_t){.data = out, .size = (size_t)size};
}

static void send_problem(router_request_t *request, const gateway_reply_t *reply)
{
    char type[ROUTER_TYPE_SIZE];
    char type_text[128];
    problem_t problem;
    gateway_problem(reply, type_text, &problem);
    const bool refused = problem.status == ROUTER_STATUS_REFUSED && request->type != 0;
    const bool is_sent = send_reply(
        request, refused ? reply_type(request->type, ".refused", type) : TEXT_LITERAL("error"),
        &problem_message, &problem);
    assert(is_sent); /* problems always are */
}

static void on_done(void *context, const gateway_reply_t *reply)
{
    router_request_t *request = context;
    char type[ROUTER_TYPE_SIZE];
    if (reply->result != RESULT_OK) {
        send_problem(request, reply);
    } else if (!send_reply(request, reply_type(request->type, ".ok", type), reply->document_type,
                           reply->document)) {
        const gateway_reply_t behind = {
            .result = RESULT_BUSY,
            .detail = TEXT_LITERAL("Read the replies that wait for you, then ask again."),
            .trace_id = reply->trace_id,
            .retry_after_s = 1};
        send_problem(request, &behind);
    }
    request_remove(request);
}

static void answer_problem(router_request_t *request, result_t result, const char *field,
                           const char *detail, text_t traceparent)
{
    char trace_id[COMMAND_TRACE_ID_SIZE];
    command_trace_id(traceparent, trace_id);
    const gateway_reply_t reply = {
        .result = result,
        .detail = text_from_c(detail),
        .field = text_from_c(field),
        .trace_id = {.data = trace_id, .size = sizeof(trace_id)},
    };
    metric_add(request->front->metrics.malformed, 1);
    on_done(request, &reply);
}

/* --- Requests --- */

/* The header is read before anybody is known, so its faults say which part of the protocol they
 * break. */
static result_t header_fault_result(const message_fault_t *fault)
{
    static const struct {
        const char *field;
        result_t result;
    } results[] = {
        {"v", RESULT_UNSUPPORTED_VERSION},         {"type", RESULT_UNKNOWN_TYPE},
        {"tenant", RESULT_INVALID_TENANT},         {"token", RESULT_UNAUTHENTICATED},
        {"key", RESULT_INVALID_PARAMETER},         {"deadline_ms", RESULT_INVALID_PARAMETER},
        {"traceparent", RESULT_INVALID_PARAMETER}, {"if_version", RESULT_INVALID_PARAMETER},
    };
    if (fault->kind != MESSAGE_FAULT_UNKNOWN_FIELD) {
        for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
            if (strcmp(fault->field, results[i].field) == 0) {
                return results[i].result;
            }
        }
    }
    return command_fault_result(&api_header_message, fault, RESULT_MALFORMED_MSGPACK);
}

static bool read_header(router_request_t *request, const zframe_view_t *frame, api_header_t *header)
{
    arena_t arena = {.base = request->front->arena, .size = sizeof(request->front->arena)};
    message_fault_t fault;
    const bool good = message_unpack(&api_header_message, MESSAGE_KEYS_NAMES, frame->data,
                                     frame->size, &arena, header, &fault);
    if (MESSAGE_HAS(api_header, header, id) && header->id.size <= sizeof(request->id)) {
        memcpy(request->id, header->id.data, header->id.size);
        request->id_size = (uint16_t)header->id.size;
    }
    if (MESSAGE_HAS(api_header, header, v) && header->v != ROUTER_VERSION) {
        answer_problem(request, RESULT_UNSUPPORTED_VERSION, "v", "this service speaks version 1",
                       TEXT_NONE);
        return false;
    }
    if (!good) {
        answer_problem(request, header_fault_result(&fault), fault.field, fault.detail, TEXT_NONE);
        return false;
    }
    uint8_t type = request_type_none;
    if (!enum_parse(&request_type_enum, header->type, &type) || command_type(type) == NULL) {
        answer_problem(request, RESULT_UNKNOWN_TYPE, "type", "there is no such request type",
                       header->traceparent);
        return false;
    }
    request->type = type;
    return true;
}

/* What is wrong with a body is told only to those who may make such a request (DESIGN 3.3). */
static void answer_body_fault(router_request_t *request, const gateway_request_t *asked,
                              result_t result, const char *field, const char *detail)
{
    gateway_reply_t why_not = {0};
    if (!gateway_authorise(request->front->gateway, asked, &why_not)) {
        on_done(request, &why_not);
        return;
    }
    answer_problem(request, result, field, detail, asked->traceparent);
}

static void ask_gateway(router_request_t *request, const api_header_t *header,
                        const zframe_view_t *body)
{
    router_front_t *front = request->front;
    const message_type_t *type = command_type(request->type);
    command_t command;
    gateway_request_t asked = {
        .type = request->type,
        .tenant = header->tenant,
        .token = header->token,
        .command = &command,
        .key = header->key,
        .method_and_path = header->type,
        .raw_body = {.data = body->data, .size = body->size},
        .has_condition = MESSAGE_HAS(api_header, header, if_version),
        .if_version = header->if_version,
        .deadline_ms = (uint32_t)header->deadline_ms,
        .traceparent = header->traceparent,
    };
    /* Whoever sends one means to be protected by it: taken for none, each repeat would count. */
    if (MESSAGE_HAS(api_header, header, key) && text_is_empty(header->key)) {
        answer_body_fault(request, &asked, RESULT_INVALID_PARAMETER, "key",
                          "must be 1 to 128 visible ASCII characters, or be left out");
        return;
    }
    arena_t arena = {.base = front->arena, .size = sizeof(front->arena)};
    message_fault_t fault;
    if (!message_unpack(type, MESSAGE_KEYS_NAMES, body->data, body->size, &arena, &command,
                        &fault)) {
        answer_body_fault(request, &asked,
                          command_fault_result(type, &fault, RESULT_MALFORMED_MSGPACK), fault.field,
                          fault.detail);
        return;
    }
    if (command_limit_is_zero(request->type, &command)) {
        answer_body_fault(request, &asked, RESULT_INVALID_BODY, "limit", "must be at least 1");
        return;
    }
    const uuid_t *card = command_card(type, &command);
    if (card != NULL) {
        asked.has_card = true;
        asked.card = *card;
    }
    /* When `done` ran within the call the handle is 0 and the request is gone. */
    const uint64_t handle = gateway_submit(front->gateway, &asked, on_done, request);
    if (handle != 0) {
        request->handle = handle;
    }
}

/* How many frames come before header and body. REQ puts an empty one first, proxies put routing ids
 * before it; a DEALER puts none. */
static size_t envelope_frames(const zframe_view_t *frames, size_t count)
{
    if (count >= 2 && frames[1].size == 0) {
        return 2;
    }
    return count > 3 && frames[count - 3].size == 0 ? count - 2 : 1;
}

static void on_receive(void *context, const zframe_view_t *frames, size_t count)
{
    router_front_t *front = context;
    const size_t envelope = envelope_frames(frames, count);
    metric_add(front->metrics.requests, 1);
    if (front->leaving != ROUTER_STAYS && !router_leave_hears(front)) {
        return;
    }
    router_request_t *request = request_add(front);
    if (request == NULL) {
        metric_add(front->metrics.unsent, 1);
        return;
    }
    if (!request_keep_envelope(request, frames, envelope)) {
        metric_add(front->metrics.malformed, 1);
        request_remove(request);
        return;
    }
    api_header_t header;
    if (count != envelope + 2) {
        answer_problem(request, RESULT_MALFORMED_MSGPACK, "",
                       "a request is two frames: header and body", TEXT_NONE);
    } else if (read_header(request, &frames[envelope], &header)) {
        ask_gateway(request, &header, &frames[envelope + 1]);
    }
}

/* --- Life --- */

static void on_turn_end(void *context)
{
    router_front_t *front = context;
    metric_set(front->metrics.in_flight, front->in_flight_count);
    metric_set(front->metrics.unread_bytes, (int64_t)router_accounts_size(front));
    router_leave_turn(front);
}

static void metrics_init(router_metrics_t *mine, metrics_t *metrics)
{
    mine->requests = metrics_counter(metrics, "digitalcard_api_requests_total", "",
                                     "Requests on the ROUTER API");
    mine->replies = metrics_counter(metrics, "digitalcard_api_replies_total", "",
                                    "Replies on the ROUTER API, errors included");
    mine->malformed = metrics_counter(metrics, "digitalcard_api_malformed_total", "",
                                      "Requests on the ROUTER API that could not be read");
    mine->gone =
        metrics_counter(metrics, "digitalcard_api_gone_total", "", "Replies whose client was gone");
    mine->unsent = metrics_counter(metrics, "digitalcard_api_unsent_total", "",
                                   "Replies that were dropped: the client does not read, or no "
                                   "memory");
    mine->held = metrics_counter(metrics, "digitalcard_api_held_total", "",
                                 "Replies held while this front handed over to its successor");
    mine->late = metrics_counter(metrics, "digitalcard_api_late_total", "",
                                 "Requests that came when this front had told its clients the end; "
                                 "they were not carried out");
    mine->unread_bytes = metrics_gauge(metrics, "digitalcard_api_unread_bytes", "",
                                       "Large replies that clients have not read");
    mine->unread_refused =
        metrics_counter(metrics, "digitalcard_api_unread_refused_total", "",
                        "Replies answered by `busy`: too much waits for that client");
    mine->in_flight =
        metrics_gauge(metrics, "digitalcard_api_in_flight", "", "ROUTER requests being worked on");
}

result_t router_front_create(loop_t *loop, metrics_t *metrics, const char *endpoint,
                             int listen_descriptor, gateway_t *gateway, router_front_t **front)
{
    router_front_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->loop = loop;
    made->gateway = gateway;
    LIST_INIT(&made->in_flight);
    LIST_INIT(&made->spare);
    STAILQ_INIT(&made->held);
    metrics_init(&made->metrics, metrics);
    const zsocket_options_t options = {
        .type = ZMQ_ROUTER,
        .send_messages_max = LIMIT_API_CLIENT_MESSAGES,
        .receive_messages_max = LIMIT_API_CLIENT_MESSAGES,
        .message_size_max = LIMIT_API_FRAME_SIZE,
        .use_fd = listen_descriptor,
        .linger_ms = LIMIT_CHANNEL_LINGER_MS,
    };
    made->hook = loop_hook_create(loop, on_turn_end, made);
    made->timer = loop_timer_create(loop, router_leave_tick, made);
    result_t result = zsocket_create(loop, &options, on_receive, made, &made->socket);
    if (result == RESULT_OK) {
        result = zsocket_bind(made->socket, endpoint);
    }
    if (result != RESULT_OK) {
        log_error("the API endpoint cannot be bound", LOG_STRING("endpoint", endpoint),
                  LOG_STRING("error", result_code(result)));
        router_front_destroy(&made);
        return result;
    }
    *front = made;
    return RESULT_OK;
}

void router_front_destroy(router_front_t **front)
{
    router_front_t *gone = *front;
    if (gone == NULL) {
        return;
    }
    *front = NULL;
    router_request_t *request = LIST_FIRST(&gone->in_flight);
    while (request != NULL) {
        router_request_t *next = LIST_NEXT(request, link);
        if (request->handle != 0) {
            gateway_cancel(gone->gateway, request->handle);
        }
        free(request);
        request = next;
    }
    request = LIST_FIRST(&gone->spare);
    while (request != NULL) {
        router_request_t *next = LIST_NEXT(request, link);
        free(request);
        request = next;
    }
    router_held_forget(gone);
    zsocket_destroy(&gone->socket);
    router_accounts_end(gone);
    zsocket_account_release(&gone->leave.account);
    loop_timer_destroy(&gone->timer);
    loop_hook_destroy(&gone->hook);
    free(gone->header.data);
    free(gone->body.data);
    free(gone);
}
