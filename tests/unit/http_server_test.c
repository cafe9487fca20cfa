/* The HTTP front as a client on a socket sees it: framing, order, limits, timeouts, backpressure,
 * and what happens when either side goes away. What the answers say is in routes_test.c. */
#include "tests/support/http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define H "Host: a\r\nAuthorization: Bearer good\r\n"
#define SCAN_HEAD "POST /acme/mapi/v1/scans HTTP/1.1\r\n" H "Content-Type: application/json\r\n"
#define LIVE "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_CARD "GET /acme/api/v1/cards/" GATEWAY_FAKE_CARD " HTTP/1.1\r\n" H "\r\n"

static const http_options_t quick = {
    .connections_max = 2,
    .head_timeout_ms = 40,
    .body_timeout_ms = 40,
    .idle_timeout_ms = 60,
    .idle_yields_ms = 60000,
    .write_timeout_ms = 60,
    .linger_ms = 40,
    .tick_ms = 5,
    .write_queue_max = 65536,
};

static http_fixture_t fixture;
static http_reply_t reply;

static int start(void **state)
{
    (void)state;
    http_fixture_start(&fixture, NULL);
    return 0;
}

static int start_quick(void **state)
{
    (void)state;
    http_fixture_start(&fixture, &quick);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_fixture_stop(&fixture);
    return 0;
}

/* A scan at gate `number`, which the fake repeats in the verdict's message. */
static size_t print_scan(char *out, size_t capacity, unsigned number)
{
    char body[64];
    const int body_size = snprintf(body, sizeof(body), "{\"qr\":\"x\",\"gate\":\"g%u\"}", number);
    return (size_t)snprintf(out, capacity, SCAN_HEAD "Content-Length: %d\r\n\r\n%s", body_size,
                            body);
}

static void expect_gate(unsigned number)
{
    char wanted[32];
    (void)snprintf(wanted, sizeof(wanted), "\"message\":\"g%u\"", number);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, wanted));
}

static void expect_problem(int status, const char *code)
{
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), "\"code\":\"%s\"", code);
    if (reply.status != status || strstr(reply.body, wanted) == NULL) {
        fail_msg("%d %s instead of %d %s", reply.status, reply.body, status, code);
    }
    assert_non_null(strstr(reply.head, "Content-Type: application/problem+json\r\n"));
}

/* --- Framing --- */

static void connection_stays_open_between_requests(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    char request[512];
    for (unsigned i = 0; i < 10000; i++) {
        const size_t size = print_scan(request, sizeof(request), i);
        http_client_send(&client, request, size);
        http_client_read(&client, &reply, true);
        expect_gate(i);
    }
    assert_null(strstr(reply.head, "Connection:"));
    assert_int_equal(fixture.gateway.submitted, 10000);
    http_client_close(&client);
}

static void request_may_come_in_any_two_pieces(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    char request[512];
    const size_t size = print_scan(request, sizeof(request), 5);
    for (size_t at = 1; at < size; at++) {
        http_client_send(&client, request, at);
        http_fixture_turn(&fixture);
        http_fixture_turn(&fixture);
        http_client_send(&client, request + at, size - at);
        http_client_read(&client, &reply, true);
        expect_gate(5);
    }
    http_client_close(&client);
}

static void request_may_come_byte_by_byte(void **state)
{
    (void)state;
    static const char request[] =
        SCAN_HEAD "Transfer-Encoding: chunked\r\n\r\n"
                  "8;x=y\r\n{\"qr\":\"x\r\n0d\r\n\",\"gate\":\"g8\"\r\n1\r\n}\r\n0\r\n\r\n" LIVE;
    http_client_t client;
    http_client_open(&client, &fixture);
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        http_client_send(&client, request + i, 1);
        http_fixture_turn(&fixture);
    }
    http_client_read(&client, &reply, true);
    expect_gate(8);
    http_client_read(&client, &reply, true);
    assert_string_equal(reply.body, "{\"status\":\"ok\"}");
    http_client_close(&client);
}

