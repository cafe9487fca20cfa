/* The contract of actors/ports/http_client.h on a server that misbehaves in every way the network
 * allows. The loop turns until what is waited for is there. */
#include "adapters/http_client/http_client_internal.h"
#include "runtime/clock.h"
#include "tests/support/bad_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { WAIT_MS_MAX = 10000, BODY_MAX = 65536 };

typedef struct fixture {
    loop_t *loop;
    metrics_t *metrics;
    http_calls_t *client;
    bad_server_t *server;
    loop_timer_t *tick; /* a turn that only ran timers would go on to wait for sockets */
    char certificate[64];
} fixture_t;

typedef struct outcome {
    uint32_t count;
    http_call_end_t end;
    uint32_t status;
    uint32_t retry_after_s;
    uint32_t duration_ms;
    char content_type[64];
    char body[256];
    size_t body_size;
} outcome_t;

static void start_client(fixture_t *fixture, bool allows_private, const char *authorities)
{
    const http_calls_options_t options = {
        .name = "test", .allows_private = allows_private, .authorities = authorities};
    assert_int_equal(http_calls_create(fixture->loop, fixture->metrics, &options, &fixture->client),
                     RESULT_OK);
}

static void tick(void *context)
{
    (void)context;
}

static int start(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("test");
    fixture->tick = loop_timer_create(fixture->loop, tick, NULL);
    loop_timer_start(fixture->tick, 1, 1);
    fixture->server = bad_server_start(NULL);
    start_client(fixture, true, NULL);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    fixture_t *fixture = *state;
    http_calls_destroy(&fixture->client);
    loop_timer_destroy(&fixture->tick);
    loop_destroy(&fixture->loop);
    metrics_destroy(&fixture->metrics);
    if (fixture->server != NULL) {
        bad_server_stop(&fixture->server);
    }
    if (fixture->certificate[0] != '\0') {
        (void)unlink(fixture->certificate);
    }
    free(fixture);
    return 0;
}

static void call_done(void *context, const http_call_answer_t *answer)
{
    outcome_t *outcome = context;
    outcome->count++;
    outcome->end = answer->end;
    outcome->status = answer->status;
    outcome->retry_after_s = answer->retry_after_s;
    outcome->duration_ms = answer->duration_ms;
    outcome->body_size = answer->body.size;
    (void)snprintf(outcome->body, sizeof outcome->body, "%.*s", TEXT_PRINT(answer->body));
    (void)snprintf(outcome->content_type, sizeof outcome->content_type, "%.*s",
                   TEXT_PRINT(answer->content_type));
}

static void url_of(const fixture_t *fixture, const char *path, char url[256])
{
    (void)snprintf(url, 256, "http://127.0.0.1:%d%s", bad_server_port(fixture->server), path);
}

static http_call_request_t request_to(const char *url)
{
    return (http_call_request_t){.method = HTTP_CALL_GET,
                                 .url = text_from_c(url),
                                 .deadline_ms = 2000,
                                 .body_size_max = BODY_MAX};
}

static void turn_until(const fixture_t *fixture, const outcome_t *outcomes, size_t count)
{
    const uint64_t deadline = clock_monotonic_ms() + WAIT_MS_MAX;
    size_t ended = 0;
    while (ended < count) {
        assert_true(clock_monotonic_ms() < deadline);
        (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
        ended = 0;
        for (size_t i = 0; i < count; i++) {
            ended += outcomes[i].count;
        }
    }
}

static outcome_t run(const fixture_t *fixture, const http_call_request_t *request)
{
    outcome_t outcome = {0};
    http_call_t *call = NULL;
    assert_int_equal(
        fixture->client->functions->start(fixture->client, request, call_done, &outcome, &call),
        RESULT_OK);
    assert_int_equal(outcome.count, 0); /* never within the call */
    turn_until(fixture, &outcome, 1);
    return outcome;
}

static outcome_t get(const fixture_t *fixture, const char *path, uint32_t deadline_ms)
{
    char url[256];
    url_of(fixture, path, url);
    http_call_request_t request = request_to(url);
    request.deadline_ms = deadline_ms;
    return run(fixture, &request);
}

/* --- What comes back --- */

static void answers_arrive_with_status_type_and_body(void **state)
{
    const outcome_t outcome = get(*state, "/ok", 2000);
    assert_int_equal(outcome.end, HTTP_CALL_ANSWERED);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.content_type, "application/json");
    assert_string_equal(outcome.body, "{\"ok\":true}");
}

