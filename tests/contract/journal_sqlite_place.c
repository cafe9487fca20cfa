/* Makes and clears data directories below TMPDIR. */
#include "tests/contract/journal_sqlite_place.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 8 };

static int entry_remove(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    return at->level == 0 ? 0 : remove(path);
}

void place_create(place_t *place)
{
    const char *const parent = getenv("TMPDIR");
    (void)snprintf(place->directory, sizeof place->directory, "%s/digitalcard-journal-XXXXXX",
                   parent == NULL ? "/tmp" : parent);
    const char *const made = mkdtemp(place->directory);
    assert(made != NULL);
}

void place_empty(place_t *place)
{
    (void)chmod(place->directory, 0700);
    const int failed = nftw(place->directory, entry_remove, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS);
    assert(failed == 0);
}

void place_remove(place_t *place)
{
    place_empty(place);
    (void)rmdir(place->directory);
}

char *place_file(const place_t *place, const char *tenant, const char *ending)
{
    char *path = NULL;
    const int size = asprintf(&path, "%s/tenants/%s.db%s", place->directory, tenant, ending);
    assert(size > 0);
    return path;
}

static void factory_reset(void *context)
{
    place_empty(context);
}

static journal_t *factory_create(void *context, loop_t *loop)
{
    journal_t *journal = NULL;
    const result_t result =
        journal_sqlite_create(loop, NULL, ((place_t *)context)->directory, &journal);
    assert(result == RESULT_OK);
    return journal;
}

static void factory_destroy(void *context, journal_t **journal)
{
    (void)context;
    journal_sqlite_destroy(journal);
}

static result_t factory_create_tenant(void *context, text_t tenant, uint32_t partitions)
{
    return journal_sqlite_create_tenant(((place_t *)context)->directory, tenant, partitions);
}

static bool factory_is_sound(void *context, text_t tenant)
{
    char *report = NULL;
    const result_t result =
        journal_sqlite_verify(((place_t *)context)->directory, tenant, false, &report);
    if (result != RESULT_OK && report != NULL) {
        (void)fprintf(stderr, "%s\n", report);
    }
    free(report);
    return result == RESULT_OK;
}

journal_contract_factory_t place_factory(place_t *place)
{
    return (journal_contract_factory_t){.context = place,
                                        .reset = factory_reset,
                                        .create = factory_create,
                                        .destroy = factory_destroy,
                                        .create_tenant = factory_create_tenant,
                                        .is_sound = factory_is_sound};
}
