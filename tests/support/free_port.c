/* Ports come in blocks, as in tests/end_to_end/service.mjs: whoever holds the first port of one may
 * use the others, so that two tests that run at once never draw the same. */
#include "tests/support/free_port.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_MIN = 10000, BLOCK = 25, BLOCKS = 880, TRIES = 1000 };

/* A bound socket, or -1 when the port is taken. */
static int port_bind(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(descriptor, (const struct sockaddr *)&address, sizeof address) == 0) {
        return descriptor;
    }
    (void)close(descriptor);
    return -1;
}

/* Of the block whose first port this process holds until it ends: the next one, and how many are
 * left. */
static uint16_t next_port;
static uint32_t ports_left;

static void block_take(void)
{
    uint16_t drawn = 0;
    if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn) {
        return;
    }
    const uint16_t first = (uint16_t)(PORT_MIN + drawn % BLOCKS * BLOCK);
    if (port_bind(first) >= 0) {
        next_port = (uint16_t)(first + 1);
        ports_left = BLOCK - 1;
    }
}

uint16_t free_port(void)
{
    for (int i = 0; i < TRIES; i++) {
        if (ports_left == 0) {
            block_take();
            continue;
        }
        const uint16_t port = next_port;
        next_port++;
        ports_left--;
        const int descriptor = port_bind(port);
        if (descriptor >= 0) {
            (void)close(descriptor);
            return port;
        }
    }
    (void)fprintf(stderr, "no free port from %d on\n", PORT_MIN);
    abort();
}
