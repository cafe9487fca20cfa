/* digitalcard-bench journal: options, runs, and how the figures are printed. */
#include "bench/journal/journal_bench.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WRITERS_MAX = 256, TENANTS_MAX = 256 };

typedef struct measured {
    journal_place_t place;
    journal_tenant_t *tenants[TENANTS_MAX];
    journal_writer_t *writers;
    uint32_t count;
} measured_t;

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- Writers --- */

static void tenant_add(measured_t *measured, const char *name, uint64_t cards)
{
    const journal_bench_options_t *const options = measured->place.options;
    journal_partition_t partitions[LIMIT_PARTITIONS];
    const journal_opened_t opened = journal_place_open(&measured->place, name, partitions);
    uint64_t index = 0;
    while (index < TENANTS_MAX && measured->tenants[index] != NULL) {
        index++;
    }
    measured->tenants[index] = opened.tenant;
    for (uint32_t i = 0; i < opened.partition_count; i++) {
        journal_writer_t *const writer = &measured->writers[measured->count];
        writer->tenant = opened.tenant;
        writer->number = measured->count;
        writer->partition = i;
        writer->at = partitions[i];
        writer->cards = cards;
        writer->random = UINT64_C(0x9e3779b97f4a7c15) * (measured->count + 1);
        writer->sequences = calloc(cards, sizeof(*writer->sequences));
        writer->bodies = calloc(options->batch, sizeof(*writer->bodies));
        journal_bench_must(writer->sequences == NULL || writer->bodies == NULL ? RESULT_NO_MEMORY
                                                                               : RESULT_OK,
                           "memory");
        measured->count++;
    }
}

static void measured_begin(measured_t *measured, const journal_bench_options_t *options)
{
    *measured = (measured_t){0};
    measured->writers = calloc(WRITERS_MAX, sizeof(*measured->writers));
    journal_bench_must(measured->writers == NULL ? RESULT_NO_MEMORY : RESULT_OK, "memory");
    journal_place_begin(&measured->place, options);
    const uint64_t cards = options->cards / (options->tenants * options->partitions) + 1;
    for (uint64_t i = 0; i < options->tenants; i++) {
        char name[40];
        if (options->fill) {
            tenant_add(measured, options->tenant, options->cards);
        } else {
            journal_place_tenant(&measured->place, i, name);
            tenant_add(measured, name, cards);
        }
    }
}

static void measured_end(measured_t *measured)
{
    for (uint32_t i = 0; i < TENANTS_MAX && measured->tenants[i] != NULL; i++) {
        journal_place_close(&measured->place, &measured->tenants[i]);
    }
    journal_place_end(&measured->place);
    for (uint32_t i = 0; i < measured->count; i++) {
        free(measured->writers[i].sequences);
        free(measured->writers[i].bodies);
    }
    free(measured->writers);
}

/* --- What is written --- */

/* Each card's first two events. */
static bool next_issue(void *context, journal_writer_t *writer, uint64_t *card, uint64_t *sequence)
{
    (void)context;
    const uint64_t done = writer->random; /* a counter here */
    if (done >= 2 * writer->cards) {
        return false;
    }
    *card = done / 2;
    *sequence = done % 2 + 1;
    writer->sequences[*card] = (uint16_t)*sequence;
    writer->random++;
    return true;
}

static bool next_validation(void *context, journal_writer_t *writer, uint64_t *card,
                            uint64_t *sequence)
{
    (void)context;
    *card = random_next(&writer->random) % writer->cards;
    writer->sequences[*card]++;
    *sequence = writer->sequences[*card];
    return true;
}

static void issue_all(measured_t *measured, uint64_t batch, journal_load_figures_t *figures)
{
    const journal_load_plan_t plan = {.next = next_issue, .batch = batch};
    for (uint32_t i = 0; i < measured->count; i++) {
        measured->writers[i].random = 0;
    }
    *figures = journal_load_run(measured->place.loop, measured->place.journal, measured->writers,
                                measured->count, &plan);
    for (uint32_t i = 0; i < measured->count; i++) {
        measured->writers[i].random = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
    }
}

