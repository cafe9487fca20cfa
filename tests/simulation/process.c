/* Starts the real roles with simulated ports, and ends them gently or not. Must not decide when. */
#include "tests/simulation/process.h"
#include "actors/gateway/gateway_internal.h"
#include "actors/relay/relay_internal.h"
#include "actors/shard/partition.h"
#include "actors/shard/tenant_actor.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/cursors.h"
#include "tests/simulation/membership.h"
#include "tests/simulation/ports.h"
#include "tests/support/control_fake.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A dozen cards: they come and go all the time. */
enum { SHARD_ACTOR_BYTES = 3600, MEMBERSHIP_STALE_MS = 2000 };

process_kind_t slot_kind(uint32_t slot)
{
    if (slot == WORLD_SLOT_RELAY) {
        return PROCESS_RELAY;
    }
    if (slot == WORLD_SLOT_ADAPTERS) {
        return PROCESS_ADAPTERS;
    }
    return slot < WORLD_FRONTS_MAX ? PROCESS_FRONT : PROCESS_SHARD;
}

uint32_t slot_index(uint32_t slot)
{
    switch (slot_kind(slot)) {
    case PROCESS_SHARD:
        return slot - WORLD_FRONTS_MAX;
    case PROCESS_FRONT:
        return slot;
    default:
        return 0;
    }
}

process_t *process_find(world_t *world, uint32_t id)
{
    for (size_t i = 0; i < WORLD_PROCESSES_MAX && id != 0; i++) {
        if (world->processes[i] != NULL && world->processes[i]->id == id) {
            return world->processes[i];
        }
    }
    return NULL;
}

static void start_front(process_t *process)
{
    process->tokens.functions = &ports_tokens;
    const gateway_ports_t ports = {.crypto = ports_crypto(),
                                   .tokens = &process->tokens,
                                   .send = ports_front_send,
                                   .send_context = process,
                                   .shards = WORLD_SHARDS};
    const result_t result =
        gateway_create(process->loop, process->metrics, &ports, &process->gateway);
    assert(result == RESULT_OK);
}

static void start_shard(process_t *process, uint32_t incarnation)
{
    world_t *const world = process->world;
    const shard_ports_t ports = {.journal = store_port_journal(process->journal),
                                 .control = control_fake_store(world->control),
                                 .crypto = ports_crypto(),
                                 .master_key = ports_master_key(),
                                 .reply = ports_shard_reply,
                                 .publish = ports_shard_publish,
                                 .neighbour_send =
                                     memberships_exist(world) ? ports_shard_to_adapters : NULL,
                                 .context = process,
                                 .wall_ms = ports_wall_ms,
                                 .random_fill = ports_random_fill};
    shard_options_t options = {.index = process->index,
                               .shards = WORLD_SHARDS,
                               .actor_bytes_max = SHARD_ACTOR_BYTES,
                               .membership_urls = memberships_urls(world),
                               .membership_policies = memberships_policies(world),
                               .membership_stale_ms = MEMBERSHIP_STALE_MS};
    (void)snprintf(options.incarnation, sizeof(options.incarnation), "shard-%u.%u", process->index,
                   incarnation);
    const result_t result =
        shard_create(process->loop, process->metrics, &ports, &options, &process->shard);
    assert(result == RESULT_OK);
}

static void start_adapters(process_t *process)
{
    neighbour_settings_t settings = neighbour_settings_default;
    settings.circuit.open_ms_min = 200; /* so that a storm has several openings */
    settings.circuit.open_ms_max = 1500;
    settings.deadline_ms = 300;
    const neighbours_ports_t ports = {.context = process,
                                      .random = ports_random_below,
                                      .monotonic_us = ports_monotonic_us,
                                      .changed = ports_breaker_changed};
    neighbours_t *neighbours = NULL;
    result_t result =
        neighbours_create(process->loop, process->metrics, &ports, &settings, &neighbours);
    assert(result == RESULT_OK);
    process->membership = memberships_port_create(process);
    const membership_desk_ports_t desk_ports = {.membership = process->membership,
                                                .control =
                                                    control_fake_store(process->world->control),
                                                .neighbours = neighbours,
                                                .send = ports_adapters_send,
                                                .context = process,
                                                .wall_ms = ports_wall_ms,
                                                .random = ports_random_below};
    result = membership_desk_create(process->loop, process->metrics, &desk_ports, WORLD_SHARDS,
                                    &process->desk);
    assert(result == RESULT_OK);
}

