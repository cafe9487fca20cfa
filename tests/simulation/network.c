/* The wire between processes. What arrives when comes from the seed. Must not look into envelopes:
 * the sender says what may be repeated. */
#include "tests/simulation/network.h"
#include "tests/simulation/process.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct network {
    uint64_t arrives_us[WORLD_SLOTS][WORLD_SLOTS]; /* the last one sent */
    uint64_t blocked_us[WORLD_SLOTS][WORLD_SLOTS];
};

typedef struct letter {
    uint32_t from;
    uint32_t to;
    size_t size;
    uint8_t bytes[];
} letter_t;

network_t *network_create(world_t *world)
{
    (void)world;
    network_t *network = calloc(1, sizeof(*network));
    assert(network != NULL);
    return network;
}

void network_destroy(network_t **network)
{
    free(*network);
    *network = NULL;
}

void network_block(world_t *world, uint32_t from_slot, uint32_t to_slot, uint64_t duration_us)
{
    world->network->blocked_us[from_slot][to_slot] = world->now_us + duration_us;
}

void network_heal(world_t *world)
{
    memset(world->network->blocked_us, 0, sizeof(world->network->blocked_us));
}

static void arrive(world_t *world, void *payload)
{
    const letter_t *const letter = payload;
    process_receive(process_find(world, letter->to), letter->from, letter->bytes, letter->size);
}

static void post(world_t *world, const process_t *from, const process_t *to, const uint8_t *bytes,
                 size_t size)
{
    letter_t *letter = malloc(sizeof(*letter) + size);
    assert(letter != NULL);
    letter->from = from->id;
    letter->to = to->id;
    letter->size = size;
    memcpy(letter->bytes, bytes, size);
    uint64_t delay_us = generator_between(&world->wire, 20, 120);
    if (world->is_stormy) {
        delay_us += generator_below(&world->wire, world->weather.delay_us_max);
    }
    uint64_t *const last_us = &world->network->arrives_us[from->slot][to->slot];
    const bool may_overtake =
        world->is_stormy && generator_chance(&world->wire, world->weather.reordering);
    if (!may_overtake && world->now_us + delay_us < *last_us) {
        delay_us = *last_us - world->now_us;
    }
    if (world->now_us + delay_us > *last_us) {
        *last_us = world->now_us + delay_us;
    }
    agenda_add(world, delay_us, to->id, arrive, payload_free, letter);
}

void network_send(world_t *world, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size,
                  bool may_repeat)
{
    const process_t *const sender = process_find(world, from);
    const process_t *const receiver = process_find(world, to);
    trace_add(world, "%" PRIu64 " sends %" PRIu64 ": %" PRIu64 " bytes, %" PRIx64, from, to, size,
              trace_bytes(bytes, size));
    world->numbers.sent++;
    if (sender == NULL || receiver == NULL) {
        return;
    }
    const bool is_blocked =
        world->network->blocked_us[sender->slot][receiver->slot] > world->now_us;
    if (is_blocked || (world->is_stormy && generator_chance(&world->wire, world->weather.loss))) {
        world->numbers.lost++;
        return;
    }
    post(world, sender, receiver, bytes, size);
    if (may_repeat && world->is_stormy &&
        generator_chance(&world->wire, world->weather.duplicates)) {
        world->numbers.duplicated++;
        post(world, sender, receiver, bytes, size);
    }
}
