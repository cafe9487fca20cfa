/* Sealing and opening of the five kinds of secrets, each with its binding. Must not keep or log any
 * of them. */
#include "actors/secrets.h"
#include "runtime/limits.h"
#include <assert.h>
#include <stdio.h>

enum {
    MEMBER_ID_SIZE_MAX = 128,
    IDEMPOTENCY_KEY_SIZE_MAX = 128,
    BINDING_SIZE_MAX = 8 + LIMIT_TENANT_NAME_SIZE + 1 + MEMBER_ID_SIZE_MAX,
};

typedef struct binding {
    char bytes[BINDING_SIZE_MAX];
    size_t size;
} binding_t;

static void binding_add(binding_t *binding, const char *data, size_t size)
{
    assert(size <= sizeof(binding->bytes) - binding->size);
    if (size > 0) {
        memcpy(binding->bytes + binding->size, data, size);
    }
    binding->size += size;
}

static text_t binding_text(const binding_t *binding)
{
    return (text_t){.data = binding->bytes, .size = binding->size};
}

static binding_t bind_tenant(text_t tenant)
{
    binding_t binding = {.size = 0};
    binding_add(&binding, "tenant:", 7);
    binding_add(&binding, tenant.data, tenant.size);
    return binding;
}

static binding_t bind_card_key(text_t tenant, uint32_t kid)
{
    char number[12];
    const int size = snprintf(number, sizeof(number), ":%u", kid);
    assert(size > 0);
    binding_t binding = {.size = 0};
    binding_add(&binding, "card-key:", 9);
    binding_add(&binding, tenant.data, tenant.size);
    binding_add(&binding, number, (size_t)size);
    return binding;
}

static binding_t bind_member_key(text_t tenant, text_t member_id)
{
    binding_t binding = {.size = 0};
    binding_add(&binding, tenant.data, tenant.size);
    binding_add(&binding, "\0", 1);
    binding_add(&binding, member_id.data, member_id.size);
    return binding;
}

_Static_assert((int)IDEMPOTENCY_KEY_SIZE_MAX <= (int)MEMBER_ID_SIZE_MAX, "room in a binding");

static binding_t bind_reply(text_t tenant, text_t key)
{
    binding_t binding = {.size = 0};
    binding_add(&binding, "reply:", 6);
    binding_add(&binding, tenant.data, tenant.size);
    binding_add(&binding, "\0", 1);
    binding_add(&binding, key.data, key.size);
    return binding;
}

static binding_t bind_dead_letter(text_t tenant, text_t fingerprint)
{
    binding_t binding = {.size = 0};
    binding_add(&binding, "dead-letter:", 12);
    binding_add(&binding, tenant.data, tenant.size);
    binding_add(&binding, "\0", 1);
    binding_add(&binding, fingerprint.data, fingerprint.size);
    return binding;
}

static binding_t bind_webhook(text_t tenant, text_t name)
{
    binding_t binding = {.size = 0};
    binding_add(&binding, "webhook:", 8);
    binding_add(&binding, tenant.data, tenant.size);
    binding_add(&binding, "\0", 1);
    binding_add(&binding, name.data, name.size);
    return binding;
}

static text_t key_text(const crypto_key_t *key)
{
    return (text_t){.data = (const char *)key->bytes, .size = CRYPTO_KEY_SIZE};
}

static bool open_key(const crypto_functions_t *crypto, const crypto_key_t *under, text_t sealed,
                     const binding_t *binding, crypto_key_t *key)
{
    return sealed.size == SECRET_SEALED_KEY_SIZE &&
           crypto->open(under, sealed, binding_text(binding), key->bytes);
}

void secret_tenant_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                        text_t tenant, const crypto_key_t *tenant_secret,
                        uint8_t sealed[SECRET_SEALED_KEY_SIZE])
{
    const binding_t binding = bind_tenant(tenant);
    crypto->seal(master_key, key_text(tenant_secret), binding_text(&binding), sealed);
}

bool secret_tenant_open(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                        text_t tenant, text_t sealed, crypto_key_t *tenant_secret)
{
    const binding_t binding = bind_tenant(tenant);
    return open_key(crypto, master_key, sealed, &binding, tenant_secret);
}

void secret_card_key_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                          text_t tenant, uint32_t kid, const crypto_key_t *card_key,
                          uint8_t sealed[SECRET_SEALED_KEY_SIZE])
{
    const binding_t binding = bind_card_key(tenant, kid);
    crypto->seal(master_key, key_text(card_key), binding_text(&binding), sealed);
}

bool secret_card_key_open(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                          text_t tenant, uint32_t kid, text_t sealed, crypto_key_t *card_key)
{
    const binding_t binding = bind_card_key(tenant, kid);
    return open_key(crypto, master_key, sealed, &binding, card_key);
}

void secret_member_key_seal(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                            text_t tenant, text_t member_id, const crypto_key_t *member_key,
                            uint8_t sealed[SECRET_SEALED_KEY_SIZE])
{
    const binding_t binding = bind_member_key(tenant, member_id);
    crypto->seal(tenant_secret, key_text(member_key), binding_text(&binding), sealed);
}

bool secret_member_key_open(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                            text_t tenant, text_t member_id, text_t sealed,
                            crypto_key_t *member_key)
{
    const binding_t binding = bind_member_key(tenant, member_id);
    return open_key(crypto, tenant_secret, sealed, &binding, member_key);
}

