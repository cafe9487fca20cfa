/* sd_notify over its datagram socket. Some lines of our own instead of libsystemd: the protocol is
 * one datagram with a documented, stable text, and the library would bring itself and what it links
 * (lz4, zstd, lzma, gcrypt, libcap) into every role for it. Must not know what is worth telling. */
#include "runtime/notify.h"

#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DECIMAL = 10, US_PER_MS = 1000 };

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == NOTIFY_PATH_SIZE, "as long as here");

/* 0 when it is no number. */
static uint64_t environment_number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (text == NULL || *text < '0' || *text > '9') {
        return 0;
    }
    const uint64_t number = strtoull(text, &end, DECIMAL);
    return *end == '\0' ? number : 0;
}

static bool take_path(notify_t *notify, const char *path)
{
    const size_t size = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || size < 2 || size >= NOTIFY_PATH_SIZE) {
        return false;
    }
    memcpy(notify->path, path, size + 1);
    notify->path_size = (uint32_t)size;
    if (path[0] == '@') { /* an abstract socket: its name begins with NUL and has no end mark */
        notify->path[0] = '\0';
    } else {
        notify->path_size++;
    }
    return true;
}

/* Half of what the manager waits, as sd_watchdog_enabled(3) recommends. */
static uint64_t watchdog_interval_ms(void)
{
    const uint64_t period_us = environment_number("WATCHDOG_USEC");
    const bool is_for_other =
        getenv("WATCHDOG_PID") != NULL && environment_number("WATCHDOG_PID") != (uint64_t)getpid();
    if (period_us == 0 || is_for_other) {
        return 0;
    }
    const uint64_t interval_ms = period_us / 2 / US_PER_MS;
    return interval_ms == 0 ? 1 : interval_ms;
}

void notify_open(notify_t *notify)
{
    const char *path = getenv("NOTIFY_SOCKET");
    *notify = (notify_t){.descriptor = -1};
    if (path != NULL && take_path(notify, path)) {
        notify->watchdog_ms = watchdog_interval_ms();
        notify->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    } else if (path != NULL) {
        log_warn("NOTIFY_SOCKET is no path and no abstract name; the service manager is told "
                 "nothing");
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void notify_close(notify_t *notify)
{
    if (notify->descriptor >= 0) {
        (void)close(notify->descriptor);
        notify->descriptor = -1;
    }
}

bool notify_is_wanted(const notify_t *notify)
{
    return notify->descriptor >= 0;
}

void notify_send(const notify_t *notify, const char *lines)
{
    if (notify->descriptor < 0) {
        return;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, notify->path, notify->path_size);
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + notify->path_size);
    const ssize_t sent = sendto(notify->descriptor, lines, strlen(lines), MSG_NOSIGNAL,
                                (const struct sockaddr *)&address, size);
    if (sent < 0) {
        log_warn("the service manager could not be told", LOG_STRING("lines", lines));
    }
}

void notify_send_reloading(const notify_t *notify, const char *status)
{
    char lines[NOTIFY_TEXT_SIZE];
    const int size =
        snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=%s",
                 clock_monotonic_us(), status);
    assert(size > 0 && (size_t)size < sizeof lines);
    notify_send(notify, lines);
}
