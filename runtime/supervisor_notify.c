/* What the service manager hears of the service: when it is ready, reloads, ends, and that it is
 * alive. Decides nothing about roles. */
#include "runtime/supervisor_internal.h"

#include <assert.h>
#include <stdio.h>

/* Two of the four pings of a watchdog period may be on their way. */
enum { UNANSWERED_MAX = 2 };

void supervisor_notify_ready(const supervisor_t *supervisor)
{
    char lines[NOTIFY_TEXT_SIZE];
    const int size = snprintf(lines, sizeof lines, "READY=1\nSTATUS=all %zu roles are ready",
                              supervisor->options->role_count);
    assert(size > 0 && (size_t)size < sizeof lines);
    notify_send(&supervisor->notify, lines);
}

void supervisor_notify_restarting(const supervisor_t *supervisor, const role_t *role)
{
    char lines[NOTIFY_TEXT_SIZE];
    const int size = snprintf(lines, sizeof lines, "STATUS=role %s is started anew (%s)",
                              role->declared->name, role->last_exit);
    assert(size > 0 && (size_t)size < sizeof lines);
    notify_send(&supervisor->notify, lines);
}

void supervisor_notify_reloading(const supervisor_t *supervisor)
{
    notify_send_reloading(&supervisor->notify, "the roles are restarted one by one");
}

void supervisor_notify_stopping(const supervisor_t *supervisor)
{
    notify_send(&supervisor->notify, supervisor->result == RESULT_OK
                                         ? "STOPPING=1\nSTATUS=the roles drain"
                                         : "STOPPING=1\nSTATUS=a role keeps failing");
}

static bool all_answer(const supervisor_t *supervisor)
{
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *role = &supervisor->roles[i];
        /* One that is restarted because somebody asked for it is as good as there. */
        const bool answers = role->state == ROLE_READY && role->pings_unanswered <= UNANSWERED_MAX;
        if (!answers && !role->planned && !role_is_spare(role) &&
            !(supervisor->rolling && role->state != ROLE_READY)) {
            return false;
        }
    }
    return true;
}

void supervisor_notify_tick(supervisor_t *supervisor, uint64_t now_ms)
{
    const uint64_t interval_ms = supervisor->notify.watchdog_ms;
    const bool is_due = interval_ms > 0 && now_ms - supervisor->notified_ms >= interval_ms;
    /* While it drains the manager counts the time to the end, not this. */
    if (is_due && supervisor->was_ready && supervisor->stage == SUPERVISOR_RUNNING &&
        all_answer(supervisor)) {
        supervisor->notified_ms = now_ms;
        notify_send(&supervisor->notify, "WATCHDOG=1");
    }
}
