/* One shard: the actor system with its card and tenant actors, batches and their commits,
 * idempotency, sweep. Everything of it runs on the role's loop thread; only the journal's
 * implementation has threads.
 *
 * A request: shard_receive → tenant actor (opens the journal, owns partitions) → [key: in flight?
 * stored?] → card actor (loads) → decide → evolve → batch of its partition → commit → reply, event
 * to the outbox. Requests to a card travel in order: none overtakes another of the same card. */
#ifndef ACTORS_SHARD_H
#define ACTORS_SHARD_H

#include "actors/ports/cache.h"
#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "actors/ports/dead_letters.h"
#include "actors/ports/flags.h"
#include "actors/ports/journal.h"
#include "actors/ports/revocations.h"
#include "runtime/actor_system.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

typedef struct shard shard_t;

typedef struct shard_ports {
    journal_t *journal;
    control_store_t *control;
    const crypto_functions_t *crypto;
    crypto_key_t master_key;
    /* Sends one packed envelope to a front (`peer` as given to shard_receive). */
    void (*reply)(void *context, uint32_t peer, const uint8_t *envelope, size_t size);
    /* A committed event for the relay, a packed envelope; may be lost (the relay reads the journal
     * then). */
    void (*publish)(void *context, const uint8_t *envelope, size_t size);
    /* To the adapters role; NULL: there is none. Whether it is there shows in no answer. */
    void (*neighbour_send)(void *context, const uint8_t *envelope, size_t size);
    void *context;
    crash_slot_t *crash_slot;     /* NULL: nobody looks at it */
    dead_letters_t *dead_letters; /* NULL: what is quarantined is forgotten with the process */
    flags_t *flags;               /* NULL: none is on */
    revocations_t *revocations;   /* NULL: no token is revoked */
    cache_t *member_cache;        /* shared by nodes; destroyed before the shard. NULL: none */
    int64_t (*wall_ms)(void);     /* clock_wall_ms, or a test's */
    void (*random_fill)(void *out, size_t size);
} shard_ports_t;

typedef struct shard_options {
    uint32_t index;
    uint32_t shards;
    char incarnation[64]; /* "shard-0.17" */
    /* actors/membership_settings.h; borrowed for as long as the shard lives. Empty: no tenant has a
     * membership context. */
    text_t membership_urls;
    text_t membership_policies;
    int64_t membership_stale_ms;
    uint64_t actor_bytes_max; /* of active actors before idle ones go; 0: LIMIT_ACTOR_BYTES */
    uint32_t activations_max; /* at once; 0: LIMIT_LOADS_IN_FLIGHT */
    int64_t replies_ms;       /* age at which kept replies go; 0: LIMIT_IDEMPOTENCY_AGE_S */
} shard_options_t;

MUST_USE result_t shard_create(loop_t *loop, metrics_t *metrics, const shard_ports_t *ports,
                               const shard_options_t *options, shard_t **shard);
void shard_destroy(shard_t **shard);

/* An envelope from a front. What cannot be decoded is counted and logged. */
void shard_receive(shard_t *shard, uint32_t peer, const uint8_t *envelope, size_t size);
/* How many fronts there are: they share what the shard takes at a time, and a drain waits for the
 * last word of each (LIMIT_FAREWELL_MS). None, until told. */
void shard_set_fronts(shard_t *shard, uint32_t count);
/* Reads tenants and keys anew if the control store changed; also done by a timer. */
void shard_control_changed(shard_t *shard);
/* Commits what waits, replies to it, waits until no front has anything on its way here, closes the
 * tenants; then `drained`. New requests end with DRAINING. */
void shard_drain(shard_t *shard, loop_callback_t *drained, void *context);
/* An envelope from the adapters role, and whether there is a channel to it. */
void shard_neighbour_receive(shard_t *shard, const uint8_t *envelope, size_t size);
void shard_neighbour_up(shard_t *shard);
void shard_neighbour_down(shard_t *shard);
/* JSON object for `tree` and `top`: {"actors":[{"kind":"card","active":…,…}],"batches":{…},…}. As
 * message_to_json. */
size_t shard_status(const shard_t *shard, char *out, size_t capacity);
/* The same of one card's actor: {"tenant":…,"card":…,"state":"active","mailbox":…,…}. An actor that
 * is passive stays so. MISSING, and nothing is written, when the tenant is not of this shard. */
MUST_USE result_t shard_follow(const shard_t *shard, text_t tenant, const uuid_t *card, char *out,
                               size_t capacity, size_t *size);

#endif
