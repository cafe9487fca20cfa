/* One seed from beginning to end: weather, storm, healing, questions, checks, drain. */
#include "tests/simulation/world.h"
#include "adapters/signer/signer.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/cursors.h"
#include "tests/simulation/lives.h"
#include "tests/simulation/membership.h"
#include "tests/simulation/model.h"
#include "tests/simulation/network.h"
#include "tests/simulation/ports.h"
#include "tests/simulation/quotas.h"
#include "tests/simulation/store.h"
#include "tests/simulation/subscriber.h"
#include "tests/support/control_fake.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CARDS_FEW = 2, /* everybody wants the same ones */
    CARDS_MANY = 40,
    JUMPS_MAX = 256,
    STEP_US_MAX = 16000,
    WAIT_STEP_US = 5000,
    HEAL_US = 60000000, /* from the end of the faults to the last answer */
    ANSWER_US = 30000000,
    REMIND_MS = 8000, /* twice LIMIT_SWEEP_ROTATION_MS */
};

/* The world that runs: the product's clock and randomness are functions without a context. */
static world_t *running;

typedef struct clock_jump {
    uint64_t time_us;
    int64_t offset_ms; /* from then on */
} clock_jump_t;

static clock_jump_t jumps[JUMPS_MAX];
static uint32_t jump_count;

world_t *world_current(void)
{
    return running;
}

uint64_t world_now_ms(const world_t *world)
{
    return 1000 + world->now_us / 1000;
}

int64_t world_wall_ms(const world_t *world)
{
    return world->wall_start_ms + world->wall_offset_ms + (int64_t)(world->now_us / 1000);
}

void world_jump_clock(world_t *world, int64_t offset_ms)
{
    if (jump_count == JUMPS_MAX) {
        return;
    }
    world->wall_offset_ms = offset_ms;
    jumps[jump_count] = (clock_jump_t){world->now_us, offset_ms};
    jump_count++;
    trace_add(world, "the clock jumps to %" PRIu64, (uint64_t)world_wall_ms(world), 0, 0, 0);
}

void world_wall_range(const world_t *world, uint64_t since_us, int64_t *low_ms, int64_t *high_ms)
{
    *low_ms = world_wall_ms(world);
    *high_ms = *low_ms;
    uint64_t end_us = world->now_us;
    for (uint32_t i = jump_count; i > 0 && end_us >= since_us; i--) {
        const uint64_t begin_us = jumps[i - 1].time_us > since_us ? jumps[i - 1].time_us : since_us;
        const int64_t base_ms = world->wall_start_ms + jumps[i - 1].offset_ms;
        const int64_t first_ms = base_ms + (int64_t)(begin_us / 1000);
        const int64_t last_ms = base_ms + (int64_t)(end_us / 1000);
        *low_ms = first_ms < *low_ms ? first_ms : *low_ms;
        *high_ms = last_ms > *high_ms ? last_ms : *high_ms;
        end_us = jumps[i - 1].time_us;
        if (jumps[i - 1].time_us <= since_us) {
            return;
        }
    }
}

uint32_t world_name_index(const world_t *world, text_t name)
{
    uint32_t index = 0;
    while (index < world->name_count &&
           !text_equal(text_from_c(world->tenants[index].name), name)) {
        index++;
    }
    return index;
}

uint32_t world_newest(const world_t *world, uint32_t name_index)
{
    uint32_t newest = name_index;
    for (uint32_t i = world->name_count; i < world->tenant_count; i++) {
        const world_tenant_t *const tenant = &world->tenants[i];
        if (tenant->name_index == name_index && tenant->stage != STAGE_COMING) {
            newest = i;
        }
    }
    return newest;
}

uint32_t world_draw_tenant(const world_t *world, generator_t *generator)
{
    enum { EARLIER_PERMILLE = 120 };
    const uint32_t name_index = generator_below(generator, world->name_count);
    const uint32_t newest = world_newest(world, name_index);
    if (world->tenants[newest].number == 0 || !generator_chance(generator, EARLIER_PERMILLE)) {
        return newest;
    }
    uint32_t drawn = generator_below(generator, world->tenants[newest].number);
    uint32_t index = name_index;
    while (drawn > 0) {
        index++;
        drawn -= world->tenants[index].name_index == name_index ? 1 : 0;
    }
    return index;
}

bool world_is_there(const world_t *world, uint32_t tenant)
{
    return world->tenants[tenant].stage == STAGE_THERE;
}

/* Markers are "zq", a letter for the tenant, "qz", or "zn", one for its name, "nz". */
bool world_is_foreign(const world_t *world, uint32_t tenant, const void *data, size_t size)
{
    enum { MARKER_SIZE = 5 };
    const char *at = data;
    const char *const end = at + size;
    while (end - at >= MARKER_SIZE) {
        at = memchr(at, 'z', (size_t)(end - at));
        if (at == NULL || end - at < MARKER_SIZE) {
            return false;
        }
        const uint32_t index = (uint32_t)(uint8_t)at[2] - 'A';
        const bool is_marker = at[4] == 'z' && at[1] == at[3];
        if (is_marker && at[1] == 'q' && index < world->tenant_count && index != tenant) {
            return true;
        }
        if (is_marker && at[1] == 'n' && index < world->name_count &&
            index != world->tenants[tenant].name_index) {
            return true;
        }
        at++;
    }
    return false;
}

