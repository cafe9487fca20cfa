/* The process supervisor: one thread, no ZeroMQ, no database. Starts every role by fork + exec of
 * this binary, restarts what dies (strategies, intensity, jittered backoff), tells the roles about
 * each other, answers `tree`, `top` and `metrics` on the control socket, drains on SIGTERM and
 * SIGINT (a second one kills at once), restarts the roles one by one on SIGHUP,
 * with the program that then stands where the service was started from. Until then every restart
 * gets the program of the start, whatever becomes of the file; the supervisor itself stays the one
 * that it is. A new program that cannot be executed, or whose role ends before it is ready, ends
 * the rolling restart, and that role is started from the program before.
 *
 * A role ends and is started anew when it dies, is not ready within LIMIT_START_MS, closes its link
 * or does not answer the watchdog for LIMIT_WATCHDOG_MS; which others are restarted with it says
 * the strategy of its group. More than LIMIT_RESTARTS of one role within LIMIT_RESTARTS_WINDOW_MS
 * escalate: its whole group is ended and started anew. More than LIMIT_ROLE_GROUP_RESTARTS of that
 * within LIMIT_ROLE_GROUP_WINDOW_MS: everything drains and supervisor_run returns UNAVAILABLE.
 * Restarts by SIGHUP and of a role that was sent SIGTERM do not count.
 *
 * A role with a crash slot that dies of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, of the watchdog
 * or for want of memory while it works on a command is the command's fault: the log names it, and
 * when it happens a second time the role's successor is told to set that command aside before it
 * takes work. */
#ifndef RUNTIME_SUPERVISOR_H
#define RUNTIME_SUPERVISOR_H

#include "runtime/limits.h"
#include "runtime/result.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct supervisor_role {
    const char *name; /* "front-0", "shard-0", "relay" */
    /* argv after the program's path, NULL at the end. The role finds "--incarnation" and its number
     * behind them. The number rises with every start of the role and, as it begins with the time of
     * day of the service's start, over starts of the service too while the clock does not go back;
     * it names things, correctness never rests on it. */
    const char *const *arguments;
    /* Variables of the environment that this role does not get; NULL at the end, or NULL: none. */
    const char *const *withheld;
    /* Listening descriptors handed to the role as 4, 5, …; at most 4, -1 ends. The supervisor keeps
     * them open, so that connections wait in the kernel while the role restarts. */
    int descriptors[4];
    /* On a planned restart the successor starts beside it and is ready before it is told to go. */
    bool hands_over;
    /* The role gets a crash slot (runtime/crash_slot.h) behind its descriptors, and finds
     * "--crash-slot" and the number of the descriptor behind its arguments. */
    bool has_crash_slot;
    uint32_t group;       /* below LIMIT_ROLE_GROUPS */
    uint32_t drain_order; /* on SIGTERM roles drain in rising order: fronts 0, shards 1, relay 2 */
} supervisor_role_t;

/* 0: the bound of the same name in runtime/limits.h. Tests use shorter ones. */
typedef struct supervisor_bounds {
    uint32_t restarts;
    uint32_t restarts_window_ms;
    uint32_t backoff_ms_min;
    uint32_t backoff_ms_max;
    uint32_t start_ms;
    uint32_t drain_ms;
    uint32_t watchdog_ms;
    uint32_t group_restarts;
    uint32_t group_window_ms;
    uint32_t group_stop_ms;
} supervisor_bounds_t;

/* Who is restarted when a role of the group fails. Those that did not fail drain first, and none
 * is started before all have ended. */
typedef enum supervisor_strategy {
    SUPERVISOR_ONE_FOR_ONE,  /* it alone */
    SUPERVISOR_ONE_FOR_ALL,  /* the whole group */
    SUPERVISOR_REST_FOR_ONE, /* it, and those of the group that are declared after it */
} supervisor_strategy_t;

typedef struct supervisor_options {
    const char *data_directory; /* control socket: DIR/control.sock, mode 0600 */
    const supervisor_role_t *roles;
    size_t role_count; /* up to LIMIT_ROLES */
    supervisor_strategy_t strategies[LIMIT_ROLE_GROUPS];
    /* Role that answers control commands which the supervisor does not know itself (tenant.create,
     * …). */
    const char *control_role;
    /* Another role for some of them, by the command; NULL: the control role. May be NULL. */
    const char *(*command_role)(const char *command);
    /* Called once when all roles are ready for the first time. May be NULL. */
    void (*started)(void *context);
    /* That incarnation is dead for certain: what it left behind may be removed. May be NULL. */
    void (*role_ended)(void *context, const char *name, uint64_t incarnation);
    /* Name of a command for the log, from the number in a crash slot. May be NULL. */
    const char *(*command_name)(uint8_t type);
    void *context;
    const char *version; /* for `tree` */
    supervisor_bounds_t bounds;
} supervisor_options_t;

/* Runs until stopped. RESULT_OK after a clean drain; else why (escalation: UNAVAILABLE). */
MUST_USE result_t supervisor_run(const supervisor_options_t *options);

/* Commands on the control socket: {"command":"tree"} and {"command":"metrics"} are answered here,
 * anything else by the control role. An answer with a member `error` {code, detail} is a failure.
 *
 * Asks a running service: connects to DIR/control.sock, sends one JSON line, returns the answer
 * (malloc, caller frees). MISSING: no service runs on that directory. DEADLINE_EXCEEDED after
 * `timeout_ms`, or after two seconds when its process is stopped; UNAVAILABLE when it ended
 * meanwhile, PERMISSION_DENIED. */
MUST_USE result_t control_ask(const char *data_directory, const char *json, uint32_t timeout_ms,
                              char **answer);
/* The process that listens there, when a signal or a debugger has stopped it; 0: it runs. */
int64_t control_stopped_process(const char *data_directory);

#endif
