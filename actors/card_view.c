/* Card state to card document. Must not decide who sees the code, and must not open sealed names.
 */
#include "actors/card_view.h"
#include <assert.h>

_Static_assert((int)CARD_CODE_MAC_SIZE == (int)CRYPTO_MAC_SIZE, "one MAC, two names");

/* Decimal digits without a NUL; returns how many. */
static size_t format_kid(uint32_t kid, char out[CARD_VIEW_KID_TEXT_SIZE])
{
    char reversed[CARD_VIEW_KID_TEXT_SIZE];
    size_t size = 0;
    do {
        reversed[size] = (char)('0' + kid % 10U);
        size += 1;
        kid /= 10U;
    } while (kid != 0);
    for (size_t i = 0; i < size; i++) {
        out[i] = reversed[size - 1 - i];
    }
    return size;
}

void card_view_sign(const uuid_t *card, text_t tenant, const card_signing_key_t *key,
                    const crypto_functions_t *crypto, char text[CARD_CODE_TEXT_SIZE])
{
    card_code_t code = {.kid = key->kid, .tenant_tag = card_code_tenant_tag(tenant), .card = *card};
    uint8_t message[CARD_CODE_MESSAGE_SIZE_MAX];
    const size_t size = card_code_message(&code, tenant, message);
    crypto->mac(&key->key, (text_t){.data = (const char *)message, .size = size}, code.mac);
    card_code_format(&code, text);
}

static void set_code(const card_state_t *state, text_t tenant, const card_signing_key_t *key,
                     const crypto_functions_t *crypto, card_view_code_t *code, card_t *view)
{
    card_view_sign(&state->id, tenant, key, crypto, code->text);
    const size_t kid_size = format_kid(key->kid, code->kid);
    MESSAGE_SET(card_qr, &view->qr, text,
                ((text_t){.data = code->text, .size = CARD_CODE_TEXT_SIZE}));
    MESSAGE_SET(card_qr, &view->qr, kid, ((text_t){.data = code->kid, .size = kid_size}));
    MESSAGE_MARK(card, view, qr);
}

void card_view(const card_state_t *state, int64_t now_ms, text_t tenant, text_t holder_name,
               const card_signing_key_t *key, const crypto_functions_t *crypto,
               card_view_code_t *code, card_t *view)
{
    assert(state->status != card_status_none);
    *view = (card_t){0};
    MESSAGE_SET(card, view, id, state->id);
    MESSAGE_SET(card, view, tenant, tenant);
    MESSAGE_SET(card, view, member_id, state->member_id);
    if (holder_name.data != NULL) {
        MESSAGE_SET(card, view, holder_name, holder_name);
    }
    if (MESSAGE_HAS(card_snapshot, state, tier)) {
        MESSAGE_SET(card, view, tier, state->tier);
    }
    MESSAGE_SET(card, view, status, card_status_at(state, now_ms));
    MESSAGE_SET(card, view, valid_from, state->valid_from);
    MESSAGE_SET(card, view, expires_at, state->expires_at);
    MESSAGE_SET(card, view, issued_at, state->issued_at);
    MESSAGE_SET(card, view, version, card_version_at(state, now_ms));
    MESSAGE_SET(card, view, rules, 0);
    if (key != NULL) {
        set_code(state, tenant, key, crypto, code, view);
    }
    if (MESSAGE_HAS(card_snapshot, state, replaces)) {
        MESSAGE_SET(card, view, replaces, state->replaces);
    }
    if (MESSAGE_HAS(card_snapshot, state, replaced_by)) {
        MESSAGE_SET(card, view, replaced_by, state->replaced_by);
    }
}
