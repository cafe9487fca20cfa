/* ZeroMQ sockets on the loop: nothing stays unread, whatever the order of sends and receives. */
#include "runtime/limits.h"
#include "runtime/zsocket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

enum { MESSAGES = 100000, WATCHDOG_MS = 20000 };

static void stuck(void *context)
{
    (void)context;
    fail_msg("no progress: a message was left unseen");
}

typedef struct fixture {
    loop_t *loop;
    loop_timer_t *watchdog;
    char directory[32];
    char endpoint[64];
} fixture_t;

static fixture_t fixture_create(void)
{
    fixture_t fixture = {.directory = "/tmp/zsocket_test.XXXXXX"};
    assert_int_equal(loop_create(&fixture.loop), RESULT_OK);
    assert_non_null(mkdtemp(fixture.directory));
    (void)snprintf(fixture.endpoint, sizeof(fixture.endpoint), "ipc://%s/s", fixture.directory);
    fixture.watchdog = loop_timer_create(fixture.loop, stuck, NULL);
    loop_timer_start(fixture.watchdog, WATCHDOG_MS, 0);
    return fixture;
}

static void fixture_destroy(fixture_t *fixture)
{
    loop_timer_destroy(&fixture->watchdog);
    loop_destroy(&fixture->loop);
    (void)unlink(fixture->endpoint + strlen("ipc://"));
    assert_int_equal(rmdir(fixture->directory), 0);
}

static zsocket_options_t options_of(int type)
{
    return (zsocket_options_t){.type = type,
                               .send_messages_max = 1000,
                               .receive_messages_max = 1000,
                               .message_size_max = 65536,
                               .use_fd = -1};
}

static zsocket_t *socket_of(loop_t *loop, int type, zsocket_receive_t *receive, void *context)
{
    const zsocket_options_t options = options_of(type);
    zsocket_t *socket = NULL;
    assert_int_equal(zsocket_create(loop, &options, receive, context, &socket), RESULT_OK);
    return socket;
}

/* One end of a conversation: sends numbers 0 … MESSAGES - 1 and expects the same from the other. */
typedef struct talker {
    loop_t *loop;
    zsocket_t *socket;
    loop_hook_t *hook;
    uint32_t sent;
    uint32_t received;
    uint32_t *ends; /* talkers of this loop that are not finished */
    bool is_finished;
} talker_t;

static void talker_check_end(talker_t *talker)
{
    if (!talker->is_finished && talker->sent == MESSAGES && talker->received == MESSAGES) {
        talker->is_finished = true;
        (*talker->ends)--;
        if (*talker->ends == 0) {
            loop_stop(talker->loop);
        }
    }
}

static void talker_receive(void *context, const zframe_view_t *frames, size_t frame_count)
{
    talker_t *const talker = context;
    assert_int_equal(frame_count, 1);
    assert_int_equal(frames[0].size, sizeof(uint32_t));
    uint32_t number = 0;
    memcpy(&number, frames[0].data, sizeof(number));
    assert_int_equal(number, talker->received);
    talker->received++;
    talker_check_end(talker);
}

/* As much as ZeroMQ takes, then nothing until the loop turns again: that there is room again must
 * wake it. */
static void talker_send(void *context)
{
    talker_t *const talker = context;
    while (talker->sent < MESSAGES) {
        const zframe_view_t frame = {&talker->sent, sizeof(talker->sent)};
        const result_t result = zsocket_send(talker->socket, &frame, 1);
        if (result == RESULT_BUSY) {
            return;
        }
        assert_int_equal(result, RESULT_OK);
        talker->sent++;
    }
    talker_check_end(talker);
}

static void talker_init(talker_t *talker, loop_t *loop, uint32_t *ends, const char *endpoint,
                        bool binds)
{
    *talker = (talker_t){.loop = loop, .ends = ends};
    talker->socket = socket_of(loop, ZMQ_PAIR, talker_receive, talker);
    talker->hook = loop_hook_create(loop, talker_send, talker);
    assert_int_equal(binds ? zsocket_bind(talker->socket, endpoint)
                           : zsocket_connect(talker->socket, endpoint),
                     RESULT_OK);
}

static void talker_deinit(talker_t *talker)
{
    loop_hook_destroy(&talker->hook);
    zsocket_destroy(&talker->socket);
    assert_null(talker->socket);
}

