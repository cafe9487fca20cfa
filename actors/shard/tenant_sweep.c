/* What happens to a tenant without a request: cards that are due expire, old replies go (when a
 * reminder says so), refused scans that wait are stored, and tenants nobody touches get their turn.
 * Everything in bounded slices. Must not decide whether a card expires: the card does. */
#include "actors/domain/card_id.h"
#include "actors/shard/card_actor.h"
#include "actors/shard/partition.h"
#include "actors/shard/tenant_actor.h"
#include "runtime/log.h"
#include <assert.h>

static void next_slice(tenant_t *tenant);

/* --- Old replies --- */

static void clean_next(tenant_t *tenant);

static void clean_done(void *context, result_t result)
{
    tenant_t *const tenant = context;
    if (result != RESULT_OK) {
        log_warn("old replies could not be deleted; the next time tries again",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size),
                 LOG_STRING("code", result_code(result)));
        tenant->clean_slices = 0;
    }
    clean_next(tenant);
    tenant_operation_end(tenant);
}

static void clean_next(tenant_t *tenant)
{
    if (tenant->status != TENANT_OPEN || tenant->clean_slices == 0 || tenant->shard->is_draining) {
        tenant->is_cleaning = false;
        return;
    }
    tenant->clean_slices--;
    shard_t *const shard = tenant->shard;
    const int64_t before_ms = shard->ports.wall_ms() - shard->options.replies_ms;
    const result_t result =
        shard->ports.journal->functions->clean(tenant->journal, before_ms, clean_done, tenant);
    if (result == RESULT_OK) {
        tenant_operation_begin(tenant);
    } else {
        tenant->is_cleaning = false;
    }
}

/* As many go as have come: each time deletes what the time since the last one added, and more. What
 * was written before a start is not counted: missed ticks say how long that may have been. */
void tenant_clean(tenant_t *tenant, uint64_t missed)
{
    const uint64_t extra = missed < LIMIT_CLEAN_SLICES_EXTRA ? missed : LIMIT_CLEAN_SLICES_EXTRA;
    const uint64_t slices = 2 + extra + tenant->idempotency_rows / LIMIT_IDEMPOTENCY_CLEAN_SLICE;
    if (tenant->is_cleaning) {
        return;
    }
    tenant->clean_slices = slices < UINT32_MAX ? (uint32_t)slices : UINT32_MAX;
    tenant->idempotency_rows = 0;
    tenant->is_cleaning = true;
    clean_next(tenant);
}

void tenant_note_idempotency(tenant_t *tenant, size_t rows)
{
    tenant->idempotency_rows += rows;
    if (rows > 0 && !tenant->is_clean_ensured) {
        tenant->is_clean_ensured = true;
        tenant_remind_clean(tenant);
    }
}

/* --- The clock --- */

/* A clock that ran far ahead (see clock_guard.h) expires nobody until it has stayed there. Cards
 * shown meanwhile are refused as expired all the same, and that is recorded: a door has to decide.
 */
static bool is_clock_believed(shard_t *shard)
{
    const int64_t wall_ms = shard->ports.wall_ms();
    const int64_t base_ms = shard->clock.base_ms;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    switch (clock_guard_look(&shard->clock, wall_ms, now_ms)) {
    case CLOCK_RAN_AHEAD:
        metric_add(shard->metrics.clock_jumps, 1);
        log_error("the wall clock ran ahead: no card is expired until it comes back, or has stayed "
                  "so for an hour; look at the clock of this machine",
                  LOG_NUMBER("ahead_s", (wall_ms - (int64_t)now_ms - base_ms) / 1000));
        break;
    case CLOCK_CAME_BACK:
        log_info("the wall clock came back: cards expire again");
        break;
    case CLOCK_STAYED:
        log_warn("the wall clock has stayed ahead for an hour and is believed: cards expire again");
        break;
    case CLOCK_UNCHANGED:
        break;
    }
    metric_set(shard->metrics.clock_held, shard->clock.is_held ? 1 : 0);
    return !shard->clock.is_held;
}

/* --- Cards that are due --- */

/* A slice that expired nothing would be found again at once: then the next sweep looks. */
static void slice_done(tenant_t *tenant)
{
    if (tenant->sweep_has_more && tenant->sweep_expired > 0 && tenant->status == TENANT_OPEN &&
        !tenant->shard->is_draining) {
        next_slice(tenant);
    } else {
        tenant->is_sweeping = false;
    }
}

void tenant_sweep_card_expired(tenant_t *tenant)
{
    tenant->sweep_expired++;
    metric_add(tenant->shard->metrics.expired, 1);
}

void tenant_sweep_card_done(tenant_t *tenant)
{
    if (tenant->sweep_pending == 0) {
        return; /* of a sweep that a closing has ended */
    }
    tenant->sweep_pending--;
    if (tenant->sweep_pending == 0) {
        slice_done(tenant);
    }
}

static void due_done(void *context, const journal_due_t *due)
{
    tenant_t *const tenant = context;
    if (tenant->status != TENANT_OPEN || due->result != RESULT_OK ||
        !is_clock_believed(tenant->shard)) {
        tenant->is_sweeping = false;
    } else {
        tenant->sweep_has_more = due->card_count >= LIMIT_SWEEP_SLICE;
        tenant->sweep_expired = 0;
        tenant->sweep_pending = 1; /* this loop itself, so that the slice ends after it */
        for (size_t i = 0; i < due->card_count; i++) {
            tenant->sweep_pending++;
            tenant_expire_card(tenant, &due->cards[i]);
        }
        tenant_sweep_card_done(tenant);
    }
    tenant_operation_end(tenant);
}

