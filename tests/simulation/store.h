/* The simulated disk and the journals that processes open on it. What is on the disk outlives every
 * process; what a process has asked for and was not told yet dies with it, done or not. */
#ifndef TESTS_SIMULATION_STORE_H
#define TESTS_SIMULATION_STORE_H

#include "actors/ports/journal.h"
#include "tests/simulation/world.h"

typedef struct store_port store_port_t; /* the journal_t of one process */

/* A committed event as it lies on the disk, decoded. Lives as long as the world. */
typedef struct store_event {
    event_t event;
    text_t body;
    int64_t wall_low_ms; /* of the simulated clock in the seconds before the commit */
    int64_t wall_high_ms;
} store_event_t;

typedef struct store_partition {
    journal_partition_t row;
    uint64_t epoch_committed; /* highest epoch that has committed an event */
    store_event_t **events;   /* in order of commit */
    size_t event_count;
    size_t event_capacity;
} store_partition_t;

store_t *store_create(world_t *world);
void store_destroy(store_t **store);
/* An empty journal for the tenant of that index; tenants come in the order of their indexes. */
void store_add_tenant(store_t *store, uint32_t tenant);
/* The journal can be found under the tenant's name from now on. */
void store_put_in_place(store_t *store, uint32_t tenant);
/* Not any more: the tenant was deleted. Who has it open goes on with it, unless it is cut off. */
void store_put_aside(store_t *store, uint32_t tenant, bool cuts_off);
/* Handles of journals of which the control store knows nothing any more. */
size_t store_port_leftovers(const store_port_t *port);
store_partition_t *store_partition(store_t *store, uint32_t tenant, uint32_t partition);
void store_set_full(store_t *store, bool is_full);

store_port_t *store_port_create(store_t *store, process_t *process);
journal_t *store_port_journal(store_port_t *port);
/* Its process dies: what is under way is done or not, as the seed says, and ends with an error. */
void store_port_crash(store_port_t *port);
void store_port_destroy(store_port_t **port);
size_t store_port_operations(const store_port_t *port);
/* Reminders of all tenants that were due at or before that moment. */
size_t store_reminders_overdue(const store_t *store, int64_t wall_ms);
bool store_has_reminder(const store_t *store, uint32_t tenant, const uuid_t *actor);
bool store_has_key(store_t *store, uint32_t tenant, text_t key);
/* True once a key of this member was stored. */
bool store_has_member_key(store_t *store, uint32_t tenant, text_t member_id);

#endif
