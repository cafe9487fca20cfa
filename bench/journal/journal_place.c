/* The store that is measured. On PostgreSQL tenants are made through the control store, as in
 * production: each has a database and a role of its own. */
#include "bench/journal/journal_bench.h"

#include "adapters/control_postgres/control_postgres.h"
#include "adapters/journal_postgres/journal_postgres.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/signer/signer.h"
#include "runtime/random.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTORS_MAX = 16 };

void journal_bench_must(result_t result, const char *what)
{
    if (result != RESULT_OK) {
        fprintf(stderr, "digitalcard-bench: %s: %s\n", what, result_title(result));
        exit(BENCH_EXIT_FAILED);
    }
}

static bool is_postgres(const journal_bench_options_t *options)
{
    return strcmp(options->store, "sqlite") != 0;
}

/* --- The two adapters of PostgreSQL do not know each other --- */

static void place_copy(const control_postgres_place_t *from, journal_postgres_place_t *to)
{
    snprintf(to->database, sizeof(to->database), "%s", from->database);
    snprintf(to->role, sizeof(to->role), "%s", from->role);
    snprintf(to->password, sizeof(to->password), "%s", from->password);
}

static result_t make_journal(const char *url, const control_postgres_place_t *from,
                             uint32_t partitions)
{
    journal_postgres_place_t to;
    place_copy(from, &to);
    return journal_postgres_create_schema(url, &to, partitions);
}

static result_t find(void *context, text_t tenant, journal_postgres_place_t *to)
{
    control_postgres_place_t from;
    const result_t result = control_postgres_find(context, tenant, &from);
    if (result == RESULT_OK) {
        place_copy(&from, to);
    }
    return result;
}

static void postgres_begin(journal_place_t *place)
{
    char error[512] = "";
    crypto_key_t master_key;
    random_fill(master_key.bytes, sizeof(master_key.bytes));
    const control_postgres_options_t options = {.url = place->options->store,
                                                .connect = true,
                                                .create = true,
                                                .make_journal = make_journal,
                                                .crypto = &signer_functions,
                                                .master_key = master_key};
    const result_t result = control_postgres_open(&options, error, sizeof(error), &place->control);
    journal_bench_must(result, error);
    const journal_postgres_options_t journal = {
        .url = place->options->store, .find = find, .find_context = place->control};
    journal_bench_must(journal_postgres_create(place->loop, NULL, &journal, &place->journal),
                       "the journal");
}

void journal_place_begin(journal_place_t *place, const journal_bench_options_t *options)
{
    *place = (journal_place_t){.options = options};
    journal_bench_must(signer_start(), "libsodium");
    journal_bench_must(loop_create(&place->loop), "the loop");
    if (is_postgres(options)) {
        postgres_begin(place);
        return;
    }
    const char *data = options->directory;
    if (!options->fill) {
        snprintf(place->directory, sizeof(place->directory), "%s/digitalcard-bench-XXXXXX",
                 options->directory);
        journal_bench_must(mkdtemp(place->directory) == NULL ? RESULT_IO : RESULT_OK,
                           place->directory);
        data = place->directory;
    }
    journal_bench_must(journal_sqlite_create(place->loop, NULL, data, &place->journal),
                       "the journal");
}

void journal_place_tenant(const journal_place_t *place, uint64_t number, char name[40])
{
    uint32_t random = 0;
    random_fill(&random, sizeof(random));
    snprintf(name, 40, "bench-%u-%08x", (unsigned)number, random); /* a server may have others */
    const uint32_t partitions = (uint32_t)place->options->partitions;
    if (place->control == NULL) {
        journal_bench_must(
            journal_sqlite_create_tenant(place->directory, text_from_c(name), partitions), name);
        return;
    }
    const control_card_key_t key = {.sealed_secret = TEXT_LITERAL("bench")};
    const control_tenant_t tenant = {.name = text_from_c(name),
                                     .partitions = partitions,
                                     .created_at = 1,
                                     .sealed_secret = TEXT_LITERAL("bench"),
                                     .keys = &key,
                                     .key_count = 1};
    journal_bench_must(place->control->functions->tenant_create(place->control, &tenant), name);
}

typedef struct opening {
    loop_t *loop;
    journal_opened_t opened;
    journal_partition_t *partitions;
} opening_t;

static void open_done(void *context, const journal_opened_t *opened)
{
    opening_t *const opening = context;
    opening->opened = *opened;
    for (uint32_t i = 0; i < opened->partition_count; i++) {
        opening->partitions[i] = opened->partitions[i];
    }
    loop_stop(opening->loop);
}

journal_opened_t journal_place_open(journal_place_t *place, const char *name,
                                    journal_partition_t partitions[LIMIT_PARTITIONS])
{
    opening_t opening = {.loop = place->loop, .partitions = partitions};
    journal_bench_must(place->journal->functions->open(place->journal, text_from_c(name),
                                                       TEXT_LITERAL("bench"), open_done, &opening),
                       name);
    loop_run(place->loop);
    journal_bench_must(opening.opened.result, name);
    opening.opened.partitions = partitions;
    return opening.opened;
}

void journal_place_close(journal_place_t *place, journal_tenant_t **tenant)
{
    place->journal->functions->close(place->journal, tenant);
}

static int entry_remove(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

void journal_place_end(journal_place_t *place)
{
    if (place->control == NULL) {
        journal_sqlite_destroy(&place->journal);
    } else {
        journal_postgres_destroy(&place->journal);
        control_postgres_close(&place->control);
    }
    loop_destroy(&place->loop);
    if (place->directory[0] != '\0') {
        (void)nftw(place->directory, entry_remove, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS);
    }
}
