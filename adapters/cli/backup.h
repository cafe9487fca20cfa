/* A backup of one tenant, for whatever command needs one: `store backup`, `tenant delete`. */
#ifndef ADAPTERS_CLI_BACKUP_H
#define ADAPTERS_CLI_BACKUP_H

#include "adapters/archive/archive.h"
#include "adapters/cli/configuration.h"

/* Writes all of the tenant into `file`, which must not exist; blocks. False after saying on
 * standard error why not: then there is no file. */
bool backup_run(const configuration_t *configuration, const char *tenant, const char *file,
                archive_totals_t *totals, uint64_t *size);

/* The same into DIR/deleted/TENANT-TIME.dcb (`file`, PATH_MAX bytes, absolute), which outlives the
 * tenant. */
bool backup_before_delete(const configuration_t *configuration, const char *tenant, char *file);

#endif
