/* Idle: --count actors with an identity and no data of their own stay in memory at once; tells what
 * the whole process grew by. Real cards are measured by bench/cards/resident.c. */
#include "bench/actors/actors.h"

#include <stdio.h>
#include <string.h>

typedef struct idle {
    uint64_t mark;
} idle_t;

typedef struct feeder {
    uint64_t next;
} feeder_t;

static void activate(actor_t *actor, void *context)
{
    (void)context;
    ((idle_t *)actor_state(actor))->mark = 1;
    actor_activated(actor);
}

static result_t receive(actor_t *actor, actor_message_t *message, void *context)
{
    (void)message;
    bench_actors_t *const bench = context;
    bench->result += ((const idle_t *)actor_state(actor))->mark == 1 ? 1 : 0;
    if (bench->result == (int64_t)bench->count) {
        bench->bytes = (bench_memory_resident() - bench->bytes) / bench->count;
        bench_actors_finish(bench, bench->result);
    }
    return RESULT_OK;
}

static void undeliverable(actor_t *actor, actor_message_t *message, result_t why, void *context)
{
    (void)actor;
    (void)message;
    (void)why;
    (void)context;
}

static void deactivate(actor_t *actor, void *context)
{
    (void)actor;
    (void)context;
}

static void feeder_send(actor_t *actor, const bench_actors_t *bench)
{
    enum { SLICE = 8 };
    feeder_t *const feeder = actor_state(actor);
    for (int sent = 0; sent < SLICE && feeder->next < bench->count; sent++) {
        actor_identity_t identity = {.tenant = "acme", .tenant_size = 4};
        memcpy(identity.id, &feeder->next, sizeof(feeder->next));
        actor_message_t *message = actor_message_create(bench->system, 0, 0);
        bench_must(message == NULL ? RESULT_NO_MEMORY : RESULT_OK);
        bench_must(actor_system_send(bench->system, bench->kind, &identity, &message));
        feeder->next++;
    }
    if (feeder->next < bench->count) {
        bench_must(actor_yield(actor));
    } else {
        actor_stop(actor);
    }
}

static void feeder_activate(actor_t *actor, void *context)
{
    feeder_send(actor, context);
}

static result_t feeder_receive(actor_t *actor, actor_message_t *message, void *context)
{
    (void)message;
    feeder_send(actor, context);
    return RESULT_OK;
}

static const actor_kind_t kind = {.name = "idle",
                                  .state_size = sizeof(idle_t),
                                  .activate = activate,
                                  .receive = receive,
                                  .undeliverable = undeliverable,
                                  .deactivate = deactivate};
static const actor_kind_t feeder_kind = {.name = "feeder",
                                         .state_size = sizeof(feeder_t),
                                         .is_anonymous = true,
                                         .activate = feeder_activate,
                                         .receive = feeder_receive};

static void begin(bench_actors_t *bench)
{
    const actor_system_options_t options = {.actors_max = bench->count + 1,
                                            .bytes_max = UINT64_MAX};
    actor_system_configure(bench->system, &options);
    bench->kind = actor_system_register(bench->system, &kind, bench);
    bench->other_kind = actor_system_register(bench->system, &feeder_kind, bench);
    bench->units = bench->count;
    bench->bytes = bench_memory_resident();
    /* In the turns of the same tenant, so that it does not run ahead. */
    const actor_spawn_t spawn = {.tenant = "acme", .tenant_size = 4};
    bench_must(actor_system_spawn(bench->system, bench->other_kind, &spawn, NULL));
}

static int64_t expected(uint64_t count)
{
    return (int64_t)count;
}

const bench_yardstick_t bench_idle = {
    .name = "idle",
    .help = "--count actors without data are active at once; tells bytes of each",
    .unit = "actor",
    .count_default = 1000000,
    .begin = begin,
    .expected = expected,
};
