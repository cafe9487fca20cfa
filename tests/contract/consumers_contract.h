/* What actors/ports/consumers.h promises, for every implementation. */
#ifndef TESTS_CONTRACT_CONSUMERS_CONTRACT_H
#define TESTS_CONTRACT_CONSUMERS_CONTRACT_H

#include "actors/ports/consumers.h"
#include "tests/contract/control_contract.h"

typedef consumers_t *consumers_of_store_t(control_store_t *store);

/* Number of failed tests. */
int consumers_contract_run(const control_contract_factory_t *factory,
                           consumers_of_store_t *consumers_of);

#endif
