/* One connection: bytes into requests, answers into bytes. Reading goes through one buffer that all
 * connections share; only the part of a request that has not come yet is kept, so that an idle
 * connection holds no buffer. Answers gathered during a turn of the loop leave in one write at its
 * end. Reading pauses while LIMIT_HTTP_PIPELINE requests are in flight, while a page is being
 * fetched, or while the client does not read what it asked for. No routes and no messages here. */
#include "adapters/http/http_internal.h"

#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { INPUT_RESERVE = 16384 }; /* read at least so much at once into a buffer of its own */

/* What came and is not used up. */
typedef struct window {
    char *data;
    size_t size;
} window_t;

static uv_stream_t *stream_of(http_connection_t *connection)
{
    return (uv_stream_t *)&connection->handle;
}

void http_connection_touch(http_connection_t *connection)
{
    if (!connection->is_dirty && !connection->in_turn && !connection->closing) {
        connection->is_dirty = true;
        connection->server->dirty_count++;
        TAILQ_INSERT_TAIL(&connection->server->dirty, connection, dirty);
    }
}

static void large_body_end(http_connection_t *connection)
{
    connection->server->large_bodies -= connection->is_large ? 1 : 0;
    connection->is_large = false;
}

/* --- End of a connection --- */

static void on_closed(uv_handle_t *handle)
{
    http_connection_t *connection = handle->data;
    http_server_t *server = connection->server;
    assert(connection->write == NULL); /* libuv ends writes before it closes */
    server->handles--;
    free(connection);
}

void http_connection_close(http_connection_t *connection)
{
    http_server_t *server = connection->server;
    if (connection->closing) {
        return;
    }
    connection->closing = true;
    if (connection->is_dirty) {
        TAILQ_REMOVE(&server->dirty, connection, dirty);
        connection->is_dirty = false;
        server->dirty_count--;
    }
    large_body_end(connection);
    http_slots_cancel(connection);
    http_buffer_release(&server->stock, &connection->input);
    http_buffer_release(&server->stock, &connection->output);
    TAILQ_REMOVE(&server->connections, connection, all);
    if (connection->counted_out) {
        server->refused_count--;
    } else {
        server->connection_count--;
        metric_set(server->metrics.connections, server->connection_count);
    }
    uv_close((uv_handle_t *)&connection->handle, on_closed);
}

static bool is_idle(const http_connection_t *connection)
{
    /* One empty line may stand alone: old clients send it after a body (RFC 9112 section 2.2). */
    const bool nothing_came =
        connection->input.size == 0 || (connection->input.size == 2 && connection->scan.leading);
    return connection->slot_count == 0 && connection->output.size == 0 &&
           connection->write == NULL && nothing_came && connection->phase == HTTP_PHASE_HEAD;
}

/* --- Bytes out --- */

static void on_written(uv_write_t *request, int status)
{
    http_write_t *write = request->data;
    http_connection_t *connection = write->connection;
    connection->write = NULL;
    http_buffer_release(&connection->server->stock, &write->buffer);
    free(write);
    if (status < 0) {
        connection->broken = true;
    }
    http_connection_touch(connection);
}

/* Hands over what the kernel did not take; `sent` bytes of the output are gone already. */
static bool write_later(http_connection_t *connection, size_t sent)
{
    http_write_t *write = malloc(sizeof(*write));
    if (write == NULL) {
        return false;
    }
    *write = (http_write_t){.connection = connection, .buffer = connection->output};
    write->request.data = write;
    connection->output = (http_buffer_t){0};
    connection->write = write;
    const uv_buf_t rest =
        uv_buf_init(write->buffer.data + sent, (unsigned int)(write->buffer.size - sent));
    if (uv_write(&write->request, stream_of(connection), &rest, 1, on_written) == 0) {
        return true;
    }
    connection->write = NULL;
    http_buffer_release(&connection->server->stock, &write->buffer);
    free(write);
    return false;
}

static void flush(http_connection_t *connection)
{
    if (connection->write != NULL || connection->output.size == 0) {
        return;
    }
    const uv_buf_t whole =
        uv_buf_init(connection->output.data, (unsigned int)connection->output.size);
    const int sent = uv_try_write(stream_of(connection), &whole, 1);
    if (sent > 0 && (size_t)sent == connection->output.size) {
        http_buffer_release(&connection->server->stock, &connection->output);
        return;
    }
    const bool failed = sent < 0 && sent != UV_EAGAIN;
    if (failed || !write_later(connection, sent < 0 ? 0 : (size_t)sent)) {
        connection->broken = true;
    }
}

