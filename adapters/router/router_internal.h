/* Insides of the ROUTER front, for its own file. */
#ifndef ADAPTERS_ROUTER_ROUTER_INTERNAL_H
#define ADAPTERS_ROUTER_ROUTER_INTERNAL_H

#include "adapters/router/router_front.h"
#include "runtime/limits.h"
#include "runtime/zsocket.h"

#include <sys/queue.h>

enum {
    ROUTER_VERSION = 1,
    ROUTER_STATUS_REFUSED = 409, /* what HTTP says with 409 is `….refused` here (DESIGN 3.4) */
    ROUTER_TYPE_SIZE = 64,       /* of api_reply_header.type */
    ROUTER_ID_SIZE = 128,        /* of api_header.id */
    ROUTER_CLIENT_SIZE = 255,    /* of a routing id, by the protocol */
};

typedef struct router_request {
    LIST_ENTRY(router_request) link; /* in flight, or spare */
    router_front_t *front;
    uint64_t handle; /* of the gateway, 0: none */
    uint8_t type;    /* enum request_type; none while it is not known */
    uint8_t envelope_count;
    uint16_t envelope_sizes[LIMIT_API_FRAMES];
    uint16_t id_size;
    char id[ROUTER_ID_SIZE];
    char envelope[LIMIT_API_ENVELOPE_SIZE];
} router_request_t;

typedef struct router_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
} router_buffer_t;

/* Large replies that a client has not read. */
typedef struct router_account {
    zsocket_account_t *account; /* NULL: never used */
    size_t client_size;
    char client[ROUTER_CLIENT_SIZE]; /* its routing id */
} router_account_t;

/* A reply that waits until its client is to have it: frames one behind the other. */
typedef struct router_held {
    STAILQ_ENTRY(router_held) link;
    size_t count;
    uint32_t sizes[LIMIT_API_FRAMES];
    char bytes[];
} router_held_t;

typedef enum router_leaving {
    ROUTER_STAYS,
    ROUTER_HOLDS,      /* hands over: replies are held until its clients wait for nothing else */
    ROUTER_WAITS,      /* some do not wait for replies: these leave, a pause is looked for */
    ROUTER_SENDS_LAST, /* nothing came for a while: what was held is on its way to the kernel; when
                          something comes after all, back to one of the above */
    ROUTER_WAS_LEFT,   /* the clients were told the end: no reply can reach them any more */
    ROUTER_FINISHES    /* reads nothing any more; ends with the last reply */
} router_leaving_t;

/* How a hand-over goes on (router_leave.c). */
typedef struct router_leave {
    uint64_t began_ms;
    uint64_t state_ms;          /* when the present state began */
    uint64_t looked_ms;         /* the last tick */
    uint64_t received_ms;       /* the last request */
    uint64_t late_ms;           /* the longest that a request or a tick let wait for itself */
    uint64_t seen_since_ms;     /* in flight: since when `seen_now` counts */
    uint32_t seen_now;          /* the most in flight at a time in this second … */
    uint32_t seen_before;       /* … and in the one before */
    uint32_t held_count;        /* replies */
    uint32_t written_ticks;     /* in a row in which ZeroMQ had nothing more to write */
    uint32_t dropped;           /* requests that came too late for an answer */
    bool has_heard;             /* something came since the last replies were sent */
    bool does_not_wait;         /* some client goes on while its replies are held */
    zsocket_account_t *account; /* of the last replies; NULL: none, or no memory */
} router_leave_t;

typedef struct router_metrics {
    metric_t *requests;
    metric_t *replies;
    metric_t *malformed;
    metric_t *gone;
    metric_t *unsent;
    metric_t *held;
    metric_t *late;
    metric_t *in_flight;
    metric_t *unread_bytes;
    metric_t *unread_refused;
} router_metrics_t;

struct router_front {
    loop_t *loop;
    gateway_t *gateway;
    zsocket_t *socket;
    loop_hook_t *hook;
    router_metrics_t metrics;
    LIST_HEAD(, router_request) in_flight;
    uint32_t in_flight_count;
    LIST_HEAD(, router_request) spare;
    uint32_t spare_count;
    router_account_t accounts[LIMIT_API_ACCOUNTS];
    size_t account_count; /* that were ever used */
    router_leaving_t leaving;
    router_leave_t leave;
    loop_timer_t *timer; /* while it hands over */
    STAILQ_HEAD(, router_held) held;
    loop_callback_t *drained;
    void *drained_context;

    /* Scratch of one call. */
    router_buffer_t header;
    router_buffer_t body;
    _Alignas(16) uint8_t arena[LIMIT_API_ARENA_SIZE];
};

/* router_front.c */
/* `account` NULL: the client's own, if the reply is so large that it needs one. */
void router_send(router_front_t *front, const zframe_view_t *frames, size_t count,
                 zsocket_account_t *account);

/* router_accounts.c */
/* Whether a reply with a body of this size may wait for the client. */
bool router_accounts_admit(router_front_t *front, const zframe_view_t *client, size_t size);
/* What it is sent on; NULL: it is small and needs none. */
zsocket_account_t *router_accounts_find(router_front_t *front, const zframe_view_t *client,
                                        size_t size);
size_t router_accounts_size(const router_front_t *front);
void router_accounts_end(router_front_t *front);

/* router_leave.c */
/* Keeps a copy; false when there is no memory for it. */
bool router_hold(router_front_t *front, const zframe_view_t *frames, size_t count);
void router_held_forget(router_front_t *front);
/* Of a request that came: false when nobody could be told its outcome any more. */
bool router_leave_hears(router_front_t *front);
void router_leave_tick(void *context);
/* At the end of each turn. */
void router_leave_turn(router_front_t *front);

#endif
