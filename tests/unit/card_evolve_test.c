/* What events do to a state, seen without deciding: flags that outlive other events, and which
 * events can follow at all. */
#include "tests/unit/card_support.h"

#include <string.h>

static void card_reinstated_before_activation_is_issued_again(void **context)
{
    (void)context;
    card_state_t state = card_in_state(card_status_issued);
    (void)take(&state, CARD_SUSPEND, NOW);
    assert_int_equal(state.status, card_status_suspended);
    (void)take(&state, CARD_REINSTATE, NOW);
    assert_int_equal(state.status, card_status_issued);
    assert_false(state.was_activated);
}

static void card_renewal_after_expiry_does_not_lift_a_suspension(void **context)
{
    (void)context;
    card_state_t state = card_in_state(card_status_suspended);
    (void)take(&state, CARD_EXPIRE, END);
    assert_int_equal(state.status, card_status_expired);
    assert_true(state.is_suspended);
    (void)take(&state, CARD_RENEW, END);
    assert_int_equal(state.status, card_status_suspended);
    assert_int_equal(state.expires_at, LATER);
    (void)take(&state, CARD_REINSTATE, END);
    assert_int_equal(state.status, card_status_active);
}

static card_decision_t take_by_member(card_state_t *state, card_command_kind_t kind, int64_t now_ms)
{
    commands_t commands;
    card_command_t command = command_make(&commands, kind, now_ms);
    command.by_member = true;
    card_decision_t decision;
    card_decide(state, &command, &decision);
    apply(state, &decision, now_ms);
    return decision;
}

static void membership_lifts_its_suspension_of_a_card_that_has_expired(void **context)
{
    (void)context;
    for (int is_recorded = 0; is_recorded <= 1; is_recorded++) {
        card_state_t state = card_in_state(card_status_active);
        (void)take_by_member(&state, CARD_SUSPEND, NOW);
        if (is_recorded != 0) {
            (void)take(&state, CARD_EXPIRE, END);
        }
        const card_decision_t decision = take_by_member(&state, CARD_REINSTATE, END);
        assert_int_equal(decision.outcome, CARD_ACCEPTED);
        assert_int_equal(decision.events[decision.event_count - 1].name,
                         event_name_card_reinstated);
        assert_int_equal(state.status, card_status_expired);
        assert_false(state.is_suspended);
        assert_int_equal(take(&state, CARD_VALIDATE, END).reason, reason_expired);
        assert_int_equal(take_by_member(&state, CARD_REINSTATE, END).reason, reason_expired);
        (void)take(&state, CARD_RENEW, END);
        assert_int_equal(state.status, card_status_active);
        assert_int_equal(take(&state, CARD_VALIDATE, END).reason, reason_valid);
    }
}

static void nobody_else_lifts_a_suspension_of_a_card_that_has_expired(void **context)
{
    (void)context;
    card_state_t state = card_in_state(card_status_active);
    (void)take_by_member(&state, CARD_SUSPEND, NOW);
    (void)take(&state, CARD_EXPIRE, END);
    assert_int_equal(take(&state, CARD_REINSTATE, END).reason, reason_expired);
    assert_true(state.is_suspended);
    state = card_in_state(card_status_active);
    (void)take(&state, CARD_SUSPEND, NOW); /* an issuer's, which the membership does not lift */
    (void)take(&state, CARD_EXPIRE, END);
    assert_int_equal(take_by_member(&state, CARD_REINSTATE, END).reason, reason_expired);
    assert_true(state.is_suspended);
}

static void card_issued_only_is_issued_after_expiry_and_renewal(void **context)
{
    (void)context;
    card_state_t state = card_in_state(card_status_issued);
    (void)take(&state, CARD_EXPIRE, END);
    (void)take(&state, CARD_RENEW, END);
    assert_int_equal(state.status, card_status_issued);
}

