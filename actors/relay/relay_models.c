/* Read models of the relay: which tenants have them open, what they are fed, how far they lag, and
 * how they are made anew. The batches themselves are relay_steps.c's. Must not hold up publishing,
 * and must not treat a read model as the truth. */
#include "actors/relay/relay_models.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

struct relay_feed_event {
    relay_feed_event_t *next;
    uint64_t sequence;
    size_t size;
    uint8_t bytes[]; /* the event, packed by ids */
};

/* --- The feed --- */

static void feed_drop_first(relay_tenant_t *tenant, relay_feed_t *feed)
{
    relay_feed_event_t *const first = feed->first;
    feed->first = first->next;
    if (feed->first == NULL) {
        feed->last = NULL;
    }
    tenant->models->feed_size -= first->size;
    tenant->models->feed_count -= 1;
    tenant->relay->feed_size -= first->size;
    free(first);
}

/* Keeps a copy when it is the next one and there is room; else the journal has it. */
static void feed_add(relay_tenant_t *tenant, relay_feed_t *feed, const event_t *event)
{
    relay_models_t *const models = tenant->models;
    relay_t *const relay = tenant->relay;
    if (feed->first != NULL && event->sequence != feed->last_sequence + 1) {
        return;
    }
    const size_t size = message_pack(&event_message, event, MESSAGE_KEYS_IDS, relay->body_scratch,
                                     sizeof(relay->body_scratch));
    if (size > sizeof(relay->body_scratch) ||
        models->feed_size + size > LIMIT_PROJECTION_FEED_SIZE ||
        relay->feed_size + size > LIMIT_PROJECTION_FEEDS_SIZE) {
        return;
    }
    relay_feed_event_t *const added = malloc(sizeof(*added) + size);
    if (added == NULL) {
        return;
    }
    memcpy(added->bytes, relay->body_scratch, size);
    added->next = NULL;
    added->sequence = event->sequence;
    added->size = size;
    if (feed->last == NULL) {
        feed->first = added;
    } else {
        feed->last->next = added;
    }
    feed->last = added;
    feed->last_sequence = event->sequence;
    models->feed_size += size;
    models->feed_count += 1;
    relay->feed_size += size;
}

bool relay_feed_take(relay_tenant_t *tenant, uint32_t partition, uint64_t after,
                     projection_fold_t *fold)
{
    relay_feed_t *const feed = &tenant->models->feeds[partition];
    while (feed->first != NULL && feed->first->sequence <= after) { /* bounded by the feed */
        feed_drop_first(tenant, feed);
    }
    if (feed->first == NULL || feed->first->sequence != after + 1) {
        return false;
    }
    while (feed->first != NULL) {
        event_t event;
        arena_t arena = {.base = NULL, .size = 0}; /* an event has no lists */
        message_fault_t fault;
        const bool is_read = message_unpack(&event_message, MESSAGE_KEYS_IDS, feed->first->bytes,
                                            feed->first->size, &arena, &event, &fault);
        assert(is_read); /* we wrote it */
        if (!projection_fold_add(fold, &event)) {
            break;
        }
        feed_drop_first(tenant, feed);
    }
    return projection_fold_count(fold) > 0;
}

void relay_models_hear(relay_tenant_t *tenant, uint32_t partition, uint64_t head)
{
    relay_partition_t *const heard = &tenant->partitions[partition];
    if (head <= heard->committed) {
        return;
    }
    heard->committed = head;
    if (!tenant->is_behind) {
        tenant->is_behind = true;
        tenant->behind_since_ms = loop_now_ms(tenant->relay->loop);
    }
}

void relay_models_receive(relay_tenant_t *tenant, const event_t *event)
{
    relay_models_t *const models = tenant->models;
    if (tenant->relay->ports.projections == NULL) {
        return;
    }
    relay_models_hear(tenant, (uint32_t)event->partition, event->sequence);
    if (models == NULL || models->live.handle == NULL ||
        event->sequence <= models->live.partitions[event->partition].applied.sequence) {
        return;
    }
    feed_add(tenant, &models->feeds[event->partition], event);
    if (models->feed_count >= LIMIT_PROJECTION_EVENTS) {
        relay_model_step(&models->live);
    }
}

/* --- Lag --- */

static bool has_caught_up(const relay_model_t *model)
{
    const relay_tenant_t *const tenant = model->tenant;
    bool has = model->handle != NULL;
    for (uint32_t i = 0; has && i < tenant->partition_count; i++) {
        has = model->partitions[i].applied.sequence >= tenant->partitions[i].committed;
    }
    return has;
}

