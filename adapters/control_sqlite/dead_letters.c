/* The port of dead letters on the control store's file and connection. */
#include "adapters/control_sqlite/control_sqlite_internal.h"
#include <assert.h>
#include <stddef.h>

static control_sqlite_t *control_of_letters(dead_letters_t *store)
{
    return (control_sqlite_t *)(void *)((char *)store - offsetof(control_sqlite_t, dead_letters));
}

static text_t bytes_text(const uint8_t *bytes, size_t size)
{
    return (text_t){.data = (const char *)bytes, .size = size};
}

static result_t letter_write(control_sqlite_t *control, const dead_letter_t *letter)
{
    sqlite3_stmt *const put = statement_take(control, STATEMENT_dead_letter_put);
    bind_bytes(put, 1, bytes_text(letter->fingerprint, CRASH_FINGERPRINT_SIZE));
    bind_integer(put, 2, letter->state);
    bind_text(put, 3, letter->tenant);
    bind_integer(put, 4, letter->type);
    bind_bytes(put, 5, bytes_text(letter->actor, CRASH_ID_SIZE));
    bind_integer(put, 6, letter->kills);
    bind_integer(put, 7, letter->stored_at);
    bind_text(put, 8, letter->reason);
    bind_text(put, 9, letter->trace_id);
    bind_integer(put, 10, letter->request_size);
    bind_bytes(put, 11, letter->sealed_request);
    bind_text(put, 12, letter->outcome);
    const result_t result = control_statement_finish(control, put, NULL);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const trim = statement_take(control, STATEMENT_dead_letter_trim);
    bind_text(trim, 1, letter->tenant);
    bind_integer(trim, 2, LIMIT_DEAD_LETTERS);
    return control_statement_finish(control, trim, NULL);
}

static result_t letter_put(dead_letters_t *store, const dead_letter_t *letter)
{
    control_sqlite_t *const control = control_of_letters(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = letter_write(control, letter);
    return change_end(control, result);
}

/* --- Reading --- */

/* False: the row is not as we write it. */
static bool letter_read(sqlite3_stmt *statement, dead_letter_t *letter)
{
    const text_t fingerprint = column_bytes(statement, 0);
    const text_t actor = column_bytes(statement, 4);
    *letter = (dead_letter_t){
        .fingerprint = (const uint8_t *)fingerprint.data,
        .state = (dead_letter_state_t)sqlite3_column_int64(statement, 1),
        .tenant = column_bytes(statement, 2),
        .type = (uint8_t)sqlite3_column_int64(statement, 3),
        .actor = (const uint8_t *)actor.data,
        .kills = (uint32_t)sqlite3_column_int64(statement, 5),
        .stored_at = sqlite3_column_int64(statement, 6),
        .reason = column_bytes(statement, 7),
        .trace_id = column_bytes(statement, 8),
        .request_size = (uint32_t)sqlite3_column_int64(statement, 9),
        .sealed_request = column_bytes(statement, 10),
        .outcome = column_bytes(statement, 11),
    };
    return fingerprint.size == CRASH_FINGERPRINT_SIZE && actor.size == CRASH_ID_SIZE;
}

static result_t visit_rows(control_sqlite_t *control, sqlite3_stmt *statement,
                           dead_letter_visit_t *visit, void *context, bool *visited)
{
    for (;;) { /* bounded by LIMIT_DEAD_LETTERS per tenant */
        bool row = false;
        dead_letter_t letter;
        const result_t result = control_statement_next(control, statement, &row);
        if (result != RESULT_OK || !row) {
            return result;
        }
        if (!letter_read(statement, &letter)) {
            statement_done(statement);
            return database_error(control, SQLITE_CORRUPT, "reading a dead letter");
        }
        *visited = true;
        if (!visit(context, &letter)) {
            statement_done(statement);
            return RESULT_OK;
        }
    }
}

static result_t letter_visit(dead_letters_t *store, text_t tenant, dead_letter_visit_t *visit,
                             void *context)
{
    control_sqlite_t *const control = control_of_letters(store);
    bool visited = false;
    sqlite3_stmt *const statement =
        statement_take(control, text_is_empty(tenant) ? STATEMENT_dead_letter_list
                                                      : STATEMENT_dead_letter_list_tenant);
    if (!text_is_empty(tenant)) {
        bind_text(statement, 1, tenant);
    }
    return visit_rows(control, statement, visit, context, &visited);
}

static result_t letter_visit_one(dead_letters_t *store, const uint8_t *fingerprint,
                                 dead_letter_visit_t *visit, void *context)
{
    control_sqlite_t *const control = control_of_letters(store);
    bool visited = false;
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_dead_letter_get);
    bind_bytes(statement, 1, bytes_text(fingerprint, CRASH_FINGERPRINT_SIZE));
    const result_t result = visit_rows(control, statement, visit, context, &visited);
    return result == RESULT_OK && !visited ? RESULT_MISSING : result;
}

/* --- Changing --- */

static result_t finish_one(control_sqlite_t *control, sqlite3_stmt *statement)
{
    int changes = 0;
    const result_t result = control_statement_finish(control, statement, &changes);
    return result == RESULT_OK && changes == 0 ? RESULT_MISSING : result;
}

static result_t letter_change(dead_letters_t *store, const uint8_t *fingerprint,
                              dead_letter_state_t from, dead_letter_state_t to, text_t outcome)
{
    control_sqlite_t *const control = control_of_letters(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_dead_letter_change);
    bind_bytes(statement, 1, bytes_text(fingerprint, CRASH_FINGERPRINT_SIZE));
    bind_integer(statement, 2, from);
    bind_integer(statement, 3, to);
    bind_text(statement, 4, outcome);
    result = finish_one(control, statement);
    return change_end(control, result);
}

static result_t letter_drop(dead_letters_t *store, const uint8_t *fingerprint)
{
    control_sqlite_t *const control = control_of_letters(store);
    result_t result = change_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    sqlite3_stmt *const statement = statement_take(control, STATEMENT_dead_letter_drop);
    bind_bytes(statement, 1, bytes_text(fingerprint, CRASH_FINGERPRINT_SIZE));
    result = finish_one(control, statement);
    return change_end(control, result);
}

static const dead_letters_functions_t functions = {
    .put = letter_put,
    .visit = letter_visit,
    .visit_one = letter_visit_one,
    .change = letter_change,
    .drop = letter_drop,
};

void dead_letters_init(control_sqlite_t *control)
{
    control->dead_letters.functions = &functions;
}

dead_letters_t *control_sqlite_dead_letters(control_store_t *store)
{
    return &control_of(store)->dead_letters;
}
