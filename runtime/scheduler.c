/* Records of tenants. The turns themselves are in scheduler.h, where they can be inlined. */
#include "runtime/scheduler.h"

#include <stdlib.h>
#include <string.h>

void scheduler_init(scheduler_t *scheduler)
{
    memset(scheduler, 0, sizeof(*scheduler));
}

void scheduler_deinit(scheduler_t *scheduler)
{
    for (uint32_t bucket = 0; bucket < SCHEDULER_BUCKETS; bucket++) {
        assert(scheduler->buckets[bucket] == NULL);
    }
    assert(scheduler->none.actor_count == 0);
}

static scheduler_tenant_t **bucket_of(scheduler_t *scheduler, uint64_t hash)
{
    return &scheduler->buckets[hash % SCHEDULER_BUCKETS];
}

scheduler_tenant_t *scheduler_tenant_acquire(scheduler_t *scheduler, uint64_t hash,
                                             const char *name, size_t name_size)
{
    if (name_size == 0) {
        scheduler->none.actor_count++;
        return &scheduler->none;
    }
    assert(name_size <= LIMIT_TENANT_NAME_SIZE);
    scheduler_tenant_t **const bucket = bucket_of(scheduler, hash);
    for (scheduler_tenant_t *tenant = *bucket; tenant != NULL; tenant = tenant->chain) {
        if (tenant->hash == hash && tenant->name_size == name_size &&
            memcmp(tenant->name, name, name_size) == 0) {
            tenant->actor_count++;
            return tenant;
        }
    }
    scheduler_tenant_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return NULL;
    }
    created->hash = hash;
    created->name_size = (uint8_t)name_size;
    memcpy(created->name, name, name_size);
    created->actor_count = 1;
    created->chain = *bucket;
    *bucket = created;
    return created;
}

/* Rare: a tenant's last actor went while the tenant still stands in the ring. */
static void ring_remove(scheduler_t *scheduler, scheduler_tenant_t *removed)
{
    scheduler_tenant_t *before = NULL;
    for (scheduler_tenant_t *tenant = scheduler->first; tenant != removed; tenant = tenant->next) {
        before = tenant;
    }
    if (before == NULL) {
        scheduler_ring_take(scheduler);
        return;
    }
    before->next = removed->next;
    if (scheduler->last == removed) {
        scheduler->last = before;
    }
    removed->is_in_ring = false;
}

void scheduler_tenant_release(scheduler_t *scheduler, scheduler_tenant_t *tenant)
{
    assert(tenant->actor_count > 0);
    tenant->actor_count--;
    if (tenant->actor_count > 0 || tenant == &scheduler->none) {
        return;
    }
    assert(tenant->run.first == NULL);
    if (tenant->is_in_ring) {
        ring_remove(scheduler, tenant);
    }
    scheduler_tenant_t **link = bucket_of(scheduler, tenant->hash);
    while (*link != tenant) {
        link = &(*link)->chain;
    }
    *link = tenant->chain;
    free(tenant);
}
