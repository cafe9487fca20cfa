/* digitalcard-bench actors: options, runs, and how the figures are printed. */
#include "bench/actors/actors.h"
#include "bench/bench.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bench_yardstick_t resident = {
    .name = "resident",
    .help = "--count cards issued through the shard stay in memory; tells bytes of each",
    .count_default = 1000000,
    .run_cards = card_bench_resident,
};
static const bench_yardstick_t activate = {
    .name = "activate",
    .help = "--count cards are loaded from the embedded store by one message each, per second",
    .count_default = 50000,
    .run_cards = card_bench_activate,
};

static const bench_yardstick_t *const yardsticks[] = {
    &bench_skynet, &bench_senders, &bench_create, &bench_pingpong,
    &bench_ring,   &bench_idle,    &resident,     &activate,
};
enum { YARDSTICKS = sizeof(yardsticks) / sizeof(yardsticks[0]) };

typedef struct options {
    const bench_yardstick_t *yardstick;
    uint64_t count;
    uint64_t runs;
    uint64_t validations;
    uint64_t tail; /* UINT64_MAX: not given */
    const char *directory;
    bool json;
} options_t;

/* --- What the yardsticks use --- */

void bench_must(result_t result)
{
    if (result != RESULT_OK) {
        fprintf(stderr, "digitalcard-bench: the actor system said: %s\n", result_title(result));
        abort();
    }
}

void bench_actors_finish(bench_actors_t *bench, int64_t result)
{
    bench->end_us = clock_monotonic_us();
    bench->result = result;
    loop_stop(bench->loop);
}

actor_message_t *bench_number_create(actor_system_t *system, int64_t number)
{
    actor_message_t *const message = actor_message_create(system, 0, sizeof(number));
    bench_must(message == NULL ? RESULT_NO_MEMORY : RESULT_OK);
    *(int64_t *)actor_message_payload(message) = number;
    return message;
}

void bench_tell_number(actor_t *self, actor_ref_t to, int64_t number)
{
    actor_message_t *message = bench_number_create(actor_system_of(self), number);
    bench_must(actor_tell(self, to, &message));
}

/* --- Runs --- */

static bench_actors_t run_once(const options_t *options)
{
    bench_actors_t bench = {.count = options->count};
    bench_must(loop_create(&bench.loop));
    bench.metrics = metrics_create("bench");
    bench_must(actor_system_create(bench.loop, bench.metrics, &bench.system));
    bench.begin_us = clock_monotonic_us();
    options->yardstick->begin(&bench);
    loop_run(bench.loop);
    actor_system_destroy(&bench.system);
    metrics_destroy(&bench.metrics);
    loop_destroy(&bench.loop);
    return bench;
}

static void print_text(const options_t *options, const bench_actors_t *last, bench_spread_t spread)
{
    const double unit_ns = spread.median * 1000 / (double)last->units;
    printf("%s: elapsed_us %.0f (min %.0f, max %.0f, %" PRIu64 " runs), %.1f ns per %s",
           options->yardstick->name, spread.median, spread.min, spread.max, options->runs, unit_ns,
           options->yardstick->unit);
    if (last->bytes > 0) {
        printf(", %" PRIu64 " bytes each", last->bytes);
    }
    printf("\n");
}

static void print_json(const options_t *options, const bench_actors_t *last, bench_spread_t spread)
{
    printf("{\"benchmark\":\"%s\",\"count\":%" PRIu64 ",\"runs\":%" PRIu64
           ",\"elapsed_us\":%.0f,\"elapsed_us_min\":%.0f,\"elapsed_us_max\":%.0f"
           ",\"unit\":\"%s\",\"units\":%" PRIu64 ",\"ns_per_unit\":%.2f",
           options->yardstick->name, options->count, options->runs, spread.median, spread.min,
           spread.max, options->yardstick->unit, last->units,
           spread.median * 1000 / (double)last->units);
    if (last->bytes > 0) {
        printf(",\"bytes_per_unit\":%" PRIu64, last->bytes);
    }
    printf("}\n");
}

