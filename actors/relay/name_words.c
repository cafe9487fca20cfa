/* Folding of names for search. Pure. A table of ranges says what becomes of each letter; no letter
 * has a line in code. Must not keep or log a name. */
#include "actors/relay/name_words.h"
#include <assert.h>

typedef enum fold_kind {
    FOLD_TO,     /* becomes `to` */
    FOLD_SHIFT,  /* becomes the letter `shift` further */
    FOLD_DROP,   /* vanishes within a word */
    FOLD_BORDER, /* ends a word */
} fold_kind_t;

typedef struct fold_range {
    uint32_t first;
    uint32_t last;
    fold_kind_t kind;
    const char *to;
    int32_t shift;
} fold_range_t;

#define TO(first, last, text)                                                                      \
    {                                                                                              \
        first, last, FOLD_TO, text, 0                                                              \
    }
#define SHIFT(first, last, by)                                                                     \
    {                                                                                              \
        first, last, FOLD_SHIFT, "", by                                                            \
    }
#define DROP(first, last)                                                                          \
    {                                                                                              \
        first, last, FOLD_DROP, "", 0                                                              \
    }
#define BORDER(first, last)                                                                        \
    {                                                                                              \
        first, last, FOLD_BORDER, "", 0                                                            \
    }

/* In ascending order, without overlap. What stands in none stays as it is. */
static const fold_range_t ranges[] = {
    BORDER(0x00, 0x26),
    DROP(0x27, 0x27),
    BORDER(0x28, 0x2f),
    BORDER(0x3a, 0x40),
    SHIFT('A', 'Z', 32),
    BORDER(0x5b, 0x5f),
    DROP(0x60, 0x60),
    BORDER(0x7b, 0xa9),
    TO(0xaa, 0xaa, "a"),
    BORDER(0xab, 0xb3),
    DROP(0xb4, 0xb4),
    BORDER(0xb5, 0xb9),
    TO(0xba, 0xba, "o"),
    BORDER(0xbb, 0xbf),
    TO(0xc0, 0xc5, "a"),
    TO(0xc6, 0xc6, "ae"),
    TO(0xc7, 0xc7, "c"),
    TO(0xc8, 0xcb, "e"),
    TO(0xcc, 0xcf, "i"),
    TO(0xd0, 0xd0, "d"),
    TO(0xd1, 0xd1, "n"),
    TO(0xd2, 0xd6, "o"),
    BORDER(0xd7, 0xd7),
    TO(0xd8, 0xd8, "o"),
    TO(0xd9, 0xdc, "u"),
    TO(0xdd, 0xdd, "y"),
    TO(0xde, 0xde, "th"),
    TO(0xdf, 0xdf, "ss"),
    TO(0xe0, 0xe5, "a"),
    TO(0xe6, 0xe6, "ae"),
    TO(0xe7, 0xe7, "c"),
    TO(0xe8, 0xeb, "e"),
    TO(0xec, 0xef, "i"),
    TO(0xf0, 0xf0, "d"),
    TO(0xf1, 0xf1, "n"),
    TO(0xf2, 0xf6, "o"),
    BORDER(0xf7, 0xf7),
    TO(0xf8, 0xf8, "o"),
    TO(0xf9, 0xfc, "u"),
    TO(0xfd, 0xfd, "y"),
    TO(0xfe, 0xfe, "th"),
    TO(0xff, 0xff, "y"),
    TO(0x100, 0x105, "a"),
    TO(0x106, 0x10d, "c"),
    TO(0x10e, 0x111, "d"),
    TO(0x112, 0x11b, "e"),
    TO(0x11c, 0x123, "g"),
    TO(0x124, 0x127, "h"),
    TO(0x128, 0x131, "i"),
    TO(0x132, 0x133, "ij"),
    TO(0x134, 0x135, "j"),
    TO(0x136, 0x138, "k"),
    TO(0x139, 0x142, "l"),
    TO(0x143, 0x14b, "n"),
    TO(0x14c, 0x151, "o"),
    TO(0x152, 0x153, "oe"),
    TO(0x154, 0x159, "r"),
    TO(0x15a, 0x161, "s"),
    TO(0x162, 0x167, "t"),
    TO(0x168, 0x173, "u"),
    TO(0x174, 0x175, "w"),
    TO(0x176, 0x178, "y"),
    TO(0x179, 0x17e, "z"),
    TO(0x17f, 0x17f, "s"),
    TO(0x1a0, 0x1a1, "o"),
    TO(0x1af, 0x1b0, "u"),
    TO(0x218, 0x219, "s"),
    TO(0x21a, 0x21b, "t"),
    DROP(0x2b9, 0x2bf),
    DROP(0x300, 0x36f),
    TO(0x386, 0x386, "\xce\xb1"),
    TO(0x388, 0x388, "\xce\xb5"),
    TO(0x389, 0x389, "\xce\xb7"),
    TO(0x38a, 0x38a, "\xce\xb9"),
    TO(0x38c, 0x38c, "\xce\xbf"),
    TO(0x38e, 0x38e, "\xcf\x85"),
    TO(0x38f, 0x38f, "\xcf\x89"),
    TO(0x390, 0x390, "\xce\xb9"),
    SHIFT(0x391, 0x3a1, 32),
    SHIFT(0x3a3, 0x3a9, 32),
    TO(0x3aa, 0x3aa, "\xce\xb9"),
    TO(0x3ab, 0x3ab, "\xcf\x85"),
    TO(0x3ac, 0x3ac, "\xce\xb1"),
    TO(0x3ad, 0x3ad, "\xce\xb5"),
    TO(0x3ae, 0x3ae, "\xce\xb7"),
    TO(0x3af, 0x3af, "\xce\xb9"),
    TO(0x3b0, 0x3b0, "\xcf\x85"),
    TO(0x3c2, 0x3c2, "\xcf\x83"),
    TO(0x3ca, 0x3ca, "\xce\xb9"),
    TO(0x3cb, 0x3cb, "\xcf\x85"),
    TO(0x3cc, 0x3cc, "\xce\xbf"),
    TO(0x3cd, 0x3cd, "\xcf\x85"),
    TO(0x3ce, 0x3ce, "\xcf\x89"),
    TO(0x401, 0x401, "\xd0\xb5"),
    SHIFT(0x400, 0x40f, 80),
    TO(0x419, 0x419, "\xd0\xb8"),
    SHIFT(0x410, 0x42f, 32),
    TO(0x439, 0x439, "\xd0\xb8"),
    TO(0x451, 0x451, "\xd0\xb5"),
    TO(0x490, 0x491, "\xd0\xb3"),
    DROP(0x5f3, 0x5f4),
    TO(0x1e00, 0x1e01, "a"),
    TO(0x1e02, 0x1e07, "b"),
    TO(0x1e08, 0x1e09, "c"),
    TO(0x1e0a, 0x1e13, "d"),
    TO(0x1e14, 0x1e1d, "e"),
    TO(0x1e1e, 0x1e1f, "f"),
    TO(0x1e20, 0x1e21, "g"),
    TO(0x1e22, 0x1e2b, "h"),
    TO(0x1e2c, 0x1e2f, "i"),
    TO(0x1e30, 0x1e35, "k"),
    TO(0x1e36, 0x1e3d, "l"),
    TO(0x1e3e, 0x1e43, "m"),
    TO(0x1e44, 0x1e4b, "n"),
    TO(0x1e4c, 0x1e53, "o"),
    TO(0x1e54, 0x1e57, "p"),
    TO(0x1e58, 0x1e5f, "r"),
    TO(0x1e60, 0x1e69, "s"),
    TO(0x1e6a, 0x1e71, "t"),
    TO(0x1e72, 0x1e7b, "u"),
    TO(0x1e7c, 0x1e7f, "v"),
    TO(0x1e80, 0x1e89, "w"),
    TO(0x1e8a, 0x1e8d, "x"),
    TO(0x1e8e, 0x1e8f, "y"),
    TO(0x1e90, 0x1e95, "z"),
    TO(0x1e9e, 0x1e9e, "ss"),
    TO(0x1ea0, 0x1eb7, "a"),
    TO(0x1eb8, 0x1ec7, "e"),
    TO(0x1ec8, 0x1ecb, "i"),
    TO(0x1ecc, 0x1ee3, "o"),
    TO(0x1ee4, 0x1ef1, "u"),
    TO(0x1ef2, 0x1ef9, "y"),
    BORDER(0x2000, 0x2017),
    DROP(0x2018, 0x201b),
    BORDER(0x201c, 0x2bff),
    BORDER(0x3000, 0x3004),
    BORDER(0x3008, 0x3020),
    BORDER(0xfe10, 0xfe1f),
    BORDER(0xff01, 0xff0f),
};

