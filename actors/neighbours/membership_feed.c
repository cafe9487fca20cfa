/* Tenants with a membership context and their events: heard or read, put in order, handed to the
 * partitions. Must not decide what an event means for a member: the member's partition does. */
#include "actors/neighbours/membership_desk_internal.h"

#include "actors/domain/card_id.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

enum { INDEX_BITS = 16, PARTITION_BITS = 6, TRACE_SIZE = 55, TRACE_FIRST = 3, TRACE_LAST = 52 };

/* --- Tenants --- */

desk_tenant_t *feed_find(membership_desk_t *desk, text_t name)
{
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        desk_tenant_t *tenant = desk->tenants[i];
        if (tenant != NULL && text_equal(desk_tenant_name(tenant), name)) {
            return tenant;
        }
    }
    return NULL;
}

static uint32_t free_place(membership_desk_t *desk)
{
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        if (desk->tenants[i] == NULL) {
            return i;
        }
    }
    const uint32_t places = desk->tenant_places == 0 ? 16 : 2 * desk->tenant_places;
    desk_tenant_t **larger = realloc(desk->tenants, places * sizeof *larger);
    assert(larger != NULL);
    memset(larger + desk->tenant_places, 0, (places - desk->tenant_places) * sizeof *larger);
    const uint32_t first = desk->tenant_places;
    desk->tenants = larger;
    desk->tenant_places = places;
    return first;
}

static void tenant_add(membership_desk_t *desk, const control_tenant_t *row)
{
    membership_t *membership = desk->ports.membership;
    if (desk->tenant_count >= LIMIT_DIRECTORY_TENANTS ||
        !membership->functions->is_configured(membership, row->name)) {
        return;
    }
    desk_tenant_t *tenant = calloc(1, sizeof *tenant);
    assert(tenant != NULL);
    tenant->desk = desk;
    tenant->index = free_place(desk);
    tenant->generation = desk->next_generation;
    desk->next_generation++;
    tenant->shard = placement_shard(row->name, desk->shards);
    tenant->partitions = row->partitions;
    tenant->created_at = row->created_at;
    tenant->name_size = (uint32_t)row->name.size;
    memcpy(tenant->name, row->name.data, row->name.size);
    tenant->is_seen = true;
    tenant->inbox = inbox_create(row->partitions);
    desk->tenants[tenant->index] = tenant;
    desk->tenant_count++;
    const result_t result = membership->functions->subscribe(membership, row->name);
    if (result != RESULT_OK) {
        log_warn("the events of a membership context are not heard, only read",
                 LOG_TEXT("tenant", row->name.data, row->name.size),
                 LOG_STRING("why", result_title(result)));
    }
}

static void forgotten(neighbour_command_t *command, result_t result)
{
    (void)result; /* too much waits: it stays as it is */
    free(command);
}

/* Nobody calls it any more: open, it would stay so for ever, and so would whoever counts those. */
static void forget_breaker(desk_tenant_t *tenant)
{
    neighbours_t *const neighbours = tenant->desk->ports.neighbours;
    const text_t name = desk_tenant_name(tenant);
    if (neighbour_is_closed(neighbours, name, NEIGHBOUR_MEMBERSHIP)) {
        return;
    }
    neighbour_command_t *const command = calloc(1, sizeof *command);
    assert(command != NULL);
    command->hand = NEIGHBOUR_FORGET;
    command->done = forgotten;
    neighbour_command_begin(neighbours, name, NEIGHBOUR_MEMBERSHIP, command);
}

static void tenant_remove(desk_tenant_t *tenant)
{
    membership_desk_t *desk = tenant->desk;
    membership_t *membership = desk->ports.membership;
    membership->functions->unsubscribe(membership, desk_tenant_name(tenant));
    forget_breaker(tenant);
    desk->tenants[tenant->index] = NULL;
    desk->tenant_count--;
    inbox_destroy(&tenant->inbox);
    free(tenant);
}

static bool see_tenant(void *context, const control_tenant_t *row)
{
    membership_desk_t *desk = context;
    desk_tenant_t *tenant = feed_find(desk, row->name);
    if (tenant != NULL && tenant->created_at != row->created_at && !tenant->is_reading) {
        tenant_remove(tenant); /* another one of the same name */
        tenant = NULL;
    }
    if (tenant == NULL) {
        tenant_add(desk, row);
    } else {
        tenant->is_seen = tenant->created_at == row->created_at;
    }
    return true;
}

