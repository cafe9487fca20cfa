/* Creation: a binary tree of actors; a leaf answers 1, each other actor spawns two and answers the
 * sum of both and one: the number of actors that were created. */
#include "bench/actors/actors.h"

typedef struct node {
    actor_ref_t parent; /* none: the root */
    uint64_t depth;     /* of what is below it */
    int64_t sum;
    uint32_t waiting;
} node_t;

static void answer(actor_t *actor, bench_actors_t *bench, const node_t *node, int64_t sum)
{
    if (actor_ref_is_none(node->parent)) {
        bench_actors_finish(bench, sum);
    } else {
        bench_tell_number(actor, node->parent, sum);
    }
    actor_stop(actor);
}

static void activate(actor_t *actor, void *context)
{
    bench_actors_t *const bench = context;
    node_t *const node = actor_state(actor);
    if (node->depth == 0) {
        answer(actor, bench, node, 1);
        return;
    }
    node->waiting = 2;
    const node_t child = {.parent = actor_ref(actor), .depth = node->depth - 1};
    bench_must(actor_spawn(actor, bench->kind, &child, sizeof(child), NULL));
    bench_must(actor_spawn(actor, bench->kind, &child, sizeof(child), NULL));
}

static result_t receive(actor_t *actor, actor_message_t *message, void *context)
{
    node_t *const node = actor_state(actor);
    node->sum += bench_number_of(message);
    node->waiting--;
    if (node->waiting == 0) {
        answer(actor, context, node, node->sum + 1);
    }
    return RESULT_OK;
}

static const actor_kind_t kind = {.name = "node",
                                  .state_size = sizeof(node_t),
                                  .is_anonymous = true,
                                  .activate = activate,
                                  .receive = receive};

static void begin(bench_actors_t *bench)
{
    bench->kind = actor_system_register(bench->system, &kind, bench);
    const node_t root = {.depth = bench->count};
    const actor_spawn_t spawn = {.argument = &root, .argument_size = sizeof(root)};
    bench->units = (UINT64_C(1) << (bench->count + 1)) - 1;
    bench_must(actor_system_spawn(bench->system, bench->kind, &spawn, NULL));
}

static int64_t expected(uint64_t count)
{
    return (INT64_C(1) << (count + 1)) - 1;
}

const bench_yardstick_t bench_create = {
    .name = "create",
    .help = "a binary tree of actors of --count levels below the root: 19 make 2^20 - 1 actors",
    .unit = "actor",
    .count_default = 19,
    .begin = begin,
    .expected = expected,
};
