/* How a card looks from outside: its state at one moment as the document `card`, with the code
 * signed by the tenant's active key. Shared by the shard (get, commands, verdicts) and the relay
 * (lists), so that both show the same card. Decides nothing and opens nothing: the caller knows who
 * may see what. */
#ifndef ACTORS_CARD_VIEW_H
#define ACTORS_CARD_VIEW_H

#include "actors/domain/card.h"
#include "actors/domain/card_code.h"
#include "actors/ports/crypto.h"

/* A key that card codes are signed with, opened (secrets.h). */
typedef struct card_signing_key {
    uint32_t kid;
    crypto_key_t key;
} card_signing_key_t;

enum { CARD_VIEW_KID_TEXT_SIZE = 10 }; /* decimal digits of the highest uint32_t */

/* Where the texts of the code live that `view` borrows. */
typedef struct card_view_code {
    char text[CARD_CODE_TEXT_SIZE];
    char kid[CARD_VIEW_KID_TEXT_SIZE];
} card_view_code_t;

/* Fills `view`; its texts are borrowed from `state`, `tenant`, `holder_name` and `code`.
 * `holder_name.data` NULL: the card has no name (or its member was erased), shown as null. `key`
 * NULL: the code is not shown (auditors, verdicts) and shown as null; `crypto` and `code` are not
 * touched then. `state` is that of a card that was issued. */
void card_view(const card_state_t *state, int64_t now_ms, text_t tenant, text_t holder_name,
               const card_signing_key_t *key, const crypto_functions_t *crypto,
               card_view_code_t *code, card_t *view);

/* The code alone, for whoever needs only that. */
void card_view_sign(const uuid_t *card, text_t tenant, const card_signing_key_t *key,
                    const crypto_functions_t *crypto, char text[CARD_CODE_TEXT_SIZE]);

#endif
