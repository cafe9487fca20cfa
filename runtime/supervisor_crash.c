/* Whose fault the death of a role is: names the command that was in work, counts its kills and
 * those of its actor, and orders when they are too many that it, or all of the actor, is set aside.
 * Starts and stops nothing.
 *
 * A command is to blame at its second kill. An actor is at the second kill that no command can be
 * blamed for: it was being built from what is stored, or something within the role concerned it. Of
 * kills in its handler two different commands are not enough, since both may be bad; three are
 * (docs/decisions/0015). */
#include "runtime/supervisor_internal.h"

#include "runtime/log.h"
#include <stdio.h>
#include <string.h>

enum {
    UUID_SIZE = 36,
    TRACE_ID_AT = 3, /* of a traceparent: version, then the id */
    TRACE_ID_SIZE = 32,
};

static const char by_watchdog[] = "killed by the watchdog";

void supervisor_crash_init(supervisor_t *supervisor)
{
    supervisor->crashes_metric =
        metrics_counter(supervisor->metrics, "digitalcard_role_killed_by_command_total", "",
                        "Deaths of roles that were the fault of the command in work");
    supervisor->quarantines_metric =
        metrics_counter(supervisor->metrics, "digitalcard_quarantine_orders_total", "",
                        "Commands and actors set aside because they killed a role again");
    process_oom_find(&supervisor->oom);
    supervisor->oom_kills = process_oom_kills(&supervisor->oom);
    supervisor->oom_kills_next = supervisor->oom_kills;
}

/* What is compared with is one to two intervals old, since the kernel counts before the process has
 * ended. */
void supervisor_crash_tick(supervisor_t *supervisor, uint64_t now_ms)
{
    if (now_ms - supervisor->oom_looked_ms >= LIMIT_OOM_WINDOW_MS) {
        supervisor->oom_looked_ms = now_ms;
        supervisor->oom_kills = supervisor->oom_kills_next;
        supervisor->oom_kills_next = process_oom_kills(&supervisor->oom);
    }
}

/* Why the command in work is to blame; NULL: it is not. */
static const char *blame(const role_t *role, process_end_t end, crash_origin_t origin)
{
    const supervisor_t *supervisor = role->supervisor;
    switch (end) {
    case PROCESS_END_CRASHED:
        if (origin == CRASH_ORIGIN_HANG) {
            return by_watchdog;
        }
        return origin == CRASH_ORIGIN_OTHER || origin == CRASH_ORIGIN_OUTSIDE ? NULL
                                                                              : role->last_exit;
    case PROCESS_END_KILLED:
        if (role->killer == KILLER_WATCHDOG) {
            return by_watchdog;
        }
        return role->killer == KILLER_NONE &&
                       process_oom_kills(&supervisor->oom) > supervisor->oom_kills
                   ? "killed for want of memory"
                   : NULL;
    case PROCESS_END_OTHER:
        break;
    }
    return NULL;
}

/* Its place in the table; of a new one the place of the one that killed longest ago. */
static crash_kills_t *find_kills(supervisor_t *supervisor, const uint8_t *fingerprint)
{
    crash_kills_t *place = &supervisor->crash_kills[0];
    for (size_t i = 0; i < LIMIT_CRASH_FINGERPRINTS; i++) {
        crash_kills_t *kills = &supervisor->crash_kills[i];
        if (kills->kills > 0 &&
            memcmp(kills->fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE) == 0) {
            return kills;
        }
        if (place->kills > 0 && (kills->kills == 0 || kills->at_ms < place->at_ms)) {
            place = kills;
        }
    }
    *place = (crash_kills_t){0};
    memcpy(place->fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE);
    return place;
}

static void write_hex(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 0xf];
    }
}

/* 8-4-4-4-12 */
static void write_id(const uint8_t id[CRASH_ID_SIZE], char out[UUID_SIZE])
{
    static const uint8_t sizes[] = {4, 2, 2, 2, 6};
    for (size_t i = 0; i < sizeof sizes; i++) {
        write_hex(id, sizes[i], out);
        id += sizes[i];
        out += 2 * sizes[i];
        if (i + 1 < sizeof sizes) {
            *out = '-';
            out++;
        }
    }
}

/* --- Counting --- */

static void count_kill(supervisor_t *supervisor, crash_kills_t *kills)
{
    kills->kills++;
    kills->at_ms = loop_now_ms(supervisor->loop);
}

static void note_command(crash_kills_t *actor, const uint8_t *fingerprint)
{
    const uint32_t known = actor->command_count < LIMIT_CRASH_COMMANDS - 1
                               ? actor->command_count
                               : LIMIT_CRASH_COMMANDS - 1;
    for (uint32_t i = 0; i < known; i++) {
        if (memcmp(actor->commands[i], fingerprint, CRASH_FINGERPRINT_SIZE) == 0) {
            return;
        }
    }
    if (known < LIMIT_CRASH_COMMANDS - 1) {
        memcpy(actor->commands[known], fingerprint, CRASH_FINGERPRINT_SIZE);
    }
    actor->command_count++;
}

