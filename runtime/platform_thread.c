/* See the header. */
#include "runtime/platform_thread.h"

#include <signal.h>
#include <stddef.h>

bool platform_thread_start(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*run)(void *context), void *context)
{
    static const int own_faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    sigset_t blocked;
    sigset_t before;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own_faults / sizeof own_faults[0]; i++) {
        (void)sigdelset(&blocked, own_faults[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before); /* the thread inherits it */
    const bool is_started = pthread_create(thread, attributes, run, context) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_started;
}
