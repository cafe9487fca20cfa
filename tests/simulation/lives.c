/* See lives.h. Must not look at what clients ask. */
#include "tests/simulation/lives.h"
#include "actors/gateway/gateway_internal.h"
#include "actors/neighbours/membership_desk_internal.h"
#include "actors/relay/relay_internal.h"
#include "actors/shard/tenant_actor.h"
#include "tests/simulation/membership.h"
#include "tests/simulation/process.h"
#include "tests/simulation/projections.h"
#include "tests/simulation/quotas.h"
#include "tests/simulation/store.h"
#include "tests/support/control_fake.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    BETWEEN_US_MAX = 4000, /* the row and the journal */
    AT_ONCE_US_MAX = 3000,
    LATER_US_MAX = 1500000,
};

/* Of a name; each but the first ends by itself. */
typedef enum phase {
    PHASE_THERE,
    PHASE_DELETED, /* its journal is still found under the name */
    PHASE_EMPTY,   /* nobody has the name */
    PHASE_MADE,    /* there is a journal, and no row yet */
} phase_t;

typedef struct name {
    phase_t phase;
    bool is_made_again;
} name_t;

struct lives {
    generator_t generator;
    uint32_t deletions_permille; /* per step; 0: there are none */
    uint32_t at_once_permille;
    bool cuts_off; /* who has a deleted journal open: as PostgreSQL does, and SQLite does not */
    name_t names[WORLD_NAMES_MAX];
    bool are_known;
};

lives_t *lives_create(world_t *world)
{
    lives_t *lives = calloc(1, sizeof(*lives));
    assert(lives != NULL);
    generator_seed(&lives->generator, world->options.seed + UINT64_C(0x6000000000000));
    if (generator_chance(&lives->generator, 350)) {
        lives->deletions_permille = generator_between(&lives->generator, 3, 30);
        lives->at_once_permille = generator_between(&lives->generator, 200, 900);
        lives->cuts_off = generator_chance(&lives->generator, 400);
    }
    return lives;
}

void lives_destroy(lives_t **lives)
{
    free(*lives);
    *lives = NULL;
}

/* --- Coming --- */

/* As the stores have it: the wall clock, which may have been set back since the last one came. */
static int64_t draw_created_at(const world_t *world, const world_tenant_t *tenant)
{
    int64_t created_at = world_wall_ms(world);
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        const world_tenant_t *const earlier = &world->tenants[i];
        if (earlier != tenant && earlier->name_index == tenant->name_index &&
            earlier->created_at >= created_at && earlier->created_at < created_at + 8) {
            created_at = earlier->created_at + 1; /* no two within the same millisecond */
        }
    }
    return created_at;
}

void lives_appear(world_t *world, world_tenant_t *tenant)
{
    const uint32_t index = (uint32_t)(tenant - world->tenants);
    tenant->created_at = draw_created_at(world, tenant);
    tenant->made_us = world->now_us;
    tenant->stage = STAGE_THERE;
    memberships_new_tenant(world, index);
    control_fake_add_namesake(world->control, tenant->name, tenant->partitions, tenant->number,
                              tenant->created_at);
    control_store_t *const control = control_fake_store(world->control);
    (void)!control->functions->version(control, &tenant->control_version);
    quotas_begin(world, index);
    trace_add(world,
              "tenant %" PRIu64 " is there, by name %" PRIu64 ", with %" PRIu64 " partitions",
              index, tenant->name_index, tenant->partitions, 0);
}

static uint32_t *number_payload(uint32_t number)
{
    uint32_t *payload = malloc(sizeof(*payload));
    assert(payload != NULL);
    *payload = number;
    return payload;
}

static void appear_due(world_t *world, void *payload)
{
    const uint32_t name_index = *(const uint32_t *)payload;
    name_t *const name = &world->lives->names[name_index];
    if (name->phase != PHASE_MADE) {
        return;
    }
    world_tenant_t *tenant = &world->tenants[0];
    while (tenant->name_index != name_index || tenant->stage != STAGE_COMING) {
        tenant++;
    }
    name->phase = PHASE_THERE;
    world->numbers.namesakes++;
    lives_appear(world, tenant);
}

static void make_due(world_t *world, void *payload)
{
    const uint32_t name_index = *(const uint32_t *)payload;
    lives_t *const lives = world->lives;
    name_t *const name = &lives->names[name_index];
    if (name->phase != PHASE_EMPTY) {
        return;
    }
    const uint32_t partitions = generator_between(&lives->generator, 1, WORLD_PARTITIONS_MAX);
    const uint32_t index =
        (uint32_t)(world_add_tenant(world, name_index, partitions) - world->tenants);
    name->phase = PHASE_MADE;
    store_put_in_place(world->store, index);
    agenda_add(world, generator_below(&lives->generator, BETWEEN_US_MAX), 0, appear_due,
               payload_free, number_payload(name_index));
}

/* --- Going --- */

