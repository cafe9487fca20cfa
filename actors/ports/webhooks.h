/* Webhooks: where events are sent, under which secrets, and what became of them. Part of the
 * control data. How far one has come is kept as a consumer (ports/consumers.h) named by
 * webhook_consumer_name of actors/domain/webhook.h, which comes and goes with it. Calls block for
 * some milliseconds.
 *
 * A webhook is told from a later namesake by `created_at`, also when its whole tenant was deleted
 * and made anew: what is recorded of the earlier one never counts for the later one. */
#ifndef ACTORS_PORTS_WEBHOOKS_H
#define ACTORS_PORTS_WEBHOOKS_H

#include "messages/text.h"
#include "runtime/limits.h"
#include "runtime/result.h"
#include <stdint.h>

typedef struct webhooks webhooks_t;

/* Texts are borrowed for the call. */
typedef struct webhook_row {
    text_t tenant;
    text_t name;
    text_t url;
    int64_t created_at;
    int64_t tenant_created_at; /* when visited */
    text_t disabled;           /* why; empty: it is active */
    text_t sealed_secret;
    text_t sealed_previous; /* empty: none */
    int64_t previous_until; /* until then both sign */
    uint32_t replay_partition;
    uint64_t replay_next; /* of a replay under way: the next one to be sent */
    uint64_t replay_last; /* 0: there is none */
} webhook_row_t;
typedef bool webhook_visit_t(void *context, const webhook_row_t *row); /* false: stop */

typedef enum webhook_state {
    WEBHOOK_STATE_DELIVERED,
    WEBHOOK_STATE_RETRYING,
    WEBHOOK_STATE_GIVEN_UP,
    WEBHOOK_STATES,
} webhook_state_t;

/* The last that happened with one event. */
typedef struct webhook_delivery {
    text_t tenant;
    text_t name;
    int64_t created_at; /* of the webhook; when recorded */
    uint32_t partition;
    uint64_t sequence;
    text_t event; /* "CardIssued" */
    text_t card;
    uint32_t attempts;
    int64_t first_at;
    int64_t last_at;
    uint32_t status; /* of the answer; 0: none */
    webhook_state_t state;
    text_t detail; /* "timed_out" */
} webhook_delivery_t;
typedef bool webhook_delivery_visit_t(void *context, const webhook_delivery_t *delivery);

typedef struct webhook_range {
    uint32_t partition;
    uint64_t next;
    uint64_t last; /* 0: done */
} webhook_range_t;

/* How far a webhook has come in a partition, or in its replay. */
typedef struct webhook_cursor {
    text_t tenant;
    text_t name;
    int64_t created_at; /* of the webhook */
    uint32_t partition;
    uint64_t sequence;    /* everything up to this one is done */
    uint64_t replay_last; /* of a replay: it is over when this one is done; 0: not of a replay */
} webhook_cursor_t;

typedef struct webhook_progress {
    const webhook_delivery_t *deliveries;
    size_t delivery_count;
    const webhook_cursor_t *cursors;
    size_t cursor_count;
    int64_t now_ms;
} webhook_progress_t;

typedef struct webhooks_functions {
    /* These raise the version of the control store. MISSING: no such tenant, or webhook. */

    /* `row`'s name, URL, time and secret. It begins without cursors, whatever a namesake left.
     * ALREADY_EXISTS; BUSY: LIMIT_WEBHOOKS, or LIMIT_CONSUMERS in all, are there. */
    result_t (*add)(webhooks_t *store, const webhook_row_t *row);
    /* With its log and its cursors. */
    result_t (*remove)(webhooks_t *store, text_t tenant, text_t name);
    /* The present secret becomes the previous one, until `previous_until`. */
    result_t (*rotate)(webhooks_t *store, text_t tenant, text_t name, text_t sealed_secret,
                       int64_t previous_until);
    /* Empty: active again. */
    result_t (*disable)(webhooks_t *store, text_t tenant, text_t name, text_t reason);
    /* BUSY: another one is under way. */
    result_t (*replay)(webhooks_t *store, text_t tenant, text_t name,
                       const webhook_range_t *replay);

    /* This does not. */

    /* All in one transaction. A second delivery of an event takes the place of the first; a cursor
     * never goes back. Those of webhooks that are gone, a namesake or not, are dropped.
     * LIMIT_WEBHOOK_LOG deliveries of each webhook stay, and all that are being retried. */
    result_t (*record)(webhooks_t *store, const webhook_progress_t *progress);
    /* Of one tenant, or of all when it is empty; in order of tenant and name. */
    result_t (*visit)(webhooks_t *store, text_t tenant, webhook_visit_t *visit, void *context);
    /* Newest first; only those being retried when so asked. */
    result_t (*visit_log)(webhooks_t *store, text_t tenant, text_t name, bool only_retrying,
                          webhook_delivery_visit_t *visit, void *context);
    /* One sender for all: `is_ours` says whether `service` is the one for `ttl_ms` from now, by the
     * store's clock. It stays so by asking again; another one takes over when that has ended. 0:
     * gives it back. NULL: a store that one service alone has. */
    result_t (*claim)(webhooks_t *store, text_t service, uint32_t ttl_ms, bool *is_ours);
} webhooks_functions_t;

struct webhooks {
    const webhooks_functions_t *functions;
};

#endif
