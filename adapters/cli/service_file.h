/* DIR/run/service.json: where the running service listens, so that commands on the same directory
 * find it whatever ports it was given. Removed when the service ends, and DIR/run is
 * emptied at every start. */
#ifndef ADAPTERS_CLI_SERVICE_FILE_H
#define ADAPTERS_CLI_SERVICE_FILE_H

#include "adapters/cli/data_directory.h"
#include "runtime/limits.h"
#include <stdbool.h>

typedef struct service_file {
    char http[LIMIT_ROLE_ENDPOINT_SIZE + 1]; /* "http://127.0.0.1:8080" */
    char api[LIMIT_ROLE_ENDPOINT_SIZE + 1];
    char events[LIMIT_ROLE_ENDPOINT_SIZE + 1];
} service_file_t;

/* A service without this file works all the same: failures are logged only. */
void service_file_write(const data_directory_t *directory, const service_file_t *file);
void service_file_remove(const data_directory_t *directory);
/* False: no service was started on this directory. */
bool service_file_read(const char *data, service_file_t *file);

#endif
