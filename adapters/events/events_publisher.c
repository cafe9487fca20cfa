/* The XPUB socket of the relay. It sends what it is given and reports who subscribes to what; what
 * is sent to whom, and the repair of gaps, is not its business: XPUB drops at the high-water mark
 * by nature, and subscribers repair with events.read (DESIGN 3.4). */
#include "adapters/events/events_publisher.h"

#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/zsocket.h"

#include <stdlib.h>
#include <zmq.h>

struct events_publisher {
    zsocket_t *socket;
    events_subscription_t *subscribed;
    events_subscription_t *unsubscribed;
    void *context;
    metric_t *events;
    metric_t *failures;
    metric_t *overflows;
    uint64_t overflows_counted;
    metric_t *subscriptions;
    metric_t *ignored;
};

/* One frame: 1 or 0 and the prefix. What else a subscriber sends is no business of ours. */
static void on_receive(void *context, const zframe_view_t *frames, size_t frame_count)
{
    events_publisher_t *publisher = context;
    const uint8_t *bytes = frames[0].data;
    if (frame_count != 1 || frames[0].size == 0 || bytes[0] > 1 ||
        frames[0].size - 1 > LIMIT_EVENT_PREFIX_SIZE) {
        metric_add(publisher->ignored, 1);
        return;
    }
    const text_t topic = {.data = (const char *)bytes + 1, .size = frames[0].size - 1};
    if (bytes[0] == 1) {
        metric_add(publisher->subscriptions, 1);
        publisher->subscribed(publisher->context, topic);
    } else {
        publisher->unsubscribed(publisher->context, topic);
    }
}

static void metrics_init(events_publisher_t *publisher, metrics_t *metrics)
{
    publisher->events = metrics_counter(metrics, "digitalcard_events_published_total", "",
                                        "Messages handed to the XPUB socket");
    publisher->failures = metrics_counter(metrics, "digitalcard_events_unsent_total", "",
                                          "Messages that the XPUB socket did not take");
    publisher->overflows =
        metrics_counter(metrics, "digitalcard_events_subscriber_overflows_total", "",
                        "Messages at which one or more subscribers were so far behind that they "
                        "began to miss some; several at once count once");
    publisher->subscriptions = metrics_counter(metrics, "digitalcard_events_subscriptions_total",
                                               "", "Subscriptions that were made");
    publisher->ignored = metrics_counter(metrics, "digitalcard_events_ignored_total", "",
                                         "Frames of subscribers that are no subscription");
}

result_t events_publisher_create(loop_t *loop, metrics_t *metrics, const char *endpoint,
                                 int listen_descriptor, uint32_t messages_max,
                                 events_subscription_t *subscribed,
                                 events_subscription_t *unsubscribed, void *context,
                                 events_publisher_t **publisher)
{
    events_publisher_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->subscribed = subscribed;
    made->unsubscribed = unsubscribed;
    made->context = context;
    metrics_init(made, metrics);
    const zsocket_options_t options = {
        .type = ZMQ_XPUB,
        .send_messages_max = (int)messages_max,
        .receive_messages_max = LIMIT_EVENT_SUBSCRIPTIONS_WAITING,
        .message_size_max = LIMIT_EVENT_SUBSCRIPTION_SIZE,
        .use_fd = listen_descriptor,
        .xpub_verbose = true,
        .xpub_overflows = true,
        .linger_ms = LIMIT_CHANNEL_LINGER_MS,
    };
    result_t result = zsocket_create(loop, &options, on_receive, made, &made->socket);
    if (result == RESULT_OK) {
        result = zsocket_bind(made->socket, endpoint);
    }
    if (result != RESULT_OK) {
        log_error("the events endpoint cannot be bound", LOG_STRING("endpoint", endpoint),
                  LOG_STRING("error", result_code(result)));
        events_publisher_destroy(&made);
        return result;
    }
    *publisher = made;
    return RESULT_OK;
}

void events_publisher_destroy(events_publisher_t **publisher)
{
    events_publisher_t *gone = *publisher;
    if (gone == NULL) {
        return;
    }
    *publisher = NULL;
    zsocket_destroy(&gone->socket);
    free(gone);
}

result_t events_publisher_send(events_publisher_t *publisher, text_t topic, const uint8_t *header,
                               size_t header_size, const uint8_t *body, size_t body_size)
{
    const zframe_view_t frames[] = {
        {.data = topic.data, .size = topic.size},
        {.data = header, .size = header_size},
        {.data = body, .size = body_size},
    };
    const result_t result =
        zsocket_send(publisher->socket, frames, sizeof(frames) / sizeof(frames[0]));
    metric_add(result == RESULT_OK ? publisher->events : publisher->failures, 1);
    const uint64_t overflows = zsocket_overflows(publisher->socket);
    if (overflows != publisher->overflows_counted) {
        metric_add(publisher->overflows, overflows - publisher->overflows_counted);
        publisher->overflows_counted = overflows;
    }
    return result;
}
