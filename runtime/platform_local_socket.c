/* Listens for streams, or keeps one connected. Peers have the names 0, 1, … in four bytes, each
 * given once. Must not know what the messages mean, nor keep what belongs to a connection that
 * ended. */
#include "runtime/local_socket.h"

#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/local_stream.h"
#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { NONE = -1 };

typedef struct peer {
    local_stream_t *stream; /* NULL: free place */
    uint32_t name;          /* its place, and how often that was taken before */
} peer_t;

struct local_socket {
    uv_poll_t poll; /* of the listening descriptor */
    loop_t *loop;
    int descriptor; /* that listens; NONE: it connects */
    zsocket_receive_t *receive;
    void *context;
    loop_timer_t *retry; /* of what failed: to connect, or to accept */
    struct sockaddr_un address;
    size_t peers_max;
    peer_t peers[]; /* the connecting one has one place */
};

static bool connects(const local_socket_t *socket)
{
    return socket->descriptor == NONE;
}

static result_t result_of_errno(int error)
{
    switch (error) {
    case EADDRINUSE:
        return RESULT_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
    case EROFS:
        return RESULT_PERMISSION_DENIED;
    case ENOENT:
    case ENOTDIR:
        return RESULT_INVALID_ARGUMENT;
    default:
        return RESULT_IO;
    }
}

/* --- Peers --- */

static void peer_message(void *context, local_stream_t *stream, const uint8_t *message, size_t size)
{
    const local_socket_t *const socket = context;
    const zframe_view_t content = {message, size};
    if (connects(socket)) {
        socket->receive(socket->context, &content, 1);
        return;
    }
    size_t place = 0;
    while (socket->peers[place].stream != stream) {
        place++; /* it is one of them: it just spoke */
    }
    const uint32_t name = socket->peers[place].name;
    const zframe_view_t frames[] = {{&name, sizeof(name)}, content};
    socket->receive(socket->context, frames, 2);
}

static void peer_closed(void *context, local_stream_t *stream)
{
    local_socket_t *const socket = context;
    for (size_t place = 0; place < socket->peers_max; place++) {
        if (socket->peers[place].stream == stream) {
            local_stream_destroy(&socket->peers[place].stream, 0);
        }
    }
    if (connects(socket)) {
        loop_timer_start(socket->retry, LIMIT_RECONNECT_MS_MIN, 0);
    }
}

static const local_stream_handler_t peer_handler = {.message = peer_message, .closed = peer_closed};

static peer_t *peer_place(local_socket_t *socket)
{
    for (size_t place = 0; place < socket->peers_max; place++) {
        if (socket->peers[place].stream == NULL) {
            return &socket->peers[place];
        }
    }
    return NULL;
}

static peer_t *peer_of_name(local_socket_t *socket, const zframe_view_t *frame)
{
    uint32_t name = 0;
    if (frame->size != sizeof(name)) {
        return NULL;
    }
    memcpy(&name, frame->data, sizeof(name));
    peer_t *const peer = &socket->peers[name % LIMIT_CHANNEL_PEERS];
    return peer->stream != NULL && peer->name == name ? peer : NULL;
}

/* --- Listening --- */

static void on_connection(uv_poll_t *handle, int status, int events)
{
    local_socket_t *const socket = handle->data;
    (void)status;
    (void)events;
    const int descriptor = accept4(socket->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) { /* it left again, or there are no descriptors: the kernel keeps it */
        (void)uv_poll_stop(&socket->poll);
        loop_timer_start(socket->retry, LIMIT_RECONNECT_MS_MIN, 0);
        return;
    }
    peer_t *const peer = peer_place(socket);
    if (peer == NULL) {
        log_warn("a channel has as many peers as it keeps: another one is turned away",
                 LOG_NUMBER("peers_max", LIMIT_CHANNEL_PEERS));
        (void)close(descriptor);
        return;
    }
    peer->name += LIMIT_CHANNEL_PEERS;
    const result_t result =
        local_stream_create(socket->loop, descriptor, &peer_handler, socket, &peer->stream);
    if (result != RESULT_OK) {
        log_error("a peer of a channel is turned away", LOG_STRING("why", result_title(result)));
    }
}

static void accept_again(void *context)
{
    local_socket_t *const socket = context;
    const int failed = uv_poll_start(&socket->poll, UV_READABLE, on_connection);
    assert(failed == 0); /* the descriptor is ours and open */
}

static result_t listen_at(local_socket_t *socket)
{
    const struct sockaddr *const address = (const struct sockaddr *)&socket->address;
    (void)unlink(socket->address.sun_path); /* of a role that died: its name was given once */
    if (bind(socket->descriptor, address, sizeof(socket->address)) != 0 ||
        listen(socket->descriptor, LIMIT_CHANNEL_BACKLOG) != 0) {
        return result_of_errno(errno);
    }
    return RESULT_OK;
}

