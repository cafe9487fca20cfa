/* What a card at rest takes: its state in pieces, and one block with its texts and its holder's
 * name. Must not keep keys. */
#include "actors/secrets.h"
#include "actors/shard/card_actor_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

/* --- The block: replaces, replaced_by (16 bytes each, if there), then the texts --- */

static void put(char *block, size_t *used, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(block + *used, data, size);
    }
    *used += size;
}

static text_t take(const char *block, size_t *used, size_t size)
{
    const text_t text = {.data = block + *used, .size = size};
    *used += size;
    return text;
}

static size_t ids_size(const card_state_t *state)
{
    return (MESSAGE_HAS(card_snapshot, state, replaces) ? sizeof(uuid_t) : 0) +
           (MESSAGE_HAS(card_snapshot, state, replaced_by) ? sizeof(uuid_t) : 0);
}

/* What malloc takes for it: a head of 8 bytes, in steps of 16, and 32 at least. */
static size_t allocated_size(size_t size)
{
    const size_t taken = (size + 8 + 15) / 16 * 16;
    return taken < 32 ? 32 : taken;
}

static size_t texts_size(const card_actor_t *card, const card_state_t *state)
{
    return ids_size(state) + card->member_id_size + card->tier_size + card->sealed_name_size +
           card->holder_name_size;
}

void card_memory_read(const card_actor_t *card, card_state_t *state)
{
    *state = (card_state_t){0};
    state->present = card->present;
    if (card->status == card_status_none) {
        return;
    }
    const actor_identity_t identity = actor_identity(actor_of_state((void *)(uintptr_t)card));
    memcpy(state->id.bytes, identity.id, sizeof(state->id.bytes));
    size_t used = 0;
    if (MESSAGE_HAS(card_snapshot, state, replaces)) {
        memcpy(&state->replaces, take(card->texts, &used, sizeof(uuid_t)).data, sizeof(uuid_t));
    }
    if (MESSAGE_HAS(card_snapshot, state, replaced_by)) {
        memcpy(&state->replaced_by, take(card->texts, &used, sizeof(uuid_t)).data, sizeof(uuid_t));
    }
    state->member_id = take(card->texts, &used, card->member_id_size);
    state->tier = take(card->texts, &used, card->tier_size);
    state->sealed_name = take(card->texts, &used, card->sealed_name_size);
    state->status = card->status;
    state->valid_from = card->valid_from;
    state->expires_at = card->expires_at;
    state->issued_at = card->issued_at;
    state->version = card->version;
    state->card_sequence = card->card_sequence;
    state->was_activated = card->was_activated;
    state->is_suspended = card->is_suspended;
    state->by_member = MESSAGE_HAS(card_snapshot, state, by_member);
}

void card_memory_update(card_actor_t *card, const card_state_t *state)
{
    card->present = (uint16_t)state->present;
    card->status = state->status;
    card->valid_from = state->valid_from;
    card->expires_at = state->expires_at;
    card->issued_at = state->issued_at;
    card->version = state->version;
    card->card_sequence = state->card_sequence;
    card->was_activated = state->was_activated;
    card->is_suspended = state->is_suspended;
}

size_t card_memory_texts_size(const card_actor_t *card)
{
    const card_state_t present = {.present = card->present};
    return card->texts == NULL ? 0 : texts_size(card, &present);
}

text_t card_memory_holder_name(const card_actor_t *card)
{
    if (!card->has_holder_name) {
        return TEXT_NONE;
    }
    const size_t before = card_memory_texts_size(card) - card->holder_name_size;
    return (text_t){.data = card->texts + before, .size = card->holder_name_size};
}

static void wipe_name(const card_actor_t *card, const crypto_functions_t *crypto)
{
    const text_t holder_name = card_memory_holder_name(card);
    if (holder_name.size > 0) {
        crypto->wipe((void *)(uintptr_t)holder_name.data, holder_name.size);
    }
}

void card_memory_keep(card_actor_t *card, const card_state_t *state, text_t holder_name)
{
    const crypto_functions_t *const crypto = card_tenant(card)->shard->ports.crypto;
    const size_t size = ids_size(state) + state->member_id.size + state->tier.size +
                        state->sealed_name.size + holder_name.size;
    char *block = malloc(size + 1); /* never of size 0 */
    assert(block != NULL);
    size_t used = 0;
    if (MESSAGE_HAS(card_snapshot, state, replaces)) {
        put(block, &used, &state->replaces, sizeof(uuid_t));
    }
    if (MESSAGE_HAS(card_snapshot, state, replaced_by)) {
        put(block, &used, &state->replaced_by, sizeof(uuid_t));
    }
    put(block, &used, state->member_id.data, state->member_id.size);
    put(block, &used, state->tier.data, state->tier.size);
    put(block, &used, state->sealed_name.data, state->sealed_name.size);
    put(block, &used, holder_name.data, holder_name.size);
    assert(used == size);
    card_memory_free(card, crypto); /* only now: texts may come from the old block */
    card->texts = block;
    card->member_id_size = (uint8_t)state->member_id.size;
    card->tier_size = (uint8_t)state->tier.size;
    card->sealed_name_size = (uint16_t)state->sealed_name.size;
    card->holder_name_size = (uint16_t)holder_name.size;
    card->has_holder_name = holder_name.data != NULL;
    card_memory_update(card, state);
    assert(texts_size(card, state) == size);
    actor_report_bytes(actor_of_state(card), (uint32_t)allocated_size(size + 1));
}

void card_memory_free(card_actor_t *card, const crypto_functions_t *crypto)
{
    if (card->texts != NULL) {
        wipe_name(card, crypto);
    }
    free(card->texts);
    card->texts = NULL;
}

text_t card_memory_open_name(const tenant_t *tenant, const card_state_t *state,
                             text_t sealed_member_key, char plain[256])
{
    if (!MESSAGE_HAS(card_snapshot, state, sealed_name)) {
        return TEXT_NONE;
    }
    shard_t *const shard = tenant->shard;
    const crypto_functions_t *const crypto = shard->ports.crypto;
    const text_t name = tenant_name(tenant);
    const text_t identity = tenant_identity(tenant);
    const crypto_key_t *key = member_keys_find(shard->member_keys, identity, state->member_id);
    if (key == NULL && !text_is_empty(sealed_member_key)) {
        crypto_key_t opened;
        if (secret_member_key_open(crypto, &tenant->secret, name, state->member_id,
                                   sealed_member_key, &opened)) {
            member_keys_put(shard->member_keys, identity, state->member_id, &opened);
            key = member_keys_find(shard->member_keys, identity, state->member_id);
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