static void talk_in_one_loop(const char *endpoint_wanted)
{
    fixture_t fixture = fixture_create();
    const char *const endpoint = endpoint_wanted != NULL ? endpoint_wanted : fixture.endpoint;
    talker_t talkers[2];
    uint32_t ends = 2;
    talker_init(&talkers[0], fixture.loop, &ends, endpoint, true);
    talker_init(&talkers[1], fixture.loop, &ends, endpoint, false);
    loop_run(fixture.loop);
    for (int index = 0; index < 2; index++) {
        assert_int_equal(talkers[index].received, MESSAGES);
        talker_deinit(&talkers[index]);
    }
    fixture_destroy(&fixture);
}

static void zsockets_talk_both_ways_in_one_loop_over_ipc(void **state)
{
    (void)state;
    talk_in_one_loop(NULL);
}

static void zsockets_talk_both_ways_in_one_loop_over_inproc(void **state)
{
    (void)state;
    talk_in_one_loop("inproc://zsocket-test");
}

/* Two loops, each with one talker. Both run until both have everything: what ZeroMQ was handed last
 * is not safe before the other end says so. */
typedef struct side {
    struct side *other;
    loop_t *loop;
    const char *endpoint;
    bool binds;
    talker_t talker;
    loop_timer_t *check;
    loop_timer_t *watchdog;
    uint32_t ends;
} side_t;

static void side_end(void *context)
{
    side_t *const side = context;
    side->ends--;
    if (side->ends == 0) {
        loop_stop(side->loop);
    }
}

static void side_check(void *context)
{
    side_t *const side = context;
    if (side->talker.is_finished) {
        loop_timer_stop(side->check);
        loop_post(side->other->loop, side_end, side->other);
        side_end(side);
    }
}

static void *side_main(void *context)
{
    side_t *const side = context;
    uint32_t never_ends = 2; /* the talker alone does not stop the loop */
    side->ends = 2;
    talker_init(&side->talker, side->loop, &never_ends, side->endpoint, side->binds);
    side->check = loop_timer_create(side->loop, side_check, side);
    loop_timer_start(side->check, 1, 1);
    side->watchdog = loop_timer_create(side->loop, stuck, NULL);
    loop_timer_start(side->watchdog, WATCHDOG_MS, 0);
    loop_run(side->loop);
    loop_timer_destroy(&side->check);
    loop_timer_destroy(&side->watchdog);
    talker_deinit(&side->talker);
    return NULL;
}

static void zsockets_talk_both_ways_between_two_threads(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    side_t sides[2] = {
        {.other = &sides[1], .loop = fixture.loop, .endpoint = fixture.endpoint, .binds = true},
        {.other = &sides[0], .endpoint = fixture.endpoint, .binds = false}};
    assert_int_equal(loop_create(&sides[1].loop), RESULT_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, side_main, &sides[1]), 0);
    (void)side_main(&sides[0]);
    pthread_join(thread, NULL);
    for (int index = 0; index < 2; index++) {
        assert_int_equal(sides[index].talker.received, MESSAGES);
    }
    loop_destroy(&sides[1].loop);
    fixture_destroy(&fixture);
}

typedef struct router {
    loop_t *loop;
    zsocket_t *socket;
    uint8_t peer[256];
    size_t peer_size;
    uint32_t received;
    size_t frame_count;
    uint32_t stop_after;
} router_t;

static void router_receive(void *context, const zframe_view_t *frames, size_t frame_count)
{
    router_t *const router = context;
    router->frame_count = frame_count;
    router->peer_size = frames[0].size;
    memcpy(router->peer, frames[0].data, frames[0].size);
    router->received++;
    if (router->received == router->stop_after) {
        loop_stop(router->loop);
    }
}

static result_t send_frames(zsocket_t *socket, size_t frame_count)
{
    zframe_view_t frames[32];
    for (size_t index = 0; index < frame_count; index++) {
        frames[index] = (zframe_view_t){"frame", 5};
    }
    return zsocket_send(socket, frames, frame_count);
}

