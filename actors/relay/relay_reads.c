/* Reads that need no actor: card.list, card.history, events.read, rollup.list. Decoded and checked
 * here, run on the tenant's read-only journal or handed to relay_lists.c, answered by
 * relay_pages.c. Must not change anything. */
#include "actors/command.h"
#include "actors/relay/relay_models.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void cards_done(void *context, const journal_cards_t *cards)
{
    relay_read_t *read = context;
    relay_tenant_t *tenant = read->tenant;
    relay_page_cards(read, cards);
    relay_operation_end(tenant);
}

static void history_done(void *context, const journal_events_t *events)
{
    relay_read_t *read = context;
    relay_tenant_t *tenant = read->tenant;
    relay_page_history(read, events);
    relay_operation_end(tenant);
}

/* The head is news when the shard's word of it was lost: what is shown may be acknowledged. */
static void events_done(void *context, const journal_events_t *events)
{
    relay_read_t *read = context;
    relay_tenant_t *tenant = read->tenant;
    relay_partition_t *partition = &tenant->partitions[read->command.events.partition];
    if (events->result == RESULT_OK && events->head > partition->head) {
        partition->head = events->head;
    }
    relay_page_events(read, events);
    relay_operation_end(tenant);
}

static result_t ask_journal(relay_read_t *read)
{
    relay_tenant_t *tenant = read->tenant;
    const relay_ports_t *ports = &read->relay->ports;
    const journal_functions_t *functions = ports->journal->functions;
    if (read->type == request_type_card_list) {
        return functions->list_cards(tenant->journal, &read->command.list, ports->wall_ms(),
                                     read->limit, cards_done, read);
    }
    if (read->type == request_type_card_history) {
        const text_t cursor = MESSAGE_HAS(card_history, &read->command.history, cursor)
                                  ? read->command.history.cursor
                                  : TEXT_NONE;
        return functions->read_history(tenant->journal, &read->card, cursor, read->limit,
                                       history_done, read);
    }
    return functions->read_events(tenant->journal, (uint32_t)read->command.events.partition,
                                  read->command.events.after, read->limit, events_done, read);
}

/* What the journal's own list does not know. */
static bool needs_models(const relay_read_t *read)
{
    const card_list_t *const list = &read->command.list;
    return read->type == request_type_rollup_list ||
           (read->type == request_type_card_list &&
            (MESSAGE_HAS(card_list, list, tier) || MESSAGE_HAS(card_list, list, expires_after) ||
             MESSAGE_HAS(card_list, list, expires_before)));
}

/* Consumers and webhooks stand in the control store, under the name of their tenant. */
static bool is_of_control_rows(const relay_read_t *read)
{
    return relay_is_consumer_request(read->type) || relay_is_webhook_request(read->type) ||
           (read->type == request_type_events_read &&
            MESSAGE_HAS(events_read, &read->command.events, consumer));
}

/* The journal is open. */
static void run(relay_read_t *read)
{
    relay_tenant_t *tenant = read->tenant;
    if (loop_now_ms(read->relay->loop) >= read->deadline_ms) {
        relay_reply_error(read, RESULT_DEADLINE_EXCEEDED,
                          "The read waited longer than it was allowed to: try again.", NULL);
        return;
    }
    if (read->type == request_type_events_read &&
        read->command.events.partition >= tenant->partition_count) {
        char detail[128];
        (void)snprintf(detail, sizeof(detail), "The tenant has %u partitions, numbered from 0.",
                       tenant->partition_count);
        relay_reply_error(read, RESULT_INVALID_PARAMETER, detail, "partition");
        return;
    }
    if (is_of_control_rows(read) && relay_tenant_is_gone(tenant)) {
        relay_read_refuse_deleted(read);
        return;
    }
    if (relay_is_consumer_request(read->type)) {
        relay_consumer_run(read);
        return;
    }
    if (relay_is_webhook_request(read->type)) {
        relay_webhook_run(read);
        return;
    }
    if (read->type == request_type_events_read && !relay_consumer_resume(read)) {
        return;
    }
    const bool is_list =
        read->type == request_type_card_list || read->type == request_type_rollup_list;
    if (is_list && read->relay->ports.projections != NULL) {
        relay_list_begin(read);
        return;
    }
    if (needs_models(read)) {
        relay_reply_error(read, RESULT_NOT_IMPLEMENTED,
                          "This store has no rollups yet, and no lists by tier or expiry.", NULL);
        return;
    }
    relay_operation_begin(tenant);
    const result_t result = ask_journal(read);
    if (result != RESULT_OK) {
        relay_reply_error(read, result, "The journal takes no more reads now: try again.", NULL);
        relay_operation_end(tenant);
    }
}

void relay_read_refuse_deleted(relay_read_t *read)
{
    relay_reply_error(read, RESULT_TENANT_NOT_FOUND, "The tenant was deleted.", NULL);
}