static void chunked_bodies_are_put_together_wherever_they_are_cut(void **state)
{
    (void)state;
    static const char request[] =
        SCAN_HEAD "Transfer-Encoding: chunked\r\n\r\n"
                  "8\r\n{\"qr\":\"x\r\nd\r\n\",\"gate\":\"g8\"\r\n1\r\n}\r\n0\r\n\r\n" LIVE;
    http_client_t client;
    http_client_open(&client, &fixture);
    for (size_t at = sizeof(SCAN_HEAD); at < sizeof(request) - 1; at++) {
        http_client_send(&client, request, at);
        http_fixture_turn(&fixture);
        http_fixture_turn(&fixture);
        http_client_send(&client, request + at, sizeof(request) - 1 - at);
        http_client_read(&client, &reply, true);
        expect_gate(8);
        http_client_read(&client, &reply, true);
        assert_int_equal(reply.status, 200);
    }
    http_client_close(&client);
}

static void body_of_one_mebibyte_is_read_and_more_is_refused(void **state)
{
    (void)state;
    http_client_t client;
    char head[256];
    char *body = malloc(LIMIT_HTTP_BODY_SIZE);
    assert_non_null(body);
    memset(body, ' ', LIMIT_HTTP_BODY_SIZE);
    memcpy(body, "{\"qr\":\"x\",\"gate\":\"g1\"}", 22);
    http_client_open(&client, &fixture);
    int size =
        snprintf(head, sizeof(head), SCAN_HEAD "Content-Length: %d\r\n\r\n", LIMIT_HTTP_BODY_SIZE);
    http_client_send(&client, head, (size_t)size);
    http_client_send(&client, body, LIMIT_HTTP_BODY_SIZE);
    http_client_read(&client, &reply, true);
    expect_gate(1);
    assert_int_equal(fixture.gateway.last.body_size, LIMIT_HTTP_BODY_SIZE);

    size = snprintf(head, sizeof(head), SCAN_HEAD "Content-Length: %d\r\n\r\n",
                    LIMIT_HTTP_BODY_SIZE + 1);
    http_client_send(&client, head, (size_t)size);
    http_client_read(&client, &reply, true);
    expect_problem(413, "body_too_large");
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    http_client_send(&client, body, LIMIT_HTTP_BODY_SIZE); /* thrown away, and no reset */
    assert_true(http_client_at_end(&client));
    http_client_close(&client);

    http_client_open(&client, &fixture);
    http_client_say(&client, SCAN_HEAD "Transfer-Encoding: chunked\r\n\r\n100001\r\n");
    http_client_read(&client, &reply, true);
    expect_problem(413, "body_too_large");
    http_client_close(&client);
    free(body);
}

static void smuggled_requests_end_the_connection(void **state)
{
    (void)state;
    static const char *const requests[] = {
        SCAN_HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" LIVE,
        SCAN_HEAD "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" LIVE,
        SCAN_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n" LIVE,
        SCAN_HEAD "Transfer-Encoding: chunked\r\n\r\n1;\nx\r\n0\r\n\r\n" LIVE,
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n" LIVE,
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        http_client_t client;
        http_client_open(&client, &fixture);
        http_client_say(&client, requests[i]);
        http_client_read(&client, &reply, true);
        expect_problem(400, "invalid_request");
        assert_non_null(strstr(reply.head, "Connection: close\r\n"));
        assert_true(http_client_at_end(&client));
        http_client_close(&client);
    }
    assert_int_equal(fixture.gateway.submitted, 0);
}