void world_violation(world_t *world, uint32_t invariant, const char *format, ...)
{
    if (world->has_failed) {
        return;
    }
    world->has_failed = true;
    const int size = snprintf(world->failure, sizeof(world->failure), "invariant %u: ", invariant);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world->failure + size, sizeof(world->failure) - (size_t)size, format,
                    arguments);
    va_end(arguments);
}

/* --- Begin --- */

static uint32_t draw(world_t *world, uint32_t chance, uint32_t maximum)
{
    return generator_chance(&world->storm, chance) ? generator_below(&world->storm, maximum + 1)
                                                   : 0;
}

static void draw_weather(world_t *world)
{
    world->weather = (weather_t){
        .loss = draw(world, 500, 300),
        .duplicates = draw(world, 600, 500),
        .reordering = draw(world, 600, 500),
        .delay_us_max = generator_between(&world->storm, 100, 30000),
        .loss_to_subscribers = draw(world, 700, 300),
        .crash = draw(world, 700, 25),
        .drain = draw(world, 500, 8),
        .pause = draw(world, 600, 25),
        .slow_notice = draw(world, 600, 300),
        .partition = draw(world, 500, 12),
        .clock_jump = draw(world, 500, 20),
        .failed_write = draw(world, 500, 60),
        .failed_read = draw(world, 400, 30),
        .store_busy = draw(world, 400, 100),
        .full_disk = draw(world, 400, 6),
        .slow_commit = draw(world, 600, 200),
        .key_rotation = draw(world, 400, 10),
        .control_failure = draw(world, 300, 6),
        .reads = draw(world, 400, 950),
    };
}

static void make_tenants(world_t *world)
{
    static const char *const names[WORLD_TENANTS_MAX] = {"acme", "beta-club", "cedar", "delta"};
    world->name_count = generator_between(&world->workload, 2, WORLD_NAMES_MAX);
    for (uint32_t i = 0; i < world->name_count; i++) {
        memcpy(world->tenants[i].name, names[i], strlen(names[i]) + 1);
        world_tenant_t *const tenant = world_add_tenant(
            world, i, generator_between(&world->workload, 1, WORLD_PARTITIONS_MAX));
        store_put_in_place(world->store, i);
        lives_appear(world, tenant);
    }
}

/* Its journal, and nothing else yet. */
world_tenant_t *world_add_tenant(world_t *world, uint32_t name_index, uint32_t partitions)
{
    assert(world->tenant_count < WORLD_TENANTS_MAX);
    const uint32_t index = world->tenant_count;
    world_tenant_t *const tenant = &world->tenants[index];
    world->tenant_count++;
    memcpy(tenant->name, world->tenants[name_index].name, sizeof(tenant->name));
    (void)snprintf(tenant->marker, sizeof(tenant->marker), "zq%cqz", (char)('A' + index));
    (void)snprintf(tenant->name_marker, sizeof(tenant->name_marker), "zn%cnz",
                   (char)('A' + name_index));
    for (uint32_t i = 0; i < index; i++) {
        tenant->number += world->tenants[i].name_index == name_index ? 1 : 0;
    }
    tenant->name_index = name_index;
    tenant->partitions = partitions;
    tenant->stage = STAGE_COMING;
    store_add_tenant(world->store, index);
    return tenant;
}

static world_t *create(const world_options_t *options)
{
    world_t *world = calloc(1, sizeof(*world));
    assert(world != NULL);
    running = world;
    jump_count = 0;
    world->options = *options;
    world->bug = options->bug;
    generator_seed(&world->workload, options->seed);
    generator_seed(&world->storm, options->seed + UINT64_C(0x1000000000000));
    generator_seed(&world->wire, options->seed + UINT64_C(0x2000000000000));
    generator_seed(&world->disk, options->seed + UINT64_C(0x3000000000000));
    generator_seed(&world->secrets, options->seed + UINT64_C(0x4000000000000));
    world->wall_start_ms = INT64_C(1800000000000);
    world_jump_clock(world, 0);
    world->next_process = 1;
    world->front_count = generator_chance(&world->workload, 200) ? 1 : WORLD_FRONTS_MAX;
    world->cards_max = generator_chance(&world->workload, 400) ? CARDS_FEW : CARDS_MANY;
    draw_weather(world);
    const crypto_key_t master_key = ports_master_key();
    world->control = control_fake_create(ports_crypto(), &master_key);
    world->network = network_create(world);
    world->store = store_create(world);
    world->projections = projections_disk_create(world);
    world->cluster = cluster_create(world);
    world->clients = clients_create(world);
    world->subscribers = subscribers_create(world);
    world->memberships = memberships_create(world);
    world->lives = lives_create(world);
    world->quotas = quotas_create(world);
    world->cursors = cursors_create(world);
    make_tenants(world);
    memberships_draw(world);
    return world;
}

