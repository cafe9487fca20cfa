/* What the service manager (systemd, or anything that speaks sd_notify) is told: datagrams of
 * VAR=VALUE lines to the socket that NOTIFY_SOCKET names (sd_notify(3)). Without a manager every
 * call does nothing. */
#ifndef RUNTIME_NOTIFY_H
#define RUNTIME_NOTIFY_H

#include "runtime/result.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NOTIFY_PATH_SIZE = 108, NOTIFY_TEXT_SIZE = 512 };

typedef struct notify {
    int descriptor; /* -1: nobody wants to know */
    uint32_t path_size;
    char path[NOTIFY_PATH_SIZE]; /* begins with NUL for an abstract socket */
    uint64_t watchdog_ms;        /* WATCHDOG=1 is due that often; 0: nobody waits for it */
} notify_t;

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them from the environment: they
 * are meant for this process, not for the roles it starts. */
void notify_open(notify_t *notify);
void notify_close(notify_t *notify);
bool notify_is_wanted(const notify_t *notify);
/* Lines without the last line end. Never blocks: a manager that does not read misses something. */
void notify_send(const notify_t *notify, const char *lines);
/* RELOADING=1 with the time of the monotonic clock, as the manager asks for it. */
void notify_send_reloading(const notify_t *notify, const char *status);

#endif
