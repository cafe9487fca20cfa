/* SipHash-2-4 by hand, because the domain uses no library. */
#include "actors/domain/siphash.h"

typedef struct siphash_state {
    uint64_t v0, v1, v2, v3;
} siphash_state_t;

static uint64_t load_little_endian(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)bytes[i] << (8U * i);
    }
    return word;
}

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64U - bits);
}

static void sip_round(siphash_state_t *state)
{
    state->v0 += state->v1;
    state->v1 = rotate_left(state->v1, 13) ^ state->v0;
    state->v0 = rotate_left(state->v0, 32);
    state->v2 += state->v3;
    state->v3 = rotate_left(state->v3, 16) ^ state->v2;
    state->v0 += state->v3;
    state->v3 = rotate_left(state->v3, 21) ^ state->v0;
    state->v2 += state->v1;
    state->v1 = rotate_left(state->v1, 17) ^ state->v2;
    state->v2 = rotate_left(state->v2, 32);
}

static void absorb(siphash_state_t *state, uint64_t word)
{
    state->v3 ^= word;
    sip_round(state);
    sip_round(state);
    state->v0 ^= word;
}

uint64_t siphash(const uint8_t key[SIPHASH_KEY_SIZE], text_t text)
{
    const uint64_t k0 = load_little_endian(key, 8);
    const uint64_t k1 = load_little_endian(key + 8, 8);
    siphash_state_t state = {
        .v0 = k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *bytes = (const uint8_t *)text.data;
    const size_t whole = text.size & ~(size_t)7U;
    for (size_t i = 0; i < whole; i += 8) {
        absorb(&state, load_little_endian(bytes + i, 8));
    }
    uint64_t last = (uint64_t)(text.size & 0xffU) << 56;
    if (text.size > whole) {
        last |= load_little_endian(bytes + whole, text.size - whole);
    }
    absorb(&state, last);
    state.v2 ^= 0xffU;
    for (unsigned i = 0; i < 4; i++) {
        sip_round(&state);
    }
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

uint64_t siphash_fixed(text_t text)
{
    static const uint8_t key[SIPHASH_KEY_SIZE] = {'D', 'i', 'g', 'i', 't', 'a', 'l', 'C',
                                                  'a', 'r', 'd', ' ', '2', '0', '2', '6'};
    return siphash(key, text);
}