static void start_relay(process_t *process)
{
    process->consumers = cursors_port_create(process);
    const relay_ports_t ports = {.journal = store_port_journal(process->journal),
                                 .projections = projections_port_base(process->projections),
                                 .control = control_fake_store(process->world->control),
                                 .consumers = process->consumers,
                                 .crypto = ports_crypto(),
                                 .master_key = ports_master_key(),
                                 .reply = ports_relay_reply,
                                 .publish = ports_relay_publish,
                                 .context = process,
                                 .wall_ms = ports_wall_ms};
    const result_t result = relay_create(process->loop, process->metrics, &ports, &process->relay);
    assert(result == RESULT_OK);
}

process_t *process_start(world_t *world, uint32_t slot, uint32_t incarnation)
{
    process_t *process = calloc(1, sizeof(*process));
    assert(process != NULL);
    size_t place = 0;
    while (world->processes[place] != NULL) {
        place++;
        assert(place < WORLD_PROCESSES_MAX);
    }
    world->processes[place] = process;
    process->world = world;
    process->id = world->next_process;
    world->next_process++;
    process->slot = slot;
    process->kind = slot_kind(slot);
    process->index = slot_index(slot);
    process->started_us = world->now_us;
    process->started_wall_ms = world_wall_ms(world);
    process->loop = simulated_loop_create(world, process->id);
    process->metrics = metrics_create("simulated");
    process->journal = store_port_create(world->store, process);
    process->projections = projections_port_create(world->projections, process);
    trace_add(world, "process %" PRIu64 " starts in slot %" PRIu64, process->id, slot, 0, 0);
    if (process->kind == PROCESS_FRONT) {
        start_front(process);
    } else if (process->kind == PROCESS_SHARD) {
        start_shard(process, incarnation);
    } else if (process->kind == PROCESS_RELAY) {
        start_relay(process);
    } else {
        start_adapters(process);
    }
    process_turn(process);
    return process;
}

void process_kill(process_t *process)
{
    world_t *const world = process->world;
    trace_add(world, "process %" PRIu64 " of slot %" PRIu64 " ends", process->id, process->slot, 0,
              0);
    process->is_dying = true;
    store_port_crash(process->journal);
    projections_port_crash(process->projections);
    store_port_crash(process->journal);
    cursors_port_crash(process);
    gateway_destroy(&process->gateway);
    shard_destroy(&process->shard);
    relay_destroy(&process->relay);
    membership_desk_destroy(&process->desk);
    memberships_port_destroy(&process->membership);
    cursors_port_destroy(&process->consumers);
    store_port_crash(process->journal);
    store_port_destroy(&process->journal);
    projections_port_destroy(&process->projections);
    metrics_destroy(&process->metrics);
    loop_destroy(&process->loop);
    for (size_t i = 0; i < WORLD_PROCESSES_MAX; i++) {
        if (world->processes[i] == process) {
            world->processes[i] = NULL;
        }
    }
    free(process->kept);
    free(process);
}

static void drained(void *context)
{
    cluster_process_drained(context);
}

void process_drain(process_t *process)
{
    trace_add(process->world, "process %" PRIu64 " drains", process->id, 0, 0, 0);
    process->is_draining = true;
    if (process->kind == PROCESS_FRONT) {
        gateway_drain(process->gateway, drained, process);
    } else if (process->kind == PROCESS_SHARD) {
        shard_drain(process->shard, drained, process);
    } else if (process->kind == PROCESS_RELAY) {
        relay_drain(process->relay, drained, process);
    } else {
        drained(process); /* as the role does: its successor asks again */
    }
    process_turn(process);
}

void process_turn(process_t *process)
{
    simulated_loop_turn(process->loop);
    process_check_bounds(process);
}

