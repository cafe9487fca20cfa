/* Pages of cards, newest first. A statement names candidates along the index that fits the filter,
 * and holds each against the whole filter. No page looks at more than LIMIT_LIST_SCAN_ROWS
 * candidates: when that is not enough to fill it, it is shorter (even empty) and its cursor goes on
 * from there. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include <assert.h>
#include <stdlib.h>

enum {
    LIST_FOUND,
    LIST_LAST,
    LIST_NUMBER,
    LIST_CARD_SEQUENCE,
    LIST_BODY,
    LIST_MEMBER_KEY,
    LIST_ARCHIVED,
    LIST_EVENT
};

typedef struct list_command {
    command_t base;
    const card_list_t *filter; /* the caller's until `done` */
    int64_t now_ms;
    int64_t below;
    uint32_t limit;
    int64_t candidates; /* at most */
    bool is_gathered;   /* the statement names all candidates, unless there are too many */
    bool is_bad_cursor;
    journal_cards_done_t *done;
    void *context;
    text_t member_id; /* of the filter; empty: any */
    text_t prefix;
    uint8_t status; /* 0: any */
    char cursor[PAGE_CURSOR_SIZE];
    journal_cards_t page;
} list_command_t;

/* Every text with the prefix lies between the prefix and the prefix with a byte behind it that no
 * UTF-8 text has. */
