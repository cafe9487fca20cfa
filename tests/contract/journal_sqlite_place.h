/* A data directory of its own for tests of the SQLite journal, and the contract's factory on it. */
#ifndef TESTS_CONTRACT_JOURNAL_SQLITE_PLACE_H
#define TESTS_CONTRACT_JOURNAL_SQLITE_PLACE_H

#include "tests/contract/journal_contract.h"

typedef struct place {
    char directory[128];
} place_t;

void place_create(place_t *place);
void place_remove(place_t *place);
void place_empty(place_t *place);
journal_contract_factory_t place_factory(place_t *place);
/* malloc: DIR/tenants/NAME.db and an ending. */
char *place_file(const place_t *place, const char *tenant, const char *ending);

#endif
