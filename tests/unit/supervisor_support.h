/* Services of the supervisor with roles that are tests/support/role_child.h, each in a child of the
 * test, looked at through the control socket as the command line does. */
#ifndef TESTS_UNIT_SUPERVISOR_SUPPORT_H
#define TESTS_UNIT_SUPERVISOR_SUPPORT_H

#include "runtime/supervisor.h"
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

enum { DEADLINE_MS = 8000, POLL_MS = 5 };

typedef struct service {
    char directory[64];
    pid_t pid;
    int started; /* readable once all roles were ready */
} service_t;

typedef struct role_plan {
    const char *mode;
    const char *name;
    uint32_t drain_order;
} role_plan_t;

typedef struct seen {
    pid_t pid;
    json_int_t incarnation;
    json_int_t restarts;
    char state[16];
    char last_exit[64];
    char peers[512];
    bool descriptor;
    json_int_t order; /* kills of the command it is to set aside; 0: none */
    bool is_actor;    /* that order is about all commands of its actor */
    char reason[64];
    bool answered;
} seen_t;

/* Of the test that runs; 0: none. What it leaves when it fails is ended by service_tear_down. */
extern pid_t service_running;
int service_tear_down(void **state);

void service_begin(service_t *service, const role_plan_t *plans, size_t count,
                   const supervisor_bounds_t *bounds);
/* All roles in one group of this strategy. */
void service_begin_as(service_t *service, const role_plan_t *plans, size_t count,
                      const supervisor_bounds_t *bounds, supervisor_strategy_t strategy);
void wait_started(const service_t *service);
/* Waits for the end of the service; returns its result's number. */
int service_ended(const service_t *service);
void service_release(const service_t *service);
void service_stop(const service_t *service);

/* The caller releases the answer. */
json_t *ask(const service_t *service, const char *command);
void look(const service_t *service, const char *name, seen_t *seen);
/* Until the role was restarted that often, is ready again and answers. */
void wait_restarts(const service_t *service, const char *name, json_int_t restarts, seen_t *seen);

#endif
