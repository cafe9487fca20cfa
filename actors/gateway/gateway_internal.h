/* Inside of the gateway, for actors/gateway*.c and its tests. */
#ifndef ACTORS_GATEWAY_INTERNAL_H
#define ACTORS_GATEWAY_INTERNAL_H

#include "actors/gateway/gateway.h"
#include "runtime/limits.h"

enum {
    GATEWAY_NONE = 0xffff,           /* no slot: ends lists */
    GATEWAY_DIRECTORY_SLOT = 0xfffe, /* in correlations of the directory's own requests */
    GATEWAY_RELAY_PEER = LIMIT_SHARDS,
    GATEWAY_PEERS = LIMIT_SHARDS + 1,
    GATEWAY_TRACEPARENT_SIZE = 55,
    GATEWAY_TRACE_ID_SIZE = 32,
    GATEWAY_TRACE_ID_OFFSET = 3, /* in a traceparent: after "00-" */
    GATEWAY_DETAIL_SIZE = 320,
    GATEWAY_TRACE_POOL_SIZE = 24 * 64,
    GATEWAY_REQUEST_TYPES = request_type_webhook_log + 1, /* those that clients may ask */
    GATEWAY_OUTCOMES = outcome_error + 1,
};

/* What each request type is made of. */
typedef struct gateway_shape {
    const message_type_t *command;
    const message_type_t *document;
    gateway_target_t target;
    bool is_read;    /* no effects: may be sent again */
    bool needs_card; /* goes to one card by its id */
} gateway_shape_t;

/* NULL when clients cannot ask for it. */
const gateway_shape_t *gateway_shape(uint8_t type);

typedef enum gateway_pending_state {
    GATEWAY_PENDING_FREE,
    GATEWAY_PENDING_UNSENT, /* waits for its peer */
    GATEWAY_PENDING_SENT,
    GATEWAY_PENDING_LOST, /* its peer died: about to end with OUTCOME_UNKNOWN */
} gateway_pending_state_t;

/* Doubly linked through two 16-bit members of the slots. */
typedef struct gateway_list {
    uint16_t first;
    uint16_t last;
} gateway_list_t;

typedef struct gateway_link {
    uint16_t previous;
    uint16_t next;
} gateway_link_t;

/* One request in flight. Its envelope is kept until the reply: a peer may die or refuse because it
 * is draining, and nearly all envelopes fit into the slot. */
typedef struct gateway_pending {
    uint64_t serial;     /* rises with every submission */
    uint32_t generation; /* rises with each use of the slot; from 1 */
    uint8_t state;       /* gateway_pending_state_t */
    uint8_t type;
    bool may_resend;      /* a read, or a command with a key */
    uint8_t sent_count;   /* 0: it cannot have had an effect */
    uint16_t peer;        /* index in gateway.peers */
    uint16_t flow;        /* index in gateway.flows */
    gateway_link_t order; /* waiting: list of its flow; sent: of its peer; the lost; or (next only)
                             the free ones */
    gateway_link_t deadline; /* list of its wheel bucket */
    uint32_t deadline_span_ms;
    uint64_t deadline_ms; /* loop time */
    uint64_t started_us;
    gateway_done_t *done;
    void *context;
    char trace_id[GATEWAY_TRACE_ID_SIZE];
    uint8_t *envelope; /* `inline_envelope` or malloc */
    size_t envelope_size;
    uint8_t inline_envelope[LIMIT_REQUEST_INLINE_SIZE];
} gateway_pending_t;

typedef enum gateway_peer_state {
    GATEWAY_PEER_DOWN,
    GATEWAY_PEER_UP,
    GATEWAY_PEER_DRAINING
} gateway_peer_state_t;

/* The requests of one tenant to one peer, while there are any: those beyond its credits wait here,
 * in order of submission. */
typedef struct gateway_flow {
    uint16_t peer;
    uint16_t chain; /* of its bucket, or of the free ones */
    gateway_link_t ring;
    bool is_in_ring; /* something waits, and it has credit */
    uint8_t name_size;
    char name[LIMIT_TENANT_NAME_SIZE];
    gateway_list_t waiting;
    uint32_t waiting_count;
    uint32_t sent_count;
    uint32_t lost_count;
} gateway_flow_t;

enum { GATEWAY_FLOW_BUCKETS = 1024 };

typedef struct gateway_peer {
    gateway_peer_state_t state;
    gateway_list_t sent; /* in order of sending */
    uint32_t sent_count;
    uint32_t unsent_count;   /* of all its flows */
    uint32_t credits;        /* so many may be sent and not answered */
    uint32_t tenant_credits; /* the same of one tenant */
    gateway_list_t ring;     /* flows whose turn comes */
    bool is_dispatching;     /* `done` of one that is overdue may submit the next */
    bool is_farewell_said;
    uint8_t store;          /* enum store_state, as it said last; 0: it answers */
    uint64_t store_told_ms; /* when; the word holds for LIMIT_STORE_TOLD_MS */
    uint64_t held_until_ms; /* it said that it is draining, and the supervisor did not yet */
} gateway_peer_t;

