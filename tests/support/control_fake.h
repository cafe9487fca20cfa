/* actors/ports/control_store.h in memory, for tests: tenants with sealed keys, made with one call.
 * Faults: every call can be made to fail. */
#ifndef TESTS_SUPPORT_CONTROL_FAKE_H
#define TESTS_SUPPORT_CONTROL_FAKE_H

#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"

typedef struct control_fake control_fake_t;

control_fake_t *control_fake_create(const crypto_functions_t *crypto,
                                    const crypto_key_t *master_key);
void control_fake_destroy(control_fake_t **fake);
control_store_t *control_fake_store(control_fake_t *fake);

/* With a secret and one active key, kid 1, all derived from the name. */
void control_fake_add_tenant(control_fake_t *fake, const char *name, uint32_t partitions);
/* The `number`-th of that name, from 0: its secrets are others than those of its namesakes. */
void control_fake_add_namesake(control_fake_t *fake, const char *name, uint32_t partitions,
                               uint32_t number, int64_t created_at);
void control_fake_set_quotas(control_fake_t *fake, const char *name,
                             const control_quotas_t *quotas);
int64_t control_fake_created_at(control_fake_t *fake, const char *name);
void control_fake_delete_tenant(control_fake_t *fake, const char *name);
/* A further key; the active one becomes verifying. */
uint32_t control_fake_rotate(control_fake_t *fake, const char *name);
void control_fake_set_key_state(control_fake_t *fake, const char *name, uint32_t kid,
                                uint8_t state);
/* Plain, to sign codes in tests. */
crypto_key_t control_fake_card_key(const char *name, uint32_t kid);
crypto_key_t control_fake_tenant_secret(const char *name);
void control_fake_add_token_key(control_fake_t *fake, const char *kid, const char *public_jwk);
/* Every call answers this from now on; RESULT_OK: none fails. */
void control_fake_fail(control_fake_t *fake, result_t result);

#endif
