/* What an actor reads before it decides: its card, the key of its member, an earlier reply. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/clock.h"
#include "runtime/crash_slot.h"
#include <assert.h>

enum { SNAPSHOT_ROOM = 64 }; /* card_snapshot has no lists; room for those of later versions */

typedef struct load_job {
    store_job_t base;
    journal_load_t load; /* what it points to is the caller's until `done` */
    journal_loaded_done_t *done;
    void *context;
    journal_loaded_t loaded;
} load_job_t;

result_t member_key_read(connection_t *connection, text_t member_id, store_memory_t *memory,
                         text_t *sealed_key)
{
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(connection, STATEMENT_member_key_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bool row = false;
    bind_text(statement, 1, member_id);
    result = statement_next(connection, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    *sealed_key = row ? store_memory_copy(memory, column_bytes(statement, 0)) : TEXT_NONE;
    statement_done(statement);
    return RESULT_OK;
}

/* Whether the events after the snapshot changed nothing but the sequence: then the last of them has
 * the snapshot's version. Cards are validated far more often than changed, and reading each of
 * those events took most of the time of a load (docs/performance.md). */
static result_t tail_is_quiet(load_job_t *job, const card_head_t *head, uint64_t after,
                              bool *is_quiet)
{
    connection_t *const reader = &job->base.tenant->reader;
    if (head->card_sequence == after) {
        *is_quiet = true;
        return RESULT_OK;
    }
    card_snapshot_t snapshot;
    message_fault_t fault;
    const text_t packed = job->loaded.snapshot;
    if (!message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS, (const uint8_t *)packed.data,
                        packed.size, store_memory_arena(&job->base.memory, SNAPSHOT_ROOM),
                        &snapshot, &fault)) {
        return connection_error(reader, SQLITE_CORRUPT, "reading a snapshot");
    }
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(reader, STATEMENT_event_version, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bool row = false;
    bind_integer(statement, 1, head->last_event);
    bind_blob(statement, 2, job->load.card->bytes, sizeof job->load.card->bytes);
    bind_integer(statement, 3, (int64_t)head->card_sequence);
    result = statement_next(reader, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    *is_quiet = row && column_unsigned(statement, 0) == snapshot.version;
    statement_done(statement);
    return RESULT_OK; /* no such row: reading the tail says what is wrong */
}

/* `member_id` gets the member of the card: the snapshot knows it, before there is one the first
 * event. */
static result_t card_load(load_job_t *job, text_t *member_id)
{
    connection_t *const reader = &job->base.tenant->reader;
    store_memory_t *const memory = &job->base.memory;
    journal_loaded_t *const loaded = &job->loaded;
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(reader, STATEMENT_snapshot_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bool row = false;
    uint64_t after = 0;
    bind_blob(statement, 1, job->load.card->bytes, sizeof job->load.card->bytes);
    result = statement_next(reader, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    if (row) {
        *member_id = store_memory_copy(memory, column_bytes(statement, 0));
        after = column_unsigned(statement, 1);
        loaded->snapshot = store_memory_copy(memory, column_bytes(statement, 2));
    }
    statement_done(statement);
    event_tail_t tail = {0};
    card_head_t head;
    bool is_quiet = false;
    result = card_head_read(reader, job->load.card, &head);
    if (result == RESULT_OK && row && head.found) {
        result = tail_is_quiet(job, &head, after, &is_quiet);
    }
    if (result == RESULT_OK && !is_quiet) {
        result = event_tail_read(job->base.tenant, job->load.card, &head, after, memory, &tail);
    }
    if (result != RESULT_OK) {
        return result;
    }
    loaded->card_found = row || head.found;
    loaded->card_sequence = head.found ? head.card_sequence : after;
    loaded->tail = tail.events;
    loaded->tail_count = tail.count;
    if (!row && tail.count > 0 && MESSAGE_HAS(event_data, &tail.events[0].data, member_id)) {
        *member_id = tail.events[0].data.member_id;
    }
    return RESULT_OK;
}

static result_t idempotency_load(load_job_t *job)
{
    connection_t *const reader = &job->base.tenant->reader;
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(reader, STATEMENT_idempotency_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bool row = false;
    bind_text(statement, 1, job->load.idempotency_key);
    result = statement_next(reader, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    if (row) {
        const text_t hash = column_bytes(statement, 0);
        if (hash.size == sizeof job->loaded.request_hash) {
            memcpy(job->loaded.request_hash, hash.data, hash.size);
            job->loaded.reply = store_memory_copy(&job->base.memory, column_bytes(statement, 1));
            job->loaded.idempotency_found = true;
        } else {
            result = connection_error(reader, SQLITE_CORRUPT, "reading a request hash");
        }
    }
    statement_done(statement);
    return result;
}

/* What kills meanwhile is the card's fault. */
static result_t card_load_blamed(load_job_t *job, text_t *member_id)
{
    const journal_tenant_t *const tenant = job->base.tenant;
    crash_reading_begin(&(crash_reading_t){.tenant = tenant->name,
                                           .tenant_size = strlen(tenant->name),
                                           .actor = job->load.card->bytes});
    const result_t result = card_load(job, member_id);
    crash_reading_end();
    return result;
}

static result_t load_read(load_job_t *job)
{
    text_t member_id = job->load.member_id;
    text_t card_member = TEXT_NONE;
    result_t result = RESULT_OK;
    if (job->load.card != NULL) {
        result = card_load_blamed(job, &card_member);
    }
    if (text_is_empty(member_id)) {
        member_id = card_member;
    }
    if (result == RESULT_OK && !text_is_empty(member_id)) {
        result = member_key_read(&job->base.tenant->reader, member_id, &job->base.memory,
                                 &job->loaded.sealed_member_key);
    }
    if (result == RESULT_OK && !text_is_empty(job->load.idempotency_key)) {
        result = idempotency_load(job);
    }
    if (result == RESULT_OK && !text_is_empty(job->load.note_key)) {
        result = note_read(&job->base.tenant->reader, job->load.note_key, &job->base.memory,
                           &job->loaded.note_found, &job->loaded.note);
    }
    return result;
}

static void load_run(store_job_t *base)
{
    load_job_t *job = (load_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    result_t result = connection_run(reader, STATEMENT_begin);
    if (result == RESULT_OK) {
        result = load_read(job);
    }
    connection_rollback(reader);
    job->loaded.result = result;
}

static void load_finish(store_job_t *base)
{
    load_job_t *job = (load_job_t *)base;
    if (job->loaded.result != RESULT_OK) {
        job->loaded = (journal_loaded_t){.result = job->loaded.result};
    }
    if (base->tenant->journal->load_time != NULL) {
        metric_observe_us(base->tenant->journal->load_time,
                          clock_monotonic_us() - base->submitted_us);
    }
    job->done(job->context, &job->loaded);
}

result_t journal_load(journal_tenant_t *tenant, const journal_load_t *load,
                      journal_loaded_done_t *done, void *context)
{
    assert(!tenant->closing);
    load_job_t *job = store_job_create(tenant, sizeof *job, load_run, load_finish);
    job->load = *load;
    job->done = done;
    job->context = context;
    return store_job_submit(&job->base, STORE_LANE_READ);
}
