/* Rollups as a page: counters of the read models to one row per hour or day, without a gap. Must
 * not count anything itself: actors/relay/projection_fold.c has. */
#include "actors/relay/relay_models.h"
#include "messages/rfc3339.h"
#include <assert.h>
#include <stdlib.h>

enum { HOUR_MS = 3600000, DAY_MS = 86400000, REASONS_MAX = 64, ROWS_BEFORE_NOW = 30 };

typedef struct range {
    uint8_t grain;
    int64_t step_ms;
    int64_t from; /* beginning of the first row */
    int64_t to;   /* end of the last one on this page */
    int64_t end;  /* of the last one that was asked for */
} range_t;

static int64_t floor_of(const range_t *range, int64_t time_ms)
{
    return range->grain == grain_hour ? projection_hour(time_ms) : projection_day(time_ms);
}

static range_t read_range(const relay_read_t *read)
{
    const rollup_list_t *const asked = &read->command.rollups;
    range_t range = {.grain = MESSAGE_HAS(rollup_list, asked, grain) ? asked->grain : grain_day};
    range.step_ms = range.grain == grain_hour ? HOUR_MS : DAY_MS;
    const int64_t to =
        MESSAGE_HAS(rollup_list, asked, to) ? asked->to : read->relay->ports.wall_ms() + 1;
    range.end = floor_of(&range, to + range.step_ms - 1);
    range.from = MESSAGE_HAS(rollup_list, asked, from)
                     ? floor_of(&range, asked->from)
                     : range.end - ROWS_BEFORE_NOW * range.step_ms;
    range.to = range.from + (int64_t)read->limit * range.step_ms;
    if (range.to > range.end) {
        range.to = range.end;
    }
    return range;
}

/* What was left out is filled in, so that the range does not move with the clock. */
bool relay_rollups_check(relay_read_t *read)
{
    const range_t range = read_range(read);
    MESSAGE_SET(rollup_list, &read->command.rollups, to, range.end);
    if (range.from >= range.end) {
        relay_reply_error(read, RESULT_INVALID_PARAMETER, "`from` must lie before `to`.", "from");
        return false;
    }
    return true;
}

void relay_rollups_query(const relay_read_t *read, projections_counters_query_t *query)
{
    const range_t range = read_range(read);
    *query = (projections_counters_query_t){.grain = range.grain,
                                            .from = range.from,
                                            .to = range.to,
                                            .day = projection_day(range.from),
                                            .scans_max = LIMIT_ROLLUP_SCANS};
}

/* One row while it is gathered. */
typedef struct row {
    rollup_reason_t reasons[REASONS_MAX];
    rollup_scan_t scans[LIMIT_ROLLUP_SCANS];
    uint32_t reason_count;
    uint32_t scan_count;
    int64_t events[16]; /* by enum event_name */
    int64_t levels[PROJECTION_LEVELS_MAX];
    int64_t delays[PROJECTION_DELAY_STEPS];
    int64_t ahead;
} row_t;

static uint64_t positive(int64_t count)
{
    return count > 0 ? (uint64_t)count : 0;
}

static void add_scan(row_t *row, const projection_counter_t *counter)
{
    if (row->scan_count < LIMIT_ROLLUP_SCANS) {
        rollup_scan_t *const scan = &row->scans[row->scan_count];
        MESSAGE_SET(rollup_scan, scan, gate, counter->gate);
        MESSAGE_SET(rollup_scan, scan, reason, (uint8_t)counter->kind);
        MESSAGE_SET(rollup_scan, scan, count, positive(counter->count));
        row->scan_count += 1;
    }
}

static void add_reason(row_t *row, const projection_counter_t *counter)
{
    if (row->reason_count < REASONS_MAX) {
        rollup_reason_t *const reason = &row->reasons[row->reason_count];
        MESSAGE_SET(rollup_reason, reason, reason, (uint8_t)counter->kind);
        MESSAGE_SET(rollup_reason, reason, count, positive(counter->count));
        row->reason_count += 1;
    }
}

static void add_counter(row_t *row, const projection_counter_t *counter)
{
    const uint16_t kind = counter->kind;
    switch (counter->series) {
    case PROJECTION_SERIES_EVENTS:
        row->events[kind < 16 ? kind : 0] += counter->count;
        break;
    case PROJECTION_SERIES_LEVELS:
        row->levels[kind < PROJECTION_LEVELS_MAX ? kind : 0] += counter->count;
        break;
    case PROJECTION_SERIES_REASONS:
        add_reason(row, counter);
        break;
    case PROJECTION_SERIES_SCANS:
        add_scan(row, counter);
        break;
    case PROJECTION_SERIES_DELAYS:
        if (kind < PROJECTION_DELAY_STEPS) {
            row->delays[kind] += counter->count;
        } else {
            row->ahead += counter->count;
        }
        break;
    default:
        break;
    }
}

/* Upper bound of the step that the share of the validations lies below, in ms. */
static uint64_t delay_below(const row_t *row, int64_t total, int64_t share_percent)
{
    int64_t seen = 0;
    for (uint32_t step = 0; step < PROJECTION_DELAY_STEPS; step++) {
        seen += row->delays[step];
        if (seen * 100 >= total * share_percent) {
            return (UINT64_C(1) << step) - 1;
        }
    }
    return UINT64_C(1) << PROJECTION_DELAY_STEPS;
}

