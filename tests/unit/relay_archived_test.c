/* Read models take over the sums of archived validations before their first event, once and whole,
 * and begin anew when more was archived than they have. */
#include "actors/relay/relay_models.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/relay_models_fake.h"

enum {
    EVENTS = 3, /* that are left in the journal */
    SUMS = LIMIT_PROJECTION_EVENTS + 2,
    ARCHIVED = 5000,
    KINDS = 7,
    GATES = 10,
    NEVER = UINT32_MAX,
};

/* What the journal has of archived sums. Its answers come when the test says so, and what they
 * point to is gone afterwards, as the port says. */
typedef struct sums_fake {
    journal_functions_t functions; /* of the fake journal, and the one below */
    uint64_t archived;
    uint64_t count;
    result_t result;
    uint32_t reads;
    uint32_t grows_at; /* with this read another event was archived */
    bool is_asked;
    uint64_t after;
    uint32_t limit;
    journal_archived_sums_done_t *done;
    void *context;
} sums_fake_t;

/* What the read models were given. */
typedef struct taken {
    uint32_t commits; /* of sums */
    uint64_t counters;
    int64_t sum;
    uint32_t events_before; /* commits of events while sums were missing */
    bool has_all;
    bool has_wrong_gate;
} taken_t;

static models_fake_t models;
static sums_fake_t sums;
static taken_t taken;

static result_t read_sums(journal_tenant_t *tenant, uint64_t after, uint32_t limit,
                          journal_archived_sums_done_t *done, void *context)
{
    (void)tenant;
    assert_false(sums.is_asked);
    assert_in_range(limit, 1, LIMIT_PROJECTION_EVENTS);
    sums.is_asked = true;
    sums.after = after;
    sums.limit = limit;
    sums.done = done;
    sums.context = context;
    return RESULT_OK;
}

/* The sum numbered `number`, from 1, is `number`, at a gate named after it. */
static void answer_sums(void)
{
    static projection_counter_t page[LIMIT_PROJECTION_EVENTS];
    static char gates[LIMIT_PROJECTION_EVENTS][2];
    journal_archived_sums_t answer = {.result = sums.result, .sums = page};
    sums.is_asked = false;
    sums.archived += sums.reads == sums.grows_at ? 1 : 0;
    sums.reads += 1;
    answer.archived = sums.archived;
    for (uint64_t number = sums.after + 1; number <= sums.count && answer.count < sums.limit;
         number++) {
        gates[answer.count][0] = 'g';
        gates[answer.count][1] = (char)('0' + number % GATES);
        page[answer.count] =
            (projection_counter_t){.series = PROJECTION_SERIES_SCANS,
                                   .kind = (uint16_t)(number % KINDS),
                                   .gate = {.data = gates[answer.count], .size = sizeof(gates[0])},
                                   .count = (int64_t)number};
        answer.count += 1;
        answer.last = number;
    }
    sums.done(sums.context, &answer);
    memset(page, 0xff, sizeof(page));
    memset(gates, 'x', sizeof(gates));
}

static void look(const projection_commit_t *commit)
{
    if (commit->partition != PROJECTION_PARTITION_ARCHIVED) {
        taken.events_before += taken.has_all ? 0 : 1;
        return;
    }
    taken.commits += 1;
    taken.has_all = commit->to.sequence == PROJECTION_ARCHIVED_ALL;
    for (size_t i = 0; i < commit->counter_count; i++) {
        const projection_counter_t *const counter = &commit->counters[i];
        const char gate[2] = {'g', (char)('0' + counter->count % GATES)};
        taken.has_wrong_gate = taken.has_wrong_gate || counter->gate.size != sizeof(gate) ||
                               memcmp(counter->gate.data, gate, sizeof(gate)) != 0 ||
                               counter->kind != counter->count % KINDS;
        taken.counters += 1;
        taken.sum += counter->count;
    }
}

