/* Any bytes as the text of a code. What parses must have been written by us: one text, one code. */
#include "actors/domain/base45.h"
#include "actors/domain/card_code.h"
#include "actors/domain/card_id.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* base45 alone, at the length that the text would have. */
static void decode_any_length(text_t text)
{
    uint8_t bytes[256];
    char again[384];
    const size_t size = text.size / 3 * 2 + (text.size % 3 == 2 ? 1 : 0);
    if (size <= sizeof(bytes) && base45_decode(text, bytes, size)) {
        base45_encode(bytes, size, again);
        require(text.size == base45_text_size(size));
        require(text.size == 0 || memcmp(again, text.data, text.size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const text_t text = {.data = (const char *)data, .size = size};
    card_code_t code;
    if (card_code_parse(text, &code)) {
        char again[CARD_CODE_TEXT_SIZE];
        uint8_t message[CARD_CODE_MESSAGE_SIZE_MAX];
        card_code_format(&code, again);
        require(size == sizeof(again) && memcmp(again, data, size) == 0);
        require(card_code_message(&code, TEXT_LITERAL("demo"), message) <= sizeof(message));
        require(card_id_partition(&code.card) < 64);
    }
    decode_any_length(text);
    (void)tenant_name_is_valid(text);
    return 0;
}
