/* The read models of one tenant within the relay, for actors/relay/relay_models.c, relay_steps.c
 * and relay_lists.c.
 *
 * Events come from shards into a bounded feed; when it has the next ones, they are folded from
 * there, else from the journal. One batch of a tenant is under way at a time:
 *   feed or journal → keys of members → states of cards → fold → commit
 * A read model that turns out to be damaged, or of another history than the journal, is thrown away
 * and made anew. Nothing here can hold up publishing: what does not fit is read later. */
#ifndef ACTORS_RELAY_MODELS_H
#define ACTORS_RELAY_MODELS_H

#include "actors/relay/projection_fold.h"
#include "actors/relay/relay_internal.h"

typedef struct relay_feed_event relay_feed_event_t;

typedef struct relay_model_partition {
    projection_cursor_t applied;
    bool is_checked;      /* the journal has the event that `applied` names */
    uint64_t archived_to; /* the model has what is gone up to there (relay_archived.c) */
} relay_model_partition_t;

/* One set of read models being fed: the one in use, or the next. */
typedef struct relay_model {
    relay_tenant_t *tenant;
    projections_tenant_t *handle; /* NULL: closed */
    bool is_opening;
    bool is_stepping;
    bool is_complete;    /* it has once reached the head */
    bool is_live;        /* else it is the next one */
    uint32_t reads;      /* pages under way */
    uint64_t retry_ms;   /* loop time; no step before */
    uint32_t generation; /* rises when the handle goes: what was asked of it no longer counts */
    uint32_t turn;       /* partition whose turn it is */
    uint64_t events;     /* folded since it was opened */
    relay_model_partition_t partitions[LIMIT_PARTITIONS];
    projection_cursor_t archived; /* what it took over of archived sums */
    bool has_archived;            /* nothing of them is left to take over */
} relay_model_t;

typedef struct relay_feed {
    relay_feed_event_t *first; /* of one partition, each the next of the one before */
    relay_feed_event_t *last;
    uint64_t last_sequence;
} relay_feed_t;

typedef enum relay_rebuild_state {
    RELAY_REBUILD_NONE,
    RELAY_REBUILD_FOLDING,
    RELAY_REBUILD_SWITCHING /* nothing else happens to either model */
} relay_rebuild_state_t;

struct relay_models {
    relay_model_t live;
    relay_model_t next;
    relay_rebuild_state_t rebuild;
    bool is_promoting;
    uint64_t logged_ms; /* when a failure was logged last */
    size_t feed_size;
    uint32_t feed_count;
    relay_read_t *waiting_first; /* pages that wait for the fold to catch up */
    relay_read_t *waiting_last;
    relay_feed_t feeds[LIMIT_PARTITIONS];
};

/* --- relay_models.c: opening, feeding, lag, rebuilding --- */
/* A committed event, before anything else is done with it. */
void relay_models_receive(relay_tenant_t *tenant, const event_t *event);
/* The journal says that a partition has come so far. */
void relay_models_hear(relay_tenant_t *tenant, uint32_t partition, uint64_t head);
/* Opens the models of a tenant whose journal is open; does nothing when that is done. */
void relay_models_open(relay_tenant_t *tenant);
/* The same, unless others need what it takes: then the tick opens it in its turn. */
void relay_models_begin(relay_tenant_t *tenant);
bool relay_models_are_idle(const relay_tenant_t *tenant);
/* The tenant has no operations. */
void relay_models_close(relay_tenant_t *tenant);
void relay_models_tick(void *context);
/* The live model turned out to be damaged. */
void relay_models_discard(relay_tenant_t *tenant);

/* A step ended; the model's partitions have moved when `result` is OK. */
void relay_model_stepped(relay_model_t *model, result_t result);
/* Takes the next events of the feed into `fold`; false when it has not the one after `after`. */
bool relay_feed_take(relay_tenant_t *tenant, uint32_t partition, uint64_t after,
                     projection_fold_t *fold);

/* --- relay_steps.c: one batch --- */
/* Begins one when there is something to fold, nothing is under way and the models do not change
 * places. */
void relay_model_step(relay_model_t *model);

/* --- relay_archived.c: sums of archived validations --- */
/* True: the model has yet to take over what was archived before its first event, and a step of that
 * has begun, or cannot now. */
bool relay_archived_step(relay_model_t *model);
/* The journal lacks validations up to `archived_to` that the model has not counted as events. OK is
 * given to `done` when it has them as sums, else what makes the model begin anew. */
typedef void relay_archived_done_t(void *context, result_t result);
MUST_USE result_t relay_archived_check(relay_model_t *model, uint32_t partition,
                                       uint64_t archived_to, relay_archived_done_t *done,
                                       void *context);

/* --- relay_lists.c: pages from the read models --- */
/* The journal is open. Ends the read sooner or later. */
void relay_list_begin(relay_read_t *read);
/* Refuses all pages that still wait, because the relay ends. */
void relay_lists_end(relay_t *relay);
/* The same of one tenant, because it was deleted. */
void relay_lists_refuse(const relay_tenant_t *tenant);
/* After each commit and tick: answers what can be answered. */
void relay_lists_look(relay_tenant_t *tenant);

/* --- relay_rollups.c: decoding of the request and the page of it --- */
/* False when the request was answered with what is wrong with it. */
bool relay_rollups_check(relay_read_t *read);
void relay_rollups_query(const relay_read_t *read, projections_counters_query_t *query);
void relay_page_rollups(relay_read_t *read, const projections_counters_t *counters);

#endif
