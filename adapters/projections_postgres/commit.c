/* States of cards for the fold, and its outcome back: rows, words, counters and the cursor in one
 * transaction, a statement for each kind. Knows nothing of what an event means. */
#include "adapters/projections_postgres/projections_postgres_internal.h"
#include <assert.h>
#include <stdlib.h>

/* --- Load --- */

typedef struct load_job {
    fold_job_t base;
    const uuid_t *cards; /* the caller's until `done` */
    projections_loaded_done_t *done;
    void *context;
    size_t count;
} load_job_t;

static void load_run(fold_job_t *base, fold_session_t *session)
{
    const load_job_t *job = (const load_job_t *)base;
    parameters_t values = {0};
    parameter_array_begin(&values, TYPE_UUID, job->count);
    for (size_t i = 0; i < job->count; i++) {
        element_uuid(&values, &job->cards[i]);
    }
    parameter_array_end(&values);
    base->result = fold_run(session, FOLD_card_get, &values, &base->rows);
    if (base->result == RESULT_OK && PQntuples(base->rows) != (int)job->count) {
        base->result = RESULT_STORE_CORRUPT;
    }
}

static void load_finish(fold_job_t *base)
{
    const load_job_t *job = (const load_job_t *)base;
    projections_loaded_t loaded = {.result = base->result};
    if (base->result == RESULT_OK) {
        text_t *const bodies = calloc(job->count, sizeof *bodies + sizeof(projection_position_t));
        assert(bodies != NULL);
        base->memory = bodies;
        projection_position_t *const positions = (projection_position_t *)(bodies + job->count);
        for (size_t i = 0; i < job->count; i++) {
            if (!field_is_null(base->rows, (int)i, 2)) {
                positions[i].issued_at = field_integer(base->rows, (int)i, 0);
                positions[i].event = (uint64_t)field_integer(base->rows, (int)i, 1);
                bodies[i] = field_bytes(base->rows, (int)i, 2);
            }
        }
        loaded = (projections_loaded_t){
            .bodies = bodies, .positions = positions, .count = job->count, .result = RESULT_OK};
    }
    job->done(job->context, &loaded);
}

/* On the write lane: it sees what was committed before it, and the next commit comes after it. */
result_t projections_postgres_load(projections_tenant_t *tenant, const uuid_t *cards, size_t count,
                                   projections_loaded_done_t *done, void *context)
{
    assert(!tenant->is_closing && count > 0 && count <= LIMIT_PROJECTION_EVENTS);
    load_job_t *job = fold_job_create(tenant, sizeof *job, load_run, load_finish);
    job->cards = cards;
    job->count = count;
    job->done = done;
    job->context = context;
    return fold_job_submit(&job->base, FOLD_LANE_WRITE);
}

/* --- Commit --- */

typedef struct commit_job {
    fold_job_t base;
    const projection_commit_t *commit; /* the caller's until `done` */
    projections_done_t *done;
    void *context;
} commit_job_t;

/* FENCED when the cursor does not stand at `from`. */
static result_t move_cursor(fold_session_t *session, const projection_commit_t *commit)
{
    parameters_t values = {0};
    uint64_t moved = 0;
    parameter_integer(&values, commit->partition);
    parameter_integer(&values, (int64_t)commit->from);
    parameter_integer(&values, (int64_t)commit->to.sequence);
    parameter_integer(&values, commit->to.occurred_at);
    parameter_uuid(&values, &commit->to.event_id);
    const result_t result = fold_change(
        session, commit->from == 0 ? FOLD_cursor_first : FOLD_cursor_move, &values, &moved);
    return result == RESULT_OK && moved != 1 ? RESULT_FENCED : result;
}

/* --- Columns of the cards that are new, or are not --- */

typedef void card_column_t(parameters_t *values, const projection_card_t *card);

static void column_issued_at(parameters_t *values, const projection_card_t *card)
{
    element_int8(values, card->position.issued_at);
}

static void column_issue_event(parameters_t *values, const projection_card_t *card)
{
    element_int8(values, (int64_t)card->position.event);
}

static void column_status(parameters_t *values, const projection_card_t *card)
{
    element_int8(values, card->status);
}

static void column_expires_at(parameters_t *values, const projection_card_t *card)
{
    element_int8(values, card->expires_at);
}

static void column_id(parameters_t *values, const projection_card_t *card)
{
    element_uuid(values, &card->card);
}

