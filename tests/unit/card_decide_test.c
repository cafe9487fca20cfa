/* What the table of states leaves open: dates, what events carry, and precedence. */
#include "tests/unit/card_support.h"

#include <string.h>

#define assert_text(text, literal)                                                                 \
    do {                                                                                           \
        assert_int_equal((text).size, strlen(literal));                                            \
        assert_memory_equal((text).data, literal, strlen(literal));                                \
    } while (0)

static card_decision_t decide(const card_state_t *state, const card_command_t *command)
{
    card_decision_t decision;
    memset(&decision, 0xa5, sizeof(decision)); /* the caller's memory is not clean */
    card_decide(state, command, &decision);
    return decision;
}

static void assert_invalid_dates(const card_state_t *state, const card_command_t *command)
{
    const card_decision_t decision = decide(state, command);
    assert_int_equal(decision.outcome, CARD_INVALID_DATES);
    assert_int_equal(decision.event_count, 0);
}

static void card_issue_event_carries_the_card(void **context)
{
    (void)context;
    const card_state_t none = {0};
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_ISSUE, NOW);
    const card_decision_t decision = decide(&none, &command);
    const event_data_t *data = &decision.events[0].data;
    assert_text(data->member_id, "member-1");
    assert_text(data->tier, "gold");
    assert_text(data->sealed_name, "sealed");
    assert_text(data->subject, "desk-7");
    assert_int_equal(data->valid_from, START);
    assert_int_equal(data->expires_at, END);
    assert_true(MESSAGE_HAS(event_data, data, sealed_name));
    assert_false(MESSAGE_HAS(event_data, data, replaces));
}

static void card_issue_leaves_out_what_was_not_given(void **context)
{
    (void)context;
    const card_state_t none = {0};
    commands_t commands;
    card_command_t command = command_make(&commands, CARD_ISSUE, NOW);
    MESSAGE_CLEAR(card_issue, &commands.issue, tier);
    MESSAGE_CLEAR(card_issue, &commands.issue, valid_from);
    command.sealed_name = TEXT_NONE;
    command.subject = TEXT_NONE;
    const card_decision_t decision = decide(&none, &command);
    const event_data_t *data = &decision.events[0].data;
    assert_false(MESSAGE_HAS(event_data, data, tier));
    assert_false(MESSAGE_HAS(event_data, data, sealed_name));
    assert_false(MESSAGE_HAS(event_data, data, subject));
    assert_int_equal(data->valid_from, NOW);
}

static void card_issue_activates_at_once_when_asked(void **context)
{
    (void)context;
    card_state_t state = {0};
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_ISSUE, NOW);
    MESSAGE_SET(card_issue, &commands.issue, activate, true);
    card_decision_t decision = decide(&state, &command);
    assert_int_equal(decision.event_count, 2);
    assert_int_equal(decision.events[1].name, event_name_card_activated);
    assert_text(decision.events[1].data.subject, "desk-7");
    apply(&state, &decision, NOW);
    assert_int_equal(state.status, card_status_active);
    assert_int_equal(state.version, 2);

    MESSAGE_SET(card_issue, &commands.issue, activate, false);
    const card_state_t none = {0};
    decision = decide(&none, &command);
    assert_int_equal(decision.event_count, 1);
}

static void card_issue_refuses_impossible_dates(void **context)
{
    (void)context;
    static const struct {
        int64_t valid_from, expires_at;
    } impossible[] = {
        {END, END},           /* no moment between */
        {END, START},         /* the wrong way round */
        {START - 10, NOW},    /* ends now */
        {START - 10, NOW - 1} /* ended */
    };
    const card_state_t none = {0};
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_ISSUE, NOW);
    for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
        commands.issue.valid_from = impossible[i].valid_from;
        commands.issue.expires_at = impossible[i].expires_at;
        assert_invalid_dates(&none, &command);
    }
    commands.issue.valid_from = NOW;
    commands.issue.expires_at = NOW + 1;
    assert_int_equal(decide(&none, &command).outcome, CARD_ACCEPTED);
}

static void card_renew_checks_its_date(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_RENEW, NOW);

    commands.change.expires_at = END;
    card_decision_t decision = decide(&active, &command);
    assert_int_equal(decision.outcome, CARD_REFUSED);
    assert_int_equal(decision.reason, reason_not_extended);
    assert_int_equal(decision.event_count, 0);

    commands.change.expires_at = END + 1;
    decision = decide(&active, &command);
    assert_int_equal(decision.outcome, CARD_ACCEPTED);
    assert_int_equal(decision.events[0].data.expires_at, END + 1);
    assert_text(decision.events[0].data.reason, "because");
    assert_text(decision.events[0].data.subject, "desk-7");

    commands.change.expires_at = NOW;
    assert_invalid_dates(&active, &command);
    MESSAGE_CLEAR(card_change, &commands.change, expires_at);
    assert_invalid_dates(&active, &command);
}

