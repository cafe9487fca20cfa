/* See the header. */
#include "adapters/cli/commands/tenant_arguments.h"

#include "adapters/cli/control/control_client.h"
#include <assert.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + TENANT_ARGUMENTS_OWN_MAX + 2 };

bool tenant_arguments_begin(const command_t *command, int argc, char **argv, const option_t *own,
                            size_t own_count, const char *why, tenant_arguments_t *arguments,
                            int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    const bool with_name = *command->arguments != '\0';
    assert(own_count <= TENANT_ARGUMENTS_OWN_MAX);
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
        *status = command_misuse(command, "--tenant T is missing: %s", why);
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

int tenant_arguments_run(tenant_arguments_t *arguments, json_t *request, answer_print_t *print)
{
    json_t *answer = control_client_execute(&arguments->configuration, request, false);
    configuration_release(&arguments->configuration);
    return answer_finish(answer, arguments->json, print);
}
