/* A PostgreSQL server of its own, and the journal contract's factory on it. */
#ifndef TESTS_CONTRACT_JOURNAL_POSTGRES_PLACE_H
#define TESTS_CONTRACT_JOURNAL_POSTGRES_PLACE_H

#include "actors/ports/control_store.h"
#include "adapters/control_postgres/control_postgres.h"
#include "tests/contract/journal_contract.h"
#include "tests/support/postgres_server.h"

typedef struct postgres_place {
    postgres_server_t server;
    control_store_t *control;
    int64_t resets;
    uint32_t connections; /* 0: as usual */
    char url[256];        /* of journals; empty: the server's */
} postgres_place_t;

void postgres_place_create(postgres_place_t *place);
void postgres_place_remove(postgres_place_t *place);
journal_contract_factory_t postgres_place_factory(postgres_place_t *place);
/* Opens the control store anew, as after a restart of the server. */
void postgres_place_control_open(postgres_place_t *place);

#endif
