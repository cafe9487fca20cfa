/* The text of a code: base45 by RFC 9285, the layout, and everything that is no such text. */
#include "actors/domain/base45.h"
#include "actors/domain/card_code.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const card_code_t sample = {
    .kid = 1,
    .tenant_tag = 0xf0fc91a7,
    .card = {{0x01, 0x99, 0xe0, 0xa4, 0x7c, 0, 0x7a, 0xbc, 0x8d, 0xef, 1, 0x23, 0x45, 0x67, 0x89,
              0xab}},
    .mac = {0x49, 0xf8, 0xa8, 0x5a, 0xdf, 0x5c, 0x4f, 0x70, 0x9b, 0xd2, 0x3d, 0x08, 0x8c, 0x86,
            0x79, 0x7a},
};
static const char sample_text[] =
    "DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2";

static bool is_same(const card_code_t *a, const card_code_t *b)
{
    return a->kid == b->kid && a->tenant_tag == b->tenant_tag &&
           memcmp(a->card.bytes, b->card.bytes, 16) == 0 && memcmp(a->mac, b->mac, 16) == 0;
}

static bool parses(const char *text, size_t size)
{
    card_code_t code;
    return card_code_parse((text_t){text, size}, &code);
}

static void base45_matches_the_examples_of_the_rfc(void **context)
{
    (void)context;
    static const struct {
        const char *plain, *encoded;
    } examples[] = {{"AB", "BB8"},
                    {"Hello!!", "%69 VD92EX0"},
                    {"base-45", "UJCLQE7W581"},
                    {"ietf!", "QED8WEX0"},
                    {"", ""}};
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const size_t size = strlen(examples[i].plain);
        char text[32];
        uint8_t bytes[32];
        base45_encode((const uint8_t *)examples[i].plain, size, text);
        assert_int_equal(base45_text_size(size), strlen(examples[i].encoded));
        assert_memory_equal(text, examples[i].encoded, base45_text_size(size));
        assert_true(base45_decode(text_from_c(examples[i].encoded), bytes, size));
        assert_memory_equal(bytes, examples[i].plain, size);
    }
}

static void base45_accepts_each_pair_of_bytes_in_one_form_only(void **context)
{
    (void)context;
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    unsigned accepted = 0;
    for (size_t i = 0; i < 45 * 45 * 45; i++) {
        const char group[3] = {alphabet[i % 45], alphabet[i / 45 % 45], alphabet[i / 2025]};
        uint8_t bytes[2];
        char again[3];
        if (base45_decode((text_t){group, 3}, bytes, 2)) {
            accepted++;
            base45_encode(bytes, 2, again);
            assert_memory_equal(group, again, 3);
        }
    }
    assert_int_equal(accepted, 65536);
    accepted = 0;
    for (size_t i = 0; i < 45 * 45; i++) {
        const char group[2] = {alphabet[i % 45], alphabet[i / 45]};
        uint8_t byte;
        accepted += base45_decode((text_t){group, 2}, &byte, 1) ? 1U : 0U;
    }
    assert_int_equal(accepted, 256);
}

static void base45_refuses_every_character_outside_its_set(void **context)
{
    (void)context;
    unsigned accepted = 0;
    for (unsigned character = 0; character <= UINT8_MAX; character++) {
        const char group[2] = {(char)character, '0'};
        uint8_t byte;
        accepted += base45_decode((text_t){group, 2}, &byte, 1) ? 1U : 0U;
    }
    assert_int_equal(accepted, 45);
}

static void base45_refuses_lengths_that_are_not_of_the_size(void **context)
{
    (void)context;
    uint8_t bytes[4];
    assert_false(base45_decode(TEXT_LITERAL("BB"), bytes, 2));
    assert_false(base45_decode(TEXT_LITERAL("BB8B"), bytes, 2));
    assert_false(base45_decode(TEXT_LITERAL("BB8"), bytes, 1));
    assert_false(base45_decode(TEXT_NONE, bytes, 1));
    assert_true(base45_decode(TEXT_NONE, bytes, 0));
}

static void card_code_is_the_text_of_the_page(void **context)
{
    (void)context;
    char text[CARD_CODE_TEXT_SIZE];
    card_code_t code;
    assert_int_equal(sizeof(sample_text) - 1, CARD_CODE_TEXT_SIZE);
    card_code_format(&sample, text);
    assert_memory_equal(text, sample_text, sizeof(text));
    assert_true(card_code_parse((text_t){text, sizeof(text)}, &code));
    assert_true(is_same(&code, &sample));
}

static void card_code_survives_any_contents(void **context)
{
    (void)context;
    for (unsigned fill = 0; fill <= UINT8_MAX; fill++) {
        card_code_t code = sample;
        card_code_t again;
        char text[CARD_CODE_TEXT_SIZE];
        code.kid = fill * 0x01010101U;
        code.tenant_tag = ~code.kid;
        memset(code.card.bytes, (int)fill, sizeof(code.card.bytes));
        memset(code.mac, (int)(255 - fill), sizeof(code.mac));
        card_code_format(&code, text);
        assert_true(card_code_parse((text_t){text, sizeof(text)}, &again));
        assert_true(is_same(&code, &again));
    }
}

/* A scanner or a web form that trims blanks must not damage a code. */
static void card_code_never_ends_in_a_blank(void **context)
{
    (void)context;
    for (unsigned last = 0; last <= UINT8_MAX; last++) {
        card_code_t code = sample;
        char text[CARD_CODE_TEXT_SIZE];
        code.mac[CARD_CODE_MAC_SIZE - 1] = (uint8_t)last;
        card_code_format(&code, text);
        assert_true(text[CARD_CODE_TEXT_SIZE - 1] != ' ');
    }
}

