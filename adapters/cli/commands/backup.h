/* A backup of one tenant, for whatever command needs one: `store backup`, `tenant delete`. */
#ifndef ADAPTERS_CLI_BACKUP_H
#define ADAPTERS_CLI_BACKUP_H

#include "adapters/archive/archive.h"
#include "adapters/cli/configuration.h"

/* Writes all of the tenant into `file`, which must not exist; blocks. False after saying on
 * standard error why not: then there is no file. */
bool backup_run(const configuration_t *configuration, const char *tenant, const char *file,
                archive_totals_t *totals, uint64_t *size);

/* The two halves of it that others need: whether the tenant is there and in the store that was
 * named (else false, after saying so), and what control data holds of it (`is_told`: why not was
 * said). */
bool backup_tenant_is_there(const configuration_t *configuration, const char *tenant);
MUST_USE result_t backup_tenant_write(const configuration_t *configuration, const char *tenant,
                                      archive_writer_t *writer, bool *is_told);

/* backup_run into DIR/deleted/TENANT-TIME.dcb (`file`, PATH_MAX bytes, absolute), which outlives
 * the tenant. */
bool backup_before_delete(const configuration_t *configuration, const char *tenant, char *file);

#endif
