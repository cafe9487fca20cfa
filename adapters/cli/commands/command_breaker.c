/* breaker list|open|close|reset: arguments in, commands of the adapters role, their answers out. */
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/control/control_client.h"

#include <stdio.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 4 };

typedef struct breaker_arguments {
    configuration_t configuration;
    const char *adapter;
    const char *tenant;
    bool json;
} breaker_arguments_t;

static bool begin(const command_t *command, int argc, char **argv, breaker_arguments_t *arguments,
                  int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    const bool with_adapter = *command->arguments != '\0';
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "Of this organisation");
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &arguments->adapter,
                         with_adapter ? 1 : 0, status)) {
        return false;
    }
    if (with_adapter && arguments->tenant == NULL) {
        *status = command_misuse(command, "--tenant T is missing: a breaker is one organisation's");
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

static void print_list(const json_t *answer)
{
    const json_t *entry = NULL;
    size_t i = 0;
    (void)printf("%-24s  %-12s  %-9s  %7s  %8s  %8s  %9s  %s\n", "TENANT", "ADAPTER", "STATE",
                 "SINCE s", "ANSWERED", "FAILED", "NOT ASKED", "LAST ERROR");
    json_array_foreach(json_object_get(answer, "breakers"), i, entry)
    {
        (void)printf("%-24s  %-12s  %-9s  %7lld  %8lld  %8lld  %9lld  %s%s\n",
                     answer_text(entry, "tenant"), answer_text(entry, "adapter"),
                     answer_text(entry, "state"), answer_number(entry, "changed_ms_ago") / 1000,
                     answer_number(entry, "answered"), answer_number(entry, "failed"),
                     answer_number(entry, "not_asked"), answer_text(entry, "last_error"),
                     json_is_true(json_object_get(entry, "by_hand")) ? " (by hand)" : "");
    }
    if (answer_number(answer, "breakers_left_out") > 0) {
        (void)printf("… and %lld more: --tenant T shows those of one organisation\n",
                     answer_number(answer, "breakers_left_out"));
    }
}

/* Takes `command`. Breakers live in a running service alone. */
static int run(breaker_arguments_t *arguments, json_t *command)
{
    json_t *answer = control_client_ask_service(&arguments->configuration, command);
    configuration_release(&arguments->configuration);
    return answer_finish(answer, arguments->json, print_list);
}

static int change(const command_t *command, int argc, char **argv, const char *name)
{
    int status = EXIT_OK;
    breaker_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, &status)) {
        return status;
    }
    return run(&arguments, json_pack("{s:s,s:s,s:s}", "command", name, "adapter", arguments.adapter,
                                     "tenant", arguments.tenant));
}

int command_breaker_list(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    breaker_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s*}", "command", "breaker.list", "tenant", arguments.tenant));
}

int command_breaker_open(const command_t *command, int argc, char **argv)
{
    return change(command, argc, argv, "breaker.open");
}

int command_breaker_close(const command_t *command, int argc, char **argv)
{
    return change(command, argc, argv, "breaker.close");
}

int command_breaker_reset(const command_t *command, int argc, char **argv)
{
    return change(command, argc, argv, "breaker.reset");
}
