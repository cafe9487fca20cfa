/* The membership contexts of the simulated tenants: what happens to members there, how it is told
 * (twice, late, out of order, not at all, when asked), and what must have become of it here. A
 * third of the worlds have some; the others are as if this file were not there. */
#ifndef TESTS_SIMULATION_MEMBERSHIP_H
#define TESTS_SIMULATION_MEMBERSHIP_H

#include "actors/ports/journal.h"
#include "actors/ports/membership.h"
#include "tests/simulation/world.h"

enum {
    CONTEXT_MEMBERS = 6, /* as many as the workload has */
    CONTEXT_EVENTS_MAX = 256,
};

/* An event, and where the partition of its member stood when it was applied there. */
typedef struct context_event {
    member_event_t event; /* texts live as long as the world */
    uint32_t partition;
    bool is_applied;
    uint64_t head_before; /* of the batch that moved the watermark past it */
    uint64_t head_after;
} context_event_t;

memberships_t *memberships_create(world_t *world);
void memberships_destroy(memberships_t **memberships);
/* Draws which tenants have one, once these are known. */
void memberships_draw(world_t *world);
bool memberships_exist(const world_t *world);
bool memberships_has(const world_t *world, uint32_t tenant);
bool memberships_refuse(const world_t *world, uint32_t tenant); /* its policy */
/* Settings of the shards; borrowed. */
text_t memberships_urls(const world_t *world);
text_t memberships_policies(const world_t *world);
/* Something may happen to a member of some tenant. */
void memberships_step(world_t *world);
/* Another tenant has that name now: it hears of everything from the beginning. */
void memberships_new_tenant(world_t *world, uint32_t tenant);

/* The port of one adapters process, and what it is told. */
membership_t *memberships_port_create(process_t *process);
void memberships_port_destroy(membership_t **port);

/* --- membership_check.c --- */

/* A batch is about to be stored: cards of a member who is not active are not issued and open no
 * door. */
void memberships_check_batch(world_t *world, uint32_t tenant, const journal_batch_t *batch);
/* It was. */
void memberships_stored(world_t *world, uint32_t tenant, const journal_batch_t *batch);
/* A shard tells that the cards of a cancelled member are revoked. */
void memberships_told(world_t *world, const envelope_t *envelope);
/* Every event is applied, and no work on cards is left. */
bool memberships_settled(world_t *world);
/* Members are as the fold of their events says. */
void memberships_check_members(world_t *world);

/* A card as the model has folded it, held against what happened to its member. */
typedef struct membered_card {
    uint32_t tenant;
    uint32_t partition;
    text_t member_id;
    uint8_t status;
    bool is_by_member;        /* its suspension or revocation */
    uint64_t issued_sequence; /* of the partition */
    int64_t issued_at;
    uint64_t revived_sequence; /* reinstated by hand, or renewed; 0: never */
    int64_t expires_at;
} membered_card_t;
void memberships_check_card(world_t *world, const membered_card_t *card);

#endif
