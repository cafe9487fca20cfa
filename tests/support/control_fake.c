/* A control store that lives as long as the test. */
#include "tests/support/control_fake.h"
#include "actors/secrets.h"
#include <assert.h>
#include <stdlib.h>

enum { TENANTS_MAX = 4096, KEYS_MAX = 8, TOKEN_KEYS_MAX = 32, SECRET_NUMBER = 1000 };
enum { NAMESAKE_STEP = 2000 }; /* between the numbers of secrets of tenants of one name */

typedef struct fake_key {
    uint8_t state;
    uint8_t sealed[SECRET_SEALED_KEY_SIZE];
} fake_key_t;

typedef struct fake_tenant {
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    uint32_t partitions;
    int64_t created_at;
    uint8_t sealed_secret[SECRET_SEALED_KEY_SIZE];
    fake_key_t keys[KEYS_MAX]; /* kid is the index plus 1 */
    uint32_t key_count;
    uint32_t number; /* of those that had the name before */
    control_quotas_t quotas;
} fake_tenant_t;

typedef struct fake_token_key {
    char kid[65];
    char jwk[1025];
} fake_token_key_t;

struct control_fake {
    control_store_t store; /* first */
    const crypto_functions_t *crypto;
    crypto_key_t master_key;
    uint64_t version;
    result_t failure;
    fake_tenant_t *tenants; /* in order of name */
    uint32_t tenant_count;
    fake_token_key_t token_keys[TOKEN_KEYS_MAX];
    uint32_t token_key_count;
};

static crypto_key_t derive(const char *name, uint32_t number)
{
    crypto_key_t key;
    const size_t size = strlen(name);
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        key.bytes[i] = (uint8_t)((uint32_t)name[i % size] + 7U * (uint32_t)i + 31U * number);
    }
    return key;
}

crypto_key_t control_fake_card_key(const char *name, uint32_t kid)
{
    return derive(name, kid);
}

crypto_key_t control_fake_tenant_secret(const char *name)
{
    return derive(name, SECRET_NUMBER);
}

static fake_tenant_t *find(control_fake_t *fake, text_t name)
{
    for (uint32_t i = 0; i < fake->tenant_count; i++) {
        if (text_equal(text_from_c(fake->tenants[i].name), name)) {
            return &fake->tenants[i];
        }
    }
    return NULL;
}

static control_fake_t *fake_of(control_store_t *store)
{
    return (control_fake_t *)store;
}

static result_t get_version(control_store_t *store, uint64_t *version)
{
    *version = fake_of(store)->version;
    return fake_of(store)->failure;
}

static bool show(const fake_tenant_t *tenant, control_tenant_visit_t *visit, void *context)
{
    control_card_key_t keys[KEYS_MAX];
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        keys[i] = (control_card_key_t){
            .kid = i + 1,
            .state = tenant->keys[i].state,
            .created_at = tenant->created_at,
            .sealed_secret = {(const char *)tenant->keys[i].sealed, SECRET_SEALED_KEY_SIZE},
        };
    }
    const control_tenant_t row = {
        .name = text_from_c(tenant->name),
        .partitions = tenant->partitions,
        .created_at = tenant->created_at,
        .sealed_secret = {(const char *)tenant->sealed_secret, SECRET_SEALED_KEY_SIZE},
        .keys = keys,
        .key_count = tenant->key_count,
        .quotas = tenant->quotas,
    };
    return visit(context, &row);
}

static result_t visit_tenants(control_store_t *store, text_t after, control_tenant_visit_t *visit,
                              void *context)
{
    control_fake_t *const fake = fake_of(store);
    char after_name[LIMIT_TENANT_NAME_SIZE + 1] = {0};
    memcpy(after_name, after.size == 0 ? "" : after.data, after.size);
    for (uint32_t i = 0; i < fake->tenant_count && fake->failure == RESULT_OK; i++) {
        if (strcmp(fake->tenants[i].name, after_name) > 0 &&
            !show(&fake->tenants[i], visit, context)) {
            break;
        }
    }
    return fake->failure;
}

static result_t visit_tenant(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                             void *context)
{
    control_fake_t *const fake = fake_of(store);
    const fake_tenant_t *const tenant = find(fake, name);
    if (fake->failure != RESULT_OK) {
        return fake->failure;
    }
    if (tenant == NULL) {
        return RESULT_MISSING;
    }
    (void)show(tenant, visit, context);
    return RESULT_OK;
}

static result_t visit_token_keys(control_store_t *store, control_token_key_visit_t *visit,
                                 void *context)
{
    control_fake_t *const fake = fake_of(store);
    for (uint32_t i = fake->token_key_count; i > 0 && fake->failure == RESULT_OK; i--) {
        const control_token_key_t row = {
            .kid = text_from_c(fake->token_keys[i - 1].kid),
            .public_jwk = text_from_c(fake->token_keys[i - 1].jwk),
            .created_at = i,
        };
        if (!visit(context, &row)) {
            break;
        }
    }
    return fake->failure;
}

