/* A run: prepared cards, then one round of load or several (--find-rate), all by the same workers
 * over the same connections. The main thread starts each round, shows how it goes, and adds up. */
#ifndef BENCH_LOAD_RUN_H
#define BENCH_LOAD_RUN_H

#include "bench/load/load.h"

#include <pthread.h>
#include <stdatomic.h>

/* A rate counts as reached when so much of what was due got a right answer. */
#define LOAD_REACHED_MIN 0.99

typedef enum load_round_kind {
    LOAD_ROUND_PREPARE,
    LOAD_ROUND_LOAD,
    LOAD_ROUND_END
} load_round_kind_t;

typedef struct load_round {
    load_round_kind_t kind;
    uint64_t number;
    double rate; /* of all threads; 0: closed-loop */
    uint64_t begin_ns;
    uint64_t ramp_ns;     /* the rate rises from nothing to what was asked for */
    uint64_t measured_ns; /* when measuring begins, after ramp and warm-up */
    uint64_t end_ns;      /* nothing is sent afterwards */
} load_round_t;

/* One point of the curves. */
typedef struct load_interval {
    uint64_t good;
    uint64_t errors;
    histogram_t latency; /* coarse; made when the first value comes */
} load_interval_t;

/* The curves of one round. */
typedef struct load_curve {
    load_interval_t intervals[LOAD_INTERVALS_MAX];
    size_t count;
} load_curve_t;

typedef struct load_subscribers load_subscribers_t;

/* What one round gave. */
typedef struct load_result {
    load_round_t round;
    double measured_s;
    double rate;    /* right answers per second */
    double reached; /* open-loop: part of the requests that were due and got a right answer */
    histogram_t latency;
    load_tally_t tally;
    double generator_cpu; /* cores this program used */
    bool was_interrupted;
} load_result_t;

typedef struct load_step {
    double rate_asked; /* 0: closed-loop */
    double rate;
    double p99_ms;
    uint64_t errors;
    bool is_good;
} load_step_t;

/* What was received by subscribers. */
typedef struct load_events {
    uint64_t received;
    uint64_t missed; /* gaps in the sequence */
    uint64_t repeated;
    uint64_t lost;       /* connections of subscribers */
    uint64_t lag_ms_p50; /* from occurred_at, whole milliseconds */
    uint64_t lag_ms_p99;
    uint64_t lag_ms_max;
} load_events_t;

struct load_worker;

typedef struct load_run {
    const load_options_t *options;
    struct load_worker *workers;
    uint64_t run_id; /* in the names of members, so that runs do not meet */

    pthread_mutex_t mutex; /* guards all down to the next comment */
    pthread_cond_t changed;
    load_round_t round;
    uint32_t workers_done;
    char fatal[512];     /* why the run cannot go on; empty: it can */
    load_curve_t *curve; /* of the round that runs; after the last one, of `result` */

    atomic_bool is_stopped; /* by a signal or a fatal error */

    /* Of the main thread alone: */
    load_result_t result;
    load_curve_t curves[2];
    load_curve_t *spare; /* the one of them that `curve` is not */
    load_step_t steps[LOAD_STEPS_MAX];
    size_t step_count;
    load_subscribers_t *subscribers;
    load_events_t events;
} load_run_t;

/* Returns the exit status. */
int load_run(const load_options_t *options);

/* From workers. The first reason counts. */
void load_run_fatal(load_run_t *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Waits for the round after `number`. */
load_round_t load_run_next_round(load_run_t *run, uint64_t number);
void load_run_round_done(load_run_t *run);
/* Adds to one point of the curves. */
void load_run_interval(load_run_t *run, size_t index, uint64_t good, uint64_t errors,
                       const histogram_t *latency);
uint64_t load_run_interval_ns(const load_run_t *run);

#endif
