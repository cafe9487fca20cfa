/* The process supervisor as a whole: beginning and end, signals, the order of draining. It
 * never looks into what a role does. */
#include "runtime/supervisor.h"

#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/supervisor_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { INCARNATION_SHIFT = 8 };

static bool all_in(const supervisor_t *supervisor, role_state_t state)
{
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *role = &supervisor->roles[i];
        if (role->state != state && !role_is_spare(role)) {
            return false;
        }
    }
    return true;
}

/* --- Draining: one group after the other --- */

static uint32_t group_count(const supervisor_t *supervisor)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const uint32_t order = supervisor->roles[i].declared->drain_order;
        highest = order > highest ? order : highest;
    }
    return highest + 1;
}

static bool group_stopped(const supervisor_t *supervisor, uint32_t order)
{
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *role = &supervisor->roles[i];
        if (role->declared->drain_order == order && role->state != ROLE_STOPPED) {
            return false;
        }
    }
    return true;
}

/* Every group may use its share of the whole time and what earlier ones left over, so that a front
 * that hangs does not take the shards' time. */
static void group_drain(supervisor_t *supervisor)
{
    const uint64_t share_ms = supervisor->bounds.drain_ms / group_count(supervisor);
    const uint64_t due_ms =
        supervisor->drain_started_ms + share_ms * (supervisor->drain_order + 1U);
    const uint64_t now_ms = loop_now_ms(supervisor->loop);
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_t *role = &supervisor->roles[i];
        if (role->declared->drain_order == supervisor->drain_order) {
            role_drain(role, due_ms > now_ms ? due_ms - now_ms : 1);
        }
    }
}

static void drain_continue(supervisor_t *supervisor)
{
    const uint32_t groups = group_count(supervisor);
    while (supervisor->drain_order < groups && group_stopped(supervisor, supervisor->drain_order)) {
        supervisor->drain_order++;
        if (supervisor->drain_order < groups) {
            group_drain(supervisor);
        }
    }
    if (supervisor->drain_order == groups) {
        loop_stop(supervisor->loop);
    }
}

static void drain_begin(supervisor_t *supervisor)
{
    supervisor->stage = SUPERVISOR_DRAINING;
    supervisor->rolling = false;
    supervisor_notify_stopping(supervisor);
    supervisor->drain_order = 0;
    supervisor->drain_started_ms = loop_now_ms(supervisor->loop);
    group_drain(supervisor);
    drain_continue(supervisor);
}

static void kill_all(supervisor_t *supervisor)
{
    supervisor->stage = SUPERVISOR_KILLING;
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_t *role = &supervisor->roles[i];
        if (role->pid != 0) {
            role_kill(role, KILLER_TIME_LIMIT, "the service was told to end at once");
        } else {
            role_drain(role, 1);
        }
    }
    drain_continue(supervisor);
}

void supervisor_escalate(supervisor_t *supervisor, const role_t *role)
{
    log_error("a role keeps failing: the service drains and ends, see the log of that role",
              LOG_STRING("name", role->declared->name), LOG_STRING("how", role->last_exit),
              LOG_NUMBER("restarts_max", supervisor->bounds.restarts),
              LOG_NUMBER("window_ms", supervisor->bounds.restarts_window_ms));
    supervisor->result = RESULT_UNAVAILABLE;
    drain_begin(supervisor);
}

void supervisor_role_ready(role_t *role)
{
    supervisor_t *supervisor = role->supervisor;
    if (!supervisor->was_ready && all_in(supervisor, ROLE_READY)) {
        supervisor->was_ready = true;
        if (supervisor->options->started != NULL) {
            supervisor->options->started(supervisor->options->context);
        }
        supervisor_notify_ready(supervisor);
    } else if (!supervisor->rolling && all_in(supervisor, ROLE_READY)) {
        supervisor_notify_ready(supervisor); /* only the status is new */
    }
    if (role->twin != NULL && role->twin->state == ROLE_READY) {
        role->twin->retiring = true;
        role->twin->planned = true;
        role_drain(role->twin, supervisor->bounds.drain_ms);
    }
    rolling_continue(supervisor);
}

void supervisor_role_ended(supervisor_t *supervisor)
{
    if (supervisor->stage != SUPERVISOR_RUNNING) {
        drain_continue(supervisor);
    } else {
        rolling_continue(supervisor); /* the end of one that had handed over */
    }
}

/* --- Signals and time --- */

static void collect_all(supervisor_t *supervisor)
{
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_collect(&supervisor->roles[i]);
    }
}

static void signal_stop(supervisor_t *supervisor, process_notice_t notice)
{
    if (supervisor->stage == SUPERVISOR_RUNNING) {
        log_info("the service was told to end: it drains");
        drain_begin(supervisor);
    } else if (notice == PROCESS_NOTICE_INTERRUPT) { /* somebody at the terminal is impatient */
        kill_all(supervisor);
    }
}

static void signal_seen(void *context, process_notice_t notice)
{
    supervisor_t *supervisor = context;
    if (notice == PROCESS_NOTICE_CHILD) {
        collect_all(supervisor);
    } else if (notice == PROCESS_NOTICE_TERMINATE || notice == PROCESS_NOTICE_INTERRUPT) {
        signal_stop(supervisor, notice);
    } else if (supervisor->stage == SUPERVISOR_RUNNING) {
        rolling_begin(supervisor);
    }
}

