/* A lane: commands in order, sent over a connection when there is one, answered in order. See the
 * internal header. Whatever goes wrong is dealt with by the lane's timer, so that nothing calls
 * back from within a call of the port. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TICK_MS = 100, LOOK_MS = 5, WAIT_TICK_MS = 20, SQL_SIZE = 8192 };

static const char *const fixed_sql[STATEMENT_FIXED] = {
#define STATEMENT(name, sql) [STATEMENT_##name] = sql,
#include "adapters/journal_postgres/statements.def"
#undef STATEMENT
};

static void lane_tick(void *context);
static void lane_pump(lane_t *lane);
static void lane_yield(lane_t *lane);

/* --- Life --- */

void lane_init(lane_t *lane, journal_tenant_t *tenant, bool is_writer)
{
    lane->tenant = tenant;
    lane->is_writer = is_writer;
    lane->timer = loop_timer_create(tenant->journal->loop, lane_tick, lane);
}

void lane_deinit(lane_t *lane)
{
    assert(lane_is_idle(lane));
    if (lane->state == LANE_WAITING) {
        pool_cancel(lane);
    } else if (lane->state == LANE_CONNECTING || lane->state == LANE_READY) {
        session_close(lane);
        lane->state = LANE_IDLE;
        pool_give(lane);
    }
    loop_timer_destroy(&lane->timer);
}

/* A second connection while there are enough of them, or it has one already. */
lane_t *lane_for_reads(journal_tenant_t *tenant)
{
    lane_t *const reader = &tenant->reader;
    const bool is_apart =
        tenant->readonly || reader->state != LANE_IDLE || pool_is_roomy(tenant->journal);
    return is_apart ? reader : &tenant->writer;
}

static bool is_write(const command_t *command)
{
    return command->kind == COMMAND_WRITE || command->kind == COMMAND_APPEND;
}

bool lane_is_idle(const lane_t *lane)
{
    return lane->queue_first == NULL && lane->flight_first == NULL;
}

static void state_set(lane_t *lane, lane_state_t state)
{
    lane->state = state;
    lane->state_since_ms = clock_monotonic_ms();
}

static void lane_break(lane_t *lane, result_t why)
{
    if (!lane->is_broken) {
        lane->is_broken = true;
        lane->broken_by = why;
    }
    loop_timer_start(lane->timer, 0, TICK_MS);
}

/* Keeps the tenant, and so the lane, while callbacks run. */
static void tenant_hold(lane_t *lane)
{
    lane->tenant->commands++;
    lane->is_pumping = true;
}

static void tenant_release(lane_t *lane)
{
    journal_tenant_t *const tenant = lane->tenant;
    lane->is_pumping = false;
    assert(tenant->commands > 0);
    tenant->commands--;
    tenant_settle(tenant);
}

/* --- Commands --- */

void *command_create(lane_t *lane, size_t size, command_kind_t kind,
                     bool (*send)(command_t *, lane_t *), bool (*finish)(command_t *))
{
    assert(size >= sizeof(command_t));
    command_t *command = calloc(1, size);
    assert(command != NULL);
    command->lane = lane;
    command->kind = kind;
    command->send = send;
    command->finish = finish;
    return command;
}

void command_uses(command_t *command, statement_t statement)
{
    assert(command->statement_count < COMMAND_STATEMENTS_MAX);
    command->statements[command->statement_count] = statement;
    command->statement_count++;
}

static void results_clear(command_t *command)
{
    for (uint32_t i = 0; i < command->result_count; i++) {
        PQclear(command->results[i]);
    }
    command->result_count = 0;
    free(command->memory);
    command->memory = NULL;
}

static void queue_push_front(lane_t *lane, command_t *command)
{
    command->next = lane->queue_first;
    lane->queue_first = command;
    if (lane->queue_last == NULL) {
        lane->queue_last = command;
    }
    lane->queue_count++;
    lane->appends_waiting += command->kind == COMMAND_APPEND ? 1 : 0;
}

static command_t *queue_pop(lane_t *lane)
{
    command_t *const command = lane->queue_first;
    lane->queue_first = command->next;
    if (lane->queue_first == NULL) {
        lane->queue_last = NULL;
    }
    command->next = NULL;
    lane->queue_count--;
    lane->appends_waiting -= command->kind == COMMAND_APPEND ? 1 : 0;
    return command;
}

