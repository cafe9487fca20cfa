/* One role: its process, its link, its end and what follows from it. What a role's end means for
 * the others is told here; what it means for the service as a whole is supervisor.c's. */
#include "runtime/supervisor_internal.h"

#include "runtime/link_frames.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INCARNATION_SIZE = 8, LINKLESS_MS = 1000, WATCHDOG_PINGS = 4 };

static void role_timer(void *context);

const char *role_state_name(role_state_t state)
{
    switch (state) {
    case ROLE_STOPPED:
        return "stopped";
    case ROLE_WAITING:
        return "waiting";
    case ROLE_STARTING:
        return "starting";
    case ROLE_READY:
        return "ready";
    case ROLE_DRAINING:
        return "draining";
    case ROLE_KILLED:
        return "killed";
    }
    return "unknown";
}

void role_init(role_t *role, supervisor_t *supervisor, const supervisor_role_t *declared)
{
    assert(strlen(declared->name) <= LIMIT_ROLE_NAME_SIZE);
    role->supervisor = supervisor;
    role->declared = declared;
    role->state = ROLE_WAITING;
    role->timer = loop_timer_create(supervisor->loop, role_timer, role);
    role->failure_times = calloc(supervisor->bounds.restarts, sizeof *role->failure_times);
    assert(role->failure_times != NULL);
    (void)snprintf(role->restarts_label, sizeof role->restarts_label, "name=\"%s\"",
                   declared->name);
    role->restarts_metric =
        metrics_counter(supervisor->metrics, "digitalcard_role_restarts_total",
                        role->restarts_label, "Starts of a role after its first one");
    role->ready_metric = metrics_gauge(supervisor->metrics, "digitalcard_role_ready",
                                       role->restarts_label, "1 while the role takes work");
    if (declared->has_crash_slot &&
        crash_slot_create(&role->crash_slot, &role->crash_descriptor) != RESULT_OK) {
        log_warn("no crash slot: a command that kills this role cannot be named",
                 LOG_STRING("name", declared->name));
    }
}

void role_deinit(role_t *role)
{
    assert(role->pid == 0);
    role_requests_end(role);
    frame_stream_destroy(&role->link);
    loop_timer_destroy(&role->timer);
    crash_slot_destroy(&role->crash_slot, &role->crash_descriptor);
    free(role->failure_times);
}

/* Whether the others were told that it is up, and not yet that it is down. */
static bool role_is_announced(const role_t *role)
{
    return role->ready_ms != 0;
}

static void tell_peer_up(role_t *to, const role_t *about)
{
    uint8_t head[INCARNATION_SIZE + 1 + LIMIT_ROLE_NAME_SIZE];
    const size_t name_size = strlen(about->declared->name);
    link_number_write(head, about->incarnation, INCARNATION_SIZE);
    head[INCARNATION_SIZE] = (uint8_t)name_size;
    memcpy(head + INCARNATION_SIZE + 1, about->declared->name, name_size);
    frame_stream_send(to->link, LINK_FRAME_PEER_UP, head, INCARNATION_SIZE + 1 + name_size,
                      about->endpoint, strlen(about->endpoint));
}

static void tell(role_t *to, link_frame_t kind, const role_t *about)
{
    if (kind == LINK_FRAME_PEER_UP) {
        tell_peer_up(to, about);
    } else {
        frame_stream_send(to->link, (uint8_t)kind, NULL, 0, about->declared->name,
                          strlen(about->declared->name));
    }
}

static void tell_others(const role_t *about, link_frame_t kind)
{
    if (about->retiring) {
        return; /* whoever bears its name now is up */
    }
    supervisor_t *supervisor = about->supervisor;
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_t *to = &supervisor->roles[i];
        if (to != about && to->link != NULL) {
            tell(to, kind, about);
        }
    }
}

