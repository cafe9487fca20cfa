/* What a command means for a card in its state: looks up card_states.def and makes the events of
 * the cell. Reads no clock and changes no state; card_evolve.c does the latter. */
#include "actors/domain/card.h"

#include <assert.h>

typedef enum card_action {
    ACTION_MISSING, /* no line in the table: a bug that the assert below rules out */
    ACTION_ISSUE,
    ACTION_ACTIVATE,
    ACTION_SUSPEND,
    ACTION_REINSTATE,
    ACTION_RENEW,
    ACTION_REPLACE,
    ACTION_REVOKE,
    ACTION_EXPIRE,
    ACTION_ADMIT,
    ACTION_REFUSE_SCAN,
    ACTION_REFUSE,
    ACTION_LIFT,
    ACTION_UNKNOWN,
} card_action_t;

typedef struct card_cell {
    uint8_t action; /* card_action_t */
    uint8_t reason; /* enum reason, of the refusals */
} card_cell_t;

enum { STATE_COUNT = 7 };

static const card_cell_t cells[STATE_COUNT][CARD_COMMAND_COUNT] = {
#define CELL(state, command, action, reason, why)                                                  \
    [card_status_##state][CARD_##command] = {ACTION_##action, reason_##reason},
#include "actors/domain/card_states.def"
#undef CELL
};

/* As many lines as cells; that none is given twice is a compiler warning (override-init). */
enum {
    CELL_LINES = 0
#define CELL(state, command, action, reason, why) +1
#include "actors/domain/card_states.def"
#undef CELL
};
_Static_assert((int)CELL_LINES == (int)STATE_COUNT * (int)CARD_COMMAND_COUNT,
               "every state × command needs its line in card_states.def");

bool card_is_living(uint8_t status)
{
    return status == card_status_issued || status == card_status_active ||
           status == card_status_suspended;
}

static bool expiry_is_unrecorded(const card_state_t *state, int64_t now_ms)
{
    return card_is_living(state->status) && now_ms >= state->expires_at;
}

uint8_t card_status_at(const card_state_t *state, int64_t now_ms)
{
    return expiry_is_unrecorded(state, now_ms) ? (uint8_t)card_status_expired : state->status;
}

uint64_t card_version_at(const card_state_t *state, int64_t now_ms)
{
    return state->version + (expiry_is_unrecorded(state, now_ms) ? 1U : 0U);
}

static event_data_t *append_event(card_decision_t *decision, uint8_t name)
{
    assert(decision->event_count < CARD_DECISION_EVENTS_MAX);
    card_decided_event_t *event = &decision->events[decision->event_count];
    decision->event_count++;
    *event = (card_decided_event_t){.name = name};
    return &event->data;
}

static void set_subject(const card_command_t *command, event_data_t *data)
{
    if (!text_is_empty(command->subject)) {
        MESSAGE_SET(event_data, data, subject, command->subject);
    }
}

/* A lifecycle event says who did it and why. */
static event_data_t *append_change(const card_command_t *command, card_decision_t *decision,
                                   uint8_t name)
{
    event_data_t *data = append_event(decision, name);
    set_subject(command, data);
    if (command->change != NULL && MESSAGE_HAS(card_change, command->change, reason)) {
        MESSAGE_SET(event_data, data, reason, command->change->reason);
    }
    if (command->by_member) {
        MESSAGE_SET(event_data, data, by_member, true);
    }
    return data;
}

static void refuse(card_decision_t *decision, uint8_t reason)
{
    decision->outcome = CARD_REFUSED;
    decision->reason = reason;
}

/* Input that cannot be used changes nothing, so an expiry noticed on the way is left to the next
 * command or the sweep. */
static void refuse_dates(card_decision_t *decision)
{
    decision->outcome = CARD_INVALID_DATES;
    decision->event_count = 0;
}

static void decide_issue(const card_command_t *command, card_decision_t *decision)
{
    const card_issue_t *issue = command->issue;
    assert(issue != NULL);
    const int64_t valid_from =
        MESSAGE_HAS(card_issue, issue, valid_from) ? issue->valid_from : command->now_ms;
    if (issue->expires_at <= valid_from || issue->expires_at <= command->now_ms) {
        refuse_dates(decision);
        return;
    }
    event_data_t *data = append_event(decision, event_name_card_issued);
    set_subject(command, data);
    MESSAGE_SET(event_data, data, member_id, issue->member_id);
    MESSAGE_SET(event_data, data, valid_from, valid_from);
    MESSAGE_SET(event_data, data, expires_at, issue->expires_at);
    if (MESSAGE_HAS(card_issue, issue, tier)) {
        MESSAGE_SET(event_data, data, tier, issue->tier);
    }
    if (!text_is_empty(command->sealed_name)) {
        MESSAGE_SET(event_data, data, sealed_name, command->sealed_name);
    }
    if (MESSAGE_HAS(card_issue, issue, activate) && issue->activate) {
        set_subject(command, append_event(decision, event_name_card_activated));
    }
}

/* Activate, suspend, reinstate, revoke: one event and no dates, so a date given is a mistake. */
static void decide_plain_change(const card_command_t *command, card_decision_t *decision,
                                uint8_t name)
{
    if (command->change != NULL && MESSAGE_HAS(card_change, command->change, expires_at)) {
        refuse_dates(decision);
        return;
    }
    (void)append_change(command, decision, name);
}

/* For a time, if the command says until when: the event carries it. */
static void decide_suspend(const card_command_t *command, card_decision_t *decision)
{
    const card_change_t *const change = command->change;
    const bool has_end = change != NULL && MESSAGE_HAS(card_change, change, until);
    if (has_end && change->until <= command->now_ms) {
        refuse_dates(decision);
        return;
    }
    decide_plain_change(command, decision, event_name_card_suspended);
    if (has_end && decision->event_count > 0) {
        event_data_t *const data = &decision->events[decision->event_count - 1].data;
        MESSAGE_SET(event_data, data, until, change->until);
    }
}

/* The membership context reinstates exactly those cards that it suspended. */
static void decide_reinstate(const card_state_t *state, const card_command_t *command,
                             card_decision_t *decision)
{
    if (command->by_member && !MESSAGE_HAS(card_snapshot, state, by_member)) {
        refuse(decision, reason_not_suspended);
        return;
    }
    decide_plain_change(command, decision, event_name_card_reinstated);
    if (command->until != 0 && decision->event_count > 0) {
        event_data_t *const data = &decision->events[decision->event_count - 1].data;
        MESSAGE_SET(event_data, data, until, command->until);
    }
}

/* What the membership context suspended, and nothing else: a card that is renewed afterwards must
 * not stay closed for a suspension that is over. */
static void decide_lift(const card_state_t *state, const card_command_t *command, uint8_t reason,
                        card_decision_t *decision)
{
    if (!command->by_member || !state->is_suspended ||
        !MESSAGE_HAS(card_snapshot, state, by_member)) {
        refuse(decision, reason);
        return;
    }
    decide_plain_change(command, decision, event_name_card_reinstated);
}

/* A card in good order of a member who is not. */
static uint8_t admit(const card_state_t *state, const card_command_t *command)
{
    if (command->now_ms < state->valid_from) {
        return reason_not_yet_valid;
    }
    return command->member_refusal != reason_none ? command->member_refusal : (uint8_t)reason_valid;
}

static void decide_renew(const card_state_t *state, const card_command_t *command,
                         card_decision_t *decision)
{
    const card_change_t *change = command->change;
    assert(change != NULL);
    if (!MESSAGE_HAS(card_change, change, expires_at) || change->expires_at <= state->valid_from ||
        change->expires_at <= command->now_ms) {
        refuse_dates(decision);
        return;
    }
    if (change->expires_at <= state->expires_at) {
        refuse(decision, reason_not_extended);
        return;
    }
    event_data_t *data = append_change(command, decision, event_name_card_renewed);
    MESSAGE_SET(event_data, data, expires_at, change->expires_at);
}

/* The new card is the old one with another id: same member, name, tier and start. */
static void decide_replace(const card_state_t *state, const card_command_t *command,
                           card_decision_t *decision)
{
    const card_change_t *change = command->change;
    assert(change != NULL);
    int64_t expires_at = state->expires_at;
    if (MESSAGE_HAS(card_change, change, expires_at)) {
        expires_at = change->expires_at;
    }
    if (expires_at <= state->valid_from || expires_at <= command->now_ms) {
        refuse_dates(decision);
        return;
    }
    event_data_t *old = append_change(command, decision, event_name_card_replaced);
    MESSAGE_SET(event_data, old, replaced_by, command->new_card);

    event_data_t *issued = append_change(command, decision, event_name_card_issued);
    decision->events[decision->event_count - 1].of_new_card = true;
    MESSAGE_SET(event_data, issued, member_id, state->member_id);
    MESSAGE_SET(event_data, issued, valid_from, state->valid_from);
    MESSAGE_SET(event_data, issued, expires_at, expires_at);
    MESSAGE_SET(event_data, issued, replaces, state->id);
    if (MESSAGE_HAS(card_snapshot, state, tier)) {
        MESSAGE_SET(event_data, issued, tier, state->tier);
    }
    if (MESSAGE_HAS(card_snapshot, state, sealed_name)) {
        MESSAGE_SET(event_data, issued, sealed_name, state->sealed_name);
    }
    if (state->was_activated) {
        (void)append_change(command, decision, event_name_card_activated);
        decision->events[decision->event_count - 1].of_new_card = true;
    }
}

static void decide_expire(const card_state_t *state, const card_command_t *command,
                          card_decision_t *decision)
{
    if (command->now_ms < state->expires_at) {
        refuse(decision, reason_not_due);
        return;
    }
    set_subject(command, append_event(decision, event_name_card_expired));
}

static void decide_validation(const card_command_t *command, card_decision_t *decision,
                              uint8_t reason)
{
    const card_validate_t *validate = command->validate;
    assert(validate != NULL);
    const bool valid = reason == reason_valid;
    event_data_t *data = append_event(decision, valid ? event_name_card_validated
                                                      : event_name_card_validation_refused);
    decision->reason = reason;
    MESSAGE_SET(event_data, data, gate, validate->gate);
    if (MESSAGE_HAS(card_validate, validate, zone)) {
        MESSAGE_SET(event_data, data, zone, validate->zone);
    }
    if (MESSAGE_HAS(card_validate, validate, direction)) {
        MESSAGE_SET(event_data, data, direction, validate->direction);
    }
    if (MESSAGE_HAS(card_validate, validate, at)) {
        MESSAGE_SET(event_data, data, at, validate->at);
    }
    if (MESSAGE_HAS(card_validate, validate, location)) {
        MESSAGE_SET(event_data, data, location, validate->location);
    }
    if (!valid) {
        MESSAGE_SET(event_data, data, refused_as, reason);
    }
    set_subject(command, data);
}

static void decide_cell(const card_state_t *state, const card_command_t *command, card_cell_t cell,
                        card_decision_t *decision)
{
    switch ((card_action_t)cell.action) {
    case ACTION_ISSUE:
        if (command->member_refusal != reason_none) {
            refuse(decision, command->member_refusal);
            break;
        }
        decide_issue(command, decision);
        break;
    case ACTION_ACTIVATE:
        decide_plain_change(command, decision, event_name_card_activated);
        break;
    case ACTION_SUSPEND:
        decide_suspend(command, decision);
        break;
    case ACTION_REINSTATE:
        decide_reinstate(state, command, decision);
        break;
    case ACTION_RENEW:
        decide_renew(state, command, decision);
        break;
    case ACTION_REPLACE: /* a fresh card must not outlive the membership */
        if (command->member_refusal != reason_none) {
            refuse(decision, command->member_refusal);
            break;
        }
        decide_replace(state, command, decision);
        break;
    case ACTION_REVOKE:
        decide_plain_change(command, decision, event_name_card_revoked);
        break;
    case ACTION_EXPIRE:
        decide_expire(state, command, decision);
        break;
    case ACTION_ADMIT:
        decide_validation(command, decision, admit(state, command));
        break;
    case ACTION_REFUSE_SCAN:
        decide_validation(command, decision, cell.reason);
        break;
    case ACTION_REFUSE:
        refuse(decision, cell.reason);
        break;
    case ACTION_LIFT:
        decide_lift(state, command, cell.reason, decision);
        break;
    case ACTION_UNKNOWN:
        decision->outcome = CARD_UNKNOWN;
        decision->reason = reason_unknown_card;
        break;
    case ACTION_MISSING:
        assert(cell.action != ACTION_MISSING);
        break;
    }
}

void card_decide(const card_state_t *state, const card_command_t *command,
                 card_decision_t *decision)
{
    assert(state->status < STATE_COUNT);
    assert((unsigned)command->kind < CARD_COMMAND_COUNT);
    decision->outcome = CARD_ACCEPTED;
    decision->reason = reason_none;
    decision->event_count = 0;

    uint8_t status = state->status;
    if (command->kind != CARD_EXPIRE && expiry_is_unrecorded(state, command->now_ms)) {
        /* The clock did it, not the subject of this command: the event names nobody. */
        (void)append_event(decision, event_name_card_expired);
        status = card_status_expired;
    }
    decide_cell(state, command, cells[status][command->kind], decision);
}