static void command_end(command_t *command, result_t result)
{
    lane_t *const lane = command->lane;
    journal_tenant_t *const tenant = lane->tenant;
    command->result = result;
    if (command->finish(command)) {
        results_clear(command);
        queue_push_front(lane, command);
        return;
    }
    results_clear(command);
    free(command->kept);
    free(command);
    assert(tenant->commands > 1); /* this one, and the caller holds the tenant */
    tenant->commands--;
}

static void connection_ask(lane_t *lane)
{
    if (pool_take(lane)) {
        lane_granted(lane);
    } else {
        state_set(lane, LANE_WAITING);
        loop_timer_start(lane->timer, WAIT_TICK_MS, TICK_MS);
    }
}

/* There is something to do: gets a connection when it has none. */
static void wake(lane_t *lane)
{
    if (lane->state == LANE_IDLE) {
        connection_ask(lane);
    } else if (lane->state == LANE_READY && !lane->is_pumping) {
        if (lane->flight_first == NULL) {
            loop_timer_start(lane->timer, TICK_MS, TICK_MS);
        }
        lane_pump(lane);
        lane_yield(lane);
    }
}

result_t lane_submit(command_t *command)
{
    lane_t *const lane = command->lane;
    const bool is_append = command->kind == COMMAND_APPEND;
    if ((is_append && lane->appends_waiting >= LIMIT_STORE_BATCHES_WAITING) ||
        lane->queue_count >= LIMIT_POSTGRES_QUEUE) {
        free(command->memory);
        free(command);
        return RESULT_BUSY;
    }
    command->submitted_us = clock_monotonic_us();
    *(lane->queue_last == NULL ? &lane->queue_first : &lane->queue_last->next) = command;
    lane->queue_last = command;
    lane->queue_count++;
    lane->appends_waiting += is_append ? 1 : 0;
    lane->tenant->commands++;
    wake(lane);
    return RESULT_OK;
}

/* A connection with nothing under way may go to the first in line; a lane whose turn is over, and
 * that has more to do, goes to the end of it. */
static void lane_yield(lane_t *lane)
{
    if (lane->is_broken || lane->state != LANE_READY || lane->flight_first != NULL) {
        return;
    }
    if (lane->queue_first == NULL) {
        pool_idle(lane);
        return;
    }
    if (!pool_wants_back(lane)) { /* its turn was over: a callback has changed who waits */
        lane_pump(lane);
        return;
    }
    lane_close_connection(lane);
    connection_ask(lane);
}

/* The timer looks whether names are known, often: a connection takes 12 ms. */
static void connecting_goes_on(lane_t *lane, connection_progress_t progress)
{
    const bool was_looking = lane->is_looking;
    lane->is_looking = progress == CONNECTION_GOES_ON;
    if (progress == CONNECTION_FAILED) {
        lane_break(lane, RESULT_OK);
    } else if (lane->is_looking != was_looking) {
        const uint64_t tick_ms = lane->is_looking ? LOOK_MS : TICK_MS;
        loop_timer_start(lane->timer, tick_ms, tick_ms);
    }
}

void lane_granted(lane_t *lane)
{
    state_set(lane, LANE_CONNECTING);
    loop_timer_start(lane->timer, TICK_MS, TICK_MS);
    if (lane->tenant->journal->connects != NULL) {
        metric_add(lane->tenant->journal->connects, 1);
    }
    connecting_goes_on(lane, session_start(lane));
}

void lane_close_connection(lane_t *lane)
{
    assert(lane->state == LANE_READY && lane->flight_first == NULL);
    session_close(lane);
    state_set(lane, LANE_IDLE);
    pool_give(lane);
}

/* --- Sending --- */

parameters_t *lane_parameters(lane_t *lane)
{
    parameters_t *const parameters = &lane->tenant->journal->parameters;
    parameters_reset(parameters);
    return parameters;
}

static void statement_name(statement_t which, char name[16])
{
    (void)snprintf(name, 16, "s%u", (unsigned)which);
}

bool lane_send(lane_t *lane, statement_t which)
{
    parameters_t *const parameters = &lane->tenant->journal->parameters;
    char name[16];
    statement_name(which, name);
    parameters_finish(parameters);
    return PQsendQueryPrepared(lane->connection, name, parameters->count, parameters->values,
                               parameters->lengths, parameters->formats, 1) == 1;
}

