/* Options and plain arguments of a command, from one table that also makes its --help. */
#ifndef ADAPTERS_CLI_ARGUMENTS_H
#define ADAPTERS_CLI_ARGUMENTS_H

#include "adapters/cli/command.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum option_kind {
    OPTION_KIND_TEXT,
    OPTION_KIND_NUMBER,
    OPTION_KIND_FLAG,
} option_kind_t;

typedef struct option {
    const char *name; /* without the two dashes */
    option_kind_t kind;
    const char *value_name; /* "DIR"; NULL for a flag */
    const char *help;
    union {
        const char **text; /* borrowed from argv */
        uint64_t *number;  /* 0 … 2^63 - 1 */
        bool *flag;
    } target;
} option_t;

#define OPTION_TEXT(option_name, value, target_pointer, explanation)                               \
    ((option_t){                                                                                   \
        (option_name), OPTION_KIND_TEXT, (value), (explanation), {.text = (target_pointer)}})
#define OPTION_NUMBER(option_name, value, target_pointer, explanation)                             \
    ((option_t){                                                                                   \
        (option_name), OPTION_KIND_NUMBER, (value), (explanation), {.number = (target_pointer)}})
#define OPTION_FLAG(option_name, target_pointer, explanation)                                      \
    ((option_t){(option_name), OPTION_KIND_FLAG, NULL, (explanation), {.flag = (target_pointer)}})

/* A decimal number without sign; false for anything else. */
bool arguments_number(const char *text, uint64_t *number);

/* `--name value`, `--name=value`, `--flag`; `--` ends options. `plain` gets exactly `plain_count`
 * arguments. False when the command is to end now with `*status`: help was asked for (EXIT_OK), or
 * the arguments cannot be used (EXIT_USAGE, said on standard error). */
bool arguments_parse(const command_t *command, int argc, char **argv, const option_t *options,
                     size_t option_count, const char **plain, size_t plain_count, int *status);

/* The same with at most one plain argument; `plain` NULL: with none. */
bool arguments_parse_optional(const command_t *command, int argc, char **argv,
                              const option_t *options, size_t option_count, const char **plain,
                              int *status);

/* "digitalcard: WORDS: …; see digitalcard WORDS --help" and a line end on standard error: for a
 * mistake in how a command was called. Returns EXIT_USAGE. */
int command_misuse(const command_t *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
