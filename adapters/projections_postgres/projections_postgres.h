/* actors/ports/projections.h on PostgreSQL: a schema in the tenant's database, beside the journal
 * that it is the fold of. synchronous_commit is off: a crash of the server may take the last
 * commits, which are then made anew from the journal. */
#ifndef ADAPTERS_PROJECTIONS_POSTGRES_PROJECTIONS_POSTGRES_H
#define ADAPTERS_PROJECTIONS_POSTGRES_PROJECTIONS_POSTGRES_H

#include "actors/ports/projections.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

/* Where the database of a tenant is. */
typedef struct projections_postgres_place {
    char database[64];
    char role[64];
    char password[65]; /* wiped by whoever holds the struct */
} projections_postgres_place_t;

/* Looks a tenant up (adapters/control_postgres does, handed in because adapters do not know each
 * other). On the loop's thread; blocks for milliseconds. */
typedef result_t projections_postgres_find_t(void *context, text_t tenant,
                                             projections_postgres_place_t *place);

typedef struct projections_postgres_options {
    const char *url; /* server, TLS and the like; database, user and password are the tenant's */
    const char *directory; /* of the installation; a lock there tells its processes apart */
    uint32_t sessions;     /* connections, at most; 0: LIMIT_PROJECTION_SESSIONS */
    projections_postgres_find_t *find;
    void *find_context;
} projections_postgres_options_t;

/* `metrics` may be NULL. Threads: LIMIT_PROJECTION_THREADS, made here. Connects to nothing yet. */
MUST_USE result_t projections_postgres_create(loop_t *loop, metrics_t *metrics,
                                              const projections_postgres_options_t *options,
                                              projections_t **projections);
void projections_postgres_destroy(projections_t **projections); /* all tenants must be closed */

/* Removes the read models of a tenant. Only when no relay runs: the next one makes them anew.
 * Blocks. */
MUST_USE result_t projections_postgres_remove(const char *url,
                                              const projections_postgres_place_t *place);

/* Every row of the live read models, in one snapshot: for `store verify`. MISSING: there are none,
 * or of another format, which the relay makes anew. Blocks. */
MUST_USE result_t projections_postgres_export(const char *url,
                                              const projections_postgres_place_t *place,
                                              projection_row_visit_t *visit, void *context);

#endif
