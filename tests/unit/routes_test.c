/* What the HTTP front asks the gateway for each route, and what it answers: statuses, headers,
 * problems. The gateway is a fake. */
#include "tests/support/http_fixture.h"

#include "adapters/http/percent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ID GATEWAY_FAKE_CARD
#define H "Host: a\r\nAuthorization: Bearer good\r\n"
#define JSON "Content-Type: application/json\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"
#define ISSUE "POST /acme/api/v1/cards HTTP/1.1\r\n" H JSON
#define ISSUE_BODY "{\"member_id\":\"m-1\",\"expires_at\":\"2027-01-01T00:00:00Z\"}"

static http_fixture_t fixture;
static http_reply_t reply;

static int start(void **state)
{
    (void)state;
    http_fixture_start(&fixture, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_fixture_stop(&fixture);
    return 0;
}

static void ask(const char *request)
{
    http_ask(&fixture, request, &reply);
}

/* POST with a body; `fields` are whole lines. */
static void post(const char *path, const char *fields, const char *body)
{
    char request[4096];
    const int size =
        snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\n%sContent-Length: %zu\r\n\r\n%s",
                 path, fields, strlen(body), body);
    assert_true(size > 0 && (size_t)size < sizeof(request));
    ask(request);
}

static bool has(const char *line)
{
    return strstr(reply.head, line) != NULL;
}

static void expect(int status)
{
    if (reply.status != status) {
        fail_msg("%d instead of %d: %s", reply.status, status, reply.body);
    }
}

static void expect_problem(int status, const char *code, const char *field)
{
    char wanted[128];
    expect(status);
    assert_true(has("Content-Type: application/problem+json\r\n"));
    (void)snprintf(wanted, sizeof(wanted), "\"code\":\"%s\"", code);
    if (strstr(reply.body, wanted) == NULL) {
        fail_msg("%s instead of %s", reply.body, code);
    }
    (void)snprintf(wanted, sizeof(wanted), "\"status\":%d,", status);
    assert_non_null(strstr(reply.body, wanted));
    assert_non_null(strstr(reply.body, "\"trace_id\":\""));
    if (field != NULL) {
        (void)snprintf(wanted, sizeof(wanted), "\"field\":\"%s\"", field);
        if (strstr(reply.body, wanted) == NULL) {
            fail_msg("%s does not name %s", reply.body, field);
        }
    }
}

/* --- Routes --- */

typedef struct route_case {
    const char *method_and_path;
    uint8_t type; /* none: the gateway is not asked */
    bool has_card;
    int status;
} route_case_t;

