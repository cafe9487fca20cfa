/* Idempotency keys of requests that are being worked on, per shard. The mark dies with the process;
 * what outlives it is the row that commits together with the events. Bounded by
 * LIMIT_KEYS_IN_FLIGHT. Borrows the messages: each is removed before it is destroyed. */
#ifndef ACTORS_KEY_TABLE_H
#define ACTORS_KEY_TABLE_H

#include "actors/shard/batch.h"
#include "runtime/result.h"

typedef struct key_table key_table_t;

/* Never NULL. `hash_key` is copied. */
key_table_t *key_table_create(const uint8_t hash_key[16]);
void key_table_destroy(key_table_t **table);

/* Marks (tenant, key) of the message. KEY_IN_FLIGHT: a request with this key is under way, the same
 * or another one: which of the two the key belongs to is not known yet. BUSY: the table is full. */
MUST_USE result_t key_table_add(key_table_t *table, shard_message_t *message);
/* The request, which is marked (asserted), has its answer. */
void key_table_remove(key_table_t *table, shard_message_t *message);
uint32_t key_table_count(const key_table_t *table);

#endif
