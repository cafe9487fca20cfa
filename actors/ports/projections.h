/* What the relay asks of the read models of one tenant: rows and counters that are the fold of its
 * events. Implemented by adapters/projections_sqlite, adapters/projections_postgres and by the
 * simulator; one contract suite (tests/contract/projections_contract.c) runs against all.
 *
 * An implementation stores and finds; it does not know what an event means (actors/
 * projection_fold.h does) and never sees a name (only keyed hashes of its words).
 *
 * Contract:
 *  - Every call is asynchronous: `done` runs later on the loop's thread, exactly once, never within
 *    the call. What a result points to is valid during `done` only. Arguments are borrowed until
 *    `done`. A call that returns anything but RESULT_OK never calls `done` (BUSY: bounded queue).
 *  - A commit is one transaction: the cursor of its partition moves from `from` to `to` together
 *    with all rows and counters, or nothing of it happens. It is FENCED when the cursor is not
 *    `from`: whoever repeats a commit, or comes second, changes nothing. A crash may take the last
 *    commits away, whole and in reverse order (they are derived, so no fsync is waited for), but
 *    never a part of one.
 *  - One process at a time: two that fold the same files could each put a new one in the place of
 *    what the other shows. Who comes second waits until the first has ended.
 *  - A read model is never the truth and holds nothing that cannot be made anew from the journal:
 *    it may be thrown away at any time. Do not keep cursors of consumers or other truth in it.
 *  - Errors: STORE_FULL, STORE_UNAVAILABLE (nothing happened, try later), STORE_CORRUPT (it is
 *    damaged: discard it and open anew), FENCED, INVALID_CURSOR. */
#ifndef ACTORS_PORTS_PROJECTIONS_H
#define ACTORS_PORTS_PROJECTIONS_H

#include "actors/ports/store_rows.h"
#include "messages/messages.h"
#include "runtime/limits.h"
#include "runtime/result.h"

typedef struct projections projections_t;               /* one per role */
typedef struct projections_tenant projections_tenant_t; /* the open read models of a tenant */

typedef enum projections_slot {
    PROJECTIONS_LIVE, /* what reads see; made empty when there is none, or none that can be used */
    PROJECTIONS_NEXT, /* made empty at every open; takes the place of the live one by `promote` */
} projections_slot_t;

/* How far a partition is folded in. The id tells the event from another one that took its sequence
 * after a backup was restored. */
typedef struct projection_cursor {
    uint64_t sequence; /* 0: nothing yet */
    uuid_t event_id;
    int64_t occurred_at;
} projection_cursor_t;

/* Sums of archived validations come from no partition's events and have a cursor of their own,
 * which moves in commits of this partition: up to which row they were taken over, `_ALL` when that
 * is done, and in `occurred_at` how many events had been archived by then (journal.h). */
enum { PROJECTION_PARTITION_ARCHIVED = LIMIT_PARTITIONS };
#define PROJECTION_ARCHIVED_ALL ((UINT64_C(1) << 56) - 1)

typedef struct projections_opened {
    result_t result;
    projections_tenant_t *tenant;
    bool is_complete; /* it has once reached the head of the journal */
    projection_cursor_t cursors[LIMIT_PARTITIONS + 1]; /* the last: of archived sums */
} projections_opened_t;
typedef void projections_opened_done_t(void *context, const projections_opened_t *opened);

typedef void projections_done_t(void *context, result_t result);

/* Where a card stands in lists: they go from the newest issue to the oldest. */
typedef struct projection_position {
    int64_t issued_at;
    uint64_t event; /* partition << 56 | sequence of CardIssued: unique in the tenant */
} projection_position_t;

/* A card that changed. */
typedef struct projection_card {
    bool is_new; /* else all members but `words` replace those of the row */
    uuid_t card;
    projection_position_t position;
    text_t member_id;
    text_t tier;
    uint8_t status; /* enum card_status, as of the last event */
    int64_t expires_at;
    text_t body;           /* card_snapshot packed by ids */
    const uint64_t *words; /* of a new card: keyed hashes of the words of its holder's name */
    uint32_t word_count;   /* at most LIMIT_NAME_WORDS */
} projection_card_t;

/* Series of numbers; what `kind` is depends on it. */
typedef enum projection_series {
    PROJECTION_SERIES_EVENTS = 1,  /* kind: enum event_name */
    PROJECTION_SERIES_LEVELS = 2,  /* kind: enum card_status; came to it less left it */
    PROJECTION_SERIES_REASONS = 3, /* refused validations; kind: enum reason */
    PROJECTION_SERIES_SCANS = 4,   /* validations by gate; kind: enum reason */
    PROJECTION_SERIES_DELAYS = 5,  /* kind: step of a histogram (actors/relay/projection_fold.h) */
} projection_series_t;

/* One number of the rollups (actors/relay/projection_fold.h). Counts add up. */
typedef struct projection_counter {
    uint8_t series; /* enum projection_series */
    uint8_t grain;  /* enum grain */
    uint16_t kind;
    int64_t start; /* ms UTC: beginning of the hour or day */
    text_t gate;   /* empty but for scans */
    int64_t count; /* in a commit: to be added */
} projection_counter_t;