static void read_tenants(membership_desk_t *desk)
{
    control_store_t *control = desk->ports.control;
    uint64_t version = 0;
    if (control->functions->version(control, &version) != RESULT_OK ||
        (desk->control_is_read && version == desk->control_version)) {
        return;
    }
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        if (desk->tenants[i] != NULL) {
            desk->tenants[i]->is_seen = false;
        }
    }
    if (control->functions->tenants(control, TEXT_NONE, see_tenant, desk) != RESULT_OK) {
        return;
    }
    bool is_whole = true;
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        desk_tenant_t *tenant = desk->tenants[i];
        if (tenant != NULL && !tenant->is_seen && tenant->is_reading) {
            is_whole = false; /* once more when its page has come */
        } else if (tenant != NULL && !tenant->is_seen) {
            tenant_remove(tenant);
        }
    }
    desk->control_version = version;
    desk->control_is_read = is_whole;
}

/* --- Pages of the replay endpoint --- */

static uint64_t poll_pause_ms(const membership_desk_t *desk)
{
    enum { PER_TENANT_MS = 10 }; /* a hundred a second in all, however many there are */
    const uint64_t spread_ms = (uint64_t)desk->tenant_count * PER_TENANT_MS;
    return spread_ms > LIMIT_INBOX_POLL_MS ? spread_ms : (uint64_t)LIMIT_INBOX_POLL_MS;
}

static void read_page(desk_tenant_t *tenant)
{
    membership_desk_t *desk = tenant->desk;
    desk_call_t *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->desk = desk;
    call->tenant = tenant;
    call->after = inbox_position(tenant->inbox);
    call->tenant_size = tenant->name_size;
    memcpy(call->tenant_name, tenant->name, tenant->name_size);
    tenant->is_reading = true;
    tenant->read_began_at = desk->ports.wall_ms();
    desk_call_begin(call, true, LIMIT_HTTP_CALL_DEADLINE_MS_MAX);
}

/* Following it would put every later event below the watermark, for ever. */
static void leave_beyond(desk_tenant_t *tenant, const member_event_t *event)
{
    membership_desk_t *desk = tenant->desk;
    const uint64_t now_ms = loop_now_ms(desk->loop);
    metric_add(desk->beyond, 1);
    if (now_ms >= tenant->beyond_log_ms) {
        tenant->beyond_log_ms = now_ms + LIMIT_INBOX_BEYOND_LOG_MS;
        log_error("the sequence of a membership context jumps too far and is not followed; its "
                  "events wait until the sequence goes on where it was",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size),
                  LOG_NUMBER("from", inbox_position(tenant->inbox)),
                  LOG_NUMBER("to", event->sequence));
    }
}

void feed_page_answered(desk_call_t *call, const membership_answer_t *answer)
{
    desk_tenant_t *tenant = call->tenant;
    membership_desk_t *desk = call->desk;
    metric_add(desk->pages, 1);
    call->is_full = answer->event_count >= LIMIT_MEMBERSHIP_PAGE;
    for (size_t i = 0; i < answer->event_count; i++) {
        const member_event_t *event = &answer->events[i];
        if (!inbox_reaches(tenant->inbox, event->sequence)) {
            leave_beyond(tenant, event);
            call->is_full = false;
            return;
        }
        /* What the endpoint leaves out does not exist, as far as its page reaches. */
        inbox_pass_gap(tenant->inbox, event->sequence);
        const inbox_taken_t taken = inbox_take(tenant->inbox, event);
        call->taken += taken == INBOX_TAKEN ? 1U : 0U;
        if (taken == INBOX_FULL) {
            call->is_full = false; /* the rest is read when there is room */
            return;
        }
    }
    if (!call->is_full) {
        tenant->current_at = tenant->read_began_at;
    }
}

void feed_page_done(desk_call_t *call, neighbour_end_t end)
{
    membership_desk_t *desk = call->desk;
    desk_tenant_t *tenant = call->tenant;
    const uint64_t now_ms = loop_now_ms(desk->loop);
    tenant->is_reading = false;
    if (desk->is_closing) {
        return;
    }
    const bool was_reachable = desk_is_reachable(tenant);
    tenant->is_unasked =
        end == NEIGHBOUR_BUSY &&
        !neighbour_is_known(desk->ports.neighbours, desk_tenant_name(tenant), NEIGHBOUR_MEMBERSHIP);
    if (end == NEIGHBOUR_ANSWERED) {
        /* A full page of which nothing was new is that of a context which looks at no `after`. */
        const bool has_more = call->is_full && call->taken > 0;
        const bool goes_on = has_more || !desk_is_reachable(tenant);
        tenant->poll_at_ms = goes_on ? now_ms : now_ms + poll_pause_ms(desk);
        desk_tell_standing(tenant);
        return;
    }
    if (was_reachable && tenant->is_unasked) {
        desk_tell_standing(tenant);
    }
    /* Failed: soon again, so that an outage is known soon; open: when a probe may go. */
    enum { PAUSE_MS = 500 };
    const uint32_t retry_ms =
        neighbour_retry_ms(desk->ports.neighbours, desk_tenant_name(tenant), NEIGHBOUR_MEMBERSHIP);
    const uint64_t wait_ms = retry_ms > LIMIT_INBOX_POLL_MS ? LIMIT_INBOX_POLL_MS : retry_ms;
    tenant->poll_at_ms = now_ms + (wait_ms < PAUSE_MS ? PAUSE_MS : wait_ms);
}

