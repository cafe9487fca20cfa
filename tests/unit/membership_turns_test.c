/* Which context's questions go out over HTTP when there are more than the client has places for.
 * The client is the test; the loop is a real one, for deadlines. */
#include "adapters/membership/membership_internal.h"
#include "runtime/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum {
    ASKED_MAX = 2 * LIMIT_HTTP_CALLS,
    LONG_MS = 60000,
    PATIENCE_MS = 30000,
    CONTEXTS = LIMIT_HTTP_CALLS, /* of tenants t0, t1 … */
};

struct http_call {
    bool is_on_its_way;
    char url[128];
    http_call_done_t *done;
    void *context;
};

typedef struct asked {
    membership_call_t *call;
    uint32_t count; /* of answers */
    bool has_failed;
    char failure[64];
} asked_t;

typedef struct fixture {
    http_calls_t client; /* first */
    result_t result;
    const char *refused; /* host; NULL: `result` is of all */
    uint32_t on_their_way;
    http_call_t calls[LIMIT_HTTP_CALLS];
    loop_t *loop;
    metrics_t *metrics;
    membership_t *membership;
    asked_t asked[ASKED_MAX];
    uint32_t asked_count;
    char urls[CONTEXTS * 32 + 128]; /* the setting */
} fixture_t;

/* --- The client --- */

static result_t start(http_calls_t *client, const http_call_request_t *request,
                      http_call_done_t *done, void *context, http_call_t **call)
{
    fixture_t *const fixture = (fixture_t *)client;
    http_call_t *place = fixture->calls;
    if (fixture->result != RESULT_OK &&
        (fixture->refused == NULL ||
         text_starts_with(request->url, text_from_c(fixture->refused)))) {
        return fixture->result;
    }
    while (place < fixture->calls + LIMIT_HTTP_CALLS && place->is_on_its_way) {
        place++;
    }
    assert_true(place < fixture->calls + LIMIT_HTTP_CALLS); /* never more than there are places */
    *place = (http_call_t){.is_on_its_way = true, .done = done, .context = context};
    (void)snprintf(place->url, sizeof place->url, "%.*s", TEXT_PRINT(request->url));
    fixture->on_their_way++;
    *call = place;
    return RESULT_OK;
}

static void cancel(http_calls_t *client, http_call_t **call)
{
    fixture_t *const fixture = (fixture_t *)client;
    assert_true((*call)->is_on_its_way);
    (*call)->is_on_its_way = false;
    fixture->on_their_way--;
    *call = NULL;
}

static uint32_t count_of(const fixture_t *fixture, const char *host)
{
    uint32_t count = 0;
    for (size_t i = 0; i < LIMIT_HTTP_CALLS; i++) {
        const http_call_t *const call = &fixture->calls[i];
        count += call->is_on_its_way && strstr(call->url, host) != NULL ? 1 : 0;
    }
    return count;
}

/* Any one that is on its way to this host. */
static void answer(fixture_t *fixture, const char *host)
{
    static const char body[] = "{\"member_id\":\"m-1\",\"status\":\"active\"}";
    const http_call_answer_t good = {
        .end = HTTP_CALL_ANSWERED, .status = 200, .body = {body, sizeof body - 1}};
    http_call_t *call = fixture->calls;
    while (!call->is_on_its_way || strstr(call->url, host) == NULL) {
        call++;
        assert_true(call < fixture->calls + LIMIT_HTTP_CALLS);
    }
    call->is_on_its_way = false;
    fixture->on_their_way--;
    call->done(call->context, &good);
}

/* --- Asking --- */

static void answered(void *context, const membership_answer_t *answer)
{
    asked_t *const asked = context;
    asked->call = NULL;
    asked->count++;
    asked->has_failed = answer->failure != NULL;
    (void)snprintf(asked->failure, sizeof asked->failure, "%s",
                   answer->failure == NULL ? "" : answer->failure);
}

