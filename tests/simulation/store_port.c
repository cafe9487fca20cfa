/* actors/ports/journal.h for one process: every call happens on the disk after a while and is told
 * after another while, both from the seed. Must not know what rows mean. */
#include "tests/simulation/store_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* --- Operations --- */

typedef struct ticket {
    store_port_t *port;
    uint64_t operation;
} ticket_t;

static operation_t *find_operation(const store_port_t *port, uint64_t id)
{
    operation_t *operation = port->operations;
    while (operation != NULL && operation->id != id) {
        operation = operation->next;
    }
    return operation;
}

static void take_out(operation_t *operation)
{
    operation_t **place = &operation->port->operations;
    while (*place != operation) {
        place = &(*place)->next;
    }
    *place = operation->next;
    operation->port->operation_count--;
}

static void free_operation(operation_t *operation)
{
    free(operation->rows);
    free(operation->events);
    free(operation->uuids);
    free(operation->reminders);
    free(operation->sealed_keys);
    free(operation->notes);
    free(operation);
}

/* --- On the disk --- */

static void apply_open(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    const store_t *const store = operation->port->store;
    disk_tenant_t *const tenant =
        operation->name_index < WORLD_NAMES_MAX ? store->places[operation->name_index] : NULL;
    operation->tenant = tenant;
    if (tenant == NULL) {
        operation->result = RESULT_MISSING;
        return;
    }
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        journal_partition_t *const row = &tenant->partitions[i].row;
        if (!operation->is_readonly) {
            row->epoch++;
            if (world->bug == BUG_skip_sequence && row->epoch > 1 && row->head > 0) {
                row->head++;
            }
        }
        operation->partitions[i] = *row;
    }
    if (!operation->is_readonly && world->bug == BUG_drop_idempotency_on_open) {
        tenant->reply_count = 0;
    }
    trace_add(world, "  opened by process %" PRIu64 ": tenant %" PRIu64 ", epoch %" PRIu64,
              operation->port->process->id, tenant->index, tenant->partitions[0].row.epoch, 0);
}

static void apply_clean(operation_t *operation)
{
    disk_tenant_t *const tenant = operation->handle->tenant;
    size_t kept = 0;
    for (size_t i = 0; i < tenant->reply_count; i++) {
        if (tenant->replies[i].recorded_at >= operation->now_ms) {
            tenant->replies[kept] = tenant->replies[i];
            kept++;
        }
    }
    tenant->reply_count = kept;
}

static bool is_cut_off(const operation_t *operation)
{
    return operation->handle != NULL && operation->handle->tenant->is_cut_off;
}

static void apply(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    operation->is_applied = true;
    if (operation->kind != OPERATION_APPEND && operation->result == RESULT_OK && world->is_stormy &&
        generator_chance(&world->disk, world->weather.failed_read)) {
        operation->result = RESULT_STORE_UNAVAILABLE;
    }
    if (is_cut_off(operation)) {
        operation->result = RESULT_STORE_UNAVAILABLE;
    }
    if (operation->result != RESULT_OK) {
        return;
    }
    switch (operation->kind) {
    case OPERATION_OPEN:
        apply_open(operation);
        break;
    case OPERATION_APPEND:
        store_apply_append(operation);
        break;
    case OPERATION_LOAD:
        store_apply_load(operation);
        break;
    case OPERATION_DUE:
        store_apply_due(operation);
        break;
    case OPERATION_REMINDERS:
        store_apply_reminders(operation);
        break;
    case OPERATION_CLEAN:
        apply_clean(operation);
        break;
    case OPERATION_CARDS:
        store_apply_cards(operation);
        break;
    case OPERATION_EVENTS:
        store_apply_events(operation);
        break;
    case OPERATION_HEADS:
        break; /* as of the moment when they are told: later is as good */
    case OPERATION_KEYS:
        store_apply_keys(operation);
        break;
    case OPERATION_NOTES:
        store_apply_notes(operation);
        break;
    }
}

/* --- To the caller --- */

static void tell_opened(operation_t *operation)
{
    store_port_t *const port = operation->port;
    journal_opened_t opened = {.result = operation->result};
    if (operation->result == RESULT_OK) {
        journal_tenant_t *handle = calloc(1, sizeof(*handle));
        assert(handle != NULL);
        handle->port = port;
        handle->tenant = operation->tenant;
        handle->is_readonly = operation->is_readonly;
        handle->next = port->handles;
        port->handles = handle;
        opened.tenant = handle;
        opened.partition_count = operation->tenant->partition_count;
        opened.partitions = operation->partitions;
    }
    operation->done.opened(operation->context, &opened);
}

