/* What the relay asks besides events: how far each partition has come, and keys of members. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include <assert.h>

/* --- Heads --- */

typedef struct heads_command {
    command_t base;
    journal_heads_done_t *done;
    void *context;
} heads_command_t;

static bool heads_send(command_t *command, lane_t *lane)
{
    (void)command;
    (void)lane_parameters(lane);
    return lane_send(lane, STATEMENT_partition_heads);
}

static bool heads_finish(command_t *command)
{
    const heads_command_t *const asked = (const heads_command_t *)command;
    journal_heads_t heads = {.result = command->result};
    if (command->result == RESULT_OK) {
        const int count = PQntuples(command->results[0]);
        for (int i = 0; i < count && heads.partition_count < LIMIT_PARTITIONS; i++) {
            heads.heads[heads.partition_count] = (uint64_t)field_integer(command->results[0], i, 0);
            heads.partition_count++;
        }
    }
    asked->done(asked->context, &heads);
    return false;
}

result_t postgres_read_heads(journal_tenant_t *tenant, journal_heads_done_t *done, void *context)
{
    assert(!tenant->closing);
    heads_command_t *asked = command_create(lane_for_reads(tenant), sizeof *asked, COMMAND_READ,
                                            heads_send, heads_finish);
    asked->done = done;
    asked->context = context;
    command_uses(&asked->base, STATEMENT_partition_heads);
    return lane_submit(&asked->base);
}

/* --- Keys of members --- */

typedef struct keys_command {
    command_t base;
    const text_t *member_ids; /* the caller's until `done` */
    size_t count;
    journal_member_keys_done_t *done;
    void *context;
} keys_command_t;

static bool keys_send(command_t *command, lane_t *lane)
{
    const keys_command_t *const asked = (const keys_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    parameter_array_begin(parameters, TYPE_BYTEA, asked->count);
    for (size_t i = 0; i < asked->count; i++) {
        element_bytes(parameters, asked->member_ids[i]);
    }
    parameter_array_end(parameters);
    return lane_send(lane, STATEMENT_member_keys);
}

static bool keys_finish(command_t *command)
{
    const keys_command_t *const asked = (const keys_command_t *)command;
    journal_member_keys_t keys = {.result = command->result};
    if (command->result == RESULT_OK) {
        const PGresult *const rows = command->results[0];
        assert(PQntuples(rows) == (int)asked->count);
        arena_t arena;
        (void)events_arena(command, 0, asked->count * sizeof(text_t), &arena);
        text_t *const sealed_keys = arena_take(&arena, asked->count * sizeof *sealed_keys);
        for (size_t i = 0; i < asked->count; i++) {
            sealed_keys[i] =
                field_is_null(rows, (int)i, 0) ? TEXT_NONE : field_bytes(rows, (int)i, 0);
        }
        keys.sealed_keys = sealed_keys;
        keys.count = asked->count;
    }
    asked->done(asked->context, &keys);
    return false;
}

result_t postgres_read_member_keys(journal_tenant_t *tenant, const text_t *member_ids, size_t count,
                                   journal_member_keys_done_t *done, void *context)
{
    assert(count > 0 && count <= LIMIT_PROJECTION_EVENTS && !tenant->closing);
    keys_command_t *asked =
        command_create(lane_for_reads(tenant), sizeof *asked, COMMAND_READ, keys_send, keys_finish);
    asked->member_ids = member_ids;
    asked->count = count;
    asked->done = done;
    asked->context = context;
    command_uses(&asked->base, STATEMENT_member_keys);
    return lane_submit(&asked->base);
}

/* --- Sums of what was archived --- */

typedef struct sums_command {
    command_t base;
    uint64_t after;
    uint32_t limit;
    journal_archived_sums_done_t *done;
    void *context;
} sums_command_t;

static bool sums_send(command_t *command, lane_t *lane)
{
    const sums_command_t *const asked = (const sums_command_t *)command;
    parameters_t *const parameters = lane_parameters(lane);
    parameter_integer(parameters, (int64_t)asked->after);
    parameter_integer(parameters, asked->limit);
    return lane_send(lane, STATEMENT_archived_sums);
}

static void sums_read(command_t *command, journal_archived_sums_t *page)
{
    const PGresult *const rows = command->results[0];
    const int count = PQntuples(rows);
    assert(count > 0);
    page->archived = (uint64_t)field_integer(rows, 0, 0);
    if (field_is_null(rows, 0, 1)) {
        return;
    }
    arena_t arena;
    (void)events_arena(command, 0, (size_t)count * sizeof(projection_counter_t), &arena);
    projection_counter_t *const sums = arena_take(&arena, (size_t)count * sizeof *sums);
    for (int i = 0; i < count; i++) {
        sums[i] = (projection_counter_t){.series = (uint8_t)field_integer(rows, i, 2),
                                         .grain = (uint8_t)field_integer(rows, i, 3),
                                         .start = field_integer(rows, i, 4),
                                         .kind = (uint16_t)field_integer(rows, i, 5),
                                         .gate = field_bytes(rows, i, 6),
                                         .count = field_integer(rows, i, 7)};
    }
    page->sums = sums;
    page->count = (size_t)count;
    page->last = (uint64_t)field_integer(rows, count - 1, 1);
}

static bool sums_finish(command_t *command)
{
    const sums_command_t *const asked = (const sums_command_t *)command;
    journal_archived_sums_t page = {.result = command->result};
    if (command->result == RESULT_OK) {
        sums_read(command, &page);
    }
    asked->done(asked->context, &page);
    return false;
}

result_t postgres_read_archived_sums(journal_tenant_t *tenant, uint64_t after, uint32_t limit,
                                     journal_archived_sums_done_t *done, void *context)
{
    assert(limit > 0 && limit <= LIMIT_PROJECTION_EVENTS && !tenant->closing);
    sums_command_t *asked =
        command_create(lane_for_reads(tenant), sizeof *asked, COMMAND_READ, sums_send, sums_finish);
    asked->after = after;
    asked->limit = limit;
    asked->done = done;
    asked->context = context;
    command_uses(&asked->base, STATEMENT_archived_sums);
    return lane_submit(&asked->base);
}
