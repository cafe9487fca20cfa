/* Whether the shard's stores answer and take anything: looks at what is under way and what was
 * refused, and tells the fronts when it changes, for their readiness. Refuses nothing and ends
 * nobody: a call that waits in the kernel comes back when the disk does, a new process would only
 * wait for it too, and who waits for a reply has a deadline.
 *
 * A full disk is found out by those who ask. That it has room again, nobody might find out who asks
 * a service that is not ready for nothing: so the tenant that was refused last is opened again
 * now and then, which writes a little. */
#include "actors/shard/shard_internal.h"
#include "actors/shard/tenant_actor.h"
#include "runtime/log.h"

/* Commits and reads that have ended, in whatever way. */
static uint64_t count_ended(const shard_t *shard)
{
    const shard_metrics_t *const metrics = &shard->metrics;
    return metric_value(metrics->commits) + metric_value(metrics->commits_failed) +
           metric_value(metrics->loads) - shard->loads_in_flight;
}

/* In looks, not in time: a machine or a process that stood still accuses no store. */
static bool is_silent(shard_t *shard)
{
    store_watch_t *const watch = &shard->store_watch;
    const uint64_t ended = count_ended(shard);
    if (ended != watch->ended || shard->batches_in_flight + shard->loads_in_flight == 0) {
        watch->ended = ended;
        watch->looks = 0;
        return false;
    }
    watch->looks++;
    return watch->looks >= LIMIT_STORE_SILENT_MS / LIMIT_DIRECTORY_POLL_MS;
}

static bool is_unreadable(shard_t *shard)
{
    store_watch_t *const watch = &shard->store_watch;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    if (!shard->is_control_failing) {
        watch->failing_since_ms = 0;
        return false;
    }
    watch->failing_since_ms = watch->failing_since_ms == 0 ? now_ms : watch->failing_since_ms;
    return now_ms - watch->failing_since_ms >= LIMIT_CONTROL_FAILING_MS;
}

/* --- A full disk --- */

void store_watch_refused(shard_t *shard, text_t tenant)
{
    store_watch_t *const watch = &shard->store_watch;
    watch->full_failed_ms = loop_now_ms(shard->loop);
    if (watch->full_since_ms == 0) {
        watch->full_since_ms = watch->full_failed_ms;
        watch->full_refusals = 0;
    }
    watch->full_refusals++;
    watch->has_opened = false;
    memcpy(watch->full_name, tenant.data, tenant.size);
    watch->full_name_size = (uint32_t)tenant.size;
}

void store_watch_committed(shard_t *shard)
{
    shard->store_watch.full_since_ms = 0;
}

void store_watch_opened(shard_t *shard)
{
    shard->store_watch.has_opened = true;
}

/* What it lacked, others may have. */
void store_watch_gone(shard_t *shard, text_t tenant)
{
    store_watch_t *const watch = &shard->store_watch;
    const text_t refused = {.data = watch->full_name, .size = watch->full_name_size};
    if (text_equal(tenant, refused)) {
        watch->full_since_ms = 0;
    }
}

static void try_again(shard_t *shard)
{
    store_watch_t *const watch = &shard->store_watch;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    const text_t name = {.data = watch->full_name, .size = watch->full_name_size};
    const tenant_t *const known = tenant_find(shard, name);
    const bool is_closed =
        known == NULL || (known->status == TENANT_CLOSED && now_ms >= known->retry_at_ms);
    if (shard->is_draining || watch->has_opened || !is_closed ||
        now_ms - watch->full_failed_ms < LIMIT_STORE_TRY_MS ||
        now_ms - watch->full_tried_ms < LIMIT_STORE_TRY_MS) {
        return;
    }
    watch->full_tried_ms = now_ms;
    tenant_open_and_sweep(shard, name);
}

/* Opening a tenant writes less than a commit: what counts as well is that nothing was refused
 * afterwards. One refusal alone may have been a moment's. */
static bool is_full(shard_t *shard)
{
    store_watch_t *const watch = &shard->store_watch;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    if (watch->full_since_ms == 0) {
        return false;
    }
    if (watch->has_opened && now_ms - watch->full_failed_ms >= LIMIT_STORE_FULL_MS) {
        watch->full_since_ms = 0;
        return false;
    }
    try_again(shard);
    return watch->full_refusals >= 2 && now_ms - watch->full_since_ms >= LIMIT_STORE_FULL_MS;
}

/* --- The look --- */

static void log_change(const shard_t *shard)
{
    switch (shard->store_watch.state) {
    case store_state_answers:
        log_info("the stores answer again: the service is ready again");
        break;
    case store_state_full:
        log_error(
            "the disk of the store is full and takes no commit: the service is not ready "
            "until there is space; free some, nothing else is to be done",
            LOG_STRING("store", "journal"),
            LOG_TEXT("tenant", shard->store_watch.full_name, shard->store_watch.full_name_size));
        break;
    default:
        log_error("a store does not answer: the service is not ready until it does",
                  LOG_STRING("store", shard->store_watch.state == store_state_silent ? "journal"
                                                                                     : "control"),
                  LOG_NUMBER("batches", shard->batches_in_flight),
                  LOG_NUMBER("reads", shard->loads_in_flight));
        break;
    }
}

void store_watch_tick(shard_t *shard)
{
    store_watch_t *const watch = &shard->store_watch;
    const uint8_t before = watch->state == 0 ? (uint8_t)store_state_answers : watch->state;
    const bool silent = is_silent(shard);
    const bool full = is_full(shard);
    const bool unreadable = is_unreadable(shard);
    watch->state = silent       ? store_state_silent
                   : full       ? store_state_full
                   : unreadable ? store_state_unreadable
                                : store_state_answers;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    if (watch->state == before) {
        if (watch->state != store_state_answers && now_ms - watch->told_ms >= LIMIT_STORE_TELL_MS) {
            watch->told_ms = now_ms;
            shard_fronts_tell(shard);
        }
        return;
    }
    watch->told_ms = now_ms;
    metric_set(shard->metrics.store_answers, watch->state == store_state_answers ? 1 : 0);
    metric_set(shard->metrics.store_full, watch->state == store_state_full ? 1 : 0);
    log_change(shard);
    shard_fronts_tell(shard);
}
