/* What actors ask of the store of one tenant. Implemented by adapters/journal_sqlite,
 * journal_postgres and simulated ones; one contract suite (tests/contract/journal_contract.c)
 * runs against all.
 *
 * Contract:
 *  - Every call is asynchronous: `done` runs later on the loop's thread, exactly once, never within
 * the call. What a result points to is valid during `done` only. Arguments are borrowed until
 * `done` unless stated otherwise; journal_batch and everything it points to must stay untouched
 * until then.
 *  - A batch is one transaction: everything of it is stored and durable (fsync done) when `done`
 * reports RESULT_OK, or nothing of it is. Batches of one tenant commit in order of submission. When
 *    one fails, later ones with a `head` beyond it fail as well (FENCED), because the head did not
 * move.
 *  - A batch writes only if the partition's epoch and head are the expected ones; else FENCED. With
 * no events the same check is made, so that a read is answered only by the owner.
 *  - Retention is the store's own (a command of the operator takes old validations out), the port
 * tells of it: `archived_to`, `archived_before`, read_archived_sums. What stays of a card are its
 * changes and its last event. A store that has no retention answers these with 0 and no sums.
 *  - Errors: STORE_FULL (disk), STORE_UNAVAILABLE (any other refusal; nothing was stored),
 * STORE_CORRUPT (the file is damaged; named in the log), FENCED, BUSY (bounded queue full: returned
 * by the call itself, and then `done` is not called). A failed fsync ends the process (CONVENTIONS,
 * Ownership). */
#ifndef ACTORS_PORTS_JOURNAL_H
#define ACTORS_PORTS_JOURNAL_H

#include "actors/ports/projections.h"
#include "messages/messages.h"
#include "runtime/limits.h"
#include "runtime/result.h"

typedef struct journal journal_t;               /* one per role */
typedef struct journal_tenant journal_tenant_t; /* an open tenant */

enum {
    JOURNAL_EVENT_OVERHEAD = 120
}; /* counted for an event besides its body: ids, times, its
      place in indexes */

typedef struct journal_partition {
    uint64_t epoch; /* fences: raised by every open for writing */
    uint64_t head;  /* highest sequence; 0 when there is no event */
    uint64_t cards; /* living ones, as its batches have counted them */
    uint64_t bytes;
} journal_partition_t;

typedef struct journal_opened {
    result_t result;
    journal_tenant_t *tenant;
    uint32_t partition_count;
    const journal_partition_t *partitions;
} journal_opened_t;
typedef void journal_opened_done_t(void *context, const journal_opened_t *opened);

/* One event to store. `body` is event_data packed by ids. */
typedef struct journal_event {
    uuid_t event_id;
    uuid_t card;
    uint64_t card_sequence;
    uint64_t version;
    int64_t occurred_at;
    uint8_t name; /* enum event_name */
    text_t traceparent;
    text_t body;
} journal_event_t;

/* Newest state of a card with the columns that lists and the sweep look for. Replaces the older
 * row. */
typedef struct journal_snapshot {
    uuid_t card;
    text_t member_id;
    text_t tier;
    uint8_t status;
    int64_t expires_at;
    uint64_t card_sequence; /* of the last event folded in */
    text_t body;            /* card_snapshot packed by ids */
} journal_snapshot_t;

typedef struct journal_idempotency {
    text_t key;
    uint8_t request_hash[32];
    text_t reply; /* opaque here: reply message packed by ids, correlation 0, sealed (secrets.h) */
    int64_t recorded_at;
} journal_idempotency_t;

typedef struct journal_member_key {
    text_t member_id;
    text_t sealed_key;
} journal_member_key_t;

/* An actor is to be told something at a moment, whatever happens until then
 * (actors/shard/reminder.h). Known by actor and name. No two rows of a batch are of the same one.
 */
typedef enum journal_reminder_action {
    JOURNAL_REMINDER_PUT = 1, /* replaces one of that name */
    JOURNAL_REMINDER_ENSURE,  /* only when there is none of that name */
    JOURNAL_REMINDER_REMOVE,  /* when there is one */
} journal_reminder_action_t;
enum {
    JOURNAL_REMINDER_NAME_SIZE_MAX = 32,
    JOURNAL_REMINDER_DATA_SIZE_MAX = 256,
};
typedef struct journal_reminder {
    journal_reminder_action_t action;
    uuid_t actor; /* all zero: the tenant */
    text_t name;
    /* Of one that was delivered: the due time it was delivered for. When there is none with that
     * time any more, nothing of the batch is stored (FENCED). 0: whatever is there. */
    int64_t expected_at;
    int64_t due_at;    /* ms UTC, not 0 */
    int64_t period_ms; /* 0: once */
    text_t data;
} journal_reminder_t;

/* A scan that identified no card. Not part of any sequence; the oldest beyond
 * LIMIT_REFUSAL_LOG_ROWS go. */
