/* What actors/ports/flags.h promises, for every implementation. */
#ifndef TESTS_CONTRACT_FLAGS_CONTRACT_H
#define TESTS_CONTRACT_FLAGS_CONTRACT_H

#include "actors/ports/flags.h"
#include "tests/contract/control_contract.h"

typedef flags_t *flags_of_store_t(control_store_t *store);

/* Number of failed tests. */
int flags_contract_run(const control_contract_factory_t *factory, flags_of_store_t *flags_of);

#endif
