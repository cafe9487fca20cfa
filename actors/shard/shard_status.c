/* What `tree` and `top` show of a shard, as a JSON object. Changes nothing. */
#include "actors/domain/card_id.h"
#include "actors/shard/card_actor_internal.h"
#include "actors/shard/members.h"
#include "actors/shard/shard_internal.h"
#include "actors/shard/tenant_actor.h"
#include "runtime/actor_status.h"
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

static void print_actors(printer_t *printer, const shard_t *shard)
{
    const bool has_room = printer->size < printer->capacity;
    printer->size += actor_status(shard->system, has_room ? printer->out + printer->size : NULL,
                                  has_room ? printer->capacity - printer->size : 0);
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

static void print_member_work(printer_t *printer, const shard_t *shard)
{
    uint32_t kinds[4] = {0};
    uint32_t renewals = 0;
    uint64_t cards_done = 0;
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        for (const tenant_t *tenant = shard->tenants[i]; tenant != NULL; tenant = tenant->chain) {
            const member_t *member = tenant->work_first;
            for (; member != NULL; member = member->work_next) { /* LIMIT_MEMBER_WORKS */
                kinds[member->work % 4]++;
                renewals += member->work_until > 0 ? 1U : 0U;
                cards_done += member->cards_done;
            }
        }
    }
    print(printer,
          ",\"member_work\":{\"revoke\":%" PRIu32 ",\"suspend\":%" PRIu32 ",\"reinstate\":%" PRIu32
          ",\"renew\":%" PRIu32 ",\"cards_done\":%" PRIu64 "}",
          kinds[member_work_revoke], kinds[member_work_suspend], kinds[member_work_reinstate],
          renewals, cards_done);
}

size_t shard_status(const shard_t *shard, char *out, size_t capacity)
{
    printer_t printer = {.out = out, .capacity = capacity};
    print(&printer, "{\"actors\":");
    print_actors(&printer, shard);
    print(&printer, ",");
    print_batches(&printer, shard);
    print_member_work(&printer, shard);
    print(&printer,
          ",\"actor_bytes\":%" PRIu64 ",\"actor_bytes_max\":%" PRIu64
          ",\"activations_max\":%" PRIu32 ",\"tenants\":{\"known\":%" PRIu32 ",\"open\":%" PRIu32
          "},\"requests_in_flight\":%" PRIu64 ",\"loads_in_flight\":%" PRIu32
          ",\"keys_in_flight\":%" PRIu32 ",\"member_keys_cached\":%" PRIu32 ",\"draining\":%s}",
          actor_system_bytes(shard->system), actor_system_bytes_max(shard->system),
          shard->options.activations_max, directory_tenant_count(shard->directory),
          shard->tenants_open, shard->messages_alive, shard->loads_in_flight,
          key_table_count(shard->key_table), member_keys_count(shard->member_keys),
          shard->is_draining ? "true" : "false");
    return printer.size;
}

static void print_card(printer_t *printer, const shard_t *shard, const actor_t *actor)
{
    const card_actor_t *const card = actor_state((actor_t *)(uintptr_t)actor);
    const uint32_t held = card->work == NULL ? 0 : card->work->held_count;
    print(printer,
          "\"state\":\"active\",\"mailbox\":%" PRIu32 ",\"held\":%" PRIu32 ",\"messages\":%" PRIu32
          ",\"last_handled_ms_ago\":",
          actor_mailbox_depth(actor), held, card->messages);
    if (card->messages == 0) {
        print(printer, "null");
    } else {
        print(printer, "%" PRIu32, (uint32_t)loop_now_ms(shard->loop) - card->handled_ms);
    }
    print(printer,
          ",\"state_bytes\":%zu,\"version\":%" PRIu64 ",\"card_sequence\":%" PRIu64
          ",\"partition\":%" PRIu32 "}",
          sizeof(*card) + card_memory_texts_size(card), card->version, card->card_sequence,
          card->partition->number);
}

result_t shard_follow(const shard_t *shard, text_t tenant, const uuid_t *card, char *out,
                      size_t capacity, size_t *size)
{
    if (!tenant_name_is_valid(tenant) ||
        placement_shard(tenant, shard->options.shards) != shard->options.index) {
        return RESULT_MISSING;
    }
    actor_identity_t identity = {.tenant = tenant.data, .tenant_size = tenant.size};
    memcpy(identity.id, card->bytes, sizeof(identity.id));
    const actor_t *const actor = actor_system_find(shard->system, shard->card_kind, &identity);
    printer_t printer = {.out = out, .capacity = capacity};
    char id[UUID_TEXT_SIZE];
    uuid_format(card, id);
    print(&printer, "{\"tenant\":\"%.*s\",\"card\":\"%.*s\",\"shard\":%" PRIu32 ",",
          TEXT_PRINT(tenant), UUID_TEXT_SIZE, id, shard->options.index);
    if (actor == NULL) {
        print(&printer, "\"state\":\"passive\"}");
    } else {
        print_card(&printer, shard, actor);
    }
    *size = printer.size;
    return RESULT_OK;
}
