/* Threads for calls that block. One mutex guards what the loop's thread and the pool's threads
 * share; jobs are expected to take tens of microseconds and more. A lane is in the queue of ready
 * lanes while it has a job and none of it runs, and goes to the end of that queue after each job.
 * The thread that became idle last gets the next job: its caches and its heap are warm, and the
 * others sleep. Must not know what jobs do. */
#include "runtime/work_pool.h"

#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/loop_internal.h"
#include "runtime/platform_thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef struct work_job {
    struct work_job *next;
    work_lane_t *lane;
    loop_callback_t *run;
    loop_callback_t *done;
    void *context;
} work_job_t;

typedef struct job_list {
    work_job_t *first;
    work_job_t *last;
} job_list_t;

struct work_lane {
    work_pool_t *pool;
    work_lane_t *next; /* of the ready queue */
    job_list_t jobs;   /* queued; guarded by the pool's mutex */
    bool is_running;   /* guarded by the pool's mutex */
    size_t unfinished; /* not yet delivered; loop thread only */
};

typedef struct worker {
    struct worker *next; /* of the idle ones */
    work_pool_t *pool;
    pthread_t thread;
    pthread_cond_t wake;
    bool is_idle;               /* and in that list */
    uint64_t began_us;          /* its job; 0: it has none; guarded by the pool's mutex */
    uint64_t seen_us;           /* began_us at the last look; loop thread only, as: */
    uint64_t seen_processor_ms; /* of the thread, when that job was seen first */
} worker_t;

struct work_pool {
    loop_t *loop;
    loop_post_node_t delivery;
    worker_t workers[LIMIT_WORK_THREADS];
    uint32_t thread_count;
    size_t jobs_max;
    size_t waiting;   /* accepted and not yet delivered; loop thread only */
    work_job_t *free; /* loop thread only */
    size_t free_count;
    loop_timer_t *look; /* runs while there may be jobs; loop thread only */
    bool is_looking;
    bool is_late; /* and that was said */
    uint64_t loop_ms_max;

    pthread_mutex_t mutex; /* guards what follows */
    worker_t *idle;        /* who became idle last stands first */
    work_lane_t *ready_first;
    work_lane_t *ready_last;
    job_list_t completed;
    uint32_t telling; /* threads that tell the loop of what completed, and then look for a job */
    bool is_stopping;
};

static void list_append(job_list_t *list, work_job_t *job)
{
    job->next = NULL;
    if (list->last == NULL) {
        list->first = job;
    } else {
        list->last->next = job;
    }
    list->last = job;
}

static work_job_t *list_take(job_list_t *list)
{
    work_job_t *const job = list->first;
    if (job != NULL) {
        list->first = job->next;
        list->last = list->first == NULL ? NULL : list->last;
    }
    return job;
}

static void ready_append(work_pool_t *pool, work_lane_t *lane)
{
    lane->next = NULL;
    if (pool->ready_last == NULL) {
        pool->ready_first = lane;
    } else {
        pool->ready_last->next = lane;
    }
    pool->ready_last = lane;
}

/* Until somebody takes it out of the list. */
static void idle_wait(worker_t *worker)
{
    work_pool_t *const pool = worker->pool;
    worker->is_idle = true;
    worker->next = pool->idle;
    pool->idle = worker;
    while (worker->is_idle) {
        pthread_cond_wait(&worker->wake, &pool->mutex);
    }
}

/* Under the mutex; whoever it returns is to be signalled, best without it: a thread that wakes up
 * wants it at once. A worker lives as long as the pool. */
static worker_t *idle_take(work_pool_t *pool)
{
    worker_t *const worker = pool->idle;
    if (worker != NULL) {
        pool->idle = worker->next;
        worker->is_idle = false;
    }
    return worker;
}

/* Waits for the next job; NULL when the pool stops and nothing is left to start. A lane that runs
 * at that moment is put back by the thread that runs it. */
static work_job_t *job_wait(worker_t *worker)
{
    work_pool_t *const pool = worker->pool;
    while (pool->ready_first == NULL && !pool->is_stopping) {
        idle_wait(worker);
    }
    work_lane_t *const lane = pool->ready_first;
    if (lane == NULL) {
        return NULL;
    }
    pool->ready_first = lane->next;
    pool->ready_last = pool->ready_first == NULL ? NULL : pool->ready_last;
    lane->is_running = true;
    worker->began_us = clock_monotonic_us();
    return list_take(&lane->jobs);
}

/* Whether the loop has to be told: it was told of what completed before. */
static bool job_finish(work_pool_t *pool, work_job_t *job)
{
    work_lane_t *const lane = job->lane;
    const bool was_empty = pool->completed.first == NULL;
    lane->is_running = false;
    if (lane->jobs.first != NULL) {
        ready_append(pool, lane); /* this thread takes the next lane itself: no signal needed */
    }
    list_append(&pool->completed, job);
    return was_empty;
}

