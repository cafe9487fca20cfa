/* Envelopes between roles, many in one ZeroMQ message: what is sent during one turn of the loop
 * leaves together at its end (one message per turn and peer, split at LIMIT_CHANNEL_BATCH_SIZE). A
 * client's waits for the next turns as long as each brings more, LIMIT_CHANNEL_GATHER at most.
 * Layout of a message: frame of [u32 little-endian size, bytes] repeated. An envelope is opaque
 * here.
 *
 * A server binds (ROUTER), clients connect (DEALER). Order is kept per peer and direction. A
 * channel drops nothing silently: what cannot be sent is counted and reported by the result of
 * channel_*_send, or, when that is found out only at the flush, by `dropped`. */
#ifndef RUNTIME_CHANNEL_H
#define RUNTIME_CHANNEL_H

#include "runtime/loop.h"
#include <stddef.h>

typedef struct channel_server channel_server_t;
typedef struct channel_client channel_client_t;

/* Callbacks may send, disconnect and destroy. Every *_send: INVALID_ARGUMENT for an empty envelope
 * or one beyond LIMIT_CHANNEL_ENVELOPE_SIZE. `dropped` counts envelopes that were taken and then
 * found to have no receiver, and incoming batches whose rest is malformed.
 *
 * A peer is a number, stable while the server lives; a peer that connects anew is a new
 * number. */
typedef void channel_server_receive_t(void *context, uint32_t peer, const uint8_t *envelope,
                                      size_t size);
typedef void channel_client_receive_t(void *context, const uint8_t *envelope, size_t size);

/* Binds `endpoint`. ADDRESS_IN_USE, INVALID_ARGUMENT for one that is none, PERMISSION_DENIED. */
MUST_USE result_t channel_server_create(loop_t *loop, const char *endpoint,
                                        channel_server_receive_t *receive, void *context,
                                        channel_server_t **server);
void channel_server_destroy(channel_server_t **server); /* flushes first */
/* MISSING: the peer is gone; BUSY: it does not read, and a whole batch waits for it already. */
MUST_USE result_t channel_server_send(channel_server_t *server, uint32_t peer,
                                      const uint8_t *envelope, size_t size);
uint64_t channel_server_dropped(const channel_server_t *server);

/* Not connected. */
MUST_USE result_t channel_client_create(loop_t *loop, channel_client_receive_t *receive,
                                        void *context, channel_client_t **client);
void channel_client_destroy(channel_client_t **client); /* flushes first */
/* Replaces the connection: what was queued for the old endpoint is forgotten. The endpoint need not
 * exist yet. */
MUST_USE result_t channel_client_connect(channel_client_t *client, const char *endpoint);
/* What was queued is forgotten; sending says UNAVAILABLE until the next connect. */
void channel_client_disconnect(channel_client_t *client);
/* From now on at most one message per interval, for a receiver that is in no hurry: the first after
 * a pause leaves at once, what follows it gathers. Once. */
void channel_client_pace(channel_client_t *client, uint64_t interval_ms);
/* UNAVAILABLE when not connected, BUSY at the high-water mark. */
MUST_USE result_t channel_client_send(channel_client_t *client, const uint8_t *envelope,
                                      size_t size);
uint64_t channel_client_dropped(const channel_client_t *client);

#endif
