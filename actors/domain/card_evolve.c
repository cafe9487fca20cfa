/* What an event does to the state of a card. The fold of a card's events, and nothing else, is its
 * state; no rule is checked here a second time, only that the event can follow at all. */
#include "actors/domain/card.h"

#include <assert.h>

bool card_event_is_validation(uint8_t event_name)
{
    return event_name == event_name_card_validated ||
           event_name == event_name_card_validation_refused;
}

bool card_event_fits(const card_state_t *state, uint8_t event_name, const event_data_t *data)
{
    const bool is_final =
        state->status == card_status_revoked || state->status == card_status_replaced;
    const bool is_issued = state->status != card_status_none;
    switch (event_name) {
    case event_name_card_issued:
        return !is_issued && MESSAGE_HAS(event_data, data, member_id) &&
               MESSAGE_HAS(event_data, data, valid_from) &&
               MESSAGE_HAS(event_data, data, expires_at);
    case event_name_card_activated:
    case event_name_card_suspended:
    case event_name_card_reinstated:
    case event_name_card_revoked:
    case event_name_card_expired:
        return is_issued && !is_final;
    case event_name_card_renewed:
        return is_issued && !is_final && MESSAGE_HAS(event_data, data, expires_at);
    case event_name_card_replaced:
        return is_issued && !is_final && MESSAGE_HAS(event_data, data, replaced_by);
    case event_name_card_validated:
    case event_name_card_validation_refused:
        return is_issued;
    default:
        return false;
    }
}

/* Where a card stands that has not ended: what renewing and reinstating lead back to. */
static uint8_t status_of_live_card(const card_state_t *state)
{
    if (state->is_suspended) {
        return card_status_suspended;
    }
    return state->was_activated ? card_status_active : card_status_issued;
}

static void evolve_issued(card_state_t *state, const uuid_t *card, int64_t occurred_at,
                          const event_data_t *data)
{
    *state = (card_state_t){0};
    MESSAGE_SET(card_snapshot, state, id, *card);
    MESSAGE_SET(card_snapshot, state, member_id, data->member_id);
    MESSAGE_SET(card_snapshot, state, valid_from, data->valid_from);
    MESSAGE_SET(card_snapshot, state, expires_at, data->expires_at);
    MESSAGE_SET(card_snapshot, state, issued_at, occurred_at);
    MESSAGE_SET(card_snapshot, state, was_activated, false);
    MESSAGE_SET(card_snapshot, state, is_suspended, false);
    MESSAGE_SET(card_snapshot, state, status, card_status_issued);
    MESSAGE_SET(card_snapshot, state, version, 0);
    MESSAGE_SET(card_snapshot, state, card_sequence, 0);
    if (MESSAGE_HAS(event_data, data, tier)) {
        MESSAGE_SET(card_snapshot, state, tier, data->tier);
    }
    if (MESSAGE_HAS(event_data, data, sealed_name)) {
        MESSAGE_SET(card_snapshot, state, sealed_name, data->sealed_name);
    }
    if (MESSAGE_HAS(event_data, data, replaces)) {
        MESSAGE_SET(card_snapshot, state, replaces, data->replaces);
    }
}

/* Only its presence counts: whose doing the last suspension or revocation was. */
static void note_member(card_state_t *state, const event_data_t *data)
{
    if (MESSAGE_HAS(event_data, data, by_member) && data->by_member) {
        MESSAGE_SET(card_snapshot, state, by_member, true);
    } else {
        MESSAGE_CLEAR(card_snapshot, state, by_member);
        state->by_member = false;
    }
}

void card_evolve(card_state_t *state, uint8_t event_name, const uuid_t *card, int64_t occurred_at,
                 const event_data_t *data)
{
    assert(card_event_fits(state, event_name, data));
    switch (event_name) {
    case event_name_card_issued:
        evolve_issued(state, card, occurred_at, data);
        break;
    case event_name_card_activated:
        state->was_activated = true;
        state->status = status_of_live_card(state);
        break;
    case event_name_card_suspended:
        note_member(state, data);
        state->is_suspended = true;
        state->status = card_status_suspended;
        break;
    case event_name_card_reinstated:
        MESSAGE_CLEAR(card_snapshot, state, by_member);
        state->by_member = false;
        state->is_suspended = false;
        if (state->status != card_status_expired) { /* else a renewal shows it */
            state->status = status_of_live_card(state);
        }
        break;
    case event_name_card_renewed:
        state->expires_at = data->expires_at;
        state->status = status_of_live_card(state);
        break;
    case event_name_card_replaced:
        state->status = card_status_replaced;
        MESSAGE_SET(card_snapshot, state, replaced_by, data->replaced_by);
        break;
    case event_name_card_revoked:
        note_member(state, data);
        state->status = card_status_revoked;
        break;
    case event_name_card_expired:
        state->status = card_status_expired;
        break;
    default: /* validations change nothing but the sequence */
        state->card_sequence++;
        return;
    }
    state->card_sequence++;
    state->version++;
}
