/* What actors/ports/projections.h says, tried through the port alone against tests/support/
 * projections_log.h, which works everything out from the list of commits. */
#ifndef TESTS_CONTRACT_PROJECTIONS_CONTRACT_H
#define TESTS_CONTRACT_PROJECTIONS_CONTRACT_H

#include "actors/ports/projections.h"
#include "runtime/loop.h"

typedef struct projections_contract_factory {
    void *context;
    void (*reset)(void *context); /* nothing is stored from here on */
    projections_t *(*create)(void *context, loop_t *loop);
    void (*destroy)(void *context, projections_t **projections);
    /* Damages what is stored of the tenant, so that it can be seen. */
    void (*damage)(void *context, const char *tenant);
    /* Cuts connections to the store, or the next answer of it; NULL: there are none. */
    void (*cut)(void *context, bool swallows_answer);
    /* From here on, or no more, commits have to wait for a lock until their time is over. */
    void (*block)(void *context, const char *tenant, bool is_blocked);
} projections_contract_factory_t;

/* Number of failed tests. */
int projections_contract_run(const projections_contract_factory_t *factory);

#endif
