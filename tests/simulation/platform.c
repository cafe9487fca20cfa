/* What the product asks of its platform besides the loop: clock and log. Must not look at the real
 * clock, and writes log lines only into the trace. */
#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/ticks.h"
#include "tests/simulation/world.h"
#include <inttypes.h>
#include <stdio.h>

int64_t clock_wall_ms(void)
{
    return world_wall_ms(world_current());
}

uint64_t clock_monotonic_us(void)
{
    return world_current()->now_us + 1000000;
}

/* Simulated time stands still within a handler; what it costs is drawn. */
uint64_t ticks_now(void)
{
    world_t *const world = world_current();
    world->ticks += generator_below(&world->secrets, 30);
    return world->ticks;
}

uint64_t ticks_per_us(void)
{
    return 1;
}

log_field_t log_field_string(const char *name, const char *string)
{
    return (log_field_t){name, LOG_FIELD_TEXT, string, string == NULL ? 0 : strlen(string), 0};
}

/* Nobody's name may stand in a log line; every holder name of the simulation says "holder". */
static bool names_a_holder(const log_field_t *field)
{
    return field->kind == LOG_FIELD_TEXT && field->text_size > 0 &&
           memmem(field->text, field->text_size, "holder", 6) != NULL;
}

void log_write(log_level_t level, const char *message, const log_field_t *fields,
               size_t field_count)
{
    world_t *const world = world_current();
    for (size_t i = 0; i < field_count; i++) {
        if (names_a_holder(&fields[i])) {
            world_violation(world, 5, "the name of a holder stands in the log: %s", message);
        }
    }
    trace_add(world, "  log, level %" PRIu64 ", text %" PRIx64, (uint64_t)level,
              trace_bytes(message, strlen(message)), 0, 0);
    if (world->options.verbose) {
        (void)printf("                 %s\n", message);
    }
}
