/* Which process serves which slot, who is told about it and when, and what befalls them: crashes,
 * drains, pauses that make zombies, partitions, jumps of the clock, a full disk. */
#include "tests/simulation/cluster.h"
#include "runtime/limits.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/membership.h"
#include "tests/simulation/network.h"
#include "tests/simulation/ports.h"
#include "tests/simulation/subscriber.h"
#include "tests/support/control_fake.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { QUIET_US = 5000000 };

typedef enum notice_kind { NOTICE_UP, NOTICE_DRAINING, NOTICE_DOWN } notice_kind_t;

typedef struct slot {
    uint32_t process; /* 0: none */
    uint32_t incarnation;
    bool is_starting;
} slot_t;

struct cluster {
    slot_t slots[WORLD_SLOTS];
    uint32_t rotations;            /* of card keys */
    uint64_t told_us[WORLD_SLOTS]; /* one line to each role: notices keep their order */
};

typedef struct notice {
    uint32_t observer;
    notice_kind_t kind;
    uint32_t slot;
    uint32_t process;
} notice_t;

cluster_t *cluster_create(world_t *world)
{
    (void)world;
    cluster_t *cluster = calloc(1, sizeof(*cluster));
    assert(cluster != NULL);
    return cluster;
}

void cluster_destroy(cluster_t **cluster)
{
    free(*cluster);
    *cluster = NULL;
}

static bool slot_exists(const world_t *world, uint32_t slot)
{
    if (slot == WORLD_SLOT_ADAPTERS) {
        return memberships_exist(world);
    }
    return slot_kind(slot) != PROCESS_FRONT || slot < world->front_count;
}

process_t *cluster_process(world_t *world, uint32_t slot)
{
    return process_find(world, world->cluster->slots[slot].process);
}

/* --- Notices --- */

static void tell_front(process_t *front, const notice_t *notice)
{
    const gateway_target_t target =
        notice->slot == WORLD_SLOT_RELAY ? GATEWAY_RELAY : GATEWAY_SHARD;
    const uint32_t index = slot_index(notice->slot);
    if (notice->kind == NOTICE_UP) {
        front->links[notice->slot] = notice->process;
        gateway_peer_up(front->gateway, target, index);
        ports_front_peer_up(front, notice->slot);
    } else if (notice->kind == NOTICE_DOWN) {
        front->links[notice->slot] = 0;
        gateway_peer_down(front->gateway, target, index);
    } else {
        gateway_peer_draining(front->gateway, target, index);
    }
}

static void tell_shard(process_t *shard, const notice_t *notice)
{
    if (notice->kind == NOTICE_DRAINING) {
        return;
    }
    shard->links[notice->slot] = notice->kind == NOTICE_UP ? notice->process : 0;
    if (notice->slot == WORLD_SLOT_ADAPTERS && notice->kind == NOTICE_UP) {
        shard_neighbour_up(shard->shard);
    } else if (notice->slot == WORLD_SLOT_ADAPTERS) {
        shard_neighbour_down(shard->shard);
    }
}

static void told(world_t *world, void *payload)
{
    const notice_t *const notice = payload;
    process_t *const observer = process_find(world, notice->observer);
    trace_add(world, "process %" PRIu64 " hears %" PRIu64 " of slot %" PRIu64, notice->observer,
              notice->kind, notice->slot, 0);
    if (observer->kind == PROCESS_FRONT) {
        tell_front(observer, notice);
    } else if (observer->kind == PROCESS_SHARD) {
        tell_shard(observer, notice);
    } else if (notice->kind == NOTICE_DOWN) {
        membership_desk_shard_down(observer->desk, slot_index(notice->slot));
    }
}

static void send_notice(world_t *world, const process_t *observer, notice_kind_t kind,
                        uint32_t slot, uint32_t process)
{
    if (world->bug == BUG_forget_waiting && kind == NOTICE_UP && world->now_us > 100000 &&
        generator_chance(&world->storm, 200)) {
        return;
    }
    uint64_t delay_us = generator_between(&world->storm, 100, world->is_stormy ? 120000 : 2000);
    if (world->is_stormy && generator_chance(&world->storm, world->weather.slow_notice)) {
        delay_us += generator_below(&world->storm, 2500000);
    }
    uint64_t *const last_us = &world->cluster->told_us[observer->slot];
    if (world->now_us + delay_us <= *last_us) {
        delay_us = *last_us - world->now_us + 1;
    }
    *last_us = world->now_us + delay_us;
    notice_t *notice = malloc(sizeof(*notice));
    assert(notice != NULL);
    *notice = (notice_t){observer->id, kind, slot, process};
    agenda_add(world, delay_us, observer->id, told, payload_free, notice);
}

