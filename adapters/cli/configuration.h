/* Settings of the service and of the commands that touch data: flags over environment over file
 * over defaults. */
#ifndef ADAPTERS_CLI_CONFIGURATION_H
#define ADAPTERS_CLI_CONFIGURATION_H

#include "adapters/cli/arguments.h"
#include "adapters/cli/connections.h"
#include "runtime/log.h"

enum {
#define SETTING(name, flag, variable, otherwise, value_name, help) CONFIGURATION_INDEX_##name,
#include "adapters/cli/configuration.def"
#undef SETTING
    CONFIGURATION_SETTINGS,
};

/* What `serve` hands down to the relay: "allow" or "refuse". */
#define SERVICE_ENVIRONMENT "DIGITALCARD_SERVICE_NUMBER" /* drawn by each start of `serve` */
#define WEBHOOKS_PRIVATE_ENVIRONMENT "DIGITALCARD_WEBHOOKS_PRIVATE"

/* One text per setting; NULL: not given. */
typedef struct configuration_texts {
#define SETTING(name, flag, variable, otherwise, value_name, help) const char *name;
#include "adapters/cli/configuration.def"
#undef SETTING
} configuration_texts_t;

typedef struct configuration {
    configuration_texts_t given; /* by flags */
    const char *file;            /* --config */
    configuration_texts_t texts; /* after configuration_load: what counts; nothing is NULL */
    configuration_texts_t *from_file;
    uint32_t shards;
    connections_t connections;
    uint32_t watchdog_ms;
    uint32_t rate_per_token;
    uint32_t rate_per_tenant;
    uint64_t actor_bytes_max;
    uint32_t activations_max;
    uint32_t replies_hours;
    log_level_t log_level;
    bool is_malformed; /* a value is: a mistake of whoever wrote it, not of the machine */
} configuration_t;

/* Flags for commands that touch data (--config, --data, --store), or for `serve` (all). Writes
 * CONFIGURATION_SETTINGS + 1 options at most and returns how many. */
size_t configuration_options(configuration_t *configuration, bool all, option_t *options);

/* Reads the file (--config, else DIGITALCARD_CONFIG, else none) and the environment, and checks
 * what can be checked without the network. False after saying on standard error what is wrong. */
bool configuration_load(configuration_t *configuration);
/* The same with the exit status of a command: EXIT_USAGE for a malformed value, else EXIT_FAILED,
 * which stays until the command has worked. */
bool configuration_load_for(configuration_t *configuration, int *status);
void configuration_release(configuration_t *configuration);

/* `*out` is allocated; NULL and `error` filled with one line that names key and line when the file
 * cannot be used. Released by configuration_file_release. */
bool configuration_file_read(const char *path, configuration_texts_t **out, char *error,
                             size_t error_size);
void configuration_file_release(configuration_texts_t **texts);

#endif
