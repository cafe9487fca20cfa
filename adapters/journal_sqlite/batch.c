/* One batch inside a transaction that its caller begins and ends. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>

bool batch_writes(const journal_batch_t *batch)
{
    return batch->event_count + batch->snapshot_count + batch->idempotency_count +
               batch->member_key_count + batch->refusal_count + batch->reminder_count +
               batch->note_count >
           0;
}

/* The check that fences: with events it moves the head as well. */
static result_t partition_claim(connection_t *writer, const journal_batch_t *batch)
{
    const bool moves = batch->event_count > 0;
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(
        writer, moves ? STATEMENT_partition_advance : STATEMENT_partition_check, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, batch->partition);
    bind_integer(statement, 2, (int64_t)batch->epoch);
    bind_integer(statement, 3, (int64_t)batch->head);
    bool is_owner = false;
    if (moves) {
        bind_integer(statement, 4, (int64_t)batch->event_count);
        bind_integer(statement, 5, (int64_t)batch->cards);
        bind_integer(statement, 6, (int64_t)batch->bytes);
        result = statement_finish(writer, statement);
        is_owner = result == RESULT_OK && sqlite3_changes(writer->database) == 1;
    } else {
        result = statement_next(writer, statement, &is_owner);
        statement_done(statement);
    }
    if (result != RESULT_OK) {
        return result;
    }
    return is_owner ? RESULT_OK : RESULT_FENCED;
}

/* The card's chain must end right before `event`, in the same partition. */
static result_t card_continue(connection_t *writer, const journal_batch_t *batch,
                              const journal_event_t *event, int64_t *previous)
{
    card_head_t head = {0};
    const result_t result = card_head_read(writer, &event->card, &head);
    if (result != RESULT_OK) {
        return result;
    }
    if (event->card_sequence != head.card_sequence + 1 ||
        (head.found && head.last_event >> JOURNAL_SEQUENCE_BITS != (int64_t)batch->partition)) {
        log_error("a batch does not continue its card, and nothing of it was stored",
                  LOG_STRING("file", writer->path), LOG_NUMBER("partition", batch->partition),
                  LOG_NUMBER("card_sequence", event->card_sequence),
                  LOG_NUMBER("card_sequence_stored", head.card_sequence));
        return RESULT_STORE_UNAVAILABLE;
    }
    *previous = head.last_event & JOURNAL_SEQUENCE_MAX;
    return RESULT_OK;
}

static result_t card_head_write(connection_t *writer, const journal_event_t *event, int64_t id)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, STATEMENT_card_head_put, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_blob(statement, 1, event->card.bytes, sizeof event->card.bytes);
    bind_integer(statement, 2, id);
    bind_integer(statement, 3, (int64_t)event->card_sequence);
    return statement_finish(writer, statement);
}

static result_t event_write(connection_t *writer, const journal_batch_t *batch, size_t index)
{
    const journal_event_t *const event = &batch->events[index];
    const int64_t id =
        (int64_t)batch->partition << JOURNAL_SEQUENCE_BITS | (int64_t)(batch->head + 1 + index);
    int64_t previous = 0;
    result_t result = card_continue(writer, batch, event, &previous);
    sqlite3_stmt *statement = NULL;
    if (result == RESULT_OK) {
        result = connection_statement(writer, STATEMENT_event_put, &statement);
    }
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, id);
    bind_integer(statement, 2, previous);
    bind_blob(statement, 3, event->card.bytes, sizeof event->card.bytes);
    bind_integer(statement, 4, (int64_t)event->card_sequence);
    bind_integer(statement, 5, event->name);
    bind_integer(statement, 6, (int64_t)event->version);
    bind_integer(statement, 7, event->occurred_at);
    bind_blob(statement, 8, event->event_id.bytes, sizeof event->event_id.bytes);
    if (event->traceparent.size > 0) {
        bind_text(statement, 9, event->traceparent);
    }
    bind_blob(statement, 10, event->body.data, event->body.size);
    result = statement_finish(writer, statement);
    return result == RESULT_OK ? card_head_write(writer, event, id) : result;
}

static result_t snapshot_put(connection_t *writer, statement_t which,
                             const journal_snapshot_t *snapshot)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, which, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_blob(statement, 1, snapshot->card.bytes, sizeof snapshot->card.bytes);
    bind_text(statement, 2, snapshot->member_id);
    bind_text(statement, 3, snapshot->tier);
    bind_integer(statement, 4, snapshot->status);
    bind_integer(statement, 5, snapshot->expires_at);
    bind_integer(statement, 6, (int64_t)snapshot->card_sequence);
    bind_blob(statement, 7, snapshot->body.data, snapshot->body.size);
    return statement_finish(writer, statement);
}

