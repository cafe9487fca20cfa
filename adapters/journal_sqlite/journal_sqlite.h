/* actors/ports/journal.h on SQLite: DIR/tenants/NAME.db, WAL, synchronous=FULL (DESIGN 2.4). */
#ifndef ADAPTERS_JOURNAL_SQLITE_JOURNAL_SQLITE_H
#define ADAPTERS_JOURNAL_SQLITE_JOURNAL_SQLITE_H

#include "actors/ports/journal.h"
#include "actors/ports/store_rows.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/migration.h"

/* At the start of a program, before anything of SQLite is used and while there is one thread: its
 * statistics of memory, which nobody reads here, are off. They cost each allocation a mutex that
 * all threads share, and Debian's SQLite has no lookaside, so that every statement allocates. */
void journal_sqlite_process_begin(void);

/* `metrics` may be NULL. Threads: LIMIT_STORE_THREADS, made here. */
MUST_USE result_t journal_sqlite_create(loop_t *loop, metrics_t *metrics,
                                        const char *data_directory, journal_t **journal);
void journal_sqlite_destroy(journal_t **journal); /* all tenants must be closed */

/* Makes an empty journal file with its schema. Blocks. ALREADY_EXISTS, STORE_FULL,
 * STORE_UNAVAILABLE, PERMISSION_DENIED. */
MUST_USE result_t journal_sqlite_create_tenant(const char *data_directory, text_t tenant,
                                               uint32_t partitions);

/* `store migrate`: what opening for writing does by itself, ahead of time. A running service is not
 * disturbed: its tenants are open, so there is nothing to do for them. `outcome` tells the versions
 * also when it fails. Blocks. MISSING, SCHEMA_TOO_NEW, STORE_*. */
MUST_USE result_t journal_sqlite_migrate(const char *data_directory, text_t tenant,
                                         migration_outcome_t *outcome);
uint64_t journal_sqlite_schema(void); /* the version that this program knows */

/* `store verify`: integrity_check; sequences of every partition and card gapless; head = highest
 * sequence; each snapshot's card_sequence within its events; replies whole; with `fold` each
 * snapshot is what its events make of a card (tests of the port store what no card ever was).
 * Read-only. `report` gets a JSON object
 * (malloc), NULL when the file could not be opened. RESULT_OK when all holds, else STORE_CORRUPT.
 * Blocks. */
MUST_USE result_t journal_sqlite_verify(const char *data_directory, text_t tenant, bool fold,
                                        char **report);

/* What quotas count: living cards, and bytes of events. MISSING. Beside a running service. Blocks.
 */
MUST_USE result_t journal_sqlite_usage(const char *data_directory, text_t tenant, int64_t *cards,
                                       int64_t *bytes);

/* --- Backup and restore: every row out, and in again. All of these block. --- */

/* In one read transaction, beside a running service. */
MUST_USE result_t journal_sqlite_export(const char *data_directory, text_t tenant,
                                        store_row_visit_t *visit, void *context);

/* Into DIR/tenants/NAME.db and this ending, which tenant_adopt of the control store gives its final
 * name. Rows in the order of an export. What an interrupted restore left is made anew. */
#define JOURNAL_SQLITE_RESTORED ".restored"
typedef struct journal_sqlite_import journal_sqlite_import_t;
MUST_USE result_t journal_sqlite_import_begin(const char *data_directory, text_t tenant,
                                              journal_sqlite_import_t **import);
MUST_USE result_t journal_sqlite_import_row(journal_sqlite_import_t *import,
                                            const store_row_t *row);
/* Durable and verified; `report` as of journal_sqlite_verify. On an error nothing is left. */
MUST_USE result_t journal_sqlite_import_finish(journal_sqlite_import_t **import, char **report);
void journal_sqlite_import_abandon(journal_sqlite_import_t **import);

#endif
