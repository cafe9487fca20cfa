/* The ROUTER API (DESIGN 3.4) for the gateway. */
#ifndef ADAPTERS_ROUTER_ROUTER_FRONT_H
#define ADAPTERS_ROUTER_ROUTER_FRONT_H

#include "actors/gateway/gateway.h"

typedef struct router_front router_front_t;

/* `listen_descriptor`: bound and listening for `endpoint` (ZMQ_USE_FD), or -1 to bind here. */
MUST_USE result_t router_front_create(loop_t *loop, metrics_t *metrics, const char *endpoint,
                                      int listen_descriptor, gateway_t *gateway,
                                      router_front_t **front);
/* No new requests are read; `drained` once the last reply has been handed to ZeroMQ. */
void router_front_drain(router_front_t *front, loop_callback_t *drained, void *context);
/* The same while a successor is bound to the same endpoint: chooses a moment in which nothing is on
 * its way, so that clients which wait for replies lose none (router_leave.c). */
void router_front_hand_over(router_front_t *front, loop_callback_t *drained, void *context);
void router_front_destroy(router_front_t **front);

#endif
