/* The role's side of the link, with the test in the place of the supervisor on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/frame_stream.h"
#include "runtime/limits.h"
#include "runtime/link.h"
#include "runtime/link_frames.h"
#include "runtime/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef struct fixture {
    loop_t *loop;
    link_t *link;
    frame_stream_t *supervisor;
    char heard[256];    /* what the role's handler was called with */
    char received[256]; /* frames the supervisor got: "kind:text " */
    size_t answers;
    char answer[64];
    link_request_t *request;
} fixture_t;

static void note(char *out, size_t size, const char *text)
{
    const size_t used = strlen(out);
    (void)snprintf(out + used, size - used, "%s ", text);
}

static void peer_up(void *context, const char *name, const char *endpoint, uint64_t incarnation)
{
    fixture_t *fixture = context;
    char text[160];
    (void)snprintf(text, sizeof text, "up:%s:%s:%llu", name, endpoint,
                   (unsigned long long)incarnation);
    note(fixture->heard, sizeof fixture->heard, text);
    loop_stop(fixture->loop);
}

static void peer_draining(void *context, const char *name)
{
    fixture_t *fixture = context;
    note(fixture->heard, sizeof fixture->heard, "draining");
    note(fixture->heard, sizeof fixture->heard, name);
    loop_stop(fixture->loop);
}

static void peer_down(void *context, const char *name)
{
    fixture_t *fixture = context;
    note(fixture->heard, sizeof fixture->heard, "down");
    note(fixture->heard, sizeof fixture->heard, name);
    loop_stop(fixture->loop);
}

static void drain(void *context)
{
    fixture_t *fixture = context;
    note(fixture->heard, sizeof fixture->heard, "drain");
    loop_stop(fixture->loop);
}

static void request(void *context, link_request_t *asked, const char *json, size_t size)
{
    fixture_t *fixture = context;
    char text[64];
    (void)snprintf(text, sizeof text, "request:%.*s", (int)size, json);
    note(fixture->heard, sizeof fixture->heard, text);
    fixture->request = asked;
    loop_stop(fixture->loop);
}

static void supervisor_frame(void *context, uint8_t kind, const uint8_t *payload, size_t size)
{
    fixture_t *fixture = context;
    char text[128];
    (void)snprintf(text, sizeof text, "%u:%.*s", kind, size < 4 ? 0 : (int)size - 4,
                   size < 4 ? "" : (const char *)payload + 4);
    note(fixture->received, sizeof fixture->received, text);
    if (kind == LINK_FRAME_ASK) {
        frame_stream_send(fixture->supervisor, LINK_FRAME_ANSWER, payload, 4, "{\"a\":1}", 7);
    } else {
        loop_stop(fixture->loop);
    }
}

static void supervisor_closed(void *context)
{
    fixture_t *fixture = context;
    note(fixture->received, sizeof fixture->received, "closed");
    loop_stop(fixture->loop);
}

static void answered(void *context, const char *json, size_t size)
{
    fixture_t *fixture = context;
    fixture->answers++;
    (void)snprintf(fixture->answer, sizeof fixture->answer, "%.*s", json == NULL ? 4 : (int)size,
                   json == NULL ? "none" : json);
    loop_stop(fixture->loop);
}

static int set_up(void **state)
{
    static const link_handler_t handler = {.peer_up = peer_up,
                                           .peer_draining = peer_draining,
                                           .peer_down = peer_down,
                                           .drain = drain,
                                           .request = request};
    static const frame_stream_handler_t frames = {supervisor_frame, supervisor_closed};
    int pair[2];
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    assert_int_equal(
        frame_stream_create(fixture->loop, pair[0], &frames, fixture, &fixture->supervisor),
        RESULT_OK);
    assert_int_equal(link_create(fixture->loop, pair[1], &handler, fixture, &fixture->link),
                     RESULT_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *fixture = *state;
    link_destroy(&fixture->link);
    frame_stream_destroy(&fixture->supervisor);
    loop_destroy(&fixture->loop);
    free(fixture);
    return 0;
}

static void role_hears_of_its_peers(void **state)
{
    fixture_t *fixture = *state;
    uint8_t head[9 + 5] = {0};
    link_number_write(head, 77, 8);
    head[8] = 5;
    memcpy(head + 9, "relay", 5);
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_UP, head, sizeof head, "ipc://r", 7);
    loop_run(fixture->loop);
    assert_string_equal(fixture->heard, "up:relay:ipc://r:77 ");
    fixture->heard[0] = '\0';
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_DRAINING, NULL, 0, "relay", 5);
    loop_run(fixture->loop);
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_DOWN, NULL, 0, "relay", 5);
    loop_run(fixture->loop);
    assert_string_equal(fixture->heard, "draining relay down relay ");
}

static void ready_carries_the_endpoint(void **state)
{
    fixture_t *fixture = *state;
    link_ready(fixture->link, "ipc://shard-0");
    loop_run(fixture->loop);
    assert_string_equal(fixture->received, "1://shard-0 "); /* less four bytes of "ipc:" */
}

