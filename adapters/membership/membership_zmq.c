/* Questions over ZeroMQ, framed as in DESIGN 3.4, and what contexts publish. A DEALER answers to
 * nobody who went: every question has its deadline here. */
#include "adapters/membership/membership_internal.h"

#include "actors/domain/card_id.h"
#include "actors/membership_settings.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

/* --- Sockets --- */

/* What one that sends faster than it is read may fill of our memory. Of events that do not fit none
 * is lost: ZeroMQ holds them back, and what their publisher drops then is read with the gap. A
 * subscriber sends a filter for each tenant at once when it connects anew: what is beyond its bound
 * would be forgotten. */
static zsocket_options_t socket_options(int type)
{
    const bool is_subscriber = type == ZMQ_XSUB;
    return (zsocket_options_t){
        .type = type,
        .send_messages_max = is_subscriber ? LIMIT_DIRECTORY_TENANTS : LIMIT_MEMBERSHIP_ASKED,
        .receive_messages_max = is_subscriber ? LIMIT_MEMBERSHIP_HEARD : LIMIT_MEMBERSHIP_ANSWERS,
        .message_size_max =
            is_subscriber ? LIMIT_MEMBERSHIP_FRAME_SIZE : LIMIT_MEMBERSHIP_PAGE_SIZE,
        .use_fd = -1};
}

static result_t open_socket(membership_adapter_t *adapter, text_t endpoint, int type,
                            zsocket_receive_t *receive, membership_dealer_t **list,
                            membership_dealer_t **found)
{
    size_t count = 0;
    for (*found = *list; *found != NULL; *found = (*found)->next) {
        if (text_equal(text_from_c((*found)->endpoint), endpoint)) {
            return RESULT_OK;
        }
        count++;
    }
    if (endpoint.size >= ENDPOINT_SIZE || count >= ENDPOINTS_MAX) {
        return RESULT_INVALID_ARGUMENT;
    }
    membership_dealer_t *dealer = calloc(1, sizeof *dealer);
    assert(dealer != NULL);
    dealer->adapter = adapter;
    memcpy(dealer->endpoint, endpoint.data, endpoint.size);
    const zsocket_options_t options = socket_options(type);
    result_t result = zsocket_create(adapter->loop, &options, receive, dealer, &dealer->socket);
    if (result == RESULT_OK) {
        result = membership_endpoint_open(dealer);
    }
    if (result != RESULT_OK) {
        if (dealer->socket != NULL) {
            zsocket_destroy(&dealer->socket);
        }
        name_lookup_destroy(&dealer->lookup);
        free(dealer);
        return result;
    }
    dealer->next = *list;
    *list = dealer;
    *found = dealer;
    return RESULT_OK;
}

static void close_all(membership_dealer_t **list)
{
    while (*list != NULL) { /* ENDPOINTS_MAX */
        membership_dealer_t *dealer = *list;
        *list = dealer->next;
        zsocket_destroy(&dealer->socket);
        name_lookup_destroy(&dealer->lookup);
        free(dealer);
    }
}

void membership_close_zmq(membership_adapter_t *adapter)
{
    close_all(&adapter->dealers);
    close_all(&adapter->subscribers);
}

/* --- Questions --- */

void membership_forget_zmq(membership_adapter_t *adapter, membership_call_t *call)
{
    membership_call_t **place = &adapter->waiting;
    while (*place != NULL && *place != call) { /* bounded by the callers' concurrency */
        place = &(*place)->next;
    }
    if (*place == call) {
        *place = call->next;
    }
}

/* Numbers of questions can be guessed: the context of one tenant must not answer for another's. */
static membership_call_t *find_waiting(const membership_dealer_t *dealer, const json_t *header)
{
    char number[24];
    const char *id = json_string_value(json_object_get(header, "id"));
    membership_call_t *call = dealer->adapter->waiting;
    while (call != NULL && id != NULL) {
        (void)snprintf(number, sizeof number, "%" PRIu64, call->number);
        if (call->dealer == dealer && strcmp(number, id) == 0) {
            return call;
        }
        call = call->next;
    }
    return NULL;
}

