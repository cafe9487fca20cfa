/* Simulated processes: a loop, and one real gateway, shard or relay with simulated ports. */
#ifndef TESTS_SIMULATION_PROCESS_H
#define TESTS_SIMULATION_PROCESS_H

#include "actors/gateway/gateway.h"
#include "actors/neighbours/membership_desk.h"
#include "actors/relay/relay.h"
#include "actors/shard/shard.h"
#include "tests/simulation/projections.h"
#include "tests/simulation/store.h"
#include "tests/simulation/world.h"

typedef enum process_kind {
    PROCESS_FRONT,
    PROCESS_SHARD,
    PROCESS_RELAY,
    PROCESS_ADAPTERS,
} process_kind_t;

struct process {
    world_t *world;
    uint32_t id; /* never twice in a world */
    uint32_t slot;
    process_kind_t kind;
    uint32_t index;
    bool is_dying;      /* nothing it says or asks is heard any more */
    bool is_superseded; /* its successor was started while it was paused: a zombie */
    bool is_draining;
    uint64_t paused_until_us;
    uint64_t started_us;
    int64_t started_wall_ms;
    loop_t *loop;
    metrics_t *metrics;
    store_port_t *journal;
    projections_port_t *projections;
    consumers_t *consumers; /* of the relay */
    tokens_t tokens;
    gateway_t *gateway;
    shard_t *shard;
    relay_t *relay;
    membership_t *membership; /* of adapters: the port to the contexts */
    membership_desk_t *desk;
    uint32_t links[WORLD_SLOTS]; /* process that this one has a channel to, by slot; 0: none */
    uint8_t *kept;               /* by some of the planted bugs */
    size_t kept_size;
    uint32_t kept_from;
};

process_t *process_find(world_t *world, uint32_t id);
process_t *process_start(world_t *world, uint32_t slot, uint32_t incarnation);
/* As kill -9 would end it. */
void process_kill(process_t *process);
/* Starts a drain; the process ends itself through cluster_process_drained. */
void process_drain(process_t *process);
void process_turn(process_t *process);
void process_receive(process_t *process, uint32_t from, const uint8_t *bytes, size_t size);
/* Bounds that hold at any time (DESIGN invariant 11). */
void process_check_bounds(process_t *process);
/* Nothing is under way in it, and nothing was forgotten. */
bool process_is_quiet(const process_t *process);

process_kind_t slot_kind(uint32_t slot);
uint32_t slot_index(uint32_t slot);

/* loop.c */
loop_t *simulated_loop_create(world_t *world, uint32_t owner);
void simulated_loop_turn(loop_t *loop);

#endif
