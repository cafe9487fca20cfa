/* What is in a crash slot; for crash_slot.c and platform_crash_slot.c. */
#ifndef RUNTIME_CRASH_SLOT_INTERNAL_H
#define RUNTIME_CRASH_SLOT_INTERNAL_H

#include "runtime/crash_slot.h"
#include <stdatomic.h>

enum { CRASH_SLOT_MARK = 0x44435337 }; /* another one for every layout */

struct crash_slot {
    uint32_t mark;
    uint32_t size;
    _Atomic uint32_t is_running; /* `running` is complete; also read while the role lives */
    volatile uint32_t has_order; /* `order` is complete */
    _Atomic uint32_t entered;    /* rises with every command; the same */
    int32_t handler_thread;      /* kernel's number of the thread that runs handlers */
    volatile int32_t crashed_thread;
    volatile uint32_t was_sent;    /* the signal came from another process */
    volatile uint32_t hangs;       /* the role's own watch ended it */
    volatile uint32_t hanging;     /* ... for this command */
    volatile uint32_t has_reading; /* the thread that the signal hit read this actor: */
    uint32_t reading_tenant_size;
    char reading_tenant[LIMIT_TENANT_NAME_SIZE];
    uint8_t reading_actor[CRASH_ID_SIZE];
    crash_record_t running;
    crash_order_t order;
};

/* From the handler of fatal signals. */
void crash_slot_note_reading(crash_slot_t *slot, const crash_reading_t *reading);

#endif
