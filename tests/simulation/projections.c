/* The read models of the simulated disk. Every call happens after a while and is told after another
 * while, both from the seed; what is under way when its process dies happens or not. Must not know
 * what a row means. */
#include "tests/simulation/projections.h"
#include "tests/simulation/process.h"
#include "tests/support/projections_log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { LOST_COMMITS_MAX = 3 }; /* that a loss of power takes away */

typedef struct disk_models {
    struct disk_models *next_made;
    bool is_cut_off; /* its tenant was deleted, and who has it open cannot use it any more */
    projections_log_t *live;
    projections_log_t *next;
    int64_t created_at;
} disk_models_t;

struct projections_disk {
    world_t *world;
    const projections_port_t *holder; /* the one process that may use it; NULL: whoever comes */
    disk_models_t *models[WORLD_NAMES_MAX]; /* what is found under a name */
    disk_models_t *made;                    /* all of them */
};

struct projections_tenant {
    projections_port_t *port;
    disk_models_t *models;
    projections_slot_t slot;
    projections_tenant_t *next;
    bool is_closed;
    bool discards; /* when all that was asked before is done */
};

typedef enum call_kind {
    CALL_OPEN,
    CALL_PROMOTE,
    CALL_LOAD,
    CALL_COMMIT,
    CALL_LIST,
    CALL_COUNTERS,
    CALL_FORGET
} call_kind_t;

typedef struct call {
    struct call *next;
    uint64_t id;
    call_kind_t kind;
    projections_port_t *port;
    projections_tenant_t *handle;
    projections_tenant_t *other;
    uint32_t name_index;   /* OPEN */
    disk_models_t *models; /* OPEN, once it has happened */
    int64_t created_at;
    projections_slot_t slot;
    bool is_applied;
    result_t result;
    const uuid_t *cards;
    size_t count;
    const projection_commit_t *commit;
    projections_list_t list;
    projections_counters_query_t query;
    text_t member_id;
    void *context;
    union {
        projections_opened_done_t *opened;
        projections_done_t *plain;
        projections_loaded_done_t *loaded;
        projections_page_done_t *page;
        projections_counters_done_t *counters;
    } done;
} call_t;

struct projections_port {
    projections_t base; /* first */
    projections_disk_t *disk;
    process_t *process;
    call_t *calls;
    size_t call_count;
    uint64_t next_id;
    projections_tenant_t *handles;
};

static projections_log_t *log_of(const projections_tenant_t *handle)
{
    return handle->slot == PROJECTIONS_LIVE ? handle->models->live : handle->models->next;
}

/* --- On the disk --- */

static void apply_open(call_t *call)
{
    if (call->slot == PROJECTIONS_NEXT) {
        projections_log_clear(call->models->next);
    } else if (call->models->created_at != call->created_at) {
        projections_log_clear(call->models->live);
        call->models->created_at = call->created_at;
    }
}

static void apply_promote(call_t *call)
{
    disk_models_t *const models = call->handle->models;
    projections_log_t *const old = models->live;
    models->live = models->next;
    models->next = old;
    projections_log_clear(old);
}

static void apply_commit(call_t *call)
{
    const world_t *const world = call->port->disk->world;
    projection_commit_t commit = *call->commit;
    if (world->bug == BUG_stale_list) {
        while (commit.card_count > 0 && !commit.cards[commit.card_count - 1].is_new) {
            commit.card_count--;
        }
    }
    if (world->bug == BUG_fold_forgets_cards && commit.card_count > 1) {
        commit.card_count--;
    }
    if (world->bug == BUG_fold_counts_twice && commit.counter_count > 0) {
        projections_log_t *const log = log_of(call->handle);
        call->result = projections_log_commit(log, &commit);
        commit.from = commit.to.sequence;
        commit.card_count = 0;
        (void)!projections_log_commit(log, &commit);
        return;
    }
    call->result = projections_log_commit(log_of(call->handle), &commit);
}

