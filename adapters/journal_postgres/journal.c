/* The journal port on PostgreSQL: tenants, opening and closing. What is asked over their lanes
 * stands in append.c, load.c, events.c and list.c. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Tenants --- */

static journal_tenant_t *tenant_create(journal_postgres_t *journal, text_t name, bool readonly)
{
    journal_tenant_t *tenant = calloc(1, sizeof *tenant);
    assert(tenant != NULL);
    tenant->journal = journal;
    journal->openings++;
    tenant->opening = journal->openings;
    tenant->readonly = readonly;
    memcpy(tenant->name, name.data, name.size);
    lane_init(&tenant->writer, tenant, true);
    lane_init(&tenant->reader, tenant, false);
    tenant->next = journal->tenants;
    if (journal->tenants != NULL) {
        journal->tenants->previous = tenant;
    }
    journal->tenants = tenant;
    journal->tenants_open++;
    return tenant;
}

static void tenant_free(journal_tenant_t *tenant)
{
    lane_deinit(&tenant->writer);
    lane_deinit(&tenant->reader);
    explicit_bzero(&tenant->place, sizeof tenant->place);
    *(tenant->previous == NULL ? &tenant->journal->tenants : &tenant->previous->next) =
        tenant->next;
    if (tenant->next != NULL) {
        tenant->next->previous = tenant->previous;
    }
    tenant->journal->tenants_open--;
    free(tenant);
}

void tenant_settle(journal_tenant_t *tenant)
{
    if (tenant->closing && tenant->commands == 0) {
        tenant_free(tenant);
    }
}

static void journal_close(journal_t *journal, journal_tenant_t **tenant)
{
    (void)journal;
    journal_tenant_t *const closing = *tenant;
    *tenant = NULL;
    assert(!closing->closing);
    closing->closing = true;
    tenant_settle(closing);
}

/* --- Opening --- */

typedef struct open_command {
    command_t base;
    char incarnation[64];
    journal_opened_done_t *done;
    void *context;
    journal_partition_t partitions[LIMIT_PARTITIONS];
    uint32_t partition_count;
} open_command_t;

static bool open_send(command_t *command, lane_t *lane)
{
    open_command_t *const open = (open_command_t *)command;
    if (lane->is_writer) {
        parameter_bytes(lane_parameters(lane), text_from_c(open->incarnation));
        if (!lane_send(lane, STATEMENT_partition_raise)) {
            return false;
        }
    }
    (void)lane_parameters(lane);
    return lane_send(lane, STATEMENT_partition_list);
}

/* A head that is not the last event's sequence means that rows were lost. */
static result_t partitions_read(open_command_t *open, const PGresult *rows)
{
    const journal_tenant_t *const tenant = open->base.lane->tenant;
    const int count = PQntuples(rows);
    bool is_sound = count > 0 && count <= LIMIT_PARTITIONS;
    for (int i = 0; is_sound && i < count; i++) {
        const int64_t head = field_integer(rows, i, 2);
        is_sound = field_integer(rows, i, 0) == i &&
                   head == (field_integer(rows, i, 3) & JOURNAL_SEQUENCE_MAX);
        open->partitions[i] = (journal_partition_t){.epoch = (uint64_t)field_integer(rows, i, 1),
                                                    .head = (uint64_t)head,
                                                    .cards = (uint64_t)field_integer(rows, i, 4),
                                                    .bytes = (uint64_t)field_integer(rows, i, 5)};
    }
    if (!is_sound) {
        log_error("the partitions of the journal do not fit its events: run `digitalcard store "
                  "verify` and restore the database from a backup",
                  LOG_STRING("tenant", tenant->name));
        return RESULT_STORE_CORRUPT;
    }
    open->partition_count = (uint32_t)count;
    return RESULT_OK;
}

static result_t open_submit(journal_tenant_t *tenant, const char *incarnation,
                            journal_opened_done_t *done, void *context);

