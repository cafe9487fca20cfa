/* Thread ring: 100 actors in a ring pass a token on, which counts down from 100 times --count, so
 * that it comes by each actor --count times; who sees 0 answers with its own number. */
#include "bench/actors/actors.h"

enum { ACTORS = 100 };

typedef struct member {
    actor_ref_t next;
    int64_t number;
} member_t;

/* The first message of each tells it its neighbour: the ring is closed before the token starts. */
enum { MESSAGE_TOKEN, MESSAGE_NEXT };

static result_t receive(actor_t *actor, actor_message_t *message, void *context)
{
    member_t *const member = actor_state(actor);
    if (message->type == MESSAGE_NEXT) {
        member->next = *(const actor_ref_t *)actor_message_payload(message);
        return RESULT_OK;
    }
    const int64_t left = bench_number_of(message);
    if (left == 0) {
        bench_actors_finish(context, member->number);
    } else {
        bench_tell_number(actor, member->next, left - 1);
    }
    return RESULT_OK;
}

static const actor_kind_t kind = {
    .name = "member", .state_size = sizeof(member_t), .is_anonymous = true, .receive = receive};

static void begin(bench_actors_t *bench)
{
    bench->kind = actor_system_register(bench->system, &kind, bench);
    bench->units = bench->count * ACTORS;
    actor_ref_t members[ACTORS];
    for (int64_t index = 0; index < ACTORS; index++) {
        const member_t member = {.number = index};
        const actor_spawn_t spawn = {.argument = &member, .argument_size = sizeof(member)};
        bench_must(actor_system_spawn(bench->system, bench->kind, &spawn, &members[index]));
    }
    for (int64_t index = 0; index < ACTORS; index++) {
        actor_message_t *message =
            actor_message_create(bench->system, MESSAGE_NEXT, sizeof(actor_ref_t));
        bench_must(message == NULL ? RESULT_NO_MEMORY : RESULT_OK);
        *(actor_ref_t *)actor_message_payload(message) = members[(index + 1) % ACTORS];
        bench_must(actor_system_tell(bench->system, members[index], &message));
    }
    actor_message_t *token = bench_number_create(bench->system, (int64_t)(bench->units));
    bench_must(actor_system_tell(bench->system, members[0], &token));
}

/* The token is back where it started. */
static int64_t expected(uint64_t count)
{
    (void)count;
    return 0;
}

const bench_yardstick_t bench_ring = {
    .name = "ring",
    .help = "100 actors in a ring pass a token on, --count times around",
    .unit = "hop",
    .count_default = 100000,
    .begin = begin,
    .expected = expected,
};
