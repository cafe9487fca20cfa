/* One ZeroMQ socket on the loop. Handles the edge-triggered ZMQ_FD rules (DESIGN 2.6): after every
 * send and receive ZMQ_EVENTS is read again, and no readable message is ever left unseen. */
#ifndef RUNTIME_ZSOCKET_H
#define RUNTIME_ZSOCKET_H

#include "runtime/loop.h"
#include <stddef.h>

typedef struct zsocket zsocket_t;

typedef struct zframe_view {
    const void *data;
    size_t size;
} zframe_view_t;

/* One whole multipart message; frames are valid during the call. A message with more than
 * LIMIT_API_FRAMES frames is dropped and counted (zsocket_dropped). */
typedef void zsocket_receive_t(void *context, const zframe_view_t *frames, size_t frame_count);

/* The two that the runtime itself uses, so that it need not include zmq.h; the numbers are
 * ZeroMQ's. */
enum { ZSOCKET_DEALER = 5, ZSOCKET_ROUTER = 6 };

typedef struct zsocket_options {
    int type;                 /* ZMQ_ROUTER, … ; ROUTER gets ZMQ_ROUTER_MANDATORY */
    int send_messages_max;    /* ZMQ_SNDHWM */
    int receive_messages_max; /* ZMQ_RCVHWM */
    int64_t message_size_max; /* ZMQ_MAXMSGSIZE per frame; a peer that sends more is disconnected */
    int use_fd;        /* a bound, listening descriptor from the supervisor (ZMQ_USE_FD), or -1 */
    bool xpub_verbose; /* XPUB: report every subscription and unsubscription (ZMQ_XPUB_VERBOSER) */
    bool xpub_overflows; /* XPUB: count when a subscriber becomes full (zsocket_overflows) */
    int linger_ms; /* how long the end of the process waits for what was sent last; 0: not at all */
} zsocket_options_t;

/* `receive` may be NULL for sockets that only send: what comes in is dropped and counted. A bound 0
 * means none in ZeroMQ, so send_messages_max, receive_messages_max and message_size_max must be
 * above 0. `receive` may destroy the socket. */
MUST_USE result_t zsocket_create(loop_t *loop, const zsocket_options_t *options,
                                 zsocket_receive_t *receive, void *context, zsocket_t **socket);
void zsocket_destroy(zsocket_t **socket);
MUST_USE result_t zsocket_bind(zsocket_t *socket,
                               const char *endpoint); /* ADDRESS_IN_USE, INVALID_ARGUMENT */
/* Accepts no more peers on the listening descriptor it was given; those that are there stay (they
 * go when ZeroMQ unbinds). Whoever else shares the descriptor goes on accepting. Once, and not
 * before ZeroMQ's thread listens, which it does a moment after zsocket_bind. */
MUST_USE result_t zsocket_stop_accepting(zsocket_t *socket);
/* Of a socket bound to tcp:// that is about to go, its peers over TCP: what is sent to them from
 * now on waits for zsocket_finish (no longer than 200 ms, and a full segment does not wait) … */
void zsocket_gather(zsocket_t *socket);
/* Takes it back: what waits leaves, and the connections go on. */
void zsocket_scatter(zsocket_t *socket);
/* … and leaves in one piece with the end of the connection, so that a peer which answers to it
 * knows already that it has to answer elsewhere. Other transports: nothing happens. */
void zsocket_finish(zsocket_t *socket);
/* Something of its peers has come that was not received yet: it waits in ZeroMQ or, over TCP, in
 * the kernel. What ZeroMQ's thread is taking from the one to the other in this moment is not seen.
 */
bool zsocket_has_unread(zsocket_t *socket);
/* Its peers over TCP whose connections are open. */
size_t zsocket_peers(const zsocket_t *socket);
/* ZeroMQ's one thread connects for all sockets, and looks names up itself, one after the other: a
 * name that hangs would stop them all. Whoever connects to what others configure gives an address
 * (runtime/name_lookup.h). */
MUST_USE result_t zsocket_connect(zsocket_t *socket, const char *endpoint);
/* What waits for that peer is dropped. MISSING: it was never connected to. */
MUST_USE result_t zsocket_disconnect(zsocket_t *socket, const char *endpoint);

/* Of a socket that will be destroyed: overrides `linger_ms`. */
void zsocket_set_linger(zsocket_t *socket, int linger_ms);

/* Never blocks; sends all frames or none. BUSY: high-water mark (the loop has a turn as soon as
 * there is room again); MISSING: ROUTER does not know that peer (any more). */
MUST_USE result_t zsocket_send(zsocket_t *socket, const zframe_view_t *frames, size_t frame_count);

/* The bytes that ZeroMQ has of somebody and has neither written to the kernel nor dropped yet. */
typedef struct zsocket_account zsocket_account_t;
zsocket_account_t *zsocket_account_create(void); /* NULL: no memory */
/* It may outlive the caller's hold: what ZeroMQ still has keeps it. */
void zsocket_account_release(zsocket_account_t **account);
size_t zsocket_account_size(const zsocket_account_t *account);
/* As zsocket_send; the last frame is on the account as long as ZeroMQ has it. NO_MEMORY. */
MUST_USE result_t zsocket_send_on(zsocket_t *socket, const zframe_view_t *frames,
                                  size_t frame_count, zsocket_account_t *account);

/* Reading on and off, for back-pressure. On at first. */
void zsocket_pause(zsocket_t *socket, bool paused);
uint64_t zsocket_dropped(const zsocket_t *socket);
/* Of an XPUB: how often a subscriber was at its high-water mark, so that what is sent is dropped
 * for it until it has read. ZeroMQ does not say how many messages that were. */
uint64_t zsocket_overflows(const zsocket_t *socket);

#endif