void secret_holder_name_seal(const crypto_functions_t *crypto, const crypto_key_t *member_key,
                             text_t member_id, text_t holder_name,
                             uint8_t sealed[SECRET_SEALED_NAME_SIZE_MAX])
{
    assert(holder_name.size <= SECRET_NAME_SIZE_MAX);
    crypto->seal(member_key, holder_name, member_id, sealed);
}

bool secret_holder_name_open(const crypto_functions_t *crypto, const crypto_key_t *member_key,
                             text_t member_id, text_t sealed, char plain[SECRET_NAME_SIZE_MAX],
                             text_t *holder_name)
{
    if (sealed.size < CRYPTO_SEAL_OVERHEAD || sealed.size > SECRET_SEALED_NAME_SIZE_MAX ||
        !crypto->open(member_key, sealed, member_id, (uint8_t *)plain)) {
        return false;
    }
    *holder_name = (text_t){.data = plain, .size = sealed.size - CRYPTO_SEAL_OVERHEAD};
    return true;
}

void secret_reply_seal(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                       text_t tenant, text_t key, text_t reply, uint8_t *sealed)
{
    const binding_t binding = bind_reply(tenant, key);
    crypto->seal(tenant_secret, reply, binding_text(&binding), sealed);
}

bool secret_reply_open(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                       text_t tenant, text_t key, text_t sealed, uint8_t *plain, size_t plain_size,
                       text_t *reply)
{
    if (sealed.size < CRYPTO_SEAL_OVERHEAD || sealed.size - CRYPTO_SEAL_OVERHEAD > plain_size) {
        return false;
    }
    const binding_t binding = bind_reply(tenant, key);
    if (!crypto->open(tenant_secret, sealed, binding_text(&binding), plain)) {
        return false;
    }
    *reply = (text_t){.data = (const char *)plain, .size = sealed.size - CRYPTO_SEAL_OVERHEAD};
    return true;
}

void secret_dead_letter_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                             text_t tenant, text_t fingerprint, text_t request, uint8_t *sealed)
{
    const binding_t binding = bind_dead_letter(tenant, fingerprint);
    crypto->seal(master_key, request, binding_text(&binding), sealed);
}

bool secret_dead_letter_open(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                             text_t tenant, text_t fingerprint, text_t sealed, uint8_t *plain,
                             size_t plain_size, text_t *request)
{
    if (sealed.size < CRYPTO_SEAL_OVERHEAD || sealed.size - CRYPTO_SEAL_OVERHEAD > plain_size) {
        return false;
    }
    const binding_t binding = bind_dead_letter(tenant, fingerprint);
    if (!crypto->open(master_key, sealed, binding_text(&binding), plain)) {
        return false;
    }
    *request = (text_t){.data = (const char *)plain, .size = sealed.size - CRYPTO_SEAL_OVERHEAD};
    return true;
}

void secret_webhook_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                         text_t tenant, text_t name, text_t secret, uint8_t *sealed)
{
    const binding_t binding = bind_webhook(tenant, name);
    crypto->seal(master_key, secret, binding_text(&binding), sealed);
}

bool secret_webhook_open(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                         text_t tenant, text_t name, text_t sealed, char *plain, size_t plain_size)
{
    const binding_t binding = bind_webhook(tenant, name);
    return sealed.size == plain_size + CRYPTO_SEAL_OVERHEAD &&
           crypto->open(master_key, sealed, binding_text(&binding), (uint8_t *)plain);
}

/* Two MACs of the secret, each half of the key: HMAC as a derivation, in a domain of its own. The
 * labels have one length. */
static void derive(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                   const char *const labels[2], text_t tenant, crypto_key_t *key)
{
    _Static_assert(2 * CRYPTO_MAC_SIZE == CRYPTO_KEY_SIZE, "two halves");
    for (size_t half = 0; half < 2; half++) {
        binding_t binding = {.size = 0};
        binding_add(&binding, labels[half], strlen(labels[half]));
        binding_add(&binding, tenant.data, tenant.size);
        crypto->mac(tenant_secret, binding_text(&binding), key->bytes + half * CRYPTO_MAC_SIZE);
    }
}

void secret_consumer_series(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                            text_t tenant, text_t consumer, char series[SECRET_SERIES_SIZE])
{
    uint8_t mac[CRYPTO_MAC_SIZE];
    binding_t binding = {.size = 0};
    binding_add(&binding, "lag-series:", 11);
    binding_add(&binding, tenant.data, tenant.size);
    binding_add(&binding, "\0", 1);
    binding_add(&binding, consumer.data, consumer.size);
    crypto->mac(master_key, binding_text(&binding), mac);
    for (size_t i = 0; i < (SECRET_SERIES_SIZE - 1) / 2; i++) {
        (void)snprintf(series + 2 * i, 3, "%02x", mac[i]);
    }
}

void secret_name_word_key(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                          text_t tenant, crypto_key_t *word_key)
{
    static const char *const labels[] = {"name-words:0:", "name-words:1:"};
    derive(crypto, tenant_secret, labels, tenant, word_key);
}

void secret_member_status_key(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                              text_t tenant, crypto_key_t *status_key)
{
    static const char *const labels[] = {"mem-status:0:", "mem-status:1:"};
    derive(crypto, tenant_secret, labels, tenant, status_key);
}
