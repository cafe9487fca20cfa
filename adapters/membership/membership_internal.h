/* Insides of the membership adapter, for its files and their tests. */
#ifndef ADAPTERS_MEMBERSHIP_MEMBERSHIP_INTERNAL_H
#define ADAPTERS_MEMBERSHIP_MEMBERSHIP_INTERNAL_H

#include "adapters/membership/membership.h"
#include "runtime/name_lookup.h"
#include "runtime/zsocket.h"
#include <jansson.h>

enum { ENDPOINT_SIZE = 256, ENDPOINTS_MAX = 64, FRAME_SIZE = 1024 };

typedef struct membership_adapter membership_adapter_t;

/* A DEALER to one context that speaks ZeroMQ; made on the first question. */
typedef struct membership_dealer {
    struct membership_dealer *next;
    membership_adapter_t *adapter;
    zsocket_t *socket;
    char endpoint[ENDPOINT_SIZE];
    name_lookup_t *lookup; /* of its host; NULL: that is no name */
    uint64_t look_ms;      /* when it is looked up next, of loop_now_ms */
    /* Where the socket is connected to; empty: nowhere yet. */
    char connected[ENDPOINT_SIZE + NAME_ADDRESS_SIZE];
} membership_dealer_t;

typedef struct membership_frames {
    uint8_t header[FRAME_SIZE];
    uint8_t body[FRAME_SIZE];
    size_t header_size;
    size_t body_size;
} membership_frames_t;

/* A context that is asked over HTTP: membership_turns.c. */
typedef struct membership_context {
    struct membership_context *next;
    text_t url;               /* of the settings */
    uint32_t calls;           /* on their way */
    uint64_t turn;            /* the last that it had; 0: none yet */
    membership_call_t *first; /* that wait for a place */
    membership_call_t *last;
} membership_context_t;

struct membership_call {
    membership_call_t *next; /* of those that wait: over HTTP for a place, over ZeroMQ */
    membership_adapter_t *adapter;
    membership_done_t *done;
    void *context;
    bool asks_member;
    char member_id[128];
    size_t member_size;
    char tenant[LIMIT_TENANT_NAME_SIZE]; /* over HTTP */
    size_t tenant_size;
    char *url;                         /* over HTTP: what is got; NULL: over ZeroMQ */
    membership_context_t *asked;       /* over HTTP */
    http_call_t *http;                 /* over HTTP; NULL: it waits for a place */
    const char *refusal;               /* over HTTP: why the client does not make it; NULL: none */
    uint64_t number;                   /* over ZeroMQ: the id of the request */
    const membership_dealer_t *dealer; /* over ZeroMQ: who was asked, and alone may answer */
    membership_frames_t *unsent;       /* over ZeroMQ: waits for the dealer's name; NULL: sent */
    uint64_t deadline_ms;              /* of loop_now_ms */
};

struct membership_adapter {
    membership_t base; /* first: callers see only this */
    loop_t *loop;
    membership_options_t options;
    membership_dealer_t *dealers;
    membership_dealer_t *subscribers; /* XSUB sockets, one per endpoint */
    membership_context_t *contexts;   /* asked over HTTP so far */
    membership_context_t refused;     /* calls that the client does not make; they end soon */
    uint32_t http_calls;              /* on their way, of all contexts */
    uint64_t http_turns;              /* that were had, of all contexts */
    membership_call_t *waiting;       /* over ZeroMQ */
    uint64_t next_number;
    loop_timer_t *tick;
    metric_t *unreadable;
    member_event_t events[LIMIT_MEMBERSHIP_PAGE];
};

/* --- membership_parse.c --- */

/* Fills an answer from a document; `failure` says what makes no sense. Texts borrow from the
 * document, events from the adapter's array. */
void membership_parse_member(const membership_call_t *call, const json_t *document,
                             membership_answer_t *answer);
void membership_parse_page(membership_adapter_t *adapter, const json_t *document,
                           membership_answer_t *answer);
/* One event: `header` and `body` may be the same object. False: it has no sequence. What has one
 * and makes no sense is dead. */
bool membership_parse_event(const char *name, const json_t *header, const json_t *body,
                            member_event_t *event);
/* NULL when it is no JSON object, or too deep. Owned by the caller. */
json_t *membership_read_json(const char *data, size_t size);
/* The same from msgpack, where nobody vouches for sizes. */
json_t *membership_read_msgpack(const void *data, size_t size);

/* --- membership_http.c --- */

result_t membership_ask_http(membership_adapter_t *adapter, text_t url,
                             const membership_question_t *question, membership_call_t *call);

/* Gives the call to the client now. */
MUST_USE result_t membership_http_start(membership_call_t *call);

/* --- membership_turns.c --- */

/* The call, with its `url`, goes out when it is its turn, perhaps at once. */
void membership_turn_wait(membership_call_t *call, text_t url);
/* It is not on its way any more. */
void membership_turn_end(membership_call_t *call);
/* It does not wait any more. */
void membership_turn_leave(membership_call_t *call);
/* Ends what has waited too long. */
void membership_turns_tick(membership_adapter_t *adapter);
void membership_turns_close(membership_adapter_t *adapter);

/* --- membership_zmq.c --- */

result_t membership_ask_zmq(membership_adapter_t *adapter, text_t endpoint,
                            const membership_question_t *question, membership_call_t *call);
void membership_forget_zmq(membership_adapter_t *adapter, membership_call_t *call);
void membership_tick_zmq(membership_adapter_t *adapter);
result_t membership_subscribe_zmq(membership_adapter_t *adapter, text_t endpoint, text_t tenant,
                                  bool is_wanted);
void membership_close_zmq(membership_adapter_t *adapter);
/* The socket is connected for the first time: what waited for that is sent. */
void membership_send_unsent(const membership_dealer_t *dealer);

/* --- membership_endpoint.c --- */

/* Connects the socket, or begins to look the name of its host up. */
MUST_USE result_t membership_endpoint_open(membership_dealer_t *dealer);
/* Now and then: connects to where its name leads. */
void membership_endpoint_follow(membership_dealer_t *dealer, uint64_t now_ms);

/* --- membership.c --- */

/* Ends a call with the answer that a document makes, or with the failure in it; frees the call. */
void membership_finish(membership_call_t *call, const json_t *document, const char *failure);
void membership_finish_missing(membership_call_t *call);
void membership_call_free(membership_call_t *call);

#endif