typedef struct gateway_tenant {
    char name[LIMIT_TENANT_NAME_SIZE];
    uint8_t name_size;
    uint8_t partitions;
    int64_t created_at_ms; /* 0: not told */
} gateway_tenant_t;

/* A set of tenants and keys as of one version. */
typedef struct gateway_tenants {
    uint64_t version;
    gateway_tenant_t *entries; /* malloc, in order of name */
    size_t count;
    size_t capacity;
    directory_token_key_t keys[LIMIT_DIRECTORY_TOKEN_KEYS]; /* texts point into key_texts */
    size_t key_count;
    char *key_texts; /* malloc */
    size_t key_texts_size;
} gateway_tenants_t;

typedef struct gateway_directory {
    bool is_loaded;
    gateway_tenants_t current;
    gateway_tenants_t next; /* being put together from pages */
    uint32_t generation;    /* of the request in flight; replies to older ones are ignored */
    bool is_asking;
    bool asks_all; /* shard 0 is a new one: its versions need not continue the old one's */
    uint64_t asked_at_ms;
} gateway_directory_t;

typedef struct gateway_numbers {
    metric_t *requests[GATEWAY_REQUEST_TYPES][GATEWAY_OUTCOMES];
    metric_t *in_flight;
    metric_t *seconds_validations;
    metric_t *seconds_others;
    metric_t *resent;
    metric_t *outcome_unknown;
    metric_t *busy;
    metric_t *waiting;
    metric_t *deadline_exceeded;
    metric_t *late;
    metric_t *undecodable;
    metric_t *tokens_checked;
    metric_t *tokens_remembered;
    token_numbers_t tokens_before; /* what has been counted already */
} gateway_numbers_t;

struct gateway {
    loop_t *loop;
    gateway_ports_t ports;
    gateway_numbers_t numbers;
    loop_timer_t *tick_timer;
    loop_timer_t *directory_timer;
    bool is_ticking;

    gateway_pending_t *pending; /* LIMIT_REQUESTS_IN_FLIGHT */
    uint64_t serial_last;
    gateway_flow_t *flows; /* LIMIT_REQUESTS_IN_FLIGHT: each has a request at least */
    uint16_t flow_buckets[GATEWAY_FLOW_BUCKETS];
    uint16_t flow_first_free;
    uint32_t flows_used_count;
    uint32_t waiting_count; /* slots that wait, of all peers */
    uint16_t *wheel;        /* LIMIT_DEADLINE_TICKS first slots */
    uint32_t used_count;    /* slots that were ever used: the others were never touched */
    uint16_t first_free;
    uint32_t in_flight_count;
    uint64_t ticks_done; /* loop time in ticks up to which deadlines were looked at */
    gateway_list_t lost;
    gateway_peer_t peers[GATEWAY_PEERS];

    gateway_directory_t directory;

    bool is_draining;
    loop_callback_t *drained;
    void *drained_context;

    uint8_t trace_pool[GATEWAY_TRACE_POOL_SIZE]; /* random bytes for trace ids */
    size_t trace_pool_used;
    uint8_t command_scratch[LIMIT_REQUEST_PACKED_SIZE];
    uint8_t envelope_scratch[LIMIT_REQUEST_PACKED_SIZE];
    uint8_t arena_scratch[LIMIT_REQUEST_PACKED_SIZE]; /* of decoded replies that are no pages */
    char authorise_detail[GATEWAY_DETAIL_SIZE];       /* of the last gateway_authorise */
    char authorise_traceparent[GATEWAY_TRACEPARENT_SIZE];
};

/* What the checks of a request found out. */
typedef struct gateway_admission {
    uint64_t started_us;
    const gateway_shape_t *shape;
    token_claims_t claims;
    const gateway_tenant_t *tenant;
    bool has_card;
    uuid_t card;
    uint32_t partition;
    uint16_t peer;
    bool has_key_hash;
    uint8_t key_hash[32];
    char traceparent[GATEWAY_TRACEPARENT_SIZE];
    char detail[GATEWAY_DETAIL_SIZE]; /* why not */
    const char *field;                /* NULL: none */
} gateway_admission_t;

/* --- gateway_admission.c: may this request go on, and where to? --- */
MUST_USE result_t gateway_admit(gateway_t *gateway, const gateway_request_t *request,
                                gateway_admission_t *admission);

/* --- gateway_trace.c --- */
/* Version 00, lower-case hexadecimal digits, ids that are not all zero. */
bool gateway_traceparent_is_valid(text_t traceparent);
/* The client's when valid, else a new one. */
void gateway_traceparent(gateway_t *gateway, text_t given, char out[GATEWAY_TRACEPARENT_SIZE]);

/* --- gateway_pending.c: the table of requests in flight --- */
MUST_USE result_t gateway_pending_init(gateway_t *gateway);
void gateway_pending_deinit(gateway_t *gateway);
/* NULL when the table is full, or when more of its tenant wait than may. The slot waits in its
 * flow, with its deadline set. */
gateway_pending_t *gateway_pending_take(gateway_t *gateway, uint16_t peer, text_t tenant,
                                        uint32_t deadline_ms);
