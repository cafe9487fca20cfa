/* Envelopes between processes, and whom the subscribers hear. */
#ifndef TESTS_SIMULATION_NETWORK_H
#define TESTS_SIMULATION_NETWORK_H

#include "tests/simulation/world.h"

network_t *network_create(world_t *world);
void network_destroy(network_t **network);
/* Lost, repeated, late or in another order, as the weather is. `may_repeat`: what the design says
 * must survive arriving twice. */
void network_send(world_t *world, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size,
                  bool may_repeat);
/* Nothing gets from one slot to another for a while; the way back stays open. */
void network_block(world_t *world, uint32_t from_slot, uint32_t to_slot, uint64_t duration_us);
/* From now on everything arrives. */
void network_heal(world_t *world);

#endif