static void tell_heads(operation_t *operation)
{
    const disk_tenant_t *const tenant = operation->handle->tenant;
    journal_heads_t heads = {.result = operation->result,
                             .partition_count = tenant->partition_count};
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        heads.heads[i] = tenant->partitions[i].row.head;
    }
    operation->done.heads(operation->context, &heads);
}

static void tell(operation_t *operation)
{
    const text_t cursor = text_from_c(operation->cursor);
    const result_t result = operation->result;
    trace_add(operation->port->store->world,
              "  store tells process %" PRIu64 ": kind %" PRIu64 ", result %" PRIu64,
              operation->port->process->id, operation->kind, result, 0);
    switch (operation->kind) {
    case OPERATION_OPEN:
        tell_opened(operation);
        break;
    case OPERATION_APPEND:
    case OPERATION_CLEAN:
        operation->done.batch(operation->context, result);
        break;
    case OPERATION_LOAD:
        operation->loaded.result = result;
        operation->done.loaded(operation->context, &operation->loaded);
        break;
    case OPERATION_DUE:
        operation->done.due(operation->context,
                            &(journal_due_t){result, operation->uuids, operation->count});
        break;
    case OPERATION_REMINDERS:
        operation->done.reminders(operation->context,
                                  &(journal_reminders_t){result, operation->reminders,
                                                         operation->count, operation->next_at});
        break;
    case OPERATION_CARDS:
        operation->done.cards(operation->context, &(journal_cards_t){result, operation->rows,
                                                                     operation->count, cursor});
        break;
    case OPERATION_EVENTS:
        operation->done.events(operation->context,
                               &(journal_events_t){.result = result,
                                                   .events = operation->events,
                                                   .event_count = operation->count,
                                                   .next_cursor = cursor,
                                                   .head = operation->head});
        break;
    case OPERATION_HEADS:
        tell_heads(operation);
        break;
    case OPERATION_KEYS:
        operation->done.keys(
            operation->context,
            &(journal_member_keys_t){result, operation->sealed_keys, operation->count});
        break;
    case OPERATION_NOTES:
        operation->done.notes(operation->context,
                              &(journal_notes_t){result, operation->notes, operation->count});
        break;
    }
}

static void tell_due(world_t *world, void *payload)
{
    (void)world;
    const ticket_t *const ticket = payload;
    operation_t *const operation = find_operation(ticket->port, ticket->operation);
    if (operation != NULL) {
        take_out(operation);
        tell(operation);
        free_operation(operation);
    }
}

static ticket_t *ticket_of(const operation_t *operation)
{
    ticket_t *ticket = malloc(sizeof(*ticket));
    assert(ticket != NULL);
    *ticket = (ticket_t){operation->port, operation->id};
    return ticket;
}

/* The port may be gone: its process is looked for by the agenda only when the process is told. */
typedef struct disk_ticket {
    uint32_t process;
    uint64_t operation;
} disk_ticket_t;

static void apply_due(world_t *world, void *payload)
{
    const disk_ticket_t *const ticket = payload;
    const process_t *const process = process_find(world, ticket->process);
    operation_t *const operation =
        process == NULL ? NULL : find_operation(process->journal, ticket->operation);
    if (operation == NULL || operation->is_applied) {
        return;
    }
    apply(operation);
    agenda_add(world, generator_between(&world->disk, 20, 300), process->id, tell_due, payload_free,
               ticket_of(operation));
}

static uint64_t draw_delay(store_port_t *port, operation_kind_t kind, uint64_t written_us)
{
    world_t *const world = port->store->world;
    if (kind != OPERATION_APPEND && kind != OPERATION_CLEAN) {
        return generator_between(&world->disk, 40, world->is_stormy ? 3000 : 300);
    }
    uint64_t delay_us = generator_between(&world->disk, 150, 900);
    if (world->is_stormy && generator_chance(&world->disk, world->weather.slow_commit)) {
        delay_us += generator_below(&world->disk, 250000);
    }
    const uint64_t free_us = written_us > world->now_us ? written_us - world->now_us : 0;
    return delay_us + free_us;
}