static void card_expiry_once_recorded_survives_a_clock_that_goes_back(void **context)
{
    (void)context;
    card_state_t state = card_in_state(card_status_expired);
    const card_decision_t decision = take(&state, CARD_VALIDATE, NOW);
    assert_int_equal(decision.reason, reason_expired);
    assert_int_equal(decision.event_count, 1);
}

static void card_state_marks_every_field_that_a_snapshot_needs(void **context)
{
    (void)context;
    const card_state_t state = card_in_state(card_status_issued);
    for (size_t i = 0; i < card_snapshot_field_count_value; i++) {
        const bool is_optional =
            i == card_snapshot_field_sealed_name || i == card_snapshot_field_tier ||
            i == card_snapshot_field_replaces || i == card_snapshot_field_replaced_by ||
            i == card_snapshot_field_by_member;
        if (!is_optional) {
            assert_true(((state.present >> i) & 1U) != 0);
        }
    }
    assert_false(MESSAGE_HAS(card_snapshot, &state, replaces));
    assert_true(MESSAGE_HAS(card_snapshot, &state, tier));
    const card_state_t replaced = card_in_state(card_status_replaced);
    assert_true(MESSAGE_HAS(card_snapshot, &replaced, replaced_by));
    assert_true(uuid_same(&replaced.replaced_by, &card_b));
}

static void card_event_fits_only_where_it_can_follow(void **context)
{
    (void)context;
    event_data_t whole = {.present = UINT64_MAX};
    for (uint8_t status = card_status_none; status <= card_status_replaced; status++) {
        const card_state_t state = card_in_state(status);
        const bool is_final = status == card_status_revoked || status == card_status_replaced;
        for (uint8_t name = 0; name <= event_name_card_validation_refused + 1; name++) {
            bool expected = status != card_status_none && !is_final;
            if (name == event_name_none || name > event_name_card_validation_refused) {
                expected = false;
            } else if (name == event_name_card_issued) {
                expected = status == card_status_none;
            } else if (name >= event_name_card_validated) {
                expected = status != card_status_none;
            }
            assert_int_equal(card_event_fits(&state, name, &whole), expected);
        }
    }
}

static void card_event_fits_only_with_what_it_must_carry(void **context)
{
    (void)context;
    const card_state_t none = {0};
    const card_state_t active = card_in_state(card_status_active);
    static const struct {
        uint8_t name;
        uint8_t field;
    } needs[] = {
        {event_name_card_issued, event_data_field_member_id},
        {event_name_card_issued, event_data_field_valid_from},
        {event_name_card_issued, event_data_field_expires_at},
        {event_name_card_renewed, event_data_field_expires_at},
        {event_name_card_replaced, event_data_field_replaced_by},
    };
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        const card_state_t *state = needs[i].name == event_name_card_issued ? &none : &active;
        event_data_t data = {.present = UINT64_MAX};
        assert_true(card_event_fits(state, needs[i].name, &data));
        data.present &= ~(UINT64_C(1) << needs[i].field);
        assert_false(card_event_fits(state, needs[i].name, &data));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_reinstated_before_activation_is_issued_again),
        cmocka_unit_test(membership_lifts_its_suspension_of_a_card_that_has_expired),
        cmocka_unit_test(nobody_else_lifts_a_suspension_of_a_card_that_has_expired),
        cmocka_unit_test(card_renewal_after_expiry_does_not_lift_a_suspension),
        cmocka_unit_test(card_issued_only_is_issued_after_expiry_and_renewal),
        cmocka_unit_test(card_expiry_once_recorded_survives_a_clock_that_goes_back),
        cmocka_unit_test(card_state_marks_every_field_that_a_snapshot_needs),
        cmocka_unit_test(card_event_fits_only_where_it_can_follow),
        cmocka_unit_test(card_event_fits_only_with_what_it_must_carry),
    };
    return cmocka_run_group_tests_name("card_evolve", tests, NULL, NULL);
}
