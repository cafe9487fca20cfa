/* The text of a card's QR code: "DC1:" + base45 (RFC 9285) of 41 bytes
 *
 *   [0]       format, 1
 *   [1..4]    kid of the signing key, big-endian; per tenant
 *   [5..8]    tag of the tenant, big-endian: low 32 bits of SipHash-2-4 of its name, fixed key
 *   [9..24]   card id
 *   [25..40]  HMAC-SHA-256, first 128 bits, over "DC1" 0x00 tenant 0x00 bytes [0..24]
 *
 * 66 characters: QR version 4, error correction Q, alphanumeric mode. Test vectors:
 * docs/qr-code.md. Pure; the MAC itself comes from ports/crypto.h. */
#ifndef ACTORS_DOMAIN_CARD_CODE_H
#define ACTORS_DOMAIN_CARD_CODE_H

#include "messages/text.h"
#include "messages/uuid.h"

enum {
    CARD_CODE_SIZE = 41,
    CARD_CODE_SIGNED_SIZE = 25,
    CARD_CODE_TEXT_SIZE = 66,
    CARD_CODE_MAC_SIZE = 16,
    CARD_CODE_MESSAGE_SIZE_MAX = 3 + 1 + 39 + 1 + CARD_CODE_SIGNED_SIZE
};

typedef struct card_code {
    uint32_t kid;
    uint32_t tenant_tag;
    uuid_t card;
    uint8_t mac[CARD_CODE_MAC_SIZE];
} card_code_t;

uint32_t card_code_tenant_tag(text_t tenant);
/* What the MAC is made over; returns its size. tenant.size <= 39. `mac` of the code is not read. */
size_t card_code_message(const card_code_t *code, text_t tenant,
                         uint8_t out[CARD_CODE_MESSAGE_SIZE_MAX]);
void card_code_format(const card_code_t *code, char out[CARD_CODE_TEXT_SIZE]);
/* False for anything that is not exactly such a text (case matters; no blanks). Any bytes, any
 * length. */
bool card_code_parse(text_t text, card_code_t *code);

#endif