size_t http_connection_unsent(const http_connection_t *connection)
{
    return connection->output.size +
           (connection->write == NULL ? 0 : connection->handle.write_queue_size);
}

static void send_continue(http_connection_t *connection)
{
    static const text_t line = TEXT_LITERAL("HTTP/1.1 100 Continue\r\n\r\n");
    connection->continue_due = false;
    if (!http_buffer_reserve(&connection->server->stock, &connection->output, line.size)) {
        connection->broken = true;
        return;
    }
    memcpy(connection->output.data + connection->output.size, line.data, line.size);
    connection->output.size += line.size;
    http_connection_touch(connection);
}

/* --- Bytes in --- */

static bool may_begin_request(const http_connection_t *connection)
{
    return !connection->last_request && !connection->broken && !connection->closing &&
           connection->slot_count < LIMIT_HTTP_PIPELINE && connection->pages == 0 &&
           http_connection_unsent(connection) <= connection->server->options.write_queue_max;
}

/* A body of a stranger may take a mebibyte of memory for as long as it likes to take: only so many
 * at a time. False: not one more. */
static bool large_body_begin(http_connection_t *connection)
{
    http_server_t *server = connection->server;
    if (connection->is_large) {
        return true;
    }
    connection->is_large = server->large_bodies < LIMIT_HTTP_LARGE_BODIES;
    server->large_bodies += connection->is_large ? 1 : 0;
    return connection->is_large;
}

static void refuse(http_connection_t *connection, const head_refusal_t *refusal)
{
    large_body_end(connection);
    metric_add(connection->server->metrics.heads_refused, 1);
    http_request_refuse(connection, refusal->result, refusal->detail);
}

static void expect_body(http_connection_t *connection, const window_t *window,
                        const http_head_t *head)
{
    connection->phase = HTTP_PHASE_BODY;
    connection->chunked = head->chunked;
    connection->content_length = head->content_length;
    connection->chunks = (chunk_check_t){0};
    if (!head->expects_continue || window->size > connection->head_size) {
        return;
    }
    if (!http_request_expected(connection, head)) {
        connection->phase = HTTP_PHASE_HEAD;
    } else if (connection->slot_count == 0) {
        send_continue(connection);
    } else {
        connection->continue_due = true;
    }
}

/* Reads a head. True when it is whole and good; the phase says whether a body follows. */
static bool take_head(http_connection_t *connection, const window_t *window, http_head_t *head)
{
    head_refusal_t refusal;
    switch (head_scan(window->data, window->size, &connection->scan, &connection->head_size,
                      &refusal)) {
    case HEAD_SCAN_MORE:
        return false;
    case HEAD_SCAN_BAD:
        refuse(connection, &refusal);
        return false;
    case HEAD_SCAN_WHOLE:
        break;
    }
    const text_t raw = {.data = window->data, .size = connection->head_size};
    if (!head_check(raw, head, &refusal)) {
        refuse(connection, &refusal);
        return false;
    }
    if (!http_bridge_head(&connection->bridge, raw, head)) {
        refusal = (head_refusal_t){RESULT_INVALID_REQUEST, "the request is not valid"};
        refuse(connection, &refusal);
        return false;
    }
    if (head->content_length > LIMIT_HTTP_BODY_SIZE) {
        refusal = (head_refusal_t){RESULT_BODY_TOO_LARGE, "the body is larger than 1 MiB"};
        refuse(connection, &refusal);
        return false;
    }
    if (!connection->bridge.message_done) {
        expect_body(connection, window, head);
    }
    return !connection->last_request;
}

/* Reads what came of the body and leaves head and decoded body together at the window's start.
 * `used` counts what belongs to the request, framing included. True when it is whole. */
