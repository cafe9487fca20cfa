/* The yardsticks of the actor runtime: each runs in an actor system of its own, on one thread, from
 * its first spawn until its result is there and checked. */
#ifndef BENCH_ACTORS_ACTORS_H
#define BENCH_ACTORS_ACTORS_H

#include "bench/cards/card_bench.h"
#include "runtime/actor_notice.h"
#include "runtime/actor_system.h"
#include <stdio.h>

typedef struct bench_actors {
    loop_t *loop;
    metrics_t *metrics;
    actor_system_t *system;
    uint64_t count; /* of what the yardstick counts, as asked for */
    int64_t result; /* set by the yardstick when it stops the loop */
    uint64_t begin_us;
    uint64_t end_us;
    uint64_t units; /* of which the time is told per one */
    uint64_t bytes; /* `idle`: of memory used per actor */
    uint32_t kind;
    uint32_t other_kind;
} bench_actors_t;

typedef struct bench_yardstick {
    const char *name;
    const char *help;
    const char *unit;       /* "message": the time of one is printed in nanoseconds */
    uint64_t count_default; /* --count */
    void (*begin)(bench_actors_t *bench);
    int64_t (*expected)(uint64_t count);
    /* Instead of `begin` and `expected`: it measures and prints by itself (bench/cards). */
    int (*run_cards)(const card_bench_options_t *options);
} bench_yardstick_t;

extern const bench_yardstick_t bench_skynet;
extern const bench_yardstick_t bench_senders;
extern const bench_yardstick_t bench_create;
extern const bench_yardstick_t bench_pingpong;
extern const bench_yardstick_t bench_ring;
extern const bench_yardstick_t bench_idle;

/* Whether `result` is what the yardstick gives when nothing went wrong; else one line is said. A
 * run that fails it prints no figures. */
bool bench_actors_check(const bench_yardstick_t *yardstick, uint64_t count, int64_t result,
                        FILE *complaints);
/* Ends the measurement and the loop. */
void bench_actors_finish(bench_actors_t *bench, int64_t result);
/* A benchmark without memory is no benchmark: these abort with a sentence. */
void bench_must(result_t result);
void bench_tell_number(actor_t *self, actor_ref_t to, int64_t number);
actor_message_t *bench_number_create(actor_system_t *system, int64_t number);
static inline int64_t bench_number_of(actor_message_t *message)
{
    return *(const int64_t *)actor_message_payload(message);
}

#endif