/* Fronts hear of shards and the relay, shards of the relay and of adapters, these of shards. */
static bool observes(const process_t *observer, uint32_t slot)
{
    const process_kind_t kind = slot_kind(slot);
    switch (observer->kind) {
    case PROCESS_FRONT:
        return kind == PROCESS_SHARD || kind == PROCESS_RELAY;
    case PROCESS_SHARD:
        return kind == PROCESS_RELAY || kind == PROCESS_ADAPTERS;
    case PROCESS_ADAPTERS:
        return kind == PROCESS_SHARD;
    default:
        return false;
    }
}

static void send_notices(world_t *world, notice_kind_t kind, uint32_t slot, uint32_t process)
{
    for (uint32_t i = 0; i < WORLD_SLOTS; i++) {
        const process_t *const observer = cluster_process(world, i);
        if (observer != NULL && observes(observer, slot)) {
            send_notice(world, observer, kind, slot, process);
        }
    }
}

/* --- Coming and going --- */

static void start_slot(world_t *world, uint32_t slot)
{
    slot_t *const place = &world->cluster->slots[slot];
    place->is_starting = false;
    place->incarnation++;
    process_t *const process = process_start(world, slot, place->incarnation);
    place->process = process->id;
    send_notices(world, NOTICE_UP, slot, process->id);
    for (uint32_t i = 0; i < WORLD_SLOTS; i++) {
        const process_t *const other = cluster_process(world, i);
        if (other != NULL && i != slot && observes(process, i)) {
            send_notice(world, process, NOTICE_UP, i, other->id);
        }
    }
    if (slot == WORLD_SLOT_RELAY) {
        subscribers_connect(world, process->id);
    }
}

static void restart_due(world_t *world, void *payload)
{
    const uint32_t slot = *(const uint32_t *)payload;
    if (world->cluster->slots[slot].is_starting) {
        start_slot(world, slot);
    }
}

static uint32_t *number_payload(uint32_t number)
{
    uint32_t *payload = malloc(sizeof(*payload));
    assert(payload != NULL);
    *payload = number;
    return payload;
}

/* The slot has lost its process: everybody is told, and a successor comes. */
static void slot_lost(world_t *world, uint32_t slot, uint32_t process)
{
    slot_t *const place = &world->cluster->slots[slot];
    if (place->process != process) {
        return; /* a zombie: its successor is there already */
    }
    place->process = 0;
    place->is_starting = true;
    send_notices(world, NOTICE_DOWN, slot, process);
    agenda_add(world, generator_between(&world->storm, 2000, world->is_stormy ? 250000 : 20000), 0,
               restart_due, payload_free, number_payload(slot));
}

static void kill_process(process_t *process)
{
    world_t *const world = process->world;
    const uint32_t id = process->id;
    const uint32_t slot = process->slot;
    const bool is_front = process->kind == PROCESS_FRONT;
    process_kill(process);
    if (is_front) {
        clients_front_died(world, id);
    }
    slot_lost(world, slot, id);
}

static void kill_due(world_t *world, void *payload)
{
    process_t *const process = process_find(world, *(const uint32_t *)payload);
    if (process != NULL) {
        kill_process(process);
    }
}

void cluster_process_drained(process_t *process)
{
    agenda_add(process->world, 10, 0, kill_due, payload_free, number_payload(process->id));
}

void cluster_start(world_t *world)
{
    for (uint32_t slot = 0; slot < WORLD_SLOTS; slot++) {
        if (slot_exists(world, slot)) {
            start_slot(world, slot);
        }
    }
}

/* --- Faults --- */

/* The last slot is that of adapters, which not every world has. */
static uint32_t draw_slot(world_t *world)
{
    return generator_below(&world->storm, WORLD_SLOTS - (memberships_exist(world) ? 0 : 1));
}

