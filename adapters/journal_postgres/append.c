/* Batches: one statement each, which begins with the check that fences; every other part of it
 * takes its rows from there, so that a lost ownership writes nothing. And what became of a batch
 * whose answer was lost. Must not know what an event means. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PART_EVENTS = 1,
    PART_SNAPSHOTS = 2,
    PART_IDEMPOTENCY = 4,
    PART_MEMBER_KEYS = 8,
    PART_REFUSALS = 16,
    PART_REMINDERS = 32,
    PART_NOTES = 64,
    PART_COUNT = 7,
};

typedef struct append_command {
    command_t base;
    const journal_batch_t *batch; /* the caller's until `done` */
    journal_batch_done_t *done;
    void *context;
    bool looks_for_event;
    bool looks_for_reply;
} append_command_t;

/* --- The statement --- */

#define CLAIMED "FROM partition WHERE id = $1 AND epoch = $2 AND head = $3"

static const char *const part_sql[PART_COUNT] = {
    /* Where an event does not continue its card within the partition, the NULL is refused. The
     * subquery has a LIMIT so that the planner never makes a hash of the whole table. */
    ", put_event AS (INSERT INTO event (id, card, card_sequence, name, version, occurred_at, "
    "event_id, traceparent, body, month) SELECT ($1 << 56 | $3) + i.number, i.card, "
    "CASE WHEN i.follows OR (SELECT true FROM event p WHERE p.card = i.card AND "
    "p.card_sequence = i.card_sequence - 1 AND p.id BETWEEN $1 << 56 AND "
    "$1 << 56 | 72057594037927935 LIMIT 1) THEN i.card_sequence END, i.name, i.version, "
    "i.occurred_at, i.event_id, i.traceparent, i.body, i.month FROM claim, unnest($5, $6, $7, $8, "
    "$9, $10, $11, $12, $13, $45) WITH ORDINALITY AS i (card, card_sequence, name, version, "
    "occurred_at, event_id, traceparent, body, follows, month, number))",
    ", put_card AS (INSERT INTO card (id, member_id, member_folded, tier, tier_folded, status, "
    "expires_at, card_sequence, body) SELECT i.id, i.member_id, i.member_folded, i.tier, "
    "i.tier_folded, i.status, i.expires_at, i.card_sequence, i.body FROM claim, unnest($14, $15, "
    "$16, $17, $18, $19, $20, $21, $22) WITH ORDINALITY AS i (id, member_id, member_folded, tier, "
    "tier_folded, status, expires_at, card_sequence, body, number) ORDER BY i.number "
    "ON CONFLICT (id) DO UPDATE SET member_id = excluded.member_id, member_folded = "
    "excluded.member_folded, tier = excluded.tier, tier_folded = excluded.tier_folded, status = "
    "excluded.status, expires_at = excluded.expires_at, card_sequence = excluded.card_sequence, "
    "body = excluded.body)",
    ", put_reply AS (INSERT INTO idempotency (key, request_hash, reply, recorded_at) SELECT i.key, "
    "i.request_hash, i.reply, i.recorded_at FROM claim, unnest($23, $24, $25, $26) AS i (key, "
    "request_hash, reply, recorded_at))",
    ", put_key AS (INSERT INTO member_key (member_id, sealed_key) SELECT i.member_id, i.sealed_key "
    "FROM claim, unnest($27, $28) AS i (member_id, sealed_key) ON CONFLICT (member_id) DO UPDATE "
    "SET sealed_key = excluded.sealed_key)",
    ", put_refusal AS (INSERT INTO refusal_log (recorded_at, reason, gate, code) SELECT "
    "i.recorded_at, i.reason, i.gate, i.code FROM claim, unnest($29, $30, $31, $32) AS i "
    "(recorded_at, reason, gate, code))",
    ", drop_reminder AS (DELETE FROM reminder r USING claim, unnest($33, $34, $35) AS i (action, "
    "actor, name) WHERE i.action = 3 AND r.actor = i.actor AND r.name = i.name), put_reminder AS "
    "(INSERT INTO reminder (actor, name, due_at, period_ms, data) SELECT i.actor, i.name, "
    "i.due_at, i.period_ms, i.data FROM claim, unnest($33, $34, $35, $37, $38, $39) AS i (action, "
    "actor, name, due_at, period_ms, data) WHERE i.action = 1 OR (i.action = 2 AND NOT EXISTS "
    "(SELECT FROM reminder r WHERE r.actor = i.actor AND r.name = i.name)) ON CONFLICT (actor, "
    "name) DO UPDATE SET due_at = excluded.due_at, period_ms = excluded.period_ms, data = "
    "excluded.data)",
    ", put_note AS (INSERT INTO note (key, is_open, body) SELECT i.key, i.is_open, i.body FROM "
    "claim, unnest($42, $43, $44) AS i (key, is_open, body) ON CONFLICT (key) DO UPDATE SET "
    "is_open = excluded.is_open, body = excluded.body)",
};
_Static_assert(1 << PART_COUNT == STATEMENT_COMBINATIONS, "one statement per combination");

