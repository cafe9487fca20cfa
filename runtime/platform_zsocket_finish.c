/* The end of a bound ZeroMQ socket as its peers see it. ZeroMQ has no way to say "this is the last
 * message": whoever gets one from a socket that is being closed may answer into the void. Over TCP
 * the kernel can say it, if the connections are told to hold a last piece back until their end. The
 * connections are ZeroMQ's; they are found among the descriptors of this process by the address
 * that the socket is bound to, and nothing is read from or written to them here. */
#include "runtime/zsocket_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address_t;

static uint16_t port_of(const address_t *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return ntohs(address->v4.sin_port);
    case AF_INET6:
        return ntohs(address->v6.sin6_port);
    default:
        return 0;
    }
}

/* A connection that was made to our port: one of the socket's peers. */
static bool is_peer(int descriptor, uint16_t port)
{
    address_t own;
    address_t other;
    socklen_t own_size = sizeof(own);
    socklen_t other_size = sizeof(other);
    return getsockname(descriptor, &own.any, &own_size) == 0 && port_of(&own) == port &&
           getpeername(descriptor, &other.any, &other_size) == 0;
}

typedef void peer_action_t(int descriptor, size_t *sum);

static void peer_gather(int descriptor, size_t *sum)
{
    const int on = 1;
    (void)sum;
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

static void peer_scatter(int descriptor, size_t *sum)
{
    const int off = 0;
    (void)sum;
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
}

static void peer_finish(int descriptor, size_t *sum)
{
    (void)sum;
    (void)shutdown(descriptor, SHUT_WR);
}

static void peer_count(int descriptor, size_t *sum)
{
    (void)descriptor;
    (*sum)++;
}

static void peer_count_unread(int descriptor, size_t *sum)
{
    int size = 0;
    if (ioctl(descriptor, FIONREAD, &size) == 0 && size > 0) {
        *sum += (size_t)size;
    }
}

static size_t peers_each(uint16_t port, peer_action_t *action)
{
    size_t sum = 0;
    DIR *directory = port == 0 ? NULL : opendir("/proc/self/fd");
    if (directory == NULL) {
        return sum;
    }
    const struct dirent *entry = readdir(directory);
    while (entry != NULL) { /* LIMIT_HTTP_CONNECTIONS and LIMIT_ZMQ_SOCKETS bound them */
        const int descriptor = (int)strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] != '.' && is_peer(descriptor, port)) {
            action(descriptor, &sum);
        }
        entry = readdir(directory);
    }
    (void)closedir(directory);
    return sum;
}

void zsocket_gather(zsocket_t *socket)
{
    (void)peers_each(zsocket_port(socket), peer_gather);
}

void zsocket_scatter(zsocket_t *socket)
{
    (void)peers_each(zsocket_port(socket), peer_scatter);
}

void zsocket_finish(zsocket_t *socket)
{
    (void)peers_each(zsocket_port(socket), peer_finish);
}

/* The kernel first: what ZeroMQ's thread takes from there meanwhile is seen in ZeroMQ. */
bool zsocket_has_unread(zsocket_t *socket)
{
    return peers_each(zsocket_port(socket), peer_count_unread) > 0 || zsocket_is_readable(socket);
}

size_t zsocket_peers(const zsocket_t *socket)
{
    return peers_each(zsocket_port(socket), peer_count);
}

/* ZeroMQ accepts on the descriptor until it unbinds, and then ends the peers as well. So the number
 * gets another listening socket, one without a name, which nobody knows: ZeroMQ's accept
 * finds nothing there. The right one is kept for the end. */
result_t zsocket_stop_accepting(zsocket_t *zsocket)
{
    const struct sockaddr_un nobody = {.sun_family = AF_UNIX}; /* the kernel chooses a name */
    const int listener = zsocket_listener(zsocket);
    if (listener < 0) {
        return RESULT_OK; /* ipc: the successor has taken the path over */
    }
    const int kept = fcntl(listener, F_DUPFD_CLOEXEC, 0);
    const int empty = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_done = kept >= 0 && empty >= 0;
    is_done = is_done && bind(empty, (const struct sockaddr *)&nobody, sizeof(sa_family_t)) == 0;
    is_done = is_done && listen(empty, 1) == 0;
    is_done = is_done && dup3(empty, listener, O_CLOEXEC) == listener;
    if (empty >= 0) {
        (void)close(empty);
    }
    if (is_done) {
        zsocket_keep_listener(zsocket, kept);
    } else if (kept >= 0) {
        (void)close(kept);
    }
    return is_done ? RESULT_OK : RESULT_UNAVAILABLE;
}
