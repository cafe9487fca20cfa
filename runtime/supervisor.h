/* The process supervisor: one thread, no ZeroMQ, no database. Binds the listening sockets, starts
 * every role by fork + exec of this binary, restarts what dies (one-for-one, intensity, jittered
 * backoff), tells the roles about each other, answers `tree`, `top` and `metrics` on the control
 * socket, drains on SIGTERM and SIGINT, restarts the roles one by one on SIGHUP. */
#ifndef RUNTIME_SUPERVISOR_H
#define RUNTIME_SUPERVISOR_H

#include "runtime/limits.h"
#include "runtime/result.h"
#include <stddef.h>

typedef struct supervisor_role {
    const char *name;             /* "front-0", "shard-0", "relay" */
    const char *const *arguments; /* argv after the program's path, NULL at the end */
    /* Listening descriptors handed to the role as 4, 5, …; at most 4, -1 ends. The supervisor keeps
     * them open, so that connections wait in the kernel while the role restarts. */
    int descriptors[4];
    uint32_t drain_order; /* on SIGTERM roles drain in rising order: fronts 0, shards 1, relay 2 */
} supervisor_role_t;

typedef struct supervisor_options {
    const char *data_directory; /* control socket: DIR/control.sock, mode 0600 */
    const supervisor_role_t *roles;
    size_t role_count; /* up to LIMIT_ROLES */
    /* Role that answers control commands which the supervisor does not know itself (tenant.create,
     * …). */
    const char *control_role;
    /* Called once when all roles are ready for the first time. May be NULL. */
    void (*started)(void *context);
    void *context;
} supervisor_options_t;

/* Runs until stopped. RESULT_OK after a clean drain; else why (escalation: UNAVAILABLE). */
MUST_USE result_t supervisor_run(const supervisor_options_t *options);

/* Asks a running service: connects to DIR/control.sock, sends one JSON line, returns the answer
 * (malloc, caller frees). MISSING: no service runs on that directory. DEADLINE_EXCEEDED after
 * `timeout_ms`. */
MUST_USE result_t control_ask(const char *data_directory, const char *json, uint32_t timeout_ms,
                              char **answer);

#endif