/* NULL: refused, with the reason in `result`. */
static operation_t *begin(store_port_t *port, operation_kind_t kind, journal_tenant_t *handle,
                          void *context, result_t *result)
{
    world_t *const world = port->store->world;
    assert(handle == NULL || !handle->is_closed);
    *result = RESULT_OK;
    if (port->process->is_dying) {
        *result = RESULT_STORE_UNAVAILABLE;
    } else if (world->is_stormy && generator_chance(&world->disk, world->weather.store_busy)) {
        *result = RESULT_BUSY;
    }
    if (*result != RESULT_OK) {
        return NULL;
    }
    operation_t *operation = calloc(1, sizeof(*operation));
    assert(operation != NULL);
    operation->id = port->store->next_operation;
    port->store->next_operation++;
    operation->kind = kind;
    operation->port = port;
    operation->handle = handle;
    operation->context = context;
    operation->next = port->operations;
    port->operations = operation;
    port->operation_count++;
    const uint64_t delay_us = draw_delay(port, kind, handle == NULL ? 0 : handle->written_us);
    if (handle != NULL && (kind == OPERATION_APPEND || kind == OPERATION_CLEAN)) {
        handle->written_us = world->now_us + delay_us;
    }
    disk_ticket_t *ticket = malloc(sizeof(*ticket));
    assert(ticket != NULL);
    *ticket = (disk_ticket_t){port->process->id, operation->id};
    agenda_add(world, delay_us, 0, apply_due, payload_free, ticket);
    return operation;
}

/* --- The port --- */

static result_t open_for(journal_t *journal, text_t name, bool is_readonly,
                         journal_opened_done_t *done, void *context)
{
    store_port_t *const port = (store_port_t *)journal;
    result_t result;
    operation_t *const operation = begin(port, OPERATION_OPEN, NULL, context, &result);
    if (operation != NULL) {
        operation->name_index = world_name_index(port->store->world, name);
        operation->is_readonly = is_readonly;
        operation->done.opened = done;
    }
    return result;
}

static result_t port_open(journal_t *journal, text_t tenant, text_t incarnation,
                          journal_opened_done_t *done, void *context)
{
    assert(incarnation.size > 0);
    return open_for(journal, tenant, false, done, context);
}

static result_t port_open_readonly(journal_t *journal, text_t tenant, journal_opened_done_t *done,
                                   void *context)
{
    return open_for(journal, tenant, true, done, context);
}

static void port_close(journal_t *journal, journal_tenant_t **tenant)
{
    const store_port_t *const port = (const store_port_t *)journal;
    for (const operation_t *operation = port->operations; operation != NULL;
         operation = operation->next) {
        assert(operation->handle != *tenant); /* closed with something under way */
    }
    const world_t *const world = port->store->world;
    (*tenant)->is_closed =
        world->bug != BUG_deleted_stays_open || world_is_there(world, (*tenant)->tenant->index);
    *tenant = NULL; /* freed with the port */
}

static result_t port_append(journal_tenant_t *tenant, const journal_batch_t *batch,
                            journal_batch_done_t *done, void *context)
{
    assert(!tenant->is_readonly);
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_APPEND, tenant, context, &result);
    if (operation != NULL) {
        operation->batch = batch;
        operation->done.batch = done;
        if (tenant->port->store->world->bug == BUG_watermark_apart) {
            store_watermarks_early(operation);
        }
    }
    return result;
}

static result_t port_load(journal_tenant_t *tenant, const journal_load_t *load,
                          journal_loaded_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_LOAD, tenant, context, &result);
    if (operation != NULL) {
        operation->load = load;
        operation->done.loaded = done;
    }
    return result;
}

static result_t port_due(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                         journal_due_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_DUE, tenant, context, &result);
    if (operation != NULL) {
        operation->now_ms = now_ms;
        operation->limit = limit;
        operation->done.due = done;
    }
    return result;
}

static result_t port_reminders(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                               journal_reminders_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation =
        begin(tenant->port, OPERATION_REMINDERS, tenant, context, &result);
    if (operation != NULL) {
        operation->now_ms = now_ms;
        operation->limit = limit;
        operation->done.reminders = done;
    }
    return result;
}

static result_t port_clean(journal_tenant_t *tenant, int64_t before_ms, journal_batch_done_t *done,
                           void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_CLEAN, tenant, context, &result);
    if (operation != NULL) {
        operation->now_ms = before_ms;
        operation->done.batch = done;
    }
    return result;
}

static bool parse_cursor(text_t cursor, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < cursor.size; i++) {
        if (cursor.data[i] < '0' || cursor.data[i] > '9' || i > 15) {
            return false;
        }
        *value = *value * 10 + (uint64_t)(cursor.data[i] - '0');
    }
    return true;
}

static result_t port_list_cards(journal_tenant_t *tenant, const card_list_t *filter, int64_t now_ms,
                                uint32_t limit, journal_cards_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_CARDS, tenant, context, &result);
    if (operation != NULL) {
        const bool is_good = !MESSAGE_HAS(card_list, filter, cursor) ||
                             parse_cursor(filter->cursor, &operation->after);
        operation->result = is_good ? RESULT_OK : RESULT_INVALID_CURSOR;
        operation->filter = filter;
        operation->now_ms = now_ms;
        operation->limit = limit;
        operation->done.cards = done;
    }
    return result;
}