static void flight_add(lane_t *lane, command_t *command)
{
    command->sent_ms = clock_monotonic_ms();
    *(lane->flight_last == NULL ? &lane->flight_first : &lane->flight_last->next) = command;
    lane->flight_last = command;
    lane->flight_count++;
    lane->writes_in_flight += is_write(command) ? 1 : 0;
    if (command->kind != COMMAND_PREPARE) {
        pool_used(lane, command->sent_ms);
    }
}

static bool prepare_send(command_t *command, lane_t *lane)
{
    char name[16];
    char sql[SQL_SIZE];
    const statement_t which = command->statements[0];
    const Oid *types = NULL;
    int type_count = 0;
    statement_name(which, name);
    if (which >= STATEMENT_FIXED) {
        append_sql(which, sql, sizeof sql, &types, &type_count);
    }
    return PQsendPrepare(lane->connection, name, which < STATEMENT_FIXED ? fixed_sql[which] : sql,
                         type_count, types) == 1;
}

static bool prepare_finish(command_t *command)
{
    lane_t *const lane = command->lane;
    if (command->result == RESULT_OK) {
        lane->is_prepared[command->statements[0]] = true;
    } else if (lane->state == LANE_READY) {
        lane_break(lane, command->result);
    }
    return false;
}

/* Each in a transaction of its own: a failure of what it is for does not undo it. */
static bool prepare(lane_t *lane, statement_t which)
{
    command_t *command =
        command_create(lane, sizeof *command, COMMAND_PREPARE, prepare_send, prepare_finish);
    command_uses(command, which);
    command->ends_transaction = true;
    lane->tenant->commands++;
    const bool is_sent = prepare_send(command, lane) && PQpipelineSync(lane->connection) == 1;
    flight_add(lane, command);
    return is_sent;
}

/* True: something is missing and was asked for. */
static bool prepare_missing(lane_t *lane, const command_t *command, bool *is_sent)
{
    bool is_missing = false;
    for (uint32_t i = 0; i < command->statement_count && *is_sent; i++) {
        const statement_t which = command->statements[i];
        if (!lane->is_prepared[which]) {
            is_missing = true;
            if (!lane->is_preparing[which]) { /* asked for once, however many wait for it */
                lane->is_preparing[which] = true;
                *is_sent = prepare(lane, which);
            }
        }
    }
    return is_missing;
}

static bool is_prepared(const lane_t *lane, const command_t *command)
{
    for (uint32_t i = 0; i < command->statement_count; i++) {
        if (!lane->is_prepared[command->statements[i]]) {
            return false;
        }
    }
    return true;
}

/* Whether `command` may share the transaction of an append before it. */
static bool may_join(const lane_t *lane, const command_t *command, size_t events)
{
    return command != NULL && command->kind == COMMAND_APPEND && !command->is_alone &&
           !command->is_lost && events + command->events <= LIMIT_POSTGRES_GROUP_EVENTS &&
           is_prepared(lane, command);
}

static bool transaction_send(lane_t *lane)
{
    command_t *command = queue_pop(lane);
    const bool is_group =
        command->kind == COMMAND_APPEND && !command->is_alone && !command->is_lost;
    size_t events = command->events;
    bool is_sent = command->send(command, lane);
    flight_add(lane, command);
    while (is_sent && is_group && may_join(lane, lane->queue_first, events)) {
        command = queue_pop(lane);
        events += command->events;
        is_sent = command->send(command, lane);
        flight_add(lane, command);
    }
    command->ends_transaction = true;
    return is_sent && PQpipelineSync(lane->connection) == 1;
}

