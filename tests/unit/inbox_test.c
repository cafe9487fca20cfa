/* The inbox: events in any order, twice, with gaps, over crashes of everybody, against the list of
 * what there is. The seed is printed; a failure repeats with INBOX_SEED=number. */
#include "actors/domain/card_id.h"
#include "actors/neighbours/inbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { EVENTS = 400, ROUNDS = 300, PARTITIONS = 4, MEMBERS = 10 };

typedef struct world {
    uint64_t random;
    uint64_t watermark[PARTITIONS]; /* durable */
    uint32_t applied[EVENTS + 1];
    uint64_t last_of_member[MEMBERS];
} world_t;

static uint64_t next_random(world_t *world)
{
    world->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word = world->random;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static member_event_t event_of(uint64_t sequence, char name[8])
{
    member_event_t event = {0};
    (void)snprintf(name, 8, "m-%u", (unsigned)(sequence * 7 % MEMBERS));
    MESSAGE_SET(member_event, &event, sequence, sequence);
    MESSAGE_SET(member_event, &event, member_id, text_from_c(name));
    return event;
}

/* The shard's rule: nothing at or below the watermark. */
static void apply(world_t *world, uint32_t partition, const member_events_t *message)
{
    for (uint32_t i = 0; i < message->items_count; i++) {
        const member_event_t *event = &message->items[i];
        if (event->sequence <= world->watermark[partition]) {
            continue;
        }
        const size_t member = (size_t)(event->member_id.data[2] - '0');
        assert_int_equal(placement_partition(event->member_id, PARTITIONS), partition);
        assert_true(event->sequence > world->last_of_member[member]);
        world->last_of_member[member] = event->sequence;
        world->applied[event->sequence]++;
        world->watermark[partition] = event->sequence;
    }
    if (message->up_to > world->watermark[partition]) {
        world->watermark[partition] = message->up_to;
    }
}

static void hand_over(world_t *world, inbox_t *inbox)
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        member_events_t message;
        if (!inbox_next(inbox, p, 1 + (uint32_t)(next_random(world) % 8), &message)) {
            continue;
        }
        const uint64_t luck = next_random(world) % 10;
        if (luck > 0) {
            apply(world, p, &message);
        }
        if (luck > 1) {
            inbox_watermark(inbox, p, world->watermark[p]);
        } else {
            inbox_again(inbox, p); /* lost on the way there, or the answer was */
        }
    }
}

/* What the replay endpoint says, some of it. */
static void read_page(world_t *world, inbox_t *inbox)
{
    char name[8];
    const uint64_t after = inbox_position(inbox);
    const uint64_t count = next_random(world) % 20;
    for (uint64_t s = after + 1; s <= after + count && s <= EVENTS; s++) {
        const member_event_t event = event_of(s, name);
        inbox_pass_gap(inbox, s);
        if (inbox_take(inbox, &event) == INBOX_FULL) {
            return;
        }
    }
}

static void hear(world_t *world, inbox_t *inbox, uint64_t around)
{
    char name[8];
    const uint64_t sequence = 1 + (around + next_random(world) % 6) % EVENTS;
    const member_event_t event = event_of(sequence, name);
    (void)inbox_take(inbox, &event);
}

static bool is_done(const world_t *world)
{
    for (uint64_t s = 1; s <= EVENTS; s++) {
        if (world->applied[s] != 1) {
            return false;
        }
    }
    return true;
}

static void run_round(uint64_t seed)
{
    world_t world = {.random = seed};
    inbox_t *inbox = inbox_create(PARTITIONS);
    for (uint32_t step = 0; step < 100000 && !is_done(&world); step++) {
        const uint64_t luck = next_random(&world) % 100;
        if (luck == 0) { /* the adapters role dies */
            inbox_destroy(&inbox);
            inbox = inbox_create(PARTITIONS);
        } else if (luck < 60) {
            hear(&world, inbox, inbox_is_open(inbox) ? inbox_position(inbox) : 0);
        } else if (luck < 70 && inbox_is_open(inbox)) {
            read_page(&world, inbox);
        } else {
            hand_over(&world, inbox);
        }
    }
    inbox_destroy(&inbox);
    assert_true(is_done(&world));
}

static void every_event_is_applied_once_and_in_order_of_its_member(void **state)
{
    (void)state;
    const char *given = getenv("INBOX_SEED");
    const uint64_t seed = given == NULL ? (uint64_t)time(NULL) : strtoull(given, NULL, 10);
    print_message("INBOX_SEED=%llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        run_round(seed + round * 1000003);
    }
}

