/* Events from the journal into the windows of webhooks: where a lane begins, when it reads on, and
 * events as the JSON that is sent. Must not send, nor write to the control store. */
#include "actors/relay/webhook_sender.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

/* NULL: there is no room for it, or it was deleted: a namesake's events are not for this hook. */
static relay_tenant_t *tenant_of(hook_t *hook)
{
    relay_tenant_t *tenant = NULL;
    return relay_tenant_meet(hook->sender->relay, hook_tenant_name(hook),
                             (uint64_t)hook->tenant_created_at, &tenant) == RESULT_OK
               ? tenant
               : NULL;
}

/* --- Beginning --- */

static bool take_cursor(void *context, const consumer_row_t *row)
{
    hook_t *const hook = context;
    if (row->has_cursor && row->partition + 1 < hook->lane_count &&
        text_equal(row->name, hook_consumer_name(hook))) {
        hook_lane_t *const lane = &hook->lanes[row->partition];
        webhook_window_init(&lane->window, row->sequence);
        lane->is_seeking = false;
        lane->from = row->sequence;
        lane->stored = row->sequence;
    }
    return true;
}

/* A lane without a cursor begins with the first event since its webhook was made. */
static void make_lanes(hook_t *hook, const relay_tenant_t *tenant)
{
    consumers_t *const consumers = hook->sender->relay->ports.consumers;
    hook->lane_count = tenant->partition_count + 1;
    hook->lanes = calloc(hook->lane_count, sizeof(*hook->lanes));
    assert(hook->lanes != NULL);
    for (uint32_t i = 0; i < hook->lane_count; i++) {
        hook_lane_t *const lane = &hook->lanes[i];
        lane->hook = hook;
        lane->partition = i;
        lane->last = UINT64_MAX;
        lane->is_seeking = true;
        lane->seek_high = UINT64_MAX;
        webhook_window_init(&lane->window, 0);
    }
    hook_replay_lane(hook)->is_replay = true;
    hook_replay_lane(hook)->is_seeking = false;
    if (consumers->functions->visit(consumers, hook_tenant_name(hook), take_cursor, hook) !=
        RESULT_OK) {
        hook_lanes_free(hook); /* tried again in the next turn */
    }
}

void hook_lanes_free(hook_t *hook)
{
    assert(hook->reading == 0);
    assert(hook->call_count == 0); /* a call points to its lane */
    for (uint32_t i = 0; hook->lanes != NULL && i < hook->lane_count; i++) {
        webhook_window_t *const window = &hook->lanes[i].window;
        for (uint32_t j = 0; j < window->count; j++) {
            free(window->places[j].event);
        }
    }
    free(hook->lanes);
    hook->lanes = NULL;
    hook->lane_count = 0;
    hook->sender->held -= hook->held;
    hook->held = 0;
}

/* Of a replay, what is beyond the head comes by itself. */
static void begin_replay(hook_t *hook, const relay_tenant_t *tenant)
{
    hook_lane_t *const lane = hook_replay_lane(hook);
    const webhook_range_t *const replay = &hook->replay;
    if (replay->last == 0 || lane->last != UINT64_MAX) {
        return; /* there is none, or it has begun */
    }
    const bool is_known = replay->partition < tenant->partition_count;
    const uint64_t head = is_known ? tenant->partitions[replay->partition].head : 0;
    lane->partition = is_known ? replay->partition : 0;
    lane->from = replay->next - 1;
    lane->last = replay->last < head ? replay->last : head;
    lane->last = lane->last > lane->from ? lane->last : lane->from; /* nothing to send: over */
    lane->stored = lane->from;
    lane->read_at = 0;
    webhook_window_init(&lane->window, lane->from);
}

/* --- What was tried before this process --- */

static bool take_try(void *context, const webhook_delivery_t *delivery)
{
    hook_lane_t *const lane = context;
    if (delivery->partition == lane->partition) {
        webhook_place_t *const place = webhook_window_find(&lane->window, delivery->sequence);
        if (place != NULL && place->attempts == 0) {
            place->attempts = delivery->attempts;
            place->first_at = delivery->first_at;
        }
    }
    return true;
}

