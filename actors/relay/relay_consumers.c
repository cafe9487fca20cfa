/* Consumers of events with a name: registering, acknowledging, going on from there. Cursors
 * are rows of the control store, so that any relay finds them; acknowledgements gather for some
 * milliseconds and share one commit. Must not keep a cursor that is not stored. */
#include "actors/domain/webhook.h"
#include "actors/relay/relay_internal.h"
#include "actors/secrets.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { CURSORS_MAX = LIMIT_CONSUMERS * LIMIT_PARTITIONS };

bool relay_is_consumer_request(uint8_t type)
{
    return type == request_type_events_ack || type == request_type_consumer_register ||
           type == request_type_consumer_remove || type == request_type_consumer_list;
}

static bool name_is_usable(text_t name)
{
    bool is_usable = name.size > 0 && name.size <= 64;
    for (size_t i = 0; is_usable && i < name.size; i++) {
        const char c = name.data[i];
        is_usable = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                    (i > 0 && (c == '.' || c == '-' || c == '_'));
    }
    return is_usable;
}

static void reply_failure(relay_read_t *read, result_t result)
{
    switch (result) {
    case RESULT_MISSING:
        relay_reply_error(read, RESULT_CONSUMER_NOT_FOUND,
                          "Register it first; one that was silent for 30 days is forgotten.", NULL);
        break;
    case RESULT_BUSY:
        relay_reply_error(read, RESULT_TOO_MANY_CONSUMERS,
                          "A tenant has at most 32 consumers: remove one first.", NULL);
        break;
    default:
        relay_reply_error(read, result, "The cursors cannot be read or kept now: try again.", NULL);
        break;
    }
}

/* --- A page of consumers --- */

typedef struct gathering {
    const relay_tenant_t *tenant;
    text_t only; /* empty: all */
    consumer_t items[LIMIT_CONSUMERS];
    consumer_cursor_t cursors[CURSORS_MAX];
    char names[LIMIT_CONSUMERS][64];
    char series[LIMIT_CONSUMERS][SECRET_SERIES_SIZE];
    size_t count;
} gathering_t;

static void begin_item(gathering_t *gathering, const consumer_row_t *row)
{
    const size_t index = gathering->count;
    consumer_t *const item = &gathering->items[index];
    consumer_cursor_t *const cursors = &gathering->cursors[index * LIMIT_PARTITIONS];
    const relay_tenant_t *const tenant = gathering->tenant;
    memcpy(gathering->names[index], row->name.data, row->name.size);
    MESSAGE_SET(consumer, item, name,
                ((text_t){.data = gathering->names[index], .size = row->name.size}));
    const relay_ports_t *const ports = &tenant->relay->ports;
    secret_consumer_series(ports->crypto, &ports->master_key, relay_tenant_name(tenant), item->name,
                           gathering->series[index]);
    MESSAGE_SET(consumer, item, series, text_from_c(gathering->series[index]));
    MESSAGE_SET(consumer, item, registered_at, row->registered_at);
    MESSAGE_SET(consumer, item, seen_at, row->seen_at);
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        MESSAGE_SET(consumer_cursor, &cursors[i], partition, i);
        MESSAGE_SET(consumer_cursor, &cursors[i], sequence, 0);
        MESSAGE_SET(consumer_cursor, &cursors[i], head, tenant->partitions[i].head);
    }
    item->cursors_count = tenant->partition_count;
    MESSAGE_SET(consumer, item, cursors, cursors);
    gathering->count++;
}

static bool gather(void *context, const consumer_row_t *row)
{
    gathering_t *const gathering = context;
    if ((!text_is_empty(gathering->only) && !text_equal(gathering->only, row->name)) ||
        row->name.size > sizeof(gathering->names[0])) {
        return true;
    }
    const bool is_same =
        gathering->count > 0 && text_equal(gathering->items[gathering->count - 1].name, row->name);
    if (!is_same) {
        if (gathering->count == LIMIT_CONSUMERS) {
            return false;
        }
        begin_item(gathering, row);
    }
    if (row->has_cursor && row->partition < gathering->tenant->partition_count) {
        gathering->cursors[(gathering->count - 1) * LIMIT_PARTITIONS + row->partition].sequence =
            row->sequence;
    }
    return true;
}

