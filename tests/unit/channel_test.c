/* Channels: envelopes arrive whole, in order, once; batches per turn; peers that come and go; and
 * messages that are no batch at all. What is the same whatever carries the messages runs over
 * ZeroMQ and over a local socket; what only the latter does: channel_local_test.c. */
#include "runtime/channel_batch.h"
#include "runtime/channel_internal.h"
#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/zsocket.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

enum { WATCHDOG_MS = 20000, ECHOES = 100000 };

static void stuck(void *context)
{
    (void)context;
    fail_msg("no progress: an envelope was lost or left unseen");
}

static void stop_loop(void *context)
{
    loop_stop(context);
}

typedef struct fixture {
    loop_t *loop;
    loop_timer_t *watchdog;
    const char *scheme; /* "ipc" (ZeroMQ) or "unix" (a local socket) */
    char directory[32];
    char endpoint[64];
    channel_server_t *server;
    channel_client_t *client;
    uint32_t server_received;
    uint32_t client_received;
    uint32_t client_expected; /* then the loop stops */
    uint32_t server_expected;
    uint32_t last_peer;
    size_t last_size;
    bool echoes;
    uint8_t *last; /* copy of what came last */
} fixture_t;

static void remember(fixture_t *fixture, const uint8_t *envelope, size_t size)
{
    free(fixture->last);
    fixture->last = malloc(size);
    assert_non_null(fixture->last);
    memcpy(fixture->last, envelope, size);
    fixture->last_size = size;
}

static void server_receive(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    fixture->last_peer = peer;
    fixture->server_received++;
    if (fixture->echoes) {
        assert_int_equal(channel_server_send(fixture->server, peer, envelope, size), RESULT_OK);
    } else {
        remember(fixture, envelope, size);
    }
    if (fixture->server_received == fixture->server_expected) {
        loop_stop(fixture->loop);
    }
}

static void client_receive(void *context, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    fixture->client_received++;
    remember(fixture, envelope, size);
    if (fixture->client_received == fixture->client_expected) {
        loop_stop(fixture->loop);
    }
}

static int setup(void **state)
{
    fixture_t *const fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    log_start("test", LOG_ERROR_LEVEL);
    fixture->scheme = *state;
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    (void)snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/channel_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    (void)snprintf(fixture->endpoint, sizeof(fixture->endpoint), "%s://%s/s", fixture->scheme,
                   fixture->directory);
    fixture->watchdog = loop_timer_create(fixture->loop, stuck, NULL);
    loop_timer_start(fixture->watchdog, WATCHDOG_MS, 0);
    assert_int_equal(channel_server_create(fixture->loop, fixture->endpoint, server_receive,
                                           fixture, &fixture->server),
                     RESULT_OK);
    assert_int_equal(
        channel_client_create(fixture->loop, client_receive, fixture, &fixture->client), RESULT_OK);
    *state = fixture;
    return 0;
}

/* Makes room for another server, at another file: when ZeroMQ is done with the old one is its own
 * affair. */
static void server_leave(fixture_t *fixture)
{
    channel_server_destroy(&fixture->server);
    (void)unlink(strchr(fixture->endpoint, '/') + 2);
    (void)snprintf(fixture->endpoint, sizeof(fixture->endpoint), "%s://%s/another", fixture->scheme,
                   fixture->directory);
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    channel_client_destroy(&fixture->client);
    channel_server_destroy(&fixture->server);
    assert_null(fixture->client);
    assert_null(fixture->server);
    loop_timer_destroy(&fixture->watchdog);
    loop_destroy(&fixture->loop);
    (void)unlink(strchr(fixture->endpoint, '/') + 2);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture->last);
    free(fixture);
    return 0;
}

static result_t send_number(channel_client_t *client, uint32_t number)
{
    return channel_client_send(client, (const uint8_t *)&number, sizeof(number));
}

static void run_until(fixture_t *fixture, uint32_t server_expected, uint32_t client_expected)
{
    fixture->server_expected = server_expected;
    fixture->client_expected = client_expected;
    loop_run(fixture->loop);
}

