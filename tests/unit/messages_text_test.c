/* UUIDs, RFC 3339 times, UTF-8 and names of enumerations. */
#include "messages/messages.h"
#include "messages/rfc3339.h"
#include "messages/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void uuid_text_is_canonical(void **state)
{
    (void)state;
    uuid_t uuid;
    char text[UUID_TEXT_SIZE];
    assert_true(uuid_parse(TEXT_LITERAL("0198C8A2-7f4e-7C31-9d52-6b1E0F3a4c5d"), &uuid));
    assert_int_equal(uuid.bytes[0], 0x01);
    assert_int_equal(uuid.bytes[15], 0x5d);
    uuid_format(&uuid, text);
    assert_memory_equal(text, "0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5d", UUID_TEXT_SIZE);
    uuid_t other = uuid;
    assert_true(uuid_equal(&uuid, &other));
    other.bytes[15] ^= 1;
    assert_false(uuid_equal(&uuid, &other));
}

static void what_is_no_uuid_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5",
        "0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5dd",
        "0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5g",
        "0198c8a27-f4e-7c31-9d52-6b1e0f3a4c5d",
        "{198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5}",
        "0198c8a27f4e7c319d526b1e0f3a4c5d0000",
        " 198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5d",
        "0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c-d",
        "0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c\xc3\xa4",
        "--------------------------------------",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uuid_t uuid;
        assert_false(uuid_parse(text_from_c(texts[i]), &uuid));
    }
}

static void times_in_many_forms_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000000001Z", 0},
        {"1970-01-01T00:00:00.9999999Z", 999},
        {"1970-01-01T00:00:00.5Z", 500},
        {"1970-01-01t00:00:01z", 1000},
        {"1969-12-31T23:59:59-00:01", 59000},
        {"1970-01-01T05:30:00+05:30", 0},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
        {"2024-02-29T23:59:59.123Z", INT64_C(1709251199123)},
        {"2026-11-20T17:56:48.123-00:00", INT64_C(1795197408123)},
        {"2026-11-20T17:56:48.123+00:00", INT64_C(1795197408123)},
        {"9998-12-31T23:59:59.999Z", RFC3339_MS_MAX},
        {"9999-01-01T00:59:59.999+01:00", RFC3339_MS_MAX},
        {"9998-12-31T00:00:59.999-23:59", RFC3339_MS_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        if (!rfc3339_parse(text_from_c(cases[i].text), &ms) || ms != cases[i].ms) {
            fail_msg("%s gave %lld", cases[i].text, (long long)ms);
        }
    }
}

static void impossible_times_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2026",
        "2026-11-20",
        "2026-11-20T17:56Z",
        "2026-11-20T17:56:48",
        "2026-11-20 17:56:48Z",
        "2026-11-20T17:56:48 Z",
        "2026-11-20T17:56:48.Z",
        "2026-11-20T17:56:48,5Z",
        "2026-11-20T17:56:48.1234567890Z",
        "2026-11-20T17:56:48ZZ",
        "2026-11-20T17:56:48+1:00",
        "2026-11-20T17:56:48+0100",
        "2026-11-20T17:56:48+24:00",
        "2026-11-20T17:56:48+01:60",
        "2026-11-20T17:56:48+01:000",
        "2026-11-20T24:00:00Z",
        "2026-11-20T23:60:00Z",
        "2026-11-20T23:59:60Z",
        "2016-12-31T23:59:60Z",
        "2026-00-20T00:00:00Z",
        "2026-13-20T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:59:59+01:00",
        "9999-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9998-12-31T23:59:59.999-00:01",
        "10000-01-01T00:00:00Z",
        "+026-11-20T17:56:48Z",
        "-026-11-20T17:56:48Z",
        "2o26-11-20T17:56:48Z",
        "26-11-20T17:56:48Z",
        "1763661408",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t ms;
        if (rfc3339_parse(text_from_c(texts[i]), &ms)) {
            fail_msg("%s was read", texts[i]);
        }
    }
    int64_t ms;
    assert_false(rfc3339_parse(TEXT_LITERAL("2026-11-20T17:56:48Z\0"), &ms));
}

