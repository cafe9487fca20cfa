/* See the header. Pairs of sockets in one poll loop. */
#include "tests/support/tcp_proxy.h"
#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 32, TICK_MS = 20, CHUNK_SIZE = 65536, SETTLE_MS = 100 };

typedef struct pair {
    int client;
    int server;
} pair_t;

static int loopback(uint16_t port, bool listens, uint16_t *bound)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(descriptor >= 0);
    if (!listens) {
        if (connect(descriptor, (struct sockaddr *)&address, size) != 0) {
            (void)close(descriptor);
            return -1;
        }
        return descriptor;
    }
    const int failed = bind(descriptor, (struct sockaddr *)&address, size) +
                       listen(descriptor, 16) +
                       getsockname(descriptor, (struct sockaddr *)&address, &size);
    assert(failed == 0);
    *bound = ntohs(address.sin_port);
    return descriptor;
}

static bool forward(int from, int to)
{
    char bytes[CHUNK_SIZE];
    const ssize_t size = recv(from, bytes, sizeof bytes, 0);
    return size > 0 && send(to, bytes, (size_t)size, MSG_NOSIGNAL) == size;
}

/* The server has answered: its work is done. Nobody hears of it. */
static bool pair_move(tcp_proxy_t *proxy, pair_t *pair, const struct pollfd *events)
{
    if (events[0].revents != 0 && !forward(pair->client, pair->server)) {
        return false;
    }
    if (events[1].revents != 0) {
        bool expected = true;
        if (atomic_compare_exchange_strong(&proxy->swallows, &expected, false)) {
            (void)poll(NULL, 0, SETTLE_MS); /* all of its transaction */
            (void)atomic_fetch_add(&proxy->swallowed, 1);
            return false;
        }
        return forward(pair->server, pair->client);
    }
    return true;
}

static void *proxy_run(void *context)
{
    tcp_proxy_t *const proxy = context;
    pair_t pairs[PAIRS_MAX];
    size_t count = 0;
    while (!atomic_load(&proxy->is_stopping)) {
        struct pollfd events[1 + 2 * PAIRS_MAX] = {{.fd = proxy->listener, .events = POLLIN}};
        for (size_t i = 0; i < count; i++) {
            events[1 + 2 * i] = (struct pollfd){.fd = pairs[i].client, .events = POLLIN};
            events[2 + 2 * i] = (struct pollfd){.fd = pairs[i].server, .events = POLLIN};
        }
        (void)poll(events, 1 + 2 * count, TICK_MS);
        size_t kept = 0;
        const size_t before = count;
        for (size_t i = 0; i < before; i++) {
            if (pair_move(proxy, &pairs[i], &events[1 + 2 * i])) {
                pairs[kept++] = pairs[i];
            } else {
                (void)close(pairs[i].client);
                (void)close(pairs[i].server);
            }
        }
        count = kept;
        if (events[0].revents != 0 && count < PAIRS_MAX) {
            pairs[count].client = accept(proxy->listener, NULL, NULL);
            (void)poll(NULL, 0, (int)atomic_load(&proxy->delay_ms));
            pairs[count].server = loopback(proxy->server_port, false, NULL);
            assert(pairs[count].client >= 0 && pairs[count].server >= 0);
            count++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        (void)close(pairs[i].client);
        (void)close(pairs[i].server);
    }
    return NULL;
}

void tcp_proxy_start(tcp_proxy_t *proxy, uint16_t server_port)
{
    *proxy = (tcp_proxy_t){.server_port = server_port};
    proxy->listener = loopback(0, true, &proxy->port);
    const int failed = pthread_create(&proxy->thread, NULL, proxy_run, proxy);
    assert(failed == 0);
}

void tcp_proxy_swallow_next_answer(tcp_proxy_t *proxy)
{
    atomic_store(&proxy->swallows, true);
}

unsigned tcp_proxy_swallowed(tcp_proxy_t *proxy)
{
    return atomic_load(&proxy->swallowed);
}

void tcp_proxy_stop(tcp_proxy_t *proxy)
{
    atomic_store(&proxy->is_stopping, true);
    (void)pthread_join(proxy->thread, NULL);
    (void)close(proxy->listener);
}
