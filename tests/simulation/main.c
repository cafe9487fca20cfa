/* digitalcard-simulate: runs seeds, one after the other, and says which one broke what. */
#include "adapters/signer/signer.h"
#include "tests/simulation/world.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS_DEFAULT = 400, BUG_SEEDS_DEFAULT = 10000, EXIT_USAGE = 2 };

typedef struct arguments {
    world_options_t options;
    uint64_t seeds;
    uint32_t long_seeds; /* this many when DIGITALCARD_TEST_FULL is set; 0: the same */
    bool lists_bugs;
    bool checks_bugs;
    bool runs_twice;
    bool was_seeds_given;
} arguments_t;

static const char usage[] =
    "usage: digitalcard-simulate [--seed N] [--seeds COUNT] [--steps M] [--bug NAME] [--verbose]\n"
    "                            [--twice] [--check-bugs] [--list-bugs] [--full-seeds COUNT]\n"
    "Runs COUNT seeds from N on (1 from 1) with M steps each (400), and ends at the first that\n"
    "breaks an invariant of DESIGN section 5: exit status 1, its number and its last events.\n"
    "  --bug NAME     with a known mistake; --list-bugs names them\n"
    "  --check-bugs   each of them in turn: status 1 when one is not found within COUNT seeds\n"
    "  --twice        each seed twice: status 1 when the traces differ\n"
    "  --full-seeds   COUNT when the environment has DIGITALCARD_TEST_FULL=1\n"
    "  --verbose      prints everything that happens\n";

static void add_numbers(world_numbers_t *sum, const world_numbers_t *numbers)
{
    uint64_t *const to = (uint64_t *)sum;
    const uint64_t *const from = (const uint64_t *)numbers;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}

static void print_numbers(const world_numbers_t *numbers)
{
    printf("requests %" PRIu64 ", decided %" PRIu64 ", repeats %" PRIu64 ", repairs %" PRIu64
           ", commits %" PRIu64 ", events stored %" PRIu64 ", agenda entries %" PRIu64
           ", of members %" PRIu64 "\n",
           numbers->requests, numbers->acknowledged, numbers->repeats, numbers->repairs,
           numbers->commits, numbers->stored_events, numbers->events, numbers->member_events);
    printf("faults: lost %" PRIu64 ", duplicated %" PRIu64 " of %" PRIu64 " sent, crashes %" PRIu64
           ", drains %" PRIu64 ", pauses %" PRIu64 ", zombies %" PRIu64 ", partitions %" PRIu64
           ", clock jumps %" PRIu64 ", failed writes %" PRIu64 ", full disks %" PRIu64
           ", fenced %" PRIu64 ", unknown commits %" PRIu64 "\ntenants deleted %" PRIu64
           ", namesakes %" PRIu64 ", late news %" PRIu64 ", broken adapters %" PRIu64 "\n",
           numbers->lost, numbers->duplicated, numbers->sent, numbers->crashes, numbers->drains,
           numbers->pauses, numbers->zombies, numbers->partitions, numbers->clock_jumps,
           numbers->failed_writes, numbers->full_disks, numbers->fenced, numbers->unknown_commits,
           numbers->deleted, numbers->namesakes, numbers->late_news, numbers->adapter_breaks);
}

static void print_failure(const world_t *world)
{
    printf("seed %" PRIu64 " with %u steps fails: %s\n", world->options.seed, world->options.steps,
           world->failure);
    if (!world->options.verbose) {
        printf("the last of %" PRIu64 " entries:\n", world->trace.count);
        trace_print(world);
    }
    printf("again: digitalcard-simulate --seed %" PRIu64 " --steps %u%s%s --verbose\n",
           world->options.seed, world->options.steps, world->bug == BUG_none ? "" : " --bug ",
           world->bug == BUG_none ? "" : bug_name(world->bug));
    (void)fflush(stdout);
}

/* An assertion of the product: the seed says how to get there again. */
static void aborted(int number)
{
    (void)signal(number, SIG_DFL);
    world_t *const world = world_current();
    if (world != NULL) {
        (void)snprintf(world->failure, sizeof(world->failure), "an assertion failed");
        print_failure(world);
    }
    (void)raise(number);
}

static bool run_once(const world_options_t *options, uint64_t *hash, world_numbers_t *sum)
{
    world_t *world = NULL;
    const bool holds = world_run(options, &world);
    *hash = world->trace.hash;
    add_numbers(sum, &world->numbers);
    if (!holds) {
        print_failure(world);
        return false; /* the process ends: what is left in pieces is not taken apart */
    }
    world_destroy(&world);
    return true;
}

static bool run_seed(const arguments_t *arguments, uint64_t seed, uint64_t *all,
                     world_numbers_t *sum)
{
    world_options_t options = arguments->options;
    options.seed = seed;
    uint64_t hash = 0;
    if (!run_once(&options, &hash, sum)) {
        return false;
    }
    if (arguments->runs_twice) {
        uint64_t again = 0;
        if (!run_once(&options, &again, sum)) {
            return false;
        }
        if (again != hash) {
            printf("seed %" PRIu64 " has two traces: %016" PRIx64 " and %016" PRIx64 "\n", seed,
                   hash, again);
            return false;
        }
    }
    *all = *all * UINT64_C(0x9e3779b97f4a7c15) + hash;
    if (arguments->seeds == 1) {
        printf("seed %" PRIu64 ": trace %016" PRIx64 "\n", seed, hash);
    }
    return true;
}