static void card_renew_after_the_end_needs_a_date_to_come(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_RENEW, LATER);
    commands.change.expires_at = END + 1; /* later than the old end, and past all the same */
    assert_invalid_dates(&active, &command);
}

static void card_renew_needs_an_end_after_its_beginning(void **context)
{
    (void)context;
    card_state_t active = card_in_state(card_status_active);
    active.valid_from = LATER; /* no command leads here; the check stands anyway */
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_RENEW, NOW);
    assert_invalid_dates(&active, &command);
}

static void card_refuses_a_date_where_none_belongs(void **context)
{
    (void)context;
    static const struct {
        uint8_t state;
        card_command_kind_t kind;
    } plain[] = {{card_status_issued, CARD_ACTIVATE},
                 {card_status_active, CARD_SUSPEND},
                 {card_status_suspended, CARD_REINSTATE},
                 {card_status_active, CARD_REVOKE}};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        const card_state_t state = card_in_state(plain[i].state);
        commands_t commands;
        const card_command_t command = command_make(&commands, plain[i].kind, NOW);
        MESSAGE_SET(card_change, &commands.change, expires_at, LATER);
        assert_invalid_dates(&state, &command);
    }
}

static void card_records_no_expiry_with_invalid_dates(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_REVOKE, END);
    MESSAGE_SET(card_change, &commands.change, expires_at, LATER);
    assert_invalid_dates(&active, &command);
}

static void card_replace_makes_the_same_card_again(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_REPLACE, NOW + 5);
    const card_decision_t decision = decide(&active, &command);
    assert_int_equal(decision.event_count, 3);
    assert_true(uuid_same(&decision.events[0].data.replaced_by, &card_b));
    assert_text(decision.events[0].data.reason, "because");

    card_state_t next = {0};
    for (uint32_t i = 1; i < decision.event_count; i++) {
        assert_true(decision.events[i].of_new_card);
        card_evolve(&next, decision.events[i].name, &card_b, NOW + 5, &decision.events[i].data);
    }
    assert_true(uuid_same(&next.id, &card_b));
    assert_true(uuid_same(&next.replaces, &card_a));
    assert_int_equal(next.status, card_status_active);
    assert_int_equal(next.valid_from, START);
    assert_int_equal(next.expires_at, END);
    assert_int_equal(next.issued_at, NOW + 5);
    assert_int_equal(next.card_sequence, 2);
    assert_text(next.member_id, "member-1");
    assert_text(next.tier, "gold");
    assert_text(next.sealed_name, "sealed");
}

static void card_replace_takes_a_date_under_the_rules_of_issue(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_REPLACE, NOW);
    MESSAGE_SET(card_change, &commands.change, expires_at, NOW + 1); /* shorter is allowed */
    const card_decision_t decision = decide(&active, &command);
    assert_int_equal(decision.outcome, CARD_ACCEPTED);
    assert_int_equal(decision.events[1].data.expires_at, NOW + 1);
    commands.change.expires_at = NOW;
    assert_invalid_dates(&active, &command);
}

static void card_replaced_before_its_first_day_keeps_that_day(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_REPLACE, START - 500);
    MESSAGE_SET(card_change, &commands.change, expires_at, START);
    assert_invalid_dates(&active, &command);
    commands.change.expires_at = START + 1;
    const card_decision_t decision = decide(&active, &command);
    assert_int_equal(decision.outcome, CARD_ACCEPTED);
    assert_int_equal(decision.events[1].data.valid_from, START);
}

static void card_is_valid_from_its_first_to_before_its_last_moment(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    static const struct {
        int64_t now_ms;
        uint8_t reason;
    } moments[] = {{START - 1, reason_not_yet_valid},
                   {START, reason_valid},
                   {END - 1, reason_valid},
                   {END, reason_expired}};
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        commands_t commands;
        const card_command_t command = command_make(&commands, CARD_VALIDATE, moments[i].now_ms);
        const card_decision_t decision = decide(&active, &command);
        assert_int_equal(decision.outcome, CARD_ACCEPTED);
        assert_int_equal(decision.reason, moments[i].reason);
    }
}

static void card_status_comes_before_dates(void **context)
{
    (void)context;
    static const uint8_t states[] = {card_status_issued, card_status_suspended, card_status_revoked,
                                     card_status_replaced};
    static const uint8_t reasons[] = {reason_not_active, reason_suspended, reason_revoked,
                                      reason_replaced};
    for (size_t i = 0; i < sizeof(states); i++) {
        const card_state_t state = card_in_state(states[i]);
        commands_t commands;
        const card_command_t command = command_make(&commands, CARD_VALIDATE, START - 1);
        assert_int_equal(decide(&state, &command).reason, reasons[i]);
    }
    const card_state_t revoked = card_in_state(card_status_revoked);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_VALIDATE, LATER);
    assert_int_equal(decide(&revoked, &command).reason, reason_revoked);
}

