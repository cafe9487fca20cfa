/* A bounded pool of threads for calls that block (SQLite). Jobs with the same lane run one after
 * the other in order of submission, never at once; different lanes share the threads fairly (round
 * robin of lanes). */
#ifndef RUNTIME_WORK_POOL_H
#define RUNTIME_WORK_POOL_H

#include "runtime/loop.h"
#include <stddef.h>

typedef struct work_pool work_pool_t;
typedef struct work_lane work_lane_t;

MUST_USE result_t work_pool_create(loop_t *loop, uint32_t threads, size_t jobs_max,
                                   work_pool_t **pool);
/* Runs what is queued, joins the threads, delivers their `done` on the calling (loop) thread. A
 * lane may be destroyed afterwards, and nothing else. Not to be called within `done`. */
void work_pool_destroy(work_pool_t **pool);

work_lane_t *
work_lane_create(work_pool_t *pool); /* asserts on failed allocation, as everything at start */
/* No job of it may be queued or running. */
void work_lane_destroy(work_lane_t **lane);

/* On the loop's thread. `run(job)` on a pool thread, then `done(job)` on the loop's thread. BUSY
 * when jobs_max are waiting; DRAINING while the pool is being destroyed; NO_MEMORY. */
MUST_USE result_t work_submit(work_lane_t *lane, loop_callback_t *run, loop_callback_t *done,
                              void *job);
/* Jobs submitted whose `done` was not called yet. */
size_t work_pool_waiting(const work_pool_t *pool);
/* How long the job that runs longest has run; 0: none does. When it is LIMIT_WORK_LATE_MS the pool
 * says so in the log, once. */
uint64_t work_pool_oldest_ms(work_pool_t *pool);
/* How much of the processor's time one job may take, instead of LIMIT_WORK_LOOP_MS. Beyond it the
 * process is ended (SIGABRT), since nothing else ends a loop in a thread; time that a job waits for
 * the disk does not count, however long. */
void work_pool_bound_loops(work_pool_t *pool, uint64_t processor_ms_max);

#endif