/* What a role has to know from its first moment on. */
static void tell_present_state(role_t *to)
{
    const supervisor_t *supervisor = to->supervisor;
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *other = &supervisor->roles[i];
        if (other != to && role_is_announced(other)) {
            tell(to, LINK_FRAME_PEER_UP, other);
        }
        if (other != to && role_is_announced(other) && other->state == ROLE_DRAINING) {
            tell(to, LINK_FRAME_PEER_DRAINING, other);
        }
    }
}

static void role_became_ready(role_t *role, const uint8_t *payload, size_t size)
{
    if (role->state != ROLE_STARTING || size > LIMIT_ROLE_ENDPOINT_SIZE) {
        return; /* told to end before it was ready */
    }
    if (size > 0) {
        memcpy(role->endpoint, payload, size);
    }
    role->endpoint[size] = '\0';
    role->state = ROLE_READY;
    role->ready_ms = loop_now_ms(role->supervisor->loop);
    loop_timer_stop(role->timer);
    metric_set(role->ready_metric, 1);
    log_info("role is ready", LOG_STRING("name", role->declared->name),
             LOG_NUMBER("child_pid", role->pid), LOG_NUMBER("incarnation", role->incarnation),
             LOG_NUMBER("start_ms", role->ready_ms - role->started_ms));
    tell_others(role, LINK_FRAME_PEER_UP);
    supervisor_role_ready(role);
}

static void role_leaving(role_t *role)
{
    if (role->supervisor->stage == SUPERVISOR_RUNNING && role->state == ROLE_READY) {
        log_info("role was told to end by a signal: it drains and is started anew",
                 LOG_STRING("name", role->declared->name));
        role_replace(role);
    }
}

static void link_frame(void *context, uint8_t kind, const uint8_t *payload, size_t size)
{
    role_t *role = context;
    role->pings_unanswered = 0;
    switch ((link_frame_t)kind) {
    case LINK_FRAME_READY:
        role_became_ready(role, payload, size);
        break;
    case LINK_FRAME_REPLY:
        role_reply_received(role, payload, size);
        break;
    case LINK_FRAME_ASK:
        supervisor_role_asks(role, payload, size);
        break;
    case LINK_FRAME_LEAVING:
        role_leaving(role);
        break;
    case LINK_FRAME_PONG:
    case LINK_FRAME_PEER_UP:
    case LINK_FRAME_PEER_DRAINING:
    case LINK_FRAME_PEER_DOWN:
    case LINK_FRAME_DRAIN:
    case LINK_FRAME_RELOAD:
    case LINK_FRAME_REQUEST:
    case LINK_FRAME_ANSWER:
    case LINK_FRAME_PING:
        break;
    }
}

/* Mostly it is dying and SIGCHLD is on its way; if not, it gets a moment to end by itself. */
static void link_closed(void *context)
{
    role_t *role = context;
    frame_stream_destroy(&role->link);
    if (role->state == ROLE_STARTING || role->state == ROLE_READY) {
        role->state = ROLE_DRAINING;
        loop_timer_start(role->timer, LINKLESS_MS, 0);
    }
}

/* The link, what was declared, the crash slot; returns how many. */
static size_t collect_descriptors(const role_t *role, int link,
                                  int descriptors[PROCESS_DESCRIPTORS_MAX])
{
    const size_t declared_max =
        sizeof role->declared->descriptors / sizeof role->declared->descriptors[0];
    size_t count = 1;
    descriptors[0] = link;
    for (size_t i = 0; i < declared_max && role->declared->descriptors[i] >= 0; i++) {
        descriptors[count] = role->declared->descriptors[i];
        count++;
    }
    if (role->crash_slot != NULL) {
        descriptors[count] = role->crash_descriptor;
        count++;
    }
    return count;
}