static const route_case_t route_cases[] = {
    {"POST /acme/api/v1/cards", request_type_card_issue, false, 201},
    {"GET /acme/api/v1/cards", request_type_card_list, false, 200},
    {"HEAD /acme/api/v1/cards", request_type_card_list, false, 200},
    {"GET /acme/api/v1/cards/" ID, request_type_card_get, true, 200},
    {"HEAD /acme/api/v1/cards/" ID, request_type_card_get, true, 200},
    {"POST /acme/api/v1/cards/" ID "/activate", request_type_card_activate, true, 200},
    {"POST /acme/api/v1/cards/" ID "/suspend", request_type_card_suspend, true, 200},
    {"POST /acme/api/v1/cards/" ID "/reinstate", request_type_card_reinstate, true, 200},
    {"POST /acme/api/v1/cards/" ID "/renew", request_type_card_renew, true, 200},
    {"POST /acme/api/v1/cards/" ID "/replace", request_type_card_replace, true, 200},
    {"POST /acme/api/v1/cards/" ID "/revoke", request_type_card_revoke, true, 200},
    {"GET /acme/api/v1/cards/" ID "/history", request_type_card_history, true, 200},
    {"GET /acme/api/v1/cards/" ID "/qr.svg", request_type_card_get, true, 200},
    {"GET /acme/api/v1/cards/" ID "/qr.png", request_type_card_get, true, 200},
    {"GET /acme/api/v1/events", request_type_events_read, false, 200},
    {"POST /acme/mapi/v1/scans", request_type_card_scan, false, 200},
    {"POST /acme/mapi/v1/cards/" ID "/validate", request_type_card_validate, true, 200},
    {"GET /acme/mapi/v1/cards/" ID, request_type_card_get, true, 200},
    {"GET /%61cme/api/v1/c%61rds", request_type_card_list, false, 200},

    {"GET /acme/api/v1/guest-cards", 0, false, 501},
    {"POST /acme/api/v1/guest-cards/" ID "/revoke", 0, false, 501},
    {"POST /acme/mapi/v1/guest-cards/" ID "/validate", 0, false, 501},
    {"GET /acme", 0, false, 501},
    {"GET /acme/cards", 0, false, 501},
    {"GET /api/v1/tenants", 0, false, 501},
    {"GET /mapi/v1/anything/at/all", 0, false, 501},
    {"GET /", 0, false, 200},
    {"GET /health/live", 0, false, 200},
    {"HEAD /health/live", 0, false, 200},
    {"GET /health/digitalcard/liveness", 0, false, 200},
    {"GET /health/ready", 0, false, 200},
    {"GET /health/digitalcard/readiness", 0, false, 200},
    {"GET /health/digitalcard", 0, false, 200},
    {"GET /metrics", 0, false, 200},
    {"GET /metrics/digitalcard", 0, false, 200},
    {"GET /.well-known/jwks.json", 0, false, 200},
    {"OPTIONS /acme/api/v1/cards", 0, false, 204},
    {"OPTIONS *", 0, false, 204},

    {"GET /favicon.ico", 0, false, 404},
    {"GET /admin", 0, false, 404},
    {"GET /health", 0, false, 404},
    {"GET /health/live/", 0, false, 404},
    {"GET /acme/api/v1/cards/", request_type_none, false, 400},
    {"GET /acme/api/v1", 0, false, 404},
    {"GET /acme/api/v2/cards", 0, false, 404},
    {"GET /acme/api/v1/cards/" ID "/qr.gif", 0, false, 404},
    {"GET /a/b/c/d/e/f/g/h/i/j/k", 0, false, 404},
    {"GET /acme/api/v1/scans", 0, false, 404},
    {"DELETE /acme/api/v1/cards/" ID, 0, false, 405},
    {"PUT /acme/api/v1/cards", 0, false, 405},
    {"POST /health/live", 0, false, 405},
    {"GET /acme/mapi/v1/scans", 0, false, 405},
    {"GET /acme%2Fapi/v1/cards", 0, false, 400},
    {"GET /acme%00/api/v1/cards", 0, false, 400},
    {"GET /acme%0a/api/v1/cards", 0, false, 400},
    {"GET /acme%zz/api/v1/cards", 0, false, 400},
    {"GET /acme%4", 0, false, 400},
};

static const char *body_for(uint8_t type)
{
    switch (type) {
    case request_type_card_issue:
        return ISSUE_BODY;
    case request_type_card_renew:
        return "{\"expires_at\":\"2027-01-01T00:00:00Z\"}";
    case request_type_card_scan:
        return "{\"qr\":\"x\",\"gate\":\"g\"}";
    case request_type_card_validate:
        return "{\"gate\":\"g\"}";
    default:
        return "";
    }
}

static void routes_lead_where_the_contract_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(route_cases) / sizeof(route_cases[0]); i++) {
        const route_case_t *wanted = &route_cases[i];
        const char *body = body_for(wanted->type);
        char request[2048];
        const uint64_t before = fixture.gateway.submitted;
        (void)snprintf(request, sizeof(request),
                       "%s HTTP/1.1\r\n" H "%sContent-Length: %zu\r\n\r\n%s",
                       wanted->method_and_path, body[0] == '\0' ? "" : JSON, strlen(body), body);
        ask(request);
        if (reply.status != wanted->status) {
            fail_msg("%s: %d instead of %d", wanted->method_and_path, reply.status, wanted->status);
        }
        assert_int_equal(fixture.gateway.submitted - before, wanted->type == 0 ? 0 : 1);
        if (wanted->type != 0) {
            assert_int_equal(fixture.gateway.last.type, wanted->type);
            assert_int_equal(fixture.gateway.last.has_card, wanted->has_card);
            assert_string_equal(fixture.gateway.last.tenant, "acme");
            assert_string_equal(fixture.gateway.last.token, "good");
        }
    }
}

