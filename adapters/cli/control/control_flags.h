/* The control commands flag.*, of control_commands.c and nobody else. Each answers as
 * control_command_execute. */
#ifndef ADAPTERS_CLI_CONTROL_FLAGS_H
#define ADAPTERS_CLI_CONTROL_FLAGS_H

#include "adapters/cli/control/control_commands.h"

json_t *control_flag_list(const control_commands_t *commands, const json_t *command, bool *changed);
json_t *control_flag_set(const control_commands_t *commands, const json_t *command, bool *changed);
json_t *control_flag_unset(const control_commands_t *commands, const json_t *command,
                           bool *changed);

#endif