static int setup(void **state)
{
    const int result = relay_setup(state);
    relay_fixture_t *const fixture = *state;
    models_fake_begin(&models, fixture);
    models.look = look;
    taken = (taken_t){0};
    sums = (sums_fake_t){.functions = *fixture->journal->journal.functions,
                         .archived = ARCHIVED,
                         .count = SUMS,
                         .result = RESULT_OK,
                         .grows_at = NEVER};
    sums.functions.read_archived_sums = read_sums;
    fixture->journal->journal.functions = &sums.functions;
    for (uint64_t i = 1; i <= EVENTS; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    return result;
}

static int teardown(void **state)
{
    while (sums.is_asked) { /* the relay ends when nothing is under way */
        answer_sums();
    }
    return relay_teardown(state);
}

static void go_on(relay_fixture_t *fixture)
{
    models_fake_go_on(&models, fixture);
    if (sums.is_asked) {
        answer_sums();
        models_fake_go_on(&models, fixture);
    }
}

static relay_model_t *live_of(relay_fixture_t *fixture)
{
    return &relay_tenant_find(fixture->relay, TEXT_LITERAL("acme"))->models->live;
}

static void sums_are_taken_over_whole_before_the_first_event(void **state)
{
    relay_fixture_t *const fixture = *state;
    go_on(fixture);
    assert_int_equal(taken.commits, 1); /* a full page: there may be more */
    assert_false(taken.has_all);
    go_on(fixture);
    assert_int_equal(taken.commits, 2);
    assert_true(taken.has_all);
    assert_int_equal(taken.counters, SUMS);
    assert_int_equal(taken.sum, (int64_t)SUMS * (SUMS + 1) / 2);
    assert_false(taken.has_wrong_gate);
    assert_int_equal(taken.events_before, 0);
    const projection_cursor_t *const cursors = models.live.cursors;
    assert_int_equal(cursors[PROJECTION_PARTITION_ARCHIVED].occurred_at, ARCHIVED);
    assert_int_equal(cursors[0].sequence, EVENTS);
    assert_int_equal(sums.reads, 2);
}

/* The old one hears nothing more of what it has asked, and the next event comes. */
static void another_relay_takes_over(relay_fixture_t *fixture)
{
    if (sums.is_asked) {
        sums.result = RESULT_STORE_UNAVAILABLE;
        answer_sums();
        sums.result = RESULT_OK;
    }
    relay_restart(fixture, NULL);
    fixture->relay->ports.projections = &models.base;
    relay_send_event(fixture, fixture->acme, 0, EVENTS + 1);
}

static void sums_are_taken_over_once(void **state)
{
    relay_fixture_t *const fixture = *state;
    go_on(fixture);
    go_on(fixture);
    another_relay_takes_over(fixture);
    go_on(fixture);
    go_on(fixture);
    assert_int_equal(models.live.cursors[0].sequence, EVENTS + 1);
    assert_int_equal(taken.counters, SUMS);
}

static void a_take_over_that_was_cut_goes_on_where_it_was(void **state)
{
    relay_fixture_t *const fixture = *state;
    go_on(fixture);
    assert_int_equal(taken.commits, 1);
    another_relay_takes_over(fixture);
    go_on(fixture);
    go_on(fixture);
    assert_true(taken.has_all);
    assert_int_equal(taken.counters, SUMS);
    assert_int_equal(taken.sum, (int64_t)SUMS * (SUMS + 1) / 2);
}

static void nothing_archived_is_nothing_to_take_over(void **state)
{
    relay_fixture_t *const fixture = *state;
    sums.archived = 0;
    sums.count = 0;
    go_on(fixture);
    go_on(fixture);
    assert_int_equal(taken.commits, 0);
    assert_int_equal(models.live.cursors[0].sequence, EVENTS);
    assert_int_equal(sums.reads, 1);
}

static void what_was_counted_as_events_is_not_taken_over_as_sums(void **state)
{
    relay_fixture_t *const fixture = *state;
    const event_t last = relay_journal_fake_event(fixture->acme, 0, EVENTS);
    models.live.cursors[0] = (projection_cursor_t){
        .sequence = EVENTS, .event_id = last.event_id, .occurred_at = last.occurred_at};
    relay_send_event(fixture, fixture->acme, 0, EVENTS + 1);
    go_on(fixture);
    go_on(fixture);
    assert_int_equal(models.live.cursors[0].sequence, EVENTS + 1);
    assert_int_equal(sums.reads, 0);
    assert_int_equal(taken.commits, 0);
}

static void a_model_begins_anew_when_more_is_archived_meanwhile(void **state)
{
    relay_fixture_t *const fixture = *state;
    sums.grows_at = 1; /* the second page */
    go_on(fixture);
    go_on(fixture);
    assert_int_equal(models.discarded, 1);
    taken = (taken_t){0}; /* what it had is gone */
    for (uint32_t i = 0; i < 4; i++) {
        go_on(fixture);
    }
    assert_true(taken.has_all);
    assert_int_equal(taken.counters, SUMS);
    assert_int_equal(taken.events_before, 0);
    assert_int_equal(models.live.cursors[PROJECTION_PARTITION_ARCHIVED].occurred_at, ARCHIVED + 1);
    assert_int_equal(models.live.cursors[0].sequence, EVENTS);
}

static void a_page_that_cannot_be_read_is_asked_for_again(void **state)
{
    relay_fixture_t *const fixture = *state;
    sums.result = RESULT_STORE_UNAVAILABLE;
    go_on(fixture);
    assert_int_equal(taken.commits, 0);
    assert_int_equal(models.live.cursors[0].sequence, 0);
    sums.result = RESULT_OK;
    loop_fake_advance(LIMIT_PROJECTION_RETRY_MS);
    go_on(fixture);
    go_on(fixture);
    assert_true(taken.has_all);
    assert_int_equal(taken.counters, SUMS);
    assert_int_equal(models.discarded, 0);
}

static void a_page_for_a_model_that_is_gone_counts_for_nothing(void **state)
{
    relay_fixture_t *const fixture = *state;
    models_fake_go_on(&models, fixture);
    assert_true(sums.is_asked);
    relay_models_discard(live_of(fixture)->tenant);
    answer_sums();
    assert_null(models.committing);
    assert_int_equal(taken.commits, 0);
    go_on(fixture);
    go_on(fixture);
    go_on(fixture);
    assert_true(taken.has_all);
    assert_int_equal(taken.counters, SUMS);
}

/* --- What the journal lacks and the model has not counted as events --- */

static result_t checked_result;

static void checked(void *context, result_t result)
{
    (void)context;
    checked_result = result;
}

static result_t check(relay_model_t *model, uint64_t archived_to)
{
    checked_result = RESULT_BUSY;
    assert_int_equal(relay_archived_check(model, 0, archived_to, checked, NULL), RESULT_OK);
    answer_sums();
    return checked_result;
}

static void a_gap_is_right_when_the_model_has_its_sums(void **state)
{
    relay_fixture_t *const fixture = *state;
    go_on(fixture);
    go_on(fixture);
    relay_model_t *const live = live_of(fixture);
    assert_int_equal(check(live, EVENTS + 4), RESULT_OK);
    assert_int_equal(live->partitions[0].archived_to, EVENTS + 4);
    sums.archived += 1; /* of which it has neither event nor sum */
    assert_int_equal(check(live, EVENTS + 5), RESULT_STORE_CORRUPT);
    live->is_live = false; /* being made anew: it begins again by itself */
    assert_int_equal(check(live, EVENTS + 5), RESULT_BUSY);
    live->is_live = true;
    sums.result = RESULT_STORE_UNAVAILABLE;
    assert_int_equal(check(live, EVENTS + 6), RESULT_STORE_UNAVAILABLE);
    assert_int_equal(live->partitions[0].archived_to, EVENTS + 5);
    sums.functions.read_archived_sums = NULL; /* of such a store nothing can be archived */
    assert_int_equal(relay_archived_check(live, 0, EVENTS + 6, checked, NULL),
                     RESULT_STORE_CORRUPT);
}

#define ARCHIVED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARCHIVED_TEST(sums_are_taken_over_whole_before_the_first_event),
        ARCHIVED_TEST(sums_are_taken_over_once),
        ARCHIVED_TEST(a_take_over_that_was_cut_goes_on_where_it_was),
        ARCHIVED_TEST(nothing_archived_is_nothing_to_take_over),
        ARCHIVED_TEST(what_was_counted_as_events_is_not_taken_over_as_sums),
        ARCHIVED_TEST(a_model_begins_anew_when_more_is_archived_meanwhile),
        ARCHIVED_TEST(a_page_that_cannot_be_read_is_asked_for_again),
        ARCHIVED_TEST(a_page_for_a_model_that_is_gone_counts_for_nothing),
        ARCHIVED_TEST(a_gap_is_right_when_the_model_has_its_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
