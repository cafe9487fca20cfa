/* The settings about neighbours: checked when `serve` starts, handed down to roles in their
 * environment (a URL is nobody's business in the list of processes), read there again. */
#ifndef ADAPTERS_CLI_MEMBERSHIP_OPTIONS_H
#define ADAPTERS_CLI_MEMBERSHIP_OPTIONS_H

#include "actors/neighbours/neighbour.h"
#include "adapters/cli/configuration.h"

/* False after saying what cannot be used. */
bool membership_options_check(const configuration_texts_t *texts);
bool membership_options_hand_down(const configuration_texts_t *texts);

typedef struct membership_settings_read {
    text_t urls;
    text_t events;
    text_t policies;
    int64_t stale_ms;
    neighbour_settings_t neighbours;
} membership_settings_read_t;

/* In a role. Borrows from the environment, which nobody changes there. */
void membership_options_read(membership_settings_read_t *settings);

#endif