/* Reminders that were delivered must still be as they were. */
static const char reminders_hold[] =
    " AND NOT EXISTS (SELECT FROM unnest($34, $35, $36) AS i (actor, name, expected_at) LEFT JOIN "
    "reminder r ON r.actor = i.actor AND r.name = i.name WHERE i.expected_at <> 0 AND r.due_at IS "
    "DISTINCT FROM i.expected_at)";

/* Each value has its type in every combination, so that all have the same numbers. */
static const Oid append_types[] = {
    TYPE_INT8,        TYPE_INT8,        TYPE_INT8,        TYPE_INT8,       /* 1: partition … */
    TYPE_UUID_ARRAY,  TYPE_INT8_ARRAY,  TYPE_INT2_ARRAY,  TYPE_INT8_ARRAY, /* 5: events */
    TYPE_INT8_ARRAY,  TYPE_UUID_ARRAY,  TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY,
    TYPE_BOOL_ARRAY,  TYPE_UUID_ARRAY,  TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY,
    TYPE_BYTEA_ARRAY, /* 14: snapshots */
    TYPE_BYTEA_ARRAY, TYPE_INT2_ARRAY,  TYPE_INT8_ARRAY,  TYPE_INT8_ARRAY,
    TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY,
    TYPE_INT8_ARRAY,                                                        /* 23: replies */
    TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY,                                     /* 27: member keys */
    TYPE_INT8_ARRAY,  TYPE_INT2_ARRAY,  TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY, /* 29: refusals */
    TYPE_INT2_ARRAY,  TYPE_UUID_ARRAY,  TYPE_BYTEA_ARRAY, TYPE_INT8_ARRAY,  /* 33: reminders */
    TYPE_INT8_ARRAY,  TYPE_INT8_ARRAY,  TYPE_BYTEA_ARRAY, TYPE_INT8,
    TYPE_INT8,                                            /* 40: usage */
    TYPE_BYTEA_ARRAY, TYPE_INT8_ARRAY,  TYPE_BYTEA_ARRAY, /* 42: notes */
    TYPE_INT4_ARRAY,                                      /* 45: months of events */
};

void append_sql(statement_t which, char *sql, size_t size, const Oid **types, int *type_count)
{
    const unsigned parts = (unsigned)which - STATEMENT_FIXED;
    const char *claim = "SELECT id " CLAIMED;
    const char *end = "";
    if ((parts & PART_EVENTS) != 0) {
        claim = "UPDATE partition SET head = head + $4, cards = cards + $40, bytes = bytes + $41 "
                "WHERE id = $1 AND epoch = $2 AND head = $3";
        end = " RETURNING id";
    } else if (parts != 0) {
        end = " FOR UPDATE";
    }
    int used = snprintf(sql, size, "WITH claim AS (%s%s%s)", claim,
                        (parts & PART_REMINDERS) != 0 ? reminders_hold : "", end);
    for (unsigned i = 0; i < PART_COUNT; i++) {
        if ((parts & 1U << i) != 0) {
            used += snprintf(sql + used, size - (size_t)used, "%s", part_sql[i]);
            assert(used > 0 && (size_t)used < size);
        }
    }
    used += snprintf(sql + used, size - (size_t)used, " SELECT count(*) FROM claim");
    assert(used > 0 && (size_t)used < size);
    *types = append_types;
    *type_count = (int)(sizeof append_types / sizeof append_types[0]);
}

static unsigned batch_parts(const journal_batch_t *batch)
{
    return (batch->event_count > 0 ? PART_EVENTS : 0U) |
           (batch->snapshot_count > 0 ? PART_SNAPSHOTS : 0U) |
           (batch->idempotency_count > 0 ? PART_IDEMPOTENCY : 0U) |
           (batch->member_key_count > 0 ? PART_MEMBER_KEYS : 0U) |
           (batch->refusal_count > 0 ? PART_REFUSALS : 0U) |
           (batch->reminder_count > 0 ? PART_REMINDERS : 0U) |
           (batch->note_count > 0 ? PART_NOTES : 0U);
}

