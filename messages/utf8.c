/* UTF-8 checks. Eight ASCII bytes are passed at a time, since nearly all text of a card is that. */
#include "messages/utf8.h"

#define ASCII_MASK UINT64_C(0x8080808080808080)
#define WORD_SIZE sizeof(uint64_t)

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0U) == 0x80U;
}

/* Bytes of the character at `at`, of which `left` are there; 0 when it is none. */
static size_t character_size(const uint8_t *at, size_t left)
{
    const uint8_t first = at[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4 || left < 2) {
        return 0;
    }
    /* The second byte alone rules out overlong forms, surrogates and too high numbers. */
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xbf;
    switch (first) {
    case 0xe0:
        second_min = 0xa0;
        break;
    case 0xed:
        second_max = 0x9f;
        break;
    case 0xf0:
        second_min = 0x90;
        break;
    case 0xf4:
        second_max = 0x8f;
        break;
    default:
        break;
    }
    if (at[1] < second_min || at[1] > second_max) {
        return 0;
    }
    if (first < 0xe0) {
        return 2;
    }
    if (left < 3 || !is_continuation(at[2])) {
        return 0;
    }
    if (first < 0xf0) {
        return 3;
    }
    return left >= 4 && is_continuation(at[3]) ? 4 : 0;
}

static bool is_ascii_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return (word & ASCII_MASK) == 0;
}

bool utf8_is_valid(text_t text)
{
    const uint8_t *bytes = (const uint8_t *)text.data;
    size_t at = 0;
    size_t end = text.size;
    /* When the last word is ASCII, what stands before it decides, and no byte goes alone. */
    if (text.size >= WORD_SIZE && is_ascii_word(bytes + text.size - WORD_SIZE)) {
        end -= WORD_SIZE;
    }
    while (at < end) {
        if (text.size - at >= WORD_SIZE && is_ascii_word(bytes + at)) {
            at += WORD_SIZE;
            continue;
        }
        const size_t size = character_size(bytes + at, text.size - at);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

size_t utf8_count(text_t text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += is_continuation((uint8_t)text.data[i]) ? 0 : 1;
    }
    return count;
}