static asked_t *ask(fixture_t *fixture, const char *tenant, uint32_t deadline_ms)
{
    assert_true(fixture->asked_count < ASKED_MAX);
    asked_t *const asked = &fixture->asked[fixture->asked_count++];
    const membership_question_t question = {.tenant = text_from_c(tenant),
                                            .member_id = TEXT_LITERAL("m-1"),
                                            .deadline_ms = deadline_ms};
    assert_int_equal(fixture->membership->functions->ask(fixture->membership, &question, answered,
                                                         asked, &asked->call),
                     RESULT_OK);
    assert_int_equal(asked->count, 0); /* never within the call */
    return asked;
}

static void ask_often(fixture_t *fixture, const char *tenant, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        (void)ask(fixture, tenant, LONG_MS);
    }
}

static void await(fixture_t *fixture, const asked_t *asked)
{
    const uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (asked->count == 0) {
        assert_true(clock_monotonic_ms() < end_ms);
        (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
    }
}

static int setup(void **state)
{
    static const http_calls_functions_t functions = {.start = start, .cancel = cancel};
    fixture_t *const fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->client.functions = &functions;
    fixture->result = RESULT_OK;
    fixture->metrics = metrics_create("test");
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    int size = snprintf(fixture->urls, sizeof fixture->urls,
                        "http://all/ acme=http://acme beta=http://beta");
    for (int i = 0; i < CONTEXTS; i++) {
        size += snprintf(fixture->urls + size, sizeof fixture->urls - (size_t)size,
                         " t%d=http://t%d.x", i, i);
    }
    const membership_options_t options = {.urls = text_from_c(fixture->urls),
                                          .client = &fixture->client};
    assert_int_equal(
        membership_create(fixture->loop, fixture->metrics, &options, &fixture->membership),
        RESULT_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    for (uint32_t i = 0; i < fixture->asked_count; i++) {
        if (fixture->asked[i].call != NULL) {
            fixture->membership->functions->cancel(fixture->membership, &fixture->asked[i].call);
        }
    }
    assert_int_equal(fixture->on_their_way, 0);
    membership_destroy(&fixture->membership);
    loop_destroy(&fixture->loop);
    metrics_destroy(&fixture->metrics);
    free(fixture);
    return 0;
}

/* --- Tests --- */

static void context_that_hangs_takes_half_of_the_places_and_others_wait_for_nobody(void **state)
{
    fixture_t *const fixture = *state;
    ask_often(fixture, "one-of-many", LIMIT_HTTP_CALLS);
    assert_int_equal(count_of(fixture, "//all/"), LIMIT_HTTP_CALLS / 2);
    const asked_t *const asked = ask(fixture, "acme", LONG_MS);
    assert_int_equal(count_of(fixture, "//acme/"), 1);
    answer(fixture, "//acme/");
    assert_int_equal(asked->count, 1);
    assert_false(asked->has_failed);
}

static void contexts_that_hang_leave_room_whatever_their_number(void **state)
{
    fixture_t *const fixture = *state;
    ask_often(fixture, "one-of-many", LIMIT_HTTP_CALLS);
    ask_often(fixture, "acme", LIMIT_HTTP_CALLS - 1);
    assert_true(fixture->on_their_way < LIMIT_HTTP_CALLS);
    (void)ask(fixture, "beta", LONG_MS);
    assert_int_equal(count_of(fixture, "//beta/"), 1);
}

/* As many contexts hang as there are places but one: that goes round among the rest. */
static void contexts_for_which_one_place_is_left_take_it_in_turns(void **state)
{
    fixture_t *const fixture = *state;
    char tenant[16];
    for (int i = 0; i < LIMIT_HTTP_CALLS - 1; i++) {
        (void)snprintf(tenant, sizeof tenant, "t%d", i);
        (void)ask(fixture, tenant, LONG_MS);
    }
    ask_often(fixture, "acme", 3);
    ask_often(fixture, "beta", 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(count_of(fixture, "//acme/"), 1);
        answer(fixture, "//acme/");
        assert_int_equal(count_of(fixture, "//beta/"), 1);
        answer(fixture, "//beta/");
    }
}

static void question_that_waits_goes_out_when_another_one_ends(void **state)
{
    fixture_t *const fixture = *state;
    ask_often(fixture, "one-of-many", LIMIT_HTTP_CALLS);
    for (uint32_t i = 0; i < LIMIT_HTTP_CALLS; i++) {
        answer(fixture, "//all/");
    }
    assert_int_equal(fixture->on_their_way, 0);
    for (uint32_t i = 0; i < LIMIT_HTTP_CALLS; i++) {
        assert_int_equal(fixture->asked[i].count, 1);
        assert_false(fixture->asked[i].has_failed);
    }
}

static void question_that_waits_ends_by_its_deadline_and_may_be_given_up(void **state)
{
    fixture_t *const fixture = *state;
    ask_often(fixture, "one-of-many", LIMIT_HTTP_CALLS / 2);
    asked_t *const given_up = ask(fixture, "one-of-many", LONG_MS);
    const asked_t *const late = ask(fixture, "one-of-many", 1);
    const asked_t *const patient = ask(fixture, "one-of-many", LONG_MS);
    fixture->membership->functions->cancel(fixture->membership, &given_up->call);
    await(fixture, late);
    assert_true(late->has_failed);
    assert_int_equal(patient->count, 0);
    assert_int_equal(count_of(fixture, "//all/"), LIMIT_HTTP_CALLS / 2);
    for (uint32_t i = 0; i < LIMIT_HTTP_CALLS / 2 + 1; i++) {
        answer(fixture, "//all/");
    }
    assert_int_equal(patient->count, 1);
    assert_false(patient->has_failed);
    assert_int_equal(given_up->count, 0);
}

static void question_that_the_client_refuses_is_a_failure(void **state)
{
    fixture_t *const fixture = *state;
    fixture->result = RESULT_INVALID_ARGUMENT;
    const asked_t *const asked = ask(fixture, "acme", LONG_MS);
    await(fixture, asked);
    assert_true(asked->has_failed);
    assert_string_equal(asked->failure, result_title(RESULT_INVALID_ARGUMENT));
    fixture->result = RESULT_OK;
    const asked_t *const next = ask(fixture, "acme", LONG_MS);
    answer(fixture, "//acme/");
    assert_int_equal(next->count, 1);
}

static void context_that_the_client_refuses_holds_up_no_other(void **state)
{
    fixture_t *const fixture = *state;
    asked_t *refused[3];
    (void)ask(fixture, "beta", LONG_MS);
    answer(fixture, "//beta/");
    fixture->refused = "http://acme";
    fixture->result = RESULT_INVALID_ARGUMENT;
    for (int i = 0; i < 3; i++) {
        refused[i] = ask(fixture, "acme", LONG_MS);
    }
    (void)ask(fixture, "beta", LONG_MS); /* before what was refused has ended */
    assert_int_equal(count_of(fixture, "//beta/"), 1);
    fixture->membership->functions->cancel(fixture->membership, &refused[1]->call);
    await(fixture, refused[2]);
    assert_int_equal(refused[0]->count, 1);
    assert_int_equal(refused[1]->count, 0);
    assert_string_equal(refused[2]->failure, result_title(RESULT_INVALID_ARGUMENT));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(context_that_hangs_takes_half_of_the_places_and_others_wait_for_nobody),
        TEST(contexts_that_hang_leave_room_whatever_their_number),
        TEST(contexts_for_which_one_place_is_left_take_it_in_turns),
        TEST(question_that_waits_goes_out_when_another_one_ends),
        TEST(question_that_waits_ends_by_its_deadline_and_may_be_given_up),
        TEST(question_that_the_client_refuses_is_a_failure),
        TEST(context_that_the_client_refuses_holds_up_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
