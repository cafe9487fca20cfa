/* HTTP/1.1 for the gateway: bytes → request → gateway_submit → document or problem → bytes. */
#ifndef ADAPTERS_HTTP_HTTP_SERVER_H
#define ADAPTERS_HTTP_HTTP_SERVER_H

#include "actors/gateway/gateway.h"
#include "actors/ports/qrcode.h"

typedef struct http_server http_server_t;

/* What /metrics and /health/digitalcard show comes from the supervisor: `fetch` asks it for `what`
 * ("metrics" or "tree") and calls `done` once with text or NULL (503 then). */
typedef void http_fetched_t(void *context, const char *text, size_t size);
typedef struct http_ports {
    gateway_t *gateway;
    const qrcode_functions_t *qrcode;
    result_t (*fetch)(void *context, const char *what, http_fetched_t *done, void *done_context);
    void *fetch_context;
} http_ports_t;

/* `listen_descriptor`: bound and listening; taken over. */
MUST_USE result_t http_server_create(loop_t *loop, metrics_t *metrics, int listen_descriptor,
                                     const http_ports_t *ports, http_server_t **server);
/* Stops accepting; idle connections close, busy ones after their answers (Connection: close).
 * `drained` once. */
void http_server_drain(http_server_t *server, loop_callback_t *drained, void *context);
/* The same while a successor accepts on the same socket: idle connections may ask once more, within
 * LIMIT_HTTP_HAND_OVER_IDLE_MS, and are told to close by the answer. */
void http_server_hand_over(http_server_t *server, loop_callback_t *drained, void *context);
/* Closes what is left and runs the loop until libuv let go of every handle. */
void http_server_destroy(http_server_t **server);
/* JSON object: connections, requests in flight. As message_to_json. */
size_t http_server_status(const http_server_t *server, char *out, size_t capacity);

#endif
