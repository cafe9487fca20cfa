/* Choosing the cache. Must not show the URL. */
#include "adapters/cli/roles/caches.h"

#include "adapters/cache_memory/cache_memory.h"
#include "adapters/cache_redis/cache_redis.h"
#include "adapters/signer/signer.h"
#include <stdio.h>
#include <stdlib.h>

#define URL_ENVIRONMENT "DIGITALCARD_REDIS"
#define INSTALLATION_ENVIRONMENT "DIGITALCARD_REDIS_INSTALLATION"

enum { INSTALLATION_BYTES = 8 };

static const char *url_of_role(void)
{
    const char *const url = getenv(URL_ENVIRONMENT);
    return url == NULL ? "" : url;
}

/* All nodes of an installation have its master key, and no other installation has it. */
bool caches_prepare(const char *url, const crypto_key_t *master_key)
{
    uint8_t mac[CRYPTO_MAC_SIZE];
    char text[2 * INSTALLATION_BYTES + 1];
    signer_functions.mac(master_key, TEXT_LITERAL("digitalcard redis keys"), mac);
    for (size_t i = 0; i < INSTALLATION_BYTES; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", mac[i]);
    }
    return setenv(URL_ENVIRONMENT, url, 1) == 0 && setenv(INSTALLATION_ENVIRONMENT, text, 1) == 0;
}

bool caches_are_shared(void)
{
    return url_of_role()[0] != '\0';
}

result_t caches_create(loop_t *loop, metrics_t *metrics, cache_t **cache)
{
    const char *const installation = getenv(INSTALLATION_ENVIRONMENT);
    const cache_redis_options_t options = {
        .url = url_of_role(), .installation = installation == NULL ? "" : installation};
    return caches_are_shared() ? cache_redis_create(loop, metrics, &options, cache)
                               : cache_memory_create(loop, cache);
}

void caches_destroy(cache_t **cache)
{
    if (caches_are_shared()) {
        cache_redis_destroy(cache);
    } else {
        cache_memory_destroy(cache);
    }
}
