/* SipHash-2-4 (Aumasson and Bernstein, 2012) under one fixed, public key: the same number for the
 * same bytes on every machine, for ever, since ids and codes that are out in the world rest on it.
 * It spreads; it is no secret and proves nothing. */
#ifndef ACTORS_DOMAIN_SIPHASH_H
#define ACTORS_DOMAIN_SIPHASH_H

#include "messages/text.h"

enum { SIPHASH_KEY_SIZE = 16 };

uint64_t siphash(const uint8_t key[SIPHASH_KEY_SIZE], text_t text);
/* Under the fixed key of this service, the 16 bytes "DigitalCard 2026". */
uint64_t siphash_fixed(text_t text);

#endif
