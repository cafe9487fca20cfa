/* base45 by hand, strict. */
#include "actors/domain/base45.h"

enum { BASE = 45, NO_DIGIT = 255 };

static const char alphabet[BASE + 1] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

static uint32_t digit_of(char character)
{
    if (character >= '0' && character <= '9') {
        return (uint32_t)(character - '0');
    }
    if (character >= 'A' && character <= 'Z') {
        return (uint32_t)(character - 'A') + 10U;
    }
    for (uint32_t digit = 36; digit < BASE; digit++) {
        if (alphabet[digit] == character) {
            return digit;
        }
    }
    return NO_DIGIT;
}

void base45_encode(const uint8_t *bytes, size_t size, char *out)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        const uint32_t value = (uint32_t)bytes[i] << 8 | bytes[i + 1];
        *out++ = alphabet[value % BASE];
        *out++ = alphabet[value / BASE % BASE];
        *out++ = alphabet[value / (BASE * BASE)];
    }
    if (size % 2 == 1) {
        *out++ = alphabet[bytes[size - 1] % BASE];
        *out++ = alphabet[bytes[size - 1] / BASE];
    }
}

/* A group of `count` characters, least significant first. False when one is no digit. */
static bool decode_group(const char *characters, size_t count, uint32_t *value)
{
    *value = 0;
    for (size_t i = count; i > 0; i--) {
        const uint32_t digit = digit_of(characters[i - 1]);
        if (digit == NO_DIGIT) {
            return false;
        }
        *value = *value * BASE + digit;
    }
    return true;
}

bool base45_decode(text_t text, uint8_t *out, size_t size)
{
    if (text.size != base45_text_size(size)) {
        return false;
    }
    const char *characters = text.data;
    uint32_t value = 0;
    for (size_t i = 0; i + 1 < size; i += 2) {
        if (!decode_group(characters, 3, &value) || value > UINT16_MAX) {
            return false;
        }
        out[i] = (uint8_t)(value >> 8);
        out[i + 1] = (uint8_t)(value & 0xffU);
        characters += 3;
    }
    if (size % 2 == 1) {
        if (!decode_group(characters, 2, &value) || value > UINT8_MAX) {
            return false;
        }
        out[size - 1] = (uint8_t)value;
    }
    return true;
}
