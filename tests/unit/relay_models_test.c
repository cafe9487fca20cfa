/* Read models that change places while events come in. */
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/relay_models_fake.h"

enum { BEFORE = 3 };

static models_fake_t fake;

static void go_on(relay_fixture_t *fixture)
{
    models_fake_go_on(&fake, fixture);
}

static void nothing_is_folded_while_read_models_change_places(void **state)
{
    relay_fixture_t *const fixture = *state;
    models_fake_begin(&fake, fixture);
    for (uint64_t i = 1; i <= BEFORE; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    go_on(fixture);
    assert_int_equal(fake.live.cursors[0].sequence, BEFORE);
    assert_int_equal(relay_rebuild(fixture->relay, TEXT_LITERAL("acme")), RESULT_OK);
    go_on(fixture);
    assert_int_equal(fake.next.cursors[0].sequence, BEFORE);
    assert_non_null(fake.promote_done);

    /* As many as begin a batch at once. */
    const uint64_t head = BEFORE + LIMIT_PROJECTION_EVENTS;
    for (uint64_t i = BEFORE + 1; i <= head; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    go_on(fixture); /* fake_commit asserts */
    assert_int_equal(fake.live.cursors[0].sequence, BEFORE);

    projections_done_t *const done = fake.promote_done;
    fake.promote_done = NULL;
    done(fake.context[1], RESULT_OK);
    go_on(fixture);
    assert_int_equal(fake.live.cursors[0].sequence, head);
}

static void tenant_is_looked_at_after_a_start_though_the_control_store_was_away(void **state)
{
    relay_fixture_t *const fixture = *state;
    models_fake_begin(&fake, fixture);
    relay_commit_silently(fixture->acme, 0, BEFORE); /* while there was no relay */
    fixture->journal->control_failure = RESULT_STORE_UNAVAILABLE;
    go_on(fixture);
    assert_int_equal(fake.live.cursors[0].sequence, 0);
    fixture->journal->control_failure = RESULT_OK;
    go_on(fixture);
    assert_int_equal(fake.live.cursors[0].sequence, BEFORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_folded_while_read_models_change_places,
                                        relay_setup, relay_teardown),
        cmocka_unit_test_setup_teardown(
            tenant_is_looked_at_after_a_start_though_the_control_store_was_away, relay_setup,
            relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