uint64_t relay_lag_of(uint64_t head, uint64_t sequence)
{
    return head > sequence ? head - sequence : 0;
}

static void finish_items(gathering_t *gathering)
{
    for (size_t i = 0; i < gathering->count; i++) {
        consumer_t *const item = &gathering->items[i];
        uint64_t lag = 0;
        for (size_t j = 0; j < item->cursors_count; j++) {
            consumer_cursor_t *const cursor = &gathering->cursors[i * LIMIT_PARTITIONS + j];
            MESSAGE_SET(consumer_cursor, cursor, lag, relay_lag_of(cursor->head, cursor->sequence));
            lag += cursor->lag;
        }
        MESSAGE_SET(consumer, item, lag, lag);
    }
}

/* Malloc'ed; NULL after an answer. */
static gathering_t *gather_all(relay_read_t *read, text_t only)
{
    consumers_t *const store = read->relay->ports.consumers;
    gathering_t *gathering = calloc(1, sizeof(*gathering));
    assert(gathering != NULL);
    gathering->tenant = read->tenant;
    gathering->only = only;
    const result_t result =
        store->functions->visit(store, relay_tenant_name(read->tenant), gather, gathering);
    if (result != RESULT_OK) {
        free(gathering);
        reply_failure(read, result == RESULT_MISSING ? RESULT_STORE_UNAVAILABLE : result);
        return NULL;
    }
    finish_items(gathering);
    return gathering;
}

static void reply_one(relay_read_t *read, text_t name)
{
    gathering_t *const gathering = gather_all(read, name);
    if (gathering == NULL) {
        return;
    }
    if (gathering->count == 0) {
        reply_failure(read, RESULT_MISSING);
    } else {
        relay_reply_document(read, &consumer_message, &gathering->items[0]);
    }
    free(gathering);
}

static void reply_list(relay_read_t *read)
{
    const consumer_list_t *const list = &read->command.consumers;
    gathering_t *const gathering =
        gather_all(read, MESSAGE_HAS(consumer_list, list, name) ? list->name : TEXT_NONE);
    if (gathering == NULL) {
        return;
    }
    consumer_page_t page = {.items_count = (uint32_t)gathering->count};
    MESSAGE_SET(consumer_page, &page, items, gathering->items);
    relay_reply_document(read, &consumer_page_message, &page);
    free(gathering);
}

/* --- Registering and removing --- */

static void register_consumer(relay_read_t *read)
{
    consumers_t *const store = read->relay->ports.consumers;
    const text_t name = read->command.name.name;
    const result_t result = store->functions->add(store, relay_tenant_name(read->tenant), name,
                                                  read->relay->ports.wall_ms());
    if (result != RESULT_OK) {
        reply_failure(read, result);
        return;
    }
    reply_one(read, name);
}

/* Answers what it was. */
static void remove_consumer(relay_read_t *read)
{
    consumers_t *const store = read->relay->ports.consumers;
    const text_t name = read->command.name.name;
    gathering_t *const gathering = gather_all(read, name);
    if (gathering == NULL) {
        return;
    }
    const result_t result = store->functions->remove(store, relay_tenant_name(read->tenant), name);
    if (result != RESULT_OK || gathering->count == 0) {
        reply_failure(read, result == RESULT_OK ? RESULT_MISSING : result);
    } else {
        relay_reply_document(read, &consumer_message, &gathering->items[0]);
    }
    free(gathering);
}

/* --- Acknowledging --- */

