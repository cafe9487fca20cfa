/* Memory of a card's texts, and its holder's name. Must not keep keys. */
#include "actors/card_actor_internal.h"
#include "actors/secrets.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

static text_t put(char *block, size_t *used, text_t text)
{
    if (text.data == NULL) {
        return text;
    }
    char *const place = block + *used;
    if (text.size > 0) {
        memcpy(place, text.data, text.size);
    }
    *used += text.size;
    return (text_t){.data = place, .size = text.size};
}

void card_texts_own(card_actor_t *card, card_state_t *state, text_t holder_name)
{
    const size_t size =
        state->member_id.size + state->tier.size + state->sealed_name.size + holder_name.size;
    char *block = malloc(size + 1); /* never of size 0 */
    assert(block != NULL);
    size_t used = 0;
    state->member_id = put(block, &used, state->member_id);
    state->tier = put(block, &used, state->tier);
    state->sealed_name = put(block, &used, state->sealed_name);
    holder_name = put(block, &used, holder_name);
    assert(used == size);
    card_texts_free(card); /* only now: texts may come from the old block */
    card->texts = block;
    card->holder_name = holder_name;
    actor_report_bytes(card->actor, (uint32_t)size);
}

void card_texts_free(card_actor_t *card)
{
    if (card->texts != NULL && card->holder_name.size > 0) {
        card->tenant->shard->ports.crypto->wipe((void *)(uintptr_t)card->holder_name.data,
                                                card->holder_name.size);
    }
    free(card->texts);
    card->texts = NULL;
    card->holder_name = TEXT_NONE;
}

text_t card_texts_open_name(const tenant_t *tenant, const card_state_t *state,
                            text_t sealed_member_key, char plain[256])
{
    if (!MESSAGE_HAS(card_snapshot, state, sealed_name)) {
        return TEXT_NONE;
    }
    shard_t *const shard = tenant->shard;
    const crypto_functions_t *const crypto = shard->ports.crypto;
    const text_t name = tenant_name(tenant);
    const crypto_key_t *key = member_keys_find(shard->member_keys, name, state->member_id);
    if (key == NULL && !text_is_empty(sealed_member_key)) {
        crypto_key_t opened;
        if (secret_member_key_open(crypto, &tenant->secret, name, state->member_id,
                                   sealed_member_key, &opened)) {
            member_keys_put(shard->member_keys, name, state->member_id, &opened);
            key = member_keys_find(shard->member_keys, name, state->member_id);
        }
        crypto->wipe(&opened, sizeof(opened));
    }
    text_t holder_name = TEXT_NONE; /* a member who was erased has no name any more */
    if (key != NULL && !secret_holder_name_open(crypto, key, state->member_id, state->sealed_name,
                                                plain, &holder_name)) {
        log_error("a holder's name cannot be opened; run `digitalcard store verify`",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size));
        return TEXT_NONE;
    }
    return holder_name;
}
