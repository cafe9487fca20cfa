/* One thread of the generator: its share of the connections, in one epoll set. It goes through the
 * rounds of a run (run.h) and leaves the figures of each behind. */
#ifndef BENCH_LOAD_WORKER_H
#define BENCH_LOAD_WORKER_H

#include "bench/load/load.h"
#include "bench/load/run.h"
#include "bench/load/scenario.h"
#include "bench/load/wire.h"

#include <pthread.h>
#include <stdio.h>

typedef enum load_connection_state {
    LOAD_CLOSED,     /* until retry_ns */
    LOAD_CONNECTING, /* the kernel */
    LOAD_GREETING,   /* ROUTER: the handshake */
    LOAD_OPEN
} load_connection_state_t;

typedef struct load_connection {
    int fd;
    load_connection_state_t state;
    bool waits_to_write; /* EPOLLOUT is asked for */
    bool is_dirty;       /* in the worker's list of those with something to send */
    uint32_t slot_first;
    uint32_t failures; /* in a row */
    uint32_t address;  /* which of those that the host has is tried next */
    uint32_t address_count;
    uint64_t begin_ns; /* of connecting, handshake included */
    uint64_t retry_ns;
    load_buffer_t in;
    load_buffer_t out;
} load_connection_t;

enum { LOAD_SLOT_NONE = UINT32_MAX };

/* Room for one request under way. */
typedef struct load_slot {
    uint32_t connection;
    uint32_t previous; /* in the list of those under way, oldest first */
    uint32_t next;
    uint16_t turn; /* a reply to an earlier request of this slot comes too late */
    bool is_busy;
    bool is_free_listed;
    uint64_t due_ns;
    uint64_t sent_ns;
    load_request_t request;
    load_script_t script;
} load_slot_t;

typedef struct load_worker {
    load_run_t *run;
    uint32_t index;
    pthread_t thread;
    int epoll;
    load_connection_t *connections;
    uint32_t connection_count;
    load_slot_t *slots;
    uint32_t slot_count;
    uint32_t *free_ring; /* of slots; some may have lost their connection since */
    uint32_t free_begin;
    uint32_t free_count;
    uint32_t busy_first;
    uint32_t busy_last;
    uint32_t busy_count;
    uint32_t *dirty;
    uint32_t dirty_count;
    uint32_t closed_count;  /* connections that are LOAD_CLOSED */
    uint32_t opening_count; /* LOAD_CONNECTING or LOAD_GREETING */
    load_wire_t wire;
    load_player_t player;
    load_random_t random;
    FILE *acknowledged; /* NULL: not asked for */
    uint32_t preparation_failures;

    /* Of the round that is going on: */
    load_round_t round;
    double due_next_ns; /* open-loop, since the begin of the round */
    histogram_t latency;
    load_tally_t tally;
    histogram_t interval_latency;
    uint64_t interval_good;
    uint64_t interval_errors;
    size_t interval;
} load_worker_t;

/* The thread: rounds until the run ends. `context` is the worker. */
void *load_worker_main(void *context);
void load_worker_init(load_worker_t *worker, load_run_t *run, uint32_t index);
void load_worker_deinit(load_worker_t *worker);

/* --- worker_connection.c: sockets of a worker --- */

void load_connection_start(load_worker_t *worker, load_connection_t *connection);
/* The connection is gone; what was under way on it is told as `code`. */
void load_connection_lose(load_worker_t *worker, load_connection_t *connection, text_t code,
                          const char *why);
void load_connection_flush(load_worker_t *worker, load_connection_t *connection);
/* Gives up on one that has been connecting for longer than a request may take. */
void load_connection_expire(load_worker_t *worker, load_connection_t *connection, uint64_t now_ns);
void load_connection_event(load_worker_t *worker, load_connection_t *connection, uint32_t events);

/* --- worker.c, for worker_connection.c --- */

void load_worker_connection_open(load_worker_t *worker, load_connection_t *connection);
void load_worker_frame(load_worker_t *worker, load_connection_t *connection,
                       const load_frame_t *frame);
/* Ends the request of a slot without an answer. */
void load_worker_fail(load_worker_t *worker, uint32_t slot, text_t code, const char *detail);

#endif