static void finish_reply(membership_call_t *call, const json_t *header, const zframe_view_t *body)
{
    const char *type = json_string_value(json_object_get(header, "type"));
    json_t *document = membership_read_msgpack(body->data, body->size);
    const char *code = json_string_value(json_object_get(document, "code"));
    const bool is_ok =
        type != NULL && (strcmp(type, "member.get.ok") == 0 || strcmp(type, "events.read.ok") == 0);
    if (!is_ok && call->asks_member && code != NULL && strcmp(code, "member_not_found") == 0) {
        membership_finish_missing(call);
    } else if (!is_ok || document == NULL) {
        membership_finish(call, NULL, "an error, or an answer that cannot be read");
    } else {
        membership_finish(call, document, NULL);
    }
    json_decref(document);
}

static void dealer_receive(void *context, const zframe_view_t *frames, size_t count)
{
    membership_dealer_t *dealer = context;
    membership_adapter_t *adapter = dealer->adapter;
    if (count == 3 && frames[0].size == 0) { /* an empty delimiter, as to a REQ */
        frames++;
        count--;
    }
    json_t *header = count == 2 ? membership_read_msgpack(frames[0].data, frames[0].size) : NULL;
    membership_call_t *call = header == NULL ? NULL : find_waiting(dealer, header);
    if (call == NULL) {
        metric_add(adapter->unreadable, 1); /* or an answer that came too late */
    } else {
        membership_forget_zmq(adapter, call);
        finish_reply(call, header, &frames[1]);
    }
    json_decref(header);
}

static void pack_question(const membership_question_t *question, const membership_call_t *call,
                          membership_frames_t *frames)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%" PRIu64, call->number);
    api_header_t head = {0};
    MESSAGE_SET(api_header, &head, v, 1);
    MESSAGE_SET(api_header, &head, id, text_from_c(number));
    MESSAGE_SET(api_header, &head, type,
                text_from_c(call->asks_member ? "member.get" : "events.read"));
    MESSAGE_SET(api_header, &head, tenant, question->tenant);
    MESSAGE_SET(api_header, &head, token, TEXT_LITERAL(""));
    MESSAGE_SET(api_header, &head, deadline_ms, question->deadline_ms);
    frames->header_size = message_pack(&api_header_message, &head, MESSAGE_KEYS_NAMES,
                                       frames->header, sizeof frames->header);
    member_get_t get = {0};
    member_events_read_t page = {0};
    MESSAGE_SET(member_get, &get, member_id, question->member_id);
    MESSAGE_SET(member_events_read, &page, after, question->after);
    MESSAGE_SET(member_events_read, &page, limit, question->limit);
    frames->body_size = call->asks_member
                            ? message_pack(&member_get_message, &get, MESSAGE_KEYS_NAMES,
                                           frames->body, sizeof frames->body)
                            : message_pack(&member_events_read_message, &page, MESSAGE_KEYS_NAMES,
                                           frames->body, sizeof frames->body);
    assert(frames->header_size <= sizeof frames->header);
    assert(frames->body_size <= sizeof frames->body);
}

static result_t send_frames(zsocket_t *socket, const membership_frames_t *frames)
{
    const zframe_view_t views[] = {{frames->header, frames->header_size},
                                   {frames->body, frames->body_size}};
    return zsocket_send(socket, views, 2);
}

/* Before its name is known, the question waits for it as it would wait for an answer. */
static result_t send_question(const membership_dealer_t *dealer,
                              const membership_question_t *question, membership_call_t *call)
{
    membership_frames_t frames;
    pack_question(question, call, &frames);
    if (dealer->connected[0] != '\0') {
        return send_frames(dealer->socket, &frames);
    }
    call->unsent = malloc(sizeof frames);
    assert(call->unsent != NULL);
    *call->unsent = frames;
    return RESULT_OK;
}

void membership_send_unsent(const membership_dealer_t *dealer)
{
    for (membership_call_t *call = dealer->adapter->waiting; call != NULL; call = call->next) {
        if (call->dealer == dealer && call->unsent != NULL) {
            const result_t result = send_frames(dealer->socket, call->unsent);
            (void)result; /* what was not sent is not answered: it has its deadline */
            free(call->unsent);
            call->unsent = NULL;
        }
    }
}

result_t membership_ask_zmq(membership_adapter_t *adapter, text_t endpoint,
                            const membership_question_t *question, membership_call_t *call)
{
    membership_dealer_t *dealer = NULL;
    result_t result =
        open_socket(adapter, endpoint, ZSOCKET_DEALER, dealer_receive, &adapter->dealers, &dealer);
    if (result != RESULT_OK) {
        return result;
    }
    adapter->next_number++;
    call->number = adapter->next_number;
    call->dealer = dealer;
    call->deadline_ms = loop_now_ms(adapter->loop) + question->deadline_ms;
    result = send_question(dealer, question, call);
    if (result == RESULT_OK) {
        call->next = adapter->waiting;
        adapter->waiting = call;
    }
    return result;
}

