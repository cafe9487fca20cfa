/* Inside of the sender of webhooks, for actors/webhook_*.c: it runs within the relay, reads events
 * from the relay's journals and sends them with ports/http_client.h.
 *
 * One hook per webhook: a breaker, at most LIMIT_WEBHOOK_CALLS calls on their way, and a lane for
 * each partition of its tenant, plus one for a replay. A lane is a window of events behind a
 * cursor (actors/domain/webhook.h); cursors and outcomes are stored every LIMIT_WEBHOOK_TICK_MS, in
 * one commit for all, so that after a crash an event may come twice and none is lost.
 *
 * One webhook takes nothing from the others: it holds a bounded number of events and calls, so do
 * all of its tenant together, and those that answer slowly or not at all share a part of the calls
 * that leaves the rest to those that are quick. */
#ifndef ACTORS_WEBHOOK_SENDER_H
#define ACTORS_WEBHOOK_SENDER_H

#include "actors/domain/circuit_breaker.h"
#include "actors/domain/webhook.h"
#include "actors/relay/relay_internal.h"

typedef struct webhook_sender webhook_sender_t;
typedef struct hook hook_t;

/* One event in memory, ready to be sent. */
typedef struct hook_event {
    uuid_t event_id;
    uuid_t card;
    uint8_t name;
    size_t size;
    char json[];
} hook_event_t;

typedef struct hook_lane {
    hook_t *hook;
    uint32_t partition;
    bool is_replay;
    bool is_reading;
    bool is_seeking; /* for the first event since the webhook was made, between these */
    uint64_t seek_low;
    uint64_t seek_high;
    uint64_t from;     /* where it began in this process */
    uint64_t last;     /* of a replay */
    uint64_t stored;   /* watermark as stored */
    uint64_t retry_at; /* loop time: the last look failed */
    uint64_t read_at;  /* loop time of the last look into the journal; 0: never */
    webhook_window_t window;
} hook_lane_t;

typedef struct hook_call {
    hook_lane_t *lane; /* NULL: free */
    bool is_slow;      /* counts among the calls of slow webhooks */
    uint64_t sequence;
    circuit_ticket_t ticket;
    http_call_t *call;
} hook_call_t;

struct hook {
    webhook_sender_t *sender;
    char tenant[LIMIT_TENANT_NAME_SIZE];
    size_t tenant_size;
    char name[WEBHOOK_CONSUMER_SIZE]; /* of the consumer */
    size_t name_size;
    char url[WEBHOOK_URL_SIZE_MAX];
    size_t url_size;
    int64_t created_at;
    int64_t tenant_created_at; /* a later tenant of this name is another one */
    bool is_seen;              /* by the reading of all rows that is going on */
    bool is_disabled;
    bool is_gone;     /* freed as soon as no journal is being read for it */
    bool begins_anew; /* it was enabled again: from its cursor, with attempts counted from 0 */
    bool forgets_tries;
    bool is_stale; /* another service has sent meanwhile: from its cursors as they are stored */
    bool is_quick; /* its last answer came within LIMIT_WEBHOOK_QUICK_MS */
    char secret[WEBHOOK_SECRET_SIZE];
    char previous[WEBHOOK_SECRET_SIZE];
    int64_t previous_until; /* 0: there is no previous one */
    webhook_range_t replay;
    int64_t delivered_at; /* last */
    circuit_breaker_t breaker;
    hook_call_t calls[LIMIT_WEBHOOK_CALLS];
    uint32_t call_count;
    uint32_t held;    /* events in memory */
    uint32_t reading; /* lanes whose journal is being read */
    uint32_t turn;    /* lane to look at first */
    uint32_t lane_count;
    hook_lane_t *lanes; /* one per partition, then that of the replay; NULL: not known yet */
};

typedef struct hook_outcome {
    hook_t *hook; /* NULL: it went meanwhile */
    uint8_t event;
    webhook_delivery_t delivery; /* texts are filled in when it is stored */
    char card[UUID_TEXT_SIZE];
} hook_outcome_t;