void membership_desk_heard(membership_desk_t *desk, text_t name, const member_event_t *event)
{
    desk_tenant_t *tenant = feed_find(desk, name);
    if (tenant == NULL) {
        return;
    }
    switch (inbox_take(tenant->inbox, event)) {
    case INBOX_REPEATED:
        metric_add(desk->repeated, 1);
        break;
    case INBOX_AHEAD:
        metric_add(desk->ahead, 1);
        break;
    case INBOX_BEYOND:
        leave_beyond(tenant, event);
        break;
    default:
        break; /* taken, or read later */
    }
}

/* --- To the partitions --- */

/* W3C trace context of a message that nobody else began. */
static void make_trace(const membership_desk_t *desk, char trace[TRACE_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(trace, "00-00000000000000000000000000000000-0000000000000000-01", TRACE_SIZE + 1);
    for (size_t i = TRACE_FIRST; i < TRACE_LAST; i++) {
        trace[i] = trace[i] == '-' ? '-' : digits[desk->ports.random(16)];
    }
}

static void send_events(desk_tenant_t *tenant, uint32_t partition, const member_events_t *events)
{
    membership_desk_t *desk = tenant->desk;
    envelope_t envelope = {0};
    request_t *request = &envelope.request;
    const size_t size = message_pack(&member_events_message, events, MESSAGE_KEYS_IDS, desk->body,
                                     sizeof desk->body);
    assert(size <= sizeof desk->body);
    const uint64_t place = ((uint64_t)tenant->index << PARTITION_BITS) | partition;
    MESSAGE_MARK(envelope, &envelope, request);
    MESSAGE_SET(request, request, correlation,
                ((uint64_t)tenant->generation << (INDEX_BITS + PARTITION_BITS)) | place);
    MESSAGE_SET(request, request, tenant, desk_tenant_name(tenant));
    if (tenant->created_at > 0) {
        MESSAGE_SET(request, request, tenant_since, (uint64_t)tenant->created_at);
    }
    MESSAGE_SET(request, request, type, request_type_member_events);
    MESSAGE_SET(request, request, partition, partition);
    MESSAGE_SET(request, request, deadline_ms, LIMIT_INBOX_ANSWER_MS);
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("membership"));
    MESSAGE_SET(request, request, role, role_platform_admin);
    char trace[TRACE_SIZE + 1];
    make_trace(desk, trace);
    const text_t traceparent = {.data = trace, .size = TRACE_SIZE};
    MESSAGE_SET(request, request, traceparent, traceparent);
    const text_t body = {.data = (const char *)desk->body, .size = size};
    MESSAGE_SET(request, request, body, body);
    if (desk_send(desk, tenant->shard, &envelope) != RESULT_OK) {
        inbox_again(tenant->inbox, partition);
        tenant->not_before_ms[partition] = loop_now_ms(desk->loop) + LIMIT_INBOX_RETRY_MS;
        return;
    }
    tenant->sent_at_ms[partition] = loop_now_ms(desk->loop);
}

static void send_next(desk_tenant_t *tenant, uint32_t partition)
{
    const uint64_t now_ms = loop_now_ms(tenant->desk->loop);
    const uint64_t sent_at_ms = tenant->sent_at_ms[partition];
    if (sent_at_ms != 0 && now_ms >= sent_at_ms + LIMIT_INBOX_ANSWER_MS) {
        inbox_again(tenant->inbox, partition);
        tenant->sent_at_ms[partition] = 0;
    }
    if (now_ms < tenant->not_before_ms[partition]) {
        return;
    }
    member_events_t events;
    const uint32_t limit = tenant->is_alone[partition] ? 1 : LIMIT_INBOX_MESSAGE_EVENTS;
    if (inbox_next(tenant->inbox, partition, limit, &events)) {
        send_events(tenant, partition, &events);
    }
}

