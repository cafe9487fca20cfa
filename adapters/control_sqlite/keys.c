/* Keys that sign cards, per tenant, and keys that sign tokens. Secrets are sealed before they come
 * here. */
#include "adapters/control_sqlite/control_sqlite_internal.h"

/* --- Card keys --- */

static result_t keys_count(control_sqlite_t *control, text_t tenant, int64_t *count,
                           int64_t *kid_max)
{
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_key_count);
    bool row = false;
    bind_text(statement, 1, tenant);
    const result_t result = control_statement_next(control, statement, &row);
    if (result == RESULT_OK && row) {
        *count = sqlite3_column_int64(statement, 0);
        *kid_max = sqlite3_column_int64(statement, 1);
        statement_done(statement);
    }
    return result;
}

static result_t key_replace(control_sqlite_t *control, text_t tenant, text_t sealed_secret,
                            int64_t now_ms, int64_t kid)
{
    sqlite3_stmt *const demote = statement_take(control, STATEMENT_key_demote);
    bind_text(demote, 1, tenant);
    bind_integer(demote, 2, key_state_active);
    bind_integer(demote, 3, key_state_verifying);
    const result_t result = control_statement_finish(control, demote, NULL);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const put = statement_take(control, STATEMENT_key_put);
    bind_text(put, 1, tenant);
    bind_integer(put, 2, kid);
    bind_integer(put, 3, key_state_active);
    bind_integer(put, 4, now_ms);
    bind_bytes(put, 5, sealed_secret);
    return control_statement_finish(control, put, NULL);
}

result_t control_key_rotate(control_store_t *store, text_t tenant, text_t sealed_secret,
                            int64_t now_ms, uint32_t *kid)
{
    control_sqlite_t *const control = control_of(store);
    if (sealed_secret.size > CONTROL_SECRET_SIZE_MAX) {
        return RESULT_INVALID_ARGUMENT;
    }
    bool exists = false;
    int64_t count = 0;
    int64_t kid_max = 0;
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = tenant_exists(control, tenant, &exists);
    if (result == RESULT_OK) {
        result = exists ? keys_count(control, tenant, &count, &kid_max) : RESULT_MISSING;
    }
    if (result == RESULT_OK) {
        result = count >= CONTROL_KEYS_PER_TENANT_MAX
                     ? RESULT_NO_MEMORY
                     : key_replace(control, tenant, sealed_secret, now_ms, kid_max + 1);
    }
    result = change_end(control, result);
    if (result == RESULT_OK) {
        *kid = (uint32_t)(kid_max + 1);
    }
    return result;
}

static result_t key_state_change(control_sqlite_t *control, text_t tenant, uint32_t kid,
                                 uint8_t state)
{
    sqlite3_stmt *const get = statement_take(control, STATEMENT_key_get_state);
    bool row = false;
    bind_text(get, 1, tenant);
    bind_integer(get, 2, kid);
    const result_t result = control_statement_next(control, get, &row);
    if (result != RESULT_OK || !row) {
        return result == RESULT_OK ? RESULT_MISSING : result;
    }
    const bool is_active = sqlite3_column_int64(get, 0) == key_state_active;
    statement_done(get);
    if (is_active) {
        return RESULT_INVALID_ARGUMENT;
    }
    sqlite3_stmt *const set = statement_take(control, STATEMENT_key_set_state);
    bind_text(set, 1, tenant);
    bind_integer(set, 2, kid);
    bind_integer(set, 3, state);
    return control_statement_finish(control, set, NULL);
}

result_t control_key_set_state(control_store_t *store, text_t tenant, uint32_t kid, uint8_t state)
{
    control_sqlite_t *const control = control_of(store);
    if (state != key_state_retired && state != key_state_compromised) {
        return RESULT_INVALID_ARGUMENT;
    }
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = key_state_change(control, tenant, kid, state);
    return change_end(control, result);
}

/* --- Token keys --- */

result_t control_token_keys(control_store_t *store, control_token_key_visit_t *visit, void *context)
{
    control_sqlite_t *const control = control_of(store);
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_token_key_list);
    for (;;) { /* bounded by the keys of the installation */
        bool row = false;
        const result_t result = control_statement_next(control, statement, &row);
        if (result != RESULT_OK || !row) {
            return result;
        }
        const control_token_key_t key = {
            .kid = column_bytes(statement, 0),
            .sealed_private_jwk = column_bytes(statement, 1),
            .public_jwk = column_bytes(statement, 2),
            .created_at = sqlite3_column_int64(statement, 3),
        };
        if (!visit(context, &key)) {
            statement_done(statement);
            return RESULT_OK;
        }
    }
}

static result_t token_key_write(control_sqlite_t *control, const control_token_key_t *key)
{
    sqlite3_stmt *const find = statement_take(control, STATEMENT_token_key_find);
    bool exists = false;
    bind_text(find, 1, key->kid);
    const result_t result = control_statement_next(control, find, &exists);
    if (result != RESULT_OK) {
        return result;
    }
    if (exists) {
        statement_done(find);
        return RESULT_ALREADY_EXISTS;
    }
    sqlite3_stmt *const put = statement_take(control, STATEMENT_token_key_put);
    bind_text(put, 1, key->kid);
    bind_bytes(put, 2, key->sealed_private_jwk);
    bind_text(put, 3, key->public_jwk);
    bind_integer(put, 4, key->created_at);
    return control_statement_finish(control, put, NULL);
}

result_t control_token_key_add(control_store_t *store, const control_token_key_t *key)
{
    control_sqlite_t *const control = control_of(store);
    if (text_is_empty(key->kid) || text_is_empty(key->public_jwk)) {
        return RESULT_INVALID_ARGUMENT;
    }
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = token_key_write(control, key);
    return change_end(control, result);
}
