/* Tenants: rows with their keys, and the order in which row and journal file come and go. A crash
 * in between leaves a file without a row, never a row without its file. */
#include "actors/control_rows.h"
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include "runtime/log.h"
#include <assert.h>

/* --- Reading --- */

static result_t keys_read(control_sqlite_t *control, text_t tenant, uint32_t *count)
{
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_key_list);
    bind_text(statement, 1, tenant);
    *count = 0;
    for (;;) { /* bounded by the check below */
        bool row = false;
        const result_t result = control_statement_next(control, statement, &row);
        if (result != RESULT_OK || !row) {
            return result;
        }
        const text_t secret = column_bytes(statement, 3);
        if (*count == CONTROL_KEYS_PER_TENANT_MAX || secret.size > CONTROL_SECRET_SIZE_MAX) {
            statement_done(statement);
            return database_error(control, SQLITE_CORRUPT, "reading the keys of a tenant");
        }
        uint8_t *const bytes = control->key_bytes[*count];
        if (secret.size > 0) {
            memcpy(bytes, secret.data, secret.size);
        }
        control->keys[*count] = (control_card_key_t){
            .kid = (uint32_t)sqlite3_column_int64(statement, 0),
            .state = (uint8_t)sqlite3_column_int64(statement, 1),
            .created_at = sqlite3_column_int64(statement, 2),
            .sealed_secret = {.data = (const char *)bytes, .size = secret.size},
        };
        (*count)++;
    }
}

/* Hands the rows of `statement` to the visitor. `visited` tells whether there was one. */
static result_t rows_visit(control_sqlite_t *control, sqlite3_stmt *statement,
                           control_tenant_visit_t *visit, void *context, bool *visited)
{
    for (;;) { /* bounded by the tenants of the installation */
        bool row = false;
        result_t result = control_statement_next(control, statement, &row);
        if (result != RESULT_OK || !row) {
            return result;
        }
        control_tenant_t tenant = {
            .name = column_bytes(statement, 0),
            .partitions = (uint32_t)sqlite3_column_int64(statement, 1),
            .created_at = sqlite3_column_int64(statement, 2),
            .sealed_secret = column_bytes(statement, 3),
            .keys = control->keys,
            .quotas = {.cards = (uint64_t)sqlite3_column_int64(statement, 4),
                       .storage = (uint64_t)sqlite3_column_int64(statement, 5),
                       .rate = (uint64_t)sqlite3_column_int64(statement, 6)},
        };
        *visited = true;
        result = keys_read(control, tenant.name, &tenant.key_count);
        if (result != RESULT_OK || !visit(context, &tenant)) {
            statement_done(statement);
            return result;
        }
    }
}

/* One transaction, so that a tenant and its keys are of the same moment. */
static result_t tenants_visit(control_sqlite_t *control, statement_t which, text_t name,
                              control_tenant_visit_t *visit, void *context, bool *visited)
{
    result_t result =
        control_statement_finish(control, statement_take(control, STATEMENT_begin), NULL);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const statement = statement_take(control, which);
    bind_text(statement, 1, name);
    result = rows_visit(control, statement, visit, context, visited);
    if (sqlite3_get_autocommit(control->database) == 0) {
        const result_t ended =
            control_statement_finish(control, statement_take(control, STATEMENT_rollback), NULL);
        result = result == RESULT_OK ? ended : result;
    }
    return result;
}

result_t control_tenants(control_store_t *store, text_t after, control_tenant_visit_t *visit,
                         void *context)
{
    bool visited = false;
    return tenants_visit(control_of(store), STATEMENT_tenant_list, after, visit, context, &visited);
}

result_t control_tenant(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                        void *context)
{
    bool visited = false;
    const result_t result =
        tenants_visit(control_of(store), STATEMENT_tenant_get, name, visit, context, &visited);
    return result == RESULT_OK && !visited ? RESULT_MISSING : result;
}

result_t tenant_exists(control_sqlite_t *control, text_t name, bool *exists)
{
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_tenant_get);
    bind_text(statement, 1, name);
    const result_t result = control_statement_next(control, statement, exists);
    if (result == RESULT_OK && *exists) {
        statement_done(statement);
    }
    return result;
}

/* --- Changing --- */

static result_t keys_write(control_sqlite_t *control, const control_tenant_t *tenant)
{
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        const control_card_key_t *const key = &tenant->keys[i];
        sqlite3_stmt *const put = statement_take(control, STATEMENT_key_put);
        bind_text(put, 1, tenant->name);
        bind_integer(put, 2, key->kid);
        bind_integer(put, 3, key->state);
        bind_integer(put, 4, key->created_at);
        bind_bytes(put, 5, key->sealed_secret);
        const result_t result = control_statement_finish(control, put, NULL);
        if (result != RESULT_OK) {
            return result;
        }
    }
    return RESULT_OK;
}

