/* Inside of the relay, for actors/relay*.c and its tests. */
#ifndef ACTORS_RELAY_INTERNAL_H
#define ACTORS_RELAY_INTERNAL_H

#include "actors/card_view.h"
#include "actors/relay/relay.h"
#include "actors/secrets.h"
#include "runtime/limits.h"

enum {
    RELAY_TENANT_BUCKETS = 8192, /* a power of two, twice LIMIT_RELAY_TENANTS */
    RELAY_TRACE_ID_SIZE = 32,
};

typedef struct relay_tenant relay_tenant_t;
typedef struct relay_held relay_held_t;
typedef struct relay_models relay_models_t;

/* Positions in one sequence space. While somebody subscribes, events leave in order of sequence,
 * without a gap and without a repeat. */
typedef struct relay_partition {
    relay_tenant_t *tenant;
    bool is_known;      /* `published` means something */
    bool is_reading;    /* the journal is asked for what comes after `published` */
    bool has_gap;       /* events before those that come are missing: they are held meanwhile */
    bool announces;     /* a head is due when the reading is done */
    uint64_t published; /* highest sequence that left */
    uint64_t wanted;    /* highest sequence that a shard told of */
    uint64_t head;      /* highest committed sequence heard of */
    uint64_t committed; /* the same, of events too that nobody listens to: what is to be folded */
    uint64_t published_when_asked;
    uint64_t wanted_when_asked; /* the journal's answer has at least these */
    relay_held_t *held_first;   /* in order of arrival */
    relay_held_t *held_last;
} relay_partition_t;

typedef enum relay_journal_state {
    RELAY_JOURNAL_CLOSED,
    RELAY_JOURNAL_OPENING,
    RELAY_JOURNAL_OPEN
} relay_journal_state_t;

typedef struct relay_secrets {
    bool is_loaded;
    uint64_t control_version; /* of the control store when they were read */
    crypto_key_t tenant_secret;
    card_signing_key_t active_key;
} relay_secrets_t;

typedef struct relay_read relay_read_t;

struct relay_tenant {
    relay_t *relay;
    relay_tenant_t *bucket_next;
    relay_tenant_t *newer; /* by last use */
    relay_tenant_t *older;
    char name[LIMIT_TENANT_NAME_SIZE];
    uint8_t name_size;
    relay_journal_state_t journal_state;
    journal_tenant_t *journal;
    uint32_t operations;         /* calls of the journal that have not answered: keeps it open */
    uint32_t partition_count;    /* 0: not known yet */
    int64_t created_at;          /* 0: not known yet; tells a tenant from a later namesake */
    relay_read_t *waiting_first; /* for the journal to open */
    relay_read_t *waiting_last;
    bool reads_heads;           /* for the lag of its consumers */
    bool is_retired;            /* deleted: begins nothing, and goes when it is idle */
    relay_read_t *parked_first; /* for its namesake, once it is gone */
    relay_read_t *parked_last;
    relay_secrets_t secrets;
    relay_models_t *models; /* NULL: closed */
    bool is_behind;         /* events were heard of that may not be folded yet */
    uint64_t behind_since_ms;
    bool has_rebuilt;
    relay_rebuild_progress_t rebuild;
    relay_partition_t partitions[LIMIT_PARTITIONS];
};

/* One list, history or events read. `body` follows the struct; the texts of `command` point into
 * it. */
