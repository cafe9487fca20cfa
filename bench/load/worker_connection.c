/* Sockets of one worker: connecting, sending, receiving, coming back after a loss. Must not know
 * what is asked. */
#include "bench/load/worker.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    READ_SIZE = 65536,
    RETRY_MS_MIN = 5,   /* a service that restarts is back in tens of milliseconds */
    RETRY_MS_MAX = 100, /* and one that is away shall not be hammered */
};

/* A name may have several addresses (localhost has ::1 and 127.0.0.1), of which a service listens
 * on one: they take turns. */
static const struct addrinfo *address_turn(load_connection_t *connection,
                                           const struct addrinfo *found)
{
    connection->address_count = 0;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        connection->address_count++;
    }
    for (uint32_t skip = connection->address % connection->address_count; skip > 0; skip--) {
        found = found->ai_next;
    }
    return found;
}

static int socket_connect(const load_address_t *address, load_connection_t *connection, int *error)
{
    connection->address_count = 1;
    if (address->is_ipc) {
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        memcpy(local.sun_path, address->path, sizeof(local.sun_path));
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const bool is_failed =
            fd < 0 || connect(fd, (const struct sockaddr *)&local, sizeof(local)) != 0;
        *error = is_failed ? errno : 0;
        return fd;
    }
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const int unknown = getaddrinfo(address->host, address->port, &wanted, &found);
    if (unknown != 0) {
        *error = unknown; /* negative, unlike what errno may be */
        return -1;
    }
    const struct addrinfo *const tried = address_turn(connection, found);
    const int fd = socket(tried->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    *error = fd < 0 || connect(fd, tried->ai_addr, tried->ai_addrlen) != 0 ? errno : 0;
    freeaddrinfo(found);
    return fd;
}

static void watch(load_worker_t *worker, load_connection_t *connection, bool for_writing, int how)
{
    struct epoll_event event = {.events = EPOLLIN | (for_writing ? (uint32_t)EPOLLOUT : 0U),
                                .data = {.u32 = (uint32_t)(connection - worker->connections)}};
    connection->waits_to_write = for_writing;
    if (epoll_ctl(worker->epoll, how, connection->fd, &event) != 0) {
        load_run_fatal(worker->run, "epoll: %s", strerror(errno));
    }
}

static void connected(load_worker_t *worker, load_connection_t *connection)
{
    if (worker->run->options->protocol == LOAD_ROUTER) {
        connection->state = LOAD_GREETING;
        load_zmtp_open(&connection->out, "DEALER");
        load_connection_flush(worker, connection);
        return;
    }
    connection->state = LOAD_OPEN;
    load_worker_connection_open(worker, connection);
}

void load_connection_start(load_worker_t *worker, load_connection_t *connection)
{
    const load_options_t *const options = worker->run->options;
    int error = 0;
    worker->closed_count -= connection->state == LOAD_CLOSED ? 1 : 0;
    connection->state = LOAD_CONNECTING;
    connection->begin_ns = load_now_ns();
    worker->opening_count++;
    connection->fd = socket_connect(&options->service, connection, &error);
    if (connection->fd < 0 || (error != 0 && error != EINPROGRESS)) {
        load_connection_lose(worker, connection, TEXT_LITERAL("cannot_connect"),
                             error < 0 ? gai_strerror(error) : strerror(error));
        return;
    }
    watch(worker, connection, true, EPOLL_CTL_ADD);
}

void load_connection_lose(load_worker_t *worker, load_connection_t *connection, text_t code,
                          const char *why)
{
    const uint32_t pipeline = worker->run->options->pipeline;
    const bool was_open = connection->state == LOAD_OPEN;
    if (connection->state == LOAD_CLOSED) {
        return;
    }
    worker->opening_count -= was_open ? 0 : 1;
    connection->address += was_open ? 0 : 1;
    if (connection->fd >= 0) {
        (void)close(connection->fd);
    }
    connection->fd = -1;
    connection->state = LOAD_CLOSED;
    connection->is_dirty = false;
    connection->failures = was_open ? 0 : connection->failures + 1;
    uint64_t delay_ms = (uint64_t)RETRY_MS_MIN
                        << (connection->failures < 8 ? connection->failures : 8);
    delay_ms = delay_ms > RETRY_MS_MAX ? RETRY_MS_MAX : delay_ms;
    connection->retry_ns = load_now_ns() + delay_ms * LOAD_NS_PER_MS;
    worker->closed_count++;
    load_buffer_clear(&connection->in);
    load_buffer_clear(&connection->out);
    if (worker->round.kind == LOAD_ROUND_PREPARE && connection->failures > 0 &&
        connection->failures >= connection->address_count) {
        load_run_fatal(worker->run, "cannot connect to %s: %s; does the service run, with this %s?",
                       worker->run->options->service_text, why,
                       worker->run->options->protocol == LOAD_HTTP ? "--http" : "--api");
    }
    for (uint32_t index = 0; index < pipeline; index++) {
        const uint32_t slot = connection->slot_first + index;
        if (worker->slots[slot].is_busy) {
            load_worker_fail(worker, slot, code, why);
        }
    }
}

void load_connection_expire(load_worker_t *worker, load_connection_t *connection, uint64_t now_ns)
{
    const uint64_t patience_ns = worker->run->options->timeout_ms * LOAD_NS_PER_MS;
    if (now_ns < connection->begin_ns + patience_ns) {
        return;
    }
    if (connection->state == LOAD_CONNECTING) {
        load_connection_lose(worker, connection, TEXT_LITERAL("cannot_connect"),
                             "nothing answered within --timeout");
    } else if (connection->state == LOAD_GREETING) {
        load_connection_lose(worker, connection, TEXT_LITERAL("cannot_connect"),
                             "no ZMTP greeting came within --timeout");
    }
}

void load_connection_flush(load_worker_t *worker, load_connection_t *connection)
{
    load_buffer_t *const out = &connection->out;
    while (load_buffer_size(out) > 0) {
        const ssize_t sent =
            send(connection->fd, out->data + out->begin, load_buffer_size(out), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        if (sent < 0) {
            load_connection_lose(worker, connection, TEXT_LITERAL("connection_lost"),
                                 strerror(errno));
            return;
        }
        out->begin += (size_t)sent;
    }
    const bool waits = load_buffer_size(out) > 0;
    if (waits != connection->waits_to_write) {
        watch(worker, connection, waits, EPOLL_CTL_MOD);
    }
}

/* One frame; false: there is no more at the moment, or the connection is gone. */
static bool take(load_worker_t *worker, load_connection_t *connection)
{
    const char *why = NULL;
    load_frame_t frame = {0};
    load_take_t taken;
    if (worker->run->options->protocol == LOAD_HTTP) {
        taken = load_http_take(&connection->in, &frame, &why);
    } else if (connection->state == LOAD_GREETING) {
        bool is_open = false;
        load_zmtp_message_t unused;
        taken = load_zmtp_take(&connection->in, &is_open, &unused, &why);
    } else {
        taken = load_router_take(&connection->in, &frame, &why);
    }
    switch (taken) {
    case LOAD_TAKE_MORE:
        return false;
    case LOAD_TAKE_READY:
        connection->state = LOAD_OPEN;
        load_worker_connection_open(worker, connection);
        return true;
    case LOAD_TAKE_FRAME:
        load_worker_frame(worker, connection, &frame);
        if (frame.is_last) {
            load_connection_lose(worker, connection, TEXT_LITERAL("connection_lost"),
                                 "the service closed it");
        }
        return connection->state == LOAD_OPEN;
    case LOAD_TAKE_BROKEN:
        if (worker->round.kind == LOAD_ROUND_PREPARE) {
            load_run_fatal(worker->run, "%s: %s", worker->run->options->service_text, why);
        }
        load_connection_lose(worker, connection, TEXT_LITERAL("malformed_reply"), why);
        return false;
    }
    return false;
}

static void receive(load_worker_t *worker, load_connection_t *connection)
{
    uint8_t *const room = load_buffer_room(&connection->in, READ_SIZE);
    const ssize_t size = recv(connection->fd, room, READ_SIZE, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        load_connection_lose(worker, connection, TEXT_LITERAL("connection_lost"),
                             size == 0 ? "the service closed it" : strerror(errno));
        return;
    }
    connection->in.end += (size_t)size;
    while (take(worker, connection)) {
    }
}

void load_connection_event(load_worker_t *worker, load_connection_t *connection, uint32_t events)
{
    if (connection->state == LOAD_CONNECTING) {
        int error = 0;
        socklen_t size = sizeof(error);
        (void)getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            load_connection_lose(worker, connection, TEXT_LITERAL("cannot_connect"),
                                 strerror(error));
            return;
        }
        watch(worker, connection, false, EPOLL_CTL_MOD);
        connected(worker, connection);
        return;
    }
    if (connection->state != LOAD_CLOSED && (events & EPOLLOUT) != 0) {
        load_connection_flush(worker, connection);
    }
    if (connection->state != LOAD_CLOSED && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        receive(worker, connection);
    }
}