/* --- Which rows of a batch have the same key: an open table of indexes, one per batch --- */

typedef struct key_places {
    uint32_t *places; /* index + 1; 0: free */
    size_t mask;
} key_places_t;

static key_places_t key_places_create(size_t count)
{
    size_t size = 64;
    while (size < 2 * count) { /* bounded by the size of a batch */
        size *= 2;
    }
    key_places_t table = {.places = calloc(size, sizeof(uint32_t)), .mask = size - 1};
    assert(table.places != NULL);
    return table;
}

static size_t key_hash(const void *data, size_t size)
{
    const uint8_t *const bytes = data;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return (size_t)(hash ^ hash >> 32);
}

/* The place of the key: the one that has it, or the free one for it. */
static uint32_t *key_place(const key_places_t *table, text_t key,
                           text_t (*key_of)(const void *rows, size_t index), const void *rows)
{
    size_t at = key_hash(key.data, key.size) & table->mask;
    while (table->places[at] != 0 && !text_equal(key_of(rows, table->places[at] - 1), key)) {
        at = (at + 1) & table->mask; /* half of them are free */
    }
    return &table->places[at];
}

static text_t uuid_text(const uuid_t *id)
{
    return (text_t){.data = (const char *)id->bytes, .size = sizeof id->bytes};
}

static text_t event_key(const void *rows, size_t index)
{
    return uuid_text(&((const journal_event_t *)rows)[index].card);
}

static text_t snapshot_key(const void *rows, size_t index)
{
    return uuid_text(&((const journal_snapshot_t *)rows)[index].card);
}

static text_t member_key(const void *rows, size_t index)
{
    return ((const journal_member_key_t *)rows)[index].member_id;
}

static text_t note_key(const void *rows, size_t index)
{
    return ((const journal_note_t *)rows)[index].key;
}

/* Which rows are the last of their key: earlier ones would be replaced by them. `kept` gets their
 * indexes in order. */
static size_t last_ones(size_t count, text_t (*key_of)(const void *, size_t), const void *rows,
                        uint32_t *kept)
{
    const key_places_t table = key_places_create(count);
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i++) {
        *key_place(&table, key_of(rows, i), key_of, rows) = (uint32_t)i + 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (*key_place(&table, key_of(rows, i), key_of, rows) == i + 1) {
            kept[kept_count] = (uint32_t)i;
            kept_count++;
        }
    }
    free(table.places);
    return kept_count;
}

/* --- Its values --- */

#define COLUMN(type, count, each)                                                                  \
    do {                                                                                           \
        parameter_array_begin(parameters, (type), (count));                                        \
        for (size_t i = 0; i < (count); i++) {                                                     \
            each;                                                                                  \
        }                                                                                          \
        parameter_array_end(parameters);                                                           \
    } while (false)

static void nulls_fill(parameters_t *parameters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        parameter_null(parameters);
    }
}

static card_place_t place_of(const journal_tenant_t *tenant, const journal_batch_t *batch, size_t i)
{
    return (card_place_t){.opening = tenant->opening,
                          .partition = (uint32_t)batch->partition,
                          .card = batch->events[i].card};
}

/* Whether each event's predecessor stands before it in the batch or is known to be stored, or it
 * needs none. The server looks for the others. */
static void follows_fill(parameters_t *parameters, const journal_tenant_t *tenant,
                         const journal_batch_t *batch)
{
    const journal_event_t *const events = batch->events;
    const size_t count = batch->event_count;
    const key_places_t table = key_places_create(count);
    parameter_array_begin(parameters, TYPE_BOOL, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t *const place = key_place(&table, event_key(events, i), event_key, events);
        const uint64_t before = events[i].card_sequence - 1;
        const card_place_t card = place_of(tenant, batch, i);
        element_bool(parameters, before == 0 ||
                                     (*place != 0 && events[*place - 1].card_sequence == before) ||
                                     card_tails_has(tenant->journal->tails, &card, before));
        *place = (uint32_t)i + 1;
    }
    parameter_array_end(parameters);
    free(table.places);
}

static void tails_note(const journal_tenant_t *tenant, const journal_batch_t *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        const card_place_t card = place_of(tenant, batch, i);
        card_tails_note(tenant->journal->tails, &card, batch->events[i].card_sequence);
    }
}

