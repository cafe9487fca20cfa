/* What a channel sends its messages through, by the scheme of the endpoint: `unix://PATH` is a
 * local socket, anything else ZeroMQ's. For channel_server.c and channel_client.c. */
#ifndef RUNTIME_CHANNEL_WIRE_H
#define RUNTIME_CHANNEL_WIRE_H

#include "runtime/local_socket.h"
#include "runtime/zsocket.h"

typedef struct channel_wire {
    zsocket_t *zeromq; /* one of both, or none when there is no connection */
    local_socket_t *local;
} channel_wire_t;

/* `messages_max` bounds what waits for one peer of ZeroMQ; errors as zsocket_bind. */
MUST_USE result_t channel_wire_bind(loop_t *loop, const char *endpoint, int messages_max,
                                    zsocket_receive_t *receive, void *context,
                                    channel_wire_t *wire);
MUST_USE result_t channel_wire_connect(loop_t *loop, const char *endpoint,
                                       zsocket_receive_t *receive, void *context,
                                       channel_wire_t *wire);
bool channel_wire_is_open(const channel_wire_t *wire);
/* As zsocket_send: OK, BUSY, MISSING. */
MUST_USE result_t channel_wire_send(const channel_wire_t *wire, const zframe_view_t *frames,
                                    size_t frame_count);
/* What was sent has LIMIT_CHANNEL_LINGER_MS to leave, or is forgotten. */
void channel_wire_close(channel_wire_t *wire, bool lingers);

#endif