static void zsocket_router_reports_a_peer_that_is_not_there_as_missing(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    router_t router = {.loop = fixture.loop};
    router.socket = socket_of(fixture.loop, ZMQ_ROUTER, router_receive, &router);
    assert_int_equal(zsocket_bind(router.socket, fixture.endpoint), RESULT_OK);
    const zframe_view_t frames[] = {{"nobody", 6}, {"hello", 5}};
    assert_int_equal(zsocket_send(router.socket, frames, 2), RESULT_MISSING);
    /* Nothing of it was kept: the next message is not glued to it. */
    zsocket_t *dealer = socket_of(fixture.loop, ZMQ_DEALER, NULL, NULL);
    assert_int_equal(zsocket_connect(dealer, fixture.endpoint), RESULT_OK);
    assert_int_equal(send_frames(dealer, 1), RESULT_OK);
    router.stop_after = 1;
    loop_run(fixture.loop);
    const zframe_view_t reply[] = {{router.peer, router.peer_size}, {"hello", 5}};
    assert_int_equal(zsocket_send(router.socket, reply, 2), RESULT_OK);
    zsocket_destroy(&dealer);
    zsocket_destroy(&router.socket);
    fixture_destroy(&fixture);
}

static void zsocket_send_is_busy_at_the_high_water_mark(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    zsocket_t *dealer = socket_of(fixture.loop, ZMQ_DEALER, NULL, NULL);
    assert_int_equal(zsocket_connect(dealer, fixture.endpoint), RESULT_OK); /* nobody there yet */
    for (int count = 0; count < 1000; count++) {
        assert_int_equal(send_frames(dealer, 2), RESULT_OK);
    }
    assert_int_equal(send_frames(dealer, 2), RESULT_BUSY);
    zsocket_destroy(&dealer);
    fixture_destroy(&fixture);
}

static void zsocket_drops_messages_with_too_many_frames_and_counts_them(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    router_t router = {.loop = fixture.loop, .stop_after = 2};
    router.socket = socket_of(fixture.loop, ZMQ_ROUTER, router_receive, &router);
    assert_int_equal(zsocket_bind(router.socket, fixture.endpoint), RESULT_OK);
    zsocket_t *dealer = socket_of(fixture.loop, ZMQ_DEALER, NULL, NULL);
    assert_int_equal(zsocket_connect(dealer, fixture.endpoint), RESULT_OK);
    assert_int_equal(send_frames(dealer, 1), RESULT_OK);
    assert_int_equal(send_frames(dealer, LIMIT_API_FRAMES), RESULT_OK); /* and the routing id */
    assert_int_equal(send_frames(dealer, 20), RESULT_OK);
    assert_int_equal(send_frames(dealer, LIMIT_API_FRAMES - 1), RESULT_OK);
    loop_run(fixture.loop);
    assert_int_equal(router.received, 2);
    assert_int_equal(router.frame_count, LIMIT_API_FRAMES);
    assert_int_equal(zsocket_dropped(router.socket), 2);
    zsocket_destroy(&dealer);
    zsocket_destroy(&router.socket);
    fixture_destroy(&fixture);
}

typedef struct pause_test {
    router_t router;
    loop_timer_t *timer;
    uint32_t received_while_paused;
} pause_test_t;

static void resume(void *context)
{
    pause_test_t *const test = context;
    test->received_while_paused = test->router.received;
    zsocket_pause(test->router.socket, false);
}

static void zsocket_paused_reads_nothing_and_everything_afterwards(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    pause_test_t test = {.router = {.loop = fixture.loop, .stop_after = 700}};
    test.router.socket = socket_of(fixture.loop, ZMQ_ROUTER, router_receive, &test.router);
    assert_int_equal(zsocket_bind(test.router.socket, fixture.endpoint), RESULT_OK);
    zsocket_pause(test.router.socket, true);
    zsocket_t *dealer = socket_of(fixture.loop, ZMQ_DEALER, NULL, NULL);
    assert_int_equal(zsocket_connect(dealer, fixture.endpoint), RESULT_OK);
    for (int count = 0; count < 700; count++) {
        assert_int_equal(send_frames(dealer, 1), RESULT_OK);
    }
    test.timer = loop_timer_create(fixture.loop, resume, &test);
    loop_timer_start(test.timer, 50, 0);
    loop_run(fixture.loop);
    assert_int_equal(test.received_while_paused, 0);
    assert_int_equal(test.router.received, 700);
    loop_timer_destroy(&test.timer);
    zsocket_destroy(&dealer);
    zsocket_destroy(&test.router.socket);
    fixture_destroy(&fixture);
}

