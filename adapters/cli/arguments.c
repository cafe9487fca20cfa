/* Parsing of command lines and their help pages. It opens nothing and knows no command. */
#include "adapters/cli/arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 28 };

bool arguments_number(const char *text, uint64_t *number)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || value > (uint64_t)(INT64_MAX / 10 - 9)) {
            return false;
        }
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *number = value;
    return true;
}

static void print_option(const char *name, const char *value_name, const char *help)
{
    char left[64];
    (void)snprintf(left, sizeof left, "--%s%s%s", name, value_name == NULL ? "" : " ",
                   value_name == NULL ? "" : value_name);
    (void)printf("  %-*s %s\n", HELP_COLUMN, left, help);
}

static void print_help(const command_t *command, const option_t *options, size_t count)
{
    (void)printf("%s.\n\nUsage: digitalcard %s%s%s [OPTIONS]\n\nOptions:\n", command->summary,
                 command->words, *command->arguments == '\0' ? "" : " ", command->arguments);
    for (size_t i = 0; i < count; i++) {
        print_option(options[i].name, options[i].value_name, options[i].help);
    }
    print_option("help", NULL, "Show this page");
}

int command_misuse(const command_t *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "digitalcard: %s: ", command->words);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "; see digitalcard %s --help\n", command->words);
    va_end(arguments);
    return EXIT_USAGE;
}

static const option_t *find_option(const option_t *options, size_t count, const char *name,
                                   size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* Takes one option at argv[*at]; moves `at` when its value is the next argument. */
static int take_option(const command_t *command, const option_t *options, size_t count, int argc,
                       char **argv, int *at)
{
    const char *given = argv[*at];
    const char *name = given + 2;
    const char *equals = strchr(name, '=');
    const option_t *option =
        find_option(options, count, name, equals == NULL ? strlen(name) : (size_t)(equals - name));
    if (option == NULL) {
        return command_misuse(command, "unknown option %s", given);
    }
    if (option->kind == OPTION_KIND_FLAG) {
        if (equals != NULL) {
            return command_misuse(command, "this option takes no value: %s", given);
        }
        *option->target.flag = true;
        return EXIT_OK;
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    if (value == NULL) {
        if (*at + 1 >= argc) {
            return command_misuse(command, "a value is missing after %s", given);
        }
        (*at)++;
        value = argv[*at];
    }
    if (option->kind == OPTION_KIND_TEXT) {
        *option->target.text = value;
    } else if (!arguments_number(value, option->target.number)) {
        return command_misuse(command, "--%s must be a whole number, not %s", option->name, value);
    }
    return EXIT_OK;
}

static bool parse(const command_t *command, int argc, char **argv, const option_t *options,
                  size_t option_count, const char **plain, size_t plain_count, size_t *plain_used,
                  int *status)
{
    bool options_end = false;
    *status = EXIT_OK;
    for (int at = 0; at < argc && *status == EXIT_OK; at++) {
        const bool is_option = !options_end && argv[at][0] == '-' && argv[at][1] != '\0';
        if (!is_option) {
            if (*plain_used == plain_count) {
                *status = command_misuse(command, "unexpected argument %s", argv[at]);
                break;
            }
            plain[*plain_used] = argv[at];
            (*plain_used)++;
        } else if (strcmp(argv[at], "--") == 0) {
            options_end = true;
        } else if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            print_help(command, options, option_count);
            return false;
        } else if (strncmp(argv[at], "--", 2) == 0) {
            *status = take_option(command, options, option_count, argc, argv, &at);
        } else {
            *status = command_misuse(command, "unknown option %s", argv[at]);
        }
    }
    return *status == EXIT_OK;
}

bool arguments_parse(const command_t *command, int argc, char **argv, const option_t *options,
                     size_t option_count, const char **plain, size_t plain_count, int *status)
{
    size_t plain_used = 0;
    if (!parse(command, argc, argv, options, option_count, plain, plain_count, &plain_used,
               status)) {
        return false;
    }
    if (plain_used < plain_count) {
        *status = command_misuse(command, "%s is missing", command->arguments);
    }
    return *status == EXIT_OK;
}

bool arguments_parse_optional(const command_t *command, int argc, char **argv,
                              const option_t *options, size_t option_count, const char **plain,
                              int *status)
{
    size_t plain_used = 0;
    return parse(command, argc, argv, options, option_count, plain, plain == NULL ? 0 : 1,
                 &plain_used, status);
}
