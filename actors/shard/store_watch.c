/* Whether the shard's stores answer: looks at what is under way, and tells the fronts when it
 * changes, for their readiness. Refuses nothing and ends nobody: a call that waits in the kernel
 * comes back when the disk does, a new process would only wait for it too, and who waits for a
 * reply has a deadline. */
#include "actors/shard/shard_internal.h"
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

void store_watch_tick(shard_t *shard)
{
    store_watch_t *const watch = &shard->store_watch;
    const uint8_t before = watch->state == 0 ? (uint8_t)store_state_answers : watch->state;
    const bool silent = is_silent(shard);
    const bool unreadable = is_unreadable(shard);
    watch->state = silent       ? store_state_silent
                   : unreadable ? store_state_unreadable
                                : store_state_answers;
    if (watch->state == before) {
        return;
    }
    metric_set(shard->metrics.store_answers, watch->state == store_state_answers ? 1 : 0);
    if (watch->state == store_state_answers) {
        log_info("the stores answer again: the service is ready again");
    } else {
        log_error("a store does not answer: the service is not ready until it does",
                  LOG_STRING("store", silent ? "journal" : "control"),
                  LOG_NUMBER("batches", shard->batches_in_flight),
                  LOG_NUMBER("reads", shard->loads_in_flight));
    }
    shard_fronts_tell(shard);
}