static void *thread_main(void *context)
{
    worker_t *const worker = context;
    work_pool_t *const pool = worker->pool;
    pthread_mutex_lock(&pool->mutex);
    for (;;) { /* ends with the pool */
        work_job_t *const job = job_wait(worker);
        if (job == NULL) {
            break;
        }
        pthread_mutex_unlock(&pool->mutex);
        job->run(job->context);
        pthread_mutex_lock(&pool->mutex);
        worker->began_us = 0;
        if (job_finish(pool, job)) { /* without the mutex, which the loop asks for at once */
            pool->telling++;
            pthread_mutex_unlock(&pool->mutex);
            loop_post_node(pool->loop, &pool->delivery);
            pthread_mutex_lock(&pool->mutex);
            pool->telling--;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void job_release(work_pool_t *pool, work_job_t *job)
{
    if (pool->free_count == LIMIT_WORK_JOBS_KEPT) {
        free(job);
        return;
    }
    job->next = pool->free;
    pool->free = job;
    pool->free_count++;
}

static work_job_t *job_obtain(work_pool_t *pool)
{
    work_job_t *const job = pool->free;
    if (job == NULL) {
        return calloc(1, sizeof(*job));
    }
    pool->free = job->next;
    pool->free_count--;
    return job;
}

/* On the loop's thread: all that has completed, in one go. */
static void deliver(void *context)
{
    work_pool_t *const pool = context;
    pthread_mutex_lock(&pool->mutex);
    job_list_t completed = pool->completed;
    pool->completed = (job_list_t){NULL, NULL};
    pthread_mutex_unlock(&pool->mutex);
    for (work_job_t *job = list_take(&completed); job != NULL; job = list_take(&completed)) {
        loop_callback_t *const done = job->done;
        void *const job_context = job->context;
        job->lane->unfinished--;
        pool->waiting--;
        job_release(pool, job); /* first: `done` may submit again, or destroy the lane */
        done(job_context);
    }
}

static uint64_t processor_ms(const worker_t *worker)
{
    clockid_t clock;
    struct timespec time = {0};
    if (pthread_getcpuclockid(worker->thread, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        return 0;
    }
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Counts the processor's time, of which a call that waits for the disk takes none: ending the role
 * then would mend nothing, and its successor would wait for the same disk. */
static bool computes_without_end(worker_t *worker)
{
    work_pool_t *const pool = worker->pool;
    pthread_mutex_lock(&pool->mutex);
    const uint64_t began_us = worker->began_us;
    pthread_mutex_unlock(&pool->mutex);
    if (began_us == 0 || began_us != worker->seen_us) {
        worker->seen_us = began_us;
        worker->seen_processor_ms = began_us == 0 ? 0 : processor_ms(worker);
        return false;
    }
    return processor_ms(worker) - worker->seen_processor_ms >= pool->loop_ms_max;
}

/* A thread cannot be ended, a process can. No handler is in work now, so no command is blamed. */
static void end_loops(work_pool_t *pool)
{
    for (uint32_t index = 0; index < pool->thread_count; index++) {
        if (computes_without_end(&pool->workers[index])) {
            log_error("a call of a store computes without end: the role ends, and is started anew",
                      LOG_NUMBER("processor_ms_max", pool->loop_ms_max));
            abort();
        }
    }
}

/* Nobody can end a call that hangs in the kernel; but whoever looks after the machine can be told.
 */
static void look(void *context)
{
    work_pool_t *const pool = context;
    const uint64_t oldest_ms = work_pool_oldest_ms(pool);
    const bool is_late = oldest_ms >= LIMIT_WORK_LATE_MS;
    if (is_late && !pool->is_late) {
        log_error("a call that waits for the disk does not come back; see what the disk does",
                  LOG_NUMBER("blocked_ms", oldest_ms), LOG_NUMBER("waiting", pool->waiting));
    } else if (pool->is_late && !is_late) {
        log_warn("calls that wait for the disk come back again",
                 LOG_NUMBER("waiting", pool->waiting));
    }
    pool->is_late = is_late;
    end_loops(pool);
    if (pool->waiting == 0) {
        pool->is_looking = false;
        loop_timer_stop(pool->look);
    }
}

static bool worker_start(work_pool_t *pool)
{
    worker_t *const worker = &pool->workers[pool->thread_count];
    worker->pool = pool;
    pthread_cond_init(&worker->wake, NULL);
    if (!platform_thread_start(&worker->thread, NULL, thread_main, worker)) {
        pthread_cond_destroy(&worker->wake);
        return false;
    }
    pool->thread_count++;
    return true;
}

result_t work_pool_create(loop_t *loop, uint32_t threads, size_t jobs_max, work_pool_t **pool)
{
    assert(threads > 0);
    assert(threads <= LIMIT_WORK_THREADS);
    assert(jobs_max > 0);
    work_pool_t *created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->jobs_max = jobs_max;
    created->loop_ms_max = LIMIT_WORK_LOOP_MS;
    created->delivery.callback = deliver;
    created->delivery.context = created;
    created->look = loop_timer_create(loop, look, created);
    pthread_mutex_init(&created->mutex, NULL);
    while (created->thread_count < threads) {
        if (!worker_start(created)) {
            work_pool_destroy(&created);
            return RESULT_NO_MEMORY;
        }
    }
    *pool = created;
    return RESULT_OK;
}

void work_pool_destroy(work_pool_t **pool)
{
    work_pool_t *const destroyed = *pool;
    if (destroyed == NULL) {
        return;
    }
    pthread_mutex_lock(&destroyed->mutex);
    destroyed->is_stopping = true;
    while (destroyed->idle != NULL) {
        pthread_cond_signal(&idle_take(destroyed)->wake);
    }
    pthread_mutex_unlock(&destroyed->mutex);
    for (uint32_t index = 0; index < destroyed->thread_count; index++) {
        pthread_join(destroyed->workers[index].thread, NULL);
        pthread_cond_destroy(&destroyed->workers[index].wake);
    }
    loop_timer_destroy(&destroyed->look);
    loop_post_cancel(destroyed->loop, &destroyed->delivery);
    deliver(destroyed);
    assert(destroyed->waiting == 0);
    while (destroyed->free != NULL) {
        free(job_obtain(destroyed));
    }
    pthread_mutex_destroy(&destroyed->mutex);
    free(destroyed);
    *pool = NULL; /* not earlier: `done` may still ask the pool */
}

work_lane_t *work_lane_create(work_pool_t *pool)
{
    work_lane_t *const lane = calloc(1, sizeof(*lane));
    assert(lane != NULL);
    lane->pool = pool;
    return lane;
}

void work_lane_destroy(work_lane_t **lane)
{
    if (*lane == NULL) {
        return;
    }
    assert((*lane)->unfinished == 0);
    free(*lane);
    *lane = NULL;
}

result_t work_submit(work_lane_t *lane, loop_callback_t *run, loop_callback_t *done, void *job)
{
    work_pool_t *const pool = lane->pool;
    if (pool->waiting == pool->jobs_max) {
        return RESULT_BUSY;
    }
    work_job_t *const record = job_obtain(pool);
    if (record == NULL) {
        return RESULT_NO_MEMORY;
    }
    *record = (work_job_t){NULL, lane, run, done, job};
    pthread_mutex_lock(&pool->mutex);
    if (pool->is_stopping) {
        pthread_mutex_unlock(&pool->mutex);
        job_release(pool, record);
        return RESULT_DRAINING;
    }
    const bool becomes_ready = lane->jobs.first == NULL && !lane->is_running;
    list_append(&lane->jobs, record);
    worker_t *worker = NULL;
    if (becomes_ready) {
        ready_append(pool, lane);
        /* Whoever tells the loop of the last job comes for this one: often the loop is here because
         * it was told, and that thread had to make way for it. */
        const bool is_fetched = pool->telling > 0 && pool->ready_first == lane;
        worker = is_fetched ? NULL : idle_take(pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (worker != NULL) {
        pthread_cond_signal(&worker->wake);
    }
    lane->unfinished++;
    pool->waiting++;
    if (!pool->is_looking) {
        pool->is_looking = true;
        loop_timer_start(pool->look, LIMIT_WORK_LOOK_MS, LIMIT_WORK_LOOK_MS);
    }
    return RESULT_OK;
}

size_t work_pool_waiting(const work_pool_t *pool)
{
    return pool->waiting;
}

void work_pool_bound_loops(work_pool_t *pool, uint64_t processor_ms_max)
{
    pool->loop_ms_max = processor_ms_max;
}

uint64_t work_pool_oldest_ms(work_pool_t *pool)
{
    uint64_t oldest_us = UINT64_MAX;
    pthread_mutex_lock(&pool->mutex);
    for (uint32_t index = 0; index < pool->thread_count; index++) {
        const uint64_t began_us = pool->workers[index].began_us;
        oldest_us = began_us != 0 && began_us < oldest_us ? began_us : oldest_us;
    }
    pthread_mutex_unlock(&pool->mutex);
    const uint64_t now_us = clock_monotonic_us();
    return oldest_us < now_us ? (now_us - oldest_us) / 1000 : 0;
}
