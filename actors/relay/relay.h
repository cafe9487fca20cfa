/* The relay: publishes committed events in order (through adapters/events), folds them into the
 * read models (lists of cards, rollups), and answers the reads that need no actor: card.list,
 * card.history, events.read, rollup.list. It opens journals read-only.
 *
 * Per tenant and partition it keeps the highest sequence published. An event from a shard that is
 * the next one is published at once; one further ahead means that some were lost between shard and
 * relay: the gap is read from the journal first. Heads: after a start the head is read from the
 * journal when somebody subscribes to the tenant or its first event comes. */
#ifndef ACTORS_RELAY_H
#define ACTORS_RELAY_H

#include "actors/ports/cache.h"
#include "actors/ports/consumers.h"
#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "actors/ports/flags.h"
#include "actors/ports/http_client.h"
#include "actors/ports/journal.h"
#include "actors/ports/projections.h"
#include "actors/ports/webhooks.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

typedef struct relay relay_t;

typedef struct relay_ports {
    journal_t *journal;
    projections_t *projections; /* NULL: none; lists come from the journal, rollups do not exist */
    control_store_t *control;
    flags_t *flags;         /* NULL: no changes are told */
    cache_t *cache;         /* NULL: this node alone */
    consumers_t *consumers; /* NULL: nobody can register */
    webhooks_t *webhooks;   /* NULL: there are none; else consumers and http_calls are needed */
    http_calls_t *http_calls;
    text_t service; /* tells this service from others on its store, the roles' restarts included */
    uint32_t (*random)(uint32_t below);
    void (*random_fill)(void *out, size_t size);
    const crypto_functions_t *crypto;
    crypto_key_t master_key;
    void (*reply)(void *context, uint32_t peer, const uint8_t *envelope, size_t size);
    /* Publishes frames [topic, header, body]. BUSY is counted; the subscriber repairs. */
    result_t (*publish)(void *context, text_t topic, const uint8_t *header, size_t header_size,
                        const uint8_t *body, size_t body_size);
    void *context;
    int64_t (*wall_ms)(void);
} relay_ports_t;

MUST_USE result_t relay_create(loop_t *loop, metrics_t *metrics, const relay_ports_t *ports,
                               relay_t **relay);
void relay_destroy(relay_t **relay);
/* An envelope from a front (request) or a shard (event). */
void relay_receive(relay_t *relay, uint32_t peer, const uint8_t *envelope, size_t size);
/* Somebody subscribed to `topic` (a prefix). Sends the heads of the tenants it names now and every
 * second. */
void relay_subscribed(relay_t *relay, text_t topic);
void relay_unsubscribed(relay_t *relay, text_t topic);
/* Begins to make the read models of a tenant anew beside the ones in use, which they then replace
 * in one step. TENANT_NOT_FOUND; BUSY when that is being done already; DRAINING; NOT_IMPLEMENTED
 * without read models. */
MUST_USE result_t relay_rebuild(relay_t *relay, text_t tenant);
typedef struct relay_rebuild_progress {
    bool is_running;
    result_t result; /* of the last one that ended */
    uint64_t folded; /* events, by the one that runs or ran last */
    uint64_t events; /* that there are */
} relay_rebuild_progress_t;
/* MISSING when none was asked for since the relay knows the tenant. */
MUST_USE result_t relay_rebuild_look(relay_t *relay, text_t tenant,
                                     relay_rebuild_progress_t *progress);
void relay_drain(relay_t *relay, loop_callback_t *drained, void *context);
size_t relay_status(const relay_t *relay, char *out, size_t capacity);

#endif