struct webhook_sender {
    relay_t *relay;
    loop_timer_t *timer;
    uint64_t version; /* of the control store when the rows were read; 0: never */
    bool is_stopped;
    bool is_sending;           /* among services on one store: webhook_claim.c */
    uint64_t claimed_until_ms; /* of loop_now_ms */
    uint64_t claim_again_ms;
    uint32_t hook_count;
    hook_t *hooks[LIMIT_WEBHOOKS_ALL];
    uint32_t turn; /* hook to begin with */
    uint32_t look; /* where the hook of the next row is expected */
    uint32_t call_count;
    uint32_t slow_call_count; /* of these */
    uint32_t held;            /* events in memory, of all */
    uint32_t outcome_count;
    hook_outcome_t outcomes[LIMIT_WEBHOOK_OUTCOMES];
    /* For one commit. */
    webhook_delivery_t deliveries[LIMIT_WEBHOOK_OUTCOMES];
    webhook_cursor_t cursors[LIMIT_WEBHOOK_CURSORS];
    hook_lane_t *moved[LIMIT_WEBHOOK_CURSORS]; /* whose cursor it is */
    uint32_t cursor_count;
    metric_t *hooks_active;
    metric_t *sends;
    metric_t *delivered;
    metric_t *failed;
    metric_t *given_up;
    metric_t *events_held;
    metric_t *open;
    char scratch[WEBHOOK_STAMP_SIZE + LIMIT_WEBHOOK_BODY_SIZE];
};

static inline text_t hook_tenant_name(const hook_t *hook)
{
    return (text_t){.data = hook->tenant, .size = hook->tenant_size};
}
static inline text_t hook_consumer_name(const hook_t *hook)
{
    return (text_t){.data = hook->name, .size = hook->name_size};
}
/* Without the prefix. */
static inline text_t hook_name(const hook_t *hook)
{
    const size_t prefix = sizeof(WEBHOOK_CONSUMER_PREFIX) - 1;
    return (text_t){.data = hook->name + prefix, .size = hook->name_size - prefix};
}

/* For pauses and breakers: a clock that nobody sets, so that one of the wall that is set back
 * lengthens none of them. */
static inline int64_t hook_now_ms(const hook_t *hook)
{
    return (int64_t)loop_now_ms(hook->sender->relay->loop);
}

/* --- webhook_hooks.c: the rows of the control store as hooks --- */
/* Brings the hooks up to date when the control store changed. */
void hooks_load(webhook_sender_t *sender);
/* One that was enabled again, or is stale; a lane that is being read ends its turn first. */
void hook_begin_anew(hook_t *hook);
/* Frees those that are gone and not in use; all of them when `all`. */
void hooks_sweep(webhook_sender_t *sender, bool all);

/* --- webhook_lanes.c: events from the journal into windows --- */
/* Makes the lanes when the tenant's partitions are known, and reads where there is room. */
void hook_read(hook_t *hook);
void hook_lanes_free(hook_t *hook);
/* Takes done events off the window of the lane. */
void hook_lane_settle(hook_lane_t *lane);
/* The replay's lane, in use or not. */
static inline hook_lane_t *hook_replay_lane(hook_t *hook)
{
    return &hook->lanes[hook->lane_count - 1];
}

/* --- webhook_claim.c: one sender among services on one store --- */
/* Once a turn. When it was so and is not any more, nothing is on its way and all is stale. */
bool hooks_may_send(webhook_sender_t *sender);
/* Another service may begin at once. */
void hooks_release(webhook_sender_t *sender);

/* --- webhook_calls.c: events to endpoints --- */
/* Starts what may be started. */
void hook_send(hook_t *hook);
/* Their events wait as before. */
void hook_cancel_calls(hook_t *hook);

/* --- webhook_store.c: cursors and outcomes to the control store --- */
void hook_note(hook_lane_t *lane, const webhook_place_t *place, webhook_state_t state,
               uint32_t status, const char *detail);
void hooks_store(webhook_sender_t *sender);

#endif