static void remember_tries(hook_lane_t *lane)
{
    hook_t *const hook = lane->hook;
    const bool may_have_tried =
        lane->window.watermark - lane->from < WEBHOOK_WINDOW && !hook->forgets_tries;
    if (may_have_tried && !lane->is_replay) {
        webhooks_t *const store = hook->sender->relay->ports.webhooks;
        const result_t result = store->functions->visit_log(store, hook_tenant_name(hook),
                                                            hook_name(hook), true, take_try, lane);
        (void)result; /* then they count from now on */
    }
}

/* --- Reading --- */

/* NULL when it cannot be sent: too large, which no event of ours is. */
static hook_event_t *event_make(webhook_sender_t *sender, const event_t *event)
{
    event_t shown = *event;
    MESSAGE_CLEAR(event_data, &shown.data, sealed_name);
    const size_t size =
        message_to_json(&event_message, &shown, sender->scratch, LIMIT_WEBHOOK_BODY_SIZE);
    if (size > LIMIT_WEBHOOK_BODY_SIZE) {
        return NULL;
    }
    hook_event_t *const made = malloc(sizeof(*made) + size);
    assert(made != NULL);
    made->event_id = event->event_id;
    made->card = event->card;
    made->name = event->name;
    made->size = size;
    memcpy(made->json, sender->scratch, size);
    return made;
}

static void take_events(hook_lane_t *lane, const journal_events_t *events)
{
    hook_t *const hook = lane->hook;
    for (size_t i = 0; i < events->event_count; i++) {
        const event_t *const event = &events->events[i];
        if (event->sequence <= lane->window.last_read || event->sequence > lane->last) {
            continue;
        }
        hook_event_t *const made = event_make(hook->sender, event);
        webhook_place_t *const place =
            webhook_window_add(&lane->window, event->sequence, event->card, made);
        assert(place != NULL); /* the reading asked for no more than fit */
        hook->held++;
        hook->sender->held++;
        if (made == NULL) {
            place->state = WEBHOOK_PLACE_DONE;
            log_error("an event is too large for a webhook and left out",
                      LOG_TEXT("tenant", hook->tenant, hook->tenant_size),
                      LOG_NUMBER("sequence", (int64_t)event->sequence));
        }
    }
    remember_tries(lane);
    hook_lane_settle(lane);
}

/* A binary search by time: one event per step, at most 53 steps. */
static void take_seek(hook_lane_t *lane, const journal_events_t *events)
{
    if (lane->seek_high > events->head) {
        lane->seek_high = events->head;
    } else {
        const uint64_t middle = lane->seek_low + (lane->seek_high - lane->seek_low) / 2;
        const bool is_before =
            events->event_count > 0 && events->events[0].occurred_at < lane->hook->created_at;
        lane->seek_low = is_before ? middle + 1 : lane->seek_low;
        lane->seek_high = is_before ? lane->seek_high : middle;
    }
    if (lane->seek_low >= lane->seek_high) {
        lane->is_seeking = false;
        lane->from = lane->seek_low;
        webhook_window_init(&lane->window, lane->seek_low);
    }
}

static void read_done(void *context, const journal_events_t *events)
{
    hook_lane_t *const lane = context;
    hook_t *const hook = lane->hook;
    relay_tenant_t *const tenant = relay_tenant_find(hook->sender->relay, hook_tenant_name(hook));
    assert(tenant != NULL); /* an operation keeps it */
    lane->is_reading = false;
    hook->reading--;
    const bool is_wanted = !hook->is_gone && !hook->sender->is_stopped;
    if (events->result != RESULT_OK) {
        lane->retry_at = loop_now_ms(hook->sender->relay->loop) + WEBHOOK_PAUSE_MS;
        log_warn("events for a webhook could not be read; they are read later",
                 LOG_TEXT("tenant", hook->tenant, hook->tenant_size),
                 LOG_STRING("code", result_code(events->result)));
    } else if (is_wanted && lane->is_seeking) {
        take_seek(lane, events);
    } else if (is_wanted) {
        take_events(lane, events);
        hook_send(hook);
    }
    relay_operation_end(tenant);
}