static void card_validation_event_carries_where_and_who(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_VALIDATE, NOW);
    card_validate_t *validate = &commands.validate;
    location_t location = {0};
    MESSAGE_SET(location, &location, latitude, 46.5);
    MESSAGE_SET(location, &location, longitude, 8.0);
    MESSAGE_SET(card_validate, validate, zone, TEXT_LITERAL("hall"));
    MESSAGE_SET(card_validate, validate, direction, direction_in);
    MESSAGE_SET(card_validate, validate, at, NOW - 7);
    MESSAGE_SET(card_validate, validate, location, location);
    const card_decision_t decision = decide(&active, &command);
    const event_data_t *data = &decision.events[0].data;
    assert_text(data->gate, "north");
    assert_text(data->zone, "hall");
    assert_text(data->subject, "desk-7");
    assert_int_equal(data->direction, direction_in);
    assert_int_equal(data->at, NOW - 7);
    assert_true(MESSAGE_HAS(event_data, data, location));
    assert_true(MESSAGE_HAS(location, &data->location, latitude));
    assert_float_equal(data->location.latitude, 46.5, 0.0);
    assert_false(MESSAGE_HAS(event_data, data, refused_as));
}

static void card_refused_validation_says_what_was_not_given_as_absent(void **context)
{
    (void)context;
    const card_state_t suspended = card_in_state(card_status_suspended);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_VALIDATE, NOW);
    const card_decision_t decision = decide(&suspended, &command);
    const event_data_t *data = &decision.events[0].data;
    assert_int_equal(data->refused_as, reason_suspended);
    assert_true(MESSAGE_HAS(event_data, data, refused_as));
    assert_false(MESSAGE_HAS(event_data, data, zone));
    assert_false(MESSAGE_HAS(event_data, data, direction));
    assert_false(MESSAGE_HAS(event_data, data, at));
    assert_false(MESSAGE_HAS(event_data, data, location));
}

static void card_expiry_by_the_clock_names_nobody(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_REVOKE, END);
    const card_decision_t decision = decide(&active, &command);
    assert_int_equal(decision.events[0].name, event_name_card_expired);
    assert_int_equal(decision.events[0].data.present, 0);
    assert_text(decision.events[1].data.subject, "desk-7");
    assert_text(decision.events[1].data.reason, "because");
}

static void card_change_without_a_reason_has_none(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    commands_t commands;
    const card_command_t command = command_make(&commands, CARD_REVOKE, NOW);
    MESSAGE_CLEAR(card_change, &commands.change, reason);
    const card_decision_t decision = decide(&active, &command);
    assert_false(MESSAGE_HAS(event_data, &decision.events[0].data, reason));
}

static void card_status_and_version_follow_the_clock_before_any_event(void **context)
{
    (void)context;
    const card_state_t active = card_in_state(card_status_active);
    assert_int_equal(card_status_at(&active, END - 1), card_status_active);
    assert_int_equal(card_version_at(&active, END - 1), 2);
    assert_int_equal(card_status_at(&active, END), card_status_expired);
    assert_int_equal(card_version_at(&active, END), 3);

    const card_state_t expired = card_in_state(card_status_expired);
    assert_int_equal(card_status_at(&expired, END), card_status_expired);
    assert_int_equal(card_version_at(&expired, END), 3);
    assert_int_equal(card_status_at(&expired, START), card_status_expired);

    const card_state_t revoked = card_in_state(card_status_revoked);
    assert_int_equal(card_status_at(&revoked, LATER), card_status_revoked);
    assert_int_equal(card_version_at(&revoked, LATER), 3);
    const card_state_t none = {0};
    assert_int_equal(card_status_at(&none, LATER), card_status_none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_issue_event_carries_the_card),
        cmocka_unit_test(card_issue_leaves_out_what_was_not_given),
        cmocka_unit_test(card_issue_activates_at_once_when_asked),
        cmocka_unit_test(card_issue_refuses_impossible_dates),
        cmocka_unit_test(card_renew_checks_its_date),
        cmocka_unit_test(card_renew_after_the_end_needs_a_date_to_come),
        cmocka_unit_test(card_renew_needs_an_end_after_its_beginning),
        cmocka_unit_test(card_refuses_a_date_where_none_belongs),
        cmocka_unit_test(card_records_no_expiry_with_invalid_dates),
        cmocka_unit_test(card_replace_makes_the_same_card_again),
        cmocka_unit_test(card_replace_takes_a_date_under_the_rules_of_issue),
        cmocka_unit_test(card_replaced_before_its_first_day_keeps_that_day),
        cmocka_unit_test(card_is_valid_from_its_first_to_before_its_last_moment),
        cmocka_unit_test(card_status_comes_before_dates),
        cmocka_unit_test(card_validation_event_carries_where_and_who),
        cmocka_unit_test(card_refused_validation_says_what_was_not_given_as_absent),
        cmocka_unit_test(card_expiry_by_the_clock_names_nobody),
        cmocka_unit_test(card_change_without_a_reason_has_none),
        cmocka_unit_test(card_status_and_version_follow_the_clock_before_any_event),
    };
    return cmocka_run_group_tests_name("card_decide", tests, NULL, NULL);
}
