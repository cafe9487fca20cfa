/* What the parts of the load generator share: the options of one run, a request, a reply, and how
 * what went wrong is counted. The way of one request:
 *
 *   scenario.c  chooses it → wire_http.c or wire_router.c  writes it into a connection's buffer
 *   worker.c    sends, waits, reads, and looks at the clock
 *   wire_*.c    find the reply's frame → document.c  picks the fields that are checked
 *   scenario.c  says whether the answer is right → histogram, tally, intervals
 *
 * run.c lets all workers go through rounds (prepare, load, …); print.c and report.c tell the end.
 */
#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include "bench/load/histogram.h"
#include "messages/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOAD_THREADS_MAX = 64,
    LOAD_CONNECTIONS_MAX = 16384,
    LOAD_SLOTS_MAX = 1048576,   /* connections × pipeline; what the id of a request has bits for */
    LOAD_CARDS_MAX = 10000000,  /* 160 bytes each, here and more over there */
    LOAD_INTERVALS_MAX = 3600,  /* points of a curve; 9 KiB each while the run lasts */
    LOAD_SUBSCRIBERS_MAX = 256, /* one thread reads them all */
    LOAD_STEPS_MAX = 16,        /* of --find-rate */
    LOAD_ID_SIZE = 36,          /* a UUID as text */
    LOAD_QR_SIZE_MAX = 112,     /* codes of this service have about 70 */
    LOAD_TOKEN_SIZE_MAX = 4096, /* ours have 500 */
    LOAD_REPLY_SIZE_MAX = 1 << 20, /* a larger reply is no reply to what is asked here */
    LOAD_ERROR_KINDS_MAX = 48,     /* codes of this service that a run can see; more: "other" */
    LOAD_ERROR_CODE_SIZE = 48,
    LOAD_WRONG_TOLD_MAX = 5, /* wrong answers told in full */
    LOAD_WRONG_SIZE = 200,
    LOAD_SECONDS_MAX = 86400,
};

#define LOAD_NS_PER_S UINT64_C(1000000000)
#define LOAD_NS_PER_MS UINT64_C(1000000)

typedef enum load_protocol { LOAD_HTTP, LOAD_ROUTER } load_protocol_t;

typedef enum load_scenario {
    LOAD_SCENARIO_VALIDATE,
    LOAD_SCENARIO_SCAN,
    LOAD_SCENARIO_LIFECYCLE,
    LOAD_SCENARIO_MIXED,
    LOAD_SCENARIO_BULK,
    LOAD_SCENARIO_EVENTS,
    LOAD_SCENARIOS
} load_scenario_t;

typedef struct load_address {
    bool is_ipc;
    char host[256];
    char port[8];
    char path[108]; /* of ipc:// */
} load_address_t;

typedef struct load_options {
    load_protocol_t protocol;
    load_address_t service;
    const char *service_text; /* as it was given */
    const char *tenant;
    const char *token;
    load_scenario_t scenario;
    uint32_t cards;
    uint32_t connections;
    uint32_t pipeline;
    uint32_t threads;
    double duration_s;
    double warmup_s;
    double ramp_s;
    double rate; /* 0: closed-loop */
    bool is_poisson;
    bool finds_rate;
    double p99_ms;
    double step_s;
    uint32_t timeout_ms;
    double skew; /* exponent of Zipf's law; 0: all cards alike */
    bool skew_is_given;
    uint64_t seed;
    bool with_keys; /* an Idempotency-Key on every command */
    bool allows_errors;
    const char *events; /* endpoint of the publisher, for the scenario `events` */
    uint32_t subscribers;
    uint32_t interval_ms;
    bool json;
    bool is_live;
    const char *report;
    const char *acknowledged; /* file that gets one line for each acknowledged command */
} load_options_t;

typedef enum load_action {
    LOAD_ISSUE,
    LOAD_GET,
    LOAD_VALIDATE,
    LOAD_SCAN,
    LOAD_ACTIVATE,
    LOAD_SUSPEND,
    LOAD_REINSTATE,
    LOAD_RENEW,
    LOAD_REVOKE,
    LOAD_ACTIONS
} load_action_t;

typedef struct load_request {
    load_action_t action;
    uint32_t id;             /* of the slot and its turn; only ROUTER carries it */
    char card[LOAD_ID_SIZE]; /* of LOAD_ISSUE: unused */
    char qr[LOAD_QR_SIZE_MAX];
    uint8_t qr_size;
    bool is_activated; /* LOAD_ISSUE: active at once */
    uint64_t member;   /* LOAD_ISSUE: number of a member who has no card yet; else of the request */
} load_request_t;

/* One whole answer as it lies in a connection's buffer; texts borrow from there. */
typedef struct load_frame {
    uint32_t id; /* ROUTER */
    bool has_id;
    bool is_ok;      /* 2xx, or a type that ends in .ok */
    bool is_last;    /* HTTP: the service closes the connection after it */
    uint16_t status; /* HTTP */
    text_t body;
} load_frame_t;

/* The fields that are checked or counted; empty when they are not there. */
typedef struct load_reply {
    bool is_ok;
    text_t code;   /* of a problem */
    text_t detail; /* the same, for people */
    text_t reason; /* of a verdict */
    text_t card;
    text_t qr;
    text_t status; /* of a card */
    text_t validation_id;
} load_reply_t;

/* --- Counting what went wrong --- */

typedef struct load_error_kind {
    char code[LOAD_ERROR_CODE_SIZE];
    uint64_t count;
} load_error_kind_t;

typedef struct load_tally {
    uint64_t good;         /* right answers to requests that were due in the measured time */
    uint64_t good_in_time; /* of all right answers, those that came within it: the rate */
    uint64_t errors;
    uint64_t wrong;  /* of the errors: answers that are not true */
    uint64_t unsent; /* were due, but no connection was free until the end */
    uint64_t asked;  /* open-loop: were due */
    load_error_kind_t kinds[LOAD_ERROR_KINDS_MAX];
    size_t kind_count;
    char wrong_told[LOAD_WRONG_TOLD_MAX][LOAD_WRONG_SIZE];
    size_t wrong_told_count;
} load_tally_t;

void load_tally_error(load_tally_t *tally, text_t code, uint64_t count);
void load_tally_wrong(load_tally_t *tally, const char *told);
void load_tally_merge(load_tally_t *into, const load_tally_t *from);

/* --- Names --- */

extern const char *const load_scenario_names[LOAD_SCENARIOS];
extern const char *const load_action_names[LOAD_ACTIONS]; /* as the last part of "card.…" */

uint64_t load_now_ns(void);

/* A small generator for choices of the load: repeatable from a seed, quick, not for secrets. */
typedef struct load_random {
    uint64_t state;
} load_random_t;
uint64_t load_random_next(load_random_t *random);
double load_random_part(load_random_t *random); /* 0 ≤ part < 1 */

#endif
