/* The journal contract on SQLite. What only SQLite can do wrong is in journal_sqlite_files_test.c
 * and journal_sqlite_faults_test.c. */
#include "tests/contract/journal_sqlite_place.h"

int main(void)
{
    place_t place;
    place_create(&place);
    const journal_contract_factory_t factory = place_factory(&place);
    const int failed = journal_contract_run(&factory);
    place_remove(&place);
    return failed;
}
