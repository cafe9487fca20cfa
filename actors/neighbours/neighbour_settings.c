/* Numbers of breakers and bulkheads as one line of text. */
#include "actors/neighbours/neighbour.h"

#include <stdio.h>
#include <stdlib.h>

enum { ENTRY_SIZE = 64 };

const neighbour_settings_t neighbour_settings_default = {
    .circuit = {.failures_to_open = 5,
                .successes_to_close = 3,
                .slow_ms = 1000,
                .open_ms_min = 60000,
                .open_ms_max = 900000,
                .jitter_permille = 100},
    .concurrency = 8,
    .queue = 256,
    .deadline_ms = 2000,
    .attempts = 3,
    .pause_ms = 200,
};

typedef struct number_setting {
    const char *name;
    uint32_t *value;
    uint32_t low;
    uint32_t high;
} number_setting_t;

static bool set_number(const char *entry, const number_setting_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(numbers[i].name);
        if (strncmp(entry, numbers[i].name, size) != 0 || entry[size] != '=') {
            continue;
        }
        char *end = NULL;
        const unsigned long number = strtoul(entry + size + 1, &end, 10);
        const bool is_number = entry[size + 1] >= '0' && entry[size + 1] <= '9' && *end == '\0';
        if (!is_number || number < numbers[i].low || number > numbers[i].high) {
            return false;
        }
        *numbers[i].value = (uint32_t)number;
        return true;
    }
    return false;
}

bool neighbour_settings_parse(const char *text, neighbour_settings_t *settings, char *error,
                              size_t error_size)
{
    enum { HOUR_MS = 3600000 };
    *settings = neighbour_settings_default;
    circuit_settings_t *circuit = &settings->circuit;
    const number_setting_t numbers[] = {
        {"failures", &circuit->failures_to_open, 1, 1000},
        {"successes", &circuit->successes_to_close, 1, 1000},
        {"slow_ms", &circuit->slow_ms, 0, LIMIT_HTTP_CALL_DEADLINE_MS_MAX},
        {"open_ms", &circuit->open_ms_min, 1, 24 * HOUR_MS},
        {"open_ms_max", &circuit->open_ms_max, 1, 24 * HOUR_MS},
        {"jitter_permille", &circuit->jitter_permille, 0, 1000},
        {"concurrency", &settings->concurrency, 1, LIMIT_HTTP_CALLS},
        {"queue", &settings->queue, 1, LIMIT_NEIGHBOUR_QUEUE},
        {"deadline_ms", &settings->deadline_ms, 1, LIMIT_HTTP_CALL_DEADLINE_MS_MAX},
        {"attempts", &settings->attempts, 1, 8},
        {"pause_ms", &settings->pause_ms, 0, HOUR_MS / 1000},
    };
    const char *at = text + strspn(text, " ");
    while (*at != '\0') { /* each round takes one entry */
        char entry[ENTRY_SIZE];
        const size_t size = strcspn(at, " ");
        (void)snprintf(entry, sizeof entry, "%.*s", (int)size, at);
        if (!set_number(entry, numbers, sizeof numbers / sizeof numbers[0])) {
            (void)snprintf(error, error_size, "%s", entry);
            return false;
        }
        at += size;
        at += strspn(at, " ");
    }
    return true;
}