static void apply(call_t *call)
{
    world_t *const world = call->port->disk->world;
    call->is_applied = true;
    if (call->kind == CALL_OPEN) {
        call->models = call->port->disk->models[call->name_index];
    } else if (call->handle->models->is_cut_off) {
        call->result = RESULT_STORE_UNAVAILABLE;
        return;
    }
    if (world->is_stormy && call->kind != CALL_PROMOTE &&
        generator_chance(&world->disk, world->weather.failed_read)) {
        call->result = generator_chance(&world->disk, 200) && call->kind != CALL_OPEN
                           ? RESULT_STORE_CORRUPT
                           : RESULT_STORE_FULL;
        return;
    }
    switch (call->kind) {
    case CALL_OPEN:
        apply_open(call);
        break;
    case CALL_PROMOTE:
        apply_promote(call);
        break;
    case CALL_COMMIT:
        apply_commit(call);
        break;
    case CALL_FORGET:
        projections_log_forget(log_of(call->handle), call->member_id);
        break;
    default:
        break; /* reads are worked out when they are told: nothing is freed in between */
    }
}

/* --- To the caller --- */

static void tell_opened(call_t *call)
{
    projections_opened_t opened = {.result = call->result};
    if (call->result == RESULT_OK) {
        projections_tenant_t *const handle = calloc(1, sizeof(*handle));
        assert(handle != NULL);
        handle->port = call->port;
        handle->models = call->models;
        handle->slot = call->slot;
        handle->next = call->port->handles;
        call->port->handles = handle;
        opened.tenant = handle;
        projections_log_cursors(log_of(handle), opened.cursors, &opened.is_complete);
    }
    call->done.opened(call->context, &opened);
}

static void tell_loaded(call_t *call)
{
    text_t *const bodies = calloc(call->count + 1, sizeof(*bodies));
    projection_position_t *const positions = calloc(call->count + 1, sizeof(*positions));
    assert(bodies != NULL && positions != NULL);
    if (call->result == RESULT_OK) {
        projections_log_load(log_of(call->handle), call->cards, call->count, bodies, positions);
    }
    call->done.loaded(call->context,
                      &(projections_loaded_t){call->result, bodies, positions,
                                              call->result == RESULT_OK ? call->count : 0});
    free(bodies);
    free(positions);
}

static void tell_page(call_t *call)
{
    const world_t *const world = call->port->disk->world;
    char cursor[PROJECTIONS_LOG_CURSOR_SIZE] = "";
    projection_row_t *const rows = calloc(call->list.limit + 1, sizeof(*rows));
    assert(rows != NULL);
    size_t count = 0;
    if (call->result == RESULT_OK) {
        call->result =
            projections_log_list(log_of(call->handle), &call->list, rows, &count, cursor);
    }
    if (world->bug == BUG_short_page && count > 1) {
        count--;
    }
    call->done.page(call->context,
                    &(projections_page_t){call->result, rows, count, text_from_c(cursor)});
    free(rows);
}

static void tell_counters(call_t *call)
{
    projections_counters_t counters = {.result = call->result};
    projection_counter_t *rows = NULL;
    if (call->result == RESULT_OK) {
        projections_log_counters(log_of(call->handle), &call->query, &rows, &counters.row_count,
                                 counters.levels);
        counters.rows = rows;
    }
    call->done.counters(call->context, &counters);
    free(rows);
}

static void tell(call_t *call)
{
    trace_add(call->port->disk->world,
              "  read models tell process %" PRIu64 ": kind %" PRIu64 ", result %" PRIu64,
              call->port->process->id, call->kind, call->result, 0);
    switch (call->kind) {
    case CALL_OPEN:
        tell_opened(call);
        break;
    case CALL_LOAD:
        tell_loaded(call);
        break;
    case CALL_LIST:
        tell_page(call);
        break;
    case CALL_COUNTERS:
        tell_counters(call);
        break;
    case CALL_PROMOTE:
        call->other->is_closed = true;
        call->done.plain(call->context, call->result);
        break;
    default:
        call->done.plain(call->context, call->result);
        break;
    }
}

/* --- Calls --- */

static call_t *find_call(const projections_port_t *port, uint64_t id)
{
    call_t *call = port->calls;
    while (call != NULL && call->id != id) {
        call = call->next;
    }
    return call;
}

/* A handle that is closed goes when nothing asked of it is under way. */
static void settle(projections_port_t *port)
{
    for (projections_tenant_t *handle = port->handles; handle != NULL; handle = handle->next) {
        bool is_busy = false;
        for (const call_t *call = port->calls; call != NULL; call = call->next) {
            is_busy = is_busy || call->handle == handle;
        }
        if (handle->is_closed && handle->discards && !is_busy) {
            projections_log_clear(log_of(handle));
            handle->discards = false;
        }
    }
}

