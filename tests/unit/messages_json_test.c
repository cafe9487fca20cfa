/* What comes by JSON and is no good: every kind of fault, with the path of the field. And how JSON
 * is written. */
#include "messages/messages.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ARENA_SIZE = 1 << 20 };

static uint8_t arena_memory[ARENA_SIZE];
static uint8_t decoded[8192];

/* The text is copied to a block of its own, so that ASan sees a read beyond it. */
static bool decode(const message_type_t *type, text_t json, message_fault_t *fault)
{
    arena_t arena = {.base = arena_memory, .size = sizeof(arena_memory)};
    char *input = malloc(json.size + 1);
    if (json.size > 0) {
        memcpy(input, json.data, json.size);
    }
    assert_true(type->size <= sizeof(decoded));
    const bool is_read =
        message_from_json(type, (text_t){.data = input, .size = json.size}, &arena, decoded, fault);
    free(input);
    return is_read;
}

typedef struct fault_case {
    const message_type_t *type;
    text_t json;
    message_fault_kind_t kind;
    const char *field;
} fault_case_t;

static void expect_faults(const fault_case_t *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        message_fault_t fault;
        const fault_case_t *one = &cases[i];
        if (decode(one->type, one->json, &fault)) {
            fail_msg("%.*s was read", TEXT_PRINT(one->json));
        }
        if (fault.kind != one->kind || strcmp(fault.field, one->field) != 0) {
            fail_msg("%.*s: kind %d instead of %d, field '%s' instead of '%s' (%s)",
                     TEXT_PRINT(one->json), (int)fault.kind, (int)one->kind, fault.field,
                     one->field, fault.detail);
        }
        assert_true(strlen(fault.detail) > 10);
    }
}

#define CASE(message, text, fault, path)                                                           \
    {                                                                                              \
        &message##_message, TEXT_LITERAL(text), MESSAGE_FAULT_##fault, path                        \
    }
#define EXPECT_FAULTS(cases) expect_faults(cases, sizeof(cases) / sizeof((cases)[0]))

static void what_rfc_8259_calls_malformed_is_malformed(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_scan, "", MALFORMED, ""),
        CASE(card_scan, " ", MALFORMED, ""),
        CASE(card_scan, "{", MALFORMED, ""),
        CASE(card_scan, "}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\"}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"a\",}", MALFORMED, ""),
        CASE(card_scan, "{,}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"a\"}}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"a\"} {}", MALFORMED, ""),
        CASE(card_scan, "{gate:\"a\"}", MALFORMED, ""),
        CASE(card_scan, "{'gate':'a'}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"a}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"\\x\"}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"\\u12g4\"}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"\\", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"a\nb\"}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"a\0b\"}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":\"a\x1f\"}", MALFORMED, ""),
        CASE(card_scan, "{\"ga\tte\":\"a\"}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":01}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":+1}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":.5}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":1.}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":1e}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":-}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":0x1}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":NaN}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":Infinity}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":True}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":nul}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":[1,]}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":[1}", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":1]", MALFORMED, ""),
        CASE(card_scan, "{\"gate\":1 2}", MALFORMED, ""),
        CASE(card_scan, "{1:2}", MALFORMED, ""),
        CASE(card_scan, "{} // no", MALFORMED, ""),
        CASE(card_scan, "\xef\xbb\xbf{}", MALFORMED, ""),
        CASE(card_scan, "{}\0", MALFORMED, ""),
        CASE(card_scan, "\v{}", MALFORMED, ""),
        /* Bytes that are no UTF-8 make it malformed too, but say so. */
        CASE(card_scan, "{\"gate\":\"\xff\"}", NOT_UTF8, ""),
        CASE(card_scan, "{\"gate\":\"\xc0\x80\"}", NOT_UTF8, ""),
        CASE(card_scan, "{\"gate\":\"\xed\xa0\x80\"}", NOT_UTF8, ""),
        CASE(card_scan, "{\"gate\":\"\xf4\x90\x80\x80\"}", NOT_UTF8, ""),
        CASE(card_scan, "{\"gate\":\"\xe2\x82\"}", NOT_UTF8, ""),
    };
    EXPECT_FAULTS(cases);
}

