/* The two protocols as bytes: requests are appended to a connection's output, frames are taken from
 * its input. Neither knows sockets; both refuse what the protocol does not allow. Written for this
 * tool rather than taken from the service, so that a mistake of one is seen by the other. */
#ifndef BENCH_LOAD_WIRE_H
#define BENCH_LOAD_WIRE_H

#include "bench/load/load.h"

typedef struct load_buffer {
    uint8_t *data;
    size_t begin; /* what comes before was read or sent already */
    size_t end;
    size_t capacity;
} load_buffer_t;

void load_buffer_deinit(load_buffer_t *buffer);
void load_buffer_clear(load_buffer_t *buffer);
/* At least `size` bytes of room behind `end`; what is left moves to the front first. */
uint8_t *load_buffer_room(load_buffer_t *buffer, size_t size);
void load_buffer_append(load_buffer_t *buffer, const void *data, size_t size);
static inline void load_buffer_append_text(load_buffer_t *buffer, text_t text)
{
    load_buffer_append(buffer, text.data, text.size);
}
static inline size_t load_buffer_size(const load_buffer_t *buffer)
{
    return buffer->end - buffer->begin;
}

/* What all requests of a run have in common, written once. */
typedef struct load_wire {
    const load_options_t *options;
    load_buffer_t constant; /* HTTP: the header lines; ROUTER: the constant part of the header */
    load_buffer_t body;     /* room in which a body is written before its size is known */
    load_buffer_t head;
    uint64_t key_prefix; /* of idempotency keys: this run */
} load_wire_t;

/* "2040-01-01T00:00:00.000Z", and later by a second for each request: a renewal has to extend. */
enum { LOAD_TIME_SIZE = 24 };
text_t load_wire_expiry(const load_request_t *request, char text[LOAD_TIME_SIZE]);

void load_wire_init(load_wire_t *wire, const load_options_t *options, uint64_t key_prefix);
void load_wire_deinit(load_wire_t *wire);

typedef enum load_take {
    LOAD_TAKE_MORE,  /* the rest has not come yet */
    LOAD_TAKE_FRAME, /* and `begin` of the input moved behind it */
    LOAD_TAKE_READY, /* ROUTER: the handshake is through */
    LOAD_TAKE_BROKEN /* this is not the protocol; `why` says what */
} load_take_t;

void load_http_write(load_wire_t *wire, const load_request_t *request, load_buffer_t *out);
load_take_t load_http_take(load_buffer_t *in, load_frame_t *frame, const char **why);

void load_router_write(load_wire_t *wire, const load_request_t *request, load_buffer_t *out);
load_take_t load_router_take(load_buffer_t *in, load_frame_t *frame, const char **why);

/* Picks what is checked from the document of a reply. False: it is no such document. */
bool load_document_read_json(const load_frame_t *frame, load_action_t action, load_reply_t *reply);
bool load_document_read_msgpack(const load_frame_t *frame, load_reply_t *reply);

/* --- ZMTP 3.0 (rfc.zeromq.org/spec/23) without encryption, the side that connects --- */

/* Greeting and READY may be sent at once: nothing of NULL security depends on the other side. */
void load_zmtp_open(load_buffer_t *out, const char *socket_type);
void load_zmtp_write_frame(load_buffer_t *out, const void *data, size_t size, bool has_more);

enum { LOAD_ZMTP_PARTS_MAX = 4 }; /* reply: two; event: three */
typedef struct load_zmtp_message {
    text_t parts[LOAD_ZMTP_PARTS_MAX];
    size_t count;
} load_zmtp_message_t;

/* Takes the greeting or one whole message. `is_open` is the connection's state, false at first. */
load_take_t load_zmtp_take(load_buffer_t *in, bool *is_open, load_zmtp_message_t *message,
                           const char **why);

#endif
