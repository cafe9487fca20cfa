/* See quotas.h. Must not count cards: the store does, and the model holds its count against the
 * events. */
#include "tests/simulation/quotas.h"
#include "tests/simulation/membership.h"
#include "tests/support/control_fake.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { RATE_MIN = 20 };

/* The most that a tenant was ever allowed: a shard learns of less only after a while. */
typedef struct allowed {
    uint64_t cards;
    uint64_t storage;
    bool has_rate; /* or had */
    bool has_any;
} allowed_t;

struct quotas {
    generator_t generator;
    uint32_t changes_permille; /* per step; 0: no tenant has quotas */
    allowed_t allowed[WORLD_TENANTS_MAX];
};

quotas_t *quotas_create(world_t *world)
{
    quotas_t *quotas = calloc(1, sizeof(*quotas));
    assert(quotas != NULL);
    generator_seed(&quotas->generator, world->options.seed + UINT64_C(0x7000000000000));
    if (generator_chance(&quotas->generator, 300)) {
        quotas->changes_permille = generator_between(&quotas->generator, 2, 40);
    }
    return quotas;
}

void quotas_destroy(quotas_t **quotas)
{
    free(*quotas);
    *quotas = NULL;
}

static uint64_t more(uint64_t allowed, uint64_t quota)
{
    const uint64_t given = quota == 0 ? UINT64_MAX : quota;
    return given > allowed ? given : allowed;
}

static void set(world_t *world, uint32_t tenant, const control_quotas_t *quotas)
{
    allowed_t *const allowed = &world->quotas->allowed[tenant];
    allowed->cards = more(allowed->cards, quotas->cards);
    allowed->storage = more(allowed->storage, quotas->storage);
    allowed->has_rate = allowed->has_rate || quotas->rate > 0;
    allowed->has_any = true;
    control_fake_set_quotas(world->control, world->tenants[tenant].name, quotas);
    trace_add(world,
              "tenant %" PRIu64 " may have %" PRIu64 " cards, %" PRIu64 " bytes, %" PRIu64
              " requests a second",
              tenant, quotas->cards, quotas->storage, quotas->rate);
}

static void draw(world_t *world, uint32_t tenant)
{
    generator_t *const generator = &world->quotas->generator;
    control_quotas_t quotas = {.cards = generator_between(generator, 1, 14)};
    if (generator_chance(generator, 300)) {
        quotas.storage = generator_between(generator, 1000, 12000);
    }
    if (generator_chance(generator, 300)) {
        quotas.rate = generator_between(generator, RATE_MIN, 400);
    }
    set(world, tenant, &quotas);
}

void quotas_begin(world_t *world, uint32_t tenant)
{
    quotas_t *const quotas = world->quotas;
    if (quotas->changes_permille > 0 && generator_chance(&quotas->generator, 600)) {
        draw(world, tenant);
    }
}

void quotas_step(world_t *world)
{
    quotas_t *const quotas = world->quotas;
    if (quotas->changes_permille == 0 ||
        !generator_chance(&quotas->generator, quotas->changes_permille)) {
        return;
    }
    const uint32_t tenant =
        world_newest(world, generator_below(&quotas->generator, world->name_count));
    if (world_is_there(world, tenant) && quotas->allowed[tenant].has_any &&
        world->now_us >= world->control_us) {
        draw(world, tenant);
    }
}

void quotas_lift(world_t *world)
{
    static const control_quotas_t none = {0};
    world->quotas->changes_permille = 0;
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        if (world_is_there(world, i) && world->quotas->allowed[i].has_any) {
            set(world, i, &none);
        }
    }
}

bool quotas_is_refusal(result_t result)
{
    return result == RESULT_QUOTA_CARDS || result == RESULT_QUOTA_STORAGE ||
           result == RESULT_QUOTA_RATE;
}

bool quotas_may_refuse(const world_t *world, const command_t *command, result_t result)
{
    const allowed_t *const allowed = &world->quotas->allowed[command->tenant];
    const uint8_t type = command->type;
    const bool adds_card = type == request_type_card_issue || type == request_type_card_renew;
    if (result == RESULT_QUOTA_RATE) {
        return allowed->has_rate;
    }
    if (result == RESULT_QUOTA_CARDS) {
        return allowed->has_any && adds_card;
    }
    return result == RESULT_QUOTA_STORAGE && allowed->has_any &&
           (adds_card || type == request_type_card_replace || type == request_type_card_activate ||
            type == request_type_card_reinstate);
}

/* What a desk did, as an event tells it; the membership, and a suspension's end, ask no quota. */
static bool is_of_a_desk(const journal_event_t *event)
{
    return event->name == event_name_card_issued || event->name == event_name_card_activated ||
           event->name == event_name_card_replaced;
}

static void check_bytes(world_t *world, uint32_t tenant, const journal_batch_t *batch,
                        const journal_partition_t *before)
{
    const allowed_t *const allowed = &world->quotas->allowed[tenant];
    uint64_t counted = 0;
    for (size_t i = 0; i < batch->event_count; i++) {
        /* A replacement is two events, and activated at once it has three: the first one counts. */
        const bool is_first = i == 0 || !is_of_a_desk(&batch->events[i - 1]);
        if (is_first && is_of_a_desk(&batch->events[i]) && allowed->has_any &&
            before->bytes + counted >= allowed->storage) {
            world_violation(world, 11,
                            "tenant %u has %" PRIu64 " bytes of events, may have %" PRIu64
                            ", and a desk adds more",
                            tenant, before->bytes + counted, allowed->storage);
        }
        counted += batch->events[i].body.size + JOURNAL_EVENT_OVERHEAD;
    }
    if (counted != batch->bytes) {
        world_violation(world, 8,
                        "tenant %u: a batch counts %" PRIu64 " bytes of events, it has %" PRIu64,
                        tenant, batch->bytes, counted);
    }
}

void quotas_check_batch(world_t *world, uint32_t tenant, const journal_batch_t *batch,
                        const journal_partition_t *before)
{
    const allowed_t *const allowed = &world->quotas->allowed[tenant];
    const uint64_t cards = before->cards + (uint64_t)batch->cards;
    check_bytes(world, tenant, batch, before);
    /* Partitions are stored apart: a card of one may come before another one of the other is gone,
     * and stay when that fails. */
    if (allowed->has_any && world->tenants[tenant].partitions == 1 && batch->cards > 0 &&
        cards > allowed->cards && !memberships_has(world, tenant)) {
        world_violation(world, 11, "tenant %u has %" PRIu64 " living cards, and may have %" PRIu64,
                        tenant, cards, allowed->cards);
    }
}