/* Every day of the 8,029 years, against the C library's calendar. */
static void every_day_is_written_and_read_back(void **state)
{
    (void)state;
    const int64_t day = INT64_C(86400000);
    for (int64_t ms = 0; ms <= RFC3339_MS_MAX; ms += day) {
        char text[RFC3339_TEXT_SIZE];
        int64_t again;
        const int64_t moment = ms + ms / day * 7919 % day;
        rfc3339_format(moment, text);
        assert_true(rfc3339_parse((text_t){.data = text, .size = sizeof(text)}, &again));
        assert_int_equal(again, moment);
        if (ms / day % 31 == 0) {
            const time_t seconds = (time_t)(moment / 1000);
            struct tm tm;
            char expected[32];
            assert_non_null(gmtime_r(&seconds, &tm));
            assert_int_equal(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm), 19);
            assert_memory_equal(text, expected, 19);
        }
    }
    char text[RFC3339_TEXT_SIZE];
    rfc3339_format(RFC3339_MS_MAX, text);
    assert_memory_equal(text, "9998-12-31T23:59:59.999Z", sizeof(text));
}

/* Writes `code_point` by the book; surrogates and numbers beyond the last too. */
static size_t utf8_write(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t size = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80U | (code_point & 0x3fU));
        code_point >>= 6;
    }
    out[0] = (char)(0xf00U >> size | code_point);
    return size;
}

static void exactly_the_scalar_values_are_utf8(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point < 0x1fffff; code_point++) {
        char text[12] = "aaaaaaaaaaaa";
        const size_t size = utf8_write(code_point, text + 3);
        const bool expected =
            code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff);
        const text_t whole = {.data = text, .size = size + 3};
        if (utf8_is_valid(whole) != expected) {
            fail_msg("U+%X", (unsigned)code_point);
        }
        if (expected) {
            assert_int_equal(utf8_count(whole), 4);
        }
        /* Cut short it is none. */
        if (size > 1) {
            assert_false(utf8_is_valid((text_t){.data = text, .size = size + 2}));
        }
    }
}

/* Words of eight bytes are passed at once: what is not ASCII is seen wherever it stands. */
static void utf8_is_checked_at_every_place_of_a_text(void **state)
{
    (void)state;
    enum { SIZE_MAX_TRIED = 40 };
    char text[SIZE_MAX_TRIED];
    for (size_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        for (size_t at = 0; at < size; at++) {
            memset(text, 'a', sizeof(text));
            text[at] = '\xc3';
            assert_false(utf8_is_valid((text_t){.data = text, .size = size}));
            if (at + 1 < size) {
                text[at + 1] = '\xa4';
                assert_true(utf8_is_valid((text_t){.data = text, .size = size}));
                text[at] = 'a';
                assert_false(utf8_is_valid((text_t){.data = text, .size = size}));
            }
        }
    }
}

static void overlong_and_lone_bytes_are_no_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\x80",
        "\xbf",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xe0\x80\xaf",
        "\xf0\x8f\xbf\xbf",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xc3(",
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
        "\xf0\x90\x80(",
        "abcdefgh\x80"
        "abcdefgh",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(utf8_is_valid(text_from_c(texts[i])));
    }
    assert_true(utf8_is_valid(TEXT_NONE));
}

static void enum_names_are_found_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < enum_types_count; i++) {
        for (uint8_t value = 0; value < enum_types[i]->count; value++) {
            if (enum_types[i]->names[value] != NULL) {
                uint8_t found = 0;
                assert_true(enum_parse(enum_types[i], enum_name(enum_types[i], value), &found));
                assert_int_equal(found, value);
            }
        }
        uint8_t found;
        assert_false(enum_parse(enum_types[i], TEXT_LITERAL("no such name"), &found));
        assert_false(enum_parse(enum_types[i], TEXT_NONE, &found));
    }
    assert_true(text_equal(enum_name(&event_name_enum, event_name_card_validated),
                           TEXT_LITERAL("CardValidated")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuid_text_is_canonical),
        cmocka_unit_test(what_is_no_uuid_is_refused),
        cmocka_unit_test(times_in_many_forms_are_read),
        cmocka_unit_test(impossible_times_are_refused),
        cmocka_unit_test(every_day_is_written_and_read_back),
        cmocka_unit_test(exactly_the_scalar_values_are_utf8),
        cmocka_unit_test(utf8_is_checked_at_every_place_of_a_text),
        cmocka_unit_test(overlong_and_lone_bytes_are_no_utf8),
        cmocka_unit_test(enum_names_are_found_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
