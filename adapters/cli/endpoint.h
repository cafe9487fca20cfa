/* Addresses that `serve` listens on: parsed, judged and bound before any role starts. */
#ifndef ADAPTERS_CLI_ENDPOINT_H
#define ADAPTERS_CLI_ENDPOINT_H

#include "runtime/limits.h"
#include "runtime/result.h"
#include <stddef.h>
#include <sys/socket.h>

typedef struct endpoint {
    char text[LIMIT_ROLE_ENDPOINT_SIZE + 1]; /* after endpoint_bind with the real port, and for ipc
                                                with an absolute path */
    bool is_ipc;
    bool is_loopback;
    struct sockaddr_storage address;
    socklen_t address_size;
    int descriptor; /* -1: not bound here */
} endpoint_t;

/* "ADDR:PORT" with a numeric address, "[::1]:PORT" or localhost. INVALID_ARGUMENT. */
MUST_USE result_t endpoint_parse_http(const char *text, endpoint_t *endpoint);
/* "tcp://ADDR:PORT" or "ipc://PATH". INVALID_ARGUMENT; PERMISSION_DENIED for what is not loopback
 * (DESIGN 3.4: no CURVE yet). */
MUST_USE result_t endpoint_parse_zmq(const char *text, endpoint_t *endpoint);

/* Binds and listens (SO_REUSEADDR, close-on-exec). For ipc it only makes sure that nobody answers
 * there: the role binds, because ZeroMQ wants to own the path. ADDRESS_IN_USE, PERMISSION_DENIED,
 * INVALID_ARGUMENT (no such address on this machine), IO. */
MUST_USE result_t endpoint_bind(endpoint_t *endpoint);
void endpoint_close(endpoint_t *endpoint);

#endif