static void errors_of_the_server_are_answers(void **state)
{
    static const uint32_t statuses[] = {404, 410, 500, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/status/%u", statuses[i]);
        const outcome_t outcome = get(*state, path, 2000);
        assert_int_equal(outcome.end, HTTP_CALL_ANSWERED);
        assert_int_equal(outcome.status, statuses[i]);
        assert_int_equal(outcome.retry_after_s, statuses[i] == 503 ? 7 : 0);
    }
}

static void redirects_are_never_followed(void **state)
{
    const outcome_t outcome = get(*state, "/status/301", 2000);
    assert_int_equal(outcome.end, HTTP_CALL_ANSWERED);
    assert_int_equal(outcome.status, 301);
    assert_string_equal(outcome.body, "301");
}

static void methods_headers_and_bodies_arrive(void **state)
{
    const fixture_t *fixture = *state;
    char url[256];
    url_of(fixture, "/echo", url);
    const http_call_header_t header = {.name = TEXT_LITERAL("X-Echo"),
                                       .value = TEXT_LITERAL("over there")};
    http_call_request_t request = request_to(url);
    request.headers = &header;
    request.header_count = 1;
    request.method = HTTP_CALL_POST;
    request.body = TEXT_LITERAL("{\"a\":1}");
    assert_string_equal(run(fixture, &request).body, "X-Echo: over there|POST|{\"a\":1}");
    request.method = HTTP_CALL_PUT;
    assert_string_equal(run(fixture, &request).body, "X-Echo: over there|PUT |{\"a\":1}");
    request.method = HTTP_CALL_DELETE;
    request.body = TEXT_NONE;
    assert_string_equal(run(fixture, &request).body, "X-Echo: over there|DELE|");
}

static void connections_are_used_again(void **state)
{
    const fixture_t *fixture = *state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(get(fixture, "/ok", 2000).status, 200);
    }
    assert_int_equal(bad_server_connections(fixture->server), 1);
}

/* --- Bad servers --- */

static void garbage_and_broken_connections_end_as_broken(void **state)
{
    static const char *const paths[] = {"/garbage", "/half", "/slam"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(get(*state, paths[i], 2000).end, HTTP_CALL_BROKEN);
    }
}

static void answers_beyond_their_bound_end_as_too_large(void **state)
{
    const outcome_t huge = get(*state, "/huge", 5000);
    assert_int_equal(huge.end, HTTP_CALL_TOO_LARGE);
    assert_int_equal(huge.body_size, 0);
    assert_int_equal(get(*state, "/endless", 5000).end, HTTP_CALL_TOO_LARGE);
}

static void slow_and_silent_servers_end_by_the_deadline(void **state)
{
    static const char *const paths[] = {"/drip", "/never"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const outcome_t outcome = get(*state, paths[i], 150);
        assert_int_equal(outcome.end, HTTP_CALL_TIMED_OUT);
        assert_in_range(outcome.duration_ms, 100, 2000);
    }
}

static void server_that_is_gone_is_unreachable(void **state)
{
    fixture_t *fixture = *state;
    char url[256];
    url_of(fixture, "/ok", url);
    bad_server_stop(&fixture->server);
    const http_call_request_t request = request_to(url);
    assert_int_equal(run(fixture, &request).end, HTTP_CALL_UNREACHABLE);
}

static void name_without_address_is_unresolved(void **state)
{
    http_call_request_t request = request_to("http://nobody.invalid/");
    const outcome_t outcome = run(*state, &request);
    /* With no name server at all the resolver may try until the deadline. */
    assert_true(outcome.end == HTTP_CALL_UNRESOLVED || outcome.end == HTTP_CALL_TIMED_OUT);
}

