/* Numbers of kinds of actors as JSON. Must not know what a kind does. */
#include "runtime/actor_status.h"

#include <inttypes.h>
#include <stdio.h>

static size_t print_kind(const actor_system_t *system, uint32_t kind, char *out, size_t capacity)
{
    actor_system_numbers_t numbers;
    actor_system_numbers(system, kind, &numbers);
    const int printed = snprintf(
        out, capacity,
        "%s{\"kind\":\"%s\",\"active\":%" PRIu64 ",\"activating\":%" PRIu64
        ",\"messages_waiting\":%" PRIu64 ",\"messages_handled\":%" PRIu64
        ",\"activations\":%" PRIu64 ",\"passivations\":%" PRIu64 ",\"drops\":%" PRIu64
        ",\"mailbox_depth_max\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"restarts\":%" PRIu64
        ",\"slow_handlers\":%" PRIu64 ",\"handler_us_p50\":%" PRIu64 ",\"handler_us_p99\":%" PRIu64
        ",\"handler_us_max\":%" PRIu64 "}",
        kind == 0 ? "[" : ",", actor_system_kind_name(system, kind), numbers.active,
        numbers.activating, numbers.messages_waiting, numbers.messages_handled, numbers.activations,
        numbers.passivations, numbers.drops, numbers.mailbox_depth_max, numbers.failures,
        numbers.restarts, numbers.slow_handlers, numbers.handler_us_p50, numbers.handler_us_p99,
        numbers.handler_us_max);
    return printed < 0 ? 0 : (size_t)printed;
}

size_t actor_status(const actor_system_t *system, char *out, size_t capacity)
{
    size_t size = 0;
    uint32_t kind = 0;
    for (; actor_system_kind_name(system, kind) != NULL; kind++) { /* LIMIT_ACTOR_KINDS */
        const size_t room = size < capacity ? capacity - size : 0;
        size += print_kind(system, kind, room == 0 ? NULL : out + size, room);
    }
    const char *const end = kind == 0 ? "[]" : "]";
    const size_t room = size < capacity ? capacity - size : 0;
    const int printed = snprintf(room == 0 ? NULL : out + size, room, "%s", end);
    return size + (printed < 0 ? 0 : (size_t)printed);
}
