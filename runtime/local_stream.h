/* One connected Unix stream socket on the loop, as messages. For platform_local_socket.c. */
#ifndef RUNTIME_LOCAL_STREAM_H
#define RUNTIME_LOCAL_STREAM_H

#include "runtime/loop.h"
#include <stddef.h>

typedef struct local_stream local_stream_t;

typedef struct local_stream_handler {
    /* `message` is borrowed for the call. The handler may destroy the stream. */
    void (*message)(void *context, local_stream_t *stream, const uint8_t *message, size_t size);
    /* Once: the other end is gone, or sent what is no message. The stream is still to be destroyed,
     * which may happen within the call. Never within local_stream_send. */
    void (*closed)(void *context, local_stream_t *stream);
} local_stream_handler_t;

/* `descriptor`, connected and non-blocking, is taken over, also on failure. */
MUST_USE result_t local_stream_create(loop_t *loop, int descriptor,
                                      const local_stream_handler_t *handler, void *context,
                                      local_stream_t **stream);
void local_stream_destroy(local_stream_t **stream, int linger_ms);
/* MISSING: it is broken, `closed` comes or came. BUSY. */
MUST_USE result_t local_stream_send(local_stream_t *stream, const void *message, size_t size);

#endif
