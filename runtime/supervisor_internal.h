/* Insides of the process supervisor, shared by supervisor*.c and nobody else:
 *   supervisor.c           begins, ends, signals, order of draining
 *   supervisor_rolling.c   rolling restart: which program, which role next, successors beside
 *   supervisor_role.c      one role: start, link, end, restart, watchdog
 *   supervisor_group.c     strategies: who is restarted with a role, escalation
 *   supervisor_requests.c  questions to roles with their deadlines
 *   supervisor_crash.c     which command killed a role, and what follows for it
 *   supervisor_control.c   commands of the control socket and of roles: tree, metrics, forwarding
 *   supervisor_metrics.c   merges Prometheus texts by family
 *   supervisor_notify.c    what the service manager is told */
#ifndef RUNTIME_SUPERVISOR_INTERNAL_H
#define RUNTIME_SUPERVISOR_INTERNAL_H

#include "runtime/control.h"
#include "runtime/crash_slot.h"
#include "runtime/frame_stream.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/notify.h"
#include "runtime/platform_process.h"
#include "runtime/supervisor.h"

typedef struct supervisor supervisor_t;
typedef struct role role_t;

enum { SUPERVISOR_TICK_MS = 100 }; /* watchdog, deadlines of requests */

typedef enum role_state {
    ROLE_STOPPED,  /* no process, and none will be started */
    ROLE_WAITING,  /* no process; the timer starts the next one */
    ROLE_STARTING, /* process, not ready; the timer kills it */
    ROLE_READY,
    ROLE_DRAINING, /* told to end; the timer kills it */
    ROLE_KILLED,   /* sent SIGKILL, not collected yet */
} role_state_t;

/* `json` is NULL when the role did not answer in time or ended. */
typedef void role_answer_t(void *context, role_t *role, const char *json, size_t size);

typedef struct role_request {
    role_answer_t *answer; /* NULL: free place */
    void *context;
    uint32_t number;
    uint64_t deadline_ms;
} role_request_t;

typedef enum role_killer {
    KILLER_NONE, /* not us */
    KILLER_WATCHDOG,
    KILLER_TIME_LIMIT, /* of its start or drain, or the end of the service */
} role_killer_t;

struct role {
    supervisor_t *supervisor;
    const supervisor_role_t *declared;
    role_state_t state;
    role_t *twin;  /* of a role that hands over: the other of its two places, one of them mostly
                      STOPPED; NULL: it does not */
    bool retiring; /* its twin is ready and it was told to go */
    bool rolled;   /* by the rolling restart that goes on: it is, or will be, the new program */
    bool is_held;  /* its group is restarted: it starts when all held ones have ended */
    bool planned;  /* its coming end was asked for (SIGHUP, SIGTERM to it): does not count */
    int64_t pid;   /* 0: no process */
    frame_stream_t *link;
    loop_timer_t *timer; /* of the state */
    char endpoint[LIMIT_ROLE_ENDPOINT_SIZE + 1];
    uint64_t incarnation;
    uint64_t started_ms;
    uint64_t ready_ms; /* 0: this incarnation was never ready */
    uint64_t pinged_ms;
    uint32_t pings_unanswered; /* watchdog */
    uint32_t command_seen;     /* in work at the last look, and already at so many before */
    uint32_t command_looks;
    uint64_t command_cpu_ms; /* of the role, at the first of them */
    uint64_t restarts;
    uint32_t failures;       /* in a row, for the backoff */
    uint64_t *failure_times; /* the last bounds.restarts of them, a ring */
    uint64_t failures_ever;
    char last_exit[PROCESS_EXIT_TEXT_SIZE];
    role_killer_t killer;
    crash_slot_t *crash_slot; /* NULL: it has none */
    int crash_descriptor;
    role_request_t requests[LIMIT_LINK_REQUESTS];
    uint32_t request_last;
    char restarts_label[LIMIT_ROLE_NAME_SIZE + 16];
    metric_t *restarts_metric;
    metric_t *ready_metric;
};

typedef enum supervisor_stage {
    SUPERVISOR_RUNNING,
    SUPERVISOR_DRAINING, /* groups of roles, in rising drain_order */
    SUPERVISOR_KILLING,  /* everything was sent SIGKILL */
} supervisor_stage_t;

typedef struct role_group {
    uint64_t delay_ms;  /* before the held ones start */
    uint64_t window_ms; /* when `restarts` began to count */
    uint32_t restarts;  /* of the whole group, by escalation */
} role_group_t;

/* Of one command or one actor. */
typedef struct crash_kills {
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    uint32_t kills;         /* 0: free place */
    uint32_t certain;       /* of an actor: those that no command can be blamed for */
    uint32_t command_count; /* of an actor: different commands among the others, ... */
    uint8_t commands[LIMIT_CRASH_COMMANDS - 1][CRASH_FINGERPRINT_SIZE]; /* ... these and more */
    uint64_t at_ms;                                                     /* of the last one */
} crash_kills_t;