static void hanging_calls_do_not_delay_the_others(void **state)
{
    enum { HANGING = 100 };
    const fixture_t *fixture = *state;
    static outcome_t hanging[HANGING];
    char url[256];
    url_of(fixture, "/never", url);
    http_call_request_t request = request_to(url);
    request.deadline_ms = 1500;
    memset(hanging, 0, sizeof hanging);
    for (size_t i = 0; i < HANGING; i++) {
        http_call_t *call = NULL;
        assert_int_equal(fixture->client->functions->start(fixture->client, &request, call_done,
                                                           &hanging[i], &call),
                         RESULT_OK);
    }
    assert_int_equal(get(fixture, "/ok", 2000).status, 200);
    assert_int_equal(hanging[0].count, 0);
    turn_until(fixture, hanging, HANGING);
    for (size_t i = 0; i < HANGING; i++) {
        assert_int_equal(hanging[i].end, HTTP_CALL_TIMED_OUT);
    }
}

/* --- Where it may go --- */

static bool is_public(const char *text)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
    if (strchr(text, ':') == NULL) {
        four->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &four->sin_addr), 1);
    } else {
        six->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
    }
    return http_address_is_public((const struct sockaddr *)&storage);
}

static void only_public_addresses_are_public(void **state)
{
    (void)state;
    static const char *const no[] = {"0.0.0.0",
                                     "10.1.2.3",
                                     "100.64.0.1",
                                     "127.0.0.1",
                                     "127.255.255.254",
                                     "169.254.169.254",
                                     "172.16.0.1",
                                     "172.31.255.255",
                                     "192.168.1.1",
                                     "192.0.2.1",
                                     "198.18.0.1",
                                     "198.19.255.1",
                                     "224.0.0.1",
                                     "240.0.0.1",
                                     "255.255.255.255",
                                     "::",
                                     "::1",
                                     "::ffff:10.0.0.1",
                                     "fe80::1",
                                     "fc00::1",
                                     "fd12::1",
                                     "ff02::1",
                                     "2001:db8::1",
                                     "2002:a00:1::",
                                     "2001::1",
                                     "64:ff9b::a00:1",
                                     "::7f00:1",
                                     "::ffff:127.0.0.1"};
    static const char *const yes[] = {
        "1.1.1.1",         "8.8.8.8",     "100.63.0.1",      "172.15.0.1",   "172.32.0.1",
        "192.167.255.255", "223.255.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (is_public(no[i])) {
            fail_msg("%s counts as public", no[i]);
        }
    }
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (!is_public(yes[i])) {
            fail_msg("%s does not count as public", yes[i]);
        }
    }
}

static void private_addresses_are_refused_when_the_connection_is_made(void **state)
{
    fixture_t *fixture = *state;
    http_calls_destroy(&fixture->client);
    start_client(fixture, false, NULL);
    /* By number, by name, and in the notations that clever filters overlook. */
    static const char *const hosts[] = {"127.0.0.1", "localhost",  "[::1]",
                                        "0x7f.1",    "2130706433", "[::ffff:127.0.0.1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        char url[256];
        (void)snprintf(url, sizeof url, "http://%s:%d/ok", hosts[i],
                       bad_server_port(fixture->server));
        const http_call_request_t request = request_to(url);
        assert_int_equal(run(fixture, &request).end, HTTP_CALL_ADDRESS_FORBIDDEN);
    }
    assert_int_equal(bad_server_connections(fixture->server), 0);
}

static void use_tls(fixture_t *fixture, bool trusts_it)
{
    bad_server_stop(&fixture->server);
    http_calls_destroy(&fixture->client);
    (void)snprintf(fixture->certificate, sizeof fixture->certificate,
                   "/tmp/digitalcard-certificate.%d", (int)getpid());
    fixture->server = bad_server_start(fixture->certificate);
    start_client(fixture, true, trusts_it ? fixture->certificate : NULL);
}

static http_call_end_t end_over_tls(const fixture_t *fixture, const char *host)
{
    char url[256];
    (void)snprintf(url, sizeof url, "https://%s:%d/ok", host, bad_server_port(fixture->server));
    const http_call_request_t request = request_to(url);
    return run(fixture, &request).end;
}

static void certificates_are_checked(void **state)
{
    fixture_t *fixture = *state;
    use_tls(fixture, false);
    assert_int_equal(end_over_tls(fixture, "localhost"), HTTP_CALL_TLS_FAILED);
}