static void column_member(parameters_t *values, const projection_card_t *card)
{
    element_bytes(values, card->member_id);
}

static void column_tier(parameters_t *values, const projection_card_t *card)
{
    element_bytes(values, card->tier);
}

static void element_folded(parameters_t *values, text_t text)
{
    element_bytes(values, text);
    for (size_t i = values->size - text.size; i < values->size; i++) {
        const uint8_t byte = values->bytes[i];
        values->bytes[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
    }
}

static void column_member_folded(parameters_t *values, const projection_card_t *card)
{
    element_folded(values, card->member_id);
}

static void column_tier_folded(parameters_t *values, const projection_card_t *card)
{
    element_folded(values, card->tier);
}

static void column_body(parameters_t *values, const projection_card_t *card)
{
    element_bytes(values, card->body);
}

static void column_add(parameters_t *values, const projection_commit_t *commit, bool is_new,
                       size_t count, uint32_t type, card_column_t *column)
{
    parameter_array_begin(values, type, count);
    for (size_t i = 0; i < commit->card_count; i++) {
        if (commit->cards[i].is_new == is_new) {
            column(values, &commit->cards[i]);
        }
    }
    parameter_array_end(values);
}

static result_t put_cards(fold_session_t *session, const projection_commit_t *commit, size_t count)
{
    parameters_t values = {0};
    column_add(&values, commit, true, count, TYPE_INT8, column_issued_at);
    column_add(&values, commit, true, count, TYPE_INT8, column_issue_event);
    column_add(&values, commit, true, count, TYPE_INT8, column_status);
    column_add(&values, commit, true, count, TYPE_INT8, column_expires_at);
    column_add(&values, commit, true, count, TYPE_UUID, column_id);
    column_add(&values, commit, true, count, TYPE_BYTEA, column_member);
    column_add(&values, commit, true, count, TYPE_BYTEA, column_member_folded);
    column_add(&values, commit, true, count, TYPE_BYTEA, column_tier);
    column_add(&values, commit, true, count, TYPE_BYTEA, column_tier_folded);
    column_add(&values, commit, true, count, TYPE_BYTEA, column_body);
    return fold_run(session, FOLD_card_put, &values, NULL);
}

static result_t change_cards(fold_session_t *session, const projection_commit_t *commit,
                             size_t count)
{
    parameters_t values = {0};
    uint64_t changed = 0;
    column_add(&values, commit, false, count, TYPE_INT8, column_status);
    column_add(&values, commit, false, count, TYPE_INT8, column_expires_at);
    column_add(&values, commit, false, count, TYPE_UUID, column_id);
    column_add(&values, commit, false, count, TYPE_BYTEA, column_body);
    const result_t result = fold_change(session, FOLD_card_change, &values, &changed);
    return result == RESULT_OK && changed != count ? RESULT_STORE_CORRUPT : result;
}

/* Once per word of a new card. */
static void word_column_add(parameters_t *values, const projection_commit_t *commit, size_t count,
                            card_column_t *column)
{
    parameter_array_begin(values, TYPE_INT8, count);
    for (size_t i = 0; i < commit->card_count; i++) {
        const projection_card_t *const card = &commit->cards[i];
        for (uint32_t j = 0; card->is_new && j < card->word_count; j++) {
            if (column == NULL) {
                element_int8(values, (int64_t)card->words[j]);
            } else {
                column(values, card);
            }
        }
    }
    parameter_array_end(values);
}

static result_t put_words(fold_session_t *session, const projection_commit_t *commit, size_t count)
{
    parameters_t values = {0};
    word_column_add(&values, commit, count, NULL);
    word_column_add(&values, commit, count, column_issued_at);
    word_column_add(&values, commit, count, column_issue_event);
    return fold_run(session, FOLD_word_put, &values, NULL);
}

/* --- Counters --- */

typedef enum counter_member {
    COUNTER_SERIES,
    COUNTER_GRAIN,
    COUNTER_START,
    COUNTER_KIND,
    COUNTER_COUNT
} counter_member_t;

static int64_t counter_number(const projection_counter_t *counter, counter_member_t member)
{
    switch (member) {
    case COUNTER_SERIES:
        return counter->series;
    case COUNTER_GRAIN:
        return counter->grain;
    case COUNTER_START:
        return counter->start;
    case COUNTER_KIND:
        return counter->kind;
    case COUNTER_COUNT:
        return counter->count;
    }
    return 0;
}

static result_t add_counters(fold_session_t *session, const projection_commit_t *commit)
{
    parameters_t values = {0};
    for (int member = COUNTER_SERIES; member <= COUNTER_COUNT; member++) {
        parameter_array_begin(&values, TYPE_INT8, commit->counter_count);
        for (size_t i = 0; i < commit->counter_count; i++) {
            element_int8(&values, counter_number(&commit->counters[i], (counter_member_t)member));
        }
        parameter_array_end(&values);
    }
    parameter_array_begin(&values, TYPE_BYTEA, commit->counter_count);
    for (size_t i = 0; i < commit->counter_count; i++) {
        element_bytes(&values, commit->counters[i].gate);
    }
    parameter_array_end(&values);
    return fold_run(session, FOLD_counter_add, &values, NULL);
}

/* --- The transaction --- */

static result_t commit_parts(fold_session_t *session, const projection_commit_t *commit)
{
    size_t count_new = 0;
    size_t count_words = 0;
    for (size_t i = 0; i < commit->card_count; i++) {
        count_new += commit->cards[i].is_new ? 1 : 0;
        count_words += commit->cards[i].is_new ? commit->cards[i].word_count : 0;
    }
    result_t result = move_cursor(session, commit);
    if (result == RESULT_OK && count_new > 0) {
        result = put_cards(session, commit, count_new);
    }
    if (result == RESULT_OK && count_new < commit->card_count) {
        result = change_cards(session, commit, commit->card_count - count_new);
    }
    if (result == RESULT_OK && count_words > 0) {
        result = put_words(session, commit, count_words);
    }
    if (result == RESULT_OK && commit->counter_count > 0) {
        result = add_counters(session, commit);
    }
    if (result == RESULT_OK && commit->is_complete) {
        result = fold_run(session, FOLD_meta_complete, NULL, NULL);
    }
    return result;
}

static void commit_run(fold_job_t *base, fold_session_t *session)
{
    const commit_job_t *job = (const commit_job_t *)base;
    base->result = fold_run(session, FOLD_begin, NULL, NULL);
    if (base->result == RESULT_OK) {
        base->result = commit_parts(session, job->commit);
    }
    if (base->result == RESULT_OK) {
        base->result = fold_run(session, FOLD_commit, NULL, NULL);
    }
    if (base->result != RESULT_OK) {
        fold_session_close(session); /* which undoes what it had begun; it is rare */
    }
}

static void commit_finish(fold_job_t *base)
{
    const commit_job_t *job = (const commit_job_t *)base;
    const projections_postgres_t *const projections = base->tenant->projections;
    if (base->result == RESULT_OK) {
        projection_metrics_committed(&projections->numbers, base->submitted_us);
    }
    job->done(job->context, base->result);
}

result_t projections_postgres_commit(projections_tenant_t *tenant,
                                     const projection_commit_t *commit, projections_done_t *done,
                                     void *context)
{
    assert(!tenant->is_closing && commit->to.sequence > commit->from);
    commit_job_t *job = fold_job_create(tenant, sizeof *job, commit_run, commit_finish);
    job->commit = commit;
    job->done = done;
    job->context = context;
    return fold_job_submit(&job->base, FOLD_LANE_WRITE);
}

/* --- Forgetting a member --- */

typedef struct forget_job {
    fold_job_t base;
    text_t member_id; /* the caller's until `done` */
    projections_done_t *done;
    void *context;
} forget_job_t;

static void forget_run(fold_job_t *base, fold_session_t *session)
{
    const forget_job_t *job = (const forget_job_t *)base;
    parameters_t values = {0};
    parameter_bytes(&values, job->member_id);
    base->result = fold_run(session, FOLD_word_remove, &values, NULL);
}

static void forget_finish(fold_job_t *base)
{
    const forget_job_t *job = (const forget_job_t *)base;
    job->done(job->context, base->result);
}

result_t projections_postgres_forget_member(projections_tenant_t *tenant, text_t member_id,
                                            projections_done_t *done, void *context)
{
    assert(!tenant->is_closing);
    forget_job_t *job = fold_job_create(tenant, sizeof *job, forget_run, forget_finish);
    job->member_id = member_id;
    job->done = done;
    job->context = context;
    return fold_job_submit(&job->base, FOLD_LANE_WRITE);
}