static void what_is_no_object_is_said_to_be_none(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_scan, "[]", NOT_OBJECT, ""),    CASE(card_scan, " [ { } ] ", NOT_OBJECT, ""),
        CASE(card_scan, "5", NOT_OBJECT, ""),     CASE(card_scan, "-0.5e+7", NOT_OBJECT, ""),
        CASE(card_scan, "\"x\"", NOT_OBJECT, ""), CASE(card_scan, "null", NOT_OBJECT, ""),
        CASE(card_scan, "true", NOT_OBJECT, ""),  CASE(card_scan, "\"\\u0000\"", NOT_OBJECT, ""),
    };
    EXPECT_FAULTS(cases);
}

static void unknown_and_hidden_fields_are_refused_by_name(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_issue, "{\"member\":1}", UNKNOWN_FIELD, "member"),
        CASE(card_issue, "{\"\":1}", UNKNOWN_FIELD, ""),
        CASE(card_issue, "{\"Member_id\":\"a\"}", UNKNOWN_FIELD, "Member_id"),
        CASE(card_issue, "{\"member_id \":\"a\"}", UNKNOWN_FIELD, "member_id "),
        CASE(card_issue, "{\"x\xc3\xa4\\n\":1}", UNKNOWN_FIELD, "x???"),
        CASE(card_issue, "{\"member_id\\u0000\":1}", UNKNOWN_FIELD, "member_id\\u0000"),
        CASE(card_scan, "{\"location\":{\"altitude\":3}}", UNKNOWN_FIELD, "location.altitude"),
        CASE(card_page, "{\"items\":[{\"zzz\":1}]}", UNKNOWN_FIELD, "items[0].zzz"),
        /* The id of a command is in the path; the sealed name is nobody's business. */
        CASE(card_validate, "{\"id\":\"0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5d\",\"gate\":\"a\"}",
             UNKNOWN_FIELD, "id"),
        CASE(event_data, "{\"sealed_name\":\"a\"}", UNKNOWN_FIELD, "sealed_name"),
        CASE(request, "{\"body\":\"a\"}", UNKNOWN_FIELD, "body"),
    };
    EXPECT_FAULTS(cases);
}

static void a_long_unknown_name_is_cut(void **state)
{
    (void)state;
    char json[1200];
    (void)snprintf(json, sizeof(json), "{\"%01000d\":1}", 7);
    message_fault_t fault;
    assert_false(decode(&card_issue_message, text_from_c(json), &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_UNKNOWN_FIELD);
    assert_int_equal(strlen(fault.field), MESSAGE_FIELD_PATH_SIZE - 1);
    assert_null(strstr(fault.detail, "00000000000000000000000000000000000000000"));
}

static void duplicates_are_refused_by_path(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_scan, "{\"gate\":\"a\",\"gate\":\"b\"}", DUPLICATE_FIELD, "gate"),
        CASE(card_scan, "{\"gate\":\"a\", \"gate\" : \"a\"}", DUPLICATE_FIELD, "gate"),
        CASE(card_scan, "{\"location\":{\"latitude\":1,\"latitude\":1}}", DUPLICATE_FIELD,
             "location.latitude"),
        CASE(card_page, "{\"items\":[{},{\"id\":1,\"id\":2}]}", DUPLICATE_FIELD, "items[1].id"),
        CASE(card_issue, "{\"rules\":[1,{\"a\":1,\"a\":2}]}", DUPLICATE_FIELD, "rules[1].a"),
    };
    EXPECT_FAULTS(cases);
    message_fault_t fault; /* the same name, once with an escape */
    assert_false(
        decode(&card_scan_message, TEXT_LITERAL("{\"gate\":\"a\",\"\\u0067ate\":\"b\"}"), &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_DUPLICATE_FIELD);
}

static void missing_fields_are_named(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_issue, "{}", MISSING_FIELD, "member_id"),
        CASE(card_issue, "{\"member_id\":\"m\"}", MISSING_FIELD, "expires_at"),
        CASE(card_scan, "{\"qr\":\"DC1:A\",\"gate\":\"g\",\"location\":{\"latitude\":1}}",
             MISSING_FIELD, "location.longitude"),
        CASE(directory,
             "{\"version\":1,\"unchanged\":true,\"tenants\":[{\"name\":\"a\","
             "\"partitions\":1},{\"name\":\"b\"}]}",
             MISSING_FIELD, "tenants[1].partitions"),
    };
    EXPECT_FAULTS(cases);
}

