/* actors/ports/control_store.h on SQLite: DIR/control.db. */
#ifndef ADAPTERS_CONTROL_SQLITE_CONTROL_SQLITE_H
#define ADAPTERS_CONTROL_SQLITE_CONTROL_SQLITE_H

#include "actors/ports/consumers.h"
#include "actors/ports/control_store.h"
#include "actors/ports/dead_letters.h"
#include "actors/ports/flags.h"
#include "actors/ports/revocations.h"
#include "actors/ports/webhooks.h"
#include "runtime/migration.h"

/* Makes a tenant's empty journal: journal_sqlite_create_tenant, handed in because adapters do not
 * know each other. */
typedef result_t control_sqlite_make_journal_t(const char *data_directory, text_t tenant,
                                               uint32_t partitions);

/* Opens, and with `create` makes, the file with its schema. Only one process at a time may write
 * (the caller holds DIR/lock or is the control role); any number may read. SCHEMA_TOO_NEW,
 * STORE_CORRUPT, PERMISSION_DENIED, MISSING. */
MUST_USE result_t control_sqlite_open(const char *data_directory, bool create,
                                      control_sqlite_make_journal_t *make_journal,
                                      control_store_t **store);
void control_sqlite_close(control_store_t **store);

/* The version of the file, which opening brings up to that of this program. Changes nothing. */
MUST_USE result_t control_sqlite_schema(const char *data_directory, migration_outcome_t *outcome);
uint64_t control_sqlite_schema_known(void); /* the version that this program knows */

/* The dead letters in the same file, over the same connection; lives as long as the store. Unlike
 * everything else in it they are written by every shard, each for its own tenants. */
dead_letters_t *control_sqlite_dead_letters(control_store_t *store);
/* The feature flags in the same file; live as long as the store. */
flags_t *control_sqlite_flags(control_store_t *store);
/* The revoked tokens, likewise. */
revocations_t *control_sqlite_revocations(control_store_t *store);
/* The consumers of events, likewise; written by the relay. */
consumers_t *control_sqlite_consumers(control_store_t *store);
/* The webhooks, likewise. */
webhooks_t *control_sqlite_webhooks(control_store_t *store);

#endif
