/* Arguments of commands about what one organisation has under a name (flags, webhooks): what all of
 * them take, and the way of the request to the service and of its answer to standard output. */
#ifndef ADAPTERS_CLI_COMMANDS_TENANT_ARGUMENTS_H
#define ADAPTERS_CLI_COMMANDS_TENANT_ARGUMENTS_H

#include "adapters/cli/command.h"
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/configuration.h"

enum { TENANT_ARGUMENTS_OWN_MAX = 4 };

typedef struct tenant_arguments {
    configuration_t configuration;
    const char *name; /* when the command takes one */
    const char *tenant;
    bool json;
} tenant_arguments_t;

/* `own`: the options of this command alone, up to TENANT_ARGUMENTS_OWN_MAX. A command that takes a
 * name needs --tenant, since `why`. False: nothing is left to do, `*status` is the exit status. */
bool tenant_arguments_begin(const command_t *command, int argc, char **argv, const option_t *own,
                            size_t own_count, const char *why, tenant_arguments_t *arguments,
                            int *status);
/* Sends `request`, which it takes, and prints the answer. Returns the exit status. */
int tenant_arguments_run(tenant_arguments_t *arguments, json_t *request, answer_print_t *print);

#endif