struct relay_read {
    relay_t *relay;
    relay_tenant_t *tenant;
    relay_read_t *next;
    uint32_t peer;
    uint32_t limit;
    uint64_t correlation;
    uint64_t tenant_since; /* of the tenant that is meant; 0: whichever there is */
    uint64_t deadline_ms;  /* loop time */
    uint8_t type;
    uint8_t role;
    bool has_card;
    uuid_t card;
    char trace_id[RELAY_TRACE_ID_SIZE];
    union {
        card_list_t list;
        card_history_t history;
        events_read_t events;
        rollup_list_t rollups;
        events_ack_t ack;
        consumer_name_t name;
        consumer_list_t consumers;
        webhook_add_t webhook_add;
        webhook_name_t webhook_name;
        webhook_rotate_t webhook_rotate;
        webhook_replay_t webhook_replay;
        webhook_list_t webhook_list;
        webhook_log_t webhook_log;
    } command;
    journal_heads_t needed; /* what the read models have to show for it */
    uint64_t wait_until_ms; /* then it is answered with what there is */
    uint64_t behind;        /* events of these that it does not show */
    int64_t as_of;
    projections_tenant_t *asked;
    projections_list_t query; /* what it asked of the read models: borrowed until they answer */
    uint64_t words[LIMIT_NAME_WORDS];
    size_t body_size;
    uint8_t body[];
};

typedef struct relay_subscription {
    char prefix[LIMIT_EVENT_TOPIC_SIZE];
    uint32_t prefix_size;
    uint32_t count;
} relay_subscription_t;

typedef struct relay_round {
    bool is_running;
    bool again; /* somebody came while it was running: the next one begins at once */
    uint32_t next_subscription;
    bool scans_tenants; /* the second part: prefixes that may name many tenants */
    char after[LIMIT_TENANT_NAME_SIZE];
    uint32_t after_size;
    uint64_t started_ms;
} relay_round_t;

typedef struct relay_numbers {
    metric_t *received;
    metric_t *published;
    metric_t *duplicates;
    metric_t *refilled;
    metric_t *not_published;
    metric_t *shared;
    metric_t *not_shared;
    metric_t *heads;
    metric_t *consumers;
    metric_t *consumer_lag_max;
    metric_t *consumer_lag_sum;
    metric_t *consumer_lag_rest;
    metric_t *consumers_rest;
    metric_t *consumer_lags[LIMIT_CONSUMER_SERIES];
    metric_t *reads;
    metric_t *reads_failed;
    metric_t *undecodable;
    metric_t *subscriptions;
    metric_t *journals_open;
    metric_t *folded;
    metric_t *fold_failures;
    metric_t *lag_events;
    metric_t *lag_seconds;
    metric_t *rebuilds;
} relay_numbers_t;

typedef struct relay_buffer {
    uint8_t *bytes;
    size_t capacity;
} relay_buffer_t;

struct relay {
    loop_t *loop;
    relay_ports_t ports;
    relay_numbers_t numbers;
    loop_timer_t *head_timer;
    loop_timer_t *control_timer;
    loop_timer_t *ack_timer;
    loop_timer_t *lag_timer;
    uint32_t lag_turn;                       /* of the tenants whose closed journals are opened */
    struct webhook_sender *webhooks;         /* NULL: none are sent */
    relay_read_t *acks[LIMIT_CONSUMER_ACKS]; /* wait for the next commit */
    uint32_t ack_count;
    uint64_t control_version;
    uint64_t flag_change;        /* the last one told */
    loop_timer_t *retired_timer; /* removes retired tenants, from a clean stack */

    relay_tenant_t *buckets[RELAY_TENANT_BUCKETS];
    relay_tenant_t *newest;
    relay_tenant_t *oldest;
    uint32_t tenant_count;
    uint32_t open_count; /* journals open or being opened */
    uint32_t operations; /* of all tenants */
    uint32_t read_count;
    uint32_t held_count; /* events held, of all partitions */

    relay_subscription_t *subscriptions; /* LIMIT_EVENT_SUBSCRIPTIONS */
    uint32_t subscription_count;
    uint32_t overflow_count; /* subscriptions beyond the table: everything is published for them */
    relay_round_t round;

    loop_timer_t *fold_timer; /* NULL without read models */
    uint32_t step_count;      /* batches being folded, of all tenants */
    size_t feed_size;         /* bytes of events that wait to be folded, of all tenants */
    uint64_t lag;             /* committed events that are not folded yet, as of the last tick */
    uint32_t rebuild_count;
    char fold_round_after[LIMIT_TENANT_NAME_SIZE]; /* the round over all tenants after a start */
    uint32_t fold_round_size;
    bool is_fold_round_done;

