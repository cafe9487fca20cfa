/* Events on their way out: in order of sequence, gaps filled from the journal, repeats dropped, and
 * heads. Must not wait: while a gap is being filled, later events are left to the journal. */
#include "actors/domain/card_id.h"
#include "actors/relay/relay_models.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void fill_header(const event_t *event, event_header_t *header)
{
    MESSAGE_SET(event_header, header, v, 1);
    MESSAGE_SET(event_header, header, event_id, event->event_id);
    MESSAGE_SET(event_header, header, tenant, event->tenant);
    MESSAGE_SET(event_header, header, partition, event->partition);
    MESSAGE_SET(event_header, header, sequence, event->sequence);
    MESSAGE_SET(event_header, header, card, event->card);
    MESSAGE_SET(event_header, header, card_sequence, event->card_sequence);
    MESSAGE_SET(event_header, header, name, event->name);
    MESSAGE_SET(event_header, header, version, event->version);
    MESSAGE_SET(event_header, header, occurred_at, event->occurred_at);
    if (MESSAGE_HAS(event, event, traceparent)) {
        MESSAGE_SET(event_header, header, traceparent, event->traceparent);
    }
}

static text_t make_topic(text_t tenant, text_t name, char out[LIMIT_EVENT_TOPIC_SIZE])
{
    const int size = snprintf(out, LIMIT_EVENT_TOPIC_SIZE, "digitalcard.%.*s.%.*s",
                              TEXT_PRINT(tenant), TEXT_PRINT(name));
    assert(size > 0 && size < LIMIT_EVENT_TOPIC_SIZE);
    return (text_t){.data = out, .size = (size_t)size};
}

static void publish_frames(relay_t *relay, text_t topic, size_t header_size, size_t body_size,
                           metric_t *counter)
{
    if (header_size > sizeof(relay->header_scratch) || body_size > sizeof(relay->body_scratch)) {
        metric_add(relay->numbers.not_published, 1);
        return;
    }
    const result_t result = relay->ports.publish(relay->ports.context, topic, relay->header_scratch,
                                                 header_size, relay->body_scratch, body_size);
    metric_add(result == RESULT_OK ? counter : relay->numbers.not_published, 1);
}

static void publish_event(relay_t *relay, const event_t *event)
{
    event_header_t header = {0};
    fill_header(event, &header);
    char buffer[LIMIT_EVENT_TOPIC_SIZE];
    const text_t topic =
        make_topic(event->tenant, enum_name(&event_name_enum, event->name), buffer);
    const size_t header_size = message_pack(&event_header_message, &header, MESSAGE_KEYS_NAMES,
                                            relay->header_scratch, sizeof(relay->header_scratch));
    const size_t body_size = message_pack(&event_data_message, &event->data, MESSAGE_KEYS_NAMES,
                                          relay->body_scratch, sizeof(relay->body_scratch));
    publish_frames(relay, topic, header_size, body_size, relay->numbers.published);
}

static void publish_head(relay_partition_t *partition)
{
    relay_tenant_t *tenant = partition->tenant;
    relay_t *relay = tenant->relay;
    partition_head_t head = {0};
    MESSAGE_SET(partition_head, &head, partition, (uint64_t)(partition - tenant->partitions));
    MESSAGE_SET(partition_head, &head, sequence, partition->head);
    char buffer[LIMIT_EVENT_TOPIC_SIZE];
    const text_t topic = make_topic(relay_tenant_name(tenant), TEXT_LITERAL("Head"), buffer);
    const size_t size = message_pack(&partition_head_message, &head, MESSAGE_KEYS_NAMES,
                                     relay->body_scratch, sizeof(relay->body_scratch));
    if (size <= sizeof(relay->body_scratch)) {
        memcpy(relay->header_scratch, relay->body_scratch, size);
    }
    publish_frames(relay, topic, size, size, relay->numbers.heads);
}

