/* Quotas of tenants, which an operator raises and lowers while everything else happens, and what
 * must be true of them. A third of the worlds have it. */
#ifndef TESTS_SIMULATION_QUOTAS_H
#define TESTS_SIMULATION_QUOTAS_H

#include "actors/ports/journal.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/world.h"

quotas_t *quotas_create(world_t *world);
void quotas_destroy(quotas_t **quotas);
/* A tenant begins, with quotas or without. */
void quotas_begin(world_t *world, uint32_t tenant);
/* The operator may change those of one. */
void quotas_step(world_t *world);
/* All of them are lifted: what was refused for them must go now, with the same key. */
void quotas_lift(world_t *world);
/* Whether a request may end so: quotas close no door and keep none open. */
bool quotas_may_refuse(const world_t *world, const command_t *command, result_t result);
bool quotas_is_refusal(result_t result);
/* A batch is about to be stored on top of `before`. */
void quotas_check_batch(world_t *world, uint32_t tenant, const journal_batch_t *batch,
                        const journal_partition_t *before);

#endif