static void methods_that_a_path_does_not_know_are_told_the_others(void **state)
{
    (void)state;
    ask("DELETE /acme/api/v1/cards HTTP/1.1\r\n" H "\r\n");
    expect_problem(405, "method_not_allowed", NULL);
    assert_true(has("Allow: GET, HEAD, POST, OPTIONS\r\n"));
    ask("OPTIONS /acme/mapi/v1/scans HTTP/1.1\r\n" H "\r\n");
    expect(204);
    assert_true(has("Allow: POST, OPTIONS\r\n"));
    assert_false(has("Content-Length"));
}

static void head_answers_as_get_without_the_body(void **state)
{
    (void)state;
    ask(GET("/acme/api/v1/cards/" ID));
    const size_t size = reply.body_size;
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), "Content-Length: %zu\r\n", size);
    ask("HEAD /acme/api/v1/cards/" ID " HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    expect(200);
    assert_true(has(wanted));
    assert_true(has("ETag: \"7\"\r\n"));
}

/* --- Documents --- */

static void issued_card_has_its_place_and_version(void **state)
{
    (void)state;
    post("/acme/api/v1/cards", H JSON, ISSUE_BODY);
    expect(201);
    assert_true(has("Location: /acme/api/v1/cards/" ID "\r\n"));
    assert_true(has("ETag: \"7\"\r\n"));
    assert_true(has("Content-Type: application/json\r\n"));
    assert_true(has("Cache-Control: no-store\r\n"));
    assert_true(has("X-Content-Type-Options: nosniff\r\n"));
    assert_true(has("X-Trace-Id: 0123456789abcdef0123456789abcdef\r\n"));
    assert_true(has("Date: "));
    assert_true(has(" GMT\r\n"));
    assert_string_equal(fixture.gateway.last.member_id, "m-1");
    assert_non_null(strstr(reply.body, "\"id\":\"" ID "\""));

    post("/acme/api/v1/cards/" ID "/replace", H, "");
    expect(200);
    assert_true(has("\r\nLocation: /acme/api/v1/cards/" ID "\r\n"));
    assert_true(has("Content-Location: /acme/api/v1/cards/" ID "\r\n"));
}

static void unchanged_cards_are_not_sent_again(void **state)
{
    (void)state;
#define GET_IF(condition) "GET /acme/api/v1/cards/" ID " HTTP/1.1\r\n" H condition "\r\n\r\n"
    ask(GET_IF("If-None-Match: \"7\""));
    expect(304);
    assert_true(has("ETag: \"7\"\r\n"));
    assert_false(has("Content-Length"));
    ask(GET_IF("If-None-Match: \"6\", W/\"7\""));
    expect(304);
    ask(GET_IF("If-None-Match: *"));
    expect(304);
    ask(GET_IF("If-None-Match: \"6\""));
    expect(200);
    ask(GET_IF("If-None-Match: rubbish"));
    expect(200);
    ask(GET_IF("If-Match: \"6\""));
    expect_problem(412, "precondition_failed", NULL);
    ask(GET_IF("If-Match: \"7\""));
    expect(200);
}

