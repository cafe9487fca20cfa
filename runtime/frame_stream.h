/* Frames over one stream socket on the loop: [u32 little-endian size of the payload][u8 kind]
 * [payload]. Both ends of runtime/link.h are made of it. */
#ifndef RUNTIME_FRAME_STREAM_H
#define RUNTIME_FRAME_STREAM_H

#include "runtime/loop.h"
#include <stddef.h>

typedef struct frame_stream frame_stream_t;

typedef struct frame_stream_handler {
    /* `payload` is borrowed for the call. The handler may destroy the stream. */
    void (*frame)(void *context, uint8_t kind, const uint8_t *payload, size_t size);
    /* Once: the other end is gone, broke the framing, or does not read any more. The stream is
     * still to be destroyed by its owner, which may happen within the call. */
    void (*closed)(void *context);
} frame_stream_handler_t;

/* `descriptor` is taken over, also on failure. */
MUST_USE result_t frame_stream_create(loop_t *loop, int descriptor,
                                      const frame_stream_handler_t *handler, void *context,
                                      frame_stream_t **stream);
void frame_stream_destroy(frame_stream_t **stream); /* what is unsent is lost */

/* Sends head and body as one payload; either may be empty. A stream whose unsent bytes exceed
 * LIMIT_LINK_QUEUE_SIZE counts as closed: the other side hangs. `closed` may be called within. */
void frame_stream_send(frame_stream_t *stream, uint8_t kind, const void *head, size_t head_size,
                       const void *body, size_t body_size);

#endif
