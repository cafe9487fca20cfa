/* Insides of the membership contexts, for membership*.c. */
#ifndef TESTS_SIMULATION_MEMBERSHIP_INTERNAL_H
#define TESTS_SIMULATION_MEMBERSHIP_INTERNAL_H

#include "tests/simulation/membership.h"
#include "tests/simulation/process.h"

/* Cards of a member that are being revoked, as the disk has it. */
typedef struct revoking {
    bool is_open;
    bool is_told;
    uint64_t revoked; /* since it began */
    uint64_t before;  /* by the one before */
} revoking_t;

typedef struct context {
    bool exists;
    bool refuses; /* unknown and stale members, while nobody can be asked */
    char ids[CONTEXT_MEMBERS][40];
    uint8_t statuses[CONTEXT_MEMBERS]; /* as they are now */
    context_event_t events[CONTEXT_EVENTS_MAX];
    uint32_t event_count;
    revoking_t revoking[CONTEXT_MEMBERS];
    uint64_t watermarks[WORLD_PARTITIONS_MAX]; /* on the disk */
} context_t;

struct memberships {
    generator_t generator;
    bool exist;
    uint32_t events_permille; /* per step */
    uint32_t loss;            /* of what is published; per mille, as all of these */
    uint32_t duplicates;
    uint32_t lateness;
    uint32_t failures; /* of what is asked */
    uint32_t breaks;   /* of the adapter itself, which is restarted then */
    char urls[256];
    char policies[256];
    context_t contexts[WORLD_NAMES_MAX];
};

/* Of a name: tenants that have it one after the other have the same one. */
context_t *memberships_context(const world_t *world, uint32_t tenant);
/* DESIGN 3.5, a second time. */
uint8_t context_fold(uint8_t status, uint8_t name);

#endif