static void wrong_types_are_named(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_issue, "{\"member_id\":5}", WRONG_TYPE, "member_id"),
        CASE(card_issue, "{\"member_id\":null}", WRONG_TYPE, "member_id"),
        CASE(card_issue, "{\"member_id\":[\"a\"]}", WRONG_TYPE, "member_id"),
        CASE(card_issue, "{\"member_id\":{}}", WRONG_TYPE, "member_id"),
        CASE(card_issue, "{\"activate\":\"true\"}", WRONG_TYPE, "activate"),
        CASE(card_issue, "{\"activate\":1}", WRONG_TYPE, "activate"),
        CASE(card_issue, "{\"expires_at\":1763661408}", WRONG_TYPE, "expires_at"),
        CASE(card_issue, "{\"rules\":\"none\"}", WRONG_TYPE, "rules"),
        CASE(card_list, "{\"limit\":\"5\"}", WRONG_TYPE, "limit"),
        CASE(card_list, "{\"limit\":5.0}", WRONG_TYPE, "limit"),
        CASE(card_list, "{\"limit\":5e0}", WRONG_TYPE, "limit"),
        CASE(card_list, "{\"limit\":-1}", WRONG_TYPE, "limit"),
        CASE(card_list, "{\"status\":2}", WRONG_TYPE, "status"),
        CASE(card_scan, "{\"location\":\"here\"}", WRONG_TYPE, "location"),
        CASE(card_scan, "{\"location\":[1,2]}", WRONG_TYPE, "location"),
        CASE(card_scan, "{\"location\":{\"latitude\":\"1\"}}", WRONG_TYPE, "location.latitude"),
        CASE(card_page, "{\"items\":{}}", WRONG_TYPE, "items"),
        CASE(card_page, "{\"items\":[1]}", WRONG_TYPE, "items[0]"),
        CASE(directory, "{\"token_keys\":[{\"kid\":\"a\",\"jwk\":\"b\"},[]]}", WRONG_TYPE,
             "token_keys[1]"),
    };
    EXPECT_FAULTS(cases);
}

static void values_beyond_their_limits_are_named(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_list, "{\"limit\":501}", TOO_LONG, "limit"),
        CASE(card_list, "{\"limit\":9223372036854775807}", TOO_LONG, "limit"),
        CASE(card_list, "{\"limit\":9223372036854775808}", TOO_LONG, "limit"),
        CASE(card_list, "{\"limit\": 99999999999999999999999 }", TOO_LONG, "limit"),
        CASE(events_read, "{\"after\":9007199254740992}", TOO_LONG, "after"),
        CASE(card_scan, "{\"location\":{\"latitude\":90.0001}}", TOO_LONG, "location.latitude"),
        CASE(card_scan, "{\"location\":{\"latitude\":-91}}", TOO_LONG, "location.latitude"),
        CASE(card_scan, "{\"location\":{\"latitude\":1,\"longitude\":1e999}}", TOO_LONG,
             "location.longitude"),
        CASE(card_issue, "{\"rules\":[[],-99999999999999999999]}", TOO_LONG, "rules[1]"),
        CASE(card_issue,
             "{\"tier\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
             TOO_LONG, "tier"),
        CASE(card_issue,
             "{\"rules\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
             "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}",
             TOO_LONG, "rules"),
    };
    EXPECT_FAULTS(cases);
}

