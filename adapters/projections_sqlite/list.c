/* Pages of cards, newest first. Candidates come along the index that fits the filter best, in
 * descending order of their position, and each is held against the whole filter here. What no such
 * index knows (a prefix, a range of ends) is gathered and sorted instead, but only when a glance at
 * the newest candidates did not fill the page. No page looks at more than LIMIT_LIST_SCAN_ROWS
 * candidates: when that is not enough, it is shorter (even empty) and its cursor goes on from
 * there.
 */
#include "actors/domain/card.h"
#include "actors/list_cursor.h"
#include "adapters/projections_sqlite/projections_sqlite_internal.h"
#include <assert.h>
#include <stdlib.h>

/* Columns of the statements list_*. */
enum {
    COLUMN_NUMBER,
    COLUMN_ISSUED_AT,
    COLUMN_ISSUE_EVENT,
    COLUMN_MEMBER_ID,
    COLUMN_TIER,
    COLUMN_STATUS,
    COLUMN_EXPIRES_AT,
    COLUMN_WORDS,
    COLUMN_BODY
};

typedef struct match {
    projection_position_t position;
    int64_t number;
} match_t;

/* Two sources merged: rows of a statement, and cards that were found otherwise. */
typedef struct candidates {
    sqlite3_stmt *statement; /* NULL: no such source */
    bool has_row;            /* the statement stands on a row that was not used yet */
    match_t *matches;        /* descending, each once */
    size_t match_count;
    size_t match_index;
} candidates_t;

typedef struct list_job {
    model_job_t base;
    projections_list_t list; /* what it points to is the caller's until `done` */
    projections_page_done_t *done;
    void *context;
    projection_row_t *rows;
    size_t capacity;
    projection_position_t last; /* of the last row of the page, or the last one looked at */
    projections_page_t page;
    text_t member_id; /* of the filter; empty: any */
    text_t tier;
    text_t prefix;
    uint8_t status; /* 0: any */
    int64_t expires_from;
    int64_t expires_to;
    bool has_range;
} list_job_t;

/* --- Positions --- */

static int position_compare(const projection_position_t *a, const projection_position_t *b)
{
    if (a->issued_at != b->issued_at) {
        return a->issued_at < b->issued_at ? -1 : 1;
    }
    return (a->event > b->event) - (a->event < b->event);
}

static projection_position_t row_position(sqlite3_stmt *row)
{
    return (projection_position_t){.issued_at = sqlite3_column_int64(row, COLUMN_ISSUED_AT),
                                   .event =
                                       (uint64_t)sqlite3_column_int64(row, COLUMN_ISSUE_EVENT)};
}

static text_t cursor_write(list_job_t *job)
{
    char *text = store_memory_take(&job->base.memory, LIST_CURSOR_SIZE);
    list_cursor_write(&job->last, text);
    return (text_t){.data = text, .size = LIST_CURSOR_SIZE};
}

/* --- The filter --- */

