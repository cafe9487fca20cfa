/* Randomness of the operating system by way of libsodium. Must not be used for anything that a
 * simulation has to repeat except through runtime/random.h. */
#include "runtime/random.h"

#include <assert.h>
#include <sodium.h>

void random_fill(void *out, size_t size)
{
    assert(out != NULL || size == 0);
    randombytes_buf(out, size);
}

uint32_t random_below(uint32_t bound)
{
    assert(bound > 0);
    return randombytes_uniform(bound);
}