static bool take_body(http_connection_t *connection, window_t *window, size_t *used)
{
    const size_t start = connection->head_size + connection->bridge.body_size;
    assert(window->size >= start);
    const size_t came = window->size - start;
    size_t size = came;
    head_refusal_t refusal = {RESULT_INVALID_REQUEST, "the body is not valid"};
    bool good = true;
    if (connection->chunked) {
        good = chunk_check_feed(&connection->chunks, window->data + start, came, &size, &refusal);
    } else if (connection->content_length - connection->bridge.body_size < came) {
        size = (size_t)(connection->content_length - connection->bridge.body_size);
    }
    if (good && size > 0) {
        good = http_bridge_body(&connection->bridge, window->data + start, size,
                                window->data + connection->head_size);
    }
    if (good && connection->chunked) {
        good = connection->bridge.message_done == (connection->chunks.state == CHUNK_STATE_DONE);
    }
    if (!good) {
        refuse(connection, &refusal);
        return false;
    }
    if (!connection->bridge.message_done) {
        window->size = connection->head_size + connection->bridge.body_size;
        const bool large = window->size > LIMIT_HTTP_LARGE_BODY_SIZE ||
                           connection->content_length > LIMIT_HTTP_LARGE_BODY_SIZE;
        if (large && !large_body_begin(connection)) {
            refusal = (head_refusal_t){RESULT_BUSY, "too many large bodies are on their way"};
            refuse(connection, &refusal);
        }
        return false;
    }
    *used = start + size;
    return true;
}

/* Hands over a whole request and steps behind it. */
static void handle_request(http_connection_t *connection, window_t *window, http_head_t *head,
                           bool head_is_fresh, size_t used)
{
    const text_t raw = {.data = window->data, .size = connection->head_size};
    if (!head_is_fresh) {
        /* The bytes moved since they were checked; slices of them are made anew. */
        head_refusal_t refusal;
        const bool good = head_check(raw, head, &refusal);
        assert(good);
    }
    const text_t body = {.data = window->data + connection->head_size,
                         .size = connection->bridge.body_size};
    connection->phase = HTTP_PHASE_HEAD;
    connection->scan = (head_scan_state_t){0};
    connection->continue_due = false;
    connection->wait = HTTP_WAIT_NONE;
    large_body_end(connection);
    if (!connection->bridge.keep_alive || connection->server->draining) {
        connection->last_request = true;
    }
    window->data += used;
    window->size -= used;
    http_request_handle(connection, head, body, !connection->last_request);
}

/* Works through the window until something is missing or has to wait. */
static void work(http_connection_t *connection, window_t *window)
{
    http_head_t head;
    while (window->size > 0 && !connection->last_request && !connection->broken) {
        bool head_is_fresh = false;
        size_t used = 0;
        if (connection->phase == HTTP_PHASE_HEAD) {
            if (!may_begin_request(connection) || !take_head(connection, window, &head)) {
                break;
            }
            head_is_fresh = true;
            used = connection->head_size;
        }
        if (connection->phase == HTTP_PHASE_BODY && !take_body(connection, window, &used)) {
            break;
        }
        handle_request(connection, window, &head, head_is_fresh, used);
    }
    if (connection->last_request) {
        connection->discarded += window->size;
        window->size = 0;
    }
}

/* Keeps what is left of the window in the connection's own buffer. */
static void keep(http_connection_t *connection, const window_t *window)
{
    http_buffer_t *input = &connection->input;
    http_buffer_stock_t *stock = &connection->server->stock;
    if (window->size == 0) {
        http_buffer_release(stock, input);
        return;
    }
    const bool own = input->size > 0;
    if (!own && !http_buffer_reserve(stock, input, window->size)) {
        connection->broken = true;
        return;
    }
    if (input->data != window->data) {
        memmove(input->data, window->data, window->size);
    }
    input->size = window->size;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    http_connection_t *connection = handle->data;
    http_server_t *server = connection->server;
    (void)suggested;
    http_buffer_t *input = &connection->input;
    if (input->size == 0) {
        *buffer = uv_buf_init(server->read_buffer, sizeof(server->read_buffer));
    } else if (http_buffer_reserve(&server->stock, input, INPUT_RESERVE)) {
        *buffer =
            uv_buf_init(input->data + input->size, (unsigned int)(input->capacity - input->size));
    } else {
        *buffer = uv_buf_init(NULL, 0); /* libuv reports UV_ENOBUFS */
    }
}

static void read_bytes(http_connection_t *connection, char *data, size_t size)
{
    http_buffer_t *input = &connection->input;
    if (connection->last_request) {
        connection->discarded += size;
        connection->broken =
            connection->broken || connection->discarded > (size_t)LIMIT_HTTP_LINGER_SIZE;
        return;
    }
    window_t window = {.data = data, .size = size};
    if (input->size > 0) {
        assert(data == input->data + input->size);
        input->size += size;
        window = (window_t){.data = input->data, .size = input->size};
    }
    work(connection, &window);
    keep(connection, &window);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    http_connection_t *connection = stream->data;
    if (count > 0) {
        read_bytes(connection, buffer->base, (size_t)count);
    } else if (count == UV_EOF) {
        connection->end_of_input = true;
        connection->reading = false;
        (void)uv_read_stop(stream);
    } else if (count < 0) {
        connection->broken = true;
    } else {
        return; /* nothing was there after all */
    }
    http_connection_touch(connection);
}