static void prefix_fill(parameters_t *parameters, text_t prefix)
{
    char folded[LIMIT_LIST_PREFIX_SIZE + 1];
    assert(prefix.size <= LIMIT_LIST_PREFIX_SIZE);
    for (size_t i = 0; i < prefix.size; i++) {
        const char c = prefix.data[i];
        folded[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    folded[prefix.size] = (char)0xff;
    parameter_bytes(parameters, (text_t){folded, prefix.size});
    parameter_bytes(parameters, (text_t){folded, prefix.size + 1});
}

static bool list_send(command_t *command, lane_t *lane)
{
    const list_command_t *const list = (const list_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    parameter_integer(parameters, list->below);
    parameter_integer(parameters, list->now_ms);
    if (text_is_empty(list->member_id)) {
        parameter_null(parameters);
    } else {
        parameter_bytes(parameters, list->member_id);
    }
    if (text_is_empty(list->prefix)) {
        parameter_null(parameters);
        parameter_null(parameters);
    } else {
        prefix_fill(parameters, list->prefix);
    }
    if (list->status == 0) {
        parameter_null(parameters);
    } else {
        parameter_integer(parameters, list->status);
    }
    parameter_integer(parameters, list->candidates);
    parameter_integer(parameters, (int64_t)list->limit + 1);
    return lane_send(lane, command->statements[0]);
}

static void source_set(list_command_t *list, statement_t which, bool is_gathered,
                       int64_t candidates)
{
    list->is_gathered = is_gathered;
    list->candidates = candidates;
    list->base.statement_count = 0;
    command_uses(&list->base, which);
}

static void source_choose(list_command_t *list)
{
    if (!text_is_empty(list->member_id)) {
        source_set(list, STATEMENT_list_member, false, LIMIT_LIST_SCAN_ROWS);
    } else if (!text_is_empty(list->prefix)) {
        source_set(list, STATEMENT_list_prefix, true, LIMIT_LIST_MATCHES + 1);
    } else if (list->status == card_status_expired) {
        source_set(list, STATEMENT_list_expired, true,
                   LIMIT_LIST_MATCHES + (int64_t)list->limit + 2);
    } else if (list->status != 0) {
        source_set(list, STATEMENT_list_status, false, LIMIT_LIST_SCAN_ROWS);
    } else {
        source_set(list, STATEMENT_list_all, false, LIMIT_LIST_SCAN_ROWS);
    }
}

/* Rows of one card stand together, one per event of its tail, or one without an event. */
static result_t card_decode(list_command_t *list, int *row, arena_t *arena,
                            journal_card_row_t *card)
{
    const PGresult *const rows = list->base.results[0];
    const int first = *row;
    const int64_t number = field_integer(rows, first, LIST_NUMBER);
    int end = first + 1;
    while (end < PQntuples(rows) && field_integer(rows, end, LIST_NUMBER) == number) {
        end++;
    }
    *row = end;
    *card = (journal_card_row_t){.snapshot = field_bytes(rows, first, LIST_BODY),
                                 .sealed_member_key = field_bytes(rows, first, LIST_MEMBER_KEY)};
    if (field_is_null(rows, first, LIST_EVENT)) {
        return RESULT_OK;
    }
    const journal_tenant_t *const tenant = list->base.lane->tenant;
    const bool has_gaps = !field_is_null(rows, first, LIST_ARCHIVED);
    uint64_t before = (uint64_t)field_integer(rows, first, LIST_CARD_SEQUENCE);
    event_t *const events = arena_take(arena, (size_t)(end - first) * sizeof *events);
    result_t result = RESULT_OK;
    for (int i = first; result == RESULT_OK && i < end; i++) {
        event_t *const event = &events[i - first];
        result = event_from_fields(tenant, rows, i, LIST_EVENT, arena, event);
        if (result == RESULT_OK && !event_follows(event, before, has_gaps)) {
            result =
                row_is_damaged(tenant, field_integer(rows, i, LIST_EVENT), "chain of its card");
        }
        before = event->card_sequence;
    }
    card->tail = events;
    card->tail_count = (size_t)(end - first);
    return result;
}

static result_t page_decode(list_command_t *list)
{
    const PGresult *const rows = list->base.results[0];
    const int count = PQntuples(rows);
    const int64_t found = field_integer(rows, 0, LIST_FOUND);
    arena_t arena;
    (void)events_arena(&list->base, (size_t)count, (size_t)count * sizeof(journal_card_row_t) + 64,
                       &arena);
    journal_card_row_t *const cards = arena_take(&arena, (size_t)count * sizeof *cards);
    result_t result = RESULT_OK;
    int row = field_is_null(rows, 0, LIST_NUMBER) ? count : 0;
    size_t card_count = 0;
    int64_t last = 0;
    while (result == RESULT_OK && row < count && card_count < list->limit) {
        last = field_integer(rows, row, LIST_NUMBER);
        result = card_decode(list, &row, &arena, &cards[card_count]);
        card_count++;
    }
    const bool is_full = row < count;
    const bool is_cut = !list->is_gathered && found >= list->candidates;
    if (result == RESULT_OK && (is_full || is_cut)) {
        list->page.next_cursor = page_cursor_write(
            PAGE_CURSOR_CARDS, is_full ? last : field_integer(rows, 0, LIST_LAST), list->cursor);
    }
    list->page.rows = cards;
    list->page.row_count = card_count;
    return result;
}

static bool list_finish(command_t *command)
{
    list_command_t *const list = (list_command_t *)command;
    result_t result = command->result;
    if (result == RESULT_OK && list->is_bad_cursor) {
        result = RESULT_INVALID_CURSOR;
    }
    if (result == RESULT_OK && list->is_gathered &&
        field_integer(command->results[0], 0, LIST_FOUND) >= list->candidates) {
        /* Too many to be sorted: the newest are looked through instead. */
        source_set(list, STATEMENT_list_all, false, LIMIT_LIST_SCAN_ROWS);
        return true;
    }
    if (result == RESULT_OK) {
        result = page_decode(list);
    }
    if (result != RESULT_OK) {
        list->page = (journal_cards_t){0};
    }
    list->page.result = result;
    list->done(list->context, &list->page);
    return false;
}

result_t postgres_list_cards(journal_tenant_t *tenant, const card_list_t *filter, int64_t now_ms,
                             uint32_t limit, journal_cards_done_t *done, void *context)
{
    assert(limit > 0 && !tenant->closing);
    list_command_t *list =
        command_create(lane_for_reads(tenant), sizeof *list, COMMAND_READ, list_send, list_finish);
    list->filter = filter;
    list->now_ms = now_ms;
    list->limit = limit < LIMIT_STORE_PAGE_ROWS ? limit : LIMIT_STORE_PAGE_ROWS;
    list->done = done;
    list->context = context;
    list->below = INT64_MAX;
    list->is_bad_cursor = MESSAGE_HAS(card_list, filter, cursor) &&
                          !page_cursor_read(PAGE_CURSOR_CARDS, filter->cursor, &list->below);
    list->member_id = MESSAGE_HAS(card_list, filter, member_id) ? filter->member_id : TEXT_NONE;
    list->prefix = MESSAGE_HAS(card_list, filter, q) ? filter->q : TEXT_NONE;
    list->status = MESSAGE_HAS(card_list, filter, status) ? filter->status : 0;
    if (list->prefix.size > LIMIT_LIST_PREFIX_SIZE) {
        list->prefix.size = LIMIT_LIST_PREFIX_SIZE; /* longer than any member or tier */
    }
    source_choose(list);
    return lane_submit(&list->base);
}