static bool lane_flush(lane_t *lane)
{
    const int left = PQflush(lane->connection);
    return left >= 0 && session_watch(lane, left == 0 ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

/* One transaction that writes is under way: what comes meanwhile shares the next. Reads pipeline.
 */
static bool may_send(const lane_t *lane)
{
    const command_t *const next = lane->queue_first;
    return lane->state == LANE_READY && !lane->is_broken && next != NULL &&
           (is_write(next) ? lane->writes_in_flight == 0
                           : lane->flight_count < LIMIT_POSTGRES_PIPELINE) &&
           !pool_wants_back(lane);
}

static void lane_pump(lane_t *lane)
{
    bool is_sent = true;
    bool has_sent = false;
    while (is_sent && may_send(lane)) {
        has_sent = true;
        if (prepare_missing(lane, lane->queue_first, &is_sent)) {
            break; /* goes on when they are there */
        }
        is_sent = is_sent && transaction_send(lane);
    }
    if (has_sent && is_sent) {
        is_sent = lane_flush(lane);
    }
    if (!is_sent) {
        lane_break(lane, RESULT_OK);
    }
}

/* --- Answers --- */

static result_t result_fault(lane_t *lane, const PGresult *rows)
{
    const char *const sqlstate = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *const message = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    const trouble_t kind = trouble_of(sqlstate);
    trouble_tell(lane, kind, sqlstate, message);
    if (kind == TROUBLE_read_only) {
        lane->is_told = true;
        lane_break(lane, RESULT_OK); /* after a failover the new primary is elsewhere */
    }
    return trouble_result(kind);
}

static result_t flight_result(lane_t *lane)
{
    for (const command_t *at = lane->flight_first; at != NULL; at = at->next) {
        for (uint32_t i = 0; i < at->result_count; i++) {
            const ExecStatusType status = PQresultStatus(at->results[i]);
            if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
                return result_fault(lane, at->results[i]);
            }
        }
        if (at->result_count < at->statement_count && at->kind != COMMAND_PREPARE) {
            return RESULT_STORE_UNAVAILABLE;
        }
        if (at->ends_transaction) {
            break;
        }
    }
    return RESULT_OK;
}

static command_t *flight_pop(lane_t *lane)
{
    command_t *const command = lane->flight_first;
    lane->flight_first = command->next;
    if (lane->flight_first == NULL) {
        lane->flight_last = NULL;
    }
    command->next = NULL;
    lane->flight_count--;
    lane->writes_in_flight -= is_write(command) ? 1 : 0;
    return command;
}

/* Back into the queue, in order, before what waits. `first` is a list. */
static void queue_return(lane_t *lane, command_t *first)
{
    command_t *reversed = NULL;
    while (first != NULL) { /* bounded by LIMIT_STORE_BATCHES_WAITING */
        command_t *const next = first->next;
        first->next = reversed;
        reversed = first;
        first = next;
    }
    while (reversed != NULL) {
        command_t *const next = reversed->next;
        results_clear(reversed);
        queue_push_front(lane, reversed);
        reversed = next;
    }
}

/* The transaction at the front has ended. */
static void transaction_end(lane_t *lane)
{
    const result_t result = flight_result(lane);
    const bool has_written = is_write(lane->flight_first);
    const bool is_group = !lane->flight_first->ends_transaction;
    command_t *again = NULL;
    command_t **again_end = &again;
    for (bool is_last = false; !is_last;) {
        command_t *const command = flight_pop(lane);
        is_last = command->ends_transaction;
        command->ends_transaction = false;
        if (result != RESULT_OK && is_group) { /* one spoils no other: each by itself */
            command->is_alone = true;
            *again_end = command;
            again_end = &command->next;
        } else {
            command_end(command, result);
        }
    }
    queue_return(lane, again);
    if (result == RESULT_OK && has_written && lane->tenant->journal->commits != NULL) {
        metric_add(lane->tenant->journal->commits, 1);
    }
}

/* Of the first command that still misses one. */
static void result_keep(lane_t *lane, PGresult *rows)
{
    command_t *command = lane->flight_first;
    while (command != NULL && command->result_count >= command->statement_count) {
        command = command->next; /* bounded by the transaction */
    }
    if (command == NULL) { /* an error of COMMIT itself: counts for all of the transaction */
        command = lane->flight_first;
        assert(command->result_count > 0);
        PQclear(command->results[0]);
        command->results[0] = rows;
        return;
    }
    command->results[command->result_count] = rows;
    command->result_count++;
}

/* --- Beginning a session --- */

static bool session_begin(lane_t *lane)
{
    return PQsendQueryParams(lane->connection, fixed_sql[STATEMENT_session_begin], 0, NULL, NULL,
                             NULL, NULL, 1) == 1 &&
           PQpipelineSync(lane->connection) == 1 && lane_flush(lane);
}

static void session_check(lane_t *lane, const PGresult *rows)
{
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        lane_break(lane, result_fault(lane, rows));
        return;
    }
    const int64_t version = PQntuples(rows) == 1 ? field_integer(rows, 0, 0) : -1;
    if (version > (int64_t)journal_postgres_migrations_count) {
        trouble_tell(lane, TROUBLE_schema, NULL, NULL);
        lane_break(lane, RESULT_SCHEMA_TOO_NEW);
    } else if (version > 0 && version < (int64_t)journal_postgres_migrations_count) {
        lane->tenant->is_behind = true; /* journal.c brings it up to date when it opens to write */
        if (lane->tenant->readonly) {
            trouble_tell(lane, TROUBLE_older, NULL, NULL);
        }
        lane_break(lane, RESULT_STORE_UNAVAILABLE);
    } else if (version != (int64_t)journal_postgres_migrations_count) {
        trouble_tell(lane, TROUBLE_damaged, NULL, NULL);
        lane_break(lane, RESULT_STORE_CORRUPT);
    }
}

