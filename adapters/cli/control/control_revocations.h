/* The control command token.revoke, of control_commands.c and nobody else. Answers as
 * control_command_execute. */
#ifndef ADAPTERS_CLI_CONTROL_REVOCATIONS_H
#define ADAPTERS_CLI_CONTROL_REVOCATIONS_H

#include "adapters/cli/control/control_commands.h"

json_t *control_token_revoke(const control_commands_t *commands, const json_t *command,
                             bool *changed);

#endif
