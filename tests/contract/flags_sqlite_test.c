/* The contract of flags on the SQLite control store. */
#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "tests/contract/flags_contract.h"
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char directory[64];

static flags_place_t open_place(void)
{
    flags_place_t place = {0};
    (void)snprintf(directory, sizeof directory, "/tmp/flags-test-XXXXXX");
    const char *made = mkdtemp(directory);
    assert(made != NULL);
    const result_t result =
        control_sqlite_open(directory, true, journal_sqlite_create_tenant, &place.control);
    assert(result == RESULT_OK);
    place.flags = control_sqlite_flags(place.control);
    return place;
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *at)
{
    (void)about;
    (void)kind;
    (void)at;
    return remove(path);
}

static void close_place(flags_place_t *place)
{
    control_sqlite_close(&place->control);
    (void)nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    return flags_contract_run(open_place, close_place);
}
