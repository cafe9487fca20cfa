/* Insides of a ZeroMQ socket, for runtime/platform_zsocket*.c. */
#ifndef RUNTIME_ZSOCKET_INTERNAL_H
#define RUNTIME_ZSOCKET_INTERNAL_H

#include "runtime/zsocket.h"

/* That it was bound to over TCP; 0: none. */
uint16_t zsocket_port(const zsocket_t *socket);
/* As zsocket_send, with a zmq_msg_t for the last frame; the caller closes it on a failure. */
MUST_USE result_t zsocket_send_message(zsocket_t *socket, const zframe_view_t *frames,
                                       size_t frame_count, void *last);
/* A message can be received at once. */
bool zsocket_is_readable(zsocket_t *socket);
/* As given; -1: none. */
int zsocket_listener(const zsocket_t *socket);
/* Another number of what stood there before zsocket_stop_accepting; the socket puts it back before
 * ZeroMQ looks for it. */
void zsocket_keep_listener(zsocket_t *socket, int kept);

#endif