static bool is_in_use(const projections_port_t *port, const disk_models_t *models,
                      projections_slot_t slot)
{
    bool is_busy = false;
    for (const call_t *call = port->calls; call != NULL; call = call->next) {
        is_busy = is_busy || (call->handle != NULL && call->handle->is_closed &&
                              call->handle->models == models && call->handle->slot == slot);
    }
    return is_busy;
}

static void take_out(call_t *call)
{
    call_t **place = &call->port->calls;
    while (*place != call) {
        place = &(*place)->next;
    }
    *place = call->next;
    call->port->call_count--;
}

typedef struct ticket {
    uint32_t process;
    uint64_t call;
} ticket_t;

static call_t *call_of(world_t *world, const ticket_t *ticket)
{
    const process_t *const process = process_find(world, ticket->process);
    return process == NULL ? NULL : find_call(process->projections, ticket->call);
}

static ticket_t *make_ticket(const call_t *call)
{
    ticket_t *const ticket = malloc(sizeof(*ticket));
    assert(ticket != NULL);
    *ticket = (ticket_t){call->port->process->id, call->id};
    return ticket;
}

static void tell_due(world_t *world, void *payload)
{
    call_t *const call = call_of(world, payload);
    if (call != NULL) {
        take_out(call);
        tell(call);
        settle(call->port);
        free(call);
    }
}

static void apply_due(world_t *world, void *payload)
{
    call_t *const call = call_of(world, payload);
    if (call != NULL && !call->is_applied) {
        apply(call);
        agenda_add(world, generator_between(&world->disk, 20, 300), call->port->process->id,
                   tell_due, payload_free, make_ticket(call));
    }
}

/* NULL: refused, with the reason in `result`. */
static call_t *begin(projections_port_t *port, call_kind_t kind, projections_tenant_t *handle,
                     void *context, result_t *result)
{
    world_t *const world = port->disk->world;
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
    call_t *const call = calloc(1, sizeof(*call));
    assert(call != NULL);
    port->next_id++;
    *call = (call_t){.next = port->calls,
                     .id = port->next_id,
                     .kind = kind,
                     .port = port,
                     .handle = handle,
                     .context = context};
    port->calls = call;
    port->call_count++;
    agenda_add(world, generator_between(&world->disk, 50, world->is_stormy ? 20000 : 400), 0,
               apply_due, payload_free, make_ticket(call));
    return call;
}

/* --- The port --- */

static result_t port_open(projections_t *base, text_t tenant, int64_t created_at,
                          projections_slot_t slot, projections_opened_done_t *done, void *context)
{
    projections_port_t *const port = (projections_port_t *)base;
    const uint32_t name_index = world_name_index(port->disk->world, tenant);
    assert(name_index < port->disk->world->name_count);
    result_t result;
    if (port->disk->holder != NULL && port->disk->holder != port) {
        return RESULT_STORE_UNAVAILABLE; /* a relay that was given up, and still lives */
    }
    port->disk->holder = port;
    if (is_in_use(port, port->disk->models[name_index], slot)) {
        return RESULT_BUSY;
    }
    call_t *const call = begin(port, CALL_OPEN, NULL, context, &result);
    if (call != NULL) {
        call->name_index = name_index;
        call->created_at = created_at;
        call->slot = slot;
        call->done.opened = done;
    }
    return result;
}

static void port_close(projections_t *base, projections_tenant_t **tenant, bool discard)
{
    projections_port_t *const port = (projections_port_t *)base;
    projections_tenant_t *const closed = *tenant;
    *tenant = NULL;
    closed->is_closed = true; /* freed with the port: what was asked before still finishes */
    closed->discards = (discard || closed->slot == PROJECTIONS_NEXT) && !port->process->is_dying;
    settle(port);
}

static result_t port_promote(projections_tenant_t *live, projections_tenant_t *next,
                             projections_done_t *done, void *context)
{
    for (const call_t *call = live->port->calls; call != NULL; call = call->next) {
        assert(call->handle != live && call->handle != next); /* with something under way */
    }
    result_t result;
    call_t *const call = begin(live->port, CALL_PROMOTE, live, context, &result);
    if (call != NULL) {
        call->other = next;
        call->done.plain = done;
    }
    return result;
}