/* --- Rate --- */

static const char *store_name(const journal_bench_options_t *options)
{
    return strcmp(options->store, "sqlite") == 0 ? "sqlite" : "postgresql";
}

static int rate(const journal_bench_options_t *options)
{
    measured_t measured;
    journal_load_figures_t last = {0};
    double rates[BENCH_RUNS_MAX];
    measured_begin(&measured, options);
    issue_all(&measured, options->batch, &last);
    for (uint64_t run = 0; run < options->runs; run++) {
        const journal_load_plan_t plan = {.next = next_validation,
                                          .batch = options->batch,
                                          .clients = options->clients,
                                          .end_us =
                                              clock_monotonic_us() + options->seconds * 1000000};
        last = journal_load_run(measured.place.loop, measured.place.journal, measured.writers,
                                measured.count, &plan);
        rates[run] = (double)last.events * 1e6 / (double)last.elapsed_us;
    }
    measured_end(&measured);
    const bench_spread_t spread = bench_spread(rates, options->runs);
    const double events_per_batch = (double)last.events / (double)last.batches;
    if (options->json) {
        printf("{\"benchmark\":\"journal\",\"store\":\"%s\",\"batch\":%" PRIu64
               ",\"clients\":%" PRIu64 ",\"tenants\":%" PRIu64 ",\"partitions\":%" PRIu64
               ",\"runs\":%" PRIu64 ",\"events_per_second\":%.0f,\"events_per_second_min\":%.0f,"
               "\"events_per_second_max\":%.0f,\"events_per_batch\":%.1f,\"batch_us\":{\"p50\":%.0f"
               ",\"p99\":%.0f,\"max\":%.0f}}\n",
               store_name(options), options->batch, options->clients, options->tenants,
               options->partitions, options->runs, spread.median, spread.min, spread.max,
               events_per_batch, last.batch_p50_us, last.batch_p99_us, last.batch_max_us);
    } else {
        printf("journal on %s: %.0f events/s (min %.0f, max %.0f, %" PRIu64
               " runs), %.1f per batch, a batch takes %.2f ms (p99 %.2f, max %.2f)\n",
               store_name(options), spread.median, spread.min, spread.max, options->runs,
               events_per_batch, last.batch_p50_us / 1000, last.batch_p99_us / 1000,
               last.batch_max_us / 1000);
    }
    return BENCH_EXIT_OK;
}

/* --- Fill --- */

/* Where a writer is: round after round over a block of cards, then the next block. The events of a
 * card lie a block apart, each on a page of its own, as if it came by once a day. */
enum { BLOCK_CARDS = 16384 };
typedef struct filling {
    struct {
        uint64_t first; /* card of the block */
        uint64_t round;
        uint64_t position;
    } at[WRITERS_MAX];
    uint64_t rounds;
} filling_t;

static bool next_scattered(void *context, journal_writer_t *writer, uint64_t *card,
                           uint64_t *sequence)
{
    filling_t *const filling = context;
    const uint64_t prime = UINT64_C(2147483647);
    const uint64_t first = filling->at[writer->number].first;
    if (first >= writer->cards || filling->rounds == 0) {
        return false;
    }
    const uint64_t left = writer->cards - first;
    const uint64_t count = left < BLOCK_CARDS ? left : BLOCK_CARDS;
    *card = first + filling->at[writer->number].position * prime % count;
    writer->sequences[*card]++;
    *sequence = writer->sequences[*card];
    filling->at[writer->number].position++;
    if (filling->at[writer->number].position == count) {
        filling->at[writer->number].position = 0;
        filling->at[writer->number].round++;
    }
    if (filling->at[writer->number].round == filling->rounds) {
        filling->at[writer->number].round = 0;
        filling->at[writer->number].first += count;
    }
    return true;
}

