/* The written contract of actors/ports/control_store.h and dead_letters.h as tests that run against
 * every implementation. */
#ifndef TESTS_CONTRACT_CONTROL_CONTRACT_H
#define TESTS_CONTRACT_CONTROL_CONTRACT_H

#include "actors/ports/control_store.h"
#include "actors/ports/dead_letters.h"

typedef struct control_contract_factory {
    void *context;
    /* An empty store. `letters` lives as long as it. */
    void (*open)(void *context, control_store_t **store, dead_letters_t **letters);
    void (*close_and_clear)(void *context, control_store_t **store);
} control_contract_factory_t;

/* Number of failed tests. */
int control_contract_run(const control_contract_factory_t *factory);

#endif
