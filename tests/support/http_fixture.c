/* See http_fixture.h. */
#include "tests/support/http_fixture.h"

#include "runtime/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000 };

static result_t fetch(void *context, const char *what, http_fetched_t *done, void *done_context)
{
    http_fixture_t *fixture = context;
    (void)snprintf(fixture->fetch_what, sizeof(fixture->fetch_what), "%s", what);
    if (fixture->fetch_fails_with != RESULT_OK) {
        return fixture->fetch_fails_with;
    }
    if (fixture->fetch_holds) {
        fixture->fetch_done = done;
        fixture->fetch_context = done_context;
        return RESULT_OK;
    }
    done(done_context, fixture->fetched, fixture->fetched == NULL ? 0 : strlen(fixture->fetched));
    return RESULT_OK;
}

static result_t fake_svg(text_t text, char **out, size_t *size)
{
    const text_t start = TEXT_LITERAL("<svg>");
    *out = malloc(text.size + start.size);
    assert_non_null(*out);
    memcpy(*out, start.data, start.size);
    memcpy(*out + start.size, text.data, text.size);
    *size = start.size + text.size;
    return RESULT_OK;
}

static result_t fake_png(text_t text, uint32_t pixels, uint8_t **out, size_t *size)
{
    (void)text;
    (void)pixels;
    *out = malloc(4);
    assert_non_null(*out);
    memcpy(*out, "\x89PNG", 4);
    *size = 4;
    return RESULT_OK;
}

static const qrcode_functions_t qrcode = {.svg = fake_svg, .png = fake_png};

static int listen_on_loopback(int *port)
{
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(descriptor, 64), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return descriptor;
}

void http_fixture_start(http_fixture_t *fixture, const http_options_t *options)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->options = options == NULL ? http_options_default : *options;
    gateway_fake_init(&fixture->gateway);
    fixture->fetched = "text";
    fixture->body = malloc(HTTP_CLIENT_BUFFER + 1);
    assert_non_null(fixture->body);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("test");
    const int descriptor = listen_on_loopback(&fixture->port);
    fixture->listener = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    assert_true(fixture->listener >= 0);
    const http_ports_t ports = {
        .gateway = &fixture->gateway, .qrcode = &qrcode, .fetch = fetch, .fetch_context = fixture};
    assert_int_equal(http_server_create_with(fixture->loop, fixture->metrics, descriptor, &ports,
                                             &fixture->options, &fixture->server),
                     RESULT_OK);
}

void http_fixture_stop(http_fixture_t *fixture)
{
    http_server_destroy(&fixture->server);
    loop_destroy(&fixture->loop);
    metrics_destroy(&fixture->metrics);
    free(fixture->body);
    (void)close(fixture->listener);
}

void http_fixture_turn(http_fixture_t *fixture)
{
    (void)uv_run(loop_uv(fixture->loop), UV_RUN_NOWAIT);
}

static void turn_until(http_fixture_t *fixture, uint64_t deadline_ms)
{
    http_fixture_turn(fixture);
    if (clock_monotonic_ms() > deadline_ms) {
        fail_msg("what the test waits for did not happen");
    }
}

void http_fixture_until(http_fixture_t *fixture, const uint64_t *value, uint64_t wanted)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (*(const volatile uint64_t *)value < wanted) {
        turn_until(fixture, deadline_ms);
    }
}

void http_fixture_until_connections(http_fixture_t *fixture, uint32_t wanted)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (fixture->server->connection_count + fixture->server->refused_count != wanted) {
        turn_until(fixture, deadline_ms);
    }
}

void http_client_open(http_client_t *client, http_fixture_t *fixture)
{
    *client = (http_client_t){.fixture = fixture, .data = malloc(HTTP_CLIENT_BUFFER)};
    assert_non_null(client->data);
    client->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)fixture->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(
        connect(client->descriptor, (const struct sockaddr *)&address, sizeof(address)), 0);
    const int on = 1;
    (void)setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert_int_equal(fcntl(client->descriptor, F_SETFL, O_NONBLOCK), 0);
}

void http_client_close(http_client_t *client)
{
    (void)close(client->descriptor);
    free(client->data);
    client->data = NULL;
}

void http_client_reset(http_client_t *client)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(client->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    http_client_close(client);
}

void http_client_send(http_client_t *client, const char *data, size_t size)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    size_t sent = 0;
    while (sent < size) {
        const ssize_t count = send(client->descriptor, data + sent, size - sent, MSG_NOSIGNAL);
        if (count > 0) {
            sent += (size_t)count;
        } else if (errno != EAGAIN) {
            return; /* the server closed: what it said is what the test looks at */
        }
        turn_until(client->fixture, deadline_ms);
    }
}

void http_client_say(http_client_t *client, const char *text)
{
    http_client_send(client, text, strlen(text));
}

static void receive(http_client_t *client)
{
    assert_true(client->size < HTTP_CLIENT_BUFFER);
    const ssize_t count =
        recv(client->descriptor, client->data + client->size, HTTP_CLIENT_BUFFER - client->size, 0);
    if (count > 0) {
        client->size += (size_t)count;
    } else if (count == 0 || errno != EAGAIN) {
        client->closed = true;
    }
}

bool http_client_at_end(http_client_t *client)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (!client->closed) {
        turn_until(client->fixture, deadline_ms);
        receive(client);
    }
    return client->size == 0;
}

static size_t body_size_of(const http_reply_t *reply)
{
    const char *field = strstr(reply->head, "Content-Length: ");
    return field == NULL ? 0 : (size_t)strtoul(field + 16, NULL, 10);
}

void http_client_read(http_client_t *client, http_reply_t *reply, bool expects_body)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        const char *end = memmem(client->data, client->size, "\r\n\r\n", 4);
        const size_t head_size = end == NULL ? 0 : (size_t)(end - client->data) + 4;
        if (head_size > 0) {
            assert_true(head_size < sizeof(reply->head));
            memcpy(reply->head, client->data, head_size);
            reply->head[head_size] = '\0';
            assert_int_equal(sscanf(reply->head, "HTTP/1.1 %d ", &reply->status), 1);
            reply->body_size = expects_body ? body_size_of(reply) : 0;
            if (client->size >= head_size + reply->body_size) {
                reply->body = client->fixture->body;
                memcpy(reply->body, client->data + head_size, reply->body_size);
                reply->body[reply->body_size] = '\0';
                client->size -= head_size + reply->body_size;
                memmove(client->data, client->data + head_size + reply->body_size, client->size);
                return;
            }
        }
        if (client->closed) {
            fail_msg("the connection ended before an answer came");
        }
        turn_until(client->fixture, deadline_ms);
        receive(client);
    }
}

void http_ask(http_fixture_t *fixture, const char *request, http_reply_t *reply)
{
    http_client_t client;
    http_client_open(&client, fixture);
    http_client_say(&client, request);
    http_client_read(&client, reply, strncmp(request, "HEAD", 4) != 0);
    http_client_close(&client);
}