/* NULL when the correlation belongs to nothing in flight. */
gateway_pending_t *gateway_pending_find(gateway_t *gateway, uint64_t correlation);
uint64_t gateway_pending_correlation(const gateway_t *gateway, const gateway_pending_t *pending);
/* Frees the slot without a word. */
void gateway_pending_release(gateway_t *gateway, gateway_pending_t *pending);
/* Takes a slot out of its list and puts it at the end of the lost. */
void gateway_pending_lose(gateway_t *gateway, gateway_pending_t *pending);
void gateway_pending_set_unsent(gateway_t *gateway, gateway_pending_t *pending);
void gateway_pending_set_sent(gateway_t *gateway, gateway_pending_t *pending);
/* The first slot of a list, or NULL. */
gateway_pending_t *gateway_pending_first(gateway_t *gateway, const gateway_list_t *list);
/* The last slot of a list, or NULL; and the one before. */
gateway_pending_t *gateway_pending_last(gateway_t *gateway, const gateway_list_t *list);
gateway_pending_t *gateway_pending_previous(gateway_t *gateway, const gateway_pending_t *pending);
/* A slot whose deadline is over, or NULL when there is none up to the loop's now. */
gateway_pending_t *gateway_pending_overdue(gateway_t *gateway);

/* --- gateway_flow.c: who waits for credit, and whose turn is next --- */
MUST_USE result_t gateway_flow_init(gateway_t *gateway);
void gateway_flow_deinit(gateway_t *gateway);
/* Finds or makes it; NULL when it may not have one more request waiting. */
gateway_flow_t *gateway_flow_enter(gateway_t *gateway, uint16_t peer, text_t tenant);
/* Goes when nothing waits in it and nothing of it was sent. */
void gateway_flow_leave(gateway_t *gateway, gateway_flow_t *flow);
/* After any change of its counts or of its peer's credits: in the ring if something of it may go.
 */
void gateway_flow_place(gateway_t *gateway, gateway_flow_t *flow);
/* The flow whose turn it is, and behind the others it goes; NULL when nothing may be sent. */
gateway_flow_t *gateway_flow_next(gateway_t *gateway, gateway_peer_t *peer);
void gateway_flow_grant(gateway_t *gateway, uint16_t peer, uint32_t credits,
                        uint32_t tenant_credits);

/* --- gateway.c --- */
/* Ends a request whose deadline has passed. */
void gateway_fail_overdue(gateway_t *gateway, gateway_pending_t *pending);

/* --- gateway_peers.c: sending, and what happens when peers come and go --- */
/* Packs, keeps and sends (or keeps waiting). BUSY: nothing is pending. */
MUST_USE result_t gateway_start(gateway_t *gateway, const gateway_request_t *request,
                                const gateway_admission_t *admission, gateway_done_t *done,
                                void *context, uint64_t *handle);
/* Sends what waits and may go, tenant by tenant. */
void gateway_dispatch(gateway_t *gateway, uint16_t peer);
void gateway_dispatch_all(gateway_t *gateway);
void gateway_receive_credit(gateway_t *gateway, const credit_t *credit);
/* To a shard that drains, once nothing of ours is with it. */
void gateway_say_farewell(gateway_t *gateway, uint16_t peer);
/* One request less is with the peer: the next may go. */
static inline void gateway_after_release(gateway_t *gateway, uint16_t peer)
{
    if (gateway->peers[peer].unsent_count > 0) {
        gateway_dispatch(gateway, peer);
    }
    if (gateway->peers[peer].state == GATEWAY_PEER_DRAINING) {
        gateway_say_farewell(gateway, peer);
    }
}
/* Ends those that were never sent, with DRAINING: they cannot count on a successor any more. */
void gateway_fail_unsent(gateway_t *gateway);
void gateway_tick_start(gateway_t *gateway);

/* --- gateway_reply.c: how requests end --- */
/* Ends a request with an error made here; the slot is free when `done` runs. */
void gateway_fail(gateway_t *gateway, gateway_pending_t *pending, result_t result,
                  const char *detail);
/* Answers a request that never got a slot. */
void gateway_fail_unstarted(gateway_t *gateway, const gateway_request_t *request,
                            const gateway_admission_t *admission, result_t result,
                            gateway_done_t *done, void *context);

/* --- gateway_directory.c --- */
void gateway_directory_init(gateway_t *gateway);
void gateway_directory_deinit(gateway_t *gateway);
/* Asks shard 0 when it is time. */
void gateway_directory_poll(gateway_t *gateway);
/* Shard 0 came up: asks at once, and for everything. */
void gateway_directory_ask_all(gateway_t *gateway);
void gateway_directory_receive(gateway_t *gateway, const reply_t *reply);
const gateway_tenant_t *gateway_directory_find(const gateway_t *gateway, text_t name);

/* --- gateway_metrics.c --- */
void gateway_metrics_init(gateway_t *gateway, metrics_t *metrics);
void gateway_metrics_finish(gateway_t *gateway, uint8_t type, uint8_t outcome, result_t result,
                            uint64_t started_us);
void gateway_metrics_tokens(gateway_t *gateway);

#endif
