/* Ping-pong: one actor sends a number, the other sends it back one higher, --count times. */
#include "bench/actors/actors.h"

typedef struct player {
    actor_ref_t other; /* none: the pong, who answers whoever sends */
    int64_t rounds;
} player_t;

static void ping_activate(actor_t *actor, void *context)
{
    (void)context;
    bench_tell_number(actor, ((player_t *)actor_state(actor))->other, 0);
}

static result_t ping_receive(actor_t *actor, actor_message_t *message, void *context)
{
    const player_t *const player = actor_state(actor);
    const int64_t number = bench_number_of(message);
    if (number == player->rounds) {
        bench_actors_finish(context, number);
    } else {
        bench_tell_number(actor, player->other, number);
    }
    return RESULT_OK;
}

static result_t pong_receive(actor_t *actor, actor_message_t *message, void *context)
{
    (void)context;
    bench_tell_number(actor, message->sender, bench_number_of(message) + 1);
    return RESULT_OK;
}

static const actor_kind_t pong_kind = {
    .name = "pong", .state_size = sizeof(player_t), .is_anonymous = true, .receive = pong_receive};
static const actor_kind_t ping_kind = {.name = "ping",
                                       .state_size = sizeof(player_t),
                                       .is_anonymous = true,
                                       .activate = ping_activate,
                                       .receive = ping_receive};

static void begin(bench_actors_t *bench)
{
    bench->kind = actor_system_register(bench->system, &pong_kind, bench);
    bench->other_kind = actor_system_register(bench->system, &ping_kind, bench);
    bench->units = 2 * bench->count;
    player_t player = {.rounds = (int64_t)bench->count};
    const actor_spawn_t pong = {0};
    bench_must(actor_system_spawn(bench->system, bench->kind, &pong, &player.other));
    const actor_spawn_t ping = {.argument = &player, .argument_size = sizeof(player)};
    bench_must(actor_system_spawn(bench->system, bench->other_kind, &ping, NULL));
}

static int64_t expected(uint64_t count)
{
    return (int64_t)count;
}

const bench_yardstick_t bench_pingpong = {
    .name = "pingpong",
    .help = "two actors send each other a message, --count times there and back",
    .unit = "message",
    .count_default = 2000000,
    .begin = begin,
    .expected = expected,
};