/* Committed events that the live model does not have. */
static uint64_t lag_of(const relay_tenant_t *tenant)
{
    uint64_t lag = 0;
    for (uint32_t i = 0; tenant->models != NULL && i < tenant->partition_count; i++) {
        const uint64_t committed = tenant->partitions[i].committed;
        const uint64_t applied = tenant->models->live.partitions[i].applied.sequence;
        lag += committed > applied ? committed - applied : 0;
    }
    return lag;
}

/* --- Opening and closing --- */

static void log_failure(relay_tenant_t *tenant, const char *message, result_t result)
{
    relay_models_t *const models = tenant->models;
    const uint64_t now_ms = loop_now_ms(tenant->relay->loop);
    metric_add(tenant->relay->numbers.fold_failures, 1);
    if (models->logged_ms != 0 && now_ms - models->logged_ms < LIMIT_PROJECTION_LOG_INTERVAL_MS) {
        return;
    }
    models->logged_ms = now_ms;
    log_warn(message, LOG_TEXT("tenant", tenant->name, tenant->name_size),
             LOG_STRING("code", result_code(result)), LOG_NUMBER("behind", lag_of(tenant)));
}

static void end_rebuild(relay_tenant_t *tenant, result_t result)
{
    relay_models_t *const models = tenant->models;
    tenant->rebuild.is_running = false;
    tenant->rebuild.result = result;
    tenant->rebuild.folded = models->next.events;
    models->rebuild = RELAY_REBUILD_NONE;
    tenant->relay->rebuild_count -= 1;
    models->next.generation += 1;
    if (models->next.handle != NULL) {
        projections_t *const projections = tenant->relay->ports.projections;
        projections->functions->close(projections, &models->next.handle, true);
    }
    log_info(result == RESULT_OK ? "read models were made anew"
                                 : "read models could not be made anew; the old ones stay",
             LOG_TEXT("tenant", tenant->name, tenant->name_size),
             LOG_STRING("code", result_code(result)), LOG_NUMBER("events", tenant->rebuild.folded));
}

/* The position of the live model belongs to a file that is no more. */
static void close_live(relay_tenant_t *tenant, bool discard)
{
    relay_model_t *const live = &tenant->models->live;
    projections_t *const projections = tenant->relay->ports.projections;
    if (live->handle != NULL) {
        projections->functions->close(projections, &live->handle, discard);
    }
    live->generation += 1;
    live->is_complete = false;
    memset(live->partitions, 0, sizeof(live->partitions));
    tenant->is_behind = true;
}

void relay_models_discard(relay_tenant_t *tenant)
{
    log_failure(tenant, "read models are thrown away and made anew from the journal",
                RESULT_STORE_CORRUPT);
    close_live(tenant, true);
    tenant->models->live.retry_ms = loop_now_ms(tenant->relay->loop) + LIMIT_PROJECTION_INTERVAL_MS;
}

static void model_opened(void *context, const projections_opened_t *opened)
{
    relay_model_t *const model = context;
    relay_tenant_t *const tenant = model->tenant;
    model->is_opening = false;
    if (opened->result != RESULT_OK) {
        model->retry_ms = loop_now_ms(tenant->relay->loop) + LIMIT_PROJECTION_RETRY_MS;
        log_failure(tenant, "read models cannot be opened", opened->result);
        if (!model->is_live) {
            end_rebuild(tenant, opened->result);
        }
    } else {
        model->handle = opened->tenant;
        model->is_complete = opened->is_complete;
        model->events = 0;
        model->retry_ms = 0;
        for (uint32_t i = 0; i < LIMIT_PARTITIONS; i++) {
            model->partitions[i] = (relay_model_partition_t){.applied = opened->cursors[i]};
        }
        model->archived = opened->cursors[PROJECTION_PARTITION_ARCHIVED];
        model->has_archived = false;
        model->is_complete = model->is_complete || has_caught_up(model);
        relay_model_step(model);
        relay_lists_look(tenant);
    }
    relay_operation_end(tenant);
}

static void open_model(relay_model_t *model)
{
    relay_tenant_t *const tenant = model->tenant;
    relay_t *const relay = tenant->relay;
    if (model->handle != NULL || model->is_opening || relay->is_draining || tenant->is_retired ||
        loop_now_ms(relay->loop) < model->retry_ms || relay_tenant_created_at(tenant) == 0) {
        return;
    }
    const result_t result = relay->ports.projections->functions->open(
        relay->ports.projections, relay_tenant_name(tenant), tenant->created_at,
        model->is_live ? PROJECTIONS_LIVE : PROJECTIONS_NEXT, model_opened, model);
    if (result == RESULT_OK) {
        model->is_opening = true;
        relay_operation_begin(tenant);
    } else {
        model->retry_ms = loop_now_ms(relay->loop) + LIMIT_PROJECTION_RETRY_MS;
    }
}