static void tick(void *context)
{
    supervisor_t *supervisor = context;
    const uint64_t now_ms = loop_now_ms(supervisor->loop);
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_requests_expire(&supervisor->roles[i], now_ms);
        role_watch(&supervisor->roles[i], now_ms);
    }
    supervisor_crash_tick(supervisor, now_ms);
    supervisor_notify_tick(supervisor, now_ms);
}

/* --- Life --- */

static uint32_t bound_or(uint32_t given, uint32_t otherwise)
{
    return given != 0 ? given : otherwise;
}

static supervisor_bounds_t bounds_complete(const supervisor_bounds_t *given)
{
    return (supervisor_bounds_t){
        .restarts = bound_or(given->restarts, LIMIT_RESTARTS),
        .restarts_window_ms = bound_or(given->restarts_window_ms, LIMIT_RESTARTS_WINDOW_MS),
        .backoff_ms_min = bound_or(given->backoff_ms_min, LIMIT_BACKOFF_MS_MIN),
        .backoff_ms_max = bound_or(given->backoff_ms_max, LIMIT_BACKOFF_MS_MAX),
        .start_ms = bound_or(given->start_ms, LIMIT_START_MS),
        .drain_ms = bound_or(given->drain_ms, LIMIT_DRAIN_MS),
        .watchdog_ms = bound_or(given->watchdog_ms, LIMIT_WATCHDOG_MS),
        .group_restarts = bound_or(given->group_restarts, LIMIT_ROLE_GROUP_RESTARTS),
        .group_window_ms = bound_or(given->group_window_ms, LIMIT_ROLE_GROUP_WINDOW_MS),
        .group_stop_ms = bound_or(given->group_stop_ms, LIMIT_ROLE_GROUP_STOP_MS),
    };
}

/* One place for each role, and a second one beside it for a successor. */
static void roles_add(supervisor_t *supervisor, const supervisor_role_t *declared)
{
    const size_t places = declared->hands_over ? 2 : 1;
    role_t *role = &supervisor->roles[supervisor->role_count];
    assert(supervisor->role_count + places <= LIMIT_ROLES);
    supervisor->role_count += places;
    for (size_t i = 0; i < places; i++) {
        role_init(&role[i], supervisor, declared);
    }
    if (places == 2) {
        role[0].twin = &role[1];
        role[1].twin = &role[0];
        role[1].state = ROLE_STOPPED;
    }
}

static result_t supervisor_init(supervisor_t *supervisor, const supervisor_options_t *options)
{
    static const process_notice_t notices[] = {PROCESS_NOTICE_CHILD, PROCESS_NOTICE_TERMINATE,
                                               PROCESS_NOTICE_INTERRUPT, PROCESS_NOTICE_RELOAD};
    assert(options->role_count > 0 && options->role_count <= LIMIT_ROLES);
    *supervisor = (supervisor_t){.options = options, .bounds = bounds_complete(&options->bounds)};
    rolling_init(supervisor);
    notify_open(&supervisor->notify);
    result_t result = loop_create(&supervisor->loop);
    if (result != RESULT_OK) {
        return result;
    }
    supervisor->metrics = metrics_create("supervisor");
    supervisor_crash_init(supervisor);
    supervisor->roles = calloc(LIMIT_ROLES, sizeof *supervisor->roles);
    assert(supervisor->roles != NULL);
    supervisor->started_ms = loop_now_ms(supervisor->loop);
    supervisor->incarnation_last = (uint64_t)clock_wall_ms() << INCARNATION_SHIFT;
    for (size_t i = 0; i < options->role_count; i++) {
        roles_add(supervisor, &options->roles[i]);
    }
    supervisor->tick = loop_timer_create(supervisor->loop, tick, supervisor);
    loop_timer_start(supervisor->tick, SUPERVISOR_TICK_MS, SUPERVISOR_TICK_MS);
    result = process_signals_create(supervisor->loop, notices, sizeof notices / sizeof notices[0],
                                    signal_seen, supervisor, &supervisor->signals);
    if (result != RESULT_OK) {
        return result;
    }
    return control_server_create(supervisor->loop, options->data_directory, supervisor_control,
                                 supervisor, &supervisor->control);
}

static void supervisor_deinit(supervisor_t *supervisor)
{
    notify_close(&supervisor->notify);
    if (supervisor->loop == NULL) {
        return;
    }
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_deinit(&supervisor->roles[i]);
    }
    control_server_destroy(&supervisor->control);
    process_signals_destroy(&supervisor->signals);
    loop_timer_destroy(&supervisor->tick);
    loop_destroy(&supervisor->loop);
    metrics_destroy(&supervisor->metrics);
    rolling_deinit(supervisor);
    free(supervisor->roles);
}

result_t supervisor_run(const supervisor_options_t *options)
{
    supervisor_t supervisor;
    process_prepare();
    result_t result = supervisor_init(&supervisor, options);
    if (result == RESULT_OK) {
        for (size_t i = 0; i < supervisor.role_count; i++) {
            if (supervisor.roles[i].state == ROLE_WAITING) {
                role_start(&supervisor.roles[i]);
            }
        }
        loop_run(supervisor.loop);
        result = supervisor.result;
    }
    supervisor_deinit(&supervisor);
    return result;
}