/* Fronts and shards hear only those they have a channel to: an earlier incarnation's is closed. */
static bool is_linked(const process_t *process, uint32_t from)
{
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        if (process->links[i] == from) {
            return true;
        }
    }
    return false;
}

void process_receive(process_t *process, uint32_t from, const uint8_t *bytes, size_t size)
{
    if (process->kind == PROCESS_FRONT) {
        if (is_linked(process, from)) {
            gateway_receive(process->gateway, bytes, size);
        }
    } else if (process->kind == PROCESS_ADAPTERS) {
        membership_desk_receive(process->desk, from, bytes, size);
    } else if (process->kind == PROCESS_RELAY) {
        relay_receive(process->relay, from, bytes, size);
    } else if (ports_is_adapters(process->world, from)) {
        if (is_linked(process, from)) {
            shard_neighbour_receive(process->shard, bytes, size);
        }
    } else {
        shard_receive(process->shard, from, bytes, size);
    }
}

/* --- Bounds --- */

static void check_shard(process_t *process)
{
    const shard_t *const shard = process->shard;
    /* Activations and lookups of keys are bounded each; an active card reads for one message. */
    const uint32_t loads_max = 2 * LIMIT_LOADS_IN_FLIGHT + LIMIT_ACTORS_ACTIVE;
    bool holds = shard->tenants_open <= LIMIT_STORE_FILES_OPEN &&
                 shard->loads_in_flight <= loads_max &&
                 key_table_count(shard->key_table) <= LIMIT_KEYS_IN_FLIGHT;
    for (uint32_t i = 0; i < process->world->name_count; i++) {
        const tenant_t *const tenant =
            tenant_find(shard, text_from_c(process->world->tenants[i].name));
        for (uint32_t j = 0; tenant != NULL && j < tenant->partition_count; j++) {
            /* What is with the store counts until it is told, and one request has four events. */
            holds = holds && tenant->partitions[j].waiting <=
                                 LIMIT_BATCH_WAITING + LIMIT_BATCH_EVENTS + LIMIT_BATCH_REQUESTS;
        }
    }
    if (!holds) {
        world_violation(process->world, 11,
                        "a queue of shard %u is longer than its bound: %u tenants, %u loads, %u "
                        "keys",
                        process->index, shard->tenants_open, shard->loads_in_flight,
                        key_table_count(shard->key_table));
    }
}

void process_check_bounds(process_t *process)
{
    if (process->kind == PROCESS_SHARD) {
        check_shard(process);
    } else if (process->kind == PROCESS_FRONT) {
        if (process->gateway->in_flight_count > LIMIT_REQUESTS_IN_FLIGHT) {
            world_violation(process->world, 11, "a front has too many requests in flight");
        }
    } else if (process->kind == PROCESS_ADAPTERS) {
        membership_desk_numbers_t numbers;
        membership_desk_numbers(process->desk, &numbers);
        if (numbers.lag > (uint64_t)WORLD_NAMES_MAX * (LIMIT_INBOX_EVENTS + LIMIT_INBOX_AHEAD)) {
            world_violation(process->world, 11, "the adapters hold more events than they may");
        }
    } else if (process->relay->held_count > LIMIT_RELAY_HELD_EVENTS ||
               process->relay->tenant_count > LIMIT_RELAY_TENANTS ||
               process->relay->open_count > LIMIT_STORE_FILES_OPEN) {
        world_violation(process->world, 11, "the relay keeps more than it may");
    }
}

bool process_is_quiet(const process_t *process)
{
    if (process->kind == PROCESS_SHARD) {
        const shard_t *const shard = process->shard;
        return shard->messages_alive == 0 && shard->operations == 0 &&
               shard->loads_in_flight == 0 && shard->batches_in_flight == 0 &&
               key_table_count(shard->key_table) == 0;
    }
    if (process->kind == PROCESS_FRONT) {
        return process->gateway->in_flight_count == 0;
    }
    if (process->kind == PROCESS_ADAPTERS) {
        return true; /* it looks for events all the time */
    }
    return process->relay->operations == 0 && process->relay->read_count == 0;
}
