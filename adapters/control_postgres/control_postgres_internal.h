/* The insides of adapters/control_postgres, for its own files. One connection, one thread. */
#ifndef ADAPTERS_CONTROL_POSTGRES_CONTROL_POSTGRES_INTERNAL_H
#define ADAPTERS_CONTROL_POSTGRES_CONTROL_POSTGRES_INTERNAL_H

#include "actors/domain/card_id.h"
#include "adapters/control_postgres/control_postgres.h"
#include "adapters/shared_postgres/fields.h"
#include "adapters/shared_postgres/hosts.h"
#include <libpq-fe.h>

typedef struct control_postgres {
    control_store_t base;
    dead_letters_t dead_letters;
    flags_t flags;
    revocations_t revocations;
    consumers_t consumers;
    webhooks_t webhooks;
    control_postgres_options_t options;
    char *url;
    postgres_hosts_t *hosts; /* of it; made with the first connection */
    PGconn *connection;      /* NULL: none */
    uint64_t retry_ms;       /* not before */
    uint64_t logged_ms;
    char prefix[16];
    bool is_prepared;                  /* the schema was looked at since the start */
    bool is_migrating;                 /* steps may take their time */
    uint64_t prepare_ms;               /* not before */
    control_postgres_place_t restored; /* made for a restore; no tenant's yet */
} control_postgres_t;

static inline control_postgres_t *control_of(control_store_t *store)
{
    return (control_postgres_t *)store; /* base is its first member */
}

/* --- database.c: the connection, and values in and out --- */

/* Connects when there is no connection. */
MUST_USE result_t database_ready(control_postgres_t *control);
void control_disconnect(control_postgres_t *control);
/* Fixed SQL without values. */
MUST_USE result_t database_execute(control_postgres_t *control, const char *sql);

typedef struct value {
    const char *data; /* NULL: null */
    int size;
    char number[8]; /* integers as int8, highest byte first */
    bool is_number;
} value_t;
value_t value_integer(int64_t number);
value_t value_bytes(text_t bytes); /* also for text */
enum { VALUES_MAX = 13 };
/* Runs one statement with binary values; `*rows` (may be NULL: dropped) is cleared by the caller. A
 * connection that turns out to be gone is opened anew once, outside a transaction. */
MUST_USE result_t database_query(control_postgres_t *control, const char *sql,
                                 const value_t *values, int count, PGresult **rows);
/* The same statement `count` times within a transaction, in few round trips, without their rows;
 * `fill` gives the values of one. */
typedef void value_fill_t(const void *context, size_t index, value_t *values);
MUST_USE result_t database_query_each(control_postgres_t *control, const char *sql,
                                      value_fill_t *fill, const void *context, size_t count,
                                      int value_count);

/* A transaction that changes something; the version rises with it. End it with transaction_end,
 * which commits when `result` is RESULT_OK and undoes it otherwise, and returns what became of it.
 */
MUST_USE result_t transaction_begin(control_postgres_t *control);
MUST_USE result_t transaction_end(control_postgres_t *control, result_t result);

/* Made from migrations/NNNN.sql by cmake/embed.cmake. */
extern const char *const control_postgres_migrations[];
extern const size_t control_postgres_migrations_count;

/* --- tenants.c --- */

result_t control_postgres_tenants(control_store_t *store, text_t after,
                                  control_tenant_visit_t *visit, void *context);
result_t control_postgres_tenant(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                                 void *context);
result_t control_postgres_tenant_create(control_store_t *store, const control_tenant_t *tenant);
result_t control_postgres_tenant_adopt(control_store_t *store, const control_tenant_t *tenant,
                                       int64_t now_ms);
result_t control_postgres_tenant_delete(control_store_t *store, text_t name, int64_t now_ms,
                                        char *kept_as, size_t kept_as_size);

/* --- keys.c --- */

result_t control_postgres_key_rotate(control_store_t *store, text_t tenant, text_t sealed_secret,
                                     int64_t now_ms, uint32_t *kid);
result_t control_postgres_tenant_set_quotas(control_store_t *store, text_t name,
                                            const control_quotas_t *quotas);
result_t control_postgres_key_set_state(control_store_t *store, text_t tenant, uint32_t kid,
                                        uint8_t state);
result_t control_postgres_token_keys(control_store_t *store, control_token_key_visit_t *visit,
                                     void *context);
result_t control_postgres_token_key_add(control_store_t *store, const control_token_key_t *key);

/* --- dead_letters.c --- */

void control_postgres_dead_letters_init(control_postgres_t *control);

/* --- flags.c --- */

void control_postgres_flags_init(control_postgres_t *control);

/* --- revocations.c --- */

void control_postgres_revocations_init(control_postgres_t *control);

/* --- consumers.c --- */

void control_postgres_consumers_init(control_postgres_t *control);
/* Within a transaction; as consumers_functions_t.add. */
MUST_USE result_t control_postgres_consumer_add(control_postgres_t *control, text_t tenant,
                                                text_t name, int64_t now_ms);
/* A transaction that leaves the version alone, so that nothing keeps a tenant from being deleted
 * meanwhile: its statements begin with WITH_LIVING_TENANT. */
MUST_USE result_t quiet_begin(control_postgres_t *control);

/* The row of the tenant $1 is held ahead of any other of that tenant, as its deletion does: else
 * one would have what the other waits for, and PostgreSQL would end the deletion as a deadlock. */
#define WITH_LIVING_TENANT                                                                         \
    "WITH living AS (SELECT name FROM tenant WHERE name = $1::text FOR KEY SHARE)"

/* --- webhooks.c --- */

void control_postgres_webhooks_init(control_postgres_t *control);

/* --- place.c: the database and the role of a tenant --- */

/* Makes both, and the schema within. What a crash left behind is made anew if it has no tenant. */
MUST_USE result_t place_make(control_postgres_t *control, text_t tenant, uint32_t partitions,
                             control_postgres_place_t *place);
void place_unmake(control_postgres_t *control, const control_postgres_place_t *place);
/* Renames both, and lets nobody in any more. */
MUST_USE result_t place_keep(control_postgres_t *control, const char *database, const char *role,
                             int64_t now_ms, char *kept_as, size_t kept_as_size);
void password_seal(const control_postgres_t *control, text_t tenant,
                   const control_postgres_place_t *place, uint8_t *sealed);
enum { PASSWORD_SIZE = 64, PASSWORD_SEALED_SIZE = PASSWORD_SIZE + CRYPTO_SEAL_OVERHEAD };
MUST_USE bool password_open(const control_postgres_t *control, text_t tenant, text_t sealed,
                            control_postgres_place_t *place);

#endif