static int run_all(const options_t *options)
{
    double elapsed_us[BENCH_RUNS_MAX];
    bench_actors_t last = {0};
    for (uint64_t run = 0; run < options->runs; run++) {
        last = run_once(options);
        if (!bench_actors_check(options->yardstick, options->count, last.result, stderr)) {
            return BENCH_EXIT_FAILED;
        }
        elapsed_us[run] = (double)(last.end_us - last.begin_us);
    }
    const bench_spread_t spread = bench_spread(elapsed_us, options->runs);
    if (options->json) {
        print_json(options, &last, spread);
    } else {
        print_text(options, &last, spread);
    }
    return BENCH_EXIT_OK;
}

static int run_cards(const options_t *options)
{
    const card_bench_options_t cards = {.count = options->count,
                                        .runs = options->runs,
                                        .validations = options->validations,
                                        .tail = options->tail,
                                        .directory = options->directory,
                                        .json = options->json};
    return options->yardstick->run_cards(&cards);
}

/* --- Options --- */

static void print_help(FILE *out)
{
    fputs("Usage: digitalcard-bench actors YARDSTICK [--count N] [--runs N] [--json]\n\n", out);
    for (size_t index = 0; index < YARDSTICKS; index++) {
        fprintf(out, "  %-10s %s (%" PRIu64 ")\n", yardsticks[index]->name, yardsticks[index]->help,
                yardsticks[index]->count_default);
    }
    fputs("\nEach runs on one thread and checks its result. With --runs the median is told.\n"
          "activate also takes --validations N (5): of each card, before all are drained;\n"
          "--tail N: N validations and a kill instead, so that no snapshot covers them;\n"
          "--directory DIR (.): where the store is made, and removed in the end.\n",
          out);
}

static bool read_number(const char *text, uint64_t max, uint64_t *number)
{
    char *end = NULL;
    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    *number = strtoull(text, &end, 10);
    return *end == '\0' && *number <= max;
}

static bool read_options(int argc, char **argv, options_t *options)
{
    for (int index = 2; index < argc; index++) {
        const char *const value = index + 1 < argc ? argv[index + 1] : NULL;
        if (strcmp(argv[index], "--json") == 0) {
            options->json = true;
        } else if (strcmp(argv[index], "--validations") == 0 &&
                   read_number(value, LIMIT_LOAD_TAIL_EVENTS, &options->validations)) {
            index++;
        } else if (strcmp(argv[index], "--tail") == 0 &&
                   read_number(value, LIMIT_LOAD_TAIL_EVENTS, &options->tail)) {
            index++;
        } else if (strcmp(argv[index], "--directory") == 0 && value != NULL) {
            options->directory = value;
            index++;
        } else if (strcmp(argv[index], "--count") == 0 &&
                   read_number(value, 1000000000, &options->count)) {
            index++;
        } else if (strcmp(argv[index], "--runs") == 0 &&
                   read_number(value, BENCH_RUNS_MAX, &options->runs)) {
            index++;
        } else {
            fprintf(stderr, "digitalcard-bench: cannot use '%s'\n", argv[index]);
            return false;
        }
    }
    return true;
}

static int run(int argc, char **argv)
{
    log_start("bench", LOG_ERROR_LEVEL);
    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return BENCH_EXIT_OK;
    }
    options_t options = {.runs = 1, .validations = 5, .tail = UINT64_MAX, .directory = "."};
    for (size_t index = 0; argc >= 2 && index < YARDSTICKS; index++) {
        if (strcmp(argv[1], yardsticks[index]->name) == 0) {
            options.yardstick = yardsticks[index];
            options.count = yardsticks[index]->count_default;
        }
    }
    if (options.yardstick == NULL || !read_options(argc, argv, &options)) {
        print_help(stderr);
        return BENCH_EXIT_USAGE;
    }
    if (options.count == 0 || options.runs == 0) {
        fputs("digitalcard-bench: --count and --runs begin at 1\n", stderr);
        return BENCH_EXIT_USAGE;
    }
    return options.yardstick->run_cards == NULL ? run_all(&options) : run_cards(&options);
}

const bench_command_t bench_actors_command = {
    .name = "actors",
    .help =
        "the actor runtime alone: skynet, senders, create, pingpong, ring, idle; cards: resident, "
        "activate",
    .run = run,
};