    bool is_draining;
    loop_callback_t *drained;
    void *drained_context;

    uint8_t header_scratch[LIMIT_EVENT_PACKED_SIZE];
    uint8_t body_scratch[LIMIT_EVENT_PACKED_SIZE];
    relay_buffer_t document_buffer;
    relay_buffer_t envelope_buffer;
};

/* --- relay_tenants.c: positions, journals and secrets of tenants --- */
/* Finds or makes; NULL when the table is full of busy ones or memory is out. */
relay_tenant_t *relay_tenant_obtain(relay_t *relay, text_t name);
relay_tenant_t *relay_tenant_find(relay_t *relay, text_t name);
/* The record of the tenant that was made at `since` (created_at; 0: of whichever there is). What is
 * remembered of a deleted one of that name is forgotten. TENANT_NOT_FOUND: it was deleted;
 * STORE_UNAVAILABLE: nobody knows; BUSY: no room, or `*tenant` is retired and not gone yet. */
MUST_USE result_t relay_tenant_meet(relay_t *relay, text_t name, uint64_t since,
                                    relay_tenant_t **tenant);
/* As the control store says now: before rows of it are read or written by the tenant's name, which
 * may be another's since it was looked at last. */
bool relay_tenant_is_gone(relay_tenant_t *tenant);
/* Refuses what waits, because the relay ends. */
void relay_parked_end(relay_t *relay);
text_t relay_tenant_name(const relay_tenant_t *tenant);
/* OK: open, or will be; then relay_publish_opened and relay_reads_opened are called.
 * TENANT_NOT_FOUND; BUSY when too many journals are in use. */
MUST_USE result_t relay_tenant_open(relay_tenant_t *tenant);
/* Brackets of each call of the journal. */
void relay_operation_begin(relay_tenant_t *tenant);
void relay_operation_end(relay_tenant_t *tenant);
/* Keys for views, as of the control store's current version. TENANT_NOT_FOUND, or why not. */
MUST_USE result_t relay_tenant_load_secrets(relay_tenant_t *tenant);
/* Tenants that are gone are forgotten; secrets are read anew when next needed. */
void relay_control_poll(relay_t *relay);
MUST_USE result_t relay_tenants_begin(relay_t *relay);
void relay_tenants_close(relay_t *relay);
/* Since when there is this tenant; 0 when it is gone. */
int64_t relay_tenant_created_at(relay_tenant_t *tenant);

/* --- relay_held.c: events that came while a gap before them was being filled --- */
/* Keeps a copy. Beyond LIMIT_RELAY_HELD_EVENTS nothing is kept: the journal has it. */
void relay_hold(relay_partition_t *partition, const event_t *event);
/* Takes out the oldest one whose sequence is at most `sequence`; false when there is none. `event`
 * points into `memory`, which the caller frees. */
bool relay_take_held(relay_partition_t *partition, uint64_t sequence, event_t *event,
                     relay_held_t **memory);
void relay_drop_held(relay_partition_t *partition);

/* --- relay_publish.c --- */
/* `since`: of its tenant, 0 when it does not say. */
void relay_publish_receive(relay_t *relay, const event_t *event, uint64_t since);
/* The journal is open: `partitions` carry the heads. */
void relay_publish_opened(relay_tenant_t *tenant, const journal_opened_t *opened);
/* The journal says that the partition has come so far. */
void relay_publish_hear(relay_tenant_t *tenant, uint32_t partition, uint64_t head);
/* Sends the head of each partition, after looking into the journal for what a shard that died did
 * not tell. */
void relay_publish_heads(relay_tenant_t *tenant);

/* An operational event: `body` is packed by names. */
void relay_publish_operational(relay_t *relay, text_t tenant, uint8_t name, int64_t occurred_at,
                               const message_type_t *type, const void *body);