/* Bytes of the first character of valid UTF-8, and its code point. */
static size_t take_character(text_t text, uint32_t *code)
{
    const uint8_t *const bytes = (const uint8_t *)text.data;
    static const uint8_t first_masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t size = 1;
    if (bytes[0] >= 0xf0) {
        size = 4;
    } else if (bytes[0] >= 0xe0) {
        size = 3;
    } else if (bytes[0] >= 0xc0) {
        size = 2;
    }
    size = size < text.size ? size : text.size;
    *code = bytes[0] & first_masks[size];
    for (size_t i = 1; i < size; i++) {
        *code = *code << 6 | (bytes[i] & 0x3fU);
    }
    return size;
}

static const fold_range_t *find_range(uint32_t code)
{
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return &ranges[i]; /* the first that fits: single letters stand before their range */
        }
    }
    return NULL;
}

/* A letter that moves within its alphabet: one or two bytes of UTF-8. */
static size_t write_shifted(uint32_t code, char out[2])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    assert(code < 0x800);
    out[0] = (char)(0xc0U | (code >> 6));
    out[1] = (char)(0x80U | (code & 0x3fU));
    return 2;
}

/* Whole characters only: a word that is too long is cut between two. */
static void word_add(text_t *word, char *start, const char *bytes, size_t size)
{
    if (word->size + size <= LIMIT_NAME_WORD_SIZE) {
        memcpy(start + word->size, bytes, size);
        word->size += size;
    }
}

