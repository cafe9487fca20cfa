/* What `tree` and `top` show of a shard, as a JSON object. Changes nothing. */
#include "actors/shard_internal.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct printer {
    char *out;
    size_t capacity;
    size_t size; /* needed so far, also beyond the capacity */
} printer_t;

__attribute__((format(printf, 2, 3))) static void print(printer_t *printer, const char *format, ...)
{
    const size_t room = printer->size < printer->capacity ? printer->capacity - printer->size : 0;
    va_list arguments;
    va_start(arguments, format);
    const int printed =
        vsnprintf(room == 0 ? NULL : printer->out + printer->size, room, format, arguments);
    va_end(arguments);
    printer->size += printed < 0 ? 0 : (size_t)printed;
}

static void print_kind(printer_t *printer, const shard_t *shard, uint32_t kind)
{
    actor_system_numbers_t numbers;
    actor_system_numbers(shard->system, kind, &numbers);
    print(printer,
          "%s{\"kind\":\"%s\",\"active\":%" PRIu64 ",\"activating\":%" PRIu64
          ",\"messages_waiting\":%" PRIu64 ",\"messages_handled\":%" PRIu64
          ",\"activations\":%" PRIu64 ",\"passivations\":%" PRIu64 ",\"drops\":%" PRIu64
          ",\"mailbox_depth_max\":%" PRIu64 "}",
          kind == 0 ? "" : ",", actor_system_kind_name(shard->system, kind), numbers.active,
          numbers.activating, numbers.messages_waiting, numbers.messages_handled,
          numbers.activations, numbers.passivations, numbers.drops, numbers.mailbox_depth_max);
}

static void print_batches(printer_t *printer, const shard_t *shard)
{
    const shard_metrics_t *const metrics = &shard->metrics;
    print(printer,
          "\"batches\":{\"in_flight\":%" PRIu32 ",\"committed\":%" PRIu64 ",\"failed\":%" PRIu64
          ",\"events\":%" PRIu64 ",\"commit_us_p50\":%" PRIu64 ",\"commit_us_p99\":%" PRIu64 "}",
          shard->batches_in_flight, metric_value(metrics->commits),
          metric_value(metrics->commits_failed), metric_value(metrics->events),
          metric_quantile_us(metrics->commit_seconds, 0.5),
          metric_quantile_us(metrics->commit_seconds, 0.99));
}

size_t shard_status(const shard_t *shard, char *out, size_t capacity)
{
    printer_t printer = {.out = out, .capacity = capacity};
    print(&printer, "{\"actors\":[");
    for (uint32_t kind = 0; actor_system_kind_name(shard->system, kind) != NULL; kind++) {
        print_kind(&printer, shard, kind);
    }
    print(&printer, "],");
    print_batches(&printer, shard);
    print(&printer,
          ",\"memory\":{\"actor_bytes\":%" PRIu64 ",\"actor_bytes_max\":%" PRIu64
          ",\"activations_max\":%" PRIu32 "},\"tenants\":{\"known\":%" PRIu32 ",\"open\":%" PRIu32
          "},\"requests_in_flight\":%" PRIu64 ",\"loads_in_flight\":%" PRIu32
          ",\"keys_in_flight\":%" PRIu32 ",\"member_keys_cached\":%" PRIu32 ",\"draining\":%s}",
          actor_system_bytes(shard->system), actor_system_bytes_max(shard->system),
          shard->options.activations_max, directory_tenant_count(shard->directory),
          shard->tenants_open, shard->messages_alive, shard->loads_in_flight,
          key_table_count(shard->key_table), member_keys_count(shard->member_keys),
          shard->is_draining ? "true" : "false");
    return printer.size;
}