static void events_fill(parameters_t *parameters, const journal_tenant_t *tenant,
                        const journal_batch_t *batch)
{
    const journal_event_t *const rows = batch->events;
    const size_t count = batch->event_count;
    if (count == 0) {
        nulls_fill(parameters, 9);
        return;
    }
    COLUMN(TYPE_UUID, count, element_uuid(parameters, &rows[i].card));
    COLUMN(TYPE_INT8, count, element_int8(parameters, (int64_t)rows[i].card_sequence));
    COLUMN(TYPE_INT2, count, element_int2(parameters, rows[i].name));
    COLUMN(TYPE_INT8, count, element_int8(parameters, (int64_t)rows[i].version));
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[i].occurred_at));
    COLUMN(TYPE_UUID, count, element_uuid(parameters, &rows[i].event_id));
    parameter_array_begin(parameters, TYPE_BYTEA, count);
    for (size_t i = 0; i < count; i++) {
        if (text_is_empty(rows[i].traceparent)) {
            element_null(parameters);
        } else {
            element_bytes(parameters, rows[i].traceparent);
        }
    }
    parameter_array_end(parameters);
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[i].body));
    follows_fill(parameters, tenant, batch);
}

static void months_fill(parameters_t *parameters, const journal_event_t *rows, size_t count)
{
    if (count == 0) {
        nulls_fill(parameters, 1);
        return;
    }
    COLUMN(TYPE_INT4, count,
           element_int4(parameters, month_of_event(rows[i].name, rows[i].occurred_at)));
}

/* ASCII letters small, everything else as it is. */
static void element_folded(parameters_t *parameters, text_t text)
{
    element_bytes(parameters, text);
    uint8_t *const folded = parameters->bytes + parameters->size - text.size;
    for (size_t i = 0; i < text.size; i++) {
        const bool is_capital = folded[i] >= 'A' && folded[i] <= 'Z';
        folded[i] = is_capital ? (uint8_t)(folded[i] + ('a' - 'A')) : folded[i];
    }
}

static void snapshots_fill(parameters_t *parameters, const journal_snapshot_t *rows, size_t all)
{
    if (all == 0) {
        nulls_fill(parameters, 9);
        return;
    }
    uint32_t *kept = calloc(all, sizeof *kept);
    assert(kept != NULL);
    const size_t count = last_ones(all, snapshot_key, rows, kept);
    COLUMN(TYPE_UUID, count, element_uuid(parameters, &rows[kept[i]].card));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[kept[i]].member_id));
    COLUMN(TYPE_BYTEA, count, element_folded(parameters, rows[kept[i]].member_id));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[kept[i]].tier));
    COLUMN(TYPE_BYTEA, count, element_folded(parameters, rows[kept[i]].tier));
    COLUMN(TYPE_INT2, count, element_int2(parameters, rows[kept[i]].status));
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[kept[i]].expires_at));
    COLUMN(TYPE_INT8, count, element_int8(parameters, (int64_t)rows[kept[i]].card_sequence));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[kept[i]].body));
    free(kept);
}

static void idempotency_fill(parameters_t *parameters, const journal_idempotency_t *rows,
                             size_t count)
{
    if (count == 0) {
        nulls_fill(parameters, 4);
        return;
    }
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[i].key));
    COLUMN(TYPE_BYTEA, count,
           element_bytes(parameters, (text_t){(const char *)rows[i].request_hash,
                                              sizeof rows[i].request_hash}));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[i].reply));
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[i].recorded_at));
}

static void member_keys_fill(parameters_t *parameters, const journal_member_key_t *rows, size_t all)
{
    if (all == 0) {
        nulls_fill(parameters, 2);
        return;
    }
    uint32_t *kept = calloc(all, sizeof *kept);
    assert(kept != NULL);
    const size_t count = last_ones(all, member_key, rows, kept);
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[kept[i]].member_id));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[kept[i]].sealed_key));
    free(kept);
}

static void refusals_fill(parameters_t *parameters, const journal_refusal_t *rows, size_t count)
{
    if (count == 0) {
        nulls_fill(parameters, 4);
        return;
    }
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[i].recorded_at));
    COLUMN(TYPE_INT2, count, element_int2(parameters, rows[i].reason));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[i].gate));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[i].code));
}