static void put_aside_due(world_t *world, void *payload)
{
    const uint32_t name_index = *(const uint32_t *)payload;
    lives_t *const lives = world->lives;
    name_t *const name = &lives->names[name_index];
    if (name->phase != PHASE_DELETED) {
        return;
    }
    name->phase = PHASE_EMPTY;
    store_put_aside(world->store, world_newest(world, name_index), lives->cuts_off);
    projections_disk_put_aside(world->projections, name_index, lives->cuts_off);
    trace_add(world, "what tenant %" PRIu64 " had is put aside", world_newest(world, name_index), 0,
              0, 0);
    if (name->is_made_again) {
        const bool is_at_once = generator_chance(&lives->generator, lives->at_once_permille);
        const uint32_t us_max = is_at_once ? AT_ONCE_US_MAX : LATER_US_MAX;
        agenda_add(world, generator_below(&lives->generator, us_max), 0, make_due, payload_free,
                   number_payload(name_index));
    }
}

static void delete_tenant(world_t *world, uint32_t name_index)
{
    lives_t *const lives = world->lives;
    name_t *const name = &lives->names[name_index];
    const uint32_t index = world_newest(world, name_index);
    world_tenant_t *const tenant = &world->tenants[index];
    tenant->stage = STAGE_GONE;
    tenant->gone_us = world->now_us;
    control_fake_delete_tenant(world->control, tenant->name);
    name->phase = PHASE_DELETED;
    name->is_made_again = generator_chance(&lives->generator, 850);
    world->numbers.deleted++;
    trace_add(world, "tenant %" PRIu64 " is deleted", index, 0, 0, 0);
    agenda_add(world, generator_below(&lives->generator, BETWEEN_US_MAX), 0, put_aside_due,
               payload_free, number_payload(name_index));
}

/* Those that are coming need room in the list of tenants, too. */
static bool has_room(const world_t *world)
{
    uint32_t count = world->tenant_count;
    for (uint32_t i = 0; i < world->name_count; i++) {
        const name_t *const name = &world->lives->names[i];
        count += name->phase == PHASE_DELETED || name->phase == PHASE_EMPTY ? 1 : 0;
    }
    return count < WORLD_TENANTS_MAX;
}

void lives_step(world_t *world)
{
    lives_t *const lives = world->lives;
    if (lives->deletions_permille == 0 ||
        !generator_chance(&lives->generator, lives->deletions_permille)) {
        return;
    }
    const uint32_t name_index = generator_below(&lives->generator, world->name_count);
    if (lives->names[name_index].phase == PHASE_THERE && world->now_us >= world->control_us &&
        has_room(world)) {
        delete_tenant(world, name_index);
    }
}

void lives_heal(world_t *world)
{
    for (uint32_t i = 0; i < world->name_count; i++) {
        put_aside_due(world, &i);
        if (world->lives->names[i].is_made_again) {
            make_due(world, &i);
        }
        appear_due(world, &i);
    }
    world->lives->deletions_permille = 0;
}

/* --- What is left --- */

/* 0: nobody has the name. */
static int64_t created_at_of(const world_t *world, text_t name)
{
    const uint32_t index = world_newest(world, world_name_index(world, name));
    return world_is_there(world, index) ? world->tenants[index].created_at : 0;
}

static bool shard_has_given_back(const world_t *world, const shard_t *shard)
{
    bool has = true;
    for (uint32_t i = 0; i < world->name_count; i++) {
        const text_t name = text_from_c(world->tenants[i].name);
        const tenant_t *const tenant = tenant_find(shard, name);
        has = has && (tenant == NULL || tenant->created_at == 0 ||
                      tenant->created_at == created_at_of(world, name));
    }
    return has;
}

static bool relay_has_given_back(const world_t *world, const relay_t *relay)
{
    bool has = true;
    for (const relay_tenant_t *tenant = relay->oldest; tenant != NULL; tenant = tenant->newer) {
        const text_t name = relay_tenant_name(tenant);
        has = has && !tenant->is_retired &&
              (tenant->created_at == 0 || tenant->created_at == created_at_of(world, name));
    }
    return has;
}

static bool front_has_given_back(const world_t *world, const gateway_t *gateway)
{
    bool has = true;
    for (uint32_t i = 0; i < world->name_count; i++) {
        const text_t name = text_from_c(world->tenants[i].name);
        const gateway_tenant_t *const tenant = gateway_directory_find(gateway, name);
        has = has && (tenant == NULL ? 0 : tenant->created_at_ms) == created_at_of(world, name);
    }
    return has;
}

static bool adapters_have_given_back(const world_t *world, const membership_desk_t *desk)
{
    bool have = true;
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        const desk_tenant_t *const tenant = desk->tenants[i];
        have = have && (tenant == NULL ||
                        tenant->created_at == created_at_of(world, desk_tenant_name(tenant)));
    }
    return have;
}

static bool has_given_back(const world_t *world, const process_t *process)
{
    if (store_port_leftovers(process->journal) > 0 ||
        projections_port_leftovers(process->projections) > 0) {
        return false;
    }
    switch (process->kind) {
    case PROCESS_FRONT:
        return front_has_given_back(world, process->gateway);
    case PROCESS_SHARD:
        return shard_has_given_back(world, process->shard);
    case PROCESS_RELAY:
        return relay_has_given_back(world, process->relay);
    default:
        return adapters_have_given_back(world, process->desk);
    }
}

bool lives_given_back(world_t *world)
{
    for (size_t i = 0; i < WORLD_PROCESSES_MAX; i++) {
        if (world->processes[i] != NULL && !has_given_back(world, world->processes[i])) {
            return false;
        }
    }
    world->lives->are_known = world->is_calm;
    return true;
}

bool lives_are_known(const world_t *world)
{
    return world->lives->are_known;
}
