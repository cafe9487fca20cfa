/* Consumers with a name: one of each tenant registers, acknowledges how far its subscriber has
 * come, and is told so. The cursors stand in the control store, which forgets them with their
 * tenant. */
#ifndef TESTS_SIMULATION_CURSORS_H
#define TESTS_SIMULATION_CURSORS_H

#include "actors/gateway/gateway.h"
#include "actors/ports/consumers.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/world.h"

cursors_t *cursors_create(world_t *world);
void cursors_destroy(cursors_t **cursors);
/* A consumer may register or acknowledge. */
void cursors_step(world_t *world);
/* After the faults each of them does, and must be told so. */
void cursors_ask(world_t *world);
/* The answer to one that was acknowledged or registered, decided or not. */
void cursors_answered(world_t *world, const command_t *command, const consumer_t *consumer);

/* The port of one relay process. */
consumers_t *cursors_port_create(process_t *process);
/* Its relay dies: acknowledgements that were gathered are lost, and nobody is told. */
void cursors_port_crash(process_t *process);
void cursors_port_destroy(consumers_t **port);

#endif
