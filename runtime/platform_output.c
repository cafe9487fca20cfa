/* Looks at a descriptor before it is written to. Writes nothing. */
#include "runtime/output.h"

#include <poll.h>

bool output_has_room(int descriptor, int wait_ms)
{
    struct pollfd output = {.fd = descriptor, .events = POLLOUT};
    int ready = poll(&output, 1, wait_ms);
    if (ready < 0) { /* a signal */
        ready = poll(&output, 1, 0);
    }
    return ready != 0;
}
