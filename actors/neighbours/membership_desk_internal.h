/* Insides of the membership desk, for its two files: membership_desk.c (shards, questions,
 * standing) and membership_feed.c (tenants and their events). */
#ifndef ACTORS_MEMBERSHIP_DESK_INTERNAL_H
#define ACTORS_MEMBERSHIP_DESK_INTERNAL_H

#include "actors/neighbours/inbox.h"
#include "actors/neighbours/membership_desk.h"

enum { DESK_SCRATCH_SIZE = 262144 }; /* a message of LIMIT_INBOX_MESSAGE_EVENTS and room */

/* A tenant whose membership context is configured. */
typedef struct desk_tenant {
    membership_desk_t *desk;
    uint32_t index; /* in the desk's table */
    uint32_t generation;
    uint32_t shard;
    uint32_t partitions;
    int64_t created_at;
    uint32_t name_size;
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    bool is_seen; /* while the control store is read */
    inbox_t *inbox;
    bool is_reading;
    bool is_unasked; /* LIMIT_NEIGHBOURS others need their breakers: it could not be asked */
    bool read_again;
    int64_t read_began_at;
    uint64_t poll_at_ms;
    int64_t current_at; /* wall time: all events up to then were taken; 0: unknown */
    uint64_t sent_at_ms[LIMIT_PARTITIONS];
    uint64_t not_before_ms[LIMIT_PARTITIONS];
    uint64_t beyond_log_ms;
    bool is_alone[LIMIT_PARTITIONS]; /* its first event was refused: it goes alone */
} desk_tenant_t;

/* One question on its way, to the context's breaker and back. */
typedef struct desk_call {
    neighbour_call_t call; /* first: the breaker sees only this */
    membership_desk_t *desk;
    membership_call_t *asked; /* while an attempt runs */
    desk_tenant_t *tenant;    /* of a page */
    uint32_t tenant_size;
    char tenant_name[LIMIT_TENANT_NAME_SIZE + 1];
    uint64_t after; /* of a page */
    uint32_t peer;  /* of a member */
    uint64_t correlation;
    uint32_t member_size; /* 0: a page */
    char member_id[128];
    uint8_t status;
    int64_t valid_until;
    size_t taken; /* events of the page */
    uint64_t last;
    bool is_full;
} desk_call_t;

struct membership_desk {
    loop_t *loop;
    membership_desk_ports_t ports;
    uint32_t shards;
    loop_timer_t *tick;
    bool shard_is_up[LIMIT_SHARDS];
    uint32_t shard_peer[LIMIT_SHARDS];
    uint64_t control_version;
    bool control_is_read;
    uint64_t standing_at_ms;
    desk_tenant_t **tenants; /* some NULL */
    uint32_t tenant_places;
    uint32_t tenant_count;
    uint32_t next_generation;
    bool is_closing;
    metric_t *applied;
    metric_t *repeated;
    metric_t *ahead;
    metric_t *beyond;
    metric_t *dead;
    metric_t *pages;
    metric_t *lag;
    metric_t *unanswered;
    uint8_t scratch[DESK_SCRATCH_SIZE];
    uint8_t body[DESK_SCRATCH_SIZE];
};

static inline text_t desk_tenant_name(const desk_tenant_t *tenant)
{
    return (text_t){.data = tenant->name, .size = tenant->name_size};
}

/* --- membership_desk.c --- */

/* The fields of a question are filled: takes it to the breaker. */
void desk_call_begin(desk_call_t *call, bool is_repeatable, uint64_t deadline_ms);
result_t desk_send(membership_desk_t *desk, uint32_t shard, const envelope_t *envelope);
/* It was asked, or would be: its breaker is closed. */
bool desk_is_reachable(const desk_tenant_t *tenant);
void desk_tell_standing(desk_tenant_t *tenant);

/* --- membership_feed.c --- */

void feed_page_answered(desk_call_t *call, const membership_answer_t *answer);
void feed_page_done(desk_call_t *call, neighbour_end_t end);
void feed_reply(membership_desk_t *desk, const reply_t *reply);
void feed_shard_down(membership_desk_t *desk, uint32_t shard);
void feed_tick(membership_desk_t *desk);
desk_tenant_t *feed_find(membership_desk_t *desk, text_t name);
void feed_destroy(membership_desk_t *desk);

#endif
