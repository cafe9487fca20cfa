/* actors/ports/membership.h over HTTP (through the port http_client.h) and over ZeroMQ: which one
 * says the scheme of the setting. */
#ifndef ADAPTERS_MEMBERSHIP_MEMBERSHIP_H
#define ADAPTERS_MEMBERSHIP_MEMBERSHIP_H

#include "actors/ports/http_client.h"
#include "actors/ports/membership.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

typedef struct membership_options {
    /* actors/membership_settings.h; borrowed for as long as the port lives. */
    text_t urls;          /* http://, https://, tcp:// or ipc:// */
    text_t events;        /* tcp:// or ipc://; empty: events are only read */
    http_calls_t *client; /* borrowed */
    membership_heard_t *heard;
    void *context;
} membership_options_t;

MUST_USE result_t membership_create(loop_t *loop, metrics_t *metrics,
                                    const membership_options_t *options, membership_t **membership);
/* Cancels what is on its way. */
void membership_destroy(membership_t **membership);

#endif