static result_t tenant_write(control_sqlite_t *control, const control_tenant_t *tenant)
{
    sqlite3_stmt *const put = statement_take(control, STATEMENT_tenant_put);
    bind_text(put, 1, tenant->name);
    bind_integer(put, 2, tenant->partitions);
    bind_integer(put, 3, tenant->created_at);
    bind_bytes(put, 4, tenant->sealed_secret);
    bind_integer(put, 5, (int64_t)tenant->quotas.cards);
    bind_integer(put, 6, (int64_t)tenant->quotas.storage);
    bind_integer(put, 7, (int64_t)tenant->quotas.rate);
    const result_t result = control_statement_finish(control, put, NULL);
    if (result != RESULT_OK) {
        return result;
    }
    return keys_write(control, tenant);
}

result_t control_tenant_set_quotas(control_store_t *store, text_t name,
                                   const control_quotas_t *quotas)
{
    control_sqlite_t *const control = control_of(store);
    int changes = 0;
    if (!control_quotas_are_valid(quotas)) {
        return RESULT_INVALID_ARGUMENT;
    }
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const set = statement_take(control, STATEMENT_tenant_set_quotas);
    bind_text(set, 1, name);
    bind_integer(set, 2, (int64_t)quotas->cards);
    bind_integer(set, 3, (int64_t)quotas->storage);
    bind_integer(set, 4, (int64_t)quotas->rate);
    result = control_statement_finish(control, set, &changes);
    if (result == RESULT_OK && changes == 0) {
        result = RESULT_MISSING;
    }
    return change_end(control, result);
}

result_t control_tenant_create(control_store_t *store, const control_tenant_t *tenant)
{
    control_sqlite_t *const control = control_of(store);
    if (!control_tenant_is_valid(tenant, true) || !control_quotas_are_valid(&tenant->quotas)) {
        return RESULT_INVALID_ARGUMENT;
    }
    const control_card_key_t first = {.kid = 1,
                                      .state = key_state_active,
                                      .created_at = tenant->created_at,
                                      .sealed_secret = tenant->keys[0].sealed_secret};
    control_tenant_t row = *tenant;
    row.keys = &first;
    assert(control->make_journal != NULL);
    bool exists = false;
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    bool is_made = false;
    result = tenant_exists(control, tenant->name, &exists);
    if (result == RESULT_OK && exists) {
        result = RESULT_ALREADY_EXISTS;
    }
    if (result == RESULT_OK) {
        result = journal_file_make(control, tenant->name, tenant->partitions);
        is_made = result == RESULT_OK;
    }
    if (result == RESULT_OK) {
        result = tenant_write(control, &row);
    }
    result = change_end(control, result);
    if (result != RESULT_OK && is_made) {
        journal_file_unmake(control, tenant->name);
    }
    return result;
}

result_t control_tenant_adopt(control_store_t *store, const control_tenant_t *tenant,
                              int64_t now_ms)
{
    control_sqlite_t *const control = control_of(store);
    bool exists = false;
    if (!control_tenant_is_valid(tenant, false)) {
        return RESULT_INVALID_ARGUMENT;
    }
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = tenant_exists(control, tenant->name, &exists);
    if (result == RESULT_OK && exists) {
        result = RESULT_ALREADY_EXISTS;
    }
    if (result == RESULT_OK) { /* the index refuses a second active key */
        result = tenant_write(control, tenant);
    }
    if (result == RESULT_OK) {
        result = journal_file_adopt(control, tenant->name, now_ms);
    }
    return change_end(control, result);
}

result_t control_tenant_delete(control_store_t *store, text_t name, int64_t now_ms, char *kept_as,
                               size_t kept_as_size)
{
    control_sqlite_t *const control = control_of(store);
    int changes = 0;
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const remove = statement_take(control, STATEMENT_tenant_remove);
    bind_text(remove, 1, name);
    result = control_statement_finish(control, remove, &changes);
    if (result == RESULT_OK && changes == 0) {
        result = RESULT_MISSING;
    }
    if (result == RESULT_OK) {
        result = control_rows_remove(control, STATEMENT_key_remove_all, name);
    }
    if (result == RESULT_OK) {
        result = control_rows_remove(control, STATEMENT_dead_letter_remove_all, name);
    }
    if (result == RESULT_OK) {
        result = control_rows_remove(control, STATEMENT_flag_remove_all, name);
    }
    if (result == RESULT_OK) {
        result = consumers_remove(control, name);
    }
    if (result == RESULT_OK) {
        result = webhooks_remove(control, name);
    }
    result = change_end(control, result);
    if (result != RESULT_OK) {
        return result;
    }
    result = journal_file_keep(control, name, now_ms, kept_as, kept_as_size);
    if (result == RESULT_MISSING) {
        log_warn("the deleted tenant had no journal file",
                 LOG_TEXT("tenant", name.data, name.size));
        return RESULT_OK;
    }
    return result;
}
