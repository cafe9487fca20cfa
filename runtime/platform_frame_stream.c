/* Frames over a libuv pipe. It knows no kinds and no meaning. */
#include "runtime/frame_stream.h"

#include "runtime/limits.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { FRAME_HEAD_SIZE = 5, READ_SIZE_MIN = 4096 };

struct frame_stream {
    uv_pipe_t pipe;
    frame_stream_handler_t handler;
    void *context;
    uint8_t *buffer; /* received, not yet whole */
    size_t buffer_size;
    size_t buffer_used;
    bool delivering; /* within a callback of ours: memory must stay */
    bool broken;     /* `closed` was or will be called */
    bool destroyed;
};

typedef struct frame_write {
    uv_write_t request;
    uint8_t bytes[];
} frame_write_t;

static void stream_closed(uv_handle_t *handle)
{
    frame_stream_t *stream = handle->data;
    free(stream->buffer);
    free(stream);
}

static void stream_break(frame_stream_t *stream)
{
    if (stream->broken || stream->destroyed) {
        return;
    }
    stream->broken = true;
    (void)uv_read_stop((uv_stream_t *)&stream->pipe);
    stream->handler.closed(stream->context);
}

static uint32_t frame_payload_size(const uint8_t *head)
{
    return (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 |
           (uint32_t)head[3] << 24;
}

/* Hands out every whole frame. False when the framing is broken. */
static bool stream_deliver(frame_stream_t *stream)
{
    size_t at = 0;
    while (!stream->destroyed && !stream->broken && stream->buffer_used - at >= FRAME_HEAD_SIZE) {
        const uint8_t *head = stream->buffer + at;
        const size_t size = frame_payload_size(head);
        if (size > LIMIT_LINK_FRAME_SIZE) {
            return false;
        }
        if (stream->buffer_used - at - FRAME_HEAD_SIZE < size) {
            break;
        }
        at += FRAME_HEAD_SIZE + size;
        stream->handler.frame(stream->context, head[4], head + FRAME_HEAD_SIZE, size);
    }
    stream->buffer_used -= at;
    memmove(stream->buffer, stream->buffer + at, stream->buffer_used);
    return true;
}

static void stream_reserve(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    frame_stream_t *stream = handle->data;
    if (stream->buffer_size - stream->buffer_used < READ_SIZE_MIN) {
        const size_t size = stream->buffer_size * 2 + READ_SIZE_MIN;
        uint8_t *grown = realloc(stream->buffer, size);
        if (grown == NULL) {
            *buffer = uv_buf_init(NULL, 0); /* libuv reports UV_ENOBUFS to stream_read */
            return;
        }
        stream->buffer = grown;
        stream->buffer_size = size;
    }
    const size_t room = stream->buffer_size - stream->buffer_used;
    *buffer = uv_buf_init((char *)stream->buffer + stream->buffer_used, (unsigned)room);
}

static void stream_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    frame_stream_t *stream = handle->data;
    if (size < 0) {
        stream_break(stream);
        return;
    }
    stream->buffer_used += (size_t)size;
    stream->delivering = true;
    const bool whole = stream_deliver(stream);
    stream->delivering = false;
    if (stream->destroyed) {
        uv_close((uv_handle_t *)&stream->pipe, stream_closed);
    } else if (!whole) {
        stream_break(stream);
    }
}

result_t frame_stream_create(loop_t *loop, int descriptor, const frame_stream_handler_t *handler,
                             void *context, frame_stream_t **stream)
{
    frame_stream_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        (void)close(descriptor);
        return RESULT_NO_MEMORY;
    }
    const int initialised = uv_pipe_init(loop_uv(loop), &created->pipe, 0);
    assert(initialised == 0);
    created->pipe.data = created;
    created->handler = *handler;
    created->context = context;
    if (uv_pipe_open(&created->pipe, descriptor) != 0) {
        (void)close(descriptor);
        uv_close((uv_handle_t *)&created->pipe, stream_closed);
        return RESULT_IO;
    }
    if (uv_read_start((uv_stream_t *)&created->pipe, stream_reserve, stream_read) != 0) {
        uv_close((uv_handle_t *)&created->pipe, stream_closed);
        return RESULT_IO;
    }
    *stream = created;
    return RESULT_OK;
}

void frame_stream_destroy(frame_stream_t **stream)
{
    frame_stream_t *ending = *stream;
    *stream = NULL;
    if (ending == NULL) {
        return;
    }
    ending->destroyed = true;
    if (!ending->delivering) {
        uv_close((uv_handle_t *)&ending->pipe, stream_closed);
    }
}

static void stream_written(uv_write_t *request, int status)
{
    frame_stream_t *stream = request->handle->data;
    free(request->data);
    if (status != 0 && status != UV_ECANCELED && !stream->destroyed) {
        stream_break(stream);
    }
}

static void copy_part(uint8_t *out, const void *part, size_t size)
{
    if (size > 0) {
        memcpy(out, part, size);
    }
}

void frame_stream_send(frame_stream_t *stream, uint8_t kind, const void *head, size_t head_size,
                       const void *body, size_t body_size)
{
    const size_t payload = head_size + body_size;
    assert(payload <= LIMIT_LINK_FRAME_SIZE);
    if (stream->broken || stream->destroyed) {
        return;
    }
    if (uv_stream_get_write_queue_size((uv_stream_t *)&stream->pipe) > LIMIT_LINK_QUEUE_SIZE) {
        stream_break(stream); /* the other side reads nothing */
        return;
    }
    frame_write_t *write = malloc(sizeof *write + FRAME_HEAD_SIZE + payload);
    if (write == NULL) {
        stream_break(stream);
        return;
    }
    write->bytes[0] = (uint8_t)payload;
    write->bytes[1] = (uint8_t)(payload >> 8);
    write->bytes[2] = (uint8_t)(payload >> 16);
    write->bytes[3] = (uint8_t)(payload >> 24);
    write->bytes[4] = kind;
    copy_part(write->bytes + FRAME_HEAD_SIZE, head, head_size);
    copy_part(write->bytes + FRAME_HEAD_SIZE + head_size, body, body_size);
    write->request.data = write;
    uv_buf_t buffer = uv_buf_init((char *)write->bytes, (unsigned)(FRAME_HEAD_SIZE + payload));
    if (uv_write(&write->request, (uv_stream_t *)&stream->pipe, &buffer, 1, stream_written) != 0) {
        free(write);
        stream_break(stream);
    }
}
