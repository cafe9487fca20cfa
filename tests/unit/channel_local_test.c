/* Channels over `unix://`: what a stream of bytes does to messages, peers that do not read, and
 * peers that send nonsense. The other ends are bare sockets. */
#include "runtime/channel.h"
#include "runtime/channel_batch.h"
#include "runtime/limits.h"
#include "runtime/log.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { WATCHDOG_MS = 20000, LARGE_SIZE = 1000000, READ_SIZE = 65536 };

typedef struct fixture {
    loop_t *loop;
    loop_timer_t *watchdog;
    char directory[40];
    char path[64];
    char endpoint[80];
    channel_server_t *server;
    uint32_t received;
    uint32_t expected; /* then the loop stops */
    uint32_t last_peer;
    size_t last_size;
    uint8_t last_byte;
} fixture_t;

static void stuck(void *context)
{
    (void)context;
    fail_msg("no progress: a message was lost or left unseen");
}

static void server_receive(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    fixture->received++;
    fixture->last_peer = peer;
    fixture->last_size = size;
    fixture->last_byte = envelope[size - 1];
    if (fixture->received == fixture->expected) {
        loop_stop(fixture->loop);
    }
}

static int setup(void **state)
{
    fixture_t *const fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    log_start("test", LOG_SILENT_LEVEL);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    (void)snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/channel_local.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/s", fixture->directory);
    (void)snprintf(fixture->endpoint, sizeof(fixture->endpoint), "unix://%s", fixture->path);
    fixture->watchdog = loop_timer_create(fixture->loop, stuck, NULL);
    loop_timer_start(fixture->watchdog, WATCHDOG_MS, 0);
    assert_int_equal(channel_server_create(fixture->loop, fixture->endpoint, server_receive,
                                           fixture, &fixture->server),
                     RESULT_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    channel_server_destroy(&fixture->server);
    loop_timer_destroy(&fixture->watchdog);
    loop_destroy(&fixture->loop);
    assert_int_equal(rmdir(fixture->directory), 0); /* the socket's file went with the server */
    free(fixture);
    return 0;
}

static void run_until(fixture_t *fixture, uint32_t expected)
{
    fixture->expected = expected;
    loop_run(fixture->loop);
}

static struct sockaddr_un address_of(const fixture_t *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
    return address;
}

/* A bare peer of the server, which blocks. */
static int stranger_connect(const fixture_t *fixture)
{
    const struct sockaddr_un address = address_of(fixture);
    const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof(address)), 0);
    return descriptor;
}

static void stranger_send(int descriptor, const void *bytes, size_t size)
{
    assert_int_equal(send(descriptor, bytes, size, MSG_NOSIGNAL), size);
}

/* A message of one envelope of one byte. */
static void stranger_say(int descriptor, char byte)
{
    const uint8_t message[] = {5, 0, 0, 0, 1, 0, 0, 0, (uint8_t)byte};
    stranger_send(descriptor, message, sizeof(message));
}

typedef struct dribble {
    fixture_t *fixture;
    int descriptor;
    const uint8_t *bytes;
    size_t size;
    size_t sent;
} dribble_t;

static void dribble_next(void *context)
{
    dribble_t *const dribble = context;
    if (dribble->sent < dribble->size) {
        stranger_send(dribble->descriptor, dribble->bytes + dribble->sent, 1);
        dribble->sent++;
        loop_again(dribble->fixture->loop);
    }
}

static void message_that_comes_byte_by_byte_is_whole(void **state)
{
    fixture_t *const fixture = *state;
    static const uint8_t messages[] = {10, 0,   0, 0, 1, 0, 0, 0, 'a', 1, 0,  0,
                                       0,  'b', 5, 0, 0, 0, 1, 0, 0,   0, 'c'};
    dribble_t dribble = {fixture, stranger_connect(fixture), messages, sizeof(messages), 0};
    loop_hook_t *hook = loop_hook_create(fixture->loop, dribble_next, &dribble);
    run_until(fixture, 3);
    assert_int_equal(dribble.sent, sizeof(messages));
    assert_int_equal(fixture->last_byte, 'c');
    assert_int_equal(channel_server_dropped(fixture->server), 0);
    loop_hook_destroy(&hook);
    (void)close(dribble.descriptor);
}

/* The server ends that connection, and that one alone. */
static void assert_turned_away(fixture_t *fixture, const void *bytes, size_t size)
{
    char byte = 0;
    const int bad = stranger_connect(fixture);
    const int good = stranger_connect(fixture);
    stranger_send(bad, bytes, size);
    stranger_say(good, 'g');
    run_until(fixture, fixture->received + 1);
    stranger_say(good, 'h'); /* a turn after the nonsense was read */
    run_until(fixture, fixture->received + 1);
    assert_int_equal(fixture->last_byte, 'h');
    assert_true(recv(bad, &byte, 1, 0) <= 0); /* the end, or a reset for what was not read */
    (void)close(bad);
    (void)close(good);
}

