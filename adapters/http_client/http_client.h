/* actors/ports/http_client.h with libcurl's multi interface on the role's loop. One client has one
 * policy about addresses and a connection pool of its own, so that no connection which one caller
 * was allowed to make is used by another that was not. */
#ifndef ADAPTERS_HTTP_CLIENT_HTTP_CLIENT_H
#define ADAPTERS_HTTP_CLIENT_HTTP_CLIENT_H

#include "actors/ports/http_client.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

typedef struct http_calls_options {
    const char *name;        /* literal: label `client` of the metrics */
    bool allows_private;     /* loopback, private and other addresses that are not public, too */
    const char *authorities; /* PEM file in place of the system's; NULL: the system's */
} http_calls_options_t;

MUST_USE result_t http_calls_create(loop_t *loop, metrics_t *metrics,
                                    const http_calls_options_t *options, http_calls_t **client);
/* Cancels what is on its way. Not within `done`. */
void http_calls_destroy(http_calls_t **client);

#endif
