/* The supervisor's part in the simulation, and the faults that befall processes. */
#ifndef TESTS_SIMULATION_CLUSTER_H
#define TESTS_SIMULATION_CLUSTER_H

#include "tests/simulation/process.h"

cluster_t *cluster_create(world_t *world);
void cluster_destroy(cluster_t **cluster);
void cluster_start(world_t *world);
/* The process that serves a slot now; NULL: none. */
process_t *cluster_process(world_t *world, uint32_t slot);
void cluster_process_drained(process_t *process);
/* Draws what goes wrong in this step. */
void cluster_step(world_t *world);
/* Ends all faults: zombies die, everything that is down comes up, nothing is blocked. */
void cluster_heal(world_t *world);
bool cluster_is_up(world_t *world);
/* Takes everything down in order; false when something does not end in time, or leaves something
 * behind. */
bool cluster_drain(world_t *world);

#endif