static process_t *draw_process(world_t *world)
{
    return cluster_process(world, draw_slot(world));
}

static void crash_some(world_t *world)
{
    process_t *const process = draw_process(world);
    if (process != NULL) {
        world->numbers.crashes++;
        kill_process(process);
    }
}

/* As when the machine loses its power: only the disk stays. */
static void crash_all(world_t *world)
{
    for (uint32_t slot = 0; slot < WORLD_SLOTS; slot++) {
        process_t *const process = cluster_process(world, slot);
        if (process != NULL) {
            world->numbers.crashes++;
            kill_process(process);
        }
    }
}

static void drain_some(world_t *world)
{
    process_t *const process = draw_process(world);
    if (process == NULL || process->is_draining || process->paused_until_us > world->now_us) {
        return;
    }
    world->numbers.drains++;
    send_notices(world, NOTICE_DRAINING, process->slot, process->id);
    process_drain(process);
    agenda_add(world, UINT64_C(1000) * LIMIT_DRAIN_MS, 0, kill_due, payload_free,
               number_payload(process->id));
}

/* Still silent: another one is started in its place, and it does not know. */
static void supersede_due(world_t *world, void *payload)
{
    process_t *const process = process_find(world, *(const uint32_t *)payload);
    if (process == NULL || process->paused_until_us <= world->now_us ||
        cluster_process(world, process->slot) != process) {
        return;
    }
    world->numbers.zombies++;
    trace_add(world, "process %" PRIu64 " is given up while it sleeps", process->id, 0, 0, 0);
    process->is_superseded = true;
    slot_lost(world, process->slot, process->id);
    agenda_add(world,
               process->paused_until_us - world->now_us +
                   generator_between(&world->storm, 200000, 2000000),
               0, kill_due, payload_free, number_payload(process->id));
}

static void pause_some(world_t *world)
{
    process_t *const process = draw_process(world);
    if (process == NULL || process->is_draining || process->paused_until_us > world->now_us) {
        return;
    }
    const bool is_given_up = generator_chance(&world->storm, 600);
    const uint64_t given_up_us = generator_between(&world->storm, 2000, 600000);
    uint64_t duration_us = generator_between(&world->storm, 5000, 2500000);
    if (is_given_up && generator_chance(&world->storm, 500)) {
        /* It wakes up soon after its successor came, when not everybody has heard of that. */
        duration_us = given_up_us + generator_between(&world->storm, 20000, 500000);
    }
    world->numbers.pauses++;
    process->paused_until_us = world->now_us + duration_us;
    trace_add(world, "process %" PRIu64 " sleeps for %" PRIu64 " us", process->id, duration_us, 0,
              0);
    if (is_given_up) {
        agenda_add(world, given_up_us, 0, supersede_due, payload_free, number_payload(process->id));
    }
}

static void disk_free_due(world_t *world, void *payload)
{
    (void)payload;
    store_set_full(world->store, false);
}

static void fill_disk(world_t *world)
{
    world->numbers.full_disks++;
    store_set_full(world->store, true);
    agenda_add(world, generator_between(&world->storm, 10000, 800000), 0, disk_free_due, NULL,
               NULL);
}

static void control_back_due(world_t *world, void *payload)
{
    (void)payload;
    control_fake_fail(world->control, RESULT_OK);
}

static void fail_control(world_t *world)
{
    const uint32_t duration_us = generator_between(&world->storm, 10000, 500000);
    control_fake_fail(world->control, RESULT_STORE_UNAVAILABLE);
    world->control_us = world->now_us + duration_us; /* a second failure ends with the first */
    agenda_add(world, duration_us, 0, control_back_due, NULL, NULL);
}

static void block_some(world_t *world)
{
    world->numbers.partitions++;
    network_block(world, draw_slot(world), draw_slot(world),
                  generator_between(&world->storm, 10000, 2000000));
}

static void jump_clock(world_t *world)
{
    enum { HALF_HOUR_MS = 1800000 };
    world->numbers.clock_jumps++;
    world_jump_clock(world,
                     (int64_t)generator_below(&world->storm, 2 * HALF_HOUR_MS) - HALF_HOUR_MS);
}

