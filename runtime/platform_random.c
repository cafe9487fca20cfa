/* Randomness of the operating system by way of libsodium. Must not be used for anything that a
 * simulation has to repeat except through runtime/random.h. */
#include "runtime/random.h"

#include <assert.h>
#include <sodium.h>
#include <sys/random.h>

enum { SODIUM_CALL_SIZE = 256 };

void random_fill(void *out, size_t size)
{
    assert(out != NULL || size == 0);
    /* libsodium asks the kernel for 256 bytes at a time, since only these come whole for sure. */
    if (size <= SODIUM_CALL_SIZE || getrandom(out, size, 0) != (ssize_t)size) {
        randombytes_buf(out, size);
    }
}

uint32_t random_below(uint32_t bound)
{
    assert(bound > 0);
    return randombytes_uniform(bound);
}
