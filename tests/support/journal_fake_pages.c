/* The fake journal's pages of cards and events. */
#include "tests/support/journal_fake_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Pages: newest first, the cursor is the number of rows to skip --- */

static bool parse_cursor(text_t cursor, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < cursor.size; i++) {
        if (cursor.data[i] < '0' || cursor.data[i] > '9' || i > 15) {
            return false;
        }
        *value = *value * 10 + (uint64_t)(cursor.data[i] - '0');
    }
    return true;
}

static bool card_matches(const card_list_t *filter, const fake_row_t *row, int64_t now_ms)
{
    const bool can_expire = row->status == card_status_issued ||
                            row->status == card_status_active ||
                            row->status == card_status_suspended;
    const uint8_t status =
        can_expire && row->time <= now_ms ? (uint8_t)card_status_expired : row->status;
    if (MESSAGE_HAS(card_list, filter, status) && filter->status != status) {
        return false;
    }
    if (MESSAGE_HAS(card_list, filter, member_id) &&
        !text_equal(filter->member_id, text_from_c(row->name))) {
        return false;
    }
    return !MESSAGE_HAS(card_list, filter, q) ||
           text_starts_with(text_from_c(row->name), filter->q);
}

static text_t next_cursor(bool more, uint64_t value, char text[24])
{
    if (!more) {
        return TEXT_NONE;
    }
    const int size = snprintf(text, 24, "%llu", (unsigned long long)value);
    return (text_t){text, (size_t)size};
}

static void run_cards(uint8_t *arena_base, job_t *job)
{
    const fake_tenant_t *const tenant = job->handle->tenant;
    journal_card_row_t rows[PAGE_MAX];
    journal_cards_t cards = {.result = job->crashed, .rows = rows};
    arena_t arena = {.base = arena_base, .size = ARENA_SIZE};
    uint64_t seen = 0;
    bool more = false;
    for (size_t i = tenant->snapshots.count; i > 0 && !more; i--) {
        const fake_row_t *const row = tenant->snapshots.rows[i - 1];
        if (!card_matches(job->filter, row, job->now_ms)) {
            continue;
        }
        seen++;
        if (seen <= job->after) {
            continue;
        }
        more = cards.row_count == job->limit;
        if (!more) {
            journal_card_row_t *const shown = &rows[cards.row_count];
            cards.row_count++;
            shown->snapshot = row_text(row);
            shown->tail = collect_tail(tenant, &row->card, row->number, &arena, &shown->tail_count);
            shown->sealed_member_key =
                row_text(row_by_name(&tenant->member_keys, text_from_c(row->name)));
        }
    }
    char text[24];
    cards.next_cursor = next_cursor(more, job->after + cards.row_count, text);
    job->cards(job->context, &cards);
}

static void run_events(job_t *job)
{
    const fake_tenant_t *const tenant = job->handle->tenant;
    event_t *events = calloc(PAGE_MAX, sizeof(*events));
    assert(events != NULL);
    journal_events_t page = {.result = job->crashed, .events = events};
    bool more = false;
    uint64_t seen = 0;
    for (size_t i = 0; i < tenant->events.count && !more; i++) {
        const bool is_history = job->page == PAGE_HISTORY;
        const event_t *const event =
            &tenant->events.rows[is_history ? tenant->events.count - 1 - i : i]->event;
        if (is_history ? !uuid_equal(&event->card, &job->card)
                       : (event->partition != job->partition || event->sequence <= job->after)) {
            continue;
        }
        seen++;
        if (is_history && seen <= job->after) {
            continue;
        }
        more = page.event_count == job->limit;
        if (!more) {
            events[page.event_count] = *event;
            page.event_count++;
        }
    }
    char text[24];
    if (job->page == PAGE_HISTORY) {
        page.next_cursor = next_cursor(more, job->after + page.event_count, text);
    } else {
        page.head = tenant->partitions[job->partition].head;
    }
    job->events(job->context, &page);
    free(events);
}

void run_page(uint8_t *arena, job_t *job)
{
    if (job->page == PAGE_CARDS) {
        run_cards(arena, job);
    } else {
        run_events(job);
    }
}

result_t fake_list_cards(journal_tenant_t *handle, const card_list_t *filter, int64_t now_ms,
                         uint32_t limit, journal_cards_done_t *done, void *context)
{
    uint64_t skip = 0;
    const bool is_good =
        !MESSAGE_HAS(card_list, filter, cursor) || parse_cursor(filter->cursor, &skip);
    job_t *const job = add_job(handle->fake, JOB_PAGE, handle, context);
    job->page = PAGE_CARDS;
    job->crashed = is_good ? RESULT_OK : RESULT_INVALID_CURSOR;
    job->filter = filter;
    job->now_ms = now_ms;
    job->limit = limit > PAGE_MAX ? PAGE_MAX : limit;
    job->after = skip;
    job->cards = done;
    return RESULT_OK;
}

result_t fake_read_history(journal_tenant_t *handle, const uuid_t *card, text_t cursor,
                           uint32_t limit, journal_events_done_t *done, void *context)
{
    uint64_t skip = 0;
    const bool is_good = parse_cursor(cursor, &skip);
    job_t *const job = add_job(handle->fake, JOB_PAGE, handle, context);
    job->page = PAGE_HISTORY;
    job->crashed = is_good ? RESULT_OK : RESULT_INVALID_CURSOR;
    job->card = *card;
    job->limit = limit > PAGE_MAX ? PAGE_MAX : limit;
    job->after = skip;
    job->events = done;
    return RESULT_OK;
}

result_t fake_read_events(journal_tenant_t *handle, uint32_t partition, uint64_t after,
                          uint32_t limit, journal_events_done_t *done, void *context)
{
    job_t *const job = add_job(handle->fake, JOB_PAGE, handle, context);
    job->page = PAGE_EVENTS;
    job->partition = partition;
    job->limit = limit > PAGE_MAX ? PAGE_MAX : limit;
    job->after = after;
    job->events = done;
    return RESULT_OK;
}

/* --- Reminders --- */

void run_reminders(job_t *job)
{
    journal_reminder_t rows[REMINDER_TABLE_ROWS];
    journal_reminders_t found = {.result = job->crashed, .rows = rows};
    if (found.result == RESULT_OK) {
        found.row_count = reminder_table_due(&job->handle->tenant->reminders, job->now_ms,
                                             job->limit, rows, &found.next_at);
    }
    job->reminders(job->context, &found);
}

result_t fake_reminders(journal_tenant_t *handle, int64_t now_ms, uint32_t limit,
                        journal_reminders_done_t *done, void *context)
{
    job_t *const job = add_job(handle->fake, JOB_REMINDERS, handle, context);
    job->now_ms = now_ms;
    job->limit = limit;
    job->reminders = done;
    return RESULT_OK;
}

size_t journal_fake_reminder_count(journal_fake_t *fake, const char *tenant)
{
    return fake_tenant_find(fake, text_from_c(tenant))->reminders.count;
}

int64_t journal_fake_reminder_at(journal_fake_t *fake, const char *tenant, const uuid_t *actor,
                                 const char *name)
{
    const reminder_row_t *const row = reminder_table_find(
        &fake_tenant_find(fake, text_from_c(tenant))->reminders, actor, text_from_c(name));
    return row == NULL ? 0 : row->due_at;
}

text_t journal_fake_reply(journal_fake_t *fake, const char *tenant, size_t index)
{
    const fake_tenant_t *const asked = fake_tenant_find(fake, text_from_c(tenant));
    assert(index < asked->idempotency.count);
    return row_text(asked->idempotency.rows[index]);
}
