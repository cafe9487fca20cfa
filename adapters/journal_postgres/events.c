/* Reading events: a row, pages of a card's history and of a partition. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

enum { DECODE_ROOM = 512 }; /* event_data has no lists; room for those of later versions */

/* --- Rows --- */

arena_t *events_arena(command_t *command, size_t count, size_t extra, arena_t *arena)
{
    const size_t size = count * (sizeof(event_t) + DECODE_ROOM + 8) + extra + 8;
    free(command->memory);
    command->memory = malloc(size);
    assert(command->memory != NULL);
    *arena = (arena_t){.base = command->memory, .size = size, .used = 0};
    return arena;
}

result_t row_is_damaged(const journal_tenant_t *tenant, int64_t id, const char *what)
{
    log_error("an event of the journal is damaged: run `digitalcard store verify` and restore the "
              "database from a backup",
              LOG_STRING("tenant", tenant->name),
              LOG_NUMBER("partition", id >> JOURNAL_SEQUENCE_BITS),
              LOG_NUMBER("sequence", id & JOURNAL_SEQUENCE_MAX), LOG_STRING("what", what));
    return RESULT_STORE_CORRUPT;
}

result_t event_from_fields(const journal_tenant_t *tenant, const PGresult *rows, int row,
                           int column, arena_t *arena, event_t *event)
{
    *event = (event_t){0};
    const int64_t id = field_integer(rows, row, column);
    uuid_t card;
    uuid_t event_id;
    if (!field_uuid(rows, row, column + 1, &card) ||
        !field_uuid(rows, row, column + 6, &event_id)) {
        return row_is_damaged(tenant, id, "id");
    }
    const int64_t name = field_integer(rows, row, column + 3);
    if (name < 1 || name >= event_name_enum.count) {
        return row_is_damaged(tenant, id, "name");
    }
    const text_t body = field_bytes(rows, row, column + 8);
    event_data_t data;
    message_fault_t fault;
    if (!message_unpack(&event_data_message, MESSAGE_KEYS_IDS, (const uint8_t *)body.data,
                        body.size, arena, &data, &fault)) {
        return row_is_damaged(tenant, id, fault.detail);
    }
    MESSAGE_SET(event, event, event_id, event_id);
    MESSAGE_SET(event, event, tenant, text_from_c(tenant->name));
    MESSAGE_SET(event, event, partition, (uint64_t)id >> JOURNAL_SEQUENCE_BITS);
    MESSAGE_SET(event, event, sequence, (uint64_t)(id & JOURNAL_SEQUENCE_MAX));
    MESSAGE_SET(event, event, card, card);
    MESSAGE_SET(event, event, card_sequence, (uint64_t)field_integer(rows, row, column + 2));
    MESSAGE_SET(event, event, name, (uint8_t)name);
    MESSAGE_SET(event, event, version, (uint64_t)field_integer(rows, row, column + 4));
    MESSAGE_SET(event, event, occurred_at, field_integer(rows, row, column + 5));
    const text_t traceparent = field_bytes(rows, row, column + 7);
    if (traceparent.size > 0) {
        MESSAGE_SET(event, event, traceparent, traceparent);
    }
    MESSAGE_SET(event, event, data, data);
    return RESULT_OK;
}

bool event_follows(const event_t *event, uint64_t before, bool has_gaps)
{
    return has_gaps ? event->card_sequence > before : event->card_sequence == before + 1;
}

/* --- Pages --- */

typedef struct events_command {
    command_t base;
    journal_events_done_t *done;
    void *context;
    uuid_t card; /* history */
    bool has_cursor;
    bool is_bad_cursor;
    int64_t position;
    uint32_t partition; /* events */
    uint64_t after;
    uint32_t limit;
    char cursor[PAGE_CURSOR_SIZE];
    journal_events_t page;
} events_command_t;

/* Decodes `count` rows of the only result. */
static result_t page_decode(events_command_t *events, int count, int column)
{
    const PGresult *const rows = events->base.results[0];
    arena_t arena;
    (void)events_arena(&events->base, (size_t)count, 0, &arena);
    event_t *const decoded = arena_take(&arena, (size_t)count * sizeof *decoded);
    result_t result = RESULT_OK;
    for (int i = 0; result == RESULT_OK && i < count; i++) {
        result = event_from_fields(events->base.lane->tenant, rows, i, column, &arena, &decoded[i]);
    }
    events->page.events = decoded;
    events->page.event_count = (size_t)count;
    return result;
}

static bool events_end(events_command_t *events, result_t result)
{
    if (result != RESULT_OK) {
        events->page = (journal_events_t){0};
    }
    events->page.result = result;
    events->done(events->context, &events->page);
    return false;
}