static void update_reading(http_connection_t *connection)
{
    const bool wanted = !connection->end_of_input &&
                        (connection->last_request || connection->phase == HTTP_PHASE_BODY ||
                         may_begin_request(connection));
    if (wanted == connection->reading) {
        return;
    }
    connection->reading = wanted;
    if (!wanted) {
        (void)uv_read_stop(stream_of(connection));
    } else if (uv_read_start(stream_of(connection), on_alloc, on_read) != 0) {
        connection->broken = true;
    }
}

/* --- Once per turn --- */

/* All answers are out and no request can come any more. */
static void finish(http_connection_t *connection)
{
    if (connection->end_of_input || connection->lingering) {
        connection->broken = connection->broken || connection->end_of_input;
        return;
    }
    /* Closing with unread bytes would reset the connection and might take the last answer with it:
     * our side is closed first, and theirs is read to its end (RFC 9112 section 9.6). */
    uv_os_fd_t descriptor = -1;
    if (uv_fileno((uv_handle_t *)&connection->handle, &descriptor) != 0 ||
        shutdown(descriptor, SHUT_WR) != 0) {
        connection->broken = true;
        return;
    }
    connection->lingering = true;
}

static void work_on_input(http_connection_t *connection)
{
    window_t window = {.data = connection->input.data, .size = connection->input.size};
    work(connection, &window);
    keep(connection, &window);
}

/* Sends what is gathered and takes up requests that waited. True when there is more to do. */
static bool advance(http_connection_t *connection)
{
    for (uint32_t round = 0; round < LIMIT_HTTP_TURN_ROUNDS; round++) {
        if (connection->continue_due && connection->slot_count == 0) {
            send_continue(connection);
        }
        flush(connection);
        if (connection->input.size == 0 || connection->phase == HTTP_PHASE_BODY ||
            !may_begin_request(connection)) {
            return false;
        }
        const size_t before = connection->input.size;
        work_on_input(connection);
        if (connection->input.size == before) {
            return false;
        }
    }
    return true;
}

