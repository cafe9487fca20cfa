/* The XPUB socket of the relay with real SUB sockets. */
#include "adapters/events/events_publisher.h"
#include "runtime/clock.h"
#include "runtime/limits.h"
#include "tests/support/zmq_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

enum { MESSAGES_MAX = 100 };

static loop_t *loop;
static metrics_t *metrics;
static events_publisher_t *publisher;
static char endpoint[64];
static uint32_t subscribed;
static uint32_t unsubscribed;
static char last_topic[256];

static void on_topic(uint32_t *count, text_t topic)
{
    assert_true(topic.size < sizeof(last_topic));
    (void)snprintf(last_topic, sizeof(last_topic), "%.*s", TEXT_PRINT(topic));
    (*count)++;
}

static void on_subscribed(void *context, text_t topic)
{
    assert_ptr_equal(context, &publisher);
    on_topic(&subscribed, topic);
}

static void on_unsubscribed(void *context, text_t topic)
{
    assert_ptr_equal(context, &publisher);
    on_topic(&unsubscribed, topic);
}

static int start(void **state)
{
    (void)state;
    subscribed = 0;
    unsubscribed = 0;
    assert_int_equal(loop_create(&loop), RESULT_OK);
    metrics = metrics_create("test");
    (void)snprintf(endpoint, sizeof(endpoint), "ipc:///tmp/events-test-%d", (int)getpid());
    assert_int_equal(events_publisher_create(loop, metrics, endpoint, -1, MESSAGES_MAX,
                                             on_subscribed, on_unsubscribed, &publisher,
                                             &publisher),
                     RESULT_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    events_publisher_destroy(&publisher);
    loop_destroy(&loop);
    metrics_destroy(&metrics);
    (void)unlink(endpoint + sizeof("ipc://") - 1);
    return 0;
}

static void until(const uint32_t *count, uint32_t wanted)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (*(const volatile uint32_t *)count < wanted) {
        zmq_client_turn(loop);
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
}

static void subscribe(zmq_client_t *client, const char *topic)
{
    assert_int_equal(zmq_setsockopt(client->socket, ZMQ_SUBSCRIBE, topic, strlen(topic)), 0);
}

static void publish(const char *topic, const char *header, const char *body)
{
    assert_int_equal(events_publisher_send(publisher, text_from_c(topic), (const uint8_t *)header,
                                           strlen(header), (const uint8_t *)body, strlen(body)),
                     RESULT_OK);
}

static void subscriber_gets_the_frames_of_its_tenant(void **state)
{
    (void)state;
    zmq_client_t client;
    zmq_client_open(&client, loop, ZMQ_SUB, endpoint);
    subscribe(&client, "digitalcard.acme.");
    until(&subscribed, 1);
    assert_string_equal(last_topic, "digitalcard.acme.");
    publish("digitalcard.acme2.CardIssued", "h0", "b0");
    publish("digitalcard.acme.CardIssued", "h1", "b1");
    publish("digitalcard.acme.CardRevoked", "h2", "");
    zmq_client_read(&client);
    assert_int_equal(client.count, 3);
    assert_memory_equal(client.frames[0], "digitalcard.acme.CardIssued", client.sizes[0]);
    assert_memory_equal(client.frames[1], "h1", 2);
    assert_memory_equal(client.frames[2], "b1", 2);
    zmq_client_read(&client);
    assert_memory_equal(client.frames[1], "h2", 2);
    assert_int_equal(client.sizes[2], 0);
    zmq_client_close(&client);
}

static void every_subscription_is_reported_also_repeated_ones(void **state)
{
    (void)state;
    zmq_client_t clients[3];
    for (uint32_t i = 0; i < 3; i++) {
        zmq_client_open(&clients[i], loop, ZMQ_SUB, endpoint);
        subscribe(&clients[i], "digitalcard.acme.");
        until(&subscribed, i + 1);
    }
    for (uint32_t i = 0; i < 3; i++) {
        zmq_client_close(&clients[i]);
        until(&unsubscribed, i + 1);
    }
    assert_string_equal(last_topic, "digitalcard.acme.");
}

static void long_prefixes_and_foreign_frames_are_ignored(void **state)
{
    (void)state;
    char prefix[LIMIT_EVENT_PREFIX_SIZE + 2];
    memset(prefix, 'a', sizeof(prefix) - 1);
    prefix[sizeof(prefix) - 1] = '\0';
    zmq_client_t client;
    zmq_client_open(&client, loop, ZMQ_XSUB, endpoint);
    char frame[LIMIT_EVENT_PREFIX_SIZE + 3] = "\x01";
    memcpy(frame + 1, prefix, sizeof(prefix) - 1);
    zmq_client_send(&client, frame, sizeof(prefix), false);
    zmq_client_send(&client, "\x07hello", 6, false);
    zmq_client_send(&client, "\x01good", 5, false);
    until(&subscribed, 1);
    assert_string_equal(last_topic, "good");
    assert_int_equal(subscribed, 1);
    zmq_client_close(&client);
}

static void sending_to_nobody_is_no_error(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        publish("digitalcard.acme.CardIssued", "h", "b");
    }
}