static void reminders_fill(parameters_t *parameters, const journal_reminder_t *rows, size_t count)
{
    if (count == 0) {
        nulls_fill(parameters, 7);
        return;
    }
    COLUMN(TYPE_INT2, count, element_int2(parameters, (int16_t)rows[i].action));
    COLUMN(TYPE_UUID, count, element_uuid(parameters, &rows[i].actor));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[i].name));
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[i].expected_at));
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[i].due_at));
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[i].period_ms));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[i].data));
}

static void notes_fill(parameters_t *parameters, const journal_note_t *rows, size_t all)
{
    if (all == 0) {
        nulls_fill(parameters, 3);
        return;
    }
    uint32_t *kept = calloc(all, sizeof *kept);
    assert(kept != NULL);
    const size_t count = last_ones(all, note_key, rows, kept);
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[kept[i]].key));
    COLUMN(TYPE_INT8, count, element_int8(parameters, rows[kept[i]].is_open ? 1 : 0));
    COLUMN(TYPE_BYTEA, count, element_bytes(parameters, rows[kept[i]].body));
    free(kept);
}

/* --- Sending --- */

static bool outcome_ask(const append_command_t *append, lane_t *lane)
{
    const journal_batch_t *const batch = append->batch;
    parameters_t *parameters = lane_parameters(lane);
    parameter_integer(parameters, batch->partition);
    parameter_integer(parameters, (int64_t)batch->epoch);
    if (!lane_send(lane, STATEMENT_partition_fence)) {
        return false;
    }
    parameters = lane_parameters(lane);
    if (append->looks_for_event) {
        parameter_integer(parameters, (int64_t)batch->partition << JOURNAL_SEQUENCE_BITS |
                                          (int64_t)(batch->head + 1));
        return lane_send(lane, STATEMENT_event_find);
    }
    if (append->looks_for_reply) {
        parameter_bytes(parameters, batch->idempotency[0].key);
        return lane_send(lane, STATEMENT_reply_find);
    }
    return true;
}

static bool append_send(command_t *command, lane_t *lane)
{
    const append_command_t *const append = (const append_command_t *)command;
    const journal_batch_t *const batch = append->batch;
    if (command->is_lost) {
        return outcome_ask(append, lane);
    }
    parameters_t *parameters = lane_parameters(lane);
    parameter_integer(parameters, batch->partition);
    parameter_integer(parameters, (int64_t)batch->epoch);
    parameter_integer(parameters, (int64_t)batch->head);
    parameter_integer(parameters, (int64_t)batch->event_count);
    events_fill(parameters, lane->tenant, batch);
    snapshots_fill(parameters, batch->snapshots, batch->snapshot_count);
    idempotency_fill(parameters, batch->idempotency, batch->idempotency_count);
    member_keys_fill(parameters, batch->member_keys, batch->member_key_count);
    refusals_fill(parameters, batch->refusals, batch->refusal_count);
    reminders_fill(parameters, batch->reminders, batch->reminder_count);
    parameter_integer(parameters, (int64_t)batch->cards);
    parameter_integer(parameters, (int64_t)batch->bytes);
    notes_fill(parameters, batch->notes, batch->note_count);
    months_fill(parameters, batch->events, batch->event_count);
    if (!lane_send(lane, command->statements[0])) {
        return false;
    }
    if (batch->refusal_count == 0) {
        return true;
    }
    parameters = lane_parameters(lane);
    parameter_integer(parameters, LIMIT_REFUSAL_LOG_ROWS);
    return lane_send(lane, STATEMENT_refusal_trim);
}

/* The epoch is raised first: the row lock waits for the transaction, should it still run, and if
 * it has not begun, it is fenced. What is stored then is the outcome. */
void append_becomes_lost(command_t *command)
{
    append_command_t *const append = (append_command_t *)command;
    if (command->is_lost) {
        return;
    }
    command->is_lost = true;
    command->is_alone = true;
    append->looks_for_event = append->batch->event_count > 0;
    append->looks_for_reply = !append->looks_for_event && append->batch->idempotency_count > 0;
    command->statement_count = 0;
    command_uses(command, STATEMENT_partition_fence);
    if (append->looks_for_event) {
        command_uses(command, STATEMENT_event_find);
    } else if (append->looks_for_reply) {
        command_uses(command, STATEMENT_reply_find);
    }
}

/* --- What became of it --- */

