/* See projections_log.h. */
#include "tests/support/projections_log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMITS_MAX = 65536 };

typedef struct entry {
    projection_commit_t commit; /* points into `bytes` */
    uint8_t *bytes;
    size_t size;
} entry_t;

struct projections_log {
    entry_t *entries;
    size_t count;
};

/* A card after all commits, with the words it was issued with. */
typedef struct found {
    const projection_card_t *first;
    const projection_card_t *last;
} found_t;

projections_log_t *projections_log_create(void)
{
    projections_log_t *log = calloc(1, sizeof(*log));
    assert(log != NULL);
    log->entries = calloc(COMMITS_MAX, sizeof(*log->entries));
    assert(log->entries != NULL);
    return log;
}

void projections_log_destroy(projections_log_t **log)
{
    projections_log_clear(*log);
    free((*log)->entries);
    free(*log);
    *log = NULL;
}

void projections_log_clear(projections_log_t *log)
{
    projections_log_cut(log, 0);
}

size_t projections_log_count(const projections_log_t *log)
{
    return log->count;
}

void projections_log_cut(projections_log_t *log, size_t count)
{
    while (log->count > count) {
        log->count--;
        free(log->entries[log->count].bytes);
    }
}

void projections_log_cursors(const projections_log_t *log,
                             projection_cursor_t cursors[LIMIT_PARTITIONS + 1], bool *is_complete)
{
    memset(cursors, 0, (LIMIT_PARTITIONS + 1) * sizeof(*cursors));
    *is_complete = false;
    for (size_t i = 0; i < log->count; i++) {
        cursors[log->entries[i].commit.partition] = log->entries[i].commit.to;
        *is_complete = *is_complete || log->entries[i].commit.is_complete;
    }
}

/* --- Cards --- */

static found_t find_card(const projections_log_t *log, const uuid_t *card)
{
    found_t found = {0};
    for (size_t i = 0; i < log->count; i++) {
        const projection_commit_t *const commit = &log->entries[i].commit;
        for (size_t j = 0; j < commit->card_count; j++) {
            if (uuid_equal(&commit->cards[j].card, card)) {
                found.first = found.first == NULL ? &commit->cards[j] : found.first;
                found.last = &commit->cards[j];
            }
        }
    }
    return found;
}

void projections_log_load(const projections_log_t *log, const uuid_t *cards, size_t count,
                          text_t *bodies, projection_position_t *positions)
{
    for (size_t i = 0; i < count; i++) {
        const found_t found = find_card(log, &cards[i]);
        bodies[i] = found.last == NULL ? TEXT_NONE : found.last->body;
        positions[i] = found.last == NULL ? (projection_position_t){0} : found.first->position;
    }
}

/* --- Commit --- */

static text_t copy_text(arena_t *arena, text_t text)
{
    char *const copy = arena_take(arena, text.size + 1);
    assert(copy != NULL);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    return (text_t){.data = copy, .size = text.size};
}

static size_t size_of(const projection_commit_t *commit)
{
    size_t size = 4096 + commit->card_count *
                             (sizeof(*commit->cards) + 64 + LIMIT_NAME_WORDS * sizeof(uint64_t));
    for (size_t i = 0; i < commit->card_count; i++) {
        const projection_card_t *const card = &commit->cards[i];
        size += card->member_id.size + card->tier.size + card->body.size;
    }
    for (size_t i = 0; i < commit->counter_count; i++) {
        size += sizeof(*commit->counters) + 16 + commit->counters[i].gate.size;
    }
    return size;
}

static void copy_commit(entry_t *entry, const projection_commit_t *commit)
{
    entry->size = size_of(commit);
    entry->bytes = calloc(1, entry->size);
    assert(entry->bytes != NULL);
    arena_t arena = {.base = entry->bytes, .size = entry->size};
    projection_card_t *cards = arena_take(&arena, (commit->card_count + 1) * sizeof(*cards));
    projection_counter_t *counters =
        arena_take(&arena, (commit->counter_count + 1) * sizeof(*counters));
    assert(cards != NULL && counters != NULL);
    for (size_t i = 0; i < commit->card_count; i++) {
        cards[i] = commit->cards[i];
        cards[i].member_id = copy_text(&arena, commit->cards[i].member_id);
        cards[i].tier = copy_text(&arena, commit->cards[i].tier);
        cards[i].body = copy_text(&arena, commit->cards[i].body);
        uint64_t *words = arena_take(&arena, LIMIT_NAME_WORDS * sizeof(*words));
        assert(words != NULL);
        if (cards[i].word_count > 0) {
            memcpy(words, commit->cards[i].words, cards[i].word_count * sizeof(*words));
        }
        cards[i].words = words;
    }
    for (size_t i = 0; i < commit->counter_count; i++) {
        counters[i] = commit->counters[i];
        counters[i].gate = copy_text(&arena, commit->counters[i].gate);
    }
    entry->commit = *commit;
    entry->commit.cards = cards;
    entry->commit.counters = counters;
}