static void card_code_refuses_every_other_length(void **context)
{
    (void)context;
    char text[CARD_CODE_TEXT_SIZE + 8];
    memset(text, '0', sizeof(text));
    memcpy(text, sample_text, CARD_CODE_TEXT_SIZE);
    for (size_t size = 0; size <= sizeof(text); size++) {
        assert_int_equal(parses(text, size), size == CARD_CODE_TEXT_SIZE);
    }
    assert_false(parses(NULL, 0));
}

static void card_code_refuses_blanks_and_line_ends_around_it(void **context)
{
    (void)context;
    static const char *const wrong[] = {
        " DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2",
        "DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2\n",
        "DC1: 500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2 ",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(parses(wrong[i], strlen(wrong[i])));
    }
}

static void card_code_refuses_other_prefixes_and_formats(void **context)
{
    (void)context;
    static const char *const prefixes[] = {"dc1:", "DC2:", "DC1;", "HC1:", "DC1 ", "\0\0\0\0"};
    char text[CARD_CODE_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        memcpy(text, sample_text, sizeof(text));
        memcpy(text, prefixes[i], 4);
        assert_false(parses(text, sizeof(text)));
    }
    for (unsigned format = 0; format <= UINT8_MAX; format++) {
        const uint8_t first[2] = {(uint8_t)format, 0};
        memcpy(text, sample_text, sizeof(text));
        base45_encode(first, sizeof(first), text + 4);
        assert_int_equal(parses(text, sizeof(text)), format == 1);
    }
}

static void card_code_refuses_lower_case_and_foreign_bytes_anywhere(void **context)
{
    (void)context;
    static const char foreign[] = {'a',    'z',    '\0',   '\n', '"', '!',
                                   '\x7f', '\x80', '\xff', '@',  '['};
    for (size_t at = 0; at < CARD_CODE_TEXT_SIZE; at++) {
        for (size_t i = 0; i < sizeof(foreign); i++) {
            char text[CARD_CODE_TEXT_SIZE];
            memcpy(text, sample_text, sizeof(text));
            text[at] = foreign[i];
            assert_false(parses(text, sizeof(text)));
        }
    }
}

/* No two texts are the same code: whoever changes one character changes what is signed. */
static void card_code_has_one_text_only(void **context)
{
    (void)context;
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    for (size_t at = 4; at < CARD_CODE_TEXT_SIZE; at++) {
        for (size_t i = 0; i < 45; i++) {
            char text[CARD_CODE_TEXT_SIZE];
            card_code_t code;
            memcpy(text, sample_text, sizeof(text));
            text[at] = alphabet[i];
            if (text[at] != sample_text[at] &&
                card_code_parse((text_t){text, sizeof(text)}, &code)) {
                assert_false(is_same(&code, &sample));
            }
        }
    }
}

static void card_code_message_binds_tenant_and_code(void **context)
{
    (void)context;
    static const uint8_t expected[] = {'D',  'C',  '1',  0,    'd',  'e',  'm',  'o',  0,
                                       1,    0,    0,    0,    1,    0xf0, 0xfc, 0x91, 0xa7,
                                       0x01, 0x99, 0xe0, 0xa4, 0x7c, 0,    0x7a, 0xbc, 0x8d,
                                       0xef, 1,    0x23, 0x45, 0x67, 0x89, 0xab};
    uint8_t message[CARD_CODE_MESSAGE_SIZE_MAX];
    assert_int_equal(card_code_message(&sample, TEXT_LITERAL("demo"), message), sizeof(expected));
    assert_memory_equal(message, expected, sizeof(expected));
    const text_t longest = TEXT_LITERAL("a23456789-123456789-123456789-123456789");
    assert_int_equal(card_code_message(&sample, longest, message), CARD_CODE_MESSAGE_SIZE_MAX);
}

static void card_code_tenant_tag_is_the_same_for_ever(void **context)
{
    (void)context;
    assert_int_equal(card_code_tenant_tag(TEXT_LITERAL("demo")), 0xf0fc91a7);
    assert_int_equal(card_code_tenant_tag(TEXT_LITERAL("alpine-club")), 0x2294f520);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base45_matches_the_examples_of_the_rfc),
        cmocka_unit_test(base45_accepts_each_pair_of_bytes_in_one_form_only),
        cmocka_unit_test(base45_refuses_every_character_outside_its_set),
        cmocka_unit_test(base45_refuses_lengths_that_are_not_of_the_size),
        cmocka_unit_test(card_code_is_the_text_of_the_page),
        cmocka_unit_test(card_code_survives_any_contents),
        cmocka_unit_test(card_code_never_ends_in_a_blank),
        cmocka_unit_test(card_code_refuses_every_other_length),
        cmocka_unit_test(card_code_refuses_blanks_and_line_ends_around_it),
        cmocka_unit_test(card_code_refuses_other_prefixes_and_formats),
        cmocka_unit_test(card_code_refuses_lower_case_and_foreign_bytes_anywhere),
        cmocka_unit_test(card_code_has_one_text_only),
        cmocka_unit_test(card_code_message_binds_tenant_and_code),
        cmocka_unit_test(card_code_tenant_tag_is_the_same_for_ever),
    };
    return cmocka_run_group_tests_name("card_code", tests, NULL, NULL);
}
