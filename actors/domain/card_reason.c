/* One sentence per reason, for the guard at the gate and the person at the desk. Never holds
 * anything of the card: what a sentence says may be shown to whoever holds the card. */
#include "actors/domain/card.h"

enum { REASON_COUNT = reason_unknown_member + 1 };

static const text_t messages[REASON_COUNT] = {
    [reason_valid] = TEXT_LITERAL("The card is valid."),
    [reason_unknown_card] = TEXT_LITERAL("There is no such card here."),
    [reason_bad_signature] =
        TEXT_LITERAL("This code was not made by this organisation, was damaged, "
                     "or belongs to another card. Please scan again."),
    [reason_wrong_tenant] = TEXT_LITERAL("This card was issued by another organisation."),
    [reason_key_retired] = TEXT_LITERAL("This code was signed with a key that is no longer in use. "
                                        "The holder can load the current code of the card."),
    [reason_not_active] = TEXT_LITERAL("The card has been issued but not activated yet."),
    [reason_not_yet_valid] = TEXT_LITERAL("The card is not valid yet: its first day is to come."),
    [reason_expired] = TEXT_LITERAL("The card has expired."),
    [reason_suspended] = TEXT_LITERAL("The card is suspended."),
    [reason_revoked] = TEXT_LITERAL("The card has been revoked and will not be valid again."),
    [reason_replaced] = TEXT_LITERAL("The card has been replaced by a newer one. "
                                     "Please ask for the newer card."),
    [reason_replayed] = TEXT_LITERAL("This code has been used already."),
    [reason_already_inside] = TEXT_LITERAL("The holder of this card is inside already."),
    [reason_not_inside] = TEXT_LITERAL("The holder of this card has not come in."),
    [reason_outside_time_window] = TEXT_LITERAL("The card is not valid at this time of day."),
    [reason_outside_zone] = TEXT_LITERAL("The card is not valid for this zone."),
    [reason_quota_exceeded] = TEXT_LITERAL("The card has been used as often as it may be."),
    [reason_member_inactive] = TEXT_LITERAL("The membership of the holder is not active."),
    [reason_sponsor_inactive] =
        TEXT_LITERAL("The membership of the member who invited this guest is not active."),
    [reason_quarantined] =
        TEXT_LITERAL("The card is set aside until an operator has looked at it."),
    [reason_already_issued] = TEXT_LITERAL("A card with this id has been issued already."),
    [reason_already_active] = TEXT_LITERAL("The card is active already."),
    [reason_not_suspended] =
        TEXT_LITERAL("The card is not suspended, so there is nothing to lift."),
    [reason_not_extended] = TEXT_LITERAL("A renewal must end later than the card does now."),
    [reason_unknown_member] = TEXT_LITERAL("The membership context knows no such member."),
    [reason_not_due] = TEXT_LITERAL("The end of the card has not come or is recorded already."),
};

text_t card_reason_message(uint8_t reason)
{
    if (reason < REASON_COUNT && !text_is_empty(messages[reason])) {
        return messages[reason];
    }
    /* A newer role may send a reason that this one does not know. */
    return TEXT_LITERAL("The card was refused for a reason that this version does not know.");
}
