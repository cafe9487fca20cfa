/* Skynet: an actor spawns ten, each of them ten, down to a million leaves; each leaf sends its
 * number up, each other actor the sum of its ten; the sum of all is checked. */
#include "bench/actors/actors.h"

enum { CHILDREN = 10 };

typedef struct skynet {
    actor_ref_t parent; /* none: the root */
    int64_t number;
    int64_t size; /* leaves below it */
    int64_t sum;
    uint32_t waiting;
} skynet_t;

static void answer(actor_t *actor, bench_actors_t *bench, const skynet_t *skynet, int64_t sum)
{
    if (actor_ref_is_none(skynet->parent)) {
        bench_actors_finish(bench, sum);
    } else {
        bench_tell_number(actor, skynet->parent, sum);
    }
    actor_stop(actor);
}

static void activate(actor_t *actor, void *context)
{
    bench_actors_t *const bench = context;
    skynet_t *const skynet = actor_state(actor);
    if (skynet->size == 1) {
        answer(actor, bench, skynet, skynet->number);
        return;
    }
    skynet->waiting = CHILDREN;
    const int64_t size = skynet->size / CHILDREN;
    for (int64_t child = 0; child < CHILDREN; child++) {
        const skynet_t argument = {
            .parent = actor_ref(actor), .number = skynet->number + child * size, .size = size};
        bench_must(actor_spawn(actor, bench->kind, &argument, sizeof(argument), NULL));
    }
}

static result_t receive(actor_t *actor, actor_message_t *message, void *context)
{
    skynet_t *const skynet = actor_state(actor);
    skynet->sum += bench_number_of(message);
    skynet->waiting--;
    if (skynet->waiting == 0) {
        answer(actor, context, skynet, skynet->sum);
    }
    return RESULT_OK;
}

static const actor_kind_t kind = {.name = "skynet",
                                  .state_size = sizeof(skynet_t),
                                  .is_anonymous = true,
                                  .activate = activate,
                                  .receive = receive};

static void begin(bench_actors_t *bench)
{
    bench->kind = actor_system_register(bench->system, &kind, bench);
    const skynet_t argument = {.size = (int64_t)bench->count};
    const actor_spawn_t spawn = {.argument = &argument, .argument_size = sizeof(argument)};
    bench->units = (bench->count * CHILDREN - 1) / (CHILDREN - 1);
    bench_must(actor_system_spawn(bench->system, bench->kind, &spawn, NULL));
}

static int64_t expected(uint64_t count)
{
    return (int64_t)(count * (count - 1) / 2);
}

const bench_yardstick_t bench_skynet = {
    .name = "skynet",
    .help = "a tree of actors, ten below each, with --count leaves (a power of ten), and its sum",
    .unit = "actor",
    .count_default = 1000000,
    .begin = begin,
    .expected = expected,
};