static void peer_that_sends_no_messages_is_turned_away_alone(void **state)
{
    fixture_t *const fixture = *state;
    assert_turned_away(fixture, "\0\0\0\0", 4);
    assert_turned_away(fixture, "\xff\xff\xff\xff", 4);
    assert_turned_away(fixture, "GET / HTTP/1.1\r\n\r\n", 18);
}

static void peer_that_left_is_missing(void **state)
{
    fixture_t *const fixture = *state;
    const int leaving = stranger_connect(fixture);
    stranger_say(leaving, 'a');
    run_until(fixture, 1);
    const uint32_t left = fixture->last_peer;
    (void)close(leaving);
    const int staying = stranger_connect(fixture); /* its words are read after that end */
    stranger_say(staying, 'b');
    run_until(fixture, 2);
    stranger_say(staying, 'c');
    run_until(fixture, 3);
    (void)!channel_server_send(fixture->server, left, (const uint8_t *)"x", 1);
    stranger_say(staying, 'd'); /* a turn, in which that is found out */
    run_until(fixture, 4);
    assert_int_equal(channel_server_send(fixture->server, left, (const uint8_t *)"x", 1),
                     RESULT_MISSING);
    assert_int_equal(channel_server_dropped(fixture->server), 1);
    (void)close(staying);
}

/* One that dies with words of ours unread: the kernel reports an error beside what is still there.
 */
static void words_of_a_peer_that_died_unread_are_heard_to_the_end(void **state)
{
    enum { WORDS = 15, WORD_SIZE = 10000 }; /* more than is read in one turn */
    fixture_t *const fixture = *state;
    static uint8_t word[2 * CHANNEL_PREFIX_SIZE + WORD_SIZE];
    const uint8_t sizes[] = {(WORD_SIZE + 4) & 0xff, (WORD_SIZE + 4) >> 8, 0, 0,
                             WORD_SIZE & 0xff,       WORD_SIZE >> 8,       0, 0};
    memcpy(word, sizes, sizeof(sizes));
    const int dying = stranger_connect(fixture);
    const int staying = stranger_connect(fixture);
    stranger_say(dying, 'a');
    run_until(fixture, 1);
    const uint32_t died = fixture->last_peer;
    assert_int_equal(channel_server_send(fixture->server, died, (const uint8_t *)"x", 1),
                     RESULT_OK);
    stranger_say(staying, 'b'); /* the answer leaves */
    run_until(fixture, 2);
    for (int count = 0; count < WORDS; count++) {
        stranger_send(dying, word, sizeof(word));
    }
    (void)close(dying);
    run_until(fixture, 2 + WORDS);
    assert_int_equal(fixture->last_size, WORD_SIZE);
    for (uint32_t turn = 1; turn <= 3; turn++) { /* its end, and a send that finds it */
        (void)!channel_server_send(fixture->server, died, (const uint8_t *)"x", 1);
        stranger_say(staying, 'c');
        run_until(fixture, 2 + WORDS + turn);
    }
    assert_int_equal(channel_server_send(fixture->server, died, (const uint8_t *)"x", 1),
                     RESULT_MISSING);
    (void)close(staying);
}

/* --- A peer that does not read --- */

typedef struct flood {
    fixture_t *fixture;
    int descriptor;
    uint8_t *envelope;
    uint64_t taken;
    uint64_t bytes_read;
    uint64_t bytes_expected;
    bool was_busy;
} flood_t;

static void flood_turn(void *context)
{
    flood_t *const flood = context;
    static uint8_t place[READ_SIZE];
    loop_again(flood->fixture->loop);
    while (!flood->was_busy) {
        const result_t result = channel_server_send(
            flood->fixture->server, flood->fixture->last_peer, flood->envelope, LARGE_SIZE);
        assert_true(result == RESULT_OK || result == RESULT_BUSY);
        flood->was_busy = result == RESULT_BUSY;
        flood->taken += result == RESULT_OK ? 1 : 0;
    }
    const ssize_t size = recv(flood->descriptor, place, sizeof(place), MSG_DONTWAIT);
    assert_true(size > 0 || errno == EAGAIN);
    flood->bytes_read += size > 0 ? (uint64_t)size : 0;
    if (flood->bytes_read >= flood->taken * (LARGE_SIZE + CHANNEL_PREFIX_SIZE)) {
        loop_stop(flood->fixture->loop);
    }
}

