/* What must be true in the end: the disk, the clients' memory and the answers to reads, against a
 * fold of the events that is written a second time here, from DESIGN alone. */
#ifndef TESTS_SIMULATION_MODEL_H
#define TESTS_SIMULATION_MODEL_H

#include "tests/simulation/world.h"

/* Folds the disk and asks for every card, list and history. */
void model_ask(world_t *world);
/* Compares disk, acknowledged commands and subscribers, after all answers came. */
void model_check(world_t *world);
void model_forget(world_t *world);

#endif
