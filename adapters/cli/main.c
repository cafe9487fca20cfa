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

static void print_commands(FILE *out, const char *group)
{
    (void)fputs("Usage: digitalcard COMMAND [OPTIONS]; digitalcard COMMAND --help says more\n\n",
                out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char left[64];
        if (group != NULL && strncmp(commands[i].words, group, strlen(group)) != 0) {
            continue;
        }
        (void)snprintf(left, sizeof left, "%s %s", commands[i].words, commands[i].arguments);
        (void)fprintf(out, "  %-22s %s\n", left, commands[i].summary);
    }
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const size_t size = strlen(word);
        if (strncmp(commands[i].words, word, size) == 0 && commands[i].words[size] == ' ') {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static const command_t role = {"role", "front|shard|relay", "Run one role", command_role};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_commands(argc < 2 ? stderr : stdout, NULL);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    journal_sqlite_process_begin();
    log_start("command", LOG_WARN_LEVEL); /* serve and roles say it anew */
    if (strcmp(argv[1], "role") == 0) {
        return command_role(&role, argc - 2, argv + 2);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const int words = words_matched(commands[i].words, argc - 1, argv + 1);
        if (words > 0) {
            const int status = commands[i].run(&commands[i], argc - 1 - words, argv + 1 + words);
            if (fflush(stdout) != 0 && status == EXIT_OK) {
                return command_fail("standard output cannot be written");
            }
            return status;
        }
    }
    if (is_group(argv[1])) {
        const bool help = argc > 2 && strcmp(argv[2], "--help") == 0;
        print_commands(help ? stdout : stderr, argv[1]);
        return help ? EXIT_OK : EXIT_USAGE;
    }
    (void)fprintf(stderr, "digitalcard: unknown command %s; see digitalcard --help\n", argv[1]);
    return EXIT_USAGE;
}
