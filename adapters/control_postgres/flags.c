/* The port of feature flags on the control database and the control store's connection. */
#include "adapters/control_postgres/control_postgres_internal.h"
#include <stddef.h>

enum { TENANT, NAME, PERCENT, CHANGED_AT, CHANGE };

static control_postgres_t *control_of_flags(flags_t *store)
{
    return (control_postgres_t *)(void *)((char *)store - offsetof(control_postgres_t, flags));
}

typedef struct current {
    bool has_tenant;
    bool is_set;
    int64_t percent;
} current_t;

/* Within the transaction, whose lock keeps others from changing it. */
static result_t current_read(control_postgres_t *control, text_t tenant, text_t name,
                             current_t *current)
{
    const value_t values[] = {value_bytes(tenant), value_bytes(name)};
    PGresult *rows = NULL;
    const result_t result = database_query(
        control,
        "SELECT t.name, f.percent::int8 FROM tenant t LEFT JOIN flag f ON f.tenant = t.name AND "
        "f.name = $2::bytea WHERE t.name = $1::text",
        values, 2, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    current->has_tenant = PQntuples(rows) == 1;
    current->is_set = current->has_tenant && PQgetisnull(rows, 0, 1) == 0;
    current->percent = current->is_set ? field_integer(rows, 0, 1) : -1;
    PQclear(rows);
    return RESULT_OK;
}

static result_t row_write(control_postgres_t *control, text_t tenant, text_t name, int64_t percent,
                          int64_t now_ms)
{
    const value_t row[] = {value_bytes(tenant), value_bytes(name), value_integer(percent),
                           value_integer(now_ms)};
    return database_query(
        control,
        "INSERT INTO flag (tenant, name, percent, changed_at, change) VALUES ($1::text, $2::bytea, "
        "nullif($3::int8, -1), $4::int8, (SELECT version FROM control)) ON CONFLICT (tenant, name) "
        "DO UPDATE SET percent = excluded.percent, changed_at = excluded.changed_at, change = "
        "excluded.change",
        row, 4, NULL);
}

/* `percent` -1: unset. A transaction that changes nothing is undone, so that the version does not
 * rise for it. */
static result_t row_change(flags_t *store, text_t tenant, text_t name, int64_t percent,
                           int64_t now_ms)
{
    control_postgres_t *const control = control_of_flags(store);
    current_t current = {0};
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = current_read(control, tenant, name, &current);
    if (result == RESULT_OK && (!current.has_tenant || (percent < 0 && !current.is_set))) {
        result = RESULT_MISSING;
    }
    const bool is_same = result == RESULT_OK && current.is_set && current.percent == percent;
    if (result == RESULT_OK && !is_same) {
        result = row_write(control, tenant, name, percent, now_ms);
    }
    result = transaction_end(control, is_same ? RESULT_ALREADY_EXISTS : result);
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
    const value_t values[] = {value_bytes(tenant), value_integer((int64_t)after)};
    PGresult *rows = NULL;
    const result_t result = database_query(
        control_of_flags(store),
        "SELECT tenant, name, percent::int8, changed_at, change FROM flag WHERE ($1::text = '' OR "
        "tenant = $1::text) AND change > $2::int8 ORDER BY change",
        values, 2, &rows);
    bool goes_on = result == RESULT_OK;
    for (int i = 0; goes_on && i < PQntuples(rows); i++) {
        const bool is_set = PQgetisnull(rows, i, PERCENT) == 0;
        const flag_setting_t setting = {
            .tenant = field_bytes(rows, i, TENANT),
            .name = field_bytes(rows, i, NAME),
            .is_set = is_set,
            .percent = is_set ? (uint8_t)field_integer(rows, i, PERCENT) : 0,
            .changed_at = field_integer(rows, i, CHANGED_AT),
            .change = (uint64_t)field_integer(rows, i, CHANGE),
        };
        goes_on = visit(context, &setting);
    }
    PQclear(rows);
    return result;
}

static const flags_functions_t functions = {
    .set = flag_set,
    .unset = flag_unset,
    .visit = flag_visit,
};

void control_postgres_flags_init(control_postgres_t *control)
{
    control->flags.functions = &functions;
}

flags_t *control_postgres_flags(control_store_t *store)
{
    return &control_of(store)->flags;
}
