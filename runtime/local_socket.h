/* Messages between two processes of one machine over a Unix stream socket that the loops at both
 * ends read and write themselves: what is sent wakes nobody but its receiver, where ZeroMQ wakes a
 * thread of its own at each end. For runtime/channel_wire.c; frames and rules are those of a
 * ROUTER and a DEALER (runtime/zsocket.h), with one frame of content. Layout: u32 little-endian
 * size of the message, its bytes. */
#ifndef RUNTIME_LOCAL_SOCKET_H
#define RUNTIME_LOCAL_SOCKET_H

#include "runtime/zsocket.h"

typedef struct local_socket local_socket_t;

/* Listens at `path`, whose file is taken over when nobody has removed it. Hands out [name of the
 * sender, message]. ADDRESS_IN_USE, INVALID_ARGUMENT for what is no path, PERMISSION_DENIED. */
MUST_USE result_t local_socket_listen(loop_t *loop, const char *path, zsocket_receive_t *receive,
                                      void *context, local_socket_t **socket);
/* Connects, now or as soon as somebody listens there, and again when the other end goes. Hands out
 * [message]. INVALID_ARGUMENT for what is no path. */
MUST_USE result_t local_socket_connect(loop_t *loop, const char *path, zsocket_receive_t *receive,
                                       void *context, local_socket_t **socket);
/* What is not written yet has `linger_ms` to leave, for which this call waits; 0: it is lost. What
 * is written reaches a receiver that lives. `receive` may do this. */
void local_socket_destroy(local_socket_t **socket, int linger_ms);

/* Never blocks. A listening socket: frames [name, message]; a connecting one: [message]. MISSING:
 * that peer has gone. BUSY: LIMIT_CHANNEL_UNSENT_SIZE wait for the peer already, or nobody listens
 * yet; the loop has a turn as soon as that changes. */
MUST_USE result_t local_socket_send(local_socket_t *socket, const zframe_view_t *frames,
                                    size_t frame_count);

#endif
