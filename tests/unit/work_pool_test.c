/* The pool of threads: order within a lane, fairness between lanes, bounds, ends. */
#include "runtime/limits.h"
#include "runtime/work_pool.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LANES = 8, JOBS = 2000 };

typedef struct fixture fixture_t;

typedef struct lane_record {
    fixture_t *fixture;
    work_lane_t *lane;
    _Atomic uint32_t running; /* jobs of this lane at this moment */
    uint32_t ran;             /* touched by one thread at a time, or the lane is broken */
    uint32_t done;
    bool is_broken;
} lane_record_t;

typedef struct job_record {
    lane_record_t *lane;
    uint32_t number;
} job_record_t;

struct fixture {
    loop_t *loop;
    work_pool_t *pool;
    lane_record_t lanes[LANES];
    job_record_t jobs[LANES][JOBS];
    uint32_t done;
    uint32_t done_expected;
    pthread_t loop_thread;
    sem_t gate; /* jobs of `run_gated` wait here */
    _Atomic uint32_t gated;
    uint32_t order[64];
    _Atomic uint32_t order_count;
};

static void fixture_init(fixture_t *fixture, uint32_t threads, size_t jobs_max)
{
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    assert_int_equal(work_pool_create(fixture->loop, threads, jobs_max, &fixture->pool), RESULT_OK);
    fixture->loop_thread = pthread_self();
    assert_int_equal(sem_init(&fixture->gate, 0, 0), 0);
    for (uint32_t index = 0; index < LANES; index++) {
        fixture->lanes[index].fixture = fixture;
        fixture->lanes[index].lane = work_lane_create(fixture->pool);
    }
}

static fixture_t *fixture_create(uint32_t threads, size_t jobs_max)
{
    fixture_t *const fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture_init(fixture, threads, jobs_max);
    return fixture;
}

static void fixture_destroy(fixture_t *fixture)
{
    work_pool_destroy(&fixture->pool);
    assert_null(fixture->pool);
    for (uint32_t index = 0; index < LANES; index++) {
        work_lane_destroy(&fixture->lanes[index].lane);
    }
    loop_destroy(&fixture->loop);
    sem_destroy(&fixture->gate);
    free(fixture);
}

static void run_numbered(void *context)
{
    const job_record_t *const job = context;
    lane_record_t *const lane = job->lane;
    lane->is_broken |= atomic_fetch_add(&lane->running, 1) != 0;
    lane->is_broken |= pthread_equal(pthread_self(), lane->fixture->loop_thread) != 0;
    lane->is_broken |= job->number != lane->ran;
    lane->ran++;
    atomic_fetch_sub(&lane->running, 1);
}

static void done_numbered(void *context)
{
    const job_record_t *const job = context;
    fixture_t *const fixture = job->lane->fixture;
    assert_true(pthread_equal(pthread_self(), fixture->loop_thread));
    assert_int_equal(job->number, job->lane->done);
    job->lane->done++;
    fixture->done++;
    if (fixture->done == fixture->done_expected) {
        loop_stop(fixture->loop);
    }
}

static void submit_all(fixture_t *fixture)
{
    for (uint32_t number = 0; number < JOBS; number++) {
        for (uint32_t index = 0; index < LANES; index++) {
            job_record_t *const job = &fixture->jobs[index][number];
            *job = (job_record_t){&fixture->lanes[index], number};
            assert_int_equal(
                work_submit(fixture->lanes[index].lane, run_numbered, done_numbered, job),
                RESULT_OK);
        }
    }
}

static void work_lane_keeps_order_and_never_runs_two_jobs_at_once(void **state)
{
    (void)state;
    fixture_t *const fixture = fixture_create(4, LANES * JOBS);
    fixture->done_expected = LANES * JOBS;
    submit_all(fixture);
    loop_run(fixture->loop);
    for (uint32_t index = 0; index < LANES; index++) {
        assert_false(fixture->lanes[index].is_broken);
        assert_int_equal(fixture->lanes[index].done, JOBS);
    }
    assert_int_equal(work_pool_waiting(fixture->pool), 0);
    fixture_destroy(fixture);
}

static void work_pool_destroy_runs_and_delivers_what_is_queued(void **state)
{
    (void)state;
    fixture_t *const fixture = fixture_create(2, LANES * JOBS);
    fixture->done_expected = UINT32_MAX;
    submit_all(fixture);
    work_pool_destroy(&fixture->pool);
    assert_int_equal(fixture->done, LANES * JOBS);
    fixture_destroy(fixture);
}

static void run_gated(void *context)
{
    lane_record_t *const lane = context;
    fixture_t *const fixture = lane->fixture;
    atomic_fetch_add(&fixture->gated, 1);
    while (sem_wait(&fixture->gate) != 0) {
    }
}

static void run_ordered(void *context)
{
    lane_record_t *const lane = context;
    fixture_t *const fixture = lane->fixture;
    fixture->order[atomic_fetch_add(&fixture->order_count, 1)] = (uint32_t)(lane - fixture->lanes);
}

static void done_counts(void *context)
{
    fixture_t *const fixture = ((lane_record_t *)context)->fixture;
    fixture->done++;
    if (fixture->done == fixture->done_expected) {
        loop_stop(fixture->loop);
    }
}

static result_t submit(fixture_t *fixture, uint32_t lane, loop_callback_t *run)
{
    return work_submit(fixture->lanes[lane].lane, run, done_counts, &fixture->lanes[lane]);
}