static void commands_take_a_condition_along(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        bool has_condition;
        uint64_t version;
    } conditions[] = {
        {"", false, 0},
        {"If-Match: *\r\n", false, 0},
        {"If-Match: \"7\"\r\n", true, 7},
        {"If-Match: W/\"7\"\r\n", true, 7},
        {"If-Match: \"somebody else's\"\r\n", true, 0},
        {"If-Match: \"9999999999999999\"\r\n", true, 0},
    };
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        char fields[256];
        (void)snprintf(fields, sizeof(fields), H "%s", conditions[i].field);
        post("/acme/api/v1/cards/" ID "/revoke", fields, "");
        expect(200);
        assert_int_equal(fixture.gateway.last.has_condition, conditions[i].has_condition);
        assert_int_equal(fixture.gateway.last.if_version, conditions[i].version);
    }
    post("/acme/api/v1/cards/" ID "/revoke", H "If-Match: \"7\", \"8\"\r\n", "");
    expect_problem(400, "invalid_parameter", "If-Match");
}

static void pages_link_to_the_next_one(void **state)
{
    (void)state;
    ask(GET("/acme/api/v1/cards?limit=2&cursor=abc&status=active&q=a%20b"));
    expect(200);
    assert_true(has("Link: </acme/api/v1/cards?limit=2&status=active&q=a%20b&"
                    "cursor=next%2F1%2B2>; rel=\"next\"\r\n"));
    const card_list_t *list = &fixture.gateway.last.command.card_list;
    assert_int_equal(list->limit, 2);
    assert_int_equal(list->status, card_status_active);
    assert_true(MESSAGE_HAS(card_list, list, q));
    assert_false(MESSAGE_HAS(card_list, list, member_id));
    ask(GET("/acme/api/v1/events?partition=3&after=41&limit=1000"));
    assert_true(
        has("Link: </acme/api/v1/events?partition=3&limit=1000&after=42>; rel=\"next\"\r\n"));
    const events_read_t *events = &fixture.gateway.last.command.events_read;
    assert_int_equal(events->after, 41);
    assert_int_equal(events->partition, 3);
}

static void large_pages_are_sent_whole(void **state)
{
    (void)state;
    fixture.gateway.page_items = 500;
    ask(GET("/acme/api/v1/cards"));
    expect(200);
    assert_true(reply.body_size > LIMIT_HTTP_SCRATCH_SIZE);
    ask(GET("/acme/api/v1/cards/" ID));
    expect(200);
}

static void codes_are_drawn_for_those_who_may_see_them(void **state)
{
    (void)state;
    ask(GET("/acme/api/v1/cards/" ID "/qr.svg"));
    expect(200);
    assert_string_equal(reply.body, "<svg>DC1:ABC");
    assert_true(has("Content-Type: image/svg+xml\r\n"));
    assert_true(has("Cache-Control: no-store\r\n"));
    ask(GET("/acme/api/v1/cards/" ID "/qr.png"));
    assert_true(has("Content-Type: image/png\r\n"));
    assert_int_equal(reply.body_size, 4);
    ask("GET /acme/api/v1/cards/" ID "/qr.png HTTP/1.1\r\nHost: a\r\n"
        "Authorization: Bearer auditor\r\n\r\n");
    expect_problem(403, "forbidden", NULL);
}

/* --- Who asks --- */

static void tokens_are_asked_for_in_the_words_of_rfc_6750(void **state)
{
    (void)state;
#define GET_AS(field) "GET /acme/api/v1/cards/" ID " HTTP/1.1\r\nHost: a\r\n" field "\r\n"
    ask(GET_AS(""));
    expect_problem(401, "unauthenticated", NULL);
    assert_true(has("WWW-Authenticate: Bearer realm=\"digitalcard\"\r\n"));
    ask(GET_AS("Authorization: Bearer bad\r\n"));
    expect_problem(401, "unauthenticated", NULL);
    assert_true(has("WWW-Authenticate: Bearer realm=\"digitalcard\", error=\"invalid_token\"\r\n"));
    ask(GET_AS("Authorization: Bearer expired\r\n"));
    expect_problem(401, "token_expired", NULL);
    ask(GET_AS("Authorization: Basic good\r\n"));
    expect_problem(401, "unauthenticated", NULL);
    ask(GET_AS("Authorization: bearer good\r\n"));
    expect(200);
    ask(GET_AS("Authorization: Bearer good\r\nAuthorization: Bearer good\r\n"));
    expect_problem(400, "invalid_request", NULL);
}

