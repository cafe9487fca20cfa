/* The port of revoked tokens on the control database and the control store's connection. */
#include "adapters/control_postgres/control_postgres_internal.h"
#include <stddef.h>

static control_postgres_t *control_of_revocations(revocations_t *store)
{
    return (control_postgres_t *)(void *)((char *)store -
                                          offsetof(control_postgres_t, revocations));
}

static value_t value_hash(const uint8_t *hash)
{
    return value_bytes((text_t){.data = (const char *)hash, .size = REVOCATION_HASH_SIZE});
}

/* RESULT_ALREADY_EXISTS, BUSY, or OK: there is room. */
static result_t room_look(control_postgres_t *control, const uint8_t *hash)
{
    const value_t value = value_hash(hash);
    PGresult *rows = NULL;
    const result_t result =
        database_query(control,
                       "SELECT count(*), count(*) FILTER (WHERE hash = $1::bytea) FROM "
                       "revoked_token",
                       &value, 1, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    const int64_t count = field_integer(rows, 0, 0);
    const bool is_there = field_integer(rows, 0, 1) > 0;
    PQclear(rows);
    if (is_there) {
        return RESULT_ALREADY_EXISTS;
    }
    return count >= LIMIT_REVOKED_TOKENS ? RESULT_BUSY : RESULT_OK;
}

static result_t revocation_add(revocations_t *store, const uint8_t *hash, int64_t expires_at_ms,
                               int64_t now_ms)
{
    control_postgres_t *const control = control_of_revocations(store);
    const value_t now = value_integer(now_ms);
    const value_t row[] = {value_hash(hash), value_integer(expires_at_ms)};
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = database_query(control, "DELETE FROM revoked_token WHERE expires_at <= $1::int8", &now,
                            1, NULL);
    if (result == RESULT_OK) {
        result = room_look(control, hash);
    }
    if (result == RESULT_OK) {
        result = database_query(
            control, "INSERT INTO revoked_token (hash, expires_at) VALUES ($1::bytea, $2::int8)",
            row, 2, NULL);
    }
    result = transaction_end(control, result);
    return result == RESULT_ALREADY_EXISTS ? RESULT_OK : result;
}

static result_t revocation_visit(revocations_t *store, int64_t now_ms, revocation_visit_t *visit,
                                 void *context)
{
    const value_t now = value_integer(now_ms);
    PGresult *rows = NULL;
    const result_t result =
        database_query(control_of_revocations(store),
                       "SELECT hash, expires_at FROM revoked_token WHERE expires_at > $1::int8 "
                       "ORDER BY hash",
                       &now, 1, &rows);
    bool goes_on = result == RESULT_OK;
    for (int i = 0; goes_on && i < PQntuples(rows); i++) {
        const text_t hash = field_bytes(rows, i, 0);
        goes_on = hash.size != REVOCATION_HASH_SIZE ||
                  visit(context, (const uint8_t *)hash.data, field_integer(rows, i, 1));
    }
    PQclear(rows);
    return result;
}

static const revocations_functions_t functions = {
    .add = revocation_add,
    .visit = revocation_visit,
};

void control_postgres_revocations_init(control_postgres_t *control)
{
    control->revocations.functions = &functions;
}

revocations_t *control_postgres_revocations(control_store_t *store)
{
    return &control_of(store)->revocations;
}
