/* Anonymous actors that stand and fall together, in the order they were spawned. A child that fails
 * and is to be restarted takes along: nobody (one for one), all (one for all), those spawned after
 * it (rest for one). All restarts of a group count together: more than `restarts_max` within
 * any `window_ms` and the group has failed: its children are stopped and its owner, if there is
 * one, gets ACTOR_SYSTEM_ESCALATED, whatever else it waits for: the notice is made with the group.
 * The first restart is immediate; later ones wait, doubling, with jitter. References to children
 * stay good over restarts. */
#ifndef RUNTIME_ACTOR_GROUP_H
#define RUNTIME_ACTOR_GROUP_H

#include "runtime/actor_system.h"

typedef enum actor_strategy {
    ACTOR_ONE_FOR_ONE,
    ACTOR_ONE_FOR_ALL,
    ACTOR_REST_FOR_ONE,
} actor_strategy_t;

/* Zero: the limit of that name. */
typedef struct actor_group_options {
    actor_strategy_t strategy;
    uint32_t restarts_max; /* at most LIMIT_GROUP_RESTARTS */
    uint32_t window_ms;
    uint32_t backoff_ms_min;
    uint32_t backoff_ms_max;
} actor_group_options_t;

/* BUSY: there are LIMIT_ACTOR_GROUPS. NO_MEMORY. */
MUST_USE result_t actor_group_create(actor_system_t *system, actor_ref_t owner,
                                     const actor_group_options_t *options, actor_group_t **group);
/* Stops its children; not within a handler of one of them. What is left when the system is
 * destroyed goes with it. */
void actor_group_destroy(actor_group_t **group);
uint32_t actor_group_count(const actor_group_t *group);
bool actor_group_has_failed(const actor_group_t *group);

#endif
