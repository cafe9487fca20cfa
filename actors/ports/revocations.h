/* Tokens that were revoked before their end, part of the control data: by their SHA-256, until they
 * would have ended anyway. Few: at most LIMIT_REVOKED_TOKENS. Calls block for some milliseconds. */
#ifndef ACTORS_PORTS_REVOCATIONS_H
#define ACTORS_PORTS_REVOCATIONS_H

#include "runtime/limits.h"
#include "runtime/result.h"
#include <stdbool.h>
#include <stdint.h>

enum { REVOCATION_HASH_SIZE = 32 };

typedef struct revocations revocations_t;

/* Return false to stop. Borrowed for the call; it must not call the store. */
typedef bool revocation_visit_t(void *context, const uint8_t hash[REVOCATION_HASH_SIZE],
                                int64_t expires_at_ms);

typedef struct revocations_functions {
    /* Raises the version of the control store, unless it is there already. Those that have ended by
     * `now_ms` go with it. BUSY: there are too many; rotate the token key instead. */
    result_t (*add)(revocations_t *store, const uint8_t hash[REVOCATION_HASH_SIZE],
                    int64_t expires_at_ms, int64_t now_ms);
    /* In order of hash; those that end after `now_ms`. */
    result_t (*visit)(revocations_t *store, int64_t now_ms, revocation_visit_t *visit,
                      void *context);
} revocations_functions_t;

struct revocations {
    const revocations_functions_t *functions;
};

#endif
