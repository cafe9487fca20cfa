/* What happened: a hash over everything and the last lines as text. Must not change anything. */
#include "tests/simulation/world.h"
#include <inttypes.h>
#include <stdio.h>

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

uint64_t trace_bytes(const void *data, size_t size)
{
    const uint8_t *const bytes = data;
    uint64_t hash = size;
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, 8);
        hash = mix(hash, word);
    }
    for (; at < size; at++) {
        hash = mix(hash, bytes[at]);
    }
    return hash;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void print_line(const trace_line_t *line)
{
    printf("%10.3f ms  ", (double)line->time_us / 1000.0);
    printf(line->format, line->values[0], line->values[1], line->values[2], line->values[3]);
    printf("\n");
}
#pragma GCC diagnostic pop

void trace_add(world_t *world, const char *format, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    trace_t *const trace = &world->trace;
    trace_line_t *const line = &trace->lines[trace->count % WORLD_TRACE_LAST];
    *line = (trace_line_t){.time_us = world->now_us, .format = format, .values = {a, b, c, d}};
    uint64_t hash = mix(trace->hash, world->now_us);
    hash = mix(hash, trace_bytes(format, 8 < strlen(format) ? 8 : strlen(format)));
    hash = mix(mix(hash, a), b);
    trace->hash = mix(mix(hash, c), d);
    trace->count++;
    if (world->options.verbose) {
        print_line(line);
    }
}

void trace_print(const world_t *world)
{
    const trace_t *const trace = &world->trace;
    const uint64_t first = trace->count > WORLD_TRACE_LAST ? trace->count - WORLD_TRACE_LAST : 0;
    for (uint64_t i = first; i < trace->count; i++) {
        print_line(&trace->lines[i % WORLD_TRACE_LAST]);
    }
}
