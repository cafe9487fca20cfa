/* What actors/ports/webhooks.h promises, for every implementation. */
#ifndef TESTS_CONTRACT_WEBHOOKS_CONTRACT_H
#define TESTS_CONTRACT_WEBHOOKS_CONTRACT_H

#include "actors/ports/webhooks.h"
#include "tests/contract/consumers_contract.h"

typedef webhooks_t *webhooks_of_store_t(control_store_t *store);

/* Number of failed tests. */
int webhooks_contract_run(const control_contract_factory_t *factory,
                          webhooks_of_store_t *webhooks_of, consumers_of_store_t *consumers_of);

#endif
