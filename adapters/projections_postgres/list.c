/* Pages of cards, newest first. A source names candidates along an index that fits the filter, in
 * descending order of their position, and each is held against the whole filter (statements.def).
 * No page looks at more than LIMIT_LIST_SCAN_ROWS candidates: when that is not enough to fill it,
 * it is shorter (even empty) and its cursor goes on from there. */
#include "actors/list_cursor.h"
#include "adapters/projections_postgres/projections_postgres_internal.h"
#include <assert.h>
#include <stdlib.h>

/* Columns of the statements list_*. */
enum {
    COLUMN_FOUND,
    COLUMN_LAST_ISSUED_AT,
    COLUMN_LAST_EVENT,
    COLUMN_ISSUED_AT,
    COLUMN_EVENT,
    COLUMN_BY_NAME,
    COLUMN_BODY
};

enum {
    SCAN_FIRST = 8, /* candidates per row of the page that are looked at before all that may be */
};

typedef struct list_job {
    fold_job_t base;
    projections_list_t list; /* what it points to is the caller's until `done` */
    projections_page_done_t *done;
    void *context;
    projections_page_t page;
    char cursor[LIST_CURSOR_SIZE];
    projection_position_t below;
    text_t member_id; /* of the filter; empty: any */
    text_t tier;
    text_t prefix;
    char prefix_folded[LIMIT_LIST_PREFIX_SIZE + 1];
    uint8_t status; /* 0: any */
    int64_t expires_from;
    int64_t expires_to;
    bool has_range;
} list_job_t;

static void page_ends_at(list_job_t *job, int64_t issued_at, int64_t event)
{
    const projection_position_t position = {.issued_at = issued_at, .event = (uint64_t)event};
    list_cursor_write(&position, job->cursor);
    job->page.next_cursor = (text_t){.data = job->cursor, .size = LIST_CURSOR_SIZE};
}

/* --- The source --- */

/* Whether no more cards fit than may be sorted. Releases the values: its two arguments. */
static result_t are_few(fold_session_t *session, fold_statement_t which, parameters_t *values,
                        bool *few)
{
    PGresult *rows = NULL;
    parameter_integer(values, LIMIT_PROJECTION_MATCHES + 1);
    const result_t result = fold_run(session, which, values, &rows);
    *few = result == RESULT_OK && field_integer(rows, 0, 0) <= LIMIT_PROJECTION_MATCHES;
    PQclear(rows);
    return result;
}

/* Every text with the prefix lies between the prefix and the prefix with a byte behind it that no
 * UTF-8 text has. */
static result_t prefix_is_rare(const list_job_t *job, fold_session_t *session, bool *few)
{
    char end[LIMIT_LIST_PREFIX_SIZE + 1];
    parameters_t values = {0};
    memcpy(end, job->prefix.data, job->prefix.size);
    end[job->prefix.size] = (char)0xff;
    parameter_bytes(&values, job->prefix);
    parameter_bytes(&values, (text_t){.data = end, .size = job->prefix.size + 1});
    return are_few(session, FOLD_match_prefix, &values, few);
}

static result_t range_is_small(fold_session_t *session, fold_statement_t which, int64_t from,
                               int64_t to, bool *few)
{
    parameters_t values = {0};
    parameter_integer(&values, from);
    parameter_integer(&values, to);
    return are_few(session, which, &values, few);
}

/* The index that has the candidates in the order of the page. */
static fold_statement_t ordered_source(const list_job_t *job)
{
    const bool has_status = job->status != 0 && job->status != card_status_expired;
    if (!text_is_empty(job->member_id)) {
        return FOLD_list_member;
    }
    if (!text_is_empty(job->tier)) {
        return has_status ? FOLD_list_tier_status : FOLD_list_tier;
    }
    return has_status ? FOLD_list_status : FOLD_list_all;
}

/* What finds cards in no order of a page, and sorts them, if they are few enough. Between the
 * counting and the page more may come: they are sorted as well. */
