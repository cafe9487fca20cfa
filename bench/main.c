/* digitalcard-bench: one table of subcommands. Each measures one thing and knows its own options.
 */
#include "bench/bench.h"

#include "adapters/journal_sqlite/journal_sqlite.h"

#include <stdio.h>
#include <string.h>

static const bench_command_t *const commands[] = {
    &bench_http_command,
    &bench_api_command,
    &bench_actors_command,
    &bench_journal_command,
};

static void print_help(FILE *out)
{
    fputs("Usage: digitalcard-bench COMMAND …\n\n", out);
    for (size_t index = 0; index < sizeof(commands) / sizeof(commands[0]); index++) {
        fprintf(out, "  %-10s %s\n", commands[index]->name, commands[index]->help);
    }
    fputs("\ndigitalcard-bench COMMAND --help tells its options.\n", out);
}

int main(int argc, char **argv)
{
    journal_sqlite_process_begin();
    if (argc < 2) {
        print_help(stderr);
        return BENCH_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return BENCH_EXIT_OK;
    }
    for (size_t index = 0; index < sizeof(commands) / sizeof(commands[0]); index++) {
        if (strcmp(argv[1], commands[index]->name) == 0) {
            return commands[index]->run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "digitalcard-bench: there is no command '%s'\n", argv[1]);
    print_help(stderr);
    return BENCH_EXIT_USAGE;
}