static void authorisation_comes_before_every_other_complaint(void **state)
{
    (void)state;
#define NOBODY "Host: a\r\n"
    post("/acme/api/v1/cards", NOBODY JSON, "{");
    expect_problem(401, "unauthenticated", NULL);
    post("/acme/api/v1/cards", NOBODY "Content-Type: text/plain\r\n", "x");
    expect_problem(401, "unauthenticated", NULL);
    ask("GET /acme/api/v1/cards/no-uuid HTTP/1.1\r\n" NOBODY "\r\n");
    expect_problem(401, "unauthenticated", NULL);
    ask("GET /acme/api/v1/cards?x=1 HTTP/1.1\r\n" NOBODY "\r\n");
    expect_problem(401, "unauthenticated", NULL);
    ask(GET("/other/api/v1/cards/no-uuid"));
    expect_problem(403, "wrong_tenant", NULL);
    ask(GET("/ACME/api/v1/cards/no-uuid"));
    expect_problem(400, "invalid_tenant", NULL);
    ask(GET("/../api/v1/cards"));
    expect_problem(400, "invalid_tenant", NULL);
    ask(GET("//api/v1/cards"));
    expect_problem(400, "invalid_tenant", NULL);
    ask(GET("/acme/api/v1/cards/no-uuid"));
    expect_problem(400, "invalid_id", "id");
}

static void tenant_names_of_any_length_reach_the_gateway(void **state)
{
    (void)state;
    char request[1024];
    (void)snprintf(request, sizeof(request), "GET /%0300d/api/v1/cards HTTP/1.1\r\n" H "\r\n", 0);
    ask(request);
    expect_problem(400, "invalid_tenant", NULL);
}

/* --- Bodies --- */

typedef struct body_case {
    const char *body;
    int status;
    const char *code;
    const char *field;
} body_case_t;

static const body_case_t body_cases[] = {
    {"", 400, "malformed_json", NULL},
    {"{", 400, "malformed_json", NULL},
    {"nonsense", 400, "malformed_json", NULL},
    {ISSUE_BODY "x", 400, "malformed_json", NULL},
    {"{\"member_id\":\"\xff\"}", 400, "malformed_json", NULL},
    {"[]", 400, "invalid_body", NULL},
    {"1", 400, "invalid_body", NULL},
    {"{}", 400, "invalid_body", "member_id"},
    {"{\"member_id\":1,\"expires_at\":\"2027-01-01T00:00:00Z\"}", 400, "invalid_body", "member_id"},
    {"{\"member_id\":\"\",\"expires_at\":\"2027-01-01T00:00:00Z\"}", 400, "invalid_body",
     "member_id"},
    {"{\"member_id\":\"a\\u0000b\",\"expires_at\":\"2027-01-01T00:00:00Z\"}", 400, "invalid_body",
     "member_id"},
    {"{\"member_id\":\"m\",\"expires_at\":\"2027-02-30T00:00:00Z\"}", 400, "invalid_dates",
     "expires_at"},
    {"{\"member_id\":\"m\",\"expires_at\":\"9999-01-01T00:00:00Z\"}", 400, "invalid_dates",
     "expires_at"},
    {"{\"member_id\":\"m\",\"expires_at\":\"2016-12-31T23:59:60Z\"}", 400, "invalid_dates",
     "expires_at"},
    {"{\"member_id\":\"m\",\"expires_at\":\"0000-01-01T00:00:00Z\"}", 400, "invalid_dates",
     "expires_at"},
    {"{\"member_id\":\"m\",\"expires_at\":\"2027-01-01T00:00:00Z\",\"colour\":1}", 400,
     "unknown_field", "colour"},
    {"{\"member_id\":\"m\",\"id\":\"" ID "\",\"expires_at\":\"2027-01-01T00:00:00Z\"}", 400,
     "unknown_field", "id"},
    {"{\"member_id\":\"m\",\"member_id\":\"n\",\"expires_at\":\"2027-01-01T00:00:00Z\"}", 400,
     "invalid_body", "member_id"},
};

