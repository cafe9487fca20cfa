/* What actors/ports/revocations.h promises, for every implementation. */
#ifndef TESTS_CONTRACT_REVOCATIONS_CONTRACT_H
#define TESTS_CONTRACT_REVOCATIONS_CONTRACT_H

#include "actors/ports/revocations.h"
#include "tests/contract/control_contract.h"

typedef revocations_t *revocations_of_store_t(control_store_t *store);

/* Number of failed tests. */
int revocations_contract_run(const control_contract_factory_t *factory,
                             revocations_of_store_t *revocations_of);

#endif
