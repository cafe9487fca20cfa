/* The control commands deadletters.*, of control_commands.c and nobody else. Each answers as
 * control_command_execute. */
#ifndef ADAPTERS_CLI_CONTROL_DEAD_LETTERS_H
#define ADAPTERS_CLI_CONTROL_DEAD_LETTERS_H

#include "adapters/cli/control/control_commands.h"

json_t *control_dead_letters_list(const control_commands_t *commands, const json_t *command,
                                  bool *changed);
json_t *control_dead_letters_show(const control_commands_t *commands, const json_t *command,
                                  bool *changed);
/* Asks the shard of its tenant to run it; the shard sees it with its next look at the store. */
json_t *control_dead_letters_replay(const control_commands_t *commands, const json_t *command,
                                    bool *changed);
json_t *control_dead_letters_drop(const control_commands_t *commands, const json_t *command,
                                  bool *changed);

#endif
