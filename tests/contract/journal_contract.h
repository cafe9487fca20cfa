/* One suite for every implementation of actors/ports/journal.h: what it says there is tried here,
 * through the port alone. An implementation brings a factory and runs it. */
#ifndef TESTS_CONTRACT_JOURNAL_CONTRACT_H
#define TESTS_CONTRACT_JOURNAL_CONTRACT_H

#include "actors/ports/journal.h"
#include "runtime/loop.h"

typedef struct journal_contract_factory {
    void *context;
    void (*reset)(void *context); /* nothing is stored from here on */
    journal_t *(*create)(void *context, loop_t *loop);
    void (*destroy)(void *context, journal_t **journal);
    result_t (*create_tenant)(void *context, text_t tenant, uint32_t partitions);
    /* Whether the stored data of the tenant hold together (`store verify`). */
    bool (*is_sound)(void *context, text_t tenant);
    /* Validations before a month go into an archive that the test does not keep; `events` gets how
     * many. NULL: from this store nothing ever goes. */
    result_t (*retain)(void *context, text_t tenant, int64_t before_ms, uint64_t *events);
} journal_contract_factory_t;

/* Number of failed tests. */
int journal_contract_run(const journal_contract_factory_t *factory);

#endif