static void open_tell(journal_tenant_t *tenant, result_t result, journal_opened_done_t *done,
                      void *context)
{
    const journal_opened_t opened = {.result = result};
    tenant->closing = true;
    done(context, &opened);
}

/* An older schema takes its steps on a thread, since that may take long; then it is opened once
 * more. */
typedef struct upgrade {
    uv_work_t work;
    journal_tenant_t *tenant;
    char incarnation[64];
    journal_opened_done_t *done;
    void *context;
    migration_outcome_t outcome;
    result_t result;
} upgrade_t;

static void upgrade_run(uv_work_t *work)
{
    upgrade_t *const upgrade = work->data;
    const journal_tenant_t *const tenant = upgrade->tenant;
    upgrade->result = schema_upgrade(tenant->journal->url, tenant->journal->hosts, &tenant->place,
                                     &upgrade->outcome);
}

static void upgrade_finish(uv_work_t *work, int status)
{
    upgrade_t *const upgrade = work->data;
    journal_tenant_t *const tenant = upgrade->tenant;
    assert(status == 0);
    tenant->is_behind = false;
    tenant->journal->upgrades--;
    if (upgrade->result == RESULT_OK) {
        upgrade->result =
            open_submit(tenant, upgrade->incarnation, upgrade->done, upgrade->context);
    }
    if (upgrade->result != RESULT_OK) {
        open_tell(tenant, upgrade->result, upgrade->done, upgrade->context);
    }
    tenant->commands--; /* the upgrade itself */
    tenant_settle(tenant);
    free(upgrade);
}

static void upgrade_start(const open_command_t *open)
{
    journal_tenant_t *const tenant = open->base.lane->tenant;
    upgrade_t *const upgrade = calloc(1, sizeof *upgrade);
    assert(upgrade != NULL);
    *upgrade = (upgrade_t){.work.data = upgrade,
                           .tenant = tenant,
                           .done = open->done,
                           .context = open->context,
                           .outcome.known = journal_postgres_migrations_count};
    memcpy(upgrade->incarnation, open->incarnation, sizeof upgrade->incarnation);
    tenant->commands++; /* stays until it is done */
    tenant->journal->upgrades++;
    const int failed =
        uv_queue_work(loop_uv(tenant->journal->loop), &upgrade->work, upgrade_run, upgrade_finish);
    assert(failed == 0);
}

static bool open_finish(command_t *command)
{
    open_command_t *const open = (open_command_t *)command;
    journal_tenant_t *const tenant = command->lane->tenant;
    result_t result = command->result;
    if (result != RESULT_OK && tenant->is_behind && !tenant->readonly &&
        !tenant->journal->stopping) {
        upgrade_start(open);
        return false;
    }
    if (result == RESULT_OK) {
        result = partitions_read(open, command->results[command->result_count - 1]);
    }
    const bool is_open = result == RESULT_OK;
    tenant->closing = !is_open; /* goes after this command */
    const journal_opened_t opened = {
        .result = result,
        .tenant = is_open ? tenant : NULL,
        .partition_count = is_open ? open->partition_count : 0,
        .partitions = is_open ? open->partitions : NULL,
    };
    open->done(open->context, &opened);
    return false;
}

/* A tenant that cannot even be looked up; tells so on the next turn. */
typedef struct open_failure {
    journal_tenant_t *tenant;
    result_t result;
    journal_opened_done_t *done;
    void *context;
} open_failure_t;

static void open_failed(void *context)
{
    open_failure_t *failure = context;
    const journal_opened_t opened = {.result = failure->result};
    failure->done(failure->context, &opened);
    tenant_free(failure->tenant);
    free(failure);
}

