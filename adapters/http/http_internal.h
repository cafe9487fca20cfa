/* Insides of the HTTP front, for the files of this folder and its tests.
 *
 *   http_server.c      listener, connection limit, timer, drain
 *   http_connection.c  bytes in, bytes out, framing, backpressure, end of a connection
 *   http_slot.c        requests in flight of a connection, answered in order
 *   http_request.c     a whole request → route → gateway
 *   http_answer.c      what the gateway says → answer
 *   http_pages.c       routes that need no gateway
 *
 * Ownership: a connection owns its slots; a slot lives from the end of its request's head until its
 * answer stands in the connection's output. Nothing is freed within a callback that may still use
 * it: connections go in libuv's close callback only. */
#ifndef ADAPTERS_HTTP_HTTP_INTERNAL_H
#define ADAPTERS_HTTP_HTTP_INTERNAL_H

#include "actors/command.h"
#include "adapters/http/chunk_check.h"
#include "adapters/http/http_buffer.h"
#include "adapters/http/http_parser_bridge.h"
#include "adapters/http/http_server.h"
#include "adapters/http/response.h"
#include "adapters/http/routes.h"

#include <sys/queue.h>
#include <uv.h>

/* What tests make small. */
typedef struct http_options {
    uint32_t connections_max;
    uint32_t head_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t idle_yields_ms; /* idle for so long, it makes room for a new one */
    uint32_t write_timeout_ms;
    uint32_t linger_ms;
    uint32_t tick_ms;
    size_t write_queue_max;
} http_options_t;
extern const http_options_t http_options_default;

MUST_USE result_t http_server_create_with(loop_t *loop, metrics_t *metrics, int listen_descriptor,
                                          const http_ports_t *ports, const http_options_t *options,
                                          http_server_t **server);

typedef struct http_connection http_connection_t;
typedef struct http_slot http_slot_t;
typedef struct http_fetch http_fetch_t;

/* Versions out of If-Match or If-None-Match; more than fit are forgotten (the full answer is always
 * allowed instead of 304, and 412 instead of a match). */
enum { HTTP_VERSIONS_MAX = 4 };
typedef struct http_versions {
    bool present;
    bool any; /* "*" */
    uint32_t count;
    uint64_t versions[HTTP_VERSIONS_MAX];
} http_versions_t;

/* One request in flight. */
struct http_slot {
    STAILQ_ENTRY(http_slot) link; /* of the connection, in order of arrival; or of the spare ones */
    http_connection_t *connection;
    const route_t *route;    /* NULL until it is known */
    uint64_t gateway_handle; /* 0: nothing to cancel */
    http_fetch_t *fetch;
    uint64_t started_us;
    http_framing_t framing;
    bool answered;
    bool has_token;
    bool is_page;      /* counted in the connection's pages */
    char trace_id[32]; /* of answers that do not come from the gateway */
    http_versions_t if_match;
    http_versions_t if_none_match;
    char *next_page;      /* target without its cursor, malloc; pages only */
    http_buffer_t answer; /* when it came before its turn */
};

typedef enum http_phase { HTTP_PHASE_HEAD, HTTP_PHASE_BODY } http_phase_t;

/* What a connection is waiting for: each has its timeout. */
typedef enum http_wait {
    HTTP_WAIT_NONE, /* answers of the gateway, which has deadlines of its own */
    HTTP_WAIT_IDLE,
    HTTP_WAIT_HEAD,
    HTTP_WAIT_BODY,
    HTTP_WAIT_WRITE,
    HTTP_WAIT_LINGER,
} http_wait_t;

typedef struct http_write {
    uv_write_t request;
    http_connection_t *connection;
    http_buffer_t buffer;
} http_write_t;

struct http_connection {
    uv_tcp_t handle; /* data: the connection */
    http_server_t *server;
    TAILQ_ENTRY(http_connection) all;
    TAILQ_ENTRY(http_connection) dirty;
    STAILQ_HEAD(, http_slot) slots;
    uint32_t slot_count;
    uint32_t pages;       /* slots that may get a large answer: at most one */
    http_buffer_t input;  /* the part of a request that came, or what waits while reading pauses */
    http_buffer_t output; /* answers in order, not yet handed to the kernel */
    http_write_t *write;  /* what the kernel did not take at once */
    size_t write_left;    /* of it, when the timer looked last */

    head_scan_state_t scan;
    http_bridge_t bridge;
    chunk_check_t chunks;
    http_phase_t phase;
    size_t head_size;
    uint64_t content_length;
    bool chunked;
    bool is_large; /* its body is one of the server's large ones */