static void channel_carries_envelopes_both_ways(void **state)
{
    fixture_t *const fixture = *state;
    fixture->echoes = true;
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    assert_int_equal(channel_client_send(fixture->client, (const uint8_t *)"hello", 5), RESULT_OK);
    run_until(fixture, 0, 1);
    assert_int_equal(fixture->last_size, 5);
    assert_memory_equal(fixture->last, "hello", 5);
    assert_int_equal(channel_client_dropped(fixture->client), 0);
    assert_int_equal(channel_server_dropped(fixture->server), 0);
}

static void channel_client_connects_before_the_server_exists(void **state)
{
    fixture_t *const fixture = *state;
    server_leave(fixture);
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    assert_int_equal(send_number(fixture->client, 7), RESULT_OK);
    loop_timer_t *timer = loop_timer_create(fixture->loop, stop_loop, fixture->loop);
    loop_timer_start(timer, 20, 0); /* some attempts fail */
    loop_run(fixture->loop);
    loop_timer_destroy(&timer);
    fixture->echoes = true;
    assert_int_equal(channel_server_create(fixture->loop, fixture->endpoint, server_receive,
                                           fixture, &fixture->server),
                     RESULT_OK);
    run_until(fixture, 0, 1);
    assert_int_equal(fixture->last_size, sizeof(uint32_t));
}

static void channel_client_without_a_connection_is_unavailable(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(send_number(fixture->client, 1), RESULT_UNAVAILABLE);
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    assert_int_equal(send_number(fixture->client, 2), RESULT_OK);
    channel_client_disconnect(fixture->client); /* 2 is forgotten */
    assert_int_equal(send_number(fixture->client, 3), RESULT_UNAVAILABLE);
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    assert_int_equal(send_number(fixture->client, 4), RESULT_OK);
    run_until(fixture, 1, 0);
    uint32_t number = 0;
    memcpy(&number, fixture->last, sizeof(number));
    assert_int_equal(number, 4);
}