void relay_reads_refuse(relay_tenant_t *tenant)
{
    while (tenant->waiting_first != NULL) { /* bounded by LIMIT_RELAY_READS */
        relay_read_t *const read = tenant->waiting_first;
        tenant->waiting_first = read->next;
        relay_read_refuse_deleted(read);
    }
    tenant->waiting_last = NULL;
}

static void wait_for_journal(relay_read_t *read)
{
    relay_tenant_t *tenant = read->tenant;
    read->next = NULL;
    if (tenant->waiting_last == NULL) {
        tenant->waiting_first = read;
    } else {
        tenant->waiting_last->next = read;
    }
    tenant->waiting_last = read;
}

void relay_reads_opened(relay_tenant_t *tenant, result_t result)
{
    relay_read_t *read = tenant->waiting_first;
    tenant->waiting_first = NULL;
    tenant->waiting_last = NULL;
    while (read != NULL) {
        relay_read_t *next = read->next;
        if (result == RESULT_OK) {
            run(read);
        } else {
            const bool is_missing = result == RESULT_MISSING;
            relay_reply_error(read, is_missing ? RESULT_STORE_UNAVAILABLE : result,
                              "The journal of the tenant cannot be opened for reading.", NULL);
        }
        read = next;
    }
}

/* The limit that counts: the one asked for, or `otherwise`; 0 when it cannot be. */
static uint32_t choose_limit(bool has_limit, uint64_t limit, uint32_t otherwise, uint32_t most)
{
    if (!has_limit) {
        return otherwise;
    }
    return limit <= most ? (uint32_t)limit : 0;
}

static bool decode_small(relay_read_t *read, message_fault_t *fault)
{
    arena_t arena = {.base = NULL, .size = 0};
    const message_type_t *const type = command_type(read->type);
    read->limit = 1;
    return message_unpack(type, MESSAGE_KEYS_IDS, read->body, read->body_size, &arena,
                          &read->command, fault);
}

static bool decode(relay_read_t *read, message_fault_t *fault)
{
    arena_t arena = {.base = NULL, .size = 0}; /* these commands have no lists */
    switch (read->type) {
    case request_type_card_list: {
        card_list_t *list = &read->command.list;
        const bool is_read = message_unpack(&card_list_message, MESSAGE_KEYS_IDS, read->body,
                                            read->body_size, &arena, list, fault);
        read->limit = choose_limit(MESSAGE_HAS(card_list, list, limit), list->limit,
                                   LIMIT_PAGE_ITEMS, LIMIT_PAGE_ITEMS_MAX);
        return is_read;
    }
    case request_type_card_history: {
        card_history_t *history = &read->command.history;
        const bool is_read = message_unpack(&card_history_message, MESSAGE_KEYS_IDS, read->body,
                                            read->body_size, &arena, history, fault);
        read->limit = choose_limit(MESSAGE_HAS(card_history, history, limit), history->limit,
                                   LIMIT_PAGE_ITEMS, LIMIT_PAGE_ITEMS_MAX);
        return is_read;
    }
    case request_type_events_read: {
        events_read_t *events = &read->command.events;
        const bool is_read = message_unpack(&events_read_message, MESSAGE_KEYS_IDS, read->body,
                                            read->body_size, &arena, events, fault);
        read->limit = choose_limit(MESSAGE_HAS(events_read, events, limit), events->limit,
                                   LIMIT_PAGE_EVENTS, LIMIT_PAGE_EVENTS_MAX);
        return is_read;
    }
    case request_type_rollup_list: {
        rollup_list_t *rollups = &read->command.rollups;
        const bool is_read = message_unpack(&rollup_list_message, MESSAGE_KEYS_IDS, read->body,
                                            read->body_size, &arena, rollups, fault);
        read->limit = choose_limit(MESSAGE_HAS(rollup_list, rollups, limit), rollups->limit,
                                   LIMIT_ROLLUPS, LIMIT_ROLLUPS_MAX);
        return is_read;
    }
    case request_type_events_ack:
    case request_type_consumer_register:
    case request_type_consumer_remove:
    case request_type_consumer_list:
    case request_type_webhook_add:
    case request_type_webhook_remove:
    case request_type_webhook_enable:
    case request_type_webhook_rotate:
    case request_type_webhook_replay:
    case request_type_webhook_list:
    case request_type_webhook_log:
        return decode_small(read, fault);
    default:
        (void)snprintf(fault->detail, sizeof(fault->detail), "this is no read of the relay");
        return false;
    }
}

