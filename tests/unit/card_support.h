/* Commands, a card that takes them, and names, for the tests of the card's rules. Uses decide and
 * evolve only, and knows nothing of their table. */
#ifndef TESTS_UNIT_CARD_SUPPORT_H
#define TESTS_UNIT_CARD_SUPPORT_H

#include "actors/domain/card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The card of these tests is valid from START to END, and most things happen at NOW. */
#define START INT64_C(1700000000000)
#define NOW (START + 1000)
#define END (START + 100000)
#define LATER (END + 50000)

static const uuid_t card_a = {
    {0x01, 0x99, 0xe0, 0xa4, 0x7c, 0, 0x70, 1, 0x80, 0, 0, 0, 0, 0, 0, 1}};
static const uuid_t card_b = {
    {0x01, 0x99, 0xe0, 0xa4, 0x7c, 0, 0x70, 1, 0x80, 0, 0, 0, 0, 0, 0, 2}};

typedef struct commands {
    card_issue_t issue;
    card_change_t change;
    card_validate_t validate;
} commands_t;

static inline card_command_t command_make(commands_t *commands, card_command_kind_t kind,
                                          int64_t now_ms)
{
    *commands = (commands_t){0};
    MESSAGE_SET(card_issue, &commands->issue, member_id, TEXT_LITERAL("member-1"));
    MESSAGE_SET(card_issue, &commands->issue, tier, TEXT_LITERAL("gold"));
    MESSAGE_SET(card_issue, &commands->issue, valid_from, START);
    MESSAGE_SET(card_issue, &commands->issue, expires_at, END);
    MESSAGE_SET(card_change, &commands->change, id, card_a);
    MESSAGE_SET(card_change, &commands->change, reason, TEXT_LITERAL("because"));
    if (kind == CARD_RENEW) {
        MESSAGE_SET(card_change, &commands->change, expires_at, LATER);
    }
    MESSAGE_SET(card_validate, &commands->validate, id, card_a);
    MESSAGE_SET(card_validate, &commands->validate, gate, TEXT_LITERAL("north"));
    return (card_command_t){
        .kind = kind,
        .issue = &commands->issue,
        .sealed_name = TEXT_LITERAL("sealed"),
        .change = kind == CARD_EXPIRE || kind == CARD_VALIDATE ? NULL : &commands->change,
        .validate = &commands->validate,
        .subject = TEXT_LITERAL("desk-7"),
        .now_ms = now_ms,
        .new_card = kind == CARD_ISSUE ? card_a : card_b,
    };
}

/* Applies the events of a decision that are of the card itself. */
static inline void apply(card_state_t *state, const card_decision_t *decision, int64_t now_ms)
{
    for (uint32_t i = 0; i < decision->event_count; i++) {
        const card_decided_event_t *event = &decision->events[i];
        if (!event->of_new_card) {
            assert_true(card_event_fits(state, event->name, &event->data));
            card_evolve(state, event->name, &card_a, now_ms, &event->data);
        }
    }
}

/* The texts of events live as long as literals here, so states may borrow them. */
static inline card_decision_t take(card_state_t *state, card_command_kind_t kind, int64_t now_ms)
{
    commands_t commands;
    const card_command_t command = command_make(&commands, kind, now_ms);
    card_decision_t decision;
    card_decide(state, &command, &decision);
    apply(state, &decision, now_ms);
    return decision;
}

/* A card that came to its state the short way: issue, activate, then whatever ends there. */
static inline card_state_t card_in_state(uint8_t status)
{
    card_state_t state = {0};
    if (status == card_status_none) {
        return state;
    }
    (void)take(&state, CARD_ISSUE, NOW);
    if (status == card_status_issued) {
        return state;
    }
    (void)take(&state, CARD_ACTIVATE, NOW);
    switch (status) {
    case card_status_suspended:
        (void)take(&state, CARD_SUSPEND, NOW);
        break;
    case card_status_revoked:
        (void)take(&state, CARD_REVOKE, NOW);
        break;
    case card_status_expired:
        (void)take(&state, CARD_EXPIRE, END);
        break;
    case card_status_replaced:
        (void)take(&state, CARD_REPLACE, NOW);
        break;
    default:
        break;
    }
    assert_int_equal(state.status, status);
    return state;
}

static inline bool uuid_same(const uuid_t *a, const uuid_t *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline const char *event_text(uint8_t name)
{
    static const char *const names[] = {
        "",
        "CardIssued",
        "CardActivated",
        "CardSuspended",
        "CardReinstated",
        "CardRenewed",
        "CardReplaced",
        "CardRevoked",
        "CardExpired",
        "CardValidated",
        "CardValidationRefused",
    };
    assert_in_range(name, 1, sizeof(names) / sizeof(names[0]) - 1);
    return names[name];
}

#endif
