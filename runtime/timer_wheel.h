/* Many timers for the price of a list insertion: a wheel of 64 slots of one millisecond, a second
 * of 64 slots of 64 ms, and so on. A timer moves down a wheel when its time comes near, so each is
 * touched at most TIMER_WHEEL_LEVELS times. The caller says what time it is. */
#ifndef RUNTIME_TIMER_WHEEL_H
#define RUNTIME_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMER_WHEEL_BITS = 6, TIMER_WHEEL_SLOTS = 1 << TIMER_WHEEL_BITS, TIMER_WHEEL_LEVELS = 5 };

/* Part of its owner; all zero is one that is not started. */
typedef struct timer_entry timer_entry_t;
struct timer_entry {
    timer_entry_t *next;
    timer_entry_t **link; /* what points to it; NULL: not started */
    uint64_t due_ms;
};

typedef struct timer_wheel {
    uint64_t now_ms; /* everything due up to here has fired */
    uint64_t count;
    uint64_t occupied[TIMER_WHEEL_LEVELS]; /* a bit for each slot that is not empty */
    timer_entry_t *slots[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
} timer_wheel_t;

void timer_wheel_init(timer_wheel_t *wheel, uint64_t now_ms);
static inline bool timer_entry_is_started(const timer_entry_t *entry)
{
    return entry->link != NULL;
}
/* Not started yet. What is due already fires with the next millisecond. */
void timer_wheel_start(timer_wheel_t *wheel, timer_entry_t *entry, uint64_t due_ms);
/* Does nothing when it is not started. */
void timer_wheel_cancel(timer_wheel_t *wheel, timer_entry_t *entry);
/* One timer that is due by `now_ms`, no longer started; NULL when there is none any more, and then
 * the wheel stands at `now_ms`. */
timer_entry_t *timer_wheel_take_due(timer_wheel_t *wheel, uint64_t now_ms);
/* When the wheel wants to be turned next: never later than the next timer, at most some slots
 * earlier. UINT64_MAX when it is empty. */
uint64_t timer_wheel_next_ms(const timer_wheel_t *wheel);

#endif
