/* webhooks list|add|remove|enable|rotate|replay|log: arguments in, control commands, their answers
 * out. */
#include "adapters/cli/commands/tenant_arguments.h"

#include <stdio.h>

enum { OVERLAP_S = 86400, LOG_LINES = 20 };

static const char why_tenant[] = "a webhook is one organisation's";

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
    tenant_arguments_t arguments = {0};
    if (!tenant_arguments_begin(command, argc, argv, NULL, 0, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(
        &arguments, json_pack("{s:s,s:s*}", "command", "webhook.list", "tenant", arguments.tenant),
        print_list);
}

int command_webhooks_add(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    const char *url = NULL;
    tenant_arguments_t arguments = {0};
    const option_t own[] = {OPTION_TEXT("url", "URL", &url, "Where events are sent")};
    if (!tenant_arguments_begin(command, argc, argv, own, 1, why_tenant, &arguments, &status)) {
        return status;
    }
    if (url == NULL) {
        configuration_release(&arguments.configuration);
        return command_misuse(command, "--url URL is missing");
    }
    return tenant_arguments_run(&arguments,
                                json_pack("{s:s,s:s,s:s,s:s}", "command", "webhook.add", "tenant",
                                          arguments.tenant, "name", arguments.name, "url", url),
                                print_secret);
}

static int change(const command_t *command, int argc, char **argv, const char *what)
{
    int status = EXIT_OK;
    tenant_arguments_t arguments = {0};
    if (!tenant_arguments_begin(command, argc, argv, NULL, 0, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(&arguments,
                                json_pack("{s:s,s:s,s:s}", "command", what, "tenant",
                                          arguments.tenant, "name", arguments.name),
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
    uint64_t overlap_s = OVERLAP_S;
    tenant_arguments_t arguments = {0};
    const option_t own[] = {OPTION_NUMBER("overlap-s", "SECONDS", &overlap_s,
                                          "How long the old secret signs too (86400)")};
    if (!tenant_arguments_begin(command, argc, argv, own, 1, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(&arguments,
                                json_pack("{s:s,s:s,s:s,s:I}", "command", "webhook.rotate",
                                          "tenant", arguments.tenant, "name", arguments.name,
                                          "overlap_s", (json_int_t)overlap_s),
                                print_secret);
}

int command_webhooks_replay(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    uint64_t partition = 0;
    uint64_t from = 0;
    uint64_t to = 0;
    tenant_arguments_t arguments = {0};
    const option_t own[] = {OPTION_NUMBER("partition", "N", &partition, "Of the tenant (0)"),
                            OPTION_NUMBER("from", "SEQUENCE", &from, "The first one"),
                            OPTION_NUMBER("to", "SEQUENCE", &to, "The last one")};
    if (!tenant_arguments_begin(command, argc, argv, own, 3, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(&arguments,
                                json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "command", "webhook.replay",
                                          "tenant", arguments.tenant, "name", arguments.name,
                                          "partition", (json_int_t)partition, "from",
                                          (json_int_t)from, "to", (json_int_t)to),
                                print_done);
}

int command_webhooks_log(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    uint64_t limit = LOG_LINES;
    tenant_arguments_t arguments = {0};
    const option_t own[] = {OPTION_NUMBER("limit", "N", &limit, "At most so many (20)")};
    if (!tenant_arguments_begin(command, argc, argv, own, 1, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(&arguments,
                                json_pack("{s:s,s:s,s:s,s:I}", "command", "webhook.log", "tenant",
                                          arguments.tenant, "name", arguments.name, "limit",
                                          (json_int_t)limit),
                                print_log);
}
