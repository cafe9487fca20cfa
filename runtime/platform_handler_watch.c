/* A thread that a clock of another thread's processor time wakes, to compare what the crash slot
 * says with what it said before. It judges by that alone. */
#include "runtime/handler_watch.h"

#include "runtime/platform_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOKS = 5, /* at one command before it is judged */
    LOOK_NS = LIMIT_HANDLER_LOOP_MS / LOOKS * 1000000,
    WAKE_SIGNAL = SIGVTALRM, /* blocked in the watching thread, which waits for it */
};

struct handler_watch {
    crash_slot_t *slot;
    pthread_t handlers;
    pthread_t thread;
    timer_t timer;
    atomic_bool ends;
    atomic_int tid; /* of the watching thread; 0: not known yet */
};

static void end_process(handler_watch_t *watch, uint32_t command)
{
    crash_slot_note_hang(watch->slot, command);
    (void)pthread_kill(watch->handlers, SIGABRT);
}

static void *watch_run(void *context)
{
    handler_watch_t *watch = context;
    sigset_t wakes;
    uint32_t seen = 0;
    unsigned looks = 0;
    sigemptyset(&wakes);
    sigaddset(&wakes, WAKE_SIGNAL);
    atomic_store(&watch->tid, gettid());
    for (;;) {
        (void)sigwaitinfo(&wakes, NULL);
        if (atomic_load(&watch->ends)) {
            return NULL;
        }
        uint32_t command = 0;
        const bool is_same =
            crash_slot_is_in_work(watch->slot, &command) && looks > 0 && command == seen;
        looks = is_same ? looks + 1 : 1;
        seen = command;
        if (looks > LOOKS) {
            end_process(watch, command);
            looks = 0;
        }
    }
}

/* Called by the processor time of the calling thread, at the watching one. */
static bool arm(handler_watch_t *watch)
{
    clockid_t clock;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WAKE_SIGNAL};
    const struct itimerspec every = {.it_interval.tv_nsec = LOOK_NS, .it_value.tv_nsec = LOOK_NS};
    while (atomic_load(&watch->tid) == 0) {
        (void)sched_yield(); /* its first instruction says it */
    }
    event._sigev_un._tid = atomic_load(&watch->tid); /* glibc 2.36 has no name for it */
    if (pthread_getcpuclockid(watch->handlers, &clock) != 0 ||
        timer_create(clock, &event, &watch->timer) != 0) {
        return false;
    }
    if (timer_settime(watch->timer, 0, &every, NULL) != 0) {
        (void)timer_delete(watch->timer);
        return false;
    }
    return true;
}

static void end_thread(handler_watch_t *watch)
{
    atomic_store(&watch->ends, true);
    (void)pthread_kill(watch->thread, WAKE_SIGNAL);
    (void)pthread_join(watch->thread, NULL);
}

result_t handler_watch_start(crash_slot_t *slot, handler_watch_t **watch)
{
    handler_watch_t *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->slot = slot;
    made->handlers = pthread_self();
    if (!platform_thread_start(&made->thread, NULL, watch_run, made)) {
        free(made);
        return RESULT_UNAVAILABLE;
    }
    if (!arm(made)) {
        end_thread(made);
        free(made);
        return RESULT_UNAVAILABLE;
    }
    *watch = made;
    return RESULT_OK;
}

void handler_watch_stop(handler_watch_t **watch)
{
    if (*watch == NULL) {
        return;
    }
    (void)timer_delete((*watch)->timer);
    end_thread(*watch);
    free(*watch);
    *watch = NULL;
}