static void unusable_bodies_are_told_exactly_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(body_cases) / sizeof(body_cases[0]); i++) {
        post("/acme/api/v1/cards", H JSON, body_cases[i].body);
        expect_problem(body_cases[i].status, body_cases[i].code, body_cases[i].field);
    }
    assert_int_equal(fixture.gateway.submitted, 0);
    assert_int_equal(fixture.gateway.authorised, sizeof(body_cases) / sizeof(body_cases[0]));
}

static void bodies_must_be_json_and_plain(void **state)
{
    (void)state;
    static const char *const good[] = {
        "application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json;charset=UTF-8", "application/json; charset=\"utf-8\""};
    static const char *const bad[] = {"text/plain", "application/jsonp", "application/json; x=y",
                                      "application/json charset=utf-8", ""};
    char fields[256];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        (void)snprintf(fields, sizeof(fields), H "Content-Type: %s\r\n", good[i]);
        post("/acme/api/v1/cards", fields, ISSUE_BODY);
        expect(201);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(fields, sizeof(fields), H "Content-Type: %s\r\n", bad[i]);
        post("/acme/api/v1/cards", fields, ISSUE_BODY);
        expect_problem(415, "unsupported_media_type", "Content-Type");
    }
    post("/acme/api/v1/cards", H, ISSUE_BODY);
    expect_problem(415, "unsupported_media_type", "Content-Type");
    post("/acme/api/v1/cards", H JSON "Content-Encoding: gzip\r\n", ISSUE_BODY);
    expect_problem(415, "unsupported_media_type", "Content-Encoding");
}

static void changes_may_come_without_a_body(void **state)
{
    (void)state;
    ask("POST /acme/api/v1/cards/" ID "/activate HTTP/1.1\r\n" H "\r\n");
    expect(200);
    const card_change_t *change = &fixture.gateway.last.command.card_change;
    assert_true(MESSAGE_HAS(card_change, change, id));
    assert_true(uuid_equal(&change->id, &fixture.gateway.last.card));
    assert_false(MESSAGE_HAS(card_change, change, reason));
    post("/acme/api/v1/cards/" ID "/suspend", H JSON, "{\"reason\":\"lost\"}");
    expect(200);
    assert_true(MESSAGE_HAS(card_change, change, reason));
    post("/acme/api/v1/cards/" ID "/suspend", H JSON, "{\"id\":\"" ID "\"}");
    expect_problem(400, "unknown_field", "id");
    post("/acme/api/v1/cards/" ID "/renew", H, "");
    expect_problem(400, "malformed_json", NULL);
}

/* --- Parameters and headers --- */

typedef struct query_case {
    const char *query;
    const char *field; /* NULL: good */
} query_case_t;

static const query_case_t query_cases[] = {
    {"?", NULL},
    {"?limit=1", NULL},
    {"?limit=500&status=revoked", NULL},
    {"?q=M%C3%BCller+x", NULL},
    {"?member_id=a&cursor=b", NULL},
    {"?%6cimit=1", NULL},
    {"?limit=0", "limit"},
    {"?limit=501", "limit"},
    {"?limit=-1", "limit"},
    {"?limit=1.5", "limit"},
    {"?limit=", "limit"},
    {"?limit", "limit"},
    {"?limit=99999999999999999999", "limit"},
    {"?limit=1&limit=1", "limit"},
    {"?limit=1&%6cimit=2", "limit"},
    {"?colour=red", "colour"},
    {"?status=gone", "status"},
    {"?q=", "q"},
    {"?q=%ff", "q"},
    {"?q=%00", "q"},
    {"?q=%zz", "q"},
    {"?q=%ed%a0%80", "q"},
    {"?id=" ID, "id"},
};