static result_t port_load(projections_tenant_t *tenant, const uuid_t *cards, size_t count,
                          projections_loaded_done_t *done, void *context)
{
    result_t result;
    call_t *const call = begin(tenant->port, CALL_LOAD, tenant, context, &result);
    if (call != NULL) {
        call->cards = cards;
        call->count = count;
        call->done.loaded = done;
    }
    return result;
}

static result_t port_commit(projections_tenant_t *tenant, const projection_commit_t *commit,
                            projections_done_t *done, void *context)
{
    result_t result;
    call_t *const call = begin(tenant->port, CALL_COMMIT, tenant, context, &result);
    if (call != NULL) {
        call->commit = commit;
        call->done.plain = done;
    }
    return result;
}

static result_t port_list(projections_tenant_t *tenant, const projections_list_t *list,
                          projections_page_done_t *done, void *context)
{
    result_t result;
    call_t *const call = begin(tenant->port, CALL_LIST, tenant, context, &result);
    if (call != NULL) {
        call->list = *list;
        call->done.page = done;
    }
    return result;
}

static result_t port_read_counters(projections_tenant_t *tenant,
                                   const projections_counters_query_t *query,
                                   projections_counters_done_t *done, void *context)
{
    result_t result;
    call_t *const call = begin(tenant->port, CALL_COUNTERS, tenant, context, &result);
    if (call != NULL) {
        call->query = *query;
        call->done.counters = done;
    }
    return result;
}

static result_t port_forget_member(projections_tenant_t *tenant, text_t member_id,
                                   projections_done_t *done, void *context)
{
    result_t result;
    call_t *const call = begin(tenant->port, CALL_FORGET, tenant, context, &result);
    if (call != NULL) {
        call->member_id = member_id;
        call->done.plain = done;
    }
    return result;
}

static const projections_functions_t port_functions = {
    .open = port_open,
    .close = port_close,
    .promote = port_promote,
    .load = port_load,
    .commit = port_commit,
    .list = port_list,
    .read_counters = port_read_counters,
    .forget_member = port_forget_member,
};

projections_port_t *projections_port_create(projections_disk_t *disk, process_t *process)
{
    projections_port_t *const port = calloc(1, sizeof(*port));
    assert(port != NULL);
    port->base.functions = &port_functions;
    port->disk = disk;
    port->process = process;
    return port;
}

projections_t *projections_port_base(projections_port_t *port)
{
    return &port->base;
}

size_t projections_port_operations(const projections_port_t *port)
{
    return port->call_count;
}

/* A twin would not survive a loss of power. */
static bool has_twin(const process_t *process)
{
    bool has = false;
    for (size_t i = 0; i < WORLD_PROCESSES_MAX; i++) {
        const process_t *const other = process->world->processes[i];
        has = has || (other != NULL && other != process && other->kind == process->kind);
    }
    return has;
}

/* Power may be lost with the process: commits that nobody waited for an fsync of. */
static void lose_commits(projections_port_t *port)
{
    world_t *const world = port->disk->world;
    for (uint32_t i = 0; i < world->name_count; i++) {
        projections_log_t *const log = port->disk->models[i]->live;
        const size_t count = projections_log_count(log);
        const size_t lost = generator_below(&world->disk, LOST_COMMITS_MAX + 1);
        if (generator_chance(&world->disk, 300)) {
            projections_log_cut(log, count > lost ? count - lost : 0);
        }
    }
}

void projections_port_crash(projections_port_t *port)
{
    world_t *const world = port->disk->world;
    for (call_t *call = port->calls; call != NULL; call = call->next) {
        if (!call->is_applied && generator_chance(&world->disk, 500)) {
            apply(call);
        }
        call->is_applied = true;
    }
    while (port->calls != NULL) {
        call_t *const call = port->calls;
        take_out(call);
        call->result = RESULT_STORE_UNAVAILABLE;
        tell(call);
        free(call);
    }
    if (port->process->kind == PROCESS_RELAY && !has_twin(port->process)) {
        lose_commits(port);
    }
}

void projections_port_destroy(projections_port_t **port)
{
    assert((*port)->calls == NULL);
    if ((*port)->disk->holder == *port) {
        (*port)->disk->holder = NULL;
    }
    while ((*port)->handles != NULL) {
        projections_tenant_t *const next = (*port)->handles->next;
        free((*port)->handles);
        (*port)->handles = next;
    }
    free(*port);
    *port = NULL;
}