static bool is_at_hand(relay_t *relay, const relay_models_t *models)
{
    projections_t *const projections = relay->ports.projections;
    return projections->functions->is_at_hand == NULL ||
           projections->functions->is_at_hand(projections,
                                              models == NULL ? NULL : models->live.handle);
}

void relay_models_open(relay_tenant_t *tenant)
{
    if (tenant->relay->ports.projections == NULL || tenant->journal_state != RELAY_JOURNAL_OPEN) {
        return;
    }
    if (tenant->models == NULL) {
        relay_models_t *const made = calloc(1, sizeof(*made));
        if (made == NULL) {
            return; /* the next tick tries again */
        }
        made->live.tenant = tenant;
        made->live.is_live = true;
        made->next.tenant = tenant;
        tenant->models = made;
    }
    open_model(&tenant->models->live);
}

void relay_models_begin(relay_tenant_t *tenant)
{
    relay_t *const relay = tenant->relay;
    if (relay->ports.projections != NULL && is_at_hand(relay, tenant->models)) {
        relay_models_open(tenant);
    }
}

bool relay_models_are_idle(const relay_tenant_t *tenant)
{
    const relay_models_t *const models = tenant->models;
    return models == NULL ||
           (models->waiting_first == NULL && (models->rebuild == RELAY_REBUILD_NONE ||
                                              tenant->is_retired || tenant->relay->is_draining));
}

void relay_models_close(relay_tenant_t *tenant)
{
    relay_models_t *const models = tenant->models;
    if (models == NULL) {
        return;
    }
    assert(models->waiting_first == NULL && models->live.reads == 0);
    if (models->rebuild != RELAY_REBUILD_NONE) {
        end_rebuild(tenant, RESULT_DRAINING);
    }
    for (size_t i = 0; i < LIMIT_PARTITIONS; i++) {
        while (models->feeds[i].first != NULL) { /* bounded by the feed */
            feed_drop_first(tenant, &models->feeds[i]);
        }
    }
    projections_t *const projections = tenant->relay->ports.projections;
    if (models->live.handle != NULL) {
        projections->functions->close(projections, &models->live.handle, false);
    }
    free(models);
    tenant->models = NULL;
}

/* --- Rebuilding --- */

static void promoted(void *context, result_t result)
{
    relay_tenant_t *const tenant = context;
    relay_models_t *const models = tenant->models;
    models->next.handle = NULL;
    models->is_promoting = false;
    if (result == RESULT_OK) {
        memcpy(models->live.partitions, models->next.partitions, sizeof(models->live.partitions));
        models->live.archived = models->next.archived;
        models->live.is_complete = true;
    } else if (result == RESULT_STORE_CORRUPT) {
        relay_models_discard(tenant);
    }
    end_rebuild(tenant, result);
    relay_model_step(&models->live);
    relay_lists_look(tenant);
    relay_operation_end(tenant);
}

/* When the new models have caught up, and nobody works with either, they change places. */
static void go_on_rebuilding(relay_tenant_t *tenant)
{
    relay_models_t *const models = tenant->models;
    projections_t *const projections = tenant->relay->ports.projections;
    if (tenant->is_retired) {
        return;
    }
    if (models->rebuild == RELAY_REBUILD_FOLDING && models->live.handle != NULL &&
        models->next.handle == NULL) {
        open_model(&models->next);
    }
    tenant->rebuild.folded = models->next.events;
    if (models->rebuild == RELAY_REBUILD_FOLDING && models->next.handle != NULL &&
        has_caught_up(&models->next)) {
        models->rebuild = RELAY_REBUILD_SWITCHING;
    }
    const bool is_quiet = !models->live.is_stepping && !models->next.is_stepping &&
                          models->live.reads == 0 && models->live.handle != NULL;
    if (models->rebuild != RELAY_REBUILD_SWITCHING || !is_quiet || models->is_promoting) {
        return;
    }
    const result_t result =
        projections->functions->promote(models->live.handle, models->next.handle, promoted, tenant);
    if (result == RESULT_OK) {
        models->is_promoting = true;
        relay_operation_begin(tenant);
    } else {
        end_rebuild(tenant, result);
    }
}

static uint64_t count_events(const relay_tenant_t *tenant)
{
    uint64_t events = 0;
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        events += tenant->partitions[i].committed;
    }
    return events;
}

