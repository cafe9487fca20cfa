/* The rolling restart (SIGHUP): one role at a time, in order of declaration, each only when all
 * others are ready, onto the program that stands where the service was started from. A role that
 * hands over has its successor beside it until that is ready. Whether a role's end counts as a
 * failure is supervisor_role.c's. */
#include "runtime/supervisor_internal.h"

#include "runtime/log.h"

void rolling_init(supervisor_t *supervisor)
{
    supervisor->program = -1;
    supervisor->program_next = -1;
    if (!process_program_path(supervisor->program_path, sizeof supervisor->program_path)) {
        supervisor->program_path[0] = '\0';
    }
}

static void program_close(int *program)
{
    if (*program >= 0) {
        process_close(*program);
    }
    *program = -1;
}

void rolling_deinit(supervisor_t *supervisor)
{
    program_close(&supervisor->program);
    program_close(&supervisor->program_next);
}

int rolling_program(const role_t *role)
{
    const supervisor_t *supervisor = role->supervisor;
    return role->rolled ? supervisor->program_next : supervisor->program;
}

static void rolling_end(supervisor_t *supervisor)
{
    supervisor->rolling = false;
    for (size_t i = 0; i < supervisor->role_count; i++) {
        supervisor->roles[i].rolled = false;
    }
}

void rolling_abort(supervisor_t *supervisor, const role_t *because)
{
    if (!supervisor->rolling) {
        return;
    }
    log_error("the new program does not become ready: the roles go on with the one before",
              LOG_STRING("name", because->declared->name), LOG_STRING("how", because->last_exit),
              LOG_STRING("program", supervisor->program_path));
    rolling_end(supervisor);
    program_close(&supervisor->program_next);
    supervisor_notify_ready(supervisor);
}

void rolling_begin(supervisor_t *supervisor)
{
    if (supervisor->rolling) {
        log_warn("the roles are being restarted already: send SIGHUP again when that is done");
        return;
    }
    const result_t result =
        process_program_open(supervisor->program_path, &supervisor->program_next);
    if (result != RESULT_OK) {
        log_error("the program cannot be started anew: the roles stay as they are",
                  LOG_STRING("program", supervisor->program_path),
                  LOG_STRING("why", result_title(result)));
        supervisor_notify_reloading(supervisor); /* it waits for the end of what it asked for */
        supervisor_notify_ready(supervisor);
        return;
    }
    log_info("the roles are restarted one by one", LOG_STRING("program", supervisor->program_path));
    supervisor->rolling = true;
    supervisor_notify_reloading(supervisor);
    rolling_continue(supervisor);
}

void role_replace(role_t *role)
{
    role_t *twin = role->twin;
    if (twin == NULL) {
        role->planned = true;
        role_drain(role, role->supervisor->bounds.drain_ms);
        return;
    }
    if (twin->state != ROLE_STOPPED) {
        return; /* its successor is on its way, or its predecessor still goes */
    }
    twin->rolled = role->rolled;
    twin->planned = false;
    twin->restarts = role->restarts + 1;
    metric_add(twin->restarts_metric, 1);
    role_start(twin);
}

static role_t *rolling_next(supervisor_t *supervisor)
{
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_t *role = &supervisor->roles[i];
        if (!role->rolled && role->state == ROLE_READY) {
            return role;
        }
    }
    return NULL;
}

void rolling_continue(supervisor_t *supervisor)
{
    if (!supervisor->rolling) {
        return;
    }
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *role = &supervisor->roles[i];
        if (role->state != ROLE_READY && !role_is_spare(role)) {
            return;
        }
    }
    role_t *role = rolling_next(supervisor);
    if (role == NULL) {
        rolling_end(supervisor);
        program_close(&supervisor->program);
        supervisor->program = supervisor->program_next;
        supervisor->program_next = -1;
        log_info("all roles were restarted");
        supervisor_notify_ready(supervisor);
        return;
    }
    role->rolled = true;
    role_replace(role);
}
