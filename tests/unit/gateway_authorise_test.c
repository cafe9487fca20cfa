/* gateway_authorise says about token, tenant and role what gateway_submit would. */
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/gateway_support.h"

static const char *const tenants[] = {"acme", "other", "../etc", "nowhere", "big"};
static const char *const tokens[] = {"",
                                     "garbage",
                                     "nobody@other",
                                     "issuer@acme",
                                     "validator@acme",
                                     "validator@nowhere",
                                     "auditor@big",
                                     "platform_admin@"};

static void access_is_judged_as_by_submit(void **state)
{
    gateway_fixture_t *fixture = *state;
    uint32_t allowed = 0;
    for (size_t i = 0; i < sizeof(tenants) / sizeof(tenants[0]); i++) {
        for (size_t j = 0; j < sizeof(tokens) / sizeof(tokens[0]); j++) {
            gateway_request_t request = gateway_validate_request(tenants[i], tokens[j]);
            gateway_reply_t why_not = {0};
            if (gateway_authorise(fixture->gateway, &request, &why_not)) {
                allowed++;
                request.has_card = false; /* so that submit refuses, but for this alone */
                assert_int_equal(gateway_submit_to(fixture, &request), 0);
                assert_int_equal(gateway_last_ended(fixture)->result, RESULT_INVALID_ID);
                continue;
            }
            assert_int_equal(gateway_submit_to(fixture, &request), 0);
            const ended_t *ended = gateway_last_ended(fixture);
            assert_int_equal(why_not.result, ended->result);
            assert_true(text_equal(why_not.detail, text_from_c(ended->detail)));
            assert_int_equal(why_not.trace_id.size, 32);
        }
    }
    assert_int_equal(allowed, 3); /* the validator at home, the platform in both tenants */
}

static void what_comes_after_access_does_not_count(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    gateway_reply_t why_not = {0};
    request.key = TEXT_LITERAL("two words");
    request.has_card = false;
    request.command = NULL;
    assert_true(gateway_authorise(fixture->gateway, &request, &why_not));
    request.type = request_type_directory_get;
    assert_false(gateway_authorise(fixture->gateway, &request, &why_not));
    assert_int_equal(why_not.result, RESULT_UNKNOWN_TYPE);
}

static void the_trace_goes_on(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("acme", "");
    gateway_reply_t why_not = {0};
    request.traceparent = TEXT_LITERAL("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_false(gateway_authorise(fixture->gateway, &request, &why_not));
    assert_true(text_equal(why_not.trace_id, TEXT_LITERAL("4bf92f3577b34da6a3ce929d0e0e4736")));
}

static void draining_and_starting_services_say_so(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_request_t request = gateway_validate_request("acme", "validator@acme");
    gateway_reply_t why_not = {0};
    assert_false(gateway_authorise(fixture->gateway, &request, &why_not));
    assert_int_equal(why_not.result, RESULT_UNAVAILABLE);
    assert_int_equal(why_not.retry_after_s, 1);
    gateway_drain(fixture->gateway, NULL, NULL);
    assert_false(gateway_authorise(fixture->gateway, &request, &why_not));
    assert_int_equal(why_not.result, RESULT_DRAINING);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, gateway_setup, gateway_teardown)
    const struct CMUnitTest tests[] = {
        WITH(access_is_judged_as_by_submit),
        WITH(what_comes_after_access_does_not_count),
        WITH(the_trace_goes_on),
        cmocka_unit_test_setup_teardown(draining_and_starting_services_say_so, gateway_setup_bare,
                                        gateway_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
