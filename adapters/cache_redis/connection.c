/* Bytes to and from one server over libuv; hiredis only parses. Its asynchronous interface is not
 * used because it asserts what a server sends (an answer to no question, an array of one element
 * while subscribed) and resolves names while the loop waits. Must not know what a reply means, nor
 * look up a name (names.c). */
#include "adapters/cache_redis/cache_redis_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { INPUT_SIZE = 16384, OUT_SIZE_MIN = 4096 };

struct redis_connection {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    const redis_connection_handler_t *handler;
    void *context;
    redisReader *reader;
    redisReplyObjectFunctions functions;
    redisReplyObjectFunctions defaults;
    char *out; /* gathered in this turn */
    size_t out_size;
    size_t out_capacity;
    uint32_t calls; /* of libuv that will come back, the handle's closing included */
    bool is_closed;
    char input[INPUT_SIZE];
};

typedef struct output {
    uv_write_t request;
    redis_connection_t *connection;
    char *bytes;
} output_t;

static void call_ended(redis_connection_t *connection)
{
    assert(connection->calls > 0);
    connection->calls--;
    if (connection->calls == 0 && connection->is_closed) {
        redisReaderFree(connection->reader);
        free(connection->out);
        free(connection);
    }
}

static void handle_closed(uv_handle_t *handle)
{
    call_ended(handle->data);
}

void redis_connection_close(redis_connection_t **connection)
{
    redis_connection_t *const closed = *connection;
    *connection = NULL;
    if (closed != NULL && !closed->is_closed) {
        closed->is_closed = true;
        uv_close((uv_handle_t *)&closed->tcp, handle_closed);
    }
}

static void fail(redis_connection_t *connection, const char *why)
{
    if (connection->is_closed) {
        return;
    }
    const redis_connection_handler_t *const handler = connection->handler;
    void *const context = connection->context;
    redis_connection_close(&connection);
    handler->failed(context, why);
}

/* --- In --- */

/* An array may claim two thousand million elements, for which hiredis would take memory at once. */
static void *array_create(const redisReadTask *task, int elements)
{
    const redis_connection_t *const connection = task->privdata;
    return elements > LIMIT_CACHE_REPLY_ITEMS ? NULL
                                              : connection->defaults.createArray(task, elements);
}

/* False when the connection is of no use any more. */
static bool reply_next(redis_connection_t *connection, bool *more)
{
    void *reply = NULL;
    *more = false;
    if (redisReaderGetReply(connection->reader, &reply) != REDIS_OK) {
        fail(connection, "it says what is not the protocol of Redis");
        return false;
    }
    if (reply == NULL) {
        if (connection->reader->len - connection->reader->pos > LIMIT_CACHE_REPLY_SIZE) {
            fail(connection, "an answer is too large");
            return false;
        }
        return true;
    }
    connection->handler->replied(connection->context, reply);
    freeReplyObject(reply);
    *more = !connection->is_closed;
    return *more;
}

static void input_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    redis_connection_t *const connection = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(connection->input, sizeof connection->input);
}

static void input_came(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    redis_connection_t *const connection = stream->data;
    (void)buffer;
    if (size < 0 || connection->is_closed) {
        fail(connection, size == UV_EOF ? "it closed the connection" : "the connection broke");
        return;
    }
    if (redisReaderFeed(connection->reader, connection->input, (size_t)size) != REDIS_OK) {
        fail(connection, "there is no memory for its answer");
        return;
    }
    connection->calls++;            /* the connection outlives its replies */
    for (bool more = true; more;) { /* bounded by what was read */
        if (!reply_next(connection, &more)) {
            break;
        }
    }
    call_ended(connection);
}

/* --- Out --- */

