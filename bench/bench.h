/* What the subcommands of digitalcard-bench share: the table of commands, the statistics of
 * several runs, and the memory of this one. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bench_command {
    const char *name;
    const char *help;                  /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit status */
} bench_command_t;

enum { BENCH_EXIT_OK, BENCH_EXIT_FAILED, BENCH_EXIT_USAGE };

extern const bench_command_t bench_actors_command;
extern const bench_command_t bench_http_command;
extern const bench_command_t bench_api_command;
extern const bench_command_t bench_journal_command;

enum { BENCH_RUNS_MAX = 1000 };

typedef struct bench_spread {
    double median;
    double min;
    double max;
} bench_spread_t;

/* `values` are sorted by the call; count > 0. */
bench_spread_t bench_spread(double *values, size_t count);

/* Bytes of this process that are in memory; 0 when the system does not say. */
uint64_t bench_memory_resident(void);

#endif
