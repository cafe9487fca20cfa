/* The rules of a card: decide (what a command means in a state) and evolve (what an event does to a
 * state). Pure: no I/O, no clock, no allocation, no globals. The table of state × command is
 * card_states.def; the same code later runs inside the offline scanner. */
#ifndef ACTORS_DOMAIN_CARD_H
#define ACTORS_DOMAIN_CARD_H

#include "messages/messages.h"

typedef enum card_command_kind {
    CARD_ISSUE,
    CARD_ACTIVATE,
    CARD_SUSPEND,
    CARD_REINSTATE,
    CARD_RENEW,
    CARD_REPLACE,
    CARD_REVOKE,
    CARD_EXPIRE, /* from the sweep */
    CARD_VALIDATE,
    CARD_COMMAND_COUNT,
} card_command_kind_t;

/* State: the fold of the card's events. status 0 (none): not issued. Texts are borrowed from
 * whoever holds it. holder_name is plain here and nowhere stored; the snapshot carries sealed_name
 * instead. */
typedef card_snapshot_t card_state_t;

typedef struct card_command {
    card_command_kind_t kind;
    const card_issue_t *issue;       /* ISSUE */
    text_t sealed_name;              /* ISSUE; REPLACE takes that of the state */
    const card_change_t *change;     /* ACTIVATE … REVOKE */
    const card_validate_t *validate; /* VALIDATE */
    text_t subject;                  /* of the token; empty for the sweep */
    int64_t until; /* REINSTATE: because the suspension ends by itself at this moment; 0: no */
    int64_t now_ms;
    bool by_member;         /* SUSPEND, REINSTATE, RENEW, REVOKE: because the membership was */
    uint8_t member_refusal; /* enum reason: why the member's standing forbids ISSUE, REPLACE or a
                               VALIDATE that would be valid; none: it does not */
    uuid_t new_card;        /* ISSUE: id of this card; REPLACE: id of the next one */
} card_command_t;

enum { CARD_DECISION_EVENTS_MAX = 4 };

typedef struct card_decided_event {
    uint8_t name;      /* enum event_name */
    bool of_new_card;  /* REPLACE: belongs to command.new_card, whose sequence starts at 1 */
    event_data_t data; /* texts borrowed from command and state */
} card_decided_event_t;

typedef enum card_outcome {
    CARD_ACCEPTED,
    CARD_REFUSED,       /* reason; HTTP 409. There may be an event all the same (CardExpired by the
                           clock). */
    CARD_UNKNOWN,       /* a command to a card that was never issued: 404; reason unknown_card */
    CARD_INVALID_DATES, /* 400: expires_at not after valid_from, or not in the future, or missing
                           for renew, or given where no date belongs. Never has events */
} card_outcome_t;

/* For VALIDATE the outcome is CARD_ACCEPTED whenever a card was identified, and `reason` the
 * verdict's (valid or why not). */
typedef struct card_decision {
    card_outcome_t outcome;
    uint8_t reason; /* enum reason */
    card_decided_event_t events[CARD_DECISION_EVENTS_MAX];
    uint32_t event_count;
} card_decision_t;

void card_decide(const card_state_t *state, const card_command_t *command,
                 card_decision_t *decision);

/* Applies one event. Texts of `data` are borrowed by the state: the caller keeps them alive as long
 * as it. */
void card_evolve(card_state_t *state, uint8_t event_name, const uuid_t *card, int64_t occurred_at,
                 const event_data_t *data);

/* Changes nothing of the card but its sequence: what retention may archive. */
bool card_event_is_validation(uint8_t event_name);
/* Whether the event can follow on this state and carries what it must. What is read from a store is
 * asked first (false: the store is damaged); card_evolve asserts it. */
bool card_event_fits(const card_state_t *state, uint8_t event_name, const event_data_t *data);

/* Issued, active or suspended: begun and not ended. */
bool card_is_living(uint8_t status);
/* Status at that moment: expired by the clock counts before any event says so. */
uint8_t card_status_at(const card_state_t *state, int64_t now_ms);
/* Version that goes with card_status_at: one more while the expiry is not yet recorded. */
uint64_t card_version_at(const card_state_t *state, int64_t now_ms);

/* One sentence for a person at the gate or at a desk; never empty. */
text_t card_reason_message(uint8_t reason);

/* Who may do what: the table permissions.def. */
bool permission_allows(uint8_t role, uint8_t request_type);

#endif