/* argv: name, declared arguments, "--incarnation", number, "--crash-slot", its descriptor. */
static result_t start_process(role_t *role, int link)
{
    const char *arguments[LIMIT_ROLE_ARGUMENTS + 6] = {"digitalcard"};
    char incarnation[24];
    char crash_slot[24];
    int descriptors[PROCESS_DESCRIPTORS_MAX];
    const size_t descriptor_count = collect_descriptors(role, link, descriptors);
    size_t count = 1;
    for (size_t i = 0; role->declared->arguments[i] != NULL; i++) {
        assert(i < LIMIT_ROLE_ARGUMENTS);
        arguments[count] = role->declared->arguments[i];
        count++;
    }
    (void)snprintf(incarnation, sizeof incarnation, "%" PRIu64, role->incarnation);
    arguments[count] = "--incarnation";
    arguments[count + 1] = incarnation;
    if (role->crash_slot != NULL) {
        crash_slot_clear(role->crash_slot);
        (void)snprintf(crash_slot, sizeof crash_slot, "%zu",
                       PROCESS_DESCRIPTOR_FIRST + descriptor_count - 1);
        arguments[count + 2] = "--crash-slot";
        arguments[count + 3] = crash_slot;
    }
    const process_start_t start = {.arguments = arguments,
                                   .descriptors = descriptors,
                                   .descriptor_count = descriptor_count,
                                   .program = rolling_program(role),
                                   .withheld = role->declared->withheld};
    return process_start(&start, &role->pid);
}

/* More than bounds.restarts failures within the window? Records this one. */
static bool intensity_exceeded(role_t *role, uint64_t now_ms)
{
    const supervisor_bounds_t *bounds = &role->supervisor->bounds;
    uint64_t *oldest = &role->failure_times[role->failures_ever % bounds->restarts];
    const bool exceeded =
        role->failures_ever >= bounds->restarts && now_ms - *oldest < bounds->restarts_window_ms;
    *oldest = now_ms;
    role->failures_ever++;
    return exceeded;
}

/* The first restart is immediate; later ones wait a random part of a doubling delay. */
static uint64_t backoff_ms(role_t *role, uint64_t now_ms)
{
    const supervisor_bounds_t *bounds = &role->supervisor->bounds;
    if (role->ready_ms != 0 && now_ms - role->ready_ms >= LIMIT_RESTART_HEALTHY_MS) {
        role->failures = 0;
    }
    role->failures++;
    uint64_t delay_ms = bounds->backoff_ms_min;
    if (role->failures == 1) {
        return 0;
    }
    for (uint32_t i = 2; i < role->failures && delay_ms < bounds->backoff_ms_max; i++) {
        delay_ms *= 2;
    }
    if (delay_ms > bounds->backoff_ms_max) {
        delay_ms = bounds->backoff_ms_max;
    }
    return 1U + random_below((uint32_t)delay_ms);
}

void role_restart(role_t *role, uint64_t delay_ms)
{
    role->planned = false;
    role->state = ROLE_WAITING;
    role->restarts++;
    metric_add(role->restarts_metric, 1);
    loop_timer_start(role->timer, delay_ms, 0);
}

static void role_schedule(role_t *role)
{
    const uint64_t now_ms = loop_now_ms(role->supervisor->loop);
    if (role->is_held) {
        role->state = ROLE_WAITING;
        supervisor_group_continue(role);
        return;
    }
    if (role->planned) {
        role_restart(role, 0);
        return;
    }
    if (intensity_exceeded(role, now_ms)) {
        supervisor_group_escalate(role);
        return;
    }
    supervisor_notify_restarting(role->supervisor, role);
    const uint64_t delay_ms = backoff_ms(role, now_ms);
    if (!supervisor_group_failed(role, delay_ms)) {
        role_restart(role, delay_ms);
    }
}

/* A role ended while it was, or has, a successor: the other one goes on alone. A new program that
 * does not even become ready ends the rolling restart. */
static bool role_leaves_to_twin(role_t *role)
{
    if (role->rolled && role->ready_ms == 0) {
        rolling_abort(role->supervisor, role);
    }
    const bool is_alone = role->twin == NULL || role->twin->state == ROLE_STOPPED;
    if (is_alone || role->is_held) {
        return false;
    }
    role->planned = false;
    return true;
}