result_t projections_log_commit(projections_log_t *log, const projection_commit_t *commit)
{
    projection_cursor_t cursors[LIMIT_PARTITIONS + 1];
    bool is_complete = false;
    projections_log_cursors(log, cursors, &is_complete);
    if (cursors[commit->partition].sequence != commit->from) {
        return RESULT_FENCED;
    }
    for (size_t i = 0; i < commit->card_count; i++) {
        const bool is_there = find_card(log, &commit->cards[i].card).last != NULL;
        if (is_there == commit->cards[i].is_new) {
            return is_there ? RESULT_STORE_UNAVAILABLE : RESULT_STORE_CORRUPT;
        }
    }
    assert(log->count < COMMITS_MAX);
    copy_commit(&log->entries[log->count], commit);
    log->count++;
    return RESULT_OK;
}

void projections_log_forget(projections_log_t *log, text_t member_id)
{
    for (size_t i = 0; i < log->count; i++) {
        const projection_commit_t *const commit = &log->entries[i].commit;
        for (size_t j = 0; j < commit->card_count; j++) {
            projection_card_t *const card = (projection_card_t *)&commit->cards[j];
            if (text_equal(card->member_id, member_id)) {
                card->word_count = 0;
            }
        }
    }
}

/* --- Lists --- */

static bool starts_with(text_t text, text_t prefix)
{
    bool does = text.size >= prefix.size;
    for (size_t i = 0; does && i < prefix.size; i++) {
        const char a = text.data[i];
        const char b = prefix.data[i];
        const char low_a = a >= 'A' && a <= 'Z' ? (char)(a + 32) : a;
        const char low_b = b >= 'A' && b <= 'Z' ? (char)(b + 32) : b;
        does = low_a == low_b;
    }
    return does;
}

static bool has_words(const projection_card_t *card, const projections_list_t *list)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < list->word_count; i++) {
        bool is_there = false;
        for (uint32_t j = 0; j < card->word_count; j++) {
            is_there = is_there || card->words[j] == list->words[i];
        }
        found += is_there ? 1 : 0;
    }
    return list->word_count > 0 && found == list->word_count;
}

static uint8_t status_at(const projection_card_t *card, int64_t now_ms)
{
    const bool can_end = card->status == card_status_issued || card->status == card_status_active ||
                         card->status == card_status_suspended;
    return can_end && card->expires_at <= now_ms ? card_status_expired : card->status;
}

static bool fits(const found_t *found, const projections_list_t *list, bool *by_name_only)
{
    const card_list_t *const filter = list->filter;
    const projection_card_t *const card = found->last;
    *by_name_only = false;
    if ((MESSAGE_HAS(card_list, filter, member_id) &&
         !text_equal(card->member_id, filter->member_id)) ||
        (MESSAGE_HAS(card_list, filter, tier) && !text_equal(card->tier, filter->tier)) ||
        (MESSAGE_HAS(card_list, filter, status) &&
         status_at(card, list->now_ms) != filter->status) ||
        (MESSAGE_HAS(card_list, filter, expires_after) &&
         card->expires_at < filter->expires_after) ||
        (MESSAGE_HAS(card_list, filter, expires_before) &&
         card->expires_at >= filter->expires_before)) {
        return false;
    }
    if (!MESSAGE_HAS(card_list, filter, q) || text_is_empty(filter->q) ||
        starts_with(card->member_id, filter->q) || starts_with(card->tier, filter->q)) {
        return true;
    }
    *by_name_only = true;
    return has_words(found->first, list);
}

static bool is_before(const projection_position_t *a, const projection_position_t *b)
{
    return a->issued_at != b->issued_at ? a->issued_at < b->issued_at : a->event < b->event;
}

/* The newest fitting card below a position. */
static bool find_next(const projections_log_t *log, const projections_list_t *list,
                      const projection_position_t *below, found_t *next, bool *by_name_only)
{
    *next = (found_t){0};
    for (size_t i = 0; i < log->count; i++) {
        const projection_commit_t *const commit = &log->entries[i].commit;
        for (size_t j = 0; j < commit->card_count; j++) {
            const projection_card_t *const card = &commit->cards[j];
            bool by_name = false;
            if (!card->is_new || !is_before(&card->position, below) ||
                (next->first != NULL && is_before(&card->position, &next->first->position))) {
                continue;
            }
            const found_t found = find_card(log, &card->card);
            if (fits(&found, list, &by_name)) {
                *next = found;
                *by_name_only = by_name;
            }
        }
    }
    return next->first != NULL;
}

