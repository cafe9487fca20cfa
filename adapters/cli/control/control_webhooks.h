/* The control commands webhook.*, of control_commands.c and nobody else. Each answers as
 * control_command_execute. */
#ifndef ADAPTERS_CLI_CONTROL_WEBHOOKS_H
#define ADAPTERS_CLI_CONTROL_WEBHOOKS_H

#include "adapters/cli/control/control_commands.h"

json_t *control_webhook_list(const control_commands_t *commands, const json_t *command,
                             bool *changed);
json_t *control_webhook_add(const control_commands_t *commands, const json_t *command,
                            bool *changed);
json_t *control_webhook_remove(const control_commands_t *commands, const json_t *command,
                               bool *changed);
json_t *control_webhook_enable(const control_commands_t *commands, const json_t *command,
                               bool *changed);
json_t *control_webhook_rotate(const control_commands_t *commands, const json_t *command,
                               bool *changed);
json_t *control_webhook_replay(const control_commands_t *commands, const json_t *command,
                               bool *changed);
json_t *control_webhook_log(const control_commands_t *commands, const json_t *command,
                            bool *changed);

#endif
