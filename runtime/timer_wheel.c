/* Slots, and the way down. Must not know whose timers they are. */
#include "runtime/timer_wheel.h"

#include <assert.h>
#include <string.h>

static uint32_t slot_of(uint64_t time_ms, uint32_t level)
{
    return (uint32_t)(time_ms >> (TIMER_WHEEL_BITS * level)) & (TIMER_WHEEL_SLOTS - 1);
}

void timer_wheel_init(timer_wheel_t *wheel, uint64_t now_ms)
{
    memset(wheel, 0, sizeof(*wheel));
    wheel->now_ms = now_ms;
}

/* The level whose slots are fine enough: where `due_ms` and now differ for the first time. */
static uint32_t level_of(const timer_wheel_t *wheel, uint64_t due_ms)
{
    const uint64_t difference = due_ms ^ wheel->now_ms;
    uint32_t level = 0;
    while (level + 1 < TIMER_WHEEL_LEVELS &&
           (difference >> (TIMER_WHEEL_BITS * (level + 1))) != 0) {
        level++;
    }
    return level;
}

static void insert(timer_wheel_t *wheel, timer_entry_t *entry)
{
    const uint64_t horizon = (UINT64_C(1) << (TIMER_WHEEL_BITS * TIMER_WHEEL_LEVELS)) - 1;
    const uint64_t far = wheel->now_ms + (horizon >> 1); /* further ones come by here again */
    const uint64_t place_ms = entry->due_ms < far ? entry->due_ms : far;
    const uint32_t level = level_of(wheel, place_ms);
    const uint32_t slot = slot_of(place_ms, level);
    timer_entry_t **const head = &wheel->slots[level][slot];
    entry->next = *head;
    if (*head != NULL) {
        (*head)->link = &entry->next;
    }
    *head = entry;
    entry->link = head;
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

void timer_wheel_start(timer_wheel_t *wheel, timer_entry_t *entry, uint64_t due_ms)
{
    assert(!timer_entry_is_started(entry));
    entry->due_ms = due_ms > wheel->now_ms ? due_ms : wheel->now_ms + 1;
    insert(wheel, entry);
    wheel->count++;
}

static void unlink_entry(timer_entry_t *entry)
{
    *entry->link = entry->next;
    if (entry->next != NULL) {
        entry->next->link = entry->link;
    }
    entry->next = NULL;
    entry->link = NULL;
}

/* The bit of its slot may stay set: it is cleared when the wheel comes by. */
void timer_wheel_cancel(timer_wheel_t *wheel, timer_entry_t *entry)
{
    if (timer_entry_is_started(entry)) {
        unlink_entry(entry);
        wheel->count--;
    }
}

/* The slots of higher levels that begin at `now_ms` are spread over lower ones. */
static void cascade(timer_wheel_t *wheel)
{
    for (uint32_t level = TIMER_WHEEL_LEVELS - 1; level > 0; level--) {
        const uint64_t width = UINT64_C(1) << (TIMER_WHEEL_BITS * level);
        if ((wheel->now_ms & (width - 1)) != 0) {
            continue;
        }
        const uint32_t slot = slot_of(wheel->now_ms, level);
        timer_entry_t *entry = wheel->slots[level][slot];
        wheel->slots[level][slot] = NULL;
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        while (entry != NULL) {
            timer_entry_t *const next = entry->next;
            insert(wheel, entry);
            entry = next;
        }
    }
}

/* The next moment after `now_ms` at which a slot that may hold something begins. */
uint64_t timer_wheel_next_ms(const timer_wheel_t *wheel)
{
    if (wheel->count == 0) {
        return UINT64_MAX;
    }
    uint64_t next_ms = UINT64_MAX;
    for (uint32_t level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        if (wheel->occupied[level] == 0) {
            continue;
        }
        const uint32_t shift = TIMER_WHEEL_BITS * level;
        const uint64_t slot_now = wheel->now_ms >> shift;
        const uint32_t here = (uint32_t)slot_now & (TIMER_WHEEL_SLOTS - 1);
        const uint32_t turn = (here + 1) & (TIMER_WHEEL_SLOTS - 1);
        const uint64_t bits = wheel->occupied[level];
        const uint64_t rotated =
            turn == 0 ? bits : (bits >> turn) | (bits << (TIMER_WHEEL_SLOTS - turn));
        const uint64_t ahead = (uint64_t)__builtin_ctzll(rotated) + 1;
        const uint64_t begin_ms = (slot_now + ahead) << shift;
        next_ms = begin_ms < next_ms ? begin_ms : next_ms;
    }
    return next_ms;
}

timer_entry_t *timer_wheel_take_due(timer_wheel_t *wheel, uint64_t now_ms)
{
    for (;;) { /* each step goes to the next slot that may hold something */
        const uint32_t slot = slot_of(wheel->now_ms, 0);
        timer_entry_t *const entry = wheel->slots[0][slot];
        if (entry != NULL && entry->due_ms <= wheel->now_ms) {
            unlink_entry(entry);
            wheel->count--;
            return entry;
        }
        if (entry == NULL) {
            wheel->occupied[0] &= ~(UINT64_C(1) << slot);
        }
        if (wheel->now_ms >= now_ms) {
            return NULL;
        }
        const uint64_t next_ms = timer_wheel_next_ms(wheel);
        wheel->now_ms = next_ms < now_ms ? next_ms : now_ms;
        cascade(wheel);
    }
}
