/* Reads and writes one stream socket. What the kernel does not take at once is kept, and written
 * when it has room; a message is handed out of the memory it was read into. Must not know who is at
 * the other end, nor connect again. */
#include "runtime/local_stream.h"

#include "runtime/channel_batch.h"
#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

enum { HEAD_SIZE = 4, READ_SIZE_MIN = 65536 };

typedef struct buffer {
    uint8_t *bytes;
    size_t capacity;
    size_t begin; /* what is used lies in [begin, end) */
    size_t end;
} buffer_t;

struct local_stream {
    uv_poll_t poll;
    int descriptor;
    local_stream_handler_t handler;
    void *context;
    buffer_t in;
    buffer_t out;
    bool is_broken;
    bool is_destroyed; /* libuv frees it when the callback that did so has returned */
};

/* --- Buffers --- */

static size_t buffer_used(const buffer_t *buffer)
{
    return buffer->end - buffer->begin;
}

/* Room for `size` bytes behind the end. What is used moves to the front when at least as much was
 * taken out before, so that a byte is moved once on average. */
static bool buffer_reserve(buffer_t *buffer, size_t size)
{
    if (buffer->capacity - buffer->end < size && buffer->begin >= buffer_used(buffer) &&
        buffer->begin > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->begin, buffer_used(buffer));
        buffer->end -= buffer->begin;
        buffer->begin = 0;
    }
    if (buffer->capacity - buffer->end >= size) {
        return true;
    }
    const size_t needed = buffer->end + size;
    const size_t capacity = needed < 2 * buffer->capacity ? 2 * buffer->capacity : needed;
    uint8_t *const bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

/* An empty one gives back what it does not need usually. */
static void buffer_settle(buffer_t *buffer)
{
    if (buffer_used(buffer) > 0) {
        return;
    }
    buffer->begin = 0;
    buffer->end = 0;
    if (buffer->capacity > LIMIT_CHANNEL_BUFFER_KEPT_SIZE) {
        free(buffer->bytes);
        *buffer = (buffer_t){0};
    }
}

static void buffer_add(buffer_t *buffer, const void *bytes, size_t size)
{
    if (size > 0) {
        memcpy(buffer->bytes + buffer->end, bytes, size);
        buffer->end += size;
    }
}