static bool history_send(command_t *command, lane_t *lane)
{
    const events_command_t *const events = (const events_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    parameter_uuid(parameters, &events->card);
    if (events->has_cursor) {
        parameter_integer(parameters, events->position);
    } else {
        parameter_null(parameters);
    }
    parameter_integer(parameters, (int64_t)events->limit + 1);
    return lane_send(lane, STATEMENT_history);
}

static bool history_finish(command_t *command)
{
    events_command_t *const events = (events_command_t *)command;
    if (command->result != RESULT_OK) {
        return events_end(events, command->result);
    }
    const PGresult *const rows = command->results[0];
    const int found = PQntuples(rows);
    if (events->is_bad_cursor || (events->has_cursor && found == 0)) {
        return events_end(events, RESULT_INVALID_CURSOR); /* a cursor may be anything */
    }
    const bool is_more = found > (int)events->limit;
    if (is_more) {
        events->page.next_cursor = page_cursor_write(
            PAGE_CURSOR_HISTORY, field_integer(rows, found - 1, 1), events->cursor);
    }
    const bool has_gaps = found > 0 && !field_is_null(rows, 0, 0);
    events->page.archived_before = has_gaps ? field_integer(rows, 0, 0) : 0;
    result_t result = page_decode(events, is_more ? found - 1 : found, 1);
    for (size_t i = 1; result == RESULT_OK && i < events->page.event_count; i++) {
        const event_t *const event = &events->page.events[i];
        if (!event_follows(&event[-1], event->card_sequence, has_gaps)) {
            result = row_is_damaged(
                command->lane->tenant,
                (int64_t)(event->partition << JOURNAL_SEQUENCE_BITS | event->sequence),
                "chain of its card");
        }
    }
    return events_end(events, result);
}

result_t postgres_read_history(journal_tenant_t *tenant, const uuid_t *card, text_t cursor,
                               uint32_t limit, journal_events_done_t *done, void *context)
{
    assert(limit > 0 && !tenant->closing);
    events_command_t *events = command_create(lane_for_reads(tenant), sizeof *events, COMMAND_READ,
                                              history_send, history_finish);
    events->done = done;
    events->context = context;
    events->card = *card;
    events->has_cursor = !text_is_empty(cursor);
    events->is_bad_cursor =
        events->has_cursor && !page_cursor_read(PAGE_CURSOR_HISTORY, cursor, &events->position);
    events->limit = limit < LIMIT_STORE_PAGE_ROWS ? limit : LIMIT_STORE_PAGE_ROWS;
    command_uses(&events->base, STATEMENT_history);
    return lane_submit(&events->base);
}

static bool partition_send(command_t *command, lane_t *lane)
{
    const events_command_t *const events = (const events_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    parameter_integer(parameters, events->partition);
    parameter_integer(parameters, (int64_t)events->after);
    parameter_integer(parameters, events->limit);
    return lane_send(lane, STATEMENT_events_after);
}

static bool partition_finish(command_t *command)
{
    events_command_t *const events = (events_command_t *)command;
    const journal_tenant_t *const tenant = command->lane->tenant;
    if (command->result != RESULT_OK) {
        return events_end(events, command->result);
    }
    const PGresult *const rows = command->results[0];
    const int found = PQntuples(rows);
    if (found == 0) {
        return events_end(events, RESULT_MISSING);
    }
    events->page.head = (uint64_t)field_integer(rows, 0, 0);
    events->page.archived_to = (uint64_t)field_integer(rows, 0, 1);
    const bool is_empty = field_is_null(rows, 0, 2);
    result_t result = page_decode(events, is_empty ? 0 : found, 2);
    uint64_t before = events->after;
    for (size_t i = 0; result == RESULT_OK && i < events->page.event_count; i++) {
        const uint64_t sequence = events->page.events[i].sequence;
        if (sequence != before + 1 && before >= events->page.archived_to) {
            result = row_is_damaged(
                tenant, (int64_t)events->partition << JOURNAL_SEQUENCE_BITS | (int64_t)(before + 1),
                "missing");
        }
        before = sequence;
    }
    if (result == RESULT_OK && is_empty && events->after < events->page.head) {
        result = row_is_damaged(tenant,
                                (int64_t)events->partition << JOURNAL_SEQUENCE_BITS |
                                    (int64_t)(events->after + 1),
                                "missing");
    }
    return events_end(events, result);
}

result_t postgres_read_events(journal_tenant_t *tenant, uint32_t partition, uint64_t after,
                              uint32_t limit, journal_events_done_t *done, void *context)
{
    assert(limit > 0 && !tenant->closing);
    events_command_t *events = command_create(lane_for_reads(tenant), sizeof *events, COMMAND_READ,
                                              partition_send, partition_finish);
    events->done = done;
    events->context = context;
    events->partition = partition;
    events->after = after < (uint64_t)JOURNAL_SEQUENCE_MAX ? after : (uint64_t)JOURNAL_SEQUENCE_MAX;
    events->limit = limit < LIMIT_STORE_PAGE_ROWS ? limit : LIMIT_STORE_PAGE_ROWS;
    command_uses(&events->base, STATEMENT_events_after);
    return lane_submit(&events->base);
}