static void values_that_mean_nothing_are_named(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_issue, "{\"member_id\":\"\"}", INVALID_VALUE, "member_id"),
        CASE(card_issue, "{\"member_id\":\"a\\u0000b\"}", INVALID_VALUE, "member_id"),
        CASE(card_issue, "{\"tier\":\"\\u0000\"}", INVALID_VALUE, "tier"),
        CASE(card_issue, "{\"member_id\":\"a\\r\\nb\"}", INVALID_VALUE, "member_id"),
        CASE(card_issue, "{\"holder_name\":\"\\t\"}", INVALID_VALUE, "holder_name"),
        CASE(card_issue, "{\"tier\":\"gold\\u001f\"}", INVALID_VALUE, "tier"),
        CASE(card_issue, "{\"tier\":\"\x7f\"}", INVALID_VALUE, "tier"),
        CASE(card_change, "{\"reason\":\"\\u001b[2J\"}", INVALID_VALUE, "reason"),
        CASE(card_validate, "{\"gate\":\"\\n\"}", INVALID_VALUE, "gate"),
        CASE(card_scan, "{\"zone\":\"a\\u0001\"}", INVALID_VALUE, "zone"),
        CASE(card_issue, "{\"tier\":\"\\ud800\"}", INVALID_VALUE, "tier"),
        CASE(card_issue, "{\"tier\":\"\\udc00\\ud800\"}", INVALID_VALUE, "tier"),
        CASE(card_issue, "{\"rules\":[0,\"\\ud83d\"]}", INVALID_VALUE, "rules[1]"),
        CASE(card_issue, "{\"expires_at\":\"2026-02-30T00:00:00Z\"}", INVALID_VALUE, "expires_at"),
        CASE(card_issue, "{\"expires_at\":\"9999-01-01T00:00:00Z\"}", INVALID_VALUE, "expires_at"),
        CASE(card_issue, "{\"expires_at\":\"\"}", INVALID_VALUE, "expires_at"),
        CASE(card_list, "{\"status\":\"alive\"}", INVALID_VALUE, "status"),
        CASE(card_list, "{\"status\":\"\"}", INVALID_VALUE, "status"),
        CASE(card_scan, "{\"direction\":\"IN\"}", INVALID_VALUE, "direction"),
        CASE(event, "{\"event_id\":\"0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5\"}", INVALID_VALUE,
             "event_id"),
    };
    EXPECT_FAULTS(cases);
}