static void host_names_are_checked_against_the_certificate(void **state)
{
    fixture_t *fixture = *state;
    use_tls(fixture, true);
    assert_int_equal(end_over_tls(fixture, "localhost"), HTTP_CALL_ANSWERED);
    assert_int_equal(end_over_tls(fixture, "127.0.0.1"), HTTP_CALL_TLS_FAILED);
}

/* --- Callers --- */

static void calls_that_cannot_be_made_are_refused(void **state)
{
    const fixture_t *fixture = *state;
    static const char *const urls[] = {"",          "nonsense",      "file:///etc/passwd",
                                       "ftp://a/b", "gopher://a:1/", "http://user:secret@host/"};
    outcome_t outcome = {0};
    http_call_t *call = NULL;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const http_call_request_t request = request_to(urls[i]);
        assert_int_equal(fixture->client->functions->start(fixture->client, &request, call_done,
                                                           &outcome, &call),
                         RESULT_INVALID_ARGUMENT);
    }
    const http_call_header_t smuggled = {.name = TEXT_LITERAL("X-A"),
                                         .value = TEXT_LITERAL("b\r\nX-Evil: c")};
    http_call_request_t request = request_to("http://127.0.0.1/");
    request.headers = &smuggled;
    request.header_count = 1;
    assert_int_equal(
        fixture->client->functions->start(fixture->client, &request, call_done, &outcome, &call),
        RESULT_INVALID_ARGUMENT);
    assert_int_equal(outcome.count, 0);
}

static void calls_beyond_the_bound_are_busy_and_cancelled_ones_never_end(void **state)
{
    const fixture_t *fixture = *state;
    static http_call_t *calls[LIMIT_HTTP_CALLS];
    outcome_t outcome = {0};
    http_call_t *one_more = NULL;
    char url[256];
    url_of(fixture, "/never", url);
    const http_call_request_t request = request_to(url);
    for (size_t i = 0; i < LIMIT_HTTP_CALLS; i++) {
        assert_int_equal(fixture->client->functions->start(fixture->client, &request, call_done,
                                                           &outcome, &calls[i]),
                         RESULT_OK);
    }
    assert_int_equal(fixture->client->functions->start(fixture->client, &request, call_done,
                                                       &outcome, &one_more),
                     RESULT_BUSY);
    for (int turn = 0; turn < 20; turn++) {
        (void)uv_run(loop_uv(fixture->loop), UV_RUN_NOWAIT);
    }
    for (size_t i = 0; i < LIMIT_HTTP_CALLS; i++) {
        fixture->client->functions->cancel(fixture->client, &calls[i]);
        assert_null(calls[i]);
    }
    assert_int_equal(get(fixture, "/ok", 2000).status, 200);
    assert_int_equal(outcome.count, 0);
}

/* The fixture's `stop` destroys the client with this call on its way. */
static void client_that_is_destroyed_gives_up_its_calls(void **state)
{
    const fixture_t *fixture = *state;
    static outcome_t outcome;
    http_call_t *call = NULL;
    const http_call_request_t request = request_to("http://nobody.invalid/");
    assert_int_equal(
        fixture->client->functions->start(fixture->client, &request, call_done, &outcome, &call),
        RESULT_OK);
    (void)uv_run(loop_uv(fixture->loop), UV_RUN_NOWAIT);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(answers_arrive_with_status_type_and_body),
        CASE(errors_of_the_server_are_answers),
        CASE(redirects_are_never_followed),
        CASE(methods_headers_and_bodies_arrive),
        CASE(connections_are_used_again),
        CASE(garbage_and_broken_connections_end_as_broken),
        CASE(answers_beyond_their_bound_end_as_too_large),
        CASE(slow_and_silent_servers_end_by_the_deadline),
        CASE(server_that_is_gone_is_unreachable),
        CASE(name_without_address_is_unresolved),
        CASE(hanging_calls_do_not_delay_the_others),
        cmocka_unit_test(only_public_addresses_are_public),
        CASE(private_addresses_are_refused_when_the_connection_is_made),
        CASE(certificates_are_checked),
        CASE(host_names_are_checked_against_the_certificate),
        CASE(calls_that_cannot_be_made_are_refused),
        CASE(calls_beyond_the_bound_are_busy_and_cancelled_ones_never_end),
        CASE(client_that_is_destroyed_gives_up_its_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