typedef struct loading {
    loop_t *loop;
    bool is_good;
} loading_t;

static void load_done(void *context, const journal_loaded_t *loaded)
{
    loading_t *const loading = context;
    loading->is_good =
        loaded->result == RESULT_OK && loaded->card_found && !text_is_empty(loaded->snapshot);
    loop_stop(loading->loop);
}

/* One card after the other, each for the first time: what an activation waits for. */
static bench_spread_t loads_run(measured_t *measured, uint64_t count, double *p99_us)
{
    double *const samples = calloc(count, sizeof(*samples));
    uint64_t random = UINT64_C(88172645463325252);
    journal_bench_must(samples == NULL ? RESULT_NO_MEMORY : RESULT_OK, "memory");
    for (uint64_t i = 0; i < count; i++) {
        const journal_writer_t *const writer =
            &measured->writers[random_next(&random) % measured->count];
        const uuid_t card =
            journal_bench_card(writer->partition, random_next(&random) % writer->cards);
        const journal_load_t query = {.card = &card};
        loading_t loading = {.loop = measured->place.loop};
        const uint64_t begin_us = clock_monotonic_us();
        journal_bench_must(
            measured->place.journal->functions->load(writer->tenant, &query, load_done, &loading),
            "a load");
        loop_run(measured->place.loop);
        journal_bench_must(loading.is_good ? RESULT_OK : RESULT_STORE_CORRUPT, "a card");
        samples[i] = (double)(clock_monotonic_us() - begin_us);
    }
    const bench_spread_t spread = bench_spread(samples, count);
    *p99_us = samples[count * 99 / 100];
    free(samples);
    return spread;
}

