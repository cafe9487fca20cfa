/* actors/ports/projections.h on SQLite: DIR/tenants/NAME.read.db, beside the journal that it is the
 * fold of. WAL, synchronous=NORMAL: a loss of power may take the last commits, which are then made
 * anew from the journal. */
#ifndef ADAPTERS_PROJECTIONS_SQLITE_PROJECTIONS_SQLITE_H
#define ADAPTERS_PROJECTIONS_SQLITE_PROJECTIONS_SQLITE_H

#include "actors/ports/projections.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

/* `metrics` may be NULL. Threads: LIMIT_PROJECTION_THREADS, made here. */
MUST_USE result_t projections_sqlite_create(loop_t *loop, metrics_t *metrics,
                                            const char *data_directory,
                                            projections_t **projections);
void projections_sqlite_destroy(projections_t **projections); /* all tenants must be closed */

/* Removes the read models of a tenant. Only when no relay runs: the next one makes them anew. */
void projections_sqlite_remove(const char *data_directory, text_t tenant);

#endif
