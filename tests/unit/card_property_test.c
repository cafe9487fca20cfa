/* Random sequences of commands under a clock that also goes back. The seed is printed; a failure
 * repeats with CARD_PROPERTY_SEED=number. */
#include "tests/unit/card_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEQUENCES = 4000, COMMANDS = 60, EVENTS_MAX = 4 * COMMANDS };

typedef struct recorded_event {
    uint8_t name;
    int64_t occurred_at;
    event_data_t data;
} recorded_event_t;

typedef struct run {
    uint64_t random;
    int64_t now_ms;
    card_state_t state;
    recorded_event_t events[EVENTS_MAX];
    size_t event_count;
    bool has_ended; /* revoked or replaced */
} run_t;

/* splitmix64 */
static uint64_t next_random(run_t *run)
{
    run->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word = run->random;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static int64_t random_between(run_t *run, int64_t low, int64_t high)
{
    return low + (int64_t)(next_random(run) % (uint64_t)(high - low + 1));
}

static void move_clock(run_t *run)
{
    const bool goes_back = next_random(run) % 5 == 0;
    run->now_ms += goes_back ? -random_between(run, 0, 5000) : random_between(run, 0, 2000);
}

static card_command_t random_command(run_t *run, commands_t *commands)
{
    card_command_kind_t kind = (card_command_kind_t)(next_random(run) % CARD_COMMAND_COUNT);
    const bool would_end = kind == CARD_REVOKE || kind == CARD_REPLACE;
    if (would_end && next_random(run) % 6 != 0) {
        kind = CARD_RENEW; /* or most sequences would be over before anything has happened */
    }
    card_command_t command = command_make(commands, kind, run->now_ms);
    commands->issue.valid_from = run->now_ms + random_between(run, -2000, 4000);
    commands->issue.expires_at = run->now_ms + random_between(run, -500, 20000);
    MESSAGE_SET(card_issue, &commands->issue, activate, next_random(run) % 2 == 0);
    if (kind == CARD_RENEW || (kind == CARD_REPLACE && next_random(run) % 2 == 0)) {
        MESSAGE_SET(card_change, &commands->change, expires_at,
                    run->now_ms + random_between(run, -500, 20000));
    }
    if (next_random(run) % 8 == 0) {
        commands->change.present = next_random(run); /* fields that do not belong there */
    }
    return command;
}

static void record(run_t *run, const card_decided_event_t *event)
{
    assert_true(run->event_count < EVENTS_MAX);
    run->events[run->event_count++] = (recorded_event_t){event->name, run->now_ms, event->data};
}

/* What must be true of one decision and the state after it. */
static void check_step(run_t *run, const card_command_t *command, const card_decision_t *decision,
                       const card_state_t *before)
{
    const card_state_t *after = &run->state;
    const bool is_valid = command->kind == CARD_VALIDATE && decision->reason == reason_valid;
    if (is_valid) {
        assert_int_equal(before->status, card_status_active);
        assert_true(run->now_ms >= before->valid_from);
        assert_true(run->now_ms < before->expires_at);
    }
    if (run->has_ended) {
        assert_false(is_valid);
        assert_int_equal(after->status, before->status);
        assert_int_equal(after->version, before->version);
    }
    if (decision->outcome == CARD_INVALID_DATES || decision->outcome == CARD_UNKNOWN) {
        assert_int_equal(decision->event_count, 0);
    }
    assert_true(after->version >= before->version);
    assert_true(after->version <= after->card_sequence);
    assert_int_equal(after->card_sequence, run->event_count);
    if (after->status != card_status_none) {
        assert_true(after->expires_at > after->valid_from);
        assert_true(after->expires_at >= before->expires_at);
    }
    if (before->status == card_status_suspended || before->is_suspended) {
        assert_true(after->is_suspended || command->kind == CARD_REINSTATE);
    }
    if (decision->outcome == CARD_ACCEPTED) {
        assert_int_equal(card_status_at(before, run->now_ms) != before->status,
                         card_version_at(before, run->now_ms) != before->version);
    }
}

static void step(run_t *run)
{
    commands_t commands;
    move_clock(run);
    const card_command_t command = random_command(run, &commands);
    const card_state_t before = run->state;
    card_decision_t decision;
    card_decide(&run->state, &command, &decision);
    card_decision_t again;
    card_decide(&run->state, &command, &again);
    assert_int_equal(decision.event_count, again.event_count);
    assert_int_equal(decision.reason, again.reason);

    uint64_t sequence = before.card_sequence;
    for (uint32_t i = 0; i < decision.event_count; i++) {
        const card_decided_event_t *event = &decision.events[i];
        if (event->of_new_card) {
            continue;
        }
        assert_true(card_event_fits(&run->state, event->name, &event->data));
        card_evolve(&run->state, event->name, &card_a, run->now_ms, &event->data);
        sequence++;
        assert_int_equal(run->state.card_sequence, sequence);
        record(run, event);
    }
    check_step(run, &command, &decision, &before);
    run->has_ended =
        run->state.status == card_status_revoked || run->state.status == card_status_replaced;
}

static void check_fold(const run_t *run)
{
    card_state_t folded = {0};
    for (size_t i = 0; i < run->event_count; i++) {
        const recorded_event_t *event = &run->events[i];
        card_evolve(&folded, event->name, &card_a, event->occurred_at, &event->data);
    }
    assert_memory_equal(&folded, &run->state, sizeof(folded));
}

/* The same by way of the journal: every event packed, read back and folded gives the same snapshot.
 */
static void check_fold_of_stored_events(const run_t *run)
{
    static uint8_t memory[65536];
    uint8_t stored[1024];
    uint8_t expected[1024];
    arena_t arena = {memory, sizeof(memory), 0};
    card_state_t folded = {0};
    for (size_t i = 0; i < run->event_count; i++) {
        event_data_t data;
        message_fault_t fault;
        size_t size = message_pack(&event_data_message, &run->events[i].data, MESSAGE_KEYS_IDS,
                                   stored, sizeof(stored));
        assert_true(size <= sizeof(stored));
        /* What is unpacked borrows its bytes, and the state borrows from that. */
        uint8_t *kept = arena_take(&arena, size);
        assert_non_null(kept);
        memcpy(kept, stored, size);
        assert_true(message_unpack(&event_data_message, MESSAGE_KEYS_IDS, kept, size, &arena, &data,
                                   &fault));
        card_evolve(&folded, run->events[i].name, &card_a, run->events[i].occurred_at, &data);
    }
    const size_t size =
        message_pack(&card_snapshot_message, &folded, MESSAGE_KEYS_IDS, stored, sizeof(stored));
    assert_true(size <= sizeof(stored));
    assert_int_equal(message_pack(&card_snapshot_message, &run->state, MESSAGE_KEYS_IDS, expected,
                                  sizeof(expected)),
                     size);
    assert_memory_equal(stored, expected, size);
}

static uint64_t seed_of_this_run(void)
{
    const char *given = getenv("CARD_PROPERTY_SEED");
    if (given != NULL) {
        return strtoull(given, NULL, 10);
    }
    return (uint64_t)time(NULL);
}

static void card_keeps_its_promises_under_random_commands(void **context)
{
    (void)context;
    static run_t run;
    const uint64_t seed = seed_of_this_run();
    uint64_t statuses[card_status_replaced + 1] = {0};
    print_message("CARD_PROPERTY_SEED=%llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < SEQUENCES; i++) {
        memset(&run, 0, sizeof(run));
        run.random = seed * 1000003U + i;
        run.now_ms = START;
        for (size_t k = 0; k < COMMANDS; k++) {
            step(&run);
        }
        check_fold(&run);
        if (run.event_count > 0) {
            check_fold_of_stored_events(&run);
        }
        statuses[run.state.status]++;
    }
    /* The sequences must reach what they are to examine. */
    assert_true(statuses[card_status_revoked] > SEQUENCES / 100);
    assert_true(statuses[card_status_replaced] > SEQUENCES / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_keeps_its_promises_under_random_commands),
    };
    return cmocka_run_group_tests_name("card_property", tests, NULL, NULL);
}
