/* webhooks list|add|remove|enable|rotate|replay|log: arguments in, control commands, their answers
 * out. */
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/control/control_client.h"
#include "runtime/limits.h"

#include <stdio.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 8, OVERLAP_S = 86400, LOG_LINES = 20 };

typedef struct webhook_arguments {
    configuration_t configuration;
    const char *name;
    const char *tenant;
    const char *url;
    uint64_t overlap_s;
    uint64_t partition;
    uint64_t from;
    uint64_t to;
    uint64_t limit;
    bool json;
} webhook_arguments_t;

/* `own`: the options of this command alone. */
static bool begin(const command_t *command, int argc, char **argv, const option_t *own,
                  size_t own_count, webhook_arguments_t *arguments, int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    const bool with_name = *command->arguments != '\0';
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "Of this organisation");
    for (size_t i = 0; i < own_count; i++) {
        options[count++] = own[i];
    }
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &arguments->name, with_name ? 1 : 0,
                         status)) {
        return false;
    }
    if (with_name && arguments->tenant == NULL) {
        *status = EXIT_USAGE;
        (void)command_fail("--tenant is needed: a webhook is one organisation's");
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

/* Takes `request`. */
static int run(webhook_arguments_t *arguments, json_t *request, void (*print)(const json_t *answer))
{
    json_t *answer = control_client_execute(&arguments->configuration, request, false);
    configuration_release(&arguments->configuration);
    return answer_finish(answer, arguments->json, print);
}

static void print_list(const json_t *answer)
{
    const json_t *entry = NULL;
    size_t i = 0;
    (void)printf("%-24s  %-24s  %-9s  %-18s  %s\n", "TENANT", "WEBHOOK", "STATE", "REASON", "URL");
    json_array_foreach(json_object_get(answer, "webhooks"), i, entry)
    {
        (void)printf("%-24s  %-24s  %-9s  %-18s  %s\n", answer_text(entry, "tenant"),
                     answer_text(entry, "name"), answer_text(entry, "state"),
                     answer_text(entry, "reason"), answer_text(entry, "url"));
    }
}

static void print_secret(const json_t *answer)
{
    (void)printf("The secret of %s, shown only now:\n%s\n", answer_text(answer, "name"),
                 answer_text(answer, "secret"));
    if (json_object_get(answer, "previous_secret_until") != NULL) {
        (void)printf("The old one signs too until %s\n",
                     answer_text(answer, "previous_secret_until"));
    }
}

static void print_done(const json_t *answer)
{
    (void)printf("%s of %s: done\n", answer_text(answer, "name"), answer_text(answer, "tenant"));
}

static void print_log(const json_t *answer)
{
    const json_t *entry = NULL;
    size_t i = 0;
    (void)printf("%-24s  %-9s  %10s  %-18s  %-9s  %8s  %6s  %s\n", "LAST", "PARTITION", "SEQUENCE",
                 "EVENT", "STATE", "ATTEMPTS", "STATUS", "DETAIL");
    json_array_foreach(json_object_get(answer, "deliveries"), i, entry)
    {
        (void)printf("%-24s  %9lld  %10lld  %-18s  %-9s  %8lld  %6lld  %s\n",
                     answer_text(entry, "last_at"), answer_number(entry, "partition"),
                     answer_number(entry, "sequence"), answer_text(entry, "event"),
                     answer_text(entry, "state"), answer_number(entry, "attempts"),
                     answer_number(entry, "status"), answer_text(entry, "detail"));
    }
}

int command_webhooks_list(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    webhook_arguments_t arguments = {0};
    if (!begin(command, argc, argv, NULL, 0, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s*}", "command", "webhook.list", "tenant", arguments.tenant),
               print_list);
}

int command_webhooks_add(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    webhook_arguments_t arguments = {.url = ""};
    const option_t own[] = {OPTION_TEXT("url", "URL", &arguments.url, "Where events are sent")};
    if (!begin(command, argc, argv, own, 1, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s,s:s,s:s}", "command", "webhook.add", "tenant", arguments.tenant,
                         "name", arguments.name, "url", arguments.url),
               print_secret);
}

static int change(const command_t *command, int argc, char **argv, const char *what)
{
    int status = EXIT_OK;
    webhook_arguments_t arguments = {0};
    if (!begin(command, argc, argv, NULL, 0, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s,s:s}", "command", what, "tenant", arguments.tenant, "name",
                         arguments.name),
               print_done);
}

int command_webhooks_remove(const command_t *command, int argc, char **argv)
{
    return change(command, argc, argv, "webhook.remove");
}

int command_webhooks_enable(const command_t *command, int argc, char **argv)
{
    return change(command, argc, argv, "webhook.enable");
}

int command_webhooks_rotate(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    webhook_arguments_t arguments = {.overlap_s = OVERLAP_S};
    const option_t own[] = {OPTION_NUMBER("overlap-s", "SECONDS", &arguments.overlap_s,
                                          "How long the old secret signs too (86400)")};
    if (!begin(command, argc, argv, own, 1, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s,s:s,s:I}", "command", "webhook.rotate", "tenant",
                         arguments.tenant, "name", arguments.name, "overlap_s",
                         (json_int_t)arguments.overlap_s),
               print_secret);
}

int command_webhooks_replay(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    webhook_arguments_t arguments = {.from = 0, .to = 0};
    const option_t own[] = {
        OPTION_NUMBER("partition", "N", &arguments.partition, "Of the tenant (0)"),
        OPTION_NUMBER("from", "SEQUENCE", &arguments.from, "The first one"),
        OPTION_NUMBER("to", "SEQUENCE", &arguments.to, "The last one")};
    if (!begin(command, argc, argv, own, 3, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "command", "webhook.replay", "tenant",
                         arguments.tenant, "name", arguments.name, "partition",
                         (json_int_t)arguments.partition, "from", (json_int_t)arguments.from, "to",
                         (json_int_t)arguments.to),
               print_done);
}

int command_webhooks_log(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    webhook_arguments_t arguments = {.limit = LOG_LINES};
    const option_t own[] = {OPTION_NUMBER("limit", "N", &arguments.limit, "At most so many (20)")};
    if (!begin(command, argc, argv, own, 1, &arguments, &status)) {
        return status;
    }
    return run(&arguments,
               json_pack("{s:s,s:s,s:s,s:I}", "command", "webhook.log", "tenant", arguments.tenant,
                         "name", arguments.name, "limit", (json_int_t)arguments.limit),
               print_log);
}
