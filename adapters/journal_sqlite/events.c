/* Reading events: one row, the chain of one card, pages of a card's history and of a partition. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>

enum { DECODE_ROOM = 512 }; /* event_data has no lists; room for those of later versions */

/* --- Rows --- */

static result_t row_is_damaged(const connection_t *connection, int64_t id, const char *what)
{
    log_error("an event of the journal is damaged: run `digitalcard store verify` and restore the "
              "file from a backup",
              LOG_STRING("file", connection->path),
              LOG_NUMBER("partition", id >> JOURNAL_SEQUENCE_BITS),
              LOG_NUMBER("sequence", id & JOURNAL_SEQUENCE_MAX), LOG_STRING("what", what));
    return RESULT_STORE_CORRUPT;
}

result_t event_from_row(const journal_tenant_t *tenant, connection_t *connection, sqlite3_stmt *row,
                        store_memory_t *memory, event_t *event, int64_t *previous)
{
    *event = (event_t){0};
    const int64_t id = sqlite3_column_int64(row, 0);
    const int64_t before = sqlite3_column_int64(row, 1);
    uuid_t card;
    uuid_t event_id;
    if (!column_uuid(row, 2, &card) || !column_uuid(row, 7, &event_id)) {
        return row_is_damaged(connection, id, "id");
    }
    const int64_t name = sqlite3_column_int64(row, 4);
    if (name < 1 || name >= event_name_enum.count) {
        return row_is_damaged(connection, id, "name");
    }
    const uint64_t partition = (uint64_t)id >> JOURNAL_SEQUENCE_BITS;
    const text_t body = store_memory_copy(memory, column_bytes(row, 9));
    event_data_t data;
    message_fault_t fault;
    if (!message_unpack(&event_data_message, MESSAGE_KEYS_IDS, (const uint8_t *)body.data,
                        body.size, store_memory_arena(memory, DECODE_ROOM), &data, &fault)) {
        return row_is_damaged(connection, id, fault.detail);
    }
    MESSAGE_SET(event, event, event_id, event_id);
    MESSAGE_SET(event, event, tenant, text_from_c(tenant->name));
    MESSAGE_SET(event, event, partition, partition);
    MESSAGE_SET(event, event, sequence, (uint64_t)(id & JOURNAL_SEQUENCE_MAX));
    MESSAGE_SET(event, event, card, card);
    MESSAGE_SET(event, event, card_sequence, column_unsigned(row, 3));
    MESSAGE_SET(event, event, name, (uint8_t)name);
    MESSAGE_SET(event, event, version, column_unsigned(row, 5));
    MESSAGE_SET(event, event, occurred_at, sqlite3_column_int64(row, 6));
    const text_t traceparent = store_memory_copy(memory, column_bytes(row, 8));
    if (traceparent.size > 0) {
        MESSAGE_SET(event, event, traceparent, traceparent);
    }
    MESSAGE_SET(event, event, data, data);
    *previous = before == 0 ? 0 : (int64_t)(partition << JOURNAL_SEQUENCE_BITS) | before;
    return RESULT_OK;
}

