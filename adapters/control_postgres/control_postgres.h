/* actors/ports/control_store.h on PostgreSQL: the control database that the URL names, and the
 * databases and roles of tenants, which are made and set aside from here. */
#ifndef ADAPTERS_CONTROL_POSTGRES_CONTROL_POSTGRES_H
#define ADAPTERS_CONTROL_POSTGRES_CONTROL_POSTGRES_H

#include "actors/ports/consumers.h"
#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "actors/ports/dead_letters.h"
#include "actors/ports/flags.h"
#include "actors/ports/revocations.h"
#include "actors/ports/webhooks.h"
#include "runtime/metrics.h"
#include "runtime/migration.h"

/* Where the journal of a tenant is. `password` is wiped by whoever got it. */
typedef struct control_postgres_place {
    char database[64];
    char role[64];
    char password[65];
} control_postgres_place_t;

/* Makes the schema of an empty tenant database: adapters/journal_postgres does, handed in because
 * adapters do not know each other. */
typedef result_t control_postgres_make_journal_t(const char *url,
                                                 const control_postgres_place_t *place,
                                                 uint32_t partitions);

typedef struct control_postgres_options {
    const char *url;
    bool connect; /* at once, and brings the schema up to date; else with the first call: a role
                     starts although the server is down */
    bool create;  /* the schema is made when it is missing; without `connect` by the first
                     `version` that reaches the server */
    metric_t *failures;                            /* counts what the server refused; may be NULL */
    control_postgres_make_journal_t *make_journal; /* NULL when tenants are only read */
    const crypto_functions_t *crypto;
    crypto_key_t master_key; /* passwords of roles are sealed under it */
} control_postgres_options_t;

/* Without `connect` calls answer STORE_UNAVAILABLE until the server is there. With it: MISSING when
 * there is no schema and none is to be made. INVALID_ARGUMENT, STORE_UNAVAILABLE, SCHEMA_TOO_NEW,
 * PERMISSION_DENIED. `error` (may be NULL) gets a line for a person, never the password. */
MUST_USE result_t control_postgres_open(const control_postgres_options_t *options, char *error,
                                        size_t error_size, control_store_t **store);
void control_postgres_close(control_store_t **store);

/* The dead letters in the same database, over the same connection; lives as long as the store. */
dead_letters_t *control_postgres_dead_letters(control_store_t *store);
/* The feature flags, likewise. */
flags_t *control_postgres_flags(control_store_t *store);
/* The revoked tokens, likewise. */
revocations_t *control_postgres_revocations(control_store_t *store);
/* The consumers of events, likewise; written by the relay. */
consumers_t *control_postgres_consumers(control_store_t *store);
/* The webhooks, likewise. */
webhooks_t *control_postgres_webhooks(control_store_t *store);

/* The version of the database, which opening brings up to that of this program; 0: no start has
 * been here, so that nothing is sealed under any master key. Changes nothing. Errors as above. */
MUST_USE result_t control_postgres_schema(const char *url, migration_outcome_t *outcome,
                                          char *error, size_t error_size);
uint64_t control_postgres_schema_known(void); /* the version that this program knows */

/* MISSING: no such tenant, or its database is gone. */
MUST_USE result_t control_postgres_find(control_store_t *store, text_t tenant,
                                        control_postgres_place_t *place);

/* For a restore: makes a database and role with an empty schema, which `tenant_adopt` of this store
 * makes the tenant's once they are filled. Until then it is nobody's; `restore_abandon` drops it.
 */
MUST_USE result_t control_postgres_restore_begin(control_store_t *store, text_t tenant,
                                                 control_postgres_place_t *place);
void control_postgres_restore_abandon(control_store_t *store);

#endif