/* The value of a metric in what is printed of them. */
static long counted(const char *name)
{
    static char text[65536];
    const size_t size = metrics_print(metrics, text, sizeof text - 1);
    assert_true(size < sizeof text);
    text[size] = '\0';
    const char *const line = strstr(text, name);
    assert_non_null(line);
    return strtol(strchr(line, ' ') + 1, NULL, 10);
}

static void who_does_not_read_misses_and_is_counted_and_nobody_else_misses(void **state)
{
    (void)state;
    zmq_client_t lazy;
    zmq_client_t eager;
    zmq_client_open(&lazy, loop, ZMQ_SUB, endpoint);
    zmq_client_open(&eager, loop, ZMQ_SUB, endpoint);
    subscribe(&lazy, "digitalcard.");
    subscribe(&eager, "digitalcard.");
    until(&subscribed, 2);
    static char body[8192];
    memset(body, 'b', sizeof body - 1);
    uint32_t sent = 0;
    while (counted("\ndigitalcard_events_subscriber_overflows_total") == 0) {
        publish("digitalcard.acme.CardIssued", "h", body);
        zmq_client_read(&eager); /* each of them */
        assert_int_equal(eager.count, 3);
        sent++;
        assert_true(sent < 100000);
    }
    for (int i = 0; i < 3 * MESSAGES_MAX; i++) {
        publish("digitalcard.acme.CardIssued", "h", body);
        zmq_client_read(&eager);
    }
    /* ZeroMQ's thread may make room for some messages once more; it is not each of them. */
    const long overflows = counted("\ndigitalcard_events_subscriber_overflows_total");
    assert_true(overflows >= 1 && overflows < MESSAGES_MAX);
    assert_int_equal(counted("\ndigitalcard_events_unsent_total"), 0);
    zmq_client_close(&lazy);
    zmq_client_close(&eager);
}

static void an_endpoint_that_cannot_be_bound_is_told(void **state)
{
    (void)state;
    events_publisher_t *second = NULL;
    assert_int_equal(events_publisher_create(loop, metrics, "nonsense://x", -1, MESSAGES_MAX,
                                             on_subscribed, on_unsubscribed, NULL, &second),
                     RESULT_INVALID_ARGUMENT);
    assert_null(second);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH(subscriber_gets_the_frames_of_its_tenant),
        WITH(every_subscription_is_reported_also_repeated_ones),
        WITH(long_prefixes_and_foreign_frames_are_ignored),
        WITH(sending_to_nobody_is_no_error),
        WITH(who_does_not_read_misses_and_is_counted_and_nobody_else_misses),
        WITH(an_endpoint_that_cannot_be_bound_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
