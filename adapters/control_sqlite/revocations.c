/* The port of revoked tokens on the control store's file and connection. */
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include <stddef.h>

static control_sqlite_t *control_of_revocations(revocations_t *store)
{
    return (control_sqlite_t *)(void *)((char *)store - offsetof(control_sqlite_t, revocations));
}

static text_t hash_text(const uint8_t *hash)
{
    return (text_t){.data = (const char *)hash, .size = REVOCATION_HASH_SIZE};
}

/* RESULT_ALREADY_EXISTS, BUSY, or OK: there is room. */
static result_t room_look(control_sqlite_t *control, const uint8_t *hash)
{
    bool row = false;
    sqlite3_stmt *const look = statement_take(control, STATEMENT_revoked_look);
    bind_bytes(look, 1, hash_text(hash));
    const result_t result = control_statement_next(control, look, &row);
    if (result != RESULT_OK) {
        return result;
    }
    const int64_t count = sqlite3_column_int64(look, 0);
    const bool is_there = sqlite3_column_int64(look, 1) > 0;
    statement_done(look);
    if (is_there) {
        return RESULT_ALREADY_EXISTS;
    }
    return count >= LIMIT_REVOKED_TOKENS ? RESULT_BUSY : RESULT_OK;
}

static result_t revocation_add(revocations_t *store, const uint8_t *hash, int64_t expires_at_ms,
                               int64_t now_ms)
{
    control_sqlite_t *const control = control_of_revocations(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const trim = statement_take(control, STATEMENT_revoked_trim);
    bind_integer(trim, 1, now_ms);
    result = control_statement_finish(control, trim, NULL);
    if (result == RESULT_OK) {
        result = room_look(control, hash);
    }
    if (result == RESULT_OK) {
        sqlite3_stmt *const put = statement_take(control, STATEMENT_revoked_put);
        bind_bytes(put, 1, hash_text(hash));
        bind_integer(put, 2, expires_at_ms);
        result = control_statement_finish(control, put, NULL);
    }
    result = change_end(control, result);
    return result == RESULT_ALREADY_EXISTS ? RESULT_OK : result;
}

static result_t revocation_visit(revocations_t *store, int64_t now_ms, revocation_visit_t *visit,
                                 void *context)
{
    control_sqlite_t *const control = control_of_revocations(store);
    sqlite3_stmt *const list = statement_take(control, STATEMENT_revoked_list);
    bind_integer(list, 1, now_ms);
    for (;;) { /* bounded by LIMIT_REVOKED_TOKENS */
        bool row = false;
        const result_t result = control_statement_next(control, list, &row);
        if (result != RESULT_OK || !row) {
            return result;
        }
        const text_t hash = column_bytes(list, 0);
        if (hash.size != REVOCATION_HASH_SIZE) {
            statement_done(list);
            return database_error(control, SQLITE_CORRUPT, "reading a revoked token");
        }
        if (!visit(context, (const uint8_t *)hash.data, sqlite3_column_int64(list, 1))) {
            statement_done(list);
            return RESULT_OK;
        }
    }
}

static const revocations_functions_t functions = {
    .add = revocation_add,
    .visit = revocation_visit,
};

void revocations_init(control_sqlite_t *control)
{
    control->revocations.functions = &functions;
}

revocations_t *control_sqlite_revocations(control_store_t *store)
{
    return &control_of(store)->revocations;
}