static result_t socket_make(loop_t *loop, const char *path, size_t peers_max,
                            zsocket_receive_t *receive, void *context, local_socket_t **socket)
{
    const size_t size = strlen(path);
    if (size == 0 || size >= sizeof((*socket)->address.sun_path)) {
        return RESULT_INVALID_ARGUMENT;
    }
    local_socket_t *const made = calloc(1, sizeof(*made) + peers_max * sizeof(made->peers[0]));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->loop = loop;
    made->descriptor = NONE;
    made->receive = receive;
    made->context = context;
    made->address.sun_family = AF_UNIX;
    memcpy(made->address.sun_path, path, size);
    made->peers_max = peers_max;
    for (size_t place = 0; place < peers_max; place++) {
        made->peers[place].name = (uint32_t)place;
    }
    *socket = made;
    return RESULT_OK;
}

static int open_descriptor(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

result_t local_socket_listen(loop_t *loop, const char *path, zsocket_receive_t *receive,
                             void *context, local_socket_t **socket)
{
    local_socket_t *made = NULL;
    result_t result = socket_make(loop, path, LIMIT_CHANNEL_PEERS, receive, context, &made);
    if (result != RESULT_OK) {
        return result;
    }
    made->descriptor = open_descriptor();
    result = made->descriptor < 0 ? RESULT_NO_MEMORY : listen_at(made);
    if (result == RESULT_OK && uv_poll_init(loop_uv(loop), &made->poll, made->descriptor) != 0) {
        result = RESULT_IO;
    }
    if (result != RESULT_OK) {
        if (made->descriptor >= 0) {
            (void)close(made->descriptor);
        }
        free(made);
        return result;
    }
    made->poll.data = made;
    made->retry = loop_timer_create(loop, accept_again, made);
    accept_again(made);
    *socket = made;
    return RESULT_OK;
}

/* --- Connecting --- */

/* A Unix socket connects at once or not at all. */
static void connect_now(void *context)
{
    local_socket_t *const socket = context;
    const struct sockaddr *const address = (const struct sockaddr *)&socket->address;
    const int descriptor = open_descriptor();
    const bool is_connected =
        descriptor >= 0 && connect(descriptor, address, sizeof(socket->address)) == 0;
    if (!is_connected && descriptor >= 0) {
        (void)close(descriptor);
    }
    if (!is_connected || local_stream_create(socket->loop, descriptor, &peer_handler, socket,
                                             &socket->peers[0].stream) != RESULT_OK) {
        loop_timer_start(socket->retry, LIMIT_RECONNECT_MS_MIN, 0);
    }
}

result_t local_socket_connect(loop_t *loop, const char *path, zsocket_receive_t *receive,
                              void *context, local_socket_t **socket)
{
    const result_t result = socket_make(loop, path, 1, receive, context, socket);
    if (result == RESULT_OK) {
        (*socket)->retry = loop_timer_create(loop, connect_now, *socket);
        connect_now(*socket);
    }
    return result;
}

/* --- Both --- */

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void local_socket_destroy(local_socket_t **socket, int linger_ms)
{
    local_socket_t *const destroyed = *socket;
    if (destroyed == NULL) {
        return;
    }
    *socket = NULL;
    const uint64_t end_ms = clock_monotonic_ms() + (uint64_t)linger_ms;
    for (size_t place = 0; place < destroyed->peers_max; place++) {
        const uint64_t now_ms = clock_monotonic_ms();
        local_stream_destroy(&destroyed->peers[place].stream,
                             now_ms < end_ms ? (int)(end_ms - now_ms) : 0);
    }
    loop_timer_destroy(&destroyed->retry);
    if (connects(destroyed)) {
        free(destroyed);
        return;
    }
    (void)unlink(destroyed->address.sun_path);
    uv_close((uv_handle_t *)&destroyed->poll, on_listener_closed); /* forgets the descriptor */
    (void)close(destroyed->descriptor);
}

result_t local_socket_send(local_socket_t *socket, const zframe_view_t *frames, size_t frame_count)
{
    const zframe_view_t *const content = &frames[frame_count - 1];
    if (connects(socket)) {
        assert(frame_count == 1);
        const result_t result =
            socket->peers[0].stream == NULL
                ? RESULT_BUSY
                : local_stream_send(socket->peers[0].stream, content->data, content->size);
        return result == RESULT_MISSING ? RESULT_BUSY : result; /* it connects again */
    }
    assert(frame_count == 2);
    const peer_t *const peer = peer_of_name(socket, &frames[0]);
    return peer == NULL ? RESULT_MISSING
                        : local_stream_send(peer->stream, content->data, content->size);
}
