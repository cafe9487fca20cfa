/* A control store with one tenant, "acme", in memory. */
#include "actors/secrets.h"
#include "adapters/signer/signer.h"
#include "bench/cards/card_bench.h"

#include <stdlib.h>
#include <string.h>

typedef struct control_one {
    control_store_t store; /* first */
    uint8_t sealed_secret[SECRET_SEALED_KEY_SIZE];
    uint8_t sealed_key[SECRET_SEALED_KEY_SIZE];
} control_one_t;

static result_t version(control_store_t *store, uint64_t *number)
{
    (void)store;
    *number = 1;
    return RESULT_OK;
}

static result_t show(control_store_t *store, control_tenant_visit_t *visit, void *context)
{
    const control_one_t *const one = (const control_one_t *)store;
    const control_card_key_t key = {
        .kid = 1,
        .state = key_state_active,
        .created_at = 1,
        .sealed_secret = {(const char *)one->sealed_key, SECRET_SEALED_KEY_SIZE},
    };
    const control_tenant_t tenant = {
        .name = TEXT_LITERAL("acme"),
        .partitions = 1,
        .created_at = 1,
        .sealed_secret = {(const char *)one->sealed_secret, SECRET_SEALED_KEY_SIZE},
        .keys = &key,
        .key_count = 1,
    };
    (void)visit(context, &tenant);
    return RESULT_OK;
}

static result_t tenants(control_store_t *store, text_t after, control_tenant_visit_t *visit,
                        void *context)
{
    return text_is_empty(after) ? show(store, visit, context) : RESULT_OK;
}

static result_t tenant(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                       void *context)
{
    return text_equal(name, TEXT_LITERAL("acme")) ? show(store, visit, context) : RESULT_MISSING;
}

static result_t token_keys(control_store_t *store, control_token_key_visit_t *visit, void *context)
{
    (void)store;
    (void)visit;
    (void)context;
    return RESULT_OK;
}

static const control_store_functions_t functions = {
    .version = version, .tenants = tenants, .tenant = tenant, .token_keys = token_keys};

control_store_t *card_bench_control_create(const crypto_key_t *master_key)
{
    control_one_t *const one = calloc(1, sizeof(*one));
    card_bench_must(one == NULL ? RESULT_NO_MEMORY : RESULT_OK, "memory");
    one->store.functions = &functions;
    crypto_key_t key;
    memset(key.bytes, 7, sizeof(key.bytes));
    secret_tenant_seal(&signer_functions, master_key, TEXT_LITERAL("acme"), &key,
                       one->sealed_secret);
    secret_card_key_seal(&signer_functions, master_key, TEXT_LITERAL("acme"), 1, &key,
                         one->sealed_key);
    return &one->store;
}

void card_bench_control_destroy(control_store_t **control)
{
    free(*control);
    *control = NULL;
}
