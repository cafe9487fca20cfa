/* Who makes room when there are too many HTTP connections. */
#include "runtime/limits.h"
#include "tests/support/http_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LIVE "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"

/* Room for two, and whoever is idle makes room at once. */
static const http_options_t yielding = {
    .connections_max = 2,
    .head_timeout_ms = LIMIT_HTTP_HEAD_TIMEOUT_MS,
    .body_timeout_ms = LIMIT_HTTP_BODY_TIMEOUT_MS,
    .idle_timeout_ms = LIMIT_HTTP_IDLE_TIMEOUT_MS,
    .write_timeout_ms = LIMIT_HTTP_WRITE_TIMEOUT_MS,
    .linger_ms = LIMIT_HTTP_LINGER_MS,
    .tick_ms = 5,
    .write_queue_max = LIMIT_HTTP_WRITE_QUEUE_SIZE,
};

static http_fixture_t fixture;
static http_reply_t reply;

static int start(void **state)
{
    (void)state;
    http_fixture_start(&fixture, &yielding);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_fixture_stop(&fixture);
    return 0;
}

/* Idle connections are known as such from the next tick on: until then a newcomer is turned away.
 */
static void open_until_served(http_client_t *client)
{
    do {
        http_client_open(client, &fixture);
        http_client_say(client, LIVE);
        http_client_read(client, &reply, true);
        if (reply.status != 200) {
            assert_int_equal(reply.status, 503);
            http_client_close(client);
        }
    } while (reply.status != 200);
}

static void idle_connections_make_room_those_first_that_never_asked(void **state)
{
    (void)state;
    http_client_t asked;
    http_client_t silent;
    http_client_t third;
    http_client_t fourth;
    open_until_served(&asked);
    http_client_open(&silent, &fixture);
    http_fixture_until_connections(&fixture, 2);
    open_until_served(&third);
    assert_true(http_client_at_end(&silent));
    http_client_say(&asked, LIVE); /* still open, although it was idle for longer */
    http_client_read(&asked, &reply, true);
    assert_int_equal(reply.status, 200);
    http_client_say(&asked, "GET /health/live HTTP/1.1\r\n"); /* in the middle of a request */
    http_fixture_turn(&fixture);
    open_until_served(&fourth);
    assert_true(http_client_at_end(&third));
    http_client_say(&asked, "Host: a\r\n\r\n");
    http_client_read(&asked, &reply, true);
    assert_int_equal(reply.status, 200);
    http_client_close(&asked);
    http_client_close(&silent);
    http_client_close(&third);
    http_client_close(&fourth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(idle_connections_make_room_those_first_that_never_asked,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
