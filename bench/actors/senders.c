/* Many to one: 20 senders send the numbers 1 … N to one receiver, which adds them up. Mailboxes are
 * bounded: a sender whose message was refused waits for room and sends it again. */
#include "bench/actors/actors.h"

enum { SENDERS = 20 };

typedef struct receiver {
    int64_t sum;
    uint64_t left;
} receiver_t;

typedef struct sender {
    actor_ref_t receiver;
    int64_t next;
} sender_t;

static result_t receiver_receive(actor_t *actor, actor_message_t *message, void *context)
{
    bench_actors_t *const bench = context;
    receiver_t *const receiver = actor_state(actor);
    receiver->sum += bench_number_of(message);
    receiver->left--;
    if (receiver->left == 0) {
        bench_actors_finish(bench, receiver->sum);
    }
    return RESULT_OK;
}

static void send_what_fits(actor_t *actor, const bench_actors_t *bench)
{
    sender_t *const sender = actor_state(actor);
    while (sender->next <= (int64_t)bench->count) {
        actor_message_t *message = bench_number_create(bench->system, sender->next);
        const result_t result = actor_tell(actor, sender->receiver, &message);
        if (result == RESULT_BUSY) {
            actor_message_destroy(bench->system, &message);
            bench_must(actor_wait_for_room(actor, sender->receiver));
            return;
        }
        bench_must(result);
        sender->next++;
    }
    actor_stop(actor);
}

static void sender_activate(actor_t *actor, void *context)
{
    ((sender_t *)actor_state(actor))->next = 1;
    send_what_fits(actor, context);
}

static result_t sender_receive(actor_t *actor, actor_message_t *message, void *context)
{
    (void)message; /* room */
    send_what_fits(actor, context);
    return RESULT_OK;
}

static const actor_kind_t receiver_kind = {.name = "receiver",
                                           .state_size = sizeof(receiver_t),
                                           .is_anonymous = true,
                                           .receive = receiver_receive};
static const actor_kind_t sender_kind = {.name = "sender",
                                         .state_size = sizeof(sender_t),
                                         .is_anonymous = true,
                                         .activate = sender_activate,
                                         .receive = sender_receive};

static void begin(bench_actors_t *bench)
{
    bench->kind = actor_system_register(bench->system, &receiver_kind, bench);
    bench->other_kind = actor_system_register(bench->system, &sender_kind, bench);
    bench->units = bench->count * SENDERS;
    const receiver_t receiver = {.left = bench->units};
    const actor_spawn_t spawn = {.argument = &receiver, .argument_size = sizeof(receiver)};
    sender_t sender = {0};
    bench_must(actor_system_spawn(bench->system, bench->kind, &spawn, &sender.receiver));
    for (int index = 0; index < SENDERS; index++) {
        const actor_spawn_t other = {.argument = &sender, .argument_size = sizeof(sender)};
        bench_must(actor_system_spawn(bench->system, bench->other_kind, &other, NULL));
    }
}

static int64_t expected(uint64_t count)
{
    return (int64_t)(SENDERS * (count * (count + 1) / 2));
}

const bench_yardstick_t bench_senders = {
    .name = "senders",
    .help = "20 actors send --count messages each to one, through a bounded mailbox",
    .unit = "message",
    .count_default = 1000000,
    .begin = begin,
    .expected = expected,
};