void relay_publish_operational(relay_t *relay, text_t tenant, uint8_t name, int64_t occurred_at,
                               const message_type_t *type, const void *body)
{
    operational_header_t header = {0};
    uint8_t random[10];
    random_fill(random, sizeof(random));
    MESSAGE_SET(operational_header, &header, v, 1);
    MESSAGE_SET(operational_header, &header, event_id, card_id_make(occurred_at, 0, random));
    MESSAGE_SET(operational_header, &header, tenant, tenant);
    MESSAGE_SET(operational_header, &header, name, name);
    MESSAGE_SET(operational_header, &header, occurred_at, occurred_at);
    char buffer[LIMIT_EVENT_TOPIC_SIZE];
    const text_t topic = make_topic(tenant, enum_name(&operational_name_enum, name), buffer);
    const size_t header_size =
        message_pack(&operational_header_message, &header, MESSAGE_KEYS_NAMES,
                     relay->header_scratch, sizeof(relay->header_scratch));
    const size_t body_size = message_pack(type, body, MESSAGE_KEYS_NAMES, relay->body_scratch,
                                          sizeof(relay->body_scratch));
    publish_frames(relay, topic, header_size, body_size, relay->numbers.published);
}

/* The next one in order: it leaves, and the position moves. */
static void advance(relay_partition_t *partition, const event_t *event)
{
    relay_t *relay = partition->tenant->relay;
    partition->published = event->sequence;
    if (event->sequence > partition->head) {
        partition->head = event->sequence;
    }
    if (relay_has_subscribers(relay)) {
        publish_event(relay, event);
    }
}

static void journal_read_done(void *context, const journal_events_t *events);

/* Asks for what comes after the position. Does nothing while that is being done. */
static void read_on(relay_partition_t *partition)
{
    relay_tenant_t *tenant = partition->tenant;
    if (partition->is_reading || tenant->is_retired || tenant->relay->is_draining) {
        return;
    }
    if (tenant->journal_state != RELAY_JOURNAL_OPEN) {
        /* When it opens, relay_publish_opened goes on from here; when it cannot be opened, the next
         * event or the next round of heads tries again. */
        (void)!relay_tenant_open(tenant);
        return;
    }
    const journal_functions_t *functions = tenant->relay->ports.journal->functions;
    const uint32_t number = (uint32_t)(partition - tenant->partitions);
    if (functions->read_events(tenant->journal, number, partition->published,
                               LIMIT_RELAY_GAP_EVENTS, journal_read_done, partition) == RESULT_OK) {
        partition->is_reading = true;
        partition->published_when_asked = partition->published;
        partition->wanted_when_asked = partition->wanted;
        relay_operation_begin(tenant);
    }
}

static void publish_read(relay_partition_t *partition, const journal_events_t *events)
{
    relay_t *relay = partition->tenant->relay;
    if (partition->published < events->archived_to) {
        /* Never so far behind, unless it was off for months: who subscribes sees the gap. */
        partition->published = events->archived_to;
    }
    for (size_t i = 0; i < events->event_count; i++) {
        const event_t *event = &events->events[i];
        if (event->sequence == partition->published + 1) {
            advance(partition, event);
            metric_add(relay->numbers.refilled, 1);
        }
    }
    if (events->head > partition->head) {
        partition->head = events->head;
    }
}

static void finish_reading(relay_partition_t *partition)
{
    if (partition->published >= partition->wanted) {
        partition->has_gap = false;
    }
    if (partition->announces) {
        partition->announces = false;
        publish_head(partition);
    }
}

/* The journal ends before an event that a shard said was committed: a restored or replaced store.
 * The position follows the journal. */
static void follow_journal(relay_partition_t *partition, const journal_events_t *events)
{
    const relay_tenant_t *tenant = partition->tenant;
    log_error("a journal ends before events that were committed: was a backup restored?",
              LOG_TEXT("tenant", tenant->name, tenant->name_size), LOG_NUMBER("head", events->head),
              LOG_NUMBER("wanted", partition->wanted));
    relay_drop_held(partition);
    partition->published = events->head;
    partition->wanted = events->head;
    partition->head = events->head;
}

/* What came meanwhile and is next now. */
static void publish_held(relay_partition_t *partition)
{
    event_t event;
    relay_held_t *memory = NULL;
    while (relay_take_held(partition, partition->published + 1, &event, &memory)) {
        if (event.sequence == partition->published + 1) {
            advance(partition, &event);
        }
        free(memory);
    }
}

