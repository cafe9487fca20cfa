/* Shares of connections: see the header. Connects to nothing. */
#include "adapters/cli/connections.h"

#include "adapters/cli/arguments.h"
#include "runtime/limits.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONTROL_ROLES = 2, /* besides the shards: relay and adapters; one connection each */
    JOURNALS_MIN = 2,  /* of a role: one that is in use holds up one other tenant at most */
    SESSIONS_MIN = LIMIT_PROJECTION_THREADS + 1, /* one per thread, and one that stays open */
    RELAY_SHARE = 5, /* the relay gets a fifth: it gathers, while somebody waits for a shard */
};

#define ENVIRONMENT "DIGITALCARD_CONNECTIONS_OF_ROLES"

uint64_t connections_total_min(uint64_t shards)
{
    return shards * (1 + JOURNALS_MIN) + CONTROL_ROLES + JOURNALS_MIN + SESSIONS_MIN;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

connections_t connections_share(uint64_t per_role, uint64_t total, uint64_t shards)
{
    assert(shards > 0);
    if (total == 0) {
        const uint32_t each = per_role == 0 ? LIMIT_POSTGRES_CONNECTIONS : (uint32_t)per_role;
        return (connections_t){.shard = each, .relay = each, .sessions = LIMIT_PROJECTION_SESSIONS};
    }
    assert(total >= connections_total_min(shards));
    const uint64_t rest = total - shards - CONTROL_ROLES;
    const uint64_t spare = rest - shards * JOURNALS_MIN; /* what the shards can do without */
    const uint64_t wanted = larger(rest / RELAY_SHARE, JOURNALS_MIN + SESSIONS_MIN);
    const uint64_t relay = wanted < spare ? wanted : spare;
    uint64_t sessions = larger(relay * 2 / 3, SESSIONS_MIN);
    sessions = sessions < LIMIT_PROJECTION_SESSIONS_MAX ? sessions : LIMIT_PROJECTION_SESSIONS_MAX;
    return (connections_t){.shard = (uint32_t)((rest - relay) / shards),
                           .relay = (uint32_t)(relay - sessions),
                           .sessions = (uint32_t)sessions};
}

bool connections_hand_down(const connections_t *connections)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%u %u %u", connections->shard, connections->relay,
                   connections->sessions);
    return setenv(ENVIRONMENT, text, 1) == 0;
}

connections_t connections_of_role(void)
{
    connections_t connections = connections_share(0, 0, 1);
    uint64_t numbers[3] = {0};
    char text[64];
    const char *const given = getenv(ENVIRONMENT);
    char *rest = text;
    (void)snprintf(text, sizeof text, "%s", given == NULL ? "" : given);
    for (size_t i = 0; i < 3; i++) {
        const char *const word = strsep(&rest, " ");
        if (word == NULL || !arguments_number(word, &numbers[i]) || numbers[i] == 0 ||
            numbers[i] > LIMIT_POSTGRES_CONNECTIONS_MAX) {
            return connections; /* nobody but the supervisor writes it */
        }
    }
    connections = (connections_t){.shard = (uint32_t)numbers[0],
                                  .relay = (uint32_t)numbers[1],
                                  .sessions = (uint32_t)numbers[2]};
    return connections;
}
