/* What an actor reads before it decides, in one statement: its card with the tail, the key of its
 * member, an earlier reply, a note. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/clock.h"
#include "runtime/crash_slot.h"
#include <assert.h>

enum {
    LOAD_MEMBER,
    LOAD_CARD_SEQUENCE,
    LOAD_BODY,
    LOAD_MEMBER_KEY,
    LOAD_REQUEST_HASH,
    LOAD_REPLY,
    LOAD_NOTE,
    LOAD_ARCHIVED,
    LOAD_EVENT
};

typedef struct load_command {
    command_t base;
    journal_load_t load; /* what it points to is the caller's until `done` */
    journal_loaded_done_t *done;
    void *context;
    journal_loaded_t loaded;
    PGresult *first; /* the load itself, while the key of the member is asked for */
} load_command_t;

static bool load_send(command_t *command, lane_t *lane)
{
    const load_command_t *const load = (const load_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    if (load->first != NULL) {
        parameter_bytes(parameters, load->loaded.tail[0].data.member_id);
        return lane_send(lane, STATEMENT_member_key_get);
    }
    if (load->load.card == NULL) {
        parameter_null(parameters);
    } else {
        parameter_uuid(parameters, load->load.card);
    }
    const text_t texts[3] = {load->load.member_id, load->load.idempotency_key, load->load.note_key};
    for (size_t i = 0; i < 3; i++) {
        if (text_is_empty(texts[i])) {
            parameter_null(parameters);
        } else {
            parameter_bytes(parameters, texts[i]);
        }
    }
    return lane_send(lane, STATEMENT_load);
}

static bool load_end(load_command_t *load, result_t result)
{
    const metric_t *const time = load->base.lane->tenant->journal->load_time;
    if (result != RESULT_OK) {
        load->loaded = (journal_loaded_t){0};
    }
    load->loaded.result = result;
    if (time != NULL) {
        metric_observe_us(load->base.lane->tenant->journal->load_time,
                          clock_monotonic_us() - load->base.submitted_us);
    }
    load->done(load->context, &load->loaded);
    PQclear(load->first);
    return false;
}

static result_t tail_decode(load_command_t *load, const PGresult *rows)
{
    const journal_tenant_t *const tenant = load->base.lane->tenant;
    const int count = field_is_null(rows, 0, LOAD_EVENT) ? 0 : PQntuples(rows);
    const bool has_gaps = !field_is_null(rows, 0, LOAD_ARCHIVED);
    uint64_t before = field_is_null(rows, 0, LOAD_BODY) ? 0 : (uint64_t)field_integer(rows, 0, 1);
    if (count > LIMIT_LOAD_TAIL_EVENTS) {
        return row_is_damaged(tenant, field_integer(rows, 0, LOAD_EVENT),
                              "no snapshot near the last event");
    }
    arena_t arena;
    (void)events_arena(&load->base, (size_t)count, 0, &arena);
    event_t *const events = arena_take(&arena, (size_t)count * sizeof *events);
    result_t result = RESULT_OK;
    for (int i = 0; result == RESULT_OK && i < count; i++) {
        result = event_from_fields(tenant, rows, i, LOAD_EVENT, &arena, &events[i]);
        if (result == RESULT_OK && !event_follows(&events[i], before, has_gaps)) {
            result =
                row_is_damaged(tenant, field_integer(rows, i, LOAD_EVENT), "chain of its card");
        }
        before = events[i].card_sequence;
    }
    load->loaded.tail = events;
    load->loaded.tail_count = (size_t)count;
    load->loaded.card_sequence = before;
    return result;
}

/* What kills meanwhile is the card's fault. Without a card there are no such rows. */
static result_t tail_decode_blamed(load_command_t *load, const PGresult *rows)
{
    const journal_tenant_t *const tenant = load->base.lane->tenant;
    if (load->load.card == NULL) {
        return tail_decode(load, rows);
    }
    crash_reading_begin(&(crash_reading_t){.tenant = tenant->name,
                                           .tenant_size = strlen(tenant->name),
                                           .actor = load->load.card->bytes});
    const result_t result = tail_decode(load, rows);
    crash_reading_end();
    return result;
}

static result_t rows_read(load_command_t *load, const PGresult *rows)
{
    journal_loaded_t *const loaded = &load->loaded;
    *loaded = (journal_loaded_t){0};
    const result_t result = tail_decode_blamed(load, rows);
    const bool has_card = !field_is_null(rows, 0, LOAD_BODY);
    loaded->snapshot = has_card ? field_bytes(rows, 0, LOAD_BODY) : TEXT_NONE;
    loaded->card_found = has_card || loaded->tail_count > 0;
    loaded->sealed_member_key = field_bytes(rows, 0, LOAD_MEMBER_KEY);
    loaded->note_found = !field_is_null(rows, 0, LOAD_NOTE);
    loaded->note = loaded->note_found ? field_bytes(rows, 0, LOAD_NOTE) : TEXT_NONE;
    const text_t hash = field_bytes(rows, 0, LOAD_REQUEST_HASH);
    loaded->idempotency_found = !field_is_null(rows, 0, LOAD_REQUEST_HASH);
    if (loaded->idempotency_found) {
        if (hash.size != sizeof loaded->request_hash) {
            return RESULT_STORE_CORRUPT;
        }
        memcpy(loaded->request_hash, hash.data, hash.size);
        loaded->reply = field_bytes(rows, 0, LOAD_REPLY);
    }
    return result;
}

/* Before there is a snapshot, only the first event knows the member. */
static bool needs_member_key(const load_command_t *load)
{
    const journal_loaded_t *const loaded = &load->loaded;
    return text_is_empty(load->load.member_id) && loaded->snapshot.size == 0 &&
           loaded->tail_count > 0 && MESSAGE_HAS(event_data, &loaded->tail[0].data, member_id);
}

static bool load_finish(command_t *command)
{
    load_command_t *const load = (load_command_t *)command;
    if (command->result != RESULT_OK) {
        return load_end(load, command->result);
    }
    if (load->first != NULL) { /* the second time */
        load->loaded.sealed_member_key = PQntuples(command->results[0]) == 0
                                             ? TEXT_NONE
                                             : field_bytes(command->results[0], 0, 0);
        return load_end(load, RESULT_OK);
    }
    const result_t result = PQntuples(command->results[0]) == 0
                                ? RESULT_STORE_CORRUPT
                                : rows_read(load, command->results[0]);
    if (result != RESULT_OK || !needs_member_key(load)) {
        return load_end(load, result);
    }
    load->first = command->results[0];
    load->base.kept = command->memory; /* the events stay until the second answer */
    command->memory = NULL;
    command->result_count = 0;
    command->statement_count = 0;
    command_uses(command, STATEMENT_member_key_get);
    return true;
}

result_t postgres_load(journal_tenant_t *tenant, const journal_load_t *load,
                       journal_loaded_done_t *done, void *context)
{
    assert(!tenant->closing);
    load_command_t *command = command_create(lane_for_reads(tenant), sizeof *command, COMMAND_READ,
                                             load_send, load_finish);
    command->load = *load;
    command->done = done;
    command->context = context;
    command_uses(&command->base, STATEMENT_load);
    return lane_submit(&command->base);
}