static void server_is_busy_at_the_bound_and_loses_nothing(void **state)
{
    fixture_t *const fixture = *state;
    flood_t flood = {.fixture = fixture, .envelope = calloc(1, LARGE_SIZE)};
    assert_non_null(flood.envelope);
    flood.descriptor = stranger_connect(fixture);
    stranger_say(flood.descriptor, '!');
    run_until(fixture, 1);
    loop_hook_t *hook = loop_hook_create(fixture->loop, flood_turn, &flood);
    loop_run(fixture->loop);
    assert_true(flood.was_busy);
    assert_true(flood.taken * LARGE_SIZE >= LIMIT_CHANNEL_UNSENT_SIZE);
    assert_true(flood.taken * LARGE_SIZE <
                (uint64_t)LIMIT_CHANNEL_UNSENT_SIZE + 3 * LIMIT_CHANNEL_BATCH_SIZE);
    assert_int_equal(channel_server_dropped(fixture->server), 0);
    loop_hook_destroy(&hook);
    (void)close(flood.descriptor);
    free(flood.envelope);
}

static void *read_to_the_end(void *context)
{
    flood_t *const flood = context;
    static uint8_t place[READ_SIZE];
    ssize_t size = 0;
    do {
        size = recv(flood->descriptor, place, sizeof(place), 0);
        flood->bytes_read += size > 0 ? (uint64_t)size : 0;
    } while (size > 0);
    return NULL;
}

/* Ten times what the kernel keeps: the end of the server waits for its reader. */
static void server_that_ends_says_what_it_had_to_say(void **state)
{
    fixture_t *const fixture = *state;
    pthread_t reader;
    flood_t flood = {.fixture = fixture, .envelope = calloc(1, LARGE_SIZE)};
    assert_non_null(flood.envelope);
    flood.descriptor = stranger_connect(fixture);
    stranger_say(flood.descriptor, '!');
    run_until(fixture, 1);
    for (int count = 0; count < 3; count++) {
        assert_int_equal(
            channel_server_send(fixture->server, fixture->last_peer, flood.envelope, LARGE_SIZE),
            RESULT_OK);
    }
    assert_int_equal(pthread_create(&reader, NULL, read_to_the_end, &flood), 0);
    channel_server_destroy(&fixture->server);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(flood.bytes_read, 4 + 3 * (LARGE_SIZE + CHANNEL_PREFIX_SIZE));
    (void)close(flood.descriptor);
    free(flood.envelope);
}

/* --- The connecting end --- */

static void ignore(void *context, const uint8_t *envelope, size_t size)
{
    (void)context;
    (void)envelope;
    (void)size;
}

static void client_connects_again_when_the_other_end_goes(void **state)
{
    fixture_t *const fixture = *state;
    channel_client_t *client = NULL;
    const struct sockaddr_un address = address_of(fixture);
    channel_server_destroy(&fixture->server);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(channel_client_create(fixture->loop, ignore, NULL, &client), RESULT_OK);
    assert_int_equal(channel_client_connect(client, fixture->endpoint), RESULT_OK);
    const int accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    (void)close(accepted);
    (void)close(listener); /* its file stays, as after a crash: the next one takes it over */
    assert_int_equal(channel_server_create(fixture->loop, fixture->endpoint, server_receive,
                                           fixture, &fixture->server),
                     RESULT_OK);
    assert_int_equal(channel_client_send(client, (const uint8_t *)"a", 1), RESULT_OK);
    run_until(fixture, 1);
    assert_int_equal(fixture->last_byte, 'a');
    channel_client_destroy(&client);
}

static void endpoint_that_is_no_path_is_refused(void **state)
{
    fixture_t *const fixture = *state;
    channel_client_t *client = NULL;
    channel_server_t *server = NULL;
    char endpoint[200] = "unix://";
    memset(endpoint + 7, 'x', sizeof(endpoint) - 8);
    const char *const bad[] = {"unix://", endpoint, "unix:///nowhere/at/all/s"};
    for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) {
        assert_int_equal(
            channel_server_create(fixture->loop, bad[index], server_receive, fixture, &server),
            RESULT_INVALID_ARGUMENT);
    }
    assert_int_equal(channel_client_create(fixture->loop, ignore, NULL, &client), RESULT_OK);
    assert_int_equal(channel_client_connect(client, endpoint), RESULT_INVALID_ARGUMENT);
    assert_int_equal(channel_client_send(client, (const uint8_t *)"a", 1), RESULT_UNAVAILABLE);
    channel_client_destroy(&client);
}

#define LOCAL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCAL_TEST(message_that_comes_byte_by_byte_is_whole),
        LOCAL_TEST(peer_that_sends_no_messages_is_turned_away_alone),
        LOCAL_TEST(peer_that_left_is_missing),
        LOCAL_TEST(words_of_a_peer_that_died_unread_are_heard_to_the_end),
        LOCAL_TEST(server_is_busy_at_the_bound_and_loses_nothing),
        LOCAL_TEST(server_that_ends_says_what_it_had_to_say),
        LOCAL_TEST(client_connects_again_when_the_other_end_goes),
        LOCAL_TEST(endpoint_that_is_no_path_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
