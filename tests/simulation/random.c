/* Randomness of the simulator: every draw comes from the seed. Must not look at anything else. */
#include "runtime/random.h"
#include "tests/simulation/world.h"

static uint64_t split_mix(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

void generator_seed(generator_t *generator, uint64_t seed)
{
    uint64_t state = seed;
    for (int i = 0; i < 4; i++) {
        generator->state[i] = split_mix(&state);
    }
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64U - bits));
}

uint64_t generator_next(generator_t *generator)
{
    uint64_t *const state = generator->state;
    const uint64_t result = rotate(state[1] * 5, 7) * 9;
    const uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

uint32_t generator_below(generator_t *generator, uint32_t bound)
{
    return bound == 0 ? 0 : (uint32_t)((generator_next(generator) >> 32) * bound >> 32);
}

uint32_t generator_between(generator_t *generator, uint32_t low, uint32_t high)
{
    return low + generator_below(generator, high - low + 1);
}

bool generator_chance(generator_t *generator, uint32_t per_thousand)
{
    return generator_below(generator, 1000) < per_thousand;
}

void generator_fill(generator_t *generator, void *out, size_t size)
{
    uint8_t *const bytes = out;
    for (size_t at = 0; at < size; at += 8) {
        const uint64_t drawn = generator_next(generator);
        const size_t count = size - at < 8 ? size - at : 8;
        memcpy(bytes + at, &drawn, count);
    }
}

void random_fill(void *out, size_t size)
{
    generator_fill(&world_current()->secrets, out, size);
}

uint32_t random_below(uint32_t bound)
{
    return generator_below(&world_current()->secrets, bound);
}
