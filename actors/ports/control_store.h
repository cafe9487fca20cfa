/* Control data of one installation: tenants, card-signing keys, token keys, role incarnations.
 * Small, rarely written, read by every shard and by the command line. Calls block for a few
 * milliseconds at most. Secrets stand in the store sealed under the master key (adapters/signer);
 * this port hands out sealed bytes. They are bound to "tenant:" NAME (tenant secrets) and to
 * "card-key:" NAME ":" KID in decimal (card keys): actors/secrets.h does it. */
#ifndef ACTORS_PORTS_CONTROL_STORE_H
#define ACTORS_PORTS_CONTROL_STORE_H

#include "messages/messages.h"
#include "runtime/limits.h"
#include "runtime/result.h"

typedef struct control_store control_store_t;

enum { CONTROL_SECRET_SIZE_MAX = 512, CONTROL_KEYS_PER_TENANT_MAX = 64 };

typedef struct control_card_key {
    uint32_t kid;  /* per tenant, from 1 */
    uint8_t state; /* enum key_state */
    int64_t created_at;
    text_t sealed_secret;
} control_card_key_t;

/* What a tenant may use; 0: as much as there is. */
typedef struct control_quotas {
    uint64_t cards;   /* living: issued, active, suspended */
    uint64_t storage; /* bytes of events */
    uint64_t rate;    /* requests a second */
} control_quotas_t;
enum { CONTROL_QUOTA_RATE_MAX = 1000000 };
#define CONTROL_QUOTA_MAX INT64_C(1000000000000000) /* of cards and bytes: fits every store */

typedef struct control_tenant {
    text_t name;
    uint32_t partitions;
    int64_t created_at;
    text_t sealed_secret;           /* the tenant's key: member keys are sealed under it */
    const control_card_key_t *keys; /* by kid; exactly one is active */
    uint32_t key_count;
    control_quotas_t quotas;
} control_tenant_t;

typedef struct control_token_key {
    text_t kid;
    text_t sealed_private_jwk;
    text_t public_jwk; /* with alg: fixes the algorithm */
    int64_t created_at;
} control_token_key_t;

/* Called once per row; return false to stop. Borrowed for the call. It must not call the store. */
typedef bool control_tenant_visit_t(void *context, const control_tenant_t *tenant);
typedef bool control_token_key_visit_t(void *context, const control_token_key_t *key);

typedef struct control_store_functions {
    /* A number that changes with each change made by any process; cheap enough to ask five times a
     * second. */
    result_t (*version)(control_store_t *store, uint64_t *version);
    /* In order of name, only those after `after`. */
    result_t (*tenants)(control_store_t *store, text_t after, control_tenant_visit_t *visit,
                        void *context);
    result_t (*tenant)(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                       void *context); /* MISSING */
    result_t (*token_keys)(control_store_t *store, control_token_key_visit_t *visit,
                           void *context); /* newest first */

    /* ALREADY_EXISTS. Makes the row with its first key (`keys[0]`, stored as kid 1, active) and the
     * tenant's empty journal. */
    result_t (*tenant_create)(control_store_t *store, const control_tenant_t *tenant);
    /* As tenant_create, but the tenant comes from a backup: it brings all its keys, and its journal
     * is the one that the restore has made ready. ALREADY_EXISTS; MISSING: no journal is ready. */
    result_t (*tenant_adopt)(control_store_t *store, const control_tenant_t *tenant,
                             int64_t now_ms);
    /* MISSING. The journal is kept as DIR/deleted/NAME-TIME.db; `kept_as` gets its path. */
    result_t (*tenant_delete)(control_store_t *store, text_t name, int64_t now_ms, char *kept_as,
                              size_t kept_as_size);
    /* MISSING; INVALID_ARGUMENT beyond the bounds above. */
    result_t (*tenant_set_quotas)(control_store_t *store, text_t name,
                                  const control_quotas_t *quotas);
    /* The active key becomes verifying; `kid` gets the number of the new one. NO_MEMORY beyond
     * CONTROL_KEYS_PER_TENANT_MAX. */
    result_t (*key_rotate)(control_store_t *store, text_t tenant, text_t sealed_secret,
                           int64_t now_ms, uint32_t *kid);
    /* retired or compromised. MISSING; INVALID_ARGUMENT for the active key (rotate first). */
    result_t (*key_set_state)(control_store_t *store, text_t tenant, uint32_t kid, uint8_t state);
    result_t (*token_key_add)(control_store_t *store, const control_token_key_t *key);
    result_t (*incarnation_add)(control_store_t *store, text_t role, uint64_t incarnation,
                                int64_t pid, int64_t now_ms);
} control_store_functions_t;

struct control_store {
    const control_store_functions_t *functions;
};

#endif
