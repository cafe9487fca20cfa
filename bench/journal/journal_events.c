/* Events and snapshots of cards as the rules make them, so that what a benchmark leaves behind can
 * be opened by a service and stands up to `store verify`. Everything follows from the number of the
 * card, so that a million of them need no memory. */
#include "bench/journal/journal_bench.h"

#include "actors/domain/card_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define YEAR_MS INT64_C(31536000000)
#define DAY_MS INT64_C(86400000)
#define BEGIN_MS INT64_C(1767225600000) /* 2026-01-01: every figure is the same on every day */

static uint64_t mix(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uuid_t journal_bench_card(uint32_t partition, uint64_t number)
{
    uint8_t random[10];
    const uint64_t one = mix(number * 2 + 1);
    const uint64_t two = mix(number * 2 + 2);
    memcpy(random, &one, sizeof(one));
    memcpy(random + 8, &two, 2);
    return card_id_make(BEGIN_MS + (int64_t)number, partition, random);
}

static void pack(const message_type_t *type, const void *message, uint8_t *out, text_t *body)
{
    const size_t size = message_pack(type, message, MESSAGE_KEYS_IDS, out, JOURNAL_BENCH_BODY_SIZE);
    if (size > JOURNAL_BENCH_BODY_SIZE) {
        fprintf(stderr, "digitalcard-bench: an event has %zu bytes\n", size);
        exit(BENCH_EXIT_FAILED);
    }
    *body = (text_t){(const char *)out, size};
}

typedef struct arguments {
    card_issue_t issue;
    card_change_t change;
    card_validate_t validate;
    char member[24];
} arguments_t;

/* What lists choose by is spread as in an association: half of the cards are gold, one in a
 * thousand is a founder's; their ends lie on 1,825 days from the end of the first year on. */
static text_t tier_of(uint64_t number)
{
    const uint64_t share = mix(number) % 1000;
    if (share < 500) {
        return TEXT_LITERAL("gold");
    }
    if (share < 800) {
        return TEXT_LITERAL("silver");
    }
    return share < 999 ? TEXT_LITERAL("bronze") : TEXT_LITERAL("founder");
}

static int64_t end_of(uint64_t number)
{
    return BEGIN_MS + YEAR_MS + (int64_t)(mix(number ^ 1) % 1825) * DAY_MS;
}

/* One card in twenty is suspended and reinstated in turn, where the others are validated. */
static bool is_restless(uint64_t number)
{
    return mix(number ^ 2) % 20 == 0;
}

static card_command_kind_t kind_of(uint64_t number, uint64_t sequence)
{
    if (sequence < 3) {
        return sequence == 1 ? CARD_ISSUE : CARD_ACTIVATE;
    }
    if (!is_restless(number)) {
        return CARD_VALIDATE;
    }
    return sequence % 2 == 1 ? CARD_SUSPEND : CARD_REINSTATE;
}

static card_command_t command_make(arguments_t *arguments, const uuid_t *card, uint64_t number,
                                   uint64_t sequence)
{
    snprintf(arguments->member, sizeof(arguments->member), "member-%07u", (unsigned)number);
    MESSAGE_SET(card_issue, &arguments->issue, member_id, text_from_c(arguments->member));
    MESSAGE_SET(card_issue, &arguments->issue, tier, tier_of(number));
    MESSAGE_SET(card_issue, &arguments->issue, expires_at, end_of(number));
    MESSAGE_SET(card_validate, &arguments->validate, gate, TEXT_LITERAL("north"));
    return (card_command_t){.kind = kind_of(number, sequence),
                            .issue = &arguments->issue,
                            .change = &arguments->change,
                            .validate = &arguments->validate,
                            .subject = TEXT_LITERAL("bench"),
                            .now_ms = BEGIN_MS + (int64_t)(number + sequence * 1000),
                            .new_card = *card};
}

/* The event `sequence` of the card whose state is `state`, which moves on. */
static card_decided_event_t step(card_state_t *state, arguments_t *arguments, const uuid_t *card,
                                 uint64_t number, uint64_t sequence, int64_t *now_ms)
{
    card_decision_t decision;
    const card_command_t command = command_make(arguments, card, number, sequence);
    card_decide(state, &command, &decision);
    if (decision.outcome != CARD_ACCEPTED || decision.event_count != 1) {
        fprintf(stderr, "digitalcard-bench: the rules refuse event %u of a card\n",
                (unsigned)sequence);
        exit(BENCH_EXIT_FAILED);
    }
    *now_ms = command.now_ms;
    card_evolve(state, decision.events[0].name, card, command.now_ms, &decision.events[0].data);
    return decision.events[0];
}

void journal_bench_event(uint32_t partition, uint64_t number, uint64_t sequence,
                         journal_event_t *event, journal_snapshot_t *snapshot, uint8_t *bodies)
{
    card_state_t state = {0};
    arguments_t arguments = {0};
    const uuid_t card = journal_bench_card(partition, number);
    card_decided_event_t decided = {0};
    int64_t now_ms = 0;
    /* A validation changes nothing but the number: two are as good as many. */
    const bool is_short = !is_restless(number) && sequence > 3;
    const uint64_t steps = is_short ? 3 : sequence;
    for (uint64_t i = 1; i <= steps; i++) {
        const bool is_jump = is_short && i == 3;
        if (is_jump) {
            state.card_sequence = sequence - 1;
        }
        decided = step(&state, &arguments, &card, number, is_jump ? sequence : i, &now_ms);
    }
    const uint64_t one = mix(number ^ sequence << 40 ^ (uint64_t)partition << 58);
    *event = (journal_event_t){.card = card,
                               .card_sequence = sequence,
                               .version = state.version,
                               .occurred_at = now_ms,
                               .name = decided.name};
    memcpy(event->event_id.bytes, &one, sizeof(one));
    memcpy(event->event_id.bytes + 8, card.bytes + 8, 8);
    pack(&event_data_message, &decided.data, bodies, &event->body);
    if (snapshot != NULL) {
        *snapshot = (journal_snapshot_t){.card = card,
                                         .member_id = TEXT_NONE,
                                         .tier = tier_of(number),
                                         .status = state.status,
                                         .expires_at = state.expires_at,
                                         .card_sequence = sequence};
        uint8_t *const body = bodies + JOURNAL_BENCH_BODY_SIZE;
        pack(&card_snapshot_message, &state, body, &snapshot->body);
        /* The member's name outlives this call within the body. */
        const char *const member = memmem(body, snapshot->body.size, "member-", 7);
        snapshot->member_id = (text_t){member, strlen(arguments.member)};
    }
}