static bool run_seeds(const arguments_t *arguments)
{
    uint64_t all = 0;
    world_numbers_t sum = {0};
    for (uint64_t i = 0; i < arguments->seeds; i++) {
        if (!run_seed(arguments, arguments->options.seed + i, &all, &sum)) {
            return false;
        }
    }
    printf("%" PRIu64 " seeds with %u steps hold; trace of all %016" PRIx64 "\n", arguments->seeds,
           arguments->options.steps, all);
    print_numbers(&sum);
    return true;
}

/* --- Planted bugs --- */

/* In a process of its own: with a bug an assertion of the product may be what finds it. */
static bool find_bug(const arguments_t *arguments, bug_t bug)
{
    (void)fflush(stdout);
    int line[2];
    if (pipe(line) != 0) {
        return false;
    }
    const pid_t child = fork();
    if (child == 0) {
        for (uint64_t i = 0; i < arguments->seeds; i++) {
            char text[640];
            world_options_t options = arguments->options;
            options.seed = arguments->options.seed + i;
            options.bug = bug;
            world_t *world = NULL;
            if (!world_run(&options, &world)) {
                const int size =
                    snprintf(text, sizeof(text), "%" PRIu64 " %s", i + 1, world->failure);
                (void)!write(line[1], text, (size_t)size);
                _exit(1);
            }
            world_destroy(&world);
        }
        _exit(0);
    }
    (void)close(line[1]);
    char text[640] = "";
    const ssize_t size = read(line[0], text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = '\0';
    (void)close(line[0]);
    int status = 0;
    (void)waitpid(child, &status, 0);
    const bool is_found = status != 0;
    printf("%-30s %s %s\n", bug_name(bug), is_found ? "found, seed" : "NOT FOUND",
           is_found && size <= 0 ? "of an assertion" : text);
    return is_found;
}

static bool check_bugs(const arguments_t *arguments)
{
    bool found_all = true;
    for (int bug = BUG_none + 1; bug < BUG_COUNT; bug++) {
        if (arguments->options.bug == BUG_none || (int)arguments->options.bug == bug) {
            found_all = find_bug(arguments, (bug_t)bug) && found_all;
        }
    }
    return found_all;
}

/* --- Arguments --- */

static bool parse_number(const char *text, uint64_t *value)
{
    char *end = NULL;
    *value = text == NULL ? 0 : strtoull(text, &end, 10);
    return text != NULL && end != text && *end == '\0';
}

static bool parse(int count, char **words, arguments_t *arguments)
{
    for (int i = 1; i < count; i++) {
        const char *const word = words[i];
        const char *const next = i + 1 < count ? words[i + 1] : NULL;
        uint64_t number = 0;
        if (strcmp(word, "--verbose") == 0) {
            arguments->options.verbose = true;
        } else if (strcmp(word, "--twice") == 0) {
            arguments->runs_twice = true;
        } else if (strcmp(word, "--check-bugs") == 0) {
            arguments->checks_bugs = true;
        } else if (strcmp(word, "--list-bugs") == 0) {
            arguments->lists_bugs = true;
        } else if (strcmp(word, "--bug") == 0 && next != NULL) {
            arguments->options.bug = bug_find(next);
            i++;
            if (arguments->options.bug == BUG_none) {
                return false;
            }
        } else if (parse_number(next, &number)) {
            i++;
            if (strcmp(word, "--seed") == 0) {
                arguments->options.seed = number;
            } else if (strcmp(word, "--seeds") == 0) {
                arguments->seeds = number;
                arguments->was_seeds_given = true;
            } else if (strcmp(word, "--steps") == 0) {
                arguments->options.steps = (uint32_t)number;
            } else if (strcmp(word, "--full-seeds") == 0) {
                arguments->long_seeds = (uint32_t)number;
            } else {
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

int main(int count, char **words)
{
    arguments_t arguments = {.options = {.seed = 1, .steps = STEPS_DEFAULT}, .seeds = 1};
    if (!parse(count, words, &arguments)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (arguments.lists_bugs) {
        for (int bug = BUG_none + 1; bug < BUG_COUNT; bug++) {
            printf("%-30s %s\n", bug_name((bug_t)bug), bug_text((bug_t)bug));
        }
        return EXIT_SUCCESS;
    }
    const char *const full = getenv("DIGITALCARD_TEST_FULL");
    if (full != NULL && strcmp(full, "1") == 0 && arguments.long_seeds > 0) {
        arguments.seeds = arguments.long_seeds;
    }
    if (signer_start() != RESULT_OK) {
        return EXIT_FAILURE;
    }
    if (arguments.checks_bugs) {
        arguments.seeds = arguments.was_seeds_given ? arguments.seeds : BUG_SEEDS_DEFAULT;
        return check_bugs(&arguments) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    (void)signal(SIGABRT, aborted);
    return run_seeds(&arguments) ? EXIT_SUCCESS : EXIT_FAILURE;
}