result_t relay_rebuild(relay_t *relay, text_t name)
{
    if (relay->ports.projections == NULL) {
        return RESULT_NOT_IMPLEMENTED;
    }
    relay_tenant_t *const tenant = relay_tenant_obtain(relay, name);
    if (tenant == NULL) {
        return RESULT_BUSY;
    }
    const result_t result = relay_tenant_open(tenant);
    if (result != RESULT_OK) {
        return result;
    }
    if (tenant->rebuild.is_running) {
        return RESULT_BUSY;
    }
    tenant->has_rebuilt = true;
    tenant->rebuild = (relay_rebuild_progress_t){.is_running = true};
    relay->rebuild_count += 1;
    metric_add(relay->numbers.rebuilds, 1);
    return RESULT_OK; /* the next tick begins, as soon as the journal is open */
}

result_t relay_rebuild_look(relay_t *relay, text_t name, relay_rebuild_progress_t *progress)
{
    const relay_tenant_t *const tenant = relay_tenant_find(relay, name);
    if (tenant == NULL || !tenant->has_rebuilt) {
        return RESULT_MISSING;
    }
    *progress = tenant->rebuild;
    progress->events = count_events(tenant);
    return RESULT_OK;
}

/* --- What happens when --- */

static void live_failed(relay_tenant_t *tenant, result_t result)
{
    relay_models_t *const models = tenant->models;
    const uint64_t now_ms = loop_now_ms(tenant->relay->loop);
    if (result == RESULT_STORE_CORRUPT) {
        relay_models_discard(tenant);
    } else if (result == RESULT_FENCED) {
        /* Another relay was faster: what it stored is read anew. */
        close_live(tenant, false);
        models->live.retry_ms = now_ms + LIMIT_PROJECTION_INTERVAL_MS;
    } else {
        log_failure(tenant, "read models cannot be brought up to date; lists show older cards",
                    result);
        models->live.retry_ms = now_ms + LIMIT_PROJECTION_RETRY_MS;
    }
}

void relay_model_stepped(relay_model_t *model, result_t result)
{
    relay_tenant_t *const tenant = model->tenant;
    relay_models_t *const models = tenant->models;
    if (result == RESULT_OK) {
        model->is_complete = model->is_complete || has_caught_up(model);
    } else if (model->is_live) {
        live_failed(tenant, result);
    } else if (models->rebuild != RELAY_REBUILD_NONE) {
        end_rebuild(tenant, result);
    }
    if (models->rebuild != RELAY_REBUILD_NONE) {
        go_on_rebuilding(tenant);
    }
    relay_lists_look(tenant);
    const bool is_urgent = !model->is_live || models->waiting_first != NULL ||
                           lag_of(tenant) >= LIMIT_PROJECTION_EVENTS;
    if (is_urgent && result == RESULT_OK) {
        relay_model_step(model);
    }
}

/* --- Whose turn it is --- */

/* Somebody waits for it: it goes on at once, whatever that costs others. */
static bool is_wanted(const relay_tenant_t *tenant)
{
    return tenant->rebuild.is_running ||
           (tenant->models != NULL && tenant->models->waiting_first != NULL);
}

static bool waits_for_turn(const relay_tenant_t *tenant, uint64_t now_ms)
{
    const relay_models_t *const models = tenant->models;
    return tenant->is_behind && !tenant->is_retired &&
           (models == NULL || (now_ms >= models->live.retry_ms && !models->live.is_opening &&
                               !models->live.is_stepping));
}

/* Where connections are fewer than tenants that have something to fold, each tick has one for the
 * tenant that has been behind for longest: what comes meanwhile is folded together. */
static const relay_tenant_t *find_turn(relay_t *relay, uint64_t now_ms)
{
    const relay_tenant_t *turn = NULL;
    for (relay_tenant_t *tenant = relay->oldest; tenant != NULL; tenant = tenant->newer) {
        if ((turn == NULL || tenant->behind_since_ms < turn->behind_since_ms) &&
            waits_for_turn(tenant, now_ms) && !is_at_hand(relay, tenant->models)) {
            turn = tenant;
        }
    }
    return turn;
}

