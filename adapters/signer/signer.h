/* actors/ports/crypto.h with libsodium, and the master key's file. */
#ifndef ADAPTERS_SIGNER_SIGNER_H
#define ADAPTERS_SIGNER_SIGNER_H

#include "actors/ports/crypto.h"

/* sodium_init; once per process, before anything else of this file. */
MUST_USE result_t signer_start(void);
extern const crypto_functions_t signer_functions;

/* Reads DIR/master.key (32 raw bytes, mode 0600). `create`: make it when it is missing (O_EXCL,
 * fsync of file and directory). PERMISSION_DENIED when others may read it or it cannot be read;
 * MISSING; STORE_CORRUPT for any other size. */
MUST_USE result_t signer_master_key(const char *data_directory, bool create, crypto_key_t *key);

#endif
