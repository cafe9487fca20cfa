/* The listener, the connection limit, the one timer and the way out (drain, destroy). What happens
 * on a connection is in http_connection.c. */
#include "adapters/http/http_internal.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 1024 }; /* connections that wait while a front restarts */

const http_options_t http_options_default = {
    .connections_max = LIMIT_HTTP_CONNECTIONS,
    .head_timeout_ms = LIMIT_HTTP_HEAD_TIMEOUT_MS,
    .body_timeout_ms = LIMIT_HTTP_BODY_TIMEOUT_MS,
    .idle_timeout_ms = LIMIT_HTTP_IDLE_TIMEOUT_MS,
    .idle_yields_ms = LIMIT_HTTP_IDLE_YIELDS_MS,
    .write_timeout_ms = LIMIT_HTTP_WRITE_TIMEOUT_MS,
    .linger_ms = LIMIT_HTTP_LINGER_MS,
    .tick_ms = LIMIT_HTTP_TICK_MS,
    .write_queue_max = LIMIT_HTTP_WRITE_QUEUE_SIZE,
};

static void on_connection(uv_stream_t *listener, int status)
{
    http_server_t *server = listener->data;
    if (status < 0) {
        /* Mostly EMFILE; libuv makes room with its reserved descriptor and goes on. */
        if (!server->has_logged_accept) {
            server->has_logged_accept = true;
            log_warn("a connection could not be accepted",
                     LOG_STRING("error", uv_strerror(status)));
        }
        return;
    }
    http_connection_accept(server);
}

static void touch_all(http_server_t *server)
{
    http_connection_t *connection = NULL;
    TAILQ_FOREACH(connection, &server->connections, all)
    {
        http_connection_touch(connection);
    }
}

static void on_timer(void *context)
{
    http_server_t *server = context;
    const uint64_t now_ms = loop_now_ms(server->loop);
    if (server->draining && now_ms >= server->idle_until_ms) {
        server->closes_idle = true;
        touch_all(server); /* each time: some may have had unread bytes */
    }
    http_date_update(&server->date, clock_wall_ms());
    metric_set(server->metrics.in_flight, server->in_flight);
    server->has_logged_accept = false;
    server->unsent = 0;
    http_connection_t *connection = NULL;
    TAILQ_FOREACH(connection, &server->connections, all)
    {
        http_connection_tick(connection, now_ms); /* closes nothing by itself */
        server->unsent += http_connection_unsent(connection);
    }
}

static void tell_drained(http_server_t *server)
{
    if (server->drained != NULL && TAILQ_EMPTY(&server->connections)) {
        loop_callback_t *drained = server->drained;
        server->drained = NULL;
        drained(server->drained_context);
    }
}

static void on_turn_end(void *context)
{
    http_server_t *server = context;
    if (!TAILQ_EMPTY(&server->dirty)) {
        http_date_update(&server->date, clock_wall_ms());
    }
    for (uint32_t left = server->dirty_count; left > 0 && server->dirty_count > 0; left--) {
        http_connection_t *connection = TAILQ_FIRST(&server->dirty);
        TAILQ_REMOVE(&server->dirty, connection, dirty);
        connection->is_dirty = false;
        server->dirty_count--;
        http_connection_turn(connection);
    }
    tell_drained(server);
}

static void metrics_init(http_server_t *server, metrics_t *metrics)
{
    static const char *const classes[6] = {"status=\"0xx\"", "status=\"1xx\"", "status=\"2xx\"",
                                           "status=\"3xx\"", "status=\"4xx\"", "status=\"5xx\""};
    http_metrics_t *mine = &server->metrics;
    for (size_t i = 2; i < sizeof(classes) / sizeof(classes[0]); i++) {
        mine->requests[i] = metrics_counter(metrics, "digitalcard_http_requests_total", classes[i],
                                            "HTTP answers by class of status");
    }
    mine->seconds = metrics_histogram(metrics, "digitalcard_http_request_seconds", "",
                                      "Whole request to answer, within the front");
    mine->connections =
        metrics_gauge(metrics, "digitalcard_http_connections", "", "Open HTTP connections");
    mine->connections_refused =
        metrics_counter(metrics, "digitalcard_http_connections_refused_total", "",
                        "HTTP connections beyond the limit");
    mine->connections_yielded =
        metrics_counter(metrics, "digitalcard_http_connections_yielded_total", "",
                        "Idle HTTP connections closed to make room for new ones");
    mine->heads_refused = metrics_counter(metrics, "digitalcard_http_refused_total", "",
                                          "HTTP requests refused before their route was known");
    mine->timeouts = metrics_counter(metrics, "digitalcard_http_timeouts_total", "",
                                     "HTTP connections that were too slow");
    mine->disconnects = metrics_counter(metrics, "digitalcard_http_cancelled_total", "",
                                        "HTTP requests whose client went away");
    mine->in_flight =
        metrics_gauge(metrics, "digitalcard_http_in_flight", "", "HTTP requests being worked on");
}