static void next_slice(tenant_t *tenant)
{
    shard_t *const shard = tenant->shard;
    if (!is_clock_believed(shard)) { /* the next sweep asks again */
        tenant->is_sweeping = false;
        return;
    }
    const result_t result = shard->ports.journal->functions->due(
        tenant->journal, shard->ports.wall_ms(), LIMIT_SWEEP_SLICE, due_done, tenant);
    if (result == RESULT_OK) {
        tenant_operation_begin(tenant);
    } else {
        tenant->is_sweeping = false;
    }
}

/* So many sweeps a minute as LIMIT_STORE_FILES_OPEN tenants have, however many are open: where each
 * needs a connection, they would take those of the gates. */
static uint64_t sweep_interval_ms(const shard_t *shard)
{
    const uint64_t interval_ms =
        (uint64_t)LIMIT_SWEEP_INTERVAL_MS * shard->tenants_open / LIMIT_STORE_FILES_OPEN;
    if (interval_ms <= LIMIT_SWEEP_INTERVAL_MS) {
        return LIMIT_SWEEP_INTERVAL_MS;
    }
    return interval_ms < LIMIT_SWEEP_ROTATION_MS ? interval_ms : LIMIT_SWEEP_ROTATION_MS;
}

void tenant_sweep(tenant_t *tenant)
{
    if (tenant->status != TENANT_OPEN || tenant->is_sweeping) {
        return;
    }
    tenant->is_sweeping = true;
    tenant->reminders.next_at = 0; /* the clock may have been set: look again */
    tenant->sweep_at_ms = loop_now_ms(tenant->shard->loop) + sweep_interval_ms(tenant->shard);
    next_slice(tenant);
}

/* --- By the timer --- */

/* What the store has to do already that nobody waits for: when it is slow, more of it would only
 * stand in the way of those who do. */
typedef struct background {
    uint32_t opening;
    uint32_t sweeping;
} background_t;

static void count_background(const tenant_t *tenant, background_t *background)
{
    const bool is_opening = tenant->status == TENANT_WAITING || tenant->status == TENANT_OPENING;
    background->opening += is_opening ? 1 : 0;
    background->sweeping += tenant->is_sweeping ? 1 : 0;
}

static void tick_tenant(tenant_t *tenant, uint64_t now_ms, bool flush, background_t *background)
{
    if (tenant->status != TENANT_OPEN) {
        return;
    }
    if (flush && tenant->partitions[0].gathering != NULL) {
        partition_want(&tenant->partitions[0]);
    }
    if (now_ms >= tenant->sweep_at_ms && background->sweeping < LIMIT_SWEEPS_AT_ONCE) {
        tenant_sweep(tenant);
        background->sweeping += tenant->is_sweeping ? 1 : 0;
    }
    tenant_remind(tenant);
}

void tenant_open_and_sweep(shard_t *shard, text_t name)
{
    shard_message_t *message = shard_message_create(shard, SHARD_SWEEP);
    tenant_t *const tenant = tenant_acquire(shard, name);
    shard_message_set_tenant(message, tenant);
    tenant_deliver(tenant, &message);
}

/* Opens, one after the other, the tenants of this shard that are closed; opening one sweeps it. */
static void rotate(shard_t *shard, uint64_t now_ms, uint32_t opening)
{
    text_t after = {.data = shard->rotation_after, .size = shard->rotation_after_size};
    if (after.size == 0) {
        if (now_ms < shard->rotation_next_ms) {
            return;
        }
        shard->rotation_next_ms = now_ms + LIMIT_SWEEP_ROTATION_MS;
    }
    uint32_t opened = opening;
    for (uint32_t seen = 0; seen < LIMIT_DIRECTORY_TENANTS; seen++) {
        const text_t name = directory_tenant_after(shard->directory, after);
        if (text_is_empty(name) || opened >= LIMIT_SWEEP_OPENS_PER_TICK) {
            shard->rotation_after_size = text_is_empty(name) ? 0 : after.size;
            return;
        }
        memcpy(shard->rotation_after, name.data, name.size);
        after = (text_t){.data = shard->rotation_after, .size = name.size};
        if (placement_shard(name, shard->options.shards) != shard->options.index) {
            continue;
        }
        const tenant_t *const known = tenant_find(shard, name);
        if (known != NULL && known->status != TENANT_CLOSED) {
            continue; /* sweeps itself */
        }
        tenant_open_and_sweep(shard, name);
        opened++;
    }
}

void shard_sweep_tick(shard_t *shard)
{
    const uint64_t now_ms = loop_now_ms(shard->loop);
    const bool flush = now_ms >= shard->flush_at_ms;
    (void)is_clock_believed(shard); /* looks, so that a jump is seen within a second */
    if (flush) {
        shard->flush_at_ms = now_ms + 1000;
    }
    background_t background = {0};
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        for (const tenant_t *tenant = shard->tenants[i]; tenant != NULL; tenant = tenant->chain) {
            count_background(tenant, &background);
        }
    }
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        for (tenant_t *tenant = shard->tenants[i]; tenant != NULL; tenant = tenant->chain) {
            tick_tenant(tenant, now_ms, flush, &background);
        }
    }
    rotate(shard, now_ms, background.opening);
}
