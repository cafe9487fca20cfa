/* One subscriber per tenant: keeps what the relay publishes, finds gaps by sequence and heads, and
 * repairs them with events.read. */
#ifndef TESTS_SIMULATION_SUBSCRIBER_H
#define TESTS_SIMULATION_SUBSCRIBER_H

#include "tests/simulation/world.h"

subscribers_t *subscribers_create(world_t *world);
void subscribers_destroy(subscribers_t **subscribers);
/* A relay is there: subscribe to it after a moment. */
void subscribers_connect(world_t *world, uint32_t relay);
/* Frames from a relay, on their way. */
void subscribers_publish(world_t *world, const struct process *relay, text_t topic, text_t header,
                         text_t body);
/* The answer to events.read; NULL: none came, ask again later. */
void subscribers_repaired(world_t *world, uint32_t tenant, uint32_t partition,
                          const event_page_t *page);
/* Highest sequence that was applied. */
uint64_t subscribers_applied(const world_t *world, uint32_t tenant, uint32_t partition);

#endif
