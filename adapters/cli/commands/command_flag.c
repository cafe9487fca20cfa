/* flag list|set|unset: arguments in, control commands, their answers out. */
#include "actors/domain/flag.h"
#include "adapters/cli/commands/tenant_arguments.h"

#include <stdio.h>

static const char why_tenant[] = "a flag is set for one organisation";

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

int command_flag_list(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    tenant_arguments_t arguments = {0};
    if (!tenant_arguments_begin(command, argc, argv, NULL, 0, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(
        &arguments, json_pack("{s:s,s:s*}", "command", "flag.list", "tenant", arguments.tenant),
        print_list);
}

int command_flag_set(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    uint64_t percent = FLAG_PERCENT_MAX;
    tenant_arguments_t arguments = {0};
    const option_t own[] = {
        OPTION_NUMBER("percent", "N", &percent, "For this share of its cards, 0 to 100 (100)")};
    if (!tenant_arguments_begin(command, argc, argv, own, 1, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(&arguments,
                                json_pack("{s:s,s:s,s:s,s:I}", "command", "flag.set", "tenant",
                                          arguments.tenant, "name", arguments.name, "percent",
                                          (json_int_t)percent),
                                print_change);
}

int command_flag_unset(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    tenant_arguments_t arguments = {0};
    if (!tenant_arguments_begin(command, argc, argv, NULL, 0, why_tenant, &arguments, &status)) {
        return status;
    }
    return tenant_arguments_run(&arguments,
                                json_pack("{s:s,s:s,s:s}", "command", "flag.unset", "tenant",
                                          arguments.tenant, "name", arguments.name),
                                print_change);
}