struct supervisor {
    loop_t *loop;
    const supervisor_options_t *options;
    supervisor_bounds_t bounds; /* no zeros */
    supervisor_stage_t stage;
    result_t result;
    bool was_ready;   /* options->started was called */
    bool rolling;     /* SIGHUP: roles that are not `rolled` are still to be restarted */
    int program;      /* that roles are started from; -1: the supervisor's own */
    int program_next; /* of those that are `rolled`; -1: none */
    char program_path[LIMIT_PROGRAM_PATH_SIZE]; /* empty: not known */
    uint32_t drain_order;                       /* group that drains now */
    uint64_t drain_started_ms;
    uint64_t started_ms;
    uint64_t incarnation_last;
    process_signals_t *signals;
    control_server_t *control;
    loop_timer_t *tick; /* watchdog and deadlines of requests */
    metrics_t *metrics;
    role_group_t groups[LIMIT_ROLE_GROUPS];
    metric_t *crashes_metric;
    metric_t *quarantines_metric;
    process_oom_t oom;
    uint64_t oom_kills; /* an interval of LIMIT_OOM_WINDOW_MS or two ago */
    uint64_t oom_kills_next;
    uint64_t oom_looked_ms;
    crash_kills_t crash_kills[LIMIT_CRASH_FINGERPRINTS];
    crash_record_t crash_record; /* the one that is looked at: too large for the stack */
    notify_t notify;
    uint64_t notified_ms; /* the last WATCHDOG=1 */
    role_t *roles;
    size_t role_count;
};

/* supervisor_role.c */
void role_init(role_t *role, supervisor_t *supervisor, const supervisor_role_t *declared);
void role_deinit(role_t *role);
void role_start(role_t *role);
/* Tells the others, then the role; killed after `timeout_ms`. */
void role_drain(role_t *role, uint64_t timeout_ms);
void role_kill(role_t *role, role_killer_t killer, const char *why);
/* After SIGCHLD: collects it if it ended, and decides what follows. */
void role_collect(role_t *role);
void role_watch(role_t *role, uint64_t now_ms);
/* One that has ended is started after the delay, and counts as restarted. */
void role_restart(role_t *role, uint64_t delay_ms);
const char *role_state_name(role_state_t state);

/* A place without a process beside a twin that has one. */
bool role_is_spare(const role_t *role);
/* Not ready yet, beside the one that it will replace. */
bool role_is_successor(const role_t *role);

/* supervisor_rolling.c */
void rolling_init(supervisor_t *supervisor);
void rolling_deinit(supervisor_t *supervisor);
void rolling_begin(supervisor_t *supervisor);
/* Restarts the next role when all are ready. */
void rolling_continue(supervisor_t *supervisor);
/* Ends it; roles that are new and well stay. */
void rolling_abort(supervisor_t *supervisor, const role_t *because);
int rolling_program(const role_t *role);
/* A planned restart: beside its successor if it can, else one after the other. */
void role_replace(role_t *role);

/* supervisor.c: what a role reports upwards. */
void supervisor_role_ready(role_t *role);
void supervisor_role_ended(supervisor_t *supervisor);
void supervisor_escalate(supervisor_t *supervisor, const role_t *role);

/* supervisor_requests.c */
/* `answer` is called exactly once, possibly within the call when nothing can be sent. */
void role_ask(role_t *role, const char *json, size_t size, uint64_t timeout_ms,
              role_answer_t *answer, void *context);
void role_reply_received(role_t *role, const uint8_t *payload, size_t size);
void role_requests_expire(role_t *role, uint64_t now_ms);
void role_requests_end(role_t *role); /* all, without an answer */

/* supervisor_control.c */
void supervisor_control(void *context, control_request_t *request, const char *json, size_t size);
void supervisor_role_asks(role_t *role, const uint8_t *payload, size_t size);

/* supervisor_group.c */
/* A role has failed, within its intensity. True: its group deals with it, now or when others have
 * ended; else it is to be restarted alone. */
bool supervisor_group_failed(role_t *role, uint64_t delay_ms);
/* A role has failed too often. */
void supervisor_group_escalate(role_t *failed);
/* A held role has ended. */
void supervisor_group_continue(role_t *ended);

/* supervisor_crash.c */
void supervisor_crash_init(supervisor_t *supervisor);
void supervisor_crash_tick(supervisor_t *supervisor, uint64_t now_ms);
/* The process of the role has ended this way. */
void supervisor_crash_examine(role_t *role, process_end_t end);

/* supervisor_notify.c */
void supervisor_notify_ready(const supervisor_t *supervisor);
void supervisor_notify_restarting(const supervisor_t *supervisor, const role_t *role);
void supervisor_notify_reloading(const supervisor_t *supervisor);
void supervisor_notify_stopping(const supervisor_t *supervisor);
void supervisor_notify_tick(supervisor_t *supervisor, uint64_t now_ms);

/* supervisor_metrics.c: families in order of first appearance, each with one HELP and one TYPE. */
typedef struct metrics_merge metrics_merge_t;
metrics_merge_t *metrics_merge_create(void);
void metrics_merge_destroy(metrics_merge_t **merge);
void metrics_merge_add(metrics_merge_t *merge, const char *text, size_t size);
/* malloc, NUL-terminated; the caller frees. */
char *metrics_merge_text(const metrics_merge_t *merge, size_t *size);

#endif