static void word_end(name_words_t *words, text_t *word)
{
    bool is_new = word->size > 0;
    for (uint32_t i = 0; i < words->count; i++) {
        is_new = is_new && !text_equal(words->words[i], *word);
    }
    if (is_new) {
        words->words[words->count] = *word;
        words->count += 1;
        words->used += word->size;
    }
    *word = (text_t){.data = words->bytes + words->used, .size = 0};
}

void name_words_split(text_t name, name_words_t *words)
{
    words->count = 0;
    words->used = 0;
    text_t word = {.data = words->bytes, .size = 0};
    while (name.size > 0 && words->count < LIMIT_NAME_WORDS) {
        uint32_t code = 0;
        const size_t size = take_character(name, &code);
        const fold_range_t *range = find_range(code);
        char *const start = words->bytes + words->used;
        char shifted[2];
        if (range == NULL) {
            word_add(&word, start, name.data, size);
        } else if (range->kind == FOLD_TO) {
            word_add(&word, start, range->to, strlen(range->to));
        } else if (range->kind == FOLD_SHIFT) {
            const uint32_t moved = code + (uint32_t)range->shift;
            word_add(&word, start, shifted, write_shifted(moved, shifted));
        } else if (range->kind == FOLD_BORDER) {
            word_end(words, &word);
        }
        name.data += size;
        name.size -= size;
    }
    if (words->count < LIMIT_NAME_WORDS) {
        word_end(words, &word);
    }
}

uint64_t name_word_hash(const crypto_functions_t *crypto, const crypto_key_t *key, text_t word)
{
    uint8_t mac[CRYPTO_MAC_SIZE];
    uint64_t hash = 0;
    crypto->mac(key, word, mac);
    memcpy(&hash, mac, sizeof(hash));
    return hash == 0 ? 1 : hash;
}

uint32_t name_words_hash(const crypto_functions_t *crypto, const crypto_key_t *key, text_t name,
                         uint64_t hashes[LIMIT_NAME_WORDS])
{
    name_words_t words;
    name_words_split(name, &words);
    const uint32_t count = words.count;
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = name_word_hash(crypto, key, words.words[i]);
    }
    crypto->wipe(&words, sizeof(words));
    return count;
}
