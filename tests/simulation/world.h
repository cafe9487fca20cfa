/* The simulated world: one seed, one thread, one clock. Everything random comes from the seed, and
 * everything that happens is an entry of the agenda, in order of time.
 *
 *   agenda.c      what happens when             platform.c  clock, randomness, log of the product
 *   loop.c        runtime/loop.h                network.c   envelopes between processes
 *   store*.c      actors/ports/journal.h        process.c   fronts, shards, relay: start, end,
 * ports clients.c     who asks                      cluster.c   the supervisor's part, and the
 * faults subscriber.c  who listens                   model.c     what must be true in the end */
#ifndef TESTS_SIMULATION_WORLD_H
#define TESTS_SIMULATION_WORLD_H

#include "messages/messages.h"
#include "runtime/loop.h"
#include "tests/simulation/bugs.h"

enum {
    WORLD_NAMES_MAX = 4,
    WORLD_TENANTS_MAX = 12, /* of all times: what was deleted stays on the list */
    WORLD_PARTITIONS_MAX = 3,
    WORLD_FRONTS_MAX = 2,
    WORLD_SHARDS = 2,
    WORLD_SLOTS = WORLD_FRONTS_MAX + WORLD_SHARDS + 2, /* fronts, shards, relay, adapters */
    WORLD_SLOT_RELAY = WORLD_SLOTS - 2,
    WORLD_SLOT_ADAPTERS = WORLD_SLOTS - 1, /* only in worlds with membership contexts */
    WORLD_PROCESSES_MAX = 24,
    WORLD_TRACE_LAST = 60,
    WORLD_MARKER_SIZE = 32,
};

typedef struct world world_t;
typedef struct process process_t;
typedef struct store store_t;
typedef struct clients clients_t;
typedef struct subscribers subscribers_t;
typedef struct cluster cluster_t;
typedef struct network network_t;
typedef struct memberships memberships_t;
typedef struct lives lives_t;
typedef struct quotas quotas_t;
typedef struct cursors cursors_t;

/* --- random.c: xoshiro256** seeded by splitmix64 --- */

typedef struct generator {
    uint64_t state[4];
} generator_t;

void generator_seed(generator_t *generator, uint64_t seed);
uint64_t generator_next(generator_t *generator);
uint32_t generator_below(generator_t *generator, uint32_t bound);
/* low … high, both included. */
uint32_t generator_between(generator_t *generator, uint32_t low, uint32_t high);
bool generator_chance(generator_t *generator, uint32_t per_thousand);
void generator_fill(generator_t *generator, void *out, size_t size);

/* --- agenda.c --- */

/* `owner`: the process in which it happens (it waits while that is paused, and is forgotten when
 * that is dead), 0: the world. `payload` is freed by `forget`, whether it happened or not; NULL:
 * nothing to free. */
typedef void agenda_run_t(world_t *world, void *payload);
typedef struct agenda_entry {
    uint64_t time_us;
    uint64_t order;
    uint32_t owner;
    agenda_run_t *run;
    agenda_run_t *forget;
    void *payload;
} agenda_entry_t;

typedef struct agenda {
    agenda_entry_t *entries; /* a heap */
    size_t count;
    size_t capacity;
    uint64_t next_order;
} agenda_t;

void agenda_add(world_t *world, uint64_t delay_us, uint32_t owner, agenda_run_t *run,
                agenda_run_t *forget, void *payload);
/* Does the next thing. False when nothing is left before `until_us`; then it is that late. */
bool agenda_step(world_t *world, uint64_t until_us);
void agenda_forget_all(world_t *world);
void payload_free(world_t *world, void *payload);

/* --- trace.c --- */

typedef struct trace_line {
    uint64_t time_us;
    const char *format; /* of up to four numbers */
    uint64_t values[4];
} trace_line_t;

typedef struct trace {
    uint64_t hash;
    uint64_t count;
    trace_line_t lines[WORLD_TRACE_LAST];
} trace_t;

