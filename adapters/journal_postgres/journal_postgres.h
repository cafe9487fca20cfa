/* actors/ports/journal.h on PostgreSQL: one database per tenant, reached with a role of its own
 * (DESIGN 2.4). No threads: libpq without blocking, in pipeline mode, on the loop. */
#ifndef ADAPTERS_JOURNAL_POSTGRES_JOURNAL_POSTGRES_H
#define ADAPTERS_JOURNAL_POSTGRES_JOURNAL_POSTGRES_H

#include "actors/ports/journal.h"
#include "actors/ports/store_rows.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/migration.h"

enum { JOURNAL_POSTGRES_NAME_SIZE = 64, JOURNAL_POSTGRES_PASSWORD_SIZE = 65 };

/* Where the journal of one tenant is. */
typedef struct journal_postgres_place {
    char database[JOURNAL_POSTGRES_NAME_SIZE];
    char role[JOURNAL_POSTGRES_NAME_SIZE];
    char password[JOURNAL_POSTGRES_PASSWORD_SIZE]; /* wiped by whoever holds the struct */
} journal_postgres_place_t;

/* Looks a tenant up (adapters/control_postgres does, handed in because adapters do not know each
 * other). Blocks for milliseconds. MISSING: there is no such tenant, or its database is gone. */
typedef result_t journal_postgres_find_t(void *context, text_t tenant,
                                         journal_postgres_place_t *place);

typedef struct journal_postgres_options {
    const char *url; /* server, TLS and the like; database, user and password are the tenant's */
    uint32_t connections; /* at most so many at once; 0: LIMIT_POSTGRES_CONNECTIONS */
    journal_postgres_find_t *find;
    void *find_context;
} journal_postgres_options_t;

/* `metrics` may be NULL. INVALID_ARGUMENT when the URL cannot be used. Connects to nothing yet. */
MUST_USE result_t journal_postgres_create(loop_t *loop, metrics_t *metrics,
                                          const journal_postgres_options_t *options,
                                          journal_t **journal);
/* All tenants must be closed; closing ones are waited for within a bound. */
void journal_postgres_destroy(journal_t **journal);

/* Makes the schema in the tenant's new, empty database; with 0 partitions for a restore, which
 * brings them. Blocks. */
MUST_USE result_t journal_postgres_create_schema(const char *url,
                                                 const journal_postgres_place_t *place,
                                                 uint32_t partitions);

/* `store migrate`: takes the steps that the tenant's schema lacks, under a lock. Blocks.
 * SCHEMA_TOO_NEW, STORE_*. `outcome` tells the versions also when it fails. */
MUST_USE result_t journal_postgres_migrate(const char *url, const journal_postgres_place_t *place,
                                           migration_outcome_t *outcome);
uint64_t journal_postgres_schema(void); /* the version that this program knows */

/* `store verify`, as journal_sqlite_verify. Read-only, in one transaction. Blocks. */
MUST_USE result_t journal_postgres_verify(const char *url, const journal_postgres_place_t *place,
                                          text_t tenant, bool fold, char **report);

/* As journal_sqlite_usage. */
MUST_USE result_t journal_postgres_usage(const char *url, const journal_postgres_place_t *place,
                                         int64_t *cards, int64_t *bytes);

/* --- Backup and restore: every row out, and in again. All of these block. --- */

/* In one snapshot, beside a running service. */
MUST_USE result_t journal_postgres_export(const char *url, const journal_postgres_place_t *place,
                                          store_row_visit_t *visit, void *context);

/* Into a database with an empty schema. Rows in the order of an export. */
typedef struct journal_postgres_import journal_postgres_import_t;
MUST_USE result_t journal_postgres_import_begin(const char *url,
                                                const journal_postgres_place_t *place,
                                                journal_postgres_import_t **import);
MUST_USE result_t journal_postgres_import_row(journal_postgres_import_t *import,
                                              const store_row_t *row);
MUST_USE result_t journal_postgres_import_finish(journal_postgres_import_t **import);
void journal_postgres_import_abandon(journal_postgres_import_t **import);

/* --- Retention: validations before a moment go into an archive. All of these block. --- */

enum { JOURNAL_POSTGRES_HASH_SIZE = 32 };
typedef struct journal_postgres_retained {
    int64_t archived_at;
    uint8_t hash[JOURNAL_POSTGRES_HASH_SIZE]; /* of the rows, for the record */
} journal_postgres_retained_t;

/* Takes aside what is older than the beginning of a month, in a transaction: nobody sees anything
 * of it before `finish`, and until then everything stays as it was, whoever dies. `events` gets how
 * many there are. BUSY: somebody else is doing it. */
typedef struct journal_postgres_retain journal_postgres_retain_t;
MUST_USE result_t journal_postgres_retain_begin(const char *url,
                                                const journal_postgres_place_t *place,
                                                int64_t before_ms,
                                                journal_postgres_retain_t **retain,
                                                uint64_t *events);
/* The rows of all partitions, then of the events in order. As often as wanted. */
MUST_USE result_t journal_postgres_retain_export(journal_postgres_retain_t *retain,
                                                 store_row_visit_t *visit, void *context);
/* The archive is complete: they go. BUSY: somebody kept reading events (a backup, say), and all is
 * as it was. OUTCOME_UNKNOWN: begin again to see. */
MUST_USE result_t journal_postgres_retain_finish(journal_postgres_retain_t **retain,
                                                 const journal_postgres_retained_t *retained);
void journal_postgres_retain_abandon(journal_postgres_retain_t **retain);

#endif
