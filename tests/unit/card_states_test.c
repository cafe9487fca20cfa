/* Every cell of state × command, and again with the end of the card reached by the clock. The
 * expectations are written out here, not taken from card_states.def: the two must agree. */
#include "tests/unit/card_support.h"

#include <stdio.h>
#include <string.h>

typedef struct cell_case {
    uint8_t state;
    card_command_kind_t command;
    bool late; /* at END instead of NOW: the clock has gone on, no event has said so */
    card_outcome_t outcome;
    uint8_t reason;
    const char *events; /* in order; a leading + marks those of the new card */
    uint8_t after;      /* state of the card afterwards */
} cell_case_t;

#define ROW(state, command, outcome, reason, events, after)                                        \
    {                                                                                              \
        card_status_##state, CARD_##command, false, CARD_##outcome, reason_##reason, events,       \
            card_status_##after                                                                    \
    }
#define LATE(state, command, outcome, reason, events, after)                                       \
    {                                                                                              \
        card_status_##state, CARD_##command, true, CARD_##outcome, reason_##reason, events,        \
            card_status_##after                                                                    \
    }

static const cell_case_t cases[] = {
    ROW(none, ISSUE, ACCEPTED, none, "CardIssued", issued),
    ROW(none, ACTIVATE, UNKNOWN, unknown_card, "", none),
    ROW(none, SUSPEND, UNKNOWN, unknown_card, "", none),
    ROW(none, REINSTATE, UNKNOWN, unknown_card, "", none),
    ROW(none, RENEW, UNKNOWN, unknown_card, "", none),
    ROW(none, REPLACE, UNKNOWN, unknown_card, "", none),
    ROW(none, REVOKE, UNKNOWN, unknown_card, "", none),
    ROW(none, EXPIRE, UNKNOWN, unknown_card, "", none),
    ROW(none, VALIDATE, UNKNOWN, unknown_card, "", none),

    ROW(issued, ISSUE, REFUSED, already_issued, "", issued),
    ROW(issued, ACTIVATE, ACCEPTED, none, "CardActivated", active),
    ROW(issued, SUSPEND, ACCEPTED, none, "CardSuspended", suspended),
    ROW(issued, REINSTATE, REFUSED, not_suspended, "", issued),
    ROW(issued, RENEW, ACCEPTED, none, "CardRenewed", issued),
    ROW(issued, REPLACE, ACCEPTED, none, "CardReplaced +CardIssued", replaced),
    ROW(issued, REVOKE, ACCEPTED, none, "CardRevoked", revoked),
    ROW(issued, EXPIRE, REFUSED, not_due, "", issued),
    ROW(issued, VALIDATE, ACCEPTED, not_active, "CardValidationRefused", issued),

    ROW(active, ISSUE, REFUSED, already_issued, "", active),
    ROW(active, ACTIVATE, REFUSED, already_active, "", active),
    ROW(active, SUSPEND, ACCEPTED, none, "CardSuspended", suspended),
    ROW(active, REINSTATE, REFUSED, not_suspended, "", active),
    ROW(active, RENEW, ACCEPTED, none, "CardRenewed", active),
    ROW(active, REPLACE, ACCEPTED, none, "CardReplaced +CardIssued +CardActivated", replaced),
    ROW(active, REVOKE, ACCEPTED, none, "CardRevoked", revoked),
    ROW(active, EXPIRE, REFUSED, not_due, "", active),
    ROW(active, VALIDATE, ACCEPTED, valid, "CardValidated", active),

    ROW(suspended, ISSUE, REFUSED, already_issued, "", suspended),
    ROW(suspended, ACTIVATE, REFUSED, suspended, "", suspended),
    ROW(suspended, SUSPEND, REFUSED, suspended, "", suspended),
    ROW(suspended, REINSTATE, ACCEPTED, none, "CardReinstated", active),
    ROW(suspended, RENEW, ACCEPTED, none, "CardRenewed", suspended),
    ROW(suspended, REPLACE, REFUSED, suspended, "", suspended),
    ROW(suspended, REVOKE, ACCEPTED, none, "CardRevoked", revoked),
    ROW(suspended, EXPIRE, REFUSED, not_due, "", suspended),
    ROW(suspended, VALIDATE, ACCEPTED, suspended, "CardValidationRefused", suspended),

    ROW(revoked, ISSUE, REFUSED, already_issued, "", revoked),
    ROW(revoked, ACTIVATE, REFUSED, revoked, "", revoked),
    ROW(revoked, SUSPEND, REFUSED, revoked, "", revoked),
    ROW(revoked, REINSTATE, REFUSED, revoked, "", revoked),
    ROW(revoked, RENEW, REFUSED, revoked, "", revoked),
    ROW(revoked, REPLACE, REFUSED, revoked, "", revoked),
    ROW(revoked, REVOKE, REFUSED, revoked, "", revoked),
    ROW(revoked, EXPIRE, REFUSED, revoked, "", revoked),
    ROW(revoked, VALIDATE, ACCEPTED, revoked, "CardValidationRefused", revoked),

    ROW(expired, ISSUE, REFUSED, already_issued, "", expired),
    ROW(expired, ACTIVATE, REFUSED, expired, "", expired),
    ROW(expired, SUSPEND, REFUSED, expired, "", expired),
    ROW(expired, REINSTATE, REFUSED, expired, "", expired),
    ROW(expired, RENEW, ACCEPTED, none, "CardRenewed", active),
    ROW(expired, REPLACE, REFUSED, expired, "", expired),
    ROW(expired, REVOKE, ACCEPTED, none, "CardRevoked", revoked),
    ROW(expired, EXPIRE, REFUSED, not_due, "", expired),
    ROW(expired, VALIDATE, ACCEPTED, expired, "CardValidationRefused", expired),

    ROW(replaced, ISSUE, REFUSED, already_issued, "", replaced),
    ROW(replaced, ACTIVATE, REFUSED, replaced, "", replaced),
    ROW(replaced, SUSPEND, REFUSED, replaced, "", replaced),
    ROW(replaced, REINSTATE, REFUSED, replaced, "", replaced),
    ROW(replaced, RENEW, REFUSED, replaced, "", replaced),
    ROW(replaced, REPLACE, REFUSED, replaced, "", replaced),
    ROW(replaced, REVOKE, REFUSED, replaced, "", replaced),
    ROW(replaced, EXPIRE, REFUSED, replaced, "", replaced),
    ROW(replaced, VALIDATE, ACCEPTED, replaced, "CardValidationRefused", replaced),

    LATE(issued, ISSUE, REFUSED, already_issued, "CardExpired", expired),
    LATE(issued, ACTIVATE, REFUSED, expired, "CardExpired", expired),
    LATE(issued, SUSPEND, REFUSED, expired, "CardExpired", expired),
    LATE(issued, REINSTATE, REFUSED, expired, "CardExpired", expired),
    LATE(issued, RENEW, ACCEPTED, none, "CardExpired CardRenewed", issued),
    LATE(issued, REPLACE, REFUSED, expired, "CardExpired", expired),
    LATE(issued, REVOKE, ACCEPTED, none, "CardExpired CardRevoked", revoked),
    LATE(issued, EXPIRE, ACCEPTED, none, "CardExpired", expired),
    LATE(issued, VALIDATE, ACCEPTED, expired, "CardExpired CardValidationRefused", expired),

    LATE(active, ISSUE, REFUSED, already_issued, "CardExpired", expired),
    LATE(active, ACTIVATE, REFUSED, expired, "CardExpired", expired),
    LATE(active, SUSPEND, REFUSED, expired, "CardExpired", expired),
    LATE(active, REINSTATE, REFUSED, expired, "CardExpired", expired),
    LATE(active, RENEW, ACCEPTED, none, "CardExpired CardRenewed", active),
    LATE(active, REPLACE, REFUSED, expired, "CardExpired", expired),
    LATE(active, REVOKE, ACCEPTED, none, "CardExpired CardRevoked", revoked),
    LATE(active, EXPIRE, ACCEPTED, none, "CardExpired", expired),
    LATE(active, VALIDATE, ACCEPTED, expired, "CardExpired CardValidationRefused", expired),

    LATE(suspended, ISSUE, REFUSED, already_issued, "CardExpired", expired),
    LATE(suspended, ACTIVATE, REFUSED, expired, "CardExpired", expired),
    LATE(suspended, SUSPEND, REFUSED, expired, "CardExpired", expired),
    LATE(suspended, REINSTATE, REFUSED, expired, "CardExpired", expired),
    LATE(suspended, RENEW, ACCEPTED, none, "CardExpired CardRenewed", suspended),
    LATE(suspended, REPLACE, REFUSED, expired, "CardExpired", expired),
    LATE(suspended, REVOKE, ACCEPTED, none, "CardExpired CardRevoked", revoked),
    LATE(suspended, EXPIRE, ACCEPTED, none, "CardExpired", expired),
    LATE(suspended, VALIDATE, ACCEPTED, expired, "CardExpired CardValidationRefused", expired),
};