static uint32_t head_read(const uint8_t *head)
{
    return (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 |
           (uint32_t)head[3] << 24;
}

static void head_write(uint8_t head[HEAD_SIZE], size_t size)
{
    for (unsigned index = 0; index < HEAD_SIZE; index++) {
        head[index] = (uint8_t)(size >> (8 * index));
    }
}

/* --- Life --- */

static void on_closed(uv_handle_t *handle)
{
    local_stream_t *const stream = handle->data;
    free(stream->in.bytes);
    free(stream->out.bytes);
    free(stream);
}

/* Nothing is read or written any more. */
static void stream_break(local_stream_t *stream)
{
    stream->is_broken = true;
    stream->out.begin = stream->out.end;
    (void)shutdown(stream->descriptor, SHUT_RDWR); /* makes the descriptor readable: see on_poll */
}

static void stream_tell_closed(local_stream_t *stream)
{
    stream->is_broken = true;
    (void)uv_poll_stop(&stream->poll);
    stream->handler.closed(stream->context, stream);
}

/* --- Writing --- */

static void watch(local_stream_t *stream);

/* True: all of it, or the stream is broken. */
static bool write_out(local_stream_t *stream)
{
    buffer_t *const out = &stream->out;
    while (buffer_used(out) > 0 && !stream->is_broken) {
        const ssize_t sent = send(stream->descriptor, out->bytes + out->begin, buffer_used(out),
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            return false;
        }
        if (sent < 0) {
            stream_break(stream);
        } else {
            out->begin += (size_t)sent;
        }
    }
    buffer_settle(out);
    return true;
}

/* How much of head and message the kernel took at once; nothing when it is full. */
static size_t write_at_once(local_stream_t *stream, uint8_t head[HEAD_SIZE], const void *message,
                            size_t size)
{
    struct iovec parts[] = {{head, HEAD_SIZE}, {(void *)(uintptr_t)message, size}};
    const struct msghdr whole = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = 0;
    do {
        sent = sendmsg(stream->descriptor, &whole, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
        stream_break(stream);
    }
    return sent < 0 ? 0 : (size_t)sent;
}

result_t local_stream_send(local_stream_t *stream, const void *message, size_t size)
{
    assert(size > 0 && size <= CHANNEL_MESSAGE_SIZE_MAX);
    uint8_t head[HEAD_SIZE];
    if (stream->is_broken) {
        return RESULT_MISSING;
    }
    const size_t unsent = buffer_used(&stream->out);
    if (unsent > LIMIT_CHANNEL_UNSENT_SIZE) {
        return RESULT_BUSY;
    }
    head_write(head, size);
    const size_t sent = unsent == 0 ? write_at_once(stream, head, message, size) : 0;
    if (stream->is_broken) {
        return RESULT_MISSING;
    }
    if (sent == HEAD_SIZE + size) {
        return RESULT_OK;
    }
    if (!buffer_reserve(&stream->out, HEAD_SIZE + size - sent)) {
        if (sent == 0) {
            return RESULT_NO_MEMORY;
        }
        stream_break(stream); /* half a message cannot be taken back */
        return RESULT_MISSING;
    }
    const size_t of_head = sent < HEAD_SIZE ? HEAD_SIZE - sent : 0;
    const size_t of_message = HEAD_SIZE + size - sent - of_head;
    buffer_add(&stream->out, head + HEAD_SIZE - of_head, of_head);
    buffer_add(&stream->out, (const uint8_t *)message + size - of_message, of_message);
    watch(stream);
    return RESULT_OK;
}

/* --- Reading --- */

/* Hands out every whole message. False when what came is none. */
static bool deliver(local_stream_t *stream)
{
    buffer_t *const in = &stream->in;
    while (!stream->is_destroyed && buffer_used(in) >= HEAD_SIZE) {
        const uint8_t *const head = in->bytes + in->begin;
        const size_t size = head_read(head);
        if (size == 0 || size > CHANNEL_MESSAGE_SIZE_MAX) {
            log_error("what came over a channel is no message: the connection is ended",
                      LOG_NUMBER("size", size));
            return false;
        }
        if (buffer_used(in) - HEAD_SIZE < size) {
            /* Read in one piece what is left of a large one. A refusal shows when it is read. */
            (void)!buffer_reserve(in, size + HEAD_SIZE - buffer_used(in) + READ_SIZE_MIN);
            return true;
        }
        in->begin += HEAD_SIZE + size;
        stream->handler.message(stream->context, stream, head + HEAD_SIZE, size);
    }
    buffer_settle(in);
    return true;
}

/* One piece for each turn, so that the others have theirs. False: the stream has ended. */
static bool read_in(local_stream_t *stream)
{
    buffer_t *const in = &stream->in;
    if (!buffer_reserve(in, READ_SIZE_MIN)) {
        return false;
    }
    ssize_t size = 0;
    do {
        size = recv(stream->descriptor, in->bytes + in->end, in->capacity - in->end, MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        return errno == EAGAIN;
    }
    in->end += (size_t)size;
    return size > 0 && deliver(stream);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    local_stream_t *const stream = handle->data;
    if ((events & UV_WRITABLE) != 0 && write_out(stream)) {
        watch(stream);
    }
    if (status == 0 && (events & UV_READABLE) == 0) {
        return;
    }
    const bool goes_on = read_in(stream);
    if (stream->is_destroyed) {
        return;
    }
    if (!goes_on) {
        stream_tell_closed(stream);
    } else if (status != 0) {
        watch(stream); /* it died, and libuv looks no more: its last words are still here */
    }
}

static void watch(local_stream_t *stream)
{
    const int events = UV_READABLE | (buffer_used(&stream->out) > 0 ? UV_WRITABLE : 0);
    const int failed = uv_poll_start(&stream->poll, events, on_poll);
    assert(failed == 0); /* the descriptor is ours and open */
}

result_t local_stream_create(loop_t *loop, int descriptor, const local_stream_handler_t *handler,
                             void *context, local_stream_t **stream)
{
    local_stream_t *const created = calloc(1, sizeof(*created));
    if (created == NULL || uv_poll_init(loop_uv(loop), &created->poll, descriptor) != 0) {
        free(created);
        (void)close(descriptor);
        return created == NULL ? RESULT_NO_MEMORY : RESULT_IO;
    }
    created->poll.data = created;
    created->descriptor = descriptor;
    created->handler = *handler;
    created->context = context;
    watch(created);
    *stream = created;
    return RESULT_OK;
}

/* Waits for the kernel to take what is left. */
static void write_last(local_stream_t *stream, int linger_ms)
{
    const uint64_t begin_ms = clock_monotonic_ms();
    uint64_t waited_ms = 0;
    while (!write_out(stream) && waited_ms < (uint64_t)linger_ms) {
        struct pollfd room = {.fd = stream->descriptor, .events = POLLOUT};
        (void)poll(&room, 1, linger_ms - (int)waited_ms);
        waited_ms = clock_monotonic_ms() - begin_ms;
    }
}

void local_stream_destroy(local_stream_t **stream, int linger_ms)
{
    local_stream_t *const destroyed = *stream;
    if (destroyed == NULL) {
        return;
    }
    *stream = NULL;
    if (!destroyed->is_broken && linger_ms > 0) {
        write_last(destroyed, linger_ms);
    }
    destroyed->is_destroyed = true;
    uv_close((uv_handle_t *)&destroyed->poll, on_closed); /* forgets the descriptor at once */
    (void)close(destroyed->descriptor);
}