static void channel_refuses_empty_and_too_large_envelopes(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    assert_int_equal(channel_client_send(fixture->client, (const uint8_t *)"", 0),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(channel_client_send(fixture->client, (const uint8_t *)"",
                                         (size_t)LIMIT_CHANNEL_ENVELOPE_SIZE + 1),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(channel_server_send(fixture->server, 0, (const uint8_t *)"", 0),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(channel_server_send(fixture->server, 0, (const uint8_t *)"x", 1),
                     RESULT_MISSING);
}

static void channel_carries_the_largest_envelope_among_small_ones(void **state)
{
    fixture_t *const fixture = *state;
    fixture->echoes = true;
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    uint8_t *const large = malloc(LIMIT_CHANNEL_ENVELOPE_SIZE);
    assert_non_null(large);
    for (size_t index = 0; index < LIMIT_CHANNEL_ENVELOPE_SIZE; index++) {
        large[index] = (uint8_t)(index * 31 + index / 251);
    }
    assert_int_equal(send_number(fixture->client, 1), RESULT_OK);
    assert_int_equal(channel_client_send(fixture->client, large, LIMIT_CHANNEL_ENVELOPE_SIZE),
                     RESULT_OK);
    run_until(fixture, 0, 2);
    assert_int_equal(fixture->last_size, LIMIT_CHANNEL_ENVELOPE_SIZE);
    assert_memory_equal(fixture->last, large, LIMIT_CHANNEL_ENVELOPE_SIZE);
    assert_int_equal(send_number(fixture->client, 2), RESULT_OK);
    run_until(fixture, 0, 3);
    assert_int_equal(fixture->last_size, sizeof(uint32_t));
    free(large);
}

static void channel_splits_a_turn_beyond_the_batch_size(void **state)
{
    fixture_t *const fixture = *state;
    fixture->echoes = true;
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    enum { SIZE = 300000, COUNT = 40 }; /* 12 MB: three batches */
    uint8_t *const envelope = calloc(1, SIZE);
    assert_non_null(envelope);
    for (int count = 0; count < COUNT; count++) {
        assert_int_equal(channel_client_send(fixture->client, envelope, SIZE), RESULT_OK);
    }
    run_until(fixture, 0, COUNT);
    assert_int_equal(fixture->server_received, COUNT);
    free(envelope);
}

/* --- Many envelopes, two threads --- */

typedef struct echo_thread {
    const char *endpoint;
    loop_t *loop;
    channel_client_t *client;
    loop_hook_t *hook;
    uint32_t sent;
    uint32_t received;
    bool is_in_order;
} echo_thread_t;

enum { ECHO_WINDOW = 1000 };

static void echo_receive(void *context, const uint8_t *envelope, size_t size)
{
    echo_thread_t *const echo = context;
    uint32_t number = 0;
    memcpy(&number, envelope, sizeof(number));
    echo->is_in_order = echo->is_in_order && size == sizeof(number) && number == echo->received;
    echo->received++;
    if (echo->received == ECHOES) {
        loop_stop(echo->loop);
    }
}

static void echo_send(void *context)
{
    echo_thread_t *const echo = context;
    while (echo->sent < ECHOES && echo->sent - echo->received < ECHO_WINDOW) {
        if (send_number(echo->client, echo->sent) != RESULT_OK) {
            return;
        }
        echo->sent++;
    }
}

static void *echo_main(void *context)
{
    echo_thread_t *const echo = context;
    echo->is_in_order =
        loop_create(&echo->loop) == RESULT_OK &&
        channel_client_create(echo->loop, echo_receive, echo, &echo->client) == RESULT_OK &&
        channel_client_connect(echo->client, echo->endpoint) == RESULT_OK;
    echo->hook = loop_hook_create(echo->loop, echo_send, echo);
    loop_run(echo->loop);
    loop_hook_destroy(&echo->hook);
    channel_client_destroy(&echo->client);
    loop_destroy(&echo->loop);
    return NULL;
}

static void channel_keeps_order_between_threads_and_loses_nothing(void **state)
{
    fixture_t *const fixture = *state;
    fixture->echoes = true;
    echo_thread_t echoes[2] = {{.endpoint = fixture->endpoint}, {.endpoint = fixture->endpoint}};
    pthread_t threads[2];
    for (int index = 0; index < 2; index++) {
        assert_int_equal(pthread_create(&threads[index], NULL, echo_main, &echoes[index]), 0);
    }
    run_until(fixture, 2 * ECHOES, 0);
    fixture->server_expected = 0;
    loop_timer_t *timer = loop_timer_create(fixture->loop, stop_loop, fixture->loop);
    loop_timer_start(timer, 1, 0); /* the last echoes leave at the end of a turn */
    loop_run(fixture->loop);
    loop_timer_destroy(&timer);
    for (int index = 0; index < 2; index++) {
        pthread_join(threads[index], NULL);
        assert_int_equal(echoes[index].received, ECHOES);
        assert_true(echoes[index].is_in_order);
    }
    assert_int_equal(channel_server_dropped(fixture->server), 0);
}

/* --- Peers that go, and too many of them --- */

static void channel_peer_that_is_gone_is_missing_and_gets_a_new_number(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    assert_int_equal(send_number(fixture->client, 1), RESULT_OK);
    run_until(fixture, 1, 0);
    const uint32_t old_peer = fixture->last_peer;
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    assert_int_equal(send_number(fixture->client, 2), RESULT_OK);
    run_until(fixture, 2, 0);
    assert_int_not_equal(fixture->last_peer, old_peer);
    uint64_t taken = 0;
    loop_timer_t *timer = loop_timer_create(fixture->loop, stop_loop, fixture->loop);
    result_t result = RESULT_OK;
    for (int turn = 0; turn < 1000 && result == RESULT_OK; turn++) {
        result = channel_server_send(fixture->server, old_peer, (const uint8_t *)"x", 1);
        taken += result == RESULT_OK ? 1 : 0;
        loop_timer_start(timer, 1, 0);
        loop_run(fixture->loop);
    }
    loop_timer_destroy(&timer);
    assert_int_equal(result, RESULT_MISSING);
    assert_true(channel_server_dropped(fixture->server) >= 1); /* found out at the flush */
    assert_true(channel_server_dropped(fixture->server) <= taken);
    fixture->client_received = 0;
    assert_int_equal(
        channel_server_send(fixture->server, fixture->last_peer, (const uint8_t *)"y", 1),
        RESULT_OK);
    run_until(fixture, 0, 1);
    assert_memory_equal(fixture->last, "y", 1);
}

static void channel_forgets_the_peer_silent_longest_when_there_are_too_many(void **state)
{
    fixture_t *const fixture = *state;
    log_start("test", LOG_ERROR_LEVEL);
    uint32_t first_peer = 0;
    for (uint32_t count = 0; count <= LIMIT_CHANNEL_PEERS; count++) {
        channel_client_t *client = NULL;
        assert_int_equal(channel_client_create(fixture->loop, client_receive, fixture, &client),
                         RESULT_OK);
        assert_int_equal(channel_client_connect(client, fixture->endpoint), RESULT_OK);
        assert_int_equal(send_number(client, count), RESULT_OK);
        run_until(fixture, count + 1, 0);
        first_peer = count == 0 ? fixture->last_peer : first_peer;
        channel_client_disconnect(client);
        channel_client_destroy(&client);
    }
    assert_int_equal(channel_server_send(fixture->server, first_peer, (const uint8_t *)"x", 1),
                     RESULT_MISSING);
    assert_int_equal(
        channel_server_send(fixture->server, fixture->last_peer, (const uint8_t *)"x", 1),
        RESULT_OK);
}

enum { FLOOD_MESSAGES_MAX = 2000 };

/* Sends to a peer that does not read until the server says busy, then lets it read. */
typedef struct flood {
    fixture_t *fixture;
    zsocket_t *reader;
    uint64_t turns;
    uint64_t taken;
    uint64_t read;
    bool was_busy;
} flood_t;

static void flood_read(void *context, const zframe_view_t *frames, size_t frame_count)
{
    flood_t *const flood = context;
    assert_int_equal(frame_count, 1);
    channel_reader_t reader = {frames[0].data, frames[0].size, false};
    const uint8_t *envelope = NULL;
    size_t size = 0;
    while (channel_reader_next(&reader, &envelope, &size)) {
        uint64_t number = 0;
        assert_int_equal(size, sizeof(number));
        memcpy(&number, envelope, sizeof(number));
        assert_int_equal(number, flood->read);
        flood->read++;
    }
    assert_false(reader.is_malformed);
    if (flood->was_busy && flood->read == flood->taken) {
        loop_stop(flood->fixture->loop);
    }
}

static void flood_send(void *context)
{
    flood_t *const flood = context;
    /* One message for each turn fills ZeroMQ, then all at once fills the batch. */
    const uint64_t count = flood->turns < FLOOD_MESSAGES_MAX ? 1 : 10000;
    for (uint64_t sent = 0; sent < count && !flood->was_busy; sent++) {
        const result_t result =
            channel_server_send(flood->fixture->server, flood->fixture->last_peer,
                                (const uint8_t *)&flood->taken, sizeof(flood->taken));
        assert_true(result == RESULT_OK || result == RESULT_BUSY);
        flood->taken += result == RESULT_OK ? 1 : 0;
        if (result == RESULT_BUSY) {
            flood->was_busy = true;
            zsocket_pause(flood->reader, false);
        }
    }
    flood->turns++;
    if (!flood->was_busy) {
        loop_again(flood->fixture->loop);
    }
}

static void channel_server_is_busy_when_a_peer_does_not_read_and_loses_nothing(void **state)
{
    fixture_t *const fixture = *state;
    const zsocket_options_t options = {.type = ZMQ_DEALER,
                                       .send_messages_max = 10,
                                       .receive_messages_max = 1,
                                       .message_size_max = CHANNEL_MESSAGE_SIZE_MAX,
                                       .use_fd = -1};
    flood_t flood = {.fixture = fixture};
    server_leave(fixture);
    assert_int_equal(channel_server_create_bounded(fixture->loop, fixture->endpoint,
                                                   FLOOD_MESSAGES_MAX, server_receive, fixture,
                                                   &fixture->server),
                     RESULT_OK);
    assert_int_equal(zsocket_create(fixture->loop, &options, flood_read, &flood, &flood.reader),
                     RESULT_OK);
    zsocket_pause(flood.reader, true);
    assert_int_equal(zsocket_connect(flood.reader, fixture->endpoint), RESULT_OK);
    const zframe_view_t hello = {"\x01\0\0\0!", 5};
    assert_int_equal(zsocket_send(flood.reader, &hello, 1), RESULT_OK);
    run_until(fixture, 1, 0);
    loop_hook_t *hook = loop_hook_create(fixture->loop, flood_send, &flood);
    loop_run(fixture->loop);
    assert_true(flood.was_busy);
    assert_int_equal(flood.read, flood.taken);
    assert_int_equal(channel_server_dropped(fixture->server), 0);
    loop_hook_destroy(&hook);
    zsocket_destroy(&flood.reader);
}

/* --- Turns that follow each other --- */

typedef struct trickle {
    fixture_t *fixture;
    zsocket_t *reader;
    uint32_t turns; /* each with one envelope more */
    uint32_t envelopes;
    uint32_t messages;
    uint32_t first_count; /* envelopes in the first message */
    bool goes_on;         /* the loop does not wait between the turns */
} trickle_t;

static void trickle_send(void *context)
{
    trickle_t *const trickle = context;
    if (trickle->turns > 0) {
        trickle->turns--;
        assert_int_equal(channel_client_send(trickle->fixture->client, (const uint8_t *)"t", 1),
                         RESULT_OK);
    }
}

static void trickle_read(void *context, const zframe_view_t *frames, size_t frame_count)
{
    trickle_t *const trickle = context;
    const zframe_view_t *const batch = &frames[frame_count - 1]; /* after the name of the sender */
    channel_reader_t reader = {batch->data, batch->size, false};
    const uint8_t *envelope = NULL;
    size_t size = 0;
    while (channel_reader_next(&reader, &envelope, &size)) {
        trickle->envelopes++;
    }
    trickle->messages++;
    trickle->first_count = trickle->messages == 1 ? trickle->envelopes : trickle->first_count;
    if (trickle->envelopes == LIMIT_CHANNEL_GATHER + 5) {
        loop_stop(trickle->fixture->loop);
    }
}

/* LIMIT_CHANNEL_GATHER + 5 turns with an envelope each, to a socket that counts messages. */
static void trickle_run(trickle_t *trickle)
{
    fixture_t *const fixture = trickle->fixture;
    const zsocket_options_t options = {.type = ZMQ_ROUTER,
                                       .send_messages_max = 10,
                                       .receive_messages_max = 1000,
                                       .message_size_max = CHANNEL_MESSAGE_SIZE_MAX,
                                       .use_fd = -1};
    server_leave(fixture);
    trickle->turns = LIMIT_CHANNEL_GATHER + 5;
    assert_int_equal(
        zsocket_create(fixture->loop, &options, trickle_read, trickle, &trickle->reader),
        RESULT_OK);
    assert_int_equal(zsocket_bind(trickle->reader, fixture->endpoint), RESULT_OK);
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    loop_hook_t *hook = loop_hook_create(fixture->loop, trickle_send, trickle);
    loop_run(fixture->loop);
    loop_hook_destroy(&hook);
    zsocket_destroy(&trickle->reader);
}

static void channel_client_gathers_while_each_turn_brings_more(void **state)
{
    trickle_t trickle = {.fixture = *state};
    trickle_run(&trickle);
    assert_int_equal(trickle.first_count, LIMIT_CHANNEL_GATHER);
    assert_int_equal(trickle.messages, 2);
}

/* A slow machine takes longer and may send more messages: what is asserted holds at any speed. */
static void paced_channel_client_sends_at_once_and_then_one_message_per_interval(void **state)
{
    enum { INTERVAL_MS = 20 };
    fixture_t *const fixture = *state;
    trickle_t trickle = {.fixture = fixture, .goes_on = true};
    channel_client_pace(fixture->client, INTERVAL_MS);
    const uint64_t begin_ms = clock_monotonic_ms();
    trickle_run(&trickle);
    const uint64_t elapsed_ms = clock_monotonic_ms() - begin_ms;
    assert_int_equal(trickle.first_count, 1);
    assert_true(trickle.messages >= 2);
    assert_true(trickle.messages <= 2 + elapsed_ms / INTERVAL_MS);
}

/* --- Callbacks that end what called them --- */

static void receive_and_destroy(void *context, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    fixture->client_received++;
    channel_client_destroy(&fixture->client);
    remember(fixture, envelope, size); /* still valid */
    loop_stop(fixture->loop);
}

static void channel_client_may_be_destroyed_by_its_receiver(void **state)
{
    fixture_t *const fixture = *state;
    fixture->echoes = true;
    channel_client_destroy(&fixture->client);
    assert_int_equal(
        channel_client_create(fixture->loop, receive_and_destroy, fixture, &fixture->client),
        RESULT_OK);
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    for (uint32_t number = 0; number < 5; number++) {
        assert_int_equal(send_number(fixture->client, number), RESULT_OK);
    }
    loop_run(fixture->loop);
    assert_int_equal(fixture->client_received, 1); /* the other four came in the same message */
}

static void receive_and_disconnect(void *context, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    fixture->client_received++;
    channel_client_disconnect(fixture->client);
    remember(fixture, envelope, size);
    loop_stop(fixture->loop);
}

static void channel_client_hears_nothing_of_a_connection_it_left(void **state)
{
    fixture_t *const fixture = *state;
    fixture->echoes = true;
    channel_client_destroy(&fixture->client);
    assert_int_equal(
        channel_client_create(fixture->loop, receive_and_disconnect, fixture, &fixture->client),
        RESULT_OK);
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    for (uint32_t number = 0; number < 5; number++) {
        assert_int_equal(send_number(fixture->client, number), RESULT_OK);
    }
    loop_run(fixture->loop);
    assert_int_equal(fixture->client_received, 1);
}

static void server_receive_and_destroy(void *context, uint32_t peer, const uint8_t *envelope,
                                       size_t size)
{
    fixture_t *const fixture = context;
    fixture->server_received++;
    assert_int_equal(channel_server_send(fixture->server, peer, envelope, size), RESULT_OK);
    channel_server_destroy(&fixture->server);
}

static void channel_server_may_be_destroyed_by_its_receiver_and_flushes(void **state)
{
    fixture_t *const fixture = *state;
    server_leave(fixture);
    assert_int_equal(channel_server_create(fixture->loop, fixture->endpoint,
                                           server_receive_and_destroy, fixture, &fixture->server),
                     RESULT_OK);
    assert_int_equal(channel_client_connect(fixture->client, fixture->endpoint), RESULT_OK);
    for (uint32_t number = 10; number < 15; number++) {
        assert_int_equal(send_number(fixture->client, number), RESULT_OK);
    }
    run_until(fixture, 0, 1); /* the echo of the first arrives though its sender is gone */
    assert_int_equal(fixture->server_received, 1);
    assert_null(fixture->server);
}

/* --- Framing --- */

static void channel_reader_stops_at_whatever_is_no_envelope(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        uint32_t envelopes;
        bool is_malformed;
    } cases[] = {
        {"", 0, 0, false},
        {"\x01\0\0\0a", 5, 1, false},
        {"\x01\0\0\0a\x02\0\0\0bc", 11, 2, false},
        {"\x01\0\0\0a\x02\0\0\0b", 10, 1, true}, /* cut */
        {"\x01\0\0\0a\x02\0\0", 8, 1, true},     /* cut within a size */
        {"\x01\0\0", 3, 0, true},
        {"\0\0\0\0", 4, 0, true}, /* empty envelope */
        {"\xff\xff\xff\xff....", 8, 0, true},
        {"\x05\0\0\0abcd", 8, 0, true},
        {"\x01\x00\xa0\x00.....", 9, 0, true}, /* LIMIT_CHANNEL_ENVELOPE_SIZE + 1 */
    };
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        uint8_t *const exact = malloc(cases[index].size + 1); /* so that ASan sees the end */
        assert_non_null(exact);
        memcpy(exact, cases[index].bytes, cases[index].size);
        channel_reader_t reader = {exact, cases[index].size, false};
        const uint8_t *envelope = NULL;
        size_t size = 0;
        uint32_t count = 0;
        while (channel_reader_next(&reader, &envelope, &size)) {
            count++;
        }
        assert_int_equal(count, cases[index].envelopes);
        assert_int_equal(reader.is_malformed, cases[index].is_malformed);
        free(exact);
    }
}

static void channel_server_counts_malformed_messages_and_goes_on(void **state)
{
    fixture_t *const fixture = *state;
    const zsocket_options_t options = {.type = ZMQ_DEALER,
                                       .send_messages_max = 10,
                                       .receive_messages_max = 10,
                                       .message_size_max = 1000,
                                       .use_fd = -1};
    zsocket_t *stranger = NULL;
    assert_int_equal(zsocket_create(fixture->loop, &options, NULL, NULL, &stranger), RESULT_OK);
    assert_int_equal(zsocket_connect(stranger, fixture->endpoint), RESULT_OK);
    const zframe_view_t cut = {"\x01\0\0\0a\x09\0\0\0b", 10};
    const zframe_view_t two_frames[] = {{"\x01\0\0\0a", 5}, {"\x01\0\0\0a", 5}};
    const zframe_view_t good = {"\x01\0\0\0z", 5};
    assert_int_equal(zsocket_send(stranger, &cut, 1), RESULT_OK);
    assert_int_equal(zsocket_send(stranger, two_frames, 2), RESULT_OK);
    assert_int_equal(zsocket_send(stranger, &good, 1), RESULT_OK);
    run_until(fixture, 2, 0);
    assert_int_equal(channel_server_dropped(fixture->server), 2);
    assert_memory_equal(fixture->last, "z", 1);
    zsocket_destroy(&stranger);
}

#define ZMQ_TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, "ipc")
#define LOCAL_TEST(name)                                                                           \
    {                                                                                              \
#name " over a local socket", name, setup, teardown, "unix"                                \
    }
#define CHANNEL_TEST(name) ZMQ_TEST(name), LOCAL_TEST(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANNEL_TEST(channel_carries_envelopes_both_ways),
        CHANNEL_TEST(channel_client_connects_before_the_server_exists),
        CHANNEL_TEST(channel_client_without_a_connection_is_unavailable),
        CHANNEL_TEST(channel_refuses_empty_and_too_large_envelopes),
        CHANNEL_TEST(channel_carries_the_largest_envelope_among_small_ones),
        CHANNEL_TEST(channel_splits_a_turn_beyond_the_batch_size),
        CHANNEL_TEST(channel_keeps_order_between_threads_and_loses_nothing),
        CHANNEL_TEST(channel_peer_that_is_gone_is_missing_and_gets_a_new_number),
        CHANNEL_TEST(channel_forgets_the_peer_silent_longest_when_there_are_too_many),
        ZMQ_TEST(channel_server_is_busy_when_a_peer_does_not_read_and_loses_nothing),
        ZMQ_TEST(channel_client_gathers_while_each_turn_brings_more),
        ZMQ_TEST(paced_channel_client_sends_at_once_and_then_one_message_per_interval),
        CHANNEL_TEST(channel_client_may_be_destroyed_by_its_receiver),
        CHANNEL_TEST(channel_client_hears_nothing_of_a_connection_it_left),
        CHANNEL_TEST(channel_server_may_be_destroyed_by_its_receiver_and_flushes),
        cmocka_unit_test(channel_reader_stops_at_whatever_is_no_envelope),
        ZMQ_TEST(channel_server_counts_malformed_messages_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
