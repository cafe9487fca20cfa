/* One way for commands to act on control data, whether a service runs on the directory or not. */
#ifndef ADAPTERS_CLI_CONTROL_CLIENT_H
#define ADAPTERS_CLI_CONTROL_CLIENT_H

#include "adapters/cli/configuration.h"

/* Takes `command`. Asks the running service, else executes it here under DIR/lock (`create`: makes
 * the installation when there is none). Returns the answer, or NULL after saying on standard error
 * why not. The caller releases it. */
json_t *control_client_execute(const configuration_t *configuration, json_t *command, bool create);

/* Asks the running service only; NULL after saying that none runs, or what went wrong. */
json_t *control_client_ask_service(const configuration_t *configuration, json_t *command);

/* The same, quietly: NULL also when the service refuses or cannot answer now. For looking again. */
json_t *control_client_look(const configuration_t *configuration, json_t *command);

#endif
