/* Randomness comes from here, so that a simulator can stand in for it. Cryptographically strong. */
#ifndef RUNTIME_RANDOM_H
#define RUNTIME_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_fill(void *out, size_t size);
/* Uniform in 0 … bound - 1; `bound` > 0. */
uint32_t random_below(uint32_t bound);

#endif
