/* See actors_settle.h. */
#include "tests/support/actors_settle.h"

#include "runtime/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <uv.h>

#include <cmocka.h>

enum { WAIT_MS = 30000 };

static bool is_settled(const actor_system_t *system)
{
    for (uint32_t kind = 0; actor_system_kind_name(system, kind) != NULL; kind++) {
        actor_system_numbers_t numbers;
        actor_system_numbers(system, kind, &numbers);
        if (numbers.messages_waiting > 0 || numbers.activating > 0) {
            return false;
        }
    }
    return true;
}

void actors_settle(loop_t *loop, const actor_system_t *system)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (!is_settled(system)) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
}