static void parameters_are_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(query_cases) / sizeof(query_cases[0]); i++) {
        char request[512];
        (void)snprintf(request, sizeof(request), "GET /acme/api/v1/cards%s HTTP/1.1\r\n" H "\r\n",
                       query_cases[i].query);
        ask(request);
        if (query_cases[i].field == NULL) {
            expect(200);
        } else {
            expect_problem(400, "invalid_parameter", query_cases[i].field);
        }
    }
    post("/acme/api/v1/cards?activate=true", H JSON, ISSUE_BODY);
    expect_problem(400, "invalid_parameter", "activate");
    ask(GET("/acme/api/v1/cards/" ID "?x=y"));
    expect_problem(400, "invalid_parameter", "x");
}

static void idempotency_keys_may_be_quoted(void **state)
{
    (void)state;
    static const char *const keys[][2] = {
        {"abc-1", "abc-1"}, {"\"abc-1\"", "abc-1"}, {"\"a\\\"b\\\\c\"", "a\"b\\c"},
        {"\"abc", NULL},    {"\"\"", NULL},         {"", NULL},
        {"\"a\\x\"", NULL}, {"\"a\"; p=1", NULL},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char fields[512];
        (void)snprintf(fields, sizeof(fields), H "Idempotency-Key: %s\r\n", keys[i][0]);
        post("/%61cme/api/v1/cards/" ID "/revoke", fields, "");
        if (keys[i][1] == NULL) {
            expect_problem(400, "invalid_parameter", "Idempotency-Key");
        } else {
            expect(200);
            assert_string_equal(fixture.gateway.last.key, keys[i][1]);
            assert_string_equal(fixture.gateway.last.method_and_path,
                                "POST /acme/api/v1/cards/" ID "/revoke");
        }
    }
}

static void traces_go_on(void **state)
{
    (void)state;
#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACED H "traceparent: 00-" TRACE "-00f067aa0ba902b7-01\r\n"
    post("/acme/api/v1/cards", TRACED JSON, "{");
    expect_problem(400, "malformed_json", NULL);
    assert_non_null(strstr(reply.body, "\"trace_id\":\"" TRACE "\""));
    assert_true(has("X-Trace-Id: " TRACE "\r\n"));
    post("/acme/api/v1/cards", TRACED JSON, ISSUE_BODY);
    assert_string_equal(fixture.gateway.last.traceparent, "00-" TRACE "-00f067aa0ba902b7-01");
}

/* --- What the gateway says --- */

static void errors_of_the_gateway_become_problems(void **state)
{
    (void)state;
    static const struct {
        result_t result;
        uint8_t reason;
        int status;
        const char *code;
    } errors[] = {
        {RESULT_REFUSED, reason_already_active, 409, "already_active"},
        {RESULT_KEY_IN_FLIGHT, 0, 409, "idempotency_key_in_flight"},
        {RESULT_KEY_REUSED, 0, 422, "idempotency_key_reused"},
        {RESULT_CARD_NOT_FOUND, 0, 404, "card_not_found"},
        {RESULT_STORE_FULL, 0, 503, "store_full"},
        {RESULT_OUTCOME_UNKNOWN, 0, 503, "outcome_unknown"},
        {RESULT_RATE_LIMITED, 0, 429, "rate_limited"},
        {RESULT_INTERNAL, 0, 500, "internal_error"},
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fixture.gateway.fails_with = errors[i].result;
        fixture.gateway.reason = errors[i].reason;
        post("/acme/api/v1/cards/" ID "/activate", H, "");
        expect_problem(errors[i].status, errors[i].code, NULL);
        assert_int_equal(has("Retry-After: 2\r\n"), errors[i].status == 503);
    }
}