bool role_is_successor(const role_t *role)
{
    return role->pid != 0 && role->ready_ms == 0 && role->twin != NULL && role->twin->pid != 0;
}

bool role_is_spare(const role_t *role)
{
    return role->state == ROLE_STOPPED && role->twin != NULL && role->twin->state != ROLE_STOPPED;
}

/* The process is gone, or could not be made. */
static void role_end(role_t *role)
{
    supervisor_t *supervisor = role->supervisor;
    const bool expected = role->planned || supervisor->stage != SUPERVISOR_RUNNING;
    log_write(expected ? LOG_INFO_LEVEL : LOG_WARN_LEVEL, "role ended",
              LOG_FIELDS(LOG_STRING("name", role->declared->name),
                         LOG_STRING("how", role->last_exit), LOG_NUMBER("child_pid", role->pid),
                         LOG_NUMBER("incarnation", role->incarnation)),
              4);
    const bool was_announced = role_is_announced(role);
    role->pid = 0;
    loop_timer_stop(role->timer);
    frame_stream_destroy(&role->link);
    metric_set(role->ready_metric, role->twin != NULL && role->twin->state == ROLE_READY ? 1 : 0);
    if (was_announced) {
        tell_others(role, LINK_FRAME_PEER_DOWN);
    }
    role_requests_end(role);
    if (supervisor->options->role_ended != NULL) {
        supervisor->options->role_ended(supervisor->options->context, role->declared->name,
                                        role->incarnation);
    }
    const bool leaves_to_twin = !role->is_held && role_leaves_to_twin(role);
    if (supervisor->stage != SUPERVISOR_RUNNING || leaves_to_twin) {
        role->state = ROLE_STOPPED;
    } else {
        role_schedule(role);
    }
    role->ready_ms = 0;
    role->retiring = false;
    supervisor_role_ended(supervisor);
}

void role_start(role_t *role)
{
    static const frame_stream_handler_t handler = {.frame = link_frame, .closed = link_closed};
    supervisor_t *supervisor = role->supervisor;
    int pair[2] = {-1, -1};
    supervisor->incarnation_last++;
    role->incarnation = supervisor->incarnation_last;
    role->started_ms = loop_now_ms(supervisor->loop);
    role->pinged_ms = role->started_ms;
    role->pings_unanswered = 0;
    role->killer = KILLER_NONE;
    role->endpoint[0] = '\0';
    role->state = ROLE_STARTING;
    result_t result = process_socket_pair(pair);
    if (result == RESULT_OK) {
        result = start_process(role, pair[1]);
        process_close(pair[1]);
    }
    if (result == RESULT_OK) {
        /* A role whose link cannot be made is ended by the time limit of its start. */
        result = frame_stream_create(supervisor->loop, pair[0], &handler, role, &role->link);
        if (result == RESULT_OK) {
            tell_present_state(role);
        } else {
            log_error("a role got no link to the supervisor: it is started anew when the time for "
                      "its start is over",
                      LOG_STRING("name", role->declared->name));
        }
        loop_timer_start(role->timer, supervisor->bounds.start_ms, 0);
        return;
    }
    if (pair[0] >= 0) {
        process_close(pair[0]);
    }
    (void)snprintf(role->last_exit, sizeof role->last_exit, "could not be started");
    role_end(role);
}

void role_kill(role_t *role, role_killer_t killer, const char *why)
{
    if (role->pid == 0) {
        return;
    }
    log_warn("role is killed", LOG_STRING("name", role->declared->name), LOG_STRING("why", why),
             LOG_NUMBER("child_pid", role->pid));
    role->killer = killer;
    process_kill(role->pid);
    role->state = ROLE_KILLED;
    loop_timer_stop(role->timer);
}

