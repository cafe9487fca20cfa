/* One ZeroMQ socket as a source of the loop. ZMQ_FD is edge-triggered and any send or receive may
 * eat its edge, so the descriptor only says "look"; whether there is something to read is asked of
 * ZMQ_EVENTS, before every wait in which the socket was touched (loop_internal.h). Must not know
 * what the frames mean. */
#include "runtime/zsocket_internal.h"

#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <zmq.h>

static_assert(ZSOCKET_DEALER == ZMQ_DEALER, "as zmq.h says");
static_assert(ZSOCKET_ROUTER == ZMQ_ROUTER, "as zmq.h says");

struct zsocket {
    loop_source_t source; /* first member: the loop hands it back */
    uv_poll_t poll;
    loop_t *loop;
    void *handle; /* ZeroMQ's; NULL once destroyed */
    zsocket_receive_t *receive;
    void *context;
    bool is_paused;
    bool counts_overflows; /* XPUB with ZMQ_XPUB_NODROP but for the moments of send_dropping */
    uint64_t dropped;
    uint64_t overflows;
    int listener;      /* the descriptor it was given; -1: none */
    int kept_listener; /* what it was before zsocket_stop_accepting; -1: it still is */
    uint16_t port;     /* bound over TCP; 0: not */
};

typedef struct message_frames {
    zmq_msg_t messages[LIMIT_API_FRAMES];
    zframe_view_t views[LIMIT_API_FRAMES];
    size_t count;
    bool is_too_long; /* had more frames than we keep */
} message_frames_t;

static zsocket_t *socket_of(loop_source_t *source)
{
    return (zsocket_t *)source;
}

static result_t result_of_errno(int error)
{
    switch (error) {
    case EADDRINUSE:
        return RESULT_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return RESULT_PERMISSION_DENIED;
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case EADDRNOTAVAIL:
    case ENODEV:
    case ENAMETOOLONG:
        return RESULT_INVALID_ARGUMENT;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return RESULT_NO_MEMORY;
    case EAGAIN:
        return RESULT_BUSY;
    case EHOSTUNREACH:
        return RESULT_MISSING;
    default:
        return RESULT_IO;
    }
}

/* Reading ZMQ_EVENTS also makes ZeroMQ handle what its threads told it (new peers, new room). */
static int socket_events(const zsocket_t *socket)
{
    int events = 0;
    size_t size = sizeof(events);
    int failed = 0;
    do {
        failed = zmq_getsockopt(socket->handle, ZMQ_EVENTS, &events, &size);
    } while (failed != 0 && zmq_errno() == EINTR);
    return failed == 0 ? events : 0;
}

bool zsocket_is_readable(zsocket_t *socket)
{
    loop_source_mark(socket->loop, &socket->source); /* asking may have eaten the edge */
    return (socket_events(socket) & ZMQ_POLLIN) != 0;
}

static bool source_is_ready(loop_source_t *source)
{
    const zsocket_t *const socket = socket_of(source);
    return (socket_events(socket) & ZMQ_POLLIN) != 0 && !socket->is_paused;
}

static int receive_frame(void *handle, zmq_msg_t *message)
{
    int size = 0;
    do {
        size = zmq_msg_recv(message, handle, ZMQ_DONTWAIT);
    } while (size < 0 && zmq_errno() == EINTR);
    return size;
}

/* One whole message. False when there is none: a message is either there with all its frames or
 * not at all, so only its first frame can be missing. */
static bool receive_message(void *handle, message_frames_t *frames)
{
    frames->count = 0;
    frames->is_too_long = false;
    bool has_more = true;
    while (has_more) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (receive_frame(handle, &message) < 0) {
            zmq_msg_close(&message);
            return false;
        }
        has_more = zmq_msg_more(&message) != 0;
        if (frames->count == LIMIT_API_FRAMES) {
            frames->is_too_long = true;
            zmq_msg_close(&message);
            continue;
        }
        zmq_msg_t *const kept = &frames->messages[frames->count];
        zmq_msg_init(kept);
        zmq_msg_move(kept, &message);
        frames->views[frames->count] = (zframe_view_t){zmq_msg_data(kept), zmq_msg_size(kept)};
        frames->count++;
    }
    return true;
}