static void result_take(lane_t *lane, PGresult *rows)
{
    const bool is_end = PQresultStatus(rows) == PGRES_PIPELINE_SYNC;
    if (!lane->is_session_begun) {
        if (is_end) {
            lane->is_session_begun = true;
            state_set(lane, LANE_READY);
            pool_begun(lane);
        } else {
            session_check(lane, rows);
        }
        PQclear(rows);
    } else if (is_end) {
        PQclear(rows);
        transaction_end(lane);
    } else {
        result_keep(lane, rows);
    }
}

static void lane_read(lane_t *lane)
{
    if (PQconsumeInput(lane->connection) != 1) {
        lane_break(lane, RESULT_OK);
        return;
    }
    int nothing = 0; /* a NULL ends each statement; two in a row: there is no more */
    while (!lane->is_broken && nothing < 2 &&
           (lane->flight_first != NULL || !lane->is_session_begun) &&
           PQisBusy(lane->connection) == 0) {
        PGresult *const rows = PQgetResult(lane->connection);
        if (rows == NULL) {
            nothing++;
        } else if (PQstatus(lane->connection) == CONNECTION_BAD) {
            PQclear(rows);
            lane_break(lane, RESULT_OK);
        } else {
            nothing = 0;
            result_take(lane, rows);
        }
    }
}

void lane_polled(lane_t *lane)
{
    if (lane->is_broken) {
        return;
    }
    tenant_hold(lane);
    if (lane->state == LANE_CONNECTING && PQstatus(lane->connection) != CONNECTION_OK) {
        const connection_progress_t progress = session_continue(lane);
        if (progress == CONNECTION_FAILED ||
            (progress == CONNECTION_STANDS && !session_begin(lane))) {
            lane_break(lane, RESULT_OK);
        }
    } else {
        lane_read(lane);
        if (!lane->is_broken && !lane_flush(lane)) {
            lane_break(lane, RESULT_OK);
        }
    }
    if (!lane->is_broken && lane->state == LANE_READY) {
        lane_pump(lane);
        lane_yield(lane);
    }
    tenant_release(lane);
}

/* --- What goes wrong --- */

static bool waits_for_outcome(const command_t *command)
{
    return command->is_lost;
}

/* Ends everything queued but those whose outcome is to be looked up. */
static void queue_fail(lane_t *lane, result_t result)
{
    command_t *kept = NULL;
    command_t **kept_end = &kept;
    const uint32_t count = lane->queue_count; /* callbacks may add more: those wait */
    for (uint32_t i = 0; i < count; i++) {
        command_t *const command = queue_pop(lane);
        if (waits_for_outcome(command)) {
            *kept_end = command;
            kept_end = &command->next;
        } else {
            command_end(command, result);
        }
    }
    queue_return(lane, kept);
}

static void outcomes_give_up(lane_t *lane)
{
    while (lane->queue_first != NULL && waits_for_outcome(lane->queue_first)) {
        command_end(queue_pop(lane), RESULT_OUTCOME_UNKNOWN);
    }
    lane->lost_ms = 0;
}

static void flight_lose(lane_t *lane, result_t why)
{
    command_t *lost = NULL;
    command_t **lost_end = &lost;
    while (lane->flight_first != NULL) {
        command_t *const command = flight_pop(lane);
        command->ends_transaction = false;
        if (command->kind == COMMAND_APPEND) {
            append_becomes_lost(command);
            *lost_end = command;
            lost_end = &command->next;
            lane->lost_ms = lane->lost_ms == 0 ? clock_monotonic_ms() : lane->lost_ms;
        } else {
            command_end(command, why);
        }
    }
    if (lost != NULL && lane->tenant->journal->lost != NULL) {
        metric_add(lane->tenant->journal->lost, 1);
    }
    queue_return(lane, lost);
}