typedef struct projection_commit {
    uint32_t partition;
    uint64_t from;
    projection_cursor_t to;
    bool is_complete; /* remembered once true */
    const projection_card_t *cards;
    size_t card_count;
    const projection_counter_t *counters;
    size_t counter_count;
} projection_commit_t;

typedef struct projections_loaded {
    result_t result;
    const text_t *bodies;                   /* in order of the ids asked for; empty: no such card */
    const projection_position_t *positions; /* the same */
    size_t count;
} projections_loaded_t;
typedef void projections_loaded_done_t(void *context, const projections_loaded_t *loaded);

typedef struct projection_row {
    text_t body;
    bool by_name_only; /* `q` fits the holder's name and neither member id nor tier */
} projection_row_t;
typedef struct projections_page {
    result_t result;
    const projection_row_t *rows;
    size_t row_count;
    text_t next_cursor; /* empty: last page. A page with one may be short, even empty: the search is
                           bounded per page (LIMIT_LIST_SCAN_ROWS) */
} projections_page_t;
typedef void projections_page_done_t(void *context, const projections_page_t *page);

/* `words` are the hashes of all words of `filter->q`: a card fits by name when its holder has all
 * of them. `now_ms` decides which cards count as expired. */
typedef struct projections_list {
    const card_list_t *filter;
    const uint64_t *words;
    uint32_t word_count;
    int64_t now_ms;
    uint32_t limit; /* at least 1 */
} projections_list_t;

/* Counters of `grain` that begin at or after `from` and before `to`: rows in order of series,
 * start, kind, gate; of each start the `scans_max` largest of the series of scans only. `levels`:
 * for each kind of the series of levels the sum of everything before `from`. `day` is the beginning
 * of the day of `from`. */
typedef struct projections_counters_query {
    uint8_t grain;
    int64_t from;
    int64_t to;
    int64_t day;
    uint32_t scans_max;
} projections_counters_query_t;
enum { PROJECTION_LEVELS_MAX = 16 };
typedef struct projections_counters {
    result_t result;
    const projection_counter_t *rows; /* at most LIMIT_STORE_PAGE_ROWS */
    size_t row_count;
    int64_t levels[PROJECTION_LEVELS_MAX];
} projections_counters_t;
typedef void projections_counters_done_t(void *context, const projections_counters_t *counters);

typedef struct projections_functions {
    /* `created_at` tells the tenant from an earlier one of the same name, whose read models are
     * thrown away. A damaged one, or one of another version, is thrown away as well. BUSY while an
     * earlier handle of that tenant and slot is still being closed; STORE_UNAVAILABLE while another
     * process that has opened any is alive. */
    result_t (*open)(projections_t *projections, text_t tenant, int64_t created_at,
                     projections_slot_t slot, projections_opened_done_t *done, void *context);
    /* Everything asked before finishes first. Takes the handle and nulls it. With `discard`
     * nothing is left of it. */
    void (*close)(projections_t *projections, projections_tenant_t **tenant, bool discard);
    /* `next` becomes what `live` shows, in one step that a crash happens before or after; when
     * `done` is called, `next` is closed, whatever the result. No other call of either may be under
     * way. After STORE_CORRUPT `live` can only be discarded. */
    result_t (*promote)(projections_tenant_t *live, projections_tenant_t *next,
                        projections_done_t *done, void *context);

    result_t (*load)(projections_tenant_t *tenant, const uuid_t *cards, size_t count,
                     projections_loaded_done_t *done, void *context);
    result_t (*commit)(projections_tenant_t *tenant, const projection_commit_t *commit,
                       projections_done_t *done, void *context);
    result_t (*list)(projections_tenant_t *tenant, const projections_list_t *list,
                     projections_page_done_t *done, void *context);
    result_t (*read_counters)(projections_tenant_t *tenant,
                              const projections_counters_query_t *query,
                              projections_counters_done_t *done, void *context);
    /* Removes the words of the names of a member's cards. */
    result_t (*forget_member)(projections_tenant_t *tenant, text_t member_id,
                              projections_done_t *done, void *context);
    /* Whether work for the tenant (NULL: for one that is to be opened) begins at once, or at the
     * price of what another one has (a connection). Only for choosing an order. NULL: always. */
    bool (*is_at_hand)(projections_t *projections, const projections_tenant_t *tenant);
} projections_functions_t;

struct projections {
    const projections_functions_t *functions; /* the adapter's struct begins with this one */
};

/* Rows of read models as one store gives them to another that compares (`store verify`): columns in
 * this order, kinds as in ports/store_rows.def. */
typedef enum projection_table {
    PROJECTION_TABLE_cursor,  /* partition sequence event_id occurred_at: iibi */
    PROJECTION_TABLE_card,    /* id issued_at issue_event member_id tier status expires_at body:
                                 biibbiib */
    PROJECTION_TABLE_word,    /* word issued_at issue_event: iii */
    PROJECTION_TABLE_counter, /* series grain start kind gate count: iiiibi */
    PROJECTION_TABLES,
} projection_table_t;
typedef result_t projection_row_visit_t(void *context, projection_table_t table,
                                        const store_value_t *values, uint32_t count);

#endif
