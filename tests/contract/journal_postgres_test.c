/* The journal contract on PostgreSQL. What only PostgreSQL can do wrong is in
 * journal_postgres_faults_test.c. */
#include "tests/contract/journal_postgres_place.h"

int main(void)
{
    postgres_place_t place = {0};
    postgres_place_create(&place);
    const journal_contract_factory_t factory = postgres_place_factory(&place);
    const int failed = journal_contract_run(&factory);
    postgres_place_remove(&place);
    return failed;
}