/* --- relay_flags.c --- */
/* Takes note of what is set without telling: at the start. */
void relay_flags_begin(relay_t *relay);
/* The control store changed: tells subscribers of each flag that did. */
void relay_flags_poll(relay_t *relay);

/* --- relay_consumers.c: consumers with a name, and how far they have come --- */
MUST_USE result_t relay_consumers_begin(relay_t *relay);
void relay_consumers_end(relay_t *relay);
bool relay_is_consumer_request(uint8_t type);
/* The journal is open; answers after a look at its heads, or after the next commit. */
void relay_consumer_run(relay_read_t *read);
/* Fills `after` of an events.read that names a consumer; false: it is answered. */
bool relay_consumer_resume(relay_read_t *read);
/* Events between a cursor and its head. */
uint64_t relay_lag_of(uint64_t head, uint64_t sequence);

/* --- relay_consumer_lag.c: what all of them have not acknowledged --- */
void relay_lag_tick(void *relay);

/* --- webhook_sender.c: events to endpoints of other people --- */
MUST_USE result_t relay_webhooks_begin(relay_t *relay, metrics_t *metrics);
/* No call is on its way any more; what was answered is stored. */
void relay_webhooks_stop(relay_t *relay);
void relay_webhooks_end(relay_t *relay);

/* --- relay_webhooks.c: webhooks as requests of clients --- */
bool relay_is_webhook_request(uint8_t type);
/* Answers at once. */
void relay_webhook_run(relay_read_t *read);

/* --- relay_share.c --- */
void relay_share_begin(relay_t *relay);
/* An event of this node, for the others. */
void relay_share(relay_t *relay, const event_t *event, uint64_t since);

/* --- relay_subscriptions.c --- */
bool relay_has_subscribers(const relay_t *relay);
void relay_round_tick(relay_t *relay);

/* --- relay_reads.c --- */
void relay_read_receive(relay_t *relay, uint32_t peer, const request_t *request);
void relay_reads_opened(relay_tenant_t *tenant, result_t result);
/* To the tenant that is meant, or answered. */
void relay_read_place(relay_read_t *read, text_t name);
/* Its tenant was deleted meanwhile. */
void relay_read_refuse_deleted(relay_read_t *read);
/* Those that wait for its journal. */
void relay_reads_refuse(relay_tenant_t *tenant);

/* Asks the open journal of its tenant how far it has come, as an operation that `done` ends with
 * relay_operation_end; its context is the read. When it cannot be asked, the read is answered. */
void relay_read_heads(relay_read_t *read, journal_heads_done_t *done);
/* The heads are known, or not (then the read is answered). */
void relay_read_run(relay_read_t *read);

/* --- relay_pages.c: results of the journal as documents --- */
void relay_page_cards(relay_read_t *read, const journal_cards_t *cards);
/* Opens a sealed holder name; TEXT_NONE when there is none, or its member was erased. */
text_t relay_open_name(const relay_tenant_t *tenant, const card_state_t *state,
                       text_t sealed_member_key, char plain[SECRET_NAME_SIZE_MAX]);
/* What lies before that sequence is not all there any more. Ends the read. */
void relay_reply_archived(relay_read_t *read, uint64_t first_sequence);
void relay_page_history(relay_read_t *read, const journal_events_t *events);
void relay_page_events(relay_read_t *read, const journal_events_t *events);

/* --- relay_reply.c: answers; each ends and frees the read --- */
void relay_reply_document(relay_read_t *read, const message_type_t *type, const void *document);
void relay_reply_error(relay_read_t *read, result_t error, const char *detail, const char *field);
void relay_reply_strange_cursor(relay_read_t *read); /* INVALID_CURSOR */
/* For a request that never became a read. */
void relay_reply_refuse(relay_t *relay, uint32_t peer, const request_t *request, result_t error,
                        const char *detail, const char *field);

void relay_drain_check(relay_t *relay);

#endif