/* `format` is a literal whose conversions are all PRIu64 or PRIx64. */
void trace_add(world_t *world, const char *format, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* A short hash of bytes, for trace_add. */
uint64_t trace_bytes(const void *data, size_t size);
void trace_print(const world_t *world);

/* --- The world --- */

typedef struct world_options {
    uint64_t seed;
    uint32_t steps;
    bug_t bug;
    bool verbose;
} world_options_t;

/* How bad it gets, drawn once from the seed; times in microseconds, chances in thousandths. */
typedef struct weather {
    uint32_t loss;
    uint32_t duplicates;
    uint32_t reordering;
    uint32_t delay_us_max;
    uint32_t loss_to_subscribers;
    uint32_t crash; /* per step */
    uint32_t drain;
    uint32_t pause;
    uint32_t slow_notice; /* of who is up and who is not */
    uint32_t partition;
    uint32_t clock_jump;
    uint32_t failed_write;
    uint32_t failed_read;
    uint32_t store_busy;
    uint32_t full_disk;
    uint32_t slow_commit;
    uint32_t key_rotation;
    uint32_t control_failure;
    uint32_t reads; /* of the requests, besides the usual ones */
} weather_t;

typedef struct world_numbers {
    uint64_t events;
    uint64_t sent;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t crashes;
    uint64_t drains;
    uint64_t pauses;
    uint64_t zombies;
    uint64_t partitions;
    uint64_t clock_jumps;
    uint64_t failed_writes;
    uint64_t full_disks;
    uint64_t fenced;
    uint64_t unknown_commits; /* in flight when their process died */
    uint64_t commits;
    uint64_t stored_events;
    uint64_t requests;
    uint64_t acknowledged;
    uint64_t repeats;
    uint64_t repairs;
    uint64_t member_events;
    uint64_t deleted;
    uint64_t namesakes;
    uint64_t late_news; /* of a deleted tenant, from a relay that could not know it yet */
} world_numbers_t;

typedef enum tenant_stage {
    STAGE_THERE,
    STAGE_COMING, /* it has a journal, and the control store does not name it yet */
    STAGE_GONE,
} tenant_stage_t;

/* Tenants of one name are different ones: each has its own place in this list. */
typedef struct world_tenant {
    char name[16];
    char marker[8];      /* in texts of this tenant, and in no text of another */
    char name_marker[8]; /* in ids of members: those of its namesakes have the same */
    uint32_t name_index; /* below world.name_count */
    uint32_t number;     /* of those that had the name before */
    uint32_t partitions;
    int64_t created_at;
    uint64_t control_version; /* of the control store, with its row */
    tenant_stage_t stage;
    uint64_t made_us;
    uint64_t gone_us;
} world_tenant_t;

struct world {
    world_options_t options;
    bug_t bug;
    uint64_t now_us;
    uint64_t ticks; /* of handlers */
    int64_t wall_start_ms;
    int64_t wall_offset_ms;
    bool is_stormy; /* faults happen */
    bool has_failed;
    char failure[512];
    generator_t workload;
    generator_t storm;
    generator_t wire;
    generator_t disk;
    generator_t secrets; /* what the product asks for */
    agenda_t agenda;
    trace_t trace;
    weather_t weather;
    world_numbers_t numbers;
    bool is_calm;        /* faults have ended */
    uint64_t control_us; /* the control store answers from then on */
    uint32_t name_count; /* the first so many tenants have them */
    uint32_t tenant_count;
    world_tenant_t tenants[WORLD_TENANTS_MAX];
    uint32_t front_count;
    uint32_t cards_max; /* of a tenant, until replacements add to them */
    process_t *processes[WORLD_PROCESSES_MAX];
    uint32_t next_process;
    network_t *network;
    store_t *store;
    struct projections_disk *projections;
    cluster_t *cluster;
    clients_t *clients;
    subscribers_t *subscribers;
    memberships_t *memberships;
    lives_t *lives;
    quotas_t *quotas;
    cursors_t *cursors;
    struct control_fake *control;
    struct model *model;
};

/* Runs one seed from beginning to end; the caller destroys the world. False: an invariant broke. */
bool world_run(const world_options_t *options, world_t **world);
void world_destroy(world_t **world);

/* The first one counts: the run ends. `invariant` is a number of DESIGN section 5. */
__attribute__((format(printf, 3, 4))) void world_violation(world_t *world, uint32_t invariant,
                                                           const char *format, ...);
/* The world that runs now: the product's clock and randomness have no context. */
world_t *world_current(void);

int64_t world_wall_ms(const world_t *world);
uint64_t world_now_ms(const world_t *world);
void world_jump_clock(world_t *world, int64_t offset_ms);
/* The lowest and highest wall clock between `since_us` and now. */
void world_wall_range(const world_t *world, uint64_t since_us, int64_t *low_ms, int64_t *high_ms);
/* name_count: there is no such name. */
uint32_t world_name_index(const world_t *world, text_t name);
/* Of that name: the one that is there, or else was there last. */
uint32_t world_newest(const world_t *world, uint32_t name_index);
/* Mostly the newest of some name, sometimes one that was deleted. */
uint32_t world_draw_tenant(const world_t *world, generator_t *generator);
bool world_is_there(const world_t *world, uint32_t tenant);
world_tenant_t *world_add_tenant(world_t *world, uint32_t name_index, uint32_t partitions);
/* Whether bytes carry the marker of another tenant. */
bool world_is_foreign(const world_t *world, uint32_t tenant, const void *data, size_t size);

#endif