static result_t open_submit(journal_tenant_t *tenant, const char *incarnation,
                            journal_opened_done_t *done, void *context)
{
    lane_t *const lane = tenant->readonly ? &tenant->reader : &tenant->writer;
    open_command_t *open =
        command_create(lane, sizeof *open, tenant->readonly ? COMMAND_READ : COMMAND_WRITE,
                       open_send, open_finish);
    open->done = done;
    open->context = context;
    if (!tenant->readonly) {
        (void)snprintf(open->incarnation, sizeof open->incarnation, "%s", incarnation);
        command_uses(&open->base, STATEMENT_partition_raise);
    }
    command_uses(&open->base, STATEMENT_partition_list);
    return lane_submit(&open->base); /* the queue is empty: it has room */
}

bool tenant_is_gone(const journal_tenant_t *tenant)
{
    const journal_postgres_t *const journal = tenant->journal;
    journal_postgres_place_t place = {0};
    const result_t found = journal->find(journal->find_context, text_from_c(tenant->name), &place);
    const bool is_other = strcmp(place.password, tenant->place.password) != 0;
    explicit_bzero(&place, sizeof place);
    return found == RESULT_MISSING || (found == RESULT_OK && is_other);
}

static result_t tenant_open(journal_t *base, text_t name, const text_t *incarnation,
                            journal_opened_done_t *done, void *context)
{
    journal_postgres_t *const journal = (journal_postgres_t *)base;
    if (!tenant_name_is_well_formed(name)) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (journal->tenants_open >= LIMIT_POSTGRES_TENANTS || journal->stopping) {
        return RESULT_BUSY;
    }
    journal_tenant_t *const tenant = tenant_create(journal, name, incarnation == NULL);
    const result_t found = journal->find(journal->find_context, name, &tenant->place);
    if (found != RESULT_OK) {
        if (found == RESULT_MISSING && journal->troubles[TROUBLE_database].count != NULL) {
            metric_add(journal->troubles[TROUBLE_database].count, 1);
        }
        open_failure_t *failure = malloc(sizeof *failure);
        assert(failure != NULL);
        *failure = (open_failure_t){tenant, found, done, context};
        loop_post(journal->loop, open_failed, failure);
        return RESULT_OK;
    }
    char owner[64] = "";
    if (incarnation != NULL) {
        (void)snprintf(owner, sizeof owner, "%.*s", TEXT_PRINT(*incarnation));
    }
    return open_submit(tenant, owner, done, context);
}

static result_t journal_open(journal_t *journal, text_t tenant, text_t incarnation,
                             journal_opened_done_t *done, void *context)
{
    return tenant_open(journal, tenant, &incarnation, done, context);
}

static result_t journal_open_readonly(journal_t *journal, text_t tenant,
                                      journal_opened_done_t *done, void *context)
{
    return tenant_open(journal, tenant, NULL, done, context);
}

/* --- The adapter --- */

static const journal_functions_t functions = {
    .open = journal_open,
    .open_readonly = journal_open_readonly,
    .close = journal_close,
    .append = postgres_append,
    .load = postgres_load,
    .due = postgres_due,
    .reminders = postgres_reminders,
    .clean = postgres_clean,
    .list_cards = postgres_list_cards,
    .read_history = postgres_read_history,
    .read_events = postgres_read_events,
    .read_heads = postgres_read_heads,
    .read_member_keys = postgres_read_member_keys,
    .read_notes = postgres_read_notes,
    .read_archived_sums = postgres_read_archived_sums,
};

