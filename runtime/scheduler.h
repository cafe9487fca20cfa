/* Who is next: actors with messages wait in a queue per tenant, and tenants take turns by deficit
 * round robin. A tenant may spend LIMIT_TENANT_TURN_COST before the others come; what a slow
 * handler overdraws it pays back in later rounds. So a message waits for at most one turn of each
 * other tenant with work, and for its own tenant's queue. Must not know what actors do. */
#ifndef RUNTIME_SCHEDULER_H
#define RUNTIME_SCHEDULER_H

#include "runtime/actor_system.h"
#include "runtime/limits.h"
#include <assert.h>

typedef struct actor_list {
    actor_t *first;
    actor_t *last;
} actor_list_t;

typedef struct scheduler_tenant scheduler_tenant_t;
struct scheduler_tenant {
    scheduler_tenant_t *next; /* of the ring */
    actor_list_t run;         /* its actors with something to do */
    int32_t deficit;          /* what it may still spend in this round */
    bool is_in_ring;
    uint8_t name_size;
    uint32_t actor_count;      /* that refer to it */
    scheduler_tenant_t *chain; /* of its bucket */
    uint64_t hash;
    char name[LIMIT_TENANT_NAME_SIZE + 1];
};

enum { SCHEDULER_BUCKETS = 1024 };

typedef struct scheduler {
    scheduler_tenant_t *first; /* whose turn it is */
    scheduler_tenant_t *last;
    scheduler_tenant_t none; /* of actors without a tenant: one like the others */
    scheduler_tenant_t *buckets[SCHEDULER_BUCKETS];
} scheduler_t;

void scheduler_init(scheduler_t *scheduler);
void scheduler_deinit(scheduler_t *scheduler);

/* The record of a tenant, with one more actor; NULL: no memory. Empty name: `none`. */
scheduler_tenant_t *scheduler_tenant_acquire(scheduler_t *scheduler, uint64_t hash,
                                             const char *name, size_t name_size);
/* One actor less; the record goes with the last. */
void scheduler_tenant_release(scheduler_t *scheduler, scheduler_tenant_t *tenant);

static inline void scheduler_ring_append(scheduler_t *scheduler, scheduler_tenant_t *tenant)
{
    assert(!tenant->is_in_ring);
    tenant->next = NULL;
    tenant->is_in_ring = true;
    if (scheduler->last == NULL) {
        scheduler->first = tenant;
    } else {
        scheduler->last->next = tenant;
    }
    scheduler->last = tenant;
}

static inline void scheduler_ring_take(scheduler_t *scheduler)
{
    scheduler_tenant_t *const tenant = scheduler->first;
    scheduler->first = tenant->next;
    if (scheduler->first == NULL) {
        scheduler->last = NULL;
    }
    tenant->next = NULL;
    tenant->is_in_ring = false;
}

/* The tenant whose turn it is, with an actor in its queue and something to spend; NULL when nobody
 * has anything to do. */
static inline scheduler_tenant_t *scheduler_next(scheduler_t *scheduler)
{
    while (scheduler->first != NULL) {
        scheduler_tenant_t *const tenant = scheduler->first;
        if (tenant->run.first == NULL) {
            scheduler_ring_take(scheduler);
            tenant->deficit = tenant->deficit > 0 ? 0 : tenant->deficit; /* debts stay */
            continue;
        }
        if (tenant->deficit > 0) {
            return tenant;
        }
        tenant->deficit += LIMIT_TENANT_TURN_COST; /* its next turn: behind the others */
        if (tenant->next != NULL) {
            scheduler_ring_take(scheduler);
            scheduler_ring_append(scheduler, tenant);
        }
    }
    return NULL;
}

static inline bool scheduler_has_work(const scheduler_t *scheduler)
{
    return scheduler->first != NULL;
}

/* It has something to do again. Its turn comes after one turn of each that is there already. */
static inline void scheduler_join(scheduler_t *scheduler, scheduler_tenant_t *tenant)
{
    if (!tenant->is_in_ring) {
        tenant->deficit += tenant->deficit > 0 ? 0 : LIMIT_TENANT_TURN_COST;
        scheduler_ring_append(scheduler, tenant);
    }
}

/* The tenant has handled a message at this cost: one, and more when it took long. */
static inline void scheduler_charge(scheduler_tenant_t *tenant, uint32_t cost)
{
    const int32_t deficit = tenant->deficit - (int32_t)cost;
    tenant->deficit = deficit < -LIMIT_TENANT_DEBT ? -LIMIT_TENANT_DEBT : deficit;
}

#endif
