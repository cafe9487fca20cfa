/* The port of webhooks on the control store's file and connection. Command line, control role and
 * relay write it and wait for the lock as others do. */
#include "actors/domain/webhook.h"
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include <stddef.h>

static control_sqlite_t *control_of_webhooks(webhooks_t *store)
{
    return (control_sqlite_t *)(void *)((char *)store - offsetof(control_sqlite_t, webhooks));
}

/* Ends the change of one row: MISSING when there was none. */
static result_t finish_one(control_sqlite_t *control, sqlite3_stmt *statement, result_t otherwise)
{
    int changes = 0;
    const result_t result = control_statement_finish(control, statement, &changes);
    return result == RESULT_OK && changes == 0 ? otherwise : result;
}

/* --- Changing --- */

static result_t look(control_sqlite_t *control, text_t tenant, text_t name, int64_t *count,
                     bool *is_there)
{
    bool row = false;
    sqlite3_stmt *const statement =
        statement_take_named(control, STATEMENT_webhook_look, tenant, name);
    const result_t result = control_statement_next(control, statement, &row);
    if (result == RESULT_OK) {
        *count = sqlite3_column_int64(statement, 0);
        *is_there = sqlite3_column_int64(statement, 1) > 0;
        statement_done(statement);
    }
    return result;
}

/* A namesake before it may have left cursors. */
static result_t consumer_begin(control_sqlite_t *control, const webhook_row_t *row)
{
    char memory[WEBHOOK_CONSUMER_SIZE];
    const text_t consumer = webhook_consumer_name(row->name, memory);
    const result_t result = consumer_row_remove(control, row->tenant, consumer);
    return result == RESULT_OK || result == RESULT_MISSING
               ? consumer_row_add(control, row->tenant, consumer, row->created_at)
               : result;
}

static result_t row_add(control_sqlite_t *control, const webhook_row_t *row)
{
    bool exists = false;
    bool is_there = false;
    int64_t count = 0;
    result_t result = tenant_exists(control, row->tenant, &exists);
    if (result == RESULT_OK) {
        result = exists ? look(control, row->tenant, row->name, &count, &is_there) : RESULT_MISSING;
    }
    if (result != RESULT_OK || is_there || count >= LIMIT_WEBHOOKS) {
        return result != RESULT_OK ? result : is_there ? RESULT_ALREADY_EXISTS : RESULT_BUSY;
    }
    result = consumer_begin(control, row);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const put =
        statement_take_named(control, STATEMENT_webhook_put, row->tenant, row->name);
    bind_text(put, 3, row->url);
    bind_integer(put, 4, row->created_at);
    bind_bytes(put, 5, row->sealed_secret);
    return control_statement_finish(control, put, NULL);
}

static result_t webhook_add(webhooks_t *store, const webhook_row_t *row)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    const result_t result = change_begin(control);
    return result == RESULT_OK ? change_end(control, row_add(control, row)) : result;
}

static result_t row_remove(control_sqlite_t *control, text_t tenant, text_t name)
{
    char memory[WEBHOOK_CONSUMER_SIZE];
    result_t result = control_statement_finish(
        control, statement_take_named(control, STATEMENT_webhook_deliveries_remove, tenant, name),
        NULL);
    if (result == RESULT_OK) {
        result = finish_one(control,
                            statement_take_named(control, STATEMENT_webhook_remove, tenant, name),
                            RESULT_MISSING);
    }
    if (result != RESULT_OK) {
        return result;
    }
    result = consumer_row_remove(control, tenant, webhook_consumer_name(name, memory));
    return result == RESULT_MISSING ? RESULT_OK : result;
}

static result_t webhook_remove(webhooks_t *store, text_t tenant, text_t name)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    const result_t result = change_begin(control);
    return result == RESULT_OK ? change_end(control, row_remove(control, tenant, name)) : result;
}

static result_t webhook_rotate(webhooks_t *store, text_t tenant, text_t name, text_t sealed_secret,
                               int64_t previous_until)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    const result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const rotate =
        statement_take_named(control, STATEMENT_webhook_rotate, tenant, name);
    bind_bytes(rotate, 3, sealed_secret);
    bind_integer(rotate, 4, previous_until);
    return change_end(control, finish_one(control, rotate, RESULT_MISSING));
}

static result_t webhook_disable(webhooks_t *store, text_t tenant, text_t name, text_t reason)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    const result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const disable =
        statement_take_named(control, STATEMENT_webhook_disable, tenant, name);
    bind_text(disable, 3, reason);
    return change_end(control, finish_one(control, disable, RESULT_MISSING));
}