/* Most snapshots follow validations and change no column of an index: those go the cheap way. */
static result_t snapshot_write(connection_t *writer, const journal_snapshot_t *snapshot)
{
    if (snapshot->card_sequence > 1) {
        const result_t result = snapshot_put(writer, STATEMENT_snapshot_renew, snapshot);
        if (result != RESULT_OK || sqlite3_changes(writer->database) == 1) {
            return result;
        }
    }
    return snapshot_put(writer, STATEMENT_snapshot_put, snapshot);
}

static result_t idempotency_write(connection_t *writer, const journal_idempotency_t *row)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, STATEMENT_idempotency_put, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_text(statement, 1, row->key);
    bind_blob(statement, 2, row->request_hash, sizeof row->request_hash);
    bind_blob(statement, 3, row->reply.data, row->reply.size);
    bind_integer(statement, 4, row->recorded_at);
    return statement_finish(writer, statement);
}

static result_t member_key_write(connection_t *writer, const journal_member_key_t *row)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, STATEMENT_member_key_put, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_text(statement, 1, row->member_id);
    bind_blob(statement, 2, row->sealed_key.data, row->sealed_key.size);
    return statement_finish(writer, statement);
}

static result_t refusal_write(connection_t *writer, const journal_refusal_t *row)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, STATEMENT_refusal_put, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, row->recorded_at);
    bind_integer(statement, 2, row->reason);
    bind_text(statement, 3, row->gate);
    bind_blob(statement, 4, row->code.data, row->code.size);
    return statement_finish(writer, statement);
}

static result_t refusals_trim(connection_t *writer)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, STATEMENT_refusal_trim, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, LIMIT_REFUSAL_LOG_ROWS);
    return statement_finish(writer, statement);
}

/* Reminders that were delivered must still be as they were: looked at before anything is written,
 * because a fenced batch leaves the transaction to others. */
static result_t reminders_check(connection_t *writer, const journal_batch_t *batch)
{
    result_t result = RESULT_OK;
    for (size_t i = 0; result == RESULT_OK && i < batch->reminder_count; i++) {
        const journal_reminder_t *const row = &batch->reminders[i];
        sqlite3_stmt *statement = NULL;
        if (row->expected_at == 0) {
            continue;
        }
        result = connection_statement(writer, STATEMENT_reminder_at, &statement);
        if (result != RESULT_OK) {
            return result;
        }
        bool found = false;
        bind_blob(statement, 1, row->actor.bytes, sizeof row->actor.bytes);
        bind_text(statement, 2, row->name);
        result = statement_next(writer, statement, &found);
        if (result != RESULT_OK) {
            return result;
        }
        if (!found || sqlite3_column_int64(statement, 0) != row->expected_at) {
            result = RESULT_FENCED;
        }
        statement_done(statement);
    }
    return result;
}

static result_t reminder_write(connection_t *writer, const journal_reminder_t *row)
{
    static const statement_t statements[] = {
        [JOURNAL_REMINDER_PUT] = STATEMENT_reminder_put,
        [JOURNAL_REMINDER_ENSURE] = STATEMENT_reminder_ensure,
        [JOURNAL_REMINDER_REMOVE] = STATEMENT_reminder_remove,
    };
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(writer, statements[row->action], &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_blob(statement, 1, row->actor.bytes, sizeof row->actor.bytes);
    bind_text(statement, 2, row->name);
    if (row->action != JOURNAL_REMINDER_REMOVE) {
        bind_integer(statement, 3, row->due_at);
        bind_integer(statement, 4, row->period_ms);
        bind_blob(statement, 5, row->data.data, row->data.size);
    }
    return statement_finish(writer, statement);
}

result_t batch_apply(connection_t *writer, const journal_batch_t *batch)
{
    result_t result = reminders_check(writer, batch);
    if (result == RESULT_OK) {
        result = partition_claim(writer, batch);
    }
    for (size_t i = 0; result == RESULT_OK && i < batch->reminder_count; i++) {
        result = reminder_write(writer, &batch->reminders[i]);
    }
    for (size_t i = 0; result == RESULT_OK && i < batch->event_count; i++) {
        result = event_write(writer, batch, i);
    }
    for (size_t i = 0; result == RESULT_OK && i < batch->snapshot_count; i++) {
        result = snapshot_write(writer, &batch->snapshots[i]);
    }
    for (size_t i = 0; result == RESULT_OK && i < batch->idempotency_count; i++) {
        result = idempotency_write(writer, &batch->idempotency[i]);
    }
    for (size_t i = 0; result == RESULT_OK && i < batch->member_key_count; i++) {
        result = member_key_write(writer, &batch->member_keys[i]);
    }
    for (size_t i = 0; result == RESULT_OK && i < batch->refusal_count; i++) {
        result = refusal_write(writer, &batch->refusals[i]);
    }
    for (size_t i = 0; result == RESULT_OK && i < batch->note_count; i++) {
        result = note_write(writer, &batch->notes[i]);
    }
    if (result == RESULT_OK && batch->refusal_count > 0) {
        result = refusals_trim(writer);
    }
    return result;
}
