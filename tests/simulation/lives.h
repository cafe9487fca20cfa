/* Tenants are deleted under load, and others are given their names: at once, later, or never. As
 * the control stores do it: the row goes first and the journal after it, and a new journal is there
 * before its row. A third of the worlds have it; in the others tenants stay. */
#ifndef TESTS_SIMULATION_LIVES_H
#define TESTS_SIMULATION_LIVES_H

#include "tests/simulation/world.h"

lives_t *lives_create(world_t *world);
void lives_destroy(lives_t **lives);
/* A tenant that was added gets its place in the store and its row in the control store. */
void lives_appear(world_t *world, world_tenant_t *tenant);
/* One may be deleted. */
void lives_step(world_t *world);
/* What was begun is done; no further one is deleted. */
void lives_heal(world_t *world);
/* No process keeps anything open, or in mind, of a tenant that was deleted, and all fronts know who
 * is there. */
bool lives_given_back(world_t *world);
/* It was so once, after the faults: from then on nobody may take one tenant for another's. */
bool lives_are_known(const world_t *world);

#endif