/* More may be there than was read: a page has an end, and shards told of more meanwhile. */
static bool is_worth_reading_on(const relay_partition_t *partition, const journal_events_t *events)
{
    const uint64_t published_when_asked = partition->published_when_asked;
    const bool is_behind =
        partition->published < partition->wanted || partition->published < events->head;
    const bool has_news = partition->published > published_when_asked ||
                          partition->wanted > partition->wanted_when_asked;
    return is_behind && has_news;
}

static void journal_read_done(void *context, const journal_events_t *events)
{
    relay_partition_t *partition = context;
    relay_tenant_t *tenant = partition->tenant;
    partition->is_reading = false;
    /* Deleted since then: its name may be another's now. */
    if (tenant->is_retired || (events->event_count > 0 && relay_tenant_is_gone(tenant))) {
        relay_operation_end(tenant);
        return;
    }
    if (events->result != RESULT_OK) {
        log_warn("events could not be read from a journal; they are read later",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size),
                 LOG_STRING("code", result_code(events->result)));
        relay_operation_end(tenant);
        return;
    }
    publish_read(partition, events);
    publish_held(partition);
    if (events->head < partition->wanted_when_asked ||
        events->head < partition->published_when_asked) {
        follow_journal(partition, events);
        finish_reading(partition);
    } else if (is_worth_reading_on(partition, events)) {
        read_on(partition);
    } else {
        finish_reading(partition);
    }
    relay_operation_end(tenant);
}

void relay_publish_receive(relay_t *relay, const event_t *event, uint64_t since)
{
    metric_add(relay->numbers.received, 1);
    relay_tenant_t *tenant = NULL;
    if (event->sequence == 0 || event->partition >= LIMIT_PARTITIONS ||
        relay_tenant_meet(relay, event->tenant, since, &tenant) != RESULT_OK) {
        metric_add(relay->numbers.not_published, 1); /* the subscriber repairs */
        return;
    }
    relay_models_receive(tenant, event);
    relay_partition_t *partition = &tenant->partitions[event->partition];
    const bool nobody_listens =
        !relay_has_subscribers(relay) && event->sequence > partition->published;
    if (!partition->is_known || nobody_listens) {
        /* What came before was the affair of an earlier relay, or of nobody. */
        partition->published = event->sequence - 1;
        partition->is_known = true;
        partition->has_gap = false;
        relay_drop_held(partition);
    }
    if (event->sequence <= partition->published) {
        metric_add(relay->numbers.duplicates, 1);
        return;
    }
    if (event->sequence > partition->wanted) {
        partition->wanted = event->sequence;
    }
    if (!partition->has_gap && event->sequence == partition->published + 1) {
        advance(partition, event);
        return;
    }
    partition->has_gap = true;
    relay_hold(partition, event);
    read_on(partition);
}

void relay_publish_hear(relay_tenant_t *tenant, uint32_t partition, uint64_t head)
{
    relay_partition_t *const heard = &tenant->partitions[partition];
    relay_models_hear(tenant, partition, head);
    if (head > heard->head) {
        heard->head = head;
    }
}

void relay_publish_opened(relay_tenant_t *tenant, const journal_opened_t *opened)
{
    tenant->partition_count =
        opened->partition_count < LIMIT_PARTITIONS ? opened->partition_count : LIMIT_PARTITIONS;
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        relay_partition_t *partition = &tenant->partitions[i];
        const uint64_t head = opened->partitions[i].head;
        relay_publish_hear(tenant, i, head);
        if (!partition->is_known) {
            partition->is_known = true;
            partition->published = head;
        }
        if (partition->has_gap || partition->announces) {
            read_on(partition);
        }
    }
    relay_models_begin(tenant);
}

/* The opening makes all partitions known; when there is none, what is in memory has to do. */
static void announce_closed(relay_tenant_t *tenant)
{
    const bool will_open = relay_tenant_open(tenant) == RESULT_OK;
    for (uint32_t i = 0; i < LIMIT_PARTITIONS; i++) {
        relay_partition_t *partition = &tenant->partitions[i];
        partition->announces = will_open;
        if (!will_open && partition->is_known) {
            publish_head(partition);
        }
    }
}

void relay_publish_heads(relay_tenant_t *tenant)
{
    if (tenant->is_retired) {
        return;
    }
    if (tenant->journal_state != RELAY_JOURNAL_OPEN) {
        announce_closed(tenant);
        return;
    }
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        tenant->partitions[i].announces = true;
        read_on(&tenant->partitions[i]);
    }
}
