/* The port of consumers on the control store's file and connection. The relay writes it, rarely and
 * in groups, and waits for the lock as shards do for dead letters. */
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include <stddef.h>

static control_sqlite_t *control_of_consumers(consumers_t *store)
{
    return (control_sqlite_t *)(void *)((char *)store - offsetof(control_sqlite_t, consumers));
}

/* --- Registering --- */

result_t consumer_row_add(control_sqlite_t *control, text_t tenant, text_t name, int64_t now_ms)
{
    bool exists = false;
    bool row = false;
    result_t result = tenant_exists(control, tenant, &exists);
    if (result == RESULT_OK && !exists) {
        return RESULT_MISSING;
    }
    sqlite3_stmt *const look = statement_take_named(control, STATEMENT_consumer_look, tenant, name);
    if (result == RESULT_OK) {
        result = control_statement_next(control, look, &row);
    }
    if (result != RESULT_OK) {
        return result;
    }
    const int64_t count = sqlite3_column_int64(look, 0);
    const bool is_there = sqlite3_column_int64(look, 1) > 0;
    statement_done(look);
    if (!is_there && count >= LIMIT_CONSUMERS) {
        return RESULT_BUSY;
    }
    sqlite3_stmt *const put = statement_take_named(
        control, is_there ? STATEMENT_consumer_touch : STATEMENT_consumer_put, tenant, name);
    bind_integer(put, 3, now_ms);
    return control_statement_finish(control, put, NULL);
}

static result_t consumer_add(consumers_t *store, text_t tenant, text_t name, int64_t now_ms)
{
    control_sqlite_t *const control = control_of_consumers(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = consumer_row_add(control, tenant, name, now_ms);
    return quiet_end(control, result);
}

result_t consumer_row_remove(control_sqlite_t *control, text_t tenant, text_t name)
{
    int changes = 0;
    result_t result = control_statement_finish(
        control, statement_take_named(control, STATEMENT_consumer_cursors_remove, tenant, name),
        NULL);
    if (result == RESULT_OK) {
        result = control_statement_finish(
            control, statement_take_named(control, STATEMENT_consumer_remove, tenant, name),
            &changes);
    }
    return result == RESULT_OK && changes == 0 ? RESULT_MISSING : result;
}

static result_t consumer_remove(consumers_t *store, text_t tenant, text_t name)
{
    control_sqlite_t *const control = control_of_consumers(store);
    const result_t result = change_begin(control);
    return result == RESULT_OK ? quiet_end(control, consumer_row_remove(control, tenant, name))
                               : result;
}

/* --- Acknowledging --- */

result_t consumer_row_ack(control_sqlite_t *control, consumer_ack_t *ack, int64_t now_ms)
{
    int changes = 0;
    sqlite3_stmt *const touch =
        statement_take_named(control, STATEMENT_consumer_touch, ack->tenant, ack->name);
    bind_integer(touch, 3, now_ms);
    const result_t result = control_statement_finish(control, touch, &changes);
    if (result != RESULT_OK) {
        return result;
    }
    ack->result = changes == 0 ? RESULT_MISSING : RESULT_OK;
    if (ack->result == RESULT_MISSING) {
        return RESULT_OK;
    }
    sqlite3_stmt *const move =
        statement_take_named(control, STATEMENT_consumer_cursor_move, ack->tenant, ack->name);
    bind_integer(move, 3, ack->partition);
    bind_integer(move, 4, (int64_t)ack->sequence);
    return control_statement_finish(control, move, NULL);
}

static result_t consumer_ack_all(consumers_t *store, consumer_ack_t *acks, size_t count,
                                 int64_t now_ms)
{
    control_sqlite_t *const control = control_of_consumers(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        result = consumer_row_ack(control, &acks[i], now_ms);
    }
    return quiet_end(control, result);
}

/* --- Reading and forgetting --- */

static result_t consumer_visit_rows(consumers_t *store, text_t tenant, consumer_visit_t *visit,
                                    void *context)
{
    control_sqlite_t *const control = control_of_consumers(store);
    sqlite3_stmt *const list = statement_take(control, STATEMENT_consumer_list);
    bind_text(list, 1, tenant);
    for (;;) { /* bounded by LIMIT_CONSUMERS per tenant */
        bool row = false;
        const result_t result = control_statement_next(control, list, &row);
        if (result != RESULT_OK || !row) {
            return result;
        }
        const consumer_row_t consumer = {
            .tenant = column_bytes(list, 0),
            .name = column_bytes(list, 1),
            .registered_at = sqlite3_column_int64(list, 2),
            .seen_at = sqlite3_column_int64(list, 3),
            .has_cursor = sqlite3_column_type(list, 4) != SQLITE_NULL,
            .partition = (uint32_t)sqlite3_column_int64(list, 4),
            .sequence = (uint64_t)sqlite3_column_int64(list, 5),
        };
        if (!visit(context, &consumer)) {
            statement_done(list);
            return RESULT_OK;
        }
    }
}

static result_t consumer_forget(consumers_t *store, int64_t before_ms)
{
    control_sqlite_t *const control = control_of_consumers(store);
    static const statement_t both[] = {STATEMENT_consumer_cursors_forget,
                                       STATEMENT_consumer_forget};
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    for (size_t i = 0; i < 2 && result == RESULT_OK; i++) {
        sqlite3_stmt *const forget = statement_take(control, both[i]);
        bind_integer(forget, 1, before_ms);
        result = control_statement_finish(control, forget, NULL);
    }
    return quiet_end(control, result);
}

result_t consumers_remove(control_sqlite_t *control, text_t tenant)
{
    const result_t result =
        control_rows_remove(control, STATEMENT_consumer_cursors_remove_all, tenant);
    return result == RESULT_OK ? control_rows_remove(control, STATEMENT_consumer_remove_all, tenant)
                               : result;
}

static const consumers_functions_t functions = {
    .add = consumer_add,
    .remove = consumer_remove,
    .ack = consumer_ack_all,
    .visit = consumer_visit_rows,
    .forget = consumer_forget,
};

void consumers_init(control_sqlite_t *control)
{
    control->consumers.functions = &functions;
}

consumers_t *control_sqlite_consumers(control_store_t *store)
{
    return &control_of(store)->consumers;
}