static void role_timer(void *context)
{
    role_t *role = context;
    switch (role->state) {
    case ROLE_WAITING:
        role_start(role);
        break;
    case ROLE_STARTING:
        role_kill(role, KILLER_TIME_LIMIT, "it was not ready in time");
        break;
    case ROLE_DRAINING:
        role_kill(role, KILLER_TIME_LIMIT, "it did not end in time");
        break;
    case ROLE_STOPPED:
    case ROLE_READY:
    case ROLE_KILLED:
        break;
    }
}

void role_drain(role_t *role, uint64_t timeout_ms)
{
    if (role->state == ROLE_WAITING) {
        role->state = ROLE_STOPPED;
        loop_timer_stop(role->timer);
        return;
    }
    if (role->pid == 0 || role->state == ROLE_KILLED) {
        return;
    }
    if (role->state != ROLE_DRAINING) {
        role->state = ROLE_DRAINING;
        if (role_is_announced(role)) {
            tell_others(role, LINK_FRAME_PEER_DRAINING);
        }
        if (role->link != NULL) {
            const uint8_t has_successor = 1;
            frame_stream_send(role->link, LINK_FRAME_DRAIN, &has_successor, role->retiring ? 1 : 0,
                              NULL, 0);
        }
    }
    loop_timer_start(role->timer, timeout_ms, 0);
}

void role_collect(role_t *role)
{
    process_end_t end = PROCESS_END_OTHER;
    if (role->pid != 0 && process_has_ended(role->pid, role->last_exit, &end)) {
        supervisor_crash_examine(role, end);
        role_end(role);
    }
}

/* Whether the role has worked on one command for LIMIT_HANDLER_HANG_MS, counted in looks, so that a
 * machine or a supervisor that stood still blames nobody. One that was stopped, waits for the disk
 * or gets no processor does not hang: a handler that does has either taken half of the time, or
 * sleeps, which ours never do. */
static bool handler_hangs(role_t *role)
{
    uint32_t command = 0;
    process_numbers_t numbers;
    const uint32_t hang_ms = role->supervisor->bounds.watchdog_ms < LIMIT_HANDLER_HANG_MS
                                 ? (uint32_t)role->supervisor->bounds.watchdog_ms
                                 : LIMIT_HANDLER_HANG_MS;
    const bool is_same = role->crash_slot != NULL &&
                         crash_slot_is_in_work(role->crash_slot, &command) &&
                         command == role->command_seen;
    role->command_seen = command;
    if (!is_same) {
        role->command_looks = 0;
        return false;
    }
    role->command_looks++;
    if (role->command_looks == 1) {
        process_times(role->pid, &numbers);
        role->command_cpu_ms = numbers.cpu_ms;
    }
    if (role->command_looks * SUPERVISOR_TICK_MS < hang_ms) {
        return false;
    }
    process_times(role->pid, &numbers);
    return numbers.state == 'S' || (numbers.cpu_ms - role->command_cpu_ms) * 2 >= hang_ms;
}

/* Silence is counted in pings, not in time: after a pause of this process or of the whole machine
 * the answers are read before anybody is judged. */
void role_watch(role_t *role, uint64_t now_ms)
{
    if (role->state == ROLE_READY && handler_hangs(role)) {
        role_kill(role, KILLER_WATCHDOG, "it works on one command and does not get done");
        return;
    }
    const uint64_t interval_ms = role->supervisor->bounds.watchdog_ms / WATCHDOG_PINGS;
    if (role->state != ROLE_READY || now_ms - role->pinged_ms < interval_ms) {
        return;
    }
    if (role->pings_unanswered == WATCHDOG_PINGS) {
        role_kill(role, KILLER_WATCHDOG, "it does not answer: a handler of it hangs");
        return;
    }
    role->pinged_ms = now_ms;
    role->pings_unanswered++;
    if (role->link != NULL) {
        frame_stream_send(role->link, LINK_FRAME_PING, NULL, 0, NULL, 0);
    }
}
