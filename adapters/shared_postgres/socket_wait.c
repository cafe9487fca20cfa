/* One poll: see the header. */
#include "adapters/shared_postgres/socket_wait.h"
#include "runtime/clock.h"
#include <poll.h>

bool socket_wait(const PGconn *connection, short events, uint64_t deadline_ms)
{
    const uint64_t now_ms = clock_monotonic_ms();
    struct pollfd waited = {.fd = PQsocket(connection), .events = events};
    if (waited.fd < 0 || now_ms >= deadline_ms) {
        return false;
    }
    return poll(&waited, 1, (int)(deadline_ms - now_ms)) != 0;
}
