/* flag list|set|unset: arguments in, control commands, their answers out. */
#include "actors/domain/flag.h"
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/control/control_client.h"

#include <stdio.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 4 };

typedef struct flag_arguments {
    configuration_t configuration;
    const char *name;
    const char *tenant;
    uint64_t percent;
    bool json;
} flag_arguments_t;

static bool begin(const command_t *command, int argc, char **argv, bool with_percent,
                  flag_arguments_t *arguments, int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    const bool with_name = *command->arguments != '\0';
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "Of this organisation");
    if (with_percent) {
        options[count++] = OPTION_NUMBER("percent", "N", &arguments->percent,
                                         "For this share of its cards, 0 to 100 (100)");
    }
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &arguments->name, with_name ? 1 : 0,
                         status)) {
        return false;
    }
    if (with_name && arguments->tenant == NULL) {
        *status = EXIT_USAGE;
        (void)command_fail("--tenant is needed: a flag is set for one organisation");
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

static void print_list(const json_t *answer)
{
    const json_t *entry = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(answer, "known"), i, entry)
    {
        (void)printf("%s: %s\n", answer_text(entry, "name"), answer_text(entry, "about"));
    }
    (void)printf("\n%-24s  %-32s  %7s  %s\n", "TENANT", "FLAG", "PERCENT", "SINCE");
    json_array_foreach(json_object_get(answer, "flags"), i, entry)
    {
        (void)printf("%-24s  %-32s  %7lld  %s\n", answer_text(entry, "tenant"),
                     answer_text(entry, "name"), answer_number(entry, "percent"),
                     answer_text(entry, "changed_at"));
    }
}

static void print_change(const json_t *answer)
{
    const json_t *percent = json_object_get(answer, "percent");
    if (json_is_null(percent)) {
        (void)printf("%s is no longer set for %s\n", answer_text(answer, "name"),
                     answer_text(answer, "tenant"));
    } else {
        (void)printf("%s is on for %lld percent of the cards of %s\n", answer_text(answer, "name"),
                     (long long)json_integer_value(percent), answer_text(answer, "tenant"));
    }
}

/* Takes `command`. */
static int run(flag_arguments_t *arguments, json_t *command, void (*print)(const json_t *answer))
{
    json_t *answer = control_client_execute(&arguments->configuration, command, false);
    configuration_release(&arguments->configuration);
    return answer_finish(answer, arguments->json, print);
}

int command_flag_list(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    flag_arguments_t arguments = {0};
    if (!begin(command, argc, argv, false, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s*}", "command", "flag.list", "tenant", arguments.tenant),
               print_list);
}

int command_flag_set(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    flag_arguments_t arguments = {.percent = FLAG_PERCENT_MAX};
    if (!begin(command, argc, argv, true, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s,s:s,s:I}", "command", "flag.set", "tenant", arguments.tenant,
                         "name", arguments.name, "percent", (json_int_t)arguments.percent),
               print_change);
}

int command_flag_unset(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    flag_arguments_t arguments = {0};
    if (!begin(command, argc, argv, false, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s,s:s}", "command", "flag.unset", "tenant", arguments.tenant,
                         "name", arguments.name),
               print_change);
}