static void receive_and_destroy(void *context, const zframe_view_t *frames, size_t frame_count)
{
    router_t *const router = context;
    router->received++;
    zsocket_destroy(&router->socket);
    assert_int_equal(frame_count, 2);
    assert_memory_equal(frames[1].data, "frame", 5); /* still valid */
    loop_stop(router->loop);
}

static void zsocket_may_be_destroyed_by_its_receiver(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    router_t router = {.loop = fixture.loop};
    router.socket = socket_of(fixture.loop, ZMQ_ROUTER, receive_and_destroy, &router);
    assert_int_equal(zsocket_bind(router.socket, fixture.endpoint), RESULT_OK);
    zsocket_t *dealer = socket_of(fixture.loop, ZMQ_DEALER, NULL, NULL);
    assert_int_equal(zsocket_connect(dealer, fixture.endpoint), RESULT_OK);
    for (int count = 0; count < 10; count++) {
        assert_int_equal(send_frames(dealer, 1), RESULT_OK);
    }
    loop_run(fixture.loop);
    assert_int_equal(router.received, 1);
    zsocket_destroy(&dealer);
    fixture_destroy(&fixture);
}

static void send_one(void *context)
{
    assert_int_equal(send_frames(context, 1), RESULT_OK);
}

static int listen_on_loopback(char *endpoint, size_t size)
{
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t address_size = sizeof(address);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(descriptor, 16), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &address_size), 0);
    (void)snprintf(endpoint, size, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return descriptor;
}

static void zsocket_takes_over_a_listening_descriptor(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    char endpoint[64];
    const int descriptor = listen_on_loopback(endpoint, sizeof(endpoint));
    router_t router = {.loop = fixture.loop, .stop_after = 1};
    zsocket_options_t options = options_of(ZMQ_ROUTER);
    options.use_fd = dup(descriptor);
    assert_int_equal(
        zsocket_create(fixture.loop, &options, router_receive, &router, &router.socket), RESULT_OK);
    assert_int_equal(zsocket_bind(router.socket, endpoint), RESULT_OK);
    zsocket_t *dealer = socket_of(fixture.loop, ZMQ_DEALER, NULL, NULL);
    assert_int_equal(zsocket_connect(dealer, endpoint), RESULT_OK);
    assert_int_equal(send_frames(dealer, 1), RESULT_OK);
    loop_run(fixture.loop);
    assert_int_equal(router.received, 1);
    zsocket_destroy(&router.socket);
    /* A successor on the same listening socket, as after a restart. */
    options.use_fd = dup(descriptor);
    router.stop_after = 2;
    assert_int_equal(
        zsocket_create(fixture.loop, &options, router_receive, &router, &router.socket), RESULT_OK);
    assert_int_equal(zsocket_bind(router.socket, endpoint), RESULT_OK);
    /* What is sent before the client sees the old connection end is lost with it: send on. */
    loop_timer_t *timer = loop_timer_create(fixture.loop, send_one, dealer);
    loop_timer_start(timer, 0, 10);
    loop_run(fixture.loop);
    loop_timer_destroy(&timer);
    assert_true(router.received >= 2);
    zsocket_destroy(&dealer);
    zsocket_destroy(&router.socket);
    close(descriptor);
    fixture_destroy(&fixture);
}

/* ZeroMQ aborts the process when it does not find what it watched. */
static void zsocket_that_accepts_no_more_ends_as_any_other(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    char endpoint[64];
    const int descriptor = listen_on_loopback(endpoint, sizeof(endpoint));
    router_t router = {.loop = fixture.loop, .stop_after = 1};
    zsocket_options_t options = options_of(ZMQ_ROUTER);
    options.use_fd = dup(descriptor);
    assert_int_equal(
        zsocket_create(fixture.loop, &options, router_receive, &router, &router.socket), RESULT_OK);
    assert_int_equal(zsocket_bind(router.socket, endpoint), RESULT_OK);
    zsocket_t *dealer = socket_of(fixture.loop, ZMQ_DEALER, NULL, NULL);
    assert_int_equal(zsocket_connect(dealer, endpoint), RESULT_OK);
    assert_int_equal(send_frames(dealer, 1), RESULT_OK);
    loop_run(fixture.loop); /* it watches the descriptor: somebody came by it */
    assert_int_equal(zsocket_stop_accepting(router.socket), RESULT_OK);
    zsocket_destroy(&dealer);
    zsocket_destroy(&router.socket);
    fixture_destroy(&fixture); /* waits for ZeroMQ's threads */
    close(descriptor);
}