/* A namesake may have a consumer of the same name. Returns how many are left. */
static uint32_t drop_acks_of_deleted(relay_t *relay)
{
    uint32_t count = 0;
    if (relay->ack_count > 0) {
        relay_control_poll(relay); /* one look for all of them: whose tenant is gone is retired */
    }
    for (uint32_t i = 0; i < relay->ack_count; i++) {
        relay_read_t *const read = relay->acks[i];
        relay_tenant_t *const tenant = read->tenant;
        if (tenant->is_retired) {
            relay_read_refuse_deleted(read);
            relay_operation_end(tenant);
        } else {
            relay->acks[count] = read;
            count++;
        }
    }
    relay->ack_count = count;
    return count;
}

static void commit_acks(void *context)
{
    relay_t *const relay = context;
    consumers_t *const store = relay->ports.consumers;
    consumer_ack_t acks[LIMIT_CONSUMER_ACKS];
    const uint32_t count = drop_acks_of_deleted(relay);
    for (uint32_t i = 0; i < count; i++) {
        const relay_read_t *const read = relay->acks[i];
        acks[i] = (consumer_ack_t){.tenant = relay_tenant_name(read->tenant),
                                   .name = read->command.ack.consumer,
                                   .partition = (uint32_t)read->command.ack.partition,
                                   .sequence = read->command.ack.sequence};
    }
    if (count == 0) {
        return;
    }
    const result_t result = store->functions->ack(store, acks, count, relay->ports.wall_ms());
    relay->ack_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        relay_read_t *const read = relay->acks[i];
        relay_tenant_t *const tenant = read->tenant;
        const result_t own = result == RESULT_OK ? acks[i].result : result;
        if (own == RESULT_OK) {
            reply_one(read, read->command.ack.consumer);
        } else {
            reply_failure(read, own == RESULT_BUSY ? RESULT_STORE_UNAVAILABLE : own);
        }
        relay_operation_end(tenant);
    }
}

/* What lies ahead of the journal cannot have been read: it would hide events that are to come. */
static void acknowledge(relay_read_t *read)
{
    relay_t *const relay = read->relay;
    const events_ack_t *const ack = &read->command.ack;
    const uint64_t partition = MESSAGE_HAS(events_ack, ack, partition) ? ack->partition : 0;
    if (partition >= read->tenant->partition_count) {
        relay_reply_error(read, RESULT_INVALID_PARAMETER,
                          "The tenant has no partition of this number.", "partition");
        return;
    }
    read->command.ack.partition = partition;
    if (ack->sequence > read->tenant->partitions[partition].head) {
        relay_reply_error(read, RESULT_INVALID_PARAMETER,
                          "No event of the partition has this sequence yet.", "sequence");
        return;
    }
    if (relay->ack_count == LIMIT_CONSUMER_ACKS) {
        relay_reply_error(read, RESULT_BUSY, "Too many acknowledgements wait: try again.", NULL);
        return;
    }
    relay_operation_begin(read->tenant); /* keeps the tenant until it is answered */
    relay->acks[relay->ack_count] = read;
    relay->ack_count++;
    if (relay->ack_count == 1) {
        loop_timer_start(relay->ack_timer, LIMIT_CONSUMER_ACK_MS, 0);
    }
}

/* --- What the journal says first --- */

static void serve(relay_read_t *read)
{
    if (read->type == request_type_consumer_list) {
        reply_list(read);
    } else if (read->type == request_type_events_ack) {
        acknowledge(read);
    } else if (read->type == request_type_consumer_register) {
        register_consumer(read);
    } else {
        remove_consumer(read);
    }
}

static void heads_read(void *context, const journal_heads_t *heads)
{
    relay_read_t *const read = context;
    relay_tenant_t *const tenant = read->tenant;
    /* A namesake may have been made while the journal was read. */
    if (tenant->is_retired || relay_tenant_is_gone(tenant)) {
        relay_read_refuse_deleted(read);
    } else if (heads->result != RESULT_OK) {
        relay_reply_error(read, heads->result, "The journal of the tenant could not be read.",
                          NULL);
    } else {
        for (uint32_t i = 0; i < heads->partition_count; i++) {
            relay_publish_hear(tenant, i, heads->heads[i]);
        }
        serve(read);
    }
    relay_operation_end(tenant);
}

/* A shard tells of an event after its commit, and one of another node perhaps never: a lag and a
 * refusal must rest on the journal. What was heard of is enough for most acknowledgements. */
