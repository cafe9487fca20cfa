/* The rule of actors/relay/name_words.h, example by example. */
#include "actors/relay/name_words.h"
#include "adapters/signer/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_words(const char *name, const char *expected)
{
    name_words_t words;
    char joined[LIMIT_NAME_WORDS * (LIMIT_NAME_WORD_SIZE + 1) + 1] = "";
    size_t size = 0;
    name_words_split(text_from_c(name), &words);
    for (uint32_t i = 0; i < words.count; i++) {
        size += (size_t)snprintf(joined + size, sizeof(joined) - size, "%s%.*s", i == 0 ? "" : " ",
                                 TEXT_PRINT(words.words[i]));
    }
    assert_string_equal(joined, expected);
}

static void case_and_diacritics_do_not_count(void **state)
{
    (void)state;
    assert_words("Ada LOVELACE", "ada lovelace");
    assert_words("Zoë Müller", "zoe muller");
    assert_words("Łukasz Żółć", "lukasz zolc");
    assert_words("Søren Ærø", "soren aero");
    assert_words("Weiß STRAẞE", "weiss strasse");
    assert_words("Đặng Thị Ngọc Ánh", "dang thi ngoc anh");
    assert_words("Ștefan Țîrlea", "stefan tirlea");
    assert_words("Ñandú Çelik Œuvre", "nandu celik oeuvre");
    assert_words("Zoe\xcc\x88 Mu\xcc\x88ller", "zoe muller"); /* combining marks */
}

static void words_end_at_what_is_neither_letter_nor_digit(void **state)
{
    (void)state;
    assert_words("Anna-Maria  (Mia) v. Berg, 3rd", "anna maria mia v berg 3rd");
    assert_words("O'Brien O’Brien D`Arcy", "obrien darcy");
    assert_words("", "");
    assert_words(" .,- ", "");
    assert_words("a×b÷c", "a b c");
}

static void other_scripts_keep_their_letters(void **state)
{
    (void)state;
    assert_words("ΑΛΈΞΗΣ Παπαδόπουλος", "αλεξησ παπαδοπουλοσ");
    assert_words("Фёдор ДОСТОЕВСКИЙ", "федор достоевскии");
    assert_words("王 小明", "王 小明");
    assert_words("יוסף כהן", "יוסף כהן");
}

static void repeated_words_count_once_and_only_the_first_ones_count(void **state)
{
    (void)state;
    assert_words("Ana ana ANA Ána Silva", "ana silva");
    assert_words("a b c d e f g h i j", "a b c d e f g h");
    char longest[300];
    memset(longest, 'x', sizeof(longest));
    longest[299] = '\0';
    name_words_t words;
    name_words_split(text_from_c(longest), &words);
    assert_int_equal(words.count, 1);
    assert_int_equal(words.words[0].size, LIMIT_NAME_WORD_SIZE);
}

/* Whatever valid UTF-8 comes: no more than the room there is, and folding twice changes nothing. */
static void folding_is_bounded_and_done_once(void **state)
{
    (void)state;
    const char *const seed_text = getenv("DIGITALCARD_TEST_SEED");
    uint64_t seed = seed_text == NULL ? 20261120 : strtoull(seed_text, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint32_t round = 0; round < 20000; round++) {
        char name[256];
        size_t size = 0;
        while (size + 4 < sizeof(name)) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
            const uint32_t code = 1 + (uint32_t)(seed >> 40) % 0x2fff;
            if (code < 0x80) {
                name[size++] = (char)code;
            } else if (code < 0x800) {
                name[size++] = (char)(0xc0 | code >> 6);
                name[size++] = (char)(0x80 | (code & 0x3f));
            } else {
                name[size++] = (char)(0xe0 | code >> 12);
                name[size++] = (char)(0x80 | (code >> 6 & 0x3f));
                name[size++] = (char)(0x80 | (code & 0x3f));
            }
        }
        name_words_t words;
        name_words_split((text_t){.data = name, .size = size}, &words);
        assert_true(words.count <= LIMIT_NAME_WORDS);
        for (uint32_t i = 0; i < words.count; i++) {
            name_words_t again;
            assert_true(words.words[i].size <= LIMIT_NAME_WORD_SIZE);
            name_words_split(words.words[i], &again);
            assert_int_equal(again.count, 1);
            assert_true(text_equal(again.words[0], words.words[i]));
        }
    }
}

static void hashes_depend_on_the_word_and_on_the_key(void **state)
{
    (void)state;
    crypto_key_t key;
    crypto_key_t other;
    memset(&key, 1, sizeof(key));
    memset(&other, 2, sizeof(other));
    uint64_t hashes[LIMIT_NAME_WORDS];
    uint64_t others[LIMIT_NAME_WORDS];
    assert_int_equal(signer_start(), RESULT_OK);
    assert_int_equal(name_words_hash(&signer_functions, &key, TEXT_LITERAL("Ada Lovelace"), hashes),
                     2);
    assert_int_equal(
        name_words_hash(&signer_functions, &other, TEXT_LITERAL("Ada Lovelace"), others), 2);
    assert_true(hashes[0] != hashes[1] && hashes[0] != others[0] && hashes[1] != others[1]);
    assert_int_equal(name_word_hash(&signer_functions, &key, TEXT_LITERAL("ada")), hashes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_and_diacritics_do_not_count),
        cmocka_unit_test(words_end_at_what_is_neither_letter_nor_digit),
        cmocka_unit_test(other_scripts_keep_their_letters),
        cmocka_unit_test(repeated_words_count_once_and_only_the_first_ones_count),
        cmocka_unit_test(folding_is_bounded_and_done_once),
        cmocka_unit_test(hashes_depend_on_the_word_and_on_the_key),
    };
    return cmocka_run_group_tests_name("name_words", tests, NULL, NULL);
}