/* What the tick does for one tenant. Returns its lag. */
static uint64_t look_after(relay_tenant_t *tenant, const relay_tenant_t *turn, uint32_t *opens)
{
    if (tenant->is_retired) {
        return 0;
    }
    if (tenant != turn && tenant->is_behind && !is_wanted(tenant) &&
        !is_at_hand(tenant->relay, tenant->models)) {
        return lag_of(tenant);
    }
    if ((tenant->is_behind || tenant->rebuild.is_running) && tenant->models == NULL) {
        if (tenant->journal_state == RELAY_JOURNAL_OPEN) {
            relay_models_open(tenant);
        } else if (*opens > 0) {
            *opens -= 1;
            (void)!relay_tenant_open(tenant);
        }
    }
    relay_models_t *const models = tenant->models;
    if (models == NULL) {
        return 0;
    }
    open_model(&models->live);
    if (tenant->rebuild.is_running && models->rebuild == RELAY_REBUILD_NONE) {
        models->rebuild = RELAY_REBUILD_FOLDING;
    }
    if (models->rebuild != RELAY_REBUILD_NONE) {
        go_on_rebuilding(tenant);
    }
    relay_model_step(&models->live);
    relay_model_step(&models->next);
    relay_lists_look(tenant);
    const uint64_t lag = lag_of(tenant);
    if (lag == 0 && models->live.handle != NULL) {
        tenant->is_behind = false;
        tenant->behind_since_ms = 0;
    }
    return lag;
}

typedef struct round_slice {
    char names[LIMIT_PROJECTION_ROUND_OPENS][LIMIT_TENANT_NAME_SIZE];
    uint32_t sizes[LIMIT_PROJECTION_ROUND_OPENS];
    uint32_t count;
} round_slice_t;

static bool visit_round(void *context, const control_tenant_t *row)
{
    round_slice_t *const slice = context;
    if (slice->count == LIMIT_PROJECTION_ROUND_OPENS || row->name.size > LIMIT_TENANT_NAME_SIZE) {
        return false;
    }
    memcpy(slice->names[slice->count], row->name.data, row->name.size);
    slice->sizes[slice->count] = (uint32_t)row->name.size;
    slice->count += 1;
    return true;
}

/* Once after a start, all tenants are looked at: what was committed while there was no relay was
 * told to nobody. */
static void go_round(relay_t *relay, uint32_t *opens)
{
    if (*opens == 0) {
        return;
    }
    round_slice_t slice = {.count = 0};
    control_store_t *const control = relay->ports.control;
    const text_t after = {.data = relay->fold_round_after, .size = relay->fold_round_size};
    if (control->functions->tenants(control, after, visit_round, &slice) != RESULT_OK) {
        return;
    }
    const uint32_t most = is_at_hand(relay, NULL) ? *opens : 1;
    uint32_t seen = 0;
    for (; seen < slice.count && seen < most; seen++) {
        const text_t name = {.data = slice.names[seen], .size = slice.sizes[seen]};
        relay_tenant_t *const tenant = relay_tenant_obtain(relay, name);
        const result_t result = tenant == NULL ? RESULT_BUSY : relay_tenant_open(tenant);
        if (result == RESULT_BUSY || result == RESULT_STORE_UNAVAILABLE) {
            return; /* here again at the next tick */
        }
        relay->fold_round_size = slice.sizes[seen];
        memcpy(relay->fold_round_after, slice.names[seen], slice.sizes[seen]);
        *opens -= 1;
    }
    relay->is_fold_round_done = seen == slice.count && seen < LIMIT_PROJECTION_ROUND_OPENS;
}

/* How many more may be opened that nobody waits for: those that are being opened count. */
static uint32_t count_opens(const relay_t *relay)
{
    uint32_t opens = LIMIT_PROJECTION_ROUND_OPENS;
    for (const relay_tenant_t *tenant = relay->oldest; tenant != NULL && opens > 0;
         tenant = tenant->newer) {
        opens -= tenant->journal_state == RELAY_JOURNAL_OPENING ? 1 : 0;
    }
    return opens;
}

void relay_models_tick(void *context)
{
    relay_t *const relay = context;
    const uint64_t now_ms = loop_now_ms(relay->loop);
    uint32_t opens = count_opens(relay);
    uint64_t lag = 0;
    uint64_t oldest_ms = now_ms;
    if (!relay->is_fold_round_done && !relay->is_draining) {
        go_round(relay, &opens);
    }
    const relay_tenant_t *const turn = find_turn(relay, now_ms);
    relay_tenant_t *tenant = relay->oldest;
    while (tenant != NULL) { /* bounded by LIMIT_RELAY_TENANTS */
        relay_tenant_t *const newer = tenant->newer;
        lag += look_after(tenant, turn, &opens);
        if (tenant->is_behind && tenant->behind_since_ms != 0 &&
            tenant->behind_since_ms < oldest_ms) {
            oldest_ms = tenant->behind_since_ms;
        }
        tenant = newer;
    }
    relay->lag = lag;
    metric_set(relay->numbers.lag_events, (int64_t)lag);
    metric_set(relay->numbers.lag_seconds, (int64_t)((now_ms - oldest_ms) / 1000));
}