/* What came and was not read yet: a request that crossed our decision to close. */
static bool has_unread_bytes(const http_connection_t *connection)
{
    uv_os_fd_t descriptor = -1;
    char byte = 0;
    return uv_fileno((const uv_handle_t *)&connection->handle, &descriptor) == 0 &&
           recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Draining and idle. Beside a successor nothing is in a hurry, and the end is a gentle one. */
static void leave_idle(http_connection_t *connection)
{
    const http_server_t *server = connection->server;
    if (has_unread_bytes(connection)) {
        return;
    }
    if (server->hands_over) {
        finish(connection);
        connection->last_request = true;
        update_reading(connection);
    } else {
        connection->broken = true;
    }
}

void http_connection_turn(http_connection_t *connection)
{
    connection->in_turn = true;
    const bool more = advance(connection);
    update_reading(connection);
    const bool quiet = connection->slot_count == 0 && connection->write == NULL &&
                       connection->output.size == 0 && !more;
    if (connection->server->closes_idle && is_idle(connection) && !connection->last_request) {
        leave_idle(connection);
    } else if (quiet && (connection->last_request || connection->end_of_input)) {
        finish(connection);
        connection->last_request = true;
        update_reading(connection);
    }
    connection->in_turn = false;
    if (connection->broken) {
        http_connection_close(connection);
    } else if (more) {
        http_connection_touch(connection);
        loop_again(connection->server->loop);
    }
}

/* --- Timeouts --- */

static http_wait_t wait_of(const http_connection_t *connection)
{
    if (connection->lingering) {
        return HTTP_WAIT_LINGER;
    }
    if (connection->write != NULL) {
        return HTTP_WAIT_WRITE;
    }
    if (connection->slot_count > 0) {
        return HTTP_WAIT_NONE;
    }
    if (connection->phase == HTTP_PHASE_BODY) {
        return HTTP_WAIT_BODY;
    }
    return is_idle(connection) ? HTTP_WAIT_IDLE : HTTP_WAIT_HEAD;
}

static uint64_t timeout_of(const http_connection_t *connection)
{
    const http_options_t *options = &connection->server->options;
    const bool draining = connection->server->draining;
    switch (connection->wait) {
    case HTTP_WAIT_IDLE:
        return options->idle_timeout_ms;
    case HTTP_WAIT_HEAD:
        return draining ? LIMIT_HTTP_DRAIN_PARTIAL_MS : options->head_timeout_ms;
    case HTTP_WAIT_BODY:
        return draining ? LIMIT_HTTP_DRAIN_PARTIAL_MS : options->body_timeout_ms;
    case HTTP_WAIT_WRITE:
        return options->write_timeout_ms;
    case HTTP_WAIT_LINGER:
        return options->linger_ms;
    case HTTP_WAIT_NONE:
        break;
    }
    return UINT64_MAX;
}

void http_connection_tick(http_connection_t *connection, uint64_t now_ms)
{
    const http_wait_t wait = wait_of(connection);
    const size_t left = connection->write == NULL ? 0 : connection->handle.write_queue_size;
    if (wait != connection->wait || left != connection->write_left) {
        connection->wait = wait;
        connection->write_left = left;
        connection->since_ms = now_ms;
        return;
    }
    if (now_ms - connection->since_ms < timeout_of(connection)) {
        return;
    }
    if (wait != HTTP_WAIT_IDLE && wait != HTTP_WAIT_LINGER) {
        metric_add(connection->server->metrics.timeouts, 1);
    }
    if (wait == HTTP_WAIT_HEAD || wait == HTTP_WAIT_BODY) {
        connection->phase = HTTP_PHASE_HEAD;
        large_body_end(connection);
        http_request_refuse(connection, RESULT_REQUEST_TIMEOUT,
                            "the request did not arrive in time");
        http_buffer_release(&connection->server->stock, &connection->input);
    } else {
        connection->broken = true;
    }
    http_connection_touch(connection);
}

/* --- Beginning of a connection --- */

/* One that never asked anything goes before one that did, and the longest idle first: whoever holds
 * connections open for nothing keeps no client out. */
static bool yields_before(const http_connection_t *one, const http_connection_t *other)
{
    return one->has_asked != other->has_asked ? other->has_asked : one->since_ms < other->since_ms;
}

/* Closes an idle connection; false when there is none that has been idle for long enough. */
static bool make_room(http_server_t *server)
{
    const uint64_t now_ms = loop_now_ms(server->loop);
    http_connection_t *first = NULL;
    http_connection_t *connection = NULL;
    TAILQ_FOREACH(connection, &server->connections, all)
    {
        const bool may_yield = connection->wait == HTTP_WAIT_IDLE && is_idle(connection) &&
                               now_ms - connection->since_ms >= server->options.idle_yields_ms;
        if (may_yield && (first == NULL || yields_before(connection, first))) {
            first = connection;
        }
    }
    if (first == NULL) {
        return false;
    }
    metric_add(server->metrics.connections_yielded, 1);
    http_connection_close(first);
    return true;
}

/* Beyond the limit: told so, without a look at the request. */
static void turn_away(http_connection_t *connection)
{
    connection->counted_out = true;
    connection->server->refused_count++;
    metric_add(connection->server->metrics.connections_refused, 1);
    http_request_refuse(connection, RESULT_BUSY, "the service has too many connections");
}

void http_connection_accept(http_server_t *server)
{
    http_connection_t *connection = calloc(1, sizeof(*connection));
    if (connection == NULL || uv_tcp_init(loop_uv(server->loop), &connection->handle) != 0) {
        log_error("there is no memory for one more HTTP connection: it was closed");
        free(connection);
        return;
    }
    server->handles++;
    connection->server = server;
    connection->handle.data = connection;
    STAILQ_INIT(&connection->slots);
    const bool full =
        server->connection_count >= server->options.connections_max && !make_room(server);
    TAILQ_INSERT_TAIL(&server->connections, connection, all);
    if (full) {
        turn_away(connection);
    } else {
        server->connection_count++;
        metric_set(server->metrics.connections, server->connection_count);
    }
    const int accepted =
        uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&connection->handle);
    if (accepted != 0 || server->refused_count > LIMIT_HTTP_CONNECTIONS_REFUSED) {
        http_connection_close(connection);
        return;
    }
    /* Answers are written whole at the end of a turn: waiting for more would only delay them. */
    (void)uv_tcp_nodelay(&connection->handle, 1);
    connection->wait = HTTP_WAIT_NONE;
    http_connection_touch(connection);
}