static void fill_delay(const row_t *row, rollup_t *item)
{
    int64_t total = 0;
    for (size_t i = 0; i < PROJECTION_DELAY_STEPS; i++) {
        total += row->delays[i];
    }
    if (total == 0 && row->ahead == 0) {
        return;
    }
    rollup_delay_t *const delay = &item->delay;
    MESSAGE_SET(rollup_delay, delay, count, positive(total));
    MESSAGE_SET(rollup_delay, delay, p50_ms, total == 0 ? 0 : delay_below(row, total, 50));
    MESSAGE_SET(rollup_delay, delay, p90_ms, total == 0 ? 0 : delay_below(row, total, 90));
    MESSAGE_SET(rollup_delay, delay, p99_ms, total == 0 ? 0 : delay_below(row, total, 99));
    MESSAGE_SET(rollup_delay, delay, ahead, positive(row->ahead));
    MESSAGE_MARK(rollup, item, delay);
}

static void fill_cards(const row_t *row, rollup_cards_t *cards)
{
    MESSAGE_SET(rollup_cards, cards, issued, positive(row->levels[card_status_issued]));
    MESSAGE_SET(rollup_cards, cards, active, positive(row->levels[card_status_active]));
    MESSAGE_SET(rollup_cards, cards, suspended, positive(row->levels[card_status_suspended]));
    MESSAGE_SET(rollup_cards, cards, revoked, positive(row->levels[card_status_revoked]));
    MESSAGE_SET(rollup_cards, cards, expired, positive(row->levels[card_status_expired]));
    MESSAGE_SET(rollup_cards, cards, replaced, positive(row->levels[card_status_replaced]));
}

static void fill_item(const row_t *row, int64_t start, rollup_t *item)
{
#define SET_EVENTS(field, name)                                                                    \
    MESSAGE_SET(rollup, item, field, positive(row->events[event_name_card_##name]))
    MESSAGE_SET(rollup, item, start, start);
    SET_EVENTS(issued, issued);
    SET_EVENTS(activated, activated);
    SET_EVENTS(suspended, suspended);
    SET_EVENTS(reinstated, reinstated);
    SET_EVENTS(renewed, renewed);
    SET_EVENTS(replaced, replaced);
    SET_EVENTS(revoked, revoked);
    SET_EVENTS(expired, expired);
    SET_EVENTS(validated, validated);
    SET_EVENTS(refused, validation_refused);
#undef SET_EVENTS
    fill_cards(row, &item->cards);
    MESSAGE_MARK(rollup, item, cards);
    item->reasons = row->reasons;
    item->reasons_count = row->reason_count;
    MESSAGE_MARK(rollup, item, reasons);
    item->scans = row->scans;
    item->scans_count = row->scan_count;
    MESSAGE_MARK(rollup, item, scans);
    fill_delay(row, item);
}

/* Counters to rows; then each row begins with the cards that the one before ended with. */
static void fill_rows(const range_t *range, const projections_counters_t *counters, row_t *rows,
                      size_t count)
{
    for (size_t i = 0; i < counters->row_count; i++) {
        const projection_counter_t *const counter = &counters->rows[i];
        const int64_t index = (counter->start - range->from) / range->step_ms;
        if (index >= 0 && index < (int64_t)count) {
            add_counter(&rows[index], counter);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const int64_t *const before = i == 0 ? counters->levels : rows[i - 1].levels;
        for (size_t status = 0; status < PROJECTION_LEVELS_MAX; status++) {
            rows[i].levels[status] += before[status];
        }
    }
}

static void reply_rows(relay_read_t *read, const range_t *range, const row_t *rows, rollup_t *items,
                       size_t count)
{
    rollup_page_t page = {.items = items, .items_count = (uint32_t)count};
    char cursor[RFC3339_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        fill_item(&rows[i], range->from + (int64_t)i * range->step_ms, &items[i]);
    }
    MESSAGE_SET(rollup_page, &page, grain, range->grain);
    MESSAGE_MARK(rollup_page, &page, items);
    if (range->to < range->end) {
        rfc3339_format(range->to, cursor);
        MESSAGE_SET(rollup_page, &page, next_cursor,
                    ((text_t){.data = cursor, .size = RFC3339_TEXT_SIZE}));
    }
    if (read->behind > 0) {
        MESSAGE_SET(rollup_page, &page, behind, read->behind);
        MESSAGE_SET(rollup_page, &page, as_of, read->as_of);
    }
    relay_reply_document(read, &rollup_page_message, &page);
}

void relay_page_rollups(relay_read_t *read, const projections_counters_t *counters)
{
    const range_t range = read_range(read);
    const size_t count = (size_t)((range.to - range.from) / range.step_ms);
    row_t *const rows = calloc(count + 1, sizeof(*rows));
    rollup_t *const items = calloc(count + 1, sizeof(*items));
    if (rows == NULL || items == NULL) {
        relay_reply_error(read, RESULT_NO_MEMORY, "There is no memory for the page now.", NULL);
    } else {
        fill_rows(&range, counters, rows, count);
        reply_rows(read, &range, rows, items, count);
    }
    free(rows);
    free(items);
}