static void frames_close(message_frames_t *frames)
{
    for (size_t index = 0; index < frames->count; index++) {
        zmq_msg_close(&frames->messages[index]);
    }
}

static void source_run(loop_source_t *source)
{
    zsocket_t *const socket = socket_of(source);
    message_frames_t frames;
    for (int count = 0; count < LIMIT_ZMQ_TURN_MESSAGES; count++) {
        if (socket->handle == NULL || socket->is_paused) {
            return;
        }
        const bool is_whole = receive_message(socket->handle, &frames);
        if (is_whole && !frames.is_too_long && socket->receive != NULL) {
            socket->receive(socket->context, frames.views, frames.count);
        } else if (is_whole) {
            socket->dropped++;
            loop_count_drops(socket->loop, LOOP_DROP_MESSAGE, 1);
        }
        frames_close(&frames);
        if (!is_whole) {
            return;
        }
    }
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)status; /* an error of the descriptor shows in ZMQ_EVENTS and in the next call */
    (void)events;
    zsocket_t *const socket = handle->data;
    loop_source_mark(socket->loop, &socket->source);
}

static bool set_number(void *handle, int option, int value)
{
    return zmq_setsockopt(handle, option, &value, sizeof(value)) == 0;
}

static bool set_options(void *handle, const zsocket_options_t *options)
{
    bool is_set = set_number(handle, ZMQ_LINGER, options->linger_ms) &&
                  set_number(handle, ZMQ_SNDHWM, options->send_messages_max) &&
                  set_number(handle, ZMQ_RCVHWM, options->receive_messages_max) &&
                  zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &options->message_size_max,
                                 sizeof(options->message_size_max)) == 0 &&
                  set_number(handle, ZMQ_RECONNECT_IVL, LIMIT_RECONNECT_MS_MIN) &&
                  set_number(handle, ZMQ_RECONNECT_IVL_MAX, LIMIT_RECONNECT_MS_MAX) &&
                  set_number(handle, ZMQ_TCP_KEEPALIVE, 1);
    if (options->type == ZMQ_ROUTER) {
        is_set = is_set && set_number(handle, ZMQ_ROUTER_MANDATORY, 1);
    }
    if (options->type == ZMQ_XPUB && options->xpub_verbose) {
        is_set = is_set && set_number(handle, ZMQ_XPUB_VERBOSER, 1);
    }
    if (options->type == ZMQ_XPUB && options->xpub_overflows) {
        is_set = is_set && set_number(handle, ZMQ_XPUB_NODROP, 1);
    }
    if (options->use_fd >= 0) {
        /* ZeroMQ accepts on it in its own thread, which must not block there. */
        const int flags = fcntl(options->use_fd, F_GETFL);
        is_set = is_set && flags >= 0 && fcntl(options->use_fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
                 set_number(handle, ZMQ_USE_FD, options->use_fd);
    }
    return is_set;
}

/* Joins the handle to the loop. */
static result_t socket_watch(zsocket_t *socket)
{
    int descriptor = -1;
    size_t size = sizeof(descriptor);
    if (zmq_getsockopt(socket->handle, ZMQ_FD, &descriptor, &size) != 0 ||
        uv_poll_init(loop_uv(socket->loop), &socket->poll, descriptor) != 0) {
        return RESULT_IO;
    }
    socket->poll.data = socket;
    socket->source.is_ready = source_is_ready;
    socket->source.run = source_run;
    loop_source_add(socket->loop, &socket->source);
    loop_source_mark(socket->loop, &socket->source);
    const int failed = uv_poll_start(&socket->poll, UV_READABLE, on_poll);
    assert(failed == 0); /* the descriptor is ZeroMQ's and open */
    return RESULT_OK;
}