    http_wait_t wait;
    uint64_t since_ms;
    size_t discarded; /* bytes that came after the last request */
    bool is_dirty;
    bool in_turn; /* being looked at: touching it changes nothing */
    bool reading;
    bool last_request; /* nothing that comes after is a request */
    bool continue_due; /* 100 once all earlier answers are out */
    bool end_of_input; /* the client closed its side */
    bool lingering;    /* our side is closed, reading until the client's is */
    bool broken;       /* close without more ado */
    bool closing;
    bool counted_out; /* beyond the connection limit */
    bool has_asked;   /* at least one request came */
};

typedef struct http_metrics {
    metric_t *requests[6]; /* by first digit of the status */
    metric_t *seconds;
    metric_t *connections;
    metric_t *connections_refused;
    metric_t *connections_yielded;
    metric_t *heads_refused;
    metric_t *timeouts;
    metric_t *disconnects;
    metric_t *in_flight;
} http_metrics_t;

struct http_server {
    loop_t *loop;
    http_ports_t ports;
    http_options_t options;
    http_metrics_t metrics;
    uv_tcp_t listener;
    uint32_t handles; /* of libuv, open or closing */
    bool listening;
    bool draining;
    bool hands_over;        /* a successor accepts: no hurry */
    bool closes_idle;       /* the drain goes on long enough: nothing more is on its way */
    uint64_t idle_until_ms; /* of loop_now_ms: when that is so */
    bool has_logged_accept; /* since the timer looked last */
    loop_timer_t *timer;
    loop_hook_t *hook;
    TAILQ_HEAD(, http_connection) connections;
    TAILQ_HEAD(, http_connection) dirty;
    uint32_t dirty_count;
    uint32_t connection_count;
    uint32_t refused_count; /* of those, beyond the limit */
    uint32_t in_flight;
    uint32_t large_bodies; /* on their way */
    size_t unsent;         /* bytes of all connections, when the timer looked last */
    STAILQ_HEAD(, http_slot) spare_slots;
    uint32_t spare_slot_count;
    LIST_HEAD(, http_fetch) fetches;
    http_buffer_stock_t stock;
    http_date_t date;
    loop_callback_t *drained;
    void *drained_context;

    /* Scratch of one call; nothing in it outlives the function that filled it. */
    char read_buffer[LIMIT_HTTP_READ_SIZE];
    uint64_t arena[LIMIT_HTTP_ARENA_SIZE / sizeof(uint64_t)]; /* aligned as arena.h wants it */
    route_path_t path;
    char key_path[LIMIT_HTTP_URI_SIZE + 16];
    char link[LIMIT_HTTP_URI_SIZE + 512];
    http_buffer_t json;
};

/* --- http_connection.c --- */

void http_connection_accept(http_server_t *server);
/* Something changed: look at it at the end of the turn. */
void http_connection_touch(http_connection_t *connection);
void http_connection_turn(http_connection_t *connection);
void http_connection_tick(http_connection_t *connection, uint64_t now_ms);
/* Bytes of answers that the kernel has not taken. */
size_t http_connection_unsent(const http_connection_t *connection);
/* Cancels what is in flight and lets go of the socket at once. */
void http_connection_close(http_connection_t *connection);

/* --- http_slot.c --- */

/* Appends a slot; NULL: no memory. */
http_slot_t *http_slot_add(http_connection_t *connection);
/* Answers; the slot is gone afterwards if its turn has come. */
void http_slot_answer(http_slot_t *slot, const http_response_t *response);
/* Takes the newest slot back: its request is not here yet after all. */
void http_slot_drop(http_slot_t *slot);
/* Forgets all of a connection that closes. */
void http_slots_cancel(http_connection_t *connection);
void http_slots_deinit(http_server_t *server);

/* --- http_request.c --- */

/* A whole request: takes a slot, and asks the gateway or answers. */
void http_request_handle(http_connection_t *connection, const http_head_t *head, text_t body,
                         bool keep_alive);
/* A head whose sender waits for 100: true when its body may come, else it was answered and the
 * connection's last request is over. */
bool http_request_expected(http_connection_t *connection, const http_head_t *head);
/* Answers with a problem and ends the connection after it. */
void http_request_refuse(http_connection_t *connection, result_t result, const char *detail);

/* --- http_answer.c --- */

/* The parameter of a page's path that asks for the next one. */
const char *http_cursor_name(uint8_t request_type);
void http_answer_gateway(void *slot, const gateway_reply_t *reply); /* gateway_done_t */
void http_answer_problem(http_slot_t *slot, result_t result, text_t detail, text_t field,
                         text_t allow);

/* --- http_pages.c --- */

void http_pages_handle(http_slot_t *slot);
void http_fetch_forget(http_fetch_t *fetch); /* its slot is gone */
void http_fetches_orphan(http_server_t *server);

#endif
