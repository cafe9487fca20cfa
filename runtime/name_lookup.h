/* The addresses of one host name, looked up beside whoever asks: the name system may take half a
 * minute to say that it is away, and neither a loop nor the end of a process may wait for it. Each
 * look-up is a thread of its own, one at a time per name, and is left behind when it hangs: a name
 * that hangs takes nothing from another. What was found last is kept for when the name system is
 * gone. All functions may be called from any thread; none but name_lookup_wait waits. */
#ifndef RUNTIME_NAME_LOOKUP_H
#define RUNTIME_NAME_LOOKUP_H

#include "runtime/limits.h"
#include "runtime/result.h"
#include <stddef.h>
#include <stdint.h>

enum { NAME_ADDRESS_SIZE = 64 }; /* an IPv6 address and its zone */

typedef struct name_addresses {
    size_t count; /* in the order of the name system */
    char texts[LIMIT_NAME_ADDRESSES][NAME_ADDRESS_SIZE];
} name_addresses_t;

typedef enum name_state {
    NAME_STATE_KNOWN,   /* the last look-up found it, or none was begun */
    NAME_STATE_PENDING, /* one is under way, and may still end in time */
    NAME_STATE_FAILED,  /* the last one found nothing, or takes too long */
} name_state_t;

typedef struct name_lookup name_lookup_t;

/* Whether the text is an address, which needs no look-up. */
bool name_is_address(const char *name);
name_lookup_t *name_lookup_create(const char *name);
void name_lookup_destroy(name_lookup_t **lookup);
/* Looks it up anew, unless that is being done or was done LIMIT_NAME_FRESH_MS ago. */
void name_lookup_begin(name_lookup_t *lookup);
/* A look-up is waited for LIMIT_NAME_WAIT_MS after it was begun; LIMIT_NAME_WAIT_AGAIN_MS when the
 * one before it failed, since whoever asks again and again must not stand still for most of the
 * time. */
name_state_t name_lookup_state(name_lookup_t *lookup);
/* Also one that nobody waits for any longer: its thread is there. */
bool name_lookup_is_under_way(name_lookup_t *lookup);
/* Until it is no longer pending. */
name_state_t name_lookup_wait(name_lookup_t *lookup);
/* What was found last, whatever became of later look-ups; `count` 0: nothing ever. */
void name_lookup_addresses(name_lookup_t *lookup, name_addresses_t *addresses);

#endif