result_t redis_connection_send(redis_connection_t *connection, const char *bytes, size_t size)
{
    const size_t unsent =
        connection->out_size + uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp);
    if (size > LIMIT_CACHE_OUT_SIZE || unsent + size > LIMIT_CACHE_OUT_SIZE) {
        return RESULT_BUSY;
    }
    if (connection->out_size + size > connection->out_capacity) {
        size_t capacity = 2 * connection->out_capacity;
        capacity = capacity < OUT_SIZE_MIN ? OUT_SIZE_MIN : capacity;
        capacity = capacity < connection->out_size + size ? connection->out_size + size : capacity;
        char *const grown = realloc(connection->out, capacity);
        if (grown == NULL) {
            return RESULT_BUSY;
        }
        connection->out = grown;
        connection->out_capacity = capacity;
    }
    memcpy(connection->out + connection->out_size, bytes, size);
    connection->out_size += size;
    return RESULT_OK;
}

static void output_done(uv_write_t *request, int status)
{
    output_t *const output = request->data;
    redis_connection_t *const connection = output->connection;
    free(output->bytes);
    free(output);
    if (status < 0 && status != UV_ECANCELED) {
        fail(connection, "the connection broke");
    }
    call_ended(connection);
}

void redis_connection_flush(redis_connection_t *connection)
{
    if (connection->out_size == 0 || connection->is_closed) {
        return;
    }
    output_t *const output = calloc(1, sizeof *output);
    assert(output != NULL);
    output->connection = connection;
    output->bytes = connection->out;
    output->request.data = output;
    const uv_buf_t buffer = uv_buf_init(connection->out, (unsigned)connection->out_size);
    connection->out = NULL;
    connection->out_size = 0;
    connection->out_capacity = 0;
    connection->calls++;
    if (uv_write(&output->request, (uv_stream_t *)&connection->tcp, &buffer, 1, output_done) != 0) {
        free(output->bytes);
        free(output);
        fail(connection, "the connection broke");
        call_ended(connection);
    }
}

/* --- Opening --- */

static void connected(uv_connect_t *request, int status)
{
    redis_connection_t *const connection = request->data;
    if (!connection->is_closed) {
        if (status != 0) {
            fail(connection, "nobody listens there");
        } else if (uv_read_start((uv_stream_t *)&connection->tcp, input_allocate, input_came) !=
                   0) {
            fail(connection, "the connection broke");
        } else {
            (void)uv_tcp_nodelay(&connection->tcp, 1);
            connection->handler->opened(connection->context);
        }
    }
    call_ended(connection);
}

static bool reader_make(redis_connection_t *connection)
{
    connection->reader = redisReaderCreate();
    if (connection->reader == NULL) {
        return false;
    }
    connection->defaults = *connection->reader->fn;
    connection->functions = connection->defaults;
    connection->functions.createArray = array_create;
    connection->reader->fn = &connection->functions;
    connection->reader->privdata = connection;
    return true;
}

static bool address_parse(const char *host, uint16_t port, struct sockaddr_storage *address)
{
    return uv_ip4_addr(host, port, (struct sockaddr_in *)address) == 0 ||
           uv_ip6_addr(host, port, (struct sockaddr_in6 *)address) == 0;
}

result_t redis_connection_open(loop_t *loop, const char *host, uint16_t port,
                               const redis_connection_handler_t *handler, void *context,
                               redis_connection_t **connection)
{
    struct sockaddr_storage address;
    if (!address_parse(host, port, &address)) {
        return RESULT_INVALID_ARGUMENT;
    }
    redis_connection_t *made = calloc(1, sizeof *made);
    if (made == NULL || !reader_make(made)) {
        free(made);
        return RESULT_NO_MEMORY;
    }
    made->handler = handler;
    made->context = context;
    made->calls = 1;
    const int made_handle = uv_tcp_init(loop_uv(loop), &made->tcp);
    assert(made_handle == 0);
    made->tcp.data = made;
    made->connecting.data = made;
    made->calls++;
    if (uv_tcp_connect(&made->connecting, &made->tcp, (const struct sockaddr *)&address,
                       connected) != 0) {
        made->calls--;
        redis_connection_close(&made);
        return RESULT_UNAVAILABLE;
    }
    *connection = made;
    return RESULT_OK;
}
