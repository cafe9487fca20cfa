/* The control store's contract on SQLite. What only SQLite can do wrong is in
 * tests/unit/control_sqlite_test.c. */
#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "tests/contract/consumers_contract.h"
#include "tests/contract/flags_contract.h"
#include "tests/contract/journal_sqlite_place.h"
#include "tests/contract/revocations_contract.h"
#include "tests/contract/webhooks_contract.h"
#include <assert.h>

static void factory_open(void *context, control_store_t **store, dead_letters_t **letters)
{
    const place_t *const place = context;
    const result_t result =
        control_sqlite_open(place->directory, true, journal_sqlite_create_tenant, store);
    assert(result == RESULT_OK);
    *letters = control_sqlite_dead_letters(*store);
}

static void factory_close_and_clear(void *context, control_store_t **store)
{
    control_sqlite_close(store);
    place_empty(context);
}

int main(void)
{
    place_t place = {0};
    place_create(&place);
    const control_contract_factory_t factory = {
        .context = &place, .open = factory_open, .close_and_clear = factory_close_and_clear};
    int failed = control_contract_run(&factory);
    failed += flags_contract_run(&factory, control_sqlite_flags);
    failed += revocations_contract_run(&factory, control_sqlite_revocations);
    failed += consumers_contract_run(&factory, control_sqlite_consumers);
    failed += webhooks_contract_run(&factory, control_sqlite_webhooks, control_sqlite_consumers);
    place_remove(&place);
    return failed;
}