static void inbox_is_bounded_and_takes_again_when_there_is_room(void **state)
{
    (void)state;
    char name[8];
    inbox_t *inbox = inbox_create(1);
    inbox_watermark(inbox, 0, 0);
    uint64_t sequence = 1;
    for (; sequence <= LIMIT_INBOX_EVENTS; sequence++) {
        const member_event_t event = event_of(sequence, name);
        assert_int_equal(inbox_take(inbox, &event), INBOX_TAKEN);
    }
    const member_event_t more = event_of(sequence, name);
    assert_int_equal(inbox_take(inbox, &more), INBOX_FULL);
    inbox_watermark(inbox, 0, 10);
    assert_int_equal(inbox_take(inbox, &more), INBOX_TAKEN);
    inbox_destroy(&inbox);
}

static void gap_that_the_page_leaves_out_does_not_exist(void **state)
{
    (void)state;
    char name[8];
    inbox_t *inbox = inbox_create(1);
    inbox_watermark(inbox, 0, 3);
    const member_event_t six = event_of(6, name);
    assert_int_equal(inbox_take(inbox, &six), INBOX_AHEAD);
    assert_true(inbox_has_gap(inbox));
    inbox_pass_gap(inbox, 6);
    assert_int_equal(inbox_position(inbox), 6);
    assert_false(inbox_has_gap(inbox));
    inbox_destroy(&inbox);
}

static void poison_goes_as_a_dead_letter_when_it_is_given_up(void **state)
{
    (void)state;
    char name[8];
    member_events_t message;
    inbox_t *inbox = inbox_create(1);
    inbox_watermark(inbox, 0, 0);
    const member_event_t one = event_of(1, name);
    assert_int_equal(inbox_take(inbox, &one), INBOX_TAKEN);
    for (uint32_t try = 1; try <= LIMIT_INBOX_TRIES; try++) {
        assert_true(inbox_next(inbox, 0, 1, &message));
        assert_false(MESSAGE_HAS(member_event, &message.items[0], is_dead));
        inbox_again(inbox, 0);
        assert_int_equal(inbox_count_try(inbox, 0), try);
    }
    inbox_give_up_first(inbox, 0);
    assert_true(inbox_next(inbox, 0, 1, &message));
    assert_true(message.items[0].is_dead);
    inbox_destroy(&inbox);
}

static void sequence_that_jumps_to_its_end_is_not_followed(void **state)
{
    (void)state;
    enum { AT = 7 };
    const uint64_t last = (UINT64_C(1) << 53) - 1;
    char name[8];
    member_events_t message;
    inbox_t *inbox = inbox_create(1);
    inbox_watermark(inbox, 0, AT);
    const member_event_t jumps[] = {event_of(last, name),
                                    event_of(AT + LIMIT_INBOX_JUMP + 1, name)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(inbox_take(inbox, &jumps[i]), INBOX_BEYOND);
        inbox_pass_gap(inbox, jumps[i].sequence);
        assert_int_equal(inbox_position(inbox), AT);
        assert_false(
            inbox_has_gap(inbox)); /* nothing is held that would be asked for again and again */
    }
    const member_event_t next = event_of(AT + 1, name);
    assert_int_equal(inbox_take(inbox, &next), INBOX_TAKEN);
    assert_true(inbox_next(inbox, 0, 1, &message));
    assert_int_equal(message.up_to, AT + 1);
    const member_event_t far = event_of(AT + 1 + LIMIT_INBOX_JUMP, name);
    inbox_pass_gap(inbox, far.sequence);
    assert_int_equal(inbox_take(inbox, &far), INBOX_TAKEN); /* what is left out may be much */
    inbox_destroy(&inbox);
    inbox = inbox_create(1);
    inbox_watermark(inbox, 0, 0);
    assert_false(inbox_reaches(inbox, last));
    assert_true(inbox_reaches(inbox, LIMIT_INBOX_FIRST)); /* a context with a past */
    inbox_destroy(&inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_is_applied_once_and_in_order_of_its_member),
        cmocka_unit_test(inbox_is_bounded_and_takes_again_when_there_is_room),
        cmocka_unit_test(gap_that_the_page_leaves_out_does_not_exist),
        cmocka_unit_test(sequence_that_jumps_to_its_end_is_not_followed),
        cmocka_unit_test(poison_goes_as_a_dead_letter_when_it_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
