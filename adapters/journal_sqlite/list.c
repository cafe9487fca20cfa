/* Pages of cards, newest first. Candidates come along an index that fits the filter, in descending
 * order of their number, and each is checked against the whole filter here. No page looks at more
 * than LIMIT_LIST_SCAN_ROWS candidates: when that is not enough to fill it, it is shorter (even
 * empty) and its cursor goes on from there. */
#include "actors/domain/card.h"
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include <assert.h>
#include <stdlib.h>

/* Two sources merged: rows of a statement, and numbers of cards that were found otherwise. */
typedef struct candidates {
    sqlite3_stmt *statement; /* NULL: no such source */
    bool has_row;            /* the statement stands on a row that was not used yet */
    int64_t *numbers;        /* descending, each once */
    size_t number_count;
    size_t number_index;
} candidates_t;

typedef struct list_job {
    store_job_t base;
    const card_list_t *filter; /* the caller's until `done` */
    int64_t now_ms;
    uint32_t limit;
    journal_cards_done_t *done;
    void *context;
    journal_card_row_t *rows;
    size_t capacity;
    int64_t last_number; /* of the last row of the page, or the last one looked at */
    journal_cards_t page;
    text_t member_id; /* of the filter; empty: any */
    text_t prefix;
    uint8_t status; /* 0: any */
} list_job_t;

/* --- The filter --- */

static bool row_matches(const list_job_t *job, sqlite3_stmt *row)
{
    const text_t member_id = column_bytes(row, 1);
    if (!text_is_empty(job->member_id) && !text_equal(member_id, job->member_id)) {
        return false;
    }
    if (!text_is_empty(job->prefix) && !text_starts_with_any_case(member_id, job->prefix) &&
        !text_starts_with_any_case(column_bytes(row, 2), job->prefix)) {
        return false;
    }
    const int64_t status = sqlite3_column_int64(row, 3);
    const bool is_over =
        card_is_living((uint8_t)status) && sqlite3_column_int64(row, 4) <= job->now_ms;
    return job->status == 0 || job->status == (is_over ? card_status_expired : status);
}

/* --- Candidates --- */

static int number_compare_descending(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left < right) - (left > right);
}

/* Adds the numbers that a match statement finds to `candidates`. False in `is_complete` when there
 * are more than LIMIT_LIST_MATCHES of them. Arguments 1 and 2 are bound, and released here. */
static result_t numbers_gather(connection_t *reader, sqlite3_stmt *statement,
                               candidates_t *candidates, bool *is_complete)
{
    result_t result = RESULT_OK;
    bool row = true;
    size_t found = 0;
    bind_integer(statement, 3, LIMIT_LIST_MATCHES + 1);
    while (result == RESULT_OK && found <= LIMIT_LIST_MATCHES) {
        result = statement_next(reader, statement, &row);
        if (result != RESULT_OK || !row) {
            break;
        }
        found++;
        if (found <= LIMIT_LIST_MATCHES) {
            candidates->numbers[candidates->number_count++] = sqlite3_column_int64(statement, 0);
        }
    }
    statement_done(statement);
    *is_complete = *is_complete && found <= LIMIT_LIST_MATCHES;
    return result;
}

static void numbers_order(candidates_t *candidates, int64_t below)
{
    if (candidates->number_count == 0) {
        return;
    }
    qsort(candidates->numbers, candidates->number_count, sizeof candidates->numbers[0],
          number_compare_descending);
    size_t kept = 0;
    for (size_t i = 0; i < candidates->number_count; i++) {
        const int64_t number = candidates->numbers[i];
        if (number < below && (kept == 0 || candidates->numbers[kept - 1] != number)) {
            candidates->numbers[kept++] = number;
        }
    }
    candidates->number_count = kept;
}

/* Every text with the prefix, in any case, lies between the prefix and the prefix with a byte
 * behind it that no UTF-8 text has. */
static result_t prefix_gather(list_job_t *job, statement_t which, candidates_t *candidates,
                              bool *is_complete)
{
    connection_t *const reader = &job->base.tenant->reader;
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(reader, which, &statement);
    if (result != RESULT_OK || !*is_complete) {
        return result;
    }
    char *const end = store_memory_take(&job->base.memory, job->prefix.size + 1);
    memcpy(end, job->prefix.data, job->prefix.size);
    end[job->prefix.size] = (char)0xff;
    bind_text(statement, 1, job->prefix);
    bind_text(statement, 2, (text_t){.data = end, .size = job->prefix.size + 1});
    return numbers_gather(reader, statement, candidates, is_complete);
}

