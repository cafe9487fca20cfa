/* Words of a holder's name as they are searched for, and their keyed hashes.
 *
 * The rule: a word is a run of letters and digits. Everything else ends it, but for apostrophes and
 * combining marks, which vanish ("O'Brien" is obrien). Latin letters lose case and diacritics
 * (ß is ss, æ is ae, ø is o, ł is l); ä, ö and ü become a, o and u, so "Mueller" does not find
 * "Müller". Greek and Cyrillic letters lose case and the common accents. Other scripts stay as they
 * are. The first LIMIT_NAME_WORDS different words count, each cut to LIMIT_NAME_WORD_SIZE bytes. */
#ifndef ACTORS_NAME_WORDS_H
#define ACTORS_NAME_WORDS_H

#include "actors/ports/crypto.h"
#include "runtime/limits.h"

typedef struct name_words {
    text_t words[LIMIT_NAME_WORDS]; /* each once, in order of the name; point into `bytes` */
    uint32_t count;
    size_t used;
    char bytes[LIMIT_NAME_WORDS * LIMIT_NAME_WORD_SIZE];
} name_words_t;

/* `name` is valid UTF-8. The result holds personal data: wipe it. */
void name_words_split(text_t name, name_words_t *words);

/* Never 0. `key` is that of secret_name_word_key. */
uint64_t name_word_hash(const crypto_functions_t *crypto, const crypto_key_t *key, text_t word);

/* Hashes of the words of `name`; returns how many, at most LIMIT_NAME_WORDS. */
uint32_t name_words_hash(const crypto_functions_t *crypto, const crypto_key_t *key, text_t name,
                         uint64_t hashes[LIMIT_NAME_WORDS]);

#endif
