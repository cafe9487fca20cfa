/* Draws ports until one can be bound. */
#include "tests/support/free_port.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_MIN = 10000, PORT_MAX = 32000, TRIES = 1000 };

static int is_free(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int result = bind(descriptor, (const struct sockaddr *)&address, sizeof address);
    (void)close(descriptor);
    return result == 0;
}

uint16_t free_port(void)
{
    for (int i = 0; i < TRIES; i++) {
        uint16_t drawn = 0;
        if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn) {
            break;
        }
        const uint16_t port = (uint16_t)(PORT_MIN + drawn % (PORT_MAX - PORT_MIN));
        if (is_free(port)) {
            return port;
        }
    }
    (void)fprintf(stderr, "no free port from %d to %d\n", PORT_MIN, PORT_MAX - 1);
    abort();
}
