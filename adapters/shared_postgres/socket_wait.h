/* Waiting for a server that may say nothing at all, on a thread that has nothing else to do. */
#ifndef ADAPTERS_SHARED_POSTGRES_SOCKET_WAIT_H
#define ADAPTERS_SHARED_POSTGRES_SOCKET_WAIT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* `events` as for poll(2); the deadline in ms of the monotonic clock. False: it has passed, or
 * there is no socket. True as well when the wait was broken or the connection is: libpq finds out.
 */
bool socket_wait(const PGconn *connection, short events, uint64_t deadline_ms);

#endif