typedef struct journal_refusal {
    int64_t recorded_at;
    uint8_t reason; /* enum reason */
    text_t gate;
    text_t code; /* the raw text that was scanned */
} journal_refusal_t;

/* Something small that actors keep under a name of their own, replaced as a whole. Opaque here. The
 * open ones are found again when the tenant is opened (read_notes). */
typedef struct journal_note {
    text_t key;
    text_t body;
    bool is_open;
} journal_note_t;

typedef struct journal_batch {
    uint32_t partition;
    uint64_t epoch;
    uint64_t head; /* before the batch: its events get head + 1, head + 2, … in order */
    const journal_event_t *events;
    size_t event_count; /* 0: only the check */
    int64_t cards;  /* living ones that the events add or (below 0) end, and their bytes: to be */
    uint64_t bytes; /* counted with the head; 0 when there are no events */
    const journal_snapshot_t *snapshots;
    size_t snapshot_count;
    const journal_idempotency_t *idempotency;
    size_t idempotency_count;
    const journal_member_key_t *member_keys;
    size_t member_key_count;
    const journal_refusal_t *refusals;
    size_t refusal_count;
    const journal_reminder_t *reminders;
    size_t reminder_count;
    const journal_note_t *notes; /* of one key the last one counts */
    size_t note_count;
} journal_batch_t;
typedef void journal_batch_done_t(void *context, result_t result);

/* Reads before a command is decided, in one round trip; each part only when its argument is there.
 */
typedef struct journal_load {
    const uuid_t *card;     /* NULL: not asked */
    text_t member_id;       /* empty: the member of the card, if the card is asked */
    text_t idempotency_key; /* empty: not asked */
    text_t note_key;        /* empty: not asked */
} journal_load_t;

typedef struct journal_loaded {
    result_t result;
    bool card_found;
    text_t snapshot;        /* card_snapshot packed; empty when there is none yet */
    uint64_t card_sequence; /* of the card's last event */
    /* Events after the snapshot, in order of card_sequence, those left out that were archived. All
     * of them, or none when every one of
     * them has the version of the snapshot: they changed nothing but the sequence (validations),
     * and then `card_sequence` says all. */
    const event_t *tail;
    size_t tail_count;
    text_t sealed_member_key; /* empty: none */
    bool idempotency_found;
    uint8_t request_hash[32];
    text_t reply;
    bool note_found;
    text_t note;
} journal_loaded_t;
typedef void journal_loaded_done_t(void *context, const journal_loaded_t *loaded);

typedef struct journal_due {
    result_t result;
    const uuid_t *cards; /* by time of expiry, oldest first */
    size_t card_count;   /* less than asked for: no more are due */
} journal_due_t;
typedef void journal_due_done_t(void *context, const journal_due_t *due);

typedef struct journal_reminders {
    result_t result;
    const journal_reminder_t *rows; /* due, by that time, oldest first; `action` and `expected_at`
                                       mean nothing */
    size_t row_count;
    int64_t next_at; /* when the next one is due, which may be now; 0: there is none */
} journal_reminders_t;
typedef void journal_reminders_done_t(void *context, const journal_reminders_t *reminders);

/* Pages. `cursor` is opaque text made by the same implementation; INVALID_CURSOR when it is not.
 * No page has more than LIMIT_STORE_PAGE_ROWS rows. */
typedef struct journal_card_row {
    text_t snapshot;     /* card_snapshot packed */
    const event_t *tail; /* events since, usually none or validations */
    size_t tail_count;
    text_t sealed_member_key; /* empty: erased */
} journal_card_row_t;
typedef struct journal_cards {
    result_t result;
    const journal_card_row_t *rows;
    size_t row_count;
    text_t next_cursor; /* empty: last page. A page with one may be short, even empty: the search is
                           bounded per page (LIMIT_LIST_SCAN_ROWS) */
} journal_cards_t;
typedef void journal_cards_done_t(void *context, const journal_cards_t *cards);

typedef struct journal_events {
    result_t result;
    const event_t *events; /* tenant, partition and all other members filled; data decoded */
    size_t event_count;
    text_t next_cursor; /* history only */
    uint64_t head;      /* read_events only: of the partition, read in the same transaction */
    /* read_events only: up to this sequence validations may be gone into archives, so that there
     * are gaps; 0: all are there. The last event of each card is never gone. */
    uint64_t archived_to;
    int64_t archived_before; /* history only: older validations may be gone; 0: all are there */
} journal_events_t;
typedef void journal_events_done_t(void *context, const journal_events_t *events);

/* Heads of all partitions, read in one transaction. */
typedef struct journal_heads {
    result_t result;
    uint32_t partition_count;
    uint64_t heads[LIMIT_PARTITIONS];
} journal_heads_t;
typedef void journal_heads_done_t(void *context, const journal_heads_t *heads);