static void zsocket_bind_says_why_it_cannot(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    char endpoint[64];
    const int descriptor = listen_on_loopback(endpoint, sizeof(endpoint));
    zsocket_t *socket = socket_of(fixture.loop, ZMQ_ROUTER, NULL, NULL);
    assert_int_equal(zsocket_bind(socket, endpoint), RESULT_ADDRESS_IN_USE);
    assert_int_equal(zsocket_bind(socket, "nonsense"), RESULT_INVALID_ARGUMENT);
    assert_int_equal(zsocket_bind(socket, "tcp://127.0.0.1:notaport"), RESULT_INVALID_ARGUMENT);
    assert_int_equal(zsocket_connect(socket, "smoke://signals"), RESULT_INVALID_ARGUMENT);
    char long_path[200] = "ipc:///tmp/";
    memset(long_path + strlen(long_path), 'x', 150);
    assert_int_equal(zsocket_bind(socket, long_path), RESULT_INVALID_ARGUMENT);
    zsocket_destroy(&socket);
    close(descriptor);
    fixture_destroy(&fixture);
}

static void subscription_received(void *context, const zframe_view_t *frames, size_t frame_count)
{
    router_t *const publisher = context;
    assert_int_equal(frame_count, 1);
    publisher->peer_size = frames[0].size;
    memcpy(publisher->peer, frames[0].data, frames[0].size);
    publisher->received++;
    loop_stop(publisher->loop);
}

static void zsocket_xpub_reports_every_subscription(void **state)
{
    (void)state;
    fixture_t fixture = fixture_create();
    router_t publisher = {.loop = fixture.loop};
    zsocket_options_t options = options_of(ZMQ_XPUB);
    options.xpub_verbose = true;
    assert_int_equal(zsocket_create(fixture.loop, &options, subscription_received, &publisher,
                                    &publisher.socket),
                     RESULT_OK);
    assert_int_equal(zsocket_bind(publisher.socket, fixture.endpoint), RESULT_OK);
    zsocket_t *subscribers[2];
    for (uint32_t index = 0; index < 2; index++) {
        subscribers[index] = socket_of(fixture.loop, ZMQ_XSUB, NULL, NULL);
        assert_int_equal(zsocket_connect(subscribers[index], fixture.endpoint), RESULT_OK);
        const zframe_view_t subscription = {"\x01"
                                            "topic.",
                                            7};
        assert_int_equal(zsocket_send(subscribers[index], &subscription, 1), RESULT_OK);
        loop_run(fixture.loop);
        assert_int_equal(publisher.received, index + 1);
        assert_memory_equal(publisher.peer,
                            "\x01"
                            "topic.",
                            7);
    }
    zsocket_destroy(&subscribers[0]);
    loop_run(fixture.loop);
    assert_memory_equal(publisher.peer, "\0topic.", 7);
    zsocket_destroy(&subscribers[1]);
    zsocket_destroy(&publisher.socket);
    fixture_destroy(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zsockets_talk_both_ways_in_one_loop_over_ipc),
        cmocka_unit_test(zsockets_talk_both_ways_in_one_loop_over_inproc),
        cmocka_unit_test(zsockets_talk_both_ways_between_two_threads),
        cmocka_unit_test(zsocket_router_reports_a_peer_that_is_not_there_as_missing),
        cmocka_unit_test(zsocket_send_is_busy_at_the_high_water_mark),
        cmocka_unit_test(zsocket_drops_messages_with_too_many_frames_and_counts_them),
        cmocka_unit_test(zsocket_paused_reads_nothing_and_everything_afterwards),
        cmocka_unit_test(zsocket_may_be_destroyed_by_its_receiver),
        cmocka_unit_test(zsocket_takes_over_a_listening_descriptor),
        cmocka_unit_test(zsocket_that_accepts_no_more_ends_as_any_other),
        cmocka_unit_test(zsocket_bind_says_why_it_cannot),
        cmocka_unit_test(zsocket_xpub_reports_every_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
