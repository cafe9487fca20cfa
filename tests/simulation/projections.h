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

/* Its tenant was deleted: they go with its journal. Who has them open goes on with them, unless
 * they are cut off. */
void projections_disk_put_aside(projections_disk_t *disk, uint32_t name_index, bool cuts_off);

projections_port_t *projections_port_create(projections_disk_t *disk, process_t *process);
projections_t *projections_port_base(projections_port_t *port);
/* Its process dies: as store_port_crash. */
void projections_port_crash(projections_port_t *port);
void projections_port_destroy(projections_port_t **port);
/* The sums equal the events up to the cursors (DESIGN 5, 8). */
void projections_disk_check(world_t *world);
/* Somebody asks the relay to make the read models of a tenant anew. */
void projections_disk_rebuild(world_t *world, process_t *relay, uint32_t tenant);
/* Handles of read models whose tenant was deleted. */
size_t projections_port_leftovers(const projections_port_t *port);
size_t projections_port_operations(const projections_port_t *port);

#endif