result_t card_head_read(connection_t *connection, const uuid_t *card, card_head_t *head)
{
    *head = (card_head_t){0};
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(connection, STATEMENT_card_head_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_blob(statement, 1, card->bytes, sizeof card->bytes);
    result = statement_next(connection, statement, &head->found);
    if (result != RESULT_OK) {
        return result;
    }
    if (head->found) {
        head->last_event = sqlite3_column_int64(statement, 0);
        head->card_sequence = column_unsigned(statement, 1);
    }
    statement_done(statement);
    return RESULT_OK;
}

/* One link of a card's chain. `found` may be NULL when the row has to exist. */
static result_t chain_read(journal_tenant_t *tenant, int64_t id, store_memory_t *memory,
                           event_t *event, int64_t *previous, bool *found)
{
    connection_t *const connection = &tenant->reader;
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(connection, STATEMENT_event_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bool row = false;
    bind_integer(statement, 1, id);
    result = statement_next(connection, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    if (row) {
        result = event_from_row(tenant, connection, statement, memory, event, previous);
    } else if (found == NULL) {
        result = row_is_damaged(connection, id, "missing");
    }
    statement_done(statement);
    if (found != NULL) {
        *found = row;
    }
    return result;
}

/* An event and the one after it in its card. */
static bool chain_holds(const journal_tenant_t *tenant, const event_t *event, const uuid_t *card,
                        uint64_t later, int64_t previous)
{
    const bool follows =
        tenant->has_gaps ? event->card_sequence < later : event->card_sequence + 1 == later;
    return follows && uuid_equal(&event->card, card) &&
           (previous == 0) == (event->card_sequence == 1);
}

result_t event_tail_read(journal_tenant_t *tenant, const uuid_t *card, const card_head_t *head,
                         uint64_t after_sequence, store_memory_t *memory, event_tail_t *tail)
{
    *tail = (event_tail_t){0};
    if (!head->found || head->card_sequence <= after_sequence) {
        return RESULT_OK;
    }
    uint64_t count = head->card_sequence - after_sequence;
    if (count > LIMIT_LOAD_TAIL_EVENTS && !tenant->has_gaps) {
        return row_is_damaged(&tenant->reader, head->last_event, "no snapshot near the last event");
    }
    count = count < LIMIT_LOAD_TAIL_EVENTS ? count : LIMIT_LOAD_TAIL_EVENTS;
    result_t result = RESULT_OK;
    event_t *const events = store_memory_take(memory, count * sizeof *events);
    int64_t id = head->last_event;
    uint64_t later = head->card_sequence + 1;
    uint64_t free_places = count;
    while (result == RESULT_OK && id != 0 && free_places > 0) {
        event_t *const event = &events[free_places - 1];
        int64_t previous = 0;
        result = chain_read(tenant, id, memory, event, &previous, NULL);
        if (result == RESULT_OK && !chain_holds(tenant, event, card, later, previous)) {
            result = row_is_damaged(&tenant->reader, id, "chain of its card");
        }
        if (result != RESULT_OK || event->card_sequence <= after_sequence) {
            break;
        }
        later = event->card_sequence;
        free_places--;
        id = previous;
    }
    tail->events = events + free_places;
    tail->count = count - free_places;
    return result;
}

/* --- Pages --- */

typedef struct events_job {
    store_job_t base;
    journal_events_done_t *done;
    void *context;
    uuid_t card; /* history */
    text_t cursor;
    uint32_t partition; /* events */
    uint64_t after;
    uint32_t limit;
    event_t *events;
    size_t capacity;
    journal_events_t page;
} events_job_t;

/* The next free place; what is full is copied into twice the room. */
static event_t *page_place(events_job_t *job)
{
    if (job->page.event_count == job->capacity) {
        const size_t capacity = job->capacity == 0 ? 64 : job->capacity * 2;
        event_t *const events = store_memory_take(&job->base.memory, capacity * sizeof *events);
        if (job->capacity > 0) {
            memcpy(events, job->events, job->capacity * sizeof *events);
        }
        job->events = events;
        job->capacity = capacity;
        job->page.events = events;
    }
    return &job->events[job->page.event_count];
}

static void events_finish(store_job_t *base)
{
    events_job_t *job = (events_job_t *)base;
    if (job->page.result != RESULT_OK) {
        job->page = (journal_events_t){.result = job->page.result};
    }
    job->done(job->context, &job->page);
}

static result_t history_start(events_job_t *job, int64_t *id)
{
    if (!text_is_empty(job->cursor)) {
        return page_cursor_read(PAGE_CURSOR_HISTORY, job->cursor, id) ? RESULT_OK
                                                                      : RESULT_INVALID_CURSOR;
    }
    card_head_t head;
    const result_t result = card_head_read(&job->base.tenant->reader, &job->card, &head);
    *id = head.last_event;
    return result;
}

static result_t archived_before_read(events_job_t *job)
{
    connection_t *const reader = &job->base.tenant->reader;
    sqlite3_stmt *statement = NULL;
    bool row = false;
    result_t result = connection_statement(reader, STATEMENT_archived_before, &statement);
    if (result == RESULT_OK) {
        result = statement_next(reader, statement, &row);
    }
    if (result == RESULT_OK) {
        job->page.archived_before = row ? sqlite3_column_int64(statement, 0) : 0;
        statement_done(statement);
    }
    return result;
}

static result_t history_read(events_job_t *job)
{
    int64_t id = 0;
    result_t result = history_start(job, &id);
    bool is_from_cursor = !text_is_empty(job->cursor);
    while (result == RESULT_OK && id != 0 && job->page.event_count < job->limit) {
        event_t *const event = page_place(job);
        int64_t previous = 0;
        bool found = true;
        result = chain_read(job->base.tenant, id, &job->base.memory, event, &previous,
                            is_from_cursor ? &found : NULL);
        if (result != RESULT_OK) {
            break;
        }
        if (!found || !uuid_equal(&event->card, &job->card)) {
            /* A cursor may be anything; a link that we wrote may not. */
            result = is_from_cursor ? RESULT_INVALID_CURSOR
                                    : row_is_damaged(&job->base.tenant->reader, id, "chain");
            break;
        }
        is_from_cursor = false;
        job->page.event_count++;
        id = previous;
    }
    if (result == RESULT_OK && job->base.tenant->has_gaps) {
        result = archived_before_read(job);
    }
    if (result == RESULT_OK && id != 0) {
        job->page.next_cursor = page_cursor_write(
            PAGE_CURSOR_HISTORY, id, store_memory_take(&job->base.memory, PAGE_CURSOR_SIZE));
    }
    return result;
}

/* Runs `read` within one read transaction. */
static result_t events_read_within(events_job_t *job, result_t (*read)(events_job_t *))
{
    connection_t *const reader = &job->base.tenant->reader;
    result_t result = connection_run(reader, STATEMENT_begin);
    if (result == RESULT_OK) {
        result = read(job);
    }
    connection_rollback(reader);
    return result;
}

static void history_run(store_job_t *base)
{
    events_job_t *job = (events_job_t *)base;
    job->page.result = events_read_within(job, history_read);
}

result_t journal_read_history(journal_tenant_t *tenant, const uuid_t *card, text_t cursor,
                              uint32_t limit, journal_events_done_t *done, void *context)
{
    assert(limit > 0 && !tenant->closing);
    events_job_t *job = store_job_create(tenant, sizeof *job, history_run, events_finish);
    job->done = done;
    job->context = context;
    job->card = *card;
    job->cursor = cursor;
    job->limit = limit < LIMIT_STORE_PAGE_ROWS ? limit : LIMIT_STORE_PAGE_ROWS;
    return store_job_submit(&job->base, STORE_LANE_READ);
}

static result_t partition_head_read(events_job_t *job)
{
    connection_t *const reader = &job->base.tenant->reader;
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(reader, STATEMENT_partition_head, &statement);
    bool row = false;
    if (result == RESULT_OK) {
        bind_integer(statement, 1, job->partition);
        result = statement_next(reader, statement, &row);
    }
    if (result != RESULT_OK) {
        return result;
    }
    job->page.head = row ? column_unsigned(statement, 0) : 0;
    job->page.archived_to = row ? column_unsigned(statement, 1) : 0;
    statement_done(statement);
    return row ? RESULT_OK : RESULT_MISSING;
}

static result_t partition_read(events_job_t *job)
{
    connection_t *const reader = &job->base.tenant->reader;
    sqlite3_stmt *statement = NULL;
    result_t result = partition_head_read(job);
    if (result != RESULT_OK || job->after >= job->page.head) {
        return result;
    }
    result = connection_statement(reader, STATEMENT_event_after, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    const int64_t base = (int64_t)job->partition << JOURNAL_SEQUENCE_BITS;
    bind_integer(statement, 1, base | (int64_t)job->after);
    bind_integer(statement, 2, base | (int64_t)job->page.head);
    bind_integer(statement, 3, job->limit);
    uint64_t last = job->after;
    bool row = true;
    while (result == RESULT_OK) { /* bounded by the limit in the statement */
        result = statement_next(reader, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        event_t *const event = page_place(job);
        int64_t previous = 0;
        result = event_from_row(job->base.tenant, reader, statement, &job->base.memory, event,
                                &previous);
        if (result == RESULT_OK && event->sequence != last + 1 && last >= job->page.archived_to) {
            result = row_is_damaged(reader, base | (int64_t)(last + 1), "missing");
        }
        last = event->sequence;
        job->page.event_count++;
    }
    statement_done(statement);
    return result;
}

static void partition_run(store_job_t *base)
{
    events_job_t *job = (events_job_t *)base;
    job->page.result = events_read_within(job, partition_read);
}

result_t journal_read_events(journal_tenant_t *tenant, uint32_t partition, uint64_t after,
                             uint32_t limit, journal_events_done_t *done, void *context)
{
    assert(limit > 0 && !tenant->closing);
    events_job_t *job = store_job_create(tenant, sizeof *job, partition_run, events_finish);
    job->done = done;
    job->context = context;
    job->partition = partition;
    job->after = after;
    job->limit = limit < LIMIT_STORE_PAGE_ROWS ? limit : LIMIT_STORE_PAGE_ROWS;
    return store_job_submit(&job->base, STORE_LANE_READ);
}
