/* Which adapters keep the data: SQLite in the data directory, or PostgreSQL behind a URL. The one
 * place that knows both; everything else sees the ports. Roles find the URL in their environment,
 * because arguments are for everybody on the machine to read. */
#ifndef ADAPTERS_CLI_STORES_H
#define ADAPTERS_CLI_STORES_H

#include "actors/ports/consumers.h"
#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "actors/ports/dead_letters.h"
#include "actors/ports/flags.h"
#include "actors/ports/journal.h"
#include "actors/ports/projections.h"
#include "actors/ports/revocations.h"
#include "actors/ports/webhooks.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/migration.h"

#define STORES_ENVIRONMENT "DIGITALCARD_STORE"

/* `store` is everywhere what --store says: "sqlite" or a URL of PostgreSQL; `data` the data
 * directory. */
bool stores_is_postgres(const char *store);
/* Of a role: what the supervisor put into the environment, else "sqlite". */
const char *stores_of_role(void);

/* For a person: which file or database holds the control data. */
const char *stores_control_name(const char *store);

/* Whether there is anything yet that a master key has sealed: then none may be made. */
MUST_USE result_t stores_is_sealed(const char *store, const char *data, bool *is_sealed,
                                   char *error, size_t error_size);

typedef enum stores_opening {
    STORES_OPEN_LATER,   /* a role: starts although the server is down */
    STORES_CREATE_LATER, /* the control role: what `serve` could not do while the server was down */
    STORES_OPEN,         /* MISSING when there is nothing yet */
    STORES_OPEN_OR_CREATE,
} stores_opening_t;

/* `metrics` may be NULL. `error` (may be NULL) gets a line for a person when there is more to say
 * than the result. */
MUST_USE result_t stores_control_open(const char *store, const char *data, stores_opening_t opening,
                                      const crypto_key_t *master_key, metrics_t *metrics,
                                      char *error, size_t error_size, control_store_t **control);
void stores_control_close(const char *store, control_store_t **control);
/* Over the same connection; live as long as `control`. */
dead_letters_t *stores_dead_letters(const char *store, control_store_t *control);
flags_t *stores_flags(const char *store, control_store_t *control);
consumers_t *stores_consumers(const char *store, control_store_t *control);
webhooks_t *stores_webhooks(const char *store, control_store_t *control);
revocations_t *stores_revocations(const char *store, control_store_t *control);

/* Of a role; `control` must outlive it. `connections`: to PostgreSQL, at most. */
MUST_USE result_t stores_journal_create(loop_t *loop, metrics_t *metrics, const char *data,
                                        control_store_t *control, uint32_t connections,
                                        journal_t **journal);
void stores_journal_destroy(journal_t **journal);

/* Of the relay; `control` must outlive it. */
MUST_USE result_t stores_projections_create(loop_t *loop, metrics_t *metrics, const char *data,
                                            control_store_t *control, projections_t **projections);
void stores_projections_destroy(projections_t **projections);
/* On PostgreSQL, of one tenant, in one snapshot: see projections_postgres_export. */
MUST_USE result_t stores_projections_export(const char *store, const char *data, text_t tenant,
                                            projection_row_visit_t *visit, void *context);
/* While no relay runs. */
MUST_USE result_t stores_projections_remove(const char *store, const char *data, text_t tenant);

/* `store verify` of one tenant: see journal_sqlite_verify. */
MUST_USE result_t stores_verify(const char *store, const char *data, text_t tenant, char **report);

/* What the quotas of a tenant count. */
typedef struct stores_usage {
    int64_t cards; /* living */
    int64_t bytes; /* of events */
} stores_usage_t;
/* As of now, from the partitions of the journal. MISSING: it has none. */
MUST_USE result_t stores_usage(const char *store, const char *data, text_t tenant,
                               stores_usage_t *usage);

/* The version of the control store, which opening brings up to date. `error` as above. */
MUST_USE result_t stores_control_schema(const char *store, const char *data,
                                        migration_outcome_t *outcome, char *error,
                                        size_t error_size);
/* `store migrate` of one tenant: see journal_sqlite_migrate. */
MUST_USE result_t stores_migrate(const char *store, const char *data, text_t tenant,
                                 migration_outcome_t *outcome);
/* What this program knows. */
typedef struct stores_schemas {
    uint64_t control_sqlite;
    uint64_t control_postgres;
    uint64_t journal_sqlite;
    uint64_t journal_postgres;
} stores_schemas_t;
stores_schemas_t stores_schemas(void);

/* --- For stores_archive.c: where a journal on PostgreSQL is --- */

struct control_postgres_place;
struct journal_postgres_place;
/* Both are wiped by whoever owns them: there is a password in each. */
void stores_place_copy(const struct control_postgres_place *from,
                       struct journal_postgres_place *to);
typedef result_t stores_with_place_t(const char *store, const struct journal_postgres_place *place,
                                     text_t tenant, void *context);
/* Hands `work` the place of the tenant's journal, and wipes it afterwards. */
MUST_USE result_t stores_with_place(const char *store, const char *data, text_t tenant,
                                    stores_with_place_t *work, void *context);

#endif