/* `depth` arrays around one value, within a field of an object. */
static void nested(char *json, size_t size, size_t depth)
{
    const char *const brackets_open = "[[[[[[[[[[[[[[[[[[[[";
    const char *const brackets_close = "]]]]]]]]]]]]]]]]]]]]";
    assert_true(depth - 1 <= strlen(brackets_open));
    (void)snprintf(json, size,
                   "{\"member_id\":\"m\",\"expires_at\":\"2030-01-01T00:00:00Z\","
                   "\"rules\":%.*s%.*s}",
                   (int)depth - 1, brackets_open, (int)depth - 1, brackets_close);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char json[256];
    message_fault_t fault;
    nested(json, sizeof(json), MESSAGE_DEPTH_MAX);
    assert_true(decode(&card_issue_message, text_from_c(json), &fault));
    nested(json, sizeof(json), MESSAGE_DEPTH_MAX + 1);
    assert_false(decode(&card_issue_message, text_from_c(json), &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_DEEP);
    assert_string_equal(fault.field, "rules[0][0][0][0][0][0][0]");

    enum { BOMB_SIZE = 1 << 20 };
    char *bomb = malloc(BOMB_SIZE);
    memset(bomb, '[', BOMB_SIZE);
    assert_false(decode(&card_issue_message, (text_t){.data = bomb, .size = BOMB_SIZE}, &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_DEEP);
    free(bomb);
}

static void size_and_number_of_values_are_bounded(void **state)
{
    (void)state;
    enum { SIZE = MESSAGE_INPUT_SIZE_MAX + 1 };
    char *json = malloc(SIZE);
    message_fault_t fault;
    memset(json, ' ', SIZE);
    assert_false(decode(&card_list_message, (text_t){.data = json, .size = SIZE}, &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_LARGE);

    memcpy(json, "{}", 2);
    assert_true(decode(&card_list_message, (text_t){.data = json, .size = SIZE - 1}, &fault));

    size_t at = (size_t)snprintf(json, SIZE, "{\"rules\":[{}");
    for (size_t i = 0; i < MESSAGE_JSON_VALUES_MAX; i++) {
        memcpy(json + at, ",{}", 3);
        at += 3;
    }
    memcpy(json + at, "]}", 2);
    assert_false(decode(&card_issue_message, (text_t){.data = json, .size = at + 2}, &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_LONG);
    assert_true(strncmp(fault.field, "rules[", 6) == 0);
    free(json);
}

static void details_quote_little_and_only_printable_text(void **state)
{
    (void)state;
    message_fault_t fault;
    assert_false(decode(&card_issue_message,
                        TEXT_LITERAL("{\"expires_at\":\"2026-02-30T\\u0007\xc3\xa4\"}"), &fault));
    assert_string_equal(fault.detail,
                        "expires_at must be an RFC 3339 time such as 2026-01-31T12:00:00Z, between "
                        "1970 and 9998; it was \"2026-02-30T???\"");
    assert_false(decode(&card_scan_message, TEXT_LITERAL("{\"direction\":\"up\"}"), &fault));
    assert_string_equal(fault.detail, "direction must be one of \"in\", \"out\"; it was \"up\"");
    assert_false(decode(&card_issue_message, TEXT_LITERAL("{\"colour\":1}"), &fault));
    assert_string_equal(fault.detail,
                        "there is no field \"colour\"; known are member_id, holder_name, tier, "
                        "valid_from, expires_at, rules, activate");
    assert_false(decode(&card_issue_message, TEXT_LITERAL("{\"member_id\":7}"), &fault));
    assert_string_equal(fault.detail,
                        "member_id must be a text of 1 to 128 bytes, without control characters; "
                        "it was a number");
    assert_false(decode(&card_issue_message, TEXT_LITERAL("{\"tier\":\"a\\r\\nb\"}"), &fault));
    assert_string_equal(fault.detail,
                        "tier must not contain control characters; byte 2 was U+000D");
    assert_false(decode(&card_issue_message, TEXT_LITERAL("{\"tier\" 7}"), &fault));
    assert_string_equal(fault.detail, "at byte 9 of the JSON text: expected a colon");
    assert_false(decode(&card_issue_message, TEXT_LITERAL("{\"tier\""), &fault));
    assert_string_equal(fault.detail, "the JSON text ends where a colon was expected");
}

static void a_control_character_is_found_wherever_it_stands(void **state)
{
    (void)state;
    message_fault_t fault;
    char input[256];
    char expected[96];
    for (int at = 0; at < 40; at++) {
        for (unsigned character = 0; character <= 0xc3; character++) {
            const bool is_control = character < 0x20 || (character >= 0x7f && character < 0xa0);
            const int size = snprintf(input, sizeof(input),
                                      "{\"member_id\":\"m\",\"expires_at\":"
                                      "\"2030-01-01T00:00:00Z\",\"holder_name\":\""
                                      "%.*s\\u%04x%.*s\xc3\xa4\"}",
                                      at, "the name of a holder, of forty characters", character,
                                      39 - at, "another name of a holder, just as long as that");
            const text_t text = {input, (size_t)size};
            assert_int_equal(decode(&card_issue_message, text, &fault), !is_control);
            (void)snprintf(expected, sizeof(expected),
                           "holder_name must not contain control characters; byte %d was U+%04X",
                           at + 1, character);
            assert_string_equal(fault.detail, is_control ? expected : "");
        }
    }
}

static void null_means_absent_where_that_is_allowed(void **state)
{
    (void)state;
    message_fault_t fault;
    const card_issue_t *issue = (const void *)decoded;
    assert_true(decode(&card_issue_message,
                       TEXT_LITERAL("{\"member_id\":\"m\",\"tier\":null,\"rules\":null,"
                                    "\"expires_at\":\"2030-01-01T01:30:00.5+01:30\"}"),
                       &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_NONE);
    assert_false(MESSAGE_HAS(card_issue, issue, tier));
    assert_false(MESSAGE_HAS(card_issue, issue, rules));
    assert_int_equal(issue->expires_at, INT64_C(1893456000500));
}

static void a_collection_is_counted(void **state)
{
    (void)state;
    message_fault_t fault;
    const card_issue_t *issue = (const void *)decoded;
    assert_true(decode(&card_issue_message,
                       TEXT_LITERAL("{\"member_id\":\"m\",\"rules\":{\"a\":[1,{}],\"b\":null},"
                                    "\"expires_at\":\"2030-01-01T00:00:00Z\"}"),
                       &fault));
    assert_true(MESSAGE_HAS(card_issue, issue, rules));
    assert_int_equal(issue->rules, 2);
}

/* DESIGN 3.3: every `qr` of up to 1,024 characters gets a verdict. */
static void the_text_of_a_code_may_be_anything(void **state)
{
    (void)state;
    message_fault_t fault;
    const card_scan_t *scan = (const void *)decoded;
    assert_true(
        decode(&card_scan_message, TEXT_LITERAL("{\"qr\":\"a\\u0000b\",\"gate\":\"g\"}"), &fault));
    assert_int_equal(scan->qr.size, 3);
    assert_true(decode(&card_scan_message, TEXT_LITERAL("{\"qr\":\"\",\"gate\":\"g\"}"), &fault));
    assert_true(MESSAGE_HAS(card_scan, scan, qr));

    char json[5000] = "{\"gate\":\"g\",\"qr\":\"";
    const size_t start = strlen(json);
    for (size_t i = 0; i < 1024; i++) {
        memcpy(json + start + 4 * i, "\xf0\x9f\x8e\xab", 4);
    }
    const size_t size = strlen(json);
    memcpy(json + size, "\"}", 3);
    assert_true(decode(&card_scan_message, text_from_c(json), &fault));
    assert_int_equal(scan->qr.size, 4096);
    memcpy(json + size, "x\"}", 4);
    assert_false(decode(&card_scan_message, text_from_c(json), &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_LONG);
    assert_string_equal(fault.field, "qr");
}

static void json_is_written_as_the_contract_says(void **state)
{
    (void)state;
    char out[1024];
    problem_t problem = {0};
    MESSAGE_SET(problem, &problem, type, TEXT_LITERAL("about:blank"));
    MESSAGE_SET(problem, &problem, title, TEXT_LITERAL("a\"b\\c/d"));
    MESSAGE_SET(problem, &problem, status, 400);
    MESSAGE_SET(problem, &problem, detail, TEXT_LITERAL("\b\t\n\f\r\x01\x1f\x7f\0ä"));
    MESSAGE_SET(problem, &problem, code, TEXT_LITERAL("12345678901234567\""));
    MESSAGE_SET(problem, &problem, trace_id, TEXT_NONE);
    const size_t size = message_to_json(&problem_message, &problem, out, sizeof(out));
    out[size] = '\0';
    assert_string_equal(out, "{\"type\":\"about:blank\",\"title\":\"a\\\"b\\\\c/d\",\"status\":400,"
                             "\"detail\":\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\\u0000ä\","
                             "\"code\":\"12345678901234567\\\"\",\"trace_id\":\"\"}");

    card_page_t page = {0};
    MESSAGE_SET(card_page, &page, items, NULL);
    const size_t page_size = message_to_json(&card_page_message, &page, out, sizeof(out));
    out[page_size] = '\0';
    assert_string_equal(out, "{\"items\":[],\"next_cursor\":null}");

    location_t location = {0};
    MESSAGE_SET(location, &location, latitude, 47.1);
    MESSAGE_SET(location, &location, longitude, 1.0 / 3.0);
    MESSAGE_SET(location, &location, accuracy_m, 100000);
    const size_t location_size = message_to_json(&location_message, &location, out, sizeof(out));
    out[location_size] = '\0';
    assert_string_equal(out, "{\"latitude\":47.1,\"longitude\":0.33333333333333331,"
                             "\"accuracy_m\":100000}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_8259_calls_malformed_is_malformed),
        cmocka_unit_test(what_is_no_object_is_said_to_be_none),
        cmocka_unit_test(unknown_and_hidden_fields_are_refused_by_name),
        cmocka_unit_test(a_long_unknown_name_is_cut),
        cmocka_unit_test(duplicates_are_refused_by_path),
        cmocka_unit_test(missing_fields_are_named),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(values_beyond_their_limits_are_named),
        cmocka_unit_test(values_that_mean_nothing_are_named),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(size_and_number_of_values_are_bounded),
        cmocka_unit_test(details_quote_little_and_only_printable_text),
        cmocka_unit_test(a_control_character_is_found_wherever_it_stands),
        cmocka_unit_test(null_means_absent_where_that_is_allowed),
        cmocka_unit_test(a_collection_is_counted),
        cmocka_unit_test(the_text_of_a_code_may_be_anything),
        cmocka_unit_test(json_is_written_as_the_contract_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