static void work_lanes_share_the_threads_round_robin(void **state)
{
    (void)state;
    fixture_t *const fixture = fixture_create(1, 64);
    fixture->done_expected = 10;
    assert_int_equal(submit(fixture, 0, run_gated), RESULT_OK); /* holds the only thread */
    for (int count = 0; count < 5; count++) {
        assert_int_equal(submit(fixture, 1, run_ordered), RESULT_OK);
    }
    for (int count = 0; count < 2; count++) {
        assert_int_equal(submit(fixture, 2, run_ordered), RESULT_OK);
        assert_int_equal(submit(fixture, 3, run_ordered), RESULT_OK);
    }
    sem_post(&fixture->gate);
    loop_run(fixture->loop);
    static const uint32_t expected[] = {1, 2, 3, 1, 2, 3, 1, 1, 1};
    assert_memory_equal(fixture->order, expected, sizeof(expected));
    fixture_destroy(fixture);
}

static void work_submit_answers_busy_at_the_bound(void **state)
{
    (void)state;
    fixture_t *const fixture = fixture_create(1, 3);
    fixture->done_expected = 3;
    for (int count = 0; count < 3; count++) {
        assert_int_equal(submit(fixture, 0, run_gated), RESULT_OK);
    }
    assert_int_equal(submit(fixture, 1, run_gated), RESULT_BUSY);
    assert_int_equal(work_pool_waiting(fixture->pool), 3);
    for (int count = 0; count < 3; count++) {
        sem_post(&fixture->gate);
    }
    loop_run(fixture->loop);
    sem_post(&fixture->gate);
    fixture->done_expected = 4;
    assert_int_equal(submit(fixture, 1, run_gated), RESULT_OK);
    loop_run(fixture->loop);
    fixture_destroy(fixture);
}

static void job_that_runs_longest_is_known(void **state)
{
    (void)state;
    fixture_t *const fixture = fixture_create(2, 3);
    fixture->done_expected = 2;
    assert_int_equal(work_pool_oldest_ms(fixture->pool), 0);
    assert_int_equal(submit(fixture, 0, run_gated), RESULT_OK);
    while (work_pool_oldest_ms(fixture->pool) < 20) { /* it waits at the gate */
        sched_yield();
    }
    assert_int_equal(submit(fixture, 1, run_gated), RESULT_OK);
    assert_true(work_pool_oldest_ms(fixture->pool) >= 20); /* the first, not the last */
    sem_post(&fixture->gate);
    sem_post(&fixture->gate);
    loop_run(fixture->loop);
    assert_int_equal(work_pool_oldest_ms(fixture->pool), 0);
    fixture_destroy(fixture);
}

/* --- Calls that do not come back --- */

static _Noreturn void run_computing(void *context)
{
    (void)context;
    volatile uint64_t turns = 0;
    for (;;) {
        turns = turns + 1;
    }
}

static void run_waiting(void *context)
{
    (void)context;
    (void)poll(NULL, 0, 2 * LIMIT_WORK_LOOK_MS + LIMIT_WORK_LOOK_MS / 2);
}

/* How the process ends in which this job may compute for 100 ms. */
static int status_with(loop_callback_t *run)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_t *const fixture = fixture_create(2, 3);
        (void)alarm(60); /* nobody waits for ever */
        work_pool_bound_loops(fixture->pool, 100);
        fixture->done_expected = 1;
        if (submit(fixture, 0, run) == RESULT_OK) {
            loop_run(fixture->loop);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void job_that_computes_without_end_ends_the_process(void **state)
{
    (void)state;
    const int status = status_with(run_computing);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void job_that_waits_in_the_kernel_ends_nobody(void **state)
{
    (void)state;
    const int status = status_with(run_waiting);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void work_lanes_run_side_by_side(void **state)
{
    (void)state;
    fixture_t *const fixture = fixture_create(3, 8);
    fixture->done_expected = 3;
    for (uint32_t lane = 0; lane < 3; lane++) {
        assert_int_equal(submit(fixture, lane, run_gated), RESULT_OK);
    }
    while (atomic_load(&fixture->gated) < 3) { /* all three are within run at once */
    }
    for (int count = 0; count < 3; count++) {
        sem_post(&fixture->gate);
    }
    loop_run(fixture->loop);
    fixture_destroy(fixture);
}

static void run_nothing(void *context)
{
    (void)context;
}

static void done_submits_again(void *context)
{
    lane_record_t *const lane = context;
    fixture_t *const fixture = lane->fixture;
    fixture->done++;
    const result_t result = work_submit(lane->lane, run_nothing, done_submits_again, lane);
    if (fixture->done == 5000) {
        loop_stop(fixture->loop);
    }
    assert_true(result == RESULT_OK || result == RESULT_DRAINING);
}

static void work_done_may_submit_and_a_stopping_pool_refuses(void **state)
{
    (void)state;
    fixture_t *const fixture = fixture_create(2, 8);
    assert_int_equal(
        work_submit(fixture->lanes[0].lane, run_nothing, done_submits_again, &fixture->lanes[0]),
        RESULT_OK);
    loop_run(fixture->loop);
    assert_true(fixture->done >= 5000);
    fixture_destroy(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_lane_keeps_order_and_never_runs_two_jobs_at_once),
        cmocka_unit_test(work_pool_destroy_runs_and_delivers_what_is_queued),
        cmocka_unit_test(work_lanes_share_the_threads_round_robin),
        cmocka_unit_test(work_submit_answers_busy_at_the_bound),
        cmocka_unit_test(job_that_runs_longest_is_known),
        cmocka_unit_test(job_that_computes_without_end_ends_the_process),
        cmocka_unit_test(job_that_waits_in_the_kernel_ends_nobody),
        cmocka_unit_test(work_lanes_run_side_by_side),
        cmocka_unit_test(work_done_may_submit_and_a_stopping_pool_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