static void every_error_has_a_status_line(void **state)
{
    (void)state;
    static const result_t results[] = {
#define ERROR(number, name, code, status, retryable, title) RESULT_##name,
#include "runtime/errors.def"
#undef ERROR
    };
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (results[i] == RESULT_REFUSED) {
            continue;
        }
        fixture.gateway.fails_with = results[i];
        ask(GET("/acme/api/v1/cards/" ID));
        assert_int_equal(reply.status, result_http_status(results[i]));
    }
}

/* --- Pages without a gateway --- */

static void probes_say_how_it_is(void **state)
{
    (void)state;
    ask(GET("/health/ready"));
    expect(200);
    fixture.gateway.is_not_ready = true;
    ask(GET("/health/ready"));
    expect_problem(503, "service_unavailable", NULL);
    assert_non_null(strstr(reply.body, "shard-0 is down"));
    ask(GET("/health/live"));
    expect(200);
    assert_string_equal(reply.body, "{\"status\":\"ok\"}");
    ask(GET("/.well-known/jwks.json"));
    assert_string_equal(reply.body, "{\"keys\":[]}");
    assert_true(has("Content-Type: application/jwk-set+json\r\n"));
}

static void the_supervisor_is_asked_for_metrics_and_tree(void **state)
{
    (void)state;
    fixture.fetched = "x_total 1\n";
    ask(GET("/metrics"));
    expect(200);
    assert_string_equal(reply.body, "x_total 1\n");
    assert_string_equal(fixture.fetch_what, "metrics");
    assert_true(has("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    fixture.fetched = "{}";
    ask(GET("/health/digitalcard"));
    assert_string_equal(fixture.fetch_what, "tree");
    assert_true(has("Content-Type: application/json\r\n"));
    fixture.fetched = NULL;
    ask(GET("/metrics"));
    expect_problem(503, "service_unavailable", NULL);
    assert_true(has("Retry-After: 1\r\n"));
    fixture.fetch_fails_with = RESULT_BUSY;
    ask(GET("/metrics"));
    expect_problem(503, "busy", NULL);
}

static void percent_encoding_is_the_inverse_of_decoding(void **state)
{
    (void)state;
    char plain[95];
    char encoded[3 * sizeof(plain)];
    char decoded[3 * sizeof(plain)];
    for (size_t i = 0; i < sizeof(plain); i++) {
        plain[i] = (char)(' ' + (int)i);
    }
    const text_t text = {.data = plain, .size = sizeof(plain)};
    size_t size = percent_encode(text, encoded, sizeof(encoded));
    assert_true(size > text.size);
    assert_int_equal(percent_encode(text, encoded, size - 1), size);
    size_t decoded_size = 0;
    assert_true(percent_decode((text_t){.data = encoded, .size = size}, PERCENT_QUERY, decoded,
                               &decoded_size));
    assert_true(text_equal((text_t){.data = decoded, .size = decoded_size}, text));
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH(routes_lead_where_the_contract_says),
        WITH(methods_that_a_path_does_not_know_are_told_the_others),
        WITH(head_answers_as_get_without_the_body),
        WITH(issued_card_has_its_place_and_version),
        WITH(unchanged_cards_are_not_sent_again),
        WITH(commands_take_a_condition_along),
        WITH(pages_link_to_the_next_one),
        WITH(large_pages_are_sent_whole),
        WITH(codes_are_drawn_for_those_who_may_see_them),
        WITH(tokens_are_asked_for_in_the_words_of_rfc_6750),
        WITH(authorisation_comes_before_every_other_complaint),
        WITH(tenant_names_of_any_length_reach_the_gateway),
        WITH(unusable_bodies_are_told_exactly_why),
        WITH(bodies_must_be_json_and_plain),
        WITH(changes_may_come_without_a_body),
        WITH(parameters_are_strict),
        WITH(idempotency_keys_may_be_quoted),
        WITH(traces_go_on),
        WITH(errors_of_the_gateway_become_problems),
        WITH(every_error_has_a_status_line),
        WITH(probes_say_how_it_is),
        WITH(the_supervisor_is_asked_for_metrics_and_tree),
        cmocka_unit_test(percent_encoding_is_the_inverse_of_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