static result_t sorted_source(const list_job_t *job, fold_session_t *session,
                              fold_statement_t *which)
{
    result_t result = RESULT_OK;
    bool few = false;
    if (!text_is_empty(job->member_id)) {
        return RESULT_OK; /* a member has few cards, and they have an index */
    }
    if (!text_is_empty(job->prefix)) {
        result = prefix_is_rare(job, session, &few);
        *which = few ? FOLD_list_query : *which;
    }
    if (result == RESULT_OK && !few && job->has_range) {
        result =
            range_is_small(session, FOLD_match_expiry, job->expires_from, job->expires_to, &few);
        *which = few ? FOLD_list_expiry : *which;
    }
    if (result == RESULT_OK && !few && job->status == card_status_expired) {
        result = range_is_small(session, FOLD_match_due, INT64_MIN, job->list.now_ms + 1, &few);
        *which = few ? FOLD_list_expired : *which;
    }
    return result;
}

/* --- The page --- */

static void text_or_null(parameters_t *values, text_t text)
{
    if (text_is_empty(text)) {
        parameter_null(values);
    } else {
        parameter_bytes(values, text);
    }
}

static void number_or_null(parameters_t *values, bool is_given, int64_t number)
{
    if (is_given) {
        parameter_integer(values, number);
    } else {
        parameter_null(values);
    }
}

static void words_or_null(parameters_t *values, const list_job_t *job)
{
    if (job->list.word_count == 0 || text_is_empty(job->prefix)) {
        parameter_null(values);
        return;
    }
    parameter_array_begin(values, TYPE_INT8, job->list.word_count);
    for (uint32_t i = 0; i < job->list.word_count; i++) {
        element_int8(values, (int64_t)job->list.words[i]);
    }
    parameter_array_end(values);
}

static result_t page_ask(list_job_t *job, fold_session_t *session, fold_statement_t which,
                         uint32_t scan)
{
    parameters_t values = {0};
    parameter_integer(&values, job->below.issued_at);
    parameter_integer(&values, (int64_t)job->below.event);
    parameter_integer(&values, scan);
    parameter_integer(&values, (int64_t)job->list.limit + 1);
    text_or_null(&values, job->member_id);
    text_or_null(&values, job->tier);
    number_or_null(&values, job->has_range, job->expires_from);
    number_or_null(&values, job->has_range, job->expires_to);
    number_or_null(&values, job->status != 0, job->status);
    parameter_integer(&values, job->list.now_ms);
    text_or_null(&values, job->prefix);
    words_or_null(&values, job);
    return fold_run(session, which, &values, &job->base.rows);
}

static size_t rows_count(const PGresult *rows)
{
    return field_is_null(rows, 0, COLUMN_EVENT) ? 0 : (size_t)PQntuples(rows);
}

typedef struct page_state {
    bool is_full;
    bool is_cut; /* there are more candidates than were looked at */
} page_state_t;

static result_t page_try(list_job_t *job, fold_session_t *session, fold_statement_t which,
                         uint32_t scan, page_state_t *state)
{
    PQclear(job->base.rows);
    job->base.rows = NULL;
    const result_t result = page_ask(job, session, which, scan);
    if (result == RESULT_OK) {
        state->is_full = rows_count(job->base.rows) > job->list.limit;
        state->is_cut = field_integer(job->base.rows, 0, COLUMN_FOUND) >= scan;
    }
    return result;
}

/* First a few candidates along an index, since mostly they fill the page; then what is sorted, or
 * as many along the index as a page may look at. */