static void continue_is_sent_when_the_head_is_acceptable(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    http_client_say(&client, SCAN_HEAD "Content-Length: 22\r\nExpect: 100-continue\r\n\r\n");
    http_client_read(&client, &reply, true);
    assert_int_equal(reply.status, 100);
    http_client_say(&client, "{\"qr\":\"x\",\"gate\":\"g3\"}");
    http_client_read(&client, &reply, true);
    expect_gate(3);

    /* Behind a request that is still being worked on, it waits for that one's answer. */
    fixture.gateway.holds = true;
    http_client_say(&client, GET_CARD);
    http_client_say(&client, SCAN_HEAD "Content-Length: 22\r\nExpect: 100-continue\r\n\r\n");
    http_fixture_turn(&fixture);
    http_fixture_turn(&fixture);
    gateway_fake_answer(&fixture.gateway, 0);
    http_client_read(&client, &reply, true);
    assert_int_equal(reply.status, 200);
    http_client_read(&client, &reply, true);
    assert_int_equal(reply.status, 100);
    http_client_close(&client);
}

static void body_is_not_asked_for_when_it_would_be_refused(void **state)
{
    (void)state;
#define EXPECTS "Content-Length: 22\r\nExpect: 100-continue\r\n\r\n"
    http_ask(&fixture, "POST /acme/mapi/v1/scans HTTP/1.1\r\nHost: a\r\n" EXPECTS, &reply);
    expect_problem(401, "unauthenticated");
    http_ask(&fixture, "POST /acme/mapi/v1/scan HTTP/1.1\r\n" H EXPECTS, &reply);
    expect_problem(404, "not_found");
    http_ask(&fixture, "POST /acme/mapi/v1/scans HTTP/1.1\r\n" H EXPECTS, &reply);
    expect_problem(415, "unsupported_media_type");
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    http_ask(&fixture, SCAN_HEAD "Content-Length: 9\r\nExpect: a-pony\r\n\r\n", &reply);
    expect_problem(417, "expectation_failed");
    assert_int_equal(fixture.gateway.submitted, 0);
}