enum { CASE_COUNT = sizeof(cases) / sizeof(cases[0]), CELLS = 7 * 9, LATE_CELLS = 3 * 9 };
_Static_assert((int)CASE_COUNT == (int)CELLS + (int)LATE_CELLS, "every cell has its case");

static const char *const state_texts[] = {
    "none", "issued", "active", "suspended", "revoked", "expired", "replaced",
};
static const char *const command_texts[] = {
    "issue", "activate", "suspend", "reinstate", "renew", "replace", "revoke", "expire", "validate",
};

static void events_to_text(const card_decision_t *decision, char *out, size_t size)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < decision->event_count; i++) {
        const size_t used = strlen(out);
        (void)snprintf(out + used, size - used, "%s%s%s", i == 0 ? "" : " ",
                       decision->events[i].of_new_card ? "+" : "",
                       event_text(decision->events[i].name));
    }
}

static void check_cell(void **context)
{
    const cell_case_t *expected = *context;
    const int64_t now_ms = expected->late ? END : NOW;
    card_state_t state = card_in_state(expected->state);
    const card_state_t before = state;

    const card_decision_t decision = take(&state, expected->command, now_ms);

    char events[256];
    events_to_text(&decision, events, sizeof(events));
    assert_string_equal(events, expected->events);
    assert_int_equal(decision.outcome, expected->outcome);
    assert_int_equal(decision.reason, expected->reason);
    assert_int_equal(state.status, expected->after);

    uint64_t own = 0;
    uint64_t changes = 0;
    for (uint32_t i = 0; i < decision.event_count; i++) {
        const uint8_t name = decision.events[i].name;
        const bool is_validation =
            name == event_name_card_validated || name == event_name_card_validation_refused;
        own += decision.events[i].of_new_card ? 0U : 1U;
        changes += decision.events[i].of_new_card || is_validation ? 0U : 1U;
    }
    assert_int_equal(state.card_sequence, before.card_sequence + own);
    assert_int_equal(state.version, before.version + changes);
}

static void every_cell_has_exactly_one_case(void **context)
{
    (void)context;
    unsigned seen[7][9][2] = {0};
    for (size_t i = 0; i < CASE_COUNT; i++) {
        seen[cases[i].state][cases[i].command][cases[i].late ? 1 : 0]++;
    }
    for (size_t state = 0; state < 7; state++) {
        const bool can_expire = state >= card_status_issued && state <= card_status_suspended;
        for (size_t command = 0; command < 9; command++) {
            assert_int_equal(seen[state][command][0], 1);
            assert_int_equal(seen[state][command][1], can_expire ? 1 : 0);
        }
    }
}

int main(void)
{
    char names[CASE_COUNT][64];
    struct CMUnitTest tests[CASE_COUNT + 1];
    for (size_t i = 0; i < CASE_COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "card_%s%s_on_%s", state_texts[cases[i].state],
                       cases[i].late ? "_past_its_end" : "", command_texts[cases[i].command]);
        tests[i] =
            (struct CMUnitTest){names[i], check_cell, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    }
    tests[CASE_COUNT] = (struct CMUnitTest)cmocka_unit_test(every_cell_has_exactly_one_case);
    return cmocka_run_group_tests_name("card_states", tests, NULL, NULL);
}