static result_t webhook_replay(webhooks_t *store, text_t tenant, text_t name,
                               const webhook_range_t *replay)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    int64_t count = 0;
    bool is_there = false;
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = look(control, tenant, name, &count, &is_there);
    if (result == RESULT_OK && !is_there) {
        result = RESULT_MISSING;
    }
    if (result == RESULT_OK) {
        sqlite3_stmt *const begin =
            statement_take_named(control, STATEMENT_webhook_replay, tenant, name);
        bind_integer(begin, 3, replay->partition);
        bind_integer(begin, 4, (int64_t)replay->next);
        bind_integer(begin, 5, (int64_t)replay->last);
        result = finish_one(control, begin, RESULT_BUSY);
    }
    return change_end(control, result);
}

/* --- What became of deliveries, and how far they have come --- */

static result_t row_record(control_sqlite_t *control, const webhook_delivery_t *delivery)
{
    sqlite3_stmt *const put = statement_take_named(control, STATEMENT_webhook_delivery_put,
                                                   delivery->tenant, delivery->name);
    bind_integer(put, 3, delivery->partition);
    bind_integer(put, 4, (int64_t)delivery->sequence);
    bind_text(put, 5, delivery->event);
    bind_text(put, 6, delivery->card);
    bind_integer(put, 7, delivery->attempts);
    bind_integer(put, 8, delivery->first_at);
    bind_integer(put, 9, delivery->last_at);
    bind_integer(put, 10, delivery->status);
    bind_integer(put, 11, delivery->state);
    bind_text(put, 12, delivery->detail);
    bind_integer(put, 13, delivery->created_at);
    return control_statement_finish(control, put, NULL);
}

static bool is_other_webhook(const webhook_delivery_t *a, const webhook_delivery_t *b)
{
    return !text_equal(a->tenant, b->tenant) || !text_equal(a->name, b->name);
}

static result_t record_deliveries(control_sqlite_t *control, const webhook_delivery_t *deliveries,
                                  size_t count)
{
    result_t result = RESULT_OK;
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        const webhook_delivery_t *const delivery = &deliveries[i];
        result = row_record(control, delivery);
        if (result == RESULT_OK &&
            (i + 1 == count || is_other_webhook(delivery, &deliveries[i + 1]))) {
            sqlite3_stmt *const trim = statement_take_named(
                control, STATEMENT_webhook_delivery_trim, delivery->tenant, delivery->name);
            bind_integer(trim, 3, LIMIT_WEBHOOK_LOG);
            result = control_statement_finish(control, trim, NULL);
        }
    }
    return result;
}

static result_t move_replay(control_sqlite_t *control, const webhook_cursor_t *cursor)
{
    const bool is_over = cursor->sequence >= cursor->replay_last;
    sqlite3_stmt *const move =
        statement_take_named(control, STATEMENT_webhook_replay_move, cursor->tenant, cursor->name);
    bind_integer(move, 3, cursor->partition);
    bind_integer(move, 4, (int64_t)cursor->sequence + 1);
    bind_integer(move, 5, is_over ? 0 : (int64_t)cursor->replay_last);
    bind_integer(move, 6, cursor->created_at);
    return control_statement_finish(control, move, NULL);
}

static result_t move_cursor(control_sqlite_t *control, const webhook_cursor_t *cursor,
                            int64_t now_ms)
{
    char memory[WEBHOOK_CONSUMER_SIZE];
    bool is_there = false;
    sqlite3_stmt *const look =
        statement_take_named(control, STATEMENT_webhook_is_there, cursor->tenant, cursor->name);
    bind_integer(look, 3, cursor->created_at);
    result_t result = control_statement_next(control, look, &is_there);
    if (result != RESULT_OK || !is_there) {
        return result;
    }
    statement_done(look);
    consumer_ack_t ack = {.tenant = cursor->tenant,
                          .name = webhook_consumer_name(cursor->name, memory),
                          .partition = cursor->partition,
                          .sequence = cursor->sequence};
    result = consumer_row_ack(control, &ack, now_ms);
    if (result == RESULT_OK && ack.result == RESULT_MISSING) { /* somebody removed it */
        result = consumer_row_add(control, ack.tenant, ack.name, now_ms);
        result = result == RESULT_OK ? consumer_row_ack(control, &ack, now_ms) : result;
    }
    return result;
}

