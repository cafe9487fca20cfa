/* The port of feature flags on the control store's file and connection. */
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include <stddef.h>

static control_sqlite_t *control_of_flags(flags_t *store)
{
    return (control_sqlite_t *)(void *)((char *)store - offsetof(control_sqlite_t, flags));
}

/* Changes the row unless it says the same already; `changed` is zero then. */
static result_t row_write(control_sqlite_t *control, text_t tenant, text_t name, int64_t percent,
                          int64_t now_ms)
{
    sqlite3_stmt *const put = statement_take(control, STATEMENT_flag_put);
    bind_text(put, 1, tenant);
    bind_text(put, 2, name);
    if (percent >= 0) { /* else NULL, as nothing was bound */
        bind_integer(put, 3, percent);
    }
    bind_integer(put, 4, now_ms);
    return control_statement_finish(control, put, NULL);
}

static result_t row_is_set(control_sqlite_t *control, text_t tenant, text_t name, bool *is_set,
                           int64_t *percent)
{
    sqlite3_stmt *const get = statement_take(control, STATEMENT_flag_get);
    bind_text(get, 1, tenant);
    bind_text(get, 2, name);
    const result_t result = control_statement_next(control, get, is_set);
    if (result == RESULT_OK && *is_set) {
        *percent = sqlite3_column_int64(get, 0);
        statement_done(get);
    }
    return result;
}

/* `percent` below zero: unset. A transaction that changes nothing is undone, so that the version
 * does not rise for it. */
static result_t row_change(flags_t *store, text_t tenant, text_t name, int64_t percent,
                           int64_t now_ms)
{
    control_sqlite_t *const control = control_of_flags(store);
    bool exists = false;
    bool is_set = false;
    int64_t before = -1;
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = tenant_exists(control, tenant, &exists);
    if (result == RESULT_OK && exists) {
        result = row_is_set(control, tenant, name, &is_set, &before);
    }
    if (result == RESULT_OK && (!exists || (percent < 0 && !is_set))) {
        result = RESULT_MISSING;
    }
    const bool is_same = result == RESULT_OK && is_set && before == percent;
    if (result == RESULT_OK && !is_same) {
        result = row_write(control, tenant, name, percent, now_ms);
    }
    result = change_end(control, is_same ? RESULT_ALREADY_EXISTS : result);
    return result == RESULT_ALREADY_EXISTS ? RESULT_OK : result;
}

static result_t flag_set(flags_t *store, text_t tenant, text_t name, uint8_t percent,
                         int64_t now_ms)
{
    if (percent > 100 || text_is_empty(name) || name.size > FLAGS_NAME_SIZE_MAX) {
        return RESULT_INVALID_ARGUMENT;
    }
    return row_change(store, tenant, name, percent, now_ms);
}

static result_t flag_unset(flags_t *store, text_t tenant, text_t name, int64_t now_ms)
{
    return row_change(store, tenant, name, -1, now_ms);
}

static result_t flag_visit(flags_t *store, text_t tenant, uint64_t after, flag_visit_t *visit,
                           void *context)
{
    control_sqlite_t *const control = control_of_flags(store);
    const bool is_of_one = !text_is_empty(tenant);
    sqlite3_stmt *const list =
        statement_take(control, is_of_one ? STATEMENT_flag_list_tenant : STATEMENT_flag_list);
    bind_integer(list, 1, (int64_t)after);
    if (is_of_one) {
        bind_text(list, 2, tenant);
    }
    for (;;) { /* bounded by the flags there are, per tenant */
        bool row = false;
        const result_t result = control_statement_next(control, list, &row);
        if (result != RESULT_OK || !row) {
            return result;
        }
        const flag_setting_t setting = {
            .tenant = column_bytes(list, 0),
            .name = column_bytes(list, 1),
            .is_set = sqlite3_column_type(list, 2) != SQLITE_NULL,
            .percent = (uint8_t)sqlite3_column_int64(list, 2),
            .changed_at = sqlite3_column_int64(list, 3),
            .change = (uint64_t)sqlite3_column_int64(list, 4),
        };
        if (!visit(context, &setting)) {
            statement_done(list);
            return RESULT_OK;
        }
    }
}

static const flags_functions_t functions = {
    .set = flag_set,
    .unset = flag_unset,
    .visit = flag_visit,
};

void flags_init(control_sqlite_t *control)
{
    control->flags.functions = &functions;
}

flags_t *control_sqlite_flags(control_store_t *store)
{
    return &control_of(store)->flags;
}