static relay_read_t *make_read(relay_t *relay, uint32_t peer, const request_t *request)
{
    relay_read_t *read = calloc(1, sizeof(*read) + request->body.size);
    if (read == NULL) {
        return NULL;
    }
    read->relay = relay;
    read->peer = peer;
    read->correlation = request->correlation;
    read->tenant_since = request->tenant_since; /* 0 from a front that does not say */
    read->deadline_ms = loop_now_ms(relay->loop) + request->deadline_ms;
    read->type = request->type;
    read->role = request->role;
    read->has_card = MESSAGE_HAS(request, request, card);
    read->card = request->card;
    if (request->traceparent.size == 55) {
        memcpy(read->trace_id, request->traceparent.data + 3, RELAY_TRACE_ID_SIZE);
    } else {
        memset(read->trace_id, '0', RELAY_TRACE_ID_SIZE);
    }
    read->body_size = request->body.size;
    memcpy(read->body, request->body.data, request->body.size);
    relay->read_count += 1;
    metric_add(relay->numbers.reads, 1);
    return read;
}

/* Decoded and within bounds, else answered. */
static bool is_usable(relay_read_t *read)
{
    message_fault_t fault = {0};
    if (!decode(read, &fault)) {
        metric_add(read->relay->numbers.undecodable, 1);
        log_warn("a read from a front cannot be read: do all roles have the same version?",
                 LOG_STRING("detail", fault.detail));
        relay_reply_error(read, RESULT_INTERNAL, "The read was not understood within the service.",
                          NULL);
        return false;
    }
    if (read->limit == 0) {
        const char *detail = "`limit` must be 1 to 500.";
        if (read->type == request_type_events_read) {
            detail = "`limit` must be 1 to 1000.";
        } else if (read->type == request_type_rollup_list) {
            detail = "`limit` must be 1 to 100.";
        }
        relay_reply_error(read, RESULT_INVALID_PARAMETER, detail, "limit");
        return false;
    }
    if (read->type == request_type_rollup_list) {
        return relay_rollups_check(read);
    }
    if (read->type == request_type_card_history && !read->has_card) {
        relay_reply_error(read, RESULT_INVALID_ID, "The history needs the id of a card.", "id");
        return false;
    }
    return true;
}

static void open_and_run(relay_read_t *read)
{
    relay_tenant_t *tenant = read->tenant;
    const result_t result = relay_tenant_open(tenant);
    if (result == RESULT_TENANT_NOT_FOUND) {
        relay_reply_error(read, result, "There is no such tenant.", NULL);
    } else if (result == RESULT_STORE_UNAVAILABLE) {
        relay_reply_error(read, result, "The tenant's journal cannot be opened now: try again.",
                          NULL);
    } else if (result != RESULT_OK) {
        relay_reply_error(read, result, "Too many journals are in use: try again.", NULL);
    } else if (tenant->journal_state == RELAY_JOURNAL_OPEN) {
        run(read);
    } else {
        wait_for_journal(read);
    }
}

/* Until the deleted tenant of that name is gone. */
static void park(relay_tenant_t *tenant, relay_read_t *read)
{
    read->next = NULL;
    if (tenant->parked_first == NULL) {
        tenant->parked_first = read;
    } else {
        tenant->parked_last->next = read;
    }
    tenant->parked_last = read;
}

void relay_read_place(relay_read_t *read, text_t name)
{
    relay_tenant_t *tenant = NULL;
    const result_t result = relay_tenant_meet(read->relay, name, read->tenant_since, &tenant);
    read->tenant = tenant;
    if (result == RESULT_OK) {
        open_and_run(read);
    } else if (result == RESULT_TENANT_NOT_FOUND) {
        relay_read_refuse_deleted(read);
    } else if (tenant != NULL && tenant->is_retired) {
        park(tenant, read);
    } else if (tenant == NULL) {
        relay_reply_error(read, result, "Too many tenants are being read: try again.", NULL);
    } else {
        relay_reply_error(read, result, "The control store cannot be read now: try again.", NULL);
    }
}

void relay_read_receive(relay_t *relay, uint32_t peer, const request_t *request)
{
    if (relay->is_draining) {
        relay_reply_refuse(relay, peer, request, RESULT_DRAINING, "The relay is stopping.", NULL);
        return;
    }
    if (relay->read_count >= LIMIT_RELAY_READS) {
        relay_reply_refuse(relay, peer, request, RESULT_BUSY,
                           "Too many reads are waiting: try again in a moment.", NULL);
        return;
    }
    relay_read_t *read = make_read(relay, peer, request);
    if (read == NULL) {
        relay_reply_refuse(relay, peer, request, RESULT_NO_MEMORY,
                           "There is no memory for the read now.", NULL);
        return;
    }
    if (!is_usable(read)) {
        return;
    }
    relay_read_place(read, request->tenant);
}

void relay_read_heads(relay_read_t *read, journal_heads_done_t *done)
{
    relay_tenant_t *const tenant = read->tenant;
    relay_operation_begin(tenant);
    const result_t result =
        read->relay->ports.journal->functions->read_heads(tenant->journal, done, read);
    if (result != RESULT_OK) {
        relay_reply_error(read, result, "The journal takes no more reads now: try again.", NULL);
        relay_operation_end(tenant);
    }
}