static void make_models(projections_disk_t *disk, uint32_t name_index)
{
    disk_models_t *const models = calloc(1, sizeof(*models));
    assert(models != NULL);
    models->live = projections_log_create();
    models->next = projections_log_create();
    models->next_made = disk->made;
    disk->made = models;
    disk->models[name_index] = models;
}

projections_disk_t *projections_disk_create(world_t *world)
{
    projections_disk_t *const disk = calloc(1, sizeof(*disk));
    assert(disk != NULL);
    disk->world = world;
    for (uint32_t i = 0; i < WORLD_NAMES_MAX; i++) {
        make_models(disk, i);
    }
    return disk;
}

void projections_disk_put_aside(projections_disk_t *disk, uint32_t name_index, bool cuts_off)
{
    disk->models[name_index]->is_cut_off = cuts_off;
    if (disk->world->bug != BUG_inherit_models) {
        make_models(disk, name_index);
    }
}

size_t projections_port_leftovers(const projections_port_t *port)
{
    const disk_models_t *const *const models = (const disk_models_t *const *)port->disk->models;
    const world_t *const world = port->disk->world;
    size_t count = 0;
    for (const projections_tenant_t *handle = port->handles; handle != NULL;
         handle = handle->next) {
        bool is_known = handle->is_closed;
        for (uint32_t i = 0; i < world->name_count; i++) {
            is_known = is_known || (handle->models == models[i] &&
                                    world_is_there(world, world_newest(world, i)));
        }
        count += is_known ? 0 : 1;
    }
    return count;
}

void projections_disk_destroy(projections_disk_t **disk)
{
    while ((*disk)->made != NULL) {
        disk_models_t *const models = (*disk)->made;
        (*disk)->made = models->next_made;
        projections_log_destroy(&models->live);
        projections_log_destroy(&models->next);
        free(models);
    }
    free(*disk);
    *disk = NULL;
}

/* --- In the end --- */

/* Events of the journal up to the cursors, counted by name, against the sums: each event counted
 * once, whatever crashed. */
static void check_sums(world_t *world, uint32_t tenant, const projections_log_t *log,
                       const projection_cursor_t *cursors)
{
    int64_t expected[32] = {0};
    for (uint32_t i = 0; i < world->tenants[tenant].partitions; i++) {
        const store_partition_t *const partition = store_partition(world->store, tenant, i);
        for (size_t j = 0; j < partition->event_count; j++) {
            const event_t *const event = &partition->events[j]->event;
            expected[event->name] += event->sequence <= cursors[i].sequence ? 1 : 0;
        }
    }
    const projections_counters_query_t query = {
        .grain = grain_day, .from = 0, .to = INT64_MAX, .day = 0, .scans_max = LIMIT_ROLLUP_SCANS};
    projection_counter_t *rows = NULL;
    size_t count = 0;
    int64_t levels[PROJECTION_LEVELS_MAX];
    projections_log_counters(log, &query, &rows, &count, levels);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].series == PROJECTION_SERIES_EVENTS) {
            expected[rows[i].kind] -= rows[i].count;
        }
    }
    free(rows);
    for (uint32_t name = 0; name < 32; name++) {
        if (expected[name] != 0) {
            world_violation(world, 8,
                            "the rollups of tenant %u count events of kind %u wrongly by %" PRId64,
                            tenant, name, -expected[name]);
        }
    }
}

void projections_disk_check(world_t *world)
{
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        const disk_models_t *const models =
            world->projections->models[world->tenants[i].name_index];
        projection_cursor_t cursors[LIMIT_PARTITIONS + 1];
        bool is_complete = false;
        if (world_is_there(world, i)) {
            projections_log_cursors(models->live, cursors, &is_complete);
            check_sums(world, i, models->live, cursors);
        }
    }
}

void projections_disk_rebuild(world_t *world, process_t *relay, uint32_t tenant)
{
    const result_t result = relay_rebuild(relay->relay, text_from_c(world->tenants[tenant].name));
    trace_add(world, "read models of tenant %" PRIu64 " are to be made anew: %" PRIu64, tenant,
              result, 0, 0);
}
