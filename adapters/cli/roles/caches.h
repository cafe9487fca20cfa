/* Which cache a role uses: Redis when there is a URL, memory otherwise. The one place that knows
 * both. Roles find the URL in their environment, because it may hold a password and arguments are
 * for everybody on the machine to read. */
#ifndef ADAPTERS_CLI_CACHES_H
#define ADAPTERS_CLI_CACHES_H

#include "actors/ports/cache.h"
#include "actors/ports/crypto.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

/* By `serve`, for the roles: the URL (may be empty), and what keys of this installation begin with.
 */
MUST_USE bool caches_prepare(const char *url, const crypto_key_t *master_key);

/* There is a URL. */
bool caches_are_shared(void);
MUST_USE result_t caches_create(loop_t *loop, metrics_t *metrics, cache_t **cache);
void caches_destroy(cache_t **cache);

#endif