static result_t due_gather(list_job_t *job, candidates_t *candidates, bool *is_complete)
{
    connection_t *const reader = &job->base.tenant->reader;
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(reader, STATEMENT_match_due, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(statement, 1, job->now_ms);
    return numbers_gather(reader, statement, candidates, is_complete);
}

/* Which index the statement follows, and what was gathered beside it. */
static result_t candidates_choose(list_job_t *job, candidates_t *candidates, int64_t below)
{
    connection_t *const reader = &job->base.tenant->reader;
    statement_t which = STATEMENT_list_all;
    bool is_complete = true;
    result_t result = RESULT_OK;
    if (!text_is_empty(job->member_id)) {
        which = STATEMENT_list_member;
    } else if (!text_is_empty(job->prefix)) {
        result = prefix_gather(job, STATEMENT_match_member, candidates, &is_complete);
        if (result == RESULT_OK) {
            result = prefix_gather(job, STATEMENT_match_tier, candidates, &is_complete);
        }
        which = is_complete ? STATEMENT_COUNT : STATEMENT_list_all;
    } else if (job->status == card_status_expired) {
        result = due_gather(job, candidates, &is_complete);
        which = is_complete ? STATEMENT_list_status : STATEMENT_list_all;
    } else if (job->status != 0) {
        which = STATEMENT_list_status;
    }
    if (!is_complete) {
        candidates->number_count = 0;
    }
    numbers_order(candidates, below);
    if (result != RESULT_OK || which == STATEMENT_COUNT) {
        return result;
    }
    result = connection_statement(reader, which, &candidates->statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_integer(candidates->statement, 1, below);
    if (which == STATEMENT_list_member) {
        bind_text(candidates->statement, 2, job->member_id);
    } else if (which == STATEMENT_list_status) {
        bind_integer(candidates->statement, 2, job->status);
    }
    return statement_next(reader, candidates->statement, &candidates->has_row);
}

/* The row of a gathered number. It is there: numbers and rows are read in one transaction. */
static result_t row_fetch(connection_t *reader, int64_t number, sqlite3_stmt **row)
{
    result_t result = connection_statement(reader, STATEMENT_list_one, row);
    bool found = false;
    if (result == RESULT_OK) {
        bind_integer(*row, 1, number);
        result = statement_next(reader, *row, &found);
    }
    if (result == RESULT_OK && !found) {
        statement_done(*row);
        result = connection_error(reader, SQLITE_CORRUPT, "an index of cards names a missing row");
    }
    return result;
}

/* --- The page --- */

static result_t row_add(list_job_t *job, sqlite3_stmt *row)
{
    journal_tenant_t *const tenant = job->base.tenant;
    store_memory_t *const memory = &job->base.memory;
    if (job->page.row_count == job->capacity) {
        const size_t capacity = job->capacity == 0 ? 64 : job->capacity * 2;
        journal_card_row_t *const rows = store_memory_take(memory, capacity * sizeof *rows);
        if (job->capacity > 0) {
            memcpy(rows, job->rows, job->capacity * sizeof *rows);
        }
        job->rows = rows;
        job->capacity = capacity;
    }
    journal_card_row_t *const added = &job->rows[job->page.row_count];
    *added = (journal_card_row_t){.snapshot = store_memory_copy(memory, column_bytes(row, 6))};
    uuid_t card;
    if (!column_uuid(row, 7, &card)) {
        return connection_error(&tenant->reader, SQLITE_CORRUPT, "reading a card id");
    }
    result_t result =
        member_key_read(&tenant->reader, column_bytes(row, 1), memory, &added->sealed_member_key);
    event_tail_t tail = {0};
    card_head_t head;
    if (result == RESULT_OK) {
        result = card_head_read(&tenant->reader, &card, &head);
    }
    if (result == RESULT_OK) {
        result = event_tail_read(tenant, &card, &head, column_unsigned(row, 5), memory, &tail);
    }
    added->tail = tail.events;
    added->tail_count = tail.count;
    job->page.row_count++;
    job->page.rows = job->rows;
    return result;
}

/* Takes one candidate. `is_full` when it would belong on the next page. */
static result_t candidate_take(list_job_t *job, sqlite3_stmt *row, bool *is_full)
{
    if (!row_matches(job, row)) {
        if (job->page.row_count < job->limit) {
            job->last_number = sqlite3_column_int64(row, 0);
        }
        return RESULT_OK;
    }
    if (job->page.row_count == job->limit) {
        *is_full = true;
        return RESULT_OK;
    }
    job->last_number = sqlite3_column_int64(row, 0);
    return row_add(job, row);
}

/* Looks at the newer of the two sources' next ones. `is_more` is false when there are none. */
static result_t candidate_next(list_job_t *job, candidates_t *candidates, bool *is_full,
                               bool *is_more)
{
    connection_t *const reader = &job->base.tenant->reader;
    const bool has_number = candidates->number_index < candidates->number_count;
    *is_more = has_number || candidates->has_row;
    if (!*is_more) {
        return RESULT_OK;
    }
    const int64_t number = has_number ? candidates->numbers[candidates->number_index] : 0;
    if (candidates->has_row &&
        (!has_number || sqlite3_column_int64(candidates->statement, 0) > number)) {
        const result_t result = candidate_take(job, candidates->statement, is_full);
        return result != RESULT_OK
                   ? result
                   : statement_next(reader, candidates->statement, &candidates->has_row);
    }
    candidates->number_index++;
    sqlite3_stmt *row = NULL;
    result_t result = row_fetch(reader, number, &row);
    if (result == RESULT_OK) {
        result = candidate_take(job, row, is_full);
        statement_done(row);
    }
    return result;
}

static result_t list_read(list_job_t *job)
{
    int64_t below = INT64_MAX;
    if (MESSAGE_HAS(card_list, job->filter, cursor) &&
        !page_cursor_read(PAGE_CURSOR_CARDS, job->filter->cursor, &below)) {
        return RESULT_INVALID_CURSOR;
    }
    candidates_t candidates = {0};
    candidates.numbers =
        store_memory_take(&job->base.memory, (2 * (size_t)LIMIT_LIST_MATCHES) * sizeof(int64_t));
    result_t result = candidates_choose(job, &candidates, below);
    bool is_full = false;
    bool is_more = true;
    uint32_t looked_at = 0;
    while (result == RESULT_OK && is_more && !is_full && looked_at < LIMIT_LIST_SCAN_ROWS) {
        result = candidate_next(job, &candidates, &is_full, &is_more);
        looked_at++;
    }
    if (candidates.statement != NULL) {
        statement_done(candidates.statement);
    }
    if (result == RESULT_OK && is_more) {
        job->page.next_cursor =
            page_cursor_write(PAGE_CURSOR_CARDS, job->last_number,
                              store_memory_take(&job->base.memory, PAGE_CURSOR_SIZE));
    }
    return result;
}

static void list_run(store_job_t *base)
{
    list_job_t *job = (list_job_t *)base;
    connection_t *const reader = &base->tenant->reader;
    result_t result = connection_run(reader, STATEMENT_begin);
    if (result == RESULT_OK) {
        result = list_read(job);
    }
    connection_rollback(reader);
    job->page.result = result;
}

static void list_finish(store_job_t *base)
{
    list_job_t *job = (list_job_t *)base;
    if (job->page.result != RESULT_OK) {
        job->page = (journal_cards_t){.result = job->page.result};
    }
    job->done(job->context, &job->page);
}

result_t journal_list_cards(journal_tenant_t *tenant, const card_list_t *filter, int64_t now_ms,
                            uint32_t limit, journal_cards_done_t *done, void *context)
{
    assert(limit > 0 && !tenant->closing);
    list_job_t *job = store_job_create(tenant, sizeof *job, list_run, list_finish);
    job->filter = filter;
    job->now_ms = now_ms;
    job->limit = limit < LIMIT_STORE_PAGE_ROWS ? limit : LIMIT_STORE_PAGE_ROWS;
    job->done = done;
    job->context = context;
    job->member_id = MESSAGE_HAS(card_list, filter, member_id) ? filter->member_id : TEXT_NONE;
    job->prefix = MESSAGE_HAS(card_list, filter, q) ? filter->q : TEXT_NONE;
    job->status = MESSAGE_HAS(card_list, filter, status) ? filter->status : 0;
    return store_job_submit(&job->base, STORE_LANE_READ);
}
