/* A tenant that is deleted, and another that is given its name: nothing of the first reaches the
 * second, from the first moment on. Nobody polls the control store in these tests. */
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/relay_support.h"

static void settle(relay_fixture_t *fixture)
{
    for (int turn = 0; turn < 3; turn++) { /* what is retired goes from a clean stack */
        relay_journal_fake_settle(fixture->journal);
        loop_fake_advance(1);
    }
}

static fake_tenant_t *replace_acme(relay_fixture_t *fixture)
{
    fixture->acme->is_deleted = true;
    fixture->journal->control_version += 1;
    return relay_journal_fake_add(fixture->journal, "acme", 1, fixture->relay->ports.crypto,
                                  &fixture->master_key);
}

static void read_events_of(relay_fixture_t *fixture, const fake_tenant_t *tenant)
{
    events_read_t command = {0};
    MESSAGE_SET(events_read, &command, partition, 0);
    MESSAGE_SET(events_read, &command, after, 0);
    fixture->since = tenant->created_at;
    relay_ask(fixture, request_type_events_read, "acme", role_auditor, NULL, &command);
}

static size_t count_events(relay_fixture_t *fixture)
{
    event_page_t page;
    relay_reply_document_into(fixture, &event_page_message, &page);
    return page.items_count;
}

static void open_acme(relay_fixture_t *fixture)
{
    relay_commit_silently(fixture->acme, 0, 3);
    read_events_of(fixture, fixture->acme);
    settle(fixture);
    assert_int_equal(count_events(fixture), 3);
}

static void a_read_for_the_namesake_never_sees_the_deleted_one(void **state)
{
    relay_fixture_t *fixture = *state;
    open_acme(fixture);
    fake_tenant_t *namesake = replace_acme(fixture);
    read_events_of(fixture, namesake);
    settle(fixture);
    assert_int_equal(count_events(fixture), 0);
    assert_int_equal(fixture->acme->opens, 0);
    assert_int_equal(namesake->opens, 1);
}

static void a_read_for_the_deleted_one_never_sees_the_namesake(void **state)
{
    relay_fixture_t *fixture = *state;
    open_acme(fixture);
    fake_tenant_t *namesake = replace_acme(fixture);
    relay_commit_silently(namesake, 0, 2);
    read_events_of(fixture, namesake);
    settle(fixture);
    assert_int_equal(count_events(fixture), 2);
    read_events_of(fixture, fixture->acme);
    settle(fixture);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_TENANT_NOT_FOUND);
    assert_int_equal(namesake->opens, 1);
}

static void a_relay_that_knew_neither_tells_them_apart(void **state)
{
    relay_fixture_t *fixture = *state;
    fixture->acme->is_deleted = true;
    read_events_of(fixture, fixture->acme);
    settle(fixture);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_TENANT_NOT_FOUND);
    assert_null(relay_tenant_find(fixture->relay, TEXT_LITERAL("acme")));
    (void)replace_acme(fixture);
    read_events_of(fixture, fixture->acme);
    settle(fixture);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_TENANT_NOT_FOUND);
    assert_int_equal(fixture->journal->opens_total, 0);
}

static void a_read_for_the_namesake_waits_for_reads_of_the_deleted_one(void **state)
{
    relay_fixture_t *fixture = *state;
    open_acme(fixture);
    read_events_of(fixture, fixture->acme); /* with the journal now */
    fake_tenant_t *namesake = replace_acme(fixture);
    const uint32_t before = fixture->reply_count;
    read_events_of(fixture, namesake);
    read_events_of(fixture, namesake);
    loop_fake_advance(1);
    assert_int_equal(fixture->reply_count, before);
    assert_int_equal(namesake->opens, 0);
    relay_journal_fake_run(fixture->journal);
    assert_int_equal(fixture->reply_count, before + 1);
    assert_int_equal(count_events(fixture), 3); /* asked for and answered by the same tenant */
    settle(fixture);
    assert_int_equal(fixture->reply_count, before + 3);
    assert_int_equal(count_events(fixture), 0);
    assert_int_equal(fixture->acme->opens, 0);
}

static void reads_that_wait_for_the_journal_of_a_deleted_tenant_are_refused(void **state)
{
    relay_fixture_t *fixture = *state;
    read_events_of(fixture, fixture->acme); /* it is being opened */
    fake_tenant_t *namesake = replace_acme(fixture);
    const uint32_t before = fixture->reply_count;
    read_events_of(fixture, namesake);
    assert_int_equal(fixture->reply_count, before + 1);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_TENANT_NOT_FOUND);
    settle(fixture);
    assert_int_equal(fixture->reply_count, before + 2);
    assert_int_equal(count_events(fixture), 0);
}

