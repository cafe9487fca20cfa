/* What every command of `digitalcard` is made of. A command parses its arguments, does its work,
 * prints data on standard output and one clear line per error on standard error, and returns the
 * exit status. */
#ifndef ADAPTERS_CLI_COMMAND_H
#define ADAPTERS_CLI_COMMAND_H

#include "runtime/result.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct command {
    const char *words;     /* "tenant create" */
    const char *arguments; /* "NAME": what stands besides options */
    const char *summary;
    int (*run)(const struct command *command, int argc, char **argv); /* argv without the words */
} command_t;

#define COMMAND(words, function, arguments, summary)                                               \
    int function(const command_t *command, int argc, char **argv);
#include "adapters/cli/commands/commands.def"
#undef COMMAND
/* The internal one: `digitalcard role front|shard|relay …`. */
int command_role(const command_t *command, int argc, char **argv);

/* `store verify FILE`: of command_verify_file.c. */
int command_verify_file(const char *file, bool json);

/* "digitalcard: …" and a line end on standard error. Returns EXIT_FAILED. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints as indented JSON and releases it. Returns EXIT_OK. */
int command_print_json(json_t *json);

#endif
