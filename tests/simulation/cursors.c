/* See cursors.h. Must not know how a relay gathers acknowledgements. */
#include "tests/simulation/cursors.h"
#include "actors/relay/relay_internal.h"
#include "tests/simulation/process.h"
#include "tests/simulation/store.h"
#include "tests/simulation/subscriber.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* Of the consumer of one tenant; all have the same name, so that namesakes' are mistaken easily. */
typedef struct cursor_row {
    bool is_registered;
    int64_t registered_at;
    int64_t seen_at;
    uint64_t stored[WORLD_PARTITIONS_MAX];
    uint64_t asked[WORLD_PARTITIONS_MAX]; /* highest that its own client ever acknowledged */
} cursor_row_t;

struct cursors {
    generator_t generator;
    uint32_t asks_permille; /* per step */
    cursor_row_t rows[WORLD_TENANTS_MAX];
};

typedef struct cursors_port {
    consumers_t consumers; /* first */
    const process_t *process;
} cursors_port_t;

static const text_t consumer_name = {.data = "door-log", .size = 8};

cursors_t *cursors_create(world_t *world)
{
    cursors_t *cursors = calloc(1, sizeof(*cursors));
    assert(cursors != NULL);
    generator_seed(&cursors->generator, world->options.seed + UINT64_C(0x8000000000000));
    if (generator_chance(&cursors->generator, 400)) {
        cursors->asks_permille = generator_between(&cursors->generator, 20, 250);
    }
    return cursors;
}

void cursors_destroy(cursors_t **cursors)
{
    free(*cursors);
    *cursors = NULL;
}

/* --- Clients --- */

static void ask(world_t *world, uint32_t tenant, bool registers)
{
    cursors_t *const cursors = world->cursors;
    if (world->clients->command_count + 64 > COMMANDS_MAX) {
        return;
    }
    command_t *const command = clients_new_command(
        world, tenant, registers ? request_type_consumer_register : request_type_events_ack);
    command->purpose = PURPOSE_CURSOR;
    if (!registers) {
        const uint32_t partition =
            generator_below(&cursors->generator, world->tenants[tenant].partitions);
        command->partition = partition;
        command->after = subscribers_applied(world, tenant, partition);
        uint64_t *const asked = &cursors->rows[tenant].asked[partition];
        *asked = command->after > *asked ? command->after : *asked;
    }
    clients_submit(world, command);
}

void cursors_step(world_t *world)
{
    cursors_t *const cursors = world->cursors;
    if (cursors->asks_permille > 0 &&
        generator_chance(&cursors->generator, cursors->asks_permille)) {
        ask(world, world_draw_tenant(world, &cursors->generator),
            generator_chance(&cursors->generator, 200));
    }
}

void cursors_ask(world_t *world)
{
    for (uint32_t i = 0; world->cursors->asks_permille > 0 && i < world->tenant_count; i++) {
        if (world_is_there(world, i)) {
            ask(world, i, !world->cursors->rows[i].is_registered);
        }
    }
}

void cursors_answered(world_t *world, const command_t *command, const consumer_t *consumer)
{
    const cursor_row_t *const row = &world->cursors->rows[command->tenant];
    for (uint32_t i = 0; i < consumer->cursors_count; i++) {
        const consumer_cursor_t *const cursor = &consumer->cursors[i];
        const uint64_t at_least =
            command->type == request_type_events_ack && i == command->partition ? command->after
                                                                                : 0;
        if (cursor->partition != i || i >= world->tenants[command->tenant].partitions) {
            world_violation(world, 5, "command %u is told of partitions of another tenant",
                            command->number);
            return;
        }
        if (cursor->sequence < at_least || cursor->sequence > row->asked[i]) {
            world_violation(world, cursor->sequence < at_least ? 1 : 5,
                            "command %u is told that its consumer is at %" PRIu64
                            " of partition %u; it acknowledged %" PRIu64
                            ", never more than %" PRIu64,
                            command->number, cursor->sequence, i, at_least, row->asked[i]);
        }
        if (cursor->head > store_partition(world->store, command->tenant, i)->row.head) {
            world_violation(world, 6, "command %u is told of a head that is ahead of the disk",
                            command->number);
        }
    }
}

/* --- The port --- */

/* NULL with the reason: there is no such tenant, or the control store does not answer. */
static cursor_row_t *find(const cursors_port_t *port, text_t name, result_t *result)
{
    const world_t *const world = port->process->world;
    const uint32_t name_index = world_name_index(world, name);
    *result = world->now_us < world->control_us ? RESULT_STORE_UNAVAILABLE : RESULT_MISSING;
    if (*result != RESULT_MISSING || name_index == world->name_count) {
        return NULL;
    }
    const uint32_t tenant = world_newest(world, name_index);
    return world_is_there(world, tenant) ? &world->cursors->rows[tenant] : NULL;
}