static void metrics_register(journal_postgres_t *journal, metrics_t *metrics)
{
    journal->commits = metrics_counter(metrics, "digitalcard_journal_commits_total", "",
                                       "Transactions committed to journals");
    journal->batches = metrics_counter(metrics, "digitalcard_journal_batches_total", "",
                                       "Batches stored or checked, several per transaction");
    journal->events = metrics_counter(metrics, "digitalcard_journal_events_total", "",
                                      "Events stored in journals");
    journal->failures = metrics_counter(metrics, "digitalcard_journal_failures_total", "",
                                        "Batches that a journal refused, fenced ones included");
    journal->lost = metrics_counter(metrics, "digitalcard_journal_outcomes_lost_total", "",
                                    "Commits whose answer was lost and looked up afterwards");
    journal->connects = metrics_counter(metrics, "digitalcard_journal_connects_total", "",
                                        "Connections to PostgreSQL begun");
    journal->connections_open = metrics_gauge(metrics, "digitalcard_journal_connections", "",
                                              "Connections to PostgreSQL in use");
    journal->commit_time = metrics_histogram(metrics, "digitalcard_journal_commit_seconds", "",
                                             "From handing over a batch to the end of its commit");
    journal->load_time = metrics_histogram(metrics, "digitalcard_journal_load_seconds", "",
                                           "From asking for the state of a card to having it");
    troubles_register(journal, metrics);
}

result_t journal_postgres_create(loop_t *loop, metrics_t *metrics,
                                 const journal_postgres_options_t *options, journal_t **journal)
{
    char *fault = NULL;
    PQconninfoOption *const url = PQconninfoParse(options->url, &fault);
    postgres_hosts_t *hosts = url == NULL ? NULL : postgres_hosts_create(url);
    if (hosts == NULL || options->connections > LIMIT_POSTGRES_CONNECTIONS_MAX) {
        PQfreemem(fault); /* not logged: it quotes the URL, and a password may be in it */
        postgres_hosts_destroy(&hosts);
        PQconninfoFree(url);
        return RESULT_INVALID_ARGUMENT;
    }
    journal_postgres_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    created->base.functions = &functions;
    created->base.tenants_max = LIMIT_POSTGRES_TENANTS / 2; /* others are being closed */
    created->loop = loop;
    created->url = url;
    created->hosts = hosts;
    created->tails = card_tails_create();
    created->find = options->find;
    created->find_context = options->find_context;
    created->connections_max =
        options->connections == 0 ? LIMIT_POSTGRES_CONNECTIONS : options->connections;
    if (metrics != NULL) {
        metrics_register(created, metrics);
    }
    *journal = &created->base;
    return RESULT_OK;
}

static void closing_tick(void *context)
{
    (void)context; /* the loop wakes up, and the deadline is looked at */
}

/* The last commits of tenants that were closed a moment ago. */
static void closing_wait(journal_postgres_t *journal)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + LIMIT_POSTGRES_CLOSE_MS;
    loop_timer_t *tick = loop_timer_create(journal->loop, closing_tick, NULL);
    loop_timer_start(tick, LIMIT_POSTGRES_RETRY_MS, LIMIT_POSTGRES_RETRY_MS);
    while (journal->upgrades > 0 || /* a thread works on it */
           (journal->tenants_open > 0 && clock_monotonic_ms() < deadline_ms)) {
        (void)uv_run(loop_uv(journal->loop), UV_RUN_ONCE);
    }
    loop_timer_destroy(&tick);
}

/* The server does not answer: whoever waits is told, and the tenant goes. */
static void tenant_abandon(journal_tenant_t *tenant)
{
    tenant->closing = true;
    tenant->commands++; /* until both lanes are empty */
    lane_abandon(&tenant->writer);
    lane_abandon(&tenant->reader);
    tenant->commands--;
    assert(tenant->commands == 0);
    tenant_settle(tenant);
}

void journal_postgres_destroy(journal_t **journal)
{
    if (*journal == NULL) {
        return;
    }
    journal_postgres_t *const destroyed = (journal_postgres_t *)*journal;
    *journal = NULL;
    destroyed->stopping = true;
    closing_wait(destroyed);
    while (destroyed->tenants != NULL) {
        tenant_abandon(destroyed->tenants);
    }
    assert(destroyed->tenants_open == 0);
    parameters_release(&destroyed->parameters);
    card_tails_destroy(&destroyed->tails);
    postgres_hosts_destroy(&destroyed->hosts);
    PQconninfoFree(destroyed->url);
    free(destroyed);
}