result_t zsocket_create(loop_t *loop, const zsocket_options_t *options, zsocket_receive_t *receive,
                        void *context, zsocket_t **socket)
{
    assert(options->send_messages_max > 0);
    assert(options->receive_messages_max > 0);
    assert(options->message_size_max > 0);
    zsocket_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->listener = options->use_fd;
    created->kept_listener = -1;
    created->counts_overflows = options->type == ZMQ_XPUB && options->xpub_overflows;
    created->receive = receive;
    created->context = context;
    created->handle = zmq_socket(loop_zmq_context(loop), options->type);
    if (created->handle == NULL) {
        const result_t result = result_of_errno(zmq_errno());
        free(created);
        return result;
    }
    result_t result = RESULT_INVALID_ARGUMENT;
    if (set_options(created->handle, options)) {
        result = socket_watch(created);
    }
    if (result != RESULT_OK) {
        zmq_close(created->handle);
        free(created);
        return result;
    }
    *socket = created;
    return RESULT_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void zsocket_keep_listener(zsocket_t *socket, int kept)
{
    assert(socket->kept_listener < 0);
    socket->kept_listener = kept;
}

/* epoll knows a descriptor by its number and by what stands behind it: ZeroMQ ends the process when
 * it takes the number out and something else stands there. Whoever connects in the moment before it
 * does so is accepted, has not got through ZeroMQ's handshake, and connects again. */
static void listener_put_back(zsocket_t *socket)
{
    if (socket->kept_listener >= 0) {
        (void)dup3(socket->kept_listener, socket->listener, O_CLOEXEC);
        (void)close(socket->kept_listener);
        socket->kept_listener = -1;
    }
}

void zsocket_destroy(zsocket_t **socket)
{
    zsocket_t *const destroyed = *socket;
    if (destroyed == NULL) {
        return;
    }
    *socket = NULL;
    loop_source_remove(destroyed->loop, &destroyed->source);
    /* libuv forgets the descriptor at once, before ZeroMQ closes it; the memory stays until libuv
     * has called back, so that source_run, if we are within it, sees handle == NULL. */
    uv_close((uv_handle_t *)&destroyed->poll, on_closed);
    listener_put_back(destroyed);
    zmq_close(destroyed->handle);
    destroyed->handle = NULL;
}

/* IPv6 is off in ZeroMQ until asked for; only an address in brackets asks. */
static void allow_address_family(void *handle, const char *endpoint)
{
    if (strstr(endpoint, "://[") != NULL) {
        (void)set_number(handle, ZMQ_IPV6, 1);
    }
}

static uint16_t bound_port(const zsocket_t *socket)
{
    char endpoint[LIMIT_ROLE_ENDPOINT_SIZE + 1] = "";
    size_t size = sizeof(endpoint);
    const bool is_known = zmq_getsockopt(socket->handle, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0;
    const char *colon = is_known ? strrchr(endpoint, ':') : NULL;
    return colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

uint16_t zsocket_port(const zsocket_t *socket)
{
    return socket->port;
}

int zsocket_listener(const zsocket_t *socket)
{
    return socket->listener;
}

result_t zsocket_bind(zsocket_t *socket, const char *endpoint)
{
    allow_address_family(socket->handle, endpoint);
    const int failed = zmq_bind(socket->handle, endpoint);
    const result_t result = failed == 0 ? RESULT_OK : result_of_errno(zmq_errno());
    if (failed == 0 && strncmp(endpoint, "tcp://", 6) == 0) {
        socket->port = bound_port(socket);
    }
    loop_source_mark(socket->loop, &socket->source);
    return result;
}

result_t zsocket_connect(zsocket_t *socket, const char *endpoint)
{
    allow_address_family(socket->handle, endpoint);
    const int failed = zmq_connect(socket->handle, endpoint);
    const result_t result = failed == 0 ? RESULT_OK : result_of_errno(zmq_errno());
    loop_source_mark(socket->loop, &socket->source);
    return result;
}

result_t zsocket_disconnect(zsocket_t *socket, const char *endpoint)
{
    const int failed = zmq_disconnect(socket->handle, endpoint);
    loop_source_mark(socket->loop, &socket->source);
    return failed == 0 ? RESULT_OK : RESULT_MISSING;
}

void zsocket_set_linger(zsocket_t *socket, int linger_ms)
{
    const bool is_set = set_number(socket->handle, ZMQ_LINGER, linger_ms);
    assert(is_set);
}

/* `message` in place of the frame when there is one. */
static int send_frame(void *handle, const zframe_view_t *frame, zmq_msg_t *message, int flags)
{
    int size = 0;
    do {
        size = message == NULL ? zmq_send(handle, frame->data, frame->size, flags)
                               : zmq_msg_send(message, handle, flags);
    } while (size < 0 && zmq_errno() == EINTR);
    return size;
}

/* The first frame of a message that ZeroMQ refused because some subscriber is full: all others get
 * it. ZeroMQ then passes the full one over until it has read, so that this happens once for each
 * time that one becomes full, and costs nothing in between. */
static int send_dropping(zsocket_t *socket, const zframe_view_t *frame, zmq_msg_t *message,
                         int flags)
{
    socket->overflows++;
    const bool drops = set_number(socket->handle, ZMQ_XPUB_NODROP, 0);
    const int size = send_frame(socket->handle, frame, message, flags);
    const bool refuses = set_number(socket->handle, ZMQ_XPUB_NODROP, 1);
    assert(drops && refuses); /* ZeroMQ takes the option at any time */
    return size;
}

static int send_first(zsocket_t *socket, const zframe_view_t *frame, zmq_msg_t *message, int flags)
{
    const int size = send_frame(socket->handle, frame, message, flags);
    return size < 0 && socket->counts_overflows && zmq_errno() == EAGAIN
               ? send_dropping(socket, frame, message, flags)
               : size;
}

result_t zsocket_send_message(zsocket_t *socket, const zframe_view_t *frames, size_t frame_count,
                              void *last)
{
    assert(frame_count > 0);
    loop_source_mark(socket->loop, &socket->source);
    for (size_t index = 0; index < frame_count; index++) {
        const bool is_last = index + 1 == frame_count;
        const int flags = ZMQ_DONTWAIT | (is_last ? 0 : ZMQ_SNDMORE);
        zmq_msg_t *const message = is_last ? last : NULL;
        const int size = index == 0 ? send_first(socket, &frames[index], message, flags)
                                    : send_frame(socket->handle, &frames[index], message, flags);
        if (size < 0) {
            const int error = zmq_errno();
            if (index == 0) {
                return result_of_errno(error);
            }
            /* ZeroMQ decides on the first frame and takes the others, or swallows them when the
             * peer went away in between. Anything else is not in its documentation. */
            log_error("ZeroMQ refused a later frame of a message",
                      LOG_STRING("error", zmq_strerror(error)), LOG_NUMBER("frame", index));
            return RESULT_IO;
        }
    }
    return RESULT_OK;
}

result_t zsocket_send(zsocket_t *socket, const zframe_view_t *frames, size_t frame_count)
{
    return zsocket_send_message(socket, frames, frame_count, NULL);
}

void zsocket_pause(zsocket_t *socket, bool paused)
{
    socket->is_paused = paused;
    loop_source_mark(socket->loop, &socket->source);
}

uint64_t zsocket_dropped(const zsocket_t *socket)
{
    return socket->dropped;
}

uint64_t zsocket_overflows(const zsocket_t *socket)
{
    return socket->overflows;
}
