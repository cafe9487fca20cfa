/* Keys that sign cards, per tenant, and keys that sign tokens. Secrets are sealed before they come
 * here. */
#include "adapters/control_postgres/control_postgres_internal.h"

/* --- Card keys --- */

static result_t keys_count(control_postgres_t *control, text_t tenant, int64_t *count,
                           int64_t *kid_max)
{
    PGresult *rows = NULL;
    const value_t value = value_bytes(tenant);
    const result_t result = database_query(
        control,
        "SELECT count(k.kid), coalesce(max(k.kid), 0) FROM tenant t LEFT JOIN card_key k ON "
        "k.tenant = t.name WHERE t.name = $1::text GROUP BY t.name",
        &value, 1, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    const bool is_there = PQntuples(rows) == 1;
    *count = is_there ? field_integer(rows, 0, 0) : 0;
    *kid_max = is_there ? field_integer(rows, 0, 1) : 0;
    PQclear(rows);
    return is_there ? RESULT_OK : RESULT_MISSING;
}

static result_t key_replace(control_postgres_t *control, text_t tenant, text_t sealed_secret,
                            int64_t now_ms, int64_t kid)
{
    const value_t demoted[] = {value_bytes(tenant), value_integer(key_state_active),
                               value_integer(key_state_verifying)};
    const value_t added[] = {value_bytes(tenant), value_integer(kid),
                             value_integer(key_state_active), value_integer(now_ms),
                             value_bytes(sealed_secret)};
    const result_t result =
        database_query(control,
                       "UPDATE card_key SET state = $3::int8 WHERE tenant = $1::text AND state = "
                       "$2::int8",
                       demoted, 3, NULL);
    if (result != RESULT_OK) {
        return result;
    }
    return database_query(control,
                          "INSERT INTO card_key (tenant, kid, state, created_at, sealed_secret) "
                          "VALUES ($1::text, $2::int8, $3::int8, $4::int8, $5::bytea)",
                          added, 5, NULL);
}

result_t control_postgres_key_rotate(control_store_t *store, text_t tenant, text_t sealed_secret,
                                     int64_t now_ms, uint32_t *kid)
{
    control_postgres_t *const control = control_of(store);
    if (sealed_secret.size > CONTROL_SECRET_SIZE_MAX) {
        return RESULT_INVALID_ARGUMENT;
    }
    int64_t count = 0;
    int64_t kid_max = 0;
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = keys_count(control, tenant, &count, &kid_max);
    if (result == RESULT_OK) {
        result = count >= CONTROL_KEYS_PER_TENANT_MAX
                     ? RESULT_NO_MEMORY
                     : key_replace(control, tenant, sealed_secret, now_ms, kid_max + 1);
    }
    result = transaction_end(control, result);
    if (result == RESULT_OK) {
        *kid = (uint32_t)(kid_max + 1);
    }
    return result;
}

static result_t key_state_change(control_postgres_t *control, text_t tenant, uint32_t kid,
                                 uint8_t state)
{
    PGresult *rows = NULL;
    const value_t values[] = {value_bytes(tenant), value_integer(kid), value_integer(state)};
    const result_t result = database_query(
        control, "SELECT state FROM card_key WHERE tenant = $1::text AND kid = $2::int8", values, 2,
        &rows);
    if (result != RESULT_OK) {
        return result;
    }
    const bool is_there = PQntuples(rows) == 1;
    const bool is_active = is_there && field_integer(rows, 0, 0) == key_state_active;
    PQclear(rows);
    if (!is_there || is_active) {
        return is_there ? RESULT_INVALID_ARGUMENT : RESULT_MISSING;
    }
    return database_query(control,
                          "UPDATE card_key SET state = $3::int8 WHERE tenant = $1::text AND kid = "
                          "$2::int8",
                          values, 3, NULL);
}

result_t control_postgres_key_set_state(control_store_t *store, text_t tenant, uint32_t kid,
                                        uint8_t state)
{
    control_postgres_t *const control = control_of(store);
    if (state != key_state_retired && state != key_state_compromised) {
        return RESULT_INVALID_ARGUMENT;
    }
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = key_state_change(control, tenant, kid, state);
    return transaction_end(control, result);
}

/* --- Token keys --- */

result_t control_postgres_token_keys(control_store_t *store, control_token_key_visit_t *visit,
                                     void *context)
{
    PGresult *rows = NULL;
    const result_t result =
        database_query(control_of(store),
                       "SELECT kid, sealed_private_jwk, public_jwk, created_at FROM token_key "
                       "ORDER BY created_at DESC, number DESC",
                       NULL, 0, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    for (int i = 0; i < PQntuples(rows); i++) {
        const control_token_key_t key = {
            .kid = field_bytes(rows, i, 0),
            .sealed_private_jwk = field_bytes(rows, i, 1),
            .public_jwk = field_bytes(rows, i, 2),
            .created_at = field_integer(rows, i, 3),
        };
        if (!visit(context, &key)) {
            break;
        }
    }
    PQclear(rows);
    return RESULT_OK;
}

result_t control_postgres_token_key_add(control_store_t *store, const control_token_key_t *key)
{
    control_postgres_t *const control = control_of(store);
    if (text_is_empty(key->kid) || text_is_empty(key->public_jwk)) {
        return RESULT_INVALID_ARGUMENT;
    }
    PGresult *rows = NULL;
    const value_t values[] = {value_bytes(key->kid), value_bytes(key->sealed_private_jwk),
                              value_bytes(key->public_jwk), value_integer(key->created_at)};
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = database_query(
        control,
        "INSERT INTO token_key (kid, sealed_private_jwk, public_jwk, created_at) VALUES "
        "($1::bytea, $2::bytea, $3::bytea, $4::int8) ON CONFLICT (kid) DO NOTHING RETURNING 1",
        values, 4, &rows);
    if (result == RESULT_OK && PQntuples(rows) == 0) {
        result = RESULT_ALREADY_EXISTS;
    }
    PQclear(rows);
    return transaction_end(control, result);
}