static result_t outcome(const append_command_t *append)
{
    const journal_batch_t *const batch = append->batch;
    if (append->base.result != RESULT_OK) {
        return RESULT_OUTCOME_UNKNOWN;
    }
    bool is_stored = false;
    if (append->looks_for_event) {
        const PGresult *const found = append->base.results[1];
        uuid_t id;
        is_stored = PQntuples(found) == 1 && field_uuid(found, 0, 0, &id) &&
                    uuid_equal(&id, &batch->events[0].event_id);
    } else if (append->looks_for_reply) {
        const PGresult *const found = append->base.results[1];
        is_stored = PQntuples(found) == 1 &&
                    text_equal(field_bytes(found, 0, 0),
                               (text_t){(const char *)batch->idempotency[0].request_hash,
                                        sizeof batch->idempotency[0].request_hash});
    } else if (batch_parts(batch) != 0) {
        /* Snapshots, keys, refusals or notes alone leave no trace to tell. */
        return RESULT_OUTCOME_UNKNOWN;
    }
    return is_stored ? RESULT_OK : RESULT_STORE_UNAVAILABLE;
}

static void append_count(const append_command_t *append, result_t result)
{
    const journal_postgres_t *const journal = append->base.lane->tenant->journal;
    if (journal->batches == NULL) {
        return;
    }
    metric_add(journal->batches, 1);
    metric_add(journal->events, result == RESULT_OK ? append->batch->event_count : 0);
    metric_add(journal->failures, result == RESULT_OK ? 0 : 1);
    metric_observe_us(journal->commit_time, clock_monotonic_us() - append->base.submitted_us);
}

static bool append_finish(command_t *command)
{
    append_command_t *const append = (append_command_t *)command;
    lane_t *const lane = command->lane;
    result_t result = command->result;
    if (command->is_lost) {
        result = outcome(append);
        const bool is_last = lane->queue_first == NULL || !lane->queue_first->is_lost;
        lane->lost_ms = is_last ? 0 : lane->lost_ms;
    } else if (result == RESULT_OK && field_integer(command->results[0], 0, 0) != 1) {
        result = RESULT_FENCED;
    }
    if (result == RESULT_OK) {
        tails_note(lane->tenant, append->batch);
    } else {
        months_forget(lane->tenant); /* the table of one may be gone */
        const bool has_no_table =
            result == RESULT_STORE_UNAVAILABLE && lane->tenant->month_result != RESULT_OK;
        result = has_no_table ? lane->tenant->month_result : result;
    }
    append_count(append, result);
    append->done(append->context, result);
    return false;
}

result_t postgres_append(journal_tenant_t *tenant, const journal_batch_t *batch,
                         journal_batch_done_t *done, void *context)
{
    assert(!tenant->readonly && !tenant->closing);
    const result_t ready = months_ensure(tenant, batch->events, batch->event_count);
    if (ready != RESULT_OK) {
        return ready;
    }
    append_command_t *append =
        command_create(&tenant->writer, sizeof *append, COMMAND_APPEND, append_send, append_finish);
    append->batch = batch;
    append->done = done;
    append->context = context;
    append->base.events = batch->event_count;
    command_uses(&append->base, STATEMENT_FIXED + batch_parts(batch));
    if (batch->refusal_count > 0) {
        command_uses(&append->base, STATEMENT_refusal_trim);
    }
    return lane_submit(&append->base);
}

/* --- Cleaning --- */

typedef struct clean_command {
    command_t base;
    int64_t before_ms;
    journal_batch_done_t *done;
    void *context;
} clean_command_t;

static bool clean_send(command_t *command, lane_t *lane)
{
    parameters_t *const parameters = lane_parameters(lane);
    parameter_integer(parameters, ((const clean_command_t *)command)->before_ms);
    parameter_integer(parameters, LIMIT_IDEMPOTENCY_CLEAN_SLICE);
    return lane_send(lane, STATEMENT_idempotency_clean);
}

static bool clean_finish(command_t *command)
{
    clean_command_t *const clean = (clean_command_t *)command;
    clean->done(clean->context, command->result);
    return false;
}

result_t postgres_clean(journal_tenant_t *tenant, int64_t before_ms, journal_batch_done_t *done,
                        void *context)
{
    assert(!tenant->readonly && !tenant->closing);
    clean_command_t *clean =
        command_create(&tenant->writer, sizeof *clean, COMMAND_WRITE, clean_send, clean_finish);
    clean->before_ms = before_ms;
    clean->done = done;
    clean->context = context;
    command_uses(&clean->base, STATEMENT_idempotency_clean);
    return lane_submit(&clean->base);
}
