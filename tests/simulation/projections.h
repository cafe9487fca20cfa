/* The simulated disk's read models, and actors/ports/projections.h for one process on them. A crash
 * may take the last commits away, whole. */
#ifndef TESTS_SIMULATION_PROJECTIONS_H
#define TESTS_SIMULATION_PROJECTIONS_H

#include "actors/ports/projections.h"
#include "tests/simulation/world.h"

typedef struct projections_disk projections_disk_t;
typedef struct projections_port projections_port_t;

projections_disk_t *projections_disk_create(world_t *world);
void projections_disk_destroy(projections_disk_t **disk);

projections_port_t *projections_port_create(projections_disk_t *disk, process_t *process);
projections_t *projections_port_base(projections_port_t *port);
/* Its process dies: as store_port_crash. */
void projections_port_crash(projections_port_t *port);
void projections_port_destroy(projections_port_t **port);
/* The sums equal the events up to the cursors (DESIGN 5, 8). */
void projections_disk_check(world_t *world);
/* Somebody asks the relay to make the read models of a tenant anew. */
void projections_disk_rebuild(world_t *world, process_t *relay, uint32_t tenant);
size_t projections_port_operations(const projections_port_t *port);

#endif