static void names_follow(membership_dealer_t *list, uint64_t now_ms)
{
    for (membership_dealer_t *dealer = list; dealer != NULL; dealer = dealer->next) {
        membership_endpoint_follow(dealer, now_ms); /* ENDPOINTS_MAX */
    }
}

void membership_tick_zmq(membership_adapter_t *adapter)
{
    const uint64_t now_ms = loop_now_ms(adapter->loop);
    names_follow(adapter->dealers, now_ms);
    names_follow(adapter->subscribers, now_ms);
    bool goes_on = true;
    while (goes_on) { /* each round one call less */
        membership_call_t *call = adapter->waiting;
        while (call != NULL && now_ms < call->deadline_ms) {
            call = call->next;
        }
        goes_on = call != NULL;
        if (goes_on) {
            membership_forget_zmq(adapter, call);
            membership_finish(call, NULL, "timed_out");
        }
    }
}

/* --- What is published --- */

/* "membership.{tenant}.{EventName}" */
static bool split_topic(const zframe_view_t *frame, text_t *tenant, char name[64])
{
    static const char prefix[] = "membership.";
    const text_t topic = {.data = frame->data, .size = frame->size};
    if (!text_starts_with(topic, TEXT_LITERAL(prefix))) {
        return false;
    }
    const char *rest = topic.data + sizeof prefix - 1;
    const size_t rest_size = topic.size - (sizeof prefix - 1);
    const char *dot = memchr(rest, '.', rest_size);
    if (dot == NULL) {
        return false;
    }
    *tenant = (text_t){.data = rest, .size = (size_t)(dot - rest)};
    const size_t name_size = rest_size - tenant->size - 1;
    if (!tenant_name_is_valid(*tenant) || name_size >= 64) {
        return false;
    }
    memcpy(name, dot + 1, name_size);
    name[name_size] = '\0';
    return true;
}

/* An XSUB socket hands over whatever the other side sends, asked for or not: who publishes for one
 * tenant must not be heard for another. */
static bool may_publish(const membership_dealer_t *subscriber, text_t tenant)
{
    const text_t configured = membership_setting_of(subscriber->adapter->options.events, tenant);
    return text_equal(configured, text_from_c(subscriber->endpoint));
}

static void subscriber_receive(void *context, const zframe_view_t *frames, size_t count)
{
    const membership_dealer_t *dealer = context;
    const membership_adapter_t *adapter = dealer->adapter;
    text_t tenant = TEXT_NONE;
    char name[64];
    member_event_t event;
    const bool is_framed = count == 3 && frames[1].size <= LIMIT_MEMBERSHIP_FRAME_SIZE &&
                           frames[2].size <= LIMIT_MEMBERSHIP_FRAME_SIZE &&
                           split_topic(&frames[0], &tenant, name) && may_publish(dealer, tenant);
    json_t *header = is_framed ? membership_read_msgpack(frames[1].data, frames[1].size) : NULL;
    json_t *body = is_framed ? membership_read_msgpack(frames[2].data, frames[2].size) : NULL;
    /* The header names the tenant again: one that contradicts its topic is nobody's. */
    const char *said = json_string_value(json_object_get(header, "tenant"));
    if (header != NULL && (said == NULL || text_equal(text_from_c(said), tenant)) &&
        membership_parse_event(name, header, body, &event)) {
        adapter->options.heard(adapter->options.context, tenant, &event);
    } else {
        metric_add(adapter->unreadable, 1); /* the gap shows, and is read */
    }
    json_decref(header);
    json_decref(body);
}

result_t membership_subscribe_zmq(membership_adapter_t *adapter, text_t endpoint, text_t tenant,
                                  bool is_wanted)
{
    membership_dealer_t *subscriber = NULL;
    const result_t result = open_socket(adapter, endpoint, ZMQ_XSUB, subscriber_receive,
                                        &adapter->subscribers, &subscriber);
    if (result != RESULT_OK) {
        return result;
    }
    char frame[96];
    const int size =
        snprintf(frame, sizeof frame, "%cmembership.%.*s.", is_wanted ? 1 : 0, TEXT_PRINT(tenant));
    assert(size > 0 && (size_t)size < sizeof frame);
    const zframe_view_t view = {frame, (size_t)size};
    return zsocket_send(subscriber->socket, &view, 1);
}