static void rotate_key(world_t *world)
{
    enum { ROTATIONS_MAX = 6 }; /* a tenant of the fake has eight keys */
    uint32_t *const count = &world->cluster->rotations;
    if (*count < ROTATIONS_MAX) {
        const uint32_t name_index = generator_below(&world->storm, world->name_count);
        const uint32_t tenant = world_newest(world, name_index);
        if (world_is_there(world, tenant)) {
            (void)control_fake_rotate(world->control, world->tenants[tenant].name);
        }
        (*count)++;
    }
}

/* An operator has read models made anew: in the middle of everything else. */
static void rebuild_some(world_t *world)
{
    const uint32_t tenant = generator_below(&world->storm, world->name_count); /* by name */
    for (size_t i = 0; i < WORLD_PROCESSES_MAX; i++) {
        process_t *const process = world->processes[i];
        if (process != NULL && process->kind == PROCESS_RELAY && !process->is_draining) {
            projections_disk_rebuild(world, process, tenant);
            return;
        }
    }
}

void cluster_step(world_t *world)
{
    const weather_t *const weather = &world->weather;
    generator_t *const storm = &world->storm;
    if (generator_chance(storm, weather->crash)) {
        crash_some(world);
    }
    if (weather->crash > 0 && generator_below(storm, 4000) == 0) {
        crash_all(world);
    }
    if (generator_chance(storm, weather->drain)) {
        drain_some(world);
    }
    if (generator_chance(storm, weather->pause)) {
        pause_some(world);
    }
    if (generator_chance(storm, weather->partition)) {
        block_some(world);
    }
    if (generator_chance(storm, weather->clock_jump)) {
        jump_clock(world);
    }
    if (generator_chance(storm, weather->full_disk)) {
        fill_disk(world);
    }
    if (generator_chance(storm, weather->control_failure)) {
        fail_control(world);
    }
    if (generator_chance(storm, weather->key_rotation)) {
        rotate_key(world);
    }
    if (generator_chance(storm, weather->key_rotation)) {
        rebuild_some(world);
    }
}

void cluster_heal(world_t *world)
{
    world->is_stormy = false;
    network_heal(world);
    store_set_full(world->store, false);
    control_fake_fail(world->control, RESULT_OK);
    world->control_us = world->now_us;
    for (size_t i = 0; i < WORLD_PROCESSES_MAX; i++) {
        process_t *const process = world->processes[i];
        if (process != NULL && process->is_superseded) {
            kill_process(process); /* others that sleep wake up by themselves */
        }
    }
    for (uint32_t slot = 0; slot < WORLD_SLOTS; slot++) {
        if (world->cluster->slots[slot].is_starting) {
            start_slot(world, slot);
        }
    }
}

bool cluster_is_up(world_t *world)
{
    for (uint32_t slot = 0; slot < WORLD_SLOTS; slot++) {
        const process_t *const process = cluster_process(world, slot);
        if (slot_exists(world, slot) && (process == NULL || process->is_draining)) {
            return false;
        }
        if (process != NULL && process->kind == PROCESS_FRONT) {
            char detail[256];
            if (!gateway_is_ready(process->gateway, detail, sizeof(detail))) {
                return false;
            }
        }
    }
    return true;
}

bool cluster_drain(world_t *world)
{
    for (uint32_t slot = 0; slot < WORLD_SLOTS; slot++) {
        process_t *process = cluster_process(world, slot);
        if (process == NULL) {
            continue;
        }
        const uint64_t quiet_us = world->now_us + QUIET_US; /* heads and sweeps go on */
        while (!process_is_quiet(process) && world->now_us < quiet_us) {
            (void)agenda_step(world, quiet_us);
        }
        if (!process_is_quiet(process)) {
            world_violation(world, 11, "slot %u still has something under way", slot);
            return false;
        }
        world->cluster->slots[slot].process = 0; /* no successor */
        const uint32_t id = process->id;
        process_drain(process);
        const uint64_t until_us = world->now_us + UINT64_C(1000) * LIMIT_DRAIN_MS;
        while (process_find(world, id) != NULL && agenda_step(world, until_us)) {
        }
        if (process_find(world, id) != NULL) {
            world_violation(world, 10, "slot %u did not end within its time", slot);
            return false;
        }
    }
    return true;
}
