/* What `tree` and `top` have in common: reading the supervisor's answer, and their options. */
#ifndef ADAPTERS_CLI_TREE_VALUES_H
#define ADAPTERS_CLI_TREE_VALUES_H

#include "adapters/cli/arguments.h"
#include "adapters/cli/control/control_client.h"
#include <stdio.h>

enum { TREE_OPTIONS_OWN_MAX = 4, MIB = 1048576 };

/* Parses the command's own options and those that say where the service is. */
bool tree_begin(const command_t *command, int argc, char **argv, configuration_t *configuration,
                const option_t *own, size_t own_count, int *status);

static inline const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static inline long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static inline double mib_of(const json_t *object, const char *name)
{
    return (double)number_of(object, name) / MIB;
}

static inline void print_duration(long long ms, char *out, size_t size)
{
    const long long seconds = ms / 1000;
    if (seconds < 60) {
        (void)snprintf(out, size, "%lld.%llds", seconds, ms % 1000 / 100);
    } else if (seconds < 3600) {
        (void)snprintf(out, size, "%lldm%02llds", seconds / 60, seconds % 60);
    } else {
        (void)snprintf(out, size, "%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
    }
}

#endif
