/* What the adapters role does about the membership context: answers shards' questions through the
 * context's breaker, tells them how far it can be relied on, and takes its events, in order and
 * each once, to the partitions of their members (inbox.c). It keeps nothing durable: after a start
 * it asks the partitions how far they have come. */
#ifndef ACTORS_MEMBERSHIP_DESK_H
#define ACTORS_MEMBERSHIP_DESK_H

#include "actors/neighbours/neighbour.h"
#include "actors/ports/control_store.h"
#include "actors/ports/membership.h"

typedef struct membership_desk membership_desk_t;

typedef struct membership_desk_ports {
    membership_t *membership; /* handed over with membership_desk_start */
    control_store_t *control;
    neighbours_t *neighbours;
    /* To a shard; BUSY and MISSING are dealt with by asking again. */
    result_t (*send)(void *context, uint32_t peer, const uint8_t *envelope, size_t size);
    void *context;
    int64_t (*wall_ms)(void);
    uint32_t (*random)(uint32_t below);
} membership_desk_ports_t;

MUST_USE result_t membership_desk_create(loop_t *loop, metrics_t *metrics,
                                         const membership_desk_ports_t *ports, uint32_t shards,
                                         membership_desk_t **desk);
/* Before the neighbours. */
void membership_desk_destroy(membership_desk_t **desk);

/* An envelope from a shard. */
void membership_desk_receive(membership_desk_t *desk, uint32_t peer, const uint8_t *envelope,
                             size_t size);
/* Its channel is gone. */
void membership_desk_shard_down(membership_desk_t *desk, uint32_t shard);
/* Something was published. */
void membership_desk_heard(membership_desk_t *desk, text_t tenant, const member_event_t *event);
/* A breaker changed. */
void membership_desk_breaker_changed(membership_desk_t *desk, text_t tenant);

typedef struct membership_desk_numbers {
    uint32_t tenants;
    uint64_t events_applied;
    uint64_t events_repeated; /* known already */
    uint64_t events_ahead;    /* held until a gap was filled */
    uint64_t events_beyond;   /* too far ahead to be followed */
    uint64_t events_dead;     /* set aside */
    uint64_t pages_read;
    uint64_t lag; /* events taken but not yet applied */
} membership_desk_numbers_t;
void membership_desk_numbers(const membership_desk_t *desk, membership_desk_numbers_t *numbers);

#endif