static result_t listen_on(http_server_t *server, int descriptor)
{
    if (uv_tcp_init(loop_uv(server->loop), &server->listener) != 0) {
        (void)close(descriptor);
        return RESULT_NO_MEMORY;
    }
    server->handles++;
    server->listening = true;
    server->listener.data = server;
    /* The descriptor listens already, and others may share it. uv_listen calls listen(2) once more,
     * which on Linux only sets the backlog. */
    int error = uv_tcp_open(&server->listener, descriptor);
    if (error != 0) {
        (void)close(descriptor);
    } else {
        error = uv_listen((uv_stream_t *)&server->listener, LISTEN_BACKLOG, on_connection);
    }
    if (error != 0) {
        log_error("the HTTP socket cannot be used", LOG_STRING("error", uv_strerror(error)));
        return RESULT_INVALID_ARGUMENT;
    }
    return RESULT_OK;
}

result_t http_server_create_with(loop_t *loop, metrics_t *metrics, int listen_descriptor,
                                 const http_ports_t *ports, const http_options_t *options,
                                 http_server_t **server)
{
    http_server_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        (void)close(listen_descriptor);
        return RESULT_NO_MEMORY;
    }
    made->loop = loop;
    made->ports = *ports;
    made->options = *options;
    TAILQ_INIT(&made->connections);
    TAILQ_INIT(&made->dirty);
    STAILQ_INIT(&made->spare_slots);
    LIST_INIT(&made->fetches);
    metrics_init(made, metrics);
    http_date_update(&made->date, clock_wall_ms());
    made->timer = loop_timer_create(loop, on_timer, made);
    made->hook = loop_hook_create(loop, on_turn_end, made);
    loop_timer_start(made->timer, options->tick_ms, options->tick_ms);
    const result_t result = listen_on(made, listen_descriptor);
    if (result != RESULT_OK) {
        http_server_destroy(&made);
        return result;
    }
    *server = made;
    return RESULT_OK;
}

result_t http_server_create(loop_t *loop, metrics_t *metrics, int listen_descriptor,
                            const http_ports_t *ports, http_server_t **server)
{
    return http_server_create_with(loop, metrics, listen_descriptor, ports, &http_options_default,
                                   server);
}

static void on_listener_closed(uv_handle_t *handle)
{
    http_server_t *server = handle->data;
    server->handles--;
}

static void stop_listening(http_server_t *server)
{
    if (server->listening) {
        server->listening = false;
        uv_close((uv_handle_t *)&server->listener, on_listener_closed);
    }
}

void http_server_drain(http_server_t *server, loop_callback_t *drained, void *context)
{
    server->draining = true;
    server->drained = drained;
    server->drained_context = context;
    stop_listening(server);
    http_connection_t *connection = NULL;
    TAILQ_FOREACH(connection, &server->connections, all)
    {
        connection->wait = HTTP_WAIT_NONE; /* half a request has its time from now on */
    }
    touch_all(server);
    server->idle_until_ms =
        loop_now_ms(server->loop) +
        (server->hands_over ? LIMIT_HTTP_HAND_OVER_IDLE_MS : LIMIT_HTTP_DRAIN_IDLE_MS);
    /* Closed at once, an idle connection would take a request with it that its client has sent but
     * a moment ago: it is still answered, with Connection: close. */
    loop_timer_start(server->timer, LIMIT_HTTP_DRAIN_IDLE_MS, LIMIT_HTTP_TICK_MS);
    loop_again(server->loop);
}

void http_server_hand_over(http_server_t *server, loop_callback_t *drained, void *context)
{
    server->hands_over = true;
    http_server_drain(server, drained, context);
}

void http_server_destroy(http_server_t **server)
{
    http_server_t *gone = *server;
    if (gone == NULL) {
        return;
    }
    *server = NULL;
    stop_listening(gone);
    while (!TAILQ_EMPTY(&gone->connections)) {
        http_connection_close(TAILQ_FIRST(&gone->connections));
    }
    http_fetches_orphan(gone);
    while (gone->handles > 0) {
        (void)uv_run(loop_uv(gone->loop), UV_RUN_NOWAIT);
    }
    loop_timer_destroy(&gone->timer);
    loop_hook_destroy(&gone->hook);
    http_slots_deinit(gone);
    http_buffer_stock_deinit(&gone->stock);
    free(gone->json.data);
    free(gone);
}

size_t http_server_status(const http_server_t *server, char *out, size_t capacity)
{
    char text[128];
    const int size = snprintf(text, sizeof(text), "{\"connections\":%u,\"in_flight\":%u}",
                              server->connection_count, server->in_flight);
    assert(size > 0 && (size_t)size < sizeof(text));
    if ((size_t)size <= capacity) {
        memcpy(out, text, (size_t)size);
    }
    return (size_t)size;
}
