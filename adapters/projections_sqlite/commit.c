/* States of cards for the fold, and its outcome back: rows, words, counters and the cursor in one
 * transaction. Knows nothing of what an event means. */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"
#include <assert.h>

/* --- Load --- */

typedef struct load_job {
    model_job_t base;
    const uuid_t *cards; /* the caller's until `done` */
    projections_loaded_done_t *done;
    void *context;
    text_t *bodies;
    projection_position_t *positions;
    size_t count;
} load_job_t;

static result_t load_one(load_job_t *job, sqlite3_stmt *statement, size_t index)
{
    model_database_t *const writer = &job->base.tenant->writer;
    bool row = false;
    bind_blob(statement, 1, job->cards[index].bytes, sizeof job->cards[index].bytes);
    const result_t result = model_next(writer, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    job->bodies[index] = TEXT_NONE;
    job->positions[index] = (projection_position_t){0};
    if (row) {
        job->bodies[index] = store_memory_copy(&job->base.memory, column_bytes(statement, 0));
        job->positions[index].issued_at = sqlite3_column_int64(statement, 1);
        job->positions[index].event = (uint64_t)sqlite3_column_int64(statement, 2);
    }
    statement_done(statement);
    return RESULT_OK;
}

static void load_run(model_job_t *base)
{
    load_job_t *job = (load_job_t *)base;
    sqlite3_stmt *statement = NULL;
    job->bodies = store_memory_take(&base->memory, job->count * sizeof *job->bodies);
    job->positions = store_memory_take(&base->memory, job->count * sizeof *job->positions);
    base->result = model_prepare(&base->tenant->writer, MODEL_card_get, &statement);
    for (size_t i = 0; base->result == RESULT_OK && i < job->count; i++) {
        base->result = load_one(job, statement, i);
    }
}

static void load_finish(model_job_t *base)
{
    load_job_t *job = (load_job_t *)base;
    const bool is_good = base->result == RESULT_OK;
    const projections_loaded_t loaded = {.result = base->result,
                                         .bodies = is_good ? job->bodies : NULL,
                                         .positions = is_good ? job->positions : NULL,
                                         .count = is_good ? job->count : 0};
    job->done(job->context, &loaded);
}

/* On the write lane: it sees what was committed before it, and the next commit comes after it. */
result_t projections_sqlite_load(projections_tenant_t *tenant, const uuid_t *cards, size_t count,
                                 projections_loaded_done_t *done, void *context)
{
    assert(!tenant->is_closing && count > 0 && count <= LIMIT_PROJECTION_EVENTS);
    load_job_t *job = model_job_create(tenant, sizeof *job, load_run, load_finish);
    job->cards = cards;
    job->count = count;
    job->done = done;
    job->context = context;
    return model_job_submit(&job->base, MODEL_LANE_WRITE);
}

/* --- Commit --- */

typedef struct commit_job {
    model_job_t base;
    const projection_commit_t *commit; /* the caller's until `done` */
    projections_done_t *done;
    void *context;
} commit_job_t;

static result_t cursor_run(model_database_t *writer, model_statement_t which,
                           const projection_commit_t *commit, bool *has_moved)
{
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(writer, which, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, commit->partition);
    if (which == MODEL_cursor_move) {
        bind_integer(statement, 2, (int64_t)commit->from);
    }
    bind_integer(statement, 3, (int64_t)commit->to.sequence);
    bind_blob(statement, 4, commit->to.event_id.bytes, sizeof commit->to.event_id.bytes);
    bind_integer(statement, 5, commit->to.occurred_at);
    result = model_finish(writer, statement);
    *has_moved = result == RESULT_OK && sqlite3_changes(writer->handle) == 1;
    return result;
}

/* FENCED when the cursor does not stand at `from`. */
static result_t move_cursor(model_database_t *writer, const projection_commit_t *commit)
{
    bool has_moved = false;
    result_t result = cursor_run(writer, MODEL_cursor_move, commit, &has_moved);
    if (result == RESULT_OK && !has_moved && commit->from == 0) {
        result = cursor_run(writer, MODEL_cursor_first, commit, &has_moved);
    }
    return result == RESULT_OK && !has_moved ? RESULT_FENCED : result;
}

static result_t put_words(model_database_t *writer, const projection_card_t *card, int64_t number)
{
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(writer, MODEL_word_put, &statement);
    for (uint32_t i = 0; result == RESULT_OK && i < card->word_count; i++) {
        bind_integer(statement, 1, (int64_t)card->words[i]);
        bind_integer(statement, 2, card->position.issued_at);
        bind_integer(statement, 3, (int64_t)card->position.event);
        bind_integer(statement, 4, number);
        result = model_finish(writer, statement);
    }
    return result;
}

static result_t put_card(model_database_t *writer, const projection_card_t *card)
{
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(writer, MODEL_card_put, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_blob(statement, 1, card->card.bytes, sizeof card->card.bytes);
    bind_integer(statement, 2, card->position.issued_at);
    bind_integer(statement, 3, (int64_t)card->position.event);
    bind_text(statement, 4, card->member_id);
    bind_text(statement, 5, card->tier);
    bind_integer(statement, 6, card->status);
    bind_integer(statement, 7, card->expires_at);
    bind_blob(statement, 8, card->body.data, card->body.size);
    bind_blob(statement, 9, card->words, card->word_count * sizeof card->words[0]);
    result = model_finish(writer, statement);
    return result == RESULT_OK ? put_words(writer, card, sqlite3_last_insert_rowid(writer->handle))
                               : result;
}

static result_t change_card(model_database_t *writer, const projection_card_t *card)
{
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(writer, MODEL_card_change, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_blob(statement, 1, card->card.bytes, sizeof card->card.bytes);
    bind_integer(statement, 2, card->status);
    bind_integer(statement, 3, card->expires_at);
    bind_blob(statement, 4, card->body.data, card->body.size);
    result = model_finish(writer, statement);
    return result == RESULT_OK && sqlite3_changes(writer->handle) != 1 ? RESULT_STORE_CORRUPT
                                                                       : result;
}

result_t model_counters_add(model_database_t *writer, const projection_commit_t *commit)
{
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(writer, MODEL_counter_add, &statement);
    for (size_t i = 0; result == RESULT_OK && i < commit->counter_count; i++) {
        const projection_counter_t *const counter = &commit->counters[i];
        bind_integer(statement, 1, counter->series);
        bind_integer(statement, 2, counter->grain);
        bind_integer(statement, 3, counter->start);
        bind_integer(statement, 4, counter->kind);
        bind_text(statement, 5, counter->gate);
        bind_integer(statement, 6, counter->count);
        result = model_finish(writer, statement);
    }
    return result;
}

result_t model_commit_apply(model_database_t *writer, const projection_commit_t *commit)
{
    result_t result = move_cursor(writer, commit);
    for (size_t i = 0; result == RESULT_OK && i < commit->card_count; i++) {
        const projection_card_t *const card = &commit->cards[i];
        result = card->is_new ? put_card(writer, card) : change_card(writer, card);
    }
    if (result == RESULT_OK) {
        result = model_counters_add(writer, commit);
    }
    if (result == RESULT_OK && commit->is_complete) {
        result = model_run(writer, MODEL_meta_complete);
    }
    return result;
}

static void commit_run(model_job_t *base)
{
    const commit_job_t *job = (const commit_job_t *)base;
    model_database_t *const writer = &base->tenant->writer;
    base->result = model_run(writer, MODEL_begin_immediate);
    if (base->result == RESULT_OK) {
        base->result = model_commit_apply(writer, job->commit);
    }
    if (base->result == RESULT_OK) {
        base->result = model_run(writer, MODEL_commit);
    }
    model_rollback(writer);
}

static void commit_finish(model_job_t *base)
{
    const commit_job_t *job = (const commit_job_t *)base;
    const projections_sqlite_t *const projections = base->tenant->projections;
    if (base->result == RESULT_OK) {
        projection_metrics_committed(&projections->numbers, base->submitted_us);
    }
    job->done(job->context, base->result);
}

result_t projections_sqlite_commit(projections_tenant_t *tenant, const projection_commit_t *commit,
                                   projections_done_t *done, void *context)
{
    assert(!tenant->is_closing && commit->to.sequence > commit->from);
    commit_job_t *job = model_job_create(tenant, sizeof *job, commit_run, commit_finish);
    job->commit = commit;
    job->done = done;
    job->context = context;
    return model_job_submit(&job->base, MODEL_LANE_WRITE);
}

/* --- Forgetting a member --- */

enum { FORGET_SLICE = 64 }; /* cards of a member per transaction; more than anybody has */

typedef struct forget_job {
    model_job_t base;
    text_t member_id; /* the caller's until `done` */
    projections_done_t *done;
    void *context;
} forget_job_t;

static result_t remove_words(model_database_t *writer, sqlite3_stmt *card)
{
    const text_t bytes = column_bytes(card, 3);
    sqlite3_stmt *statement = NULL;
    result_t result = model_prepare(writer, MODEL_word_remove, &statement);
    for (size_t at = 0; result == RESULT_OK && at + sizeof(int64_t) <= bytes.size;
         at += sizeof(int64_t)) {
        int64_t word = 0;
        memcpy(&word, bytes.data + at, sizeof word);
        bind_integer(statement, 1, word);
        bind_integer(statement, 2, sqlite3_column_int64(card, 1));
        bind_integer(statement, 3, sqlite3_column_int64(card, 2));
        result = model_finish(writer, statement);
    }
    return result;
}

/* Removes the words of some cards. `count` gets how many. */
static result_t forget_slice(model_database_t *writer, text_t member_id, size_t *count)
{
    int64_t numbers[FORGET_SLICE];
    sqlite3_stmt *cards = NULL;
    sqlite3_stmt *clear = NULL;
    bool row = true;
    *count = 0;
    result_t result = model_prepare(writer, MODEL_member_words, &cards);
    if (result != RESULT_OK) {
        return result;
    }
    bind_text(cards, 1, member_id);
    bind_integer(cards, 2, FORGET_SLICE);
    while (result == RESULT_OK && *count < FORGET_SLICE) {
        result = model_next(writer, cards, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        numbers[*count] = sqlite3_column_int64(cards, 0);
        *count += 1;
        result = remove_words(writer, cards);
    }
    statement_done(cards);
    if (result == RESULT_OK) {
        result = model_prepare(writer, MODEL_words_clear, &clear);
    }
    for (size_t i = 0; result == RESULT_OK && i < *count; i++) {
        bind_integer(clear, 1, numbers[i]);
        result = model_finish(writer, clear);
    }
    return result;
}

static void forget_run(model_job_t *base)
{
    const forget_job_t *job = (const forget_job_t *)base;
    model_database_t *const writer = &base->tenant->writer;
    size_t count = FORGET_SLICE;
    while (base->result == RESULT_OK && count == FORGET_SLICE) { /* bounded by the member's cards */
        base->result = model_run(writer, MODEL_begin_immediate);
        if (base->result == RESULT_OK) {
            base->result = forget_slice(writer, job->member_id, &count);
        }
        if (base->result == RESULT_OK) {
            base->result = model_run(writer, MODEL_commit);
        }
        model_rollback(writer);
    }
}

static void forget_finish(model_job_t *base)
{
    const forget_job_t *job = (const forget_job_t *)base;
    job->done(job->context, base->result);
}

result_t projections_sqlite_forget_member(projections_tenant_t *tenant, text_t member_id,
                                          projections_done_t *done, void *context)
{
    assert(!tenant->is_closing);
    forget_job_t *job = model_job_create(tenant, sizeof *job, forget_run, forget_finish);
    job->member_id = member_id;
    job->done = done;
    job->context = context;
    return model_job_submit(&job->base, MODEL_LANE_WRITE);
}
