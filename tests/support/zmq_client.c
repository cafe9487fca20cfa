/* See zmq_client.h. */
#include "tests/support/zmq_client.h"

#include "runtime/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <uv.h>
#include <zmq.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000 };

void zmq_client_open(zmq_client_t *client, loop_t *loop, int type, const char *endpoint)
{
    memset(client, 0, sizeof(*client));
    client->loop = loop;
    client->context = zmq_ctx_new();
    assert_non_null(client->context);
    client->socket = zmq_socket(client->context, type);
    assert_non_null(client->socket);
    const int none = 0;
    assert_int_equal(zmq_setsockopt(client->socket, ZMQ_LINGER, &none, sizeof(none)), 0);
    assert_int_equal(zmq_connect(client->socket, endpoint), 0);
}

void zmq_client_close(zmq_client_t *client)
{
    assert_int_equal(zmq_close(client->socket), 0);
    assert_int_equal(zmq_ctx_term(client->context), 0);
}

void zmq_client_turn(loop_t *loop)
{
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
}

static void turn_until(zmq_client_t *client, uint64_t deadline_ms)
{
    zmq_client_turn(client->loop);
    if (clock_monotonic_ms() > deadline_ms) {
        fail_msg("no message came");
    }
}

void zmq_client_send(zmq_client_t *client, const void *data, size_t size, bool more)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
    while (zmq_send(client->socket, data, size, flags) < 0) {
        assert_int_equal(zmq_errno(), EAGAIN);
        turn_until(client, deadline_ms);
    }
}

void zmq_client_read(zmq_client_t *client)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    int more = 1;
    client->count = 0;
    while (more != 0) {
        assert_true(client->count < ZMQ_CLIENT_FRAMES);
        char *frame = client->frames[client->count];
        const int size = zmq_recv(client->socket, frame, ZMQ_CLIENT_FRAME_SIZE, ZMQ_DONTWAIT);
        if (size < 0) {
            assert_int_equal(zmq_errno(), EAGAIN);
            turn_until(client, deadline_ms);
            continue;
        }
        client->sizes[client->count] = (size_t)size;
        client->count++;
        size_t more_size = sizeof(more);
        assert_int_equal(zmq_getsockopt(client->socket, ZMQ_RCVMORE, &more, &more_size), 0);
    }
}
