/* Threads beside the loop's. */
#ifndef RUNTIME_PLATFORM_THREAD_H
#define RUNTIME_PLATFORM_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* As pthread_create; `attributes` may be NULL. What is sent to the process never arrives on the
 * thread: signals are the loop thread's affair. Its own faults do (SIGSEGV and the like), since a
 * blocked one ends the process before the crash slot (runtime/crash_slot.h) could note whose fault
 * it was. False: no thread. */
bool platform_thread_start(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*run)(void *context), void *context);

#endif