static const control_store_functions_t functions = {
    .version = get_version,
    .tenants = visit_tenants,
    .tenant = visit_tenant,
    .token_keys = visit_token_keys,
};

control_fake_t *control_fake_create(const crypto_functions_t *crypto,
                                    const crypto_key_t *master_key)
{
    control_fake_t *fake = calloc(1, sizeof(*fake));
    assert(fake != NULL);
    fake->store.functions = &functions;
    fake->crypto = crypto;
    fake->master_key = *master_key;
    fake->version = 1;
    fake->tenants = calloc(TENANTS_MAX, sizeof(*fake->tenants));
    assert(fake->tenants != NULL);
    return fake;
}

void control_fake_destroy(control_fake_t **fake)
{
    free((*fake)->tenants);
    free(*fake);
    *fake = NULL;
}

control_store_t *control_fake_store(control_fake_t *fake)
{
    return &fake->store;
}

static void add_key(control_fake_t *fake, fake_tenant_t *tenant)
{
    assert(tenant->key_count < KEYS_MAX);
    const uint32_t kid = tenant->key_count + 1;
    const crypto_key_t key = derive(tenant->name, tenant->number * NAMESAKE_STEP + kid);
    secret_card_key_seal(fake->crypto, &fake->master_key, text_from_c(tenant->name), kid, &key,
                         tenant->keys[tenant->key_count].sealed);
    tenant->keys[tenant->key_count].state = key_state_active;
    tenant->key_count++;
}

void control_fake_add_namesake(control_fake_t *fake, const char *name, uint32_t partitions,
                               uint32_t number, int64_t created_at)
{
    assert(fake->tenant_count < TENANTS_MAX);
    assert(find(fake, text_from_c(name)) == NULL);
    uint32_t index = fake->tenant_count;
    while (index > 0 && strcmp(fake->tenants[index - 1].name, name) > 0) {
        fake->tenants[index] = fake->tenants[index - 1];
        index--;
    }
    fake->tenant_count++;
    fake->version++;
    fake_tenant_t *const tenant = &fake->tenants[index];
    *tenant = (fake_tenant_t){.partitions = partitions, .number = number, .created_at = created_at};
    memcpy(tenant->name, name, strlen(name));
    const crypto_key_t secret = derive(name, number * NAMESAKE_STEP + SECRET_NUMBER);
    secret_tenant_seal(fake->crypto, &fake->master_key, text_from_c(name), &secret,
                       tenant->sealed_secret);
    add_key(fake, tenant);
}

void control_fake_add_tenant(control_fake_t *fake, const char *name, uint32_t partitions)
{
    control_fake_add_namesake(fake, name, partitions, 0, (int64_t)fake->version + 1);
}

void control_fake_set_quotas(control_fake_t *fake, const char *name, const control_quotas_t *quotas)
{
    fake_tenant_t *const tenant = find(fake, text_from_c(name));
    assert(tenant != NULL);
    tenant->quotas = *quotas;
    fake->version++;
}

int64_t control_fake_created_at(control_fake_t *fake, const char *name)
{
    const fake_tenant_t *const tenant = find(fake, text_from_c(name));
    assert(tenant != NULL);
    return tenant->created_at;
}

void control_fake_delete_tenant(control_fake_t *fake, const char *name)
{
    fake_tenant_t *const tenant = find(fake, text_from_c(name));
    assert(tenant != NULL);
    const uint32_t index = (uint32_t)(tenant - fake->tenants);
    fake->tenant_count--;
    memmove(tenant, tenant + 1, (fake->tenant_count - index) * sizeof(*tenant));
    fake->version++;
}

uint32_t control_fake_rotate(control_fake_t *fake, const char *name)
{
    fake_tenant_t *const tenant = find(fake, text_from_c(name));
    assert(tenant != NULL);
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        if (tenant->keys[i].state == key_state_active) {
            tenant->keys[i].state = key_state_verifying;
        }
    }
    add_key(fake, tenant);
    fake->version++;
    return tenant->key_count;
}

void control_fake_set_key_state(control_fake_t *fake, const char *name, uint32_t kid, uint8_t state)
{
    fake_tenant_t *const tenant = find(fake, text_from_c(name));
    assert(tenant != NULL && kid >= 1 && kid <= tenant->key_count);
    tenant->keys[kid - 1].state = state;
    fake->version++;
}

void control_fake_add_token_key(control_fake_t *fake, const char *kid, const char *public_jwk)
{
    assert(fake->token_key_count < TOKEN_KEYS_MAX);
    fake_token_key_t *const key = &fake->token_keys[fake->token_key_count];
    memcpy(key->kid, kid, strlen(kid));
    memcpy(key->jwk, public_jwk, strlen(public_jwk));
    fake->token_key_count++;
    fake->version++;
}

void control_fake_fail(control_fake_t *fake, result_t result)
{
    fake->failure = result;
}