static bool needs_heads(const relay_read_t *read)
{
    const events_ack_t *const ack = &read->command.ack;
    const uint64_t partition = MESSAGE_HAS(events_ack, ack, partition) ? ack->partition : 0;
    return read->type != request_type_events_ack ||
           (partition < read->tenant->partition_count &&
            ack->sequence > read->tenant->partitions[partition].head);
}

static void look_and_serve(relay_read_t *read)
{
    if (!needs_heads(read)) {
        serve(read);
        return;
    }
    relay_read_heads(read, heads_read);
}

void relay_consumer_run(relay_read_t *read)
{
    const bool is_list = read->type == request_type_consumer_list;
    const bool is_ack = read->type == request_type_events_ack;
    if (read->relay->ports.consumers == NULL) {
        relay_reply_error(read, RESULT_NOT_IMPLEMENTED, "There is no store for cursors here.",
                          NULL);
        return;
    }
    const text_t name = is_ack ? read->command.ack.consumer : read->command.name.name;
    if (!is_list && !name_is_usable(name)) {
        relay_reply_error(read, RESULT_INVALID_BODY,
                          "A consumer's name is 1 to 64 of a-z, 0-9, dot, hyphen and underscore, "
                          "and begins with a letter or digit.",
                          is_ack ? "consumer" : "name");
        return;
    }
    if (!is_list && webhook_is_consumer_name(name)) {
        relay_reply_error(read, RESULT_INVALID_BODY,
                          "Names that begin with `webhook.` belong to webhooks, which keep their "
                          "cursors themselves.",
                          is_ack ? "consumer" : "name");
        return;
    }
    look_and_serve(read);
}

/* --- Going on --- */

typedef struct resuming {
    text_t name;
    uint32_t partition;
    bool is_there;
    uint64_t sequence;
} resuming_t;

static bool find_cursor(void *context, const consumer_row_t *row)
{
    resuming_t *const resuming = context;
    if (!text_equal(resuming->name, row->name)) {
        return true;
    }
    resuming->is_there = true;
    if (row->has_cursor && row->partition == resuming->partition) {
        resuming->sequence = row->sequence;
    }
    return true;
}

bool relay_consumer_resume(relay_read_t *read)
{
    consumers_t *const store = read->relay->ports.consumers;
    events_read_t *const events = &read->command.events;
    if (!MESSAGE_HAS(events_read, events, consumer) || MESSAGE_HAS(events_read, events, after)) {
        return true;
    }
    resuming_t resuming = {.name = events->consumer, .partition = (uint32_t)events->partition};
    const result_t result = store == NULL
                                ? RESULT_NOT_IMPLEMENTED
                                : store->functions->visit(store, relay_tenant_name(read->tenant),
                                                          find_cursor, &resuming);
    if (result != RESULT_OK || !resuming.is_there) {
        reply_failure(read, result == RESULT_OK ? RESULT_MISSING : result);
        return false;
    }
    MESSAGE_SET(events_read, events, after, resuming.sequence);
    return true;
}

/* --- Beginning and end --- */

result_t relay_consumers_begin(relay_t *relay)
{
    if (relay->ports.consumers == NULL) {
        return RESULT_OK;
    }
    relay->ack_timer = loop_timer_create(relay->loop, commit_acks, relay);
    relay->lag_timer = loop_timer_create(relay->loop, relay_lag_tick, relay);
    if (relay->ack_timer == NULL || relay->lag_timer == NULL) {
        return RESULT_NO_MEMORY;
    }
    loop_timer_start(relay->lag_timer, LIMIT_CONSUMER_LOOK_MS, LIMIT_CONSUMER_LOOK_MS);
    return RESULT_OK;
}

void relay_consumers_end(relay_t *relay)
{
    if (relay->ack_timer != NULL) {
        loop_timer_destroy(&relay->ack_timer);
    }
    if (relay->lag_timer != NULL) {
        loop_timer_destroy(&relay->lag_timer);
    }
}
