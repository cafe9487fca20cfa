/* A ZeroMQ client socket with a context of its own, for tests of sockets on a loop: its calls turn
 * that loop until what they wait for is there (or 10 s are over). */
#ifndef TESTS_SUPPORT_ZMQ_CLIENT_H
#define TESTS_SUPPORT_ZMQ_CLIENT_H

#include "runtime/loop.h"

#include <stddef.h>

enum { ZMQ_CLIENT_FRAMES = 8, ZMQ_CLIENT_FRAME_SIZE = 4096 };

typedef struct zmq_client {
    loop_t *loop;
    void *context;
    void *socket;
    size_t count; /* frames of the last message */
    size_t sizes[ZMQ_CLIENT_FRAMES];
    char frames[ZMQ_CLIENT_FRAMES][ZMQ_CLIENT_FRAME_SIZE]; /* cut */
} zmq_client_t;

void zmq_client_open(zmq_client_t *client, loop_t *loop, int type, const char *endpoint);
void zmq_client_close(zmq_client_t *client);
/* `more` frames follow when true. */
void zmq_client_send(zmq_client_t *client, const void *data, size_t size, bool more);
void zmq_client_read(zmq_client_t *client);
/* Turns the loop once without waiting. */
void zmq_client_turn(loop_t *loop);

#endif
