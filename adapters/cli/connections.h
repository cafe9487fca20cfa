/* How many connections to PostgreSQL each role may have: of a number per role, or of one number for
 * the whole service. Roles find theirs in their environment. */
#ifndef ADAPTERS_CLI_CONNECTIONS_H
#define ADAPTERS_CLI_CONNECTIONS_H

#include "runtime/result.h"
#include <stdint.h>

typedef struct connections {
    uint32_t shard;    /* of each, for journals */
    uint32_t relay;    /* for journals */
    uint32_t sessions; /* of the relay, for read models */
} connections_t;

/* The smallest `total` that `shards` shards can work with. */
uint64_t connections_total_min(uint64_t shards);
/* `per_role` 0: the default. `total` 0: each role has `per_role`, and the relay its sessions
 * besides. Else `total` is for all of them, the connections to the control database included. */
connections_t connections_share(uint64_t per_role, uint64_t total, uint64_t shards);

/* Of the supervisor, before roles start. */
MUST_USE bool connections_hand_down(const connections_t *connections);
/* Of a role. Defaults where nothing was handed down. */
connections_t connections_of_role(void);

#endif