static desk_tenant_t *tenant_of(membership_desk_t *desk, uint64_t correlation)
{
    const uint64_t index = (correlation >> PARTITION_BITS) & ((UINT64_C(1) << INDEX_BITS) - 1);
    if (index >= desk->tenant_places || desk->tenants[index] == NULL) {
        return NULL;
    }
    desk_tenant_t *tenant = desk->tenants[index];
    return tenant->generation == correlation >> (INDEX_BITS + PARTITION_BITS) ? tenant : NULL;
}

static bool is_poison(uint64_t error)
{
    return error == RESULT_INVALID_BODY || error == RESULT_INTERNAL ||
           error == RESULT_QUARANTINED || error == RESULT_INVALID_DATES;
}

static void refused(desk_tenant_t *tenant, uint32_t partition, const reply_t *reply)
{
    membership_desk_t *desk = tenant->desk;
    inbox_again(tenant->inbox, partition);
    tenant->not_before_ms[partition] = loop_now_ms(desk->loop) + LIMIT_INBOX_RETRY_MS;
    if (!is_poison(reply->error)) {
        return;
    }
    if (!tenant->is_alone[partition]) {
        tenant->is_alone[partition] = true; /* which one of them it is shows then */
        tenant->not_before_ms[partition] = 0;
        return;
    }
    if (inbox_count_try(tenant->inbox, partition) >= LIMIT_INBOX_TRIES) {
        inbox_give_up_first(tenant->inbox, partition);
        metric_add(desk->dead, 1);
        log_error("an event of a membership context was refused too often and becomes a dead "
                  "letter; the others go on",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size),
                  LOG_NUMBER("partition", partition),
                  LOG_TEXT("detail", reply->detail.data, reply->detail.size));
    }
}

void feed_reply(membership_desk_t *desk, const reply_t *reply)
{
    desk_tenant_t *tenant = tenant_of(desk, reply->correlation);
    if (tenant == NULL) {
        return;
    }
    const uint32_t partition = reply->correlation & ((1U << PARTITION_BITS) - 1);
    if (partition >= tenant->partitions) {
        return;
    }
    tenant->sent_at_ms[partition] = 0;
    member_watermark_t watermark;
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    if (reply->outcome != outcome_ok ||
        !message_unpack(&member_watermark_message, MESSAGE_KEYS_IDS,
                        (const uint8_t *)reply->body.data, reply->body.size, &arena, &watermark,
                        &fault)) {
        refused(tenant, partition, reply);
        return;
    }
    const uint64_t before = inbox_waiting(tenant->inbox);
    inbox_watermark(tenant->inbox, partition, watermark.sequence);
    metric_add(desk->applied, before - inbox_waiting(tenant->inbox));
    tenant->is_alone[partition] = false;
    tenant->not_before_ms[partition] = 0;
    send_next(tenant, partition);
}

void feed_shard_down(membership_desk_t *desk, uint32_t shard)
{
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        desk_tenant_t *tenant = desk->tenants[i];
        for (uint32_t p = 0; tenant != NULL && tenant->shard == shard && p < tenant->partitions;
             p++) {
            tenant->sent_at_ms[p] = 0;
            inbox_again(tenant->inbox, p);
        }
    }
}

/* --- Time --- */

static void tend(desk_tenant_t *tenant)
{
    membership_desk_t *desk = tenant->desk;
    const uint64_t now_ms = loop_now_ms(desk->loop);
    for (uint32_t p = 0; p < tenant->partitions; p++) {
        send_next(tenant, p);
    }
    const bool has_gap =
        inbox_has_gap(tenant->inbox) &&
        neighbour_is_closed(desk->ports.neighbours, desk_tenant_name(tenant), NEIGHBOUR_MEMBERSHIP);
    const bool has_room = inbox_waiting(tenant->inbox) < LIMIT_INBOX_EVENTS / 2;
    /* Before its partitions have said how far they are, nothing could be taken. */
    const bool is_open = inbox_is_open(tenant->inbox);
    if (!tenant->is_reading && is_open && has_room && (has_gap || now_ms >= tenant->poll_at_ms)) {
        read_page(tenant);
    }
}

void feed_tick(membership_desk_t *desk)
{
    uint64_t waiting = 0;
    read_tenants(desk);
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        if (desk->tenants[i] != NULL) {
            tend(desk->tenants[i]);
        }
        if (desk->tenants[i] != NULL) {
            waiting += inbox_waiting(desk->tenants[i]->inbox);
        }
    }
    metric_set(desk->lag, (int64_t)waiting);
}

void feed_destroy(membership_desk_t *desk)
{
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        if (desk->tenants[i] != NULL) {
            inbox_destroy(&desk->tenants[i]->inbox);
            free(desk->tenants[i]);
        }
    }
    free(desk->tenants);
    desk->tenants = NULL;
}