/* Kills of its actor, when it is to blame for them; else 0. */
static uint32_t count_actor(supervisor_t *supervisor, const crash_record_t *record)
{
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    if (record->stage != CRASH_STAGE_HANDLER && record->stage != CRASH_STAGE_ACTIVATION) {
        return 0;
    }
    crash_actor_fingerprint(record->tenant, record->tenant_size, record->actor, fingerprint);
    crash_kills_t *actor = find_kills(supervisor, fingerprint);
    count_kill(supervisor, actor);
    if (record->is_internal != 0 || record->stage == CRASH_STAGE_ACTIVATION) {
        actor->certain++;
    } else {
        note_command(actor, record->fingerprint);
    }
    return actor->certain >= LIMIT_CRASH_KILLS ||
                   actor->certain + actor->command_count >= LIMIT_CRASH_COMMANDS
               ? actor->kills
               : 0;
}

static uint32_t count_command(supervisor_t *supervisor, const crash_record_t *record)
{
    if (record->is_internal != 0) {
        return 1;
    }
    crash_kills_t *command = find_kills(supervisor, record->fingerprint);
    count_kill(supervisor, command);
    return command->kills;
}

/* --- What is said --- */

typedef struct verdict {
    const char *why;      /* NULL: nobody is to blame */
    uint32_t kills;       /* of the command */
    uint32_t actor_kills; /* 0: it is not the actor */
} verdict_t;

static const char *sentence(const verdict_t *verdict)
{
    if (verdict->why == NULL) {
        return "a role died while it worked on a command, which is not to blame";
    }
    if (verdict->actor_kills > 0) {
        return "an actor killed its role again, whatever it was asked: it is quarantined; see "
               "digitalcard deadletters";
    }
    return verdict->kills >= LIMIT_CRASH_KILLS
               ? "a command killed its role again: it is quarantined; see digitalcard deadletters"
               : "a command killed its role; when it does so again it is quarantined";
}

static void say(const role_t *role, const crash_record_t *record, const verdict_t *verdict)
{
    const supervisor_options_t *options = role->supervisor->options;
    const char *command = record->is_internal != 0        ? "internal"
                          : options->command_name == NULL ? ""
                                                          : options->command_name(record->type);
    const char *why = verdict->why;
    char actor[UUID_SIZE];
    char fingerprint[2 * CRASH_FINGERPRINT_SIZE];
    write_id(record->actor, actor);
    write_hex(record->fingerprint, CRASH_FINGERPRINT_SIZE, fingerprint);
    const bool has_trace = record->trace_size >= TRACE_ID_AT + TRACE_ID_SIZE;
    log_write(why != NULL ? LOG_ERROR_LEVEL : LOG_WARN_LEVEL, sentence(verdict),
              LOG_FIELDS(LOG_TEXT("trace_id", has_trace ? record->trace + TRACE_ID_AT : "",
                                  has_trace ? TRACE_ID_SIZE : 0),
                         LOG_STRING("name", role->declared->name),
                         LOG_STRING("how", why != NULL ? why : role->last_exit),
                         LOG_TEXT("tenant", record->tenant, record->tenant_size),
                         LOG_TEXT("actor", actor, sizeof actor), LOG_STRING("command", command),
                         LOG_TEXT("fingerprint", fingerprint, sizeof fingerprint),
                         LOG_NUMBER("kills", verdict->actor_kills > 0 ? verdict->actor_kills
                                                                      : verdict->kills)),
              8);
}

void supervisor_crash_examine(role_t *role, process_end_t end)
{
    supervisor_t *supervisor = role->supervisor;
    crash_record_t *record = &supervisor->crash_record;
    crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
    if (role->crash_slot == NULL || !crash_slot_read(role->crash_slot, record, &origin)) {
        return;
    }
    verdict_t verdict = {.why = blame(role, end, origin)};
    if (verdict.why != NULL) {
        verdict.kills = count_command(supervisor, record);
        verdict.actor_kills = count_actor(supervisor, record);
        metric_add(supervisor->crashes_metric, 1);
    }
    say(role, record, &verdict);
    if (verdict.actor_kills > 0) {
        metric_add(supervisor->quarantines_metric, 1);
        crash_slot_give_actor_order(role->crash_slot, record, verdict.actor_kills, verdict.why);
    } else if (verdict.kills >= LIMIT_CRASH_KILLS) {
        metric_add(supervisor->quarantines_metric, 1);
        crash_slot_give_order(role->crash_slot, record, verdict.kills, verdict.why);
    }
}
