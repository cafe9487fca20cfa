/* What actors/ports/flags.h promises, for every implementation. */
#ifndef TESTS_CONTRACT_FLAGS_CONTRACT_H
#define TESTS_CONTRACT_FLAGS_CONTRACT_H

#include "actors/ports/control_store.h"
#include "actors/ports/flags.h"

typedef struct flags_place {
    control_store_t *control; /* empty; tenants can be created */
    flags_t *flags;
} flags_place_t;

/* Called before and after each test. */
typedef flags_place_t flags_place_open_t(void);
typedef void flags_place_close_t(flags_place_t *place);

int flags_contract_run(flags_place_open_t *open, flags_place_close_t *close);

#endif
