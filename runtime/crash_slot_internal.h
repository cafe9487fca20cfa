/* What is in a crash slot; for crash_slot.c and platform_crash_slot.c. */
#ifndef RUNTIME_CRASH_SLOT_INTERNAL_H
#define RUNTIME_CRASH_SLOT_INTERNAL_H

#include "runtime/crash_slot.h"

enum { CRASH_SLOT_MARK = 0x44435334 }; /* another one for every layout */

struct crash_slot {
    uint32_t mark;
    uint32_t size;
    volatile uint32_t is_running; /* `running` is complete */
    volatile uint32_t has_order;  /* `order` is complete */
    volatile uint32_t entered;    /* rises with every command */
    int32_t handler_thread;       /* kernel's number of the thread that runs handlers */
    volatile int32_t crashed_thread;
    volatile uint32_t was_sent; /* the signal came from another process */
    volatile uint32_t hangs;    /* the role's own watch ended it */
    crash_record_t running;
    crash_order_t order;
};

#endif