static uint64_t journal_size(const journal_bench_options_t *options)
{
    char path[4096];
    struct stat status;
    snprintf(path, sizeof(path), "%s/tenants/%s.db", options->directory, options->tenant);
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static int fill(const journal_bench_options_t *options)
{
    measured_t measured;
    journal_load_figures_t issued = {0};
    double p99_us = 0;
    measured_begin(&measured, options);
    const uint64_t each = options->cards / measured.count;
    for (uint32_t i = 0; i < measured.count; i++) {
        measured.writers[i].cards = each;
        if (measured.writers[i].at.head != 0) {
            fprintf(stderr, "digitalcard-bench: %s has events already\n", options->tenant);
            return BENCH_EXIT_FAILED;
        }
    }
    const uint64_t begin_us = clock_monotonic_us();
    issue_all(&measured, options->batch, &issued);
    filling_t filling = {.rounds = options->events - 2};
    const journal_load_plan_t plan = {
        .next = next_scattered, .context = &filling, .batch = options->batch};
    const journal_load_figures_t validated = journal_load_run(
        measured.place.loop, measured.place.journal, measured.writers, measured.count, &plan);
    const double seconds = (double)(clock_monotonic_us() - begin_us) / 1e6;
    bench_spread_t loads = {0};
    if (options->loads > 0) {
        loads = loads_run(&measured, options->loads, &p99_us);
    }
    measured_end(&measured);
    const uint64_t events = issued.events + validated.events;
    const uint64_t size = journal_size(options);
    const double cards = (double)each * measured.count;
    printf(options->json ? "{\"benchmark\":\"journal fill\",\"cards\":%.0f,\"events\":%" PRIu64
                           ",\"seconds\":%.1f,\"events_per_second\":%.0f,\"size\":%" PRIu64
                           ",\"bytes_per_event\":%.1f,\"bytes_per_card\":%.1f,\"load_us\":{"
                           "\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f}}\n"
                         : "filled: %.0f cards, %" PRIu64 " events in %.1f s (%.0f events/s); "
                           "%" PRIu64 " bytes, %.1f per event, %.1f per card; load of a cold card "
                           "%.0f us (p99 %.0f, max %.0f)\n",
           cards, events, seconds, (double)events / seconds, size, (double)size / (double)events,
           (double)size / cards, loads.median, p99_us, loads.max);
    return BENCH_EXIT_OK;
}

/* --- Options --- */

static void print_help(FILE *out)
{
    fputs("Usage: digitalcard-bench journal [options]\n\n"
          "Events per second through the journal's port.\n\n"
          "  --store STORE     sqlite or postgresql://… (sqlite); tenants are made there and stay\n"
          "  --directory DIR   where the store on SQLite is made, and removed in the end (.)\n"
          "  --batch N         events of a batch, up to 256 (256)\n"
          "  --clients N       N clients that each wait for their event; 0: batches are full (0)\n"
          "  --tenants N       (1)      --partitions N  of each, up to 64 (1)\n"
          "  --cards N         of all (10000)\n"
          "  --seconds S       of a run (5)      --runs N  (3)\n"
          "  --json\n\n"
          "  --fill            instead: fill tenant --tenant T of the data directory --directory "
          "DIR,\n"
          "                    which nothing else uses, with --cards cards of --events events "
          "each\n"
          "                    (10), then time --loads N loads of cold cards (1000)\n",
          out);
}

static bool number_read(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    char *end = NULL;
    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    *number = strtoull(text, &end, 10);
    return *end == '\0' && *number >= min && *number <= max;
}

static bool option_read(const char *name, const char *value, journal_bench_options_t *options)
{
    const struct {
        const char *name;
        uint64_t min;
        uint64_t max;
        uint64_t *number;
    } numbers[] = {{"--batch", 1, LIMIT_BATCH_EVENTS, &options->batch},
                   {"--clients", 0, 100000, &options->clients},
                   {"--tenants", 1, TENANTS_MAX, &options->tenants},
                   {"--partitions", 1, LIMIT_PARTITIONS, &options->partitions},
                   {"--cards", 1, 100000000, &options->cards},
                   {"--events", 2, 60000, &options->events},
                   {"--seconds", 1, 3600, &options->seconds},
                   {"--runs", 1, BENCH_RUNS_MAX, &options->runs},
                   {"--loads", 0, 1000000, &options->loads}};
    const struct {
        const char *name;
        const char **text;
    } texts[] = {{"--store", &options->store},
                 {"--directory", &options->directory},
                 {"--tenant", &options->tenant}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            return number_read(value, numbers[i].min, numbers[i].max, numbers[i].number);
        }
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(name, texts[i].name) == 0 && value != NULL) {
            *texts[i].text = value;
            return true;
        }
    }
    return false;
}

static bool options_read(int argc, char **argv, journal_bench_options_t *options)
{
    for (int index = 1; index < argc; index++) {
        if (strcmp(argv[index], "--json") == 0) {
            options->json = true;
        } else if (strcmp(argv[index], "--fill") == 0) {
            options->fill = true;
        } else if (option_read(argv[index], index + 1 < argc ? argv[index + 1] : NULL, options)) {
            index++;
        } else {
            fprintf(stderr, "digitalcard-bench journal: '%s' cannot be used\n", argv[index]);
            return false;
        }
    }
    return options->tenants * options->partitions <= WRITERS_MAX &&
           (!options->fill || options->tenant != NULL);
}

static int run(int argc, char **argv)
{
    journal_bench_options_t options = {.store = "sqlite",
                                       .directory = ".",
                                       .batch = LIMIT_BATCH_EVENTS,
                                       .tenants = 1,
                                       .partitions = 1,
                                       .cards = 10000,
                                       .events = 10,
                                       .seconds = 5,
                                       .runs = 3,
                                       .loads = 1000};
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return BENCH_EXIT_OK;
    }
    if (!options_read(argc, argv, &options)) {
        print_help(stderr);
        return BENCH_EXIT_USAGE;
    }
    log_start("bench", LOG_WARN_LEVEL);
    return options.fill ? fill(&options) : rate(&options);
}

const bench_command_t bench_journal_command = {
    .name = "journal", .help = "a store alone, through its port: events per second", .run = run};
