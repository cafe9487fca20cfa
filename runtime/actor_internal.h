/* The insides of an actor, for actor_system.c and actor_table.c. */
#ifndef RUNTIME_ACTOR_INTERNAL_H
#define RUNTIME_ACTOR_INTERNAL_H

#include "runtime/actor_system.h"
#include "runtime/keyed_hash.h"
#include <stdalign.h>

typedef struct actor_slot actor_slot_t; /* a registered kind */

typedef enum actor_phase {
    ACTOR_NEW,        /* in the run queue or in its kind's `waiting`: activation is due */
    ACTOR_ACTIVATING, /* in its kind's `activating`: activate was called, its end is awaited */
    ACTOR_IDLE,       /* in the list of idle actors, least recently used first */
    ACTOR_READY,      /* in the run queue: messages wait */
    ACTOR_RUNNING,    /* in no list: its handler runs */
    ACTOR_GONE,       /* in no list and not in the table: its messages are being given back */
} actor_phase_t;

/* Followed by the state, and that by the tenant's name. */
struct actor {
    alignas(16) actor_t *table_next; /* of its bucket */
    uint64_t hash;
    actor_t *previous; /* of the one list that its phase says */
    actor_t *next;
    actor_slot_t *slot;
    mailbox_t mailbox;
    actor_identity_t identity;
    uint8_t phase;
    bool is_drop_due; /* when its handler returns, or its activation ends */
};

typedef struct actor_list {
    actor_t *first;
    actor_t *last;
} actor_list_t;

typedef struct actor_bucket {
    actor_t *first;
} actor_bucket_t;

/* Actors by kind and identity: chained, buckets doubled at one actor per bucket. Ids come from
 * clients, so the hash is SipHash with a key of this process. */
typedef struct actor_table {
    actor_bucket_t *buckets;
    uint64_t bucket_count; /* a power of two */
    uint64_t actor_count;
    keyed_hash_key_t key;
} actor_table_t;

MUST_USE result_t actor_table_init(actor_table_t *table);
void actor_table_deinit(actor_table_t *table); /* must be empty */
uint64_t actor_table_hash(const actor_table_t *table, uint32_t kind,
                          const actor_identity_t *identity);
actor_t *actor_table_find(const actor_table_t *table, uint64_t hash, const actor_slot_t *slot,
                          const actor_identity_t *identity);
/* `hash`, `slot` and `identity` are set and not in the table yet. */
void actor_table_insert(actor_table_t *table, actor_t *actor);
void actor_table_remove(actor_table_t *table, const actor_t *actor);
/* Any actor of a table that is not empty: to take all out one by one. `bucket` is 0 at first. */
actor_t *actor_table_any(const actor_table_t *table, uint64_t *bucket);

#endif
