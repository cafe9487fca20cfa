/* Is the wall clock to be believed? A clock that is set far ahead by mistake would let cards expire
 * for good, since what is recorded stays recorded when the clock comes back. So the wall clock is
 * held against the monotonic one: who runs ahead by more than LIMIT_CLOCK_JUMP_MS is believed only
 * after LIMIT_CLOCK_HOLD_MS of staying there (a machine that slept, or a clock put right). Knows
 * nothing of what was before its process: the clock that a process starts with is believed. */
#ifndef ACTORS_CLOCK_GUARD_H
#define ACTORS_CLOCK_GUARD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct clock_guard {
    bool has_base;
    bool is_held;
    int64_t base_ms;       /* wall minus monotonic, believed */
    int64_t held_at_ms;    /* the same, of the clock that is not believed yet */
    uint64_t held_from_ms; /* monotonic */
} clock_guard_t;

typedef enum clock_change {
    CLOCK_UNCHANGED,
    CLOCK_RAN_AHEAD, /* held from now on, or anew */
    CLOCK_CAME_BACK, /* believed again */
    CLOCK_STAYED,    /* long enough: believed */
} clock_change_t;

/* Look often. While `is_held` afterwards, nothing should be decided by the wall clock alone. */
clock_change_t clock_guard_look(clock_guard_t *guard, int64_t wall_ms, uint64_t monotonic_ms);

#endif
