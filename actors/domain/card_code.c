/* The text of a card's QR code: layout and encoding. Holds no key and checks no signature: whoever
 * has parsed a code knows nothing yet about who made it. */
#include "actors/domain/card_code.h"
#include "actors/domain/base45.h"
#include "actors/domain/siphash.h"

#include <assert.h>

enum {
    FORMAT = 1,
    KID_OFFSET = 1,
    TENANT_TAG_OFFSET = 5,
    CARD_OFFSET = 9,
    TENANT_SIZE_MAX = 39,
    PREFIX_SIZE = 4,
};

static const char prefix[PREFIX_SIZE + 1] = "DC1:";

_Static_assert(CARD_OFFSET + sizeof(uuid_t) == CARD_CODE_SIGNED_SIZE, "what is signed");
_Static_assert((int)CARD_CODE_SIGNED_SIZE + (int)CARD_CODE_MAC_SIZE == (int)CARD_CODE_SIZE,
               "what is signed, and the MAC");

static void store_big_endian(uint32_t value, uint8_t out[4])
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static uint32_t load_big_endian(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void write_signed_part(const card_code_t *code, uint8_t out[CARD_CODE_SIGNED_SIZE])
{
    out[0] = FORMAT;
    store_big_endian(code->kid, out + KID_OFFSET);
    store_big_endian(code->tenant_tag, out + TENANT_TAG_OFFSET);
    memcpy(out + CARD_OFFSET, code->card.bytes, sizeof(code->card.bytes));
}

uint32_t card_code_tenant_tag(text_t tenant)
{
    return (uint32_t)(siphash_fixed(tenant) & UINT32_MAX);
}

/* The NULs cannot occur in a tenant name, so no two (tenant, code) give the same bytes. */
size_t card_code_message(const card_code_t *code, text_t tenant,
                         uint8_t out[CARD_CODE_MESSAGE_SIZE_MAX])
{
    assert(tenant.size >= 1);
    assert(tenant.size <= TENANT_SIZE_MAX);
    memcpy(out, "DC1", 4); /* with its NUL */
    size_t size = 4;
    memcpy(out + size, tenant.data, tenant.size);
    size += tenant.size;
    out[size++] = 0;
    write_signed_part(code, out + size);
    return size + CARD_CODE_SIGNED_SIZE;
}

void card_code_format(const card_code_t *code, char out[CARD_CODE_TEXT_SIZE])
{
    uint8_t bytes[CARD_CODE_SIZE];
    write_signed_part(code, bytes);
    memcpy(bytes + CARD_CODE_SIGNED_SIZE, code->mac, sizeof(code->mac));
    memcpy(out, prefix, PREFIX_SIZE);
    base45_encode(bytes, sizeof(bytes), out + PREFIX_SIZE);
}

bool card_code_parse(text_t text, card_code_t *code)
{
    uint8_t bytes[CARD_CODE_SIZE];
    if (text.size != CARD_CODE_TEXT_SIZE || memcmp(text.data, prefix, PREFIX_SIZE) != 0) {
        return false;
    }
    const text_t body = {.data = text.data + PREFIX_SIZE, .size = text.size - PREFIX_SIZE};
    if (!base45_decode(body, bytes, sizeof(bytes)) || bytes[0] != FORMAT) {
        return false;
    }
    code->kid = load_big_endian(bytes + KID_OFFSET);
    code->tenant_tag = load_big_endian(bytes + TENANT_TAG_OFFSET);
    memcpy(code->card.bytes, bytes + CARD_OFFSET, sizeof(code->card.bytes));
    memcpy(code->mac, bytes + CARD_CODE_SIGNED_SIZE, sizeof(code->mac));
    return true;
}
