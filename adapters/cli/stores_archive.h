/* Backup and restore on whichever store it is: rows out of a journal and into a new one. Blocks;
 * for the command line. */
#ifndef ADAPTERS_CLI_STORES_ARCHIVE_H
#define ADAPTERS_CLI_STORES_ARCHIVE_H

#include "actors/ports/store_rows.h"
#include "adapters/cli/configuration.h"
#include "adapters/cli/stores.h"

MUST_USE result_t stores_export(const char *store, const char *data, text_t tenant,
                                store_row_visit_t *visit, void *context);

typedef struct stores_import stores_import_t;

/* A journal that is nobody's yet. BUSY: another process is restoring this tenant. */
MUST_USE result_t stores_import_begin(const char *store, const char *data, text_t tenant,
                                      stores_import_t **import);
MUST_USE result_t stores_import_row(stores_import_t *import, const store_row_t *row);
/* All rows are in: makes them durable and verifies them. `report` as of stores_verify. */
MUST_USE result_t stores_import_finish(stores_import_t *import, char **report);
/* Makes it the journal of `tenant`, whose secrets are sealed under the master key of this
 * installation. False after saying on standard error why not. */
bool stores_import_adopt(stores_import_t *import, const configuration_t *configuration,
                         const control_tenant_t *tenant);
/* Whatever was not adopted is removed. */
void stores_import_close(stores_import_t **import);

#endif