static result_t port_read_history(journal_tenant_t *tenant, const uuid_t *card, text_t cursor,
                                  uint32_t limit, journal_events_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_EVENTS, tenant, context, &result);
    if (operation != NULL) {
        const bool is_good = parse_cursor(cursor, &operation->after);
        operation->result = is_good ? RESULT_OK : RESULT_INVALID_CURSOR;
        operation->is_history = true;
        operation->card = *card;
        operation->limit = limit;
        operation->done.events = done;
    }
    return result;
}

static result_t port_read_events(journal_tenant_t *tenant, uint32_t partition, uint64_t after,
                                 uint32_t limit, journal_events_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_EVENTS, tenant, context, &result);
    if (operation != NULL) {
        operation->partition = partition;
        operation->after = after;
        operation->limit = limit;
        operation->done.events = done;
    }
    return result;
}

static result_t port_read_heads(journal_tenant_t *tenant, journal_heads_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_HEADS, tenant, context, &result);
    if (operation != NULL) {
        operation->done.heads = done;
    }
    return result;
}

static result_t port_read_member_keys(journal_tenant_t *tenant, const text_t *member_ids,
                                      size_t count, journal_member_keys_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_KEYS, tenant, context, &result);
    if (operation != NULL) {
        operation->member_ids = member_ids;
        operation->limit = (uint32_t)count;
        operation->done.keys = done;
    }
    return result;
}

static result_t port_read_notes(journal_tenant_t *tenant, text_t after, uint32_t limit,
                                journal_notes_done_t *done, void *context)
{
    result_t result;
    operation_t *const operation = begin(tenant->port, OPERATION_NOTES, tenant, context, &result);
    if (operation != NULL) {
        operation->note_after = after;
        operation->limit = limit;
        operation->done.notes = done;
    }
    return result;
}

const journal_functions_t store_functions = {
    .open = port_open,
    .open_readonly = port_open_readonly,
    .close = port_close,
    .append = port_append,
    .load = port_load,
    .due = port_due,
    .reminders = port_reminders,
    .clean = port_clean,
    .list_cards = port_list_cards,
    .read_history = port_read_history,
    .read_events = port_read_events,
    .read_heads = port_read_heads,
    .read_member_keys = port_read_member_keys,
    .read_notes = port_read_notes,
};

store_port_t *store_port_create(store_t *store, process_t *process)
{
    store_port_t *port = calloc(1, sizeof(*port));
    assert(port != NULL);
    port->journal.functions = &store_functions;
    port->store = store;
    port->process = process;
    return port;
}

journal_t *store_port_journal(store_port_t *port)
{
    return &port->journal;
}

size_t store_port_operations(const store_port_t *port)
{
    return port->operation_count;
}

size_t store_port_leftovers(const store_port_t *port)
{
    size_t count = 0;
    for (const journal_tenant_t *handle = port->handles; handle != NULL; handle = handle->next) {
        count += !handle->is_closed && !world_is_there(port->store->world, handle->tenant->index)
                     ? 1
                     : 0;
    }
    return count;
}

/* A batch that was on its way is stored as a whole or not at all, and nobody was told. */
static void decide_unknown(operation_t *operation)
{
    world_t *const world = operation->port->store->world;
    if (operation->kind != OPERATION_APPEND || operation->is_applied || is_cut_off(operation)) {
        return;
    }
    world->numbers.unknown_commits++;
    if (!generator_chance(&world->disk, 500)) {
        return;
    }
    if (world->bug == BUG_torn_batch) {
        store_apply_torn(operation);
    } else {
        store_apply_append(operation);
    }
}

void store_port_crash(store_port_t *port)
{
    if (port->store->world->bug == BUG_acknowledge_before_durable) {
        store_undo(port);
    }
    for (operation_t *operation = port->operations; operation != NULL;
         operation = operation->next) {
        decide_unknown(operation);
        operation->is_applied = true;
    }
    while (port->operations != NULL) {
        operation_t *const operation = port->operations;
        take_out(operation);
        operation->result = RESULT_STORE_UNAVAILABLE;
        operation->count = 0;
        tell(operation);
        free_operation(operation);
    }
}

void store_port_destroy(store_port_t **port)
{
    assert((*port)->operations == NULL);
    while ((*port)->handles != NULL) {
        journal_tenant_t *const next = (*port)->handles->next;
        free((*port)->handles);
        (*port)->handles = next;
    }
    free(*port);
    *port = NULL;
}