/* Why the lane has to be repaired, told once; what its commands are to hear. */
static result_t repair_reason(lane_t *lane, bool was_connecting)
{
    if (lane->broken_by != RESULT_OK) {
        return lane->broken_by;
    }
    trouble_t kind = was_connecting ? trouble_of_connecting(lane->connection) : TROUBLE_lost;
    if (!lane->is_broken) {
        kind = TROUBLE_silent;
    }
    const bool is_quiet = lane_is_idle(lane) && lane->state == LANE_READY; /* nobody waits */
    if (!lane->is_told && !is_quiet) {
        trouble_tell(lane, kind, NULL,
                     lane->connection == NULL ? NULL : PQerrorMessage(lane->connection));
    }
    return trouble_result(kind);
}

static void lane_repair(lane_t *lane)
{
    const bool was_connecting = lane->state == LANE_CONNECTING;
    const result_t why = repair_reason(lane, was_connecting);
    lane->is_told = false;
    lane->is_looking = false;
    session_close(lane);
    state_set(lane, LANE_IDLE);
    pool_give(lane);
    flight_lose(lane, why);
    if (was_connecting) {
        queue_fail(lane, why);
    }
    if (was_connecting && lane->lost_ms != 0 && tenant_is_gone(lane->tenant)) {
        outcomes_give_up(lane);
    }
    if (lane->state != LANE_IDLE || lane->queue_first == NULL) {
        return; /* a callback woke it, or there is nothing more to do */
    }
    if (was_connecting) {
        state_set(lane, LANE_RESTING);
    } else {
        wake(lane);
    }
}

static bool is_overdue(const lane_t *lane, uint64_t now_ms)
{
    if (lane->state == LANE_CONNECTING) {
        return now_ms - lane->state_since_ms > LIMIT_POSTGRES_CONNECT_MS;
    }
    return lane->state == LANE_READY && lane->flight_first != NULL &&
           now_ms - lane->flight_first->sent_ms > LIMIT_POSTGRES_ANSWER_MS;
}

static void lane_tick(void *context)
{
    lane_t *const lane = context;
    const uint64_t now_ms = clock_monotonic_ms();
    tenant_hold(lane);
    if (lane->is_broken || is_overdue(lane, now_ms)) {
        lane_repair(lane);
    } else if (lane->is_looking) {
        connecting_goes_on(lane, session_look(lane));
    } else if (lane->state == LANE_WAITING && lane->queue_first != NULL &&
               now_ms - lane->queue_first->submitted_us / 1000 > LIMIT_POSTGRES_WAIT_MS) {
        trouble_tell(lane, TROUBLE_queue, NULL, NULL);
        queue_fail(lane, RESULT_STORE_UNAVAILABLE);
        if (lane->queue_first == NULL) { /* a connection would be of no use to it any more */
            pool_cancel(lane);
            state_set(lane, LANE_IDLE);
        }
    } else if (lane->state == LANE_WAITING) {
        const uint64_t tick_ms = pool_is_first(lane) ? WAIT_TICK_MS : TICK_MS;
        loop_timer_start(lane->timer, tick_ms, tick_ms);
        pool_claim(lane);
    } else if (lane->state == LANE_RESTING &&
               now_ms - lane->state_since_ms >= LIMIT_POSTGRES_RETRY_MS) {
        state_set(lane, LANE_IDLE);
        wake(lane);
    }
    /* The clock anew: what was lost a moment ago was lost after `now_ms`. */
    if (lane->lost_ms != 0 && clock_monotonic_ms() - lane->lost_ms > LIMIT_POSTGRES_RESOLVE_MS) {
        outcomes_give_up(lane);
    }
    if (lane->state == LANE_IDLE && lane->queue_first != NULL) {
        wake(lane);
    } else if (lane->state == LANE_READY && !lane->is_broken) {
        lane_pump(lane); /* what callbacks have submitted */
        lane_yield(lane);
    }
    if (lane_is_idle(lane) && !lane->is_broken && lane->state != LANE_CONNECTING) {
        if (lane->state == LANE_RESTING) {
            state_set(lane, LANE_IDLE);
        }
        loop_timer_stop(lane->timer);
    }
    tenant_release(lane);
}

void lane_abandon(lane_t *lane)
{
    tenant_hold(lane);
    flight_lose(lane, RESULT_STORE_UNAVAILABLE);
    outcomes_give_up(lane);
    queue_fail(lane, RESULT_STORE_UNAVAILABLE);
    tenant_release(lane);
}