static result_t port_add(consumers_t *store, text_t tenant, text_t name, int64_t now_ms)
{
    result_t result;
    cursor_row_t *const row = find((cursors_port_t *)store, tenant, &result);
    assert(text_equal(name, consumer_name));
    if (row == NULL) {
        return result;
    }
    row->registered_at = row->is_registered ? row->registered_at : now_ms;
    row->is_registered = true;
    row->seen_at = now_ms;
    return RESULT_OK;
}

static result_t port_remove(consumers_t *store, text_t tenant, text_t name)
{
    result_t result;
    cursor_row_t *const row = find((cursors_port_t *)store, tenant, &result);
    (void)name;
    if (row == NULL || !row->is_registered) {
        return result;
    }
    row->is_registered = false;
    return RESULT_OK;
}

static void store_cursor(const cursors_port_t *port, cursor_row_t *row, const consumer_ack_t *ack)
{
    world_t *const world = port->process->world;
    if (ack->partition >= WORLD_PARTITIONS_MAX || ack->sequence > row->asked[ack->partition]) {
        world_violation(world, 5,
                        "a consumer goes to %" PRIu64 " of partition %u: its tenant never "
                        "acknowledged that",
                        ack->sequence, ack->partition);
        return;
    }
    uint64_t *const stored = &row->stored[ack->partition];
    *stored = ack->sequence > *stored ? ack->sequence : *stored;
}

static result_t port_ack(consumers_t *store, consumer_ack_t *acks, size_t count, int64_t now_ms)
{
    const cursors_port_t *const port = (const cursors_port_t *)store;
    for (size_t i = 0; i < count; i++) {
        result_t result;
        cursor_row_t *const row = find(port, acks[i].tenant, &result);
        if (result == RESULT_STORE_UNAVAILABLE) {
            return result; /* nothing of it is stored: it is the same for all */
        }
        acks[i].result = RESULT_MISSING;
        if (row != NULL && row->is_registered) {
            store_cursor(port, row, &acks[i]);
            row->seen_at = now_ms;
            acks[i].result = RESULT_OK;
        }
    }
    return RESULT_OK;
}

static bool show(const world_t *world, uint32_t name_index, consumer_visit_t *visit, void *context)
{
    const uint32_t tenant = world_newest(world, name_index);
    const cursor_row_t *const row = &world->cursors->rows[tenant];
    if (!world_is_there(world, tenant) || !row->is_registered) {
        return true;
    }
    consumer_row_t shown = {.tenant = text_from_c(world->tenants[tenant].name),
                            .name = consumer_name,
                            .registered_at = row->registered_at,
                            .seen_at = row->seen_at};
    bool has_shown = false;
    for (uint32_t i = 0; i < WORLD_PARTITIONS_MAX; i++) {
        if (row->stored[i] > 0) {
            shown.has_cursor = true;
            shown.partition = i;
            shown.sequence = row->stored[i];
            has_shown = true;
            if (!visit(context, &shown)) {
                return false;
            }
        }
    }
    return has_shown || visit(context, &shown);
}

static result_t port_visit(consumers_t *store, text_t tenant, consumer_visit_t *visit,
                           void *context)
{
    const world_t *const world = ((const cursors_port_t *)store)->process->world;
    if (world->now_us < world->control_us) {
        return RESULT_STORE_UNAVAILABLE;
    }
    bool goes_on = true;
    for (uint32_t i = 0; goes_on && i < world->name_count; i++) { /* names are in order */
        if (text_is_empty(tenant) || text_equal(text_from_c(world->tenants[i].name), tenant)) {
            goes_on = show(world, i, visit, context);
        }
    }
    return RESULT_OK;
}

static result_t port_forget(consumers_t *store, int64_t before_ms)
{
    (void)store;
    (void)before_ms; /* nobody is silent for thirty days */
    return RESULT_OK;
}

consumers_t *cursors_port_create(process_t *process)
{
    static const consumers_functions_t functions = {.add = port_add,
                                                    .remove = port_remove,
                                                    .ack = port_ack,
                                                    .visit = port_visit,
                                                    .forget = port_forget};
    cursors_port_t *port = calloc(1, sizeof(*port));
    assert(port != NULL);
    port->consumers.functions = &functions;
    port->process = process;
    return &port->consumers;
}

void cursors_port_crash(process_t *process)
{
    relay_t *const relay = process->relay;
    while (relay != NULL && relay->ack_count > 0) {
        relay->ack_count--;
        relay_read_t *const read = relay->acks[relay->ack_count];
        relay_tenant_t *const tenant = read->tenant;
        relay_read_refuse_deleted(read); /* the way to the front is cut already */
        relay_operation_end(tenant);
    }
}

void cursors_port_destroy(consumers_t **port)
{
    free(*port);
    *port = NULL;
}
