/* The contract of read models on SQLite. */
#include "adapters/projections_sqlite/projections_sqlite.h"
#include "tests/contract/journal_sqlite_place.h"
#include "tests/contract/projections_contract.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void reset(void *context)
{
    place_t *const place = context;
    char directory[256];
    place_empty(place);
    (void)snprintf(directory, sizeof(directory), "%s/tenants", place->directory);
    const int failed = mkdir(directory, 0700);
    assert(failed == 0);
}

static projections_t *create(void *context, loop_t *loop)
{
    projections_t *projections = NULL;
    const result_t result =
        projections_sqlite_create(loop, NULL, ((place_t *)context)->directory, &projections);
    assert(result == RESULT_OK);
    return projections;
}

static void destroy(void *context, projections_t **projections)
{
    (void)context;
    projections_sqlite_destroy(projections);
}

/* The first page says what the file is. */
static void damage(void *context, const char *tenant)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/tenants/%s.read.db", ((place_t *)context)->directory,
                   tenant);
    FILE *const file = fopen(path, "r+");
    assert(file != NULL);
    const size_t written = fwrite("rubbish", 1, 7, file);
    const int failed = fclose(file);
    assert(written == 7 && failed == 0);
}

int main(void)
{
    place_t place;
    place_create(&place);
    const projections_contract_factory_t factory = {
        .context = &place, .reset = reset, .create = create, .destroy = destroy, .damage = damage};
    const int failed = projections_contract_run(&factory);
    place_remove(&place);
    return failed;
}
