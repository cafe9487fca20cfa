/* The strict check of request heads: a table of good and bad ones, and the parser's opinion of the
 * good ones, which must be the same. */
#include "adapters/http/chunk_check.h"
#include "adapters/http/head_check.h"
#include "adapters/http/http_parser_bridge.h"
#include "runtime/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST /x HTTP/1.1\r\n" H

typedef struct head_case {
    const char *name;
    text_t raw;
    result_t result;
} head_case_t;

#define GOOD(name, text)                                                                           \
    {                                                                                              \
        (name), TEXT_LITERAL(text), RESULT_OK                                                      \
    }
#define BAD(name, text)                                                                            \
    {                                                                                              \
        (name), TEXT_LITERAL(text), RESULT_INVALID_REQUEST                                         \
    }
#define BAD_AS(name, text, code)                                                                   \
    {                                                                                              \
        (name), TEXT_LITERAL(text), RESULT_##code                                                  \
    }

static const head_case_t cases[] = {
    GOOD("plain", GET H "\r\n"),
    GOOD("http 1.0 without host", "GET / HTTP/1.0\r\n\r\n"),
    GOOD("http 1.0 with host", "GET / HTTP/1.0\r\n" H "\r\n"),
    GOOD("one empty line first", "\r\n" GET H "\r\n"),
    GOOD("host with port", GET "Host: example.org:8080\r\n\r\n"),
    GOOD("host as IPv6", GET "Host: [::1]:8080\r\n\r\n"),
    GOOD("blanks around a value", GET "Host: \t a \t\r\n\r\n"),
    GOOD("empty value", GET H "X-Empty:\r\n\r\n"),
    GOOD("bytes from 0x80 in a value", GET H "X-Name: \xc3\xa9\xff\r\n\r\n"),
    GOOD("tab within a value", GET H "X: a\tb\r\n\r\n"),
    GOOD("content length", POST "Content-Length: 5\r\n\r\n"),
    GOOD("content length with zeros", POST "Content-Length: 0005\r\n\r\n"),
    GOOD("content length zero", POST "Content-Length: 0\r\n\r\n"),
    GOOD("chunked", POST "Transfer-Encoding: chunked\r\n\r\n"),
    GOOD("chunked in capitals", POST "TRANSFER-ENCODING: Chunked\r\n\r\n"),
    GOOD("expects continue", POST "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n"),
    GOOD("upgrade is ignored", GET H "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    GOOD("absolute form", "GET http://a/x?y HTTP/1.1\r\n" H "\r\n"),
    GOOD("absolute form without path", "GET https://A HTTP/1.1\r\n" H "\r\n"),
    GOOD("options of all", "OPTIONS * HTTP/1.1\r\n" H "\r\n"),
    GOOD("query with marks", "GET /a?b=c%20d&e={f}|g HTTP/1.1\r\n" H "\r\n"),
    GOOD("connection close", GET H "Connection: close\r\n\r\n"),
    GOOD("two traceparents", GET H "traceparent: a\r\ntraceparent: b\r\n\r\n"),
    GOOD("put", "PUT / HTTP/1.1\r\n" H "\r\n"),
    GOOD("delete", "DELETE / HTTP/1.1\r\n" H "\r\n"),
    GOOD("all tchars in a name", GET H "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n"),

    BAD("no host in 1.1", GET "\r\n"),
    BAD("two hosts", GET H H "\r\n"),
    BAD("two hosts in 1.0", "GET / HTTP/1.0\r\n" H H "\r\n"),
    BAD("empty host", GET "Host:\r\n\r\n"),
    BAD("host with user", GET "Host: u@a\r\n\r\n"),
    BAD("host with path", GET "Host: a/b\r\n\r\n"),
    BAD("host with blank", GET "Host: a b\r\n\r\n"),
    BAD("host list", GET "Host: a, b:x\r\n\r\n"),
    BAD("host with bad port", GET "Host: a:http\r\n\r\n"),
    BAD("host with empty port", GET "Host: a:\r\n\r\n"),
    BAD("host with long port", GET "Host: a:123456\r\n\r\n"),
    BAD("host with open bracket", GET "Host: [::1\r\n\r\n"),
    BAD("blank before colon", GET "Host : a\r\n\r\n"),
    BAD("tab before colon", GET H "X\t: a\r\n\r\n"),
    BAD("blank before the colon of a length", POST "Content-Length : 5\r\n\r\n"),
    BAD("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
    BAD("bare LF after a header", GET "Host: a\nX: b\r\n\r\n"),
    BAD("bare LF at the end", GET H "\n"),
    BAD("bare CR in a value", GET H "X: a\rb\r\n\r\n"),
    BAD("bare CR in the target", "GET /a\rb HTTP/1.1\r\n" H "\r\n"),
    BAD("CR CR LF", GET H "X: a\r\r\n\r\n"),
    BAD("folded header", GET H "X: a\r\n b\r\n\r\n"),
    BAD("folded with tab", GET H "X: a\r\n\tb\r\n\r\n"),
    BAD("fold before the first header", GET " Host: a\r\n\r\n"),
    BAD("folded transfer encoding", POST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
    BAD("empty name", GET H ": x\r\n\r\n"),
    BAD("name without colon", GET H "Xyz\r\n\r\n"),
    BAD("name with NUL", GET H "X\0Y: a\r\n\r\n"),
    BAD("name in UTF-8", GET H "X\xc3\xa9: a\r\n\r\n"),
    BAD("name with quote", GET H "\"X\": a\r\n\r\n"),
    BAD("value with NUL", GET H "X: a\0b\r\n\r\n"),
    BAD("value with bell", GET H "X: a\ab\r\n\r\n"),
    BAD("value with DEL", GET H "X: a\x7f\r\n\r\n"),

    BAD("length and chunked", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("chunked and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    BAD("two lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    BAD("two equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    BAD("list of lengths", POST "Content-Length: 5, 5\r\n\r\n"),
    BAD("length with sign", POST "Content-Length: +5\r\n\r\n"),
    BAD("negative length", POST "Content-Length: -5\r\n\r\n"),
    BAD("length in hex", POST "Content-Length: 0x5\r\n\r\n"),
    BAD("length with fraction", POST "Content-Length: 5.0\r\n\r\n"),
    BAD("length with blank inside", POST "Content-Length: 5 5\r\n\r\n"),
    BAD("empty length", POST "Content-Length:\r\n\r\n"),
    BAD("length beyond 2^64", POST "Content-Length: 18446744073709551621\r\n\r\n"),
    BAD("length of 30 digits", POST "Content-Length: 000000000000000000000000000005\r\n\r\n"),
    BAD("identity", POST "Transfer-Encoding: identity\r\n\r\n"),
    BAD("identity, chunked", POST "Transfer-Encoding: identity, chunked\r\n\r\n"),
    BAD("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    BAD("chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n"),
    BAD("chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
    BAD("two transfer encodings",
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("second transfer encoding hides",
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
    BAD("xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n"),
    BAD("chunked in quotes", POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    BAD("chunked with parameter", POST "Transfer-Encoding: chunked;q=1\r\n\r\n"),
    BAD("chunked and a vertical tab", POST "Transfer-Encoding: \vchunked\r\n\r\n"),
    BAD("empty transfer encoding", POST "Transfer-Encoding:\r\n\r\n"),
    BAD("chunked in 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),

    BAD("no version", "GET /\r\n" H "\r\n"),
    BAD("version in small letters", "GET / http/1.1\r\n" H "\r\n"),
    BAD("version with two digits", "GET / HTTP/1.10\r\n" H "\r\n"),
    BAD("version with leading zero", "GET / HTTP/01.1\r\n" H "\r\n"),
    BAD("junk after the version", "GET / HTTP/1.1 x\r\n" H "\r\n"),
    BAD("blank after the version", "GET / HTTP/1.1 \r\n" H "\r\n"),
    BAD("two blanks", "GET  / HTTP/1.1\r\n" H "\r\n"),
    BAD("tab for a blank", "GET\t/ HTTP/1.1\r\n" H "\r\n"),
    BAD("blank before the method", " GET / HTTP/1.1\r\n" H "\r\n"),
    BAD("empty target", "GET  HTTP/1.1\r\n" H "\r\n"),
    BAD("two empty lines first", "\r\n\r\n" GET H "\r\n"),
    BAD("fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n"),
    BAD("backslash", "GET /a\\b HTTP/1.1\r\n" H "\r\n"),
    BAD("angle bracket", "GET /<a> HTTP/1.1\r\n" H "\r\n"),
    BAD("raw UTF-8 in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"),
    BAD("NUL in the target", "GET /a\0b HTTP/1.1\r\n" H "\r\n"),
    BAD("relative target", "GET a HTTP/1.1\r\n" H "\r\n"),
    BAD("star with get", "GET * HTTP/1.1\r\n" H "\r\n"),
    BAD("other scheme", "GET ftp://a/ HTTP/1.1\r\n" H "\r\n"),
    BAD("absolute form of another host", "GET http://b/ HTTP/1.1\r\n" H "\r\n"),
    BAD("absolute form without host", "GET http:///x HTTP/1.1\r\n" H "\r\n"),
    BAD("method with colon", "GE:T / HTTP/1.1\r\n" H "\r\n"),
    BAD("two tokens", GET H "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"),
    BAD("two keys", POST "Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"),
    BAD("two content types", POST "Content-Type: a\r\nContent-Type: b\r\n\r\n"),
    BAD("a second request as a header", GET H "GET / HTTP/1.1\r\n\r\n"),

    BAD_AS("http 2 preface", "PRI * HTTP/2.0\r\n\r\n", VERSION_NOT_SUPPORTED),
    BAD_AS("http 1.2", "GET / HTTP/1.2\r\n" H "\r\n", VERSION_NOT_SUPPORTED),
    BAD_AS("http 0.9", "GET / HTTP/0.9\r\n" H "\r\n", VERSION_NOT_SUPPORTED),
    BAD_AS("http 3.0", "GET / HTTP/3.0\r\n" H "\r\n", VERSION_NOT_SUPPORTED),
    BAD_AS("trace", "TRACE / HTTP/1.1\r\n" H "\r\n", NOT_IMPLEMENTED),
    BAD_AS("connect", "CONNECT a:443 HTTP/1.1\r\n" H "\r\n", NOT_IMPLEMENTED),
    BAD_AS("small letters", "get / HTTP/1.1\r\n" H "\r\n", NOT_IMPLEMENTED),
    BAD_AS("unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", NOT_IMPLEMENTED),
    BAD_AS("other expectation", POST "Expect: cookies\r\n\r\n", EXPECTATION_FAILED),
};

/* The way of the server: scan, check, then the parser. */
static result_t judge(text_t raw, http_head_t *head)
{
    head_scan_state_t state = {0};
    head_refusal_t refusal = {RESULT_OK, NULL};
    size_t size = 0;
    switch (head_scan(raw.data, raw.size, &state, &size, &refusal)) {
    case HEAD_SCAN_MORE:
        return RESULT_MISSING;
    case HEAD_SCAN_BAD:
        return refusal.result;
    case HEAD_SCAN_WHOLE:
        break;
    }
    const text_t block = {.data = raw.data, .size = size};
    if (!head_check(block, head, &refusal)) {
        return refusal.result;
    }
    http_bridge_t bridge;
    return http_bridge_head(&bridge, block, head) ? RESULT_OK : RESULT_INTERNAL;
}

static void heads_are_judged_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        http_head_t head;
        const result_t result = judge(cases[i].raw, &head);
        if (result != cases[i].result) {
            fail_msg("%s: %d instead of %d", cases[i].name, (int)result, (int)cases[i].result);
        }
    }
}

static void the_end_of_a_head_is_found_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].result != RESULT_OK) {
            continue;
        }
        head_scan_state_t scan = {0};
        head_refusal_t refusal;
        size_t size = 0;
        for (size_t came = 0; came < cases[i].raw.size; came++) {
            assert_int_equal(head_scan(cases[i].raw.data, came, &scan, &size, &refusal),
                             HEAD_SCAN_MORE);
        }
        assert_int_equal(head_scan(cases[i].raw.data, cases[i].raw.size, &scan, &size, &refusal),
                         HEAD_SCAN_WHOLE);
        assert_int_equal(size, cases[i].raw.size);
    }
}

static void fields_are_found_and_trimmed(void **state)
{
    (void)state;
    http_head_t head;
    const text_t raw = TEXT_LITERAL("POST /acme/api?limit=2&q= HTTP/1.1\r\nhOST: a.b:80\r\n"
                                    "Authorization: \t Bearer xyz \r\nContent-Length: 12\r\n"
                                    "If-None-Match: \"7\"\r\n\r\n");
    assert_int_equal(judge(raw, &head), RESULT_OK);
    assert_int_equal(head.method, HEAD_METHOD_POST);
    assert_true(text_equal(head.path, TEXT_LITERAL("/acme/api")));
    assert_true(text_equal(head.query, TEXT_LITERAL("limit=2&q=")));
    assert_true(text_equal(head.fields[HEAD_FIELD_HOST], TEXT_LITERAL("a.b:80")));
    assert_true(text_equal(head.fields[HEAD_FIELD_AUTHORIZATION], TEXT_LITERAL("Bearer xyz")));
    assert_true(text_equal(head.fields[HEAD_FIELD_IF_NONE_MATCH], TEXT_LITERAL("\"7\"")));
    assert_int_equal(head.content_length, 12);
    assert_false(http_head_has(&head, HEAD_FIELD_EXPECT));
}

/* `prefix`, then `fill` up to `size`, then `suffix`. */
static result_t judge_long(const char *prefix, char fill, size_t size, const char *suffix)
{
    const size_t total = strlen(prefix) + size + strlen(suffix);
    char *raw = malloc(total + 1);
    assert_non_null(raw);
    memcpy(raw, prefix, strlen(prefix));
    memset(raw + strlen(prefix), fill, size);
    memcpy(raw + strlen(prefix) + size, suffix, strlen(suffix) + 1);
    http_head_t head;
    const result_t result = judge((text_t){.data = raw, .size = total}, &head);
    free(raw);
    return result;
}

static void sizes_have_limits(void **state)
{
    (void)state;
    assert_int_equal(judge_long("GET /", 'a', LIMIT_HTTP_URI_SIZE - 1, " HTTP/1.1\r\n" H "\r\n"),
                     RESULT_OK);
    assert_int_equal(judge_long("GET /", 'a', LIMIT_HTTP_URI_SIZE, " HTTP/1.1\r\n" H "\r\n"),
                     RESULT_URI_TOO_LONG);
    assert_int_equal(judge_long("GET /", 'a', LIMIT_HTTP_HEAD_SIZE, ""), RESULT_URI_TOO_LONG);
    assert_int_equal(judge_long(GET H "X: ", 'a', 8000, "\r\n\r\n"), RESULT_OK);
    assert_int_equal(judge_long(GET H "X: ", 'a', LIMIT_HTTP_HEAD_SIZE, "\r\n\r\n"),
                     RESULT_HEADERS_TOO_LARGE);
    assert_int_equal(judge_long(GET H "X: ", 'a', 5000, ""), RESULT_MISSING);
}

static void the_number_of_headers_has_a_limit(void **state)
{
    (void)state;
    char raw[LIMIT_HTTP_HEAD_SIZE];
    for (int count = LIMIT_HTTP_HEADERS; count <= LIMIT_HTTP_HEADERS + 1; count++) {
        size_t size = (size_t)snprintf(raw, sizeof(raw), GET H);
        for (int i = 1; i < count; i++) {
            size += (size_t)snprintf(raw + size, sizeof(raw) - size, "X-%d: y\r\n", i);
        }
        size += (size_t)snprintf(raw + size, sizeof(raw) - size, "\r\n");
        http_head_t head;
        assert_int_equal(judge((text_t){.data = raw, .size = size}, &head),
                         count == LIMIT_HTTP_HEADERS ? RESULT_OK : RESULT_HEADERS_TOO_LARGE);
    }
}

static void junk_is_refused_before_its_end_comes(void **state)
{
    (void)state;
    http_head_t head;
    assert_int_equal(judge(TEXT_LITERAL("\x16\x03\x01\x02"), &head), RESULT_INVALID_REQUEST);
    assert_int_equal(judge(TEXT_LITERAL("GET / HTTP/1.1\nHo"), &head), RESULT_INVALID_REQUEST);
    assert_int_equal(judge(TEXT_LITERAL("\n"), &head), RESULT_INVALID_REQUEST);
    assert_int_equal(judge(TEXT_LITERAL("\r\nG"), &head), RESULT_MISSING);
    assert_int_equal(judge(TEXT_LITERAL("\r"), &head), RESULT_MISSING);
    assert_int_equal(judge(TEXT_LITERAL(""), &head), RESULT_MISSING);
}

/* --- Chunks --- */

typedef struct chunk_case {
    const char *raw;
    result_t result;  /* MISSING: goes on */
    const char *body; /* of a good one */
} chunk_case_t;

static const chunk_case_t chunk_cases[] = {
    {"0\r\n\r\n", RESULT_OK, ""},
    {"5\r\nhello\r\n0\r\n\r\n", RESULT_OK, "hello"},
    {"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", RESULT_OK, "abc"},
    {"A\r\n0123456789\r\n0\r\n\r\n", RESULT_OK, "0123456789"},
    {"00000003\r\nabc\r\n0\r\n\r\n", RESULT_OK, "abc"},
    {"3;name=value\r\nabc\r\n0;x\r\n\r\n", RESULT_OK, "abc"},
    {"3\r\nabc", RESULT_MISSING, NULL},
    {"3;a\nbc\r\n", RESULT_INVALID_REQUEST, NULL},
    {"3 \r\nabc\r\n", RESULT_INVALID_REQUEST, NULL},
    {" 3\r\nabc\r\n", RESULT_INVALID_REQUEST, NULL},
    {"3\nabc\r\n", RESULT_INVALID_REQUEST, NULL},
    {"3\r\nabcd\r\n", RESULT_INVALID_REQUEST, NULL},
    {"3\r\nabc\n0\r\n", RESULT_INVALID_REQUEST, NULL},
    {"\r\n", RESULT_INVALID_REQUEST, NULL},
    {";x\r\n", RESULT_INVALID_REQUEST, NULL},
    {"x\r\n", RESULT_INVALID_REQUEST, NULL},
    {"0x3\r\nabc\r\n", RESULT_INVALID_REQUEST, NULL},
    {"-1\r\n", RESULT_INVALID_REQUEST, NULL},
    {"+3\r\nabc\r\n", RESULT_INVALID_REQUEST, NULL},
    {"000000003\r\n", RESULT_INVALID_REQUEST, NULL},
    {"FFFFFFFFFFFFFFFF1\r\n", RESULT_INVALID_REQUEST, NULL},
    {"FFFFFFFF\r\n", RESULT_BODY_TOO_LARGE, NULL},
    {"100001\r\n", RESULT_BODY_TOO_LARGE, NULL},
    {"0\r\nX: y\r\n\r\n", RESULT_INVALID_REQUEST, NULL},
    {"0\r\nContent-Length: 5\r\n\r\n", RESULT_INVALID_REQUEST, NULL},
    {"0\r\n\n", RESULT_INVALID_REQUEST, NULL},
};

/* Feeds in pieces of `step` bytes through check and parser, as a connection does. */
static result_t judge_chunks(const char *raw, size_t step, char *body, size_t *body_size)
{
    const text_t head_raw = TEXT_LITERAL(POST "Transfer-Encoding: chunked\r\n\r\n");
    http_head_t head;
    head_refusal_t refusal = {RESULT_OK, NULL};
    http_bridge_t bridge;
    assert_true(head_check(head_raw, &head, &refusal));
    assert_true(http_bridge_head(&bridge, head_raw, &head));
    chunk_check_t check = {0};
    for (size_t at = 0; at < strlen(raw); at += step) {
        const size_t size = strlen(raw) - at < step ? strlen(raw) - at : step;
        size_t used = 0;
        if (!chunk_check_feed(&check, raw + at, size, &used, &refusal)) {
            return refusal.result;
        }
        if (used > 0 && !http_bridge_body(&bridge, raw + at, used, body)) {
            return RESULT_INTERNAL;
        }
        assert_int_equal(bridge.message_done, check.state == CHUNK_STATE_DONE);
    }
    *body_size = bridge.body_size;
    return bridge.message_done ? RESULT_OK : RESULT_MISSING;
}

static void chunks_are_judged_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(chunk_cases) / sizeof(chunk_cases[0]); i++) {
        for (size_t step = 1; step <= strlen(chunk_cases[i].raw); step++) {
            char body[64];
            size_t size = 0;
            const result_t result = judge_chunks(chunk_cases[i].raw, step, body, &size);
            if (result != chunk_cases[i].result) {
                fail_msg("%s in steps of %zu: %d instead of %d", chunk_cases[i].raw, step,
                         (int)result, (int)chunk_cases[i].result);
            }
            if (result == RESULT_OK) {
                assert_int_equal(size, strlen(chunk_cases[i].body));
                assert_memory_equal(body, chunk_cases[i].body, size);
            }
        }
    }
}

static void chunk_framing_has_limits(void **state)
{
    (void)state;
    chunk_check_t check = {0};
    head_refusal_t refusal;
    size_t used = 0;
    assert_true(chunk_check_feed(&check, "1;", 2, &used, &refusal));
    for (int i = 0; i < LIMIT_HTTP_CHUNK_EXTENSION_SIZE; i++) {
        assert_true(chunk_check_feed(&check, "x", 1, &used, &refusal));
    }
    assert_false(chunk_check_feed(&check, "x", 1, &used, &refusal));

    check = (chunk_check_t){0};
    bool good = true;
    size_t chunks = 0;
    while (good && chunks < LIMIT_HTTP_BODY_SIZE) {
        good = chunk_check_feed(&check, "1\r\nx\r\n", 6, &used, &refusal);
        chunks++;
    }
    assert_false(good);
    assert_int_equal(refusal.result, RESULT_BODY_TOO_LARGE);
    assert_true(chunks > 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_judged_as_the_table_says),
        cmocka_unit_test(the_end_of_a_head_is_found_in_any_pieces),
        cmocka_unit_test(fields_are_found_and_trimmed),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(the_number_of_headers_has_a_limit),
        cmocka_unit_test(junk_is_refused_before_its_end_comes),
        cmocka_unit_test(chunks_are_judged_as_the_table_says),
        cmocka_unit_test(chunk_framing_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
