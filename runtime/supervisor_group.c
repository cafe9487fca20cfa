/* Groups of roles: who is restarted along with a role that failed, and what follows when a role
 * keeps failing. Ends and starts roles through supervisor_role.c only. */
#include "runtime/supervisor_internal.h"

#include "runtime/log.h"
#include <assert.h>

static role_group_t *group_of(const role_t *role)
{
    assert(role->declared->group < LIMIT_ROLE_GROUPS);
    return &role->supervisor->groups[role->declared->group];
}

/* Ends it; it is not started before all that are held with it have ended. */
static void hold(role_t *role)
{
    role->is_held = true;
    loop_timer_stop(role->timer);
    if (role->pid != 0) {
        role->planned = true;
        role_drain(role, role->supervisor->bounds.group_stop_ms);
    } else {
        role->state = ROLE_WAITING;
    }
}

/* The roles of its group from `first` on in order of declaration. */
static void hold_from(role_t *failed, size_t first, uint64_t delay_ms)
{
    supervisor_t *supervisor = failed->supervisor;
    role_group_t *group = group_of(failed);
    group->delay_ms = delay_ms > group->delay_ms ? delay_ms : group->delay_ms;
    for (size_t i = first; i < supervisor->role_count; i++) {
        role_t *role = &supervisor->roles[i];
        const bool is_meant = role->declared->group == failed->declared->group && !role->is_held;
        if (!is_meant || role_is_spare(role) || role->retiring) {
            continue;
        }
        if (role_is_successor(role)) {
            role_kill(role, KILLER_TIME_LIMIT, "the one beside it is started anew itself");
        } else {
            hold(role);
        }
    }
    supervisor_group_continue(failed);
}

void supervisor_group_continue(role_t *ended)
{
    supervisor_t *supervisor = ended->supervisor;
    role_group_t *group = group_of(ended);
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *role = &supervisor->roles[i];
        if (role->declared->group == ended->declared->group && role->is_held && role->pid != 0) {
            return;
        }
    }
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_t *role = &supervisor->roles[i];
        if (role->declared->group == ended->declared->group && role->is_held) {
            role->is_held = false;
            role_restart(role, group->delay_ms);
        }
    }
    group->delay_ms = 0;
}

bool supervisor_group_failed(role_t *role, uint64_t delay_ms)
{
    switch (role->supervisor->options->strategies[role->declared->group]) {
    case SUPERVISOR_ONE_FOR_ONE:
        return false;
    case SUPERVISOR_ONE_FOR_ALL:
        hold_from(role, 0, delay_ms);
        return true;
    case SUPERVISOR_REST_FOR_ONE:
        hold_from(role, (size_t)(role - role->supervisor->roles), delay_ms);
        return true;
    }
    return false;
}

/* More than bounds.group_restarts within the window? Records this one. */
static bool group_is_exhausted(role_group_t *group, const supervisor_bounds_t *bounds,
                               uint64_t now_ms)
{
    if (group->restarts == 0 || now_ms - group->window_ms >= bounds->group_window_ms) {
        group->restarts = 0;
        group->window_ms = now_ms;
    }
    group->restarts++;
    return group->restarts > bounds->group_restarts;
}

void supervisor_group_escalate(role_t *failed)
{
    supervisor_t *supervisor = failed->supervisor;
    const uint64_t now_ms = loop_now_ms(supervisor->loop);
    if (group_is_exhausted(group_of(failed), &supervisor->bounds, now_ms)) {
        failed->state = ROLE_STOPPED;
        supervisor_escalate(supervisor, failed);
        return;
    }
    log_error("a role keeps failing: all roles of its group are started anew",
              LOG_STRING("name", failed->declared->name), LOG_STRING("how", failed->last_exit),
              LOG_NUMBER("restarts_max", supervisor->bounds.restarts),
              LOG_NUMBER("window_ms", supervisor->bounds.restarts_window_ms));
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_t *role = &supervisor->roles[i];
        if (role->declared->group == failed->declared->group) {
            role->failures = 0;
            role->failures_ever = 0;
        }
    }
    hold_from(failed, 0, supervisor->bounds.backoff_ms_min);
}