static void request_may_be_answered_later(void **state)
{
    fixture_t *fixture = *state;
    frame_stream_send(fixture->supervisor, LINK_FRAME_REQUEST, "\1\0\0\0", 4, "{}", 2);
    loop_run(fixture->loop);
    assert_string_equal(fixture->heard, "request:{} ");
    link_reply(&fixture->request, "[7]", 3);
    assert_null(fixture->request);
    loop_run(fixture->loop);
    assert_string_equal(fixture->received, "2:[7] ");
}

static void request_outlives_the_link(void **state)
{
    fixture_t *fixture = *state;
    frame_stream_send(fixture->supervisor, LINK_FRAME_REQUEST, "\1\0\0\0", 4, "{}", 2);
    loop_run(fixture->loop);
    link_destroy(&fixture->link);
    link_reply(&fixture->request, "{}", 2);
    assert_null(fixture->request);
}

static void ask_gets_its_answer(void **state)
{
    fixture_t *fixture = *state;
    assert_int_equal(link_ask(fixture->link, "{}", 2, answered, fixture), RESULT_OK);
    loop_run(fixture->loop);
    assert_int_equal(fixture->answers, 1);
    assert_string_equal(fixture->answer, "{\"a\":1}");
}

static void asks_are_bounded_and_end_with_the_link(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        assert_int_equal(link_ask(fixture->link, "{}", 2, answered, fixture), RESULT_OK);
    }
    assert_int_equal(link_ask(fixture->link, "{}", 2, answered, fixture), RESULT_BUSY);
    link_destroy(&fixture->link);
    assert_int_equal(fixture->answers, LIMIT_LINK_REQUESTS);
    assert_string_equal(fixture->answer, "none");
}

static void role_drains_once_when_told(void **state)
{
    fixture_t *fixture = *state;
    frame_stream_send(fixture->supervisor, LINK_FRAME_DRAIN, NULL, 0, NULL, 0);
    frame_stream_send(fixture->supervisor, LINK_FRAME_DRAIN, NULL, 0, NULL, 0);
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_DOWN, NULL, 0, "x", 1);
    loop_run(fixture->loop);
    while (strstr(fixture->heard, "down") == NULL) {
        loop_run(fixture->loop);
    }
    assert_string_equal(fixture->heard, "drain down x ");
}

static void role_drains_when_the_supervisor_is_gone(void **state)
{
    fixture_t *fixture = *state;
    frame_stream_destroy(&fixture->supervisor);
    loop_run(fixture->loop);
    assert_string_equal(fixture->heard, "drain ");
    assert_int_equal(link_ask(fixture->link, "{}", 2, answered, fixture), RESULT_UNAVAILABLE);
}

static void ping_is_answered_by_the_link_itself(void **state)
{
    fixture_t *fixture = *state;
    frame_stream_send(fixture->supervisor, LINK_FRAME_PING, NULL, 0, NULL, 0);
    loop_run(fixture->loop);
    assert_string_equal(fixture->received, "5: ");
}

static void malformed_frames_are_ignored(void **state)
{
    fixture_t *fixture = *state;
    char name[LIMIT_ROLE_NAME_SIZE + 1];
    memset(name, 'n', sizeof name);
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_UP, NULL, 0, "short", 5);
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_DOWN, NULL, 0, name, sizeof name);
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_UP, "12345678\xff", 9, NULL, 0);
    frame_stream_send(fixture->supervisor, LINK_FRAME_REQUEST, "1", 1, NULL, 0);
    frame_stream_send(fixture->supervisor, LINK_FRAME_ANSWER, "12", 2, NULL, 0);
    frame_stream_send(fixture->supervisor, 200, "?", 1, NULL, 0);
    frame_stream_send(fixture->supervisor, LINK_FRAME_PEER_DOWN, NULL, 0, "end", 3);
    loop_run(fixture->loop);
    assert_string_equal(fixture->heard, "down end ");
}

static void large_frames_arrive_whole(void **state)
{
    fixture_t *fixture = *state;
    const size_t size = LIMIT_LINK_FRAME_SIZE - 4;
    char *json = malloc(size);
    memset(json, 'x', size);
    frame_stream_send(fixture->supervisor, LINK_FRAME_REQUEST, "\1\0\0\0", 4, "{}", 2);
    loop_run(fixture->loop);
    link_reply(&fixture->request, json, size);
    loop_run(fixture->loop);
    assert_memory_equal(fixture->received, "2:xxxx", 6);
    free(json);
}

int main(void)
{
    log_start("test", LOG_ERROR_LEVEL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(role_hears_of_its_peers),
        TEST(ready_carries_the_endpoint),
        TEST(request_may_be_answered_later),
        TEST(request_outlives_the_link),
        TEST(ask_gets_its_answer),
        TEST(asks_are_bounded_and_end_with_the_link),
        TEST(role_drains_once_when_told),
        TEST(role_drains_when_the_supervisor_is_gone),
        TEST(ping_is_answered_by_the_link_itself),
        TEST(malformed_frames_are_ignored),
        TEST(large_frames_arrive_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