/* A share for each that reads at the same time, so that the sum stays bounded; when the memory of
 * all is taken, each still gets on with a few. */
static uint32_t room_in_memory(const hook_t *hook)
{
    const bool is_full = hook->sender->held >= LIMIT_WEBHOOK_EVENTS_ALL;
    const uint32_t most = is_full ? LIMIT_WEBHOOK_EVENTS_MIN : LIMIT_WEBHOOK_EVENTS;
    return hook->held >= most ? 0 : (most - hook->held) / (hook->reading + 2) + 1;
}

/* How many events the lane should read now; 0: none. */
static uint32_t room_of(const hook_lane_t *lane, const relay_tenant_t *tenant)
{
    const hook_t *const hook = lane->hook;
    const relay_partition_t *const partition = &tenant->partitions[lane->partition];
    const uint64_t now = loop_now_ms(hook->sender->relay->loop);
    const uint64_t head = partition->head > partition->wanted ? partition->head : partition->wanted;
    const bool is_time = lane->read_at == 0 || now - lane->read_at >= LIMIT_WEBHOOK_LOOK_MS;
    if (now < lane->retry_at) {
        return 0;
    }
    if (lane->is_seeking) {
        return 1;
    }
    if (lane->window.last_read >= lane->last || (lane->window.last_read >= head && !is_time)) {
        return 0;
    }
    const uint32_t in_window = WEBHOOK_WINDOW - lane->window.count;
    const uint32_t share = room_in_memory(hook);
    return in_window < share ? in_window : share;
}

static void lane_read(hook_lane_t *lane, relay_tenant_t *tenant)
{
    hook_t *const hook = lane->hook;
    const uint32_t room = lane->is_reading ? 0 : room_of(lane, tenant);
    if (room == 0) {
        return;
    }
    if (tenant->journal_state != RELAY_JOURNAL_OPEN) {
        (void)!relay_tenant_open(tenant);
        return;
    }
    uint64_t after = lane->window.last_read;
    if (lane->is_seeking) {
        const bool has_high = lane->seek_high != UINT64_MAX;
        after = has_high ? lane->seek_low + (lane->seek_high - lane->seek_low) / 2 : 0;
    }
    const journal_functions_t *const functions = hook->sender->relay->ports.journal->functions;
    lane->read_at = loop_now_ms(hook->sender->relay->loop);
    if (functions->read_events(tenant->journal, lane->partition, after, room, read_done, lane) ==
        RESULT_OK) {
        lane->is_reading = true;
        hook->reading++;
        relay_operation_begin(tenant);
    }
}

void hook_read(hook_t *hook)
{
    relay_tenant_t *const tenant = tenant_of(hook);
    if (tenant == NULL || hook->sender->is_stopped) {
        return;
    }
    if (tenant->partition_count == 0) {
        (void)!relay_tenant_open(tenant);
        return;
    }
    if (hook->lanes == NULL) {
        make_lanes(hook, tenant);
    }
    if (hook->lanes == NULL || hook->lane_count != tenant->partition_count + 1) {
        return;
    }
    begin_replay(hook, tenant);
    for (uint32_t i = 0; i < hook->lane_count; i++) {
        hook_lane_t *const lane = &hook->lanes[i];
        if (!lane->is_replay || hook->replay.last > 0) {
            lane_read(lane, tenant);
        }
    }
}

void hook_lane_settle(hook_lane_t *lane)
{
    webhook_window_t *const window = &lane->window;
    for (uint32_t i = 0; i < window->count; i++) {
        if (window->places[i].state == WEBHOOK_PLACE_DONE && window->places[i].event != NULL) {
            free(window->places[i].event);
            window->places[i].event = NULL;
        }
    }
    const uint32_t before = window->count;
    (void)webhook_window_settle(window);
    lane->hook->held -= before - window->count;
    lane->hook->sender->held -= before - window->count;
}
