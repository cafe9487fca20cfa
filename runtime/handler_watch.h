/* Ends the process when its handlers' thread computes on one command without end. Counted in
 * processor time of that thread, so that neither a crowded machine nor a slow disk nor a pause
 * blames anybody; a handler that sleeps is the supervisor's to find (LIMIT_HANDLER_HANG_MS).
 *
 * While the handlers' thread works on nothing it costs nothing: the clock that it is called by
 * stands still. It reads the crash slot and never interrupts the thread that it watches. */
#ifndef RUNTIME_HANDLER_WATCH_H
#define RUNTIME_HANDLER_WATCH_H

#include "runtime/crash_slot.h"

typedef struct handler_watch handler_watch_t; /* platform_handler_watch.c */

/* Watches the calling thread by `slot`, which is borrowed until the stop. A command that takes more
 * than LIMIT_HANDLER_LOOP_MS is noted in the slot as CRASH_ORIGIN_HANG, and the process ends by
 * SIGABRT, so that a core shows where the handler was. UNAVAILABLE: no timer or no thread. */
MUST_USE result_t handler_watch_start(crash_slot_t *slot, handler_watch_t **watch);
/* NULL is left alone. From the thread that started it. */
void handler_watch_stop(handler_watch_t **watch);

#endif