static void connection_closes_when_the_client_asks(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    http_client_say(&client, "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    http_client_read(&client, &reply, true);
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    assert_true(http_client_at_end(&client));
    http_client_close(&client);

    http_client_open(&client, &fixture);
    http_client_say(&client, "GET /health/live HTTP/1.0\r\n\r\n");
    http_client_read(&client, &reply, true);
    assert_true(http_client_at_end(&client));
    http_client_close(&client);

    http_client_open(&client, &fixture);
    http_client_say(&client, "GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    http_client_read(&client, &reply, true);
    assert_non_null(strstr(reply.head, "Connection: keep-alive\r\n"));
    http_client_say(&client, LIVE);
    http_client_read(&client, &reply, true);
    assert_int_equal(reply.status, 200);
    http_client_close(&client);
}

/* --- Pipelining --- */

static void answers_keep_the_order_of_requests(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.holds = true;
    char request[512];
    for (unsigned i = 0; i < 5; i++) {
        const size_t size = print_scan(request, sizeof(request), i);
        http_client_send(&client, request, size);
    }
    http_client_say(&client, LIVE);
    http_fixture_until(&fixture, &fixture.gateway.submitted, 5);
    static const uint32_t positions[] = {4, 1, 1, 1, 0}; /* completes 4, 1, 2, 3, 0 */
    for (size_t i = 0; i < 5; i++) {
        gateway_fake_answer(&fixture.gateway, positions[i]);
        http_fixture_turn(&fixture);
    }
    for (unsigned i = 0; i < 5; i++) {
        http_client_read(&client, &reply, true);
        expect_gate(i);
    }
    http_client_read(&client, &reply, true);
    assert_string_equal(reply.body, "{\"status\":\"ok\"}");
    http_client_close(&client);
}

static void reading_pauses_when_the_pipeline_is_full(void **state)
{
    (void)state;
    enum { REQUESTS = 3 * LIMIT_HTTP_PIPELINE };
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.holds = true;
    char request[512];
    for (unsigned i = 0; i < REQUESTS; i++) {
        const size_t size = print_scan(request, sizeof(request), i);
        http_client_send(&client, request, size);
    }
    http_fixture_until(&fixture, &fixture.gateway.submitted, LIMIT_HTTP_PIPELINE);
    for (int i = 0; i < 20; i++) {
        http_fixture_turn(&fixture);
    }
    assert_int_equal(fixture.gateway.submitted, LIMIT_HTTP_PIPELINE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        http_fixture_until(&fixture, &fixture.gateway.submitted, i + 1);
        gateway_fake_answer(&fixture.gateway, 0);
        http_client_read(&client, &reply, true);
        expect_gate(i);
    }
    http_client_close(&client);
}

static void many_requests_may_come_at_once(void **state)
{
    (void)state;
    enum { REQUESTS = 5000 };
    http_client_t client;
    http_client_open(&client, &fixture);
    char *requests = malloc(REQUESTS * (sizeof(LIVE) - 1));
    assert_non_null(requests);
    for (size_t i = 0; i < REQUESTS; i++) {
        memcpy(requests + i * (sizeof(LIVE) - 1), LIVE, sizeof(LIVE) - 1);
    }
    http_client_send(&client, requests, REQUESTS * (sizeof(LIVE) - 1));
    for (size_t i = 0; i < REQUESTS; i++) {
        http_client_read(&client, &reply, true);
        assert_int_equal(reply.status, 200);
    }
    free(requests);
    http_client_close(&client);
}

static void only_one_page_is_fetched_at_a_time(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.holds = true;
    for (int i = 0; i < 3; i++) {
        http_client_say(&client, "GET /acme/api/v1/cards HTTP/1.1\r\n" H "\r\n");
    }
    http_fixture_until(&fixture, &fixture.gateway.submitted, 1);
    for (int i = 0; i < 10; i++) {
        http_fixture_turn(&fixture);
    }
    assert_int_equal(fixture.gateway.submitted, 1);
    for (unsigned i = 0; i < 3; i++) {
        http_fixture_until(&fixture, &fixture.gateway.submitted, i + 1);
        gateway_fake_answer(&fixture.gateway, 0);
        http_client_read(&client, &reply, true);
        assert_int_equal(reply.status, 200);
    }
    http_client_close(&client);
}

/* --- Backpressure, and clients that go --- */

static void reading_pauses_when_the_client_does_not_read(void **state)
{
    (void)state;
    enum { REQUESTS = 200 }; /* 24 MB of answers: more than the kernel takes for both sides */
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.page_items = 400; /* 120 kB of JSON */
    for (int i = 0; i < REQUESTS; i++) {
        http_client_say(&client, "GET /acme/api/v1/cards HTTP/1.1\r\n" H "\r\n");
    }
    for (int i = 0; i < 50; i++) {
        http_fixture_turn(&fixture);
    }
    assert_true(fixture.gateway.submitted < REQUESTS);
    for (int i = 0; i < REQUESTS; i++) {
        http_client_read(&client, &reply, true);
        assert_int_equal(reply.status, 200);
    }
    assert_int_equal(fixture.gateway.submitted, REQUESTS);
    http_client_close(&client);
}

static void requests_are_cancelled_when_the_client_goes(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.holds = true;
    http_client_say(&client, GET_CARD GET_CARD);
    http_fixture_until(&fixture, &fixture.gateway.submitted, 2);
    http_client_reset(&client);
    http_fixture_until(&fixture, &fixture.gateway.cancelled, 2);
    http_fixture_until_connections(&fixture, 0);
    assert_int_equal(fixture.gateway.held, 0);
}

static void client_that_closed_its_side_gets_its_answers(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.holds = true;
    http_client_say(&client, GET_CARD GET_CARD);
    (void)shutdown(client.descriptor, SHUT_WR);
    http_fixture_until(&fixture, &fixture.gateway.submitted, 2);
    for (int i = 0; i < 5; i++) {
        http_fixture_turn(&fixture);
    }
    gateway_fake_answer(&fixture.gateway, 1);
    gateway_fake_answer(&fixture.gateway, 0);
    for (int i = 0; i < 2; i++) {
        http_client_read(&client, &reply, true);
        assert_int_equal(reply.status, 200);
    }
    assert_true(http_client_at_end(&client));
    http_client_close(&client);
}

static void half_a_request_at_the_end_is_forgotten(void **state)
{
    (void)state;
    static const char *const halves[] = {"", "GET / HT", SCAN_HEAD "Content-Length: 9\r\n\r\n{"};
    for (size_t i = 0; i < 3; i++) {
        http_client_t client;
        http_client_open(&client, &fixture);
        http_client_say(&client, halves[i]);
        (void)shutdown(client.descriptor, SHUT_WR);
        assert_true(http_client_at_end(&client));
        http_client_close(&client);
    }
    http_fixture_until_connections(&fixture, 0);
}

/* --- Timeouts and limits --- */

static void slow_requests_are_told_and_closed(void **state)
{
    (void)state;
    static const char *const slow[] = {"GET /health/live HTTP/1.1\r\nHost",
                                       SCAN_HEAD "Content-Length: 22\r\n\r\n{\"qr\"",
                                       SCAN_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{"};
    for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
        http_client_t client;
        http_client_open(&client, &fixture);
        http_client_say(&client, slow[i]);
        http_client_read(&client, &reply, true);
        expect_problem(408, "request_timeout");
        assert_true(http_client_at_end(&client));
        http_client_close(&client);
        http_fixture_until_connections(&fixture, 0);
    }
}

static void one_byte_now_and_then_does_not_help(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    const uint64_t start_ms = uv_now(loop_uv(fixture.loop));
    while (!client.closed && uv_now(loop_uv(fixture.loop)) - start_ms < 5000) {
        http_client_say(&client, "G");
        for (int i = 0; i < 50; i++) {
            http_fixture_turn(&fixture);
        }
        char byte = 0;
        client.closed = recv(client.descriptor, &byte, 1, 0) >= 0;
    }
    assert_true(client.closed);
    http_client_close(&client);
}

static void idle_connections_close_silently(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    http_client_say(&client, LIVE "\r\n"); /* old clients send a line end too many */
    http_client_read(&client, &reply, true);
    assert_true(http_client_at_end(&client));
    http_client_close(&client);
}

static void requests_in_flight_do_not_time_out_here(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.holds = true;
    http_client_say(&client, GET_CARD);
    http_fixture_until(&fixture, &fixture.gateway.submitted, 1);
    const uint64_t start_ms = uv_now(loop_uv(fixture.loop));
    while (uv_now(loop_uv(fixture.loop)) - start_ms < 150) {
        http_fixture_turn(&fixture);
    }
    gateway_fake_answer(&fixture.gateway, 0);
    http_client_read(&client, &reply, true);
    assert_int_equal(reply.status, 200);
    http_client_close(&client);
}

static void client_that_never_reads_is_closed(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    fixture.gateway.page_items = 400;
    for (int i = 0; i < 100; i++) {
        http_client_say(&client, "GET /acme/api/v1/cards HTTP/1.1\r\n" H "\r\n");
    }
    http_fixture_until_connections(&fixture, 0);
    http_client_close(&client);
}

static void connections_beyond_the_limit_are_told_so(void **state)
{
    (void)state;
    http_client_t first;
    http_client_t second;
    http_client_t third;
    http_client_open(&first, &fixture);
    http_client_open(&second, &fixture);
    http_fixture_until_connections(&fixture, 2);
    http_client_open(&third, &fixture);
    http_client_read(&third, &reply, true);
    expect_problem(503, "busy");
    assert_non_null(strstr(reply.head, "Retry-After: 1\r\n"));
    assert_true(http_client_at_end(&third));
    http_client_close(&third);
    http_client_close(&first);
    http_client_close(&second);
    http_fixture_until_connections(&fixture, 0);
    http_ask(&fixture, LIVE, &reply);
    assert_int_equal(reply.status, 200);
}

static void large_bodies_on_their_way_are_bounded(void **state)
{
    (void)state;
    http_client_t clients[LIMIT_HTTP_LARGE_BODIES + 1];
    const uint64_t wanted = LIMIT_HTTP_LARGE_BODIES;
    for (size_t i = 0; i <= wanted; i++) {
        http_client_open(&clients[i], &fixture);
        http_client_say(&clients[i], i % 2 == 0 ? SCAN_HEAD "Content-Length: 100000\r\n\r\n{"
                                                : SCAN_HEAD
                                         "Transfer-Encoding: chunked\r\n\r\n8000\r\n");
        char spaces[0x8000 - 1];
        memset(spaces, ' ', sizeof(spaces));
        http_client_send(&clients[i], spaces, sizeof(spaces));
    }
    http_client_read(&clients[wanted], &reply, true);
    expect_problem(503, "busy");
    assert_int_equal(fixture.server->large_bodies, wanted);
    http_client_reset(&clients[0]); /* makes room */
    http_fixture_until_connections(&fixture, LIMIT_HTTP_LARGE_BODIES);
    assert_int_equal(fixture.server->large_bodies, wanted - 1);
    for (size_t i = 1; i <= wanted; i++) {
        http_client_close(&clients[i]);
    }
    http_fixture_until_connections(&fixture, 0);
    assert_int_equal(fixture.server->large_bodies, 0);
}

static void pages_wait_until_others_were_read(void **state)
{
    (void)state;
    fixture.server->unsent = (size_t)LIMIT_HTTP_UNSENT_SIZE + 1;
    http_ask(&fixture, "GET /acme/api/v1/cards HTTP/1.1\r\n" H "\r\n", &reply);
    expect_problem(503, "busy");
    http_ask(&fixture, GET_CARD, &reply);
    assert_int_equal(reply.status, 200);
}

static void idle_connection_holds_no_buffers(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    http_client_say(&client, LIVE);
    http_client_read(&client, &reply, true);
    const http_connection_t *connection = TAILQ_FIRST(&fixture.server->connections);
    assert_non_null(connection);
    assert_int_equal(connection->input.capacity, 0);
    assert_int_equal(connection->output.capacity, 0);
    assert_true(sizeof(*connection) - sizeof(connection->handle) < 2048);
    http_client_close(&client);
}

/* --- The end of the server --- */

static void on_drained(void *context)
{
    ((http_fixture_t *)context)->drained++;
}

static void drain_answers_what_is_in_flight_and_closes_the_rest(void **state)
{
    (void)state;
    http_client_t busy;
    http_client_t idle;
    http_client_open(&busy, &fixture);
    http_client_open(&idle, &fixture);
    fixture.gateway.holds = true;
    http_client_say(&busy, GET_CARD);
    http_fixture_until(&fixture, &fixture.gateway.submitted, 1);
    http_fixture_until_connections(&fixture, 2);
    http_server_drain(fixture.server, on_drained, &fixture);
    assert_true(http_client_at_end(&idle));
    assert_int_equal(fixture.drained, 0);
    gateway_fake_answer(&fixture.gateway, 0);
    http_client_read(&busy, &reply, true);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    assert_true(http_client_at_end(&busy));
    http_client_close(&busy);
    http_client_close(&idle);
    http_fixture_until_connections(&fixture, 0);
    http_fixture_turn(&fixture);
    assert_int_equal(fixture.drained, 1);
}

static void drain_answers_what_is_on_its_way_on_an_idle_connection(void **state)
{
    (void)state;
    http_client_t client;
    http_client_open(&client, &fixture);
    http_fixture_until_connections(&fixture, 1);
    http_server_drain(fixture.server, on_drained, &fixture);
    http_fixture_turn(&fixture);
    http_client_say(&client, GET_CARD);
    http_fixture_until(&fixture, &fixture.gateway.submitted, 1);
    http_client_read(&client, &reply, true);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    assert_true(http_client_at_end(&client));
    http_client_close(&client);
    http_fixture_until_connections(&fixture, 0);
    http_fixture_turn(&fixture);
    assert_int_equal(fixture.drained, 1);
}

static void fronts_share_one_listening_socket(void **state)
{
    (void)state;
    http_server_t *second = NULL;
    const int descriptor = dup(fixture.listener);
    assert_int_equal(http_server_create(fixture.loop, fixture.metrics, descriptor,
                                        &fixture.server->ports, &second),
                     RESULT_OK);
    for (int i = 0; i < 20; i++) {
        http_ask(&fixture, LIVE, &reply);
        assert_int_equal(reply.status, 200);
    }
    http_server_destroy(&second); /* the others go on */
    for (int i = 0; i < 20; i++) {
        http_ask(&fixture, LIVE, &reply);
        assert_int_equal(reply.status, 200);
    }
}

static void a_descriptor_that_does_not_listen_is_told(void **state)
{
    (void)state;
    http_server_t *second = NULL;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(
        http_server_create(fixture.loop, fixture.metrics, pair[0], &fixture.server->ports, &second),
        RESULT_INVALID_ARGUMENT);
    assert_null(second);
    (void)close(pair[1]);
}

static void destroy_lets_go_of_everything_at_any_time(void **state)
{
    (void)state;
    http_client_t clients[4];
    fixture.gateway.holds = true;
    fixture.fetch_holds = true;
    static const char *const requests[] = {GET_CARD, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
                                           "GET / HT", ""};
    for (size_t i = 0; i < 4; i++) {
        http_client_open(&clients[i], &fixture);
        http_client_say(&clients[i], requests[i]);
    }
    http_fixture_until_connections(&fixture, 4);
    while (fixture.fetch_done == NULL) {
        http_fixture_turn(&fixture);
    }
    char status[64];
    const size_t size = http_server_status(fixture.server, status, sizeof(status));
    assert_string_equal((status[size] = '\0', status), "{\"connections\":4,\"in_flight\":2}");
    http_server_destroy(&fixture.server);
    assert_int_equal(fixture.gateway.cancelled, 1);
    fixture.fetch_done(fixture.fetch_context, "late", 4); /* the supervisor answers nobody */
    for (size_t i = 0; i < 4; i++) {
        http_client_close(&clients[i]);
    }
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, start, stop)
#define QUICK(test) cmocka_unit_test_setup_teardown(test, start_quick, stop)
    const struct CMUnitTest tests[] = {
        WITH(connection_stays_open_between_requests),
        WITH(request_may_come_in_any_two_pieces),
        WITH(request_may_come_byte_by_byte),
        WITH(chunked_bodies_are_put_together_wherever_they_are_cut),
        WITH(body_of_one_mebibyte_is_read_and_more_is_refused),
        WITH(smuggled_requests_end_the_connection),
        WITH(continue_is_sent_when_the_head_is_acceptable),
        WITH(body_is_not_asked_for_when_it_would_be_refused),
        WITH(connection_closes_when_the_client_asks),
        WITH(answers_keep_the_order_of_requests),
        WITH(reading_pauses_when_the_pipeline_is_full),
        WITH(many_requests_may_come_at_once),
        WITH(only_one_page_is_fetched_at_a_time),
        WITH(reading_pauses_when_the_client_does_not_read),
        WITH(requests_are_cancelled_when_the_client_goes),
        WITH(client_that_closed_its_side_gets_its_answers),
        WITH(half_a_request_at_the_end_is_forgotten),
        QUICK(slow_requests_are_told_and_closed),
        QUICK(one_byte_now_and_then_does_not_help),
        QUICK(idle_connections_close_silently),
        QUICK(requests_in_flight_do_not_time_out_here),
        QUICK(client_that_never_reads_is_closed),
        QUICK(connections_beyond_the_limit_are_told_so),
        WITH(large_bodies_on_their_way_are_bounded),
        WITH(pages_wait_until_others_were_read),
        WITH(idle_connection_holds_no_buffers),
        WITH(drain_answers_what_is_in_flight_and_closes_the_rest),
        WITH(drain_answers_what_is_on_its_way_on_an_idle_connection),
        WITH(fronts_share_one_listening_socket),
        WITH(a_descriptor_that_does_not_listen_is_told),
        WITH(destroy_lets_go_of_everything_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