static result_t webhook_record(webhooks_t *store, const webhook_progress_t *progress)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = record_deliveries(control, progress->deliveries, progress->delivery_count);
    for (size_t i = 0; i < progress->cursor_count && result == RESULT_OK; i++) {
        const webhook_cursor_t *const cursor = &progress->cursors[i];
        result = cursor->replay_last > 0 ? move_replay(control, cursor)
                                         : move_cursor(control, cursor, progress->now_ms);
    }
    return quiet_end(control, result);
}

/* --- Reading --- */

static result_t webhook_visit_rows(webhooks_t *store, text_t tenant, webhook_visit_t *visit,
                                   void *context)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    sqlite3_stmt *const list = statement_take(control, STATEMENT_webhook_list);
    bind_text(list, 1, tenant);
    for (;;) { /* bounded by LIMIT_WEBHOOKS per tenant */
        bool has_row = false;
        const result_t result = control_statement_next(control, list, &has_row);
        if (result != RESULT_OK || !has_row) {
            return result;
        }
        const webhook_row_t row = {
            .tenant = column_bytes(list, 0),
            .name = column_bytes(list, 1),
            .url = column_bytes(list, 2),
            .created_at = sqlite3_column_int64(list, 3),
            .disabled = column_bytes(list, 4),
            .sealed_secret = column_bytes(list, 5),
            .sealed_previous = column_bytes(list, 6),
            .previous_until = sqlite3_column_int64(list, 7),
            .replay_partition = (uint32_t)sqlite3_column_int64(list, 8),
            .replay_next = (uint64_t)sqlite3_column_int64(list, 9),
            .replay_last = (uint64_t)sqlite3_column_int64(list, 10),
            .tenant_created_at = sqlite3_column_int64(list, 11),
        };
        if (!visit(context, &row)) {
            statement_done(list);
            return RESULT_OK;
        }
    }
}

static webhook_delivery_t delivery_of(sqlite3_stmt *list)
{
    return (webhook_delivery_t){
        .tenant = column_bytes(list, 0),
        .name = column_bytes(list, 1),
        .partition = (uint32_t)sqlite3_column_int64(list, 2),
        .sequence = (uint64_t)sqlite3_column_int64(list, 3),
        .event = column_bytes(list, 4),
        .card = column_bytes(list, 5),
        .attempts = (uint32_t)sqlite3_column_int64(list, 6),
        .first_at = sqlite3_column_int64(list, 7),
        .last_at = sqlite3_column_int64(list, 8),
        .status = (uint32_t)sqlite3_column_int64(list, 9),
        .state = (webhook_state_t)sqlite3_column_int64(list, 10),
        .detail = column_bytes(list, 11),
    };
}

static result_t webhook_visit_log(webhooks_t *store, text_t tenant, text_t name, bool only_retrying,
                                  webhook_delivery_visit_t *visit, void *context)
{
    control_sqlite_t *const control = control_of_webhooks(store);
    sqlite3_stmt *const list =
        statement_take_named(control, STATEMENT_webhook_delivery_list, tenant, name);
    bind_integer(list, 3, only_retrying ? 1 : 0);
    for (;;) { /* bounded by LIMIT_WEBHOOK_LOG and LIMIT_WEBHOOK_EVENTS */
        bool has_row = false;
        const result_t result = control_statement_next(control, list, &has_row);
        if (result != RESULT_OK || !has_row) {
            return result;
        }
        const webhook_delivery_t delivery = delivery_of(list);
        if (!visit(context, &delivery)) {
            statement_done(list);
            return RESULT_OK;
        }
    }
}

result_t webhooks_remove(control_sqlite_t *control, text_t tenant)
{
    const result_t result =
        control_rows_remove(control, STATEMENT_webhook_deliveries_remove_all, tenant);
    return result == RESULT_OK ? control_rows_remove(control, STATEMENT_webhook_remove_all, tenant)
                               : result;
}

static const webhooks_functions_t functions = {
    .add = webhook_add,
    .remove = webhook_remove,
    .rotate = webhook_rotate,
    .disable = webhook_disable,
    .replay = webhook_replay,
    .record = webhook_record,
    .visit = webhook_visit_rows,
    .visit_log = webhook_visit_log,
};

void webhooks_init(control_sqlite_t *control)
{
    control->webhooks.functions = &functions;
}

webhooks_t *control_sqlite_webhooks(control_store_t *store)
{
    return &control_of(store)->webhooks;
}
