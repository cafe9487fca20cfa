/* See clock_guard.h. Asks no clock. */
#include "actors/shard/clock_guard.h"

#include "runtime/limits.h"

static clock_change_t hold(clock_guard_t *guard, int64_t offset_ms, uint64_t monotonic_ms)
{
    guard->is_held = true;
    guard->held_at_ms = offset_ms;
    guard->held_from_ms = monotonic_ms;
    return CLOCK_RAN_AHEAD;
}

static clock_change_t believe(clock_guard_t *guard, int64_t offset_ms, clock_change_t change)
{
    guard->is_held = false;
    guard->base_ms = offset_ms;
    return change;
}

clock_change_t clock_guard_look(clock_guard_t *guard, int64_t wall_ms, uint64_t monotonic_ms)
{
    const int64_t offset_ms = wall_ms - (int64_t)monotonic_ms;
    if (!guard->has_base) {
        guard->has_base = true;
        return believe(guard, offset_ms, CLOCK_UNCHANGED);
    }
    if (offset_ms <= guard->base_ms + LIMIT_CLOCK_JUMP_MS) {
        /* Going back expires nothing: the lower clock is the one to measure from. */
        const int64_t lower_ms = offset_ms < guard->base_ms ? offset_ms : guard->base_ms;
        return believe(guard, lower_ms, guard->is_held ? CLOCK_CAME_BACK : CLOCK_UNCHANGED);
    }
    if (!guard->is_held || offset_ms > guard->held_at_ms + LIMIT_CLOCK_JUMP_MS) {
        return hold(guard, offset_ms, monotonic_ms);
    }
    if (monotonic_ms - guard->held_from_ms >= LIMIT_CLOCK_HOLD_MS) {
        return believe(guard, offset_ms, CLOCK_STAYED);
    }
    return CLOCK_UNCHANGED;
}