static bool has_word(text_t words, uint64_t word)
{
    for (size_t at = 0; at + sizeof word <= words.size; at += sizeof word) {
        if (memcmp(words.data + at, &word, sizeof word) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_all_words(const list_job_t *job, sqlite3_stmt *row)
{
    const text_t words = column_bytes(row, COLUMN_WORDS);
    for (uint32_t i = 0; i < job->list.word_count; i++) {
        if (!has_word(words, job->list.words[i])) {
            return false;
        }
    }
    return job->list.word_count > 0;
}

static bool fits_prefix(const list_job_t *job, sqlite3_stmt *row)
{
    return text_starts_with_any_case(column_bytes(row, COLUMN_MEMBER_ID), job->prefix) ||
           text_starts_with_any_case(column_bytes(row, COLUMN_TIER), job->prefix);
}

static bool row_fits(const list_job_t *job, sqlite3_stmt *row)
{
    const int64_t expires_at = sqlite3_column_int64(row, COLUMN_EXPIRES_AT);
    if (!text_is_empty(job->member_id) &&
        !text_equal(column_bytes(row, COLUMN_MEMBER_ID), job->member_id)) {
        return false;
    }
    if (!text_is_empty(job->tier) && !text_equal(column_bytes(row, COLUMN_TIER), job->tier)) {
        return false;
    }
    if (job->has_range && (expires_at < job->expires_from || expires_at >= job->expires_to)) {
        return false;
    }
    const int64_t status = sqlite3_column_int64(row, COLUMN_STATUS);
    const bool is_over = card_is_living((uint8_t)status) && expires_at <= job->list.now_ms;
    if (job->status != 0 && job->status != (is_over ? card_status_expired : status)) {
        return false;
    }
    return text_is_empty(job->prefix) || fits_prefix(job, row) || has_all_words(job, row);
}

/* --- Candidates --- */

static int match_compare_descending(const void *a, const void *b)
{
    return position_compare(&((const match_t *)b)->position, &((const match_t *)a)->position);
}

/* Adds what a match statement finds. False in `is_complete` when there are more than
 * LIMIT_PROJECTION_MATCHES. Arguments 1 and 2 are bound, and released here. */
static result_t matches_gather(list_job_t *job, sqlite3_stmt *statement, candidates_t *candidates,
                               bool *is_complete)
{
    model_database_t *const reader = &job->base.tenant->reader;
    result_t result = RESULT_OK;
    bool row = true;
    size_t found = 0;
    if (candidates->matches == NULL) { /* two gatherings at most, member ids and tiers */
        candidates->matches = store_memory_take(
            &job->base.memory, (2 * (size_t)LIMIT_PROJECTION_MATCHES) * sizeof(match_t));
    }
    bind_integer(statement, 3, LIMIT_PROJECTION_MATCHES + 1);
    while (result == RESULT_OK && found <= LIMIT_PROJECTION_MATCHES) {
        result = model_next(reader, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        found++;
        if (found <= LIMIT_PROJECTION_MATCHES) {
            candidates->matches[candidates->match_count++] = (match_t){
                .number = sqlite3_column_int64(statement, 0), .position = row_position(statement)};
        }
    }
    statement_done(statement);
    *is_complete = *is_complete && found <= LIMIT_PROJECTION_MATCHES;
    return result;
}

static void matches_order(candidates_t *candidates, const projection_position_t *below)
{
    if (candidates->matches == NULL || candidates->match_count == 0) {
        return;
    }
    qsort(candidates->matches, candidates->match_count, sizeof candidates->matches[0],
          match_compare_descending);
    size_t kept = 0;
    for (size_t i = 0; i < candidates->match_count; i++) {
        const match_t *const match = &candidates->matches[i];
        if (position_compare(&match->position, below) < 0 &&
            (kept == 0 || candidates->matches[kept - 1].number != match->number)) {
            candidates->matches[kept++] = *match;
        }
    }
    candidates->match_count = kept;
}

/* Every text with the prefix, in any case, lies between the prefix and the prefix with a byte
 * behind it that no UTF-8 text has. */
static result_t prefix_gather(list_job_t *job, model_statement_t which, candidates_t *candidates,
                              bool *is_complete)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = model_prepare(&job->base.tenant->reader, which, &statement);
    if (result != RESULT_OK || !*is_complete) {
        return result;
    }
    char *const end = store_memory_take(&job->base.memory, job->prefix.size + 1);
    memcpy(end, job->prefix.data, job->prefix.size);
    end[job->prefix.size] = (char)0xff;
    bind_text(statement, 1, job->prefix);
    bind_text(statement, 2, (text_t){.data = end, .size = job->prefix.size + 1});
    return matches_gather(job, statement, candidates, is_complete);
}

static result_t expiry_gather(list_job_t *job, model_statement_t which, int64_t from, int64_t to,
                              candidates_t *candidates, bool *is_complete)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = model_prepare(&job->base.tenant->reader, which, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, from);
    bind_integer(statement, 2, to);
    return matches_gather(job, statement, candidates, is_complete);
}

/* The index that has the candidates in the order of the page. */
static model_statement_t ordered_statement(const list_job_t *job)
{
    const bool has_status = job->status != 0 && job->status != card_status_expired;
    if (!text_is_empty(job->member_id)) {
        return MODEL_list_member;
    }
    if (!text_is_empty(job->tier)) {
        return has_status ? MODEL_list_tier_status : MODEL_list_tier;
    }
    return has_status ? MODEL_list_status : MODEL_list_all;
}

static result_t statement_begin(list_job_t *job, model_statement_t which, candidates_t *candidates,
                                const projection_position_t *below)
{
    model_database_t *const reader = &job->base.tenant->reader;
    const result_t result = model_prepare(reader, which, &candidates->statement);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const statement = candidates->statement;
    bind_integer(statement, 1, below->issued_at);
    bind_integer(statement, 2, (int64_t)below->event);
    if (which == MODEL_list_member) {
        bind_text(statement, 3, job->member_id);
    } else if (which == MODEL_list_tier) {
        bind_text(statement, 3, job->tier);
    } else if (which == MODEL_list_tier_status) {
        bind_text(statement, 3, job->tier);
        bind_integer(statement, 4, job->status);
    } else if (which == MODEL_list_status) {
        bind_integer(statement, 3, job->status);
    } else if (which == MODEL_list_word) {
        bind_integer(statement, 3, (int64_t)job->list.words[0]);
    }
    return model_next(reader, statement, &candidates->has_row);
}

/* What finds cards in no order of a page, and the ordered statement that adds the rest of them. */
typedef enum gathering {
    GATHER_PREFIX,
    GATHER_RANGE,
    GATHER_EXPIRED,
    GATHERINGS,
} gathering_t;

static bool applies(const list_job_t *job, gathering_t gathering)
{
    if (!text_is_empty(job->member_id)) {
        return false; /* a member has few cards, and they have an index */
    }
    switch (gathering) {
    case GATHER_PREFIX:
        return !text_is_empty(job->prefix);
    case GATHER_RANGE:
        return job->has_range;
    default:
        return job->status == card_status_expired;
    }
}

static result_t gather(list_job_t *job, gathering_t gathering, candidates_t *candidates,
                       model_statement_t *rest, bool *is_complete)
{
    result_t result = RESULT_OK;
    *rest = MODEL_STATEMENT_COUNT;
    *is_complete = true;
    candidates->match_count = 0;
    switch (gathering) {
    case GATHER_PREFIX:
        *rest = job->list.word_count > 0 ? MODEL_list_word : MODEL_STATEMENT_COUNT;
        result = prefix_gather(job, MODEL_match_member, candidates, is_complete);
        if (result == RESULT_OK) {
            result = prefix_gather(job, MODEL_match_tier, candidates, is_complete);
        }
        return result;
    case GATHER_RANGE:
        return expiry_gather(job, MODEL_match_expiry, job->expires_from, job->expires_to,
                             candidates, is_complete);
    default:
        *rest = text_is_empty(job->tier) ? MODEL_list_status : MODEL_list_tier_status;
        return expiry_gather(job, MODEL_match_due, INT64_MIN, job->list.now_ms + 1, candidates,
                             is_complete);
    }
}

/* The first gathering that finds few enough takes the place of the ordered candidates. */
static result_t gather_instead(list_job_t *job, candidates_t *candidates,
                               const projection_position_t *below, bool *is_gathered)
{
    candidates_t gathered = {0};
    model_statement_t rest = MODEL_STATEMENT_COUNT;
    result_t result = RESULT_OK;
    *is_gathered = false;
    for (gathering_t i = 0; i < GATHERINGS && result == RESULT_OK && !*is_gathered; i++) {
        if (applies(job, i)) {
            result = gather(job, i, &gathered, &rest, is_gathered);
        }
    }
    if (result != RESULT_OK || !*is_gathered) {
        return result;
    }
    if (candidates->statement != NULL) {
        statement_done(candidates->statement);
    }
    matches_order(&gathered, below);
    *candidates = gathered;
    return rest == MODEL_STATEMENT_COUNT ? RESULT_OK
                                         : statement_begin(job, rest, candidates, below);
}

/* The row of a gathered card. It is there: both are read in one transaction. */
static result_t row_fetch(model_database_t *reader, int64_t number, sqlite3_stmt **row)
{
    result_t result = model_prepare(reader, MODEL_list_one, row);
    bool found = false;
    if (result == RESULT_OK) {
        bind_integer(*row, 1, number);
        result = model_next(reader, *row, &found);
    }
    if (result == RESULT_OK && !found) {
        statement_done(*row);
        result = model_database_error(reader, SQLITE_CORRUPT, "an index names a missing row");
    }
    return result;
}

/* --- The page --- */

static void row_add(list_job_t *job, sqlite3_stmt *row)
{
    store_memory_t *const memory = &job->base.memory;
    if (job->page.row_count == job->capacity) {
        const size_t capacity = job->capacity == 0 ? 64 : job->capacity * 2;
        projection_row_t *const rows = store_memory_take(memory, capacity * sizeof *rows);
        if (job->capacity > 0) {
            memcpy(rows, job->rows, job->capacity * sizeof *rows);
        }
        job->rows = rows;
        job->capacity = capacity;
    }
    job->rows[job->page.row_count] =
        (projection_row_t){.body = store_memory_copy(memory, column_bytes(row, COLUMN_BODY)),
                           .by_name_only = !text_is_empty(job->prefix) && !fits_prefix(job, row)};
    job->page.row_count++;
}

/* Takes one candidate. `is_full` when it would belong on the next page. */
static void candidate_take(list_job_t *job, sqlite3_stmt *row, bool *is_full)
{
    if (row_fits(job, row)) {
        if (job->page.row_count == job->list.limit) {
            *is_full = true;
            return;
        }
        row_add(job, row);
    } else if (job->page.row_count == job->list.limit) {
        return;
    }
    job->last = row_position(row);
}

/* Looks at the newer of the two sources' next ones. `is_more` is false when there are none. A card
 * that both have is taken from the statement. */
static result_t candidate_next(list_job_t *job, candidates_t *candidates, bool *is_full,
                               bool *is_more)
{
    model_database_t *const reader = &job->base.tenant->reader;
    const match_t *const match = candidates->match_index < candidates->match_count
                                     ? &candidates->matches[candidates->match_index]
                                     : NULL;
    *is_more = match != NULL || candidates->has_row;
    if (!*is_more) {
        return RESULT_OK;
    }
    int order = -1; /* of the match beside the row */
    if (candidates->has_row) {
        const projection_position_t position = row_position(candidates->statement);
        order = match == NULL ? 1 : position_compare(&position, &match->position);
    }
    if (order >= 0) {
        candidates->match_index += order == 0 ? 1 : 0;
        candidate_take(job, candidates->statement, is_full);
        return model_next(reader, candidates->statement, &candidates->has_row);
    }
    candidates->match_index++;
    sqlite3_stmt *row = NULL;
    const result_t result = row_fetch(reader, match->number, &row);
    if (result == RESULT_OK) {
        candidate_take(job, row, is_full);
        statement_done(row);
    }
    return result;
}

typedef struct scan {
    uint32_t looked_at;
    bool is_full;
    bool is_more;
} scan_t;

static result_t scan_to(list_job_t *job, candidates_t *candidates, uint32_t most, scan_t *scan)
{
    result_t result = RESULT_OK;
    while (result == RESULT_OK && scan->is_more && !scan->is_full && scan->looked_at < most) {
        result = candidate_next(job, candidates, &scan->is_full, &scan->is_more);
        scan->looked_at++;
    }
    return result;
}

static result_t candidates_read(list_job_t *job, candidates_t *candidates,
                                const projection_position_t *below, scan_t *scan)
{
    bool is_gathered = false;
    bool may_gather = false;
    for (gathering_t i = 0; i < GATHERINGS; i++) {
        may_gather = may_gather || applies(job, i);
    }
    uint32_t glance = LIMIT_LIST_GLANCE_PER_ROW * (job->list.limit + 1);
    if (job->status == card_status_expired) {
        glance = 0; /* who is past its end is mostly long issued */
    } else if (glance > LIMIT_LIST_SCAN_ROWS) {
        glance = LIMIT_LIST_SCAN_ROWS;
    }
    result_t result = statement_begin(job, ordered_statement(job), candidates, below);
    if (result == RESULT_OK && may_gather) {
        result = scan_to(job, candidates, glance, scan);
        if (result == RESULT_OK && scan->is_more && !scan->is_full) {
            result = gather_instead(job, candidates, below, &is_gathered);
        }
        if (is_gathered) {
            *scan = (scan_t){.is_more = true};
            job->page.row_count = 0;
        }
    }
    return result == RESULT_OK ? scan_to(job, candidates, LIMIT_LIST_SCAN_ROWS, scan) : result;
}

static result_t list_read(list_job_t *job)
{
    projection_position_t below = {.issued_at = INT64_MAX, .event = INT64_MAX};
    if (MESSAGE_HAS(card_list, job->list.filter, cursor) &&
        !list_cursor_read(job->list.filter->cursor, &below)) {
        return RESULT_INVALID_CURSOR;
    }
    candidates_t candidates = {0};
    scan_t scan = {.is_more = true};
    const result_t result = candidates_read(job, &candidates, &below, &scan);
    if (candidates.statement != NULL) {
        statement_done(candidates.statement);
    }
    if (result == RESULT_OK && scan.is_more) {
        job->page.next_cursor = cursor_write(job);
    }
    return result;
}

static void list_run(model_job_t *base)
{
    list_job_t *job = (list_job_t *)base;
    model_database_t *const reader = &base->tenant->reader;
    base->result = model_run(reader, MODEL_begin);
    if (base->result == RESULT_OK) {
        base->result = list_read(job);
    }
    model_rollback(reader);
    job->page.rows = job->rows;
}

static void list_finish(model_job_t *base)
{
    list_job_t *job = (list_job_t *)base;
    const projections_sqlite_t *const projections = base->tenant->projections;
    if (base->result != RESULT_OK) {
        job->page = (projections_page_t){.result = base->result};
    }
    projection_metrics_page_read(&projections->numbers, base->submitted_us);
    job->done(job->context, &job->page);
}

result_t projections_sqlite_list(projections_tenant_t *tenant, const projections_list_t *list,
                                 projections_page_done_t *done, void *context)
{
    assert(list->limit > 0 && list->limit <= LIMIT_STORE_PAGE_ROWS && !tenant->is_closing);
    const card_list_t *const filter = list->filter;
    list_job_t *job = model_job_create(tenant, sizeof *job, list_run, list_finish);
    job->list = *list;
    job->done = done;
    job->context = context;
    job->member_id = MESSAGE_HAS(card_list, filter, member_id) ? filter->member_id : TEXT_NONE;
    job->tier = MESSAGE_HAS(card_list, filter, tier) ? filter->tier : TEXT_NONE;
    job->prefix = MESSAGE_HAS(card_list, filter, q) ? filter->q : TEXT_NONE;
    job->status = MESSAGE_HAS(card_list, filter, status) ? filter->status : 0;
    job->has_range = MESSAGE_HAS(card_list, filter, expires_after) ||
                     MESSAGE_HAS(card_list, filter, expires_before);
    job->expires_from =
        MESSAGE_HAS(card_list, filter, expires_after) ? filter->expires_after : INT64_MIN;
    job->expires_to =
        MESSAGE_HAS(card_list, filter, expires_before) ? filter->expires_before : INT64_MAX;
    return model_job_submit(&job->base, MODEL_LANE_READ);
}