static result_t page_read(list_job_t *job, fold_session_t *session)
{
    const uint32_t first = SCAN_FIRST * (job->list.limit + 1);
    const uint32_t glance = first < LIMIT_LIST_SCAN_ROWS ? first : LIMIT_LIST_SCAN_ROWS;
    fold_statement_t which = ordered_source(job);
    page_state_t state = {.is_cut = true};
    result_t result = RESULT_OK;
    if (job->status != card_status_expired) { /* those are mostly long issued */
        result = page_try(job, session, which, glance, &state);
    }
    if (result == RESULT_OK && state.is_cut && !state.is_full) {
        result = sorted_source(job, session, &which);
        if (result == RESULT_OK) {
            result = page_try(job, session, which, LIMIT_LIST_SCAN_ROWS, &state);
        }
    }
    if (result == RESULT_OK && state.is_full) {
        const int last = (int)job->list.limit - 1;
        page_ends_at(job, field_integer(job->base.rows, last, COLUMN_ISSUED_AT),
                     field_integer(job->base.rows, last, COLUMN_EVENT));
    } else if (result == RESULT_OK && state.is_cut) {
        page_ends_at(job, field_integer(job->base.rows, 0, COLUMN_LAST_ISSUED_AT),
                     field_integer(job->base.rows, 0, COLUMN_LAST_EVENT));
    }
    return result;
}

static void list_run(fold_job_t *base, fold_session_t *session)
{
    list_job_t *job = (list_job_t *)base;
    job->below = (projection_position_t){.issued_at = INT64_MAX, .event = INT64_MAX};
    if (MESSAGE_HAS(card_list, job->list.filter, cursor) &&
        !list_cursor_read(job->list.filter->cursor, &job->below)) {
        base->result = RESULT_INVALID_CURSOR;
        return;
    }
    base->result = page_read(job, session);
}

static void list_finish(fold_job_t *base)
{
    list_job_t *job = (list_job_t *)base;
    const projections_postgres_t *const projections = base->tenant->projections;
    if (base->result == RESULT_OK) {
        const size_t found = rows_count(base->rows);
        const size_t count = found < job->list.limit ? found : job->list.limit;
        projection_row_t *const rows = calloc(count + 1, sizeof *rows);
        assert(rows != NULL);
        for (size_t i = 0; i < count; i++) {
            rows[i] = (projection_row_t){
                .body = field_bytes(base->rows, (int)i, COLUMN_BODY),
                .by_name_only = field_integer(base->rows, (int)i, COLUMN_BY_NAME) == 1};
        }
        base->memory = rows;
        job->page.rows = rows;
        job->page.row_count = count;
    } else {
        job->page = (projections_page_t){.result = base->result};
    }
    projection_metrics_page_read(&projections->numbers, base->submitted_us);
    job->done(job->context, &job->page);
}

static void prefix_set(list_job_t *job, text_t prefix)
{
    /* Twice what a member id, a tier or `q` may be: cut or not, a longer one begins nothing. */
    const size_t size =
        prefix.size < sizeof job->prefix_folded ? prefix.size : LIMIT_LIST_PREFIX_SIZE;
    for (size_t i = 0; i < size; i++) {
        job->prefix_folded[i] = text_lower_ascii(prefix.data[i]);
    }
    job->prefix = (text_t){.data = job->prefix_folded, .size = size};
}

result_t projections_postgres_list(projections_tenant_t *tenant, const projections_list_t *list,
                                   projections_page_done_t *done, void *context)
{
    assert(list->limit > 0 && list->limit <= LIMIT_STORE_PAGE_ROWS && !tenant->is_closing);
    const card_list_t *const filter = list->filter;
    list_job_t *job = fold_job_create(tenant, sizeof *job, list_run, list_finish);
    job->list = *list;
    job->done = done;
    job->context = context;
    job->member_id = MESSAGE_HAS(card_list, filter, member_id) ? filter->member_id : TEXT_NONE;
    job->tier = MESSAGE_HAS(card_list, filter, tier) ? filter->tier : TEXT_NONE;
    prefix_set(job, MESSAGE_HAS(card_list, filter, q) ? filter->q : TEXT_NONE);
    job->status = MESSAGE_HAS(card_list, filter, status) ? filter->status : 0;
    job->has_range = MESSAGE_HAS(card_list, filter, expires_after) ||
                     MESSAGE_HAS(card_list, filter, expires_before);
    job->expires_from =
        MESSAGE_HAS(card_list, filter, expires_after) ? filter->expires_after : INT64_MIN;
    job->expires_to =
        MESSAGE_HAS(card_list, filter, expires_before) ? filter->expires_before : INT64_MAX;
    return fold_job_submit(&job->base, FOLD_LANE_READ);
}