void world_destroy(world_t **world)
{
    world_t *const old = *world;
    for (size_t i = 0; i < WORLD_PROCESSES_MAX; i++) {
        if (old->processes[i] != NULL) {
            process_kill(old->processes[i]);
        }
    }
    agenda_forget_all(old);
    model_forget(old);
    subscribers_destroy(&old->subscribers);
    clients_destroy(&old->clients);
    cluster_destroy(&old->cluster);
    store_destroy(&old->store);
    projections_disk_destroy(&old->projections);
    memberships_destroy(&old->memberships);
    lives_destroy(&old->lives);
    quotas_destroy(&old->quotas);
    cursors_destroy(&old->cursors);
    network_destroy(&old->network);
    control_fake_destroy(&old->control);
    free(old);
    *world = NULL;
}

/* --- Phases --- */

static void pass(world_t *world, uint64_t duration_us)
{
    const uint64_t until_us = world->now_us + duration_us;
    while (!world->has_failed && agenda_step(world, until_us)) {
    }
}

typedef bool world_condition_t(world_t *world);

static bool wait_for(world_t *world, world_condition_t *condition, uint64_t bound_us)
{
    const uint64_t until_us = world->now_us + bound_us;
    while (!world->has_failed && !condition(world) && world->now_us < until_us) {
        pass(world, WAIT_STEP_US);
    }
    return world->has_failed || condition(world);
}

static void storm(world_t *world)
{
    world->is_stormy = true;
    for (uint32_t i = 0; i < world->options.steps && !world->has_failed; i++) {
        pass(world, generator_between(&world->workload, 100, STEP_US_MAX));
        cluster_step(world);
        lives_step(world);
        quotas_step(world);
        cursors_step(world);
        clients_step(world);
        memberships_step(world);
    }
}

static bool is_answered(world_t *world)
{
    return world->clients->open_count == 0 && cluster_is_up(world);
}

static bool is_applied(world_t *world)
{
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        for (uint32_t j = 0; world_is_there(world, i) && j < world->tenants[i].partitions; j++) {
            if (subscribers_applied(world, i, j) != store_partition(world->store, i, j)->row.head) {
                return false;
            }
        }
    }
    return is_answered(world);
}

/* Reminders that were due some time ago have been delivered. */
static bool is_reminded(world_t *world)
{
    return store_reminders_overdue(world->store, world_wall_ms(world) - REMIND_MS) == 0;
}

static bool is_quiet(world_t *world)
{
    for (size_t i = 0; i < WORLD_PROCESSES_MAX; i++) {
        if (world->processes[i] != NULL && !process_is_quiet(world->processes[i])) {
            return false;
        }
    }
    return world->clients->open_count == 0;
}

static void must(world_t *world, bool holds, const char *what)
{
    if (!holds) {
        world_violation(world, 10, "%s does not come to an end: %u requests are open", what,
                        world->clients->open_count);
    }
}

static void calm(world_t *world)
{
    cluster_heal(world);
    lives_heal(world);
    quotas_lift(world);
    world->is_calm = true;
    must(world, wait_for(world, is_answered, HEAL_US), "what was asked in the storm");
    if (world->has_failed) {
        return;
    }
    must(world, wait_for(world, memberships_settled, HEAL_US), "what happened to members");
    if (world->has_failed) {
        return;
    }
    must(world, wait_for(world, lives_given_back, ANSWER_US),
         "giving back what deleted tenants had");
    clients_probe(world);
    clients_repeat_all(world);
    must(world, wait_for(world, is_answered, ANSWER_US), "what was asked after the storm");
    must(world, wait_for(world, is_reminded, ANSWER_US), "reminding");
    must(world, wait_for(world, memberships_settled, ANSWER_US), "what was asked of members");
    (void)wait_for(world, is_applied, ANSWER_US); /* model_check tells who is behind */
    if (world->has_failed) {
        return;
    }
    model_ask(world);
    cursors_ask(world);
    must(world, wait_for(world, is_answered, ANSWER_US), "reading");
    (void)wait_for(world, is_applied, ANSWER_US);
    if (!world->has_failed) {
        model_check(world);
    }
    if (!world->has_failed) {
        must(world, wait_for(world, is_quiet, ANSWER_US), "the work within");
        must(world, lives_given_back(world), "giving back what deleted tenants had");
    }
    if (!world->has_failed) {
        (void)cluster_drain(world);
    }
}

bool world_run(const world_options_t *options, world_t **world)
{
    *world = create(options);
    cluster_start(*world);
    pass(*world, 300000);
    storm(*world);
    if (!(*world)->has_failed) {
        calm(*world);
    }
    return !(*world)->has_failed;
}