/* What the validations that are gone into archives add up to, in the order of `last`. */
typedef struct journal_archived_sums {
    result_t result;
    uint64_t archived; /* how many are gone, of all partitions; read in the same transaction */
    const projection_counter_t *sums;
    size_t count;
    uint64_t last; /* of the last one: to go on after */
} journal_archived_sums_t;
typedef void journal_archived_sums_done_t(void *context, const journal_archived_sums_t *sums);

typedef struct journal_member_keys {
    result_t result;
    const text_t *sealed_keys; /* in order of the members asked for; empty: none, or erased */
    size_t count;
} journal_member_keys_t;
typedef void journal_member_keys_done_t(void *context, const journal_member_keys_t *keys);

typedef struct journal_notes {
    result_t result;
    const journal_note_t *notes; /* open ones, in order of key */
    size_t note_count;
} journal_notes_t;
typedef void journal_notes_done_t(void *context, const journal_notes_t *notes);

typedef struct journal_functions {
    /* Opens for writing and raises the epoch of every partition: older owners are fenced from here
     * on. MISSING when the tenant's store does not exist: it is made by `tenant create` alone, so
     * that a lost file is never replaced by an empty one. `incarnation` names the owner in the
     * store. */
    result_t (*open)(journal_t *journal, text_t tenant, text_t incarnation,
                     journal_opened_done_t *done, void *context);
    /* Opens for reading only (relay). Partitions carry the current heads; epochs are not raised. */
    result_t (*open_readonly)(journal_t *journal, text_t tenant, journal_opened_done_t *done,
                              void *context);
    /* Everything submitted before finishes first. Takes the handle and nulls it. */
    void (*close)(journal_t *journal, journal_tenant_t **tenant);

    result_t (*append)(journal_tenant_t *tenant, const journal_batch_t *batch,
                       journal_batch_done_t *done, void *context);
    result_t (*load)(journal_tenant_t *tenant, const journal_load_t *load,
                     journal_loaded_done_t *done, void *context);
    /* Cards whose expires_at is at or before `now_ms` and whose stored status is issued, active or
     * suspended. */
    result_t (*due)(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                    journal_due_done_t *done, void *context);
    /* Reminders that are due at or before `now_ms`. */
    result_t (*reminders)(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                          journal_reminders_done_t *done, void *context);
    /* Deletes up to LIMIT_IDEMPOTENCY_CLEAN_SLICE replies recorded before `before_ms`. */
    result_t (*clean)(journal_tenant_t *tenant, int64_t before_ms, journal_batch_done_t *done,
                      void *context);

    /* Reads of committed state, also on a read-only handle. `limit` is at least 1. `now_ms` decides
     * which cards count as expired when the filter is a status.
     *
     * list_cards stays beside the read models, which answer the lists of clients: what is done to
     * every card of a member (actors/shard/member_work.c) must see each committed card, and a read
     * model may be behind or being made anew. A relay without read models answers lists with it
     * too. */
    result_t (*list_cards)(journal_tenant_t *tenant, const card_list_t *filter, int64_t now_ms,
                           uint32_t limit, journal_cards_done_t *done, void *context);
    result_t (*read_history)(journal_tenant_t *tenant, const uuid_t *card, text_t cursor,
                             uint32_t limit, journal_events_done_t *done, void *context);
    result_t (*read_events)(journal_tenant_t *tenant, uint32_t partition, uint64_t after,
                            uint32_t limit, journal_events_done_t *done, void *context);
    result_t (*read_heads)(journal_tenant_t *tenant, journal_heads_done_t *done, void *context);
    /* `count` is 1 to LIMIT_PROJECTION_EVENTS. */
    result_t (*read_member_keys)(journal_tenant_t *tenant, const text_t *member_ids, size_t count,
                                 journal_member_keys_done_t *done, void *context);
    /* The first `limit` open notes whose key comes after `after`, in order of key. NULL: this store
     * keeps no notes (fakes of tests), and batches and loads must not name any. */
    result_t (*read_notes)(journal_tenant_t *tenant, text_t after, uint32_t limit,
                           journal_notes_done_t *done, void *context);
    /* Sums after the one numbered `after` (0: from the first), at most `limit`, which is 1 to
     * LIMIT_PROJECTION_EVENTS. NULL: of this store nothing is ever archived (fakes of tests). */
    result_t (*read_archived_sums)(journal_tenant_t *tenant, uint64_t after, uint32_t limit,
                                   journal_archived_sums_done_t *done, void *context);
} journal_functions_t;

struct journal {
    const journal_functions_t *functions; /* the adapter's struct begins with this one */
    uint32_t tenants_max; /* that a role may have open at once; 0: LIMIT_STORE_FILES_OPEN */
};

static inline uint32_t journal_tenants_max(const journal_t *journal)
{
    return journal->tenants_max == 0 ? (uint32_t)LIMIT_STORE_FILES_OPEN : journal->tenants_max;
}

#endif