result_t projections_log_list(const projections_log_t *log, const projections_list_t *list,
                              projection_row_t *rows, size_t *count,
                              char cursor[PROJECTIONS_LOG_CURSOR_SIZE])
{
    projection_position_t below = {.issued_at = INT64_MAX, .event = UINT64_MAX};
    *count = 0;
    cursor[0] = '\0';
    if (MESSAGE_HAS(card_list, list->filter, cursor)) {
        char text[PROJECTIONS_LOG_CURSOR_SIZE] = "";
        char rest = '\0';
        if (list->filter->cursor.size >= sizeof(text)) {
            return RESULT_INVALID_CURSOR;
        }
        memcpy(text, list->filter->cursor.data, list->filter->cursor.size);
        uint64_t issued_at = 0;
        if (sscanf(text, "%" SCNx64 "-%" SCNx64 "%c", &issued_at, &below.event, &rest) != 2) {
            return RESULT_INVALID_CURSOR;
        }
        below.issued_at = (int64_t)issued_at;
    }
    found_t next;
    bool by_name_only = false;
    while (*count < list->limit && find_next(log, list, &below, &next, &by_name_only)) {
        rows[*count] = (projection_row_t){.body = next.last->body, .by_name_only = by_name_only};
        *count += 1;
        below = next.first->position;
    }
    if (*count == list->limit && find_next(log, list, &below, &next, &by_name_only)) {
        (void)snprintf(cursor, PROJECTIONS_LOG_CURSOR_SIZE, "%" PRIx64 "-%" PRIx64,
                       (uint64_t)below.issued_at, below.event);
    }
    return RESULT_OK;
}

/* --- Counters --- */

static int compare_counters(const void *a, const void *b)
{
    const projection_counter_t *const left = a;
    const projection_counter_t *const right = b;
    if (left->series != right->series) {
        return left->series < right->series ? -1 : 1;
    }
    if (left->start != right->start) {
        return left->start < right->start ? -1 : 1;
    }
    if (left->kind != right->kind) {
        return left->kind < right->kind ? -1 : 1;
    }
    const size_t size = left->gate.size < right->gate.size ? left->gate.size : right->gate.size;
    const int order = memcmp(left->gate.data, right->gate.data, size);
    return order != 0 ? order
                      : (left->gate.size > right->gate.size) - (left->gate.size < right->gate.size);
}

/* Adds up equal ones, which stand side by side. */
static size_t merge(projection_counter_t *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare_counters(&rows[kept - 1], &rows[i]) == 0) {
            rows[kept - 1].count += rows[i].count;
        } else {
            rows[kept++] = rows[i];
        }
    }
    return kept;
}

/* How many of the same start are more frequent than `row`, or as frequent and stand before it. */
static size_t place_of(const projection_counter_t *rows, size_t count, size_t row)
{
    size_t place = 0;
    for (size_t i = 0; i < count; i++) {
        place += rows[i].series == rows[row].series && rows[i].start == rows[row].start &&
                         (rows[i].count > rows[row].count ||
                          (rows[i].count == rows[row].count && i < row))
                     ? 1
                     : 0;
    }
    return place;
}

void projections_log_counters(const projections_log_t *log,
                              const projections_counters_query_t *query,
                              projection_counter_t **rows, size_t *count,
                              int64_t levels[PROJECTION_LEVELS_MAX])
{
    size_t room = 1;
    memset(levels, 0, PROJECTION_LEVELS_MAX * sizeof(*levels));
    for (size_t i = 0; i < log->count; i++) {
        room += log->entries[i].commit.counter_count;
    }
    projection_counter_t *all = calloc(room, sizeof(*all));
    projection_counter_t *chosen = calloc(room, sizeof(*chosen));
    assert(all != NULL && chosen != NULL);
    size_t found = 0;
    for (size_t i = 0; i < log->count; i++) {
        for (size_t j = 0; j < log->entries[i].commit.counter_count; j++) {
            const projection_counter_t *const counter = &log->entries[i].commit.counters[j];
            if (counter->grain == query->grain && counter->start >= query->from &&
                counter->start < query->to) {
                all[found++] = *counter;
            }
            const bool is_before = (counter->grain == grain_day && counter->start < query->day) ||
                                   (counter->grain == grain_hour && counter->start >= query->day &&
                                    counter->start < query->from);
            if (counter->series == PROJECTION_SERIES_LEVELS && is_before) {
                levels[counter->kind] += counter->count;
            }
        }
    }
    qsort(all, found, sizeof(*all), compare_counters);
    found = merge(all, found);
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        if (all[i].series != PROJECTION_SERIES_SCANS ||
            place_of(all, found, i) < query->scans_max) {
            chosen[(*count)++] = all[i];
        }
    }
    free(all);
    *rows = chosen;
}
