/* `digitalcard`: finds the command and runs it. Everything else stands in the file of the command.
 */
#include "adapters/cli/command.h"

#include "adapters/journal_sqlite/journal_sqlite.h"
#include "runtime/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND(words, function, arguments, summary) {(words), (arguments), (summary), function},
static const command_t commands[] = {
#include "adapters/cli/commands/commands.def"
};
#undef COMMAND
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

int command_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("digitalcard: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return EXIT_FAILED;
}

int command_print_json(json_t *json)
{
    if (json == NULL) {
        return command_fail("no memory");
    }
    (void)json_dumpf(json, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(json);
    return EXIT_OK;
}

/* Number of leading arguments that are the command's words; 0 when it is another command. */
static int words_matched(const char *words, int argc, char **argv)
{
    int count = 0;
    while (*words != '\0') {
        const size_t size = strcspn(words, " ");
        if (count == argc || strlen(argv[count]) != size || memcmp(argv[count], words, size) != 0) {
            return 0;
        }
        count++;
        words += size;
        words += *words == ' ' ? 1 : 0;
    }
    return count;
}

static bool is_in_group(const command_t *command, const char *group)
{
    const size_t size = strlen(group);
    return strncmp(command->words, group, size) == 0 && command->words[size] == ' ';
}

static void print_commands(FILE *out, const char *group)
{
    (void)fputs("Usage: digitalcard COMMAND [OPTIONS]; digitalcard COMMAND --help says more\n",
                out);
    (void)fputs(group != NULL ? "\n"
                              : "What a command works on: --data DIR (./var) and --store STORE "
                                "(sqlite). Also while the service runs.\n\n",
                out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char left[64];
        if (group != NULL && !is_in_group(&commands[i], group)) {
            continue;
        }
        (void)snprintf(left, sizeof left, "%s %s", commands[i].words, commands[i].arguments);
        (void)fprintf(out, "  %-24s %s\n", left, commands[i].summary);
    }
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (is_in_group(&commands[i], word)) {
            return true;
        }
    }
    return false;
}

static bool is_one_of(const char *word, const char *one, const char *other)
{
    return strcmp(word, one) == 0 || strcmp(word, other) == 0;
}

static const command_t *find_command(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        *words = words_matched(commands[i].words, argc, argv);
        if (*words > 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* What is none of the commands: a group without one, or with another word behind it, or nothing. */
static int refuse(int argc, char **argv)
{
    if (!is_group(argv[0])) {
        (void)fprintf(stderr, "digitalcard: unknown command %s; see digitalcard --help\n", argv[0]);
        return EXIT_USAGE;
    }
    if (argc > 1 && is_one_of(argv[1], "--help", "-h")) {
        print_commands(stdout, argv[0]);
        return EXIT_OK;
    }
    if (argc > 1) {
        (void)fprintf(stderr, "digitalcard: unknown command %s %s; see digitalcard %s --help\n",
                      argv[0], argv[1], argv[0]);
        return EXIT_USAGE;
    }
    print_commands(stderr, argv[0]);
    return EXIT_USAGE;
}

/* `help`, `help tenant` and `help tenant create`. */
static int show_help(int argc, char **argv)
{
    char option[] = "--help";
    char *asks[] = {option};
    int words = 0;
    if (argc == 0) {
        print_commands(stdout, NULL);
        return EXIT_OK;
    }
    const command_t *const command = find_command(argc, argv, &words);
    if (command != NULL) {
        return command->run(command, 1, asks);
    }
    if (argc == 1 && is_group(argv[0])) {
        print_commands(stdout, argv[0]);
        return EXIT_OK;
    }
    return refuse(argc, argv);
}

int main(int argc, char **argv)
{
    char version[] = "version";
    static const command_t role = {"role", "front|shard|relay|adapters", "Run one role",
                                   command_role};
    if (argc < 2) {
        print_commands(stderr, NULL);
        return EXIT_USAGE;
    }
    if (is_one_of(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0) {
        return show_help(argc - 2, argv + 2);
    }
    if (is_one_of(argv[1], "--version", "-V")) {
        argv[1] = version;
    }
    journal_sqlite_process_begin();
    log_start("command", LOG_WARN_LEVEL); /* serve and roles say it anew */
    if (strcmp(argv[1], "role") == 0) {
        return command_role(&role, argc - 2, argv + 2);
    }
    int words = 0;
    const command_t *const command = find_command(argc - 1, argv + 1, &words);
    if (command != NULL) {
        const int status = command->run(command, argc - 1 - words, argv + 1 + words);
        if (fflush(stdout) != 0 && status == EXIT_OK) {
            return command_fail("standard output cannot be written");
        }
        return status;
    }
    return refuse(argc - 1, argv + 1);
}
