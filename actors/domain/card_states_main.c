/* Prints docs/card-states.md from card_states.def: the matrix, then each cell with its reason. A
 * program of the build, no part of the service. */
#include "actors/domain/card.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_ISSUE "CardIssued"
#define ANSWER_ACTIVATE "CardActivated"
#define ANSWER_SUSPEND "CardSuspended"
#define ANSWER_REINSTATE "CardReinstated"
#define ANSWER_RENEW "CardRenewed"
#define ANSWER_REPLACE "CardReplaced"
#define ANSWER_REVOKE "CardRevoked"
#define ANSWER_EXPIRE "CardExpired if due, else `not_due`"
#define ANSWER_ADMIT "**valid**, or `not_yet_valid`"

typedef struct cell {
    const char *answer; /* what happens; NULL: refused with `reason` */
    const char *reason;
    const char *why;
} cell_t;

enum { STATE_COUNT = 7 };

static const char *const state_names[STATE_COUNT] = {
    "none", "issued", "active", "suspended", "revoked", "expired", "replaced",
};
static const char *const command_names[CARD_COMMAND_COUNT] = {
    "issue", "activate", "suspend", "reinstate", "renew", "replace", "revoke", "expire", "validate",
};

#define ANSWER_REFUSE NULL
#define ANSWER_REFUSE_SCAN NULL
#define ANSWER_LIFT NULL
#define ANSWER_UNKNOWN "`unknown_card`"

static const cell_t cells[STATE_COUNT][CARD_COMMAND_COUNT] = {
#define CELL(state, command, action, reason, why)                                                  \
    [card_status_##state][CARD_##command] = {ANSWER_##action, #reason, why},
#include "actors/domain/card_states.def"
#undef CELL
};

static void print_answer(const cell_t *cell)
{
    if (cell->answer == NULL) {
        printf("`%s`", cell->reason);
    } else {
        fputs(cell->answer, stdout);
    }
}

static void print_matrix(void)
{
    fputs("| state |", stdout);
    for (size_t command = 0; command < CARD_COMMAND_COUNT; command++) {
        printf(" %s |", command_names[command]);
    }
    fputs("\n|---|", stdout);
    for (size_t command = 0; command < CARD_COMMAND_COUNT; command++) {
        fputs("---|", stdout);
    }
    for (size_t state = 0; state < STATE_COUNT; state++) {
        printf("\n| **%s** |", state_names[state]);
        for (size_t command = 0; command < CARD_COMMAND_COUNT; command++) {
            fputs(" ", stdout);
            print_answer(&cells[state][command]);
            fputs(" |", stdout);
        }
    }
    fputs("\n", stdout);
}

static void print_state(size_t state)
{
    printf("\n## %s\n\n| command | answer | why |\n|---|---|---|\n", state_names[state]);
    for (size_t command = 0; command < CARD_COMMAND_COUNT; command++) {
        printf("| %s | ", command_names[command]);
        print_answer(&cells[state][command]);
        printf(" | %s |\n", cells[state][command].why);
    }
}

int main(void)
{
    fputs(
        "# States of a card\n\n"
        "Made from `actors/domain/card_states.def` by `digitalcard_card_states`; change it there.\n"
        "\n"
        "A card in state `none` was never issued. A word in `code style` is a reason: for "
        "`validate` "
        "that of a refused\nverdict (HTTP 200, and an event CardValidationRefused), for the others "
        "the `code` of a 409; `unknown_card` is the\n404 `card_not_found`, and for `validate` a "
        "verdict without an event. Everything else is the event that happens.\n\n"
        "Three rules stand beside the table:\n\n"
        "- **The clock.** From `expires_at` on, an issued, active or suspended card first records "
        "CardExpired and then answers\n  from the row `expired`, refusals included. A clock that "
        "goes back later does not undo it.\n"
        "- **Dates.** `issue` needs `expires_at` after `valid_from` (now, when absent) and after "
        "now. `renew` needs an\n  `expires_at` after now and after `valid_from` (else 400 "
        "`invalid_dates`), and later than the present one (else\n  `not_extended`). `replace` "
        "may bring one, under the rules of `issue`. A date anywhere else is 400. A 400 changes\n"
        "  nothing.\n"
        "- **Replacing** gives CardReplaced on the old card and, on the new one, CardIssued with "
        "the same member, name,\n  tier and start, and CardActivated if the old one had been "
        "activated.\n\n",
        stdout);
    print_matrix();
    for (size_t state = 0; state < STATE_COUNT; state++) {
        print_state(state);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