static void a_tenant_that_is_replaced_while_it_is_opened_is_not_shown(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_commit_silently(fixture->acme, 0, 3);
    read_events_of(fixture, fixture->acme);
    (void)replace_acme(fixture);
    settle(fixture); /* the journal answers, of whichever of the two */
    assert_int_equal(relay_reply_error_of(fixture), RESULT_TENANT_NOT_FOUND);
    assert_int_equal(fixture->acme->opens, 0);
}

static void a_journal_of_which_nobody_knows_whose_it_is_is_not_read(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_commit_silently(fixture->acme, 0, 3);
    read_events_of(fixture, fixture->acme);
    fake_tenant_t *namesake = replace_acme(fixture);
    fixture->journal->control_failure = RESULT_STORE_UNAVAILABLE;
    settle(fixture); /* the journal answers, of whichever of the two */
    assert_int_equal(relay_reply_error_of(fixture), RESULT_STORE_UNAVAILABLE);
    read_events_of(fixture, namesake);
    settle(fixture);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_STORE_UNAVAILABLE);
    assert_int_equal(fixture->acme->opens + namesake->opens, 0);
    fixture->journal->control_failure = RESULT_OK;
    read_events_of(fixture, namesake);
    settle(fixture);
    assert_int_equal(count_events(fixture), 0);
    assert_int_equal(namesake->opens, 1);
}

static void a_relay_that_ends_refuses_what_waits_for_the_namesake(void **state)
{
    relay_fixture_t *fixture = *state;
    open_acme(fixture);
    read_events_of(fixture, fixture->acme);
    fake_tenant_t *namesake = replace_acme(fixture);
    read_events_of(fixture, namesake);
    const uint32_t before = fixture->reply_count;
    relay_drain(fixture->relay, NULL, NULL);
    assert_int_equal(fixture->reply_count, before + 1);
    assert_int_equal(relay_reply_error_of(fixture), RESULT_DRAINING);
    settle(fixture);
    assert_int_equal(namesake->opens, 0);
}

static void late_events_of_the_deleted_one_are_not_the_namesakes(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 2);
    fake_tenant_t *namesake = replace_acme(fixture);
    fixture->published_count = 0;
    relay_send_event(fixture, namesake, 0, 1);
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 3);
    relay_send_event(fixture, fixture->acme, 0, 2);
    relay_send_event(fixture, namesake, 0, 2);
    settle(fixture);
    relay_assert_published(fixture, "acme", 0, 1, 2);
    assert_int_equal(metric_value(fixture->relay->numbers.not_published), 2);
}

static void what_is_being_read_of_the_deleted_one_is_not_published(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 4); /* those between are asked of its journal */
    fake_tenant_t *namesake = replace_acme(fixture);
    read_events_of(fixture, namesake);
    fixture->published_count = 0;
    settle(fixture);
    for (size_t i = 0; i < fixture->published_count; i++) {
        assert_true(fixture->published[i].is_head);
        assert_int_equal(fixture->published[i].sequence, 0);
    }
    assert_int_equal(count_events(fixture), 0);
}

/* Nobody told the relay that there is another. */
static void what_was_read_is_published_only_when_its_tenant_is_still_there(void **state)
{
    relay_fixture_t *fixture = *state;
    relay_subscribe(fixture, "digitalcard.acme.");
    settle(fixture);
    relay_send_event(fixture, fixture->acme, 0, 1);
    relay_send_event(fixture, fixture->acme, 0, 4);
    (void)replace_acme(fixture);
    fixture->published_count = 0;
    settle(fixture);
    for (size_t i = 0; i < fixture->published_count; i++) {
        assert_true(fixture->published[i].is_head);
    }
}

static void who_does_not_say_which_one_is_not_checked(void **state)
{
    relay_fixture_t *fixture = *state;
    const events_read_t command = {0};
    fixture->since = 0; /* a front of an earlier version */
    relay_ask(fixture, request_type_events_read, "acme", role_auditor, NULL, &command);
    settle(fixture);
    assert_int_equal(count_events(fixture), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, relay_setup, relay_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_read_for_the_namesake_never_sees_the_deleted_one),
        TEST(a_read_for_the_deleted_one_never_sees_the_namesake),
        TEST(a_relay_that_knew_neither_tells_them_apart),
        TEST(a_read_for_the_namesake_waits_for_reads_of_the_deleted_one),
        TEST(reads_that_wait_for_the_journal_of_a_deleted_tenant_are_refused),
        TEST(a_tenant_that_is_replaced_while_it_is_opened_is_not_shown),
        TEST(a_journal_of_which_nobody_knows_whose_it_is_is_not_read),
        TEST(a_relay_that_ends_refuses_what_waits_for_the_namesake),
        TEST(late_events_of_the_deleted_one_are_not_the_namesakes),
        TEST(what_is_being_read_of_the_deleted_one_is_not_published),
        TEST(what_was_read_is_published_only_when_its_tenant_is_still_there),
        TEST(who_does_not_say_which_one_is_not_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
